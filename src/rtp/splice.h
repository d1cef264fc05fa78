/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_SPLICE_H
#define KW_RTP_SPLICE_H

/*
 * Two generations' streams of the same microphone or camera leave as one.
 *
 * Audio: two encoders have their own frame phase, so the cut is made once, in front of the frame of
 * `next` that begins nearest to the end of the last frame of the old stream, by the sender's own
 * clock. What remains (at most half a frame) is kept and taken into account at the following cut,
 * so it never adds up. Sequence numbers and timestamps go on without a step.
 *
 * Video: the cut is made in front of a key frame of `next`, which is asked for; PictureID and
 * TL0PICIDX go on.
 */
#include "rtp/clock.h"
#include "rtp/rtcp.h"
#include "rtp/stream.h"
#include "rtp/video.h"

enum kw_splice_method {
    KW_SPLICE_NONE = 0,
    KW_SPLICE_FIRST,     /* nothing before it */
    KW_SPLICE_SR,        /* sender reports of both: their ways differ by more than reports err */
    KW_SPLICE_SEND_TIME, /* abs-send-time of both: preferred */
    KW_SPLICE_ARRIVAL,
    KW_SPLICE_LOST_OLD, /* the old stream was gone: by arrival, nothing to align with */
    KW_SPLICE_SAME,     /* the same encoder under other keys: nothing to align */
};
const char *kw_splice_method_name(enum kw_splice_method method);

/* One input: the stream of one generation. */
struct kw_splice_input {
    bool used;
    bool heard;
    bool removed; /* its generation is gone, its clock is kept for the cut */
    uint32_t generation;
    uint32_t ssrc;
    uint32_t last_ts;
    uint16_t last_seq;
    kw_ns first_at, last_at;
    uint32_t frame_units; /* between packets that follow each other */
    bool has_early;       /* the newest packet that came too early for the cut */
    uint16_t early_seq;
    bool has_report;
    struct kw_rtp_point reported; /* by the newest one */
    struct kw_rtp_clock sent, arrived;
    uint16_t picture_shift; /* out = in + shift */
    uint8_t tl0_shift;
};

enum { KW_SPLICE_INPUTS = 3 }; /* as many as a session has generations */

struct kw_splice_params {
    bool is_video;
    uint32_t ssrc; /* of the stream that leaves */
    uint32_t clock_hz;
    uint16_t first_seq;
    uint32_t first_ts;
    kw_ns patience; /* for so long both streams are compared before an audio cut */
};

struct kw_splice {
    struct kw_splice_params params;
    struct kw_rtp_stream stream;
    struct kw_splice_input inputs[KW_SPLICE_INPUTS];
    struct kw_splice_input *current; /* NULL: none yet, or (video) it was removed */
    int64_t debt_ns; /* how far the outgoing clock is behind the sender's, from past cuts */
    /* The next frame of `next` is the one: the old stream has ended here. */
    bool closed;
    uint32_t closed_ts;
    kw_ns reopens_at;
    /* An audio cut is measured again for as long as the old stream goes on beside the new one. */
    struct {
        bool is_open;
        uint32_t generation, ssrc; /* the old one */
        uint32_t old_end, new_start;
        int64_t assumed_ns; /* between the two */
    } review;
    uint32_t unanswered; /* packets of `next` since the last one of the old stream */
    kw_ns asked_at;      /* key frame of `next` */
    bool asked;
    uint16_t picture_id; /* last ones that left */
    uint8_t tl0;
    /* The last cut, for the record of the rotation. */
    uint32_t cuts;
    enum kw_splice_method method;
    int64_t error_ns;
    kw_ns cut_at;
    kw_ns waited_ns;
};

void kw_splice_init(struct kw_splice *splice, const struct kw_splice_params *params);

/* A packet with what its header says; abs-send-time as kw_rtp_abs_send_time() gives it. */
struct kw_splice_packet {
    uint32_t generation;
    const struct kw_rtp *rtp;
    enum kw_video_codec codec;
    bool has_send_time;
    uint32_t send_time;
};

/*
 * Feeds a packet of a generation. ACCEPT: rewritten in place, send it. DROP_UNEXPECTED: of the side
 * that is not in use (yet, or any more). A new generation becomes `next` with its first packet. The
 * owner feeds one SSRC per generation (no repair streams); another SSRC starts its input anew.
 */
KW_MUST_USE enum kw_verdict kw_splice_receive(struct kw_splice *splice,
                                              const struct kw_splice_packet *info, uint8_t *packet,
                                              kw_ns now);

/* A sender report of an input. */
void kw_splice_report(struct kw_splice *splice, uint32_t generation, uint32_t ssrc,
                      const struct kw_rtcp_sender *sr);

/* The generation is gone: its packets are not missed, and audio is cut at once. */
void kw_splice_remove(struct kw_splice *splice, uint32_t generation);

/* Video: true when `next` should be asked for a key frame now (every 500 ms until it comes). */
KW_MUST_USE bool kw_splice_wants_key(struct kw_splice *splice, kw_ns now, uint32_t *generation,
                                     uint32_t *ssrc);

/* PLI, FIR: whom they concern. NACK: kw_rtp_stream_origin(), whose tag is the generation. */
KW_MUST_USE bool kw_splice_current(const struct kw_splice *splice, uint32_t *generation,
                                   uint32_t *ssrc);

/* A BYE of an input: true when the outgoing stream ends with it. The old one's is swallowed. */
KW_MUST_USE bool kw_splice_bye(struct kw_splice *splice, uint32_t generation, uint32_t ssrc);

#endif
