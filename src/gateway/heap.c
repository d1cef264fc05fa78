/* SPDX-License-Identifier: Apache-2.0 */
/* entries[0] is the earliest; the children of i are 2i + 1 and 2i + 2. */
#include "gateway/heap.h"

#include <string.h>

size_t kw_heap_size(size_t count)
{
    return count * (sizeof(struct kw_heap_entry) + sizeof(uint32_t));
}

void kw_heap_init(struct kw_heap *heap, void *mem, size_t count)
{
    *heap = (struct kw_heap){
        .entries = mem,
        .places = (uint32_t *)((struct kw_heap_entry *)mem + count),
        .size = count,
    };
    memset(heap->places, 0xff, count * sizeof heap->places[0]);
}

static void place(struct kw_heap *heap, size_t at, struct kw_heap_entry entry)
{
    heap->entries[at] = entry;
    heap->places[entry.call] = (uint32_t)at;
}

static void sift_up(struct kw_heap *heap, size_t at, struct kw_heap_entry entry)
{
    while (at > 0 && entry.at < heap->entries[(at - 1) / 2].at) {
        place(heap, at, heap->entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(heap, at, entry);
}

static void sift_down(struct kw_heap *heap, size_t at, struct kw_heap_entry entry)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < heap->count && heap->entries[child + 1].at < heap->entries[child].at)
            child++;
        if (child >= heap->count || heap->entries[child].at >= entry.at)
            break;
        place(heap, at, heap->entries[child]);
        at = child;
    }
    place(heap, at, entry);
}

void kw_heap_set(struct kw_heap *heap, uint32_t call, kw_ns at)
{
    struct kw_heap_entry entry = {at, call};
    size_t old = heap->places[call];

    KW_ASSERT(call < heap->size);
    if (old == UINT32_MAX) {
        if (at != KW_NEVER)
            sift_up(heap, heap->count++, entry);
        return;
    }
    if (at == KW_NEVER) {
        heap->places[call] = UINT32_MAX;
        entry = heap->entries[--heap->count];
        if (old == heap->count)
            return;
    }
    if (old > 0 && entry.at < heap->entries[(old - 1) / 2].at)
        sift_up(heap, old, entry);
    else
        sift_down(heap, old, entry);
}
