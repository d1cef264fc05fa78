/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key exchange. For each curve one EVP_PKEY_CTX is kept that generates keys, and one EVP_PKEY into
 * which each peer's point is put: making either anew costs more than the curve arithmetic.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <string.h>

struct kw_kx {
    struct slot slot; /* first */
    enum kw_group group;
    EVP_PKEY *key;
    struct kem_key kem; /* X25519MLKEM768 */
};

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static struct curve *find_curve(struct kw_openssl *ssl, enum kw_group group)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (ssl->curves[i].group == group)
            return &ssl->curves[i];
    }
    return NULL;
}

enum kw_status curve_generate(struct curve *curve, EVP_PKEY **ret, uint8_t *share)
{
    EVP_PKEY *key = NULL;
    size_t len = 0;

    if (EVP_PKEY_generate(curve->keygen, &key) != 1)
        return failed();
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, share,
                                        curve->share_len, &len) != 1 ||
        len != curve->share_len) {
        EVP_PKEY_free(key);
        return failed();
    }
    *ret = key;
    return KW_OK;
}

bool curve_set_peer(struct curve *curve, struct kw_bytes point)
{
    if (point.len != curve->share_len)
        return false;
    /* RFC 8446, section 4.2.8.2: uncompressed form only; libcrypto checks the curve equation. */
    if (curve->group != KW_GROUP_X25519 && point.data[0] != 0x04)
        return false;
    if (EVP_PKEY_set1_encoded_public_key(curve->peer, point.data, point.len) != 1) {
        ERR_clear_error();
        return false;
    }
    return true;
}

/*
 * The secret between our key and the peer's share. The curves have cofactor one, so a point on the
 * curve is a valid one and libcrypto's costly public-key validation is left out.
 */
static enum kw_status derive(struct curve *curve, EVP_PKEY *key, struct kw_bytes peer_share,
                             uint8_t *dst, enum kw_verdict *verdict)
{
    EVP_PKEY_CTX *ctx;
    size_t len = curve->secret_len;
    enum kw_status status = KW_OK;

    *verdict = KW_DROP_MALFORMED;
    if (!curve_set_peer(curve, peer_share))
        return KW_OK;
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer_ex(ctx, curve->peer, 0) != 1)
        status = failed();
    /* RFC 8446, section 7.4.2: an all-zero X25519 result is refused; libcrypto fails then. */
    else if (EVP_PKEY_derive(ctx, dst, &len) == 1 && len == curve->secret_len)
        *verdict = KW_ACCEPT;
    else
        ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    return status;
}

static bool has_group(const struct kw_crypto *crypto, enum kw_group group)
{
    (void)crypto;
    return group == KW_GROUP_P256 || group == KW_GROUP_P384 || group == KW_GROUP_X25519 ||
           group == KW_GROUP_X25519MLKEM768;
}

/*
 * draft-ietf-tls-ecdhe-mlkem: in X25519MLKEM768 the ML-KEM part comes first in both shares and in
 * the secret. It is an x25519 exchange with something in front.
 */
static enum kw_status hybrid_finish(struct kw_kx *kx, struct kw_bytes peer_share,
                                    struct kw_secret *made, enum kw_verdict *verdict)
{
    struct curve *curve = &kx->slot.owner->curves[CURVE_X25519];
    struct kw_bytes point = {peer_share.data + KW_MLKEM768_CT_LEN, curve->share_len};
    enum kw_status status;

    *verdict = KW_DROP_MALFORMED;
    if (peer_share.len != KW_MLKEM768_CT_LEN + curve->share_len)
        return KW_OK;
    status = derive(curve, kx->key, point, made->bytes + KW_MLKEM768_SECRET_LEN, verdict);
    if (status != KW_OK || *verdict != KW_ACCEPT)
        return status;
    return kem_finish(&kx->kem, peer_share.data, made->bytes);
}

static enum kw_status curve_answer(struct curve *curve, struct kw_bytes peer_share, uint8_t *share,
                                   uint8_t *secret, enum kw_verdict *verdict)
{
    EVP_PKEY *key;
    enum kw_status status = curve_generate(curve, &key, share);

    if (status != KW_OK)
        return status;
    status = derive(curve, key, peer_share, secret, verdict);
    EVP_PKEY_free(key);
    return status;
}

static enum kw_status hybrid_answer(struct kw_openssl *ssl, struct kw_bytes peer_share,
                                    uint8_t *share, struct kw_secret *made,
                                    enum kw_verdict *verdict)
{
    struct curve *curve = &ssl->curves[CURVE_X25519];
    struct kw_bytes point = {peer_share.data + KW_MLKEM768_EK_LEN, curve->share_len};
    enum kw_status status;

    *verdict = KW_DROP_MALFORMED;
    if (peer_share.len != KW_MLKEM768_EK_LEN + curve->share_len)
        return KW_OK;
    status = curve_answer(curve, point, share + KW_MLKEM768_CT_LEN,
                          made->bytes + KW_MLKEM768_SECRET_LEN, verdict);
    if (status != KW_OK || *verdict != KW_ACCEPT)
        return status;
    return kem_answer(ssl, peer_share.data, share, made->bytes, verdict);
}

static void kx_free(struct kw_kx *kx)
{
    if (kx == NULL)
        return;
    EVP_PKEY_free(kx->key);
    kx->key = NULL;
    kem_free(&kx->kem);
    slots_give(&kx->slot.owner->exchanges, kx);
}

