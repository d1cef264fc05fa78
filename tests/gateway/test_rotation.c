/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotation at the gateway: `parallel` (a second connection to the same call), `cap`, `grace`, and
 * what goes wrong on the way. The client is the world's; it opens its second connection when the
 * event stream says that one is due.
 */
#include "check.h"

#include "gateway/world.h"

#include <stdlib.h>
#include <string.h>

static void a_second_connection_takes_over(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *old = world_up(world);
    struct peer *new;
    const struct kw_fact *fact;

    (void)state;
    world_run(world, world->now + KW_S(5));
    assert_int_equal(world_add(world, old, &new), 201);
    assert_string_equal(world_header(world, "Keywheel-Generation"), "2");
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    /* Both play for a while, and both hear their echo. */
    world_run(world, world->now + KW_S(3));
    assert_true(new->media_back >= 140 && new->back_gaps == 0);
    assert_true(old->media_back >= 390 && old->back_gaps == 0);
    assert_true(world_status_has(world, old, "\"state\":\"rotating\""));
    world_hang_up(world, old);
    world_run(world, world->now + KW_S(9));
    assert_true(world_status_has(world, old, "\"state\":\"up\""));
    assert_true(world_status_has(world, old, "\"generation\":2"));
    assert_false(world_status_has(world, old, "\"generation\":1"));
    assert_int_equal(new->back_gaps, 0);

    fact = world_last_fact(world, KW_FACT_ROTATED);
    assert_non_null(fact);
    assert_int_equal(fact->generation, 2);
    assert_int_equal(fact->u.rotated.from, 1);
    assert_string_equal(fact->u.rotated.method, "parallel");
    assert_int_equal(fact->u.rotated.lost, 0);
    assert_true(fact->u.rotated.overlap_us >= 9900000);
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 2);
    world_free(world);
}

static void rotations_follow_each_other(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);

    (void)state;
    for (int i = 0; i < 12; i++) {
        struct peer *old = peer;

        world_run(world, world->now + KW_S(2));
        assert_int_equal(world_add(world, old, &peer), 201);
        assert_true(world_until(world, world_newest_is_up, KW_S(5)));
        world_run(world, world->now + KW_MS(500));
        world_hang_up(world, old);
        assert_int_equal(old->back_gaps, 0);
        world_run(world, world->now + KW_S(11));
    }
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 12);
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    assert_int_equal(peer->back_gaps, 0);
    world_free(world);
}

/* The event stream says when. Whoever does not listen ends at L. */
static void due_is_announced_and_l_ends_the_call(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    struct kw_push *push = calloc(1, sizeof *push);
    char path[300];
    unsigned due = 0;
    kw_ns first = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/events", peer->location);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    while (kw_gateway_call_count(world->gateway) != 0) {
        world_run(world, world->now + KW_MS(100));
        while (kw_control_next_push(world->gateway, world->now, push)) {
            push->data[push->len] = 0;
            if (strstr((char *)push->data, "event: due") == NULL)
                continue;
            due++;
            if (first == 0)
                first = world->now;
        }
    }
    CHECK(due >= 3, "%u times", due);                        /* again, with back-off */
    assert_true(first >= KW_S(1044) && first <= KW_S(1058)); /* 75..95 % of 60 s */
    assert_true(world->now >= KW_S(1060) && world->now <= KW_S(1061));
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "limit");
    world_run(world, world->now + KW_MS(100));
    assert_int_equal(peer->end, KW_SESSION_END_PEER);
    free(push);
    world_free(world);
}

static void whip_is_capped(void **state)
{
    struct world *world = world_new(&world_plain);
    size_t offer_len;
    struct peer *peer = world_peer(world, &offer_len);

    (void)state;
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/whip/demo", "demo-token",
                                   "application/sdp", world->offer, offer_len),
                     201);
    assert_memory_equal(world_header(world, "Keywheel-Rotation"), "cap; seconds=60", 15);
    world_answer(world, peer);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(5));
    assert_int_equal(peer->media_back, 0); /* recvonly */
    assert_true(peer->rtcp_back >= 3);     /* but reports */
    assert_true(world_until(world, world_is_empty, KW_S(60)));
    assert_true(world->now >= KW_S(1060));
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "limit");
    world_free(world);
}

static void grace_is_recorded_every_minute(void **state)
{
    struct world_config config = world_plain;
    struct world *world;
    struct peer *peer;

    (void)state;
    config.grace = true; /* 120 s */
    world = world_new(&config);
    peer = world_up(world);
    world_run(world, KW_S(1000) + KW_S(175));
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    assert_int_equal(world_facts(world, KW_FACT_OVERDUE), 2);
    assert_true(peer->media_back > 8000);
    assert_true(world_until(world, world_is_empty, KW_S(10)));
    world_free(world);
}

static void a_second_connection_that_never_comes_costs_nothing(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *old = world_up(world);
    struct peer *ghost, *new;

    (void)state;
    assert_int_equal(world_add(world, old, &ghost), 201);
    ghost->is_deaf = true;
    world_run(world, world->now + KW_S(5));
    /* It has shown nothing, so another attempt may replace it at once. */
    assert_int_equal(world_add(world, old, &new), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(1));
    /* While previous lives there is no third. */
    assert_int_equal(world_add(world, old, &ghost), 409);
    ghost->has_ended = true;
    world_run(world, world->now + KW_S(11));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    assert_int_equal(old->back_gaps, 0);

    assert_int_equal(world_add(world, new, &ghost), 201);
    ghost->is_deaf = true;
    world_run(world, world->now + KW_S(10));
    assert_int_equal(world_facts(world, KW_FACT_REFUSED), 1);
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                        "handshake-timeout");
    assert_int_equal(new->back_gaps, 0);
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    world_free(world);
}

