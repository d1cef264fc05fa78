/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_ARENA_H
#define KW_SYS_ARENA_H

/*
 * One locked arena for all key memory: sized at start, never swapped, left out of core dumps,
 * fenced by guard pages, wiped block by block. The gateway takes big pieces from it, libcrypto all
 * its memory (kw_arena_memory() into kw_openssl_use_memory()). Any thread may take and give.
 */

#include <keywheel/base.h>

struct kw_arena;

struct kw_arena_report {
    bool locked;
    char text[320]; /* one sentence for the operator: what was done, or what to change */
};

/*
 * Maps and locks `size` bytes. When the kernel refuses to lock, KW_ERR_SYSTEM if require_lock, else
 * KW_OK with report->locked false; the report's text names the limit and how to raise it either
 * way. A failed call holds nothing.
 */
KW_MUST_USE enum kw_status kw_arena_open(size_t size, bool require_lock, struct kw_arena **ret,
                                         struct kw_arena_report *report);
/* Wipes and unmaps everything. Never while libcrypto's memory is in it. */
void kw_arena_close(struct kw_arena *arena);

/* Zeroed memory aligned to 64 bytes; NULL when the arena is exhausted. */
KW_MUST_USE void *kw_arena_take(struct kw_arena *arena, size_t size);
/* Wipes; NULL is allowed. */
void kw_arena_give(struct kw_arena *arena, void *mem);
/* Room of a piece, at least what was asked for. */
size_t kw_arena_room(struct kw_arena *arena, const void *mem);

/* The same in the form that libraries with allocator hooks want: 16-byte aligned, resizable. */
void *kw_arena_malloc(void *arena, size_t size);
void *kw_arena_realloc(void *arena, void *mem, size_t size);
void kw_arena_free(void *arena, void *mem);

struct kw_arena_usage {
    size_t size;
    size_t used;
    size_t peak;
    size_t refused; /* requests that found no room */
    const void *start;
};
void kw_arena_usage(struct kw_arena *arena, struct kw_arena_usage *ret);

/* No core dumps, no ptrace by others of the same user, no /proc/self/mem for them. */
KW_MUST_USE enum kw_status kw_process_harden(void);

#endif
