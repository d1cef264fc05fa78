/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1.3: | period 32 | suite 16 | group 16 | hash of the first hello | HMAC-SHA-256 |
 * 1.2: | period 32 | the first 28 bytes of HMAC-SHA-256, which covers the hash of the parameters,
 * too |
 */
#include "dtls/cookie.h"

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dtls/limits.h"

#include <string.h>

enum { MAC_LEN = 32, FIXED_LEN = 4 + 2 + 2, PERIOD_LEN = 4 };
_Static_assert(KW_COOKIE12_HASH_LEN != FIXED_LEN - PERIOD_LEN + 32 &&
                   KW_COOKIE12_HASH_LEN != FIXED_LEN - PERIOD_LEN + 48,
               "what the HMAC of 1.2 covers is never as long as what that of 1.3 covers");

/* Time goes in steps, so that a retry that is asked for twice is the same retry twice. */
static uint32_t period_of(kw_ns now)
{
    return (uint32_t)(now / KW_DTLS_COOKIE_PERIOD);
}

static enum kw_status make_mac(const struct kw_dtls_shared *shared, const uint8_t key[32],
                               struct kw_bytes binding, struct kw_bytes content,
                               uint8_t mac[MAC_LEN])
{
    uint8_t binding_len = (uint8_t)binding.len;
    const struct kw_bytes parts[] = {{&binding_len, 1}, binding, content};

    return shared->crypto->ops->hmac(shared->crypto, KW_SHA256, (struct kw_bytes){key, 32}, parts,
                                     KW_ARRAY_LEN(parts), mac);
}

/* A key that nobody drew yet would be known to everybody. */
static bool is_drawn(const uint8_t key[32])
{
    static const uint8_t zeros[32];

    return !kw_ct_equal(key, zeros, sizeof zeros);
}

/* Whether the sealed bytes are one of our two keys' HMAC of that content, or begin it. */
static enum kw_status check_mac(const struct kw_dtls_shared *shared, struct kw_bytes binding,
                                struct kw_bytes content, struct kw_bytes sealed, bool *ret)
{
    const uint8_t *keys[] = {shared->cookie_key, shared->cookie_key_previous};
    bool is_ours = false;

    for (size_t i = 0; i < KW_ARRAY_LEN(keys); i++) {
        uint8_t mac[MAC_LEN];
        enum kw_status status = make_mac(shared, keys[i], binding, content, mac);

        if (status != KW_OK)
            return status;
        is_ours |= is_drawn(keys[i]) && kw_ct_equal(mac, sealed.data, sealed.len);
    }
    *ret = is_ours;
    return KW_OK;
}

/* Unsigned, so that a cookie from the future is as old as can be. */
static enum kw_verdict judge_period(uint32_t period, kw_ns now)
{
    return period_of(now) - period > KW_DTLS_COOKIE_PERIODS ? KW_DROP_EXPIRED : KW_ACCEPT;
}

enum kw_status kw_cookie_create(const struct kw_dtls_shared *shared, struct kw_bytes binding,
                                const struct kw_cookie *cookie, kw_ns now, uint8_t *dst,
                                size_t *len_ret)
{
    struct kw_writer out = kw_writer_of(dst, KW_COOKIE_MAX);
    uint8_t mac[MAC_LEN];
    enum kw_status status;

    kw_write_u32(&out, period_of(now));
    kw_write_u16(&out, cookie->suite);
    kw_write_u16(&out, cookie->group);
    kw_write_bytes(&out, (struct kw_bytes){cookie->hello_hash, cookie->hash_len});
    status = make_mac(shared, shared->cookie_key, binding, kw_writer_view(&out), mac);
    if (status != KW_OK)
        return status;
    kw_write_bytes(&out, (struct kw_bytes){mac, sizeof mac});
    KW_ASSERT(!out.failed);
    *len_ret = out.len;
    return KW_OK;
}

enum kw_status kw_cookie_consume(const struct kw_dtls_shared *shared, struct kw_bytes binding,
                                 struct kw_bytes cookie, kw_ns now, struct kw_cookie *ret,
                                 enum kw_verdict *verdict)
{
    struct kw_cookie made = {.suite = 0};
    struct kw_bytes content = {cookie.data, cookie.len - MAC_LEN};
    struct kw_reader in;
    enum kw_status status;
    uint32_t period;
    bool is_ours;

    *verdict = KW_DROP_FORGED;
    if (cookie.len < FIXED_LEN + MAC_LEN || cookie.len > KW_COOKIE_MAX)
        return KW_OK;
    status = check_mac(shared, binding, content,
                       (struct kw_bytes){content.data + content.len, MAC_LEN}, &is_ours);
    if (status != KW_OK || !is_ours)
        return status;

    in = kw_reader_of_bytes(content);
    period = kw_read_u32(&in);
    made.suite = kw_read_u16(&in);
    made.group = kw_read_u16(&in);
    made.hash_len = (uint8_t)kw_reader_left(&in);
    memcpy(made.hello_hash, in.at, made.hash_len);
    *verdict = judge_period(period, now);
    *ret = made;
    return KW_OK;
}

/* What the HMAC of 1.2 covers. */
static struct kw_bytes content12(uint32_t period, const uint8_t parameters[KW_COOKIE12_HASH_LEN],
                                 uint8_t dst[PERIOD_LEN + KW_COOKIE12_HASH_LEN])
{
    struct kw_writer out = kw_writer_of(dst, PERIOD_LEN + KW_COOKIE12_HASH_LEN);

    kw_write_u32(&out, period);
    kw_write_bytes(&out, (struct kw_bytes){parameters, KW_COOKIE12_HASH_LEN});
    return kw_writer_view(&out);
}

enum kw_status kw_cookie12_create(const struct kw_dtls_shared *shared, struct kw_bytes binding,
                                  const uint8_t parameters[KW_COOKIE12_HASH_LEN], kw_ns now,
                                  uint8_t dst[KW_COOKIE12_LEN])
{
    uint8_t room[PERIOD_LEN + KW_COOKIE12_HASH_LEN], mac[MAC_LEN];
    struct kw_bytes content = content12(period_of(now), parameters, room);
    enum kw_status status = make_mac(shared, shared->cookie_key, binding, content, mac);

    if (status != KW_OK)
        return status;
    memcpy(dst, room, PERIOD_LEN);
    memcpy(dst + PERIOD_LEN, mac, KW_COOKIE12_LEN - PERIOD_LEN);
    return KW_OK;
}

enum kw_status kw_cookie12_check(const struct kw_dtls_shared *shared, struct kw_bytes binding,
                                 const uint8_t parameters[KW_COOKIE12_HASH_LEN],
                                 struct kw_bytes cookie, kw_ns now, enum kw_verdict *verdict)
{
    uint8_t room[PERIOD_LEN + KW_COOKIE12_HASH_LEN];
    struct kw_reader in = kw_reader_of_bytes(cookie);
    uint32_t period = kw_read_u32(&in);
    enum kw_status status;
    bool is_ours;

    *verdict = KW_DROP_FORGED;
    if (cookie.len != KW_COOKIE12_LEN)
        return KW_OK;
    status = check_mac(shared, binding, content12(period, parameters, room),
                       (struct kw_bytes){in.at, kw_reader_left(&in)}, &is_ours);
    if (status == KW_OK && is_ours)
        *verdict = judge_period(period, now);
    return status;
}
