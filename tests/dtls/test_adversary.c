/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger tried who read the engine: each found something that has been mended since. */
#include "check.h"
#include "dtls/craft.h"
#include "dtls/handshake12.h"

#include "base/writer.h"
#include "dtls/hello.h"

#include <string.h>

/*
 * Messages far ahead, in the clear, fill the arena; the one that is next in line, though not the
 * very next number (a ServerHello behind a retry), has to find room all the same.
 */
static void later_messages_make_room_for_an_earlier_one(void **state)
{
    static struct kw_reassembly in;
    static uint8_t bytes[64];
    struct kw_fragment fragment = {.type = 11, .body = {bytes, sizeof bytes}};

    (void)state;
    kw_reassembly_init(&in, 0);
    fragment.seq = 2;
    fragment.message_len = KW_DTLS_MESSAGE_MAX;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 0), KW_ACCEPT);
    fragment.seq = 3;
    fragment.message_len = 2900;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 0), KW_ACCEPT);
    fragment.seq = 1;
    fragment.message_len = 200;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 0), KW_ACCEPT);
    /* A later one makes nobody go. */
    fragment.seq = 4;
    fragment.message_len = KW_DTLS_MESSAGE_MAX;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 0), KW_DROP_LIMIT);
}

/* A ServerHello of 1.2 as a stranger writes it; it agrees to SRTP and ALPN. */
static void deliver_hello12(struct pair *pair, bool is_good)
{
    static const uint16_t profile[] = {KW_SRTP_AEAD_AES_128_GCM, 0};
    static const uint8_t random[KW_RANDOM_LEN] = {1, 2, 3};
    struct kw_dtls *client = pair->end[KW_DTLS_CLIENT].dtls;
    uint8_t body[256], message[300];
    struct kw_writer out = kw_writer_of(body, sizeof body);
    size_t block, extension, len;

    kw_write_u16(&out, KW_DTLS_1_2);
    kw_write_bytes(&out, (struct kw_bytes){random, sizeof random});
    kw_write_u8(&out, 0);
    kw_write_u16(&out, KW_ECDHE_ECDSA_AES128_GCM_SHA256);
    kw_write_u8(&out, 0);
    block = kw_write_open(&out, 2);
    extension = kw_extension_open(&out, KW_EXT_EXTENDED_MASTER_SECRET);
    kw_write_close(&out, extension, 2);
    kw_extension_write_srtp(&out, profile);
    if (!is_good) {
        extension = kw_extension_open(&out, KW_EXT_ALPN);
        kw_write_u8(&out, 7);
        kw_write_close(&out, extension, 2);
    }
    kw_write_close(&out, block, 2);
    assert_false(out.failed);
    len = craft_message(message, sizeof message, KW_HS_SERVER_HELLO, 0, body, out.len);
    assert_int_equal(client->state, KW_STATE_WAIT_SERVER_HELLO);
    craft_deliver_plain(pair, KW_DTLS_CLIENT, KW_CONTENT_HANDSHAKE, message, len);
}

static void server_without_srtp(struct pair *pair, enum kw_dtls_role role,
                                struct kw_dtls_params *params)
{
    if (role == KW_DTLS_SERVER)
        memset(pair->terms[role].profiles, 0, sizeof pair->terms[role].profiles);
    params->alpn = (struct kw_bytes){(const uint8_t *)"keywheel/1", 10};
}

/* What a refused hello said is not negotiated: the true server agreed to no SRTP. */
static void a_refused_hello_leaves_no_facts(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 11,
                                                            .dtls12 = true,
                                                            .prepare = server_without_srtp}),
                     KW_OK);
    pair_flush(&pair);
    deliver_hello12(&pair, false);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(10)));
    assert_int_equal(pair.end[KW_DTLS_SERVER].dtls->facts.srtp_profile, KW_SRTP_NONE);
    assert_int_equal(pair.end[KW_DTLS_CLIENT].dtls->facts.srtp_profile, KW_SRTP_NONE);
    pair_deinit(&pair);
}

