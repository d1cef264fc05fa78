/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_PREFETCH_H
#define KW_SRTP_PREFETCH_H

/*
 * Asks for all lines of a context that one packet will touch. They lie at fixed places, but for the
 * half of the replay window, which the sequence number names, and the stream, which is taken to be
 * the first one. Nothing here is read for its value, so a wrong guess costs only time.
 *
 * Always inlined: gcc takes a function that does nothing but prefetch for one without effect and
 * drops the call.
 */

#include "srtp/context.h"

#define KW_PREFETCH_INLINE static inline __attribute__((always_inline))

enum {
    KW_CACHE_LINE = 64,
    KW_PREFETCH_PACKET = 256, /* a voice packet; what follows the CPU fetches by itself */
};

KW_PREFETCH_INLINE void prefetch_lines(const void *from, size_t len)
{
    const uint8_t *at = from;

    for (size_t i = 0; i < len; i += KW_CACHE_LINE)
        __builtin_prefetch(at + i);
}

KW_PREFETCH_INLINE void prefetch_packet(const struct kw_srtp *srtp, const uint8_t *packet,
                                        size_t len)
{
    unsigned seq = len >= 4 ? get_u16(packet + 2) : 0;

    __builtin_prefetch(srtp, 1);
    __builtin_prefetch(&srtp->streams[0], 1);
    __builtin_prefetch(&srtp->streams[0].seen[seq % KW_SRTP_WINDOW / 64], 1);
    prefetch_lines(&srtp->key, sizeof srtp->key);
    prefetch_lines(packet, len < KW_PREFETCH_PACKET ? len : KW_PREFETCH_PACKET);
}

#endif
