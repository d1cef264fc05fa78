/* SPDX-License-Identifier: Apache-2.0 */
/* Clients on libkeywheel change their keys on the connection that they have. */
#include "check.h"

#include "gateway/state.h"
#include "gateway/world.h"

#include <string.h>

static const struct world_config plain = {
    .seed = 78,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 16,
    .period = KW_S(60),
    .overlap = true,
};

/* What the client hears is one stream without a hole. */
static void nothing_was_noticed(const struct world *world, const struct peer *peer)
{
    unsigned long long seed = world->config.seed;

    CHECK(peer->back_gaps == 0 && peer->ts_steps == 0 && peer->back_ssrcs == 1,
          "%u gaps, %u steps, %u sources, seed %llu", peer->back_gaps, peer->ts_steps,
          peer->back_ssrcs, seed);
    /* Two packets of 20 ms are on their way there, two back. */
    CHECK(peer->media_back + 5 >= peer->media_sent, "%llu of %llu came back, seed %llu",
          (unsigned long long)peer->media_back, (unsigned long long)peer->media_sent, seed);
    assert_false(peer->has_ended);
}

static const struct kw_fact *nth_fact(const struct world *world, enum kw_fact_type type, size_t n)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        if (world->facts[i].type == type && n-- == 0)
            return &world->facts[i];
    }
    return NULL;
}

/* Each generation has other certificates on both sides. */
static void certificates_are_new(const struct world *world)
{
    for (size_t i = 1; i < world_facts(world, KW_FACT_GENERATION_ESTABLISHED); i++) {
        const struct kw_fact *old = nth_fact(world, KW_FACT_GENERATION_ESTABLISHED, i - 1);
        const struct kw_fact *new = nth_fact(world, KW_FACT_GENERATION_ESTABLISHED, i);

        assert_string_equal(new->u.established.method, "overlap");
        assert_int_equal(new->generation, old->generation + 1);
        assert_string_equal(new->u.established.path, old->u.established.path);
        assert_false(kw_fingerprint_equal(&old->u.established.peer_fingerprint,
                                          &new->u.established.peer_fingerprint));
        assert_false(kw_fingerprint_equal(&old->u.established.our_fingerprint,
                                          &new->u.established.our_fingerprint));
    }
}

static void keys_change_every_minute(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    size_t count;

    (void)state;
    world_run(world, world->now + KW_S(400));
    nothing_was_noticed(world, peer);
    count = world_facts(world, KW_FACT_ROTATED);
    assert_in_range(count, 6, 9);
    for (size_t i = 0; i < count; i++) {
        const struct kw_fact *fact = nth_fact(world, KW_FACT_ROTATED, i);

        assert_string_equal(fact->u.rotated.method, "overlap");
        assert_string_equal(fact->u.rotated.reason, "time");
        assert_int_equal(fact->u.rotated.lost, 0);
        assert_true(fact->u.rotated.negotiation_us > 0);
        assert_in_range(fact->u.rotated.overlap_us, 9990000, 10100000);
        /* Sending with it ended when the overlap began: within L, and within the due window. */
        assert_in_range(fact->u.rotated.old_age_us - fact->u.rotated.overlap_us, 45000000,
                        57500000);
        assert_string_equal(fact->u.rotated.audio_cut, "none"); /* the echo has no splice */
    }
    certificates_are_new(world);
    assert_true(kw_fingerprint_equal(
        &peer->fingerprint,
        &world_last_fact(world, KW_FACT_GENERATION_ESTABLISHED)->u.established.peer_fingerprint));
    assert_int_equal(kw_gateway_rotations(world->gateway)[KW_METHOD_OVERLAP], count);
    assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
    assert_true(world_status_has(world, peer, "\"rotation\":{\"method\":\"overlap\""));
    world_free(world);
}

