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

/* A call that is up, when the answer is 201. */
static int post(struct world *world, const char *path, struct peer **ret)
{
    int status = world_post(world, path, ret);

    assert_true(status != 201 || world_until(world, world_newest_is_up, KW_S(5)));
    return status;
}

static void two_calls_of_a_room_hear_each_other(void **state)
{
    struct world *world = world_new(&bridge);
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
    world_free(world);
}

static void neither_notices_when_the_other_rotates(void **state)
{
    struct world *world = world_new(&bridge);
    struct peer *a, *b;
    const struct kw_fact *fact;
    uint64_t expected;
    kw_ns begun;

    (void)state;
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &a), 201);
    assert_int_equal(post(world, "/v1/rooms/blue/calls", &b), 201);
    begun = world->now;
    world_run(world, world->now + KW_S(5));
    for (int i = 0; i < 4; i++)
        a = world_rotate(world, a, KW_S(4));
    expected = (world->now - begun) / KW_MS(20);
    CHECK(b->media_back + 5 >= expected && b->media_back <= expected + 5,
          "%llu instead of %llu: each frame once", (unsigned long long)b->media_back,
          (unsigned long long)expected);
    /* 48 s of four rotations of the other side: one SSRC, no gap, a steady clock. */
    assert_int_equal(b->back_ssrcs, 1);
    assert_int_equal(b->back_gaps, 0);
    CHECK(b->ts_step_max <= 480, "the clock stepped by %u units", b->ts_step_max);
    assert_true(b->media_back >= 2500);
    /* The record says how the two streams became one, and what it cost its clock. */
    fact = world_last_fact(world, KW_FACT_ROTATED);
    assert_string_equal(fact->u.rotated.audio_cut, "arrival");
    CHECK(fact->u.rotated.audio_error_us <= 10000 && fact->u.rotated.audio_error_us >= -10000,
          "%lld us", (long long)fact->u.rotated.audio_error_us);
    assert_true(fact->u.rotated.audio_wait_us > 0 && fact->u.rotated.audio_wait_us < 2000000);
    assert_string_equal(fact->u.rotated.video_cut, "none");
    /* And the side that rotated heard b on each of its connections without a gap. */
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    b = world_rotate(world, b, KW_S(4));
    assert_int_equal(b->back_gaps + b->ts_steps, 0);
    assert_int_equal(a->back_gaps, 0);
    assert_int_equal(a->back_ssrcs, 1);
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 5);
    world_free(world);
}

static void a_plain_agent_hears_one_stream(void **state)
{
    struct world_config config = bridge;
    struct world *world;
    struct peer *a, *other;

    (void)state;
    config.backend = KW_BACKEND_RTP;
    world = world_new(&config);
    assert_int_equal(post(world, "/v1/calls", &a), 201);
    world_run(world, world->now + KW_S(5));
    assert_true(world->agent_got >= 245);
    assert_true(a->media_back >= 240);
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    assert_true(world->agent_rtcp >= 4);
    /* One target serves one call. */
    assert_int_equal(post(world, "/v1/calls", &other), 503);
    for (int i = 0; i < 3; i++)
        a = world_rotate(world, a, KW_S(4));
    assert_int_equal(world->agent_ssrcs, 1);
    assert_int_equal(world->agent_gaps, 0);
    CHECK(world->agent_ts_steps <= 3, "%u", world->agent_ts_steps);
    assert_int_equal(a->back_gaps + a->ts_steps, 0);
    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, a->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(post(world, "/v1/calls", &other), 201);
    world_free(world);
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
    world = world_new(&config);
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
    world_free(world);
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
