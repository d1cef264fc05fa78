/* SPDX-License-Identifier: Apache-2.0 */
/* `keywheel audit` over a log of known facts: what a person reads, and what a program does. */
#include "check.h"

#include "../store/sha256.h"
#include "store/sqlite/sqlite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char output[65536];

static const struct kw_session_id first = {{0xab, 0xcd, 0xef, 1}}, second = {{0xab, 0xcd, 0xef, 2}},
                                  third = {{0x12, 0x34, 0x56}};

static void append(struct kw_store *store, struct kw_fact *fact,
                   const struct kw_session_id *session, enum kw_fact_type type)
{
    static struct kw_stored_fact stored;

    fact->type = type;
    strcpy(fact->tenant, "demo");
    if (session != NULL)
        fact->session = *session;
    fact->utc = 1795000000000 + (kw_utc_ms)stored.index * 1000;
    assert_int_equal(store->ops->count(store, &stored.index), KW_OK);
    stored.len = kw_fact_write(fact, stored.canonical, sizeof stored.canonical);
    assert_int_equal(kw_fact_leaf_hash(&sha256_crypto,
                                       (struct kw_bytes){stored.canonical, stored.len},
                                       stored.leaf),
                     KW_OK);
    assert_int_equal(store->ops->append(store, &stored, 1), KW_OK);
}

#define APPEND(session, type, ...) append(store, &(struct kw_fact){__VA_ARGS__}, session, type)

static int fill(void **state)
{
    char path[128], error[KW_STORE_ERROR_MAX];
    struct kw_store *store;

    (void)state;
    strcpy(folder, "/tmp/keywheel-cli-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/demo.db", folder);
    CHECK(kw_store_sqlite_open(path, KW_STORE_APPEND, &store, error) == KW_OK, "%s", error);
    APPEND(NULL, KW_FACT_REFUSED, .u.refused = {.rule = "no-fingerprint", .count = 1});
    APPEND(NULL, KW_FACT_REFUSED, .u.refused = {.rule = "quota", .count = 37, .span_us = 60000000});
    APPEND(&first, KW_FACT_SESSION_OPENED,
           .u.opened = {.method = "parallel", .user_agent = "Moz\x1b[2Jilla"});
    APPEND(&first, KW_FACT_GENERATION_ESTABLISHED, .generation = 1,
           .u.established = {.version = KW_DTLS_1_3});
    APPEND(&first, KW_FACT_REFUSED, .u.refused = {.rule = "malformed-sdp", .count = 1});
    APPEND(&first, KW_FACT_ROTATED, .generation = 2,
           .u.rotated = {.from = 1,
                         .method = "parallel",
                         .reason = "time",
                         .audio_cut = "sender-reports",
                         .audio_error_us = -4321,
                         .audio_wait_us = 1200000,
                         .video_cut = "none"});
    APPEND(&first, KW_FACT_ROTATED, .version = 1, .generation = 3, .u.rotated = {.from = 2});
    APPEND(&second, KW_FACT_SESSION_OPENED, .u.opened = {.method = "cap"});
    APPEND(&second, KW_FACT_REFUSED, .u.refused = {.rule = "fingerprint-mismatch", .count = 1});
    APPEND(&second, KW_FACT_SESSION_CLOSED, .u.closed = {.reason = "handshake"});
    APPEND(&first, KW_FACT_SESSION_CLOSED, .u.closed = {.reason = "limit"});
    APPEND(&third, KW_FACT_SESSION_OPENED, .u.opened = {.method = "cap"});
    APPEND(&third, KW_FACT_OVERDUE, .u.overdue = {.beyond_us = 60000000});
    store->ops->close(store);
    return 0;
}

