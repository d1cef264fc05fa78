/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `audit list` reads each tenant's log once and keeps a row per session; `audit show` prints the
 * facts of one. Both only read, also while the gateway writes.
 */
#include "base/assert.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "store/sqlite/sqlite.h"
#include "sys/clock.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_PREFIX_MIN = 6 };

struct audit {
    const char *data;
    const char *tenant; /* NULL: all */
    kw_utc_ms since;
    bool as_json;
    bool wants_help;
    const char *prefix; /* show: of the session id, lower-case hex */
    json_t *json;
    size_t found;
    struct kw_session_id match; /* show: the session that the prefix names */
    bool is_ambiguous;
    struct row *rows; /* list */
    size_t row_count, row_max;
};

/* What the list says of a session. */
struct row {
    struct kw_session_id session;
    char tenant[KW_FACT_TEXT_MAX];
    kw_utc_ms first;
    char state[KW_FACT_TEXT_MAX + 48];
    char method[KW_FACT_TEXT_MAX]; /* how its keys rotate: "cap" is as plain as "parallel" */
    bool is_refused;
    enum kw_dtls_version version;
    enum kw_suite suite;
    enum kw_group group;
    enum kw_srtp_profile profile;
    uint32_t generations;
    bool has_keys;
};

static bool parse(const struct kw_stored_fact *stored, struct kw_fact *ret)
{
    if (kw_fact_parse((struct kw_bytes){stored->canonical, stored->len}, ret))
        return true;
    fprintf(stderr, "keywheel: fact %" PRIu64 " is of a version that this program does not know\n",
            stored->index);
    return false;
}

/* The row of the fact's session; refusals before there was one stand each for itself. */
static struct row *row_of(struct audit *audit, const struct kw_fact *fact)
{
    static const struct kw_session_id none;
    struct row *row;

    /* newest first: facts of a session stand near each other in the log */
    for (size_t i = audit->row_count; i > 0 && memcmp(&none, &fact->session, sizeof none) != 0;
         i--) {
        row = &audit->rows[i - 1];
        if (memcmp(&row->session, &fact->session, sizeof row->session) == 0 &&
            strcmp(row->tenant, fact->tenant) == 0)
            return row;
    }
    if (audit->row_count == audit->row_max) {
        size_t max = audit->row_max != 0 ? 2 * audit->row_max : 64;
        struct row *rows = reallocarray(audit->rows, max, sizeof *rows);

        if (rows == NULL)
            return NULL;
        audit->rows = rows;
        audit->row_max = max;
    }
    row = &audit->rows[audit->row_count++];
    *row = (struct row){.session = fact->session, .first = fact->utc, .state = "open"};
    strcpy(row->tenant, fact->tenant);
    return row;
}

/* What refused a session before it had keys is how it ended; later it only cost an attempt. */
static void refuse_row(struct row *row, const struct kw_fact *fact)
{
    if (row->has_keys)
        return;
    row->is_refused = true;
    snprintf(row->state, sizeof row->state, "refused: %s", fact->u.refused.rule);
    if (fact->u.refused.count > 1)
        snprintf(row->state, sizeof row->state, "refused: %s (%" PRIu64 " times)",
                 fact->u.refused.rule, fact->u.refused.count);
}

static bool list_fact(void *ctx, const struct kw_stored_fact *stored)
{
    struct audit *audit = ctx;
    struct kw_fact fact;
    struct row *row;

    if (!parse(stored, &fact))
        return true;
    row = row_of(audit, &fact);
    if (row == NULL)
        return false;
    switch (fact.type) {
    case KW_FACT_SESSION_OPENED:
        strcpy(row->method, fact.u.opened.method);
        break;
    case KW_FACT_ROTATED:
    case KW_FACT_EXCEPTION_USED:
        break;
    case KW_FACT_GENERATION_ESTABLISHED:
        row->has_keys = true;
        row->generations++;
        row->version = fact.u.established.version;
        row->suite = fact.u.established.suite;
        row->group = fact.u.established.group;
        row->profile = fact.u.established.srtp_profile;
        break;
    case KW_FACT_OVERDUE:
        strcpy(row->state, "overdue");
        break;
    case KW_FACT_REFUSED:
        refuse_row(row, &fact);
        break;
    case KW_FACT_SESSION_CLOSED:
        if (!row->is_refused)
            snprintf(row->state, sizeof row->state, "closed: %s", fact.u.closed.reason);
        break;
    }
    return true;
}

