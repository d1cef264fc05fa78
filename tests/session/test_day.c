/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A day of many sessions: real handshakes with deterministic arithmetic, 50 packets/s around every
 * switch and sparse otherwise, networks from good to bad. KW_DAY_SESSIONS and KW_DAY_HOURS size it:
 * the gate is 10000 sessions and 24 hours; `make test` runs a small part of the same.
 */
#include "check.h"

#include "session/pair.h"

#include <stdlib.h>
#include <string.h>

enum { BINS = 24 * 360 }; /* of 10 s */

struct day {
    uint64_t sessions, rotations, failures, packets, unusable, twice, beyond, lost, network_lost;
    uint64_t secrets_left, ended;
    uint32_t rotations_at[BINS]; /* of sessions that started together */
};

static struct day day;

static unsigned long env(const char *name, unsigned long fallback)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 10) : fallback;
}

static void on_event(struct pair_end *end, const struct kw_session_event *event)
{
    size_t bin = (size_t)((end->pair->now - KW_S(1000)) / KW_S(10));

    if (event->type == KW_SESSION_EVENT_RETIRED)
        day.secrets_left += pair_dirty_blocks(end->pair);
    if (event->type == KW_SESSION_EVENT_FAILED)
        day.failures++;
    if (event->type == KW_SESSION_EVENT_SWITCHED && event->generation > 1 &&
        end->number == PAIR_A) {
        day.rotations++;
        if (bin < BINS)
            day.rotations_at[bin]++;
    }
}

static struct pair_config config_of(uint64_t seed)
{
    /* Loss 0..5 %, reordering, 20..300 ms. */
    return (struct pair_config){
        .seed = seed,
        .link =
            {
                .delay = KW_MS(20 + seed * 37 % 260),
                .jitter = KW_MS(seed * 11 % 40),
                .loss_percent = (unsigned)(seed % 6),
                .reorder_percent = (unsigned)(seed / 6 % 3),
            },
        .method = KW_METHOD_OVERLAP,
        .first_seq = (uint16_t)(seed * 40503),
        .interval = KW_MS(20),
        .sparse = KW_S(30),
    };
}

static void live(struct pair *pair, uint64_t seed, kw_ns length)
{
    struct pair_config config = config_of(seed);
    kw_ns end;

    pair_init(pair, &config);
    pair->ends[0].on_event = on_event;
    pair->ends[1].on_event = on_event;
    end = pair->now + length;
    CHECK(pair_connect(pair, KW_S(60)), "no connection, seed %llu", (unsigned long long)seed);
    pair_run(pair, end);
    pair_settle(pair);
    for (int i = 0; i < 2; i++) {
        const struct pair_end *one = &pair->ends[i], *other = &pair->ends[1 - i];

        CHECK(one->unusable == 0, "%llu packets unusable, seed %llu",
              (unsigned long long)one->unusable, (unsigned long long)seed);
        CHECK(one->twice == 0, "accepted twice, seed %llu", (unsigned long long)seed);
        CHECK(one->beyond == 0, "sent beyond L, seed %llu", (unsigned long long)seed);
        CHECK(!one->has_ended, "ended (%s), seed %llu",
              kw_session_end_name(one->last_end.session_end), (unsigned long long)seed);
        if (config.link.loss_percent == 0)
            CHECK(one->got == other->sent, "%llu of %llu, seed %llu", (unsigned long long)one->got,
                  (unsigned long long)other->sent, (unsigned long long)seed);
        day.packets += one->sent;
    }
    day.sessions++;
    pair_deinit(pair);
}

static void a_day_of_sessions(void **state)
{
    unsigned long sessions = env("KW_DAY_SESSIONS", 60);
    unsigned long hours = env("KW_DAY_HOURS", 24);
    struct pair *pair = calloc(1, sizeof *pair);
    double expected;
    uint32_t most = 0;
    size_t most_at = 0;

    (void)state;
    for (unsigned long i = 0; i < sessions; i++)
        live(pair, 1 + i, KW_S(3600) * hours);
    free(pair);
    assert_int_equal(day.secrets_left, 0);

    /* The first rotations of sessions that started together: uniform over 20 % of the hour. */
    for (size_t i = 0; i < 360; i++) {
        if (day.rotations_at[i] > most) {
            most = day.rotations_at[i];
            most_at = i;
        }
    }
    expected = (double)sessions / 72.0;
    print_message("# %llu sessions, %lu h: %llu rotations, %llu failed attempts, %llu packets; "
                  "busiest 10 s of the first hour: %u rotations at %zu s, %.1f expected\n",
                  (unsigned long long)day.sessions, hours, (unsigned long long)day.rotations,
                  (unsigned long long)day.failures, (unsigned long long)day.packets, most,
                  most_at * 10, expected);
    assert_true(day.rotations >= sessions * hours);
    /* 1.3 times the expectation is beyond chance only when a bin holds many: 5 sigma below. */
    if (sessions >= 10000)
        assert_true(most <= 1.3 * expected + 0.5);
    else
        assert_true(most <= expected + 3 ||
                    (most - expected - 3) * (most - expected - 3) <= 25 * expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_of_sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
