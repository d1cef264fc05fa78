/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our surroundings fail at every place where they can: each random draw, each call of the provider,
 * each pool. The association ends with a status or an event, everything goes back, and another
 * association beside it does not notice.
 */
#include "check.h"
#include "dtls/pair.h"
#include "support/faulty_crypto.h"
#include "support/toy_crypto.h"

#include <string.h>

struct scenario {
    const char *name;
    struct pair_config config;
};

static const struct scenario scenarios[] = {
    {"1.3", {.seed = 1}},
    {"1.3, cookie, connection ids", {.seed = 2, .require_cookie = true, .use_cid = true}},
    {"1.3, another group", {.seed = 3, .server_group = KW_GROUP_P256}},
    {"1.2", {.seed = 4, .only_dtls12 = true}},
    {"1.2, cookie", {.seed = 5, .only_dtls12 = true, .require_cookie = true}},
};

/* A handshake, an update of keys, data, and the end. True when all of it went well. */
static bool live_a_life(struct pair *pair, const struct pair_config *config)
{
    struct kw_srtp_keys keys;
    bool good =
        pair_init(pair, config) == KW_OK && pair_run(pair, pair_confirmed, pair->now + KW_S(70));

    if (good) {
        for (int role = 0; role < 2; role++) {
            good &= kw_dtls_take_srtp_keys(pair->end[role].dtls, &keys) == KW_OK;
            if (!config->only_dtls12)
                good &= kw_dtls_update_keys(pair->end[role].dtls, true, pair->now) == KW_OK;
            pair_run(pair, pair_forever, pair->now + KW_S(2));
            good &= kw_dtls_send(pair->end[role].dtls, (struct kw_bytes){(const uint8_t *)"x", 1},
                                 pair->now) == KW_OK;
        }
        pair_run(pair, pair_forever, pair->now + KW_S(2));
        good &= pair->end[0].data_count == 1 && pair->end[1].data_count == 1;
    }
    return good;
}

static void expect_clean(struct pair *pair, struct kw_crypto *crypto, const char *name, size_t n)
{
    static const uint8_t zeros[sizeof(struct kw_dtls)];

    for (int role = 0; role < 2; role++) {
        struct pair_end *end = &pair->end[role];

        /* What failed says so: a status, or the event, or it was the other side that failed. */
        if (end->dtls != NULL && end->status != KW_OK)
            CHECK(end->closed && end->end == KW_DTLS_END_INTERNAL, "%s, call %zu: role %d", name, n,
                  role);
        if (end->dtls != NULL) {
            kw_dtls_deinit(end->dtls);
            end->dtls = NULL;
            CHECK(memcmp(end->mem, zeros, kw_dtls_size()) == 0, "%s, call %zu: not wiped", name, n);
        }
    }
    pair_deinit(pair);
    CHECK(faulty_crypto_live(crypto) == 0, "%s, call %zu: %zu objects leak", name, n,
          faulty_crypto_live(crypto));
}

static void every_call_of_the_provider(void **state)
{
    static const enum kw_status failures[] = {KW_ERR_CRYPTO, KW_ERR_MEMORY};

    (void)state;
    for (size_t s = 0; s < KW_ARRAY_LEN(scenarios); s++) {
        size_t total = 0;

        for (size_t f = 0; f < KW_ARRAY_LEN(failures); f++) {
            for (size_t n = 1;; n++) {
                struct kw_crypto *toy = toy_crypto_new(7);
                struct kw_crypto *crypto = faulty_crypto_new(toy);
                struct pair_config config = scenarios[s].config;
                struct pair pair;
                bool fired, good;

                config.crypto = crypto;
                faulty_crypto_arm(crypto, n, failures[f], false);
                good = live_a_life(&pair, &config);
                fired = faulty_crypto_fired(crypto);
                CHECK(good || fired, "%s fails by itself", scenarios[s].name);
                expect_clean(&pair, crypto, scenarios[s].name, n);
                faulty_crypto_free(crypto);
                toy_crypto_free(toy);
                if (!fired)
                    break;
                total++;
            }
        }
        print_message("%s: %zu failures\n", scenarios[s].name, total);
    }
}

static void every_random_draw(void **state)
{
    (void)state;
    for (size_t s = 0; s < KW_ARRAY_LEN(scenarios); s++) {
        for (size_t n = 1;; n++) {
            struct kw_crypto *toy = toy_crypto_new(7);
            struct kw_crypto *crypto = faulty_crypto_new(toy);
            uint64_t stream = 5;
            struct faulty_random faulty = {.inner = toy_random(&stream), .fail_at = n};
            struct kw_random random = faulty_random(&faulty);
            struct pair_config config = scenarios[s].config;
            struct pair pair;
            bool good;

            config.crypto = crypto;
            config.random = &random;
            good = live_a_life(&pair, &config);
            CHECK(good == (faulty.calls < n), "%s, draw %zu of %zu", scenarios[s].name, n,
                  faulty.calls);
            expect_clean(&pair, crypto, scenarios[s].name, n);
            faulty_crypto_free(crypto);
            toy_crypto_free(toy);
            if (faulty.calls < n)
                break;
        }
    }
}

