/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SRTP packets on libcrypto: one kept EVP_CIPHER_CTX for each session key. How many keys there can
 * be the configuration says; libcrypto's own objects are made and freed with the key, one right
 * after the other, so that they lie together and a packet of a cold key touches few pages. Per
 * packet only the nonce changes, so nothing is allocated. AES_CM keys carry an HMAC-SHA1 context
 * beside it.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <limits.h>
#include <string.h>

struct kw_packet_key {
    struct slot slot; /* first */
    EVP_CIPHER_CTX *ctx;
    EVP_MAC_CTX *mac; /* AES_CM only */
};

enum {
    SCRATCH = 512,     /* decrypted bytes that nobody reads while a tag is checked */
    STATE_SIZE = 1152, /* EVP_CIPHER_CTX (some 180 bytes) and the state of AES-GCM (some 900) */
};

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static EVP_CIPHER *cipher_for(const struct kw_openssl *ssl, enum kw_srtp_profile profile)
{
    switch (profile) {
    case KW_SRTP_AEAD_AES_128_GCM:
        return ssl->aead[KW_AES_128_GCM];
    case KW_SRTP_AEAD_AES_256_GCM:
        return ssl->aead[KW_AES_256_GCM];
    case KW_SRTP_AES128_CM_SHA1_80:
        return ssl->packet_ctr;
    case KW_SRTP_NONE:
        break;
    }
    return NULL;
}

static bool set_mac_key(struct kw_openssl *ssl, struct kw_packet_key *key, const uint8_t *auth_key)
{
    char digest[] = "SHA1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    key->mac = EVP_MAC_CTX_new(ssl->packet_hmac);
    return key->mac != NULL && EVP_MAC_init(key->mac, auth_key, KW_SRTP_MAC_LEN, params) == 1;
}

static void packet_free(struct kw_packet_key *key)
{
    struct kw_openssl *ssl;

    if (key == NULL)
        return;
    ssl = key->slot.owner;
    EVP_CIPHER_CTX_free(key->ctx); /* cleanses its key, as the next one does */
    EVP_MAC_CTX_free(key->mac);
    key->ctx = NULL;
    key->mac = NULL;
    slots_give(&ssl->packets, key);
}

static enum kw_status packet_new(struct kw_crypto *crypto, enum kw_srtp_profile profile,
                                 const uint8_t *key, const uint8_t *auth_key, bool for_sealing,
                                 struct kw_packet_key **ret)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    EVP_CIPHER *cipher = cipher_for(ssl, profile);
    struct kw_packet_key *made;
    bool ok;

    if (cipher == NULL)
        return KW_ERR_INPUT;
    made = slots_take(&ssl->packets);
    if (made == NULL)
        return KW_ERR_MEMORY;
    /* Counter mode decrypts by encrypting. */
    made->ctx = EVP_CIPHER_CTX_new();
    ok = made->ctx != NULL && EVP_CipherInit_ex2(made->ctx, cipher, key, NULL,
                                                 for_sealing || auth_key != NULL, NULL) == 1;
    if (ok && auth_key != NULL)
        ok = set_mac_key(ssl, made, auth_key);
    if (!ok) {
        packet_free(made);
        return failed();
    }
    *ret = made;
    return KW_OK;
}

/*
 * Asks for what libcrypto will touch: its context, and the cipher's own state, which it allocates
 * next, so that it usually lies behind. A wrong guess costs nothing but the asking; a right one
 * replaces some fifteen misses, one after the other, by one. Always inlined, else gcc drops it.
 */
static inline __attribute__((always_inline)) void prefetch_state(const EVP_CIPHER_CTX *ctx)
{
    const uint8_t *at = (const uint8_t *)ctx;

    for (size_t i = 0; i < STATE_SIZE; i += 64)
        __builtin_prefetch(at + i);
}

static enum kw_status packet_seal(struct kw_packet_key *key, const struct kw_packet *packet)
{
    EVP_CIPHER_CTX *ctx = key->ctx;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, packet->tag, KW_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };
    int len;

    prefetch_state(ctx);
    KW_ASSERT(packet->aad_len <= INT_MAX && packet->body_len <= INT_MAX);
    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, packet->iv, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &len, packet->aad, (int)packet->aad_len) != 1)
        return failed();
    if (packet->body_len != 0 &&
        EVP_EncryptUpdate(ctx, packet->body, &len, packet->body, (int)packet->body_len) != 1)
        return failed();
    if (EVP_EncryptFinal_ex(ctx, packet->tag, &len) != 1 ||
        EVP_CIPHER_CTX_get_params(ctx, params) != 1)
        return failed();
    return KW_OK;
}

