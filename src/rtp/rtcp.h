/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_RTCP_H
#define KW_RTP_RTCP_H

/* RTCP in the clear: compound packets (RFC 3550 section 6, RFC 5506), feedback (RFC 4585, 5104). */

#include "base/reader.h"
#include "base/writer.h"

enum {
    KW_RTCP_SR = 200,
    KW_RTCP_RR = 201,
    KW_RTCP_SDES = 202,
    KW_RTCP_BYE = 203,
    KW_RTCP_APP = 204,
    KW_RTCP_RTPFB = 205,
    KW_RTCP_PSFB = 206,
};

enum {
    KW_RTCP_FMT_NACK = 1, /* of RTPFB */
    KW_RTCP_FMT_PLI = 1,  /* of PSFB */
    KW_RTCP_FMT_FIR = 4,
    KW_RTCP_BLOCKS_MAX = 31,
    KW_RTCP_CNAME_MAX = 255,
};

struct kw_rtcp_block {
    uint32_t ssrc;
    uint8_t fraction_lost; /* of 256 */
    int32_t lost;          /* 24 bits, signed */
    uint32_t highest;      /* extended highest sequence number */
    uint32_t jitter;       /* in units of the media clock */
    uint32_t lsr;          /* middle of the NTP time of the last sender report; 0: none */
    uint32_t dlsr;         /* time since then, 16.16 s */
};

struct kw_rtcp_sender {
    uint64_t ntp;
    uint32_t timestamp;
    uint32_t packets;
    uint32_t octets;
};

/* One packet of a compound. What its type has is filled in, the rest is zero. */
struct kw_rtcp {
    uint8_t type;
    uint8_t count; /* of blocks, chunks or sources; the format of feedback */
    uint32_t ssrc; /* of who sends it: SR, RR, BYE (the first), feedback; SDES: the first chunk */
    uint32_t media_ssrc;          /* feedback */
    struct kw_rtcp_sender sender; /* SR */
    struct kw_bytes blocks;       /* SR, RR: see kw_rtcp_block_next() */
    struct kw_bytes items;        /* BYE: SSRCs; FIR, NACK: entries; SDES: chunks */
};

/*
 * Checks a datagram from end to end: version 2, lengths that fit, counts that their packets hold,
 * padding only in the last. Reduced-size RTCP (RFC 5506) may begin with any type.
 */
KW_MUST_USE enum kw_verdict kw_rtcp_check(const uint8_t *packet, size_t len);

/* Takes the next packet of a compound that check() accepted; false at the end. */
KW_MUST_USE bool kw_rtcp_next(struct kw_reader *in, struct kw_rtcp *ret);
KW_MUST_USE bool kw_rtcp_block_next(struct kw_bytes *blocks, struct kw_rtcp_block *ret);
/* Next SSRC of a BYE. */
KW_MUST_USE bool kw_rtcp_bye_next(struct kw_bytes *items, uint32_t *ret);
/* Next entry of a NACK: a sequence number and a mask of the 16 after it. */
KW_MUST_USE bool kw_rtcp_nack_next(struct kw_bytes *items, uint16_t *seq, uint16_t *mask);
/* Next entry of a FIR. */
KW_MUST_USE bool kw_rtcp_fir_next(struct kw_bytes *items, uint32_t *ssrc, uint8_t *command);
/* CNAME of this SSRC in an SDES; false when it is not there. */
KW_MUST_USE bool kw_rtcp_cname(const struct kw_rtcp *sdes, uint32_t ssrc, struct kw_bytes *ret);

/* Writers append to a compound; what does not fit is remembered by the writer. */
void kw_rtcp_write_sr(struct kw_writer *out, uint32_t ssrc, const struct kw_rtcp_sender *sender,
                      const struct kw_rtcp_block *blocks, size_t block_count);
void kw_rtcp_write_rr(struct kw_writer *out, uint32_t ssrc, const struct kw_rtcp_block *blocks,
                      size_t block_count);
/* One chunk with CNAME, cut at KW_RTCP_CNAME_MAX. */
void kw_rtcp_write_cname(struct kw_writer *out, uint32_t ssrc, struct kw_bytes cname);
void kw_rtcp_write_bye(struct kw_writer *out, uint32_t ssrc);
void kw_rtcp_write_pli(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc);
void kw_rtcp_write_fir(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc, uint8_t command);
void kw_rtcp_write_nack(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc, uint16_t seq,
                        uint16_t mask);

#endif
