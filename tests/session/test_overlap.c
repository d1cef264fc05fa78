/* SPDX-License-Identifier: Apache-2.0 */
/* Two Keywheel peers change their keys on one 5-tuple, and no packet notices. */
#include "check.h"

#include "session/pair.h"

#include <stdlib.h>
#include <string.h>

static const struct pair_config plain = {
    .seed = 1,
    .link = {.delay = KW_MS(30)},
    .period = KW_S(60),
    .method = KW_METHOD_CAP, /* what the peers agreed to in their handshake decides */
    .first_seq = 65000,      /* the sequence number wraps soon */
};

static struct pair *begin(const struct pair_config *config)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair_init(pair, config);
    CHECK(pair_connect(pair, KW_S(30)), "no connection, seed %llu",
          (unsigned long long)config->seed);
    return pair;
}

static void end(struct pair *pair)
{
    pair_deinit(pair);
    free(pair);
}

static void nothing_was_misused(const struct pair *pair)
{
    const struct pair_end *a = &pair->ends[PAIR_A], *b = &pair->ends[PAIR_B];
    unsigned long long seed = pair->config.seed;

    CHECK(a->unusable == 0 && b->unusable == 0, "unusable: %llu, %llu, seed %llu",
          (unsigned long long)a->unusable, (unsigned long long)b->unusable, seed);
    CHECK(a->twice == 0 && b->twice == 0, "accepted twice, seed %llu", seed);
    CHECK(a->beyond == 0 && b->beyond == 0, "sent beyond L: %llu, %llu, seed %llu",
          (unsigned long long)a->beyond, (unsigned long long)b->beyond, seed);
}

static void nothing_was_lost(const struct pair *pair)
{
    const struct pair_end *a = &pair->ends[PAIR_A], *b = &pair->ends[PAIR_B];
    unsigned long long seed = pair->config.seed;

    nothing_was_misused(pair);
    if (pair->config.link.loss_percent == 0) {
        CHECK(a->got == b->sent && b->got == a->sent, "%llu of %llu, %llu of %llu, seed %llu",
              (unsigned long long)a->got, (unsigned long long)b->sent, (unsigned long long)b->got,
              (unsigned long long)a->sent, seed);
    }
}

static void keys_change_every_minute_and_nothing_is_lost(void **state)
{
    struct pair *pair = begin(&plain);

    (void)state;
    pair_run(pair, pair->now + KW_S(600));
    pair_settle(pair);
    assert_false(pair->ends[0].has_ended || pair->ends[1].has_ended);
    assert_true(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] >= 11);
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_FAILED], 0);
    assert_true(pair->ends[0].sent > 29000);
    nothing_was_lost(pair);
    end(pair);
}

static void bad_networks_cost_no_packet(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct pair_config config = plain;
        struct pair *pair;

        config.seed = seed;
        config.first_seq = (uint16_t)(seed * 7919);
        config.link = (struct net_link){
            .delay = KW_MS(20 + seed * 7 % 280),
            .jitter = KW_MS(seed % 40),
            .loss_percent = (unsigned)(seed % 6),
            .reorder_percent = (unsigned)(seed % 4),
            .duplicate_percent = (unsigned)(seed % 3),
        };
        pair = begin(&config);
        pair_run(pair, pair->now + KW_S(300));
        pair_settle(pair);
        CHECK(!pair->ends[0].has_ended && !pair->ends[1].has_ended, "ended, seed %llu",
              (unsigned long long)seed);
        CHECK(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] >= 5, "%u switches, seed %llu",
              pair->ends[0].events[KW_SESSION_EVENT_SWITCHED], (unsigned long long)seed);
        nothing_was_lost(pair);
        end(pair);
    }
}

/* Both ask in the same moment: one of them becomes the server, and there is one new generation. */
static void glare_is_resolved(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair_config config = plain;
        struct pair *pair;

        config.seed = seed;
        pair = begin(&config);
        pair_run(pair, pair->now + KW_S(5));
        kw_session_rotate(pair->ends[0].session, KW_REASON_OPERATOR, pair->now);
        kw_session_rotate(pair->ends[1].session, KW_REASON_OPERATOR, pair->now);
        pair_run(pair, pair->now + KW_S(3));
        CHECK(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] == 2 &&
                  pair->ends[1].events[KW_SESSION_EVENT_SWITCHED] == 2,
              "seed %llu", (unsigned long long)seed);
        pair_settle(pair);
        nothing_was_lost(pair);
        end(pair);
    }
}

