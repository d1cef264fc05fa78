/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that change their keys through a keywheeld on real sockets: by `parallel`, `restart` and
 * `overlap`, seen by a client that knows its own keys; and what the evidence says of these, of
 * `cap`, and of a call that is overdue.
 */
#include "check.h"

#include "peer.h"
#include "sys/clock.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATIONS = 4, SSRC_FIRST = 0x4b570010, INTERVAL_MS = 20 };

static struct daemon daemon_of_test;
static struct peer peers[GENERATIONS + 1];

static int set_up(void **state)
{
    (void)state;
    memset(peers, 0, sizeof peers);
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++)
        peers[i].fd = -1;
    peer_world_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    daemon_end(&daemon_of_test, SIGKILL);
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++)
        peer_free(&peers[i]);
    peer_world_close();
    daemon_remove_folder(&daemon_of_test);
    return 0;
}

static void start(const char *const *tenant)
{
    CHECK(daemon_start_tenant(&daemon_of_test, tenant, NULL), "%s",
          daemon_file(&daemon_of_test, "err"));
}

static void end(void)
{
    daemon_end(&daemon_of_test, SIGTERM);
    CHECK(daemon_of_test.exit_status == 0, "exit %d\n%s", daemon_of_test.exit_status,
          daemon_file(&daemon_of_test, "err"));
}

/* --- evidence --------------------------------------------------------------------------------- */

static json_t *command_json(const char *arguments)
{
    char command[512];
    json_error_t error;
    json_t *json;

    snprintf(command, sizeof command,
             "cd %s && " KW_KEYWHEEL " audit %s --data data --json > audit.json",
             daemon_of_test.folder, arguments);
    CHECK(system(command) == 0, "%s", command);
    json = json_loads(daemon_file(&daemon_of_test, "audit.json"), 0, &error);
    CHECK(json != NULL, "%s: %s", arguments, error.text);
    return json;
}

/* All facts of the session that was opened as the n-th. */
static json_t *facts_of(size_t n)
{
    json_t *list = command_json("list");
    const char *session = json_string_value(json_object_get(json_array_get(list, n), "session"));
    char arguments[128];

    assert_non_null(session);
    snprintf(arguments, sizeof arguments, "show %s", session);
    json_decref(list);
    return command_json(arguments);
}

/* The n-th fact of this type; NULL: there are not so many. */
static const json_t *fact(const json_t *facts, const char *type, size_t n)
{
    for (size_t i = 0; i < json_array_size(facts); i++) {
        const json_t *found = json_array_get(facts, i);

        if (strcmp(json_string_value(json_object_get(found, "type")), type) == 0 && n-- == 0)
            return found;
    }
    return NULL;
}

static const char *text(const json_t *of, const char *key)
{
    const char *value = json_string_value(json_object_get(of, key));

    CHECK(value != NULL, "no %s", key);
    return value;
}

static json_int_t number(const json_t *of, const char *key)
{
    const json_t *value = json_object_get(of, key);

    CHECK(json_is_integer(value), "no %s", key);
    return json_integer_value(value);
}

/* --- parallel and restart --------------------------------------------------------------------- */

/* All connections send on a common schedule for a while. */
static void talk(struct peer *const *speaking, size_t count, kw_ns time)
{
    static const uint8_t payload[80] = {1};
    kw_ns next = kw_clock_now(), until = next + time;

    while (next < until) {
        for (size_t i = 0; i < count; i++) {
            const struct peer_frame frame = {
                .payload_type = 111,
                .seq = speaking[i]->seq,
                .timestamp = (uint32_t)speaking[i]->seq * 960,
                .payload = payload,
                .len = sizeof payload,
            };

            peer_send(speaking[i], &frame);
            speaking[i]->seq++;
        }
        next += KW_MS(INTERVAL_MS);
        peers_run(speaking, count, next);
    }
}

