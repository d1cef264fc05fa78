/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the primitives of a handshake cost one side: through our provider, and through libcrypto the
 * way it is usually called (contexts made for each operation, the certificate decoded whole). Then
 * the memory that libcrypto holds for an association.
 */
#include <keywheel/openssl.h>

#include "bench.h"
#include "counted.h"

#include "base/assert.h"
#include "crypto/hkdf.h"
#include "crypto/mlkem/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <string.h>

static const char peer_name[] = "libcrypto, contexts made per operation";

static struct kw_crypto *crypto;
static struct kw_identity *identity;
static EVP_PKEY *peer_identity;
static uint8_t message[130] = {1};
static uint8_t signature[KW_SIGNATURE_MAX];
static size_t signature_len;

static struct kx {
    enum kw_group group;
    const char *name, *evp_type, *evp_group;
    uint8_t share[KW_KX_SHARE_MAX];
    size_t share_len;
} groups[] = {
    {KW_GROUP_P256, "P-256", "EC", "P-256", {0}, 0},
    {KW_GROUP_X25519, "x25519", "X25519", NULL, {0}, 0},
    {KW_GROUP_X25519MLKEM768, "X25519MLKEM768", NULL, NULL, {0}, 0},
};
static const struct kx *group;

static void must(bool ok)
{
    if (!ok) {
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static void ours_answer(void)
{
    uint8_t share[KW_KX_SHARE_MAX];
    struct kw_secret secret;
    enum kw_verdict verdict;
    size_t len;

    must(crypto->ops->kx_answer(crypto, group->group,
                                (struct kw_bytes){group->share, group->share_len}, share, &len,
                                &secret, &verdict) == KW_OK &&
         verdict == KW_ACCEPT);
}

static void plain_answer(void)
{
    EVP_PKEY *ours = group->evp_group != NULL
                         ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", group->evp_group)
                         : EVP_PKEY_Q_keygen(NULL, NULL, group->evp_type);
    EVP_PKEY *peer = EVP_PKEY_new();
    EVP_PKEY_CTX *ctx;
    uint8_t *share = NULL, secret[64];
    size_t len = sizeof secret;

    must(ours != NULL && peer != NULL && EVP_PKEY_copy_parameters(peer, ours) == 1);
    if (group->evp_group == NULL) {
        EVP_PKEY_free(peer);
        peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, group->share, group->share_len);
    } else {
        must(EVP_PKEY_set1_encoded_public_key(peer, group->share, group->share_len) == 1);
    }
    must(EVP_PKEY_get1_encoded_public_key(ours, &share) > 0);
    ctx = EVP_PKEY_CTX_new(ours, NULL);
    must(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
         EVP_PKEY_derive(ctx, secret, &len) == 1);
    EVP_PKEY_CTX_free(ctx);
    OPENSSL_free(share);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(ours);
}

static void ours_sign(void)
{
    must(crypto->ops->sign(identity, KW_SIG_ECDSA_P256_SHA256,
                           (struct kw_bytes){message, sizeof message}, signature,
                           &signature_len) == KW_OK);
}

static void plain_sign(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t made[KW_SIGNATURE_MAX];
    size_t len = sizeof made;

    must(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, peer_identity) == 1 &&
         EVP_DigestSign(ctx, made, &len, message, sizeof message) == 1);
    EVP_MD_CTX_free(ctx);
}

static void ours_verify(void)
{
    enum kw_verdict verdict;

    must(crypto->ops->verify(crypto, crypto->ops->identity_certificate(identity),
                             KW_SIG_ECDSA_P256_SHA256, (struct kw_bytes){message, sizeof message},
                             (struct kw_bytes){signature, signature_len}, &verdict) == KW_OK &&
         verdict == KW_ACCEPT);
}

static void plain_verify(void)
{
    struct kw_bytes cert = crypto->ops->identity_certificate(identity);
    const uint8_t *at = cert.data;
    X509 *x509 = d2i_X509(NULL, &at, (long)cert.len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(x509 != NULL &&
         EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(x509)) == 1 &&
         EVP_DigestVerify(ctx, signature, signature_len, message, sizeof message) == 1);
    EVP_MD_CTX_free(ctx);
    X509_free(x509);
}

/* Labels of a DTLS 1.3 handshake: secrets, keys, ivs, record-number keys, Finished, exporter. */
enum { SCHEDULE_STEPS = 24 };

static void ours_schedule(void)
{
    struct kw_secret secret = {.bytes = {1}, .len = 32};

    for (int i = 0; i < SCHEDULE_STEPS; i++)
        must(kw_hkdf_expand_label(crypto, KW_SHA256, &secret, "c hs traffic",
                                  (struct kw_bytes){message, 32}, secret.bytes, 32) == KW_OK);
}

static void plain_schedule(void)
{
    uint8_t secret[32] = {1};
    char digest[] = "SHA256";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);

    for (int i = 0; i < SCHEDULE_STEPS; i++) {
        EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, sizeof secret),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, message, 50),
            OSSL_PARAM_construct_end(),
        };

        must(EVP_KDF_derive(ctx, secret, sizeof secret, params) == 1);
        EVP_KDF_CTX_free(ctx);
    }
    EVP_KDF_free(kdf);
}

/* Keys of both directions of two epochs. */
static void ours_record_keys(void)
{
    uint8_t key[KW_KEY_MAX] = {1};

    for (int i = 0; i < 4; i++) {
        struct kw_aead_key *aead = NULL;
        struct kw_mask_key *mask = NULL;

        must(crypto->ops->aead_new(crypto, KW_AES_128_GCM, key, i % 2 == 0, &aead) == KW_OK &&
             crypto->ops->mask_new(crypto, KW_AES_128_GCM, key, &mask) == KW_OK);
        crypto->ops->aead_free(aead);
        crypto->ops->mask_free(mask);
    }
}

