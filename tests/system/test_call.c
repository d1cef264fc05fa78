/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of our own client through a keywheeld on real sockets. */
#include "check.h"

#include "../http/client.h"
#include "peer.h"
#include "sys/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct daemon daemon_of_test;
static struct peer peer;

static int set_up(void **state)
{
    (void)state;
    peer_world_open();
    if (daemon_start(&daemon_of_test, NULL, NULL, NULL))
        return 0;
    print_error("%s", daemon_file(&daemon_of_test, "err"));
    return -1;
}

static int tear_down(void **state)
{
    (void)state;
    daemon_end(&daemon_of_test, SIGTERM);
    if (daemon_of_test.exit_status != 0)
        print_error("exit %d\n%s", daemon_of_test.exit_status, daemon_file(&daemon_of_test, "err"));
    peer_world_close();
    if (daemon_of_test.exit_status != 0)
        return -1;
    daemon_remove_folder(&daemon_of_test);
    return 0;
}

static void connect_peer(void)
{
    CHECK(peer_call(&peer, &daemon_of_test), "status %d", peer.http_status);
    CHECK(peer_run(&peer, KW_S(10), peer_is_connected), "not connected\n%s",
          daemon_file(&daemon_of_test, "err"));
}

static void a_call_is_echoed_and_recorded(void **state)
{
    char command[256];

    (void)state;
    connect_peer();
    peer_talk(&peer, 100, KW_MS(5));
    peer_listen(&peer, KW_MS(200));
    assert_int_equal(peer.recognised, 100);
    assert_int_equal(daemon_metric(&daemon_of_test, "keywheel_calls") <= 1, 1);
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 200);
    peer_listen(&peer, KW_MS(100));
    peer_free(&peer);
    daemon_end(&daemon_of_test, SIGTERM);
    assert_int_equal(daemon_of_test.exit_status, 0);

    snprintf(command, sizeof command, "cd %s && " KW_KEYWHEEL " audit list > list.txt",
             daemon_of_test.folder);
    assert_int_equal(system(command), 0);
    CHECK(strstr(daemon_file(&daemon_of_test, "list.txt"),
                 "DTLS 1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768 AEAD_AES_128_GCM") != NULL,
          "%s", daemon_file(&daemon_of_test, "list.txt"));
    assert_non_null(strstr(daemon_file(&daemon_of_test, "list.txt"), "closed: "));
}

static int udp_to_gateway(void)
{
    struct sockaddr_storage name;
    socklen_t len = kw_address_to_socket(&peer.path.remote, &name);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, len), 0);
    return fd;
}

static bool has_answer(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 100) > 0;
}

/* What strangers may send beside a call: none of it is answered, none of it disturbs the call. */
static void strangers_disturb_nothing(void **state)
{
    /* a Binding request whose USERNAME is nobody's, and one whose integrity is wrong */
    static const uint8_t stun[] = {
        0x00, 0x01, 0x00, 0x2c, 0x21, 0x12, 0xa4, 0x42, 1,    2,    3,    4,    5,   6,   7,   8,
        9,    10,   11,   12,   0x00, 0x06, 0x00, 0x09, 'n',  'o',  'b',  'o',  'd', 'y', ':', 'x',
        'x',  0,    0,    0,    0x00, 0x25, 0x00, 0x00, 0x00, 0x08, 0x00, 0x14, 9,   9,   9,   9,
        9,    9,    9,    9,    9,    9,    9,    9,    9,    9,    9,    9,    9,   9,   9,   9,
    };
    static const uint8_t hello[] = {
        0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0x10, 0x01, 0,
        0,    4,    0,    0, 0, 0, 0, 0, 0, 4, 0xfe, 0xfd, 0,    0,
    };
    uint64_t random = 42;
    uint8_t noise[300];
    int fd;

    (void)state;
    connect_peer();
    fd = udp_to_gateway();
    peer_talk(&peer, 20, KW_MS(5));
    (void)!send(fd, stun, sizeof stun, 0);
    (void)!send(fd, hello, sizeof hello, 0);
    for (int i = 0; i < 500; i++) {
        size_t len = 1 + (size_t)i % sizeof noise;

        for (size_t at = 0; at < len; at++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            noise[at] = (uint8_t)(random >> 56);
        }
        (void)!send(fd, noise, len, 0);
    }
    peer_talk(&peer, 80, KW_MS(5));
    peer_listen(&peer, KW_MS(200));
    assert_false(has_answer(fd));
    assert_int_equal(peer.recognised, 100);
    close(fd);
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 200);
    peer_free(&peer);
}

