/* SPDX-License-Identifier: Apache-2.0 */
/* The shared pool of generations: who has which place, and what happens when there is none. */
#include "check.h"

#include "session/pair.h"

#include <stdlib.h>
#include <string.h>

static const struct pair_config plain = {
    .seed = 1,
    .link = {.delay = KW_MS(30)},
    .period = KW_S(60),
    .method = KW_METHOD_OVERLAP,
};

static struct pair *begin(const struct pair_config *config)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair_init(pair, config);
    assert_true(pair_connect(pair, KW_S(30)));
    return pair;
}

static void end(struct pair *pair)
{
    pair_settle(pair);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pair->ends[i].unusable, 0);
        assert_int_equal(pair->ends[i].beyond, 0);
        if (!pair->ends[0].has_ended)
            assert_int_equal(pair->ends[i].got, pair->ends[1 - i].sent);
    }
    pair_deinit(pair);
    free(pair);
}

static struct kw_session_pool_usage usage_of(const struct pair *pair)
{
    struct kw_session_pool_usage usage;

    kw_session_pool_usage(pair->shared.pool, &usage);
    return usage;
}

/* Other sessions have, or give back, this many places for second generations. */
static void others_take(struct pair *pair, size_t count)
{
    pair->shared.pool->usage.rotations += count;
}

static void others_give(struct pair *pair, size_t count)
{
    pair->shared.pool->usage.rotations -= count;
}

static void places_come_and_go_with_generations(void **state)
{
    struct pair *pair = begin(&plain);

    (void)state;
    assert_int_equal(usage_of(pair).sessions, 2);
    assert_int_equal(usage_of(pair).rotations, 0);
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(1));
    assert_int_equal(kw_session_current(pair->ends[PAIR_A].session), 2);
    assert_int_equal(usage_of(pair).rotations, 2); /* the previous ones, for the overlap */
    pair_run(pair, pair->now + KW_S(12));
    assert_int_equal(usage_of(pair).sessions, 2);
    assert_int_equal(usage_of(pair).rotations, 0);
    assert_int_equal(usage_of(pair).postponed, 0);
    assert_int_equal(pair_dirty_blocks(pair), 0);
    end(pair);
}

/* No place at either end: nothing happens but that it is counted; then it happens by itself. */
static void a_rotation_waits_for_its_place(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;

    (void)state;
    config.rotations = 2;
    pair = begin(&config);
    others_take(pair, 2);
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(5));
    assert_int_equal(kw_session_current(pair->ends[PAIR_A].session), 1);
    assert_true(usage_of(pair).postponed >= 2);
    /* With back-off: 0.5, 1, 2 s. */
    assert_true(usage_of(pair).postponed <= 4);
    assert_int_equal(pair->ends[PAIR_A].events[KW_SESSION_EVENT_FAILED], 0);
    others_give(pair, 2);
    pair_run(pair, pair->now + KW_S(6));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(kw_session_current(pair->ends[i].session), 2);
        assert_int_equal(pair->ends[i].events[KW_SESSION_EVENT_FAILED], 0);
    }
    end(pair);
}

/* The asker has its place and its peer has none: the attempt goes on as soon as there is one. */
static void the_other_side_may_have_to_wait(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;

    (void)state;
    config.rotations = 2;
    pair = begin(&config);
    others_take(pair, 1);
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(3));
    assert_int_equal(usage_of(pair).rotations, 2);
    assert_true(usage_of(pair).postponed >= 1);
    assert_int_equal(kw_session_current(pair->ends[PAIR_B].session), 1);
    others_give(pair, 1);
    pair_run(pair, pair->now + KW_S(5));
    assert_int_equal(kw_session_current(pair->ends[PAIR_A].session), 2);
    assert_int_equal(kw_session_current(pair->ends[PAIR_B].session), 2);
    end(pair);
}

/* Without a place until L the policy decides, as with any other failure. */
static void without_a_place_the_policy_decides(void **state)
{
    struct pair *pair = begin(&plain);

    (void)state;
    others_take(pair, 4);
    pair_run(pair, pair->now + KW_S(62));
    assert_true(pair->ends[PAIR_A].has_ended);
    assert_int_equal(pair->ends[PAIR_A].last_end.session_end, KW_SESSION_END_LIMIT);
    assert_true(usage_of(pair).postponed >= 3);
    others_give(pair, 4);
    end(pair);
}

