/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_CRYPTEX_H
#define KW_SRTP_CRYPTEX_H

/*
 * RFC 9335: CSRCs and header extensions are encrypted with the payload; only the four bytes that
 * begin the extension block stay in clear, and they lie *between* the encrypted parts. So we move
 * those four bytes in front of the CSRCs while the transform works: then what is authenticated
 * only (16 bytes) and what is encrypted are each in one piece.
 */

#include "srtp/header.h"

#include <string.h>

enum {
    KW_EXT_ONE_BYTE = 0xbede, /* RFC 8285, section 4.2 */
    KW_EXT_TWO_BYTE = 0x1000, /* RFC 8285, section 4.3, with appbits 0 */
    KW_CRYPTEX_ONE_BYTE = 0xc0de,
    KW_CRYPTEX_TWO_BYTE = 0xc2de,
};

static inline void cryptex_gather(uint8_t *packet, size_t csrc_len)
{
    uint8_t word[4];

    memcpy(word, packet + KW_RTP_FIXED + csrc_len, 4);
    memmove(packet + KW_RTP_FIXED + 4, packet + KW_RTP_FIXED, csrc_len);
    memcpy(packet + KW_RTP_FIXED, word, 4);
}

static inline void cryptex_scatter(uint8_t *packet, size_t csrc_len)
{
    uint8_t word[4];

    memcpy(word, packet + KW_RTP_FIXED, 4);
    memmove(packet + KW_RTP_FIXED, packet + KW_RTP_FIXED + 4, csrc_len);
    memcpy(packet + KW_RTP_FIXED + csrc_len, word, 4);
}

#endif
