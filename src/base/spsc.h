/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_SPSC_H
#define KW_BASE_SPSC_H

#include <keywheel/base.h>

#include <stdatomic.h>

/*
 * A bounded ring of equal slots between exactly two threads: one produces, one consumes, nobody
 * waits. head counts what was published, tail what was consumed; both only grow, each is written
 * by one side, and the slots [tail, head) belong to the consumer. Slots are filled in place.
 */
struct kw_spsc {
    uint8_t *memory;
    size_t slot_size;
    uint64_t slot_count; /* a power of two */
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
};

/* memory: slot_size * slot_count bytes, aligned for what the slots hold, borrowed. */
static inline void kw_spsc_init(struct kw_spsc *ring, void *memory, size_t slot_size,
                                uint64_t slot_count)
{
    ring->memory = memory;
    ring->slot_size = slot_size;
    ring->slot_count = slot_count;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

static inline void *kw_spsc_slot(const struct kw_spsc *ring, uint64_t index)
{
    return ring->memory + (size_t)(index & (ring->slot_count - 1)) * ring->slot_size;
}

/* Slots in use, seen from either side: the other side may have moved on since. */
static inline uint64_t kw_spsc_used(const struct kw_spsc *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
}

/* Producer: the slot to fill next, or NULL when the ring is full. publish() hands it over. */
static inline void *kw_spsc_claim(struct kw_spsc *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == ring->slot_count)
        return NULL;
    return kw_spsc_slot(ring, head);
}

static inline void kw_spsc_publish(struct kw_spsc *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

/* Consumer: the n-th oldest slot (0: the oldest), or NULL when there are not that many. */
static inline void *kw_spsc_peek(struct kw_spsc *ring, uint64_t n)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (atomic_load_explicit(&ring->head, memory_order_acquire) - tail <= n)
        return NULL;
    return kw_spsc_slot(ring, tail + n);
}

/* Consumer: gives the oldest `count` slots back. */
static inline void kw_spsc_pop(struct kw_spsc *ring, uint64_t count)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store_explicit(&ring->tail, tail + count, memory_order_release);
}

#endif
