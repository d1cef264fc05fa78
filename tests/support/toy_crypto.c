/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything stands on one keyed mixing function (four words, add-rotate-xor) and on powers of a
 * generator modulo the prime 2^61 - 1: Diffie-Hellman for key exchange, Schnorr for signatures.
 */
#include "support/toy_crypto.h"

#include "base/assert.h"
#include "crypto/cert.h"

#include <stdlib.h>
#include <string.h>

struct mix {
    uint64_t s[4];
    uint8_t held[8];
    size_t held_len;
    uint64_t total;
};

struct toy {
    struct kw_crypto base; /* first */
    uint64_t random;
    size_t live;
};

struct kw_digest {
    struct toy *owner;
    enum kw_hash hash;
    struct mix mix;
};

struct kw_aead_key {
    struct toy *owner;
    struct mix keyed;
    bool for_sealing;
};

struct kw_mask_key {
    struct toy *owner;
    struct mix keyed;
};

struct kw_kx {
    struct toy *owner;
    enum kw_group group;
    uint64_t secret;
};

struct kw_identity {
    struct toy *owner;
    unsigned holds;
    uint64_t secret;
    size_t cert_len;
    uint8_t cert[512];
};

static const uint64_t prime = (UINT64_C(1) << 61) - 1;

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void mix_round(uint64_t s[4])
{
    s[0] += s[1];
    s[2] += s[3];
    s[1] = rotate(s[1], 13) ^ s[0];
    s[3] = rotate(s[3], 16) ^ s[2];
    s[0] = rotate(s[0], 32) + s[3];
    s[2] += s[1];
    s[3] = rotate(s[3], 21) ^ s[0];
    s[1] = rotate(s[1], 17) ^ s[2];
    s[2] = rotate(s[2], 32);
}

static void mix_word(struct mix *mix, uint64_t word)
{
    mix->s[3] ^= word;
    mix_round(mix->s);
    mix_round(mix->s);
    mix->s[0] ^= word;
}

static struct mix mix_start(uint64_t domain)
{
    struct mix mix = {.s = {0x6b6579776865656cU, 0x746f792063727970U, 0x746f2c206e6f7420U, domain}};

    mix_word(&mix, domain);
    return mix;
}

static void mix_bytes(struct mix *mix, const uint8_t *data, size_t len)
{
    uint64_t word;

    mix->total += len;
    while (len > 0 && (mix->held_len > 0 || len < 8)) {
        mix->held[mix->held_len++] = *data++;
        len--;
        if (mix->held_len == 8) {
            memcpy(&word, mix->held, 8);
            mix_word(mix, word);
            mix->held_len = 0;
        }
    }
    for (; len >= 8; data += 8, len -= 8) {
        memcpy(&word, data, 8);
        mix_word(mix, word);
    }
    if (len > 0) {
        memcpy(mix->held, data, len);
        mix->held_len = len;
    }
}

/* Ends a copy; the original may go on. */
static void mix_end(struct mix mix, uint8_t *dst, size_t len)
{
    uint8_t tail[8] = {0};
    uint64_t word;

    memcpy(tail, mix.held, mix.held_len);
    memcpy(&word, tail, 8);
    mix_word(&mix, word);
    mix_word(&mix, mix.total);
    mix.s[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix_round(mix.s);
    while (len > 0) {
        size_t piece = KW_MIN(len, sizeof word);

        mix_round(mix.s);
        word = mix.s[0] ^ mix.s[1] ^ mix.s[2] ^ mix.s[3];
        memcpy(dst, &word, piece);
        dst += piece;
        len -= piece;
    }
}

static uint64_t mix_end_word(struct mix mix)
{
    uint64_t word;

    mix_end(mix, (uint8_t *)&word, sizeof word);
    return word;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    __extension__ typedef unsigned __int128 wide;

    return (uint64_t)((wide)a * b % modulus);
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;

    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1)
            result = multiply(result, base, prime);
        base = multiply(base, base, prime);
    }
    return result;
}

