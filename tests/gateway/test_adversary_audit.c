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

/* Only our own reports use the keys: their last byte ends the call, and its place is free again. */
static void a_limit_reached_by_a_report_frees_the_place(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer;

    (void)state;
    world->tenants[0].policy.rotation.period = KW_S(3600);
    world->tenants[0].policy.rotation.bytes = 4096;
    peer = world_up(world);
    peer->media_until = 0;
    peer->next_report = KW_NEVER;
    world_schedule(world, peer);
    assert_true(world_until(world, world_is_empty, KW_S(60)));
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "limit");
    world_free(world);
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
    struct world *world = world_new(&world_plain);
    struct peer *peer, *next;

    (void)state;
    (void)except(world);
    peer = world_up(world);
    assert_int_equal(world_facts(world, KW_FACT_EXCEPTION_USED), 1);
    for (int i = 0; i < 4; i++)
        peer = world_rotate(world, peer, KW_MS(500));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 4);
    world->config.facts_room = world->fact_count + world->facts_reserved;
    assert_int_equal(world_add(world, peer, &next), 503);
    world_hang_up(world, peer);
    assert_true(world_until(world, world_is_empty, KW_S(40)));
    assert_int_equal(world_facts(world, KW_FACT_SESSION_CLOSED), 1);
    world_free(world);
}

/* What a rotation did not need goes back when it is over, not when the call is. */
static void a_rotation_keeps_no_room(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    size_t before = world->facts_reserved;

    (void)state;
    for (int i = 0; i < 3; i++)
        peer = world_rotate(world, peer, KW_MS(500));
    assert_true(world->facts_reserved <= before);
    world_free(world);
}

static bool problem_names(const struct world *world, const char *rule)
{
    return memmem(world->response.body, world->response.body_len, rule, strlen(rule)) != NULL;
}

/* An exception ends for a call as well: its next generation is decided anew. */
static void an_expired_exception_gives_no_new_generation(void **state)
{
    struct world *world = world_new(&world_plain);
    struct kw_exception *exception;
    struct peer *peer, *next;

    (void)state;
    exception = except(world);
    peer = world_up(world);
    peer = world_rotate(world, peer, KW_MS(500));
    exception->expires = world_utc(world) - 1;
    assert_int_equal(world_add(world, peer, &next), 422);
    assert_true(problem_names(world, "exception-expired"));
    assert_false(peer->has_ended);
    world->tenants[0].policy.exception_count = 0;
    assert_int_equal(world_add(world, peer, &next), 422);
    assert_true(problem_names(world, "exception-ended"));
    world_free(world);
}

/* A call on plain terms goes on with them when its network gets an exception. */
static void a_later_exception_stops_no_rotation(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);

    (void)state;
    (void)except(world);
    (void)world_rotate(world, peer, KW_MS(500));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
    assert_int_equal(world_facts(world, KW_FACT_EXCEPTION_USED), 0);
    world_free(world);
}

/* A check that names one generation is nobody else's: no 401 goes beside its answer. */
static void a_check_is_answered_by_its_own_generation_only(void **state)
{
    static uint8_t data[8][KW_DATAGRAM_RECEIVE_MAX];
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    struct kw_datagram items[8];
    struct peer *next;
    struct kw_path path;
    size_t len = 0, count;
    size_t answers = 0;

    (void)state;
    assert_int_equal(world_add(world, peer, &next), 201);
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
    world_free(world);
}

/* --- floods of refusals ----------------------------------------------------------------------- */

static int post_rubbish(struct world *world, const char *path, const char *token)
{
    return world_request(world, KW_REQUEST_POST, path, token, "application/sdp", "v=0", 3);
}

static uint64_t refusals_told(const struct world *world, const char *tenant, size_t *fact_count)
{
    uint64_t told = 0;

    *fact_count = 0;
    for (size_t i = 0; i < world->fact_count; i++) {
        if (world->facts[i].type != KW_FACT_REFUSED || strcmp(world->facts[i].tenant, tenant) != 0)
            continue;
        told += world->facts[i].u.refused.count;
        (*fact_count)++;
    }
    return told;
}

/* Each refusal is told: one by one first, then as "so many like this". */
static void a_flood_of_refusals_is_counted(void **state)
{
    struct world *world = world_new(&world_plain);
    const struct kw_fact *fact;
    size_t fact_count;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(post_rubbish(world, "/v1/calls", "demo-token"), 400);
    assert_int_equal(refusals_told(world, "demo", &fact_count), 30);
    assert_int_equal(post_rubbish(world, "/v1/calls", "other-token"), 400);
    assert_int_equal(refusals_told(world, "other", &fact_count), 1);
    world_run(world, world->now + KW_S(61));
    assert_int_equal(refusals_told(world, "demo", &fact_count), 1000);
    assert_int_equal(fact_count, 31);
    fact = world_last_fact(world, KW_FACT_REFUSED);
    assert_int_equal(fact->u.refused.count, 970);
    assert_int_equal(fact->u.refused.span_us, 60000000);
    assert_string_equal(fact->u.refused.rule, "malformed-sdp");
    assert_string_equal(fact->u.refused.remote, "203.0.113.9:4711");
    /* A quiet minute gives the budget back. */
    assert_int_equal(post_rubbish(world, "/v1/calls", "demo-token"), 400);
    assert_int_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.count, 1);
    world_free(world);
}

