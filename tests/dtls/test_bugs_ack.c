/* SPDX-License-Identifier: Apache-2.0 */
/* ACKs, as they bit others: wolfSSL CVE-2026-5264, CVE-2026-6679; OpenSSL #32853 #32871 #32891. */
#include "check.h"
#include "dtls/craft.h"

#include <string.h>

static void put_number(uint8_t *at, uint64_t epoch, uint64_t seq)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(epoch >> (56 - 8 * i));
        at[8 + i] = (uint8_t)(seq >> (56 - 8 * i));
    }
}

static void deliver_ack(struct pair *pair, uint64_t epoch, const uint8_t *content, size_t len)
{
    craft_deliver(pair, KW_DTLS_CLIENT, epoch, KW_CONTENT_ACK, content, len);
    pair_flush(pair);
}

static void lengths_that_lie(void **state)
{
    static const struct {
        uint8_t content[4];
        size_t len;
    } rows[] = {
        {{0}, 0}, {{0}, 1}, {{0, 1, 7}, 3}, {{0, 16, 0}, 3}, {{0xff, 0xff, 0}, 3}, {{0, 0, 9}, 3},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct pair pair;

        pair_connect(&pair, &(struct pair_config){.seed = i + 1});
        deliver_ack(&pair, 3, rows[i].content, rows[i].len);
        CHECK(pair.end[0].closed && pair.end[0].alert == KW_ALERT_DECODE_ERROR, "row %zu", i);
        pair_deinit(&pair);
    }
}

static void an_empty_ack_means_nothing(void **state)
{
    const uint8_t none[2] = {0, 0};
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 1});
    deliver_ack(&pair, 3, none, sizeof none);
    assert_false(pair.end[0].closed);
    pair_deinit(&pair);
}

/* As many as a record holds; all of them strangers. */
static void what_was_never_sent(void **state)
{
    static uint8_t content[2 + 16 * 100];
    struct pair pair;

    (void)state;
    content[0] = 16 * 100 >> 8;
    content[1] = (uint8_t)(16 * 100);
    for (uint64_t i = 0; i < 100; i++)
        put_number(content + 2 + 16 * i, i % 3 == 0 ? 2 : 0,
                   UINT64_C(0xffffffffffff0000) + i * 977);
    craft_hold_client(&pair, &(struct pair_config){.seed = 2});
    deliver_ack(&pair, 2, content, sizeof content);
    assert_false(pair.end[0].closed);
    assert_false(kw_flight_is_acked(&pair.end[0].dtls->hs->out));
    assert_true(pair.end[0].dtls->retransmit_at != KW_NEVER);
    pair_deinit(&pair);
}

static void a_higher_epoch_than_its_own(void **state)
{
    static const uint64_t epochs[] = {3, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    uint8_t content[18] = {0, 16};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(epochs); i++) {
        struct pair pair;

        craft_hold_client(&pair, &(struct pair_config){.seed = i + 1});
        put_number(content + 2, epochs[i], 0);
        deliver_ack(&pair, 2, content, sizeof content);
        CHECK(pair.end[0].closed && pair.end[0].alert == KW_ALERT_ILLEGAL_PARAMETER, "row %zu", i);
        pair_deinit(&pair);
    }
}

/* An ACK cancels exactly what it names: the rest comes again. */
static void a_partial_ack_cancels_what_it_names(void **state)
{
    uint8_t content[18] = {0, 16};
    struct kw_flight *flight;
    struct pair pair;
    uint64_t first;
    size_t pieces = 0, again = 0;
    struct kw_flight_piece piece;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 3, .mtu = 300});
    flight = &pair.end[0].dtls->hs->out;
    first = flight->sent[0].number - 1;
    for (size_t i = 0; i < KW_DTLS_SENT_RECORDS; i++)
        pieces += flight->sent[i].number != 0;
    put_number(content + 2, first >> KW_RECORD_SEQ_BITS, first & KW_RECORD_SEQ_MAX);
    deliver_ack(&pair, 2, content, sizeof content);
    kw_flight_send(flight);
    assert_true(kw_flight_peek(flight, &piece));
    assert_int_equal(piece.message, 0);
    assert_true(piece.offset > 0);
    while (kw_flight_peek(flight, &piece)) {
        piece.len = (uint16_t)KW_MIN(piece.len, 200);
        kw_flight_sent(flight, &piece, 1);
        again++;
    }
    assert_in_range(again, 1, 2 * pieces);
    /* Naming it again is no news. */
    assert_false(kw_flight_ack(flight, first));
    pair_deinit(&pair);
}

/* However many records come, an ACK of ours names 32, and those that came last. */
static void our_own_ack_is_bounded_and_sorted(void **state)
{
    struct kw_ack_list list = {.count = 0};
    uint8_t body[1024];
    struct kw_writer out = kw_writer_of(body, sizeof body);
    struct kw_reader in;
    uint64_t epoch, seq, before = 0, count = 0, sum = 0, expected = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        kw_ack_list_add(&list, kw_record_number(2, (i * 7919) % 1000));
    assert_int_equal(list.count, KW_DTLS_ACK_RECORDS);
    kw_ack_write(&list, list.count, &out);
    assert_int_equal(out.len, kw_ack_size(KW_DTLS_ACK_RECORDS));
    assert_true(kw_ack_open(kw_writer_view(&out), &in));
    while (kw_ack_next(&in, &epoch, &seq)) {
        assert_int_equal(epoch, 2);
        assert_true(count == 0 || seq > before);
        before = seq;
        sum += seq;
        count++;
    }
    for (uint64_t i = 1000 - KW_DTLS_ACK_RECORDS; i < 1000; i++)
        expected += (i * 7919) % 1000;
    assert_int_equal(sum, expected);
    assert_int_equal(count, KW_DTLS_ACK_RECORDS);
}

static unsigned dropped;

/* The first three datagrams of the server after it connected vanish: ACKs of the last flight. */
static bool drop_acks(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                      size_t *len, kw_ns now)
{
    struct pair *pair = ctx;

    (void)net;
    (void)data;
    (void)len;
    (void)now;
    if (!kw_path_equal(path, &pair->end[KW_DTLS_SERVER].path) || !pair->end[0].connected ||
        dropped == 3)
        return true;
    dropped++;
    return false;
}

static void the_last_flight_is_acknowledged_again(void **state)
{
    struct pair pair;

    (void)state;
    dropped = 0;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 4}), KW_OK);
    pair.net.tap = drop_acks;
    pair.net.tap_ctx = &pair;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(20)));
    assert_int_equal(dropped, 3);
    /* And the server held nothing of the handshake for it. */
    assert_null(pair.end[0].dtls->hs);
    pair_deinit(&pair);
}

/* After four minutes its keys are gone, and nothing is answered any more. */
static void the_last_flight_is_forgotten_in_the_end(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 5});
    assert_non_null(pair.end[0].dtls->read[0].aead);
    pair_run(&pair, pair_forever, pair.now + KW_S(241));
    assert_null(pair.end[0].dtls->read[0].aead);
    assert_null(pair.end[1].dtls->read[0].aead);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(an_empty_ack_means_nothing),
        cmocka_unit_test(what_was_never_sent),
        cmocka_unit_test(a_higher_epoch_than_its_own),
        cmocka_unit_test(a_partial_ack_cancels_what_it_names),
        cmocka_unit_test(our_own_ack_is_bounded_and_sorted),
        cmocka_unit_test(the_last_flight_is_acknowledged_again),
        cmocka_unit_test(the_last_flight_is_forgotten_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
