/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private mapping with an inaccessible page or more on each side. Its first accessible page is
 * the arena's own bookkeeping, the rest a heap under a mutex.
 *
 * The accessible part begins where a huge page can begin, and asks for such pages: ten thousand
 * sessions lie on a hundred thousand small pages, and then most packets would begin with a walk
 * through the page tables.
 */
#include "sys/arena.h"

#include "base/assert.h"
#include "sys/heap.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

struct kw_arena {
    pthread_mutex_t mutex;
    uint8_t *mapping; /* with its guards */
    size_t mapping_size;
    size_t inner_size; /* of what is accessible, from this structure on */
    struct kw_sys_heap heap;
};

/* The soft limit may be raised to the hard one by anybody; that is often enough. */
static void raise_lock_limit(size_t size)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= size)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* mlock() tells whether it helped */
}

static void report_lock(size_t size, int error, struct kw_arena_report *report)
{
    struct rlimit limit = {0};
    size_t kib = size / 1024;

    report->locked = error == 0;
    if (error == 0) {
        (void)snprintf(report->text, sizeof report->text, "%zu KiB of key memory are locked", kib);
        return;
    }
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    (void)snprintf(report->text, sizeof report->text,
                   "cannot lock %zu KiB of key memory (%s): RLIMIT_MEMLOCK is %llu KiB. Keys could "
                   "reach the swap. Raise it with LimitMEMLOCK= in the systemd unit or `ulimit -l "
                   "%zu`, or grant CAP_IPC_LOCK",
                   kib, strerror(error), (unsigned long long)limit.rlim_cur / 1024, kib + 64);
}

static enum kw_status lock_memory(uint8_t *memory, size_t size, bool required,
                                  struct kw_arena_report *report)
{
    int error;

    raise_lock_limit(size);
    error = mlock(memory, size) == 0 ? 0 : errno;
    report_lock(size, error, report);
    if (error != 0 && required) {
        errno = error;
        return KW_ERR_SYSTEM;
    }
    return KW_OK;
}

/* Makes the inner part accessible, kept out of dumps, and huge where the kernel is willing. */
static bool open_inner(uint8_t *inner, size_t inner_size)
{
    if (mprotect(inner, inner_size, PROT_READ | PROT_WRITE) != 0 ||
        madvise(inner, inner_size, MADV_DONTDUMP) != 0)
        return false;
    if (inner_size >= HUGE_PAGE)
        (void)madvise(inner, inner_size, MADV_HUGEPAGE); /* a wish: kernels without it exist */
    return true;
}

enum kw_status kw_arena_open(size_t size, bool require_lock, struct kw_arena **ret,
                             struct kw_arena_report *report)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), align, inner_size, total;
    uint8_t *mapping, *inner;
    struct kw_arena *arena;
    enum kw_status status = KW_ERR_SYSTEM;

    *report = (struct kw_arena_report){0};
    if (size == 0 || size > SIZE_MAX / 2)
        return KW_ERR_INPUT;
    /* One page for the bookkeeping, two guards, and what is lost by beginning at a huge page. */
    inner_size = page + (size + page - 1) / page * page;
    align = inner_size >= HUGE_PAGE ? HUGE_PAGE : page;
    total = inner_size + 2 * page + (align - page);
    mapping = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) {
        (void)snprintf(report->text, sizeof report->text, "cannot map %zu KiB of key memory: %s",
                       inner_size / 1024, strerror(errno));
        return KW_ERR_SYSTEM;
    }
    inner = mapping + page;
    inner += (align - (uintptr_t)inner % align) % align;
    if (!open_inner(inner, inner_size)) {
        (void)snprintf(report->text, sizeof report->text, "cannot protect key memory: %s",
                       strerror(errno));
        goto fail;
    }
    status = lock_memory(inner, inner_size, require_lock, report);
    if (status != KW_OK)
        goto fail;

    _Static_assert(sizeof(struct kw_arena) <= 4096, "the bookkeeping fits the smallest page");
    arena = (struct kw_arena *)(void *)inner;
    arena->mapping = mapping;
    arena->mapping_size = total;
    arena->inner_size = inner_size;
    KW_ASSERT(pthread_mutex_init(&arena->mutex, NULL) == 0);
    kw_sys_heap_init(&arena->heap, inner + page, inner_size - page);
    *ret = arena;
    return KW_OK;
fail:
    (void)munmap(mapping, total);
    return status;
}

void kw_arena_close(struct kw_arena *arena)
{
    uint8_t *mapping;
    size_t size;

    if (arena == NULL)
        return;
    mapping = arena->mapping;
    size = arena->mapping_size;
    (void)pthread_mutex_destroy(&arena->mutex);
    kw_wipe(arena, arena->inner_size);
    (void)munmap(mapping, size);
}

static void *take(struct kw_arena *arena, size_t size, size_t align)
{
    void *mem;

    KW_ASSERT(pthread_mutex_lock(&arena->mutex) == 0);
    mem = kw_sys_heap_take(&arena->heap, size, align);
    KW_ASSERT(pthread_mutex_unlock(&arena->mutex) == 0);
    return mem;
}

void *kw_arena_take(struct kw_arena *arena, size_t size)
{
    return take(arena, size, 64);
}

void kw_arena_give(struct kw_arena *arena, void *mem)
{
    KW_ASSERT(pthread_mutex_lock(&arena->mutex) == 0);
    kw_sys_heap_give(&arena->heap, mem);
    KW_ASSERT(pthread_mutex_unlock(&arena->mutex) == 0);
}

size_t kw_arena_room(struct kw_arena *arena, const void *mem)
{
    size_t room;

    KW_ASSERT(pthread_mutex_lock(&arena->mutex) == 0);
    room = kw_sys_heap_room(&arena->heap, mem);
    KW_ASSERT(pthread_mutex_unlock(&arena->mutex) == 0);
    return room;
}

void *kw_arena_malloc(void *arena, size_t size)
{
    return take(arena, size, KW_SYS_HEAP_ALIGN);
}

void kw_arena_free(void *arena, void *mem)
{
    kw_arena_give(arena, mem);
}

void *kw_arena_realloc(void *arena, void *mem, size_t size)
{
    size_t room;
    void *moved;

    if (mem == NULL)
        return kw_arena_malloc(arena, size);
    room = kw_arena_room(arena, mem);
    if (size <= room && size >= room / 2) {
        kw_wipe((uint8_t *)mem + size, room - size);
        return mem;
    }
    moved = kw_arena_malloc(arena, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, mem, KW_MIN(size, room));
    kw_arena_give(arena, mem);
    return moved;
}

void kw_arena_usage(struct kw_arena *arena, struct kw_arena_usage *ret)
{
    KW_ASSERT(pthread_mutex_lock(&arena->mutex) == 0);
    *ret = (struct kw_arena_usage){
        .size = arena->heap.size,
        .used = arena->heap.used,
        .peak = arena->heap.peak,
        .refused = arena->heap.refused,
        .start = arena->heap.memory,
    };
    KW_ASSERT(pthread_mutex_unlock(&arena->mutex) == 0);
}

enum kw_status kw_process_harden(void)
{
    const struct rlimit none = {0, 0};

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return KW_ERR_SYSTEM;
    return KW_OK;
}
