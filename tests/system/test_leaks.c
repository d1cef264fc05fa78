/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hundred calls opened, heard and closed leave nothing behind: not in the heap, which valgrind
 * watches, and not in the arena, which counts its own bytes.
 */
#include "check.h"

#include "peer.h"
#include "sys/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 100, WARM_UP = 20 };

static struct daemon gateway;
static struct peer peer;

static void one_call(int number)
{
    CHECK(peer_call(&peer, &gateway), "call %d: status %d", number, peer.http_status);
    CHECK(peer_run(&peer, KW_S(30), peer_is_connected), "call %d: not connected", number);
    peer_talk(&peer, 5, KW_MS(1));
    peer_listen(&peer, KW_MS(20));
    CHECK(peer_hang_up(&peer, &gateway) == 200, "call %d", number);
    peer_free(&peer);
}

/* Bytes of the arena in use when no call is; the figures are published once a second. */
static uint64_t bytes_at_rest(void)
{
    uint64_t before = 0, after = 1;
    kw_ns until = kw_clock_now() + KW_S(60);

    while ((before != after || daemon_metric(&gateway, "keywheel_calls") != 0) &&
           kw_clock_now() < until) {
        before = after;
        poll(NULL, 0, 2500);
        after = daemon_metric(&gateway, "keywheel_arena_used_bytes");
    }
    return after;
}

static void a_hundred_calls_leave_nothing_behind(void **state)
{
    static const char *const wrapper[] = {"valgrind",
                                          "-q",
                                          "--leak-check=full",
                                          "--errors-for-leak-kinds=definite,possible",
                                          "--error-exitcode=99",
                                          "--log-file=valgrind.txt",
                                          NULL};
    uint64_t after_warm_up, after_all;

    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* two such watchers do not go together */
#endif
    if (system("valgrind --version > /dev/null 2>&1") != 0) {
        print_message("# no valgrind here\n");
        skip();
    }
    peer_world_open();
    CHECK(daemon_start(&gateway, NULL, wrapper, NULL), "%s", daemon_file(&gateway, "err"));
    for (int i = 0; i < WARM_UP; i++)
        one_call(i);
    after_warm_up = bytes_at_rest();
    for (int i = WARM_UP; i < CALLS; i++)
        one_call(i);
    after_all = bytes_at_rest();
    daemon_end(&gateway, SIGTERM);
    CHECK(gateway.exit_status == 0, "exit %d\n%s\n%s", gateway.exit_status,
          daemon_file(&gateway, "valgrind.txt"), "");
    print_message("# arena: %llu bytes after %d calls, %llu after %d\n",
                  (unsigned long long)after_warm_up, WARM_UP, (unsigned long long)after_all, CALLS);
    /* blocks are cut a little differently each time; what a call leaves would be there 80 times */
    CHECK(after_all < after_warm_up + (CALLS - WARM_UP), "the arena grew");
    daemon_remove_folder(&gateway);
    peer_world_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_hundred_calls_leave_nothing_behind)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
