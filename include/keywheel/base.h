/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_BASE_H
#define KEYWHEEL_BASE_H

/*
 * What every part of Keywheel shares: time, status, verdicts, views, addresses, randomness.
 *
 * Thread rule of the whole library: an object belongs to one thread at a time. Nothing here
 * takes a lock; objects made of tables (algorithms, limits, policies) are constant and may be
 * read from anywhere.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KW_API __attribute__((visibility("default")))
#define KW_MUST_USE __attribute__((warn_unused_result))
#else
#define KW_API
#define KW_MUST_USE
#endif

/* Monotonic time in nanoseconds. Its zero has no meaning; it never runs backwards. */
typedef uint64_t kw_ns;

#define KW_NEVER UINT64_MAX
#define KW_US(n) ((kw_ns)(n)*1000U)
#define KW_MS(n) ((kw_ns)(n)*1000000U)
#define KW_S(n) ((kw_ns)(n)*1000000000U)

/* Wall clock: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. */
typedef int64_t kw_utc_ms;

/*
 * Our surroundings failed us. Passed up unchanged; the object that returned one is over and
 * can only be deinitialised, unless its header says otherwise.
 */
enum kw_status {
    KW_OK = 0,
    KW_ERR_MEMORY = -1, /* a pool or an arena is exhausted */
    KW_ERR_RANDOM = -2, /* the random source failed */
    KW_ERR_CRYPTO = -3, /* the crypto provider failed for a reason that is not the peer's */
    KW_ERR_LIMIT = -4,  /* a configured bound was reached */
    KW_ERR_STATE = -5,  /* called at a time when the header forbids it */
    KW_ERR_INPUT = -6,  /* the caller's own input is unusable (configuration, not the peer) */
    KW_ERR_SYSTEM = -7, /* the kernel refused; errno says why (rim only) */
    KW_ERR_CLOSED = -8, /* this object has ended */
};

/*
 * What became of something that the network brought. Everything but KW_ACCEPT means: dropped,
 * counted, no state moved.
 */
enum kw_verdict {
    KW_ACCEPT = 0,
    KW_DROP_FOREIGN,    /* not of this protocol, or not for this object */
    KW_DROP_TRUNCATED,  /* ends before it is complete */
    KW_DROP_MALFORMED,  /* contradicts itself or its RFC */
    KW_DROP_REPLAY,     /* seen before */
    KW_DROP_OLD,        /* older than the window, so it cannot be told from a replay */
    KW_DROP_FORGED,     /* authentication failed */
    KW_DROP_KEYLESS,    /* no key for it (yet, or any more) */
    KW_DROP_LIMIT,      /* a bound says no: table full, rate, amplification */
    KW_DROP_EXPIRED,    /* its key has reached a usage limit */
    KW_DROP_UNEXPECTED, /* well formed, but not now */
    KW_DROP_INTERNAL,   /* our own surroundings failed (crypto provider); fail closed */
    KW_VERDICT_COUNT,
};

/* A stable lower-case name ("replay", "forged"); never NULL. */
KW_API const char *kw_verdict_name(enum kw_verdict verdict);
/* A sentence for an operator ("the random source failed"); never NULL. */
KW_API const char *kw_status_text(enum kw_status status);

/* A view. It owns nothing and lives as long as what it looks into. */
struct kw_bytes {
    const uint8_t *data;
    size_t len;
};

/* An IP address and UDP port. IPv4 uses the first four bytes of ip, the rest are zero. */
struct kw_address {
    uint8_t family; /* 4, 6, or 0: none */
    uint16_t port;  /* host order */
    uint8_t ip[16]; /* network order */
};

KW_API bool kw_address_equal(const struct kw_address *a, const struct kw_address *b);

/* The two ends of a UDP flow, as the receiver of a datagram sees them. */
struct kw_path {
    struct kw_address local;
    struct kw_address remote;
};

KW_API bool kw_path_equal(const struct kw_path *a, const struct kw_path *b);

/*
 * Randomness, handed in. fill() writes len bytes fit for keys, or fails and then has written
 * nothing that may be used. Whoever asks must survive a failure.
 */
struct kw_random {
    enum kw_status (*fill)(void *ctx, uint8_t *dst, size_t len);
    void *ctx;
};

KW_API KW_MUST_USE enum kw_status kw_random_fill(const struct kw_random *random, uint8_t *dst,
                                                 size_t len);

/* Overwrites memory in a way that the compiler cannot remove. */
KW_API void kw_wipe(void *mem, size_t len);
/*
 * Overwrites the 32 KiB of stack below its caller, where functions that have returned may have left
 * secrets: libraries copy keys into locals and spill registers. Call it after work on keys, from as
 * high up as possible.
 */
KW_API void kw_wipe_stack(void);
/* Compares in a time that depends on len only. */
KW_API KW_MUST_USE bool kw_ct_equal(const void *a, const void *b, size_t len);

/*
 * A broken promise of our own code ends the process with a name. The hook may be replaced once,
 * before anything else runs; it must not return.
 */
typedef void (*kw_assert_hook)(const char *expression, const char *file, int line);
KW_API void kw_set_assert_hook(kw_assert_hook hook);

#ifdef __cplusplus
}
#endif

#endif
