/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <string.h>

/* One per process; it lives in this file, so holds are not counted. */
struct kw_identity {
    EVP_PKEY *key;
    size_t cert_len;
    uint8_t cert[KW_CERT_MAX];
};

static struct kw_identity own;
static struct kw_crypto_ops own_ops;
static X509 *root;

static struct kw_identity *hold(struct kw_identity *identity)
{
    return identity;
}

static struct kw_bytes certificate(const struct kw_identity *identity)
{
    return (struct kw_bytes){identity->cert, identity->cert_len};
}

static void let_go(struct kw_identity *identity)
{
    (void)identity;
}

static bool is_pss(enum kw_sigscheme scheme)
{
    return scheme == KW_SIG_RSA_PSS_RSAE_SHA256;
}

static enum kw_status sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    const EVP_MD *md = scheme == KW_SIG_ECDSA_P384_SHA384 ? EVP_sha384() : EVP_sha256();
    size_t len = KW_SIGNATURE_MAX;
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, &key_ctx, md, NULL, identity->key) == 1;

    if (ok && is_pss(scheme))
        ok = EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    ok = ok && EVP_DigestSign(ctx, dst, &len, message.data, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return KW_ERR_CRYPTO;
    *dst_len = len;
    return KW_OK;
}

static X509 *read_certificate(const char *file)
{
    FILE *in = fopen(file, "re");
    X509 *cert = in == NULL ? NULL : PEM_read_X509(in, NULL, NULL, NULL);

    if (in != NULL)
        fclose(in);
    return cert;
}

static bool key_is_ours(const EVP_PKEY *key)
{
    char curve[32];
    size_t len;

    if (EVP_PKEY_is_a(key, "RSA"))
        return true;
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, curve, sizeof curve, &len) == 1 &&
           (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0);
}

bool credential_load(struct kw_crypto *crypto, const char *cert_file, const char *key_file,
                     struct kw_identity **ret)
{
    X509 *cert = read_certificate(cert_file);
    FILE *in = fopen(key_file, "re");
    uint8_t *at = own.cert;
    int len = cert == NULL ? -1 : i2d_X509(cert, NULL);

    if (in != NULL) {
        own.key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
        fclose(in);
    }
    if (len > 0 && len <= (int)sizeof own.cert)
        own.cert_len = (size_t)i2d_X509(cert, &at);
    X509_free(cert);
    if (own.key == NULL || own.cert_len == 0 || !key_is_ours(own.key)) {
        credential_free();
        return false;
    }

    own_ops = *crypto->ops;
    own_ops.identity_hold = hold;
    own_ops.identity_certificate = certificate;
    own_ops.identity_free = let_go;
    own_ops.sign = sign;
    crypto->ops = &own_ops;
    *ret = &own;
    return true;
}

bool credential_is_rsa(void)
{
    return own.key != NULL && EVP_PKEY_is_a(own.key, "RSA");
}

void credential_free(void)
{
    EVP_PKEY_free(own.key);
    own = (struct kw_identity){0};
}

bool trust_load(const char *file)
{
    root = read_certificate(file);
    return root != NULL;
}

bool trust_covers(struct kw_bytes der)
{
    const uint8_t *at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    bool covered = cert != NULL && root != NULL &&
                   (X509_cmp(cert, root) == 0 || X509_verify(cert, X509_get0_pubkey(root)) == 1);

    X509_free(cert);
    return covered;
}

void trust_free(void)
{
    X509_free(root);
    root = NULL;
}
