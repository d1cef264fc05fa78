/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libkeywheel's DTLS over a real UDP socket, as a program that a script can set against another
 * stack:
 *
 *   dtls_peer client|server ADDRESS PORT [OPTION...]
 *
 * A server binds ADDRESS PORT (port 0: any), a client connects to it. Every line of standard output
 * is one fact: first "fingerprint" (ours) and, for a server, "port"; the other side's fingerprint
 * is then read from standard input as the value of a=fingerprint. After the handshake come
 * "version", "suite", "group", "profile", "srtp" (client write key, server write key, client salt,
 * server salt, as RFC 5764 orders them), "export" (label EXPORTER-keywheel-interop, 32 bytes) and
 * "connected". Application data is echoed by a server and sent once by a client. "closed" says how
 * it ended.
 *
 *   --preset NAME   modern, nist or pq
 *   --allow-12      DTLS 1.2 is allowed, by an exception for fingerprints
 *   --cm-sha1       AES_CM_128_HMAC_SHA1_80 too, in the same exception
 *   --rsa           RSA certificates too, in the same exception
 *   --cookie        a server asks for a cookie
 *   --mtu N         of UDP payload, what we send
 *   --seconds N     give up after N seconds (default 30; a refused association ends 15 s later)
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <keywheel/dtls.h>
#include <keywheel/openssl.h>
#include <keywheel/policy.h>

#define EXPORT_LABEL "EXPORTER-keywheel-interop"
#define GREETING "Hello from Keywheel"

struct options {
    bool is_client;
    const char *address;
    uint16_t port;
    const char *preset;
    bool allow_12;
    bool cm_sha1;
    bool rsa;
    bool cookie;
    size_t mtu;
    int seconds;
};

struct peer {
    struct options opt;
    int fd;
    struct sockaddr_storage remote;
    socklen_t remote_len; /* 0: a server that has not heard from anyone */
    struct kw_crypto *crypto;
    struct kw_identity *identity;
    struct kw_dtls_shared shared;
    struct kw_fingerprint peer_fingerprint;
    struct kw_terms terms;
    struct kw_dtls *dtls;
    bool is_connected;
    bool is_closed;
    bool has_echo;
};

static void die(const char *what)
{
    fprintf(stderr, "dtls_peer: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static void *aligned(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    if (mem == NULL)
        die("no memory");
    return mem;
}

static kw_ns now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (kw_ns)ts.tv_sec * 1000000000U + (kw_ns)ts.tv_nsec;
}

static void print_hex(const char *name, const uint8_t *data, size_t len)
{
    printf("%s ", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", data[i]);
    printf("\n");
}

static struct options parse_options(int argc, char *argv[])
{
    struct options opt = {.preset = "modern", .seconds = 30};

    if (argc < 4)
        die("client|server ADDRESS PORT [OPTION...]");
    opt.is_client = strcmp(argv[1], "client") == 0;
    opt.address = argv[2];
    opt.port = (uint16_t)strtoul(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "--preset") == 0 && i + 1 < argc)
            opt.preset = argv[++i];
        else if (strcmp(argv[i], "--mtu") == 0 && i + 1 < argc)
            opt.mtu = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            opt.seconds = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--allow-12") == 0)
            opt.allow_12 = true;
        else if (strcmp(argv[i], "--cm-sha1") == 0)
            opt.cm_sha1 = true;
        else if (strcmp(argv[i], "--rsa") == 0)
            opt.rsa = true;
        else if (strcmp(argv[i], "--cookie") == 0)
            opt.cookie = true;
        else
            die(argv[i]);
    }
    return opt;
}

/* Binds a server, connects a client; says the port that a server got. */
static void open_socket(struct peer *peer)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(peer->opt.port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(peer->opt.port)};
    bool is_v6 = inet_pton(AF_INET6, peer->opt.address, &in6.sin6_addr) == 1;
    struct sockaddr *address = is_v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t len = is_v6 ? sizeof in6 : sizeof in;

    if (!is_v6 && inet_pton(AF_INET, peer->opt.address, &in.sin_addr) != 1)
        die("not an address");
    peer->fd = socket(address->sa_family, SOCK_DGRAM, 0);
    if (peer->fd < 0)
        die("socket");
    if (peer->opt.is_client) {
        memcpy(&peer->remote, address, len);
        peer->remote_len = len;
        return;
    }
    if (bind(peer->fd, address, len) != 0)
        die("bind");
    if (getsockname(peer->fd, address, &len) != 0)
        die("getsockname");
    printf("port %u\n", ntohs(is_v6 ? in6.sin6_port : in.sin_port));
}

