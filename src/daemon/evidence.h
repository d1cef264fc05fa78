/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_EVIDENCE_H
#define KW_DAEMON_EVIDENCE_H

/* The tenants' logs, the ring of facts before them and the thread between. */

#include "daemon/config.h"
#include "store/writer.h"

struct kw_evidence {
    struct kw_fact_ring ring;
    void *ring_memory;
    uint64_t noted; /* facts put so far, when the writer was last woken */
    size_t tenant_count;
    struct kw_store_tenant *tenants;
    struct kw_store_writer *writer;
};

/* crypto: a provider for the writer's thread alone. On failure the reason is logged. */
KW_MUST_USE enum kw_status kw_evidence_open(struct kw_evidence *evidence,
                                            const struct kw_config *config,
                                            struct kw_crypto *crypto);
/* False: facts were lost, and that is logged. */
bool kw_evidence_close(struct kw_evidence *evidence);

/* For the gateway; its owner thread only. */
struct kw_fact_sink kw_evidence_sink(struct kw_evidence *evidence);
/* After a turn of the loop: wakes the writer when there is something new. */
void kw_evidence_flush(struct kw_evidence *evidence);

#endif