static void a_wrong_fingerprint_of_next_ends_next_only(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *old = world_up(world);
    struct peer *peer;
    char path[300];
    size_t offer_len;
    char *print;

    (void)state;
    peer = world_peer(world, &offer_len);
    print = strstr((char *)world->offer, "sha-256 ");
    print[8] = print[8] == '0' ? '1' : '0';
    snprintf(path, sizeof path, "%s/generations", old->location);
    assert_int_equal(world_request(world, KW_REQUEST_POST, path, "demo-token", "application/sdp",
                                   world->offer, offer_len),
                     201);
    world_answer(world, peer);
    world_run(world, world->now + KW_S(3));
    assert_true(peer->has_ended);
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 1);
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                        "fingerprint-mismatch");
    assert_int_equal(old->back_gaps, 0);
    assert_true(old->media_back >= 100);
    assert_false(old->has_ended);
    world_free(world);
}

/* The client closes its old connection before it has said a word on the new one. */
static void close_of_the_old_one_never_ends_the_call(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *old = world_up(world);
    struct peer *new;
    const struct kw_fact *fact;

    (void)state;
    world_run(world, world->now + KW_S(1));
    assert_int_equal(world_add(world, old, &new), 201);
    world_hang_up(world, old);
    /* Its close_notify has to leave: the world sends what a closed session still has. */
    {
        uint8_t datagram[2048];
        struct kw_path path;
        size_t len;

        while ((len = kw_session_transmit(old->session, datagram, sizeof datagram, &path,
                                          world->now)) != 0)
            net_send(&world->net, &path, datagram, len, world->now);
    }
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(3));
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    assert_true(new->media_back >= 140);
    assert_true(world_status_has(world, old, "\"generation\":2"));
    /* And it is a rotation like any other, though nothing overlapped. */
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    fact = world_last_fact(world, KW_FACT_ROTATED);
    assert_int_equal(fact->u.rotated.from, 1);
    assert_int_equal(fact->generation, 2);
    assert_string_equal(fact->u.rotated.method, "parallel");
    assert_int_equal(fact->u.rotated.overlap_us, 0);
    assert_true(fact->u.rotated.old_packets > 0);
    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, new->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_S(2));
    assert_int_equal(world->facts_reserved, 0);
    world_free(world);
}

/* The same connection, the same 5-tuple, the same SSRCs: new ICE credentials and new keys. */
static void one_connection_restarts(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    char path[300];

    (void)state;
    snprintf(path, sizeof path, "%s/restart", peer->location);
    for (uint32_t i = 2; i < 6; i++) {
        size_t len;

        world_run(world, world->now + KW_S(3));
        len = world_offer(world, peer);
        assert_int_equal(world_request(world, KW_REQUEST_POST, path, "demo-token",
                                       "application/sdp", world->offer, len),
                         201);
        world_answer(world, peer);
        /*
         * The hello goes at once to where the connection lives, before the new checks: two round
         * trips of 40 ms until the client may send, and what the steps of the clock add.
         */
        world_run(world, world->now + KW_MS(100));
        assert_int_equal(kw_session_current(peer->session), i);
        world_run(world, world->now + KW_S(10));
        assert_int_equal(world_facts(world, KW_FACT_ROTATED), i - 1);
        assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.method, "restart");
    }
    assert_false(peer->has_ended);
    assert_int_equal(peer->back_ssrcs, 1);
    /* What was on its way under the old keys at a switch is all that may be missing. */
    CHECK(peer->back_gaps <= 4 && peer->media_back + 20 >= peer->media_sent,
          "%u gaps, %llu of %llu", peer->back_gaps, (unsigned long long)peer->media_back,
          (unsigned long long)peer->media_sent);
    world_free(world);
}

/* A call that ends while the old keys are still accepted has rotated none the less. */
static void a_rotation_is_recorded_when_the_call_ends_within_it(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *old = world_up(world), *new;
    const struct kw_fact *rotated;

    (void)state;
    world_run(world, world->now + KW_S(3));
    assert_int_equal(world_add(world, old, &new), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(2));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 0);
    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, new->location, "demo-token", "", NULL, 0), 200);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    rotated = world_last_fact(world, KW_FACT_ROTATED);
    assert_true(rotated->u.rotated.overlap_us >= 1900000 && rotated->u.rotated.old_packets > 0);
    assert_int_equal(rotated->u.rotated.lost, 0);
    world_run(world, world->now + KW_S(2));
    assert_int_equal(world_facts(world, KW_FACT_SESSION_CLOSED), 1);
    assert_int_equal(world->facts_reserved, 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_connection_takes_over),
        cmocka_unit_test(rotations_follow_each_other),
        cmocka_unit_test(due_is_announced_and_l_ends_the_call),
        cmocka_unit_test(whip_is_capped),
        cmocka_unit_test(grace_is_recorded_every_minute),
        cmocka_unit_test(a_second_connection_that_never_comes_costs_nothing),
        cmocka_unit_test(a_wrong_fingerprint_of_next_ends_next_only),
        cmocka_unit_test(close_of_the_old_one_never_ends_the_call),
        cmocka_unit_test(one_connection_restarts),
        cmocka_unit_test(a_rotation_is_recorded_when_the_call_ends_within_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
