/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A complete client of libkeywheel: it asks a gateway for a call, speaks ICE, DTLS 1.3 and SRTP
 * with it, sends a packet of audio every 20 ms and counts the echo.
 *
 *     client ADDRESS PORT TOKEN [SECONDS [ROTATE_EVERY]]
 *
 * It honours the gateway's policy as a browser with keywheel.js does, by the same HTTP calls
 * (docs/http-api.md). The gateway says on the call's event stream when new keys are due; then the
 * client POSTs an offer to {call}/generations, which makes a second connection to the same call.
 * Audio moves to it once it is up, and the first one is closed when nothing is on its way any more.
 * With ROTATE_EVERY the client itself asks for new keys every so many seconds.
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
    CONNECTIONS = 2, /* the one that carries audio, and the next or the last one */
};

#define LINGER KW_S(1) /* what is on its way on the old connection still arrives */

/* One generation of the call: keys, certificate and socket of its own. */
struct connection {
    struct kw_identity *identity;
    struct kw_fingerprint fingerprint;
    struct kw_ice_credentials credentials;
    struct kw_session *session; /* NULL: unused */
    void *memory;               /* .. where it lives */
    struct kw_path path;
    int fd;
    bool is_up, has_ended;
    kw_ns close_at; /* KW_NEVER: not yet */
    uint32_t ssrc;
    uint16_t seq;
};

struct client {
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_session_shared shared;
    char address[64], port[8], token[128], location[256];
    struct connection connections[CONNECTIONS];
    struct connection *current, *next; /* next: being made; NULL */
    int events;                        /* the call's event stream */
    char line[4096];                   /* .. as far as it has come */
    size_t line_len;
    bool is_due;
    uint32_t made; /* connections so far */
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
        .ssrc_max = SSRC_MAX, .sessions = CONNECTIONS, .has_ice = true};
    const struct kw_openssl_config config = {
        .associations = CONNECTIONS, .handshakes = CONNECTIONS, .srtp_keys = 2 * CONNECTIONS};

    must(kw_openssl_new(&config, &client->crypto) == KW_OK, "libcrypto lacks something");
    client->random = kw_openssl_random();
    client->shared.pool = kw_session_pool_init(memory(kw_session_pool_size(&pool)), &pool);
    client->shared.kernel = kw_srtp_kernel_select(client->crypto, NULL);
    client->shared.evp_kernel = kw_srtp_kernel_select(client->crypto, "evp");
    client->shared.dtls.crypto = client->crypto;
    client->shared.dtls.random = client->random;
    client->shared.dtls.buffers =
        kw_dtls_buffers_init(memory(kw_dtls_buffers_size(CONNECTIONS)), CONNECTIONS);
}

/* Each generation has a certificate, credentials and an SSRC of its own. */
static void prepare(struct client *client, struct connection *connection)
{
    struct kw_crypto *crypto = client->crypto;

    memset(connection, 0, sizeof *connection);
    connection->close_at = KW_NEVER;
    connection->ssrc = SSRC + client->made++;
    must(crypto->ops->identity_new(crypto, utc_now(), &connection->identity) == KW_OK,
         "no certificate");
    must(kw_crypto_fingerprint(crypto, KW_SHA256,
                               crypto->ops->identity_certificate(connection->identity),
                               &connection->fingerprint) == KW_OK,
         "no fingerprint");
    must(kw_ice_credentials_draw(&client->random, &connection->credentials) == KW_OK,
         "no randomness");
}

/* --- signalling: one request, one answer -------------------------------------------------------
 */

static int dial(const struct client *client)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(client->port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(inet_pton(AF_INET, client->address, &to.sin_addr) == 1, "ADDRESS is an IPv4 address");
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "no gateway there");
    return fd;
}

static int ask(const struct client *client, const char *request, size_t len, char *answer,
               size_t answer_size)
{
    int fd = dial(client);
    size_t used = 0;
    int status = 0;
    ssize_t n;

    must(send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len, "the gateway hung up");
    while (used + 1 < answer_size && (n = recv(fd, answer + used, answer_size - used - 1, 0)) > 0)
        used += (size_t)n;
    answer[used] = '\0';
    close(fd);
    must(sscanf(answer, "HTTP/1.1 %d", &status) == 1, "that is not HTTP");
    return status;
}

