/* SPDX-License-Identifier: Apache-2.0 */
/* Two agents against each other in virtual time. */
#include "ice_test.h"

static void a_call_finds_its_path(void **state)
{
    struct kw_path path = client_path(7), selected;
    struct world world;

    (void)state;
    world_open(&world, 1);
    assert_false(kw_ice_selected(world.gateway, &selected));
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_MS(100));
    assert_true(kw_ice_selected(world.client, &selected));
    assert_true(kw_path_equal(&selected, &path));
    assert_true(gateway_sends_to(&world, 7));
    assert_in_range(kw_ice_rtt(world.gateway), KW_MS(40), KW_MS(41));
    assert_in_range(kw_ice_rtt(world.client), KW_MS(40), KW_MS(41));
    assert_false(kw_ice_gone(world.gateway, world.now));
    world_close(&world);
}

static void consent_every_five_seconds_and_gone_after_thirty(void **state)
{
    struct kw_path path = client_path(7), selected;
    struct world world;
    uint64_t before;
    kw_ns cut_at;

    (void)state;
    world_open(&world, 2);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    before = world.sent_by_client;
    run(&world, world.now + KW_S(300));
    /* 300 s / 5 s of its own checks, and as many answers: RFC 7675 section 5.1 */
    assert_in_range(world.sent_by_client - before, 2 * 55, 2 * 66);
    assert_true(kw_ice_selected(world.gateway, &selected));

    world.cut[7] = true;
    cut_at = kw_ice_consent(world.gateway);
    run(&world, cut_at + KW_MS(29900));
    assert_true(kw_ice_selected(world.gateway, &selected));
    assert_false(kw_ice_gone(world.gateway, world.now));
    run(&world, cut_at + KW_MS(30000));
    assert_false(kw_ice_selected(world.gateway, &selected));
    assert_true(kw_ice_gone(world.gateway, world.now));
    world_close(&world);
}

static void nobody_ever_comes(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 3);
    run(&world, world.now + KW_MS(29999));
    assert_false(kw_ice_gone(world.gateway, world.now));
    run(&world, world.now + KW_MS(2));
    assert_true(kw_ice_gone(world.gateway, world.now));
    assert_true(kw_ice_deadline(world.gateway) == KW_NEVER);
    assert_int_equal(world.sent_by_gateway, 0);
    world_close(&world);
}

static void loss_and_reordering(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct kw_path path = client_path(7), selected;
        struct world world;

        world_open(&world, seed);
        world.loss_percent = 30;
        world.delay = KW_MS(5 + seed % 300);
        world.jitter = KW_MS(1 + seed % 200);
        assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
        /* seven requests, 39.5 s by RFC 8489, and then whatever the gateway's requests revive */
        for (int i = 0; i < 600 && !(kw_ice_selected(world.gateway, &selected) &&
                                     kw_ice_selected(world.client, &selected));
             i++) {
            run(&world, world.now + KW_MS(100));
            selected = flip(&path);
            kw_ice_note_received(world.gateway, &selected, 100); /* the client's DTLS */
        }
        CHECK(kw_ice_selected(world.gateway, &selected) && kw_ice_selected(world.client, &selected),
              "seed %" PRIu64, seed);
        world.loss_percent = 5;
        run(&world, world.now + KW_S(100));
        CHECK(kw_ice_selected(world.gateway, &selected), "seed %" PRIu64, seed);
        world_close(&world);
    }
}

static void the_highest_priority_wins(void **state)
{
    struct kw_path low = client_path(7), high = client_path(8), six, selected;
    struct world world;

    (void)state;
    six = (struct kw_path){.local = addr6(9, 4000), .remote = addr6(1, 5000)};
    world_open(&world, 4);
    assert_int_equal(kw_ice_add_path(world.client, &low, 100, world.now), KW_OK);
    assert_int_equal(kw_ice_add_path(world.client, &high, 200, world.now), KW_OK);
    assert_int_equal(kw_ice_add_path(world.client, &six, 300, world.now), KW_OK);
    run(&world, world.now + KW_S(2));
    assert_true(kw_ice_selected(world.client, &selected));
    assert_true(kw_path_equal(&selected, &six));
    assert_true(kw_ice_selected(world.gateway, &selected));
    assert_int_equal(selected.remote.family, 6);
    world_close(&world);
}

