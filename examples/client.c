/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A complete client of libkeywheel: it asks a gateway for a call, speaks ICE, DTLS 1.3 and SRTP
 * with it, sends a packet of audio every 20 ms and counts the echo.
 *
 *     client ADDRESS PORT TOKEN [SECONDS [ROTATE_EVERY]]
 *
 * Its keys change by `overlap`, and all that it does for that is in take_events(): in the handshake
 * both ends say that they know ROTATE (KW_SESSION_ALPN); when the session says that new keys are
 * due, because the gateway asks for them or because our own policy does, it gets a fresh
 * certificate. The second handshake runs beside the audio, on the same socket, and no packet
 * notices. The limits of the gateway's policy stand in its answer to the call and become ours. With
 * ROTATE_EVERY the client asks for new keys by HTTP every so many seconds, as an operator would.
 *
 * The library opens no socket, asks no clock and allocates nothing behind your back: this file does
 * that, in run(). It needs <keywheel/...> and libkeywheel alone.
 */
#include <keywheel/openssl.h>
#include <keywheel/session.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SSRC = 0x4b570002,
    SSRC_MAX = 4,
    RTP_LEN = 12 + 80,
    ASSOCIATIONS = 2, /* the one that carries audio, and the next one during a rotation */
};

static const struct kw_bytes alpn = {(const uint8_t *)KW_SESSION_ALPN, sizeof KW_SESSION_ALPN - 1};

struct client {
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_session_shared shared;
    char address[64], port[8], token[128], location[256];
    struct kw_identity *identity; /* the certificate of the newest generation */
    struct kw_ice_credentials credentials;
    struct kw_session *session;
    struct kw_path path;
    int fd;
    bool is_up, has_ended;
    uint16_t seq;
    unsigned generations;
    unsigned long sent, back;
};

static kw_ns clock_now(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (kw_ns)ts.tv_sec * UINT64_C(1000000000) + (kw_ns)ts.tv_nsec;
}

static kw_utc_ms utc_now(void)
{
    return (kw_utc_ms)(clock_now(CLOCK_REALTIME) / 1000000);
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "client: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *memory(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    must(mem != NULL, "no memory");
    memset(mem, 0, size);
    return mem;
}

/* What all sessions of a process share: a provider, a kernel, buffers for handshakes. */
static void open_library(struct client *client)
{
    const struct kw_session_pool_config pool = {
        .ssrc_max = SSRC_MAX, .sessions = 1, .rotations = 1, .has_ice = true};
    const struct kw_openssl_config config = {
        .associations = ASSOCIATIONS, .handshakes = ASSOCIATIONS, .srtp_keys = 2 * ASSOCIATIONS};

    must(kw_openssl_new(&config, &client->crypto) == KW_OK, "libcrypto lacks something");
    client->random = kw_openssl_random();
    client->shared.pool = kw_session_pool_init(memory(kw_session_pool_size(&pool)), &pool);
    client->shared.kernel = kw_srtp_kernel_select(client->crypto, NULL);
    client->shared.evp_kernel = kw_srtp_kernel_select(client->crypto, "evp");
    client->shared.dtls.crypto = client->crypto;
    client->shared.dtls.random = client->random;
    client->shared.dtls.buffers =
        kw_dtls_buffers_init(memory(kw_dtls_buffers_size(ASSOCIATIONS)), ASSOCIATIONS);
}

/* Each generation has a certificate of its own. The session holds the last one as long as it needs
 * it. */
static void renew_certificate(struct client *client)
{
    struct kw_crypto *crypto = client->crypto;

    if (client->identity != NULL)
        crypto->ops->identity_free(client->identity);
    must(crypto->ops->identity_new(crypto, utc_now(), &client->identity) == KW_OK,
         "no certificate");
}

/* --- signalling: one request, one answer -------------------------------------------------------
 */