/* A request without a body to the call and what follows it. */
static size_t write_short(const struct client *client, const char *method, const char *tail,
                          char *dst, size_t dst_size)
{
    int len =
        snprintf(dst, dst_size,
                 "%s %s%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
                 "Authorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
                 method, client->location, tail, client->address, client->port, client->token);

    must(len > 0 && (size_t)len < dst_size, "the request does not fit");
    return (size_t)len;
}

static int ask_short(const struct client *client, const char *method, const char *tail)
{
    static char answer[4096];
    char request[1024];
    size_t len = write_short(client, method, tail, request, sizeof request);

    return ask(client, request, len, answer, sizeof answer);
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

static size_t write_offer(const struct client *client, const struct connection *connection,
                          char *dst, size_t dst_size)
{
    bool is_first = client->location[0] == '\0';
    char fingerprint[KW_FINGERPRINT_TEXT_MAX], body[2048];
    int len;

    kw_fingerprint_format(&connection->fingerprint, fingerprint);
    len = snprintf(body, sizeof body,
                   "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
                   "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
                   "a=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\n"
                   "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\na=setup:actpass\r\n"
                   "a=msid:client audio\r\na=ssrc:%u cname:client\r\n",
                   connection->credentials.ufrag, connection->credentials.pwd, fingerprint,
                   connection->ssrc);
    len = snprintf(dst, dst_size,
                   "POST %s%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
                   "Authorization: Bearer %s\r\nContent-Type: application/sdp\r\n"
                   "Content-Length: %d\r\n\r\n%s",
                   is_first ? "/v1/calls" : client->location, is_first ? "" : "/generations",
                   client->address, client->port, client->token, len, body);
    must(len > 0 && (size_t)len < dst_size, "the request does not fit");
    return (size_t)len;
}

/* Takes from the answer what a session needs: fingerprint, credentials, one address. */
static void read_answer(struct connection *connection, const char *answer,
                        struct kw_fingerprint *fingerprint, struct kw_ice_credentials *remote)
{
    char text[256], ip[64];
    const char *at = answer;
    unsigned port;

    must(line_value(answer, "a=fingerprint:", text, sizeof text) &&
             kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)text, strlen(text)},
                                  fingerprint),
         "the answer has no fingerprint");
    must(line_value(answer, "a=ice-ufrag:", remote->ufrag, sizeof remote->ufrag) &&
             line_value(answer, "a=ice-pwd:", remote->pwd, sizeof remote->pwd),
         "the answer has no ICE credentials");
    connection->path.local = (struct kw_address){.family = 4};
    while (connection->path.remote.family == 0 && (at = strstr(at, "a=candidate:")) != NULL) {
        if (sscanf(at, "a=candidate:%*s 1 %*s %*u %63s %u typ host", ip, &port) == 2 &&
            inet_pton(AF_INET, ip, connection->path.remote.ip) == 1) {
            connection->path.remote.family = 4;
            connection->path.remote.port = (uint16_t)port;
        }
        at++;
    }
    must(connection->path.remote.family == 4, "the answer has no IPv4 candidate");
}

static void open_session(struct client *client, struct connection *connection, const char *answer)
{
    struct kw_session_params params = {.ssrc_max = SSRC_MAX, .method = KW_METHOD_CAP};
    struct kw_generation_params generation = {
        .role = KW_DTLS_CLIENT,
        .identity = connection->identity,
        .has_ice = true,
        .controlling = true,
        .local = connection->credentials,
    };
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct kw_fingerprint fingerprint;
    struct kw_policy policy;
    struct kw_terms terms;
    kw_ns now = clock_now(CLOCK_MONOTONIC);
    uint32_t number;

    read_answer(connection, answer, &fingerprint, &generation.remote);
    generation.fingerprints = &fingerprint;
    generation.fingerprint_count = 1;
    must(kw_policy_preset("modern", &policy), "no such preset");
    must(kw_policy_decide(&policy,
                          &(struct kw_peer){.fingerprints = &fingerprint, .fingerprint_count = 1},
                          utc_now(), &terms) == KW_REFUSAL_NONE,
         "the policy refuses this peer");
    params.terms = &terms;
    connection->memory = memory(kw_session_size());
    must(kw_session_init(connection->memory, &client->shared, &params, now, &connection->session) ==
                 KW_OK &&
             kw_session_add_generation(connection->session, &generation, now, &number) == KW_OK &&
             kw_session_add_path(connection->session, number, &connection->path, 1000, now) ==
                 KW_OK,
         "no session");
    connection->fd = socket(AF_INET, SOCK_DGRAM, 0);
    to.sin_port = htons(connection->path.remote.port);
    memcpy(&to.sin_addr, connection->path.remote.ip, 4);
    must(connection->fd >= 0 && connect(connection->fd, (struct sockaddr *)&to, sizeof to) == 0,
         "no way to the gateway's media");
}

