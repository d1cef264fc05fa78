/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_HEAP_H
#define KW_SYS_HEAP_H

/*
 * Blocks of any size out of one piece of memory that never grows. Blocks come out zeroed and are
 * wiped when they go back; neighbours that are both free become one. No lock: the arena has one.
 */

#include <keywheel/base.h>

enum {
    KW_SYS_HEAP_ALIGN = 16,
    KW_SYS_HEAP_BINS = 256,
};

struct kw_sys_heap_block;

struct kw_sys_heap {
    uint8_t *memory;
    size_t size;
    size_t used; /* with headers */
    size_t peak;
    size_t refused; /* requests that found no room */
    uint64_t filled[KW_SYS_HEAP_BINS / 64];
    struct kw_sys_heap_block *bins[KW_SYS_HEAP_BINS];
};

/* memory: zeroed, aligned to KW_SYS_HEAP_ALIGN, borrowed. */
void kw_sys_heap_init(struct kw_sys_heap *heap, void *memory, size_t size);
/* align: a power of two. NULL when there is no room. */
KW_MUST_USE void *kw_sys_heap_take(struct kw_sys_heap *heap, size_t size, size_t align);
/* Wipes; NULL is allowed. Stops on memory that is not a block of this heap in use. */
void kw_sys_heap_give(struct kw_sys_heap *heap, void *mem);
/* Room of a block, at least what was asked for. */
size_t kw_sys_heap_room(const struct kw_sys_heap *heap, const void *mem);

#endif
