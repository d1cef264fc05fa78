/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handshake cannot do without: the key exchange, the signatures, the hashes and HMACs, each
 * as often as our handshake asks for it, called the shortest way: algorithms fetched and contexts
 * made before the clock starts, no wiping, no checks. A private key that is new needs a context of
 * its own, which is part of its price. Records are left out.
 */
#include "dtls_bench.h"

#include "crypto/cert.h"
#include "crypto/mlkem/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <string.h>

enum { POINT_MAX = 65, MESSAGE_LEN = 130, BUFFER = 4096 };

static struct {
    const struct dtls_group *group;
    struct dtls_counts counts;
    EVP_PKEY_CTX *keygen;
    EVP_PKEY *peer; /* its point is set anew each time */
    uint8_t point[POINT_MAX];
    size_t point_len;
    /* signatures */
    EVP_PKEY *signer, *verifier;
    EVP_PKEY_CTX *sign, *verify;
    struct kw_identity *identity;
    struct kw_crypto *crypto;
    uint8_t signature[80], signer_point[POINT_MAX];
    size_t signature_len;
    /* hashes */
    EVP_MD *sha256;
    EVP_MD_CTX *running, *copy;
    EVP_MAC_CTX *hmac;
    /* ML-KEM */
    uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN];
} raw;

static const uint8_t message[BUFFER];

static void hash(const void *data, size_t len, uint8_t dst[32])
{
    dtls_must(EVP_DigestInit_ex2(raw.running, raw.sha256, NULL) == 1 &&
                  EVP_DigestUpdate(raw.running, data, len) == 1 &&
                  EVP_DigestFinal_ex(raw.running, dst, NULL) == 1,
              "hash");
}

static void open_hashes(void)
{
    static const uint8_t key[32];
    char name[] = "SHA2-256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    raw.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    raw.running = EVP_MD_CTX_new();
    raw.copy = EVP_MD_CTX_new();
    raw.hmac = EVP_MAC_CTX_new(mac);
    dtls_must(EVP_MAC_init(raw.hmac, key, sizeof key, params) == 1, "HMAC");
    EVP_MAC_free(mac);
}

void raw_open(struct kw_crypto *crypto)
{
    uint8_t digest[32];
    size_t len = 0;

    open_hashes();
    raw.crypto = crypto;
    dtls_must(crypto->ops->identity_new(crypto, 0, &raw.identity) == KW_OK, "identity");
    raw.signer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    raw.verifier = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    raw.sign = EVP_PKEY_CTX_new_from_pkey(NULL, raw.signer, NULL);
    raw.verify = EVP_PKEY_CTX_new_from_pkey(NULL, raw.verifier, NULL);
    dtls_must(EVP_PKEY_get_octet_string_param(raw.signer, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                                              raw.signer_point, POINT_MAX, &len) == 1 &&
                  EVP_PKEY_set1_encoded_public_key(raw.verifier, raw.signer_point, len) == 1 &&
                  EVP_PKEY_sign_init(raw.sign) == 1 && EVP_PKEY_verify_init(raw.verify) == 1,
              "signatures");
    hash(message, MESSAGE_LEN, digest);
    raw.signature_len = sizeof raw.signature;
    dtls_must(EVP_PKEY_sign(raw.sign, raw.signature, &raw.signature_len, digest, sizeof digest) ==
                  1,
              "sign");
}

static void drop_group(void)
{
    EVP_PKEY_CTX_free(raw.keygen);
    EVP_PKEY_free(raw.peer);
    raw.keygen = NULL;
    raw.peer = NULL;
}

void raw_close(void)
{
    drop_group();
    EVP_PKEY_CTX_free(raw.sign);
    EVP_PKEY_CTX_free(raw.verify);
    EVP_PKEY_free(raw.signer);
    EVP_PKEY_free(raw.verifier);
    EVP_MD_CTX_free(raw.running);
    EVP_MD_CTX_free(raw.copy);
    EVP_MAC_CTX_free(raw.hmac);
    EVP_MD_free(raw.sha256);
    raw.crypto->ops->identity_free(raw.identity);
}

/* --- key exchange ----------------------------------------------------------------------------- */

static EVP_PKEY *generate(uint8_t point[POINT_MAX], size_t *len)
{
    EVP_PKEY *key = NULL;

    dtls_must(EVP_PKEY_generate(raw.keygen, &key) == 1 &&
                  EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                                  POINT_MAX, len) == 1,
              "keygen");
    return key;
}

