/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_WINDOW_H
#define KW_SRTP_WINDOW_H

/*
 * A replay window is a ring of bits: bit i % size belongs to index i, for the `size` indices that
 * end with the highest one. Size is a power of two and a multiple of 64.
 */

#include <keywheel/base.h>

#include <string.h>

/* Has this index a place in the window, and is the place free? */
static inline enum kw_verdict window_check(const uint64_t *seen, size_t size, uint64_t highest,
                                           uint64_t index)
{
    if (index > highest)
        return KW_ACCEPT;
    if (highest - index >= size)
        return KW_DROP_OLD;
    return seen[index % size / 64] >> (index % 64) & 1 ? KW_DROP_REPLAY : KW_ACCEPT;
}

/* Forgets the indices from .. to (both included); at most `size` of them. */
static inline void window_clear(uint64_t *seen, size_t size, uint64_t from, uint64_t to)
{
    while (from <= to) {
        uint64_t last = from | 63;
        uint64_t mask = UINT64_MAX << (from % 64);

        if (last > to)
            mask &= UINT64_MAX >> (63 - to % 64);
        seen[from % size / 64] &= ~mask;
        from = last + 1;
    }
}

/* Notes an authenticated index that window_check() accepted; returns the new highest one. */
static inline uint64_t window_note(uint64_t *seen, size_t size, uint64_t highest, uint64_t index)
{
    if (index > highest) {
        if (index - highest >= size)
            memset(seen, 0, size / 8);
        else if (index - highest > 1)
            window_clear(seen, size, highest + 1, index - 1);
        highest = index;
    }
    seen[index % size / 64] |= UINT64_C(1) << (index % 64);
    return highest;
}

/* The first index of all. */
static inline uint64_t window_start(uint64_t *seen, size_t size, uint64_t index)
{
    memset(seen, 0, size / 8);
    seen[index % size / 64] |= UINT64_C(1) << (index % 64);
    return index;
}

#endif
