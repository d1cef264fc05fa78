/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_STORE_SHA256_H
#define KW_TESTS_STORE_SHA256_H

/* A provider that can only hash with SHA-256: all that the store asks of one. */

#include <keywheel/crypto.h>

#include <openssl/evp.h>
#include <stdlib.h>

struct kw_digest {
    EVP_MD_CTX *md;
};

static enum kw_status sha256_new(struct kw_crypto *crypto, enum kw_hash hash,
                                 struct kw_digest **ret)
{
    struct kw_digest *digest = malloc(sizeof *digest);

    (void)crypto;
    if (hash != KW_SHA256 || digest == NULL)
        abort();
    digest->md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest->md, EVP_sha256(), NULL);
    *ret = digest;
    return KW_OK;
}

static enum kw_status sha256_update(struct kw_digest *digest, struct kw_bytes data)
{
    EVP_DigestUpdate(digest->md, data.data, data.len);
    return KW_OK;
}

static enum kw_status sha256_peek(const struct kw_digest *digest, uint8_t *dst)
{
    EVP_DigestFinal_ex(digest->md, dst, NULL);
    return KW_OK;
}

static void sha256_free(struct kw_digest *digest)
{
    EVP_MD_CTX_free(digest->md);
    free(digest);
}

static const struct kw_crypto_ops sha256_ops = {
    .name = "sha256 of tests",
    .digest_new = sha256_new,
    .digest_update = sha256_update,
    .digest_peek = sha256_peek,
    .digest_free = sha256_free,
};

static struct kw_crypto sha256_crypto = {.ops = &sha256_ops};

#endif