static void either_side_may_ask(void **state)
{
    (void)state;
    for (unsigned asker = 0; asker < 2; asker++) {
        struct pair *pair = begin(&plain);
        struct kw_generation_facts facts;

        pair_run(pair, pair->now + KW_S(3));
        kw_session_rotate(pair->ends[asker].session, KW_REASON_OPERATOR, pair->now);
        pair_run(pair, pair->now + KW_S(2));
        assert_int_equal(kw_session_current(pair->ends[0].session), 2);
        assert_int_equal(kw_session_current(pair->ends[1].session), 2);
        assert_true(kw_session_facts(pair->ends[asker].session, 2, pair->now, &facts));
        assert_int_equal(facts.reason, KW_REASON_OPERATOR);
        assert_int_equal(facts.method, KW_METHOD_OVERLAP);
        assert_int_equal(facts.dtls.role, KW_DTLS_CLIENT);
        assert_true(kw_session_facts(pair->ends[1 - asker].session, 2, pair->now, &facts));
        assert_int_equal(facts.reason, KW_REASON_PEER);
        assert_int_equal(facts.dtls.role, KW_DTLS_SERVER);
        pair_settle(pair);
        nothing_was_lost(pair);
        end(pair);
    }
}

/* One end draws within the window, the other asks at its end: who asked last, at first the server.
 */
static void one_end_draws_the_moment(void **state)
{
    static const struct {
        int asker; /* of the second generation; -1: there is none */
        unsigned draws;
        const char *why;
    } rows[] = {
        {-1, PAIR_B, "nobody has asked yet: the server, whose policy is a gateway's"},
        {PAIR_A, PAIR_A, "the client asked, by a stricter policy of its own"},
        {PAIR_B, PAIR_B, "the server asked and goes on to"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct pair *pair = begin(&plain);
        kw_ns in[2];

        if (rows[i].asker >= 0) {
            kw_session_rotate(pair->ends[rows[i].asker].session, KW_REASON_OPERATOR, pair->now);
            pair_run(pair, pair->now + KW_S(2));
        }
        for (unsigned k = 0; k < 2; k++) {
            struct kw_session *session = pair->ends[k].session;
            struct kw_generation_facts facts;

            assert_true(kw_session_facts(session, kw_session_current(session), pair->now, &facts));
            in[k] = kw_session_due(session) - facts.ready;
        }
        CHECK(in[1 - rows[i].draws] >= KW_MS(56990) && in[1 - rows[i].draws] <= KW_S(57),
              "row %zu: the other one waits %llu", i, (unsigned long long)in[1 - rows[i].draws]);
        CHECK(in[rows[i].draws] >= KW_S(45) && in[rows[i].draws] < KW_MS(56990), "row %zu: %llu", i,
              (unsigned long long)in[rows[i].draws]);
        end(pair);
    }
}

static bool all_zero(const uint8_t *mem, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (mem[i] != 0)
            return false;
    }
    return true;
}

/* DTLS keys of a superseded generation go at the switch, SRTP keys at its retirement. */
static void old_secrets_are_wiped(void **state)
{
    struct pair *pair = begin(&plain);
    struct kw_session *session = pair->ends[0].session;
    struct kw_generation *old = kw_session_find(session, 1);
    const struct kw_engines engines = *old->engines; /* where its keys are */

    (void)state;
    kw_session_rotate(session, KW_REASON_OPERATOR, pair->now);
    while (pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] < 2)
        pair_run(pair, pair->now + KW_MS(1));
    assert_int_equal(old->stage, KW_STAGE_PREVIOUS);
    assert_true(all_zero(engines.dtls_mem, kw_dtls_size()));
    assert_true(all_zero(engines.out_mem, kw_srtp_size(2)));
    assert_false(all_zero(engines.in_mem, kw_srtp_size(2)));
    pair_run(pair, pair->now + KW_S(10) + KW_MS(1));
    assert_int_equal(old->stage, KW_STAGE_RETIRED);
    assert_null(old->engines);
    assert_true(all_zero(engines.in_mem, kw_srtp_size(2)));
    assert_int_equal(pair_dirty_blocks(pair), 0);
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_RETIRED], 1);
    end(pair);
}

