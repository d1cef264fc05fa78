/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our certificates and signatures, and the peer's. An identity keeps its key with a ready signing
 * context; a peer's point goes into the kept key of its curve, so that no verification sets
 * anything up. RSA, which only exceptions use, is set up each time.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <string.h>

enum {
    CERT_SIZE = 512, /* room to write ours in; about 330 bytes are used, and only those are kept */
    DAY_MS = 86400 * 1000,
    VALID_DAYS = 30,
};

struct kw_identity {
    struct slot slot; /* first */
    unsigned holds;
    EVP_PKEY *key;
    EVP_PKEY_CTX *sign;
    size_t cert_len;
    uint8_t *cert;
};

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status sign_digest(struct kw_identity *identity, const uint8_t digest[32],
                                  uint8_t *dst, size_t dst_size, size_t *dst_len)
{
    size_t len = dst_size;

    if (EVP_PKEY_sign(identity->sign, dst, &len, digest, 32) != 1)
        return failed();
    *dst_len = len;
    return KW_OK;
}

static enum kw_status write_certificate(struct kw_openssl *ssl, struct kw_identity *identity,
                                        struct kw_cert_fields *fields, kw_utc_ms now)
{
    uint8_t tbs[KW_CERT_TBS_MAX], digest[32], signature[80], cert[CERT_SIZE];
    size_t tbs_len, signature_len;
    enum kw_status status;

    if (RAND_bytes(fields->serial, sizeof fields->serial) != 1) {
        ERR_clear_error();
        return KW_ERR_RANDOM;
    }
    /* A peer's clock may be behind ours, though no browser looks at the dates. */
    fields->not_before = now > DAY_MS ? now - DAY_MS : 0;
    fields->not_after = fields->not_before + (kw_utc_ms)(VALID_DAYS + 1) * DAY_MS;

    tbs_len = kw_cert_write_tbs(fields, tbs, sizeof tbs);
    KW_ASSERT(tbs_len != 0);
    status = digest_once(ssl, KW_SHA256, (struct kw_bytes){tbs, tbs_len}, digest);
    if (status == KW_OK)
        status = sign_digest(identity, digest, signature, sizeof signature, &signature_len);
    if (status != KW_OK)
        return status;
    identity->cert_len =
        kw_cert_write((struct kw_bytes){tbs, tbs_len}, (struct kw_bytes){signature, signature_len},
                      cert, sizeof cert);
    KW_ASSERT(identity->cert_len != 0);
    identity->cert = OPENSSL_memdup(cert, identity->cert_len);
    return identity->cert != NULL ? KW_OK : KW_ERR_MEMORY;
}

static void identity_free(struct kw_identity *identity)
{
    if (identity == NULL || --identity->holds != 0)
        return;
    EVP_PKEY_CTX_free(identity->sign);
    EVP_PKEY_free(identity->key);
    OPENSSL_free(identity->cert);
    identity->sign = NULL;
    identity->key = NULL;
    identity->cert = NULL;
    slots_give(&identity->slot.owner->identities, identity);
}

static enum kw_status identity_new(struct kw_crypto *crypto, kw_utc_ms now,
                                   struct kw_identity **ret)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct kw_identity *identity;
    struct kw_cert_fields fields;
    enum kw_status status;

    if (now < 0)
        return KW_ERR_INPUT;
    identity = slots_take(&ssl->identities);
    if (identity == NULL)
        return KW_ERR_MEMORY;
    identity->holds = 1;

    status = curve_generate(&ssl->curves[CURVE_P256], &identity->key, fields.point);
    if (status == KW_OK) {
        identity->sign = EVP_PKEY_CTX_new_from_pkey(NULL, identity->key, NULL);
        if (identity->sign == NULL || EVP_PKEY_sign_init(identity->sign) != 1)
            status = failed();
    }
    if (status == KW_OK)
        status = write_certificate(ssl, identity, &fields, now);
    kw_wipe_stack();
    if (status != KW_OK) {
        identity_free(identity);
        return status;
    }
    *ret = identity;
    return KW_OK;
}

static struct kw_identity *identity_hold(struct kw_identity *identity)
{
    identity->holds++;
    return identity;
}

static struct kw_bytes identity_certificate(const struct kw_identity *identity)
{
    return (struct kw_bytes){identity->cert, identity->cert_len};
}

static enum kw_status sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len)
{
    uint8_t digest[32];
    enum kw_status status;

    if (scheme != KW_SIG_ECDSA_P256_SHA256)
        return KW_ERR_INPUT;
    status = digest_once(identity->slot.owner, KW_SHA256, message, digest);
    if (status != KW_OK)
        return status;
    status = sign_digest(identity, digest, dst, KW_SIGNATURE_MAX, dst_len);
    kw_wipe_stack(); /* of the signature's nonce, which is worth the key */
    return status;
}

