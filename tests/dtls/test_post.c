/* SPDX-License-Identifier: Apache-2.0 */
/* After the handshake: KeyUpdate both ways, connection ids, memory at rest, closing. */
#include "check.h"
#include "dtls/craft.h"
#include "dtls/hello.h"

#include <inttypes.h>
#include <string.h>

static void exchange(struct pair *pair)
{
    size_t counts[2] = {pair->end[0].data_count, pair->end[1].data_count};

    for (int role = 0; role < 2; role++) {
        assert_int_equal(kw_dtls_send(pair->end[role].dtls,
                                      (struct kw_bytes){(const uint8_t *)"data", 4}, pair->now),
                         KW_OK);
    }
    pair_run(pair, pair_forever, pair->now + KW_MS(100));
    assert_int_equal(pair->end[0].data_count, counts[0] + 1);
    assert_int_equal(pair->end[1].data_count, counts[1] + 1);
}

static void new_keys_one_way_and_both(void **state)
{
    uint8_t before[32], after[32];
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 1, .link = {.delay = KW_MS(5)}});
    assert_int_equal(
        kw_dtls_export(pair.end[0].dtls, "EXPORTER-x", (struct kw_bytes){NULL, 0}, before, 32),
        KW_OK);
    for (uint64_t round = 0; round < 12; round++) {
        assert_int_equal(kw_dtls_update_keys(pair.end[round & 1].dtls, round % 3 == 0, pair.now),
                         KW_OK);
        pair_run(&pair, pair_forever, pair.now + KW_S(1));
        assert_null(pair.end[0].dtls->hs);
        assert_null(pair.end[1].dtls->hs);
        exchange(&pair);
    }
    assert_int_equal(pair.end[0].dtls->write[1].epoch, 3 + 6 + 2);
    assert_int_equal(pair.end[1].dtls->write[1].epoch, 3 + 6 + 2);
    /* DESIGN, section 4: an update is no rotation. */
    assert_int_equal(
        kw_dtls_export(pair.end[0].dtls, "EXPORTER-x", (struct kw_bytes){NULL, 0}, after, 32),
        KW_OK);
    assert_memory_equal(before, after, sizeof before);
    pair_deinit(&pair);
}

static void updates_survive_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct pair pair;

        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = seed,
                                                                .link = {.delay = KW_MS(10),
                                                                         .loss_percent = 25,
                                                                         .reorder_percent = 20,
                                                                         .duplicate_percent = 20}}),
                         KW_OK);
        assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(60)));
        for (int round = 0; round < 6; round++) {
            kw_status_ignore(kw_dtls_update_keys(pair.end[round & 1].dtls, round & 2, pair.now));
            kw_status_ignore(kw_dtls_update_keys(pair.end[1 - (round & 1)].dtls, false, pair.now));
            pair_run(&pair, pair_forever, pair.now + KW_S(40));
        }
        assert_false(pair_one_ended(&pair));
        CHECK(pair.end[0].dtls->write[1].epoch == pair.end[1].dtls->read[1].epoch ||
                  pair.end[0].dtls->write[1].epoch == pair.end[1].dtls->read[2].epoch,
              "seed %" PRIu64, seed);
        pair.net.link = (struct net_link){.delay = KW_MS(1)};
        exchange(&pair);
        pair_deinit(&pair);
    }
}

static bool swallow(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                    size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)data;
    (void)len;
    (void)now;
    return false;
}

/* RFC 9147, section 8: new keys are used when the update is acknowledged, not before. */
static void old_keys_are_used_until_the_acknowledgement(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 2});
    pair.net.tap = swallow;
    assert_int_equal(kw_dtls_update_keys(pair.end[1].dtls, false, pair.now), KW_OK);
    pair_flush(&pair);
    assert_int_equal(pair.end[1].dtls->write[1].epoch, 3);
    pair.net.tap = NULL;
    exchange(&pair);
    pair_run(&pair, pair_forever, pair.now + KW_S(5));
    assert_int_equal(pair.end[1].dtls->write[1].epoch, 4);
    exchange(&pair);
    pair_deinit(&pair);
}

static void an_update_without_buffers_waits(void **state)
{
    void *held[2];
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 3});
    for (int i = 0; i < 2; i++)
        held[i] = kw_pool_take(&pair.end[1].shared.buffers->handshakes);
    assert_non_null(held[1]);
    assert_int_equal(kw_dtls_update_keys(pair.end[1].dtls, false, pair.now), KW_ERR_MEMORY);
    exchange(&pair);
    for (int i = 0; i < 2; i++)
        kw_pool_give(&pair.end[1].shared.buffers->handshakes, held[i]);
    assert_int_equal(kw_dtls_update_keys(pair.end[1].dtls, false, pair.now), KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[1].dtls->write[1].epoch, 4);
    exchange(&pair);
    pair_deinit(&pair);
}