/* Everything of an opening but the body. */
static bool start_open(EVP_CIPHER_CTX *ctx, const struct kw_packet *packet)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, packet->tag, KW_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };
    int len;

    prefetch_state(ctx);
    KW_ASSERT(packet->aad_len <= INT_MAX && packet->body_len <= INT_MAX);
    return EVP_DecryptInit_ex2(ctx, NULL, NULL, packet->iv, NULL) == 1 &&
           EVP_CIPHER_CTX_set_params(ctx, params) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &len, packet->aad, (int)packet->aad_len) == 1;
}

static enum kw_verdict finish_open(EVP_CIPHER_CTX *ctx)
{
    uint8_t rest[KW_TAG_LEN];
    int len;

    if (EVP_DecryptFinal_ex(ctx, rest, &len) == 1)
        return KW_ACCEPT;
    ERR_clear_error();
    return KW_DROP_FORGED;
}

static enum kw_status packet_open(struct kw_packet_key *key, const struct kw_packet *packet,
                                  enum kw_verdict *verdict)
{
    int len;

    if (!start_open(key->ctx, packet))
        return failed();
    if (packet->body_len != 0 &&
        EVP_DecryptUpdate(key->ctx, packet->body, &len, packet->body, (int)packet->body_len) != 1)
        return failed();
    *verdict = finish_open(key->ctx);
    if (*verdict != KW_ACCEPT)
        kw_wipe(packet->body, packet->body_len); /* unverified plaintext is nobody's business */
    return KW_OK;
}

static enum kw_status packet_verify(struct kw_packet_key *key, const struct kw_packet *packet,
                                    enum kw_verdict *verdict)
{
    uint8_t scratch[SCRATCH];
    enum kw_status status = KW_OK;
    int len;

    if (!start_open(key->ctx, packet))
        return failed();
    for (size_t at = 0; status == KW_OK && at < packet->body_len; at += SCRATCH) {
        size_t piece = KW_MIN(packet->body_len - at, (size_t)SCRATCH);

        if (EVP_DecryptUpdate(key->ctx, scratch, &len, packet->body + at, (int)piece) != 1)
            status = failed();
    }
    kw_wipe(scratch, sizeof scratch);
    if (status == KW_OK)
        *verdict = finish_open(key->ctx);
    return status;
}

static enum kw_status packet_crypt(struct kw_packet_key *key, const struct kw_packet *packet)
{
    int len;

    KW_ASSERT(packet->body_len <= INT_MAX);
    if (EVP_EncryptInit_ex2(key->ctx, NULL, NULL, packet->iv, NULL) != 1)
        return failed();
    if (packet->body_len != 0 &&
        EVP_EncryptUpdate(key->ctx, packet->body, &len, packet->body, (int)packet->body_len) != 1)
        return failed();
    return KW_OK;
}

static enum kw_status packet_mac(struct kw_packet_key *key, struct kw_bytes head,
                                 struct kw_bytes tail, uint8_t dst[KW_SRTP_MAC_LEN])
{
    size_t len;

    if (EVP_MAC_init(key->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(key->mac, head.data, head.len) != 1 ||
        EVP_MAC_update(key->mac, tail.data, tail.len) != 1 ||
        EVP_MAC_final(key->mac, dst, &len, KW_SRTP_MAC_LEN) != 1)
        return failed();
    return KW_OK;
}

enum kw_status packet_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config)
{
    /* A context of SRTP has two session keys (SRTP and SRTCP); one more for the known answers. */
    size_t count = config->srtp_keys == 0 ? 0 : 2 * config->srtp_keys + 1;

    ssl->ops.packet_new = packet_new;
    ssl->ops.packet_seal = packet_seal;
    ssl->ops.packet_open = packet_open;
    ssl->ops.packet_verify = packet_verify;
    ssl->ops.packet_crypt = packet_crypt;
    ssl->ops.packet_mac = packet_mac;
    ssl->ops.packet_free = packet_free;

    ssl->packet_ctr = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    ssl->packet_hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (ssl->packet_ctr == NULL || ssl->packet_hmac == NULL)
        return failed();
    return slots_init(&ssl->packets, ssl, sizeof(struct kw_packet_key), count);
}

void packet_part_deinit(struct kw_openssl *ssl)
{
    for (size_t i = 0; ssl->packets.memory != NULL && i < ssl->packets.count; i++)
        EVP_CIPHER_CTX_free(((struct kw_packet_key *)slots_at(&ssl->packets, i))->ctx);
    slots_deinit(&ssl->packets);
    EVP_CIPHER_free(ssl->packet_ctr);
    EVP_MAC_free(ssl->packet_hmac);
}
