/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of WHIP (RFC 9725) and of /v1/calls, without a socket: a request, the answer. */
#include "check.h"

#include "gateway/world.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct world_config plain = {
    .seed = 3,
    .link = {.delay = KW_MS(5)},
    .calls_max = 32,
    .clients_max = 64,
};

static const char sdp_type[] = "application/sdp";
static const char frag_type[] = "application/trickle-ice-sdpfrag";

/* The body is problem+json with what every problem has; returns it. */
static json_t *problem(struct world *world)
{
    json_error_t error;
    json_t *body = json_loadb((const char *)world->response.body, world->response.body_len,
                              JSON_REJECT_DUPLICATES, &error);

    assert_string_equal(world->response.content_type, "application/problem+json");
    CHECK(body != NULL, "no JSON: %s", error.text);
    assert_true(json_is_string(json_object_get(body, "title")));
    assert_true(json_is_string(json_object_get(body, "detail")));
    assert_int_equal(json_integer_value(json_object_get(body, "status")), world->response.status);
    return body;
}

/* {id} stands for the id of a live call of tenant demo, {whip} for one of its WHIP calls. */
static const struct {
    enum kw_request_method method;
    const char *path;
    const char *token;
    const char *type;
    const char *body;
    const char *if_match;
    int status;
    const char *header; /* that must be there; NULL: none */
    const char *value;  /* NULL: any */
    const char *why;
} rules[] = {
    /* who */
    {KW_REQUEST_POST, "/v1/calls", "", sdp_type, "OFFER", "", 401, "WWW-Authenticate", "Bearer",
     "no token"},
    {KW_REQUEST_POST, "/v1/calls", "wrong", sdp_type, "OFFER", "", 401, "WWW-Authenticate",
     "Bearer", "a wrong token"},
    {KW_REQUEST_POST, "/v1/calls", "demo-toke", sdp_type, "OFFER", "", 401, NULL, NULL,
     "a prefix of a token"},
    {KW_REQUEST_GET, "/v1/calls/{id}", "other-token", "", "", "", 404, NULL, NULL,
     "another tenant's call does not exist"},
    {KW_REQUEST_DELETE, "/v1/calls/{id}", "other-token", "", "", "", 404, NULL, NULL,
     "nor can it be ended"},
    {KW_REQUEST_GET, "/v1/calls/{id}", "", "", "", "", 401, NULL, NULL, "nor seen without a token"},
    {KW_REQUEST_POST, "/whip/other", "demo-token", sdp_type, "OFFER", "", 404, NULL, NULL,
     "another tenant's endpoint"},
    /* what */
    {KW_REQUEST_GET, "/v1/calls/00000000000000000000000000000000", "demo-token", "", "", "", 404,
     NULL, NULL, "an unknown call"},
    {KW_REQUEST_GET, "/v1/calls/xyz", "demo-token", "", "", "", 404, NULL, NULL, "not an id"},
    {KW_REQUEST_GET, "/v1", "demo-token", "", "", "", 404, NULL, NULL, "no resource"},
    {KW_REQUEST_GET, "/v1/calls/", "demo-token", "", "", "", 404, NULL, NULL, "an empty part"},
    {KW_REQUEST_GET, "/v1/calls/{id}/nothing", "demo-token", "", "", "", 404, NULL, NULL,
     "no such part"},
    {KW_REQUEST_GET, "/v1/calls/{id}/events/x", "demo-token", "", "", "", 404, NULL, NULL,
     "too deep"},
    {KW_REQUEST_GET, "/v1/calls/{whip}", "demo-token", "", "", "", 404, NULL, NULL,
     "a WHIP call lives below /whip only"},
    {KW_REQUEST_GET, "/whip/demo/{id}", "demo-token", "", "", "", 404, NULL, NULL,
     "and the other way round"},
    /* methods */
    {KW_REQUEST_GET, "/v1/calls", "demo-token", "", "", "", 405, "Allow", "POST, OPTIONS",
     "calls are not listed"},
    {KW_REQUEST_DELETE, "/v1/calls", "demo-token", "", "", "", 405, "Allow", "POST, OPTIONS",
     "nor ended at once"},
    {KW_REQUEST_POST, "/v1/calls/{id}", "demo-token", sdp_type, "OFFER", "", 405, "Allow",
     "GET, PATCH, DELETE, OPTIONS", "a call takes no offer"},
    {KW_REQUEST_OTHER, "/whip/demo", "demo-token", "", "", "", 405, "Allow", "GET, POST, OPTIONS",
     "PUT and the like"},
    {KW_REQUEST_POST, "/v1/calls/{id}/events", "demo-token", "", "", "", 405, "Allow",
     "GET, OPTIONS", "events are read"},
    {KW_REQUEST_GET, "/v1/calls/{id}/generations", "demo-token", "", "", "", 405, "Allow",
     "POST, OPTIONS", "generations are added"},
    {KW_REQUEST_GET, "/whip/demo", "demo-token", "", "", "", 204, NULL, NULL,
     "RFC 9725 4.1: GET is 2XX without content"},
    {KW_REQUEST_GET, "/whip/demo/{whip}", "demo-token", "", "", "", 204, NULL, NULL,
     "of a session too"},
    /* types */
    {KW_REQUEST_POST, "/v1/calls", "demo-token", "", "OFFER", "", 415, "Accept-Post", sdp_type,
     "no type"},
    {KW_REQUEST_POST, "/v1/calls", "demo-token", "application/json", "OFFER", "", 415,
     "Accept-Post", sdp_type, "another type"},
    {KW_REQUEST_POST, "/v1/calls", "demo-token", "application/sdpx", "OFFER", "", 415, NULL, NULL,
     "a longer type"},
    {KW_REQUEST_POST, "/v1/calls", "demo-token", "Application/SDP; charset=utf-8", "OFFER", "", 201,
     NULL, NULL, "parameters and case do not matter"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", sdp_type, "OFFER", "*", 415, "Accept-Patch",
     frag_type, "a PATCH with an offer"},
    /* offers */
    {KW_REQUEST_POST, "/v1/calls", "demo-token", sdp_type, "nonsense", "", 400, NULL, NULL,
     "not SDP"},
    {KW_REQUEST_POST, "/v1/calls", "demo-token", sdp_type, "", "", 400, NULL, NULL, "empty"},
    {KW_REQUEST_POST, "/v1/calls", "demo-token", sdp_type, "OFFER", "", 201, "Accept-Patch",
     frag_type, "a call"},
    {KW_REQUEST_POST, "/whip/demo", "demo-token", sdp_type, "OFFER", "", 201, "ETag", NULL,
     "a WHIP session"},
    /* ICE */
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "TRICKLE", "", 428, NULL, NULL,
     "RFC 9725 4.3.1: a missing entity-tag"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "TRICKLE", "\"other\"", 412, NULL,
     NULL, "a tag that does not match"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "TRICKLE", "W/{etag}", 412, NULL,
     NULL, "RFC 9110 13.1.1: weak tags never match"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "TRICKLE", "{etag}", 204, NULL,
     NULL, "candidates"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "TRICKLE", "\"a\", {etag}", 204,
     NULL, NULL, "one of a list"},
    {KW_REQUEST_PATCH, "/whip/demo/{whip}", "demo-token", frag_type, "TRICKLE", "*", 204, NULL,
     NULL, "* matches, and the credentials are the old ones"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "a=ice-pwd:x\r\n", "*", 400, NULL,
     NULL, "a broken fragment"},
    {KW_REQUEST_PATCH, "/v1/calls/{id}", "demo-token", frag_type, "RESTART", "*", 200, "ETag", NULL,
     "an ICE restart"},
    /* rotation */
    {KW_REQUEST_POST, "/v1/calls/{id}/generations", "demo-token", sdp_type, "OFFER", "", 409, NULL,
     NULL, "no generation before the first one is up"},
    {KW_REQUEST_POST, "/whip/demo/{whip}/generations", "demo-token", sdp_type, "OFFER", "", 404,
     NULL, NULL, "WHIP has no generations"},
    {KW_REQUEST_GET, "/whip/demo/{whip}/events", "demo-token", "", "", "", 200, NULL, NULL,
     "but events"},
    {KW_REQUEST_POST, "/v1/calls/{id}/rotate", "demo-token", "", "", "", 202, NULL, NULL,
     "an operator's wish"},
    /* RFC 9725 4.1: any entity-tag is ignored by DELETE */
    {KW_REQUEST_DELETE, "/whip/demo/{whip}", "demo-token", "", "", "\"x\"", 200, NULL, NULL,
     "DELETE"},
    {KW_REQUEST_DELETE, "/whip/demo/{whip}", "demo-token", "", "", "", 404, NULL, NULL,
     "and then it is gone"},
    {KW_REQUEST_DELETE, "/v1/calls/{id}", "demo-token", "", "", "", 200, NULL, NULL, "DELETE"},
};