static void updates_are_refused_where_there_are_none(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 4, .only_dtls12 = true});
    assert_int_equal(kw_dtls_update_keys(pair.end[1].dtls, false, pair.now), KW_ERR_STATE);
    pair_deinit(&pair);
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 5}), KW_OK);
    assert_int_equal(kw_dtls_update_keys(pair.end[1].dtls, false, pair.now), KW_ERR_STATE);
    assert_int_equal(kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){NULL, 0}, pair.now),
                     KW_ERR_STATE);
    pair_deinit(&pair);
}

/* A record with another id, or with none, is not for this association. */
static void a_record_with_another_connection_id(void **state)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct pair pair;
    size_t len;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 6, .use_cid = true});
    assert_int_equal(kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){datagram, 9}, pair.now),
                     KW_OK);
    len = kw_dtls_transmit(pair.end[1].dtls, datagram, sizeof datagram, pair.now);
    assert_int_equal(datagram[0] & 0x10, 0x10);
    datagram[2] ^= 1;
    assert_false(kw_dtls_owns(pair.end[0].dtls, datagram, len));
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, datagram, len, pair.now), KW_OK);
    assert_int_equal(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_FOREIGN], 1);
    exchange(&pair);
    pair_deinit(&pair);
}

static void a_new_connection_id_is_used_at_once(void **state)
{
    const uint8_t body[] = {0, 4, 3, 7, 8, 9, 0};
    uint8_t content[64];
    struct pair pair;
    size_t len;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 7, .use_cid = true});
    len = craft_message(content, sizeof content, KW_HS_NEW_CONNECTION_ID,
                        (uint16_t)pair.end[1].dtls->next_send_seq, body, sizeof body);
    craft_deliver(&pair, KW_DTLS_CLIENT, 3, KW_CONTENT_HANDSHAKE, content, len);
    assert_int_equal(pair.end[0].dtls->peer_cid_len, 3);
    assert_memory_equal(pair.end[0].dtls->peer_cid, "\x07\x08\x09", 3);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_null(pair.end[0].dtls->hs);
    pair_deinit(&pair);
}

/* RFC 9147, section 4: behind a record of another association "the rest of the datagram MUST be
 * discarded". */
static void behind_another_connection_id_nothing_is_read(void **state)
{
    uint8_t datagram[3 * 128];
    struct pair pair;
    size_t len, used = 0;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 6, .use_cid = true});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kw_dtls_protect(pair.end[1].dtls,
                                         (struct kw_bytes){(const uint8_t *)"data", 4},
                                         datagram + used, sizeof datagram - used, &len, pair.now),
                         KW_OK);
        if (i == 1)
            datagram[used + 2] ^= 1;
        used += len;
    }
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, datagram, used, pair.now), KW_OK);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].data_count, 1);
    assert_int_equal(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_FOREIGN], 1);
    pair_deinit(&pair);
}

static void server_without_id(struct pair *pair, enum kw_dtls_role role,
                              struct kw_dtls_params *params)
{
    (void)pair;
    params->cid_len = role == KW_DTLS_SERVER ? 0 : 8;
}

