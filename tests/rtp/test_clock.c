/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams' clocks side by side: what both suffer cancels out, and a quarter that lies is
 * outvoted. */
#include "check.h"

#include "rtp/clock.h"

#include <inttypes.h>
#include <stdlib.h>

enum { HZ = 48000, FRAME = 960 };

/* The second stream's frames begin 7 ms after the first one's; both count timestamps from zero. */
static const kw_ns apart = KW_MS(7);

/*
 * A packet every 20 ms from each stream, from frame `from` to frame `to`; late() says by how much.
 * The send times are the arrivals, 20 ms before.
 */
struct pair {
    struct kw_rtp_clock a, b, a_sent, b_sent;
};

static uint32_t send_time(kw_ns at)
{
    return (uint32_t)((at - KW_MS(20)) / 125 * 4096 / 125000) & 0xffffff;
}

static void feed(struct pair *pair, uint32_t from, uint32_t to,
                 kw_ns (*late)(uint32_t n, bool is_b))
{
    for (uint32_t n = from; n < to; n++) {
        kw_ns at = KW_S(1000) + n * KW_MS(20);
        kw_ns a_at = at + late(n, false), b_at = at + apart + late(n, true);

        kw_rtp_clock_learn(&pair->a, n * FRAME, (int64_t)a_at, HZ, a_at);
        kw_rtp_clock_learn(&pair->b, n * FRAME, (int64_t)b_at, HZ, b_at);
        kw_rtp_clock_learn_sent(&pair->a_sent, n * FRAME, send_time(a_at), HZ, a_at);
        kw_rtp_clock_learn_sent(&pair->b_sent, n * FRAME, send_time(b_at), HZ, b_at);
    }
}

static int64_t between(const struct kw_rtp_clock *a, const struct kw_rtp_clock *b)
{
    return kw_rtp_clock_between(b, 500 * FRAME, a, 500 * FRAME, HZ) - (int64_t)apart;
}

static kw_ns never(uint32_t n, bool is_b)
{
    (void)n, (void)is_b;
    return 0;
}

/* Both are late by more and more, a millisecond in each frame, and start anew twice a second. */
static kw_ns both(uint32_t n, bool is_b)
{
    (void)is_b;
    return n % 25 * KW_MS(1);
}

/* The second stream had a better way than ever again, for its first 400 ms. */
static kw_ns lucky_at_first(uint32_t n, bool is_b)
{
    return is_b && n < 20 ? 0 : KW_MS(10);
}

/* Two frames leave at once now and then, the second one 10 ms sooner than any other; that is one of
 * the first stream's in every quarter and one of the second's in a single one. */
static kw_ns in_pairs(uint32_t n, bool is_b)
{
    return n % (is_b ? 40 : 7) == 6 ? 0 : KW_MS(10);
}

/* Now and then, each stream at other times, a packet is late. */
static kw_ns here_and_there(uint32_t n, bool is_b)
{
    return n % 7 == (is_b ? 3 : 5) ? KW_MS(80) : KW_US(100);
}

static void what_both_suffer_cancels_out(void **state)
{
    static const struct {
        const char *why;
        kw_ns (*late)(uint32_t n, bool is_b);
        kw_ns allowed;
    } rows[] = {
        {"nothing is late", never, 1},
        {"both are late", both, KW_US(1010)},
        {"a quarter lies", lucky_at_first, 1},
        {"two frames leave at once", in_pairs, 1},
        {"a packet here, a packet there", here_and_there, 1},
    };

    (void)state;
    for (size_t row = 0; row < KW_ARRAY_LEN(rows); row++) {
        struct pair pair = {0};
        int64_t arrived, sent;

        feed(&pair, 0, 60, rows[row].late);
        arrived = between(&pair.a, &pair.b);
        sent = between(&pair.a_sent, &pair.b_sent);
        CHECK(llabs(arrived) <= (int64_t)rows[row].allowed, "%s: %" PRId64 " ns", rows[row].why,
              arrived);
        /* in steps of 4 us */
        CHECK(llabs(sent - arrived) <= (int64_t)KW_US(8), "%s: by send times %" PRId64 " ns",
              rows[row].why, sent);
    }
}

/* A stream that ended before the other began: all there is are the best ways of both. */
static void streams_that_never_met_are_compared_all_the_same(void **state)
{
    struct pair pair = {0}, later = {0};

    (void)state;
    feed(&pair, 0, 100, here_and_there);
    feed(&later, 200, 300, here_and_there);
    assert_true(llabs(between(&pair.a, &later.b)) <= 1);
}

/* What is older than the ring is forgotten: ways and clocks change. */
static void what_is_long_ago_does_not_count(void **state)
{
    struct pair pair = {0}, later = {0};

    (void)state;
    feed(&pair, 0, 20, never);
    for (uint32_t n = 200; n < 210; n++)
        kw_rtp_clock_learn(&pair.a, n * FRAME, (int64_t)(KW_S(1000) + n * KW_MS(20) + KW_MS(30)),
                           HZ, KW_S(1000) + n * KW_MS(20) + KW_MS(30));
    feed(&later, 400, 500, never);
    assert_true(llabs(between(&pair.a, &later.b) + (int64_t)KW_MS(30)) <= 1);
}

/* 64 s in 24 bits: the clock goes on where they begin anew, and after a pause of half of that. */
static void send_times_wrap(void **state)
{
    struct pair pair = {0};
    struct kw_rtp_clock before;

    (void)state;
    feed(&pair, 0, 1150, never);
    before = pair.a_sent;
    feed(&pair, 1150, 1300, never); /* frame 1201 */
    assert_true(llabs(between(&before, &pair.b_sent)) <= (int64_t)KW_US(8));
    feed(&pair, 2800, 2900, never);
    assert_true(llabs(between(&before, &pair.b_sent)) <= (int64_t)KW_US(8));
}

/* What no sender would say moves the answer, not us. */
static void nonsense_breaks_nothing(void **state)
{
    struct kw_rtp_clock a = {0}, b = {0};

    (void)state;
    assert_false(kw_rtp_clock_is_known(&a));
    for (uint32_t i = 0; i < 1000; i++) {
        kw_rtp_clock_learn_sent(&a, i * 0x9e3779b9, i * 0x1234567 & 0xffffff, 1, i * KW_MS(20));
        kw_rtp_clock_learn_sent(&b, i * 0x85ebca6b, i * 0x7654321 & 0xffffff, 1, i * KW_MS(20));
    }
    assert_true(kw_rtp_clock_is_known(&a));
    (void)kw_rtp_clock_between(&a, 0x80000000, &b, 0x7fffffff, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_both_suffer_cancels_out),
        cmocka_unit_test(streams_that_never_met_are_compared_all_the_same),
        cmocka_unit_test(what_is_long_ago_does_not_count),
        cmocka_unit_test(send_times_wrap),
        cmocka_unit_test(nonsense_breaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
