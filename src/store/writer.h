/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_STORE_WRITER_H
#define KW_STORE_WRITER_H

/*
 * The thread that takes facts out of the ring and appends them to their tenants' logs, as one
 * transaction for whatever waits. A log that cannot be written is tried again once a second; its
 * facts stay in the ring meanwhile, and a full ring refuses new calls.
 */

#include "audit/ring.h"
#include "store/store.h"

struct kw_store_tenant {
    char name[KW_FACT_TEXT_MAX];
    struct kw_store *store; /* used by the writer's thread alone until stop */
};

struct kw_store_writer_config {
    struct kw_fact_ring *ring;
    struct kw_crypto *crypto; /* for leaf hashes; the writer's thread owns it until stop */
    const struct kw_store_tenant *tenants; /* borrowed */
    size_t tenant_count;
    unsigned retry_ms; /* 0: once a second */
    /* Called on the writer's thread when a log begins to fail, with its error, and when it goes on
     * (error NULL). */
    void (*report)(void *ctx, const char *tenant, const char *error);
    void *ctx;
};

struct kw_store_writer;

KW_MUST_USE enum kw_status kw_store_writer_start(const struct kw_store_writer_config *config,
                                                 struct kw_store_writer **ret);
/* There is something in the ring. Any thread. */
void kw_store_writer_wake(struct kw_store_writer *writer);
/* Facts appended so far, and whether a log is failing now. Any thread. */
uint64_t kw_store_writer_stored(const struct kw_store_writer *writer);
bool kw_store_writer_failing(const struct kw_store_writer *writer);
/*
 * Appends what is left and ends the thread. Returns how many facts could not be stored, which the
 * caller must say aloud.
 */
KW_MUST_USE uint64_t kw_store_writer_stop(struct kw_store_writer *writer);

#endif
