/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_WINDOW_H
#define KW_SRTP_WINDOW_H

/*
 * A replay window: the indices are cut into blocks of 64. `recent` has a bit for each index of the
 * block that holds the highest one; `older` is a ring of words for the blocks before it, block b in
 * word b % words. So a packet in its order touches one word beside the highest index, and the ring
 * once in 64 packets. The ring's word of the newest block still holds the block that is `words`
 * blocks older, which is what makes the window exactly 64 * words indices wide.
 */

#include <keywheel/base.h>

#include <string.h>

/* Has this index a place in the window, and is the place free? */
static inline enum kw_verdict window_check(uint64_t recent, const uint64_t *older, size_t words,
                                           uint64_t highest, uint64_t index)
{
    uint64_t block = index / 64;
    uint64_t seen;

    if (index > highest)
        return KW_ACCEPT;
    if (highest - index >= 64 * words)
        return KW_DROP_OLD;
    seen = block == highest / 64 ? recent : older[block % words];
    return seen >> (index % 64) & 1 ? KW_DROP_REPLAY : KW_ACCEPT;
}

/* The newest block becomes `block`. */
static inline void window_advance(uint64_t *recent, uint64_t *older, size_t words, uint64_t newest,
                                  uint64_t block)
{
    older[newest % words] = *recent;
    if (block - newest > words)
        memset(older, 0, words * sizeof older[0]);
    for (uint64_t skipped = newest + 1; skipped < block && block - newest <= words; skipped++)
        older[skipped % words] = 0;
    *recent = 0;
}

/* Notes an authenticated index that window_check() accepted. */
static inline void window_note(uint64_t *recent, uint64_t *older, size_t words, uint64_t *highest,
                               uint64_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);

    if (index > *highest) {
        if (index / 64 != *highest / 64)
            window_advance(recent, older, words, *highest / 64, index / 64);
        *highest = index;
    }
    if (index / 64 == *highest / 64)
        *recent |= bit;
    else
        older[index / 64 % words] |= bit;
}

/* The first index of all. */
static inline void window_start(uint64_t *recent, uint64_t *older, size_t words, uint64_t *highest,
                                uint64_t index)
{
    memset(older, 0, words * sizeof older[0]);
    *recent = UINT64_C(1) << (index % 64);
    *highest = index;
}

#endif
