/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of our own client through a keywheeld on real sockets. */
#include "check.h"

#include "../http/client.h"
#include "peer.h"
#include "sys/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct daemon daemon_of_test;
static struct peer peer;

static int set_up(void **state)
{
    (void)state;
    peer_world_open();
    if (daemon_start(&daemon_of_test, NULL, NULL, NULL))
        return 0;
    print_error("%s", daemon_file(&daemon_of_test, "err"));
    return -1;
}

static int tear_down(void **state)
{
    (void)state;
    daemon_end(&daemon_of_test, SIGTERM);
    if (daemon_of_test.exit_status != 0)
        print_error("exit %d\n%s", daemon_of_test.exit_status, daemon_file(&daemon_of_test, "err"));
    peer_world_close();
    if (daemon_of_test.exit_status != 0)
        return -1;
    daemon_remove_folder(&daemon_of_test);
    return 0;
}

static void connect_peer(void)
{
    CHECK(peer_call(&peer, &daemon_of_test), "status %d", peer.http_status);
    CHECK(peer_run(&peer, KW_S(10), peer_is_connected), "not connected\n%s",
          daemon_file(&daemon_of_test, "err"));
}

static void a_call_is_echoed_and_recorded(void **state)
{
    char command[256];

    (void)state;
    connect_peer();
    peer_talk(&peer, 100, KW_MS(5));
    peer_listen(&peer, KW_MS(200));
    assert_int_equal(peer.recognised, 100);
    assert_int_equal(daemon_metric(&daemon_of_test, "keywheel_calls") <= 1, 1);
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 200);
    peer_listen(&peer, KW_MS(100));
    peer_free(&peer);
    daemon_end(&daemon_of_test, SIGTERM);
    assert_int_equal(daemon_of_test.exit_status, 0);

    snprintf(command, sizeof command, "cd %s && " KW_KEYWHEEL " audit list > list.txt",
             daemon_of_test.folder);
    assert_int_equal(system(command), 0);
    CHECK(strstr(daemon_file(&daemon_of_test, "list.txt"),
                 "DTLS 1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768 AEAD_AES_128_GCM") != NULL,
          "%s", daemon_file(&daemon_of_test, "list.txt"));
    assert_non_null(strstr(daemon_file(&daemon_of_test, "list.txt"), "closed: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_is_echoed_and_recorded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