/* What a tenant does to itself does not fill the ring for the others. */
static void a_flood_leaves_room_for_other_tenants(void **state)
{
    struct world_config config = world_plain;
    struct world *world;
    size_t offer_len;

    (void)state;
    config.facts_room = 64;
    world = world_new(&config);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(post_rubbish(world, "/v1/calls", "demo-token"), 400);
    (void)world_peer(world, &offer_len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "other-token",
                                   "application/sdp", world->offer, offer_len),
                     201);
    world_free(world); /* and what is counted is told at the end: no slot is left */
}

/* Rules are counted apart, as many as there is room for; none is forgotten. */
static void rules_are_counted_apart(void **state)
{
    static const struct {
        const char *from, *to;
        const char *rule;
    } rows[] = {
        {"a=fingerprint", "a=fingerprunt", "no-fingerprint"},
        {"a=setup:actpass", "a=setup:passive", "setup-passive"},
        {"a=rtcp-mux\r\n", "a=rtcp-mix\r\n", "no-rtcp-mux"},
    };
    struct world *world = world_new(&world_plain);
    size_t fact_count;

    (void)state;
    for (int i = 0; i < 30; i++)
        assert_int_equal(post_rubbish(world, "/v1/calls", "demo-token"), 400);
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        for (size_t n = 0; n <= i; n++) {
            size_t len;
            char *at;

            (void)world_peer(world, &len);
            world->offer[len] = 0;
            at = strstr((char *)world->offer, rows[i].from);
            assert_non_null(at);
            memcpy(at, rows[i].to, strlen(rows[i].to));
            assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token",
                                           "application/sdp", world->offer, len),
                             422);
        }
    }
    world_run(world, world->now + KW_S(61));
    assert_int_equal(refusals_told(world, "demo", &fact_count), 30 + 1 + 2 + 3);
    assert_int_equal(fact_count, 30 + 3);
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        const struct kw_fact *fact = &world->facts[world->fact_count - 3 + i];

        assert_string_equal(fact->u.refused.rule, rows[i].rule);
        assert_int_equal(fact->u.refused.count, i + 1);
    }
    world_free(world);
}

/* A next generation that is refused is told with its session. */
static void a_refused_generation_leaves_its_fact(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    const struct kw_fact *fact;
    char path[300];

    (void)state;
    snprintf(path, sizeof path, "%s/generations", peer->location);
    assert_int_equal(post_rubbish(world, path, "demo-token"), 400);
    fact = world_last_fact(world, KW_FACT_REFUSED);
    assert_non_null(fact);
    assert_string_equal(fact->u.refused.rule, "malformed-sdp");
    assert_memory_equal(&fact->session, &world_last_fact(world, KW_FACT_SESSION_OPENED)->session,
                        sizeof fact->session);
    assert_false(peer->has_ended);
    world_free(world);
}

/* It costs as much as a call, so it has a rate of its own; the call itself goes on. */
static void attempts_at_a_generation_have_a_rate(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    struct peer *next;
    size_t fact_count;
    char path[300];

    (void)state;
    snprintf(path, sizeof path, "%s/generations", peer->location);
    for (int i = 0; i < 8; i++)
        assert_int_equal(post_rubbish(world, path, "demo-token"), 400);
    for (int i = 0; i < 40; i++)
        assert_int_equal(world_add(world, peer, &next), 429);
    assert_string_equal(world_header(world, "Retry-After"), "2");
    assert_true(problem_names(world, "generation-quota"));
    (void)refusals_told(world, "demo", &fact_count);
    assert_int_equal(fact_count, 8 + 30);
    world_run(world, world->now + KW_S(3));
    assert_int_equal(world_add(world, peer, &next), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    assert_int_equal(peer->back_gaps, 0);
    world_free(world);
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
        cmocka_unit_test(a_flood_of_refusals_is_counted),
        cmocka_unit_test(a_flood_leaves_room_for_other_tenants),
        cmocka_unit_test(rules_are_counted_apart),
        cmocka_unit_test(a_refused_generation_leaves_its_fact),
        cmocka_unit_test(attempts_at_a_generation_have_a_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
