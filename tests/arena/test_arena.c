/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: what it gives is zero, aligned and nobody else's; what it took back is wiped. */
#include "sys/arena.h"

#include "check.h"
#include "support/toy_crypto.h"
#include "sys/heap.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* AddressSanitizer replaces mlock() by nothing. */
#if defined(__SANITIZE_ADDRESS__)
#define MLOCK_IS_IGNORED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MLOCK_IS_IGNORED
#endif
#endif

static struct kw_arena *open_arena(size_t size)
{
    struct kw_arena_report report;
    struct kw_arena *arena = NULL;

    assert_int_equal(kw_arena_open(size, false, &arena, &report), KW_OK);
    return arena;
}

/* Runs body in a child and returns its wait status. */
static int in_child(void (*body)(void *ctx), void *ctx)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGILL, SIG_DFL);
        (void)signal(SIGTRAP, SIG_DFL);
        body(ctx);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static uint32_t draw(struct kw_random *random)
{
    uint32_t value;

    assert_int_equal(kw_random_fill(random, (uint8_t *)&value, sizeof value), KW_OK);
    return value;
}

/* Random sizes and alignments against a shadow: no overlap, always zeroed, all comes back. */
static void blocks_are_disjoint_and_zeroed(void **state)
{
    enum { SLOTS = 64, SIZE = 1 << 18 };
    static _Alignas(64) uint8_t memory[SIZE];

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t at = seed;
        struct kw_random random = toy_random(&at);
        struct kw_sys_heap heap;
        struct {
            uint8_t *mem;
            size_t len;
        } slots[SLOTS] = {{NULL, 0}};

        memset(memory, 0, sizeof memory);
        kw_sys_heap_init(&heap, memory, sizeof memory);
        for (int step = 0; step < 3000; step++) {
            size_t i = draw(&random) % SLOTS, align = (size_t)16 << draw(&random) % 4;
            size_t len = (size_t)draw(&random) % (1U << draw(&random) % 14);

            if (slots[i].mem != NULL) {
                for (size_t j = 0; j < slots[i].len; j++)
                    CHECK(slots[i].mem[j] == (uint8_t)i, "seed %d, step %d: overlap", (int)seed,
                          step);
                kw_sys_heap_give(&heap, slots[i].mem);
                slots[i].mem = NULL;
                continue;
            }
            slots[i].mem = kw_sys_heap_take(&heap, len, align);
            slots[i].len = len;
            if (slots[i].mem == NULL)
                continue;
            assert_int_equal((uintptr_t)slots[i].mem % align, 0);
            assert_true(kw_sys_heap_room(&heap, slots[i].mem) >= len);
            for (size_t j = 0; j < kw_sys_heap_room(&heap, slots[i].mem); j++)
                CHECK(slots[i].mem[j] == 0, "seed %d, step %d: not zero", (int)seed, step);
            memset(slots[i].mem, (int)i, len);
        }
        for (size_t i = 0; i < SLOTS; i++)
            kw_sys_heap_give(&heap, slots[i].mem);
        assert_int_equal(heap.used, 0);
        /* All pieces have become one again. */
        assert_non_null(kw_sys_heap_take(&heap, SIZE - 16, 16));
        assert_null(kw_sys_heap_take(&heap, 1, 16));
    }
}

static size_t find_bytes(const uint8_t *start, size_t size, uint8_t value)
{
    size_t run = 0, found = 0;

    for (size_t i = 0; i < size; i++) {
        run = start[i] == value ? run + 1 : 0;
        if (run == 8)
            found++;
    }
    return found;
}

