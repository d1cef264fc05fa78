/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, as they bit others: plaintext after keys (OpenSSL #32622, dimpl #118), epochs (wolfSSL
 * #6368 #8579 #8627), numbers (OpenSSL #32584 #32601), nonces (pion CVE-2026-26014), the replay
 * window (OpenSSL CVE-2016-2181), the label of the key schedule (BouncyCastle #2441).
 */
#include <keywheel/openssl.h>

#include "check.h"
#include "dtls/craft.h"

#include <inttypes.h>
#include <string.h>

/* --- plaintext after keys exist --- */

static void expect_untouched(struct pair *pair)
{
    for (int role = 0; role < 2; role++) {
        assert_false(pair->end[role].closed);
        assert_int_equal(kw_dtls_send(pair->end[role].dtls,
                                      (struct kw_bytes){(const uint8_t *)"x", 1}, pair->now),
                         KW_OK);
    }
    pair_run(pair, pair_forever, pair->now + KW_S(1));
    assert_int_equal(pair->end[0].data_count, 1);
    assert_int_equal(pair->end[1].data_count, 1);
}

static void nothing_in_the_clear_reaches_an_established_association(void **state)
{
    static const struct {
        uint8_t type;
        uint8_t content[16];
        size_t len;
        const char *why;
    } rows[] = {
        {KW_CONTENT_ALERT, {2, 40}, 2, "fatal alert"},
        {KW_CONTENT_ALERT, {1, 0}, 2, "close_notify"},
        {KW_CONTENT_DATA, {'h', 'i'}, 2, "application data"},
        {KW_CONTENT_CCS, {1}, 1, "ChangeCipherSpec"},
        {KW_CONTENT_ACK, {0, 0}, 2, "ACK"},
        {KW_CONTENT_HANDSHAKE,
         {KW_HS_CLIENT_HELLO, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4},
         16,
         "ClientHello"},
        {KW_CONTENT_HANDSHAKE,
         {KW_HS_KEY_UPDATE, 0, 0, 1, 0, 5, 0, 0, 0, 0, 0, 1, 0},
         13,
         "KeyUpdate"},
        {KW_CONTENT_HANDSHAKE,
         {KW_HS_HELLO_REQUEST, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
         12,
         "HelloRequest"},
    };

    (void)state;
    for (int is_12 = 0; is_12 < 2; is_12++) {
        for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
            struct pair pair;

            pair_connect(&pair, &(struct pair_config){.seed = i + 1, .only_dtls12 = is_12});
            craft_deliver_plain(&pair, KW_DTLS_SERVER, rows[i].type, rows[i].content, rows[i].len);
            craft_deliver_plain(&pair, KW_DTLS_CLIENT, rows[i].type, rows[i].content, rows[i].len);
            print_message("%s\n", rows[i].why);
            expect_untouched(&pair);
            pair_deinit(&pair);
        }
    }
}

static void an_alert_in_the_clear_does_not_end_a_handshake_with_keys(void **state)
{
    const uint8_t fatal[] = {2, 40};
    struct pair pair;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 1});
    craft_deliver_plain(&pair, KW_DTLS_SERVER, KW_CONTENT_ALERT, fatal, sizeof fatal);
    assert_int_equal(pair.end[0].dtls->doom.at, KW_NEVER);
    assert_int_equal(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_UNEXPECTED], 1);
    pair.net.tap = NULL;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    pair_deinit(&pair);
}

/* --- epochs --- */

static void a_client_hello_in_the_handshake_epoch(void **state)
{
    uint8_t content[64], body[16] = {0};
    struct pair pair;
    size_t len;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 1});
    len = craft_message(content, sizeof content, KW_HS_CLIENT_HELLO, 1, body, sizeof body);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    assert_false(pair.end[0].connected);
    pair_deinit(&pair);
}

/* The epoch of data opens with the client's Finished: before it there is no key to read it. */
static void a_finished_in_the_data_epoch(void **state)
{
    uint8_t content[64], body[32] = {0};
    struct pair pair;
    size_t len;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 2});
    len = craft_message(content, sizeof content, KW_HS_FINISHED, 1, body, sizeof body);
    craft_deliver(&pair, KW_DTLS_CLIENT, 3, KW_CONTENT_HANDSHAKE, content, len);
    assert_int_equal(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_KEYLESS], 1);
    assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CERTIFICATE);
    pair.net.tap = NULL;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    pair_deinit(&pair);
}

static void application_data_in_the_handshake_epoch(void **state)
{
    struct pair pair;

    (void)state;
    craft_hold_client(&pair, &(struct pair_config){.seed = 3});
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_DATA, (const uint8_t *)"early", 5);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].data_count, 0);
    assert_int_equal(pair.end[0].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    pair_deinit(&pair);
}

