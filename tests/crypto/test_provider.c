/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every provider has to do, whichever it is: round trips, refusals and bounds. The argument
 * names the provider: openssl, toy, or faulty (which forwards to toy and never fails here).
 */
#include <keywheel/openssl.h>

#include "check.h"
#include "support/faulty_crypto.h"
#include "support/toy_crypto.h"

#include <stdlib.h>
#include <string.h>

static const struct kw_openssl_config small = {.associations = 2, .handshakes = 2, .srtp_keys = 1};
static const kw_utc_ms today = INT64_C(1795426526000); /* 2026-11-23 */

static enum { OPENSSL, TOY, FAULTY } which;
static struct kw_crypto *inner;

static struct kw_crypto *provider(void)
{
    struct kw_crypto *crypto = NULL;

    if (which == OPENSSL)
        assert_int_equal(kw_openssl_new(&small, &crypto), KW_OK);
    else
        crypto = inner = toy_crypto_new(1);
    return which == FAULTY ? faulty_crypto_new(inner) : crypto;
}

static void provider_free(struct kw_crypto *crypto)
{
    if (which == OPENSSL) {
        kw_openssl_free(crypto);
        return;
    }
    if (which == FAULTY) {
        assert_int_equal(faulty_crypto_live(crypto), 0);
        faulty_crypto_free(crypto);
    }
    assert_int_equal(toy_crypto_live(inner), 0);
    toy_crypto_free(inner);
}

static void hash_can_be_peeked(void **state)
{
    struct kw_crypto *crypto = provider();
    struct kw_digest *digest;
    uint8_t early[64], late[64], once[64];

    (void)state;
    for (enum kw_hash hash = KW_SHA256; hash < KW_HASH_COUNT; hash++) {
        struct kw_bytes abc = {(const uint8_t *)"abc", 3}, ab = {(const uint8_t *)"ab", 2};
        struct kw_bytes c = {(const uint8_t *)"c", 1};

        assert_int_equal(crypto->ops->digest_new(crypto, hash, &digest), KW_OK);
        assert_int_equal(crypto->ops->digest_update(digest, ab), KW_OK);
        assert_int_equal(crypto->ops->digest_peek(digest, early), KW_OK);
        assert_int_equal(kw_crypto_hash(crypto, hash, ab, once), KW_OK);
        assert_memory_equal(early, once, kw_hash_len(hash));
        assert_int_equal(crypto->ops->digest_update(digest, c), KW_OK);
        assert_int_equal(crypto->ops->digest_peek(digest, late), KW_OK);
        assert_int_equal(kw_crypto_hash(crypto, hash, abc, once), KW_OK);
        assert_memory_equal(late, once, kw_hash_len(hash));
        crypto->ops->digest_free(digest);
    }
    provider_free(crypto);
}

