/* SPDX-License-Identifier: Apache-2.0 */
#include "http/memory.h"

#include "base/assert.h"

#include <event2/event.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* In front of each block: how much there is to wipe. */
struct header {
    alignas(max_align_t) size_t size;
};

static void *take(size_t size)
{
    struct header *header =
        size <= SIZE_MAX - sizeof *header ? malloc(sizeof *header + size) : NULL;

    if (header == NULL)
        return NULL;
    header->size = size;
    return header + 1;
}

static void give_back(void *block)
{
    struct header *header = block;

    if (block == NULL)
        return;
    header--;
    kw_wipe(block, header->size);
    free(header);
}

static void *resize(void *block, size_t size)
{
    void *moved;

    if (size == 0) {
        give_back(block);
        return NULL;
    }
    moved = take(size);
    if (moved == NULL || block == NULL)
        return moved;
    memcpy(moved, block, KW_MIN(size, ((struct header *)block - 1)->size));
    give_back(block);
    return moved;
}

void kw_http_wipe_memory(void)
{
    event_set_mem_functions(take, resize, give_back);
}
