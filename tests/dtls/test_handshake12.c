/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS 1.2 with itself, where the terms of both sides allow it; and only there. */
#include "check.h"
#include "dtls/pair.h"

#include <inttypes.h>
#include <string.h>

static void every_suite_and_group(void **state)
{
    static const enum kw_suite suites[] = {KW_ECDHE_ECDSA_AES128_GCM_SHA256,
                                           KW_ECDHE_ECDSA_AES256_GCM_SHA384};
    static const enum kw_group groups[] = {KW_GROUP_X25519, KW_GROUP_P256, KW_GROUP_P384};
    struct pair pair;

    (void)state;
    for (size_t s = 0; s < KW_ARRAY_LEN(suites); s++) {
        for (size_t g = 0; g < KW_ARRAY_LEN(groups); g++) {
            assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1,
                                                                    .group = groups[g],
                                                                    .dtls12 = true,
                                                                    .only_dtls12 = true}),
                             KW_OK);
            /* The client's list decides which of the server's is taken. */
            pair.end[0].dtls->terms.suites[0] = (uint16_t)suites[s];
            pair.end[0].dtls->terms.suites[1] = 0;
            CHECK(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)), "suite %zu group %zu", s, g);
            for (int role = 0; role < 2; role++) {
                const struct kw_dtls_facts *facts = kw_dtls_facts(pair.end[role].dtls);

                assert_int_equal(facts->version, KW_DTLS_1_2);
                assert_int_equal(facts->suite, suites[s]);
                assert_int_equal(facts->group, groups[g]);
                assert_int_equal(facts->our_scheme, KW_SIG_ECDSA_P256_SHA256);
                assert_int_equal(facts->peer_scheme, KW_SIG_ECDSA_P256_SHA256);
                assert_int_equal(facts->retransmissions, 0);
            }
            assert_true(pair_same_srtp_keys(&pair));
            pair_deinit(&pair);
        }
    }
}

static void cookie_data_and_close(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 2,
                                              .link = {.delay = KW_MS(5)},
                                              .only_dtls12 = true,
                                              .require_cookie = true});
    assert_true(kw_dtls_facts(pair.end[0].dtls)->retried);
    assert_true(kw_dtls_facts(pair.end[1].dtls)->retried);
    assert_null(pair.end[0].dtls->hs);
    assert_null(pair.end[1].dtls->hs);
    for (int role = 0; role < 2; role++) {
        assert_int_equal(kw_dtls_send(pair.end[role].dtls,
                                      (struct kw_bytes){(const uint8_t *)"hello", 5}, pair.now),
                         KW_OK);
    }
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[0].data_count, 1);
    assert_int_equal(pair.end[1].data_count, 1);
    kw_dtls_close(pair.end[0].dtls, pair.now);
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(1)));
    assert_int_equal(pair.end[1].end, KW_DTLS_END_CLOSED);
    pair_deinit(&pair);
}

/* Both could do 1.2, so 1.3 is what they do. */
static void the_exception_does_not_lower_the_version(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 3, .dtls12 = true});
    assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->version, KW_DTLS_1_3);
    pair_deinit(&pair);
}

static void server_without_an_exception_refuses(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 4, .only_dtls12 = true}),
                     KW_OK);
    pair.end[0].dtls->terms.allow_dtls12 = false;
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(20)));
    assert_int_equal(pair.end[0].end, KW_DTLS_END_POLICY);
    assert_int_equal(pair.end[0].alert, KW_ALERT_PROTOCOL_VERSION);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_ALERT_RECEIVED);
    assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->offered_suites[0],
                     KW_ECDHE_ECDSA_AES128_GCM_SHA256);
    pair_deinit(&pair);
}

static void client_without_an_exception_refuses(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 5, .dtls12 = true}), KW_OK);
    /* A server that knows only 1.2, and a client whose hello came from more generous times. */
    memset(pair.end[0].dtls->terms.suites, 0, sizeof pair.end[0].dtls->terms.suites);
    pair.end[0].dtls->terms.suites[0] = KW_ECDHE_ECDSA_AES128_GCM_SHA256;
    pair.end[1].dtls->terms.allow_dtls12 = false;
    assert_true(pair_run(&pair, pair_one_ended, pair.now + KW_S(20)));
    assert_int_equal(pair.end[1].alert, KW_ALERT_PROTOCOL_VERSION);
    assert_false(pair.end[1].connected);
    pair_deinit(&pair);
}

static void lossy_handshakes_complete(void **state)
{
    static const size_t mtus[] = {256, 600, 1200};
    struct pair pair;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = seed,
                                                                .link = {.delay = KW_MS(20),
                                                                         .jitter = KW_MS(30),
                                                                         .loss_percent = 30,
                                                                         .duplicate_percent = 10,
                                                                         .reorder_percent = 10},
                                                                .only_dtls12 = true,
                                                                .mtu = mtus[seed % 3],
                                                                .require_cookie = seed % 2 == 0}),
                         KW_OK);
        CHECK(pair_run(&pair, pair_confirmed, pair.now + KW_S(60)), "seed %" PRIu64, seed);
        assert_true(pair_same_srtp_keys(&pair));
        pair_deinit(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_and_group),
        cmocka_unit_test(cookie_data_and_close),
        cmocka_unit_test(the_exception_does_not_lower_the_version),
        cmocka_unit_test(server_without_an_exception_refuses),
        cmocka_unit_test(client_without_an_exception_refuses),
        cmocka_unit_test(lossy_handshakes_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
