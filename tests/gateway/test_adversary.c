/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an adversary, or plain bad luck over a long time, does to a gateway's routes: they pile up,
 * or somebody wants another's.
 */
#include "check.h"

#include "gateway/state.h"
#include "gateway/world.h"
#include "ice/agent.h"

#include <stdlib.h>
#include <string.h>

/* Every rotation comes from another port: a call has more of them in its life than routes. */
static void rotations_outlive_the_routes_of_a_call(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);

    (void)state;
    for (int i = 0; i < 30; i++)
        peer = world_rotate(world, peer, KW_MS(500));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 30);
    assert_int_equal(peer->back_gaps, 0);
    world_free(world);
}

/* The address of a connection that is over may be another client's next (NAT). */
static void an_address_that_is_over_is_free_for_another_call(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *first = world_up(world);
    struct peer *second, *heir;

    (void)state;
    second = world_rotate(world, first, KW_MS(500));
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
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(2));
    assert_false(second->has_ended);
    assert_int_equal(second->back_gaps, 0);
    world_free(world);
}

/* A check of that call as its client would send it, with our source address or any other. */
static size_t write_check(struct world *world, const struct kw_leg *leg, uint8_t *dst, size_t size)
{
    static uint8_t transaction[KW_STUN_TRANSACTION_LEN];
    struct kw_writer out = kw_writer_of(dst, size);

    transaction[0]++;
    kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
    kw_stun_write_username(&out, kw_ice_text(leg->ufrag), kw_ice_text(leg->remote_ufrag));
    kw_stun_write_priority(&out, 1);
    kw_stun_write_role(&out, KW_STUN_CONTROLLING, 1);
    kw_stun_write_use_candidate(&out);
    return kw_stun_finish(&out, world->crypto, kw_ice_text(leg->pwd));
}

/*
 * A caller who has a call of his own, and forges the source of its checks, cannot keep another call
 * from its address: the other one's client answers our check, and nobody else can.
 */
static void forged_checks_take_no_address(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *hostile = world_up(world), *victim;
    uint8_t check[KW_STUN_MESSAGE_MAX];
    struct kw_path path = {.local = world_gateway_address};
    kw_ns begun;

    (void)state;
    assert_int_equal(hostile->number, 0);
    assert_int_equal(world_call(world, &victim), 201);
    path.remote = victim->address;
    begun = world->now;
    while (!victim->is_up && world->now < begun + KW_S(20)) {
        size_t len = write_check(world, &world->gateway->calls[0].legs[0], check, sizeof check);

        world_inject(world, &path, check, len);
        world_run(world, world->now + KW_MS(1));
    }
    CHECK(world->now - begun < KW_S(1), "up after %.1f s", (double)(world->now - begun) / 1e9);
    world_run(world, world->now + KW_S(5));
    assert_true(victim->media_back >= 240);
    assert_int_equal(victim->back_gaps, 0);
    assert_int_equal(hostile->back_gaps, 0);
    world_free(world);
}

static bool is_negotiating(struct world *world, uint32_t generation)
{
    struct kw_generation_facts facts;

    return kw_session_facts(world->gateway->calls[0].session, generation, world->now, &facts) &&
           facts.dtls.version != KW_DTLS_NONE && facts.ready == 0;
}

/* A hello is anybody's until its Finished: it does not keep the client from another attempt. */
static void a_hello_holds_no_place(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world), *half, *next;

    (void)state;
    assert_int_equal(world_add(world, peer, &half), 201);
    for (int i = 0; i < 1000 && !is_negotiating(world, 2); i++)
        world_run(world, world->now + KW_MS(1));
    assert_true(is_negotiating(world, 2));
    half->is_deaf = true;
    assert_int_equal(world_add(world, peer, &next), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    assert_int_equal(peer->back_gaps, 0);
    world_free(world);
}

static void forge(struct world *world, const struct kw_address *source)
{
    const struct kw_path path = {.local = world_gateway_address, .remote = *source};
    uint8_t check[KW_STUN_MESSAGE_MAX];
    size_t len = write_check(world, &world->gateway->calls[0].legs[0], check, sizeof check);

    world_inject(world, &path, check, len);
}

/* Nor the address of a plain agent, which answers no check: neither before nor during its call. */
static void forged_checks_take_no_agent(void **state)
{
    struct world_config config = world_plain;
    struct world *world;
    struct peer *victim;
    size_t offer_len;

    (void)state;
    config.backend = KW_BACKEND_RTP;
    world = world_new(&config);
    /* The hostile call is another tenant's; only its place, 0, and its credentials matter. */
    (void)world_peer(world, &offer_len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "other-token",
                                   "application/sdp", world->offer, offer_len),
                     201);
    forge(world, &world_agent_address);
    assert_int_equal(world_call(world, &victim), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    for (int i = 0; i < 100; i++) {
        forge(world, &world_agent_address);
        world_run(world, world->now + KW_MS(50));
    }
    CHECK(victim->media_back >= 230, "%llu", (unsigned long long)victim->media_back);
    assert_int_equal(victim->back_gaps, 0);
    world_free(world);
}

static bool no_checks(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                      size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)len;
    (void)now;
    return data[0] > 3;
}

/*
 * `restart` lives on the path of the generation before it until its own checks have succeeded. RFC
 * 7675, section 5.1: what that one's peer consented to ends 30 s after the last consent, however
 * many generations borrow from each other.
 */
static void a_lent_path_ends_with_its_consent(void **state)
{
    struct world *world = world_new(&world_plain);
    struct peer *peer = world_up(world);
    char path[300];
    uint64_t heard;
    kw_ns silent;

    (void)state;
    snprintf(path, sizeof path, "%s/restart", peer->location);
    world_run(world, world->now + KW_S(10));
    silent = world->now;
    world->net.tap = no_checks;
    for (int i = 0; i < 2; i++) {
        size_t len;

        world_run(world, silent + KW_S(11) * (kw_ns)(i + 1));
        len = world_offer(world, peer);
        assert_int_equal(world_request(world, KW_REQUEST_POST, path, "demo-token",
                                       "application/sdp", world->offer, len),
                         201);
        world_answer(world, peer);
    }
    world_run(world, silent + KW_S(24));
    heard = peer->media_back;
    assert_true(heard > 1500); /* it works */
    world_run(world, silent + KW_S(31));
    heard = peer->media_back;
    world_run(world, silent + KW_S(60));
    CHECK(peer->media_back == heard, "%llu packets without consent",
          (unsigned long long)(peer->media_back - heard));
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_outlive_the_routes_of_a_call),
        cmocka_unit_test(an_address_that_is_over_is_free_for_another_call),
        cmocka_unit_test(forged_checks_take_no_address),
        cmocka_unit_test(forged_checks_take_no_agent),
        cmocka_unit_test(a_hello_holds_no_place),
        cmocka_unit_test(a_lent_path_ends_with_its_consent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