static char *replaced(char *text, const char *mark, const char *with)
{
    char *at = strstr(text, mark);
    char rest[1024];

    if (at == NULL)
        return text;
    strcpy(rest, at + strlen(mark));
    strcpy(at, with);
    strcat(at, rest);
    return text;
}

static void every_rule_has_its_answer(void **state)
{
    struct world *world = world_new(&plain);
    char id[64], whip[64], etag[64], path[1024], if_match[256];
    size_t len;

    (void)state;
    (void)world_peer(world, &len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token", sdp_type,
                                   world->offer, len),
                     201);
    strcpy(id, strrchr(world_header(world, "Location"), '/') + 1);
    strcpy(etag, world_header(world, "ETag"));
    (void)world_peer(world, &len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/whip/demo", "demo-token", sdp_type,
                                   world->offer, len),
                     201);
    strcpy(whip, strrchr(world_header(world, "Location"), '/') + 1);

    for (size_t i = 0; i < KW_ARRAY_LEN(rules); i++) {
        const char *body = rules[i].body;
        int status;

        if (strcmp(body, "OFFER") == 0) {
            (void)world_peer(world, &len);
            world->offer[len] = 0;
            body = (const char *)world->offer;
        } else if (strcmp(body, "TRICKLE") == 0) {
            body = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
                   "a=candidate:1 1 udp 2122260223 192.0.2.77 61764 typ host\r\n"
                   "a=candidate:2 1 udp 2122260223 name.local 61765 typ host\r\n"
                   "a=end-of-candidates\r\n";
        } else if (strcmp(body, "RESTART") == 0) {
            body = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:ysXw\r\n"
                   "a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n";
        }
        strcpy(path, rules[i].path);
        replaced(replaced(path, "{id}", id), "{whip}", whip);
        strcpy(if_match, rules[i].if_match);
        replaced(if_match, "{etag}", etag);
        strcpy(world->request.if_match, if_match);
        status = world_request(world, rules[i].method, path, rules[i].token, rules[i].type, body,
                               strlen(body));
        CHECK(status == rules[i].status, "%s: %s is %d instead of %d", rules[i].why, path, status,
              rules[i].status);
        if (status >= 400)
            json_decref(problem(world));
        if (rules[i].header != NULL)
            CHECK(strcmp(world_header(world, rules[i].header), "") != 0 &&
                      (rules[i].value == NULL ||
                       strcmp(world_header(world, rules[i].header), rules[i].value) == 0),
                  "%s: %s is '%s'", rules[i].why, rules[i].header,
                  world_header(world, rules[i].header));
        if (status == 204) {
            CHECK(world->response.body_len == 0, "%s: 204 with a body", rules[i].why);
            CHECK(strcmp(world_header(world, "ETag"), "") == 0, "%s: 204 with ETag", rules[i].why);
        }
    }
    world_free(world);
}

