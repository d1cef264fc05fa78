/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers, and a peer that misbehaves, can make an agent do: nothing, and within limits. */
#include "ice_test.h"

static bool without_response(struct world *world, struct flight *flight)
{
    (void)world;
    return flight->to_gateway || flight->data[0] != 0x00; /* the gateway's requests are swallowed */
}

static void nothing_but_stun_within_three_times_goes_to_an_unvalidated_path(void **state)
{
    struct kw_path path = client_path(7), seen = flip(&path), stranger, selected;
    struct world world;
    size_t sent = 0;

    (void)state;
    stranger = (struct kw_path){.local = addr(1, 5000), .remote = addr(66, 6)};
    world_open(&world, 7);
    world.tap = without_response;
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_MS(300));
    assert_true(kw_ice_knows(world.gateway, &seen));
    assert_false(kw_ice_validated(world.gateway, &seen));
    assert_false(kw_ice_selected(world.gateway, &selected));
    assert_false(kw_ice_may_send(world.gateway, &stranger, 1));

    kw_ice_note_received(world.gateway, &seen, 1200);
    while (kw_ice_may_send(world.gateway, &seen, 100))
        sent += 100;
    assert_in_range(sent, 3 * 1200 - 100, 3 * 1200 + 3 * 120 * 2);
    assert_false(kw_ice_may_send(world.gateway, &seen, 100));
    kw_ice_note_received(world.gateway, &seen, 100);
    assert_true(kw_ice_may_send(world.gateway, &seen, 300));
    kw_ice_note_received(world.gateway, &seen, 100);
    world.tap = NULL;
    run(&world, world.now + KW_S(8));
    assert_true(kw_ice_validated(world.gateway, &seen));
    assert_true(kw_ice_may_send(world.gateway, &seen, 1000000));
    world_close(&world);
}

/* What the gateway sends to a peer that never answers, STUN alone, against what came. */
static void checks_stay_within_three_times(void **state)
{
    struct kw_path path = client_path(7);
    struct world world;

    (void)state;
    world_open(&world, 8);
    world.deaf[7] = true;
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(120));
    assert_int_equal(world.sent_by_client, 7);
    assert_in_range(world.sent_by_gateway, 7, 3 * 7);
    assert_true(kw_ice_gone(world.client, world.now));
    world_close(&world);
}

/* One replayed request: all that the gateway ever sends there, answer and checks, is within 3 x. */
static void a_single_request_is_not_amplified(void **state)
{
    struct kw_path path = client_path(66);
    struct world world;
    size_t len;

    (void)state;
    world_open(&world, 17);
    world.cut[66] = true;
    len = request_from(&world, &path, world.gateway_side.pwd, true, 900);
    run(&world, world.now + KW_S(120));
    assert_in_range(world.bytes_by_gateway, 64 + 96, KW_ICE_AMPLIFICATION * len);
    world_close(&world);
}

static void a_spoofed_nomination_moves_nothing(void **state)
{
    struct kw_path path = client_path(7), evil = client_path(66), seen = flip(&evil);
    struct world world;

    (void)state;
    world_open(&world, 9);
    world.cut[66] = true; /* the attacker's address answers nothing */
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    assert_true(gateway_sends_to(&world, 7));

    /* Bad integrity: not even known. */
    request_from(&world, &evil, "not the right password..", true, 900);
    assert_false(kw_ice_knows(world.gateway, &seen));
    /* A captured request replayed from another source: checked, never validated. */
    request_from(&world, &evil, world.gateway_side.pwd, true, 900);
    assert_true(kw_ice_knows(world.gateway, &seen));
    run(&world, world.now + KW_S(20));
    assert_true(gateway_sends_to(&world, 7));
    assert_false(kw_ice_validated(world.gateway, &seen));
    world_close(&world);
}