static int tidy(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* Runs keywheel with these arguments; stdout and stderr are in output. */
static int keywheel(const char *arguments)
{
    char command[512];
    size_t len;
    FILE *pipe;

    snprintf(command, sizeof command, "cd %s && " KW_KEYWHEEL " %s 2>&1", folder, arguments);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    len = fread(output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void says(const char *text)
{
    CHECK(strstr(output, text) != NULL, "\"%s\" is not in\n%s", text, output);
}

static size_t lines(void)
{
    size_t count = 0;

    for (const char *at = output; *at != '\0'; at++)
        count += *at == '\n';
    return count;
}

static void the_list_has_a_line_for_each_session(void **state)
{
    (void)state;
    assert_int_equal(keywheel("audit list --data ."), 0);
    assert_int_equal(lines(), 5); /* two refusals, three sessions */
    says("refused: no-fingerprint\n");
    says("refused: quota (37 times)\n");
    says("parallel  closed: limit\n"); /* the refused offer cost it nothing */
    says("cap  refused: fingerprint-mismatch\n");
    says("cap  overdue\n");
}

static void a_rotation_is_shown_with_its_cost(void **state)
{
    (void)state;
    assert_int_equal(keywheel("audit show abcdef01 --data ."), 0);
    says("audio_cut          sender-reports\n");
    says("audio_error_us     -4321\n");
    says("audio_wait_us      1200000\n");
    says("video_cut          none\n");
    says("reason             time\n");
    says("Moz\\x1b[2Jilla"); /* no text of a peer drives a terminal */
    assert_null(strchr(output, 0x1b));
}

static void json_says_the_same(void **state)
{
    json_t *facts, *fact;
    size_t rotations = 0;
    size_t i;

    (void)state;
    assert_int_equal(keywheel("audit show abcdef01 --json --data ."), 0);
    facts = json_loads(output, 0, NULL);
    assert_int_equal(json_array_size(facts), 6);
    json_array_foreach(facts, i, fact)
    {
        if (strcmp(json_string_value(json_object_get(fact, "type")), "rotated") != 0)
            continue;
        rotations++;
        /* the older fact is shown as it was written: without what its version lacks */
        if (rotations == 1)
            assert_int_equal(json_integer_value(json_object_get(fact, "audio_error_us")), -4321);
        else
            assert_null(json_object_get(fact, "audio_error_us"));
    }
    assert_int_equal(rotations, 2);
    json_decref(facts);
    assert_int_equal(keywheel("audit list --json --data ."), 0);
    facts = json_loads(output, 0, NULL);
    assert_int_equal(json_array_size(facts), 5);
    json_decref(facts);
}

static void exit_codes_are_those_of_the_manual(void **state)
{
    static const struct {
        const char *arguments;
        int status;
        const char *said;
    } rows[] = {
        {"", 2, "a command is needed"},
        {"frob", 2, "there is no such command"},
        {"help", 0, "Usage: keywheel COMMAND"},
        {"--help", 0, "Usage: keywheel COMMAND"},
        {"version", 0, "keywheel "},
        {"--version", 0, "keywheel "},
        {"audit", 2, "list, or show and a session, is expected"},
        {"audit --help", 0, "Usage: keywheel audit list"},
        {"audit list --frob", 2, "wrong option"},
        {"audit list --since yesterday", 2, "--since: a date"},
        {"audit list --tenant ../etc/passwd", 2, "--tenant: not a tenant's name"},
        {"audit list --data nowhere", 1, "nowhere: No such file"},
        {"audit list --tenant nobody --data .", 1, "nobody.db"},
        {"audit show abcdef --data .", 3, "several sessions begin so"},
        {"audit show ffffff --data .", 3, "there is no such session"},
        {"audit show abc --data .", 2, "at least 6 of its 32 hex digits"},
        {"audit show 00000000 --data .", 0, "refused"},
        {"run --help", 0, "Usage: keywheeld"},
        {"run --frob", 2, "keywheeld --help tells the options"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        int status = keywheel(rows[i].arguments);

        CHECK(status == rows[i].status, "keywheel %s: %d\n%s", rows[i].arguments, status, output);
        says(rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_has_a_line_for_each_session),
        cmocka_unit_test(a_rotation_is_shown_with_its_cost),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(exit_codes_are_those_of_the_manual),
    };

    return cmocka_run_group_tests(tests, fill, tidy);
}
