/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running hashes and HMAC. A pool of EVP_MD_CTX for each hash function; one kept EVP_MAC_CTX for
 * each HMAC, which is only given a new key; one scratch context for each hash to look at a running
 * one.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

struct kw_digest {
    struct slot slot; /* first */
    enum kw_hash hash;
    EVP_MD_CTX *ctx;
};

static const char *const names[HMAC_COUNT] = {"SHA2-256", "SHA2-384", "SHA2-512", "SHA1"};

static enum kw_status digest_new(struct kw_crypto *crypto, enum kw_hash hash,
                                 struct kw_digest **ret)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct kw_digest *digest = slots_take(&ssl->digests[hash]);

    if (digest == NULL)
        return KW_ERR_MEMORY;
    digest->hash = hash;
    if (EVP_DigestInit_ex2(digest->ctx, ssl->md[hash], NULL) != 1) {
        slots_give(&ssl->digests[hash], digest);
        ERR_clear_error();
        return KW_ERR_CRYPTO;
    }
    *ret = digest;
    return KW_OK;
}

static enum kw_status digest_update(struct kw_digest *digest, struct kw_bytes data)
{
    if (EVP_DigestUpdate(digest->ctx, data.data, data.len) == 1)
        return KW_OK;
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status digest_peek(const struct kw_digest *digest, uint8_t *dst)
{
    EVP_MD_CTX *peek = digest->slot.owner->peek[digest->hash];

    if (EVP_MD_CTX_copy_ex(peek, digest->ctx) == 1 && EVP_DigestFinal_ex(peek, dst, NULL) == 1)
        return KW_OK;
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static void digest_free(struct kw_digest *digest)
{
    struct kw_openssl *ssl;

    if (digest == NULL)
        return;
    /* A transcript is public, so what stays in the context until its next use does no harm. */
    ssl = digest->slot.owner;
    slots_give(&ssl->digests[digest->hash], digest);
}

enum kw_status digest_once(struct kw_openssl *ssl, enum kw_hash hash, struct kw_bytes data,
                           uint8_t *dst)
{
    EVP_MD_CTX *ctx = ssl->peek[hash];

    if (EVP_DigestInit_ex2(ctx, ssl->md[hash], NULL) == 1 &&
        EVP_DigestUpdate(ctx, data.data, data.len) == 1 && EVP_DigestFinal_ex(ctx, dst, NULL) == 1)
        return KW_OK;
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status mac_once(EVP_MAC_CTX *ctx, struct kw_bytes key, const struct kw_bytes *parts,
                               size_t part_count, uint8_t *dst, size_t dst_len)
{
    static const uint8_t empty[1];
    size_t len = 0;
    bool ok;

    /* A NULL key would mean "the one of last time". HMAC pads with zeros, so this is no key. */
    ok = EVP_MAC_init(ctx, key.len == 0 ? empty : key.data, key.len == 0 ? 1 : key.len, NULL) == 1;
    for (size_t i = 0; ok && i < part_count; i++) {
        if (parts[i].len != 0)
            ok = EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1;
    }
    if (ok && EVP_MAC_final(ctx, dst, &len, dst_len) == 1 && len == dst_len)
        return KW_OK;
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status hmac(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                           const struct kw_bytes *parts, size_t part_count, uint8_t *dst)
{
    return mac_once(openssl_of(crypto)->hmac[hash], key, parts, part_count, dst, kw_hash_len(hash));
}

static enum kw_status hmac_sha1(struct kw_crypto *crypto, struct kw_bytes key,
                                const struct kw_bytes *parts, size_t part_count,
                                uint8_t dst[KW_SHA1_LEN])
{
    return mac_once(openssl_of(crypto)->hmac[HMAC_SHA1], key, parts, part_count, dst, KW_SHA1_LEN);
}

static enum kw_status make_macs(struct kw_openssl *ssl)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    enum kw_status status = KW_OK;

    for (size_t i = 0; i < HMAC_COUNT && status == KW_OK; i++) {
        static const uint8_t key[KW_DIGEST_MAX];
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)names[i], 0),
            OSSL_PARAM_construct_end(),
        };

        ssl->hmac[i] = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
        if (ssl->hmac[i] == NULL || EVP_MAC_init(ssl->hmac[i], key, sizeof key, params) != 1)
            status = KW_ERR_CRYPTO;
    }
    EVP_MAC_free(mac);
    return status;
}

enum kw_status digest_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config)
{
    /* A handshake keeps one running hash; a second one covers the hello before its suite is known
     * and a third the fingerprint. SHA-512 is only seen in fingerprints. */
    const size_t counts[KW_HASH_COUNT] = {3 * config->handshakes + 4, 2 * config->handshakes + 4,
                                          4};
    enum kw_status status = KW_OK;

    ssl->ops.digest_new = digest_new;
    ssl->ops.digest_update = digest_update;
    ssl->ops.digest_peek = digest_peek;
    ssl->ops.digest_free = digest_free;
    ssl->ops.hmac = hmac;
    ssl->ops.hmac_sha1 = hmac_sha1;

    for (size_t i = 0; i < KW_HASH_COUNT && status == KW_OK; i++) {
        ssl->md[i] = EVP_MD_fetch(NULL, names[i], NULL);
        ssl->peek[i] = EVP_MD_CTX_new();
        if (ssl->md[i] == NULL || ssl->peek[i] == NULL)
            return KW_ERR_CRYPTO;
        status = slots_init(&ssl->digests[i], ssl, sizeof(struct kw_digest), counts[i]);
        for (size_t j = 0; status == KW_OK && j < counts[i]; j++) {
            struct kw_digest *digest = slots_at(&ssl->digests[i], j);

            digest->ctx = EVP_MD_CTX_new();
            if (digest->ctx == NULL)
                status = KW_ERR_MEMORY;
        }
    }
    return status == KW_OK ? make_macs(ssl) : status;
}

void digest_part_deinit(struct kw_openssl *ssl)
{
    for (size_t i = 0; i < HMAC_COUNT; i++)
        EVP_MAC_CTX_free(ssl->hmac[i]);
    for (size_t i = 0; i < KW_HASH_COUNT; i++) {
        for (size_t j = 0; ssl->digests[i].memory != NULL && j < ssl->digests[i].count; j++)
            EVP_MD_CTX_free(((struct kw_digest *)slots_at(&ssl->digests[i], j))->ctx);
        slots_deinit(&ssl->digests[i]);
        EVP_MD_CTX_free(ssl->peek[i]);
        EVP_MD_free(ssl->md[i]);
    }
}