static void aead_detects_every_change(void **state)
{
    struct kw_crypto *crypto = provider();

    (void)state;
    for (enum kw_aead aead = KW_AES_128_GCM; aead < KW_AEAD_COUNT; aead++) {
        uint8_t key[KW_KEY_MAX] = {1}, nonce[KW_NONCE_LEN] = {2}, aad[5] = {3};
        uint8_t body[40], plain[40], tag[KW_TAG_LEN];
        struct kw_aead_key *seal, *open;
        enum kw_verdict verdict;

        memset(plain, 0x5a, sizeof plain);
        memcpy(body, plain, sizeof body);
        assert_int_equal(crypto->ops->aead_new(crypto, aead, key, true, &seal), KW_OK);
        assert_int_equal(crypto->ops->aead_new(crypto, aead, key, false, &open), KW_OK);
        assert_int_equal(crypto->ops->aead_seal(seal, nonce, (struct kw_bytes){aad, sizeof aad},
                                                body, sizeof body, tag),
                         KW_OK);
        assert_memory_not_equal(body, plain, sizeof body);

        for (size_t i = 0; i < sizeof body + sizeof tag + sizeof aad + sizeof nonce; i++) {
            uint8_t b[40], t[KW_TAG_LEN], a[5], n[KW_NONCE_LEN];
            uint8_t *at[] = {b, t, a, n};
            size_t lens[] = {sizeof b, sizeof t, sizeof a, sizeof n}, field = 0, pos = i;

            memcpy(b, body, sizeof b);
            memcpy(t, tag, sizeof t);
            memcpy(a, aad, sizeof a);
            memcpy(n, nonce, sizeof n);
            for (; pos >= lens[field]; field++)
                pos -= lens[field];
            at[field][pos] ^= 0x10;
            assert_int_equal(crypto->ops->aead_open(open, n, (struct kw_bytes){a, sizeof a}, b,
                                                    sizeof b, t, &verdict),
                             KW_OK);
            CHECK(verdict == KW_DROP_FORGED, "aead %d, byte %zu", (int)aead, i);
            for (size_t j = 0; j < sizeof b; j++)
                CHECK(b[j] == 0, "aead %d leaves plaintext of a forgery", (int)aead);
        }
        assert_int_equal(crypto->ops->aead_open(open, nonce, (struct kw_bytes){aad, sizeof aad},
                                                body, sizeof body, tag, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        assert_memory_equal(body, plain, sizeof body);

        /* Nothing to protect but a header, and nothing at all. */
        assert_int_equal(
            crypto->ops->aead_seal(seal, nonce, (struct kw_bytes){aad, sizeof aad}, NULL, 0, tag),
            KW_OK);
        assert_int_equal(crypto->ops->aead_open(open, nonce, (struct kw_bytes){aad, sizeof aad},
                                                NULL, 0, tag, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        assert_int_equal(
            crypto->ops->aead_seal(seal, nonce, (struct kw_bytes){NULL, 0}, NULL, 0, tag), KW_OK);
        assert_int_equal(
            crypto->ops->aead_open(open, nonce, (struct kw_bytes){NULL, 0}, NULL, 0, tag, &verdict),
            KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        crypto->ops->aead_free(seal);
        crypto->ops->aead_free(open);
    }
    provider_free(crypto);
}

enum { MIXED = 5 };

struct mixed {
    struct kw_aead_key *seal, *open;
    struct kw_mask_key *mask;
    uint8_t body[20], tag[KW_TAG_LEN], masked[KW_MASK_LEN];
};

static void mixed_new(struct kw_crypto *crypto, enum kw_aead aead, uint8_t id, struct mixed *ret)
{
    uint8_t key[KW_KEY_MAX] = {id};

    assert_int_equal(crypto->ops->aead_new(crypto, aead, key, true, &ret->seal), KW_OK);
    assert_int_equal(crypto->ops->aead_new(crypto, aead, key, false, &ret->open), KW_OK);
    assert_int_equal(crypto->ops->mask_new(crypto, aead, key, &ret->mask), KW_OK);
}

static void mixed_free(struct kw_crypto *crypto, struct mixed *mixed)
{
    crypto->ops->aead_free(mixed->seal);
    crypto->ops->aead_free(mixed->open);
    crypto->ops->mask_free(mixed->mask);
}

static void mixed_use(struct kw_crypto *crypto, const struct mixed *mixed, uint8_t round,
                      struct mixed *ret)
{
    const struct kw_bytes none = {NULL, 0};
    uint8_t nonce[KW_NONCE_LEN] = {round};
    uint8_t sample[KW_MASK_LEN] = {round}, opened[sizeof ret->body];
    enum kw_verdict verdict = KW_DROP_INTERNAL;

    memset(ret->body, 0x33, sizeof ret->body);
    assert_int_equal(crypto->ops->mask(mixed->mask, sample, ret->masked), KW_OK);
    assert_int_equal(
        crypto->ops->aead_seal(mixed->seal, nonce, none, ret->body, sizeof ret->body, ret->tag),
        KW_OK);
    memcpy(opened, ret->body, sizeof opened);
    assert_int_equal(
        crypto->ops->aead_open(mixed->open, nonce, none, opened, sizeof opened, ret->tag, &verdict),
        KW_OK);
    assert_int_equal(verdict, KW_ACCEPT);
    assert_int_equal(opened[0], 0x33);
}

/* What a key gives does not depend on whose turn was before, nor on who had its place before. */
static void keys_do_not_mix(void **state)
{
    struct kw_crypto *crypto = provider();
    struct mixed alone[MIXED], keys[MIXED], got;

    (void)state;
    for (enum kw_aead aead = KW_AES_128_GCM; aead < KW_AEAD_COUNT; aead++) {
        for (uint8_t i = 0; i < MIXED; i++) {
            mixed_new(crypto, aead, (uint8_t)(i + 1), &keys[0]);
            mixed_use(crypto, &keys[0], i, &alone[i]);
            mixed_free(crypto, &keys[0]);
        }
        for (uint8_t i = 0; i < MIXED; i++)
            mixed_new(crypto, aead, (uint8_t)(i + 1), &keys[i]);
        for (unsigned turn = 0; turn < 40; turn++) {
            uint8_t i = (uint8_t)(turn * 3 % MIXED);

            mixed_use(crypto, &keys[i], i, &got);
            CHECK(memcmp(got.body, alone[i].body, sizeof got.body) == 0 &&
                      memcmp(got.tag, alone[i].tag, sizeof got.tag) == 0 &&
                      memcmp(got.masked, alone[i].masked, sizeof got.masked) == 0,
                  "%s, key %d, turn %u", kw_aead_info(aead)->name, i, turn);
            if (turn % 7 == 0) {
                mixed_free(crypto, &keys[i]);
                mixed_new(crypto, aead, (uint8_t)(i + 1), &keys[i]);
            }
        }
        for (uint8_t i = 0; i < MIXED; i++)
            mixed_free(crypto, &keys[i]);
    }
    provider_free(crypto);
}

static const struct {
    enum kw_group group;
    size_t offer_len, answer_len, secret_len;
} groups[] = {
    {KW_GROUP_P256, 65, 65, 32},
    {KW_GROUP_P384, 97, 97, 48},
    {KW_GROUP_X25519, 32, 32, 32},
    {KW_GROUP_X25519MLKEM768, 1216, 1120, 64},
};

static void exchanges_agree(void **state)
{
    struct kw_crypto *crypto = provider();

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(groups) * 3; i++) {
        enum kw_group group = groups[i / 3].group;
        uint8_t offer[KW_KX_SHARE_MAX], answer[KW_KX_SHARE_MAX];
        size_t offer_len, answer_len;
        struct kw_secret a = {0}, b = {0};
        enum kw_verdict verdict;
        struct kw_kx *kx;

        assert_true(crypto->ops->has_group(crypto, group));
        assert_int_equal(crypto->ops->kx_offer(crypto, group, &kx, offer, &offer_len), KW_OK);
        assert_int_equal(offer_len, groups[i / 3].offer_len);
        assert_int_equal(crypto->ops->kx_answer(crypto, group, (struct kw_bytes){offer, offer_len},
                                                answer, &answer_len, &a, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        assert_int_equal(answer_len, groups[i / 3].answer_len);
        assert_int_equal(
            crypto->ops->kx_finish(kx, (struct kw_bytes){answer, answer_len}, &b, &verdict), KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        assert_int_equal(a.len, groups[i / 3].secret_len);
        assert_memory_equal(&a, &b, sizeof a);
        crypto->ops->kx_free(kx);
    }
    provider_free(crypto);
}

enum { FROM_CLIENT = 1, FROM_SERVER = 2, FROM_BOTH = 3 };

/* Bytes [at, at + len) of a good share are set to `value`, and its length changes by `longer`. */
static const struct {
    enum kw_group group;
    int from;
    size_t at, len;
    int value;
    int longer;
    const char *why;
} bad_shares[] = {
    {KW_GROUP_P256, FROM_BOTH, 0, 0, 0, -1, "too short"},
    {KW_GROUP_P256, FROM_BOTH, 0, 0, 0, 1, "too long"},
    {KW_GROUP_P256, FROM_BOTH, 0, 0, 0, -65, "empty"},
    {KW_GROUP_P256, FROM_BOTH, 1, 64, 0, 0, "zero is not on the curve"},
    {KW_GROUP_P256, FROM_BOTH, 1, 32, 0xff, 0, "coordinate beyond the field"},
    {KW_GROUP_P256, FROM_BOTH, 40, 4, 0x55, 0, "off the curve"},
    {KW_GROUP_P256, FROM_BOTH, 0, 1, 0x06, 0, "hybrid form"},
    {KW_GROUP_P256, FROM_BOTH, 0, 1, 0x00, 0, "the point at infinity"},
    {KW_GROUP_P256, FROM_BOTH, 0, 1, 0x02, -32, "compressed form"},
    {KW_GROUP_P384, FROM_BOTH, 0, 0, 0, -1, "too short"},
    {KW_GROUP_P384, FROM_BOTH, 1, 96, 0, 0, "zero is not on the curve"},
    {KW_GROUP_P384, FROM_BOTH, 60, 4, 0x55, 0, "off the curve"},
    {KW_GROUP_X25519, FROM_BOTH, 0, 0, 0, -1, "too short"},
    {KW_GROUP_X25519, FROM_BOTH, 0, 0, 0, 1, "too long"},
    {KW_GROUP_X25519, FROM_BOTH, 0, 32, 0, 0, "all-zero result (RFC 8446, section 7.4.2)"},
    {KW_GROUP_X25519MLKEM768, FROM_BOTH, 0, 0, 0, -1, "too short"},
    {KW_GROUP_X25519MLKEM768, FROM_CLIENT, 0, 0, 0, -96, "as long as the server's"},
    {KW_GROUP_X25519MLKEM768, FROM_SERVER, 0, 0, 0, 96, "as long as the client's"},
    {KW_GROUP_X25519MLKEM768, FROM_CLIENT, 0, 2, 0xff, 0, "first coefficient beyond q"},
    {KW_GROUP_X25519MLKEM768, FROM_CLIENT, 1150, 2, 0xff, 0, "last coefficients beyond q"},
    {KW_GROUP_X25519MLKEM768, FROM_CLIENT, 1184, 32, 0, 0, "all-zero x25519 result"},
    {KW_GROUP_X25519MLKEM768, FROM_SERVER, 1088, 32, 0, 0, "all-zero x25519 result"},
};

static void bad_shares_are_malformed(void **state)
{
    struct kw_crypto *crypto = provider();

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(bad_shares); i++) {
        enum kw_group group = bad_shares[i].group;
        uint8_t offer[KW_KX_SHARE_MAX + 8], answer[KW_KX_SHARE_MAX + 8], made[KW_KX_SHARE_MAX];
        size_t offer_len, answer_len, made_len = 0;
        struct kw_secret good, secret = {0};
        enum kw_verdict verdict = KW_ACCEPT;
        struct kw_kx *kx;

        assert_int_equal(crypto->ops->kx_offer(crypto, group, &kx, offer, &offer_len), KW_OK);
        assert_int_equal(crypto->ops->kx_answer(crypto, group, (struct kw_bytes){offer, offer_len},
                                                answer, &answer_len, &good, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        memset(offer + bad_shares[i].at, bad_shares[i].value, bad_shares[i].len);
        memset(answer + bad_shares[i].at, bad_shares[i].value, bad_shares[i].len);
        offer_len = (size_t)((int)offer_len + bad_shares[i].longer);
        answer_len = (size_t)((int)answer_len + bad_shares[i].longer);

        if (bad_shares[i].from & FROM_CLIENT) {
            assert_int_equal(crypto->ops->kx_answer(crypto, group,
                                                    (struct kw_bytes){offer, offer_len}, made,
                                                    &made_len, &secret, &verdict),
                             KW_OK);
            CHECK(verdict == KW_DROP_MALFORMED, "row %zu from a client: %s", i, bad_shares[i].why);
        }
        if (bad_shares[i].from & FROM_SERVER) {
            verdict = KW_ACCEPT;
            assert_int_equal(crypto->ops->kx_finish(kx, (struct kw_bytes){answer, answer_len},
                                                    &secret, &verdict),
                             KW_OK);
            CHECK(verdict == KW_DROP_MALFORMED, "row %zu from a server: %s", i, bad_shares[i].why);
        }
        assert_int_equal(secret.len, 0);
        crypto->ops->kx_free(kx);
    }
    provider_free(crypto);
}

static void signatures_bind(void **state)
{
    struct kw_crypto *crypto = provider();
    struct kw_identity *ours, *other;
    uint8_t signature[KW_SIGNATURE_MAX], message[98] = {7};
    size_t len;
    struct kw_bytes signed_bytes = {message, sizeof message}, cert;
    enum kw_verdict verdict;

    (void)state;
    assert_int_equal(crypto->ops->identity_new(crypto, today, &ours), KW_OK);
    assert_int_equal(crypto->ops->identity_new(crypto, today, &other), KW_OK);
    cert = crypto->ops->identity_certificate(ours);
    assert_true(cert.len > 200 && cert.len < 400);

    for (int round = 0; round < 3; round++) {
        assert_int_equal(
            crypto->ops->sign(ours, KW_SIG_ECDSA_P256_SHA256, signed_bytes, signature, &len),
            KW_OK);
        assert_int_equal(crypto->ops->verify(crypto, cert, KW_SIG_ECDSA_P256_SHA256, signed_bytes,
                                             (struct kw_bytes){signature, len}, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        message[5]++;
        assert_int_equal(crypto->ops->verify(crypto, cert, KW_SIG_ECDSA_P256_SHA256, signed_bytes,
                                             (struct kw_bytes){signature, len}, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_DROP_FORGED);
        message[5]--;
        assert_int_equal(crypto->ops->verify(crypto, crypto->ops->identity_certificate(other),
                                             KW_SIG_ECDSA_P256_SHA256, signed_bytes,
                                             (struct kw_bytes){signature, len}, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_DROP_FORGED);
        signature[len - 1] ^= 1;
        assert_int_equal(crypto->ops->verify(crypto, cert, KW_SIG_ECDSA_P256_SHA256, signed_bytes,
                                             (struct kw_bytes){signature, len}, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_DROP_FORGED);
        assert_int_equal(crypto->ops->verify(crypto, cert, KW_SIG_ECDSA_P256_SHA256, signed_bytes,
                                             (struct kw_bytes){signature, 0}, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_DROP_FORGED);
    }
    assert_int_equal(crypto->ops->verify(crypto, cert, KW_SIG_ECDSA_P384_SHA384, signed_bytes,
                                         (struct kw_bytes){signature, len}, &verdict),
                     KW_OK);
    assert_int_equal(verdict, KW_DROP_MALFORMED);
    assert_ptr_equal(crypto->ops->identity_hold(ours), ours);
    crypto->ops->identity_free(ours);
    assert_int_equal(crypto->ops->identity_certificate(ours).len, cert.len);
    crypto->ops->identity_free(ours);
    crypto->ops->identity_free(other);
    provider_free(crypto);
}

/* Takes until a pool is empty, gives all back, and can take as many again. */
static void pools_are_bounded(void **state)
{
    struct kw_crypto *crypto = provider();
    size_t counts[2] = {0};

    (void)state;
    for (size_t round = 0; round < 2; round++) {
        struct kw_aead_key *keys[64];
        struct kw_mask_key *masks[64];
        struct kw_digest *digests[64];
        size_t key_count = 0, mask_count = 0, digest_count = 0;
        uint8_t key[32] = {9};
        enum kw_status status = KW_OK;

        while (key_count < 64 && (status = crypto->ops->aead_new(crypto, KW_AES_256_GCM, key, true,
                                                                 &keys[key_count])) == KW_OK)
            key_count++;
        assert_int_equal(status, KW_ERR_MEMORY);
        while (mask_count < 64 && (status = crypto->ops->mask_new(crypto, KW_CHACHA20_POLY1305, key,
                                                                  &masks[mask_count])) == KW_OK)
            mask_count++;
        assert_int_equal(status, KW_ERR_MEMORY);
        while (digest_count < 64 && (status = crypto->ops->digest_new(
                                         crypto, KW_SHA256, &digests[digest_count])) == KW_OK)
            digest_count++;
        assert_int_equal(status, KW_ERR_MEMORY);
        counts[round] = key_count * 10000 + mask_count * 100 + digest_count;
        while (key_count > 0)
            crypto->ops->aead_free(keys[--key_count]);
        while (mask_count > 0)
            crypto->ops->mask_free(masks[--mask_count]);
        while (digest_count > 0)
            crypto->ops->digest_free(digests[--digest_count]);
    }
    assert_true(counts[0] > 0);
    assert_int_equal(counts[0], counts[1]);
    provider_free(crypto);
}

static void *no_memory(void *ctx, size_t size)
{
    (void)ctx;
    (void)size;
    return NULL;
}

static void too_late_for_another_allocator(void **state)
{
    struct kw_openssl_memory memory = {.take = no_memory};
    struct kw_crypto *crypto = provider();

    (void)state;
    if (which == OPENSSL)
        assert_int_equal(kw_openssl_use_memory(&memory), KW_ERR_STATE);
    provider_free(crypto);
}

static void random_is_random(void **state)
{
    struct kw_random random = kw_openssl_random();
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    assert_int_equal(kw_random_fill(&random, a, sizeof a), KW_OK);
    assert_int_equal(kw_random_fill(&random, b, sizeof b), KW_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

static void objects_may_be_null(void **state)
{
    struct kw_crypto *crypto = provider();

    (void)state;
    crypto->ops->digest_free(NULL);
    crypto->ops->aead_free(NULL);
    crypto->ops->mask_free(NULL);
    crypto->ops->kx_free(NULL);
    crypto->ops->identity_free(NULL);
    provider_free(crypto);
}

/* A scenario with every kind of operation, as a stand-in for a handshake. */
static enum kw_status scenario(struct kw_crypto *crypto)
{
    uint8_t share[KW_KX_SHARE_MAX], answer[KW_KX_SHARE_MAX], digest[KW_DIGEST_MAX], tag[KW_TAG_LEN];
    uint8_t key[KW_KEY_MAX] = {1}, body[16] = {2}, nonce[KW_NONCE_LEN] = {3};
    struct kw_identity *identity = NULL;
    struct kw_aead_key *aead = NULL;
    struct kw_kx *kx = NULL;
    struct kw_secret secret;
    size_t share_len = 0, answer_len = 0;
    enum kw_verdict verdict;
    enum kw_status status = crypto->ops->identity_new(crypto, today, &identity);

    if (status == KW_OK)
        status = crypto->ops->kx_offer(crypto, KW_GROUP_X25519, &kx, share, &share_len);
    if (status == KW_OK)
        status =
            crypto->ops->kx_answer(crypto, KW_GROUP_X25519, (struct kw_bytes){share, share_len},
                                   answer, &answer_len, &secret, &verdict);
    if (status == KW_OK)
        status =
            crypto->ops->kx_finish(kx, (struct kw_bytes){answer, answer_len}, &secret, &verdict);
    if (status == KW_OK)
        status = kw_crypto_hash(crypto, KW_SHA256, (struct kw_bytes){share, share_len}, digest);
    if (status == KW_OK)
        status = crypto->ops->aead_new(crypto, KW_AES_128_GCM, key, true, &aead);
    if (status == KW_OK)
        status =
            crypto->ops->aead_seal(aead, nonce, (struct kw_bytes){NULL, 0}, body, sizeof body, tag);
    crypto->ops->aead_free(aead);
    crypto->ops->kx_free(kx);
    crypto->ops->identity_free(identity);
    return status;
}

static void faults_fire_once_each(void **state)
{
    struct kw_crypto *crypto = provider();
    size_t n = 1;

    (void)state;
    for (;; n++) {
        enum kw_status status;

        faulty_crypto_arm(crypto, n, KW_ERR_MEMORY, false);
        status = scenario(crypto);
        CHECK(faulty_crypto_live(crypto) == 0, "leak when call %zu fails", n);
        if (!faulty_crypto_fired(crypto)) {
            assert_int_equal(status, KW_OK);
            break;
        }
        CHECK(status == KW_ERR_MEMORY, "call %zu", n);
    }
    assert_int_equal(n, 10); /* nine calls */
    provider_free(crypto);
}

/* SRTP packets through the wrapper, in front of libcrypto: seal and open, then every fault. */
static enum kw_status packet_scenario(struct kw_crypto *crypto)
{
    uint8_t key[KW_KEY_MAX] = {1}, memory[12 + 64 + 2 * KW_TAG_LEN] = {0x80};
    struct kw_packet packet = {
        .aad = memory, .aad_len = 12, .body = memory + 12, .body_len = 64, .tag = memory + 12 + 64};
    struct kw_packet_key *seal = NULL, *open = NULL;
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    enum kw_status status =
        crypto->ops->packet_new(crypto, KW_SRTP_AEAD_AES_128_GCM, key, NULL, true, &seal);

    if (status == KW_OK)
        status = crypto->ops->packet_new(crypto, KW_SRTP_AEAD_AES_128_GCM, key, NULL, false, &open);
    if (status == KW_OK)
        status = crypto->ops->packet_seal(seal, &packet);
    if (status == KW_OK)
        status = crypto->ops->packet_verify(open, &packet, &verdict);
    if (status == KW_OK && verdict == KW_ACCEPT)
        status = crypto->ops->packet_open(open, &packet, &verdict);
    if (status == KW_OK && verdict != KW_ACCEPT)
        status = KW_ERR_STATE;
    crypto->ops->packet_free(open);
    crypto->ops->packet_free(seal);
    return status;
}

static void packet_faults_fire_once_each(void **state)
{
    struct kw_openssl_config config = {.associations = 1, .handshakes = 1, .srtp_keys = 2};
    struct kw_crypto *real, *crypto, *toy = toy_crypto_new(1), *bare = faulty_crypto_new(toy);
    size_t n = 1;

    (void)state;
    assert_null(bare->ops->packet_new);
    faulty_crypto_free(bare);
    toy_crypto_free(toy);

    assert_int_equal(kw_openssl_new(&config, &real), KW_OK);
    crypto = faulty_crypto_new(real);
    for (;; n++) {
        enum kw_status status;

        faulty_crypto_arm(crypto, n, KW_ERR_CRYPTO, false);
        status = packet_scenario(crypto);
        CHECK(faulty_crypto_live(crypto) == 0, "leak when call %zu fails", n);
        CHECK(status == (faulty_crypto_fired(crypto) ? KW_ERR_CRYPTO : KW_OK), "call %zu", n);
        if (!faulty_crypto_fired(crypto))
            break;
    }
    assert_int_equal(n, 6); /* five calls */
    faulty_crypto_free(crypto);
    kw_openssl_free(real);
}

static void toy_repeats_itself(void **state)
{
    uint8_t shares[2][KW_KX_SHARE_MAX];
    size_t len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kw_crypto *crypto = toy_crypto_new(77);
        struct kw_kx *kx;

        assert_int_equal(
            crypto->ops->kx_offer(crypto, KW_GROUP_X25519MLKEM768, &kx, shares[i], &len), KW_OK);
        crypto->ops->kx_free(kx);
        toy_crypto_free(crypto);
    }
    assert_memory_equal(shares[0], shares[1], len);
}

int main(int argc, char *argv[])
{
    const char *name = argc == 2 ? argv[1] : "openssl";
    struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_can_be_peeked),
        cmocka_unit_test(aead_detects_every_change),
        cmocka_unit_test(keys_do_not_mix),
        cmocka_unit_test(exchanges_agree),
        cmocka_unit_test(bad_shares_are_malformed),
        cmocka_unit_test(signatures_bind),
        cmocka_unit_test(objects_may_be_null),
        cmocka_unit_test(random_is_random),
        cmocka_unit_test(packet_faults_fire_once_each),
        cmocka_unit_test(too_late_for_another_allocator),
        cmocka_unit_test(pools_are_bounded),
    };

    if (strcmp(name, "toy") == 0) {
        which = TOY;
        tests[KW_ARRAY_LEN(tests) - 1] = (struct CMUnitTest)cmocka_unit_test(toy_repeats_itself);
    } else if (strcmp(name, "faulty") == 0) {
        which = FAULTY;
        tests[KW_ARRAY_LEN(tests) - 1] = (struct CMUnitTest)cmocka_unit_test(faults_fire_once_each);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
