/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/locked.h"

#include "sys/log.h"

#include <keywheel/openssl.h>

#include <stdlib.h>
#include <string.h>

static bool lock_is_required(const struct kw_config *config)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        if (config->tenants[i].policy.mlock_required)
            return true;
    }
    return false;
}

#ifdef KW_UNPROTECTED

/*
 * Only in a program that the tests build for themselves: the same daemon with its keys in ordinary
 * memory, which proves that the key scan finds what is not protected.
 */
enum kw_status kw_memory_open(const struct kw_config *config, size_t size, struct kw_arena **ret,
                              bool *locked_ret)
{
    (void)size;
    (void)lock_is_required(config);
    KW_LOG(KW_LOG_WARNING, "memory", KW_LOG_TEXT("state", "unprotected, for a test"));
    *ret = NULL;
    *locked_ret = false;
    return KW_OK;
}

void *kw_memory_take(struct kw_arena *arena, size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    (void)arena;
    if (mem != NULL)
        memset(mem, 0, size);
    return mem;
}

#else

enum kw_status kw_memory_open(const struct kw_config *config, size_t size, struct kw_arena **ret,
                              bool *locked_ret)
{
    struct kw_arena_report report = {0};
    bool required = lock_is_required(config);
    enum kw_status status = kw_arena_open(size, required, ret, &report);
    struct kw_openssl_memory memory = {
        .take = kw_arena_malloc, .resize = kw_arena_realloc, .give = kw_arena_free};

    KW_LOG(report.locked ? KW_LOG_INFO
           : required    ? KW_LOG_ERROR
                         : KW_LOG_WARNING,
           "memory", KW_LOG_TEXT("state", report.locked ? "locked" : "not-locked"),
           KW_LOG_NUMBER("bytes", size), KW_LOG_TEXT("said", report.text));
    if (status != KW_OK)
        return status;
    *locked_ret = report.locked;
    memory.ctx = *ret;
    return kw_openssl_use_memory(&memory);
}

void *kw_memory_take(struct kw_arena *arena, size_t size)
{
    return kw_arena_take(arena, size);
}

#endif