static uint64_t new_scalar(struct toy *toy)
{
    return next_random(&toy->random) % (prime - 2) + 1;
}

static struct toy *toy_of(struct kw_crypto *crypto)
{
    return (struct toy *)(void *)crypto;
}

static void *make(struct toy *toy, size_t size)
{
    void *object = calloc(1, size);

    if (object != NULL)
        toy->live++;
    return object;
}

static void end(struct toy *toy, void *object)
{
    toy->live--;
    free(object);
}

static enum kw_status digest_new(struct kw_crypto *crypto, enum kw_hash hash,
                                 struct kw_digest **ret)
{
    struct kw_digest *digest = make(toy_of(crypto), sizeof *digest);

    if (digest == NULL)
        return KW_ERR_MEMORY;
    *digest = (struct kw_digest){toy_of(crypto), hash, mix_start(0x100U + hash)};
    *ret = digest;
    return KW_OK;
}

static enum kw_status digest_update(struct kw_digest *digest, struct kw_bytes data)
{
    mix_bytes(&digest->mix, data.data, data.len);
    return KW_OK;
}

static enum kw_status digest_peek(const struct kw_digest *digest, uint8_t *dst)
{
    mix_end(digest->mix, dst, kw_hash_len(digest->hash));
    return KW_OK;
}

static void digest_free(struct kw_digest *digest)
{
    if (digest != NULL)
        end(digest->owner, digest);
}

static void mac(uint64_t domain, struct kw_bytes key, const struct kw_bytes *parts,
                size_t part_count, uint8_t *dst, size_t dst_len)
{
    struct mix mix = mix_start(domain);

    mix_word(&mix, key.len);
    mix_bytes(&mix, key.data, key.len);
    for (size_t i = 0; i < part_count; i++)
        mix_bytes(&mix, parts[i].data, parts[i].len);
    mix_end(mix, dst, dst_len);
}

static enum kw_status hmac(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                           const struct kw_bytes *parts, size_t part_count, uint8_t *dst)
{
    (void)crypto;
    mac(0x200U + hash, key, parts, part_count, dst, kw_hash_len(hash));
    return KW_OK;
}

static enum kw_status hmac_sha1(struct kw_crypto *crypto, struct kw_bytes key,
                                const struct kw_bytes *parts, size_t part_count,
                                uint8_t dst[KW_SHA1_LEN])
{
    (void)crypto;
    mac(0x2ff, key, parts, part_count, dst, KW_SHA1_LEN);
    return KW_OK;
}

static enum kw_status aead_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret)
{
    struct kw_aead_key *made = make(toy_of(crypto), sizeof *made);

    if (made == NULL)
        return KW_ERR_MEMORY;
    *made = (struct kw_aead_key){toy_of(crypto), mix_start(0x300U + aead), for_sealing};
    mix_bytes(&made->keyed, key, kw_aead_info(aead)->key_len);
    *ret = made;
    return KW_OK;
}

static void aead_stream(const struct kw_aead_key *key, const uint8_t *nonce, uint8_t *body,
                        size_t len)
{
    struct mix mix = key->keyed;
    uint64_t state, word;

    mix_bytes(&mix, nonce, KW_NONCE_LEN);
    state = mix_end_word(mix);
    for (size_t i = 0; i < len; i += 8) {
        uint8_t block[8];

        word = next_random(&state);
        memcpy(block, &word, 8);
        for (size_t j = i; j < len && j < i + 8; j++)
            body[j] ^= block[j - i];
    }
}

static void aead_tag(const struct kw_aead_key *key, const uint8_t *nonce, struct kw_bytes aad,
                     const uint8_t *body, size_t body_len, uint8_t tag[KW_TAG_LEN])
{
    struct mix mix = key->keyed;

    mix_bytes(&mix, nonce, KW_NONCE_LEN);
    mix_word(&mix, aad.len);
    mix_bytes(&mix, aad.data, aad.len);
    mix_bytes(&mix, body, body_len);
    mix_end(mix, tag, KW_TAG_LEN);
}