/* 1.2 needs a second buffer; that there is none now does not end a client for a forged hello. */
static void a_forged_hello_of_12_needs_no_buffer_that_is_not_there(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair, &(struct pair_config){.seed = 12, .dtls12 = true, .handshake_count = 1}),
        KW_OK);
    pair_flush(&pair);
    deliver_hello12(&pair, true);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(10)));
    assert_int_equal(pair.end[KW_DTLS_CLIENT].dtls->version, KW_DTLS_1_3);
    pair_deinit(&pair);
}

/* A stranger's HelloVerifyRequest comes first; the true server never knew its cookie. */
static void a_forged_verify_request_costs_only_time(void **state)
{
    static const uint8_t body[] = {0xfe, 0xff, 4, 'f', 'a', 'k', 'e'};
    uint8_t message[64];
    struct pair pair;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 13,
                                                            .link = {.delay = KW_MS(20)},
                                                            .only_dtls12 = true,
                                                            .require_cookie = true}),
                     KW_OK);
    pair_flush(&pair);
    len = craft_message(message, sizeof message, KW_HS_HELLO_VERIFY_REQUEST, 0, body, sizeof body);
    craft_deliver_plain(&pair, KW_DTLS_CLIENT, KW_CONTENT_HANDSHAKE, message, len);
    /* .. and the true one gets lost. */
    net_deinit(&pair.net);
    net_init(&pair.net, 13);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(30)));
    pair_deinit(&pair);
}

/*
 * A stranger opens the hello with a length of his own, and adds a byte now and then so that it
 * never grows old.
 */
static void a_false_hello_does_not_stay_for_ever(void **state)
{
    static const uint8_t byte[1] = {0};
    uint8_t fragment[32];
    struct pair pair;
    bool is_done = false;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 14}), KW_OK);
    for (uint32_t i = 0; i < 100 && !is_done; i++) {
        size_t len = craft_fragment(fragment, sizeof fragment, KW_HS_CLIENT_HELLO, 900, 0, i, byte,
                                    sizeof byte);

        craft_deliver_plain(&pair, KW_DTLS_SERVER, KW_CONTENT_HANDSHAKE, fragment, len);
        is_done = pair_run(&pair, pair_confirmed, pair.now + KW_MS(500));
    }
    assert_true(is_done);
    CHECK(pair.now < KW_S(1000) + KW_S(10), "after %llu ms",
          (unsigned long long)((pair.now - KW_S(1000)) / KW_MS(1)));
    pair_deinit(&pair);
}

/* A server that also takes 1.2 gets a stranger's hello of 1.2 first. */
static void a_false_hello_of_12_does_not_keep_its_place(void **state)
{
    struct pair pair, other;
    uint8_t body[KW_DTLS_DATAGRAM_MAX];
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&other, &(struct pair_config){.seed = 99, .only_dtls12 = true}),
                     KW_OK);
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 14, .dtls12 = true}), KW_OK);
    len = craft_hello(&other, 0, 0, body, sizeof body);
    craft_deliver_hello(&pair, body, len, 1000);
    assert_int_equal(pair.end[KW_DTLS_SERVER].dtls->state, KW_STATE_12_CERTIFICATE);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(10)));
    assert_int_equal(pair.end[KW_DTLS_SERVER].dtls->version, KW_DTLS_1_3);
    assert_true(pair_same_srtp_keys(&pair));
    pair_deinit(&pair);
    pair_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_messages_make_room_for_an_earlier_one),
        cmocka_unit_test(a_refused_hello_leaves_no_facts),
        cmocka_unit_test(a_forged_hello_of_12_needs_no_buffer_that_is_not_there),
        cmocka_unit_test(a_forged_verify_request_costs_only_time),
        cmocka_unit_test(a_false_hello_does_not_stay_for_ever),
        cmocka_unit_test(a_false_hello_of_12_does_not_keep_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
