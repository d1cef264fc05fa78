/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the peer is, as it bit others: fingerprints not checked or compared as text (Asterisk,
 * Janus); a client's certificate skipped, or an empty one accepted (JSSE, TinyDTLS, pion
 * CVE-2022-29222).
 */
#include "check.h"
#include "dtls/craft.h"

#include <string.h>

static unsigned where;

static void spoil(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    static struct kw_fingerprint list[3];

    if (role != (where & 1 ? KW_DTLS_CLIENT : KW_DTLS_SERVER))
        return;
    switch (where >> 1) {
    case 0: /* the last byte */
        pair->end[role].peer_fingerprint.digest[31] ^= 1;
        break;
    case 1: /* the first */
        pair->end[role].peer_fingerprint.digest[0] ^= 0x80;
        break;
    case 2: /* the right digest under another name */
        pair->end[role].peer_fingerprint.hash = KW_SHA384;
        break;
    case 3: /* several, none of them right */
        memcpy(&list[0], params->fingerprints, sizeof list[0]);
        list[1] = list[2] = list[0];
        list[0].digest[1] ^= 1;
        list[1].digest[2] ^= 1;
        list[2].digest[3] ^= 1;
        params->fingerprints = list;
        params->fingerprint_count = 3;
        break;
    default:
        break;
    }
}

static void a_certificate_that_was_not_signalled(void **state)
{
    (void)state;
    for (int is_12 = 0; is_12 < 2; is_12++) {
        for (where = 0; where < 8; where++) {
            int role = where & 1 ? KW_DTLS_CLIENT : KW_DTLS_SERVER;
            struct pair pair;
            struct kw_srtp_keys keys;

            assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = where + 1,
                                                                    .only_dtls12 = is_12,
                                                                    .prepare = spoil}),
                             KW_OK);
            pair_run(&pair, pair_ended, pair.now + KW_S(60));
            CHECK(pair.end[role].end == KW_DTLS_END_FINGERPRINT, "row %u: %s", where,
                  kw_dtls_end_name(pair.end[role].end));
            assert_int_equal(pair.end[role].alert, KW_ALERT_BAD_CERTIFICATE);
            assert_false(pair.end[role].connected);
            assert_int_equal(kw_dtls_take_srtp_keys(pair.end[role].dtls, &keys), KW_ERR_STATE);
            pair_deinit(&pair);
        }
    }
}

static void several(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    static struct kw_fingerprint list[2][3];
    struct kw_fingerprint *mine = list[role];

    memset(mine, 0, sizeof list[role]);
    mine[0].hash = KW_SHA512;
    mine[1].hash = KW_SHA256;
    assert_int_equal(
        kw_crypto_fingerprint(pair->crypto, KW_SHA384,
                              pair->crypto->ops->identity_certificate(pair->end[1 - role].identity),
                              &mine[2]),
        KW_OK);
    params->fingerprints = mine;
    params->fingerprint_count = 3;
}

static void one_of_several_fingerprints_suffices(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 1, .prepare = several});
    assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->peer_fingerprint.hash, KW_SHA384);
    pair_deinit(&pair);
}

static void no_fingerprint_no_association(void **state)
{
    struct pair pair;
    struct kw_dtls_params params;
    struct kw_dtls *dtls;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1}), KW_OK);
    params = pair.end[0].params;
    params.fingerprint_count = 0;
    kw_dtls_deinit(pair.end[0].dtls);
    assert_int_equal(kw_dtls_init(pair.end[0].mem, &pair.end[0].shared, &params, pair.now, &dtls),
                     KW_ERR_INPUT);
    pair.end[0].dtls = NULL;
    pair_deinit(&pair);
}

/* A message of 1.3 from a client that has its keys, instead of its own flight. */
static void send_as_client(struct pair *pair, uint8_t type, const uint8_t *body, size_t len)
{
    uint8_t content[600];
    size_t n = craft_message(content, sizeof content, type, 1, body, len);

    craft_deliver(pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, n);
    pair_flush(pair);
}

