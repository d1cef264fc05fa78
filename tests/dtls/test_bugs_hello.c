/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hellos, as they bit others: cookies (OpenSSL #32063, wolfSSL CVE-2022-34293, NSS 2033783, dimpl
 * #128 #163), downgrade (dimpl #88 #106, mbedTLS CVE-2024-28755), session id (wolfSSL before 5.9),
 * a foreign ClientHello (Asterisk CVE-2023-49786, FreeSWITCH CVE-2023-51443), timers (dimpl #116
 * #125, libdatachannel #1635, janus #1377).
 */
#include "check.h"
#include "dtls/cookie.h"
#include "dtls/craft.h"
#include "dtls/handshake12.h"
#include "dtls/hello.h"

#include <inttypes.h>
#include <string.h>

/* --- cookies --- */

static struct {
    uint64_t plain_seq[2][64];
    size_t plain_count[2];
    uint8_t share[2][2048]; /* of the first and the second hello */
    size_t share_len[2];
    size_t hellos;
    size_t largest_answer, smallest_question;
} seen;

/* Watches whole records in the clear: numbers, and the key shares of both hellos. */
static bool watch_plain(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                        size_t *len, kw_ns now)
{
    struct pair *pair = ctx;
    int role = kw_path_equal(path, &pair->end[KW_DTLS_CLIENT].path);
    struct kw_reader in = kw_reader_of(data, *len);
    struct kw_record record;

    (void)net;
    (void)now;
    while (kw_reader_left(&in) != 0 && kw_record_parse(&in, 0, &record) == KW_ACCEPT) {
        if (record.is_unified || record.epoch != 0)
            continue;
        seen.plain_seq[role][seen.plain_count[role]++ % 64] = record.seq;
        if (role == 1 && record.type == KW_CONTENT_HANDSHAKE &&
            record.body.data[0] == KW_HS_CLIENT_HELLO && seen.hellos < 2) {
            struct kw_client_hello hello;
            struct kw_bytes body = {record.body.data + KW_FRAGMENT_HEADER,
                                    record.body.len - KW_FRAGMENT_HEADER};

            if (kw_client_hello_parse(body, &hello) == KW_ALERT_NONE &&
                kw_extension_seen(&hello.ext, KW_AT_KEY_SHARE)) {
                seen.share_len[seen.hellos] = hello.ext.body[KW_AT_KEY_SHARE].len;
                memcpy(seen.share[seen.hellos++], hello.ext.body[KW_AT_KEY_SHARE].data,
                       hello.ext.body[KW_AT_KEY_SHARE].len);
            }
        }
    }
    return true;
}

static void connect_watched(struct pair *pair, const struct pair_config *config)
{
    memset(&seen, 0, sizeof seen);
    assert_int_equal(pair_init(pair, config), KW_OK);
    pair->net.tap = watch_plain;
    pair->net.tap_ctx = pair;
    assert_true(pair_run(pair, pair_confirmed, pair->now + KW_S(10)));
}

static void record_numbers_go_on_after_a_cookie(void **state)
{
    (void)state;
    for (int is_12 = 0; is_12 < 2; is_12++) {
        struct pair pair;

        connect_watched(
            &pair, &(struct pair_config){.seed = 1, .only_dtls12 = is_12, .require_cookie = true});
        for (int role = 0; role < 2; role++) {
            assert_true(seen.plain_count[role] > 1);
            for (size_t i = 0; i < seen.plain_count[role]; i++)
                assert_int_equal(seen.plain_seq[role][i], i);
        }
        pair_deinit(&pair);
    }
}

static void the_key_share_stays_on_a_cookie_only_retry(void **state)
{
    struct pair pair;

    (void)state;
    connect_watched(&pair, &(struct pair_config){
                               .seed = 2, .mtu = KW_DTLS_DATAGRAM_MAX, .require_cookie = true});
    assert_int_equal(seen.hellos, 2);
    assert_int_equal(seen.share_len[0], seen.share_len[1]);
    assert_memory_equal(seen.share[0], seen.share[1], seen.share_len[0]);
    pair_deinit(&pair);

    /* And is another one when the retry asks for a group. */
    connect_watched(&pair, &(struct pair_config){.seed = 3,
                                                 .mtu = KW_DTLS_DATAGRAM_MAX,
                                                 .server_group = KW_GROUP_P256});
    assert_int_equal(seen.hellos, 2);
    assert_int_equal(seen.share_len[1], 2 + 4 + 65);
    pair_deinit(&pair);
}

static void a_hello_in_pieces_is_answered_with_a_cookie_too(void **state)
{
    struct pair pair;

    (void)state;
    connect_watched(&pair, &(struct pair_config){.seed = 4, .mtu = 256, .require_cookie = true});
    assert_true(kw_dtls_facts(pair.end[0].dtls)->retried);
    pair_deinit(&pair);
}

/* Nothing is kept between the two hellos. */
static void the_first_hello_leaves_nothing_behind(void **state)
{
    static uint8_t hello[4096];
    struct pair pair;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 5, .require_cookie = true}),
                     KW_OK);
    len = craft_hello(&pair, 0, 0, hello, sizeof hello);
    craft_deliver_hello(&pair, hello, len, 1100);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CLIENT_HELLO);
    assert_null(pair.end[0].dtls->hs);
    pair_deinit(&pair);
}

