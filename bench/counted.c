/* SPDX-License-Identifier: Apache-2.0 */
#include "counted.h"

#include <malloc.h>
#include <stdlib.h>

static size_t held;

static void *take(void *ctx, size_t size)
{
    void *mem = malloc(size);

    (void)ctx;
    held += malloc_usable_size(mem);
    return mem;
}

static void *resize(void *ctx, void *mem, size_t size)
{
    size_t before = malloc_usable_size(mem);
    void *grown = realloc(mem, size);

    (void)ctx;
    if (grown != NULL)
        held += malloc_usable_size(grown) - before;
    return grown;
}

static void give(void *ctx, void *mem)
{
    (void)ctx;
    held -= malloc_usable_size(mem);
    free(mem);
}

enum kw_status counted_install(void)
{
    static const struct kw_openssl_memory counted = {NULL, take, resize, give};

    return kw_openssl_use_memory(&counted);
}

size_t counted_held(void)
{
    return held;
}