static enum kw_status verify_ecdsa(struct kw_openssl *ssl, struct curve *curve, enum kw_hash hash,
                                   const struct kw_cert_key *key, struct kw_bytes message,
                                   struct kw_bytes signature, enum kw_verdict *verdict)
{
    uint8_t digest[KW_DIGEST_MAX];
    enum kw_status status;

    if (!curve_set_peer(curve, key->point)) {
        *verdict = KW_DROP_MALFORMED;
        return KW_OK;
    }
    status = digest_once(ssl, hash, message, digest);
    if (status != KW_OK)
        return status;
    *verdict = EVP_PKEY_verify(curve->verify, signature.data, signature.len, digest,
                               kw_hash_len(hash)) == 1
                   ? KW_ACCEPT
                   : KW_DROP_FORGED;
    ERR_clear_error();
    return KW_OK;
}

/* Big endian to the native order that OSSL_PARAM integers have. */
static void reverse(uint8_t *dst, struct kw_bytes src)
{
    for (size_t i = 0; i < src.len; i++)
        dst[i] =
            __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? src.data[src.len - 1 - i] : src.data[i];
}

static EVP_PKEY *make_rsa(const struct kw_cert_key *key)
{
    uint8_t modulus[KW_CERT_RSA_BITS_MAX / 8], exponent[4];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus, key->modulus.len),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent, key->exponent.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *made = NULL;

    reverse(modulus, key->modulus);
    reverse(exponent, key->exponent);
    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    return made;
}

static enum kw_status verify_rsa(struct kw_openssl *ssl, bool is_pss, const struct kw_cert_key *key,
                                 struct kw_bytes message, struct kw_bytes signature,
                                 enum kw_verdict *verdict)
{
    EVP_PKEY *rsa = make_rsa(key);
    EVP_PKEY_CTX *ctx = rsa == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, rsa, NULL);
    int padding = is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    uint8_t digest[32];
    enum kw_status status = digest_once(ssl, KW_SHA256, message, digest);

    /* RFC 8446, section 4.2.3: the salt of PSS is as long as the digest. */
    if (status != KW_OK || ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1 ||
        EVP_PKEY_CTX_set_signature_md(ctx, ssl->md[KW_SHA256]) != 1 ||
        (is_pss && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) != 1)) {
        status = failed();
    } else {
        int ok = EVP_PKEY_verify(ctx, signature.data, signature.len, digest, sizeof digest);

        *verdict = ok == 1 ? KW_ACCEPT : KW_DROP_FORGED;
        ERR_clear_error();
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(rsa);
    return status;
}

static enum kw_status verify(struct kw_crypto *crypto, struct kw_bytes certificate,
                             enum kw_sigscheme scheme, struct kw_bytes message,
                             struct kw_bytes signature, enum kw_verdict *verdict)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct kw_cert_key key;

    *verdict = KW_DROP_MALFORMED;
    if (kw_cert_parse(certificate, &key) != KW_ACCEPT)
        return KW_OK;

    switch (scheme) {
    case KW_SIG_ECDSA_P256_SHA256:
        if (key.type != KW_CERT_P256)
            return KW_OK;
        return verify_ecdsa(ssl, &ssl->curves[CURVE_P256], KW_SHA256, &key, message, signature,
                            verdict);
    case KW_SIG_ECDSA_P384_SHA384:
        if (key.type != KW_CERT_P384)
            return KW_OK;
        return verify_ecdsa(ssl, &ssl->curves[CURVE_P384], KW_SHA384, &key, message, signature,
                            verdict);
    case KW_SIG_RSA_PKCS1_SHA256:
    case KW_SIG_RSA_PSS_RSAE_SHA256:
        if (key.type != KW_CERT_RSA)
            return KW_OK;
        return verify_rsa(ssl, scheme == KW_SIG_RSA_PSS_RSAE_SHA256, &key, message, signature,
                          verdict);
    case KW_SIG_NONE:
        break;
    }
    return KW_OK;
}

enum kw_status identity_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config)
{
    ssl->ops.identity_new = identity_new;
    ssl->ops.identity_hold = identity_hold;
    ssl->ops.identity_certificate = identity_certificate;
    ssl->ops.identity_free = identity_free;
    ssl->ops.sign = sign;
    ssl->ops.verify = verify;

    /* One for each association, and a stock that is filled in idle time. */
    return slots_init(&ssl->identities, ssl, sizeof(struct kw_identity),
                      config->associations + config->handshakes + 4);
}

void identity_part_deinit(struct kw_openssl *ssl)
{
    for (size_t i = 0; ssl->identities.memory != NULL && i < ssl->identities.count; i++) {
        struct kw_identity *identity = slots_at(&ssl->identities, i);

        EVP_PKEY_CTX_free(identity->sign);
        EVP_PKEY_free(identity->key);
        OPENSSL_free(identity->cert);
    }
    slots_deinit(&ssl->identities);
}
