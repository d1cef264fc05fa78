/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_PREFETCH_H
#define KW_SRTP_PREFETCH_H

/*
 * Asks for the lines of a context that a packet in its order touches, and for the packet. How much
 * of its key a context uses says a line that is still to come. So a batch takes for granted that
 * the packets ahead use as much as the one at hand; a single call asks for what AES-128 needs.
 *
 * Always inlined: gcc takes a function that does nothing but prefetch for one without effect and
 * drops the call.
 */

#include "srtp/context.h"

#define KW_PREFETCH_INLINE static inline __attribute__((always_inline))

enum {
    KW_CACHE_LINE = 64,
    KW_PREFETCH_KEY = 256,    /* of AES-128 */
    KW_PREFETCH_PACKET = 256, /* a voice packet; what follows the CPU fetches by itself */
};

KW_PREFETCH_INLINE void prefetch_lines(const void *from, size_t len)
{
    const uint8_t *at = from;

    for (size_t i = 0; i < len; i += KW_CACHE_LINE)
        __builtin_prefetch(at + i);
}

/* key_len: as in struct kw_gcm. */
KW_PREFETCH_INLINE void prefetch_context(const struct kw_srtp *srtp, size_t key_len)
{
    __builtin_prefetch(&srtp->gcm, 1);
    prefetch_lines(srtp->key.bytes + sizeof srtp->key.bytes - key_len, key_len);
}

KW_PREFETCH_INLINE void prefetch_packet(const struct kw_srtp *srtp, size_t key_len,
                                        const uint8_t *packet, size_t len)
{
    prefetch_context(srtp, key_len);
    prefetch_lines(packet, len < KW_PREFETCH_PACKET ? len : KW_PREFETCH_PACKET);
}

#endif
