/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger tried who read the engine: each found something that has been mended since. */
#include "check.h"
#include "dtls/craft.h"
#include "dtls/handshake12.h"

#include "base/writer.h"
#include "dtls/hello.h"
#include "dtls/stranger.h"

#include <stdlib.h>
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

static void server_of_12(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    (void)params;
    if (role == KW_DTLS_SERVER) {
        memset(pair->terms[role].suites, 0, sizeof pair->terms[role].suites);
        pair->terms[role].suites[0] = KW_ECDHE_ECDSA_AES128_GCM_SHA256;
    }
}

/* A stranger's answer comes first, and is taken. The true one follows, of either version. */
static void a_forged_answer_costs_only_time(void **state)
{
    static const struct {
        bool forges_13;
        bool server_has_13;
        bool require_cookie;
        bool goes_on; /* with a piece of a certificate */
        const char *why;
    } rows[] = {
        {false, false, false, false, "1.2 before 1.2"},
        {false, false, true, false, "1.2 before HelloVerifyRequest"},
        {false, false, true, true, "1.2 and more before HelloVerifyRequest"},
        {false, true, false, false, "1.2 before 1.3"},
        {false, true, true, false, "1.2 before HelloRetryRequest"},
        {true, false, false, false, "1.3 before 1.2"},
        {true, false, true, false, "1.3 before HelloVerifyRequest"},
    };

    (void)state;
    stranger_prepare();
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        const struct pair_config config = {
            .seed = 40 + i,
            .link = {.delay = KW_MS(20)},
            .dtls12 = true,
            .require_cookie = rows[i].require_cookie,
            .prepare = rows[i].server_has_13 ? NULL : server_of_12,
        };
        uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
        struct pair pair;

        assert_int_equal(pair_init(&pair, &config), KW_OK);
        pair_flush(&pair);
        if (rows[i].forges_13) {
            size_t len = stranger_write(&pair.net, STRANGER_SERVER_HELLO, NULL, datagram);

            assert_int_equal(
                kw_dtls_receive(pair.end[KW_DTLS_CLIENT].dtls, datagram, len, pair.now), KW_OK);
        } else {
            deliver_hello12(&pair, true);
        }
        if (rows[i].goes_on) {
            size_t len = craft_fragment(datagram, sizeof datagram, KW_HS_CERTIFICATE, 900, 1, 0,
                                        (const uint8_t *)"never whole", 11);

            craft_deliver_plain(&pair, KW_DTLS_CLIENT, KW_CONTENT_HANDSHAKE, datagram, len);
        }
        CHECK(pair.end[KW_DTLS_CLIENT].dtls->state != KW_STATE_WAIT_SERVER_HELLO, "%s: not taken",
              rows[i].why);
        CHECK(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)), "%s", rows[i].why);
        assert_int_equal(pair.end[KW_DTLS_CLIENT].dtls->version,
                         rows[i].server_has_13 ? KW_DTLS_1_3 : KW_DTLS_1_2);
        assert_true(pair_same_srtp_keys(&pair));
        pair_deinit(&pair);
    }
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

/* --- half hellos hold blocks of the pool that all associations share --- */

/* The first bytes of a hello, whose rest never comes. */
static void deliver_half_hello(struct kw_dtls *dtls, uint32_t offset, kw_ns now)
{
    static const uint8_t bytes[100] = {0xfe, 0xfd};
    uint8_t fragment[128], datagram[160];
    struct kw_writer out = kw_writer_of(datagram, sizeof datagram);
    size_t len =
        craft_fragment(fragment, sizeof fragment, KW_HS_CLIENT_HELLO, 900, 0, offset, bytes, 100);

    kw_record_write_plain(KW_CONTENT_HANDSHAKE, KW_DTLS_1_2, 0, (struct kw_bytes){NULL, 0},
                          (struct kw_bytes){fragment, len}, &out);
    assert_int_equal(kw_dtls_receive(dtls, datagram, out.len, now), KW_OK);
}

enum { STRANGERS = 5, BLOCKS = 2 };

