/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto's allocator hooks carry no context, so the one allocator of the process stands here. */
#include <keywheel/openssl.h>

#include <openssl/crypto.h>

static struct kw_openssl_memory memory;

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 ? NULL : memory.take(memory.ctx, size);
}

static void *resize(void *mem, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        memory.give(memory.ctx, mem);
        return NULL;
    }
    return memory.resize(memory.ctx, mem, size);
}

static void give(void *mem, const char *file, int line)
{
    (void)file;
    (void)line;
    memory.give(memory.ctx, mem);
}

enum kw_status kw_openssl_use_memory(const struct kw_openssl_memory *from)
{
    /* libcrypto itself notices only allocations that its own allocator made. */
    if (memory.take != NULL || CRYPTO_set_mem_functions(take, resize, give) != 1)
        return KW_ERR_STATE;
    memory = *from;
    return KW_OK;
}