static void a_rotation_is_accounted(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;
    struct kw_generation_facts old, new;

    (void)state;
    config.link.loss_percent = 5;
    pair = begin(&config);
    pair_run(pair, pair->now + KW_S(2));
    kw_session_rotate(pair->ends[0].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(13));
    assert_true(kw_session_facts(pair->ends[0].session, 1, pair->now, &old));
    assert_true(kw_session_facts(pair->ends[0].session, 2, pair->now, &new));
    assert_true(old.retired != 0 && old.sent.packets > 90 && old.received.packets > 90);
    assert_true(new.prepared < new.ready &&new.ready <= new.switched);
    assert_true(new.switched < old.retired);
    /* About 500 packets in 10 s, one of twenty lost. */
    CHECK(new.lost_across_switch >= 5 && new.lost_across_switch <= 60, "%llu",
          (unsigned long long)new.lost_across_switch);
    assert_false(kw_fingerprint_equal(&old.our_fingerprint, &new.our_fingerprint));
    end(pair);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void a_silent_peer_costs_nothing_until_l(void **state)
{
    struct pair *pair = begin(&plain);

    (void)state;
    pair->ends[PAIR_A].is_lazy = true; /* never answers ROTATE */
    kw_session_rotate(pair->ends[PAIR_B].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(55));
    assert_true(pair->ends[PAIR_B].events[KW_SESSION_EVENT_FAILED] >= 1);
    assert_false(pair->ends[PAIR_B].has_ended);
    pair_run(pair, pair->now + KW_S(10));
    /* The client's keys are older by half a round trip: it is the first to stop. */
    assert_true(pair->ends[PAIR_A].has_ended && pair->ends[PAIR_B].has_ended);
    assert_int_equal(pair->ends[PAIR_A].last_end.session_end, KW_SESSION_END_LIMIT);
    nothing_was_misused(pair);
    end(pair);
}

static void grace_goes_on_and_says_so(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;

    (void)state;
    config.grace = KW_S(150);
    pair = begin(&config);
    pair->ends[PAIR_A].is_lazy = true;
    pair->ends[PAIR_B].is_lazy = true;
    pair_run(pair, pair->now + KW_S(200));
    assert_false(pair->ends[PAIR_A].has_ended);
    assert_int_equal(pair->ends[PAIR_A].events[KW_SESSION_EVENT_OVERDUE], 3);
    pair_run(pair, pair->now + KW_S(20));
    assert_true(pair->ends[PAIR_A].has_ended);
    assert_int_equal(pair->ends[PAIR_A].last_end.session_end, KW_SESSION_END_LIMIT);
    end(pair);
}

static void bytes_rotate_too(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;
    struct kw_generation_facts facts;

    (void)state;
    config.period = KW_S(3600);
    config.bytes = 200000; /* both directions: 6800 bytes/s, due after 22..28 s */
    pair = begin(&config);
    pair_run(pair, pair->now + KW_S(120));
    pair_settle(pair);
    assert_true(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] >= 4);
    assert_true(kw_session_facts(pair->ends[0].session, kw_session_current(pair->ends[0].session),
                                 pair->now, &facts));
    assert_true(facts.reason == KW_REASON_BYTES || facts.reason == KW_REASON_PEER);
    nothing_was_lost(pair);
    end(pair);
}

/* Flood of forged packets: no rotation, no packet lost, nothing but counters. */
static void forged_packets_move_nothing(void **state)
{
    struct pair *pair = begin(&plain);
    uint8_t forged[200];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        size_t len = 60 + (size_t)net_draw(&pair->net, 100);
        struct kw_path path = pair->ends[PAIR_B].path;

        for (size_t k = 0; k < len; k++)
            forged[k] = (uint8_t)net_draw(&pair->net, 256);
        forged[0] = i % 3 == 0 ? 0x80 : i % 3 == 1 ? 22 : 0x2c;
        if (i % 3 == 0) {
            forged[1] = 111;
            memset(forged + 8, 0, 3);
            forged[11] = 2; /* the SSRC of the other end */
        }
        net_inject(&pair->net, &path, forged, len, pair->now + KW_MS(1) * (kw_ns)i);
    }
    pair_run(pair, pair->now + KW_S(8));
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED], 1);
    assert_int_equal(pair->ends[1].events[KW_SESSION_EVENT_DUE], 0);
    assert_false(pair->ends[0].has_ended || pair->ends[1].has_ended);
    pair_settle(pair);
    assert_true(pair->ends[0].got == pair->ends[1].sent);
    assert_true(pair->ends[1].got == pair->ends[0].sent);
    end(pair);
}

/*
 * Everything the network saw once comes again, much later, to whom it was sent and back to its
 * sender: nothing is accepted twice.
 */
struct recorder {
    struct pair *pair;
    size_t count;
    struct {
        struct kw_path path;
        size_t len;
        uint8_t data[1300];
    } datagrams[3000];
};

