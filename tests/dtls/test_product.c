/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product of versions, groups, loss, disorder and MTU, each with many seeds (KW_SEEDS; 20 by
 * default): every handshake completes within 60 virtual seconds with a bounded number of datagrams.
 * And the stranger: whatever he injects, at whatever point, changes nothing.
 */
#include "check.h"
#include "dtls/stranger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed_count(uint64_t usual)
{
    const char *text = getenv("KW_SEEDS");

    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

static const enum kw_group groups[] = {KW_GROUP_X25519MLKEM768, KW_GROUP_X25519, KW_GROUP_P256,
                                       KW_GROUP_P384};
static const size_t mtus[] = {256, 600, 1200};
static const unsigned losses[] = {0, 10, 30};
static const struct {
    unsigned reorder, duplicate;
} disorders[] = {{0, 0}, {20, 0}, {0, 20}, {20, 20}};

static struct {
    uint64_t handshakes;
    kw_ns longest;
    uint64_t most_datagrams;
} worst;

static void run_one(const struct pair_config *config)
{
    struct pair pair;
    kw_ns start, duration;
    uint64_t datagrams;

    assert_int_equal(pair_init(&pair, config), KW_OK);
    start = pair.now;
    CHECK(pair_run(&pair, pair_connected, pair.now + KW_S(60)),
          "seed %" PRIu64 " group %s mtu %zu loss %u reorder %u duplicate %u %s", config->seed,
          kw_group_name(config->group), config->mtu, config->link.loss_percent,
          config->link.reorder_percent, config->link.duplicate_percent,
          config->only_dtls12 ? "1.2" : "1.3");
    duration = pair.now - start;
    /* The ACK of the client's last flight may get lost, too, and more often. */
    CHECK(pair_run(&pair, pair_confirmed, pair.now + KW_S(300)), "unconfirmed, seed %" PRIu64,
          config->seed);
    datagrams = pair.end[0].datagrams + pair.end[1].datagrams;
    /* Two flights of up to 4500 bytes each way, and their repetitions. */
    CHECK(datagrams <= 60 + 1000000 / config->mtu / 6,
          "%" PRIu64 " datagrams, seed %" PRIu64 " mtu %zu", datagrams, config->seed, config->mtu);
    if (config->link.loss_percent == 0 && config->link.reorder_percent == 0) {
        for (int role = 0; role < 2; role++)
            CHECK(kw_dtls_facts(pair.end[role].dtls)->retransmissions == 0,
                  "%u needless repetitions by role %d, seed %" PRIu64
                  " group %s mtu %zu duplicate %u",
                  kw_dtls_facts(pair.end[role].dtls)->retransmissions, role, config->seed,
                  kw_group_name(config->group), config->mtu, config->link.duplicate_percent);
    }
    assert_true(pair_same_srtp_keys(&pair));
    worst.handshakes++;
    worst.longest = KW_MAX(worst.longest, duration);
    worst.most_datagrams = KW_MAX(worst.most_datagrams, datagrams);
    pair_deinit(&pair);
}

static void run_product(bool is_12)
{
    uint64_t seeds = seed_count(20);

    memset(&worst, 0, sizeof worst);
    for (size_t g = 0; g < KW_ARRAY_LEN(groups); g++) {
        for (size_t l = 0; l < KW_ARRAY_LEN(losses); l++) {
            for (size_t d = 0; d < KW_ARRAY_LEN(disorders); d++) {
                for (size_t m = 0; m < KW_ARRAY_LEN(mtus); m++) {
                    for (uint64_t seed = 1; seed <= seeds; seed++) {
                        if (is_12 && groups[g] == KW_GROUP_X25519MLKEM768)
                            continue;
                        run_one(&(struct pair_config){
                            .seed = seed * 1000 + g * 100 + l * 30 + d * 5 + m,
                            .link = {.delay = KW_MS(30),
                                     /* Jitter overtakes as well. */
                                     .jitter = disorders[d].reorder != 0 ? KW_MS(10) : 0,
                                     .loss_percent = losses[l],
                                     .reorder_percent = disorders[d].reorder,
                                     .duplicate_percent = disorders[d].duplicate},
                            .group = groups[g],
                            .only_dtls12 = is_12,
                            .mtu = mtus[m],
                        });
                    }
                }
            }
        }
    }
    print_message("%" PRIu64 " handshakes, longest %" PRIu64 " ms, at most %" PRIu64 " datagrams\n",
                  worst.handshakes, worst.longest / KW_MS(1), worst.most_datagrams);
}

static void product_13(void **state)
{
    (void)state;
    run_product(false);
}

static void product_12(void **state)
{
    (void)state;
    run_product(true);
}

/* The gate of the first call: browsers' parameters, 30 % loss. */
static void a_thousand_handshakes_at_thirty_percent_loss(void **state)
{
    (void)state;
    memset(&worst, 0, sizeof worst);
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        run_one(&(struct pair_config){
            .seed = seed,
            .link = {.delay = KW_MS(40), .jitter = KW_MS(20), .loss_percent = 30},
            .mtu = 1200,
        });
    }
    print_message("1000 handshakes, longest %" PRIu64 " ms\n", worst.longest / KW_MS(1));
}

/* --- the stranger --- */

struct intrusion {
    enum stranger_kind kind;
    unsigned point; /* of the datagrams that are delivered */
    bool to_client, to_server;
    unsigned seen;
    struct net_datagram last[2];
};

