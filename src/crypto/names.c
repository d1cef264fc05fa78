/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constant tables: a row per algorithm. A cipher suite that has no row here does not exist.
 */
#include <keywheel/crypto.h>

#include "base/assert.h"

#include <string.h>

/* Limits: RFC 9147, section 4.5.3. GCM: 2^24.5 records sealed, 2^36 failures; ChaCha20: no
 * practical confidentiality limit below 2^48 record numbers, 2^36 failures. */
static const struct kw_aead_info aeads[] = {
    {KW_AES_128_GCM, "AES-128-GCM", 16, 12, 16, UINT64_C(23726566), UINT64_C(1) << 36},
    {KW_AES_256_GCM, "AES-256-GCM", 32, 12, 16, UINT64_C(23726566), UINT64_C(1) << 36},
    {KW_CHACHA20_POLY1305, "ChaCha20-Poly1305", 32, 12, 16, UINT64_C(1) << 48, UINT64_C(1) << 36},
};

static const struct kw_suite_info suites[] = {
    {KW_TLS_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", KW_DTLS_1_3, KW_AES_128_GCM, KW_SHA256,
     false},
    {KW_TLS_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", KW_DTLS_1_3, KW_AES_256_GCM, KW_SHA384,
     false},
    {KW_TLS_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", KW_DTLS_1_3,
     KW_CHACHA20_POLY1305, KW_SHA256, false},
    {KW_ECDHE_ECDSA_AES128_GCM_SHA256, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", KW_DTLS_1_2,
     KW_AES_128_GCM, KW_SHA256, false},
    {KW_ECDHE_ECDSA_AES256_GCM_SHA384, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", KW_DTLS_1_2,
     KW_AES_256_GCM, KW_SHA384, false},
    {KW_ECDHE_RSA_AES128_GCM_SHA256, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", KW_DTLS_1_2,
     KW_AES_128_GCM, KW_SHA256, true},
    {KW_ECDHE_RSA_AES256_GCM_SHA384, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", KW_DTLS_1_2,
     KW_AES_256_GCM, KW_SHA384, true},
};

const struct kw_aead_info *kw_aead_info(enum kw_aead aead)
{
    return (size_t)aead < KW_ARRAY_LEN(aeads) ? &aeads[aead] : NULL;
}

const struct kw_suite_info *kw_suite_info(enum kw_suite suite)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(suites); i++) {
        if (suites[i].id == suite)
            return &suites[i];
    }
    return NULL;
}

size_t kw_hash_len(enum kw_hash hash)
{
    static const size_t lens[KW_HASH_COUNT] = {32, 48, 64};

    return (size_t)hash < KW_HASH_COUNT ? lens[hash] : 0;
}

const char *kw_suite_name(enum kw_suite suite)
{
    const struct kw_suite_info *info = kw_suite_info(suite);

    return info != NULL ? info->name : "unknown";
}

const char *kw_group_name(enum kw_group group)
{
    switch (group) {
    case KW_GROUP_NONE:
        return "none";
    case KW_GROUP_P256:
        return "secp256r1";
    case KW_GROUP_P384:
        return "secp384r1";
    case KW_GROUP_X25519:
        return "x25519";
    case KW_GROUP_X25519MLKEM768:
        return "X25519MLKEM768";
    }
    return "unknown";
}

const char *kw_sigscheme_name(enum kw_sigscheme scheme)
{
    switch (scheme) {
    case KW_SIG_NONE:
        return "none";
    case KW_SIG_RSA_PKCS1_SHA256:
        return "rsa_pkcs1_sha256";
    case KW_SIG_ECDSA_P256_SHA256:
        return "ecdsa_secp256r1_sha256";
    case KW_SIG_ECDSA_P384_SHA384:
        return "ecdsa_secp384r1_sha384";
    case KW_SIG_RSA_PSS_RSAE_SHA256:
        return "rsa_pss_rsae_sha256";
    }
    return "unknown";
}

const char *kw_srtp_profile_name(enum kw_srtp_profile profile)
{
    switch (profile) {
    case KW_SRTP_NONE:
        return "none";
    case KW_SRTP_AES128_CM_SHA1_80:
        return "AES_CM_128_HMAC_SHA1_80";
    case KW_SRTP_AEAD_AES_128_GCM:
        return "AEAD_AES_128_GCM";
    case KW_SRTP_AEAD_AES_256_GCM:
        return "AEAD_AES_256_GCM";
    }
    return "unknown";
}

const char *kw_dtls_version_name(enum kw_dtls_version version)
{
    switch (version) {
    case KW_DTLS_NONE:
        return "none";
    case KW_DTLS_1_2:
        return "DTLS 1.2";
    case KW_DTLS_1_3:
        return "DTLS 1.3";
    }
    return "unknown";
}

void kw_secret_wipe(struct kw_secret *secret)
{
    kw_wipe(secret, sizeof *secret);
}

void kw_srtp_keys_wipe(struct kw_srtp_keys *keys)
{
    kw_wipe(keys, sizeof *keys);
}

enum kw_status kw_crypto_hash(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes data,
                              uint8_t *dst)
{
    struct kw_digest *digest;
    enum kw_status status;

    status = crypto->ops->digest_new(crypto, hash, &digest);
    if (status != KW_OK)
        return status;
    status = crypto->ops->digest_update(digest, data);
    if (status == KW_OK)
        status = crypto->ops->digest_peek(digest, dst);
    crypto->ops->digest_free(digest);
    return status;
}

enum kw_status kw_crypto_fingerprint(struct kw_crypto *crypto, enum kw_hash hash,
                                     struct kw_bytes certificate, struct kw_fingerprint *ret)
{
    struct kw_fingerprint made = {.hash = hash};
    enum kw_status status = kw_crypto_hash(crypto, hash, certificate, made.digest);

    if (status == KW_OK)
        *ret = made;
    return status;
}