static int ask(const struct client *client, const char *request, size_t len, char *answer,
               size_t answer_size)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(client->port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t used = 0;
    int status = 0;
    ssize_t n;

    must(inet_pton(AF_INET, client->address, &to.sin_addr) == 1, "ADDRESS is an IPv4 address");
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "no gateway there");
    must(send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len, "the gateway hung up");
    while (used + 1 < answer_size && (n = recv(fd, answer + used, answer_size - used - 1, 0)) > 0)
        used += (size_t)n;
    answer[used] = '\0';
    close(fd);
    must(sscanf(answer, "HTTP/1.1 %d", &status) == 1, "that is not HTTP");
    return status;
}

/* A request without a body to the call and what follows it. */
static int ask_short(const struct client *client, const char *method, const char *tail)
{
    static char answer[4096];
    char request[1024];
    int len =
        snprintf(request, sizeof request,
                 "%s %s%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
                 "Authorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
                 method, client->location, tail, client->address, client->port, client->token);

    must(len > 0 && (size_t)len < sizeof request, "the request does not fit");
    return ask(client, request, (size_t)len, answer, sizeof answer);
}

/* The rest of the line that begins with key; false when there is none. */
static bool line_value(const char *text, const char *key, char *dst, size_t dst_size)
{
    const char *at = strstr(text, key);
    size_t len = at != NULL ? strcspn(at + strlen(key), "\r\n") : dst_size;

    if (len >= dst_size)
        return false;
    memcpy(dst, at + strlen(key), len);
    dst[len] = '\0';
    return true;
}

static size_t write_offer(struct client *client, char *dst, size_t dst_size)
{
    struct kw_crypto *crypto = client->crypto;
    struct kw_fingerprint ours;
    char fingerprint[KW_FINGERPRINT_TEXT_MAX], body[2048];
    int len;

    renew_certificate(client);
    must(kw_crypto_fingerprint(crypto, KW_SHA256,
                               crypto->ops->identity_certificate(client->identity), &ours) == KW_OK,
         "no fingerprint");
    must(kw_ice_credentials_draw(&client->random, &client->credentials) == KW_OK, "no randomness");
    kw_fingerprint_format(&ours, fingerprint);
    len = snprintf(body, sizeof body,
                   "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
                   "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
                   "a=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\n"
                   "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\na=setup:actpass\r\n"
                   "a=msid:client audio\r\na=ssrc:%u cname:client\r\n",
                   client->credentials.ufrag, client->credentials.pwd, fingerprint, SSRC);
    len = snprintf(dst, dst_size,
                   "POST /v1/calls HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
                   "Authorization: Bearer %s\r\nContent-Type: application/sdp\r\n"
                   "Content-Length: %d\r\n\r\n%s",
                   client->address, client->port, client->token, len, body);
    must(len > 0 && (size_t)len < dst_size, "the request does not fit");
    return (size_t)len;
}

/* Takes from the answer what a session needs: fingerprint, credentials, one address. */
static void read_answer(struct client *client, const char *answer,
                        struct kw_fingerprint *fingerprint, struct kw_ice_credentials *remote)
{
    char text[256], ip[64];
    const char *at = answer;
    unsigned port;

    must(line_value(answer, "Location: ", client->location, sizeof client->location),
         "the answer has no Location");
    must(line_value(answer, "a=fingerprint:", text, sizeof text) &&
             kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)text, strlen(text)},
                                  fingerprint),
         "the answer has no fingerprint");
    must(line_value(answer, "a=ice-ufrag:", remote->ufrag, sizeof remote->ufrag) &&
             line_value(answer, "a=ice-pwd:", remote->pwd, sizeof remote->pwd),
         "the answer has no ICE credentials");
    client->path.local = (struct kw_address){.family = 4};
    while (client->path.remote.family == 0 && (at = strstr(at, "a=candidate:")) != NULL) {
        if (sscanf(at, "a=candidate:%*s 1 %*s %*u %63s %u typ host", ip, &port) == 2 &&
            inet_pton(AF_INET, ip, client->path.remote.ip) == 1) {
            client->path.remote.family = 4;
            client->path.remote.port = (uint16_t)port;
        }
        at++;
    }
    must(client->path.remote.family == 4, "the answer has no IPv4 candidate");
}

