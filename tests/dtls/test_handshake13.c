/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS 1.3 with itself: every suite and group, retries, fragmentation, loss, and what comes out. */
#include "check.h"
#include "dtls/pair.h"

#include <inttypes.h>
#include <string.h>

static const enum kw_suite suites[] = {
    KW_TLS_AES_128_GCM_SHA256,
    KW_TLS_AES_256_GCM_SHA384,
    KW_TLS_CHACHA20_POLY1305_SHA256,
};
static const enum kw_group groups[] = {
    KW_GROUP_X25519MLKEM768,
    KW_GROUP_X25519,
    KW_GROUP_P256,
    KW_GROUP_P384,
};

static void every_suite_and_group(void **state)
{
    struct pair pair;

    (void)state;
    for (size_t s = 0; s < KW_ARRAY_LEN(suites); s++) {
        for (size_t g = 0; g < KW_ARRAY_LEN(groups); g++) {
            pair_connect(&pair, &(struct pair_config){
                                    .seed = s * 10 + g + 1,
                                    .link = {.delay = KW_MS(10)},
                                    .suite = suites[s],
                                    .group = groups[g],
                                });
            for (int role = 0; role < 2; role++) {
                const struct kw_dtls_facts *facts = kw_dtls_facts(pair.end[role].dtls);

                assert_int_equal(facts->version, KW_DTLS_1_3);
                assert_int_equal(facts->suite, suites[s]);
                assert_int_equal(facts->group, groups[g]);
                assert_int_equal(facts->srtp_profile, KW_SRTP_AEAD_AES_128_GCM);
                assert_int_equal(facts->our_scheme, KW_SIG_ECDSA_P256_SHA256);
                assert_int_equal(facts->peer_scheme, KW_SIG_ECDSA_P256_SHA256);
                assert_true(kw_fingerprint_equal(&facts->peer_fingerprint,
                                                 &pair.end[role].peer_fingerprint));
                assert_false(facts->retried);
                assert_int_equal(facts->retransmissions, 0);
            }
            assert_true(pair_same_srtp_keys(&pair));
            pair_deinit(&pair);
        }
    }
}

static void exporter_agrees_and_depends_on_label_and_context(void **state)
{
    static const struct kw_bytes context = {(const uint8_t *)"abc", 3};
    static const struct kw_bytes none = {NULL, 0};
    uint8_t out[2][64], other[64];
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 3});
    for (int role = 0; role < 2; role++)
        assert_int_equal(kw_dtls_export(pair.end[role].dtls, "EXPORTER-test", context, out[role],
                                        sizeof out[role]),
                         KW_OK);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_int_equal(kw_dtls_export(pair.end[0].dtls, "EXPORTER-test", none, other, sizeof other),
                     KW_OK);
    assert_memory_not_equal(out[0], other, sizeof other);
    assert_int_equal(kw_dtls_export(pair.end[0].dtls, "EXPORTER-tess", context, other, 64), KW_OK);
    assert_memory_not_equal(out[0], other, sizeof other);
    pair_deinit(&pair);
}

static void srtp_keys_are_taken_once(void **state)
{
    struct kw_srtp_keys keys;
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 4}), KW_OK);
    assert_int_equal(kw_dtls_take_srtp_keys(pair.end[0].dtls, &keys), KW_ERR_STATE);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    assert_true(pair_same_srtp_keys(&pair));
    assert_int_equal(kw_dtls_take_srtp_keys(pair.end[0].dtls, &keys), KW_ERR_STATE);
    pair_deinit(&pair);
}

/* The server's order decides, but a share that is already there saves a round trip. */
static void server_prefers_a_share_that_was_sent(void **state)
{
    struct pair pair;

    (void)state;
    /* The client of "modern" sends X25519MLKEM768 and x25519; "nist" has neither. */
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 5}), KW_OK);
    pair.end[0].dtls->terms.groups[0] = KW_GROUP_P256;
    pair.end[0].dtls->terms.groups[1] = KW_GROUP_X25519;
    pair.end[0].dtls->terms.groups[2] = 0;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->group, KW_GROUP_X25519);
    assert_false(kw_dtls_facts(pair.end[0].dtls)->retried);
    pair_deinit(&pair);
}

static void retry_for_a_group(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair, &(struct pair_config){.seed = 6, .server_group = KW_GROUP_P256}), KW_OK);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    for (int role = 0; role < 2; role++) {
        assert_int_equal(kw_dtls_facts(pair.end[role].dtls)->group, KW_GROUP_P256);
        assert_true(kw_dtls_facts(pair.end[role].dtls)->retried);
    }
    assert_true(pair_same_srtp_keys(&pair));
    pair_deinit(&pair);
}

