/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong while a client changes its keys by overlap: media goes on with the old ones. */
#include "check.h"

#include "gateway/state.h"
#include "gateway/world.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

static const struct world_config plain = {
    .seed = 79,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 16,
    .period = KW_S(60),
    .overlap = true,
};

static bool has_new_keys(struct world *world)
{
    return world_facts(world, KW_FACT_GENERATION_ESTABLISHED) >= 2;
}

static void media_went_on(const struct world *world, const struct peer *peer)
{
    CHECK(peer->back_gaps == 0 && peer->back_ssrcs == 1 && peer->media_back + 5 >= peer->media_sent,
          "%u gaps, %llu of %llu", peer->back_gaps, (unsigned long long)peer->media_back,
          (unsigned long long)peer->media_sent);
    assert_false(peer->has_ended);
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
}

/* --- the peer --------------------------------------------------------------------------------- */

/* It never answers ROTATE: each attempt is told, and at L the policy says what becomes of it. */
static void a_silent_client_ends_at_l(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    kw_ns start = world->now;

    (void)state;
    peer->is_lazy = true;
    assert_int_equal(world_order_rotation(world, peer), 202);
    world_run(world, start + KW_S(55));
    media_went_on(world, peer);
    assert_in_range(world_facts(world, KW_FACT_REFUSED), 3, 8);
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                        "handshake-timeout");
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.remote,
                        "198.51.0.0:40000");
    world_run(world, start + KW_S(62));
    assert_true(peer->has_ended);
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "limit");
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 0);
    world_free(world);
}

static void grace_goes_on_and_is_recorded(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;

    (void)state;
    config.grace = true; /* two minutes */
    world = world_new(&config);
    peer = world_up(world);
    peer->is_lazy = true;
    world_run(world, world->now + KW_S(150));
    media_went_on(world, peer);
    assert_int_equal(world_facts(world, KW_FACT_OVERDUE), 2);
    peer->is_lazy = false;
    assert_true(world_until(world, world_has_rotated, KW_S(25)));
    assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.reason, "time");
    media_went_on(world, peer);
    world_free(world);
}

static bool no_handshake(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                         size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)len;
    (void)now;
    return data[0] != 22;
}

/* The client's own L is an hour: it tries longer than the gateway does, and must give way in time.
 */
static void a_failed_handshake_is_tried_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct world_config config = plain;
        struct world *world;
        struct peer *peer;

        config.seed = seed;
        config.period = KW_S(20);
        world = world_new(&config);
        peer = world_up(world);
        world->net.tap = no_handshake;
        if (seed % 2 == 0)
            world_ask(world, peer);
        else
            assert_int_equal(world_order_rotation(world, peer), 202);
        world_run(world, world->now + KW_S(4)); /* an attempt has L/8 */
        assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 1);
        assert_true(world_facts(world, KW_FACT_REFUSED) >= 1);
        world->net.tap = NULL;
        CHECK(world_until(world, has_new_keys, KW_S(16)), "seed %llu", (unsigned long long)seed);
        world_run(world, world->now + KW_S(6));
        assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
        media_went_on(world, peer);
        world_free(world);
    }
}

/* The certificate of the handshake is not the one that ROTATE or its answer named. */
static void another_certificate_than_announced_is_refused(void **state)
{
    (void)state;
    for (int client_asks = 0; client_asks < 2; client_asks++) {
        struct world *world = world_new(&plain);
        struct peer *peer = world_up(world);
        const struct kw_crypto_ops *ops = world->crypto->ops;
        struct kw_identity *other;
        struct kw_generation *next;

        if (client_asks != 0)
            world_ask(world, peer);
        else
            assert_int_equal(world_order_rotation(world, peer), 202);
        do
            world_run(world, world->now + KW_MS(1));
        while ((next = kw_session_next_of(peer->session)) == NULL);
        assert_null(next->dtls);
        assert_int_equal(ops->identity_new(world->crypto, world_utc(world), &other), KW_OK);
        ops->identity_free(next->engines->identity);
        next->engines->identity = other;
        peer->is_lazy = true;
        world_run(world, world->now + KW_S(3));
        assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                            "fingerprint-mismatch");
        assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 1);
        media_went_on(world, peer);
        peer->is_lazy = false;
        assert_true(world_until(world, world_has_rotated, KW_S(40)));
        media_went_on(world, peer);
        world_free(world);
    }
}

