/* SPDX-License-Identifier: Apache-2.0 */
/*     | period 32 | suite 16 | group 16 | hash of the first hello | HMAC-SHA-256 |          */
#include "dtls/cookie.h"

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dtls/limits.h"

#include <string.h>

enum { MAC_LEN = 32, FIXED_LEN = 4 + 2 + 2 };

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
    uint8_t mac[MAC_LEN], previous[MAC_LEN];
    struct kw_cookie made = {.suite = 0};
    struct kw_bytes content = {cookie.data, cookie.len - MAC_LEN};
    struct kw_reader in;
    enum kw_status status;
    uint32_t period;

    *verdict = KW_DROP_FORGED;
    if (cookie.len < FIXED_LEN + MAC_LEN || cookie.len > KW_COOKIE_MAX)
        return KW_OK;
    status = make_mac(shared, shared->cookie_key, binding, content, mac);
    if (status == KW_OK)
        status = make_mac(shared, shared->cookie_key_previous, binding, content, previous);
    if (status != KW_OK)
        return status;
    if (!(is_drawn(shared->cookie_key) && kw_ct_equal(mac, content.data + content.len, MAC_LEN)) &&
        !(is_drawn(shared->cookie_key_previous) &&
          kw_ct_equal(previous, content.data + content.len, MAC_LEN)))
        return KW_OK;

    in = kw_reader_of_bytes(content);
    period = kw_read_u32(&in);
    made.suite = kw_read_u16(&in);
    made.group = kw_read_u16(&in);
    made.hash_len = (uint8_t)kw_reader_left(&in);
    memcpy(made.hello_hash, in.at, made.hash_len);
    /* Unsigned, so that a cookie from the future is as old as can be. */
    *verdict = period_of(now) - period > KW_DTLS_COOKIE_PERIODS ? KW_DROP_EXPIRED : KW_ACCEPT;
    *ret = made;
    return KW_OK;
}
