/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ML-KEM-768: libcrypto's where it has one (3.5 and later), else ours. Asked once at start.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <string.h>

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status draw(uint8_t *dst, size_t len)
{
    if (RAND_priv_bytes(dst, (int)len) == 1)
        return KW_OK;
    ERR_clear_error();
    return KW_ERR_RANDOM;
}

/* Libcrypto's. */

static enum kw_status evp_offer(struct kw_openssl *ssl, EVP_PKEY **ret,
                                uint8_t ek[KW_MLKEM768_EK_LEN])
{
    EVP_PKEY *key = NULL;
    size_t len = 0;

    if (EVP_PKEY_generate(ssl->kem_keygen, &key) != 1)
        return failed();
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ek,
                                        KW_MLKEM768_EK_LEN, &len) != 1 ||
        len != KW_MLKEM768_EK_LEN) {
        EVP_PKEY_free(key);
        return failed();
    }
    *ret = key;
    return KW_OK;
}

static enum kw_status evp_finish(EVP_PKEY *key, const uint8_t ct[KW_MLKEM768_CT_LEN],
                                 uint8_t secret[KW_MLKEM768_SECRET_LEN])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    size_t len = KW_MLKEM768_SECRET_LEN;
    enum kw_status status = KW_OK;

    if (ctx == NULL || EVP_PKEY_decapsulate_init(ctx, NULL) != 1 ||
        EVP_PKEY_decapsulate(ctx, secret, &len, ct, KW_MLKEM768_CT_LEN) != 1 ||
        len != KW_MLKEM768_SECRET_LEN)
        status = failed();
    EVP_PKEY_CTX_free(ctx);
    return status;
}

static enum kw_status evp_answer(struct kw_openssl *ssl, const uint8_t ek[KW_MLKEM768_EK_LEN],
                                 uint8_t ct[KW_MLKEM768_CT_LEN],
                                 uint8_t secret[KW_MLKEM768_SECRET_LEN], enum kw_verdict *verdict)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)ek, KW_MLKEM768_EK_LEN),
        OSSL_PARAM_construct_end(),
    };
    size_t ct_len = KW_MLKEM768_CT_LEN, secret_len = KW_MLKEM768_SECRET_LEN;
    EVP_PKEY *peer = NULL;
    EVP_PKEY_CTX *ctx;
    enum kw_status status = KW_OK;

    *verdict = KW_DROP_MALFORMED;
    if (EVP_PKEY_fromdata(ssl->kem_peer, &peer, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        ERR_clear_error(); /* the modulus check of FIPS 203, section 7.2 */
        return KW_OK;
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL);
    if (ctx == NULL || EVP_PKEY_encapsulate_init(ctx, NULL) != 1 ||
        EVP_PKEY_encapsulate(ctx, ct, &ct_len, secret, &secret_len) != 1)
        status = failed();
    else
        *verdict = KW_ACCEPT;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    return status;
}

/* Ours. */

static enum kw_status own_offer(struct kw_mlkem768_key **ret, uint8_t ek[KW_MLKEM768_EK_LEN])
{
    struct kw_mlkem768_key *key = OPENSSL_malloc(sizeof *key);
    uint8_t seed[KW_MLKEM768_SEED_LEN];
    enum kw_status status = key == NULL ? KW_ERR_MEMORY : draw(seed, sizeof seed);

    if (status != KW_OK) {
        OPENSSL_free(key);
        return status;
    }
    kw_mlkem768_keygen(seed, key, ek);
    kw_wipe(seed, sizeof seed);
    *ret = key;
    return KW_OK;
}

static enum kw_status own_answer(const uint8_t ek[KW_MLKEM768_EK_LEN],
                                 uint8_t ct[KW_MLKEM768_CT_LEN],
                                 uint8_t secret[KW_MLKEM768_SECRET_LEN], enum kw_verdict *verdict)
{
    uint8_t message[KW_MLKEM768_MESSAGE_LEN];
    enum kw_status status = draw(message, sizeof message);

    if (status != KW_OK)
        return status;
    *verdict = kw_mlkem768_encaps(ek, message, ct, secret) ? KW_ACCEPT : KW_DROP_MALFORMED;
    kw_wipe(message, sizeof message);
    return KW_OK;
}

/* Either. */

enum kw_status kem_offer(struct kw_openssl *ssl, struct kem_key *ret,
                         uint8_t ek[KW_MLKEM768_EK_LEN])
{
    if (ssl->kem_keygen != NULL)
        return evp_offer(ssl, &ret->evp, ek);
    return own_offer(&ret->own, ek);
}

enum kw_status kem_finish(const struct kem_key *key, const uint8_t ct[KW_MLKEM768_CT_LEN],
                          uint8_t secret[KW_MLKEM768_SECRET_LEN])
{
    if (key->evp != NULL)
        return evp_finish(key->evp, ct, secret);
    kw_mlkem768_decaps(key->own, ct, secret);
    return KW_OK;
}

enum kw_status kem_answer(struct kw_openssl *ssl, const uint8_t ek[KW_MLKEM768_EK_LEN],
                          uint8_t ct[KW_MLKEM768_CT_LEN], uint8_t secret[KW_MLKEM768_SECRET_LEN],
                          enum kw_verdict *verdict)
{
    if (ssl->kem_keygen != NULL)
        return evp_answer(ssl, ek, ct, secret, verdict);
    return own_answer(ek, ct, secret, verdict);
}

void kem_free(struct kem_key *key)
{
    EVP_PKEY_free(key->evp);
    OPENSSL_clear_free(key->own, sizeof *key->own);
    *key = (struct kem_key){NULL, NULL};
}

enum kw_status kem_part_init(struct kw_openssl *ssl)
{
    EVP_PKEY_CTX *keygen = EVP_PKEY_CTX_new_from_name(NULL, "ML-KEM-768", NULL);

    if (keygen == NULL || EVP_PKEY_keygen_init(keygen) != 1) {
        EVP_PKEY_CTX_free(keygen);
        ERR_clear_error(); /* before 3.5 */
        return KW_OK;
    }
    ssl->kem_keygen = keygen;
    ssl->kem_peer = EVP_PKEY_CTX_new_from_name(NULL, "ML-KEM-768", NULL);
    if (ssl->kem_peer == NULL || EVP_PKEY_fromdata_init(ssl->kem_peer) != 1)
        return failed();
    return KW_OK;
}

void kem_part_deinit(struct kw_openssl *ssl)
{
    EVP_PKEY_CTX_free(ssl->kem_keygen);
    EVP_PKEY_CTX_free(ssl->kem_peer);
}