static void use_makes_them_due_too(void **state)
{
    static const struct {
        uint64_t bytes, packets;
        const char *reason;
    } rows[] = {
        {200000, UINT64_C(1) << 40, "bytes"}, /* 10,800 a second: due after 14 .. 18 s */
        {1000000000, 2000, "packets"},        /* 102 a second: due after 15 .. 19 s */
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct world_config config = plain;
        struct world *world;
        struct peer *peer;

        config.period = KW_S(3600);
        world = world_new(&config);
        world->tenants[0].policy.rotation.bytes = rows[i].bytes;
        world->tenants[0].policy.rotation.packets = rows[i].packets;
        peer = world_up(world);
        world_run(world, world->now + KW_S(60));
        nothing_was_noticed(world, peer);
        assert_in_range(world_facts(world, KW_FACT_ROTATED), 2, 4);
        for (size_t k = 0; k < world_facts(world, KW_FACT_ROTATED); k++) {
            const struct kw_fact *fact = nth_fact(world, KW_FACT_ROTATED, k);

            assert_string_equal(fact->u.rotated.reason, rows[i].reason);
            assert_true(fact->u.rotated.old_bytes <= rows[i].bytes);
            assert_true(fact->u.rotated.old_packets <= rows[i].packets);
        }
        world_free(world);
    }
}

/* More often than anybody may ask: what the policy itself wants meets no quota. */
static void a_short_limit_meets_no_quota(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;

    (void)state;
    config.period = KW_MS(1500);
    config.client_period = config.period; /* as its answer says */
    config.link.delay = KW_MS(2);         /* 75 ms between the latest due and L */
    world = world_new(&config);
    peer = world_up(world);
    world_run(world, world->now + KW_S(120));
    nothing_was_noticed(world, peer);
    assert_in_range(world_facts(world, KW_FACT_ROTATED), 84, 107);
    assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
    world_free(world);
}

static bool push_has(struct world *world, const char *event, const char *text)
{
    static struct kw_push push;
    bool found = false;

    while (kw_control_next_push(world->gateway, world->now, &push)) {
        push.data[KW_MIN(push.len, sizeof push.data - 1)] = 0;
        found = found || (strstr((const char *)push.data, event) != NULL &&
                          strstr((const char *)push.data, text) != NULL);
    }
    return found;
}

static void an_operator_gets_new_keys_at_once(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    char path[300];

    (void)state;
    world_run(world, world->now + KW_S(2));
    assert_string_equal(world_header(world, "Keywheel-Rotation"),
                        "parallel; seconds=60; bytes=1000000000; at-limit=close");
    snprintf(path, sizeof path, "%s/events", peer->location);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    peer->is_mute = true; /* no packet of his gives the gateway a turn */
    world_run(world, world->now + KW_MS(100));
    assert_int_equal(world_order_rotation(world, peer), 202);
    assert_true(push_has(world, "event: due", "\"reason\":\"operator\",\"method\":\"overlap\""));
    /* ROTATE and its answer, then the handshake: three round trips of 40 ms in all. */
    world_run(world, world->now + KW_MS(150));
    assert_true(
        push_has(world, "event: switched", "\"method\":\"overlap\",\"reason\":\"operator\""));
    peer->is_mute = false;
    assert_true(world_status_has(world, peer, "\"state\":\"rotating\""));
    assert_true(world_until(world, world_has_rotated, KW_S(11)));
    assert_true(push_has(world, "event: retired", "\"lostAcrossSwitch\":0"));
    assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.reason, "operator");
    assert_true(world_status_has(world, peer, "\"state\":\"up\""));
    nothing_was_noticed(world, peer);
    world_free(world);
}

static void the_client_may_ask(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    const struct kw_fact *fact;

    (void)state;
    world_run(world, world->now + KW_S(2));
    world_ask(world, peer);
    assert_true(world_until(world, world_has_rotated, KW_S(12)));
    fact = world_last_fact(world, KW_FACT_ROTATED);
    assert_string_equal(fact->u.rotated.reason, "peer");
    assert_string_equal(fact->u.rotated.method, "overlap");
    fact = world_last_fact(world, KW_FACT_GENERATION_ESTABLISHED);
    assert_true(fact->u.established.server);
    certificates_are_new(world);
    nothing_was_noticed(world, peer);
    world_free(world);
}

static void glare_makes_one_generation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world_config config = plain;
        struct world *world;
        struct peer *peer;

        config.seed = seed;
        world = world_new(&config);
        peer = world_up(world);
        world_run(world, world->now + KW_S(1));
        world_ask(world, peer);
        assert_int_equal(world_order_rotation(world, peer), 202);
        CHECK(world_until(world, world_has_rotated, KW_S(13)), "seed %llu",
              (unsigned long long)seed);
        CHECK(kw_session_current(world_session(world)) == 2, "seed %llu", (unsigned long long)seed);
        assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 2);
        assert_int_equal(world_facts(world, KW_FACT_REFUSED), 0);
        nothing_was_noticed(world, peer);
        world_free(world);
    }
}

