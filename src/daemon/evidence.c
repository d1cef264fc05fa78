/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/evidence.h"

#include "base/assert.h"
#include "store/sqlite/sqlite.h"
#include "sys/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    RING_SLOTS_MIN = 1024,
    SLOTS_PER_CALL = 16, /* open, generations and rotations, close, while a disk is slow */
};

static void report(void *ctx, const char *tenant, const char *error)
{
    (void)ctx;
    if (error != NULL)
        KW_LOG(KW_LOG_ERROR, "evidence-failing", KW_LOG_TEXT("tenant", tenant),
               KW_LOG_TEXT("reason", error));
    else
        KW_LOG(KW_LOG_INFO, "evidence-restored", KW_LOG_TEXT("tenant", tenant));
}

static enum kw_status open_store(const struct kw_config *config, const char *name,
                                 struct kw_store_tenant *ret)
{
    char path[PATH_MAX + KW_POLICY_NAME_MAX + 8], error[KW_STORE_ERROR_MAX];
    enum kw_status status;

    snprintf(ret->name, sizeof ret->name, "%s", name);
    snprintf(path, sizeof path, "%s/%s.db", config->data, name);
    status = kw_store_sqlite_open(path, KW_STORE_APPEND, &ret->store, error);
    if (status != KW_OK)
        KW_LOG(KW_LOG_ERROR, "evidence-cannot-open", KW_LOG_TEXT("file", path),
               KW_LOG_TEXT("reason", error));
    return status;
}

static uint64_t slot_count(const struct kw_config *config)
{
    uint64_t wanted =
        KW_MAX((uint64_t)config->calls_max * SLOTS_PER_CALL, (uint64_t)RING_SLOTS_MIN);
    uint64_t slots = RING_SLOTS_MIN;

    while (slots < wanted)
        slots *= 2;
    return slots;
}

static enum kw_status open_all(struct kw_evidence *evidence, const struct kw_config *config,
                               struct kw_crypto *crypto)
{
    struct kw_store_writer_config writer = {
        .ring = &evidence->ring, .crypto = crypto, .report = report};
    uint64_t slots = slot_count(config);

    if (mkdir(config->data, 0700) != 0 && errno != EEXIST) {
        KW_LOG(KW_LOG_ERROR, "evidence-cannot-open", KW_LOG_TEXT("folder", config->data),
               KW_LOG_TEXT("reason", strerror(errno)));
        return KW_ERR_SYSTEM;
    }
    evidence->ring_memory = aligned_alloc(64, (kw_fact_ring_size(slots) + 63) / 64 * 64);
    evidence->tenants = calloc(config->tenant_count, sizeof *evidence->tenants);
    if (evidence->ring_memory == NULL || evidence->tenants == NULL)
        return KW_ERR_MEMORY;
    kw_fact_ring_init(&evidence->ring, evidence->ring_memory, slots);
    for (size_t i = 0; i < config->tenant_count; i++) {
        enum kw_status status = open_store(config, config->tenants[i].name, &evidence->tenants[i]);

        if (status != KW_OK)
            return status;
        evidence->tenant_count++;
    }
    writer.tenants = evidence->tenants;
    writer.tenant_count = evidence->tenant_count;
    return kw_store_writer_start(&writer, &evidence->writer);
}

enum kw_status kw_evidence_open(struct kw_evidence *evidence, const struct kw_config *config,
                                struct kw_crypto *crypto)
{
    enum kw_status status;

    memset(evidence, 0, sizeof *evidence);
    status = open_all(evidence, config, crypto);
    if (status != KW_OK)
        kw_evidence_close(evidence); /* nothing was put yet, nothing is lost */
    return status;
}

bool kw_evidence_close(struct kw_evidence *evidence)
{
    uint64_t lost = evidence->writer != NULL ? kw_store_writer_stop(evidence->writer) : 0;

    if (lost != 0)
        KW_LOG(KW_LOG_ERROR, "evidence-lost", KW_LOG_NUMBER("facts", lost));
    for (size_t i = 0; i < evidence->tenant_count; i++) {
        if (evidence->tenants[i].store != NULL)
            evidence->tenants[i].store->ops->close(evidence->tenants[i].store);
    }
    free(evidence->tenants);
    free(evidence->ring_memory);
    memset(evidence, 0, sizeof *evidence);
    return lost == 0;
}

static bool sink_reserve(void *ctx, size_t count)
{
    return kw_fact_ring_reserve(&((struct kw_evidence *)ctx)->ring, count);
}

static void sink_release(void *ctx, size_t count)
{
    kw_fact_ring_release(&((struct kw_evidence *)ctx)->ring, count);
}

static void sink_put(void *ctx, const struct kw_fact *fact)
{
    kw_fact_ring_put(&((struct kw_evidence *)ctx)->ring, fact);
}

struct kw_fact_sink kw_evidence_sink(struct kw_evidence *evidence)
{
    return (struct kw_fact_sink){sink_reserve, sink_release, sink_put, evidence};
}

void kw_evidence_flush(struct kw_evidence *evidence)
{
    uint64_t put = atomic_load_explicit(&evidence->ring.ring.head, memory_order_relaxed);

    if (put == evidence->noted)
        return;
    evidence->noted = put;
    kw_store_writer_wake(evidence->writer);
}