/* RFC 9147, section 9: who may send these messages, and in which form. */
static void messages_about_connection_ids_keep_to_their_rules(void **state)
{
    static const struct {
        uint8_t type;
        bool use_cid;
        bool writes_none; /* the client, to the server */
        uint8_t body[8];
        size_t len;
        enum kw_alert alert;
        const char *why;
    } rows[] = {
        {KW_HS_REQUEST_CONNECTION_ID, true, false, {2}, 1, KW_ALERT_NONE, "a request"},
        {KW_HS_REQUEST_CONNECTION_ID, true, false, {0}, 0, KW_ALERT_DECODE_ERROR, "empty"},
        {KW_HS_REQUEST_CONNECTION_ID,
         true,
         true,
         {2},
         1,
         KW_ALERT_UNEXPECTED_MESSAGE,
         "a request of one who writes none"},
        {KW_HS_REQUEST_CONNECTION_ID,
         false,
         false,
         {2},
         1,
         KW_ALERT_UNEXPECTED_MESSAGE,
         "a request though none was negotiated"},
        {KW_HS_NEW_CONNECTION_ID, true, false, {0, 3, 2, 7, 8, 1}, 6, KW_ALERT_NONE, "a spare one"},
        {KW_HS_NEW_CONNECTION_ID,
         true,
         false,
         {0, 4, 1, 7, 9, 9, 1},
         7,
         KW_ALERT_DECODE_ERROR,
         "a second one that is cut off"},
        {KW_HS_NEW_CONNECTION_ID,
         false,
         false,
         {0, 3, 2, 7, 8, 1},
         6,
         KW_ALERT_UNEXPECTED_MESSAGE,
         "a new one though none was negotiated"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t content[64];
        struct pair pair;
        size_t len;

        pair_connect(&pair, &(struct pair_config){.seed = 20 + i,
                                                  .use_cid = rows[i].use_cid,
                                                  .prepare = rows[i].writes_none ? server_without_id
                                                                                 : NULL});
        len = craft_message(content, sizeof content, rows[i].type,
                            (uint16_t)pair.end[1].dtls->next_send_seq, rows[i].body, rows[i].len);
        craft_deliver(&pair, KW_DTLS_CLIENT, 3, KW_CONTENT_HANDSHAKE, content, len);
        pair_flush(&pair);
        CHECK(pair.end[0].closed == (rows[i].alert != KW_ALERT_NONE), "%s", rows[i].why);
        if (rows[i].alert != KW_ALERT_NONE)
            CHECK(pair.end[0].alert == rows[i].alert, "%s", rows[i].why);
        pair_run(&pair, pair_forever, pair.now + KW_S(1));
        pair_deinit(&pair);
    }
}

/* A server of 1.2 could agree to a connection id that was offered (RFC 9146). */
static void a_hello_that_allows_12_offers_no_connection_id(void **state)
{
    (void)state;
    for (int allows_12 = 0; allows_12 < 2; allows_12++) {
        struct pair pair;
        struct kw_client_hello hello;

        assert_int_equal(
            pair_init(&pair,
                      &(struct pair_config){.seed = 30, .use_cid = true, .dtls12 = allows_12}),
            KW_OK);
        assert_int_equal(
            kw_client_hello_parse(kw_flight_body(&pair.end[1].dtls->hs->out, 0), &hello),
            KW_ALERT_NONE);
        assert_int_equal(kw_extension_seen(&hello.ext, KW_AT_CONNECTION_ID), !allows_12);
        assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(1)));
        assert_int_equal(pair.end[0].dtls->facts.cid, !allows_12);
        pair_deinit(&pair);
    }
}

/*
 * RFC 9147, section 8: the keys before an update are kept "until receipt and successful decryption
 * of a message using the new keys". All our ACKs may have been lost.
 */
static void old_keys_are_kept_until_the_new_ones_were_used(void **state)
{
    static const uint8_t body[] = {0};
    uint8_t content[64];
    struct pair pair;
    size_t len;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 31});
    len = craft_message(content, sizeof content, KW_HS_KEY_UPDATE,
                        (uint16_t)pair.end[1].dtls->next_send_seq, body, sizeof body);
    craft_deliver(&pair, KW_DTLS_CLIENT, 3, KW_CONTENT_HANDSHAKE, content, len);
    assert_int_equal(kw_dtls_newest_read_epoch(pair.end[0].dtls), 4);
    pair_run(&pair, pair_forever, pair.now + KW_S(1000));
    exchange(&pair);
    pair_deinit(&pair);
}

/* DESIGN, section 4: what is idle is small, and holds nothing of the pools. */
static void an_idle_association_is_small(void **state)
{
    struct pair pair;

    (void)state;
    print_message("struct kw_dtls: %zu bytes, a set of buffers: %zu\n", kw_dtls_size(),
                  kw_dtls_buffers_size(2) - kw_dtls_buffers_size(1));
    assert_true(kw_dtls_size() <= 4096);
    pair_connect(&pair, &(struct pair_config){.seed = 8});
    for (int role = 0; role < 2; role++) {
        assert_null(pair.end[role].dtls->hs);
        assert_null(pair.end[role].dtls->outbox);
        assert_int_equal(pair.end[role].shared.buffers->handshakes.used, 0);
    }
    assert_int_equal(kw_dtls_deadline(pair.end[1].dtls), KW_NEVER);
    pair_deinit(&pair);
}