/* A session's first generation has its own kind of place; rotations cannot use it up. */
static void rotations_leave_room_for_sessions(void **state)
{
    struct pair *pair = begin(&plain);
    const struct kw_session_params params = {
        .terms = &pair->terms, .ssrc_max = 2, .method = KW_METHOD_OVERLAP};
    const struct kw_generation_params generation = {
        .role = KW_DTLS_SERVER,
        .identity = pair->ends[PAIR_A].identity,
        .fingerprints = &(struct kw_fingerprint){.hash = KW_SHA256},
        .fingerprint_count = 1,
    };
    void *mem = aligned_alloc(64, kw_session_size());
    struct kw_session *third;
    uint32_t number;

    (void)state;
    others_take(pair, 4);
    assert_int_equal(kw_session_init(mem, &pair->shared, &params, pair->now, &third), KW_OK);
    /* Both places for sessions are taken. */
    assert_int_equal(kw_session_add_generation(third, &generation, pair->now, &number),
                     KW_ERR_MEMORY);
    assert_int_equal(usage_of(pair).sessions, 2);
    assert_int_equal(usage_of(pair).postponed, 0);
    pair->shared.pool->config.sessions++; /* as when another session ends */
    pair->shared.pool->config.rotations--;
    assert_int_equal(kw_session_add_generation(third, &generation, pair->now, &number), KW_OK);
    assert_int_equal(usage_of(pair).sessions, 3);
    /* Replacing it takes no second place, and it comes back with the session. */
    assert_int_equal(kw_session_add_generation(third, &generation, pair->now, &number), KW_OK);
    assert_int_equal(usage_of(pair).sessions, 3);
    kw_session_deinit(third);
    assert_int_equal(usage_of(pair).sessions, 2);
    assert_int_equal(pair_dirty_blocks(pair), 0);
    pair->shared.pool->config.sessions--;
    pair->shared.pool->config.rotations++;
    free(mem);
    others_give(pair, 4);
    end(pair);
}

/* A failed attempt keeps its block until its alert has left, and then it is empty. */
static void a_failed_attempt_gives_its_place_back(void **state)
{
    struct pair *pair = begin(&plain);
    struct pair_end *a = &pair->ends[PAIR_A];

    (void)state;
    pair->ends[PAIR_B].is_lazy = true;
    kw_session_rotate(a->session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(1));
    assert_int_equal(usage_of(pair).rotations, 1);
    while (a->events[KW_SESSION_EVENT_FAILED] == 0)
        pair_run(pair, pair->now + KW_MS(100));
    a->is_lazy = true;
    assert_int_equal(usage_of(pair).rotations, 0);
    assert_int_equal(pair_dirty_blocks(pair), 0);
    end(pair);
}

/* Of a gateway's call: the session, and its part of the pool with and without a second place. */
static void a_session_is_small(void **state)
{
    const struct kw_session_pool_config none = {.ssrc_max = 8, .has_ice = true};
    struct kw_session_pool_config one = none, two;
    size_t at_rest, in_overlap;

    (void)state;
    one.sessions = 1;
    two = one;
    two.rotations = 1;
    at_rest = kw_session_size() + kw_session_pool_size(&one) - kw_session_pool_size(&none);
    in_overlap = kw_session_size() + kw_session_pool_size(&two) - kw_session_pool_size(&none);
    print_message("# %zu bytes at rest, %zu in overlap\n", at_rest, in_overlap);
    CHECK(at_rest <= (size_t)16 * 1024, "%zu at rest", at_rest);
    CHECK(in_overlap <= (size_t)32 * 1024, "%zu in overlap", in_overlap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_and_go_with_generations),
        cmocka_unit_test(a_rotation_waits_for_its_place),
        cmocka_unit_test(the_other_side_may_have_to_wait),
        cmocka_unit_test(without_a_place_the_policy_decides),
        cmocka_unit_test(rotations_leave_room_for_sessions),
        cmocka_unit_test(a_failed_attempt_gives_its_place_back),
        cmocka_unit_test(a_session_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
