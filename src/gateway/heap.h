/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_HEAP_H
#define KW_GATEWAY_HEAP_H

/*
 * Deadlines of the calls: a binary heap of call numbers, smallest deadline on top. Each number has
 * one place, so a deadline is moved in place.
 */

#include "base/assert.h"

struct kw_heap_entry {
    kw_ns at;
    uint32_t call;
};

struct kw_heap {
    struct kw_heap_entry *entries;
    uint32_t *places; /* by call; UINT32_MAX: not in the heap */
    size_t count;
    size_t size;
};

size_t kw_heap_size(size_t count);
void kw_heap_init(struct kw_heap *heap, void *mem, size_t count);
/* KW_NEVER takes it out. */
void kw_heap_set(struct kw_heap *heap, uint32_t call, kw_ns at);

static inline kw_ns kw_heap_top(const struct kw_heap *heap)
{
    return heap->count != 0 ? heap->entries[0].at : KW_NEVER;
}

/* KW_NEVER when it is not in the heap. */
static inline kw_ns kw_heap_at(const struct kw_heap *heap, uint32_t call)
{
    uint32_t place = heap->places[call];

    return place != UINT32_MAX ? heap->entries[place].at : KW_NEVER;
}

#endif
