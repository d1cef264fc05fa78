/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_OPENSSL_PROVIDER_H
#define KW_CRYPTO_OPENSSL_PROVIDER_H

/* What the files of this folder share; nobody else includes it. */

#include <keywheel/openssl.h>

#include "crypto/cert.h"
#include "crypto/mlkem/mlkem.h"

#include <openssl/evp.h>

/*
 * A pool of equal objects, made once. Every object begins with a slot;
 * free ones are linked through it.
 */
struct slot {
    struct slot *next;
    struct kw_openssl *owner;
};

struct slots {
    struct slot *free;
    void *memory;
    size_t size; /* of one object */
    size_t count;
    size_t used;
};

enum kw_status slots_init(struct slots *slots, struct kw_openssl *owner, size_t size, size_t count);
void slots_deinit(struct slots *slots);
void *slots_at(const struct slots *slots, size_t index);
/* NULL when all are in use. The object is as its last user left it. */
void *slots_take(struct slots *slots);
void slots_give(struct slots *slots, void *object);

enum { HMAC_SHA1 = KW_HASH_COUNT, HMAC_COUNT };

/* One elliptic curve or X25519. */
enum curve_id { CURVE_P256 = 0, CURVE_P384, CURVE_X25519, CURVE_COUNT };

struct curve {
    enum kw_group group;
    size_t share_len;
    size_t secret_len;
    EVP_PKEY_CTX *keygen; /* kept: only EVP_PKEY_generate() for each new key */
    EVP_PKEY *peer;       /* kept: each peer's point is put into the same object */
    EVP_PKEY_CTX *verify; /* kept on `peer`; NULL for X25519 */
};

/* A context that serves many keys, one after the other. */
struct loaded {
    EVP_CIPHER_CTX *ctx;
    const void *owner; /* whose key it holds; NULL: no secret */
};

struct kw_openssl {
    struct kw_crypto base; /* first */
    struct kw_crypto_ops ops;
    char name[40];
    EVP_MD *md[KW_HASH_COUNT];
    EVP_CIPHER *aead[KW_AEAD_COUNT];
    EVP_CIPHER *mask[KW_AEAD_COUNT];
    struct loaded aead_loaded[KW_AEAD_COUNT][2]; /* for opening, for sealing */
    struct loaded mask_loaded[KW_AEAD_COUNT];
    EVP_MAC_CTX *hmac[HMAC_COUNT];
    EVP_MD_CTX *peek[KW_HASH_COUNT];
    struct curve curves[CURVE_COUNT];
    EVP_PKEY_CTX *kem_keygen; /* NULL: libcrypto has no ML-KEM, so ours serves */
    EVP_PKEY_CTX *kem_peer;
    struct slots digests[KW_HASH_COUNT];
    struct slots aeads;
    struct slots masks;
    struct slots packets;
    EVP_CIPHER *packet_ctr;
    EVP_MAC *packet_hmac;
    struct slots exchanges;
    struct slots identities;
};

static inline struct kw_openssl *openssl_of(struct kw_crypto *crypto)
{
    return (struct kw_openssl *)(void *)crypto;
}

/* Each part makes and ends its own share of the provider and fills its rows of ops. */
enum kw_status digest_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config);
void digest_part_deinit(struct kw_openssl *ssl);
enum kw_status cipher_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config);
void cipher_part_deinit(struct kw_openssl *ssl);
enum kw_status packet_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config);
void packet_part_deinit(struct kw_openssl *ssl);
enum kw_status exchange_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config);
void exchange_part_deinit(struct kw_openssl *ssl);
enum kw_status identity_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config);
void identity_part_deinit(struct kw_openssl *ssl);

/* ML-KEM-768, half of the hybrid group: libcrypto's key or ours, the other one is NULL. */
struct kem_key {
    EVP_PKEY *evp;
    struct kw_mlkem768_key *own;
};

enum kw_status kem_part_init(struct kw_openssl *ssl);
void kem_part_deinit(struct kw_openssl *ssl);
enum kw_status kem_offer(struct kw_openssl *ssl, struct kem_key *ret,
                         uint8_t ek[KW_MLKEM768_EK_LEN]);
enum kw_status kem_finish(const struct kem_key *key, const uint8_t ct[KW_MLKEM768_CT_LEN],
                          uint8_t secret[KW_MLKEM768_SECRET_LEN]);
enum kw_status kem_answer(struct kw_openssl *ssl, const uint8_t ek[KW_MLKEM768_EK_LEN],
                          uint8_t ct[KW_MLKEM768_CT_LEN], uint8_t secret[KW_MLKEM768_SECRET_LEN],
                          enum kw_verdict *verdict);
void kem_free(struct kem_key *key);

/* Shared by key exchange and signatures. */
enum kw_status curve_generate(struct curve *curve, EVP_PKEY **ret, uint8_t *share);
/* Puts the peer's point into curve->peer; false when it is not one. */
bool curve_set_peer(struct curve *curve, struct kw_bytes point);
enum kw_status digest_once(struct kw_openssl *ssl, enum kw_hash hash, struct kw_bytes data,
                           uint8_t *dst);

#endif
