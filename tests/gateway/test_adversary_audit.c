/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens late or at a bad moment: a limit that is reached while nobody talks.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_reached_by_a_report_frees_the_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