static void pairs_are_bounded_and_the_oldest_unvalidated_gives_way(void **state)
{
    struct kw_path path = client_path(7), first = client_path(100), from;
    struct world world;

    (void)state;
    world_open(&world, 10);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    for (uint8_t i = 0; i < 50; i++) {
        from = client_path((uint8_t)(100 + i));
        world.cut[100 + i] = true;
        request_from(&world, &from, world.gateway_side.pwd, true, 900);
        run(&world, world.now + KW_MS(1));
    }
    from = flip(&from);
    first = flip(&first);
    assert_true(kw_ice_knows(world.gateway, &from));
    assert_false(kw_ice_knows(world.gateway, &first));
    assert_true(gateway_sends_to(&world, 7)); /* the validated one stayed */
    world_close(&world);
}

/* Requests that are answered with an error, and whether that answer is signed. */
static void errors_are_answered(void **state)
{
    enum what {
        NO_USERNAME,
        NO_INTEGRITY,
        WRONG_UFRAG,
        WRONG_PWD,
        UNKNOWN,
        NO_PRIORITY,
        CONTROLLED
    };
    static const struct {
        enum what what;
        uint16_t code;
        bool is_signed;
        enum kw_verdict verdict;
    } rows[] = {
        {NO_USERNAME, 400, false, KW_DROP_FORGED},   {NO_INTEGRITY, 400, false, KW_DROP_FORGED},
        {WRONG_UFRAG, 401, false, KW_DROP_FORGED},   {WRONG_PWD, 401, false, KW_DROP_FORGED},
        {UNKNOWN, 420, true, KW_DROP_MALFORMED},     {NO_PRIORITY, 400, true, KW_DROP_MALFORMED},
        {CONTROLLED, 487, true, KW_DROP_UNEXPECTED},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t data[KW_STUN_MESSAGE_MAX], transaction[KW_STUN_TRANSACTION_LEN] = {1, 2, 3};
        struct kw_writer out = kw_writer_of(data, sizeof data);
        struct kw_path path = client_path(7), to;
        struct kw_stun_message message;
        const char *ufrag, *pwd;
        struct world world;
        enum kw_verdict verdict;
        size_t len;

        world_open(&world, 13);
        path = flip(&path);
        ufrag = rows[i].what == WRONG_UFRAG ? "nobodysu" : world.gateway_side.ufrag;
        pwd = rows[i].what == WRONG_PWD ? "nobodysp" : world.gateway_side.pwd;
        kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
        if (rows[i].what != NO_USERNAME)
            kw_stun_write_username(&out, (struct kw_bytes){(const uint8_t *)ufrag, 8},
                                   (struct kw_bytes){(const uint8_t *)"whoever", 7});
        if (rows[i].what != NO_PRIORITY)
            kw_stun_write_priority(&out, 5);
        kw_stun_write_role(
            &out, rows[i].what == CONTROLLED ? KW_STUN_CONTROLLED : KW_STUN_CONTROLLING, 1);
        if (rows[i].what == UNKNOWN)
            kw_write_u32(&out, 0x7fff0000);
        len = kw_stun_finish(&out, crypto,
                             rows[i].what == NO_INTEGRITY
                                 ? (struct kw_bytes){NULL, 0}
                                 : (struct kw_bytes){(const uint8_t *)pwd, strlen(pwd)});
        verdict = kw_ice_receive(world.gateway, &path, data, len, world.now);
        CHECK(verdict == rows[i].verdict, "row %zu: %s", i, kw_verdict_name(verdict));
        assert_false(kw_ice_knows(world.gateway, &path));

        len = kw_ice_transmit(world.gateway, data, sizeof data, &to, world.now);
        assert_true(kw_path_equal(&to, &path));
        assert_int_equal(kw_stun_parse(data, len, &message), KW_ACCEPT);
        assert_int_equal(message.class, KW_STUN_ERROR);
        CHECK(message.error_code == rows[i].code, "row %zu: %u", i, message.error_code);
        assert_int_equal(message.integrity_at != 0, rows[i].is_signed);
        assert_int_equal(
            kw_stun_verify(crypto, data, &message,
                           (struct kw_bytes){(const uint8_t *)world.gateway_side.pwd, 24}),
            rows[i].is_signed ? KW_ACCEPT : KW_DROP_FORGED);
        assert_int_equal(kw_ice_transmit(world.gateway, data, sizeof data, &to, world.now), 0);
        world_close(&world);
    }
}