static enum kw_status aead_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN])
{
    KW_ASSERT(key->for_sealing);
    aead_stream(key, nonce, body, body_len);
    aead_tag(key, nonce, aad, body, body_len, tag);
    return KW_OK;
}

static enum kw_status aead_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    uint8_t expected[KW_TAG_LEN];

    KW_ASSERT(!key->for_sealing);
    aead_tag(key, nonce, aad, body, body_len, expected);
    *verdict = memcmp(expected, tag, KW_TAG_LEN) == 0 ? KW_ACCEPT : KW_DROP_FORGED;
    if (*verdict == KW_ACCEPT)
        aead_stream(key, nonce, body, body_len);
    else if (body_len != 0)
        memset(body, 0, body_len); /* as the real provider does */
    return KW_OK;
}

static void aead_free(struct kw_aead_key *key)
{
    if (key != NULL)
        end(key->owner, key);
}

static enum kw_status mask_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret)
{
    struct kw_mask_key *made = make(toy_of(crypto), sizeof *made);

    if (made == NULL)
        return KW_ERR_MEMORY;
    *made = (struct kw_mask_key){toy_of(crypto), mix_start(0x400U + aead)};
    mix_bytes(&made->keyed, key, kw_aead_info(aead)->key_len);
    *ret = made;
    return KW_OK;
}

static enum kw_status mask(struct kw_mask_key *key, const uint8_t sample[KW_MASK_LEN],
                           uint8_t dst[KW_MASK_LEN])
{
    struct mix mix = key->keyed;

    mix_bytes(&mix, sample, KW_MASK_LEN);
    mix_end(mix, dst, KW_MASK_LEN);
    return KW_OK;
}

static void mask_free(struct kw_mask_key *key)
{
    if (key != NULL)
        end(key->owner, key);
}

static const struct exchange {
    enum kw_group group;
    size_t offer_len, answer_len, secret_len;
} exchanges[] = {
    {KW_GROUP_P256, 65, 65, 32},
    {KW_GROUP_P384, 97, 97, 48},
    {KW_GROUP_X25519, 32, 32, 32},
    {KW_GROUP_X25519MLKEM768, 1216, 1120, 64},
};

static const struct exchange *find_exchange(enum kw_group group)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(exchanges); i++) {
        if (exchanges[i].group == group)
            return &exchanges[i];
    }
    return NULL;
}

/* [04] value filler; the filler is a function of value, group and length. */
static void write_share(enum kw_group group, uint64_t value, uint8_t *share, size_t len)
{
    size_t at = group == KW_GROUP_P256 || group == KW_GROUP_P384 ? 1 : 0;
    struct mix mix = mix_start(0x500U + group + len);

    share[0] = 0x04;
    memcpy(share + at, &value, 8);
    mix_word(&mix, value);
    mix_end(mix, share + at + 8, len - at - 8);
}

static bool read_share(enum kw_group group, struct kw_bytes share, uint64_t *value)
{
    size_t at = group == KW_GROUP_P256 || group == KW_GROUP_P384 ? 1 : 0;
    uint8_t expected[KW_KX_SHARE_MAX];

    memcpy(value, share.data + at, 8);
    if (group == KW_GROUP_X25519) {
        *value %= prime;
        return *value != 0;
    }
    write_share(group, *value, expected, share.len);
    return *value != 0 && *value < prime && memcmp(expected, share.data, share.len) == 0;
}

static enum kw_status agree(enum kw_group group, uint64_t secret, struct kw_bytes peer,
                            size_t expected_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    const struct exchange *exchange = find_exchange(group);
    struct mix mix = mix_start(0x600U + group);
    uint64_t value;

    *verdict = KW_DROP_MALFORMED;
    if (peer.len != expected_len || !read_share(group, peer, &value))
        return KW_OK;
    *ret = (struct kw_secret){.len = (uint8_t)exchange->secret_len};
    mix_word(&mix, power(value, secret));
    mix_end(mix, ret->bytes, ret->len);
    *verdict = KW_ACCEPT;
    return KW_OK;
}

