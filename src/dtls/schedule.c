/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8446, section 7.1, as a ladder:
 *
 *     0 -> early -> "derived" -> handshake (with the key exchange) -> "derived" -> master
 *                                  |- "c hs traffic", "s hs traffic"    |- "c ap traffic",
 *                                                                       |- "s ap traffic",
 *                                                                       |- "exp master"
 *
 * crypto/hkdf.h puts the prefix "dtls13" before every label.
 */
#include "dtls/schedule.h"

#include "base/assert.h"
#include "crypto/hkdf.h"

#include <string.h>

static struct kw_bytes view(const struct kw_secret *secret)
{
    return (struct kw_bytes){secret->bytes, secret->len};
}

enum kw_status kw_schedule_next(struct kw_crypto *crypto, enum kw_hash hash,
                                const struct kw_secret *secret, struct kw_bytes ikm,
                                struct kw_secret *ret)
{
    static const uint8_t zeros[KW_DIGEST_MAX];
    uint8_t empty[KW_DIGEST_MAX];
    struct kw_secret derived = {.len = 0};
    enum kw_status status;

    if (ikm.data == NULL)
        ikm = (struct kw_bytes){zeros, kw_hash_len(hash)};
    status = kw_crypto_hash(crypto, hash, (struct kw_bytes){NULL, 0}, empty);
    if (status == KW_OK)
        status = kw_hkdf_derive_secret(crypto, hash, secret, "derived",
                                       (struct kw_bytes){empty, kw_hash_len(hash)}, &derived);
    if (status == KW_OK)
        status = kw_hkdf_extract(crypto, hash, view(&derived), ikm, ret);
    kw_secret_wipe(&derived);
    return status;
}

enum kw_status kw_schedule_handshake(struct kw_crypto *crypto, enum kw_hash hash,
                                     const struct kw_secret *shared, struct kw_secret *ret)
{
    static const uint8_t zeros[KW_DIGEST_MAX];
    const struct kw_bytes none = {zeros, kw_hash_len(hash)};
    struct kw_secret early = {.len = 0};
    enum kw_status status = kw_hkdf_extract(crypto, hash, none, none, &early);

    if (status == KW_OK)
        status = kw_schedule_next(crypto, hash, &early, view(shared), ret);
    kw_secret_wipe(&early);
    return status;
}

enum kw_status kw_schedule_finished(struct kw_crypto *crypto, enum kw_hash hash,
                                    const struct kw_secret *traffic, const uint8_t *transcript_hash,
                                    uint8_t *dst)
{
    size_t hash_len = kw_hash_len(hash);
    const struct kw_bytes part = {transcript_hash, hash_len};
    uint8_t key[KW_DIGEST_MAX];
    enum kw_status status = kw_hkdf_expand_label(crypto, hash, traffic, "finished",
                                                 (struct kw_bytes){NULL, 0}, key, hash_len);

    if (status == KW_OK)
        status = crypto->ops->hmac(crypto, hash, (struct kw_bytes){key, hash_len}, &part, 1, dst);
    kw_wipe(key, sizeof key);
    return status;
}

enum kw_status kw_schedule_export(struct kw_crypto *crypto, enum kw_hash hash,
                                  const struct kw_secret *exporter, const char *label,
                                  struct kw_bytes context, uint8_t *dst, size_t dst_size)
{
    uint8_t digest[KW_DIGEST_MAX];
    struct kw_secret derived = {.len = 0};
    enum kw_status status = kw_crypto_hash(crypto, hash, (struct kw_bytes){NULL, 0}, digest);

    if (status == KW_OK)
        status = kw_hkdf_derive_secret(crypto, hash, exporter, label,
                                       (struct kw_bytes){digest, kw_hash_len(hash)}, &derived);
    if (status == KW_OK)
        status = kw_crypto_hash(crypto, hash, context, digest);
    if (status == KW_OK)
        status = kw_hkdf_expand_label(crypto, hash, &derived, "exporter",
                                      (struct kw_bytes){digest, derived.len}, dst, dst_size);
    kw_secret_wipe(&derived);
    return status;
}