static void connect_peer(struct peer *peer)
{
    CHECK(peer_run(peer, KW_S(10), peer_is_connected), "not connected\n%s",
          daemon_file(&daemon_of_test, "err"));
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* RFC 5764, section 4.2: what the exporter gives, in order: client key, server key, salts. */
static void keys_are_the_exporters(const struct peer *peer)
{
    const struct kw_srtp_master *write = &peer->keys.write, *read = &peer->keys.read;
    const uint8_t *exported = peer->exported;

    assert_int_equal(write->profile, KW_SRTP_AEAD_AES_128_GCM);
    assert_memory_equal(exported, write->key, 16);
    assert_memory_equal(exported + 16, read->key, 16);
    assert_memory_equal(exported + 32, write->salt, 12);
    assert_memory_equal(exported + 44, read->salt, 12);
}

static void nothing_is_shared(const struct peer *a, const struct peer *b)
{
    const uint8_t *of_a[] = {a->keys.write.key, a->keys.read.key};
    const uint8_t *of_b[] = {b->keys.write.key, b->keys.read.key};

    for (size_t i = 0; i < 2; i++) {
        assert_false(is_zero(of_a[i], 16));
        for (size_t k = 0; k < 2; k++)
            assert_memory_not_equal(of_a[i], of_b[k], 16);
    }
    assert_memory_not_equal(a->keys.write.salt, b->keys.write.salt, 12);
    assert_memory_not_equal(a->keys.read.salt, b->keys.read.salt, 12);
    assert_memory_not_equal(a->exported, b->exported, PEER_EXPORTED_LEN);
    assert_false(kw_fingerprint_equal(&a->fingerprint, &b->fingerprint));
    assert_false(kw_fingerprint_equal(&a->remote_fingerprint, &b->remote_fingerprint));
}

static void fingerprint_text(const struct kw_fingerprint *fingerprint,
                             char dst[KW_FINGERPRINT_TEXT_MAX])
{
    kw_fingerprint_format(fingerprint, dst);
}

/* Each generation is in the evidence with the certificates of its handshake. */
static void generations_are_recorded(const json_t *facts, const char *method)
{
    for (size_t i = 0; i < GENERATIONS; i++) {
        const json_t *established = fact(facts, "generation-established", i);
        char ours[KW_FINGERPRINT_TEXT_MAX], theirs[KW_FINGERPRINT_TEXT_MAX];

        assert_non_null(established);
        fingerprint_text(&peers[i].fingerprint, ours);
        fingerprint_text(&peers[i].remote_fingerprint, theirs);
        assert_int_equal(number(established, "generation"), i + 1);
        assert_string_equal(text(established, "method"), i == 0 ? "initial" : method);
        assert_string_equal(text(established, "peer_fingerprint"), ours);
        assert_string_equal(text(established, "our_fingerprint"), theirs);
        assert_string_equal(text(established, "dtls_version"), "DTLS 1.3");
        assert_true(number(established, "duration_us") > 0);
    }
    assert_null(fact(facts, "generation-established", GENERATIONS));
}

static void rotations_are_recorded(const json_t *facts, const char *method, const char *reason)
{
    for (size_t i = 0; i + 1 < GENERATIONS; i++) {
        const json_t *rotated = fact(facts, "rotated", i);

        CHECK(rotated != NULL, "%zu rotations are recorded, not %d", i, GENERATIONS - 1);
        assert_int_equal(number(rotated, "from"), i + 1);
        assert_int_equal(number(rotated, "generation"), i + 2);
        assert_string_equal(text(rotated, "method"), method);
        assert_string_equal(text(rotated, "reason"), reason);
        assert_true(number(rotated, "negotiation_us") > 0);
        assert_true(number(rotated, "switch_us") >= 0);
        assert_true(number(rotated, "overlap_us") > 0);
        assert_true(number(rotated, "old_age_us") > 0);
        assert_true(number(rotated, "old_packets") > 0);
        assert_true(number(rotated, "old_bytes") > 0);
        assert_int_equal(number(rotated, "lost"), 0);
    }
    assert_null(fact(facts, "rotated", GENERATIONS - 1));
}

/* Says that new keys are wanted; while the overlap of the last rotation lasts it is not yet time.
 */
static void ask_for_keys(const struct peer *peer)
{
    char answer[4096];

    assert_int_equal(peer_ask(peer, &daemon_of_test, "POST", "/rotate", answer, sizeof answer),
                     202);
}

static const char *const quick[] = {"rotation: {period: 8s}", NULL}; /* an overlap of 2 s */

/*
 * Three rotations, each answered by a second connection of the client. No two generations have a
 * key, a salt or a certificate in common, on either side.
 */
static void parallel_gives_each_generation_its_own_keys(void **state)
{
    json_t *facts;

    (void)state;
    start(quick);
    CHECK(peer_call(&peers[0], &daemon_of_test), "status %d", peers[0].http_status);
    connect_peer(&peers[0]);
    for (size_t i = 1; i < GENERATIONS; i++) {
        struct peer *both[2] = {&peers[i - 1], &peers[i]};
        char path[300];

        talk(both, 1, KW_MS(500));
        ask_for_keys(both[0]);
        snprintf(path, sizeof path, "%s/generations", both[0]->location);
        CHECK(peer_post(both[1], &daemon_of_test, path, (uint32_t)(SSRC_FIRST + i)), "status %d",
              both[1]->http_status);
        connect_peer(both[1]);
        talk(both, 2, KW_S(1));
        peer_close(both[0]);
        talk(both + 1, 1, KW_MS(1500));
    }
    assert_int_equal(peer_hang_up(&peers[GENERATIONS - 1], &daemon_of_test), 200);
    for (size_t i = 0; i < GENERATIONS; i++) {
        keys_are_the_exporters(&peers[i]);
        for (size_t k = 0; k < i; k++)
            nothing_is_shared(&peers[i], &peers[k]);
        /* echoed while it was the one that speaks */
        CHECK(peers[i].back + 10 >= peers[i].sent && peers[i].back != 0, "%zu: %llu of %llu", i,
              (unsigned long long)peers[i].back, (unsigned long long)peers[i].sent);
    }
    end();
    facts = facts_of(0);
    assert_string_equal(text(fact(facts, "session-opened", 0), "method"), "parallel");
    generations_are_recorded(facts, "parallel");
    rotations_are_recorded(facts, "parallel", "operator");
    assert_string_equal(text(fact(facts, "session-closed", 0), "reason"), "local");
    json_decref(facts);
}

/* The same connection, the same socket: everything else is new. */
static void restart_gives_each_generation_its_own_keys(void **state)
{
    json_t *facts;

    (void)state;
    start(quick);
    CHECK(peer_call(&peers[0], &daemon_of_test), "status %d", peers[0].http_status);
    connect_peer(&peers[0]);
    for (size_t i = 1; i < GENERATIONS; i++) {
        struct peer *new = &peers[i];

        talk(&(struct peer *){&peers[i - 1]}, 1, KW_MS(500));
        ask_for_keys(&peers[i - 1]);
        CHECK(peer_restart(new, &peers[i - 1], &daemon_of_test), "status %d", new->http_status);
        connect_peer(new);
        talk(&new, 1, KW_MS(2500));
    }
    assert_int_equal(peer_hang_up(&peers[GENERATIONS - 1], &daemon_of_test), 200);
    for (size_t i = 0; i < GENERATIONS; i++) {
        keys_are_the_exporters(&peers[i]);
        for (size_t k = 0; k < i; k++)
            nothing_is_shared(&peers[i], &peers[k]);
        CHECK(peers[i].back + 10 >= peers[i].sent && peers[i].back != 0, "%zu: %llu of %llu", i,
              (unsigned long long)peers[i].back, (unsigned long long)peers[i].sent);
    }
    end();
    facts = facts_of(0);
    generations_are_recorded(facts, "restart");
    rotations_are_recorded(facts, "restart", "operator");
    json_decref(facts);
}

/*
 * The same connection, the same socket, the same ICE session, and no request at all: a second
 * association beside the first one, whose keys are its own.
 */
static void overlap_gives_each_generation_its_own_keys(void **state)
{
    uint64_t sent = 0, back = 0;
    json_t *facts;

    (void)state;
    start(quick);
    CHECK(peer_call_overlap(&peers[0], &daemon_of_test), "status %d", peers[0].http_status);
    connect_peer(&peers[0]);
    for (size_t i = 1; i < GENERATIONS; i++) {
        struct peer *new = &peers[i];

        talk(&(struct peer *){&peers[i - 1]}, 1, KW_MS(500));
        CHECK(peer_overlap(new, &peers[i - 1]), "ROTATE %zu is not answered", i);
        connect_peer(new);
        talk(&new, 1, KW_MS(2500)); /* an overlap of 2 s */
    }
    assert_int_equal(peer_hang_up(&peers[GENERATIONS - 1], &daemon_of_test), 200);
    for (size_t i = 0; i < GENERATIONS; i++) {
        keys_are_the_exporters(&peers[i]);
        for (size_t k = 0; k < i; k++)
            nothing_is_shared(&peers[i], &peers[k]);
        sent += peers[i].sent;
        back += peers[i].back;
    }
    /* What was on its way when it hung up, and nothing else. */
    CHECK(back + 2 >= sent && back != 0, "%llu of %llu", (unsigned long long)back,
          (unsigned long long)sent);
    end();
    facts = facts_of(0);
    assert_string_equal(text(fact(facts, "session-opened", 0), "method"), "parallel");
    generations_are_recorded(facts, "overlap");
    rotations_are_recorded(facts, "overlap", "peer");
    json_decref(facts);
}

/* A call that hangs up while the old keys are still accepted has rotated none the less. */
static void a_rotation_is_recorded_when_the_call_ends_within_it(void **state)
{
    struct peer *both[2] = {&peers[0], &peers[1]};
    const json_t *rotated;
    char path[300];
    json_t *facts;

    (void)state;
    start(NULL); /* an overlap of 10 s */
    CHECK(peer_call(both[0], &daemon_of_test), "status %d", both[0]->http_status);
    connect_peer(both[0]);
    talk(both, 1, KW_MS(500));
    snprintf(path, sizeof path, "%s/generations", both[0]->location);
    CHECK(peer_post(both[1], &daemon_of_test, path, SSRC_FIRST), "status %d", both[1]->http_status);
    connect_peer(both[1]);
    talk(both, 2, KW_MS(500));
    assert_int_equal(peer_hang_up(both[1], &daemon_of_test), 200);
    end();
    facts = facts_of(0);
    rotated = fact(facts, "rotated", 0);
    assert_non_null(rotated);
    assert_string_equal(text(rotated, "method"), "parallel");
    assert_true(number(rotated, "overlap_us") >= 400000);
    assert_int_equal(number(rotated, "lost"), 0);
    json_decref(facts);
}

/* --- cap and overdue -------------------------------------------------------------------------- */

/* Plain WHIP cannot rotate: its session is told so, and ends at L. */
static void a_capped_call_ends_at_its_limit(void **state)
{
    static const char *const tenant[] = {"rotation: {period: 3s}", NULL};
    struct peer *peer = &peers[0];
    const json_t *closed;
    json_t *facts;
    kw_ns begin;

    (void)state;
    start(tenant);
    CHECK(peer_post(peer, &daemon_of_test, "/whip/clinic", SSRC_FIRST), "status %d",
          peer->http_status);
    connect_peer(peer);
    begin = kw_clock_now();
    while (!peer->is_closed && kw_clock_now() < begin + KW_S(10))
        talk(&peer, 1, KW_MS(INTERVAL_MS));
    assert_true(peer->is_closed);
    assert_true(kw_clock_now() - begin < KW_MS(3500));
    end();
    facts = facts_of(0);
    assert_string_equal(text(fact(facts, "session-opened", 0), "method"), "cap");
    assert_int_equal(number(fact(facts, "session-opened", 0), "limit_seconds"), 3);
    closed = fact(facts, "session-closed", 0);
    assert_string_equal(text(closed, "reason"), "limit");
    assert_true(number(closed, "duration_us") >= 3000000);
    assert_null(fact(facts, "rotated", 0));
    json_decref(facts);
}

/* With grace a call goes on beyond L, and the evidence says by how much. */
static void an_overdue_call_goes_on_and_is_recorded(void **state)
{
    static const char *const tenant[] = {"rotation: {period: 2s, at-limit: {grace: 2s}}", NULL};
    struct peer *peer = &peers[0];
    const json_t *overdue;
    json_t *facts;
    kw_ns begin;

    (void)state;
    start(tenant);
    CHECK(peer_call(peer, &daemon_of_test), "status %d", peer->http_status);
    connect_peer(peer);
    begin = kw_clock_now();
    while (!peer->is_closed && kw_clock_now() < begin + KW_S(10))
        talk(&peer, 1, KW_MS(INTERVAL_MS)); /* and nobody answers what is due */
    assert_true(peer->is_closed);
    assert_true(kw_clock_now() - begin >= KW_MS(3900));
    assert_true(peer->back >= 180); /* nearly four seconds of it */
    end();
    facts = facts_of(0);
    overdue = fact(facts, "overdue", 0);
    assert_non_null(overdue);
    assert_int_equal(number(overdue, "generation"), 1);
    assert_true(number(overdue, "beyond_us") < 1000000);
    assert_null(fact(facts, "overdue", 1)); /* once a minute */
    assert_string_equal(text(fact(facts, "session-closed", 0), "reason"), "limit");
    json_decref(facts);
}

/* --- killed ----------------------------------------------------------------------------------- */

static size_t count_of(const char *type, const json_t *facts)
{
    size_t count = 0;

    while (fact(facts, type, count) != NULL)
        count++;
    return count;
}

/*
 * Killed in the middle of a rotation: what was recorded stays, no rotation is claimed that did not
 * end, the client hears nothing more, and a gateway that starts again on the same data takes a new
 * call.
 */
static void a_gateway_killed_in_a_rotation_leaves_its_evidence(void **state)
{
    struct peer *both[2] = {&peers[0], &peers[1]}, *again = &peers[2];
    char path[300], folder[64];
    uint64_t back;
    json_t *facts;

    (void)state;
    start(NULL);
    CHECK(peer_call(both[0], &daemon_of_test), "status %d", both[0]->http_status);
    connect_peer(both[0]);
    talk(both, 1, KW_MS(500));
    snprintf(path, sizeof path, "%s/generations", both[0]->location);
    CHECK(peer_post(both[1], &daemon_of_test, path, SSRC_FIRST), "status %d", both[1]->http_status);
    connect_peer(both[1]);
    talk(both, 2, KW_MS(500)); /* long enough to be stored */
    daemon_end(&daemon_of_test, SIGKILL);
    back = both[0]->back + both[1]->back;
    talk(both, 2, KW_MS(300)); /* into the void: an error of the socket ends nothing */
    assert_true(both[0]->back + both[1]->back <= back + 2);
    assert_false(both[0]->is_closed || both[1]->is_closed);

    strcpy(folder, daemon_of_test.folder);
    CHECK(daemon_start_tenant(&daemon_of_test, NULL, folder), "%s",
          daemon_file(&daemon_of_test, "err"));
    talk(both, 2, KW_MS(100)); /* the old connections are nobody's now */
    CHECK(peer_call(again, &daemon_of_test), "status %d", again->http_status);
    connect_peer(again);
    talk(&again, 1, KW_MS(300));
    assert_true(again->back >= 10);
    assert_int_equal(peer_hang_up(again, &daemon_of_test), 200);
    end();
    facts = facts_of(0);
    assert_int_equal(count_of("generation-established", facts), 2);
    assert_int_equal(count_of("rotated", facts), 0);
    assert_int_equal(count_of("session-closed", facts), 0);
    json_decref(facts);
    facts = facts_of(1);
    assert_int_equal(count_of("session-closed", facts), 1);
    json_decref(facts);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(parallel_gives_each_generation_its_own_keys),
        TEST(restart_gives_each_generation_its_own_keys),
        TEST(overlap_gives_each_generation_its_own_keys),
        TEST(a_rotation_is_recorded_when_the_call_ends_within_it),
        TEST(a_capped_call_ends_at_its_limit),
        TEST(an_overdue_call_goes_on_and_is_recorded),
        TEST(a_gateway_killed_in_a_rotation_leaves_its_evidence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