static void before_a_cookie_no_more_than_three_times_is_sent(void **state)
{
    static uint8_t hello[4096], datagram[KW_DTLS_DATAGRAM_MAX];
    struct pair pair;
    size_t len, sent = 0, n;

    (void)state;
    for (int is_12 = 0; is_12 < 2; is_12++) {
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 6,
                                                                .only_dtls12 = is_12,
                                                                .group = KW_GROUP_P256,
                                                                .require_cookie = true}),
                         KW_OK);
        len = craft_hello(&pair, 0, 0, hello, sizeof hello);
        sent = 0;
        for (int i = 0; i < 20; i++) {
            craft_deliver_hello(&pair, hello, len, 1100);
            while ((n = kw_dtls_transmit(pair.end[0].dtls, datagram, sizeof datagram, pair.now)) !=
                   0)
                sent += n;
        }
        CHECK(sent != 0 && sent <= 3 * 20 * len, "%zu bytes for %zu", sent, 20 * len);
        pair_deinit(&pair);
    }
}

static void cookies_bind_address_time_key_and_content(void **state)
{
    static const struct kw_bytes here = {(const uint8_t *)"here", 4};
    static const struct kw_bytes there = {(const uint8_t *)"ther", 4};
    struct kw_cookie cookie = {.suite = 0x1301, .group = 0x1d, .hash_len = 32}, taken;
    uint8_t sealed[KW_COOKIE_MAX];
    enum kw_verdict verdict;
    struct pair pair;
    struct kw_dtls_shared *shared = &pair.end[0].shared;
    struct kw_bytes view = {sealed, 0};

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 7}), KW_OK);
    memset(cookie.hello_hash, 7, 32);
    assert_int_equal(kw_cookie_create(shared, here, &cookie, KW_S(100), sealed, &view.len), KW_OK);
    assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(110), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_ACCEPT);
    assert_memory_equal(&taken, &cookie, sizeof taken);
    assert_int_equal(kw_cookie_consume(shared, there, view, KW_S(110), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_DROP_FORGED);
    assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(300), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_DROP_EXPIRED);
    /* From the future: a clock that was set back, or a forgery with a known key. */
    assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(1), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_DROP_EXPIRED);
    for (size_t i = 0; i < view.len; i++) {
        sealed[i] ^= 1;
        assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(110), &taken, &verdict), KW_OK);
        CHECK(verdict == KW_DROP_FORGED, "byte %zu", i);
        sealed[i] ^= 1;
    }
    for (size_t len = 0; len < view.len; len++) {
        assert_int_equal(kw_cookie_consume(shared, here, (struct kw_bytes){sealed, len}, KW_S(110),
                                           &taken, &verdict),
                         KW_OK);
        CHECK(verdict == KW_DROP_FORGED, "length %zu", len);
    }
    /* The key of yesterday still counts, that of the day before does not. */
    memcpy(shared->cookie_key_previous, shared->cookie_key, 32);
    memset(shared->cookie_key, 0x99, 32);
    assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(110), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_ACCEPT);
    memcpy(shared->cookie_key_previous, shared->cookie_key, 32);
    assert_int_equal(kw_cookie_consume(shared, here, view, KW_S(110), &taken, &verdict), KW_OK);
    assert_int_equal(verdict, KW_DROP_FORGED);
    pair_deinit(&pair);
}

