/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway asks of the kernel and of the C library while packets flow through a call: the
 * batched receive and send, the wait between them, and nothing else. One run is watched by strace,
 * another by counters that stand before the allocators and the locks.
 *
 * A call is cut into slices of a fifth of a second. Packets fill every slice; what else the thread
 * does (a consent check every five seconds, which needs libcrypto's random bytes and HMAC, and the
 * arena's figures once a second, read under its mutex) touches a few. So what packets cost is seen
 * in the others, and a cost of each batch would be seen in all: the same daemon is run again with
 * one sin a batch (counter.h) to show that.
 */
#include "check.h"

#include "counter.h"
#include "peer.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLICES = 15,
    CLEAN_MIN = 4,      /* some ten are, fewer where the machine is slow; with a sin none is */
    BURSTS = 10,        /* in a slice */
    BURST = 32,         /* packets: what many calls send in the same moment */
    PER_PACKET_MAX = 4, /* packets for each system call, at least; both directions counted */
};

/* What was seen in a slice, of the thread that moves the media. */
struct slice {
    double from, to;
    uint64_t packets; /* received and sent by the gateway */
    uint64_t allocations, locks;
    uint64_t batched; /* recvmmsg, sendmmsg, epoll_wait */
    uint64_t others;
};

struct sight {
    struct slice slices[SLICES];
    char other[64]; /* a system call that is not of the batched ones */
};

#define TOKEN "abcdefghijklmnopqrstuvwxyz"

static const char preload[] = "LD_PRELOAD=" KW_COUNTER;
static char config[64], token_file[64], count_file[64];
static struct counter_file *counts;

static void write_file(char *path, const char *content)
{
    int fd;

    strcpy(path, "/tmp/keywheel-path-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

/* A tenant of its own, because the demo looks at the machine's interfaces every ten seconds. */
static int open_world(void **state)
{
    char text[256];
    int fd;

    (void)state;
    write_file(token_file, TOKEN "\n");
    snprintf(text, sizeof text, "tenants:\n- name: path\n  token-file: %s\n", token_file);
    write_file(config, text);
    write_file(count_file, "");
    fd = open(count_file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, sizeof *counts) == 0);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(counts, MAP_FAILED);
    close(fd);
    peer_world_open();
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    peer_world_close();
    (void)munmap(counts, sizeof *counts);
    (void)unlink(config);
    (void)unlink(token_file);
    (void)unlink(count_file);
    return 0;
}

static double wall_clock(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_REALTIME, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct counter_thread media_thread(void)
{
    struct counter_thread ret = {0};

    for (size_t i = 0; i < COUNTER_THREADS; i++) {
        const struct counter_thread *thread = &counts->threads[i];

        if (__atomic_load_n(&thread->receives, __ATOMIC_RELAXED) == 0)
            continue;
        ret.receives = __atomic_load_n(&thread->receives, __ATOMIC_RELAXED);
        ret.locks = __atomic_load_n(&thread->locks, __ATOMIC_RELAXED);
        ret.allocations = __atomic_load_n(&thread->allocations, __ATOMIC_RELAXED);
    }
    return ret;
}

static void talk_in_bursts(struct peer *peer, int bursts)
{
    for (int i = 0; i < bursts; i++) {
        peer_talk(peer, BURST, 0);
        peer_listen(peer, KW_MS(20));
    }
}

/*
 * Until the gateway has refilled its store of certificates, one a second: that is work of idle
 * moments, not of packets. A certificate takes hundreds of locks.
 */
static void settle(struct peer *peer)
{
    struct counter_thread before, after;
    int rounds = 0;

    do {
        before = media_thread();
        talk_in_bursts(peer, 60);
        after = media_thread();
    } while (after.locks - before.locks > after.receives - before.receives + 5 && ++rounds < 20);
    assert_true(rounds < 20);
}

static void book_call(struct sight *sight, double at, const char *name)
{
    static const char *const batched[] = {"recvmmsg", "sendmmsg", "epoll_wait"};
    bool belongs = false;

    for (size_t i = 0; i < 3; i++)
        belongs = belongs || strcmp(name, batched[i]) == 0;
    for (size_t i = 0; i < SLICES; i++) {
        struct slice *slice = &sight->slices[i];

        if (at < slice->from || at > slice->to)
            continue;
        if (belongs) {
            slice->batched++;
        } else {
            slice->others++;
            strcpy(sight->other, name);
        }
    }
}

/* strace -f -ttt: "TID SECONDS NAME(...", later perhaps "TID SECONDS <... NAME resumed>...". */
static void read_trace(const char *path, struct sight *sight)
{
    char line[1024], name[64];
    unsigned tid, media = 0;
    double at;

    for (int pass = 0; pass < 2; pass++) {
        FILE *file = fopen(path, "r");

        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "%u %lf %63[a-z0-9_](", &tid, &at, name) != 3)
                continue;
            if (pass == 0 && strcmp(name, "recvmmsg") == 0)
                media = tid;
            else if (pass == 1 && tid == media)
                book_call(sight, at, name);
        }
        fclose(file);
    }
}

static void watch_slice(struct peer *peer, struct slice *slice)
{
    struct counter_thread before = media_thread(), after;
    uint64_t back = peer->back;

    slice->from = wall_clock();
    talk_in_bursts(peer, BURSTS);
    slice->to = wall_clock();
    after = media_thread();
    slice->packets = (uint64_t)BURSTS * BURST + peer->back - back;
    slice->allocations = after.allocations - before.allocations;
    slice->locks = after.locks - before.locks;
    CHECK(peer->back - back > (uint64_t)BURSTS * BURST / 2, "only %llu packets came back",
          (unsigned long long)(peer->back - back));
}

