/* SPDX-License-Identifier: Apache-2.0 */
/* A free block holds the pointer to the next free block; a block in use holds the user's bytes. */
#include "base/pool.h"

#include "base/assert.h"

#include <string.h>

static size_t round_up(size_t size)
{
    return (size + KW_POOL_ALIGN - 1) / KW_POOL_ALIGN * KW_POOL_ALIGN;
}

size_t kw_pool_size(size_t block_size, size_t block_count)
{
    size_t total;

    if (block_size > SIZE_MAX - KW_POOL_ALIGN)
        return 0;
    if (__builtin_mul_overflow(round_up(block_size), block_count, &total))
        return 0;
    return total;
}

static void push(struct kw_pool *pool, void *block)
{
    memcpy(block, &pool->free, sizeof pool->free);
    pool->free = block;
}

void kw_pool_init(struct kw_pool *pool, void *memory, size_t block_size, size_t block_count)
{
    KW_ASSERT((uintptr_t)memory % KW_POOL_ALIGN == 0);
    *pool = (struct kw_pool){
        .memory = memory,
        .block_size = round_up(KW_MAX(block_size, sizeof(void *))),
        .block_count = block_count,
    };
    memset(memory, 0, pool->block_size * block_count);
    for (size_t i = block_count; i > 0; i--)
        push(pool, pool->memory + (i - 1) * pool->block_size);
}

void *kw_pool_take(struct kw_pool *pool)
{
    void *block = pool->free;

    if (block == NULL)
        return NULL;
    memcpy(&pool->free, block, sizeof pool->free);
    memset(block, 0, sizeof(void *));
    pool->used++;
    return block;
}

void kw_pool_give(struct kw_pool *pool, void *block)
{
    size_t offset;

    if (block == NULL)
        return;
    offset = (size_t)((uint8_t *)block - pool->memory);
    KW_ASSERT(offset < pool->block_size * pool->block_count && offset % pool->block_size == 0);
    kw_wipe(block, pool->block_size);
    push(pool, block);
    pool->used--;
}