static void a_dead_best_candidate_holds_up_the_others_only_briefly(void **state)
{
    struct kw_path low = client_path(7), high = client_path(8), selected;
    struct world world;
    kw_ns started;

    (void)state;
    world_open(&world, 5);
    world.cut[8] = true;
    started = world.now;
    assert_int_equal(kw_ice_add_path(world.client, &high, 200, world.now), KW_OK);
    assert_int_equal(kw_ice_add_path(world.client, &low, 100, world.now), KW_OK);
    while (!kw_ice_selected(world.client, &selected) && world.now < started + KW_S(10))
        run(&world, world.now + KW_MS(10));
    assert_true(kw_path_equal(&selected, &low));
    assert_in_range(world.now - started, KW_MS(1400), KW_MS(1800)); /* its third request */
    /* It comes to life later: too late, it was given up (RFC 8489: 39.5 s). */
    run(&world, started + KW_S(60));
    world.cut[8] = false;
    run(&world, started + KW_S(70));
    assert_true(gateway_sends_to(&world, 7));
    world_close(&world);
}

/* A phone leaves the Wi-Fi: the mobile path has a lower priority and is nominated at once. */
static void media_follows_to_a_lower_priority_when_the_old_path_is_silent(void **state)
{
    struct kw_path wifi = client_path(7), mobile = client_path(8);
    struct kw_ice_params params;
    struct kw_ice *fresh;
    struct world world;
    void *mem;

    (void)state;
    world_open(&world, 6);
    assert_int_equal(kw_ice_add_path(world.client, &wifi, 200, world.now), KW_OK);
    run(&world, world.now + KW_S(10));
    world.cut[7] = true;
    params = (struct kw_ice_params){.crypto = crypto,
                                    .random = &world.random,
                                    .local = world.client_side,
                                    .remote = world.gateway_side,
                                    .controlling = true};
    mem = aligned_alloc(64, (kw_ice_size() + 63) / 64 * 64);
    assert_int_equal(kw_ice_init(mem, &params, world.now, &fresh), KW_OK);
    kw_ice_deinit(world.client);
    free(world.client_mem);
    world.client = fresh;
    world.client_mem = mem;
    assert_int_equal(kw_ice_add_path(fresh, &mobile, 100, world.now), KW_OK);
    run(&world, world.now + KW_MS(7500));
    assert_true(gateway_sends_to(&world, 8));
    world_close(&world);
}

static bool without_client_checks(struct world *world, struct flight *flight)
{
    (void)world;
    return !flight->to_gateway || flight->data[0] != 0x00;
}

/* The lite side alone decides between pairs that the peer nominated both. */
static void of_two_nominated_pairs_the_higher_priority_wins(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct kw_path low = client_path(7), high = client_path(8);
        struct world world;

        world_open(&world, 18);
        world.tap = without_client_checks;
        request_from(&world, order == 0 ? &low : &high, world.gateway_side.pwd, true,
                     order == 0 ? 100 : 200);
        run(&world, world.now + KW_MS(200)); /* the client's agent answers the checks */
        request_from(&world, order == 0 ? &high : &low, world.gateway_side.pwd, true,
                     order == 0 ? 200 : 100);
        run(&world, world.now + KW_MS(200));
        low = flip(&low);
        assert_true(kw_ice_validated(world.gateway, &low));
        assert_true(gateway_sends_to(&world, 8));
        world_close(&world);
    }
}

static int swallowed;

static bool without_first_check(struct world *world, struct flight *flight)
{
    (void)world;
    return flight->to_gateway || flight->data[0] != 0 || swallowed++ != 0;
}

/* Karn: the answer to a repeated request says nothing about the round trip. */
static void repeated_checks_are_not_measured(void **state)
{
    struct kw_path path = client_path(7);
    struct world world;

    (void)state;
    world_open(&world, 19);
    swallowed = 0;
    world.tap = without_first_check;
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(3));
    assert_true(gateway_sends_to(&world, 7));
    assert_int_equal(kw_ice_rtt(world.gateway), 0);
    run(&world, world.now + KW_S(10));
    assert_in_range(kw_ice_rtt(world.gateway), KW_MS(40), KW_MS(41));
    world_close(&world);
}

static uint8_t last_transaction[KW_STUN_TRANSACTION_LEN];
static int consent_checks;

