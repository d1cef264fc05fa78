/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_STREAM_H
#define KW_RTP_STREAM_H

/*
 * An outgoing stream of our own, made of what comes in: one SSRC, continuous sequence numbers, a
 * steady clock. Whatever feeds it for a while is an epoch: a source whose numbers are a constant
 * away from ours, so that gaps stay gaps and the receiver sees the loss that we saw.
 */

#include "rtp/rtp.h"
#include "rtp/source.h"

enum { KW_RTP_SENT = 512 }; /* numbers of which we know whether they left: a second of video */
enum { KW_RTP_EPOCHS = 4 }; /* remembered for late packets and NACKs: rotations are seconds apart */

struct kw_rtp_epoch {
    bool used;
    uint32_t tag; /* the owner's: a generation */
    uint32_t ssrc;
    uint64_t first_out; /* extended numbers; the epoch ends where the next one begins */
    uint64_t in_highest;
    uint64_t shift; /* out = in + shift, modulo 2^64 */
    uint32_t ts_shift;
};

struct kw_rtp_stream {
    uint32_t ssrc;
    uint32_t clock_hz;
    uint64_t highest; /* extended; the first packet gets highest + 1 */
    bool started;
    uint64_t sent[KW_RTP_SENT / 64]; /* a bit for each of the newest numbers, by number */
    uint32_t last_ts;                /* of the highest */
    kw_ns last_at;
    uint32_t packets, octets;                  /* sent, as sender reports count them */
    struct kw_rtp_epoch epochs[KW_RTP_EPOCHS]; /* newest first */
    /* A moment of our NTP clock and what our media clock showed then; from the source's reports. */
    bool has_anchor;
    uint64_t anchor_ntp;
    uint32_t anchor_ts;
    /* What the receiver reports. */
    bool has_report;
    uint8_t fraction_lost;
    int32_t lost;
    uint32_t jitter;
    kw_ns rtt; /* 0: unknown */
};

/* first_seq below 2^15, so that the roll-over counters of both sides start at 0 (RFC 3711 3.3.1).
 */
void kw_rtp_stream_init(struct kw_rtp_stream *stream, uint32_t ssrc, uint32_t clock_hz,
                        uint16_t first_seq);

/* Where our media clock stands: the last timestamp and the time since then. */
uint32_t kw_rtp_stream_clock(const struct kw_rtp_stream *stream, kw_ns now);

/*
 * From this packet on the stream is made of its source: it gets the next sequence number and the
 * timestamp `out_ts`. Anything the source sent before it is not for us.
 */
void kw_rtp_stream_attach(struct kw_rtp_stream *stream, uint32_t tag, const struct kw_rtp *first,
                          uint32_t out_ts);

/*
 * Rewrites SSRC, sequence number and timestamp in place. DROP_FOREIGN: no epoch of this source;
 * DROP_OLD: before its first packet; DROP_UNEXPECTED: after its last.
 */
KW_MUST_USE enum kw_verdict kw_rtp_stream_forward(struct kw_rtp_stream *stream, uint32_t tag,
                                                  uint8_t *packet, const struct kw_rtp *rtp,
                                                  kw_ns now);

/* Which packet of which source left under this sequence number; false when it is forgotten. */
struct kw_rtp_origin {
    uint32_t tag;
    uint32_t ssrc;
    uint16_t seq;
};
/* This number has left; false also when it is too old to know. */
bool kw_rtp_stream_has_sent(const struct kw_rtp_stream *stream, uint16_t seq);
KW_MUST_USE bool kw_rtp_stream_origin(const struct kw_rtp_stream *stream, uint16_t seq,
                                      struct kw_rtp_origin *ret);

/*
 * How far our NTP clock is ahead of a peer's, for all its streams together, so that they stay in
 * step: the smallest of (arrival - sending), that is clock difference plus the shortest way.
 */
struct kw_rtp_sync {
    bool known;
    int64_t offset_ns;
};
void kw_rtp_sync_learn(struct kw_rtp_sync *sync, const struct kw_rtcp_sender *sr, uint64_t ntp);
/* A sender report of a source that feeds the stream: fixes our media clock to our NTP clock. */
void kw_rtp_stream_anchor(struct kw_rtp_stream *stream, uint32_t tag, uint32_t source_ssrc,
                          const struct kw_rtcp_sender *sr, const struct kw_rtp_sync *sync);

/* Sender part of our own report; ntp is our clock now. */
void kw_rtp_stream_sender(const struct kw_rtp_stream *stream, uint64_t ntp, kw_ns now,
                          struct kw_rtcp_sender *ret);
/* A receiver's block about us, at our NTP time. */
void kw_rtp_stream_report(struct kw_rtp_stream *stream, const struct kw_rtcp_block *block,
                          uint64_t ntp);

/*
 * A compound: a sender report for each stream that has sent, with the blocks of all sources in the
 * first (a receiver report of `ssrc` when no stream has sent), and CNAME for each. Returns its
 * length; 0: it does not fit, or there is nothing to say.
 */
struct kw_rtp_report {
    uint32_t ssrc; /* who reports when no stream has sent */
    struct kw_bytes cname;
    struct kw_rtp_stream *const *streams;
    size_t stream_count;
    struct kw_rtp_source *const *sources;
    size_t source_count;
};
size_t kw_rtp_report_write(const struct kw_rtp_report *report, uint64_t ntp, kw_ns now,
                           uint8_t *dst, size_t dst_size);

#endif
