/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly, as it bit others: GnuTLS CVE-2026-33846, -33845, -42009; OpenSSL CVE-2014-0195,
 * CVE-2026-95690; pion CVE-2022-29189; mbedTLS CVE-2022-46393.
 */
#include "check.h"
#include "dtls/craft.h"

#include <string.h>

static struct kw_reassembly in;
static uint8_t bytes[KW_DTLS_MESSAGE_MAX + 16];

static uint16_t epoch_of_adds;

static enum kw_verdict add(uint8_t type, uint32_t message_len, uint16_t seq, uint32_t offset,
                           size_t len)
{
    return kw_reassembly_add(&in,
                             &(struct kw_fragment){.type = type,
                                                   .message_len = message_len,
                                                   .seq = seq,
                                                   .offset = offset,
                                                   .body = {bytes + offset % 64, len}},
                             epoch_of_adds);
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    kw_reassembly_init(&in, 0);
    epoch_of_adds = 0;
    return 0;
}

static void lengths_that_differ_between_fragments(void **state)
{
    (void)state;
    assert_int_equal(add(1, 100, 0, 0, 50), KW_ACCEPT);
    assert_int_equal(add(1, 99, 0, 50, 49), KW_DROP_MALFORMED);
    assert_int_equal(add(1, 5000, 0, 50, 50), KW_DROP_MALFORMED);
    assert_int_equal(in.open[0].have, 50);
}

static void types_that_differ_between_fragments(void **state)
{
    (void)state;
    assert_int_equal(add(1, 100, 0, 0, 50), KW_ACCEPT);
    assert_int_equal(add(2, 100, 0, 50, 50), KW_DROP_MALFORMED);
}

static void a_fragment_beyond_its_message(void **state)
{
    const uint8_t wire[] = {1, 0, 0, 10, 0, 0, 0, 0, 8, 0, 0, 3, 1, 2, 3};
    const uint8_t huge[] = {1, 0, 0, 10, 0, 0, 0xff, 0xff, 0xff, 0, 0, 1, 1};
    struct kw_reader reader = kw_reader_of(wire, sizeof wire);
    struct kw_fragment fragment;

    (void)state;
    assert_int_equal(kw_fragment_parse(&reader, &fragment), KW_DROP_MALFORMED);
    reader = kw_reader_of(huge, sizeof huge);
    assert_int_equal(kw_fragment_parse(&reader, &fragment), KW_DROP_MALFORMED);
    assert_int_equal(add(1, 10, 0, 8, 3), KW_DROP_MALFORMED);
    assert_int_equal(in.used, 0);
}

static void a_fragment_longer_than_its_record(void **state)
{
    const uint8_t wire[] = {1, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3};
    struct kw_reader reader = kw_reader_of(wire, sizeof wire);
    struct kw_fragment fragment;

    (void)state;
    assert_int_equal(kw_fragment_parse(&reader, &fragment), KW_DROP_TRUNCATED);
}