static bool note_transactions(struct world *world, struct flight *flight)
{
    (void)world;
    if (flight->to_gateway || flight->data[0] != 0)
        return true;
    assert_memory_not_equal(flight->data + 8, last_transaction, sizeof last_transaction);
    memcpy(last_transaction, flight->data + 8, sizeof last_transaction);
    consent_checks++;
    return false;
}

/* RFC 7675 section 5.1: every consent check is a transaction of its own, answered or not. */
static void consent_checks_are_not_repetitions(void **state)
{
    struct kw_path path = client_path(7);
    struct world world;

    (void)state;
    world_open(&world, 20);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    consent_checks = 0;
    world.tap = note_transactions;
    run(&world, world.now + KW_S(25));
    assert_in_range(consent_checks, 4, 6);
    world_close(&world);
}

/* RFC 8445 section 7.3.1.1 from the controlling side. */
static void the_larger_tie_breaker_keeps_its_role(void **state)
{
    static const struct {
        uint64_t tie_breaker;
        uint16_t code; /* 0: it takes the other role and answers */
    } rows[] = {{0, 487}, {UINT64_MAX, 0}};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t data[KW_STUN_MESSAGE_MAX], transaction[KW_STUN_TRANSACTION_LEN] = {4};
        struct kw_writer out = kw_writer_of(data, sizeof data);
        struct kw_path path = client_path(7), to;
        struct kw_stun_message message;
        struct world world;
        size_t len;

        world_open(&world, 21);
        kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
        kw_stun_write_username(&out, (struct kw_bytes){(const uint8_t *)world.client_side.ufrag, 8},
                               (struct kw_bytes){(const uint8_t *)"x", 1});
        kw_stun_write_priority(&out, 5);
        kw_stun_write_role(&out, KW_STUN_CONTROLLING, rows[i].tie_breaker);
        len = kw_stun_finish(&out, crypto,
                             (struct kw_bytes){(const uint8_t *)world.client_side.pwd, 24});
        (void)!kw_ice_receive(world.client, &path, data, len, world.now);
        len = kw_ice_transmit(world.client, data, sizeof data, &to, world.now);
        assert_int_equal(kw_stun_parse(data, len, &message), KW_ACCEPT);
        assert_int_equal(message.error_code, rows[i].code);
        world_close(&world);
    }
}

