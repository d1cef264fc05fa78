/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All calls rotate in the same moment, on a gateway whose handshake datagrams cost what they cost
 * on a core: media does not wait. KW_STORM_CALLS sizes it; the gate is 2000.
 */
#include "check.h"

#include "gateway/world.h"

#include <stdlib.h>
#include <string.h>

static bool all_are_up(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        if (!world->peers[i].is_up)
            return false;
    }
    return true;
}

static bool all_have_new_keys(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        if (world->peers[i].events[KW_SESSION_EVENT_SWITCHED] < 2)
            return false;
    }
    return true;
}

/* Each is told to rotate, or brings its second connection. */
static void rotate_all(struct world *world, size_t calls)
{
    for (size_t i = 0; i < calls; i++) {
        struct peer *peer = &world->peers[i];

        if (world->config.overlap)
            assert_int_equal(world_order_rotation(world, peer), 202);
        else
            assert_int_equal(world_add(world, peer, &peer), 201);
    }
}

static void storm(bool by_overlap)
{
    const char *text = getenv("KW_STORM_CALLS");
    size_t calls = text != NULL ? strtoul(text, NULL, 10) : 500;
    struct world_config config = {
        .overlap = by_overlap,
        .seed = 5,
        .link = {.delay = KW_MS(20), .jitter = KW_MS(10)},
        .calls_max = calls,
        .clients_max = 2 * calls,
        .media_interval = KW_MS(200),
    };
    struct world *world = world_new(&config);
    uint64_t gaps = 0;
    kw_ns begun;

    for (size_t i = 0; i < calls; i++) {
        struct peer *peer;

        assert_int_equal(world_call(world, &peer), 201);
        if (i % 8 == 0)
            world_run(world, world->now + KW_MS(2));
    }
    assert_true(world_until(world, all_are_up, KW_S(30)));
    world_run(world, world->now + KW_S(2));

    /* 300 us for a handshake datagram: more than half of a whole handshake on the slowest group. */
    world->config.handshake_cost = KW_US(300);
    world->config.packet_cost = KW_US(2);
    world->media_wait = 0;
    begun = world->now;
    rotate_all(world, calls);
    CHECK(world_until(world, by_overlap ? all_have_new_keys : all_are_up, KW_S(60)),
          "not all of them have new keys");
    print_message("# %zu rotations at once: %.1f s, longest wait of a media packet %.2f ms\n",
                  calls, (double)(world->now - begun) / 1e9, (double)world->media_wait / 1e6);
    assert_true(world->media_wait <= KW_MS(20));
    for (size_t i = 0; i < calls; i++)
        gaps += world->peers[i].back_gaps;
    assert_int_equal(gaps, 0);
    world_free(world);
}

static void media_does_not_wait_for_handshakes(void **state)
{
    (void)state;
    storm(false);
}

static void nor_does_it_in_overlap(void **state)
{
    (void)state;
    storm(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_does_not_wait_for_handshakes),
        cmocka_unit_test(nor_does_it_in_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
