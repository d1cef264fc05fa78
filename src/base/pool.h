/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_POOL_H
#define KW_BASE_POOL_H

#include <keywheel/base.h>

/*
 * A pool of equal blocks in the caller's memory: a free list through the blocks themselves.
 * Blocks come out zeroed and are wiped when they go back.
 */
struct kw_pool {
    uint8_t *memory;
    size_t block_size; /* multiple of KW_POOL_ALIGN */
    size_t block_count;
    size_t used;
    void *free;
};

enum { KW_POOL_ALIGN = 64 };

/* Bytes that block_count blocks of block_size need; 0 when that overflows. */
size_t kw_pool_size(size_t block_size, size_t block_count);

/* memory: kw_pool_size() bytes aligned to KW_POOL_ALIGN, borrowed until deinit. */
void kw_pool_init(struct kw_pool *pool, void *memory, size_t block_size, size_t block_count);

/* A zeroed block, or NULL when all are in use. */
KW_MUST_USE void *kw_pool_take(struct kw_pool *pool);

/* Wipes the block and takes it back; NULL is allowed. */
void kw_pool_give(struct kw_pool *pool, void *block);

#endif