static uint64_t settled_metric(const char *name)
{
    uint64_t before, after = daemon_metric(&daemon_of_test, name);

    do { /* published once a second */
        before = after;
        peer_listen(&peer, KW_MS(1200));
        after = daemon_metric(&daemon_of_test, name);
    } while (before != after);
    return after;
}

/*
 * 10,000 datagrams of garbage per second beside a call: what the call loses, the kernel has dropped
 * at the socket and said so.
 */
static void a_flood_costs_no_more_than_the_socket_drops(void **state)
{
    enum { SECONDS = 3, PER_MS = 10 };
    uint64_t dropped, flooded = 0, lost;
    uint8_t noise[200];
    kw_ns start, next;
    int fd;

    (void)state;
    connect_peer();
    fd = udp_to_gateway();
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(0x80 + i * 7 % 64); /* looks like RTP of nobody */
    start = next = kw_clock_now();
    while (next < start + KW_S(SECONDS)) {
        for (int i = 0; i < PER_MS; i++)
            flooded += send(fd, noise, sizeof noise, MSG_DONTWAIT) > 0;
        next += KW_MS(1);
        if ((next - start) % KW_MS(20) == 0)
            peer_talk(&peer, 1, 0);
        while (kw_clock_now() < next)
            peer_listen(&peer, next - KW_MIN(next, kw_clock_now()));
    }
    peer_listen(&peer, KW_MS(300));
    dropped = settled_metric("keywheel_datagrams_lost_at_socket_total");
    lost = peer.sent - peer.recognised;
    print_message("# flood: %llu datagrams; call: %llu sent, %llu lost; socket drops: %llu\n",
                  (unsigned long long)flooded, (unsigned long long)peer.sent,
                  (unsigned long long)lost, (unsigned long long)dropped);
    assert_true(flooded >= 9000 * SECONDS);
    assert_true(lost <= dropped);
    assert_true(settled_metric("keywheel_datagrams_received_total") + dropped >= flooded);
    close(fd);
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 200);
    peer_free(&peer);
}

static int post(const char *path, const char *token, const char *type, const char *body,
                char *answer, size_t answer_size)
{
    static char request[80000];
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                       "Authorization: Bearer %s\r\nContent-Type: %s\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       path, token, type, strlen(body), body);

    return client_ask(&daemon_of_test.http, request, (size_t)len, answer, answer_size);
}

#define OFFER_HEAD "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define FINGERPRINT                                                                                \
    "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:"  \
    "77:88:99:AA:BB:CC:DD:EE:FF\r\n"
#define ICE "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
#define OPUS "a=rtpmap:111 opus/48000/2\r\n"

static void bad_offers_get_the_right_answer(void **state)
{
    static const struct {
        const char *token; /* NULL: the right one */
        const char *type;
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {NULL, "application/sdp", "v=0\r\nnonsense\r\n", 400, "\"line\":2"},
        {"wrong", "application/sdp", OFFER_HEAD, 401, ""},
        {"", "application/sdp", OFFER_HEAD, 401, ""},
        {NULL, "text/plain", OFFER_HEAD, 415, ""},
        {NULL, "application/sdp",
         OFFER_HEAD "a=group:BUNDLE 0\r\n" ICE AUDIO "a=setup:actpass\r\na=rtcp-mux\r\n" OPUS, 422,
         "no-fingerprint"},
        {NULL, "application/sdp",
         OFFER_HEAD "a=group:BUNDLE 0\r\n" ICE FINGERPRINT AUDIO
                    "a=setup:passive\r\na=rtcp-mux\r\n" OPUS,
         422, "setup-passive"},
        {NULL, "application/sdp",
         OFFER_HEAD ICE FINGERPRINT AUDIO "a=setup:actpass\r\na=rtcp-mux\r\n" OPUS, 422,
         "no-bundle"},
        {NULL, "application/sdp",
         OFFER_HEAD "a=group:BUNDLE 0\r\n" ICE FINGERPRINT AUDIO "a=setup:actpass\r\n" OPUS, 422,
         "no-rtcp-mux"},
        {NULL, "application/sdp",
         OFFER_HEAD "a=group:BUNDLE 0\r\n" ICE FINGERPRINT AUDIO
                    "a=setup:actpass\r\na=rtcp-mux\r\na=rtpmap:111 speex/16000\r\n",
         406, ""},
    };
    static char answer[65536];

    (void)state;
    connect_peer();
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        const char *token = rows[i].token != NULL ? rows[i].token : daemon_of_test.token;
        int status = post("/v1/calls", token, rows[i].type, rows[i].body, answer, sizeof answer);

        CHECK(status == rows[i].status && strstr(answer, rows[i].says) != NULL,
              "row %zu: %d, not %d\n%s", i, status, rows[i].status, answer);
    }
    assert_int_equal(post("/v1/calls/00000000000000000000000000000000/generations",
                          daemon_of_test.token, "application/sdp", OFFER_HEAD, answer,
                          sizeof answer),
                     404);
    peer_talk(&peer, 20, KW_MS(5));
    peer_listen(&peer, KW_MS(100));
    assert_int_equal(peer.recognised, 20); /* the call beside all this */
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 200);
    assert_int_equal(peer_hang_up(&peer, &daemon_of_test), 404);
    peer_free(&peer);
}