static void half_hellos_do_not_empty_the_pool(void **state)
{
    for (int is_12 = 0; is_12 < 2; is_12++) {
        struct kw_dtls *strangers[STRANGERS];
        void *mem[STRANGERS];
        struct pair pair;
        struct kw_pool *pool;

        (void)state;
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 31,
                                                                .link = {.delay = KW_MS(20)},
                                                                .only_dtls12 = is_12,
                                                                .mtu = KW_DTLS_MTU_MIN,
                                                                .handshake_count = BLOCKS}),
                         KW_OK);
        pool = &pair.end[KW_DTLS_SERVER].shared.buffers->handshakes;
        for (size_t i = 0; i < STRANGERS; i++) {
            mem[i] = aligned_alloc(64, (kw_dtls_size() + 63) / 64 * 64);
            assert_non_null(mem[i]);
            assert_int_equal(kw_dtls_init(mem[i], &pair.end[KW_DTLS_SERVER].shared,
                                          &pair.end[KW_DTLS_SERVER].params, pair.now,
                                          &strangers[i]),
                             KW_OK);
            deliver_half_hello(strangers[i], 0, pair.now);
            /* The newest stay; the others were driven out, and can begin anew. */
            assert_int_equal(pool->used, KW_MIN(i + 1, (size_t)BLOCKS));
            assert_non_null(strangers[i]->hs);
        }
        assert_null(strangers[0]->hs);
        assert_int_equal(strangers[0]->counters[KW_DROP_LIMIT], 1);
        assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(1)));
        for (size_t i = 0; i < STRANGERS; i++) {
            kw_dtls_deinit(strangers[i]);
            free(mem[i]);
        }
        pair_deinit(&pair);
    }
}

/* What drives out is only another's need: a hello that was answered is nobody's to take. */
static void an_answered_hello_keeps_its_block(void **state)
{
    struct pair pair;
    struct kw_dtls *other;
    void *mem = aligned_alloc(64, (kw_dtls_size() + 63) / 64 * 64);

    (void)state;
    assert_non_null(mem);
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 32,
                                                            .link = {.delay = KW_MS(20)},
                                                            .handshake_count = 1}),
                     KW_OK);
    assert_int_equal(kw_dtls_init(mem, &pair.end[KW_DTLS_SERVER].shared,
                                  &pair.end[KW_DTLS_SERVER].params, pair.now, &other),
                     KW_OK);
    assert_false(pair_run(&pair, pair_connected, pair.now + KW_MS(25)));
    assert_non_null(pair.end[KW_DTLS_SERVER].dtls->hs);
    deliver_half_hello(other, 0, pair.now);
    assert_null(other->hs);
    assert_int_equal(other->counters[KW_DROP_LIMIT], 1);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(1)));
    kw_dtls_deinit(other);
    free(mem);
    pair_deinit(&pair);
}

/* A piece now and then does not lengthen the loan. */
static void a_trickle_does_not_hold_a_block(void **state)
{
    struct pair pair;
    struct kw_dtls *server;
    kw_ns start;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 33}), KW_OK);
    server = pair.end[KW_DTLS_SERVER].dtls;
    start = pair.now;
    for (uint32_t i = 0; i < 3; i++) {
        deliver_half_hello(server, 100 * i, pair.now);
        pair.now += KW_S(25);
    }
    assert_true(kw_dtls_deadline(server) <= start + KW_DTLS_PARTIAL_PATIENCE);
    assert_int_equal(kw_dtls_tick(server, pair.now), KW_OK);
    assert_null(server->hs);
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
        cmocka_unit_test(half_hellos_do_not_empty_the_pool),
        cmocka_unit_test(an_answered_hello_keeps_its_block),
        cmocka_unit_test(a_trickle_does_not_hold_a_block),
        cmocka_unit_test(later_messages_make_room_for_an_earlier_one),
        cmocka_unit_test(a_refused_hello_leaves_no_facts),
        cmocka_unit_test(a_forged_hello_of_12_needs_no_buffer_that_is_not_there),
        cmocka_unit_test(a_forged_answer_costs_only_time),
        cmocka_unit_test(a_forged_verify_request_costs_only_time),
        cmocka_unit_test(a_false_hello_does_not_stay_for_ever),
        cmocka_unit_test(a_false_hello_of_12_does_not_keep_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