static void plain_record_keys(void)
{
    uint8_t key[KW_KEY_MAX] = {1}, nonce[12] = {0};

    for (int i = 0; i < 4; i++) {
        EVP_CIPHER_CTX *aead = EVP_CIPHER_CTX_new(), *mask = EVP_CIPHER_CTX_new();

        must(EVP_CipherInit_ex(aead, EVP_aes_128_gcm(), NULL, key, nonce, i % 2 == 0) == 1 &&
             EVP_EncryptInit_ex(mask, EVP_aes_128_ecb(), NULL, key, NULL) == 1);
        EVP_CIPHER_CTX_free(aead);
        EVP_CIPHER_CTX_free(mask);
    }
}

/* A server's side of a handshake with certificates on both sides; the identity is at hand. */
static void ours_side(void)
{
    ours_answer();
    ours_sign();
    ours_verify();
    ours_schedule();
    ours_record_keys();
}

static void plain_side(void)
{
    plain_answer();
    plain_sign();
    plain_verify();
    plain_schedule();
    plain_record_keys();
}

static void ours_identity(void)
{
    struct kw_identity *made;

    must(crypto->ops->identity_new(crypto, 0, &made) == KW_OK);
    crypto->ops->identity_free(made);
}

static void mlkem_all(void)
{
    static struct kw_mlkem768_key key;
    static uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN];
    uint8_t secret[32];

    kw_mlkem768_keygen(message, &key, ek);
    must(kw_mlkem768_encaps(ek, message, ct, secret));
    kw_mlkem768_decaps(&key, ct, secret);
}

static void plain_mlkem(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ML-KEM-768");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t ct[KW_MLKEM768_CT_LEN], a[32], b[32];
    size_t ct_len = sizeof ct, a_len = sizeof a, b_len = sizeof b;

    must(EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
         EVP_PKEY_encapsulate(ctx, ct, &ct_len, a, &a_len) == 1 &&
         EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
         EVP_PKEY_decapsulate(ctx, b, &b_len, ct, ct_len) == 1 && memcmp(a, b, sizeof a) == 0);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static bool libcrypto_has_mlkem(void)
{
    EVP_KEYMGMT *found = EVP_KEYMGMT_fetch(NULL, "ML-KEM-768", NULL);

    EVP_KEYMGMT_free(found);
    ERR_clear_error();
    return found != NULL;
}

/* Bytes that libcrypto holds for what a handshake needs; bench_dtls counts a whole association. */
static void memory(void)
{
    const struct kw_openssl_config config = {.associations = 4, .handshakes = 4};
    uint8_t share[KW_KX_SHARE_MAX];
    struct kw_identity *own;
    struct kw_crypto *one;
    struct kw_kx *kx;
    size_t len, start;

    must(kw_openssl_new(&config, &one) == KW_OK);
    must(one->ops->identity_new(one, 0, &own) == KW_OK); /* the first one fills caches */
    start = counted_held();
    must(one->ops->identity_new(one, 0, &own) == KW_OK);
    bench_line("crypto", "memory-identity", (double)(counted_held() - start), "B", NULL, 0);
    start = counted_held();
    must(one->ops->kx_offer(one, KW_GROUP_X25519MLKEM768, &kx, share, &len) == KW_OK);
    bench_line("crypto", "memory-offer-X25519MLKEM768", (double)(counted_held() - start), "B", NULL,
               0);
}

int main(void)
{
    struct kw_openssl_config config = {.associations = 4, .handshakes = 4};

    must(counted_install() == KW_OK);
    must(kw_openssl_new(&config, &crypto) == KW_OK);
    must(crypto->ops->identity_new(crypto, 0, &identity) == KW_OK);
    peer_identity = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    must(peer_identity != NULL);
    fprintf(stderr, "crypto: %s\n", crypto->ops->name);

    bench_pair("crypto", "sign-P-256", ours_sign, peer_name, plain_sign, 100);
    bench_pair("crypto", "verify-P-256", ours_verify, peer_name, plain_verify, 50);
    bench_pair("crypto", "key-schedule", ours_schedule, peer_name, plain_schedule, 100);
    bench_pair("crypto", "record-keys", ours_record_keys, peer_name, plain_record_keys, 200);
    bench_pair("crypto", "identity", ours_identity, NULL, NULL, 50);
    bench_pair("crypto", "ML-KEM-768", mlkem_all, peer_name,
               libcrypto_has_mlkem() ? plain_mlkem : NULL, 50);
    for (size_t i = 0; i < KW_ARRAY_LEN(groups); i++) {
        bool plain = groups[i].evp_type != NULL;
        struct kw_kx *kx;
        char variant[64];

        must(crypto->ops->kx_offer(crypto, groups[i].group, &kx, groups[i].share,
                                   &groups[i].share_len) == KW_OK);
        group = &groups[i];
        (void)snprintf(variant, sizeof variant, "answer-%s", group->name);
        bench_pair("crypto", variant, ours_answer, peer_name, plain ? plain_answer : NULL, 50);
        (void)snprintf(variant, sizeof variant, "handshake-side-%s", group->name);
        bench_pair("crypto", variant, ours_side, peer_name, plain ? plain_side : NULL, 30);
        crypto->ops->kx_free(kx);
    }
    memory();
    return 0;
}