static void memory_is_wiped_when_it_goes_back(void **state)
{
    struct kw_arena *arena = open_arena(1 << 16);
    struct kw_arena_usage usage;
    uint8_t *a = kw_arena_take(arena, 1000), *b = kw_arena_malloc(arena, 1000);

    (void)state;
    kw_arena_usage(arena, &usage);
    memset(a, 0xa5, 1000);
    memset(b, 0xa5, 1000);
    assert_true(find_bytes(usage.start, usage.size, 0xa5) > 0); /* the scan can find something */
    kw_arena_give(arena, a);
    b = kw_arena_realloc(arena, b, 5000);
    assert_int_equal(b[999], 0xa5);
    memset(b, 0xa5, 5000);
    b = kw_arena_realloc(arena, b, 4000); /* in place, and the end is wiped */
    assert_int_equal(find_bytes(b + 4000, 1000, 0xa5), 0);
    b = kw_arena_realloc(arena, b, 64);
    assert_int_equal(b[63], 0xa5);
    kw_arena_free(arena, b);
    assert_int_equal(find_bytes(usage.start, usage.size, 0xa5), 0);
    kw_arena_close(arena);
}

static void exhaustion_is_an_answer(void **state)
{
    struct kw_arena *arena = open_arena(1 << 16);
    struct kw_arena_usage before, after;
    uint8_t *pieces[64];
    size_t count = 0;

    (void)state;
    kw_arena_usage(arena, &before);
    while (count < 64 && (pieces[count] = kw_arena_take(arena, 4096)) != NULL) {
        assert_int_equal((uintptr_t)pieces[count] % 64, 0);
        count++;
    }
    assert_true(count >= 14 && count < 17);
    if (count == 0)
        return;
    assert_null(kw_arena_malloc(arena, SIZE_MAX));
    assert_null(kw_arena_malloc(arena, SIZE_MAX - 8));
    pieces[0][0] = 7;
    assert_null(kw_arena_realloc(arena, pieces[0], 1 << 20));
    assert_int_equal(pieces[0][0], 7); /* a failed resize leaves the block alone */
    kw_arena_usage(arena, &after);
    assert_int_equal(after.refused, 4);
    while (count > 0)
        kw_arena_give(arena, pieces[--count]);
    kw_arena_usage(arena, &after);
    assert_int_equal(after.used, before.used);
    assert_true(after.peak > before.peak);
    kw_arena_close(arena);
}

static void touch(void *address)
{
    *(volatile uint8_t *)address = 1;
}

static void guard_pages_fault(void **state)
{
    struct kw_arena *arena = open_arena(1 << 16);
    struct kw_arena_usage usage;
    uint8_t *start;
    int status;

    (void)state;
    kw_arena_usage(arena, &usage);
    start = (uint8_t *)usage.start;
    status = in_child(touch, start + usage.size - 1); /* the last byte of ours is fine */
    assert_true(WIFEXITED(status));
    status = in_child(touch, start + usage.size);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    status = in_child(touch, start - sysconf(_SC_PAGESIZE) - 1);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    kw_arena_close(arena);
}

static void give_twice(void *arena)
{
    void *mem = kw_arena_take(arena, 100);

    kw_arena_give(arena, mem);
    kw_arena_give(arena, mem);
}

static void give_foreign(void *arena)
{
    uint8_t foreign[64] = {0};

    kw_arena_give(arena, foreign);
}

static void misuse_ends_the_process(void **state)
{
    struct kw_arena *arena = open_arena(1 << 16);
    int status;

    (void)state;
    status = in_child(give_twice, arena);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    status = in_child(give_foreign, arena);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    kw_arena_close(arena);
}

/* The two-letter flags that the kernel keeps for the arena's memory (proc(5), VmFlags). */
static void read_flags(struct kw_arena *arena, char *flags, int size)
{
    struct kw_arena_usage usage;
    unsigned long long from, to;
    bool inside = false, seen = false;
    FILE *maps = fopen("/proc/self/smaps", "r");

    assert_non_null(maps);
    kw_arena_usage(arena, &usage);
    while (!seen && fgets(flags, size, maps) != NULL) {
        if (sscanf(flags, "%llx-%llx ", &from, &to) == 2)
            inside = from <= (uintptr_t)usage.start && (uintptr_t)usage.start < to;
        seen = inside && strncmp(flags, "VmFlags:", 8) == 0;
    }
    (void)fclose(maps);
    assert_true(seen);
}

