/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first flights of real browsers, frozen: split, reordered, duplicated and cut anew, our server
 * understands them and chooses the same. argv[1] is the folder of vectors (see its README.md).
 */
#include <keywheel/openssl.h>

#include "check.h"
#include "dtls/craft.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATAGRAMS_MAX = 8, SEEDS_MAX = 16 };

struct vector {
    size_t count;
    size_t len[DATAGRAMS_MAX];
    uint8_t data[DATAGRAMS_MAX][KW_DTLS_DATAGRAM_MAX];
    size_t seed_count;
    uint64_t seeds[SEEDS_MAX];
};

static const char *folder;
static struct kw_crypto *crypto;

static size_t read_hex(const char *text, uint8_t *dst, size_t size)
{
    size_t len = 0;
    unsigned value;

    while (len < size && sscanf(text + 2 * len, "%2x", &value) == 1)
        dst[len++] = (uint8_t)value;
    return len;
}

static void load(const char *name, struct vector *ret)
{
    static char line[3 * KW_DTLS_DATAGRAM_MAX];
    char path[512];
    FILE *file;

    memset(ret, 0, sizeof *ret);
    for (uint64_t seed = 1; seed <= 8; seed++)
        ret->seeds[ret->seed_count++] = seed;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "r");
    CHECK(file != NULL, "%s is not there", path);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == 'S' && line[1] == ' ')
            break;
        if (line[0] == 'C' && line[1] == ' ' && ret->count < DATAGRAMS_MAX) {
            ret->len[ret->count] = read_hex(line + 2, ret->data[ret->count], KW_DTLS_DATAGRAM_MAX);
            ret->count++;
        } else if (strncmp(line, "seed ", 5) == 0 && ret->seed_count < SEEDS_MAX) {
            ret->seeds[ret->seed_count++] = strtoull(line + 5, NULL, 10);
        }
    }
    fclose(file);
    assert_true(ret->count >= 2);
}

static void feed(struct pair *pair, const uint8_t *data, size_t len)
{
    uint8_t copy[KW_DTLS_DATAGRAM_MAX];

    memcpy(copy, data, len);
    assert_int_equal(kw_dtls_receive(pair->end[0].dtls, copy, len, pair->now), KW_OK);
}

/* A server upon libcrypto, with no client beside it. */
static void start(struct pair *pair, bool with_cookie, const char *preset)
{
    static struct kw_random random;

    random = kw_openssl_random();
    assert_int_equal(pair_init(pair, &(struct pair_config){.seed = 1,
                                                           .crypto = crypto,
                                                           .random = &random,
                                                           .preset = preset,
                                                           .dtls12 = true,
                                                           .require_cookie = with_cookie}),
                     KW_OK);
}

static void expect_answer(struct pair *pair, const char *what)
{
    const struct kw_dtls_facts *facts = kw_dtls_facts(pair->end[0].dtls);
    bool has_hybrid = crypto->ops->has_group(crypto, KW_GROUP_X25519MLKEM768);
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];

    CHECK(pair->end[0].dtls->state == KW_STATE_WAIT_CERTIFICATE, "%s: not answered", what);
    assert_int_equal(facts->version, KW_DTLS_1_3);
    assert_int_equal(facts->suite, KW_TLS_AES_128_GCM_SHA256);
    assert_int_equal(facts->group, has_hybrid ? KW_GROUP_X25519MLKEM768 : KW_GROUP_X25519);
    assert_int_equal(facts->srtp_profile, KW_SRTP_AEAD_AES_128_GCM);
    assert_false(facts->retried || facts->alpn || facts->cid);
    assert_true(kw_dtls_transmit(pair->end[0].dtls, datagram, sizeof datagram, pair->now) > 500);
    pair_deinit(pair);
}

/* The whole hello of the capture, from its fragments. */
static size_t assemble(const struct vector *vector, uint8_t *dst)
{
    size_t len = 0;

    for (size_t i = 0; i < vector->count; i++) {
        struct kw_reader in = kw_reader_of(vector->data[i], vector->len[i]);
        struct kw_record record;
        struct kw_fragment fragment;

        assert_int_equal(kw_record_parse(&in, 0, &record), KW_ACCEPT);
        in = kw_reader_of_bytes(record.body);
        assert_int_equal(kw_fragment_parse(&in, &fragment), KW_ACCEPT);
        memcpy(dst + fragment.offset, fragment.body.data, fragment.body.len);
        len = fragment.message_len;
    }
    return len;
}