static void a_new_message_in_the_handshake_epoch_after_finished(void **state)
{
    uint8_t content[64], body[1] = {0};
    struct kw_record_keys kept;
    struct pair pair;
    size_t len;

    (void)state;
    /* The client still has its handshake keys: the ACK of its flight does not reach it. */
    craft_hold_client(&pair, &(struct pair_config){.seed = 4});
    kept = pair.end[1].dtls->write[0];
    pair.net.tap = NULL;
    while (!pair.end[0].connected)
        pair_run(&pair, pair_connected, pair.now + KW_MS(1));
    assert_ptr_equal(kept.aead, pair.end[1].dtls->write[0].aead);
    len = craft_message(content, sizeof content, KW_HS_KEY_UPDATE, 4, body, sizeof body);
    craft_deliver(&pair, KW_DTLS_CLIENT, 2, KW_CONTENT_HANDSHAKE, content, len);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].alert, KW_ALERT_UNEXPECTED_MESSAGE);
    pair_deinit(&pair);
}

/* --- record numbers --- */

static void send_data(struct pair *pair, enum kw_dtls_role from)
{
    assert_int_equal(
        kw_dtls_send(pair->end[from].dtls, (struct kw_bytes){(const uint8_t *)"n", 1}, pair->now),
        KW_OK);
    pair_run(pair, pair_forever, pair->now + KW_MS(1));
}

static void numbers_past_sixteen_bits(void **state)
{
    static const enum kw_suite suites[] = {KW_TLS_AES_128_GCM_SHA256,
                                           KW_TLS_CHACHA20_POLY1305_SHA256};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(suites); i++) {
        struct pair pair;

        pair_connect(&pair, &(struct pair_config){.seed = 1, .suite = suites[i]});
        pair.end[1].dtls->write[1].seq = 65530;
        pair.end[0].dtls->read[2].seq = 65530;
        for (size_t n = 1; n <= 20; n++) {
            send_data(&pair, KW_DTLS_CLIENT);
            CHECK(pair.end[0].data_count == n, "record %zu", 65530 + n);
        }
        /* The records around the turn are lost, or overtaken. */
        pair.end[1].dtls->write[1].seq = 2 * 65536 - 6;
        pair.end[0].dtls->read[2].seq = 2 * 65536 - 6;
        pair.end[1].dtls->write[1].seq += 10;
        send_data(&pair, KW_DTLS_CLIENT);
        CHECK(pair.end[0].data_count == 21, "behind the turn");
        assert_int_equal(pair.end[0].dtls->read[2].seq, 2 * 65536 + 5);
        pair.end[1].dtls->write[1].seq = 2 * 65536 - 6;
        send_data(&pair, KW_DTLS_CLIENT);
        CHECK(pair.end[0].data_count == 22, "from before the turn");
        pair.end[1].dtls->write[1].seq = 2 * 65536 + 5;
        /* Half the span may be lost. */
        pair.end[1].dtls->write[1].seq += 32000;
        send_data(&pair, KW_DTLS_CLIENT);
        assert_int_equal(pair.end[0].data_count, 23);
        pair_deinit(&pair);
    }
}

/* The sample decides the mask; headers with 8 bits of number and without length are read, too. */
static void short_headers_are_read(void **state)
{
    struct pair pair;
    struct kw_record_keys *keys;
    const uint8_t content[] = {'h', 'i', KW_CONTENT_DATA};
    uint8_t datagram[64], nonce[KW_NONCE_LEN], mask[KW_MASK_LEN];
    uint8_t *body = datagram + 2;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 2});
    keys = &pair.end[1].dtls->write[1];
    datagram[0] = 0x20 | 3;
    datagram[1] = (uint8_t)keys->seq;
    memcpy(body, content, sizeof content);
    memcpy(nonce, keys->iv, sizeof nonce);
    nonce[11] ^= (uint8_t)keys->seq;
    assert_int_equal(keys->ops->aead_seal(keys->aead, nonce, (struct kw_bytes){datagram, 2}, body,
                                          sizeof content, body + sizeof content),
                     KW_OK);
    assert_int_equal(keys->ops->mask(keys->mask, body, mask), KW_OK);
    datagram[1] ^= mask[0];
    assert_int_equal(
        kw_dtls_receive(pair.end[0].dtls, datagram, 2 + sizeof content + KW_TAG_LEN, pair.now),
        KW_OK);
    pair_flush(&pair);
    assert_int_equal(pair.end[0].data_count, 1);
    assert_memory_equal(pair.end[0].data, "hi", 2);
    pair_deinit(&pair);
}