/* The same for HelloVerifyRequest; never longer than wolfSSL's clients take. */
static void cookies_of_12_bind_address_time_key_and_parameters(void **state)
{
    static const struct kw_bytes here = {(const uint8_t *)"here", 4};
    static const struct kw_bytes there = {(const uint8_t *)"ther", 4};
    static const uint8_t these[32] = {7}, others[32] = {8};
    uint8_t cookie[KW_COOKIE12_LEN];
    const struct kw_bytes view = {cookie, sizeof cookie};
    enum kw_verdict verdict;
    struct pair pair;
    struct kw_dtls_shared *shared = &pair.end[0].shared;
    const struct {
        struct kw_bytes binding;
        const uint8_t *parameters;
        kw_ns now;
        enum kw_verdict wanted;
    } rows[] = {
        {here, these, KW_S(110), KW_ACCEPT},       {there, these, KW_S(110), KW_DROP_FORGED},
        {here, others, KW_S(110), KW_DROP_FORGED}, {here, these, KW_S(300), KW_DROP_EXPIRED},
        {here, these, KW_S(1), KW_DROP_EXPIRED},
    };

    (void)state;
    assert_true(KW_COOKIE12_LEN <= 32);
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 7}), KW_OK);
    assert_int_equal(kw_cookie12_create(shared, here, these, KW_S(100), cookie), KW_OK);
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        assert_int_equal(kw_cookie12_check(shared, rows[i].binding, rows[i].parameters, view,
                                           rows[i].now, &verdict),
                         KW_OK);
        CHECK(verdict == rows[i].wanted, "row %zu: %s", i, kw_verdict_name(verdict));
    }
    for (size_t i = 0; i < sizeof cookie; i++) {
        cookie[i] ^= 1;
        assert_int_equal(kw_cookie12_check(shared, here, these, view, KW_S(110), &verdict), KW_OK);
        CHECK(verdict == KW_DROP_FORGED, "byte %zu", i);
        cookie[i] ^= 1;
    }
    for (size_t len = 0; len < sizeof cookie; len++) {
        assert_int_equal(kw_cookie12_check(shared, here, these, (struct kw_bytes){cookie, len},
                                           KW_S(110), &verdict),
                         KW_OK);
        CHECK(verdict == KW_DROP_FORGED, "length %zu", len);
    }
    pair_deinit(&pair);
}

static void a_key_that_nobody_drew_accepts_nothing(void **state)
{
    static const struct kw_bytes here = {(const uint8_t *)"here", 4};
    struct kw_cookie cookie = {.suite = 0x1301, .hash_len = 32};
    uint8_t sealed[KW_COOKIE_MAX];
    enum kw_verdict verdict;
    struct pair pair;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 8}), KW_OK);
    memset(pair.end[0].shared.cookie_key, 0, 32);
    assert_int_equal(kw_cookie_create(&pair.end[0].shared, here, &cookie, KW_S(100), sealed, &len),
                     KW_OK);
    memset(pair.end[0].shared.cookie_key, 0x77, 32);
    assert_int_equal(kw_cookie_consume(&pair.end[0].shared, here, (struct kw_bytes){sealed, len},
                                       KW_S(100), &cookie, &verdict),
                     KW_OK);
    assert_int_equal(verdict, KW_DROP_FORGED);
    pair_deinit(&pair);
}