/* What is wrong with an offer is named: the rule, or the line. */
static void refused_offers_are_explained(void **state)
{
    static const struct {
        const char *from, *to;
        int status;
        const char *why;
    } rows[] = {
        {"a=fingerprint:", "a=fingerprinx:", 422, "no fingerprint"},
        {"a=setup:actpass", "a=setup:passive", 422, "the peer wants to be the server"},
        {"a=group:BUNDLE", "a=group:BUNDLX", 422, "no BUNDLE"},
        {"a=rtcp-mux", "a=rtcp-mox", 422, "no rtcp-mux"},
        {"opus/48000/2", "opis/48000/2", 201, "PCMU is left"},
        {"v=0", "v=1", 400, "a version that does not exist"},
        {"m=audio", "m=audix", 406, "nothing that we know"},
    };
    struct world *world = world_new(&plain);

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        size_t len;
        char *at;
        json_t *body;
        int status;

        (void)world_peer(world, &len);
        world->offer[len] = 0;
        while ((at = strstr((char *)world->offer, rows[i].from)) != NULL)
            memcpy(at, rows[i].to, strlen(rows[i].to));
        status = world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token", sdp_type,
                               world->offer, len);
        CHECK(status == rows[i].status, "%s: %d", rows[i].why, status);
        if (status == 201)
            continue;
        body = problem(world);
        if (status == 422 || status == 406)
            CHECK(json_is_string(json_object_get(body, "rule")), "%s: no rule", rows[i].why);
        if (status == 400)
            assert_true(json_integer_value(json_object_get(body, "line")) >= 1);
        json_decref(body);
        /* Refused after authentication: recorded, with the rule. */
        assert_non_null(world_last_fact(world, KW_FACT_REFUSED));
        assert_string_not_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule, "");
    }
    world_free(world);
}

