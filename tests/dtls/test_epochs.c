/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epoch confusion: a message counts only in the epoch in which its state expects it, also when it
 * was kept because it came before its turn; and what ends an epoch ends it for what is late.
 */
#include "check.h"
#include "dtls/pair.h"

#include "base/writer.h"

#include <string.h>

/* Lets every datagram that waits at `from` arrive at the other end. */
static void carry(struct pair *pair, enum kw_dtls_role from)
{
    enum kw_dtls_role to = from == KW_DTLS_CLIENT ? KW_DTLS_SERVER : KW_DTLS_CLIENT;
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    size_t len;

    while ((len = kw_dtls_transmit(pair->end[from].dtls, datagram, sizeof datagram, pair->now)))
        assert_int_equal(kw_dtls_receive(pair->end[to].dtls, datagram, len, pair->now), KW_OK);
}

/* One message of a flight as a record in the clear. */
static size_t in_the_clear(const struct kw_flight *flight, uint8_t type, uint8_t *dst,
                           size_t dst_size)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);
    uint8_t fragment[512];
    struct kw_writer body = kw_writer_of(fragment, sizeof fragment);

    for (size_t i = 0; i < flight->count; i++) {
        const struct kw_flight_message *message = &flight->messages[i];

        if (message->is_ccs || message->type != type)
            continue;
        kw_write_u8(&body, type);
        kw_write_u24(&body, message->len);
        kw_write_u16(&body, message->seq);
        kw_write_u24(&body, 0);
        kw_write_u24(&body, message->len);
        kw_write_bytes(&body, kw_flight_body(flight, i));
    }
    kw_record_write_plain(KW_CONTENT_HANDSHAKE, KW_DTLS_1_2, 1000, (struct kw_bytes){NULL, 0},
                          kw_writer_view(&body), &out);
    assert_false(out.failed);
    return out.len;
}

/* The bytes of a datagram before its ChangeCipherSpec. */
static size_t before_ccs(const uint8_t *datagram, size_t len)
{
    struct kw_reader in = kw_reader_of(datagram, len);
    struct kw_record record;
    size_t at = 0;

    while (kw_record_parse(&in, 0, &record) == KW_ACCEPT && record.type != KW_CONTENT_CCS)
        at = (size_t)(in.at - datagram);
    return at;
}

/* The client's Finished, true to the bit, but not protected, and before its turn. */
static void finished_in_the_clear_is_not_believed(void **state)
{
    struct pair pair;
    struct kw_dtls *server, *client;
    uint8_t early[512], datagram[KW_DTLS_DATAGRAM_MAX];
    size_t early_len, len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1, .only_dtls12 = true}),
                     KW_OK);
    server = pair.end[KW_DTLS_SERVER].dtls;
    client = pair.end[KW_DTLS_CLIENT].dtls;
    carry(&pair, KW_DTLS_CLIENT);
    carry(&pair, KW_DTLS_SERVER);
    early_len = in_the_clear(&client->hs->out, KW_HS_FINISHED, early, sizeof early);

    len = kw_dtls_transmit(client, datagram, sizeof datagram, pair.now);
    assert_int_equal(kw_dtls_receive(server, early, early_len, pair.now), KW_OK);
    assert_int_equal(kw_dtls_receive(server, datagram, before_ccs(datagram, len), pair.now), KW_OK);
    assert_int_equal(server->state, KW_STATE_12_FINISHED);

    /* The true one, sent again, is not in its way. */
    pair.now = kw_dtls_deadline(client);
    assert_int_equal(kw_dtls_tick(client, pair.now), KW_OK);
    carry(&pair, KW_DTLS_CLIENT);
    assert_int_equal(server->state, KW_STATE_CONNECTED);
    pair_deinit(&pair);
}

/* RFC 9147, section 8: a KeyUpdate is the last message of its epoch. */
static void nothing_new_follows_a_key_update(void **state)
{
    struct pair pair;
    struct kw_dtls *server, *client;
    struct kw_record_keys *keys;
    /* A ticket of one byte, in order but for its place. */
    uint8_t fragment[] = {KW_HS_NEW_SESSION_TICKET,
                          0,
                          0,
                          14,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          14,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          1,
                          9,
                          0,
                          0};
    uint8_t datagram[128];
    struct kw_writer out = kw_writer_of(datagram, sizeof datagram);

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 2});
    server = pair.end[KW_DTLS_SERVER].dtls;
    client = pair.end[KW_DTLS_CLIENT].dtls;
    /* The server has sent its update and not yet heard of it: its old keys still write. */
    assert_int_equal(kw_dtls_update_keys(server, false, pair.now), KW_OK);
    carry(&pair, KW_DTLS_SERVER);
    keys = &server->write[1];
    fragment[5] = (uint8_t)server->next_send_seq;
    assert_int_equal(kw_record_protect(keys, (struct kw_bytes){NULL, 0}, KW_CONTENT_HANDSHAKE,
                                       (struct kw_bytes){NULL, 0},
                                       (struct kw_bytes){fragment, sizeof fragment}, &out, NULL),
                     KW_OK);
    assert_int_equal(kw_dtls_receive(client, datagram, out.len, pair.now), KW_OK);
    pair_flush(&pair);
    assert_true(pair.end[KW_DTLS_CLIENT].closed);
    assert_int_equal(pair.end[KW_DTLS_CLIENT].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    pair_deinit(&pair);
}

/* Old read keys of data are kept for stragglers, and once new ones were used not for ever. */
static void old_data_keys_go(void **state)
{
    struct pair pair;
    struct kw_dtls *client;
    size_t live = 0;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 3});
    client = pair.end[KW_DTLS_CLIENT].dtls;
    assert_int_equal(kw_dtls_update_keys(pair.end[KW_DTLS_SERVER].dtls, false, pair.now), KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(kw_dtls_send(pair.end[KW_DTLS_SERVER].dtls,
                                  (struct kw_bytes){(const uint8_t *)"new", 3}, pair.now),
                     KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(238));
    for (size_t i = 1; i < KW_ARRAY_LEN(client->read); i++)
        live += client->read[i].aead != NULL;
    assert_int_equal(live, 2);
    pair_run(&pair, pair_forever, pair.now + KW_S(2));
    live = 0;
    for (size_t i = 0; i < KW_ARRAY_LEN(client->read); i++)
        live += client->read[i].aead != NULL;
    assert_int_equal(live, 1);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finished_in_the_clear_is_not_believed),
        cmocka_unit_test(nothing_new_follows_a_key_update),
        cmocka_unit_test(old_data_keys_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
