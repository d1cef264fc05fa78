/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer looks at the ring through a window of at most WINDOW facts. Every tenant with facts in
 * the window gets one append; the window leaves the ring when all of its facts are stored, so
 * a crash or a failing disk never loses a fact that was taken out.
 */
#include "store/writer.h"

#include "base/assert.h"
#include "sys/clock.h"
#include "sys/wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 256, /* facts in a transaction: a disk flush is paid once for all of them */
    RETRY_MS = 1000,
    LAST_ATTEMPTS = 3, /* when stopping */
};

struct kw_store_writer {
    struct kw_store_writer_config config;
    struct kw_wake wake;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic bool failing;
    _Atomic uint64_t stored;
    uint64_t *next;               /* per tenant: length of its log */
    struct kw_stored_fact *batch; /* WINDOW of them */
};

static size_t tenant_of(const struct kw_store_writer *writer, const struct kw_fact *fact)
{
    for (size_t i = 0; i < writer->config.tenant_count; i++) {
        if (strncmp(writer->config.tenants[i].name, fact->tenant, KW_FACT_TEXT_MAX) == 0)
            return i;
    }
    /* Facts come from our own gateway, whose tenants are ours. */
    KW_ASSERT(false);
    return 0;
}

static enum kw_status prepare(struct kw_store_writer *writer, const struct kw_fact *fact,
                              uint64_t position, struct kw_stored_fact *ret)
{
    ret->index = position;
    ret->len = kw_fact_write(fact, ret->canonical, sizeof ret->canonical);
    KW_ASSERT(ret->len != 0);
    return kw_fact_leaf_hash(writer->config.crypto, (struct kw_bytes){ret->canonical, ret->len},
                             ret->leaf);
}

static void report(struct kw_store_writer *writer, size_t tenant, const char *error)
{
    if (writer->config.report != NULL)
        writer->config.report(writer->config.ctx, writer->config.tenants[tenant].name, error);
}

/* Appends the tenant's facts among the first `count`; marks them as done. */
static enum kw_status append_tenant(struct kw_store_writer *writer, size_t tenant, uint64_t count,
                                    bool done[WINDOW])
{
    struct kw_store *store = writer->config.tenants[tenant].store;
    enum kw_status status = KW_OK;
    size_t batch_len = 0;

    for (uint64_t i = 0; i < count && status == KW_OK; i++) {
        const struct kw_fact *fact = kw_fact_ring_peek(writer->config.ring, i);

        if (done[i] || tenant_of(writer, fact) != tenant)
            continue;
        status = prepare(writer, fact, writer->next[tenant] + batch_len, &writer->batch[batch_len]);
        batch_len++;
    }
    if (batch_len == 0)
        return KW_OK;
    if (status == KW_OK)
        status = store->ops->append(store, writer->batch, batch_len);
    if (status != KW_OK)
        return status;

    for (uint64_t i = 0; i < count; i++)
        done[i] = done[i] || tenant_of(writer, kw_fact_ring_peek(writer->config.ring, i)) == tenant;
    writer->next[tenant] += batch_len;
    atomic_fetch_add(&writer->stored, batch_len);
    return KW_OK;
}

static bool append_window(struct kw_store_writer *writer, uint64_t count, bool done[WINDOW])
{
    bool all = true;

    for (size_t tenant = 0; tenant < writer->config.tenant_count; tenant++) {
        enum kw_status status = append_tenant(writer, tenant, count, done);
        const struct kw_store *store = writer->config.tenants[tenant].store;

        if (status == KW_OK)
            continue;
        all = false;
        if (!atomic_exchange(&writer->failing, true))
            report(writer, tenant,
                   status == KW_ERR_SYSTEM || status == KW_ERR_INPUT || status == KW_ERR_STATE
                       ? store->ops->error(store)
                       : kw_status_text(status));
    }
    if (all && atomic_exchange(&writer->failing, false))
        report(writer, 0, NULL);
    return all;
}

static uint64_t window_len(struct kw_store_writer *writer)
{
    return KW_MIN(kw_spsc_used(&writer->config.ring->ring), (uint64_t)WINDOW);
}

/* Notes of new facts do not make a failing disk better: only the time and the end cut this short.
 */
static void wait_for_retry(struct kw_store_writer *writer)
{
    kw_ns until = kw_clock_now() + KW_MS(writer->config.retry_ms);
    kw_ns now;

    while (!atomic_load(&writer->stopping) && (now = kw_clock_now()) < until)
        kw_wake_wait(&writer->wake, (int)((until - now) / KW_MS(1)) + 1);
}

/* Stores until the ring is empty; false when stopping did not help either. */
static bool drain(struct kw_store_writer *writer)
{
    uint64_t count;

    while ((count = window_len(writer)) != 0) {
        bool done[WINDOW] = {false};
        int last_attempts = 0;

        while (!append_window(writer, count, done)) {
            if (atomic_load(&writer->stopping) && ++last_attempts >= LAST_ATTEMPTS)
                return false;
            wait_for_retry(writer);
        }
        kw_fact_ring_pop(writer->config.ring, count);
    }
    return true;
}

static void *writer_main(void *arg)
{
    struct kw_store_writer *writer = arg;

    for (;;) {
        bool stopping = atomic_load(&writer->stopping);

        if (!drain(writer) || stopping)
            return NULL;
        kw_wake_wait(&writer->wake, -1);
    }
}

static void writer_free(struct kw_store_writer *writer)
{
    kw_wake_close(&writer->wake);
    free(writer->batch);
    free(writer->next);
    free(writer);
}

enum kw_status kw_store_writer_start(const struct kw_store_writer_config *config,
                                     struct kw_store_writer **ret)
{
    struct kw_store_writer *writer = calloc(1, sizeof *writer);
    enum kw_status status = KW_ERR_MEMORY;

    if (writer == NULL)
        return KW_ERR_MEMORY;
    writer->config = *config;
    if (config->retry_ms == 0)
        writer->config.retry_ms = RETRY_MS;
    writer->wake.fd = -1;
    writer->next = calloc(config->tenant_count, sizeof *writer->next);
    writer->batch = calloc(WINDOW, sizeof *writer->batch);
    if (writer->next == NULL || writer->batch == NULL)
        goto fail;
    for (size_t i = 0; i < config->tenant_count; i++) {
        struct kw_store *store = config->tenants[i].store;

        status = store->ops->count(store, &writer->next[i]);
        if (status != KW_OK)
            goto fail;
    }
    status = kw_wake_open(&writer->wake);
    if (status != KW_OK)
        goto fail;
    if (pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
        status = KW_ERR_SYSTEM;
        goto fail;
    }
    *ret = writer;
    return KW_OK;
fail:
    writer_free(writer);
    return status;
}

void kw_store_writer_wake(struct kw_store_writer *writer)
{
    kw_wake_note(&writer->wake);
}

uint64_t kw_store_writer_stored(const struct kw_store_writer *writer)
{
    return atomic_load(&writer->stored);
}

bool kw_store_writer_failing(const struct kw_store_writer *writer)
{
    return atomic_load(&writer->failing);
}

uint64_t kw_store_writer_stop(struct kw_store_writer *writer)
{
    uint64_t left;

    atomic_store(&writer->stopping, true);
    kw_wake_note(&writer->wake);
    pthread_join(writer->thread, NULL);
    left = kw_spsc_used(&writer->config.ring->ring);
    writer_free(writer);
    return left;
}