/* Our policy, with the gateway's limits where these are the stricter ones. */
static void read_policy(const char *answer, struct kw_policy *policy)
{
    unsigned long long seconds = 0, bytes = 0;
    char text[256];

    must(kw_policy_preset("modern", policy), "no such preset");
    must(line_value(answer, "Keywheel-Rotation: ", text, sizeof text) &&
             sscanf(text, "%*[^;]; seconds=%llu; bytes=%llu", &seconds, &bytes) == 2,
         "the answer does not say how long keys may live");
    if (KW_S(seconds) < policy->rotation.period)
        policy->rotation.period = KW_S(seconds);
    if (bytes < policy->rotation.bytes)
        policy->rotation.bytes = bytes;
}

static void open_session(struct client *client, const char *answer)
{
    struct kw_session_params params = {.ssrc_max = SSRC_MAX, .method = KW_METHOD_OVERLAP};
    struct kw_generation_params generation = {
        .role = KW_DTLS_CLIENT,
        .identity = client->identity,
        .alpn = alpn,
        .has_ice = true,
        .controlling = true,
        .local = client->credentials,
    };
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct kw_fingerprint fingerprint;
    struct kw_policy policy;
    struct kw_terms terms;
    kw_ns now = clock_now(CLOCK_MONOTONIC);
    uint32_t number;

    read_answer(client, answer, &fingerprint, &generation.remote);
    read_policy(answer, &policy);
    generation.fingerprints = &fingerprint;
    generation.fingerprint_count = 1;
    must(kw_policy_decide(&policy,
                          &(struct kw_peer){.fingerprints = &fingerprint, .fingerprint_count = 1},
                          utc_now(), &terms) == KW_REFUSAL_NONE,
         "the policy refuses this peer");
    params.terms = &terms;
    must(kw_session_init(memory(kw_session_size()), &client->shared, &params, now,
                         &client->session) == KW_OK &&
             kw_session_add_generation(client->session, &generation, now, &number) == KW_OK &&
             kw_session_add_path(client->session, number, &client->path, 1000, now) == KW_OK,
         "no session");
    client->fd = socket(AF_INET, SOCK_DGRAM, 0);
    to.sin_port = htons(client->path.remote.port);
    memcpy(&to.sin_addr, client->path.remote.ip, 4);
    must(client->fd >= 0 && connect(client->fd, (struct sockaddr *)&to, sizeof to) == 0,
         "no way to the gateway's media");
}

static void open_call(struct client *client)
{
    static char request[8192], answer[65536];
    size_t len = write_offer(client, request, sizeof request);

    must(ask(client, request, len, answer, sizeof answer) == 201, "the gateway refused the call");
    open_session(client, answer);
}

/* --- media ---------------------------------------------------------------------------------------
 */

/* New keys are due. What fails costs nothing: the session says it again. */
static void prepare_generation(struct client *client, kw_ns now)
{
    struct kw_generation_params generation = {.alpn = alpn, .method = KW_METHOD_OVERLAP};
    uint32_t number;

    renew_certificate(client);
    generation.identity = client->identity;
    (void)!kw_session_add_generation(client->session, &generation, now, &number);
}

static void tell(const struct client *client, uint32_t generation, kw_ns now)
{
    struct kw_generation_facts facts;

    if (kw_session_facts(client->session, generation, now, &facts))
        printf("%s (%s): %s, %s, %s, %s\n", kw_method_name(facts.method),
               kw_reason_name(facts.reason), kw_dtls_version_name(facts.dtls.version),
               kw_suite_name(facts.dtls.suite), kw_group_name(facts.dtls.group),
               kw_srtp_profile_name(facts.dtls.srtp_profile));
}

static void take_events(struct client *client, kw_ns now)
{
    struct kw_session_event event;

    while (kw_session_next_event(client->session, &event)) {
        if (event.type == KW_SESSION_EVENT_DUE)
            prepare_generation(client, now);
        if (event.type == KW_SESSION_EVENT_CLOSED)
            client->has_ended = true;
        if (event.type == KW_SESSION_EVENT_SWITCHED) {
            client->is_up = true;
            client->generations++;
            tell(client, event.generation, now);
        }
    }
}