static void restart_keeps_the_old_path_until_the_new_one_is_validated(void **state)
{
    struct kw_path path = client_path(7), moved = client_path(8);
    struct kw_ice_credentials old_gateway, old_client;
    struct world world;

    (void)state;
    world_open(&world, 11);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    old_gateway = world.gateway_side;
    old_client = world.client_side;
    world.gateway_side = credentials(&world);
    world.client_side = credentials(&world);
    assert_int_equal(
        kw_ice_restart(world.gateway, &world.gateway_side, &world.client_side, world.now), KW_OK);
    /* The client does not know yet: its old credentials are still good, media stays. */
    run(&world, world.now + KW_S(40));
    assert_true(gateway_sends_to(&world, 7));
    assert_false(kw_ice_gone(world.gateway, world.now));

    assert_int_equal(
        kw_ice_restart(world.client, &world.client_side, &world.gateway_side, world.now), KW_OK);
    assert_int_equal(kw_ice_add_path(world.client, &moved, 100, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    assert_true(gateway_sends_to(&world, 8));

    /* Now the old credentials are worth nothing. */
    world.gateway_side = old_gateway;
    world.client_side = old_client;
    path = client_path(9);
    request_from(&world, &path, old_gateway.pwd, true, 900);
    path = flip(&path);
    assert_false(kw_ice_knows(world.gateway, &path));
    world_close(&world);
}

static void restart_on_the_same_five_tuple_and_twice(void **state)
{
    struct kw_path path = client_path(7), seen = flip(&path);
    struct world world;

    (void)state;
    world_open(&world, 12);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    for (int i = 0; i < 2; i++) {
        world.gateway_side = credentials(&world);
        world.client_side = credentials(&world);
        assert_int_equal(
            kw_ice_restart(world.gateway, &world.gateway_side, &world.client_side, world.now),
            KW_OK);
        assert_true(kw_ice_validated(world.gateway, &seen));
    }
    assert_int_equal(
        kw_ice_restart(world.client, &world.client_side, &world.gateway_side, world.now), KW_OK);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    for (int i = 0; i < 100; i++) {
        run(&world, world.now + KW_MS(10));
        assert_true(gateway_sends_to(&world, 7)); /* without a gap */
    }
    run(&world, world.now + KW_S(100));
    assert_true(gateway_sends_to(&world, 7));
    world_close(&world);
}

/* One restart after another, each carried through: media never stops. */
static void restart_after_restart(void **state)
{
    struct kw_path path = client_path(7);
    struct world world;

    (void)state;
    world_open(&world, 22);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    for (int i = 0; i < 5; i++) {
        world.gateway_side = credentials(&world);
        world.client_side = credentials(&world);
        assert_int_equal(
            kw_ice_restart(world.gateway, &world.gateway_side, &world.client_side, world.now),
            KW_OK);
        assert_true(gateway_sends_to(&world, 7));
        assert_int_equal(
            kw_ice_restart(world.client, &world.client_side, &world.gateway_side, world.now),
            KW_OK);
        assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
        for (int step = 0; step < 100; step++) {
            run(&world, world.now + KW_MS(10));
            assert_true(gateway_sends_to(&world, 7));
        }
    }
    world_close(&world);
}

/* Two full agents that both think they control: the tie-breaker decides, and the call comes up. */
static void role_conflict_is_resolved(void **state)
{
    int switched = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct kw_path path = client_path(7), back = flip(&path), selected;
        struct kw_ice_params params;
        struct world world;

        world_open(&world, seed);
        params = (struct kw_ice_params){.crypto = crypto,
                                        .random = &world.random,
                                        .local = world.gateway_side,
                                        .remote = world.client_side,
                                        .controlling = true};
        assert_int_equal(kw_ice_init(world.gateway_mem, &params, world.now, &world.gateway), KW_OK);
        assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
        assert_int_equal(kw_ice_add_path(world.gateway, &back, 500, world.now), KW_OK);
        run(&world, world.now + KW_S(3));
        CHECK(kw_ice_selected(world.client, &selected) && kw_ice_selected(world.gateway, &selected),
              "seed %" PRIu64, seed);
        switched++;
        world_close(&world);
    }
    assert_int_equal(switched, 20);
}

static void a_broken_random_source_is_survived(void **state)
{
    struct kw_path path = client_path(7), selected;
    struct kw_ice_credentials drawn;
    struct kw_ice_params params;
    struct kw_ice *none;
    struct world world;

    (void)state;
    world_open(&world, 15);
    world.dice.broken = true;
    assert_int_equal(kw_ice_credentials_draw(&world.random, &drawn), KW_ERR_RANDOM);
    params = (struct kw_ice_params){.crypto = crypto,
                                    .random = &world.random,
                                    .local = world.client_side,
                                    .remote = world.gateway_side};
    assert_int_equal(kw_ice_init(world.client_mem, &params, world.now, &none), KW_ERR_RANDOM);
    world.dice.broken = false;
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    world.dice.broken = true;
    run(&world, world.now + KW_S(1));
    assert_int_equal(world.sent_by_client, 0);
    world.dice.broken = false;
    run(&world, world.now + KW_S(1));
    assert_true(kw_ice_selected(world.gateway, &selected));
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_finds_its_path),
        cmocka_unit_test(consent_every_five_seconds_and_gone_after_thirty),
        cmocka_unit_test(nobody_ever_comes),
        cmocka_unit_test(loss_and_reordering),
        cmocka_unit_test(the_highest_priority_wins),
        cmocka_unit_test(a_dead_best_candidate_holds_up_the_others_only_briefly),
        cmocka_unit_test(media_follows_to_a_lower_priority_when_the_old_path_is_silent),
        cmocka_unit_test(of_two_nominated_pairs_the_higher_priority_wins),
        cmocka_unit_test(repeated_checks_are_not_measured),
        cmocka_unit_test(consent_checks_are_not_repetitions),
        cmocka_unit_test(the_larger_tie_breaker_keeps_its_role),
        cmocka_unit_test(restart_after_restart),
        cmocka_unit_test(restart_keeps_the_old_path_until_the_new_one_is_validated),
        cmocka_unit_test(restart_on_the_same_five_tuple_and_twice),
        cmocka_unit_test(role_conflict_is_resolved),
        cmocka_unit_test(a_broken_random_source_is_survived),
    };

    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
