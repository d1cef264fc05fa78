/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key scan. Our own client knows the SRTP keys of its call, so we know what to look for in the
 * gateway: each session key and its AES schedule must be in the locked arena, and nowhere else: not
 * in the rest of its memory, no file, no log, no database, no core dump. The same gateway built
 * without the arena's protection must be caught: a scan that finds nothing proves nothing.
 */
#include "check.h"

#include "memory.h"
#include "peer.h"
#include "srtp/context.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct daemon gateway;
static struct peer peer;
static struct patterns patterns;

static void add_derived(const struct kw_srtp_master *master, enum kw_srtp_label label,
                        const char *name)
{
    uint8_t key[16];

    assert_int_equal(kw_srtp_derive(peer_crypto(), master, label, key, sizeof key), KW_OK);
    patterns_add_aes128(&patterns, key, name);
}

static void know_the_keys(void)
{
    memset(&patterns, 0, sizeof patterns);
    assert_int_equal(peer.keys.write.profile, KW_SRTP_AEAD_AES_128_GCM);
    add_derived(&peer.keys.write, KW_LABEL_RTP_KEY, "their key for what they receive");
    add_derived(&peer.keys.read, KW_LABEL_RTP_KEY, "their key for what they send");
    add_derived(&peer.keys.write, KW_LABEL_RTCP_KEY, "their RTCP key for what they receive");
    add_derived(&peer.keys.read, KW_LABEL_RTCP_KEY, "their RTCP key for what they send");
    /* master keys must be gone everywhere: they are wiped when the session keys exist */
    patterns_add_aes128(&patterns, peer.keys.write.key, "master key of what they receive");
    patterns_add_aes128(&patterns, peer.keys.read.key, "master key of what they send");
}

static void start_call(const char *program)
{
    static const char *const wrapper[] = {"prlimit", "--core=unlimited:unlimited", NULL};

    peer_world_open();
    CHECK(daemon_start(&gateway, program, wrapper, NULL), "%s", daemon_file(&gateway, "err"));
    CHECK(peer_call(&peer, &gateway), "status %d", peer.http_status);
    assert_true(peer_run(&peer, KW_S(10), peer_is_connected));
    peer_talk(&peer, 50, KW_MS(5));
    peer_listen(&peer, KW_MS(100));
    assert_int_equal(peer.recognised, 50);
    know_the_keys();
}

static int end_call(void **state)
{
    (void)state;
    peer_free(&peer);
    peer_world_close();
    daemon_end(&gateway, SIGKILL);
    daemon_remove_folder(&gateway);
    return 0;
}

static size_t count_outside(bool is_told)
{
    size_t outside = 0;

    for (size_t i = 0; i < patterns.count; i++) {
        outside += patterns.list[i].outside;
        if (is_told && patterns.list[i].outside != 0)
            print_error("%s (round key %zu): %zu times outside, first in %s\n",
                        patterns.list[i].name, i / 2 % 11, patterns.list[i].outside,
                        patterns.list[i].where);
    }
    return outside;
}

static size_t scan(size_t *arena)
{
    CHECK(patterns_scan_process(&patterns, gateway.pid, arena), "the process cannot be read");
    return count_outside(false);
}

/* AddressSanitizer turns mlock() into nothing and keeps copies of what it watches. */
static bool can_scan(void)
{
#ifdef __SANITIZE_ADDRESS__
    return false;
#else
    return geteuid() == 0; /* the gateway is not dumpable: only root reads its memory */
#endif
}

static void keys_are_in_the_arena_and_nowhere_else(void **state)
{
    size_t arena, with_key = 0;
    char command[256];

    (void)state;
    if (!can_scan())
        skip();
    start_call(NULL);
    scan(&arena);
    print_message("# arena: %zu KiB\n", arena / 1024);
    assert_true(arena > 0);
    /* each of the four session keys is there: its round key 0, in one of the two byte orders */
    for (size_t key = 0; key < 4; key++)
        with_key += patterns.list[key * 22].inside + patterns.list[key * 22 + 1].inside != 0;
    CHECK(with_key == 4, "only %zu of 4 session keys were found in the arena", with_key);
    CHECK(count_outside(true) == 0, "keys outside the arena");
    for (size_t i = 4 * 22; i < patterns.count; i++)
        CHECK(patterns.list[i].inside == 0, "%s is still there", patterns.list[i].name);

    /* a dump that root forces */
    snprintf(command, sizeof command, "gcore -o %s/forced %d > /dev/null 2>&1", gateway.folder,
             (int)gateway.pid);
    if (system(command) != 0)
        print_message("# no gdb here: the forced dump was not tried\n");
    /* a dump that a crash asks for: not dumpable, so there is none */
    daemon_end(&gateway, SIGABRT);
    assert_int_equal(gateway.exit_status, 1000 + SIGABRT);
    patterns_scan_folder(&patterns, gateway.folder);
    CHECK(count_outside(true) == 0, "keys in files");
}

/* The positive control: the same program with its keys in ordinary memory. */
static void the_scan_catches_unprotected_keys(void **state)
{
    size_t arena;

    (void)state;
    if (!can_scan())
        skip();
    start_call(KW_UNPROTECTED_KEYWHEELD);
    scan(&arena);
    assert_int_equal(arena, 0);
    CHECK(count_outside(false) >= 4, "the scan found nothing where nothing was hidden");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keys_are_in_the_arena_and_nowhere_else, end_call),
        cmocka_unit_test_teardown(the_scan_catches_unprotected_keys, end_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