/* RFC 9001, appendix A: the same masks over AES and ChaCha20. */
static void masks_of_rfc_9001(void **state)
{
    static const struct kw_openssl_config config = {.associations = 1, .handshakes = 1};
    static const uint8_t aes_key[] = {0x9f, 0x50, 0x44, 0x9e, 0x04, 0xa0, 0xe8, 0x10,
                                      0x28, 0x3a, 0x1e, 0x99, 0x33, 0xad, 0xed, 0xd2};
    static const uint8_t aes_sample[] = {0xd1, 0xb1, 0xc9, 0x8d, 0xd7, 0x68, 0x9f, 0xb8,
                                         0xec, 0x11, 0xd2, 0x42, 0xb1, 0x23, 0xdc, 0x9b};
    static const uint8_t chacha_key[] = {0x25, 0xa2, 0x82, 0xb9, 0xe8, 0x2f, 0x06, 0xf2,
                                         0x1f, 0x48, 0x89, 0x17, 0xa4, 0xfc, 0x8f, 0x1b,
                                         0x73, 0x57, 0x36, 0x85, 0x60, 0x85, 0x97, 0xd0,
                                         0xef, 0xcb, 0x07, 0x6b, 0x0a, 0xb7, 0xa7, 0xa4};
    static const uint8_t chacha_sample[] = {0x5e, 0x5c, 0xd5, 0x5c, 0x41, 0xf6, 0x90, 0x80,
                                            0x57, 0x5d, 0x79, 0x99, 0xc2, 0x5a, 0x5b, 0xfb};
    struct kw_crypto *crypto;
    struct kw_mask_key *key;
    uint8_t mask[KW_MASK_LEN];

    (void)state;
    assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    assert_int_equal(crypto->ops->mask_new(crypto, KW_AES_128_GCM, aes_key, &key), KW_OK);
    assert_int_equal(crypto->ops->mask(key, aes_sample, mask), KW_OK);
    assert_memory_equal(mask, "\x43\x7b\x9a\xec\x36", 5);
    crypto->ops->mask_free(key);
    assert_int_equal(crypto->ops->mask_new(crypto, KW_CHACHA20_POLY1305, chacha_key, &key), KW_OK);
    assert_int_equal(crypto->ops->mask(key, chacha_sample, mask), KW_OK);
    assert_memory_equal(mask, "\xae\xfe\xfe\x7d\x03", 5);
    crypto->ops->mask_free(key);
    kw_openssl_free(crypto);
}

static void numbers_end_before_they_repeat(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 3, .suite = KW_TLS_CHACHA20_POLY1305_SHA256});
    pair.end[1].dtls->write[1].seq = KW_RECORD_SEQ_MAX;
    pair.end[0].dtls->read[2].seq = KW_RECORD_SEQ_MAX;
    send_data(&pair, KW_DTLS_CLIENT);
    assert_int_equal(pair.end[0].data_count, 1);
    /* There was no number left for anything, new keys included. */
    assert_true(pair.end[1].closed);
    assert_int_equal(pair.end[1].end, KW_DTLS_END_INTERNAL);
    pair_deinit(&pair);
}

/* RFC 9147, section 4.5.3. */
static void a_key_seals_no_more_than_it_may(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 4, .suite = KW_TLS_AES_128_GCM_SHA256});
    pair.end[1].dtls->write[1].seq = kw_aead_info(KW_AES_128_GCM)->confidentiality_limit;
    assert_int_equal(
        kw_dtls_send(pair.end[1].dtls, (struct kw_bytes){(const uint8_t *)"n", 1}, pair.now),
        KW_ERR_LIMIT);
    pair_deinit(&pair);
}

static void new_keys_come_before_the_limit(void **state)
{
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 4, .suite = KW_TLS_AES_128_GCM_SHA256});
    pair.end[1].dtls->write[1].seq =
        kw_aead_info(KW_AES_128_GCM)->confidentiality_limit / 4 * 3 + 1;
    pair.end[0].dtls->read[2].seq = pair.end[1].dtls->write[1].seq;
    send_data(&pair, KW_DTLS_CLIENT);
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[1].dtls->write[1].epoch, 4);
    send_data(&pair, KW_DTLS_CLIENT);
    assert_int_equal(pair.end[0].data_count, 2);
    pair_deinit(&pair);
}