static void retry_for_a_cookie(void **state)
{
    struct pair pair;

    (void)state;
    for (size_t s = 0; s < KW_ARRAY_LEN(suites); s++) {
        assert_int_equal(
            pair_init(&pair,
                      &(struct pair_config){.seed = 7, .suite = suites[s], .require_cookie = true}),
            KW_OK);
        assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
        assert_true(kw_dtls_facts(pair.end[0].dtls)->retried);
        assert_true(kw_dtls_facts(pair.end[1].dtls)->retried);
        assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->group, KW_GROUP_X25519MLKEM768);
        assert_true(pair_same_srtp_keys(&pair));
        pair_deinit(&pair);
    }
}

static void every_mtu(void **state)
{
    struct pair pair;

    (void)state;
    for (size_t mtu = KW_DTLS_MTU_MIN; mtu <= 1500; mtu += 61) {
        pair_connect(&pair, &(struct pair_config){.seed = mtu,
                                                  .link = {.delay = KW_MS(5), .mtu = mtu},
                                                  .mtu = mtu,
                                                  .require_cookie = mtu % 2 == 0});
        assert_true(pair_same_srtp_keys(&pair));
        pair_deinit(&pair);
    }
}

static void data_and_close(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 8, .link = {.delay = KW_MS(5)}});
    for (int role = 0; role < 2; role++) {
        assert_int_equal(kw_dtls_send(pair.end[role].dtls,
                                      (struct kw_bytes){(const uint8_t *)"hello", 5}, pair.now),
                         KW_OK);
    }
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    for (int role = 0; role < 2; role++) {
        assert_int_equal(pair.end[role].data_count, 1);
        assert_memory_equal(pair.end[role].data, "hello", 5);
    }
    kw_dtls_close(pair.end[1].dtls, pair.now);
    kw_dtls_close(pair.end[1].dtls, pair.now);
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(1)));
    assert_int_equal(pair.end[0].end, KW_DTLS_END_CLOSED);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_CLOSED);
    pair_deinit(&pair);
}

static void connection_ids(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 9, .use_cid = true});
    assert_true(kw_dtls_facts(pair.end[0].dtls)->cid);
    assert_true(kw_dtls_facts(pair.end[1].dtls)->cid);
    assert_int_equal(
        kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){(const uint8_t *)"x", 1}, pair.now),
        KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[0].data_count, 1);
    pair_deinit(&pair);
}

static void lossy_handshakes_complete(void **state)
{
    struct pair pair;
    static const size_t mtus[] = {256, 600, 1200};

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = seed,
                                                                .link = {.delay = KW_MS(20),
                                                                         .jitter = KW_MS(30),
                                                                         .loss_percent = 30,
                                                                         .duplicate_percent = 10,
                                                                         .reorder_percent = 10},
                                                                .mtu = mtus[seed % 3],
                                                                .require_cookie = seed % 2 == 0}),
                         KW_OK);
        CHECK(pair_run(&pair, pair_confirmed, pair.now + KW_S(60)), "seed %" PRIu64, seed);
        assert_true(pair_same_srtp_keys(&pair));
        pair_deinit(&pair);
    }
}

static void a_black_hole_times_out(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair, &(struct pair_config){.seed = 10, .link = {.is_black_hole = true}}),
        KW_OK);
    assert_true(pair_run(&pair, pair_one_ended, pair.now + KW_S(600)));
    assert_int_equal(pair.end[1].end, KW_DTLS_END_TIMEOUT);
    assert_in_range(pair.end[1].datagrams, 10, 70);
    pair_deinit(&pair);
}

static void wrong_fingerprint(struct pair *pair, enum kw_dtls_role role,
                              struct kw_dtls_params *params)
{
    if (role == KW_DTLS_SERVER)
        pair->end[role].peer_fingerprint.digest[5] ^= 1;
    (void)params;
}

static void another_certificate_ends_it(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair, &(struct pair_config){.seed = 11, .prepare = wrong_fingerprint}), KW_OK);
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(60)));
    assert_int_equal(pair.end[0].end, KW_DTLS_END_FINGERPRINT);
    assert_int_equal(pair.end[0].alert, KW_ALERT_BAD_CERTIFICATE);
    assert_false(pair.end[0].connected);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_ALERT_RECEIVED);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_and_group),
        cmocka_unit_test(exporter_agrees_and_depends_on_label_and_context),
        cmocka_unit_test(srtp_keys_are_taken_once),
        cmocka_unit_test(server_prefers_a_share_that_was_sent),
        cmocka_unit_test(retry_for_a_group),
        cmocka_unit_test(retry_for_a_cookie),
        cmocka_unit_test(every_mtu),
        cmocka_unit_test(data_and_close),
        cmocka_unit_test(connection_ids),
        cmocka_unit_test(lossy_handshakes_complete),
        cmocka_unit_test(a_black_hole_times_out),
        cmocka_unit_test(another_certificate_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