static enum kw_status kx_offer(struct kw_crypto *crypto, enum kw_group group, struct kw_kx **ret,
                               uint8_t share[KW_KX_SHARE_MAX], size_t *share_len)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    bool hybrid = group == KW_GROUP_X25519MLKEM768;
    size_t kem_len = hybrid ? KW_MLKEM768_EK_LEN : 0;
    struct curve *curve = find_curve(ssl, hybrid ? KW_GROUP_X25519 : group);
    struct kw_kx *kx;
    enum kw_status status;

    if (curve == NULL)
        return KW_ERR_INPUT;
    kx = slots_take(&ssl->exchanges);
    if (kx == NULL)
        return KW_ERR_MEMORY;
    status = curve_generate(curve, &kx->key, share + kem_len);
    if (status == KW_OK && hybrid)
        status = kem_offer(ssl, &kx->kem, share);
    kw_wipe_stack();
    if (status != KW_OK) {
        kx_free(kx);
        return status;
    }
    kx->group = group;
    *share_len = kem_len + curve->share_len;
    *ret = kx;
    return KW_OK;
}

static enum kw_status kx_finish(struct kw_kx *kx, struct kw_bytes peer_share, struct kw_secret *ret,
                                enum kw_verdict *verdict)
{
    struct kw_secret made = {0};
    enum kw_status status;

    if (kx->group == KW_GROUP_X25519MLKEM768) {
        made.len = 2 * 32;
        status = hybrid_finish(kx, peer_share, &made, verdict);
    } else {
        struct curve *curve = find_curve(kx->slot.owner, kx->group);

        made.len = (uint8_t)curve->secret_len;
        status = derive(curve, kx->key, peer_share, made.bytes, verdict);
    }
    if (status == KW_OK && *verdict == KW_ACCEPT)
        *ret = made;
    kw_secret_wipe(&made);
    kw_wipe_stack();
    return status;
}

static enum kw_status kx_answer(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct curve *curve = find_curve(ssl, group);
    struct kw_secret made = {0};
    size_t len = KW_MLKEM768_CT_LEN + 32;
    enum kw_status status;

    if (group == KW_GROUP_X25519MLKEM768) {
        made.len = 2 * 32;
        status = hybrid_answer(ssl, peer_share, share, &made, verdict);
    } else if (curve != NULL) {
        made.len = (uint8_t)curve->secret_len;
        len = curve->share_len;
        status = curve_answer(curve, peer_share, share, made.bytes, verdict);
    } else {
        return KW_ERR_INPUT;
    }
    if (status == KW_OK && *verdict == KW_ACCEPT) {
        *ret = made;
        *share_len = len;
    }
    kw_secret_wipe(&made);
    kw_wipe_stack();
    return status;
}

static enum kw_status make_curve(struct curve *curve, const char *type, const char *group_name)
{
    uint8_t share[97];
    struct kw_bytes view = {share, curve->share_len};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };

    if (group_name != NULL)
        params[0] =
            OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group_name, 0);
    curve->keygen = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (curve->keygen == NULL || EVP_PKEY_keygen_init(curve->keygen) != 1 ||
        EVP_PKEY_CTX_set_params(curve->keygen, params) != 1)
        return failed();
    if (curve_generate(curve, &curve->peer, share) != KW_OK || !curve_set_peer(curve, view))
        return failed();
    if (group_name == NULL)
        return KW_OK;

    curve->verify = EVP_PKEY_CTX_new_from_pkey(NULL, curve->peer, NULL);
    if (curve->verify == NULL || EVP_PKEY_verify_init(curve->verify) != 1)
        return failed();
    return KW_OK;
}

enum kw_status exchange_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config)
{
    enum kw_status status;

    ssl->ops.kx_offer = kx_offer;
    ssl->ops.kx_finish = kx_finish;
    ssl->ops.kx_free = kx_free;
    ssl->ops.kx_answer = kx_answer;
    ssl->ops.has_group = has_group;

    ssl->curves[CURVE_P256] = (struct curve){KW_GROUP_P256, 65, 32, NULL, NULL, NULL};
    ssl->curves[CURVE_P384] = (struct curve){KW_GROUP_P384, 97, 48, NULL, NULL, NULL};
    ssl->curves[CURVE_X25519] = (struct curve){KW_GROUP_X25519, 32, 32, NULL, NULL, NULL};

    status = make_curve(&ssl->curves[CURVE_P256], "EC", "P-256");
    if (status == KW_OK)
        status = make_curve(&ssl->curves[CURVE_P384], "EC", "P-384");
    if (status == KW_OK)
        status = make_curve(&ssl->curves[CURVE_X25519], "X25519", NULL);
    if (status == KW_OK)
        status = kem_part_init(ssl);
    /* A client may offer two shares at once; an answer uses one for a moment. */
    if (status == KW_OK)
        status = slots_init(&ssl->exchanges, ssl, sizeof(struct kw_kx), 2 * config->handshakes + 2);
    return status;
}

void exchange_part_deinit(struct kw_openssl *ssl)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        EVP_PKEY_CTX_free(ssl->curves[i].verify);
        EVP_PKEY_CTX_free(ssl->curves[i].keygen);
        EVP_PKEY_free(ssl->curves[i].peer);
    }
    for (size_t i = 0; ssl->exchanges.memory != NULL && i < ssl->exchanges.count; i++) {
        struct kw_kx *kx = slots_at(&ssl->exchanges, i);

        EVP_PKEY_free(kx->key);
        kem_free(&kx->kem);
    }
    kem_part_deinit(ssl);
    slots_deinit(&ssl->exchanges);
}