/* RFC 8446, section 4.1.4. */
static void a_second_retry_is_refused(void **state)
{
    uint8_t message[256], sealed[] = {1, 2, 3, 4};
    struct kw_writer out =
        kw_writer_of(message + KW_FRAGMENT_HEADER, sizeof message - KW_FRAGMENT_HEADER);
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 9, .fail_fast = true}), KW_OK);
    kw_server_hello_write(&(struct kw_server_hello_parts){.suite = KW_TLS_AES_128_GCM_SHA256,
                                                          .cookie = {sealed, sizeof sealed}},
                          &out);
    for (uint16_t seq = 0; seq < 2; seq++) {
        craft_message(message, sizeof message, KW_HS_SERVER_HELLO, seq,
                      message + KW_FRAGMENT_HEADER, 0);
        message[3] = message[11] = (uint8_t)out.len;
        craft_deliver_plain(&pair, KW_DTLS_CLIENT, KW_CONTENT_HANDSHAKE, message,
                            KW_FRAGMENT_HEADER + out.len);
        if (seq == 0)
            assert_true(pair.end[1].dtls->hs->was_retried);
    }
    assert_int_equal(pair.end[1].dtls->state, KW_STATE_CLOSED);
    pair_flush(&pair);
    assert_int_equal(pair.end[1].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    pair_deinit(&pair);
}

/* --- downgrade --- */

/* supported_versions lies in the last piece; until it is there nothing is decided. */
static void a_hello_of_13_in_pieces_is_not_taken_for_12(void **state)
{
    static uint8_t hello[4096];
    struct pair pair;
    size_t len;

    (void)state;
    for (size_t piece = 40; piece < 1400; piece += 97) {
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = piece, .dtls12 = true}),
                         KW_OK);
        len = craft_hello(&pair, 0, 0, hello, sizeof hello);
        craft_deliver_hello(&pair, hello, len, piece);
        assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->version, KW_DTLS_1_3);
        pair_deinit(&pair);
    }
}

static void a_hello_cut_short_is_not_taken_for_12(void **state)
{
    static uint8_t hello[4096];
    struct pair pair;
    size_t len;

    (void)state;
    /* Whole as a message, but its extensions do not parse. */
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1, .dtls12 = true}), KW_OK);
    len = craft_hello(&pair, 0, 0, hello, sizeof hello);
    for (size_t cut = 1; cut < 1300; cut += 13) {
        craft_deliver_hello(&pair, hello, len - cut, 1100);
        assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->version, KW_DTLS_NONE);
        assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CLIENT_HELLO);
    }
    pair_deinit(&pair);
}

static void the_sentinel_is_sent(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 2, .only_dtls12 = true}),
                     KW_OK);
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    assert_memory_equal(pair.end[1].dtls->randoms + 56, kw_downgrade_sentinel, 8);
    pair_deinit(&pair);

    /* A server that cannot do 1.3 has nothing to say. */
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 2, .only_dtls12 = true}),
                     KW_OK);
    memset(pair.end[0].dtls->terms.suites, 0, sizeof pair.end[0].dtls->terms.suites);
    pair.end[0].dtls->terms.suites[0] = KW_ECDHE_ECDSA_AES128_GCM_SHA256;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    assert_memory_not_equal(pair.end[1].dtls->randoms + 56, kw_downgrade_sentinel, 8);
    pair_deinit(&pair);
}

/* Somebody takes supported_versions out of the hello on its way. */
static bool hide_versions(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                          size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)now;
    for (size_t i = 0; i + 8 < *len; i++) {
        if (data[i] == 0 && data[i + 1] == KW_EXT_SUPPORTED_VERSIONS && data[i + 2] == 0 &&
            data[i + 3] == 5 && data[i + 5] == 0xfe)
            data[i + 1] = 99;
    }
    return true;
}

