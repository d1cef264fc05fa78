/* SPDX-License-Identifier: Apache-2.0 */
/* The log in SQLite and the thread that fills it. */
#include "check.h"

#include "../audit/facts.h"
#include "sha256.h"
#include "store/sqlite/sqlite.h"
#include "store/writer.h"

#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char path[128];
static char error[KW_STORE_ERROR_MAX];

static int new_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/keywheel-store-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/demo.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(suffixes); i++) {
        char name[160];

        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    return rmdir(folder);
}

static struct kw_store *open_store(enum kw_store_mode mode)
{
    struct kw_store *store = NULL;

    CHECK(kw_store_sqlite_open(path, mode, &store, error) == KW_OK, "%s", error);
    return store;
}

static void stored_fact(uint64_t index, const struct kw_fact *fact, struct kw_stored_fact *ret)
{
    ret->index = index;
    ret->len = kw_fact_write(fact, ret->canonical, sizeof ret->canonical);
    assert_int_equal(
        kw_fact_leaf_hash(&sha256_crypto, (struct kw_bytes){ret->canonical, ret->len}, ret->leaf),
        KW_OK);
}

static struct kw_fact fact_at(uint64_t number)
{
    struct kw_fact fact;

    fact_random_fill(number + 1, (enum kw_fact_type)(1 + number % 7), false, &fact);
    memcpy(fact.tenant, "demo", 5);
    fact.session.bytes[0] = (uint8_t)(number % 3);
    memset(fact.session.bytes + 1, 0, sizeof fact.session.bytes - 1);
    fact.utc = (kw_utc_ms)(1000 * number);
    return fact;
}

struct seen {
    uint64_t count;
    uint64_t next;
    uint64_t step;
    uint64_t stop_after; /* 0: never */
};