static void a_token_that_fails_leaves_no_record(void **state)
{
    struct world *world = world_new(&plain);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(
            world_request(world, KW_REQUEST_POST, "/v1/calls", "guess", sdp_type, "x", 1), 401);
    assert_int_equal(world->fact_count, 0);
    world_free(world);
}

/* RFC 9725: Location, ETag, Link; an answer that only receives. The cap is told at once. */
static void a_whip_answer_is_complete(void **state)
{
    struct world *world = world_new(&plain);
    size_t len;

    (void)state;
    (void)world_peer(world, &len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/whip/demo", "demo-token", sdp_type,
                                   world->offer, len),
                     201);
    assert_string_equal(world->response.content_type, sdp_type);
    world->response.body[world->response.body_len] = 0;
    assert_non_null(strstr((char *)world->response.body, "a=recvonly"));
    assert_null(strstr((char *)world->response.body, "a=sendrecv"));
    assert_memory_equal(world_header(world, "Location"), "/whip/demo/", 11);
    assert_int_equal(world_header(world, "ETag")[0], '"');
    assert_non_null(strstr(world_header(world, "Link"), "/events>; rel="));
    assert_memory_equal(world_header(world, "Keywheel-Rotation"), "cap; seconds=3600", 17);
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_OPENED)->u.opened.method, "cap");
    world_free(world);
}

static bool next_push(struct world *world, struct kw_push *push)
{
    bool found = kw_control_next_push(world->gateway, world->now, push);

    if (found)
        push->data[KW_MIN(push->len, sizeof push->data - 1)] = 0;
    return found;
}

static void events_reach_their_listeners(void **state)
{
    struct world *world = world_new(&plain);
    struct kw_push *push = calloc(1, sizeof *push);
    struct peer *peer;
    char path[300];
    uint64_t stream;
    bool saw_ready = false, saw_switched = false, saw_alive = false;

    (void)state;
    assert_int_equal(world_call(world, &peer), 201);
    snprintf(path, sizeof path, "%s/events", peer->location);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    assert_string_equal(world->response.content_type, "text/event-stream");
    stream = world->response.stream;
    assert_int_not_equal(stream, 0);
    assert_true(next_push(world, push));
    assert_int_equal(push->stream, stream);
    assert_memory_equal(push->data, "event: state\ndata: {", 20);
    assert_false(next_push(world, push));

    world_run(world, world->now + KW_S(1));
    while (next_push(world, push)) {
        const char *text = (const char *)push->data;
        const char *data = strstr(text, "data: ");
        json_t *body = json_loads(data + 6, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);

        assert_non_null(body);
        json_decref(body);
        assert_string_equal(text + push->len - 2, "\n\n");
        saw_ready = saw_ready || strstr(text, "event: ready\nid: ") != NULL;
        saw_switched = saw_switched || strstr(text, "event: switched\n") != NULL;
        assert_false(push->end);
    }
    assert_true(saw_ready && saw_switched);

    world_run(world, world->now + KW_S(16));
    while (next_push(world, push))
        saw_alive = saw_alive || strcmp((char *)push->data, ":\n\n") == 0;
    assert_true(saw_alive);

    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, peer->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_MS(100));
    assert_true(next_push(world, push));
    assert_non_null(strstr((char *)push->data, "event: closed"));
    while (!push->end)
        assert_true(next_push(world, push));
    assert_false(next_push(world, push));
    kw_control_stream_closed(world->gateway, stream); /* late, and harmless */
    free(push);
    world_free(world);
}