static bool has_group(const struct kw_crypto *crypto, enum kw_group group)
{
    (void)crypto;
    return find_exchange(group) != NULL;
}

static enum kw_status kx_offer(struct kw_crypto *crypto, enum kw_group group, struct kw_kx **ret,
                               uint8_t share[KW_KX_SHARE_MAX], size_t *share_len)
{
    const struct exchange *exchange = find_exchange(group);
    struct kw_kx *kx;

    if (exchange == NULL)
        return KW_ERR_INPUT;
    kx = make(toy_of(crypto), sizeof *kx);
    if (kx == NULL)
        return KW_ERR_MEMORY;
    *kx = (struct kw_kx){toy_of(crypto), group, new_scalar(toy_of(crypto))};
    write_share(group, power(3, kx->secret), share, exchange->offer_len);
    *share_len = exchange->offer_len;
    *ret = kx;
    return KW_OK;
}

static enum kw_status kx_finish(struct kw_kx *kx, struct kw_bytes peer_share, struct kw_secret *ret,
                                enum kw_verdict *verdict)
{
    return agree(kx->group, kx->secret, peer_share, find_exchange(kx->group)->answer_len, ret,
                 verdict);
}

static void kx_free(struct kw_kx *kx)
{
    if (kx != NULL)
        end(kx->owner, kx);
}

static enum kw_status kx_answer(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    const struct exchange *exchange = find_exchange(group);
    uint64_t secret = new_scalar(toy_of(crypto));

    if (exchange == NULL)
        return KW_ERR_INPUT;
    write_share(group, power(3, secret), share, exchange->answer_len);
    *share_len = exchange->answer_len;
    return agree(group, secret, peer_share, exchange->offer_len, ret, verdict);
}

/* Schnorr: R = g^k, e = H(R, message), s = k + e x. */
static uint64_t challenge(uint64_t commitment, struct kw_bytes message)
{
    struct mix mix = mix_start(0x700);

    mix_word(&mix, commitment);
    mix_bytes(&mix, message.data, message.len);
    return mix_end_word(mix) % (prime - 1);
}

/* 70, 71 or 72 bytes, as ECDSA signatures are. */
static size_t write_signature(uint64_t commitment, uint64_t s, uint8_t *dst)
{
    struct mix mix = mix_start(0x800);
    size_t len = 70 + commitment % 3;

    memcpy(dst, &commitment, 8);
    memcpy(dst + 8, &s, 8);
    mix_bytes(&mix, dst, 16);
    mix_end(mix, dst + 16, len - 16);
    return len;
}

static enum kw_status sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len)
{
    uint64_t k = new_scalar(identity->owner), commitment = power(3, k);
    uint64_t e = challenge(commitment, message);

    if (scheme != KW_SIG_ECDSA_P256_SHA256)
        return KW_ERR_INPUT;
    *dst_len = write_signature(commitment,
                               (k + multiply(e, identity->secret, prime - 1)) % (prime - 1), dst);
    return KW_OK;
}

static enum kw_status verify(struct kw_crypto *crypto, struct kw_bytes certificate,
                             enum kw_sigscheme scheme, struct kw_bytes message,
                             struct kw_bytes signature, enum kw_verdict *verdict)
{
    uint8_t expected[KW_SIGNATURE_MAX];
    struct kw_cert_key key;
    uint64_t public_value, commitment, s;

    (void)crypto;
    *verdict = KW_DROP_MALFORMED;
    if (kw_cert_parse(certificate, &key) != KW_ACCEPT || scheme != KW_SIG_ECDSA_P256_SHA256 ||
        key.type != KW_CERT_P256 || !read_share(KW_GROUP_P256, key.point, &public_value))
        return KW_OK;