static void an_empty_certificate(void **state)
{
    const uint8_t none[] = {0, 0, 0, 0};
    struct pair pair;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 2});
    send_as_client(&pair, KW_HS_CERTIFICATE, none, sizeof none);
    assert_true(pair.end[0].closed);
    assert_int_equal(pair.end[0].alert, KW_ALERT_CERTIFICATE_REQUIRED);
    pair_deinit(&pair);
}

static void a_certificate_that_is_skipped(void **state)
{
    static const uint8_t types[] = {KW_HS_FINISHED, KW_HS_CERTIFICATE_VERIFY};
    uint8_t body[32] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        struct pair pair;

        craft_hold_client(&pair, &(struct pair_config){.seed = 3});
        send_as_client(&pair, types[i], body, sizeof body);
        assert_true(pair.end[0].closed);
        assert_int_equal(pair.end[0].alert, KW_ALERT_UNEXPECTED_MESSAGE);
        pair_deinit(&pair);
    }
}

/* The true Finished, but without a proof that the key of the certificate is the client's. */
static void a_certificate_without_its_proof(void **state)
{
    struct pair pair;
    struct kw_flight *flight;
    uint8_t content[1200];
    size_t len;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 4});
    flight = &pair.end[1].dtls->hs->out;
    assert_int_equal(flight->messages[0].type, KW_HS_CERTIFICATE);
    len = craft_message(content, sizeof content, KW_HS_CERTIFICATE, 1,
                        kw_flight_body(flight, 0).data, kw_flight_body(flight, 0).len);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_VERIFY);
    len = craft_message(content, sizeof content, KW_HS_FINISHED, 2, kw_flight_body(flight, 2).data,
                        kw_flight_body(flight, 2).len);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    pair_deinit(&pair);
}

/* Each bit of the proof counts, and so does the scheme that it names. */
static void a_proof_with_a_changed_bit(void **state)
{
    (void)state;
    for (size_t at = 0; at < 60; at += 7) {
        struct pair pair;
        struct kw_flight *flight;
        uint8_t content[1200], verify[600];
        size_t len;

        craft_hold_client(&pair, &(struct pair_config){.seed = 5});
        flight = &pair.end[1].dtls->hs->out;
        len = craft_message(content, sizeof content, KW_HS_CERTIFICATE, 1,
                            kw_flight_body(flight, 0).data, kw_flight_body(flight, 0).len);
        craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
        memcpy(verify, kw_flight_body(flight, 1).data, kw_flight_body(flight, 1).len);
        if (at < kw_flight_body(flight, 1).len)
            verify[at] ^= 1;
        else
            verify[0] ^= 0xff;
        len = craft_message(content, sizeof content, KW_HS_CERTIFICATE_VERIFY, 2, verify,
                            kw_flight_body(flight, 1).len);
        craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
        pair_flush(&pair);
        CHECK(pair.end[0].closed && !pair.end[0].connected, "byte %zu", at);
        pair_deinit(&pair);
    }
}

static void a_finished_with_a_changed_bit(void **state)
{
    (void)state;
    for (size_t at = 0; at < 32; at++) {
        struct pair pair;
        struct kw_flight *flight;

        craft_hold_client(&pair,
                          &(struct pair_config){.seed = 6, .suite = KW_TLS_AES_128_GCM_SHA256});
        flight = &pair.end[1].dtls->hs->out;
        flight->bytes[flight->messages[2].at + at] ^= 1;
        pair.net.tap = NULL;
        pair_run(&pair, pair_ended, pair.now + KW_S(5));
        CHECK(pair.end[0].alert == KW_ALERT_DECRYPT_ERROR, "byte %zu", at);
        assert_false(pair.end[0].connected);
        pair_deinit(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_was_not_signalled),
        cmocka_unit_test(one_of_several_fingerprints_suffices),
        cmocka_unit_test(no_fingerprint_no_association),
        cmocka_unit_test(an_empty_certificate),
        cmocka_unit_test(a_certificate_that_is_skipped),
        cmocka_unit_test(a_certificate_without_its_proof),
        cmocka_unit_test(a_proof_with_a_changed_bit),
        cmocka_unit_test(a_finished_with_a_changed_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