/* They may come; they complete nothing and hold nothing that counts. */
static void zero_length_fragments(void **state)
{
    struct kw_message message;

    (void)state;
    for (int i = 0; i < 1000; i++)
        add(1, 100, 0, (uint32_t)(i % 100), 0);
    assert_false(kw_reassembly_peek(&in, &message));
    assert_int_equal(add(1, 100, 0, 0, 100), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    kw_reassembly_pop(&in);
    /* A message of nothing is whole with one fragment of nothing. */
    assert_int_equal(add(14, 0, 1, 0, 0), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_int_equal(message.body.len, 0);
}

static void overlaps_change_nothing_that_is_there(void **state)
{
    struct kw_message message;

    (void)state;
    epoch_of_adds = 2;
    assert_int_equal(add(1, 8, 0, 0, 4), KW_ACCEPT);
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(add(1, 8, 0, 2, 4), KW_ACCEPT);
    assert_false(kw_reassembly_peek(&in, &message));
    assert_int_equal(add(1, 8, 0, 0, 8), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_memory_equal(message.body.data, "\x00\x01\x02\x03\xee\xee\xee\xee", 8);
}

/* In the clear the newest copy stays until the message is whole, and then nothing changes it. */
static void what_a_stranger_put_into_a_message_gives_way(void **state)
{
    struct kw_message message;

    (void)state;
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(add(1, 8, 0, 2, 4), KW_ACCEPT);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(add(1, 8, 0, 0, 4), KW_ACCEPT);
    assert_false(kw_reassembly_peek(&in, &message));
    assert_int_equal(add(1, 8, 0, 4, 4), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_memory_equal(message.body.data, "\x00\x01\x02\x03\x04\x05\x06\x07", 8);
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(add(1, 8, 0, 0, 8), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_memory_equal(message.body.data, "\x00\x01\x02\x03\x04\x05\x06\x07", 8);
}

static void a_flood_of_messages_ahead_of_their_turn(void **state)
{
    struct kw_message message;

    (void)state;
    for (uint32_t seq = 1; seq < 60000; seq++)
        add(11, 3000, (uint16_t)seq, 0, 1);
    assert_true(in.used <= KW_DTLS_ARENA);
    /* The one that is due finds room, though the arena was full of others. */
    for (uint32_t offset = 0; offset < KW_DTLS_MESSAGE_MAX; offset += 1024)
        assert_int_equal(add(11, KW_DTLS_MESSAGE_MAX, 0, offset, 1024), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_int_equal(message.body.len, KW_DTLS_MESSAGE_MAX);
    kw_reassembly_pop(&in);
    assert_int_equal(in.next_seq, 1);
}

static void a_message_that_is_too_long(void **state)
{
    (void)state;
    assert_int_equal(add(11, KW_DTLS_MESSAGE_MAX + 1, 0, 0, 1), KW_DROP_LIMIT);
    assert_int_equal(add(11, 0xffffff, 0, 0, 1), KW_DROP_LIMIT);
    assert_int_equal(in.used, 0);
}

static void any_order_any_cut_same_message(void **state)
{
    static const uint32_t cuts[] = {7, 13, 64, 100};
    struct kw_message message;

    (void)state;
    for (size_t c = 0; c < KW_ARRAY_LEN(cuts); c++) {
        kw_reassembly_init(&in, 0);
        for (uint32_t offset = 1000 / cuts[c] * cuts[c];; offset -= cuts[c]) {
            kw_reassembly_add(
                &in,
                &(struct kw_fragment){.type = 1,
                                      .message_len = 1000,
                                      .offset = offset,
                                      .body = {bytes + offset, KW_MIN(cuts[c], 1000 - offset)}},
                0);
            if (offset == 0)
                break;
        }
        assert_true(kw_reassembly_peek(&in, &message));
        assert_memory_equal(message.body.data, bytes, 1000);
        kw_reassembly_pop(&in);
        assert_int_equal(in.used, 0);
    }
}

/* A peer with keys that contradicts itself is told so; a stranger is not heard. */
static void a_contradiction_under_keys_is_fatal(void **state)
{
    uint8_t content[64];
    struct pair pair;
    size_t len;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 1});
    len = craft_fragment(content, sizeof content, KW_HS_CERTIFICATE, 100, 1, 0, bytes, 20);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CERTIFICATE);
    len = craft_fragment(content, sizeof content, KW_HS_CERTIFICATE, 101, 1, 20, bytes, 20);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].alert, KW_ALERT_ILLEGAL_PARAMETER);
    pair_deinit(&pair);
}

static void a_large_hello_in_small_pieces_is_answered(void **state)
{
    static uint8_t hello[KW_DTLS_MESSAGE_MAX + 4096];
    struct pair pair;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 2}), KW_OK);
    len = craft_hello(&pair, 0, 4000, hello, sizeof hello);
    assert_in_range(len, 5000, KW_DTLS_MESSAGE_MAX);
    craft_deliver_hello(&pair, hello, len, 90);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CERTIFICATE);
    pair_deinit(&pair);

    /* Beyond the bound it is dropped, and the next one is heard. */
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 3}), KW_OK);
    len = craft_hello(&pair, 0, 6000, hello, sizeof hello);
    assert_true(len > KW_DTLS_MESSAGE_MAX);
    craft_deliver_hello(&pair, hello, len, 1000);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CLIENT_HELLO);
    assert_null(pair.end[0].dtls->hs);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    pair_deinit(&pair);
}

/* What was booked of a protected message was acknowledged, and is not repeated. */
static void what_was_acknowledged_is_not_forgotten(void **state)
{
    struct kw_fragment fragment = {.type = 11, .body = {bytes, 2900}};
    struct kw_message message;

    (void)state;
    kw_reassembly_init(&in, 1);
    fragment.seq = 2;
    fragment.message_len = 2900;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 2), KW_ACCEPT);
    fragment.seq = 3;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 2), KW_DROP_LIMIT);
    fragment.seq = 1;
    fragment.message_len = KW_DTLS_MESSAGE_MAX;
    fragment.body.len = KW_DTLS_MESSAGE_MAX;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 2), KW_ACCEPT);
    assert_true(kw_reassembly_peek(&in, &message));
    kw_reassembly_pop(&in);
    assert_true(kw_reassembly_peek(&in, &message));
    assert_int_equal(message.seq, 2);
    assert_int_equal(message.body.len, 2900);
    kw_reassembly_pop(&in);
    /* Now it is the turn of number 3. */
    fragment.seq = 3;
    assert_int_equal(kw_reassembly_add(&in, &fragment, 2), KW_ACCEPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lengths_that_differ_between_fragments, setup),
        cmocka_unit_test_setup(types_that_differ_between_fragments, setup),
        cmocka_unit_test_setup(a_fragment_beyond_its_message, setup),
        cmocka_unit_test_setup(a_fragment_longer_than_its_record, setup),
        cmocka_unit_test_setup(zero_length_fragments, setup),
        cmocka_unit_test_setup(overlaps_change_nothing_that_is_there, setup),
        cmocka_unit_test_setup(what_a_stranger_put_into_a_message_gives_way, setup),
        cmocka_unit_test_setup(a_flood_of_messages_ahead_of_their_turn, setup),
        cmocka_unit_test_setup(a_message_that_is_too_long, setup),
        cmocka_unit_test_setup(any_order_any_cut_same_message, setup),
        cmocka_unit_test_setup(a_contradiction_under_keys_is_fatal, setup),
        cmocka_unit_test_setup(a_large_hello_in_small_pieces_is_answered, setup),
        cmocka_unit_test(what_was_acknowledged_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