/* Everything of an association that is not a counter or a stamp. */
static void take_picture(const struct kw_dtls *dtls, struct kw_dtls *picture)
{
    *picture = *dtls;
    picture->now = 0;
    picture->facts.datagrams_received = 0;
    picture->started_at = 0;
    picture->record_epoch = 0;
    memset(picture->counters, 0, sizeof picture->counters);
    for (size_t i = 0; i < KW_ARRAY_LEN(picture->read); i++)
        picture->read[i].failed = 0;
}

/* Kinds whose records must not move anything, wherever they come. */
static bool must_not_move(enum stranger_kind kind)
{
    return kind == STRANGER_GARBAGE || kind == STRANGER_ACK || kind == STRANGER_CCS ||
           kind == STRANGER_DATA || kind == STRANGER_UNIFIED;
}

static void intrude(struct pair *pair, enum kw_dtls_role role, const struct intrusion *intrusion)
{
    static struct kw_dtls before, after;
    struct pair_end *end = &pair->end[role];
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    size_t len = stranger_write(&pair->net, intrusion->kind, &intrusion->last[role], datagram);

    take_picture(end->dtls, &before);
    assert_int_equal(kw_dtls_receive(end->dtls, datagram, len, pair->now), KW_OK);
    take_picture(end->dtls, &after);
    if (must_not_move(intrusion->kind))
        CHECK(memcmp(&before, &after, sizeof before) == 0, "%s moved the %s at point %u",
              stranger_names[intrusion->kind], role == KW_DTLS_SERVER ? "server" : "client",
              intrusion->point);
}

static struct intrusion *current;
static struct pair *current_pair;

/* Called for every datagram on its way: the stranger speaks just before one is delivered. */
static bool before_sending(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                           size_t *len, kw_ns now)
{
    struct intrusion *intrusion = ctx;
    enum kw_dtls_role receiver = kw_path_equal(path, &current_pair->end[KW_DTLS_CLIENT].path)
                                     ? KW_DTLS_SERVER
                                     : KW_DTLS_CLIENT;

    (void)net;
    (void)now;
    memcpy(intrusion->last[receiver].data, data, *len);
    intrusion->last[receiver].len = *len;
    return true;
}

static bool at_point(const struct pair *pair)
{
    return pair->net.counters.delivered >= current->point || pair_confirmed(pair);
}

static void one_intrusion(enum stranger_kind kind, unsigned point, uint64_t seed, bool is_12,
                          bool with_cookie)
{
    struct intrusion intrusion = {.kind = kind, .point = point};
    static struct pair pair;

    current = &intrusion;
    current_pair = &pair;
    assert_int_equal(
        pair_init(&pair,
                  &(struct pair_config){
                      .seed = seed,
                      .link = {.delay = KW_MS(20), .loss_percent = seed % 2 == 0 ? 0 : 20},
                      .mtu = seed % 3 == 0 ? 300 : 1200,
                      .only_dtls12 = is_12,
                      .require_cookie = with_cookie,
                  }),
        KW_OK);
    pair.net.tap = before_sending;
    pair.net.tap_ctx = &intrusion;
    pair_run(&pair, at_point, pair.now + KW_S(60));
    intrude(&pair, KW_DTLS_CLIENT, &intrusion);
    intrude(&pair, KW_DTLS_SERVER, &intrusion);
    /* A stranger's hello in the middle of a lossy retry may cost a minute, not the call. */
    CHECK(pair_run(&pair, pair_connected,
                   pair.now + (kind >= STRANGER_CLIENT_HELLO ? KW_S(180) : KW_S(60))),
          "%s at point %u, seed %" PRIu64 "%s%s: client %s %s, server %s %s", stranger_names[kind],
          point, seed, is_12 ? ", 1.2" : "", with_cookie ? ", cookie" : "",
          kw_dtls_end_name(pair.end[1].end), kw_alert_name(pair.end[1].alert),
          kw_dtls_end_name(pair.end[0].end), kw_alert_name(pair.end[0].alert));
    assert_true(pair_same_srtp_keys(&pair));
    /* And once more into the established association. */
    intrude(&pair, KW_DTLS_CLIENT, &intrusion);
    intrude(&pair, KW_DTLS_SERVER, &intrusion);
    assert_false(pair_one_ended(&pair));
    pair_deinit(&pair);
}

static void stranger_changes_nothing_13(void **state)
{
    (void)state;
    stranger_prepare();
    for (int kind = 0; kind < STRANGER_KINDS; kind++) {
        for (unsigned point = 0; point < 12; point++) {
            for (uint64_t seed = 1; seed <= seed_count(20); seed++) {
                /* Who can alter a hello on its way is no stranger: with a cookie, which speaks for
                 * the hello that the server saw, he prevents the handshake. */
                bool with_cookie = seed % 4 == 0 && kind != STRANGER_MUTANT && kind != STRANGER_CUT;

                one_intrusion((enum stranger_kind)kind, point, seed * 7 + point, false,
                              with_cookie);
            }
        }
    }
}

/* 1.2 has nothing to tell a true message in the clear by; what is no handshake message changes
 * nothing there, either. */
static void stranger_changes_nothing_12(void **state)
{
    (void)state;
    stranger_prepare();
    for (int kind = 0; kind <= STRANGER_REPLAY; kind++) {
        if (kind == STRANGER_FINISHED || kind == STRANGER_CERTIFICATE)
            continue;
        for (unsigned point = 0; point < 12; point++) {
            for (uint64_t seed = 1; seed <= seed_count(20); seed++) {
                one_intrusion((enum stranger_kind)kind, point, seed * 7 + point, true,
                              seed % 4 == 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_13),
        cmocka_unit_test(product_12),
        cmocka_unit_test(a_thousand_handshakes_at_thirty_percent_loss),
        cmocka_unit_test(stranger_changes_nothing_13),
        cmocka_unit_test(stranger_changes_nothing_12),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