static void too_many_calls_get_429(void **state)
{
    static struct peer peers[17];
    size_t opened = 0;

    (void)state;
    while (opened < KW_ARRAY_LEN(peers) && peer_call(&peers[opened], &daemon_of_test))
        opened++;
    assert_int_equal(opened, 16);
    assert_int_equal(peers[16].http_status, 429);
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++)
        peer_free(&peers[i]);
}

/* examples/client.c, on the shared library and the public headers alone. */
static void the_example_makes_a_call(void **state)
{
    char command[512], address[KW_ADDRESS_TEXT_MAX];

    (void)state;
    kw_address_format_ip(&daemon_of_test.http, address);
    snprintf(command, sizeof command, KW_EXAMPLE_CLIENT " %s %u %s 1 > %s/example.txt", address,
             daemon_of_test.http.port, daemon_of_test.token, daemon_of_test.folder);
    assert_int_equal(system(command), 0);
    CHECK(strstr(daemon_file(&daemon_of_test, "example.txt"),
                 "DTLS 1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768, AEAD_AES_128_GCM") != NULL,
          "%s", daemon_file(&daemon_of_test, "example.txt"));
}

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;

    for (; (text = strstr(text, of)) != NULL; text += strlen(of))
        count++;
    return count;
}

/*
 * It says keywheel/1 and is asked by ROTATE: one connection, one SSRC, and every packet comes back.
 * The gateway's evidence is the witness of the method.
 */
static void the_example_rotates_when_the_gateway_says_so(void **state)
{
    static const char *const tenant[] = {"rotation: {period: 4s}", NULL}; /* an overlap of 1 s */
    char command[512], address[KW_ADDRESS_TEXT_MAX];
    unsigned long sent = 0, back = 0;
    unsigned generations = 0;
    const char *text;

    (void)state;
    daemon_end(&daemon_of_test, SIGTERM);
    daemon_remove_folder(&daemon_of_test);
    CHECK(daemon_start_tenant(&daemon_of_test, tenant, NULL), "%s",
          daemon_file(&daemon_of_test, "err"));
    kw_address_format_ip(&daemon_of_test.http, address);
    snprintf(command, sizeof command, KW_EXAMPLE_CLIENT " %s %u %s 9 > %s/example.txt", address,
             daemon_of_test.http.port, daemon_of_test.token, daemon_of_test.folder);
    assert_int_equal(system(command), 0);
    text = daemon_file(&daemon_of_test, "example.txt");
    while (text != NULL && sscanf(text, "%lu packets sent, %lu came back, %u generations", &sent,
                                  &back, &generations) != 3)
        text = strchr(text, '\n') != NULL ? strchr(text, '\n') + 1 : NULL;
    print_message("# %lu packets sent, %lu came back, %u generations\n", sent, back, generations);
    assert_true(generations >= 3); /* twice in nine seconds, and the call did not end at L */
    assert_true(sent >= 400);
    assert_int_equal(back, sent);

    text = daemon_file(&daemon_of_test, "example.txt");
    assert_int_equal(occurrences(text, "\noverlap (peer): DTLS 1.3, "), generations - 1);
    assert_true(daemon_metric(&daemon_of_test, "keywheel_rotations_total{method=\"overlap\"}") >=
                generations - 2);
    daemon_end(&daemon_of_test, SIGTERM);
    snprintf(command, sizeof command,
             "cd %s && " KW_KEYWHEEL " audit show --data data --json"
             " $(" KW_KEYWHEEL " audit list --data data --json |"
             " sed -n 's/.*\"session\": \"\\([0-9a-f]*\\)\".*/\\1/p') > audit.json",
             daemon_of_test.folder);
    assert_int_equal(system(command), 0);
    text = daemon_file(&daemon_of_test, "audit.json");
    assert_int_equal(occurrences(text, "\"type\": \"rotated\""), generations - 1);
    CHECK(occurrences(text, "\"method\": \"overlap\"") == 2 * (size_t)(generations - 1), "%s",
          text);
    assert_int_equal(occurrences(text, "\"reason\": \"time\""), generations - 1);
    assert_int_equal(occurrences(text, "\"lost\": 0"), generations); /* and the session's sum */
}