/* With loss there are gaps, but none is made by a rotation: nothing arrives that no key opens. */
static void bad_networks_lose_nothing_more(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world_config config = plain;
        struct world *world;
        struct peer *peer;
        const struct kw_fact *closed;

        config.seed = seed;
        config.link = (struct net_link){
            .delay = KW_MS(20 + seed * 37 % 200),
            .jitter = KW_MS(seed % 40),
            .loss_percent = (unsigned)(seed % 6),
            .reorder_percent = (unsigned)(seed % 4),
            .duplicate_percent = (unsigned)(seed % 3),
        };
        world = world_new(&config);
        peer = world_up(world);
        world_run(world, world->now + KW_S(200));
        CHECK(world_facts(world, KW_FACT_ROTATED) >= 2, "%zu rotations, seed %llu",
              world_facts(world, KW_FACT_ROTATED), (unsigned long long)seed);
        CHECK(!peer->has_ended && peer->back_ssrcs == 1, "seed %llu", (unsigned long long)seed);
        assert_int_equal(kw_session_counters(world_session(world))[KW_DROP_FORGED], 0);
        assert_int_equal(kw_session_counters(peer->session)[KW_DROP_FORGED], 0);
        assert_int_equal(
            world_request(world, KW_REQUEST_DELETE, peer->location, "demo-token", "", NULL, 0),
            200);
        closed = world_last_fact(world, KW_FACT_SESSION_CLOSED);
        assert_int_equal(closed->u.closed.auth_failures, 0);
        world_free(world);
    }
}

/* --- beside the other methods ----------------------------------------------------------------- */

/* Who opens a second connection gets it; then that one's association says what comes next. */
static void a_second_connection_is_still_possible(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *old = world_up(world), *new;

    (void)state;
    world_run(world, world->now + KW_S(2));
    new = world_rotate(world, old, KW_S(1));
    assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.method, "parallel");
    assert_int_equal(new->back_gaps, 0);
    assert_int_equal(world_order_rotation(world, new), 202);
    world_run(world, world->now + KW_S(12));
    assert_int_equal(world_facts(world, KW_FACT_ROTATED), 2);
    assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.method, "overlap");
    nothing_was_noticed(world, new);
    world_free(world);
}

/* A browser says nothing of us: it is told by `due`, and its session never hears of ROTATE. */
static void a_client_without_the_value_rotates_by_parallel(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;
    char path[300];

    (void)state;
    config.overlap = false;
    world = world_new(&config);
    peer = world_up(world);
    snprintf(path, sizeof path, "%s/events", peer->location);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    assert_int_equal(world_order_rotation(world, peer), 202);
    assert_true(push_has(world, "event: due", "\"method\":\"parallel\""));
    world_run(world, world->now + KW_S(5));
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 1);
    assert_int_equal(peer->events[KW_SESSION_EVENT_DUE], 0);
    assert_true(world_status_has(world, peer, "\"rotation\":{\"method\":\"parallel\""));
    world_free(world);
}

/* DTLS 1.2 has one association on a 5-tuple: whoever says the value there is told by `due`. */
static void in_dtls_12_the_value_means_nothing(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct kw_exception *exception;
    struct peer *peer;

    (void)state;
    config.dtls12 = true;
    world = world_new(&config);
    exception = &world->tenants[0].policy.exceptions[0];
    world->tenants[0].policy.exception_count = 1;
    *exception = (struct kw_exception){
        .allow_dtls12 = true,
        .network = world_address(203, 0, 113, 0, 0), /* of the world's requests */
        .network_prefix = 8,
        .expires = world_utc(world) + 3600 * 1000,
    };
    strcpy(exception->name, "old-phones");
    strcpy(exception->reason, "until they are replaced");
    peer = world_up(world);
    assert_int_equal(world_last_fact(world, KW_FACT_GENERATION_ESTABLISHED)->u.established.version,
                     KW_DTLS_1_2);
    assert_int_equal(world_order_rotation(world, peer), 202);
    world_run(world, world->now + KW_S(5));
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 1);
    assert_int_equal(peer->events[KW_SESSION_EVENT_DUE], 0);
    assert_true(world_status_has(world, peer, "\"rotation\":{\"method\":\"parallel\""));
    world_free(world);
}