static void responses_that_nobody_asked_for(void **state)
{
    struct kw_path path = client_path(7), seen = flip(&path), to;
    uint8_t data[KW_STUN_MESSAGE_MAX], answer[KW_STUN_MESSAGE_MAX];
    struct kw_stun_message message;
    struct kw_writer out;
    struct world world;
    size_t len;

    (void)state;
    world_open(&world, 14);
    request_from(&world, &path, world.gateway_side.pwd, true, 5);
    len = kw_ice_transmit(world.gateway, data, sizeof data, &to, world.now); /* its answer */
    assert_int_equal(data[0], 0x01);
    len = kw_ice_transmit(world.gateway, data, sizeof data, &to, world.now); /* its check */
    assert_int_equal(kw_stun_parse(data, len, &message), KW_ACCEPT);
    assert_int_equal(message.class, KW_STUN_REQUEST);
    assert_int_equal(message.role, KW_STUN_CONTROLLED);

    /* right transaction, wrong password; none at all; another path; another transaction */
    for (int i = 0; i < 4; i++) {
        const char *pwd = i == 0 ? "wrongwrongwrongwrongwron" : world.client_side.pwd;
        struct kw_path from = i == 2 ? (struct kw_path){addr(1, 5000), addr(8, 4000)} : seen;
        uint8_t transaction[KW_STUN_TRANSACTION_LEN];

        memcpy(transaction, message.transaction, sizeof transaction);
        transaction[0] ^= i == 3;
        out = kw_writer_of(answer, sizeof answer);
        kw_stun_begin(&out, KW_STUN_SUCCESS, transaction);
        kw_stun_write_mapped(&out, &seen.local);
        len = kw_stun_finish(&out, crypto,
                             i == 1 ? (struct kw_bytes){NULL, 0}
                                    : (struct kw_bytes){(const uint8_t *)pwd, 24});
        assert_int_equal(kw_ice_receive(world.gateway, &from, answer, len, world.now),
                         i <= 1 ? KW_DROP_FORGED : KW_DROP_UNEXPECTED);
        assert_false(kw_ice_validated(world.gateway, &seen));
    }
    /* and the right one, once */
    out = kw_writer_of(answer, sizeof answer);
    kw_stun_begin(&out, KW_STUN_SUCCESS, message.transaction);
    kw_stun_write_mapped(&out, &seen.local);
    len =
        kw_stun_finish(&out, crypto, (struct kw_bytes){(const uint8_t *)world.client_side.pwd, 24});
    assert_int_equal(kw_ice_receive(world.gateway, &seen, answer, len, world.now), KW_ACCEPT);
    assert_true(kw_ice_validated(world.gateway, &seen));
    assert_int_equal(kw_ice_receive(world.gateway, &seen, answer, len, world.now),
                     KW_DROP_UNEXPECTED);
    world_close(&world);
}

static void hostile_datagrams_move_nothing(void **state)
{
    struct kw_path path = client_path(7), evil = client_path(66);
    struct world world;
    struct dice dice = {.state = 77};

    (void)state;
    world_open(&world, 16);
    assert_int_equal(kw_ice_add_path(world.client, &path, 500, world.now), KW_OK);
    run(&world, world.now + KW_S(1));
    evil = flip(&evil);
    for (int i = 0; i < 20000; i++) {
        struct flight bent = world.last_request;
        size_t bit = dice_roll(&dice) % (8 * bent.len);

        bent.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(kw_ice_receive(world.gateway, &evil, bent.data, bent.len, world.now),
                             KW_ACCEPT);
        assert_false(kw_ice_knows(world.gateway, &evil));
    }
    run(&world, world.now + KW_S(1));
    assert_true(gateway_sends_to(&world, 7));
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_stun_within_three_times_goes_to_an_unvalidated_path),
        cmocka_unit_test(checks_stay_within_three_times),
        cmocka_unit_test(a_single_request_is_not_amplified),
        cmocka_unit_test(a_spoofed_nomination_moves_nothing),
        cmocka_unit_test(pairs_are_bounded_and_the_oldest_unvalidated_gives_way),
        cmocka_unit_test(errors_are_answered),
        cmocka_unit_test(responses_that_nobody_asked_for),
        cmocka_unit_test(hostile_datagrams_move_nothing),
    };

    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