/* A call through the daemon behind `wrapper`; the trace, if there is one, is in its folder. */
static void watch(const char *const *wrapper, bool has_sin, struct sight *sight)
{
    const char *const arguments[] = {"--config", config, NULL};
    struct daemon gateway;
    struct peer peer;
    char trace[128];

    memset(counts, 0, sizeof *counts);
    *sight = (struct sight){0};
    CHECK(daemon_start(&gateway, NULL, wrapper, arguments), "%s", daemon_file(&gateway, "err"));
    strcpy(gateway.token, TOKEN);
    CHECK(peer_call(&peer, &gateway), "status %d", peer.http_status);
    assert_true(peer_run(&peer, KW_S(30), peer_is_connected));
    if (!has_sin)
        settle(&peer);
    talk_in_bursts(&peer, BURSTS);
    assert_true(media_thread().receives > 0); /* the counters are really there */
    for (size_t i = 0; i < SLICES; i++)
        watch_slice(&peer, &sight->slices[i]);

    (void)peer_hang_up(&peer, &gateway);
    peer_free(&peer);
    daemon_end(&gateway, SIGTERM);
    assert_int_equal(gateway.exit_status, 0);
    snprintf(trace, sizeof trace, "%s/trace", gateway.folder);
    if (access(trace, R_OK) == 0)
        read_trace(trace, sight);
    daemon_remove_folder(&gateway);
}

static bool batches_only(const struct sight *sight)
{
    struct slice sum = {0};
    size_t clean = 0;
    bool few = true;

    for (size_t i = 0; i < SLICES; i++) {
        const struct slice *slice = &sight->slices[i];

        sum.packets += slice->packets;
        sum.batched += slice->batched;
        sum.others += slice->others;
        clean += slice->others == 0;
        few = few && slice->batched > 0 && slice->batched * PER_PACKET_MAX <= slice->packets;
    }
    print_message(
        "# %llu packets: %llu batched calls; %llu others (%s), none in %zu of %d slices\n",
        (unsigned long long)sum.packets, (unsigned long long)sum.batched,
        (unsigned long long)sum.others, sum.others != 0 ? sight->other : "", clean, SLICES);
    return few && clean >= CLEAN_MIN;
}

static bool neither_allocates_nor_locks(const struct sight *sight)
{
    struct slice sum = {0};
    size_t clean = 0;

    for (size_t i = 0; i < SLICES; i++) {
        const struct slice *slice = &sight->slices[i];

        sum.packets += slice->packets;
        sum.allocations += slice->allocations;
        sum.locks += slice->locks;
        clean += slice->locks == 0; /* the arena's own allocations are locks */
    }
    print_message("# %llu packets: %llu allocations; %llu locks, none in %zu of %d slices\n",
                  (unsigned long long)sum.packets, (unsigned long long)sum.allocations,
                  (unsigned long long)sum.locks, clean, SLICES);
    return sum.allocations == 0 && clean >= CLEAN_MIN;
}

static void watch_calls(const char *sin, struct sight *sight)
{
    char sin_variable[64], file_variable[128];
    const char *const wrapper[] = {"strace", "-D",         "-f",    "-ttt", "-o",
                                   "trace",  "-E",         preload, "-E",   file_variable,
                                   "-E",     sin_variable, NULL};

    snprintf(sin_variable, sizeof sin_variable, "KW_COUNT_SIN=%s", sin);
    snprintf(file_variable, sizeof file_variable, "KW_COUNT_FILE=%s", count_file);
    watch(wrapper, strcmp(sin, "none") != 0, sight);
}

static void watch_library(const char *sin, struct sight *sight)
{
    char sin_variable[64], file_variable[128];
    const char *const wrapper[] = {"env", preload, file_variable, sin_variable, NULL};

    snprintf(sin_variable, sizeof sin_variable, "KW_COUNT_SIN=%s", sin);
    snprintf(file_variable, sizeof file_variable, "KW_COUNT_FILE=%s", count_file);
    watch(wrapper, strcmp(sin, "none") != 0, sight);
}

static void packets_cost_batched_calls_only(void **state)
{
    struct sight sight;

    (void)state;
    if (system("strace -V > /dev/null 2>&1") != 0) {
        print_message("# no strace here\n");
        skip();
    }
    watch_calls("none", &sight);
    CHECK(batches_only(&sight), "see above");
    watch_calls("call", &sight);
    CHECK(!batches_only(&sight), "a further system call was not seen");
    watch_calls("single", &sight);
    CHECK(!batches_only(&sight), "a call for each packet was not seen");
}

static void packets_cost_no_allocation_and_no_lock(void **state)
{
    struct sight sight;

    (void)state;
    watch_library("none", &sight);
    CHECK(neither_allocates_nor_locks(&sight), "see above");
    watch_library("allocate", &sight);
    CHECK(!neither_allocates_nor_locks(&sight), "an allocation was not seen");
    watch_library("lock", &sight);
    CHECK(!neither_allocates_nor_locks(&sight), "a lock was not seen");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_cost_batched_calls_only),
        cmocka_unit_test(packets_cost_no_allocation_and_no_lock),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