static void the_sentinel_is_checked(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair,
                  &(struct pair_config){.seed = 3, .mtu = KW_DTLS_DATAGRAM_MAX, .dtls12 = true}),
        KW_OK);
    pair.net.tap = hide_versions;
    pair_run(&pair, pair_one_ended, pair.now + KW_S(30));
    assert_true(pair.end[1].closed);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_ALERT_SENT);
    assert_int_equal(pair.end[1].alert, KW_ALERT_ILLEGAL_PARAMETER);
    assert_false(pair.end[1].connected);
    pair_deinit(&pair);
}

/* --- session id --- */

static void a_session_id_is_not_echoed(void **state)
{
    static uint8_t hello[4096], datagram[KW_DTLS_DATAGRAM_MAX];
    struct pair pair;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1}), KW_OK);
    len = craft_hello(&pair, 32, 0, hello, sizeof hello);
    craft_deliver_hello(&pair, hello, len, 1100);
    assert_true(kw_dtls_transmit(pair.end[0].dtls, datagram, sizeof datagram, pair.now) > 100);
    assert_int_equal(datagram[KW_RECORD_PLAIN_HEADER], KW_HS_SERVER_HELLO);
    assert_int_equal(datagram[KW_RECORD_PLAIN_HEADER + KW_FRAGMENT_HEADER + 34], 0);
    pair_deinit(&pair);
}

/* --- a foreign ClientHello --- */

static void prepare_for_another(struct pair *pair, enum kw_dtls_role role,
                                struct kw_dtls_params *params)
{
    static const uint8_t expected[32] = {1, 2, 3};

    if (role == KW_DTLS_SERVER) {
        params->has_prepared_hello = true;
        assert_int_equal(kw_crypto_hash(pair->crypto, KW_SHA256,
                                        (struct kw_bytes){expected, sizeof expected},
                                        params->prepared_hello),
                         KW_OK);
    }
}

static void prepare_for_it(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    static const uint8_t expected[32] = {1, 2, 3};

    prepare_for_another(pair, role, params);
    if (role == KW_DTLS_CLIENT) {
        params->has_client_random = true;
        memcpy(params->client_random, expected, sizeof expected);
    }
}

static void a_hello_that_was_not_announced_is_ignored(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(
        pair_init(&pair, &(struct pair_config){.seed = 1, .prepare = prepare_for_another}), KW_OK);
    pair_run(&pair, pair_one_ended, pair.now + KW_S(30));
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CLIENT_HELLO);
    assert_int_equal(pair.end[0].datagrams, 0);
    assert_null(pair.end[0].dtls->hs);
    assert_true(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_UNEXPECTED] > 3);
    pair_deinit(&pair);
}

static void the_hello_that_was_announced_is_answered(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 2, .prepare = prepare_for_it});
    pair_deinit(&pair);
    pair_connect(
        &pair, &(struct pair_config){.seed = 3, .require_cookie = true, .prepare = prepare_for_it});
    pair_deinit(&pair);
}

static void a_hello_into_an_established_association_is_ignored(void **state)
{
    static uint8_t hello[4096];
    struct pair pair, other;
    size_t len;

    (void)state;
    assert_int_equal(pair_init(&other, &(struct pair_config){.seed = 9}), KW_OK);
    len = craft_hello(&other, 0, 0, hello, sizeof hello);
    pair_deinit(&other);
    pair_connect(&pair, &(struct pair_config){.seed = 4});
    for (int i = 0; i < 10; i++)
        craft_deliver_hello(&pair, hello, len, 1100);
    pair_flush(&pair);
    assert_null(pair.end[0].dtls->hs);
    assert_false(pair.end[0].closed);
    assert_int_equal(kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){hello, 9}, pair.now), KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[0].data_count, 1);
    pair_deinit(&pair);
}