/* "lo" locked, "dd" left out of core dumps. */
__attribute__((unused)) static void kernel_knows(void **state)
{
    struct kw_arena_report report;
    struct kw_arena *arena;
    char flags[512];

    (void)state;
    assert_int_equal(kw_arena_open(1 << 16, false, &arena, &report), KW_OK);
    read_flags(arena, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_int_equal(strstr(flags, " lo") != NULL, report.locked);
    kw_arena_close(arena);
}

/* "hg": huge pages are wished for, and the memory begins where one can begin. */
static void large_arenas_ask_for_huge_pages(void **state)
{
    enum { HUGE_PAGE = 2 << 20 };
    struct kw_arena *arena = open_arena(HUGE_PAGE + 1), *small = open_arena(1 << 16);
    struct kw_arena_usage usage;
    char flags[512];

    (void)state;
    kw_arena_usage(arena, &usage);
    assert_int_equal(((uintptr_t)usage.start - (uintptr_t)sysconf(_SC_PAGESIZE)) % HUGE_PAGE, 0);
    read_flags(small, flags, sizeof flags);
    assert_null(strstr(flags, " hg"));
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
        read_flags(arena, flags, sizeof flags);
        assert_non_null(strstr(flags, " hg"));
    }
    kw_arena_close(small);
    kw_arena_close(arena);
}

/* As an ordinary user with 64 KiB to lock. Exit status: which expectation failed. */
static void as_a_user(void *ctx)
{
    const struct rlimit limit = {65536, 65536};
    struct kw_arena_report report;
    struct kw_arena *arena;

    (void)ctx;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        _exit(1);
    if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        _exit(2);
    if (kw_arena_open(1 << 20, true, &arena, &report) != KW_ERR_SYSTEM || report.locked)
        _exit(3);
    if (errno != ENOMEM && errno != EPERM && errno != EAGAIN)
        _exit(4);
    if (strstr(report.text, "RLIMIT_MEMLOCK is 64 KiB") == NULL ||
        strstr(report.text, "LimitMEMLOCK=") == NULL || strstr(report.text, "ulimit -l") == NULL)
        _exit(5);
    if (kw_arena_open(1 << 20, false, &arena, &report) != KW_OK || report.locked)
        _exit(6);
    if (strstr(report.text, "RLIMIT_MEMLOCK") == NULL || kw_arena_take(arena, 4096) == NULL)
        _exit(7);
    kw_arena_close(arena);
}

__attribute__((unused)) static void refusal_to_lock_says_what_to_do(void **state)
{
    int status = in_child(as_a_user, NULL);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void harden(void *ctx)
{
    struct rlimit core;

    (void)ctx;
    if (kw_process_harden() != KW_OK || prctl(PR_GET_DUMPABLE) != 0)
        _exit(1);
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0)
        _exit(2);
}

static void process_is_hardened(void **state)
{
    int status = in_child(harden, NULL);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void sizes_are_checked(void **state)
{
    struct kw_arena_report report;
    struct kw_arena *arena;

    (void)state;
    assert_int_equal(kw_arena_open(0, false, &arena, &report), KW_ERR_INPUT);
    assert_int_equal(kw_arena_open(SIZE_MAX, false, &arena, &report), KW_ERR_INPUT);
    assert_int_equal(kw_arena_open(SIZE_MAX / 2, false, &arena, &report), KW_ERR_SYSTEM);
    assert_non_null(strstr(report.text, "cannot map"));
    kw_arena_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_disjoint_and_zeroed),
        cmocka_unit_test(memory_is_wiped_when_it_goes_back),
        cmocka_unit_test(exhaustion_is_an_answer),
        cmocka_unit_test(guard_pages_fault),
        cmocka_unit_test(large_arenas_ask_for_huge_pages),
        cmocka_unit_test(misuse_ends_the_process),
#ifndef MLOCK_IS_IGNORED
        cmocka_unit_test(kernel_knows),
        cmocka_unit_test(refusal_to_lock_says_what_to_do),
#endif
        cmocka_unit_test(process_is_hardened),
        cmocka_unit_test(sizes_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