static bool record(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                   size_t *len, kw_ns now)
{
    struct recorder *recorder = ctx;

    (void)net;
    (void)now;
    if (recorder->count < KW_ARRAY_LEN(recorder->datagrams) &&
        *len <= sizeof recorder->datagrams[0].data) {
        recorder->datagrams[recorder->count].path = *path;
        recorder->datagrams[recorder->count].len = *len;
        memcpy(recorder->datagrams[recorder->count].data, data, *len);
        recorder->count++;
    }
    return true;
}

static void replayed_rotations_are_ignored(void **state)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    struct pair *pair = begin(&plain);
    unsigned switched;

    (void)state;
    recorder->pair = pair;
    pair->net.tap = record;
    pair->net.tap_ctx = recorder;
    kw_session_rotate(pair->ends[0].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(12));
    pair->net.tap = NULL;
    switched = pair->ends[0].events[KW_SESSION_EVENT_SWITCHED];
    assert_int_equal(switched, 2);
    for (size_t i = 0; i < recorder->count; i++) {
        const struct kw_path *again = &recorder->datagrams[i].path;
        struct kw_path back = {.local = again->remote, .remote = again->local};

        net_inject(&pair->net, again, recorder->datagrams[i].data, recorder->datagrams[i].len,
                   pair->now + KW_MS(i));
        net_inject(&pair->net, &back, recorder->datagrams[i].data, recorder->datagrams[i].len,
                   pair->now + KW_MS(i));
    }
    pair_run(pair, pair->now + KW_S(10));
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED], switched);
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_DUE] +
                         pair->ends[1].events[KW_SESSION_EVENT_DUE],
                     2); /* the operator's, and the peer's answer to it */
    assert_int_equal(pair->ends[0].twice + pair->ends[1].twice, 0);
    assert_false(pair->ends[0].has_ended || pair->ends[1].has_ended);
    pair_settle(pair);
    assert_true(pair->ends[0].got == pair->ends[1].sent);
    free(recorder);
    end(pair);
}

/* The hello was announced in an association that is over: nothing can come of it. */
static void a_close_in_the_middle_ends_the_session(void **state)
{
    struct pair *pair = begin(&plain);
    struct pair_end *a = &pair->ends[PAIR_A];

    (void)state;
    pair->ends[PAIR_B].is_lazy = true;
    kw_session_rotate(a->session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(1));
    assert_int_equal(a->events[KW_SESSION_EVENT_DUE], 1);
    kw_session_close(pair->ends[PAIR_B].session, pair->now);
    pair_run(pair, pair->now + KW_MS(100));
    assert_true(a->has_ended);
    assert_int_equal(a->last_end.session_end, KW_SESSION_END_PEER);
    assert_int_equal(pair_dirty_blocks(pair), 0);
    end(pair);
}

/* Handshake records of `next` do not get through at all: media goes on under the old keys. */
static bool drop_handshakes(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                            size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)len;
    (void)now;
    return data[0] != 22;
}

static void a_failed_handshake_is_tried_again(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;

    (void)state;
    config.period = KW_S(240);
    pair = begin(&config);
    pair->net.tap = drop_handshakes;
    kw_session_rotate(pair->ends[0].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(45));
    assert_true(pair->ends[0].events[KW_SESSION_EVENT_FAILED] >= 1);
    assert_int_equal(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED], 1);
    pair->net.tap = NULL;
    pair_run(pair, pair->now + KW_S(60));
    assert_true(pair->ends[0].events[KW_SESSION_EVENT_SWITCHED] >= 2);
    pair_settle(pair);
    nothing_was_lost(pair);
    end(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_every_minute_and_nothing_is_lost),
        cmocka_unit_test(bad_networks_cost_no_packet),
        cmocka_unit_test(glare_is_resolved),
        cmocka_unit_test(either_side_may_ask),
        cmocka_unit_test(one_end_draws_the_moment),
        cmocka_unit_test(old_secrets_are_wiped),
        cmocka_unit_test(a_rotation_is_accounted),
        cmocka_unit_test(a_silent_peer_costs_nothing_until_l),
        cmocka_unit_test(grace_goes_on_and_says_so),
        cmocka_unit_test(bytes_rotate_too),
        cmocka_unit_test(forged_packets_move_nothing),
        cmocka_unit_test(replayed_rotations_are_ignored),
        cmocka_unit_test(a_close_in_the_middle_ends_the_session),
        cmocka_unit_test(a_failed_handshake_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