static void too_many_forgeries_end_the_association(void **state)
{
    uint8_t forged[40] = {0x2f, 0, 9, 0, 35};
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 5});
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, forged, sizeof forged, pair.now), KW_OK);
    assert_int_equal(pair.end[0].dtls->read[2].failed, 1);
    pair.end[0].dtls->read[2].failed = kw_aead_info(KW_AES_128_GCM)->integrity_limit;
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, forged, sizeof forged, pair.now), KW_OK);
    pair_flush(&pair);
    assert_true(pair.end[0].closed);
    pair_deinit(&pair);
}

static bool change_version(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                           size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)now;
    if (*len > 3 && data[0] < 32) {
        data[1] = 0x12;
        data[2] = 0x34;
    }
    return true;
}

/* RFC 9147, section 4: the version of a record "MUST be ignored for all purposes". */
static void the_version_of_a_record_means_nothing(void **state)
{
    struct pair pair;

    (void)state;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 5, .require_cookie = true}),
                     KW_OK);
    pair.net.tap = change_version;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(1)));
    pair_deinit(&pair);
}

/* A trial for two associations on one path tells a forger as much as a record that is received. */
static void a_forgery_that_is_only_tried_is_counted(void **state)
{
    const uint8_t forged[40] = {0x2f, 0, 9, 0, 35};
    uint8_t copy[sizeof forged];
    struct pair pair;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 5});
    assert_false(kw_dtls_owns(pair.end[0].dtls, forged, sizeof forged));
    assert_int_equal(pair.end[0].dtls->read[2].failed, 1);
    pair.end[0].dtls->read[2].failed = kw_aead_info(KW_AES_128_GCM)->integrity_limit;
    assert_true(kw_dtls_owns(pair.end[0].dtls, forged, sizeof forged));
    memcpy(copy, forged, sizeof copy);
    assert_int_equal(kw_dtls_receive(pair.end[0].dtls, copy, sizeof copy, pair.now), KW_OK);
    pair_flush(&pair);
    assert_true(pair.end[0].closed);
    pair_deinit(&pair);
}

/* --- nonces of 1.2 --- */

static struct {
    uint64_t seen[512];
    size_t count;
} explicit_nonces[2];

/* The explicit nonce is the number of the record, so none repeats. */
static bool watch_nonces(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                         size_t *len, kw_ns now)
{
    struct pair *pair = ctx;
    int role = kw_path_equal(path, &pair->end[KW_DTLS_CLIENT].path);
    struct kw_reader in = kw_reader_of(data, *len);
    struct kw_record record;

    (void)net;
    (void)now;
    while (kw_reader_left(&in) != 0) {
        assert_int_equal(kw_record_parse(&in, 0, &record), KW_ACCEPT);
        if (record.epoch == 0)
            continue;
        struct kw_reader body = kw_reader_of_bytes(record.body);
        uint64_t nonce = kw_read_u64(&body);

        assert_int_equal(nonce, kw_record_number(record.epoch, record.seq));
        for (size_t i = 0; i < explicit_nonces[role].count; i++)
            assert_true(explicit_nonces[role].seen[i] != nonce);
        explicit_nonces[role].seen[explicit_nonces[role].count++] = nonce;
    }
    return true;
}

static void nonces_of_12_never_repeat(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair pair;

        memset(explicit_nonces, 0, sizeof explicit_nonces);
        assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = seed,
                                                                .link = {.loss_percent = 40},
                                                                .only_dtls12 = true}),
                         KW_OK);
        pair.net.tap = watch_nonces;
        pair.net.tap_ctx = &pair;
        assert_true(pair_run(&pair, pair_connected, pair.now + KW_S(60)));
        for (int i = 0; i < 20; i++) {
            send_data(&pair, KW_DTLS_CLIENT);
            send_data(&pair, KW_DTLS_SERVER);
        }
        assert_true(explicit_nonces[0].count > 20 && explicit_nonces[1].count > 20);
        pair_deinit(&pair);
    }
}

/* --- replay --- */

static uint8_t caught[8][128];
static size_t caught_len[8];
static unsigned caught_count;

static bool catch_data(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                       size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)now;
    if (caught_count < 8 && *len <= sizeof caught[0]) {
        memcpy(caught[caught_count], data, *len);
        caught_len[caught_count++] = *len;
    }
    return false;
}

static void feed(struct pair *pair, const uint8_t *data, size_t len)
{
    uint8_t copy[128];

    memcpy(copy, data, len);
    assert_int_equal(kw_dtls_receive(pair->end[0].dtls, copy, len, pair->now), KW_OK);
    pair_flush(pair);
}

