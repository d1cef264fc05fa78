/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_RTP_SCENE_H
#define KW_TESTS_RTP_SCENE_H

/*
 * Rotations in virtual time: one microphone, an encoder for each generation with its own SSRC,
 * numbers and frame phase, a browser and a network that delay and lose, and a listener who knows
 * when each frame was captured.
 */
#include "rtp/splice.h"

struct dice {
    uint64_t state;
};

uint64_t roll(struct dice *dice);

enum { PACKET_MAX = 64, EVENTS_MAX = 60000 };

struct event {
    kw_ns at; /* arrival */
    uint64_t order;
    uint32_t generation;
    bool is_report;
    struct kw_rtcp_sender report;
    uint32_t ssrc;
    kw_ns captured, sent;
    size_t len;
    uint8_t data[PACKET_MAX];
};

struct scene {
    struct dice dice;
    unsigned rotations;
    kw_ns every, overlap;
    kw_ns delay, jitter;
    kw_ns detour; /* of every second generation: another path */
    kw_ns queue;  /* a full network: whoever sends waits for up to so long, in waves of 1.3 s */
    unsigned loss_percent;
    bool reports, send_times;
    kw_ns report_error;  /* a report is up to so much late */
    kw_ns first_report;  /* 0: soon enough for the cut */
    kw_ns stall;         /* whenever an encoder begins, its machine loses so much time */
    kw_ns rhythm;        /* frames leave when a sound card's buffer is emptied, every so often */
    kw_ns lucky;         /* for so long a new stream's frames leave 10 ms sooner than any other */
    kw_ns removed_after; /* the old generation leaves so long after `next` came; 0: later */
    int drift_ppm;       /* of the sound card against the clock of the reports */
    unsigned pause_percent; /* frames left out in bursts (DTX) */
    struct event *events;
    size_t event_count;
};

void make_packet(struct event *event, uint32_t ssrc, uint16_t seq, uint32_t timestamp,
                 const uint8_t *payload, size_t payload_len);

/* The encoder of one generation, from start to stop. */
void scene_begin(struct scene *scene);
void scene_speak(struct scene *scene, uint32_t generation, kw_ns start, kw_ns stop);
/* In the order of arrival; the owner frees `events`. */
void scene_sort(struct scene *scene);

/* What the listener notes of one frame. */
struct heard {
    bool is_there;
    uint32_t timestamp;
    kw_ns captured;
};

struct ear {
    struct heard frames[EVENTS_MAX];
    uint64_t highest; /* extended */
    uint64_t first;
    size_t count;
    unsigned cuts_by[KW_SPLICE_SAME + 1];
    int64_t worst_error; /* as the splice says */
    int64_t worst_clock; /* of what left against the clock of capture, since the first frame */
};

/* All rotations of a scene through a splice. */
void scene_run(const struct scene *original, struct ear *ear, uint64_t seed);

#endif
