/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory is a row of blocks without gaps. Each begins with a header: its own size, whether it
 * is in use, and the block before it, so that both neighbours are found. Free blocks hang in lists
 * by size, four lists for each power of two, and a bit map says which lists have something; so
 * taking and giving are a few steps whatever the number of blocks is.
 */
#include "sys/heap.h"

#include "base/assert.h"

#include <string.h>

struct kw_sys_heap_block {
    struct kw_sys_heap_block *before; /* in memory; NULL for the first */
    size_t size_and_use;              /* of header and body; lowest bit: in use */
    /* The body begins here. A free one holds its places in the list: */
    struct kw_sys_heap_block *next, *previous;
};

enum {
    HEADER = 16,
    BLOCK_MIN = sizeof(struct kw_sys_heap_block),
    IN_USE = 1,
};

_Static_assert(offsetof(struct kw_sys_heap_block, next) == HEADER, "the list lies in the body");
_Static_assert(BLOCK_MIN % KW_SYS_HEAP_ALIGN == 0 && HEADER % KW_SYS_HEAP_ALIGN == 0,
               "bodies are aligned");

static size_t block_size(const struct kw_sys_heap_block *block)
{
    return block->size_and_use & ~(size_t)IN_USE;
}

static bool in_use(const struct kw_sys_heap_block *block)
{
    return (block->size_and_use & IN_USE) != 0;
}

static struct kw_sys_heap_block *at(const struct kw_sys_heap *heap, size_t offset)
{
    return (struct kw_sys_heap_block *)(void *)(heap->memory + offset);
}

static size_t offset_of(const struct kw_sys_heap *heap, const struct kw_sys_heap_block *block)
{
    return (size_t)((const uint8_t *)block - heap->memory);
}

/* The block behind; NULL for the last. */
static struct kw_sys_heap_block *after(const struct kw_sys_heap *heap,
                                       const struct kw_sys_heap_block *block)
{
    size_t offset = offset_of(heap, block) + block_size(block);

    return offset == heap->size ? NULL : at(heap, offset);
}

/* The list whose members have at least the power of two and quarter below size. */
static size_t bin_of(size_t size)
{
    unsigned power = 63U - (unsigned)__builtin_clzll(size);

    return 4 * power + (size >> (power - 2) & 3);
}

static void link_free(struct kw_sys_heap *heap, struct kw_sys_heap_block *block)
{
    size_t bin = bin_of(block_size(block));

    block->previous = NULL;
    block->next = heap->bins[bin];
    if (block->next != NULL)
        block->next->previous = block;
    heap->bins[bin] = block;
    heap->filled[bin / 64] |= UINT64_C(1) << bin % 64;
}

