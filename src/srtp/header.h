/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_HEADER_H
#define KW_SRTP_HEADER_H

/*
 * RFC 3550, section 5.1:
 *
 *    0                   1                   2                   3
 *    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *    |                           timestamp                           |
 *    |                             SSRC                              |
 *    |                    CSRCs, 4 bytes each (CC)                   |
 *    | X: profile-specific (16 bits) |  length in words (16 bits)    |
 *
 * Only what the transform needs; padding is part of what is encrypted.
 */

#include "srtp/context.h"

enum { KW_RTP_FIXED = 12, KW_RTCP_FIXED = 8 };

struct rtp_header {
    uint32_t ssrc;
    uint16_t seq;
    uint16_t ext_profile; /* 0 without X bit */
    uint32_t csrc_len;
    uint32_t len; /* header with CSRCs and extension */
};

/* len: without authentication tag. */
static inline enum kw_verdict rtp_header_parse(const uint8_t *packet, size_t len,
                                               struct rtp_header *ret)
{
    struct rtp_header header;

    if (len < KW_RTP_FIXED)
        return KW_DROP_TRUNCATED;
    if (packet[0] >> 6 != 2)
        return KW_DROP_MALFORMED;
    header.seq = get_u16(packet + 2);
    header.ssrc = get_u32(packet + 8);
    header.ext_profile = 0;
    header.csrc_len = 4U * (packet[0] & 15);
    header.len = KW_RTP_FIXED + header.csrc_len;
    if (packet[0] & 0x10) {
        if (len < header.len + 4)
            return KW_DROP_TRUNCATED;
        header.ext_profile = get_u16(packet + header.len);
        header.len += 4 + 4U * get_u16(packet + header.len + 2);
    }
    if (len < header.len)
        return KW_DROP_TRUNCATED;
    *ret = header;
    return KW_ACCEPT;
}

#endif
