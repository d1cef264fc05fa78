/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AEAD and record-number masks. A key is 32 bytes in a slot of a pool; its schedule stands in one
 * context for each algorithm and direction, which loads the key that is used next. An association
 * is idle nearly all its life, and a context of libcrypto's own would be ten times as large as its
 * key. Records come in bursts of one association, so loading is rare, and it costs less than
 * making a context did.
 *
 * Sealing, opening and masking allocate nothing, loading included. A key that goes while it is
 * loaded is overwritten in the context too.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/err.h>

#include <limits.h>
#include <string.h>

struct kw_aead_key {
    struct slot slot; /* first */
    uint8_t aead;
    bool for_sealing;
    uint8_t key[KW_KEY_MAX];
};

struct kw_mask_key {
    struct slot slot; /* first */
    uint8_t aead;
    uint8_t key[KW_KEY_MAX];
};

static enum kw_status failed(void)
{
    ERR_clear_error();
    return KW_ERR_CRYPTO;
}

/* After a failure nobody knows what the context holds. */
static enum kw_status failed_with(struct loaded *loaded)
{
    loaded->owner = NULL;
    return failed();
}

static enum kw_status load(struct loaded *loaded, const void *owner, const uint8_t *key,
                           bool for_sealing)
{
    if (loaded->owner == owner)
        return KW_OK;
    loaded->owner = NULL;
    if (EVP_CipherInit_ex2(loaded->ctx, NULL, key, NULL, for_sealing, NULL) != 1)
        return failed();
    loaded->owner = owner;
    return KW_OK;
}

/*
 * Overwrites a schedule with that of no secret. The block behind it overwrites what the first
 * block of a message makes: the key of Poly1305, the rest of a ChaCha20 block.
 */
static void unload(struct loaded *loaded, bool for_sealing)
{
    static const uint8_t zeros[KW_KEY_MAX];
    uint8_t none[KW_MASK_LEN];
    int len;

    loaded->owner = NULL;
    if (EVP_CipherInit_ex2(loaded->ctx, NULL, zeros, zeros, for_sealing, NULL) != 1 ||
        EVP_CipherUpdate(loaded->ctx, none, &len, zeros, sizeof none) != 1)
        ERR_clear_error(); /* nothing better can be done: the context has no owner */
}

static struct loaded *aead_loaded(const struct kw_aead_key *key)
{
    return &key->slot.owner->aead_loaded[key->aead][key->for_sealing];
}

static enum kw_status aead_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret)
{
    struct kw_aead_key *made = slots_take(&openssl_of(crypto)->aeads);

    if (made == NULL)
        return KW_ERR_MEMORY;
    made->aead = (uint8_t)aead;
    made->for_sealing = for_sealing;
    memcpy(made->key, key, kw_aead_info(aead)->key_len);
    *ret = made;
    return KW_OK;
}

static enum kw_status aead_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN])
{
    struct loaded *loaded = aead_loaded(key);
    EVP_CIPHER_CTX *ctx = loaded->ctx;
    int len;
    enum kw_status status = load(loaded, key, key->key, true);

    KW_ASSERT(key->for_sealing && aad.len <= INT_MAX && body_len <= INT_MAX);
    if (status != KW_OK)
        return status;
    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1)
        return failed_with(loaded);
    if (aad.len != 0 && EVP_EncryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) != 1)
        return failed_with(loaded);
    if (body_len != 0 && EVP_EncryptUpdate(ctx, body, &len, body, (int)body_len) != 1)
        return failed_with(loaded);
    if (EVP_EncryptFinal_ex(ctx, tag, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KW_TAG_LEN, tag) != 1)
        return failed_with(loaded);
    return KW_OK;
}

