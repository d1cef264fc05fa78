/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an adversary, or plain bad luck over a long time, does to a gateway: routes that pile up.
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

/* Every rotation comes from another port: a call has more of them in its life than routes. */
static void rotations_outlive_the_routes_of_a_call(void **state)
{
    struct world *world = begin();
    struct peer *peer = up(world);

    (void)state;
    for (int i = 0; i < 30; i++)
        peer = rotate(world, peer);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 30);
    assert_int_equal(peer->back_gaps, 0);
    end(world);
}

/* The address of a connection that is over may be another client's next (NAT). */
static void an_address_that_is_over_is_free_for_another_call(void **state)
{
    struct world *world = begin();
    struct peer *first = up(world);
    struct peer *second, *heir;

    (void)state;
    second = rotate(world, first);
    heir = NULL;
    {
        size_t offer_len;

        heir = world_peer(world, &offer_len);
        heir->address = first->address;
        first->address = world_address(10, 99, 99, 99, 9);
        assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token",
                                       "application/sdp", world->offer, offer_len),
                         201);
        strcpy(heir->location, world_header(world, "Location"));
        world_answer(world, heir);
    }
    assert_true(world_until(world, newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(2));
    assert_false(second->has_ended);
    assert_int_equal(second->back_gaps, 0);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_outlive_the_routes_of_a_call),
        cmocka_unit_test(an_address_that_is_over_is_free_for_another_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
