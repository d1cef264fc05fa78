/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/ring.h"

#include "base/assert.h"

#include <string.h>

size_t kw_fact_ring_size(uint64_t slot_count)
{
    return (size_t)slot_count * sizeof(struct kw_fact);
}

void kw_fact_ring_init(struct kw_fact_ring *ring, void *memory, uint64_t slot_count)
{
    KW_ASSERT(slot_count != 0 && (slot_count & (slot_count - 1)) == 0);
    kw_spsc_init(&ring->ring, memory, sizeof(struct kw_fact), slot_count);
    ring->reserved = 0;
    ring->refused = 0;
}

bool kw_fact_ring_reserve(struct kw_fact_ring *ring, uint64_t slot_count)
{
    uint64_t taken = kw_spsc_used(&ring->ring) + ring->reserved;

    if (ring->ring.slot_count - taken < slot_count) {
        ring->refused++;
        return false;
    }
    ring->reserved += slot_count;
    return true;
}

void kw_fact_ring_release(struct kw_fact_ring *ring, uint64_t slot_count)
{
    KW_ASSERT(slot_count <= ring->reserved);
    ring->reserved -= slot_count;
}

void kw_fact_ring_put(struct kw_fact_ring *ring, const struct kw_fact *fact)
{
    void *slot = kw_spsc_claim(&ring->ring);

    KW_ASSERT(ring->reserved != 0 && slot != NULL);
    memcpy(slot, fact, sizeof *fact);
    kw_spsc_publish(&ring->ring);
    ring->reserved--;
}

const struct kw_fact *kw_fact_ring_peek(struct kw_fact_ring *ring, uint64_t n)
{
    return kw_spsc_peek(&ring->ring, n);
}

void kw_fact_ring_pop(struct kw_fact_ring *ring, uint64_t count)
{
    kw_spsc_pop(&ring->ring, count);
}
