/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto on the arena: handshakes' worth of primitives without growth, exhaustion without harm,
 * several threads. A program of its own, because the hook comes before anything else.
 */
#include <keywheel/openssl.h>

#include "check.h"
#include "sys/arena.h"

#include <openssl/evp.h>

#include <pthread.h>
#include <string.h>

static struct kw_arena *arena;
static struct kw_crypto *crypto;
static const kw_utc_ms today = INT64_C(1795426526000);

/* One side's work of a handshake, and the records of both epochs. */
static enum kw_status handshake(enum kw_group group)
{
    uint8_t share[KW_KX_SHARE_MAX], answer[KW_KX_SHARE_MAX], key[KW_KEY_MAX] = {1};
    uint8_t signature[KW_SIGNATURE_MAX], body[64] = {0}, tag[KW_TAG_LEN], nonce[KW_NONCE_LEN] = {0};
    struct kw_bytes message = {body, sizeof body};
    struct kw_identity *identity = NULL;
    struct kw_aead_key *seal = NULL;
    struct kw_mask_key *mask = NULL;
    struct kw_kx *kx = NULL;
    struct kw_secret secret;
    size_t share_len = 0, answer_len = 0, signature_len = 0;
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    const struct kw_crypto_ops *ops = crypto->ops;
    enum kw_status status = ops->identity_new(crypto, today, &identity);

    if (status == KW_OK)
        status = ops->kx_offer(crypto, group, &kx, share, &share_len);
    if (status == KW_OK)
        status = ops->kx_answer(crypto, group, (struct kw_bytes){share, share_len}, answer,
                                &answer_len, &secret, &verdict);
    if (status == KW_OK)
        status = ops->kx_finish(kx, (struct kw_bytes){answer, answer_len}, &secret, &verdict);
    if (status == KW_OK)
        status = ops->sign(identity, KW_SIG_ECDSA_P256_SHA256, message, signature, &signature_len);
    if (status == KW_OK)
        status = ops->verify(crypto, ops->identity_certificate(identity), KW_SIG_ECDSA_P256_SHA256,
                             message, (struct kw_bytes){signature, signature_len}, &verdict);
    if (status == KW_OK)
        status = ops->aead_new(crypto, KW_AES_128_GCM, key, true, &seal);
    if (status == KW_OK)
        status = ops->mask_new(crypto, KW_AES_128_GCM, key, &mask);
    if (status == KW_OK)
        status = ops->aead_seal(seal, nonce, (struct kw_bytes){NULL, 0}, body, sizeof body, tag);
    if (status == KW_OK && verdict != KW_ACCEPT)
        status = KW_ERR_STATE;
    ops->mask_free(mask);
    ops->aead_free(seal);
    ops->kx_free(kx);
    ops->identity_free(identity);
    return status;
}

static _Atomic size_t allocations;

static void *counting_take(void *ctx, size_t size)
{
    allocations++;
    return kw_arena_malloc(ctx, size);
}

static void *counting_resize(void *ctx, void *mem, size_t size)
{
    allocations++;
    return kw_arena_realloc(ctx, mem, size);
}

