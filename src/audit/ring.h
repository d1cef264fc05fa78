/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_AUDIT_RING_H
#define KW_AUDIT_RING_H

/*
 * Facts on their way from the thread that observes them to the thread that stores them. Bounded:
 * slots are reserved when a call is admitted, so an admitted call can always tell its end, and a
 * ring without room refuses the call instead of losing evidence later. The reservation belongs to
 * the producer alone.
 */

#include "base/spsc.h"

#include <keywheel/audit.h>

struct kw_fact_ring {
    struct kw_spsc ring;
    uint64_t reserved; /* producer only */
    uint64_t refused;  /* producer only: reservations that found no room */
};

/* Bytes for slot_count facts (a power of two), aligned to 64. */
size_t kw_fact_ring_size(uint64_t slot_count);
void kw_fact_ring_init(struct kw_fact_ring *ring, void *memory, uint64_t slot_count);

/* Producer. */
KW_MUST_USE bool kw_fact_ring_reserve(struct kw_fact_ring *ring, uint64_t slot_count);
void kw_fact_ring_release(struct kw_fact_ring *ring, uint64_t slot_count);
/* Uses one reserved slot; to put without a reservation is a broken promise. */
void kw_fact_ring_put(struct kw_fact_ring *ring, const struct kw_fact *fact);

/* Consumer: the n-th oldest fact, borrowed until popped; NULL when there is none. */
const struct kw_fact *kw_fact_ring_peek(struct kw_fact_ring *ring, uint64_t n);
void kw_fact_ring_pop(struct kw_fact_ring *ring, uint64_t count);

#endif