static void make_identity(struct peer *peer)
{
    const struct kw_openssl_config config = {.associations = 2, .handshakes = 2};
    struct kw_fingerprint ours;
    char text[KW_FINGERPRINT_TEXT_MAX];

    if (kw_openssl_new(&config, &peer->crypto) != KW_OK)
        die("no provider");
    if (peer->crypto->ops->identity_new(peer->crypto, (kw_utc_ms)time(NULL) * 1000,
                                        &peer->identity) != KW_OK)
        die("no identity");
    if (kw_crypto_fingerprint(peer->crypto, KW_SHA256,
                              peer->crypto->ops->identity_certificate(peer->identity),
                              &ours) != KW_OK)
        die("no fingerprint");
    kw_fingerprint_format(&ours, text);
    printf("fingerprint %s\n", text);
    fflush(stdout);
}

static void read_peer_fingerprint(struct peer *peer)
{
    char line[KW_FINGERPRINT_TEXT_MAX + 2];

    if (fgets(line, sizeof line, stdin) == NULL)
        die("no fingerprint on standard input");
    line[strcspn(line, "\r\n")] = '\0';
    if (!kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)line, strlen(line)},
                              &peer->peer_fingerprint))
        die("unreadable fingerprint on standard input");
}

/* The preset, with the one exception that the options ask for. */
static void decide_terms(struct peer *peer)
{
    static struct kw_policy policy;
    const struct kw_peer who = {.fingerprints = &peer->peer_fingerprint, .fingerprint_count = 1};
    kw_utc_ms now = (kw_utc_ms)time(NULL) * 1000;

    if (!kw_policy_preset(peer->opt.preset, &policy))
        die("no such preset");
    if (peer->opt.allow_12 || peer->opt.cm_sha1 || peer->opt.rsa) {
        policy.exceptions[0] = (struct kw_exception){
            .name = "interop",
            .reason = "a stack that knows only DTLS 1.2",
            .expires = now + 3600000,
            .has_fingerprint = true,
            .fingerprint = peer->peer_fingerprint,
            .allow_dtls12 = peer->opt.allow_12,
            .allow_cm_sha1_80 = peer->opt.cm_sha1,
            .allow_rsa = peer->opt.rsa,
        };
        policy.exception_count = 1;
    }
    if (kw_policy_decide(&policy, &who, now, &peer->terms) != KW_REFUSAL_NONE)
        die("refused by the policy");
}

static void start_association(struct peer *peer)
{
    struct kw_dtls_params params = {
        .role = peer->opt.is_client ? KW_DTLS_CLIENT : KW_DTLS_SERVER,
        .terms = &peer->terms,
        .identity = peer->identity,
        .fingerprints = &peer->peer_fingerprint,
        .fingerprint_count = 1,
        .require_cookie = peer->opt.cookie,
        .mtu = peer->opt.mtu,
        .binding = {(const uint8_t *)"interop", 7},
    };

    peer->shared.crypto = peer->crypto;
    peer->shared.random = kw_openssl_random();
    peer->shared.buffers = kw_dtls_buffers_init(aligned(kw_dtls_buffers_size(2)), 2);
    if (kw_random_fill(&peer->shared.random, peer->shared.cookie_key,
                       sizeof peer->shared.cookie_key) != KW_OK)
        die("no random bytes");
    if (kw_dtls_init(aligned(kw_dtls_size()), &peer->shared, &params, now_ns(), &peer->dtls) !=
        KW_OK)
        die("no association");
}

static void print_facts(struct peer *peer)
{
    const struct kw_dtls_facts *facts = kw_dtls_facts(peer->dtls);
    struct kw_srtp_keys keys;
    uint8_t exported[32];

    printf("version %s\n", kw_dtls_version_name(facts->version));
    printf("suite %s\n", kw_suite_name(facts->suite));
    printf("group %s\n", kw_group_name(facts->group));
    printf("profile %s\n", kw_srtp_profile_name(facts->srtp_profile));
    printf("retried %s\n", facts->retried ? "yes" : "no");
    if (facts->srtp_profile != KW_SRTP_NONE && kw_dtls_take_srtp_keys(peer->dtls, &keys) == KW_OK) {
        const struct kw_srtp_master *client = peer->opt.is_client ? &keys.write : &keys.read;
        const struct kw_srtp_master *server = peer->opt.is_client ? &keys.read : &keys.write;
        uint8_t all[2 * (KW_KEY_MAX + sizeof client->salt)];
        size_t len = 0;

        memcpy(all + len, client->key, client->key_len);
        len += client->key_len;
        memcpy(all + len, server->key, server->key_len);
        len += server->key_len;
        memcpy(all + len, client->salt, client->salt_len);
        len += client->salt_len;
        memcpy(all + len, server->salt, server->salt_len);
        len += server->salt_len;
        print_hex("srtp", all, len);
        kw_srtp_keys_wipe(&keys);
    }
    if (kw_dtls_export(peer->dtls, EXPORT_LABEL, (struct kw_bytes){NULL, 0}, exported,
                       sizeof exported) == KW_OK)
        print_hex("export", exported, sizeof exported);
    printf("connected\n");
    fflush(stdout);
}

