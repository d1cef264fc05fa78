/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One database per tenant: a table whose rows are numbered from 0 without a gap. WAL, so that the
 * command line reads while the gateway appends; synchronous=FULL, because a fact that was
 * acknowledged must survive a power cut, and the writer's thread is the only one that waits.
 */
#include "store/sqlite/sqlite.h"

#include "base/assert.h"
#include "store/sqlite/schema.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_TIMEOUT_MS = 2000 };

struct kw_sqlite {
    struct kw_store store;
    sqlite3 *db;
    sqlite3_stmt *append;
    char error[KW_STORE_ERROR_MAX];
};

static struct kw_sqlite *sqlite_of(struct kw_store *store)
{
    return (struct kw_sqlite *)(void *)((char *)store - offsetof(struct kw_sqlite, store));
}

static enum kw_status failed(struct kw_sqlite *sqlite, const char *what)
{
    snprintf(sqlite->error, sizeof sqlite->error, "%s: %s", what, sqlite3_errmsg(sqlite->db));
    return KW_ERR_SYSTEM;
}

static enum kw_status run(struct kw_sqlite *sqlite, const char *sql)
{
    if (sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failed(sqlite, "sqlite");
    return KW_OK;
}

static enum kw_status query_number(struct kw_sqlite *sqlite, const char *sql, int64_t *ret)
{
    enum kw_status status = KW_OK;
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(sqlite->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return failed(sqlite, "sqlite");
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    else
        status = failed(sqlite, "sqlite");
    sqlite3_finalize(stmt);
    return status;
}

static bool bind_fact(sqlite3_stmt *stmt, const struct kw_stored_fact *stored,
                      const struct kw_fact *fact)
{
    return sqlite3_bind_int64(stmt, 1, (sqlite3_int64)stored->index) == SQLITE_OK &&
           sqlite3_bind_blob(stmt, 2, fact->session.bytes, sizeof fact->session.bytes,
                             SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_int64(stmt, 3, fact->utc) == SQLITE_OK &&
           sqlite3_bind_int(stmt, 4, (int)fact->type) == SQLITE_OK &&
           sqlite3_bind_blob(stmt, 5, stored->leaf, sizeof stored->leaf, SQLITE_STATIC) ==
               SQLITE_OK &&
           sqlite3_bind_blob(stmt, 6, stored->canonical, (int)stored->len, SQLITE_STATIC) ==
               SQLITE_OK;
}

static enum kw_status append_one(struct kw_sqlite *sqlite, const struct kw_stored_fact *stored)
{
    struct kw_fact fact;
    bool stepped;

    if (!kw_fact_parse((struct kw_bytes){stored->canonical, stored->len}, &fact)) {
        snprintf(sqlite->error, sizeof sqlite->error, "fact %llu is not in canonical form",
                 (unsigned long long)stored->index);
        return KW_ERR_INPUT;
    }
    stepped =
        bind_fact(sqlite->append, stored, &fact) && sqlite3_step(sqlite->append) == SQLITE_DONE;
    if (!stepped)
        snprintf(sqlite->error, sizeof sqlite->error, "append: %s", sqlite3_errmsg(sqlite->db));
    sqlite3_reset(sqlite->append);
    sqlite3_clear_bindings(sqlite->append);
    return stepped ? KW_OK : KW_ERR_SYSTEM;
}

static enum kw_status sqlite_count(struct kw_store *store, uint64_t *ret)
{
    int64_t count = 0;
    enum kw_status status = query_number(sqlite_of(store), sql_count, &count);

    if (status == KW_OK)
        *ret = (uint64_t)count;
    return status;
}

/* The log has no gap: a batch begins where the log ends. */
static enum kw_status check_position(struct kw_sqlite *sqlite, const struct kw_stored_fact *facts,
                                     size_t fact_count)
{
    uint64_t next = 0;
    enum kw_status status = sqlite_count(&sqlite->store, &next);

    for (size_t i = 0; status == KW_OK && i < fact_count; i++) {
        if (facts[i].index == next + i)
            continue;
        snprintf(sqlite->error, sizeof sqlite->error, "fact %llu does not follow the log's %llu",
                 (unsigned long long)facts[i].index, (unsigned long long)(next + i));
        status = KW_ERR_STATE;
    }
    return status;
}

static enum kw_status sqlite_append(struct kw_store *store, const struct kw_stored_fact *facts,
                                    size_t fact_count)
{
    struct kw_sqlite *sqlite = sqlite_of(store);
    enum kw_status status = run(sqlite, "BEGIN IMMEDIATE");

    if (status != KW_OK)
        return status;
    status = check_position(sqlite, facts, fact_count);
    for (size_t i = 0; status == KW_OK && i < fact_count; i++)
        status = append_one(sqlite, &facts[i]);
    if (status == KW_OK)
        status = run(sqlite, "COMMIT");
    if (status != KW_OK && !sqlite3_get_autocommit(sqlite->db))
        sqlite3_exec(sqlite->db, "ROLLBACK", NULL, NULL, NULL); /* keeps the first error's text */
    return status;
}

static bool read_row(sqlite3_stmt *stmt, struct kw_stored_fact *ret)
{
    int leaf_len = sqlite3_column_bytes(stmt, 1);
    int len = sqlite3_column_bytes(stmt, 2);

    if (leaf_len != sizeof ret->leaf || len <= 0 || (size_t)len > sizeof ret->canonical)
        return false;
    ret->index = (uint64_t)sqlite3_column_int64(stmt, 0);
    memcpy(ret->leaf, sqlite3_column_blob(stmt, 1), sizeof ret->leaf);
    ret->len = (size_t)len;
    memcpy(ret->canonical, sqlite3_column_blob(stmt, 2), ret->len);
    return true;
}

static enum kw_status sqlite_scan(struct kw_store *store, const struct kw_store_filter *filter,
                                  bool (*each)(void *ctx, const struct kw_stored_fact *fact),
                                  void *ctx)
{
    struct kw_sqlite *sqlite = sqlite_of(store);
    const char *sql = filter->has_session ? sql_scan_session : sql_scan;
    enum kw_status status = KW_OK;
    struct kw_stored_fact fact;
    sqlite3_stmt *stmt;
    int step;

    if (sqlite3_prepare_v2(sqlite->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return failed(sqlite, "scan");
    sqlite3_bind_int64(stmt, 1, filter->from != 0 ? filter->from : INT64_MIN);
    sqlite3_bind_int64(stmt, 2, filter->until != 0 ? filter->until : INT64_MAX);
    if (filter->has_session)
        sqlite3_bind_blob(stmt, 3, filter->session.bytes, sizeof filter->session.bytes,
                          SQLITE_STATIC);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!read_row(stmt, &fact)) {
            snprintf(sqlite->error, sizeof sqlite->error, "row %lld is not a fact",
                     (long long)sqlite3_column_int64(stmt, 0));
            status = KW_ERR_INPUT;
            break;
        }
        if (!each(ctx, &fact))
            break;
    }
    if (step != SQLITE_DONE && step != SQLITE_ROW)
        status = failed(sqlite, "scan");
    sqlite3_finalize(stmt);
    return status;
}

static const char *sqlite_error(const struct kw_store *store)
{
    return ((const struct kw_sqlite *)(const void *)((const char *)store -
                                                     offsetof(struct kw_sqlite, store)))
        ->error;
}

static void sqlite_close(struct kw_store *store)
{
    struct kw_sqlite *sqlite = sqlite_of(store);

    sqlite3_finalize(sqlite->append);
    sqlite3_close(sqlite->db);
    free(sqlite);
}

static const struct kw_store_ops sqlite_ops = {
    .append = sqlite_append,
    .scan = sqlite_scan,
    .count = sqlite_count,
    .error = sqlite_error,
    .close = sqlite_close,
};

/* A database is ours when it says so, and new when it is empty; anything else is left alone. */
static enum kw_status check_schema(struct kw_sqlite *sqlite, enum kw_store_mode mode)
{
    int64_t application = 0, version = 0, objects = 0;
    enum kw_status status;

    status = query_number(sqlite, "PRAGMA application_id", &application);
    if (status == KW_OK)
        status = query_number(sqlite, "PRAGMA user_version", &version);
    if (status == KW_OK)
        status = query_number(sqlite, "SELECT count(*) FROM sqlite_schema", &objects);
    if (status != KW_OK)
        return status;
    if (mode == KW_STORE_APPEND && application == 0 && version == 0 && objects == 0)
        return run(sqlite, sql_create);
    if (application != KW_SQLITE_APPLICATION_ID) {
        snprintf(sqlite->error, sizeof sqlite->error, "not an audit log of Keywheel");
        return KW_ERR_INPUT;
    }
    if (version != KW_SQLITE_SCHEMA_VERSION) {
        snprintf(sqlite->error, sizeof sqlite->error,
                 "schema version %lld, but this program knows only %d", (long long)version,
                 KW_SQLITE_SCHEMA_VERSION);
        return KW_ERR_INPUT;
    }
    return KW_OK;
}

static enum kw_status set_up(struct kw_sqlite *sqlite, const char *path, enum kw_store_mode mode)
{
    int flags =
        mode == KW_STORE_APPEND ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    enum kw_status status;

    if (sqlite3_open_v2(path, &sqlite->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return failed(sqlite, path);
    sqlite3_extended_result_codes(sqlite->db, 1);
    sqlite3_busy_timeout(sqlite->db, BUSY_TIMEOUT_MS);
    /* before the first read of the schema, which might have been written by anybody */
    sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (mode == KW_STORE_READ)
        return check_schema(sqlite, mode);

    status = run(sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    if (status == KW_OK)
        status = check_schema(sqlite, mode);
    if (status != KW_OK)
        return status;
    if (sqlite3_prepare_v3(sqlite->db, sql_append, -1, SQLITE_PREPARE_PERSISTENT, &sqlite->append,
                           NULL) != SQLITE_OK)
        return failed(sqlite, "append");
    return KW_OK;
}

enum kw_status kw_store_sqlite_open(const char *path, enum kw_store_mode mode,
                                    struct kw_store **ret, char error[KW_STORE_ERROR_MAX])
{
    struct kw_sqlite *sqlite = calloc(1, sizeof *sqlite);
    enum kw_status status;

    if (sqlite == NULL) {
        snprintf(error, KW_STORE_ERROR_MAX, "out of memory");
        return KW_ERR_MEMORY;
    }
    sqlite->store.ops = &sqlite_ops;
    status = set_up(sqlite, path, mode);
    if (status != KW_OK) {
        snprintf(error, KW_STORE_ERROR_MAX, "%s", sqlite->error);
        sqlite_close(&sqlite->store);
        return status;
    }
    *ret = &sqlite->store;
    return KW_OK;
}