/* WHIP has no resource for it and needs none: the offer promises `cap`, the handshake more. */
static void a_whip_client_need_not_end(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer;

    (void)state;
    assert_int_equal(world_post(world, "/whip/demo", &peer), 201);
    assert_memory_equal(world_header(world, "Keywheel-Rotation"), "cap;", 4);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(150));
    assert_false(peer->has_ended);
    assert_in_range(world_facts(world, KW_FACT_ROTATED), 2, 3);
    assert_string_equal(world_last_fact(world, KW_FACT_ROTATED)->u.rotated.method, "overlap");
    world_free(world);
}

/* New ICE credentials in the midst of it: the agent is found, whichever generation has it. */
static void ice_may_restart_meanwhile(void **state)
{
    static const char fragment[] = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
                                   "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
    static const kw_ns after[] = {0, KW_MS(60), KW_MS(500)};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(after); i++) {
        struct world *world = world_new(&plain);
        struct peer *peer = world_up(world);

        assert_int_equal(world_order_rotation(world, peer), 202);
        world_run(world, world->now + after[i]);
        strcpy(world->request.if_match, "*");
        assert_int_equal(world_request(world, KW_REQUEST_PATCH, peer->location, "demo-token",
                                       "application/trickle-ice-sdpfrag", fragment,
                                       sizeof fragment - 1),
                         200);
        world_run(world, world->now + KW_S(12));
        assert_int_equal(world_facts(world, KW_FACT_ROTATED), 1);
        nothing_was_noticed(world, peer);
        world_free(world);
    }
}

/* --- back ends -------------------------------------------------------------------------------- */

static void a_plain_agent_notices_nothing(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;
    const struct kw_fact *fact;

    (void)state;
    config.backend = KW_BACKEND_RTP;
    world = world_new(&config);
    peer = world_up(world);
    world_run(world, world->now + KW_S(130));
    assert_int_equal(world->agent_ssrcs, 1);
    assert_int_equal(world->agent_gaps, 0);
    assert_int_equal(world->agent_ts_steps, 0);
    assert_true(world_facts(world, KW_FACT_ROTATED) >= 1);
    fact = world_last_fact(world, KW_FACT_ROTATED);
    assert_string_equal(fact->u.rotated.audio_cut, "same-stream");
    assert_string_equal(fact->u.rotated.video_cut, "none");
    assert_int_equal(fact->u.rotated.audio_error_us, 0);
    assert_int_equal(fact->u.rotated.audio_wait_us, 0);
    nothing_was_noticed(world, peer);
    world_free(world);
}

static void two_clients_of_a_room_notice_nothing(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *a, *b;

    (void)state;
    config.backend = KW_BACKEND_BRIDGE;
    world = world_new(&config);
    assert_int_equal(world_post(world, "/v1/rooms/x/calls", &a), 201);
    assert_int_equal(world_post(world, "/v1/rooms/x/calls", &b), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + KW_S(130));
    assert_true(world_facts(world, KW_FACT_ROTATED) >= 3);
    for (int i = 0; i < 2; i++) {
        const struct peer *peer = i == 0 ? a : b;

        assert_int_equal(peer->back_gaps, 0);
        assert_int_equal(peer->back_ssrcs, 1);
        assert_int_equal(peer->ts_steps, 0);
        assert_true(peer->media_back > 6300);
    }
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_every_minute),
        cmocka_unit_test(use_makes_them_due_too),
        cmocka_unit_test(a_short_limit_meets_no_quota),
        cmocka_unit_test(an_operator_gets_new_keys_at_once),
        cmocka_unit_test(the_client_may_ask),
        cmocka_unit_test(glare_makes_one_generation),
        cmocka_unit_test(bad_networks_lose_nothing_more),
        cmocka_unit_test(a_second_connection_is_still_possible),
        cmocka_unit_test(a_client_without_the_value_rotates_by_parallel),
        cmocka_unit_test(in_dtls_12_the_value_means_nothing),
        cmocka_unit_test(a_whip_client_need_not_end),
        cmocka_unit_test(ice_may_restart_meanwhile),
        cmocka_unit_test(a_plain_agent_notices_nothing),
        cmocka_unit_test(two_clients_of_a_room_notice_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
