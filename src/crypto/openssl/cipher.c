/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AEAD and record-number masks: an EVP_CIPHER_CTX for each key, from a pool. libcrypto allocates
 * the key schedule when the key is set and cleanses it when the context is reset; sealing,
 * opening and masking only change the nonce and allocate nothing.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/err.h>

#include <limits.h>
#include <string.h>

struct kw_aead_key {
    struct slot slot; /* first */
    EVP_CIPHER_CTX *ctx;
    bool for_sealing;
};

struct kw_mask_key {
    struct slot slot; /* first */
    EVP_CIPHER_CTX *ctx;
    bool is_chacha;
};

_Static_assert(sizeof(struct kw_aead_key) == sizeof(struct kw_mask_key), "one set-up for both");

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

static enum kw_status aead_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct kw_aead_key *made = slots_take(&ssl->aeads);

    if (made == NULL)
        return KW_ERR_MEMORY;
    made->for_sealing = for_sealing;
    if (EVP_CipherInit_ex2(made->ctx, ssl->aead[aead], key, NULL, for_sealing, NULL) != 1) {
        (void)EVP_CIPHER_CTX_reset(made->ctx);
        slots_give(&ssl->aeads, made);
        return failed();
    }
    *ret = made;
    return KW_OK;
}

static enum kw_status aead_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN])
{
    EVP_CIPHER_CTX *ctx = key->ctx;
    int len;

    KW_ASSERT(key->for_sealing && aad.len <= INT_MAX && body_len <= INT_MAX);
    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1)
        return failed();
    if (aad.len != 0 && EVP_EncryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) != 1)
        return failed();
    if (body_len != 0 && EVP_EncryptUpdate(ctx, body, &len, body, (int)body_len) != 1)
        return failed();
    if (EVP_EncryptFinal_ex(ctx, tag, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KW_TAG_LEN, tag) != 1)
        return failed();
    return KW_OK;
}

static enum kw_status aead_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    EVP_CIPHER_CTX *ctx = key->ctx;
    uint8_t expected[KW_TAG_LEN];
    int len;

    KW_ASSERT(!key->for_sealing && aad.len <= INT_MAX && body_len <= INT_MAX);
    memcpy(expected, tag, sizeof expected); /* the call below takes no const */
    if (EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KW_TAG_LEN, expected) != 1)
        return failed();
    if (aad.len != 0 && EVP_DecryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) != 1)
        return failed();
    if (body_len != 0 && EVP_DecryptUpdate(ctx, body, &len, body, (int)body_len) != 1)
        return failed();
    if (EVP_DecryptFinal_ex(ctx, expected, &len) == 1) {
        *verdict = KW_ACCEPT;
        return KW_OK;
    }
    ERR_clear_error();
    kw_wipe(body, body_len); /* unverified plaintext is nobody's business */
    *verdict = KW_DROP_FORGED;
    return KW_OK;
}

static void aead_free(struct kw_aead_key *key)
{
    if (key == NULL)
        return;
    (void)EVP_CIPHER_CTX_reset(key->ctx);
    slots_give(&key->slot.owner->aeads, key);
}

static enum kw_status mask_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret)
{
    struct kw_openssl *ssl = openssl_of(crypto);
    struct kw_mask_key *made = slots_take(&ssl->masks);

    if (made == NULL)
        return KW_ERR_MEMORY;
    made->is_chacha = aead == KW_CHACHA20_POLY1305;
    if (EVP_EncryptInit_ex2(made->ctx, ssl->mask[aead], key, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(made->ctx, 0) != 1) {
        (void)EVP_CIPHER_CTX_reset(made->ctx);
        slots_give(&ssl->masks, made);
        return failed();
    }
    *ret = made;
    return KW_OK;
}

/*
 * RFC 9147, section 4.2.3: AES-ECB(key, sample); for ChaCha20 the first four bytes of the sample
 * are the block counter (little endian, RFC 9001 section 5.4.4) and the other twelve the nonce,
 * which is the very layout of libcrypto's 16-byte IV.
 */
static enum kw_status mask(struct kw_mask_key *key, const uint8_t sample[KW_MASK_LEN],
                           uint8_t dst[KW_MASK_LEN])
{
    static const uint8_t zeros[KW_MASK_LEN];
    int len = 0;

    if (key->is_chacha) {
        if (EVP_EncryptInit_ex2(key->ctx, NULL, NULL, sample, NULL) != 1)
            return failed();
        sample = zeros;
    }
    if (EVP_EncryptUpdate(key->ctx, dst, &len, sample, KW_MASK_LEN) != 1 || len != KW_MASK_LEN)
        return failed();
    return KW_OK;
}

static void mask_free(struct kw_mask_key *key)
{
    if (key == NULL)
        return;
    (void)EVP_CIPHER_CTX_reset(key->ctx);
    slots_give(&key->slot.owner->masks, key);
}

static enum kw_status make_contexts(struct kw_openssl *ssl, struct slots *slots, size_t count)
{
    enum kw_status status = slots_init(slots, ssl, sizeof(struct kw_aead_key), count);

    for (size_t i = 0; status == KW_OK && i < count; i++) {
        struct kw_aead_key *key = slots_at(slots, i);

        key->ctx = EVP_CIPHER_CTX_new();
        if (key->ctx == NULL)
            status = KW_ERR_MEMORY;
    }
    return status;
}

static void free_contexts(struct slots *slots)
{
    for (size_t i = 0; slots->memory != NULL && i < slots->count; i++)
        EVP_CIPHER_CTX_free(((struct kw_aead_key *)slots_at(slots, i))->ctx);
    slots_deinit(slots);
}

enum kw_status cipher_part_init(struct kw_openssl *ssl, const struct kw_openssl_config *config)
{
    static const char *const aead_names[KW_AEAD_COUNT] = {"AES-128-GCM", "AES-256-GCM",
                                                          "ChaCha20-Poly1305"};
    static const char *const mask_names[KW_AEAD_COUNT] = {"AES-128-ECB", "AES-256-ECB", "ChaCha20"};
    /*
     * An association reads with two epochs (RFC 9147, section 5.11: the old one while records are
     * under way) and writes with two (a KeyUpdate that waits for its ACK); a handshake has both
     * directions of its own epoch beside them. SRTP derives with a mask key and keeps one of each.
     */
    size_t count = 4 * config->associations + 2 * config->handshakes + 4 + config->srtp_keys;
    enum kw_status status;

    ssl->ops.aead_new = aead_new;
    ssl->ops.aead_seal = aead_seal;
    ssl->ops.aead_open = aead_open;
    ssl->ops.aead_free = aead_free;
    ssl->ops.mask_new = mask_new;
    ssl->ops.mask = mask;
    ssl->ops.mask_free = mask_free;

    for (size_t i = 0; i < KW_AEAD_COUNT; i++) {
        ssl->aead[i] = EVP_CIPHER_fetch(NULL, aead_names[i], NULL);
        ssl->mask[i] = EVP_CIPHER_fetch(NULL, mask_names[i], NULL);
        if (ssl->aead[i] == NULL || ssl->mask[i] == NULL)
            return failed();
    }
    status = make_contexts(ssl, &ssl->aeads, count);
    return status == KW_OK ? make_contexts(ssl, &ssl->masks, count) : status;
}

void cipher_part_deinit(struct kw_openssl *ssl)
{
    free_contexts(&ssl->aeads);
    free_contexts(&ssl->masks);
    for (size_t i = 0; i < KW_AEAD_COUNT; i++) {
        EVP_CIPHER_free(ssl->aead[i]);
        EVP_CIPHER_free(ssl->mask[i]);
    }
}