static enum kw_status aead_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    struct loaded *loaded = aead_loaded(key);
    EVP_CIPHER_CTX *ctx = loaded->ctx;
    uint8_t expected[KW_TAG_LEN];
    int len;
    enum kw_status status = load(loaded, key, key->key, false);

    KW_ASSERT(!key->for_sealing && aad.len <= INT_MAX && body_len <= INT_MAX);
    if (status != KW_OK)
        return status;
    memcpy(expected, tag, sizeof expected); /* the call below takes no const */
    if (EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KW_TAG_LEN, expected) != 1)
        return failed_with(loaded);
    if (aad.len != 0 && EVP_DecryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) != 1)
        return failed_with(loaded);
    if (body_len != 0 && EVP_DecryptUpdate(ctx, body, &len, body, (int)body_len) != 1)
        return failed_with(loaded);
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
    if (aead_loaded(key)->owner == key)
        unload(aead_loaded(key), key->for_sealing);
    kw_wipe(key->key, sizeof key->key);
    slots_give(&key->slot.owner->aeads, key);
}

static struct loaded *mask_loaded(const struct kw_mask_key *key)
{
    return &key->slot.owner->mask_loaded[key->aead];
}

static enum kw_status mask_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret)
{
    struct kw_mask_key *made = slots_take(&openssl_of(crypto)->masks);

    if (made == NULL)
        return KW_ERR_MEMORY;
    made->aead = (uint8_t)aead;
    memcpy(made->key, key, kw_aead_info(aead)->key_len);
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
    struct loaded *loaded = mask_loaded(key);
    int len = 0;
    enum kw_status status = load(loaded, key, key->key, true);

    if (status != KW_OK)
        return status;
    if (key->aead == KW_CHACHA20_POLY1305) {
        if (EVP_EncryptInit_ex2(loaded->ctx, NULL, NULL, sample, NULL) != 1)
            return failed_with(loaded);
        sample = zeros;
    }
    if (EVP_EncryptUpdate(loaded->ctx, dst, &len, sample, KW_MASK_LEN) != 1 || len != KW_MASK_LEN)
        return failed_with(loaded);
    return KW_OK;
}

static void mask_free(struct kw_mask_key *key)
{
    if (key == NULL)
        return;
    if (mask_loaded(key)->owner == key)
        unload(mask_loaded(key), true);
    kw_wipe(key->key, sizeof key->key);
    slots_give(&key->slot.owner->masks, key);
}

/* Makes a context that only needs keys from now on. */
static enum kw_status make_context(struct loaded *loaded, const EVP_CIPHER *cipher,
                                   bool for_sealing)
{
    static const uint8_t zeros[KW_KEY_MAX];

    loaded->ctx = EVP_CIPHER_CTX_new();
    if (loaded->ctx == NULL)
        return KW_ERR_MEMORY;
    if (EVP_CipherInit_ex2(loaded->ctx, cipher, zeros, zeros, for_sealing, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(loaded->ctx, 0) != 1)
        return failed();
    return KW_OK;
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
        status = make_context(&ssl->mask_loaded[i], ssl->mask[i], true);
        for (size_t sealing = 0; sealing < 2 && status == KW_OK; sealing++)
            status = make_context(&ssl->aead_loaded[i][sealing], ssl->aead[i], sealing);
        if (status != KW_OK)
            return status;
    }
    status = slots_init(&ssl->aeads, ssl, sizeof(struct kw_aead_key), count);
    return status == KW_OK ? slots_init(&ssl->masks, ssl, sizeof(struct kw_mask_key), count)
                           : status;
}

void cipher_part_deinit(struct kw_openssl *ssl)
{
    slots_deinit(&ssl->aeads);
    slots_deinit(&ssl->masks);
    for (size_t i = 0; i < KW_AEAD_COUNT; i++) {
        EVP_CIPHER_CTX_free(ssl->mask_loaded[i].ctx);
        EVP_CIPHER_CTX_free(ssl->aead_loaded[i][0].ctx);
        EVP_CIPHER_CTX_free(ssl->aead_loaded[i][1].ctx);
        EVP_CIPHER_free(ssl->aead[i]);
        EVP_CIPHER_free(ssl->mask[i]);
    }
}