/* kw_dtls_owns() tells two associations apart without moving either. */
static void each_association_knows_its_own(void **state)
{
    static uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct pair pair, other;
    struct kw_dtls before;
    size_t len;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 5});
    pair_connect(&other, &(struct pair_config){.seed = 6});
    assert_int_equal(kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){datagram, 9}, pair.now),
                     KW_OK);
    len = kw_dtls_transmit(pair.end[1].dtls, datagram, sizeof datagram, pair.now);
    before = *pair.end[0].dtls;
    assert_true(kw_dtls_owns(pair.end[0].dtls, datagram, len));
    assert_memory_equal(&before, pair.end[0].dtls, sizeof before);
    assert_false(kw_dtls_owns(other.end[0].dtls, datagram, len));
    assert_false(kw_dtls_owns(pair.end[0].dtls, datagram, 0));
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, datagram, len, pair.now), KW_OK);
    pair_deinit(&pair);
    pair_deinit(&other);
}

/* --- timers --- */

static void a_repeated_hello_is_no_lever(void **state)
{
    static uint8_t hello[4096], datagram[KW_DTLS_DATAGRAM_MAX];
    struct pair pair;
    size_t len, sent = 0;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 1}), KW_OK);
    len = craft_hello(&pair, 0, 0, hello, sizeof hello);
    for (int i = 0; i < 1000; i++) {
        craft_deliver_hello(&pair, hello, len, 1100);
        while (kw_dtls_transmit(pair.end[0].dtls, datagram, sizeof datagram, pair.now) != 0)
            sent++;
        pair.now += KW_US(100);
    }
    /* A flight of two datagrams at once, and once more after half a timeout, of 200 ms. */
    CHECK(sent <= 4, "%zu datagrams in 100 ms", sent);
    pair_deinit(&pair);
}

static void a_silent_peer_hears_a_bounded_number_of_repetitions(void **state)
{
    struct pair pair;
    kw_ns start;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 2});
    start = pair.now;
    assert_true(pair_run(&pair, pair_ended, pair.now + KW_S(600)));
    assert_int_equal(pair.end[0].end, KW_DTLS_END_TIMEOUT);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_TIMEOUT);
    assert_in_range(pair.now - start, KW_S(30), KW_S(130));
    assert_in_range(pair.end[0].datagrams, 2, 80);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_numbers_go_on_after_a_cookie),
        cmocka_unit_test(the_key_share_stays_on_a_cookie_only_retry),
        cmocka_unit_test(a_hello_in_pieces_is_answered_with_a_cookie_too),
        cmocka_unit_test(the_first_hello_leaves_nothing_behind),
        cmocka_unit_test(before_a_cookie_no_more_than_three_times_is_sent),
        cmocka_unit_test(cookies_bind_address_time_key_and_content),
        cmocka_unit_test(cookies_of_12_bind_address_time_key_and_parameters),
        cmocka_unit_test(a_key_that_nobody_drew_accepts_nothing),
        cmocka_unit_test(a_second_retry_is_refused),
        cmocka_unit_test(a_hello_of_13_in_pieces_is_not_taken_for_12),
        cmocka_unit_test(a_hello_cut_short_is_not_taken_for_12),
        cmocka_unit_test(the_sentinel_is_sent),
        cmocka_unit_test(the_sentinel_is_checked),
        cmocka_unit_test(a_session_id_is_not_echoed),
        cmocka_unit_test(a_hello_that_was_not_announced_is_ignored),
        cmocka_unit_test(the_hello_that_was_announced_is_answered),
        cmocka_unit_test(a_hello_into_an_established_association_is_ignored),
        cmocka_unit_test(each_association_knows_its_own),
        cmocka_unit_test(a_repeated_hello_is_no_lever),
        cmocka_unit_test(a_silent_peer_hears_a_bounded_number_of_repetitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