/* The contract: seal, open and mask never allocate, forged input included. */
static void records_do_not_allocate(void **state)
{
    (void)state;
    for (enum kw_aead aead = KW_AES_128_GCM; aead < KW_AEAD_COUNT; aead++) {
        uint8_t key[KW_KEY_MAX] = {1}, nonce[KW_KEY_MAX] = {0}, body[1200] = {2};
        uint8_t tag[KW_TAG_LEN], sample[KW_MASK_LEN] = {3}; /* nonce serves as a key, too */
        struct kw_bytes aad = {key, 5};
        struct kw_aead_key *seal, *open, *other;
        struct kw_mask_key *mask, *other_mask;
        enum kw_verdict verdict;
        size_t before;

        assert_int_equal(crypto->ops->aead_new(crypto, aead, nonce, true, &other), KW_OK);
        assert_int_equal(crypto->ops->mask_new(crypto, aead, body, &other_mask), KW_OK);
        assert_int_equal(crypto->ops->aead_new(crypto, aead, key, true, &seal), KW_OK);
        assert_int_equal(crypto->ops->aead_new(crypto, aead, key, false, &open), KW_OK);
        assert_int_equal(crypto->ops->mask_new(crypto, aead, key, &mask), KW_OK);
        before = allocations;
        for (uint8_t i = 0; i < 50; i++) {
            nonce[11] = i;
            /* Another association's turn: its keys take the place of ours for a moment. */
            assert_int_equal(crypto->ops->aead_seal(other, nonce, aad, sample, sizeof sample, tag),
                             KW_OK);
            assert_int_equal(crypto->ops->mask(other_mask, sample, sample), KW_OK);
            assert_int_equal(crypto->ops->aead_seal(seal, nonce, aad, body, sizeof body - i, tag),
                             KW_OK);
            assert_int_equal(
                crypto->ops->aead_open(open, nonce, aad, body, sizeof body - i, tag, &verdict),
                KW_OK);
            assert_int_equal(verdict, KW_ACCEPT);
            tag[0] ^= 1;
            assert_int_equal(
                crypto->ops->aead_open(open, nonce, aad, body, sizeof body - i, tag, &verdict),
                KW_OK);
            assert_int_equal(verdict, KW_DROP_FORGED);
            assert_int_equal(crypto->ops->mask(mask, sample, sample), KW_OK);
        }
        CHECK(allocations == before, "%s: %zu allocations", kw_aead_info(aead)->name,
              (size_t)allocations - before);
        crypto->ops->aead_free(seal);
        crypto->ops->aead_free(open);
        crypto->ops->aead_free(other);
        crypto->ops->mask_free(mask);
        crypto->ops->mask_free(other_mask);
    }
}

static bool arena_has(const void *needle, size_t len)
{
    struct kw_arena_usage usage;

    kw_arena_usage(arena, &usage);
    return memmem(usage.start, usage.size, needle, len) != NULL;
}

/* A schedule begins with its key, so the key's own bytes betray slots and contexts alike. */
static void freed_keys_are_gone(void **state)
{
    (void)state;
    for (enum kw_aead aead = KW_AES_128_GCM; aead < KW_AEAD_COUNT; aead++) {
        for (unsigned i = 0; i < 4; i++) {
            bool for_sealing = i & 1, is_loaded = i & 2;
            uint8_t key[KW_KEY_MAX], nonce[KW_NONCE_LEN] = {0}, tag[KW_TAG_LEN] = {0}, body[1];
            struct kw_aead_key *made;
            struct kw_mask_key *mask;
            enum kw_verdict verdict;

            for (size_t j = 0; j < sizeof key; j++)
                key[j] = (uint8_t)(0x91 * (j + 1) + 16 * i + (unsigned)aead);
            assert_int_equal(crypto->ops->aead_new(crypto, aead, key, for_sealing, &made), KW_OK);
            assert_int_equal(crypto->ops->mask_new(crypto, aead, key, &mask), KW_OK);
            if (is_loaded) {
                assert_int_equal(crypto->ops->mask(mask, tag, tag), KW_OK);
                assert_int_equal(
                    for_sealing ? crypto->ops->aead_seal(made, nonce, (struct kw_bytes){NULL, 0},
                                                         body, 1, tag)
                                : crypto->ops->aead_open(made, nonce, (struct kw_bytes){NULL, 0},
                                                         body, 1, tag, &verdict),
                    KW_OK);
            }
            assert_true(arena_has(key, 16));
            crypto->ops->mask_free(mask);
            assert_true(arena_has(key, 16));
            crypto->ops->aead_free(made);
            CHECK(!arena_has(key, 16), "%s, %s, %s", kw_aead_info(aead)->name,
                  for_sealing ? "sealing" : "opening", is_loaded ? "used" : "unused");
        }
    }
}

static size_t used(void)
{
    struct kw_arena_usage usage;

    kw_arena_usage(arena, &usage);
    return usage.used;
}