    *verdict = KW_DROP_FORGED;
    if (signature.len < 70 || signature.len > 72)
        return KW_OK;
    memcpy(&commitment, signature.data, 8);
    memcpy(&s, signature.data + 8, 8);
    if (commitment == 0 || commitment >= prime || s >= prime - 1 ||
        write_signature(commitment, s, expected) != signature.len ||
        memcmp(expected, signature.data, signature.len) != 0)
        return KW_OK;
    if (power(3, s) ==
        multiply(commitment, power(public_value, challenge(commitment, message)), prime))
        *verdict = KW_ACCEPT;
    return KW_OK;
}

static enum kw_status identity_new(struct kw_crypto *crypto, kw_utc_ms now,
                                   struct kw_identity **ret)
{
    struct kw_identity *identity = make(toy_of(crypto), sizeof *identity);
    struct kw_cert_fields fields = {
        .not_before = now,
        .not_after = now + INT64_C(30) * 86400000,
    };
    uint8_t tbs[KW_CERT_TBS_MAX], signature[KW_SIGNATURE_MAX];
    size_t tbs_len, signature_len = 0;
    uint64_t serial;

    if (identity == NULL)
        return KW_ERR_MEMORY;
    identity->owner = toy_of(crypto);
    identity->holds = 1;
    identity->secret = new_scalar(identity->owner);
    serial = next_random(&identity->owner->random);
    memcpy(fields.serial, &serial, sizeof serial);
    write_share(KW_GROUP_P256, power(3, identity->secret), fields.point, sizeof fields.point);

    tbs_len = kw_cert_write_tbs(&fields, tbs, sizeof tbs);
    kw_status_ignore(sign(identity, KW_SIG_ECDSA_P256_SHA256, (struct kw_bytes){tbs, tbs_len},
                          signature, &signature_len)); /* cannot fail */
    identity->cert_len =
        kw_cert_write((struct kw_bytes){tbs, tbs_len}, (struct kw_bytes){signature, signature_len},
                      identity->cert, sizeof identity->cert);
    KW_ASSERT(identity->cert_len != 0);
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

static void identity_free(struct kw_identity *identity)
{
    if (identity != NULL && --identity->holds == 0)
        end(identity->owner, identity);
}

static const struct kw_crypto_ops toy_ops = {
    .name = "toy",
    .digest_new = digest_new,
    .digest_update = digest_update,
    .digest_peek = digest_peek,
    .digest_free = digest_free,
    .hmac = hmac,
    .hmac_sha1 = hmac_sha1,
    .aead_new = aead_new,
    .aead_seal = aead_seal,
    .aead_open = aead_open,
    .aead_free = aead_free,
    .mask_new = mask_new,
    .mask = mask,
    .mask_free = mask_free,
    .kx_offer = kx_offer,
    .kx_finish = kx_finish,
    .kx_free = kx_free,
    .kx_answer = kx_answer,
    .has_group = has_group,
    .identity_new = identity_new,
    .identity_hold = identity_hold,
    .identity_certificate = identity_certificate,
    .identity_free = identity_free,
    .sign = sign,
    .verify = verify,
};

struct kw_crypto *toy_crypto_new(uint64_t seed)
{
    struct toy *toy = calloc(1, sizeof *toy);

    KW_ASSERT(toy != NULL);
    toy->base.ops = &toy_ops;
    toy->random = seed ^ 0x746f79U;
    return &toy->base;
}

void toy_crypto_free(struct kw_crypto *crypto)
{
    free(crypto);
}

size_t toy_crypto_live(const struct kw_crypto *crypto)
{
    return ((const struct toy *)(const void *)crypto)->live;
}

static enum kw_status random_fill(void *ctx, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = next_random(ctx);

        memcpy(dst + i, &word, KW_MIN(len - i, sizeof word));
    }
    return KW_OK;
}

struct kw_random toy_random(uint64_t *state)
{
    return (struct kw_random){.fill = random_fill, .ctx = state};
}