/* A server without buffers lets a hello go; when there are some again, the client is served. */
static void no_handshake_buffers(void **state)
{
    void *held[2];
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 6}), KW_OK);
    for (int i = 0; i < 2; i++)
        held[i] = kw_pool_take(&pair.end[0].shared.buffers->handshakes);
    pair_run(&pair, pair_connected, pair.now + KW_S(3));
    assert_false(pair_one_ended(&pair));
    assert_true(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_LIMIT] > 0);
    for (int i = 0; i < 2; i++)
        kw_pool_give(&pair.end[0].shared.buffers->handshakes, held[i]);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(20)));
    pair_deinit(&pair);
}

static void no_outbox(void **state)
{
    void *held[2];
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 7, .require_cookie = true}),
                     KW_OK);
    for (int i = 0; i < 2; i++)
        held[i] = kw_pool_take(&pair.end[0].shared.buffers->outboxes);
    pair_run(&pair, pair_connected, pair.now + KW_S(3));
    assert_false(pair_one_ended(&pair));
    for (int i = 0; i < 2; i++)
        kw_pool_give(&pair.end[0].shared.buffers->outboxes, held[i]);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(20)));

    for (int i = 0; i < 2; i++)
        held[i] = kw_pool_take(&pair.end[0].shared.buffers->outboxes);
    assert_int_equal(
        kw_dtls_send(pair.end[0].dtls, (struct kw_bytes){(const uint8_t *)"x", 1}, pair.now),
        KW_ERR_MEMORY);
    for (int i = 0; i < 2; i++)
        kw_pool_give(&pair.end[0].shared.buffers->outboxes, held[i]);
    assert_int_equal(
        kw_dtls_send(pair.end[0].dtls, (struct kw_bytes){(const uint8_t *)"x", 1}, pair.now),
        KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[1].data_count, 1);
    pair_deinit(&pair);
}

static void a_client_without_buffers_is_not_made(void **state)
{
    void *held;
    struct pair pair;
    struct kw_dtls *dtls = NULL;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 8, .handshake_count = 1}),
                     KW_OK);
    kw_dtls_deinit(pair.end[1].dtls);
    pair.end[1].dtls = NULL;
    held = kw_pool_take(&pair.end[1].shared.buffers->handshakes);
    assert_int_equal(
        kw_dtls_init(pair.end[1].mem, &pair.end[1].shared, &pair.end[1].params, pair.now, &dtls),
        KW_ERR_MEMORY);
    assert_null(dtls);
    kw_pool_give(&pair.end[1].shared.buffers->handshakes, held);
    pair_deinit(&pair);
}

/* The provider dies altogether; an association that is established beside it goes down with a word,
 * and one that needs nothing of it at the moment stays. */
static void an_established_association_beside_a_failing_handshake(void **state)
{
    struct kw_crypto *toy = toy_crypto_new(9);
    struct kw_crypto *crypto = faulty_crypto_new(toy);
    struct pair live, dying;

    (void)state;
    pair_connect(&live, &(struct pair_config){.seed = 9, .crypto = crypto});
    assert_int_equal(pair_init(&dying, &(struct pair_config){.seed = 10, .crypto = crypto}), KW_OK);
    faulty_crypto_arm(crypto, 1, KW_ERR_CRYPTO, false);
    pair_run(&dying, pair_one_ended, dying.now + KW_S(5));
    assert_true(pair_one_ended(&dying));
    assert_int_equal(
        kw_dtls_send(live.end[0].dtls, (struct kw_bytes){(const uint8_t *)"x", 1}, live.now),
        KW_OK);
    pair_run(&live, pair_forever, live.now + KW_S(1));
    assert_int_equal(live.end[1].data_count, 1);
    pair_deinit(&dying);
    pair_deinit(&live);
    assert_int_equal(faulty_crypto_live(crypto), 0);
    faulty_crypto_free(crypto);
    toy_crypto_free(toy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_the_provider),
        cmocka_unit_test(every_random_draw),
        cmocka_unit_test(no_handshake_buffers),
        cmocka_unit_test(no_outbox),
        cmocka_unit_test(a_client_without_buffers_is_not_made),
        cmocka_unit_test(an_established_association_beside_a_failing_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
