/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_RTP_H
#define KW_RTP_RTP_H

/* RTP packets in the clear (RFC 3550), their header extensions (RFC 8285), and times. */

#include <keywheel/base.h>

enum {
    KW_RTP_HEADER_MIN = 12,
    KW_RTP_EXT_ONE_BYTE = 0xbede,
    KW_RTP_EXT_TWO_BYTE = 0x1000, /* the low four bits are the application's */
};

struct kw_rtp {
    bool marker;
    bool has_ext;
    uint8_t payload_type;
    uint16_t seq;
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t ext_profile;
    struct kw_bytes ext;     /* the body of the header extension */
    struct kw_bytes payload; /* without padding */
    size_t header_len;       /* with CSRCs and extension */
};

/* FOREIGN: not version 2; TRUNCATED, MALFORMED. Views point into the packet. */
KW_MUST_USE enum kw_verdict kw_rtp_parse(const uint8_t *packet, size_t len, struct kw_rtp *ret);

/* In place; the packet has been parsed. */
void kw_rtp_set_payload_type(uint8_t *packet, uint8_t payload_type);
void kw_rtp_set_seq(uint8_t *packet, uint16_t seq);
void kw_rtp_set_timestamp(uint8_t *packet, uint32_t timestamp);
void kw_rtp_set_ssrc(uint8_t *packet, uint32_t ssrc);

/* Walks the elements of an extension, one-byte or two-byte; starts as {0}. False at the end. */
struct kw_rtp_ext {
    size_t at;    /* of the next element in rtp->ext */
    size_t id_at; /* of this one */
    uint8_t id;
    struct kw_bytes value;
};
bool kw_rtp_ext_next(const struct kw_rtp *rtp, struct kw_rtp_ext *ext);
bool kw_rtp_ext_find(const struct kw_rtp *rtp, uint8_t id, struct kw_bytes *ret);

/*
 * Gives every element the id that stands at its place in `map` (256 entries). 0 removes it: it
 * becomes padding, so lengths stay. An id above 14 does not fit the one-byte form and removes too.
 */
void kw_rtp_ext_map(uint8_t *packet, const struct kw_rtp *rtp, const uint8_t *map);

/* abs-send-time: 24 bits of seconds, 6.18. False when the extension is absent or not 3 bytes. */
bool kw_rtp_abs_send_time(const struct kw_rtp *rtp, uint8_t id, uint32_t *ret);

/*
 * NTP timestamps (32.32) and nanoseconds. An NTP time may count from any zero that its sender keeps
 * (RFC 3550 section 4: elapsed time is allowed where there is no wall clock).
 */
uint64_t kw_ntp_from_ns(kw_ns ns);
kw_ns kw_ntp_to_ns(uint64_t ntp); /* rounds up, so that it is the inverse of the above */
/* The middle 32 bits: seconds in 16.16, as in LSR and DLSR. */
uint32_t kw_ntp_middle(uint64_t ntp);

/* a - b on a circle of 2^16 or 2^32. */
static inline int16_t kw_rtp_seq_diff(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b);
}

static inline int32_t kw_rtp_ts_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

#endif