/* The first one opens the call, each further one brings it new keys. False: not now. */
static bool open_connection(struct client *client, struct connection *connection)
{
    static char request[8192], answer[65536];
    int status;

    prepare(client, connection);
    status = ask(client, request, write_offer(client, connection, request, sizeof request), answer,
                 sizeof answer);
    if (status != 201) {
        client->crypto->ops->identity_free(connection->identity);
        must(client->location[0] != '\0', "the gateway refused the call");
        return false; /* it says `due` again */
    }
    must(client->location[0] != '\0' ||
             line_value(answer, "Location: ", client->location, sizeof client->location),
         "the answer has no Location");
    open_session(client, connection, answer);
    return true;
}

static void close_connection(struct client *client, struct connection *connection)
{
    kw_session_deinit(connection->session);
    free(connection->memory);
    close(connection->fd);
    client->crypto->ops->identity_free(connection->identity);
    memset(connection, 0, sizeof *connection);
}

/* Server-sent events: of all that the gateway tells, the line "event: due" is for us. */
static void open_events(struct client *client)
{
    char request[1024];
    size_t len = write_short(client, "GET", "/events", request, sizeof request);

    client->events = dial(client);
    must(send(client->events, request, len, MSG_NOSIGNAL) == (ssize_t)len, "the gateway hung up");
}

static void read_events(struct client *client)
{
    ssize_t n;
    char byte;

    while ((n = recv(client->events, &byte, 1, MSG_DONTWAIT)) == 1) {
        if (byte != '\n') {
            if (client->line_len + 1 < sizeof client->line)
                client->line[client->line_len++] = byte;
            continue;
        }
        client->line[client->line_len] = '\0';
        client->line_len = 0;
        if (strcmp(client->line, "event: due") == 0)
            client->is_due = true;
    }
    if (n == 0) { /* the call has ended, or the gateway has */
        close(client->events);
        client->events = -1;
    }
}

/* --- media ---------------------------------------------------------------------------------------
 */

static void flush(struct connection *connection, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_path path;
    size_t len;

    while ((len = kw_session_transmit(connection->session, datagram, sizeof datagram, &path,
                                      now)) != 0)
        (void)!send(connection->fd, datagram, len, 0);
}

static void take_events(struct connection *connection, kw_ns now)
{
    struct kw_session_event event;
    struct kw_generation_facts facts;

    while (kw_session_next_event(connection->session, &event)) {
        if (event.type == KW_SESSION_EVENT_CLOSED)
            connection->has_ended = true;
        if (event.type != KW_SESSION_EVENT_SWITCHED ||
            !kw_session_facts(connection->session, event.generation, now, &facts))
            continue;
        connection->is_up = true;
        printf("%s, %s, %s, %s\n", kw_dtls_version_name(facts.dtls.version),
               kw_suite_name(facts.dtls.suite), kw_group_name(facts.dtls.group),
               kw_srtp_profile_name(facts.dtls.srtp_profile));
    }
}

static void send_audio(struct client *client, kw_ns now)
{
    struct connection *connection = client->current;
    uint8_t packet[RTP_LEN + KW_SRTP_TAIL] = {0x80, 111};
    uint32_t timestamp = htonl((uint32_t)connection->seq * 960);
    uint32_t ssrc = htonl(connection->ssrc);
    uint16_t seq = htons(connection->seq);
    struct kw_outlet outlet;
    size_t len = RTP_LEN;

    if (!kw_session_outlet(connection->session, now, &outlet))
        return;
    memcpy(packet + 2, &seq, sizeof seq);
    memcpy(packet + 4, &timestamp, sizeof timestamp);
    memcpy(packet + 8, &ssrc, sizeof ssrc);
    connection->seq++;
    if (kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet) != KW_ACCEPT)
        return;
    (void)!send(connection->fd, packet, len, 0);
    kw_session_sent(connection->session, &outlet, len, now);
    client->sent++;
}

