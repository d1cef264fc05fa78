/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_STORE_STORE_H
#define KW_STORE_STORE_H

/*
 * Where facts are kept: an append-only log per tenant. A backend (SQLite now, PostgreSQL later)
 * keeps its schema and statements in its own folder and fills this table. Used by one thread at a
 * time.
 */

#include <keywheel/audit.h>

struct kw_store;

struct kw_stored_fact {
    uint64_t index; /* position in the tenant's log, from 0 */
    uint8_t leaf[32];
    size_t len;
    uint8_t canonical[KW_FACT_BYTES_MAX];
};

struct kw_store_filter {
    bool has_session;
    struct kw_session_id session;
    kw_utc_ms from, until; /* 0: no bound */
};

struct kw_store_ops {
    /* Appends in one transaction; all or nothing. */
    enum kw_status (*append)(struct kw_store *store, const struct kw_stored_fact *facts,
                             size_t fact_count);
    /* Calls `each` in log order until it returns false. */
    enum kw_status (*scan)(struct kw_store *store, const struct kw_store_filter *filter,
                           bool (*each)(void *ctx, const struct kw_stored_fact *fact), void *ctx);
    /* Number of facts in the log. */
    enum kw_status (*count)(struct kw_store *store, uint64_t *ret);
    /* What went wrong last, for an operator. */
    const char *(*error)(const struct kw_store *store);
    void (*close)(struct kw_store *store);
};

struct kw_store {
    const struct kw_store_ops *ops;
};

#endif