static void listeners_are_bounded(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer;
    char path[300];
    uint64_t last = 0;

    (void)state;
    assert_int_equal(world_call(world, &peer), 201);
    snprintf(path, sizeof path, "%s/events", peer->location);
    for (int i = 0; i < KW_STREAMS_PER_CALL; i++) {
        assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0),
                         200);
        last = world->response.stream;
    }
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 503);
    kw_control_stream_closed(world->gateway, last);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    world_free(world);
}

static void a_status_is_json(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer;
    json_t *body, *generation;

    (void)state;
    assert_int_equal(world_call(world, &peer), 201);
    world_run(world, world->now + KW_S(3));
    assert_int_equal(
        world_request(world, KW_REQUEST_GET, peer->location, "demo-token", "", NULL, 0), 200);
    assert_string_equal(world->response.content_type, "application/json");
    body = json_loadb((const char *)world->response.body, world->response.body_len,
                      JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(body);
    generation = json_array_get(json_object_get(body, "generations"), 0);
    assert_non_null(generation);
    assert_string_equal(json_string_value(json_object_get(generation, "srtp")), "AEAD_AES_128_GCM");
    assert_true(json_integer_value(json_object_get(generation, "keyBytes")) > 1000);
    assert_true(json_real_value(json_object_get(generation, "keyAgeSeconds")) > 2);
    assert_true(json_is_string(json_object_get(generation, "peerFingerprint")));
    assert_true(json_is_string(json_object_get(generation, "ourFingerprint")));
    assert_true(json_real_value(json_object_get(body, "rttMs")) >= 9.9);
    assert_true(
        json_real_value(json_object_get(json_object_get(body, "rotation"), "dueInSeconds")) > 2000);
    json_decref(body);
    world_free(world);
}

/* What one tenant's calls have in second listeners takes no other call's first. */
static void every_call_finds_a_place_for_one_listener(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peers[8];
    char path[300];
    int heard = 0;

    (void)state;
    config.calls_max = KW_ARRAY_LEN(peers);
    config.clients_max = KW_ARRAY_LEN(peers);
    config.tenant_calls_max = 0;
    config.calls_per_minute = 0;
    world = world_new(&config);
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++)
        assert_int_equal(world_call(world, &peers[i]), 201);
    for (size_t i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "%s/events", peers[i]->location);
        for (int n = 0; n < KW_STREAMS_PER_CALL; n++)
            heard += world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0) == 200;
    }
    assert_int_equal(heard, 7 + KW_STREAMS_PER_CALL);
    snprintf(path, sizeof path, "%s/events", peers[7]->location);
    assert_int_equal(world_request(world, KW_REQUEST_GET, path, "demo-token", "", NULL, 0), 200);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_has_its_answer),
        cmocka_unit_test(refused_offers_are_explained),
        cmocka_unit_test(a_token_that_fails_leaves_no_record),
        cmocka_unit_test(a_whip_answer_is_complete),
        cmocka_unit_test(events_reach_their_listeners),
        cmocka_unit_test(listeners_are_bounded),
        cmocka_unit_test(every_call_finds_a_place_for_one_listener),
        cmocka_unit_test(a_status_is_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