static void the_window_moves_only_for_what_authenticated(void **state)
{
    uint8_t forged[40] = {0};
    struct pair pair;
    uint64_t seq, window;

    (void)state;
    pair_connect(&pair, &(struct pair_config){.seed = 6});
    seq = pair.end[0].dtls->read[2].seq;
    window = pair.end[0].dtls->read[2].window;
    forged[0] = 0x2f;
    forged[4] = 35;
    for (unsigned n = 0; n < 65536; n += 7) {
        forged[1] = (uint8_t)(n >> 8);
        forged[2] = (uint8_t)n;
        feed(&pair, forged, sizeof forged);
    }
    assert_int_equal(pair.end[0].dtls->read[2].seq, seq);
    assert_int_equal(pair.end[0].dtls->read[2].window, window);
    send_data(&pair, KW_DTLS_CLIENT);
    assert_int_equal(pair.end[0].data_count, 1);
    pair_deinit(&pair);
}

static void a_replay_is_dropped_wherever_it_comes(void **state)
{
    static const uint8_t order[] = {2, 0, 0, 1, 2, 3, 1, 3};
    static const uint8_t fresh[] = {1, 1, 0, 1, 0, 1, 0, 0};
    struct pair pair;
    size_t count = 0;

    (void)state;
    caught_count = 0;
    pair_connect(&pair, &(struct pair_config){.seed = 7});
    pair.net.tap = catch_data;
    for (int i = 0; i < 4; i++)
        send_data(&pair, KW_DTLS_CLIENT);
    assert_int_equal(caught_count, 4);
    for (size_t i = 0; i < sizeof order; i++) {
        feed(&pair, caught[order[i]], caught_len[order[i]]);
        count += fresh[i];
        CHECK(pair.end[0].data_count == count, "step %zu", i);
    }
    /* Behind the window nothing can be told from a replay. */
    caught_count = 0;
    send_data(&pair, KW_DTLS_CLIENT);
    pair.end[1].dtls->write[1].seq += 64;
    send_data(&pair, KW_DTLS_CLIENT);
    feed(&pair, caught[1], caught_len[1]);
    feed(&pair, caught[0], caught_len[0]);
    assert_int_equal(pair.end[0].data_count, count + 1);
    assert_int_equal(kw_dtls_counters(pair.end[0].dtls)[KW_DROP_OLD], 1);
    pair_deinit(&pair);
}

/* --- the label --- */

/* Made with another implementation of HMAC: HKDF-Expand-Label with "dtls13" before the label. */
static void the_label_begins_with_dtls13(void **state)
{
    static const struct kw_openssl_config config = {.associations = 1, .handshakes = 1};
    static const uint8_t iv[12] = {0x6d, 0x32, 0x99, 0x30, 0x5d, 0xd2,
                                   0x09, 0xfc, 0x86, 0x5c, 0xf8, 0xf1};
    struct kw_secret secret = {.len = 32};
    struct kw_record_keys keys;
    struct kw_crypto *crypto;

    (void)state;
    for (uint8_t i = 0; i < 32; i++)
        secret.bytes[i] = i;
    assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    assert_int_equal(kw_record_keys_derive(crypto, kw_suite_info(KW_TLS_AES_128_GCM_SHA256),
                                           &secret, 3, true, &keys),
                     KW_OK);
    assert_memory_equal(keys.iv, iv, sizeof iv);
    kw_record_keys_wipe(&keys);
    kw_openssl_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_the_clear_reaches_an_established_association),
        cmocka_unit_test(an_alert_in_the_clear_does_not_end_a_handshake_with_keys),
        cmocka_unit_test(a_client_hello_in_the_handshake_epoch),
        cmocka_unit_test(a_finished_in_the_data_epoch),
        cmocka_unit_test(application_data_in_the_handshake_epoch),
        cmocka_unit_test(a_new_message_in_the_handshake_epoch_after_finished),
        cmocka_unit_test(numbers_past_sixteen_bits),
        cmocka_unit_test(short_headers_are_read),
        cmocka_unit_test(masks_of_rfc_9001),
        cmocka_unit_test(numbers_end_before_they_repeat),
        cmocka_unit_test(a_key_seals_no_more_than_it_may),
        cmocka_unit_test(new_keys_come_before_the_limit),
        cmocka_unit_test(too_many_forgeries_end_the_association),
        cmocka_unit_test(the_version_of_a_record_means_nothing),
        cmocka_unit_test(a_forgery_that_is_only_tried_is_counted),
        cmocka_unit_test(nonces_of_12_never_repeat),
        cmocka_unit_test(the_window_moves_only_for_what_authenticated),
        cmocka_unit_test(a_replay_is_dropped_wherever_it_comes),
        cmocka_unit_test(the_label_begins_with_dtls13),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