/* RFC 7675: consent is gone after 30 s, and with it the session. */
static void a_vanished_client_is_freed_in_30_seconds(void **state)
{
    kw_ns vanished;

    (void)state;
    connect_peer();
    while (daemon_metric(&daemon_of_test, "keywheel_calls") != 1) /* published once a second */
        peer_talk(&peer, 20, KW_MS(5));
    vanished = kw_clock_now();
    peer_free(&peer);
    while (daemon_metric(&daemon_of_test, "keywheel_calls") != 0 &&
           kw_clock_now() - vanished < KW_S(40))
        poll(NULL, 0, 100);
    print_message("# freed after %.1f s\n", (double)(kw_clock_now() - vanished) / 1e9);
    assert_int_equal(daemon_metric(&daemon_of_test, "keywheel_calls"), 0);
    /* a second for the figures to be published, another for the last consent's own age */
    assert_true(kw_clock_now() - vanished < KW_S(32));
}

/* SIGTERM during a call: it is told with close_notify, recorded, and the status is 0. */
static void a_drain_tells_the_client(void **state)
{
    (void)state;
    connect_peer();
    kill(daemon_of_test.pid, SIGTERM);
    peer_listen(&peer, KW_MS(2500));
    assert_true(peer.is_closed);
    daemon_end(&daemon_of_test, 0);
    assert_int_equal(daemon_of_test.exit_status, 0);
    peer_free(&peer);
}

/* Killed in the middle: what was recorded stays, and the next start goes on behind it. */
static void the_evidence_survives_sigkill(void **state)
{
    char command[256], folder[64];

    (void)state;
    connect_peer();
    peer_talk(&peer, 100, KW_MS(5)); /* half a second: the facts are stored */
    daemon_end(&daemon_of_test, SIGKILL);
    peer_free(&peer);
    strcpy(folder, daemon_of_test.folder);
    snprintf(command, sizeof command, "cd %s && " KW_KEYWHEEL " audit list --json > list.txt",
             folder);
    assert_int_equal(system(command), 0);
    assert_non_null(strstr(daemon_file(&daemon_of_test, "list.txt"), "\"state\": \"open\""));
    assert_non_null(strstr(daemon_file(&daemon_of_test, "list.txt"), "X25519MLKEM768"));
    daemon_of_test.exit_status = 0;
}

/*
 * AES_CM is libcrypto's own, whatever kernel the others have: where an exception allows it there
 * are contexts for every call, not only where a preset wants libcrypto for all.
 */
static void an_exception_for_aes_cm_carries_calls(void **state)
{
    static const char *const tenant[] = {
        "exceptions:",
        "  - name: old-handset",
        "    reason: no AEAD before its next firmware",
        "    expires: 2099-12-31",
        "    network: 127.0.0.0/8",
        "    allow: [aes-cm-sha1-80]",
        NULL,
    };
    static struct peer peers[2];

    (void)state;
    peer_world_open();
    CHECK(daemon_start_tenant(&daemon_of_test, tenant, NULL), "%s",
          daemon_file(&daemon_of_test, "err"));
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++) {
        CHECK(peer_call_cm(&peers[i], &daemon_of_test), "status %d", peers[i].http_status);
        CHECK(peer_run(&peers[i], KW_S(10), peer_is_connected), "call %zu is not connected\n%s", i,
              daemon_file(&daemon_of_test, "err"));
        peer_talk(&peers[i], 50, KW_MS(5));
        peer_listen(&peers[i], KW_MS(200));
        assert_int_equal(peers[i].keys.read.profile, KW_SRTP_AES128_CM_SHA1_80);
        assert_int_equal(peers[i].recognised, 50);
    }
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++)
        peer_free(&peers[i]);
    assert_int_equal(tear_down(state), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_echoed_and_recorded),
        TEST(strangers_disturb_nothing),
        TEST(a_flood_costs_no_more_than_the_socket_drops),
        TEST(bad_offers_get_the_right_answer),
        TEST(too_many_calls_get_429),
        TEST(the_example_makes_a_call),
        TEST(the_example_rotates_when_the_gateway_says_so),
        TEST(a_drain_tells_the_client),
        TEST(the_evidence_survives_sigkill),
        TEST(a_vanished_client_is_freed_in_30_seconds),
        cmocka_unit_test(an_exception_for_aes_cm_carries_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
