/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_VOICE_H
#define KW_TESTS_SYSTEM_VOICE_H

/*
 * A speaker whose client rotates, and the far end that listens. Each connection of the client has
 * an encoder of its own, with its own frame phase, sequence numbers and clock, as the second
 * connection of a browser has. Every frame has a payload of its own, so the far end knows of each
 * packet which moment of the speaker's clock it holds, and what its timestamp ought to be.
 */

#include "peer.h"

enum {
    VOICE_CONNECTIONS = 4,
    VOICE_FRAMES_MAX = 1600,
    VOICE_FRAME_MS = 20,
    VOICE_UNITS = 960, /* of a frame, 48 kHz */
    VOICE_PAYLOAD_MAX = 400,
    VOICE_EVERY_MS = 5000,   /* from connection to connection */
    VOICE_TOGETHER_MS = 2500 /* old and new one both send */
};

struct voice_frame {
    uint16_t len;
    uint8_t payload[VOICE_PAYLOAD_MAX];
};

/* What one connection sends. Its first frame stands for `begin` of the speaker's clock. */
struct voice_stream {
    kw_ns begin;
    uint32_t ssrc;
    uint16_t first_seq;
    uint32_t first_timestamp;
    size_t frame_count;
    struct voice_frame frames[VOICE_FRAMES_MAX];
};

struct voice {
    struct voice_stream streams[VOICE_CONNECTIONS];
};

/* When each connection begins, which numbers it begins with; no frames yet. */
void voice_plan(struct voice *voice);
/* Frames that only say which they are. */
void voice_fill(struct voice *voice);
/* The frames of an Ogg file (RFC 3533, RFC 7845). False: it is none. */
bool voice_read_ogg(struct voice_stream *stream, const char *path);

/* What the far end has seen. */
struct voice_ear {
    const struct voice *voice;
    uint64_t packets, unknown;
    uint32_t ssrc;
    unsigned ssrcs, gaps, repeats, cuts;
    uint16_t seq;
    uint32_t first_timestamp, timestamp;
    unsigned steps;   /* timestamps that were not one frame apart */
    int64_t first_ns; /* of the speaker's clock */
    int64_t last_ns;
    int64_t error_max_ns;    /* of what its timestamp says against the speaker's clock */
    int64_t hole_max_ns;     /* of the speaker's clock, beyond the length of a frame */
    size_t connection, next; /* where the search goes on */
};
void voice_hear(struct voice_ear *ear, const uint8_t *packet, size_t len);

/*
 * Speaks through the gateway from the first connection to the end of the last one: `each` is called
 * all the time. The first connection exists; the others are made by POST {call}/generations.
 */
struct voice_call {
    struct voice *voice;
    const struct daemon *daemon;
    struct peer *connections; /* VOICE_CONNECTIONS */
    void (*each)(void *ctx, kw_ns now);
    void *ctx;
    kw_ns length; /* of the last connection */
    /* What comes back on each connection; NULL: nobody listens. */
    void (*on_rtp)(void *ctx, const uint8_t *packet, size_t len);
    void *on_rtp_ctx[VOICE_CONNECTIONS];
};
void voice_speak(const struct voice_call *call);

#endif
