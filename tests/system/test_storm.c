/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All calls of a keywheeld are told to rotate at once. The gateway, with all its threads, has one
 * core, the load the other. How long a media packet waits for the gateway is told by the clocks
 * beside both (storm_load.h).
 *
 * KW_FULL=1: 2,000 calls. KW_STORM_CALLS says otherwise. At 5 packets a second each.
 */
#include "check.h"

#include "storm_load.h"
#include "sys/clock.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { PER_SECOND = 5, TARGET_MS = 20, QUIET_S = 5 };

static struct daemon gateway;
static struct storm_figures quiet, storm;

static bool stay_on(unsigned core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static size_t calls_wanted(void)
{
    const char *text = getenv("KW_STORM_CALLS");

    if (text != NULL)
        return strtoul(text, NULL, 10);
    return getenv("KW_FULL") != NULL ? 2000 : 100;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t part(const struct storm_figures *figures, unsigned permille)
{
    return figures->waits_us[(figures->wait_count - 1) * permille / 1000];
}

/* Returns the longest wait. */
static uint32_t say(const char *what, struct storm_figures *figures)
{
    assert_true(figures->wait_count != 0);
    qsort(figures->waits_us, figures->wait_count, sizeof *figures->waits_us, compare);
    print_message("# %s: %llu packets, %llu not echoed, %llu dropped at our socket; in the gateway "
                  "p50 %u us, p99 %u us, p99.9 %u us, longest %.2f ms\n",
                  what, (unsigned long long)figures->sent,
                  (unsigned long long)(figures->sent - figures->echoed),
                  (unsigned long long)figures->socket_drops, part(figures, 500), part(figures, 990),
                  part(figures, 999), (double)part(figures, 1000) / 1000);
    return part(figures, 1000);
}

static uint64_t settled(const char *name)
{
    uint64_t before, after = daemon_metric(&gateway, name);

    do { /* published once a second */
        before = after;
        storm_talk(KW_MS(1200), NULL);
        after = daemon_metric(&gateway, name);
    } while (before != after);
    return after;
}

static void media_does_not_wait_for_a_storm(void **state)
{
    size_t calls = calls_wanted();
    char quota[64], rate[64];
    /* A gateway whose calls rotate by the minute has room for all of them to rotate at once. */
    const char *tenant[] = {quota, rate, "rotation: {period: 4m}", NULL};
    uint64_t drops;
    uint32_t longest;
    kw_ns took;

    (void)state;
    if (!stay_on(1)) {
        print_message("# needs cores: this machine has one\n");
        skip();
    }
    assert_true(stay_on(0)); /* what is started here stays here */
    snprintf(quota, sizeof quota, "calls: %zu", calls);
    snprintf(rate, sizeof rate, "calls-per-minute: %zu", 2 * calls);
    CHECK(daemon_start_tenant(&gateway, tenant, NULL), "%s", daemon_file(&gateway, "err"));
    assert_true(stay_on(1));
    storm_open(&gateway, calls, PER_SECOND);
    CHECK(storm_call(KW_S(60)), "not all calls came up\n%s", daemon_file(&gateway, "err"));
    storm_talk(KW_S(QUIET_S), &quiet);
    CHECK(storm_rotate(KW_S(60), &storm, &took), "not all calls rotated");
    drops = settled("keywheel_datagrams_lost_at_socket_total");
    print_message("# %zu calls told to rotate at once: all had in %.2f s; dropped at the gateway's "
                  "socket: %llu\n",
                  calls, (double)took / 1e9, (unsigned long long)drops);
    say("before", &quiet);
    longest = say("meanwhile", &storm);
    print_message("# target: no packet waits longer than %d ms: %.2f ms, %s\n", TARGET_MS,
                  (double)longest / 1000, longest <= TARGET_MS * 1000 ? "met" : "missed");
    assert_int_equal(quiet.sent, quiet.echoed + quiet.socket_drops);
    assert_true(storm.sent <= storm.echoed + storm.socket_drops + drops);
    storm_close();
    daemon_end(&gateway, SIGTERM);
    assert_int_equal(gateway.exit_status, 0);
    daemon_remove_folder(&gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_does_not_wait_for_a_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