static void unlink_free(struct kw_sys_heap *heap, struct kw_sys_heap_block *block)
{
    size_t bin = bin_of(block_size(block));

    if (block->next != NULL)
        block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        heap->bins[bin] = block->next;
    if (heap->bins[bin] == NULL)
        heap->filled[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    block->next = NULL; /* free bodies are zero but for these two */
    block->previous = NULL;
}

/* Cuts a block in two; the second one, of what is left, is returned. Neither is in a list. */
static struct kw_sys_heap_block *split(struct kw_sys_heap *heap, struct kw_sys_heap_block *block,
                                       size_t size)
{
    struct kw_sys_heap_block *behind = after(heap, block);
    struct kw_sys_heap_block *rest = at(heap, offset_of(heap, block) + size);

    rest->before = block;
    rest->size_and_use = block_size(block) - size;
    block->size_and_use = size;
    if (behind != NULL)
        behind->before = rest;
    return rest;
}

/* Takes the second of two neighbours into the first; its header becomes zero. */
static void join(struct kw_sys_heap *heap, struct kw_sys_heap_block *first,
                 struct kw_sys_heap_block *second)
{
    struct kw_sys_heap_block *behind = after(heap, second);

    first->size_and_use += block_size(second);
    second->before = NULL;
    second->size_and_use = 0;
    if (behind != NULL)
        behind->before = first;
}

void kw_sys_heap_init(struct kw_sys_heap *heap, void *memory, size_t size)
{
    struct kw_sys_heap_block *whole = memory;

    KW_ASSERT((uintptr_t)memory % KW_SYS_HEAP_ALIGN == 0 && size >= BLOCK_MIN);
    *heap = (struct kw_sys_heap){.memory = memory,
                                 .size = size / KW_SYS_HEAP_ALIGN * KW_SYS_HEAP_ALIGN};
    whole->before = NULL;
    whole->size_and_use = heap->size;
    link_free(heap, whole);
}

/* The first of at most `steps` blocks of a list that is large enough. */
static struct kw_sys_heap_block *scan(const struct kw_sys_heap *heap, size_t bin, size_t size,
                                      size_t steps)
{
    struct kw_sys_heap_block *block = heap->bins[bin];

    for (; block != NULL && steps > 0; block = block->next, steps--) {
        if (block_size(block) >= size)
            return block;
    }
    return NULL;
}

/*
 * A free block of at least this size. Its own list may hold smaller ones, so only a few are looked
 * at before the lists above, whose members all fit; the rest of it is the last resort.
 */
static struct kw_sys_heap_block *find(const struct kw_sys_heap *heap, size_t size)
{
    size_t bin = bin_of(size);
    struct kw_sys_heap_block *block = scan(heap, bin, size, 16);

    if (block != NULL)
        return block;
    for (size_t word = (bin + 1) / 64; word < KW_SYS_HEAP_BINS / 64; word++) {
        uint64_t filled = heap->filled[word];

        if (word == (bin + 1) / 64)
            filled &= ~UINT64_C(0) << (bin + 1) % 64;
        if (filled != 0)
            return heap->bins[64 * word + (size_t)__builtin_ctzll(filled)];
    }
    return scan(heap, bin, size, SIZE_MAX);
}

void *kw_sys_heap_take(struct kw_sys_heap *heap, size_t size, size_t align)
{
    size_t slack = align > KW_SYS_HEAP_ALIGN ? align + BLOCK_MIN : 0, want, body;
    struct kw_sys_heap_block *block = NULL;

    KW_ASSERT(align != 0 && (align & (align - 1)) == 0);
    if (size <= heap->size) {
        want =
            KW_MAX((size + HEADER + KW_SYS_HEAP_ALIGN - 1) / KW_SYS_HEAP_ALIGN * KW_SYS_HEAP_ALIGN,
                   (size_t)BLOCK_MIN);
        block = find(heap, want + slack);
    }
    if (block == NULL) {
        heap->refused++;
        return NULL;
    }
    unlink_free(heap, block);

    body = (size_t)((uint8_t *)block + HEADER);
    if (slack != 0 && body % align != 0) {
        /* The part before the aligned body has to be a block of its own. */
        size_t gap = (body + BLOCK_MIN + align - 1) / align * align - body;
        struct kw_sys_heap_block *front = block;

        block = split(heap, front, gap);
        link_free(heap, front);
    }
    if (block_size(block) - want >= BLOCK_MIN)
        link_free(heap, split(heap, block, want));

    heap->used += block_size(block);
    heap->peak = KW_MAX(heap->peak, heap->used);
    block->size_and_use |= IN_USE;
    return (uint8_t *)block + HEADER;
}

/* The block of a body that was handed out; anything else ends the process. */
static struct kw_sys_heap_block *block_of(const struct kw_sys_heap *heap, const void *mem)
{
    size_t offset = (size_t)((const uint8_t *)mem - heap->memory);
    struct kw_sys_heap_block *block, *behind;

    KW_ASSERT(offset >= HEADER && offset < heap->size && offset % KW_SYS_HEAP_ALIGN == 0);
    block = at(heap, offset - HEADER);
    KW_ASSERT(in_use(block) && block_size(block) <= heap->size - offset_of(heap, block));
    behind = after(heap, block);
    KW_ASSERT(behind == NULL || behind->before == block);
    return block;
}

size_t kw_sys_heap_room(const struct kw_sys_heap *heap, const void *mem)
{
    return block_size(block_of(heap, mem)) - HEADER;
}

void kw_sys_heap_give(struct kw_sys_heap *heap, void *mem)
{
    struct kw_sys_heap_block *block, *neighbour;

    if (mem == NULL)
        return;
    block = block_of(heap, mem);
    heap->used -= block_size(block);
    block->size_and_use &= ~(size_t)IN_USE;
    kw_wipe(mem, block_size(block) - HEADER);

    neighbour = after(heap, block);
    if (neighbour != NULL && !in_use(neighbour)) {
        unlink_free(heap, neighbour);
        join(heap, block, neighbour);
    }
    neighbour = block->before;
    if (neighbour != NULL && !in_use(neighbour)) {
        unlink_free(heap, neighbour);
        join(heap, neighbour, block);
        block = neighbour;
    }
    link_free(heap, block);
}