static void handle_data(struct peer *peer, struct kw_bytes data, kw_ns now)
{
    printf("data %.*s\n", (int)data.len, (const char *)data.data);
    fflush(stdout);
    if (peer->opt.is_client) {
        peer->has_echo = true;
        kw_dtls_close(peer->dtls, now);
    } else if (kw_dtls_send(peer->dtls, data, now) != KW_OK) {
        die("send");
    }
}

static void handle_events(struct peer *peer, kw_ns now)
{
    struct kw_dtls_event event;

    while (kw_dtls_next_event(peer->dtls, &event)) {
        switch (event.type) {
        case KW_DTLS_EVENT_NONE:
            break;
        case KW_DTLS_EVENT_CONNECTED:
            peer->is_connected = true;
            print_facts(peer);
            break;
        case KW_DTLS_EVENT_CONFIRMED:
            if (peer->opt.is_client &&
                kw_dtls_send(peer->dtls,
                             (struct kw_bytes){(const uint8_t *)GREETING, sizeof GREETING - 1},
                             now) != KW_OK)
                die("send");
            break;
        case KW_DTLS_EVENT_DATA:
            handle_data(peer, event.data, now);
            break;
        case KW_DTLS_EVENT_CLOSED:
            peer->is_closed = true;
            printf("closed %s %s\n", kw_dtls_end_name(event.end), kw_alert_name(event.alert));
            fflush(stdout);
            break;
        }
    }
}

static void send_all(struct peer *peer, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    size_t len;

    while ((len = kw_dtls_transmit(peer->dtls, datagram, sizeof datagram, now)) > 0)
        if (peer->remote_len > 0 &&
            sendto(peer->fd, datagram, len, 0, (const struct sockaddr *)&peer->remote,
                   peer->remote_len) < 0 &&
            errno != ECONNREFUSED)
            die("sendto");
}

/* Waits for a datagram or the association's timer, whichever is first. */
static void turn(struct peer *peer, kw_ns until)
{
    kw_ns now = now_ns();
    kw_ns deadline = kw_dtls_deadline(peer->dtls);
    struct pollfd poll_fd = {.fd = peer->fd, .events = POLLIN};
    int wait_ms;

    if (deadline > until)
        deadline = until;
    wait_ms = deadline <= now ? 0 : (int)((deadline - now) / 1000000U) + 1;
    if (poll(&poll_fd, 1, wait_ms) < 0)
        die("poll");
    now = now_ns();
    if (poll_fd.revents & POLLIN) {
        uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        ssize_t len =
            recvfrom(peer->fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &from_len);

        if (len >= 0) {
            peer->remote = from;
            peer->remote_len = from_len;
            if (kw_dtls_receive(peer->dtls, datagram, (size_t)len, now) != KW_OK)
                peer->is_closed = true;
            handle_events(peer, now); /* before the datagram goes: data points into it */
        }
    }
    if (kw_dtls_deadline(peer->dtls) <= now && kw_dtls_tick(peer->dtls, now) != KW_OK)
        peer->is_closed = true;
    handle_events(peer, now);
    send_all(peer, now);
}

int main(int argc, char *argv[])
{
    static struct peer peer;
    kw_ns until;
    bool is_good;

    peer.opt = parse_options(argc, argv);
    open_socket(&peer);
    make_identity(&peer);
    read_peer_fingerprint(&peer);
    decide_terms(&peer);
    start_association(&peer);

    until = now_ns() + KW_S((kw_ns)peer.opt.seconds);
    send_all(&peer, now_ns());
    while (!peer.is_closed && now_ns() < until)
        turn(&peer, until);

    is_good = peer.is_connected && (!peer.opt.is_client || peer.has_echo);
    if (!peer.is_closed)
        printf("closed by the clock\n");
    kw_dtls_deinit(peer.dtls);
    peer.crypto->ops->identity_free(peer.identity);
    kw_openssl_free(peer.crypto);
    close(peer.fd);
    return is_good ? 0 : 1;
}