/* It is gone at any step: the call ends by consent, and nothing is left of either generation. */
static void a_client_may_vanish_at_any_step(void **state)
{
    static const kw_ns after[] = {0,         KW_MS(10), KW_MS(30),  KW_MS(45),
                                  KW_MS(65), KW_MS(90), KW_MS(130), KW_S(3)};

    (void)state;
    for (size_t i = 0; i < 2 * KW_ARRAY_LEN(after); i++) {
        struct world *world = world_new(&plain);
        struct peer *peer = world_up(world);

        world_run(world, world->now + KW_S(1));
        if (i % 2 == 0)
            assert_int_equal(world_order_rotation(world, peer), 202);
        else
            world_ask(world, peer);
        world_run(world, world->now + after[i / 2]);
        peer->is_deaf = true;
        CHECK(world_until(world, world_is_empty, KW_S(36)), "step %zu", i);
        CHECK(strcmp(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "gone") == 0,
              "step %zu: %s", i, world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason);
        assert_int_equal(world->facts_reserved, 0);
        world_free(world);
    }
}

/* close_notify in the midst of it: no second association keeps the call alive. */
static void a_client_may_hang_up_at_any_step(void **state)
{
    static const kw_ns after[] = {0, KW_MS(25), KW_MS(50), KW_MS(75), KW_MS(100), KW_S(1)};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(after); i++) {
        struct world *world = world_new(&plain);
        struct peer *peer = world_up(world);
        uint8_t datagram[2048];
        struct kw_path path;
        size_t len;

        assert_int_equal(world_order_rotation(world, peer), 202);
        world_run(world, world->now + after[i]);
        world_hang_up(world, peer);
        while ((len = kw_session_transmit(peer->session, datagram, sizeof datagram, &path,
                                          world->now)) != 0)
            net_send(&world->net, &path, datagram, len, world->now);
        world_run(world, world->now + KW_MS(100));
        CHECK(world_is_empty(world), "step %zu", i);
        assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason,
                            "peer");
        world_free(world);
    }
}

/* --- strangers -------------------------------------------------------------------------------- */

struct recorder {
    size_t count;
    struct {
        struct kw_path path;
        size_t len;
        uint8_t data[1300];
    } datagrams[4000];
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
        memcpy(recorder->datagrams[recorder->count++].data, data, *len);
    }
    return true;
}

/* Everything comes again: ROTATE, hellos of both associations, media, in both directions. */
static void a_replayed_rotation_is_ignored(void **state)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    struct world *world = world_new(&plain);
    struct peer *peer;
    unsigned due;

    (void)state;
    world->net.tap = record;
    world->net.tap_ctx = recorder;
    peer = world_up(world);
    world_ask(world, peer);
    assert_true(world_until(world, world_has_rotated, KW_S(13)));
    world->net.tap = NULL;
    due = peer->events[KW_SESSION_EVENT_DUE];
    for (size_t i = 0; i < recorder->count; i++) {
        net_inject(&world->net, &recorder->datagrams[i].path, recorder->datagrams[i].data,
                   recorder->datagrams[i].len, world->now + KW_MS(1) * i);
    }
    world_run(world, world->now + KW_S(8));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 2);
    assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
    assert_int_equal(kw_session_current(world_session(world)), 2);
    assert_null(kw_session_next_of(world_session(world)));
    assert_int_equal(peer->events[KW_SESSION_EVENT_DUE], due);
    media_went_on(world, peer);
    free(recorder);
    world_free(world);
}

/*
 * A stranger who can write the client's address says what he likes while a rotation runs: hellos
 * that nobody prepared, records under keys that he has not.
 */
static void a_stranger_moves_nothing(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    const struct kw_path path = {.local = peer->address, .remote = world_gateway_address};
    uint64_t unexpected;

    (void)state;
    unexpected = kw_session_counters(world_session(world))[KW_DROP_UNEXPECTED];
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t forged[120] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9,  0,    107, 1,
                               0,  0,    95,   0, 0, 0, 0, 0, 0, 0, 95, 0xfe, 0xfd};

        for (size_t k = 27; k < sizeof forged; k++)
            forged[k] = (uint8_t)net_draw(&world->net, 256);
        if (i % 2 == 1)
            forged[0] = 0x2c | (i & 3); /* an encrypted record of any epoch */
        net_inject(&world->net, &path, forged, sizeof forged, world->now + KW_MS(1) * i);
    }
    world_run(world, world->now + KW_S(1));
    assert_int_equal(kw_session_current(world_session(world)), 1);
    assert_null(kw_session_next_of(world_session(world)));
    assert_true(kw_session_counters(world_session(world))[KW_DROP_UNEXPECTED] >= unexpected + 400);
    world_order_rotation(world, peer); /* in the midst of it */
    assert_true(world_until(world, world_has_rotated, KW_S(14)));
    assert_int_equal(kw_session_current(world_session(world)), 2);
    assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
    media_went_on(world, peer);
    world_free(world);
}