static void receive(struct client *client, struct connection *connection, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_received received;
    ssize_t n;

    while ((n = recv(connection->fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0) {
        size_t len = (size_t)n;

        must(kw_session_receive(connection->session, &connection->path, datagram, &len, now,
                                &received) == KW_OK,
             "the session failed");
        client->back += received.kind == KW_PACKET_RTP;
    }
}

/* Audio moves to a connection that is up; the one that it leaves stays for a moment. */
static void turn_wheel(struct client *client, kw_ns now)
{
    struct connection *old = NULL;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (client->connections[i].session != NULL && &client->connections[i] != client->current)
            old = &client->connections[i];
    }
    if (client->next != NULL && client->next->is_up) {
        client->current->close_at = now + LINGER;
        client->current = client->next;
        client->next = NULL;
    } else if (client->next != NULL && client->next->has_ended) {
        close_connection(client, client->next); /* it goes on as it is; `due` is said again */
        client->next = NULL;
    } else if (old != NULL && now >= old->close_at) {
        kw_session_close(old->session, now);
        flush(old, now);
        close_connection(client, old);
    } else if (old == NULL && client->is_due) {
        client->is_due = false;
        old = &client->connections[client->current == &client->connections[0]];
        if (open_connection(client, old))
            client->next = old;
    }
}

static void serve(struct client *client, struct connection *connection, kw_ns now)
{
    if (connection->session == NULL)
        return;
    receive(client, connection, now);
    if (kw_session_deadline(connection->session) <= now)
        must(kw_session_tick(connection->session, now) == KW_OK, "the session failed");
    take_events(connection, now);
    flush(connection, now);
}

static void run(struct client *client, kw_ns until, kw_ns rotate_every)
{
    kw_ns next_audio = 0, rotate_at = KW_NEVER;
    kw_ns now = clock_now(CLOCK_MONOTONIC);

    while (now < until && !client->current->has_ended) {
        struct pollfd pollfds[CONNECTIONS + 1] = {{.fd = client->events, .events = POLLIN}};

        for (size_t i = 0; i < CONNECTIONS; i++) {
            bool is_used = client->connections[i].session != NULL;

            pollfds[1 + i].fd = is_used ? client->connections[i].fd : -1;
            pollfds[1 + i].events = POLLIN;
        }
        poll(pollfds, CONNECTIONS + 1, 5);
        now = clock_now(CLOCK_MONOTONIC);
        for (size_t i = 0; i < CONNECTIONS; i++)
            serve(client, &client->connections[i], now);
        if (client->events >= 0)
            read_events(client);
        turn_wheel(client, now);
        if (!client->current->is_up)
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
    bool is_up;

    must(argc >= 4, "usage: client ADDRESS PORT TOKEN [SECONDS [ROTATE_EVERY]]");
    snprintf(client.address, sizeof client.address, "%s", argv[1]);
    snprintf(client.port, sizeof client.port, "%s", argv[2]);
    snprintf(client.token, sizeof client.token, "%s", argv[3]);
    open_library(&client);
    client.current = &client.connections[0];
    must(open_connection(&client, client.current), "no call");
    open_events(&client);
    flush(client.current, clock_now(CLOCK_MONOTONIC));
    run(&client, clock_now(CLOCK_MONOTONIC) + seconds * KW_S(1), rotate_every * KW_S(1));
    is_up = client.current->is_up;
    (void)ask_short(&client, "DELETE", "");
    printf("%lu packets sent, %lu came back, %u generations\n", client.sent, client.back,
           client.made);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (client.connections[i].session != NULL)
            close_connection(&client, &client.connections[i]);
    }
    if (client.events >= 0)
        close(client.events);
    kw_openssl_free(client.crypto);
    return is_up && client.back != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