static bool see(void *ctx, const struct kw_stored_fact *stored)
{
    struct seen *seen = ctx;
    struct kw_fact fact = fact_at(stored->index);
    struct kw_stored_fact expected;

    CHECK(stored->index == seen->next, "position %" PRIu64 ", expected %" PRIu64, stored->index,
          seen->next);
    stored_fact(stored->index, &fact, &expected);
    CHECK(stored->len == expected.len &&
              memcmp(stored->canonical, expected.canonical, stored->len) == 0,
          "fact %" PRIu64 " changed", stored->index);
    assert_memory_equal(stored->leaf, expected.leaf, sizeof expected.leaf);
    seen->next += seen->step;
    seen->count++;
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

static enum kw_status append_range(struct kw_store *store, uint64_t from, uint64_t until)
{
    static struct kw_stored_fact batch[64];

    for (uint64_t i = from; i < until; i++) {
        struct kw_fact fact = fact_at(i);

        stored_fact(i, &fact, &batch[i - from]);
    }
    return store->ops->append(store, batch, (size_t)(until - from));
}

static void facts_come_back_in_order(void **state)
{
    struct kw_store *store = open_store(KW_STORE_APPEND);
    struct seen all = {.step = 1};
    struct seen session = {.step = 3, .next = 1};
    struct seen some = {.step = 1, .next = 10};
    struct seen stopped = {.step = 1, .stop_after = 2};
    uint64_t count = 99;

    (void)state;
    assert_int_equal(store->ops->count(store, &count), KW_OK);
    assert_int_equal(count, 0);
    assert_int_equal(append_range(store, 0, 30), KW_OK);
    assert_int_equal(append_range(store, 30, 31), KW_OK);
    store->ops->close(store);

    store = open_store(KW_STORE_READ);
    assert_int_equal(store->ops->count(store, &count), KW_OK);
    assert_int_equal(count, 31);
    assert_int_equal(store->ops->scan(store, &(struct kw_store_filter){0}, see, &all), KW_OK);
    assert_int_equal(all.count, 31);
    assert_int_equal(
        store->ops->scan(store, &(struct kw_store_filter){.has_session = true, .session = {{1}}},
                         see, &session),
        KW_OK);
    assert_int_equal(session.count, 10);
    assert_int_equal(store->ops->scan(store,
                                      &(struct kw_store_filter){.from = 10000, .until = 15000}, see,
                                      &some),
                     KW_OK);
    assert_int_equal(some.count, 5);
    assert_int_equal(store->ops->scan(store, &(struct kw_store_filter){0}, see, &stopped), KW_OK);
    assert_int_equal(stopped.count, 2);
    store->ops->close(store);
}

static void a_batch_is_all_or_nothing(void **state)
{
    struct kw_store *store = open_store(KW_STORE_APPEND);
    struct kw_stored_fact batch[2];
    struct kw_fact fact = fact_at(0);
    uint64_t count = 99;

    (void)state;
    stored_fact(0, &fact, &batch[0]);
    stored_fact(1, &fact, &batch[1]);
    batch[1].canonical[1] = 99; /* not a fact */
    assert_int_equal(store->ops->append(store, batch, 2), KW_ERR_INPUT);
    assert_non_null(strstr(store->ops->error(store), "canonical"));
    assert_int_equal(store->ops->count(store, &count), KW_OK);
    assert_int_equal(count, 0);

    batch[0].index = 1; /* leaves a gap */
    assert_int_equal(store->ops->append(store, batch, 1), KW_ERR_STATE);
    batch[0].index = 0;
    assert_int_equal(store->ops->append(store, batch, 1), KW_OK);
    assert_int_equal(store->ops->append(store, batch, 1), KW_ERR_STATE); /* again */
    assert_int_equal(store->ops->count(store, &count), KW_OK);
    assert_int_equal(count, 1);
    store->ops->close(store);
}

static void the_past_is_not_edited_by_accident(void **state)
{
    struct kw_store *store = open_store(KW_STORE_APPEND);
    sqlite3 *db;

    (void)state;
    assert_int_equal(append_range(store, 0, 3), KW_OK);
    store->ops->close(store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE log SET utc = 0", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM log WHERE position = 2", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_not_equal(sqlite3_exec(db,
                                      "INSERT INTO log VALUES (3, x'00', 'text', 1, x'00', x'00')",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    sqlite3_close(db);
}

static void a_foreign_or_future_database_is_left_alone(void **state)
{
    static const struct {
        const char *sql;
        const char *says;
    } rows[] = {
        {"CREATE TABLE theirs (x)", "not an audit log"},
        {"DROP TABLE theirs; PRAGMA application_id = 1264011351; PRAGMA user_version = 2",
         "schema version 2"},
    };
    struct kw_store *store = NULL;

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, rows[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(kw_store_sqlite_open(path, KW_STORE_APPEND, &store, error), KW_ERR_INPUT);
        CHECK(strstr(error, rows[i].says) != NULL, "%s", error);
        assert_int_equal(kw_store_sqlite_open(path, KW_STORE_READ, &store, error), KW_ERR_INPUT);
    }
    unlink(path);
    assert_int_not_equal(kw_store_sqlite_open(path, KW_STORE_READ, &store, error), KW_OK);
}

/* A process that dies in the middle leaves whole transactions, and the log goes on behind them. */
static void the_log_survives_sigkill(void **state)
{
    int pipe_fds[2];
    uint64_t acknowledged = 0, count = 0;
    struct seen seen = {.step = 1};
    struct kw_store *store;
    pid_t child;
    char byte;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store = open_store(KW_STORE_APPEND);
        for (uint64_t i = 0;; i += 7) {
            if (append_range(store, i, i + 7) != KW_OK || write(pipe_fds[1], "x", 1) != 1)
                _exit(1);
        }
    }
    close(pipe_fds[1]);
    while (acknowledged < 20 && read(pipe_fds[0], &byte, 1) == 1)
        acknowledged++;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(pipe_fds[0], &byte, 1) == 1)
        acknowledged++;
    close(pipe_fds[0]);

    store = open_store(KW_STORE_APPEND);
    assert_int_equal(store->ops->count(store, &count), KW_OK);
    CHECK(count % 7 == 0 && count >= 7 * acknowledged, "%" PRIu64 " facts, %" PRIu64 " batches",
          count, acknowledged);
    assert_int_equal(append_range(store, count, count + 3), KW_OK);
    assert_int_equal(store->ops->scan(store, &(struct kw_store_filter){0}, see, &seen), KW_OK);
    assert_int_equal(seen.count, count + 3);
    store->ops->close(store);
}

/* A log in memory that fails when told to. */
struct flaky {
    struct kw_store store;
    _Atomic bool broken;
    _Atomic uint64_t attempts;
    _Atomic uint64_t count;
    uint64_t checksum;
};

static enum kw_status flaky_append(struct kw_store *store, const struct kw_stored_fact *facts,
                                   size_t fact_count)
{
    struct flaky *flaky = (struct flaky *)store;

    atomic_fetch_add(&flaky->attempts, 1);
    if (atomic_load(&flaky->broken))
        return KW_ERR_SYSTEM;
    for (size_t i = 0; i < fact_count; i++) {
        struct kw_fact fact;

        assert_true(facts[i].index == atomic_load(&flaky->count) + i);
        assert_true(kw_fact_parse((struct kw_bytes){facts[i].canonical, facts[i].len}, &fact));
        flaky->checksum = flaky->checksum * 31 + fact.u.overdue.beyond_us;
    }
    atomic_fetch_add(&flaky->count, fact_count);
    return KW_OK;
}

static enum kw_status flaky_count(struct kw_store *store, uint64_t *ret)
{
    *ret = atomic_load(&((struct flaky *)store)->count);
    return KW_OK;
}

static const char *flaky_error(const struct kw_store *store)
{
    (void)store;
    return "disk full";
}

static const struct kw_store_ops flaky_ops = {
    .append = flaky_append, .count = flaky_count, .error = flaky_error};

static struct kw_fact_ring ring;
static void *ring_memory;
static struct flaky logs[2];
static struct kw_store_tenant tenants[2];
static sem_t reported;
static char last_error[64];

static void note_report(void *ctx, const char *tenant, const char *text)
{
    (void)ctx;
    (void)tenant;
    snprintf(last_error, sizeof last_error, "%s", text != NULL ? text : "");
    sem_post(&reported);
}

static struct kw_store_writer *start_writer(uint64_t slot_count)
{
    const struct kw_store_writer_config config = {
        .ring = &ring,
        .crypto = &sha256_crypto,
        .tenants = tenants,
        .tenant_count = 2,
        .retry_ms = 1,
        .report = note_report,
    };
    struct kw_store_writer *writer = NULL;

    ring_memory = aligned_alloc(64, (kw_fact_ring_size(slot_count) + 63) / 64 * 64);
    kw_fact_ring_init(&ring, ring_memory, slot_count);
    sem_init(&reported, 0, 0);
    for (size_t i = 0; i < 2; i++) {
        memset(&logs[i], 0, sizeof logs[i]);
        logs[i].store.ops = &flaky_ops;
        snprintf(tenants[i].name, sizeof tenants[i].name, "tenant%zu", i);
        tenants[i].store = &logs[i].store;
    }
    assert_int_equal(kw_store_writer_start(&config, &writer), KW_OK);
    return writer;
}

static void put(uint64_t number)
{
    struct kw_fact fact = {.type = KW_FACT_OVERDUE, .u.overdue = {.beyond_us = number}};

    snprintf(fact.tenant, sizeof fact.tenant, "tenant%" PRIu64, number % 2);
    kw_fact_ring_put(&ring, &fact);
}

static uint64_t checksum_of(uint64_t first, uint64_t count)
{
    uint64_t sum = 0;

    for (uint64_t i = first; i < count; i += 2)
        sum = sum * 31 + i;
    return sum;
}

static void stopping_stores_what_waits(void **state)
{
    struct kw_store_writer *writer = start_writer(1024);

    (void)state;
    assert_true(kw_fact_ring_reserve(&ring, 1000));
    for (uint64_t i = 0; i < 1000; i++)
        put(i);
    assert_int_equal(kw_store_writer_stop(writer), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(logs[i].count, 500);
        assert_true(logs[i].checksum == checksum_of(i, 1000));
    }
    free(ring_memory);
}

/* One log fails for a while: nothing is lost, nothing is stored twice, and it is said both times.
 */
static void a_failing_log_is_tried_again(void **state)
{
    struct kw_store_writer *writer = start_writer(64);

    (void)state;
    atomic_store(&logs[1].broken, true);
    assert_true(kw_fact_ring_reserve(&ring, 64));
    for (uint64_t i = 0; i < 64; i++)
        put(i);
    kw_store_writer_wake(writer);
    sem_wait(&reported);
    assert_string_equal(last_error, "disk full");
    assert_true(kw_store_writer_failing(writer));
    assert_false(kw_fact_ring_reserve(&ring, 1)); /* no room: new calls are refused */
    atomic_store(&logs[1].broken, false);
    sem_wait(&reported);
    assert_string_equal(last_error, "");
    assert_int_equal(kw_store_writer_stop(writer), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(logs[i].count, 32);
        assert_true(logs[i].checksum == checksum_of(i, 64));
    }
    free(ring_memory);
}

static void what_could_not_be_stored_is_counted(void **state)
{
    struct kw_store_writer *writer = start_writer(64);

    (void)state;
    atomic_store(&logs[0].broken, true);
    assert_true(kw_fact_ring_reserve(&ring, 3));
    for (uint64_t i = 0; i < 3; i++)
        put(i);
    assert_int_equal(kw_store_writer_stop(writer), 3);
    free(ring_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts_come_back_in_order, new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_batch_is_all_or_nothing, new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_past_is_not_edited_by_accident, new_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_foreign_or_future_database_is_left_alone, new_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_log_survives_sigkill, new_folder, remove_folder),
        cmocka_unit_test(stopping_stores_what_waits),
        cmocka_unit_test(a_failing_log_is_tried_again),
        cmocka_unit_test(what_could_not_be_stored_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