static json_t *row_json(const struct row *row)
{
    char session[KW_SESSION_TEXT_MAX], utc[KW_UTC_TEXT_MAX];
    json_t *object = json_object();

    kw_session_id_format(&row->session, session);
    kw_utc_format(row->first, utc);
    json_object_set_new(object, "session", json_string(session));
    json_object_set_new(object, "tenant", json_string(row->tenant));
    json_object_set_new(object, "utc", json_string(utc));
    json_object_set_new(object, "state", json_string(row->state));
    json_object_set_new(object, "generations", json_integer(row->generations));
    json_object_set_new(object, "method", json_string(row->method));
    if (row->has_keys) {
        json_object_set_new(object, "dtls_version",
                            json_string(kw_dtls_version_name(row->version)));
        json_object_set_new(object, "suite", json_string(kw_suite_name(row->suite)));
        json_object_set_new(object, "group", json_string(kw_group_name(row->group)));
        json_object_set_new(object, "srtp_profile",
                            json_string(kw_srtp_profile_name(row->profile)));
    }
    return object;
}

static void print_row(const struct row *row)
{
    char session[KW_SESSION_TEXT_MAX], utc[KW_UTC_TEXT_MAX];

    kw_session_id_format(&row->session, session);
    kw_utc_format(row->first, utc);
    printf("%s  %s  %-10s ", utc, session, row->tenant);
    if (row->has_keys)
        printf(" %" PRIu32 " generation%s  %s %s %s %s ", row->generations,
               row->generations == 1 ? "" : "s", kw_dtls_version_name(row->version),
               kw_suite_name(row->suite), kw_group_name(row->group),
               kw_srtp_profile_name(row->profile));
    if (row->method[0] != '\0')
        printf(" ");
    kw_text_print(row->method);
    printf("  ");
    kw_text_print(row->state);
    printf("\n");
}

static int print_rows(struct audit *audit)
{
    for (size_t i = 0; i < audit->row_count; i++) {
        if (audit->as_json)
            json_array_append_new(audit->json, row_json(&audit->rows[i]));
        else
            print_row(&audit->rows[i]);
    }
    return KW_EXIT_OK;
}

/* Which session the prefix names; more than one is said, and none is shown. */
static bool match_fact(void *ctx, const struct kw_stored_fact *stored)
{
    struct audit *audit = ctx;
    char session[KW_SESSION_TEXT_MAX];
    struct kw_fact fact;

    if (!parse(stored, &fact))
        return true;
    kw_session_id_format(&fact.session, session);
    if (strncmp(session, audit->prefix, strlen(audit->prefix)) != 0)
        return true;
    if (audit->found != 0 && memcmp(&audit->match, &fact.session, sizeof audit->match) != 0) {
        audit->is_ambiguous = true;
        return false;
    }
    audit->match = fact.session;
    audit->found++;
    return true;
}

static bool show_fact(void *ctx, const struct kw_stored_fact *stored)
{
    struct audit *audit = ctx;
    struct kw_fact fact;

    if (!parse(stored, &fact))
        return true;
    if (audit->as_json)
        json_array_append_new(audit->json, kw_fact_json(&fact, stored->index));
    else
        kw_fact_print(&fact);
    return true;
}

static bool scan_file(struct audit *audit, const char *name, const struct kw_store_filter *filter,
                      bool (*each)(void *ctx, const struct kw_stored_fact *stored))
{
    char path[PATH_MAX], error[KW_STORE_ERROR_MAX];
    struct kw_store *store;
    enum kw_status status;

    snprintf(path, sizeof path, "%s/%s.db", audit->data, name);
    if (kw_store_sqlite_open(path, KW_STORE_READ, &store, error) != KW_OK) {
        fprintf(stderr, "keywheel: %s: %s\n", path, error);
        return false;
    }
    status = store->ops->scan(store, filter, each, audit);
    if (status != KW_OK)
        fprintf(stderr, "keywheel: %s: %s\n", path, store->ops->error(store));
    store->ops->close(store);
    return status == KW_OK;
}

static int is_log(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 3 && len < KW_FACT_TEXT_MAX + 3 && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - 3, ".db") == 0;
}

