/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_SOURCE_H
#define KW_RTP_SOURCE_H

/* What we know of one incoming SSRC: loss, jitter, and its sender's clock (RFC 3550 appendix A). */

#include "rtp/rtcp.h"

struct kw_rtp_source {
    uint32_t ssrc;
    uint32_t clock_hz;
    bool started;
    uint16_t max_seq;
    uint32_t cycles; /* 65536 for each wrap */
    uint32_t base_seq;
    uint32_t bad_seq; /* what would follow a jump; > 65535: nothing */
    uint32_t received;
    uint32_t expected_prior;
    uint32_t received_prior;
    uint32_t transit;
    uint32_t jitter; /* times 16 */
    kw_ns heard_at;
    bool has_sr;
    struct kw_rtcp_sender sr;
    kw_ns sr_at;
};

void kw_rtp_source_init(struct kw_rtp_source *source, uint32_t ssrc, uint32_t clock_hz);
/* An authenticated packet. */
void kw_rtp_source_receive(struct kw_rtp_source *source, uint16_t seq, uint32_t timestamp,
                           kw_ns now);
void kw_rtp_source_sr(struct kw_rtp_source *source, const struct kw_rtcp_sender *sr, kw_ns now);

/* Extended highest sequence number, and packets lost so far (may be negative: duplicates). */
uint32_t kw_rtp_source_highest(const struct kw_rtp_source *source);
int32_t kw_rtp_source_lost(const struct kw_rtp_source *source);

/* A report block for it; the fraction counts from the last block that was made. */
void kw_rtp_source_block(struct kw_rtp_source *source, kw_ns now, struct kw_rtcp_block *ret);

/* A time span in units of a media clock, and back; both cut. */
uint64_t kw_rtp_units(kw_ns ns, uint32_t clock_hz);
int64_t kw_rtp_units_to_ns(int64_t units, uint32_t clock_hz);

#endif
