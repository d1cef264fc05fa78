/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_BUCKET_H
#define KW_GATEWAY_BUCKET_H

/*
 * How often something may happen: a bucket of unused time. Each use has a price in time; no more
 * than `max` is ever saved, which is the burst that an idle bucket allows.
 */

#include "base/assert.h"

struct kw_bucket {
    uint64_t credit; /* nanoseconds that were not used */
    kw_ns credited;
};

static inline struct kw_bucket kw_bucket_full(uint64_t max, kw_ns now)
{
    return (struct kw_bucket){.credit = max, .credited = now};
}

/* Counts the time until now; false: less than the price is saved. */
static inline bool kw_bucket_has(struct kw_bucket *bucket, uint64_t price, uint64_t max, kw_ns now)
{
    bucket->credit = KW_MIN(max, bucket->credit + (now - bucket->credited));
    bucket->credited = now;
    return bucket->credit >= price;
}

static inline void kw_bucket_pay(struct kw_bucket *bucket, uint64_t price)
{
    KW_ASSERT(bucket->credit >= price);
    bucket->credit -= price;
}

/* Seconds until the price is saved, rounded up, for Retry-After. */
static inline uint32_t kw_bucket_wait_s(const struct kw_bucket *bucket, uint64_t price)
{
    uint64_t missing = price > bucket->credit ? price - bucket->credit : 0;

    return (uint32_t)KW_MAX((uint64_t)1, (missing + KW_S(1) - 1) / KW_S(1));
}

#endif