/* RFC 8446, section 5.1: 2^14 bytes. The caller's buffers hold them, ours do not have to. */
static void a_record_is_as_large_as_the_caller_can_hold(void **state)
{
    static uint8_t data[KW_DTLS_DATA_MAX + 1], datagram[KW_DTLS_DATA_MAX + KW_DTLS_OVERHEAD_MAX];
    struct kw_bytes view = {data, KW_DTLS_DATA_MAX};
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (int is_12 = 0; is_12 < 2; is_12++) {
        struct kw_dtls_event event = {.type = KW_DTLS_EVENT_NONE};
        struct pair pair;

        assert_int_equal(
            pair_init(&pair,
                      &(struct pair_config){.seed = 11, .only_dtls12 = is_12, .use_cid = !is_12}),
            KW_OK);
        struct kw_dtls *from = pair.end[KW_DTLS_CLIENT].dtls, *to = pair.end[KW_DTLS_SERVER].dtls;

        assert_int_equal(kw_dtls_protect(from, view, datagram, sizeof datagram, &len, pair.now),
                         KW_ERR_STATE);
        assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
        assert_int_equal(kw_dtls_protect(from, (struct kw_bytes){data, sizeof data}, datagram,
                                         sizeof datagram + 1, &len, pair.now),
                         KW_ERR_INPUT);
        assert_int_equal(kw_dtls_protect(from, view, datagram, sizeof datagram - 1, &len, pair.now),
                         KW_ERR_INPUT);
        assert_int_equal(kw_dtls_protect(from, view, datagram, sizeof datagram, &len, pair.now),
                         KW_OK);
        assert_in_range(len, KW_DTLS_DATA_MAX + 1, sizeof datagram);
        assert_null(from->outbox);
        assert_int_equal(kw_dtls_receive(to, datagram, len, pair.now), KW_OK);
        assert_true(kw_dtls_next_event(to, &event));
        assert_int_equal(event.type, KW_DTLS_EVENT_DATA);
        assert_int_equal(event.data.len, KW_DTLS_DATA_MAX);
        assert_memory_equal(event.data.data, data, KW_DTLS_DATA_MAX);
        exchange(&pair);
        pair_deinit(&pair);
    }
}

static bool contains(const void *mem, size_t size, const void *what, size_t len)
{
    for (size_t i = 0; i + len <= size; i++) {
        if (memcmp((const uint8_t *)mem + i, what, len) == 0)
            return true;
    }
    return false;
}

static void secrets_are_wiped_when_it_closes(void **state)
{
    struct kw_secret exporter;
    struct pair pair;
    size_t size;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 9});
    exporter = pair.end[0].dtls->exporter;
    size = kw_dtls_size();
    assert_true(contains(pair.end[0].mem, size, exporter.bytes, 32));
    kw_dtls_close(pair.end[0].dtls, pair.now);
    assert_false(contains(pair.end[0].mem, size, exporter.bytes, 32));
    assert_false(contains(pair.end[0].buffers_mem, kw_dtls_buffers_size(2), exporter.bytes, 32));
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(1)));
    assert_false(contains(pair.end[1].mem, size, exporter.bytes, 32));
    assert_int_equal(
        kw_dtls_export(pair.end[1].dtls, "x", (struct kw_bytes){NULL, 0}, exporter.bytes, 32),
        KW_ERR_STATE);
    pair_deinit(&pair);
}

static void renegotiation_is_refused(void **state)
{
    static const uint8_t types[] = {KW_HS_CLIENT_HELLO, KW_HS_HELLO_REQUEST};
    uint8_t content[64];

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        enum kw_dtls_role from = i == 0 ? KW_DTLS_CLIENT : KW_DTLS_SERVER;
        struct pair pair;
        size_t len;

        pair_connect(&pair, &(struct pair_config){.seed = 10, .only_dtls12 = true});
        len = craft_message(content, sizeof content, types[i], 0, content, 0);
        craft_deliver(&pair, from, 1, KW_CONTENT_HANDSHAKE, content, len);
        pair_flush(&pair);
        assert_int_equal(pair.end[1 - from].alert, KW_ALERT_UNEXPECTED_MESSAGE);
        pair_deinit(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_keys_one_way_and_both),
        cmocka_unit_test(updates_survive_loss),
        cmocka_unit_test(old_keys_are_used_until_the_acknowledgement),
        cmocka_unit_test(an_update_without_buffers_waits),
        cmocka_unit_test(updates_are_refused_where_there_are_none),
        cmocka_unit_test(a_record_with_another_connection_id),
        cmocka_unit_test(a_new_connection_id_is_used_at_once),
        cmocka_unit_test(behind_another_connection_id_nothing_is_read),
        cmocka_unit_test(messages_about_connection_ids_keep_to_their_rules),
        cmocka_unit_test(a_hello_that_allows_12_offers_no_connection_id),
        cmocka_unit_test(old_keys_are_kept_until_the_new_ones_were_used),
        cmocka_unit_test(an_idle_association_is_small),
        cmocka_unit_test(a_record_is_as_large_as_the_caller_can_hold),
        cmocka_unit_test(secrets_are_wiped_when_it_closes),
        cmocka_unit_test(renegotiation_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