static void thousands_of_operations_do_not_grow(void **state)
{
    static const enum kw_group groups[] = {KW_GROUP_P256, KW_GROUP_X25519, KW_GROUP_X25519MLKEM768};
    size_t before, peak;
    struct kw_arena_usage usage;

    (void)state;
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(handshake(groups[i % 3]), KW_OK);
    kw_arena_usage(arena, &usage);
    before = usage.used;
    peak = usage.peak;
    for (size_t i = 0; i < 900; i++)
        assert_int_equal(handshake(groups[i % 3]), KW_OK);
    kw_arena_usage(arena, &usage);
    assert_int_equal(usage.used, before);
    CHECK(usage.peak <= peak + 1024, "peak went from %zu to %zu", peak, usage.peak);
    assert_int_equal(usage.refused, 0);
}

static void everything_of_libcrypto_is_inside(void **state)
{
    struct kw_arena_usage usage;
    struct kw_kx *kx;
    uint8_t share[KW_KX_SHARE_MAX];
    size_t len;
    const uint8_t *start;

    (void)state;
    kw_arena_usage(arena, &usage);
    start = usage.start;
    assert_int_equal(crypto->ops->kx_offer(crypto, KW_GROUP_X25519MLKEM768, &kx, share, &len),
                     KW_OK);
    assert_true((const uint8_t *)kx > start && (const uint8_t *)kx < start + usage.size);
    assert_true(used() > usage.used + 3000); /* the ML-KEM key */
    crypto->ops->kx_free(kx);
    assert_int_equal(used(), usage.used);
}

/* Leaves libcrypto less and less room: every call answers, none crashes, nothing is lost. */
static void exhaustion_is_survived(void **state)
{
    size_t before = used(), failures = 0;
    static void *ballast[100000];

    (void)state;
    for (size_t room = 0; room < 9000; room += 48) {
        size_t count = 0;
        void *spared;

        spared = kw_arena_malloc(arena, room + 1);
        for (size_t piece = 1 << 20; piece >= 16; piece /= 2) {
            void *mem;

            while (count < KW_ARRAY_LEN(ballast) && (mem = kw_arena_malloc(arena, piece)) != NULL)
                ballast[count++] = mem;
        }
        kw_arena_free(arena, spared);
        if (handshake(KW_GROUP_X25519MLKEM768) != KW_OK)
            failures++;
        while (count > 0)
            kw_arena_free(arena, ballast[--count]);
        /* libcrypto keeps copies of its last errors' source names, of whatever length they are. */
        CHECK(used() <= before + 256, "room %zu: %zu bytes lost", room, used() - before);
    }
    assert_true(failures > 10);
    assert_int_equal(handshake(KW_GROUP_X25519MLKEM768), KW_OK);
}

static void *hash_much(void *ctx)
{
    bool *ok = ctx;

    *ok = true;
    for (int i = 0; i < 2000; i++) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        uint8_t out[64];

        *ok &= md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
               EVP_DigestUpdate(md, "abc", 3) == 1 && EVP_DigestFinal_ex(md, out, NULL) == 1 &&
               out[0] == 0xba;
        EVP_MD_CTX_free(md);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    pthread_t threads[3];
    bool ok[3] = {false};
    size_t before = used();

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_much, &ok[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(ok[i]);
    }
    assert_true(used() < before + 4096); /* what libcrypto keeps for good */
}

static void a_second_allocator_is_refused(void **state)
{
    struct kw_openssl_memory memory = {arena, kw_arena_malloc, kw_arena_realloc, kw_arena_free};

    (void)state;
    assert_int_equal(kw_openssl_use_memory(&memory), KW_ERR_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_do_not_allocate),
        cmocka_unit_test(freed_keys_are_gone),
        cmocka_unit_test(thousands_of_operations_do_not_grow),
        cmocka_unit_test(everything_of_libcrypto_is_inside),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(exhaustion_is_survived),
        cmocka_unit_test(a_second_allocator_is_refused),
    };
    struct kw_openssl_config config = {.associations = 4, .handshakes = 4};
    struct kw_arena_report report;
    struct kw_openssl_memory memory;

    if (kw_arena_open(4 << 20, false, &arena, &report) != KW_OK)
        return 1;
    memory = (struct kw_openssl_memory){arena, counting_take, counting_resize, kw_arena_free};
    if (kw_openssl_use_memory(&memory) != KW_OK || kw_openssl_new(&config, &crypto) != KW_OK)
        return 1;
    /* The arena stays: libcrypto frees what is left of its own at exit. */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
