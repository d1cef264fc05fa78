/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few functions behind <keywheel/base.h>. The library proper calls nothing of the C library
 * but memcpy, memmove, memset and memcmp, so an assertion without a hook traps.
 */
#include "base/assert.h"

#include <string.h>

static kw_assert_hook assert_hook;

void kw_set_assert_hook(kw_assert_hook hook)
{
    assert_hook = hook;
}

void kw_assert_failed(const char *expression, const char *file, int line)
{
    if (assert_hook != NULL)
        assert_hook(expression, file, line);
    __builtin_trap();
}

void kw_wipe(void *mem, size_t len)
{
    if (len == 0)
        return;
    memset(mem, 0, len);
    __asm__ __volatile__("" : : "r"(mem) : "memory");
}

/* Deepest in a handshake: 17 KiB in our ML-KEM, which wipes its own; 4 KiB in libcrypto 3.0. */
enum { DEAD_STACK = 32 * 1024 };

__attribute__((noinline)) void kw_wipe_stack(void)
{
    uint8_t dead[DEAD_STACK];

    kw_wipe(dead, sizeof dead);
}

bool kw_ct_equal(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff = (uint8_t)(diff | (x[i] ^ y[i]));
    __asm__ __volatile__("" : "+r"(diff));
    return diff == 0;
}

enum kw_status kw_random_fill(const struct kw_random *random, uint8_t *dst, size_t len)
{
    enum kw_status status = random->fill(random->ctx, dst, len);

    if (status != KW_OK)
        kw_wipe(dst, len);
    return status;
}

bool kw_address_equal(const struct kw_address *a, const struct kw_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool kw_path_equal(const struct kw_path *a, const struct kw_path *b)
{
    return kw_address_equal(&a->remote, &b->remote) && kw_address_equal(&a->local, &b->local);
}

const char *kw_verdict_name(enum kw_verdict verdict)
{
    switch (verdict) {
    case KW_ACCEPT:
        return "accept";
    case KW_DROP_FOREIGN:
        return "foreign";
    case KW_DROP_TRUNCATED:
        return "truncated";
    case KW_DROP_MALFORMED:
        return "malformed";
    case KW_DROP_REPLAY:
        return "replay";
    case KW_DROP_OLD:
        return "old";
    case KW_DROP_FORGED:
        return "forged";
    case KW_DROP_KEYLESS:
        return "keyless";
    case KW_DROP_LIMIT:
        return "limit";
    case KW_DROP_EXPIRED:
        return "expired";
    case KW_DROP_UNEXPECTED:
        return "unexpected";
    case KW_DROP_INTERNAL:
        return "internal";
    case KW_VERDICT_COUNT:
        break;
    }
    return "unknown";
}

const char *kw_status_text(enum kw_status status)
{
    switch (status) {
    case KW_OK:
        return "ok";
    case KW_ERR_MEMORY:
        return "a pool or an arena is exhausted";
    case KW_ERR_RANDOM:
        return "the random source failed";
    case KW_ERR_CRYPTO:
        return "the crypto provider failed";
    case KW_ERR_LIMIT:
        return "a configured limit was reached";
    case KW_ERR_STATE:
        return "not possible in this state";
    case KW_ERR_INPUT:
        return "unusable input";
    case KW_ERR_SYSTEM:
        return "the operating system refused";
    case KW_ERR_CLOSED:
        return "already closed";
    }
    return "unknown status";
}