/* Each log of the data folder, or the one of --tenant. */
static bool scan_all(struct audit *audit, const struct kw_store_filter *filter,
                     bool (*each)(void *ctx, const struct kw_stored_fact *stored))
{
    struct dirent **entries;
    bool is_done = true;
    int count;

    if (audit->tenant != NULL)
        return scan_file(audit, audit->tenant, filter, each);
    count = scandir(audit->data, &entries, is_log, alphasort);
    if (count < 0) {
        fprintf(stderr, "keywheel: %s: %s\n", audit->data, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - 3] = '\0';
        is_done = scan_file(audit, entries[i]->d_name, filter, each) && is_done;
        free(entries[i]);
    }
    free(entries);
    return is_done;
}

static int list(struct audit *audit)
{
    const struct kw_store_filter filter = {.from = audit->since};

    if (!scan_all(audit, &filter, list_fact))
        return KW_EXIT_FAILED;
    return print_rows(audit);
}

static int show(struct audit *audit)
{
    struct kw_store_filter filter = {.from = audit->since};

    if (!scan_all(audit, &filter, match_fact))
        return KW_EXIT_FAILED;
    if (audit->is_ambiguous || audit->found == 0) {
        fprintf(stderr, "keywheel: %s: %s\n", audit->prefix,
                audit->is_ambiguous ? "several sessions begin so" : "there is no such session");
        return KW_EXIT_NONE;
    }
    if (!audit->as_json) {
        char session[KW_SESSION_TEXT_MAX];

        kw_session_id_format(&audit->match, session);
        printf("session %s\n", session);
    }
    filter.has_session = true;
    filter.session = audit->match;
    return scan_all(audit, &filter, show_fact) ? KW_EXIT_OK : KW_EXIT_FAILED;
}

static const char usage_text[] =
    "Usage: keywheel audit list [--tenant NAME] [--since UTC] [--data DIR] [--json]\n"
    "       keywheel audit show SESSION [--tenant NAME] [--since UTC] [--data DIR] [--json]\n";

static int usage(const char *why)
{
    fprintf(stderr, "keywheel: %s\n%s", why, usage_text);
    return KW_EXIT_USAGE;
}

static const char *read_options(int argc, char *argv[], struct audit *audit)
{
    static const struct option options[] = {
        {"tenant", required_argument, NULL, 't'}, {"since", required_argument, NULL, 's'},
        {"data", required_argument, NULL, 'd'},   {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int id;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == 't' && (strchr(optarg, '/') != NULL || strlen(optarg) >= KW_FACT_TEXT_MAX))
            return "--tenant: not a tenant's name";
        if (id == 's' && !kw_utc_parse(optarg, &audit->since))
            return "--since: a date such as 2026-11-23 or 2026-11-23T09:00Z is expected";
        if (id == '?')
            return "wrong option";
        if (id == 't')
            audit->tenant = optarg;
        if (id == 'd')
            audit->data = optarg;
        if (id == 'j')
            audit->as_json = true;
        if (id == 'h')
            audit->wants_help = true;
    }
    return NULL;
}

static bool is_session_prefix(const char *text)
{
    size_t len = strlen(text);

    return len >= SESSION_PREFIX_MIN && len < KW_SESSION_TEXT_MAX &&
           strspn(text, "0123456789abcdef") == len;
}

static int dispatch(int argc, char *argv[], struct audit *audit)
{
    const char *verb = argc > optind ? argv[optind] : "";
    int rest = argc - optind - 1;

    if (strcmp(verb, "list") == 0 && rest == 0)
        return list(audit);
    if (strcmp(verb, "show") != 0 || rest != 1)
        return usage("list, or show and a session, is expected");
    audit->prefix = argv[optind + 1];
    if (!is_session_prefix(audit->prefix))
        return usage("a session is named by at least 6 of its 32 hex digits");
    return show(audit);
}

int audit_main(int argc, char *argv[])
{
    struct audit audit = {.data = "data"};
    const char *why = read_options(argc, argv, &audit);
    int result;

    if (why != NULL)
        return usage(why);
    if (audit.wants_help) {
        fputs(usage_text, stdout);
        return KW_EXIT_OK;
    }
    audit.json = json_array();
    result = dispatch(argc, argv, &audit);
    if (audit.as_json && result == KW_EXIT_OK) {
        json_dumpf(audit.json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
    }
    json_decref(audit.json);
    free(audit.rows);
    return result;
}