static void flush(struct client *client, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_path path;
    size_t len;

    while ((len = kw_session_transmit(client->session, datagram, sizeof datagram, &path, now)) != 0)
        (void)!send(client->fd, datagram, len, 0);
}

static void send_audio(struct client *client, kw_ns now)
{
    uint8_t packet[RTP_LEN + KW_SRTP_TAIL] = {0x80, 111};
    uint32_t timestamp = htonl((uint32_t)client->seq * 960);
    uint32_t ssrc = htonl(SSRC);
    uint16_t seq = htons(client->seq);
    struct kw_outlet outlet;
    size_t len = RTP_LEN;

    if (!kw_session_outlet(client->session, now, &outlet))
        return;
    memcpy(packet + 2, &seq, sizeof seq);
    memcpy(packet + 4, &timestamp, sizeof timestamp);
    memcpy(packet + 8, &ssrc, sizeof ssrc);
    client->seq++;
    if (kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet) != KW_ACCEPT)
        return;
    (void)!send(client->fd, packet, len, 0);
    kw_session_sent(client->session, &outlet, len, now);
    client->sent++;
}

static void receive(struct client *client, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_received received;
    ssize_t n;

    while ((n = recv(client->fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0) {
        size_t len = (size_t)n;

        must(kw_session_receive(client->session, &client->path, datagram, &len, now, &received) ==
                 KW_OK,
             "the session failed");
        client->back += received.kind == KW_PACKET_RTP;
    }
}

static void run(struct client *client, kw_ns until, kw_ns rotate_every)
{
    kw_ns next_audio = 0, rotate_at = KW_NEVER;
    kw_ns now = clock_now(CLOCK_MONOTONIC);

    while (now < until && !client->has_ended) {
        poll(&(struct pollfd){.fd = client->fd, .events = POLLIN}, 1, 5);
        now = clock_now(CLOCK_MONOTONIC);
        receive(client, now);
        if (kw_session_deadline(client->session) <= now)
            must(kw_session_tick(client->session, now) == KW_OK, "the session failed");
        take_events(client, now);
        flush(client, now);
        if (!client->is_up)
            continue;
        if (rotate_every != 0 && rotate_at == KW_NEVER)
            rotate_at = now + rotate_every;
        if (now >= rotate_at) {
            rotate_at += rotate_every;
            (void)ask_short(client, "POST", "/rotate");
        }
        /* the last fifth of a second only listens: the echo is on its way */
        if (now >= next_audio && now + KW_MS(200) < until) {
            next_audio = (next_audio != 0 ? next_audio : now) + KW_MS(20);
            send_audio(client, now);
        }
    }
}

int main(int argc, char *argv[])
{
    static struct client client;
    kw_ns seconds = argc > 4 ? (kw_ns)atoi(argv[4]) : 3;
    kw_ns rotate_every = argc > 5 ? (kw_ns)atoi(argv[5]) : 0;

    must(argc >= 4, "usage: client ADDRESS PORT TOKEN [SECONDS [ROTATE_EVERY]]");
    snprintf(client.address, sizeof client.address, "%s", argv[1]);
    snprintf(client.port, sizeof client.port, "%s", argv[2]);
    snprintf(client.token, sizeof client.token, "%s", argv[3]);
    open_library(&client);
    open_call(&client);
    flush(&client, clock_now(CLOCK_MONOTONIC));
    run(&client, clock_now(CLOCK_MONOTONIC) + seconds * KW_S(1), rotate_every * KW_S(1));
    (void)ask_short(&client, "DELETE", "");
    printf("%lu packets sent, %lu came back, %u generations\n", client.sent, client.back,
           client.generations);
    kw_session_deinit(client.session);
    client.crypto->ops->identity_free(client.identity);
    kw_openssl_free(client.crypto);
    return client.is_up && client.back != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
