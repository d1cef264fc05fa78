/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back ends that pass media on. The far end of a bridge, and a plain RTP agent, see one stream
 * with a steady clock, however often the near end changes its keys; and neither side notices when
 * the other one does.
 */
#include "check.h"

#include "gateway/world.h"

#include <stdlib.h>
#include <string.h>

static const struct world_config bridge = {
    .seed = 21,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 64,
    .period = KW_S(60),
    .backend = KW_BACKEND_BRIDGE,
};

static struct world *begin(const struct world_config *config)
{
    struct world *world = calloc(1, sizeof *world);

    world_init(world, config);
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

static int post(struct world *world, const char *path, struct peer **ret)
{
    size_t offer_len;
    int status;

    *ret = world_peer(world, &offer_len);
    status = world_request(world, KW_REQUEST_POST, path, "demo-token", "application/sdp",
                           world->offer, offer_len);
    if (status != 201)
        return status;
    strcpy((*ret)->location, world_header(world, "Location"));
    world_answer(world, *ret);
    assert_true(world_until(world, newest_is_up, KW_S(5)));
    return status;
}

static struct peer *rotate(struct world *world, struct peer *old)
{
    struct peer *new;
    char path[300], location[256];

    strcpy(location, old->location);
    snprintf(path, sizeof path, "%s/generations", location);
    assert_int_equal(post(world, path, &new), 201);
    strcpy(new->location, location);
    world_run(world, world->now + KW_S(4));
    old->media_until = 0;
    kw_session_close(old->session, world->now);
    old->has_ended = true;
    world_run(world, world->now + KW_S(8));
    return new;
}

static void two_calls_of_a_room_hear_each_other(void **state)
{
    struct world *world = begin(&bridge);
    struct peer *a, *b, *c;

    (void)state;
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &a), 201);
    world_run(world, world->now + KW_S(2));
    assert_int_equal(a->media_back, 0); /* alone */
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &b), 201);
    world_run(world, world->now + KW_S(5));
    assert_true(a->media_back >= 245 && b->media_back >= 245);
    assert_int_equal(a->back_gaps + b->back_gaps + a->ts_steps + b->ts_steps, 0);
    assert_int_equal(a->back_ssrcs, 1);
    assert_int_equal(b->back_ssrcs, 1);
    assert_true(b->back_seq < 0x8000); /* the roll-over counter starts at 0 on both sides */

    assert_int_equal(post(world, "/v1/rooms/blue/calls", &c), 409);
    assert_int_equal(post(world, "/v1/rooms/red/calls", &c), 201);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(c->media_back, 0);

    /* One leaves: the other hears nothing, and whoever comes next. */
    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, b->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(kw_gateway_call_count(world->gateway), 2);
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &c), 201);
    world_run(world, world->now + KW_S(2));
    assert_true(c->media_back >= 95);
    assert_int_equal(a->back_ssrcs, 1);
    end(world);
}

static void neither_notices_when_the_other_rotates(void **state)
{
    struct world *world = begin(&bridge);
    struct peer *a, *b;
    uint64_t expected;
    kw_ns begun;

    (void)state;
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &a), 201);
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &b), 201);
    begun = world->now;
    world_run(world, world->now + KW_S(5));
    for (int i = 0; i < 4; i++)
        a = rotate(world, a);
    expected = (world->now - begun) / KW_MS(20);
    CHECK(b->media_back + 5 >= expected && b->media_back <= expected + 5,
          "%llu instead of %llu: each frame once", (unsigned long long)b->media_back,
          (unsigned long long)expected);
    /* 48 s of four rotations of the other side: one SSRC, no gap, a steady clock. */
    assert_int_equal(b->back_ssrcs, 1);
    assert_int_equal(b->back_gaps, 0);
    CHECK(b->ts_step_max <= 480, "the clock stepped by %u units", b->ts_step_max);
    assert_true(b->media_back >= 2500);
    /* And the side that rotated heard b on each of its connections without a gap. */
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    b = rotate(world, b);
    assert_int_equal(b->back_gaps + b->ts_steps, 0);
    assert_int_equal(a->back_gaps, 0);
    assert_int_equal(a->back_ssrcs, 1);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 5);
    end(world);
}

static void a_plain_agent_hears_one_stream(void **state)
{
    struct world_config config = bridge;
    struct world *world;
    struct peer *a, *other;

    (void)state;
    config.backend = KW_BACKEND_RTP;
    world = begin(&config);
    assert_int_equal(post(world, "/v1/calls", &a), 201);
    world_run(world, world->now + KW_S(5));
    assert_true(world->agent_got >= 245);
    assert_true(a->media_back >= 240);
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    assert_true(world->agent_rtcp >= 4);
    /* One target serves one call. */
    assert_int_equal(post(world, "/v1/calls", &other), 503);
    for (int i = 0; i < 3; i++)
        a = rotate(world, a);
    assert_int_equal(world->agent_ssrcs, 1);
    assert_int_equal(world->agent_gaps, 0);
    CHECK(world->agent_ts_steps <= 3, "%u", world->agent_ts_steps);
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, a->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(post(world, "/v1/calls", &other), 201);
    end(world);
}

/* Only the configured address is the agent. */
static void strangers_are_no_agents(void **state)
{
    struct world_config config = bridge;
    struct world *world;
    struct peer *a;
    uint8_t packet[172] = {0x80, 111, 0, 1};
    struct kw_path path = {
        .local = world_gateway_address,
        .remote = world_address(192, 0, 2, 98, 6000),
    };
    uint64_t before;

    (void)state;
    config.backend = KW_BACKEND_RTP;
    world = begin(&config);
    assert_int_equal(post(world, "/v1/calls", &a), 201);
    a->is_mute = true;
    world_run(world, world->now + KW_S(1));
    before = a->media_back;
    for (int i = 0; i < 100; i++) {
        packet[3]++;
        world_inject(world, &path, packet, sizeof packet);
    }
    path.remote = world_agent_address;
    path.remote.port++;
    world_inject(world, &path, packet, sizeof packet);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(a->media_back, before);
    path.remote.port--;
    world_inject(world, &path, packet, sizeof packet);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(a->media_back, before + 1);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_calls_of_a_room_hear_each_other),
        cmocka_unit_test(neither_notices_when_the_other_rotates),
        cmocka_unit_test(a_plain_agent_hears_one_stream),
        cmocka_unit_test(strangers_are_no_agents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