static void derive(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    uint8_t secret[64];
    size_t len = sizeof secret;

    dtls_must(EVP_PKEY_set1_encoded_public_key(raw.peer, raw.point, raw.point_len) == 1 &&
                  EVP_PKEY_derive_init(ctx) == 1 &&
                  EVP_PKEY_derive_set_peer_ex(ctx, raw.peer, 0) == 1 &&
                  EVP_PKEY_derive(ctx, secret, &len) == 1,
              "derive");
    EVP_PKEY_CTX_free(ctx);
}

void raw_use_group(const struct dtls_group *group, const struct dtls_counts *counts)
{
    char name[16] = "";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
    uint8_t seed[KW_MLKEM768_SEED_LEN] = {1};
    struct kw_mlkem768_key key;
    EVP_PKEY *made;

    drop_group();
    raw.group = group;
    raw.counts = *counts;
    if (group->evp_group != NULL) {
        strncpy(name, group->evp_group, sizeof name - 1);
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
    }
    raw.keygen = EVP_PKEY_CTX_new_from_name(NULL, group->evp_type, NULL);
    dtls_must(EVP_PKEY_keygen_init(raw.keygen) == 1 &&
                  EVP_PKEY_CTX_set_params(raw.keygen, params) == 1,
              "keygen");
    raw.peer = generate(raw.point, &raw.point_len);
    made = generate(raw.point, &raw.point_len);
    EVP_PKEY_free(made);
    kw_mlkem768_keygen(seed, &key, raw.ek);
}

/* Both sides: two keys, two secrets; ML-KEM has one key, one encapsulation, one decapsulation. */
void raw_key_exchange(void)
{
    uint8_t point[POINT_MAX], random[KW_MLKEM768_SEED_LEN], secret[KW_MLKEM768_SECRET_LEN];
    struct kw_mlkem768_key kem;
    size_t len;

    for (int side = 0; side < 2; side++) {
        EVP_PKEY *key = generate(point, &len);

        derive(key);
        EVP_PKEY_free(key);
    }
    if (raw.group->id != KW_GROUP_X25519MLKEM768)
        return;
    dtls_must(RAND_priv_bytes(random, sizeof random) == 1, "random");
    kw_mlkem768_keygen(random, &kem, raw.ek);
    dtls_must(kw_mlkem768_encaps(raw.ek, random, raw.ct, secret), "encaps");
    kw_mlkem768_decaps(&kem, raw.ct, secret);
}

/* --- signatures ------------------------------------------------------------------------------- */

void raw_signatures(void)
{
    struct kw_bytes der = raw.crypto->ops->identity_certificate(raw.identity);
    uint8_t digest[32], signature[80];
    struct kw_cert_key key;

    for (unsigned i = 0; i < raw.counts.signs; i++) {
        size_t len = sizeof signature;

        hash(message, MESSAGE_LEN, digest);
        dtls_must(EVP_PKEY_sign(raw.sign, signature, &len, digest, sizeof digest) == 1, "sign");
    }
    for (unsigned i = 0; i < raw.counts.verifies; i++) {
        hash(message, MESSAGE_LEN, digest);
        dtls_must(kw_cert_parse(der, &key) == KW_ACCEPT, "certificate");
        dtls_must(EVP_PKEY_set1_encoded_public_key(raw.verifier, raw.signer_point, POINT_MAX) ==
                          1 &&
                      EVP_PKEY_verify(raw.verify, raw.signature, raw.signature_len, digest,
                                      sizeof digest) == 1,
                  "verify");
    }
}

/* --- hashes ----------------------------------------------------------------------------------- */

void raw_hashes(void)
{
    const struct dtls_counts *counts = &raw.counts;
    size_t hmac_len = counts->hmac_bytes / counts->hmacs;
    size_t digest_len = counts->digest_bytes / counts->digests;
    uint8_t key[32] = {1}, digest[32];
    size_t len;

    for (unsigned i = 0; i < counts->hmacs; i++)
        dtls_must(EVP_MAC_init(raw.hmac, key, sizeof key, NULL) == 1 &&
                      EVP_MAC_update(raw.hmac, message, hmac_len) == 1 &&
                      EVP_MAC_final(raw.hmac, key, &len, sizeof key) == 1,
                  "HMAC");
    for (unsigned i = 0; i < counts->digests; i++)
        dtls_must(EVP_DigestInit_ex2(raw.running, raw.sha256, NULL) == 1 &&
                      EVP_DigestUpdate(raw.running, message, digest_len) == 1,
                  "digest");
    for (unsigned i = 0; i < counts->peeks; i++)
        dtls_must(EVP_MD_CTX_copy_ex(raw.copy, raw.running) == 1 &&
                      EVP_DigestFinal_ex(raw.copy, digest, NULL) == 1,
                  "digest");
}

void raw_all(void)
{
    raw_key_exchange();
    raw_signatures();
    raw_hashes();
}