static void shuffle(struct pair *pair, const struct vector *vector, uint64_t seed)
{
    size_t order[3 * DATAGRAMS_MAX], count = 0;
    struct net net;

    net_init(&net, seed);
    for (size_t copy = 0; copy < 3; copy++) {
        for (size_t i = 0; i < vector->count; i++)
            order[count++] = i;
    }
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = net_draw(&net, i + 1), kept = order[i];

        order[i] = order[other];
        order[other] = kept;
    }
    for (size_t i = 0; i < count; i++)
        feed(pair, vector->data[order[i]], vector->len[order[i]]);
    net_deinit(&net);
}

static void replay(const char *name)
{
    static struct vector vector;
    static uint8_t hello[KW_DTLS_MESSAGE_MAX];
    struct pair pair;
    size_t len;

    load(name, &vector);
    start(&pair, false, NULL);
    for (size_t i = 0; i < vector.count; i++)
        feed(&pair, vector.data[i], vector.len[i]);
    expect_answer(&pair, "as captured");

    start(&pair, false, NULL);
    for (size_t i = vector.count; i-- > 0;)
        feed(&pair, vector.data[i], vector.len[i]);
    expect_answer(&pair, "backwards");

    start(&pair, false, NULL);
    for (size_t i = 0; i < 2 * vector.count; i++)
        feed(&pair, vector.data[i / 2], vector.len[i / 2]);
    expect_answer(&pair, "each twice");

    len = assemble(&vector, hello);
    for (size_t piece = 100; piece <= 256; piece += 156) {
        start(&pair, false, NULL);
        craft_deliver_hello(&pair, hello, len, piece);
        expect_answer(&pair, "cut anew");
    }
    for (size_t i = 0; i < vector.seed_count; i++) {
        start(&pair, false, NULL);
        shuffle(&pair, &vector, vector.seeds[i]);
        expect_answer(&pair, "shuffled");
    }
}

/* One datagram less is no hello, and no other version. */
static void incomplete(const char *name)
{
    static struct vector vector;
    struct pair pair;

    load(name, &vector);
    for (size_t missing = 0; missing < vector.count; missing++) {
        start(&pair, false, NULL);
        for (size_t i = 0; i < vector.count; i++) {
            if (i != missing)
                feed(&pair, vector.data[i], vector.len[i]);
        }
        assert_int_equal(pair.end[0].dtls->state, KW_STATE_WAIT_CLIENT_HELLO);
        assert_int_equal(kw_dtls_facts(pair.end[0].dtls)->version, KW_DTLS_NONE);
        pair_deinit(&pair);
    }
}

/* Asked for a cookie, or, by the preset of NIST's curves, for another share. */
static void retried(const char *name)
{
    static struct vector vector;

    load(name, &vector);
    for (int kind = 0; kind < 2; kind++) {
        uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
        struct pair pair;

        start(&pair, kind == 0, kind == 0 ? NULL : "nist");
        for (size_t i = 0; i < vector.count; i++)
            feed(&pair, vector.data[i], vector.len[i]);
        assert_in_range(kw_dtls_transmit(pair.end[0].dtls, datagram, sizeof datagram, pair.now),
                        100, 256);
        assert_int_equal(datagram[KW_RECORD_PLAIN_HEADER], KW_HS_SERVER_HELLO);
        assert_int_equal(datagram[KW_RECORD_PLAIN_HEADER + KW_FRAGMENT_HEADER + 2], 0xcf);
        pair_deinit(&pair);
    }
}

static void chromium(void **state)
{
    (void)state;
    replay("chromium-clienthello.txt");
    incomplete("chromium-clienthello.txt");
    retried("chromium-clienthello.txt");
}

static void firefox(void **state)
{
    (void)state;
    replay("firefox-clienthello.txt");
    incomplete("firefox-clienthello.txt");
    retried("firefox-clienthello.txt");
}

int main(int argc, char *argv[])
{
    static const struct kw_openssl_config config = {.associations = 4, .handshakes = 4};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chromium),
        cmocka_unit_test(firefox),
    };
    int failed;

    if (argc != 2)
        return EXIT_FAILURE;
    folder = argv[1];
    if (kw_openssl_new(&config, &crypto) != KW_OK)
        return EXIT_FAILURE;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kw_openssl_free(crypto);
    return failed;
}
