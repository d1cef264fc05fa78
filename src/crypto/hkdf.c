/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two loops over HMAC. HKDF-Expand chains T(i) = HMAC(prk, T(i-1) || info || i); P_hash of TLS 1.2
 * runs A(i) = HMAC(secret, A(i-1)) beside it and outputs HMAC(secret, A(i) || seed). Blocks are
 * made in a local, so a failure leaves dst wiped and nothing half derived.
 */
#include "crypto/hkdf.h"

#include "base/assert.h"
#include "base/writer.h"

#include <string.h>

static size_t text_len(const char *text)
{
    size_t len = 0;

    while (text[len] != '\0')
        len++;
    return len;
}

enum kw_status kw_hkdf_extract(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes salt,
                               struct kw_bytes ikm, struct kw_secret *ret)
{
    static const uint8_t zeros[KW_DIGEST_MAX];
    struct kw_secret prk = {.len = (uint8_t)kw_hash_len(hash)};
    enum kw_status status;

    if (salt.len == 0)
        salt = (struct kw_bytes){zeros, prk.len};
    status = crypto->ops->hmac(crypto, hash, salt, &ikm, 1, prk.bytes);
    if (status == KW_OK)
        *ret = prk;
    kw_secret_wipe(&prk);
    return status;
}

enum kw_status kw_hkdf_expand(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes prk,
                              struct kw_bytes info, uint8_t *dst, size_t dst_len)
{
    size_t digest_len = kw_hash_len(hash);
    uint8_t block[KW_DIGEST_MAX];
    uint8_t counter = 0;
    size_t done = 0;
    enum kw_status status = KW_OK;

    KW_ASSERT(dst_len <= 255 * digest_len);
    while (done < dst_len && status == KW_OK) {
        size_t piece = KW_MIN(digest_len, dst_len - done);
        struct kw_bytes parts[] = {
            {block, counter == 0 ? 0 : digest_len},
            info,
            {&counter, 1},
        };

        counter++;
        status = crypto->ops->hmac(crypto, hash, prk, parts, KW_ARRAY_LEN(parts), block);
        if (status == KW_OK)
            memcpy(dst + done, block, piece);
        done += piece;
    }
    if (status != KW_OK)
        kw_wipe(dst, dst_len);
    kw_wipe(block, sizeof block);
    return status;
}

/* RFC 8446, section 7.1: struct HkdfLabel. */
static struct kw_bytes write_label(uint8_t dst[KW_HKDF_INFO_MAX], const char prefix[6],
                                   const char *label, struct kw_bytes context, size_t len)
{
    struct kw_writer out = kw_writer_of(dst, KW_HKDF_INFO_MAX);
    size_t label_len = text_len(label);

    kw_write_u16(&out, (uint16_t)len);
    kw_write_u8(&out, (uint8_t)(6 + label_len));
    kw_write_bytes(&out, (struct kw_bytes){(const uint8_t *)prefix, 6});
    kw_write_bytes(&out, (struct kw_bytes){(const uint8_t *)label, label_len});
    kw_write_vector(&out, context, 1);
    KW_ASSERT(!out.failed);
    return kw_writer_view(&out);
}

enum kw_status kw_hkdf_expand_label_prefixed(struct kw_crypto *crypto, enum kw_hash hash,
                                             const struct kw_secret *secret, const char prefix[6],
                                             const char *label, struct kw_bytes context,
                                             uint8_t *dst, size_t dst_len)
{
    uint8_t info[KW_HKDF_INFO_MAX];
    struct kw_bytes view = write_label(info, prefix, label, context, dst_len);

    return kw_hkdf_expand(crypto, hash, (struct kw_bytes){secret->bytes, secret->len}, view, dst,
                          dst_len);
}

enum kw_status kw_hkdf_expand_label(struct kw_crypto *crypto, enum kw_hash hash,
                                    const struct kw_secret *secret, const char *label,
                                    struct kw_bytes context, uint8_t *dst, size_t dst_len)
{
    return kw_hkdf_expand_label_prefixed(crypto, hash, secret, "dtls13", label, context, dst,
                                         dst_len);
}

enum kw_status kw_hkdf_derive_secret(struct kw_crypto *crypto, enum kw_hash hash,
                                     const struct kw_secret *secret, const char *label,
                                     struct kw_bytes transcript, struct kw_secret *ret)
{
    struct kw_secret derived = {.len = (uint8_t)kw_hash_len(hash)};
    enum kw_status status =
        kw_hkdf_expand_label(crypto, hash, secret, label, transcript, derived.bytes, derived.len);

    if (status == KW_OK)
        *ret = derived;
    kw_secret_wipe(&derived);
    return status;
}

enum kw_status kw_tls12_prf(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes secret,
                            const char *label, struct kw_bytes seed_a, struct kw_bytes seed_b,
                            uint8_t *dst, size_t dst_len)
{
    size_t digest_len = kw_hash_len(hash);
    struct kw_bytes name = {(const uint8_t *)label, text_len(label)};
    struct kw_bytes seed[] = {name, seed_a, seed_b};
    uint8_t a[KW_DIGEST_MAX], block[KW_DIGEST_MAX];
    size_t done = 0;
    enum kw_status status = crypto->ops->hmac(crypto, hash, secret, seed, KW_ARRAY_LEN(seed), a);

    while (done < dst_len && status == KW_OK) {
        size_t piece = KW_MIN(digest_len, dst_len - done);
        struct kw_bytes current = {a, digest_len};
        struct kw_bytes parts[] = {current, name, seed_a, seed_b};

        status = crypto->ops->hmac(crypto, hash, secret, parts, KW_ARRAY_LEN(parts), block);
        if (status == KW_OK)
            memcpy(dst + done, block, piece);
        done += piece;
        if (status == KW_OK && done < dst_len)
            status = crypto->ops->hmac(crypto, hash, secret, &current, 1, a);
    }
    if (status != KW_OK)
        kw_wipe(dst, dst_len);
    kw_wipe(a, sizeof a);
    kw_wipe(block, sizeof block);
    return status;
}
