/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens late or at a bad moment: a limit that is reached while nobody talks, an audit ring
 * that is full, an exception that ends, a check that
 * comes to a call with two generations.
 */
#include "check.h"

#include "gateway/world.h"

#include <stdlib.h>
#include <string.h>

static const struct world_config plain = {
    .seed = 77,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 64,
    .period = KW_S(60),
};

static struct world *begin(void)
{
    struct world *world = calloc(1, sizeof *world);

    world_init(world, &plain);
    return world;
}

static void end(struct world *world)
{
    world_deinit(world);
    free(world);
}

static bool newest_is_up(struct world *world)
{
    return world->peers[world->peer_count - 1].is_up;
}

static bool gateway_is_empty(struct world *world)
{
    return kw_gateway_call_count(world->gateway) == 0;
}

static struct peer *up(struct world *world)
{
    struct peer *peer;

    assert_int_equal(world_call(world, &peer), 201);
    assert_true(world_until(world, newest_is_up, KW_S(10)));
    return peer;
}

static int add(struct world *world, const struct peer *old, struct peer **ret)
{
    char path[300];
    size_t offer_len;
    struct peer *peer = world_peer(world, &offer_len);
    int status;

    snprintf(path, sizeof path, "%s/generations", old->location);
    status = world_request(world, KW_REQUEST_POST, path, "demo-token", "application/sdp",
                           world->offer, offer_len);
    *ret = peer;
    if (status != 201) {
        peer->has_ended = true;
        return status;
    }
    strcpy(peer->location, old->location);
    strcpy(peer->etag, world_header(world, "ETag"));
    world_answer(world, peer);
    return status;
}

static void hang_up(struct world *world, struct peer *peer)
{
    peer->media_until = 0;
    kw_session_close(peer->session, world->now);
    peer->has_ended = true;
}

static struct peer *rotate(struct world *world, struct peer *old)
{
    struct peer *peer;

    assert_int_equal(add(world, old, &peer), 201);
    assert_true(world_until(world, newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_MS(500));
    hang_up(world, old);
    world_run(world, world->now + KW_S(13));
    return peer;
}

/* Only our own reports use the keys: their last byte ends the call, and its place is free again. */
static void a_limit_reached_by_a_report_frees_the_place(void **state)
{
    struct world *world = begin();
    struct peer *peer;

    (void)state;
    world->tenants[0].policy.rotation.period = KW_S(3600);
    world->tenants[0].policy.rotation.bytes = 4096;
    peer = up(world);
    peer->media_until = 0;
    peer->next_report = KW_NEVER;
    world_schedule(world, peer);
    assert_true(world_until(world, gateway_is_empty, KW_S(60)));
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "limit");
    end(world);
}

static struct kw_exception *except(struct world *world)
{
    struct kw_policy *policy = &world->tenants[0].policy;
    struct kw_exception *exception = &policy->exceptions[0];

    policy->exception_count = 1;
    *exception = (struct kw_exception){.allow_dtls12 = true};
    strcpy(exception->name, "old-phones");
    strcpy(exception->reason, "until they are replaced");
    exception->expires = world_utc(world) + 3600 * 1000;
    exception->network = world_address(203, 0, 113, 0, 0); /* of the world's requests */
    exception->network_prefix = 8;
    return exception;
}

/* A full ring refuses the next rotation; what was admitted still tells its end. */
static void the_end_of_a_call_always_has_its_room(void **state)
{
    struct world *world = begin();
    struct peer *peer, *next;

    (void)state;
    (void)except(world);
    peer = up(world);
    assert_int_equal(world_facts(world, KW_FACT_EXCEPTION_USED), 1);
    for (int i = 0; i < 4; i++)
        peer = rotate(world, peer);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 4);
    world->config.facts_room = world->fact_count + world->facts_reserved;
    assert_int_equal(add(world, peer, &next), 503);
    hang_up(world, peer);
    assert_true(world_until(world, gateway_is_empty, KW_S(40)));
    assert_int_equal(world_facts(world, KW_FACT_SESSION_CLOSED), 1);
    end(world);
}

/* What a rotation did not need goes back when it is over, not when the call is. */
static void a_rotation_keeps_no_room(void **state)
{
    struct world *world = begin();
    struct peer *peer = up(world);
    size_t before = world->facts_reserved;

    (void)state;
    for (int i = 0; i < 3; i++)
        peer = rotate(world, peer);
    assert_true(world->facts_reserved <= before);
    end(world);
}

static bool problem_names(const struct world *world, const char *rule)
{
    return memmem(world->response.body, world->response.body_len, rule, strlen(rule)) != NULL;
}

/* An exception ends for a call as well: its next generation is decided anew. */
static void an_expired_exception_gives_no_new_generation(void **state)
{
    struct world *world = begin();
    struct kw_exception *exception;
    struct peer *peer, *next;

    (void)state;
    exception = except(world);
    peer = up(world);
    peer = rotate(world, peer);
    exception->expires = world_utc(world) - 1;
    assert_int_equal(add(world, peer, &next), 422);
    assert_true(problem_names(world, "exception-expired"));
    assert_false(peer->has_ended);
    world->tenants[0].policy.exception_count = 0;
    assert_int_equal(add(world, peer, &next), 422);
    assert_true(problem_names(world, "exception-ended"));
    end(world);
}

/* A call on plain terms goes on with them when its network gets an exception. */
static void a_later_exception_stops_no_rotation(void **state)
{
    struct world *world = begin();
    struct peer *peer = up(world);

    (void)state;
    (void)except(world);
    (void)rotate(world, peer);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    assert_int_equal(world_facts(world, KW_FACT_EXCEPTION_USED), 0);
    end(world);
}

/* A check that names one generation is nobody else's: no 401 goes beside its answer. */
static void a_check_is_answered_by_its_own_generation_only(void **state)
{
    static uint8_t data[8][KW_DATAGRAM_RECEIVE_MAX];
    struct world *world = begin();
    struct peer *peer = up(world);
    struct kw_datagram items[8];
    struct peer *next;
    struct kw_path path;
    size_t len = 0, count;
    size_t answers = 0;

    (void)state;
    assert_int_equal(add(world, peer, &next), 201);
    /* Its first check, by hand: the gateway shall see nothing else. */
    for (size_t i = 0; i < 1000 && len == 0; i++) {
        world->now += KW_MS(1);
        assert_int_equal(kw_session_tick(next->session, world->now), KW_OK);
        len = kw_session_transmit(next->session, data[0], sizeof data[0], &path, world->now);
    }
    assert_true(len != 0);
    items[0] = (struct kw_datagram){
        .path = world_reversed(&path), .data = data[0], .len = len, .size = sizeof data[0]};
    kw_gateway_receive(world->gateway, items, 1, world->now);
    for (size_t i = 0; i < 8; i++)
        items[i] = (struct kw_datagram){.data = data[i], .size = sizeof data[i]};
    count = kw_gateway_transmit(world->gateway, items, 8, world->now);
    for (size_t i = 0; i < count; i++) {
        assert_false(items[i].data[0] == 1 && items[i].data[1] == 0x11); /* Binding error */
        answers += items[i].data[0] == 1 && items[i].data[1] == 0x01;
    }
    assert_int_equal(answers, 1);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_reached_by_a_report_frees_the_place),
        cmocka_unit_test(the_end_of_a_call_always_has_its_room),
        cmocka_unit_test(a_rotation_keeps_no_room),
        cmocka_unit_test(an_expired_exception_gives_no_new_generation),
        cmocka_unit_test(a_later_exception_stops_no_rotation),
        cmocka_unit_test(a_check_is_answered_by_its_own_generation_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