/* --- ourselves -------------------------------------------------------------------------------- */

/* No place in the pool, or none in the ring of facts: postponed, told again, done when there is. */
static void without_room_a_rotation_waits(void **state)
{
    (void)state;
    for (int of_facts = 0; of_facts < 2; of_facts++) {
        struct world *world = world_new(&plain);
        struct peer *peer = world_up(world);
        struct kw_session_pool *pool = world->gateway->shared.pool;
        size_t places = pool->config.rotations;

        if (of_facts != 0)
            world->config.facts_room = world->fact_count + world->facts_reserved;
        else
            pool->config.rotations = 0;
        assert_int_equal(world_order_rotation(world, peer), 202);
        world_run(world, world->now + KW_S(10));
        assert_int_equal(kw_session_current(world_session(world)), 1);
        assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
        assert_true(of_facts != 0 || pool->usage.postponed >= 3);
        pool->config.rotations = places;
        world->config.facts_room = 0;
        assert_true(world_until(world, world_has_rotated, KW_S(30)));
        media_went_on(world, peer);
        world_free(world);
    }
}

/* An exception names the certificate of the offer; those that it vouches for go on with it. */
static void exceptions_are_decided_anew(void **state)
{
    static const char *const rules[] = {"exception-expired", "exception-ended"};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rules); i++) {
        struct world *world = world_new(&plain);
        struct kw_policy *policy = &world->tenants[0].policy;
        struct kw_exception *exception = &policy->exceptions[0];
        size_t offer_len;
        struct peer *peer = world_peer(world, &offer_len);

        policy->exception_count = 1;
        *exception = (struct kw_exception){
            .allow_cm_sha1_80 = true,
            .has_fingerprint = true,
            .fingerprint = peer->fingerprint,
            .expires = world_utc(world) + 3600 * 1000,
        };
        strcpy(exception->name, "door-phones");
        strcpy(exception->reason, "until they are replaced");
        assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token",
                                       "application/sdp", world->offer, offer_len),
                         201);
        strcpy(peer->location, world_header(world, "Location"));
        world_answer(world, peer);
        assert_true(world_until(world, world_newest_is_up, KW_S(5)));
        world_run(world, world->now + KW_S(150)); /* twice: the second names a successor */
        assert_in_range(world_facts(world, KW_FACT_ROTATED), 2, 3);
        assert_int_equal(world_facts(world, KW_FACT_EXCEPTION_USED),
                         world_facts(world, KW_FACT_GENERATION_ESTABLISHED));
        media_went_on(world, peer);
        if (i == 0)
            exception->expires = world_utc(world) - 1;
        else
            policy->exception_count = 0;
        world_run(world, world->now + KW_S(75));
        assert_true(peer->has_ended);
        assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule, rules[i]);
        assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason,
                            "limit");
        world_free(world);
    }
}

/* However often new keys are asked for, attempts are as dear as by POST: 30 a minute. */
static void attempts_have_a_rate(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    struct kw_call *call = &world->gateway->calls[0];
    size_t taken = 0;

    (void)state;
    world_run(world, world->now + KW_S(20));
    peer->is_lazy = true;
    for (int i = 0; i < 60; i++) {
        struct kw_generation *next;

        assert_int_equal(world_order_rotation(world, peer), 202);
        world_run(world, world->now + KW_MS(100));
        next = kw_session_next_of(call->session);
        taken += next != NULL;
        /* It fails at once, so that nothing but the rate stands in the way. */
        if (next != NULL)
            kw_generation_over(call->session, next, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, world->now);
    }
    assert_in_range(taken, 8, 12); /* eight that were saved, and one in two seconds */
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                        "generation-quota");
    media_went_on(world, peer);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_client_ends_at_l),
        cmocka_unit_test(grace_goes_on_and_is_recorded),
        cmocka_unit_test(a_failed_handshake_is_tried_again),
        cmocka_unit_test(another_certificate_than_announced_is_refused),
        cmocka_unit_test(a_client_may_vanish_at_any_step),
        cmocka_unit_test(a_client_may_hang_up_at_any_step),
        cmocka_unit_test(a_replayed_rotation_is_ignored),
        cmocka_unit_test(a_stranger_moves_nothing),
        cmocka_unit_test(without_room_a_rotation_waits),
        cmocka_unit_test(exceptions_are_decided_anew),
        cmocka_unit_test(attempts_have_a_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
