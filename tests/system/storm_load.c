/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection is one RTCPeerConnection of a browser. Connection i is the first of call i,
 * connection calls + i its second. Connection number n speaks from 127.1.(n / 250).(n % 250 + 1).
 *
 *   thread of requests: takes the next connection whose offer is ready, POSTs it, keeps the answer
 *   our own thread: takes answers, runs sessions, sends media on schedule
 */
#include "check.h"

#include "storm_load.h"

#include "../http/client.h"
#include "sdp/sdp.h"
#include "sys/clock.h"

#include <keywheel/openssl.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    SSRC_MAX = 2,
    HTTP_THREADS = 8,
    ANSWER_MAX = 4096,
    RTP_HEADER_LEN = 12,
    PAYLOAD_LEN = 80,
    SOCKET_BUFFER = 16 << 20,
    RECEIVE_AT_ONCE = 16, /* a handshake datagram may cost half a millisecond */
    PER_ADDRESS = 250,
    TICK_MS = 10,
};

struct connection {
    struct kw_session *session;
    void *mem;
    struct kw_identity *identity;
    struct kw_fingerprint fingerprint;
    struct kw_ice_credentials credentials;
    struct kw_path path;
    char location[128];
    char *answer;
    atomic_bool has_answer;
    atomic_int status;
    bool is_started, is_up;
    uint16_t seq;
};

static struct {
    const struct daemon *gateway;
    size_t calls;
    unsigned per_second;
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_session_shared shared;
    void *buffers, *pool;
    struct kw_policy policy;
    int fd;
    uint16_t port;
    uint32_t overflow;
    struct connection *connections; /* 2 * calls */
    size_t first, end;              /* connections that are being made */
    atomic_size_t next_request;
    pthread_t threads[HTTP_THREADS];
    size_t up;
    kw_ns media_zero; /* of the schedule */
    uint64_t media_sent;
    kw_ns tick_at;
    struct storm_figures *figures;
} load;

static void *aligned(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    assert_non_null(mem);
    memset(mem, 0, size);
    return mem;
}

/* Wall clock, as the kernel stamps datagrams. */
static kw_ns stamp_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (kw_ns)ts.tv_sec * KW_S(1) + (kw_ns)ts.tv_nsec;
}

static size_t number_of(const struct connection *connection)
{
    return (size_t)(connection - load.connections);
}

static struct kw_address address_of(size_t number)
{
    return (struct kw_address){
        .family = 4,
        .port = load.port,
        .ip = {127, 1, (uint8_t)(number / PER_ADDRESS), (uint8_t)(number % PER_ADDRESS + 1)},
    };
}

/* --- opening ---------------------------------------------------------------------------------- */

static void open_socket(void)
{
    const struct kw_address any = {.family = 4};
    struct sockaddr_storage name;
    struct kw_address bound;
    socklen_t len = kw_address_to_socket(&any, &name);
    const int one = 1, size = SOCKET_BUFFER;

    load.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(load.fd >= 0);
    assert_int_equal(bind(load.fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(getsockname(load.fd, (struct sockaddr *)&name, &len), 0);
    assert_true(kw_address_from_socket((struct sockaddr *)&name, &bound));
    load.port = bound.port;
    assert_int_equal(setsockopt(load.fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one), 0);
    assert_int_equal(setsockopt(load.fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one), 0);
    assert_int_equal(setsockopt(load.fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one), 0);
    if (setsockopt(load.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)!setsockopt(load.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void storm_open(const struct daemon *gateway, size_t calls, unsigned per_second)
{
    const struct kw_openssl_config config = {
        .associations = 2 * calls, .handshakes = calls, .srtp_keys = 1};
    const struct kw_session_pool_config pool = {
        .ssrc_max = SSRC_MAX, .sessions = 2 * calls, .has_ice = true};

    assert_true(calls != 0 && calls <= STORM_CALLS_MAX);
    memset(&load, 0, sizeof load);
    load.gateway = gateway;
    load.calls = calls;
    load.per_second = per_second;
    assert_int_equal(kw_openssl_new(&config, &load.crypto), KW_OK);
    load.random = kw_openssl_random();
    load.buffers = aligned(kw_dtls_buffers_size(calls));
    load.shared.dtls = (struct kw_dtls_shared){
        .crypto = load.crypto,
        .random = load.random,
        .buffers = kw_dtls_buffers_init(load.buffers, calls),
    };
    load.pool = aligned(kw_session_pool_size(&pool));
    load.shared.pool = kw_session_pool_init(load.pool, &pool);
    load.shared.kernel = kw_srtp_kernel_select(load.crypto, NULL);
    load.shared.evp_kernel = load.shared.kernel;
    assert_non_null(load.shared.kernel);
    assert_true(kw_policy_preset("modern", &load.policy));
    load.connections = aligned(2 * calls * sizeof *load.connections);
    open_socket();
}

void storm_close(void)
{
    for (size_t i = 0; i < 2 * load.calls; i++) {
        struct connection *connection = &load.connections[i];

        if (connection->is_started)
            kw_session_deinit(connection->session);
        if (connection->identity != NULL)
            load.crypto->ops->identity_free(connection->identity);
        free(connection->mem);
        free(connection->answer);
    }
    close(load.fd);
    kw_openssl_free(load.crypto);
    free(load.buffers);
    free(load.pool);
    free(load.connections);
}

/* --- requests --------------------------------------------------------------------------------- */

static void prepare(struct connection *connection)
{
    struct kw_crypto *crypto = load.crypto;

    assert_int_equal(crypto->ops->identity_new(crypto, kw_clock_utc(), &connection->identity),
                     KW_OK);
    assert_int_equal(kw_crypto_fingerprint(crypto, KW_SHA256,
                                           crypto->ops->identity_certificate(connection->identity),
                                           &connection->fingerprint),
                     KW_OK);
    assert_int_equal(kw_ice_credentials_draw(&load.random, &connection->credentials), KW_OK);
    connection->answer = aligned(ANSWER_MAX);
    connection->mem = aligned(kw_session_size());
}

static size_t write_request(const struct connection *connection, char *dst, size_t dst_size)
{
    char body[KW_SDP_TEXT_MAX], path[160] = "/v1/calls";
    const struct kw_sdp_offer_params params = {
        .session_id = 1,
        .version = 1,
        .ufrag = connection->credentials.ufrag,
        .pwd = connection->credentials.pwd,
        .fingerprint = &connection->fingerprint,
        .setup = KW_SDP_SETUP_ACTPASS,
        .direction = KW_SDP_SENDRECV,
        .cname = "storm",
        .stream = "storm",
        .audio_ssrc = 1 + (uint32_t)number_of(connection),
    };
    size_t len = kw_sdp_offer_write(&params, body, sizeof body);
    size_t number = number_of(connection);
    int request_len;

    if (number >= load.calls)
        snprintf(path, sizeof path, "%s/generations",
                 load.connections[number - load.calls].location);
    request_len = snprintf(dst, dst_size,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                           "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                           path, load.gateway->token, len, body);
    return (size_t)request_len;
}

/* One answer of a kept connection: the header, then as much as it says. False: it broke. */
static bool read_answer(int fd, char *dst)
{
    size_t len = client_read(fd, dst, ANSWER_MAX, "\r\n\r\n");
    const char *body = strstr(dst, "\r\n\r\n"), *said = strcasestr(dst, "\r\nContent-Length: ");
    size_t body_len;

    if (body == NULL || said == NULL)
        return false;
    body_len = strtoul(said + strlen("\r\nContent-Length: "), NULL, 10);
    while (len < (size_t)(body + 4 - dst) + body_len && len + 1 < ANSWER_MAX) {
        ssize_t n = recv(fd, dst + len, ANSWER_MAX - 1 - len, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
        dst[len] = '\0';
    }
    return true;
}

static void *request_thread(void *ctx)
{
    char request[KW_SDP_TEXT_MAX + 1024];
    int fd = client_connect(&load.gateway->http);
    size_t number;

    (void)ctx;
    while (fd >= 0 && (number = atomic_fetch_add(&load.next_request, 1)) < load.end) {
        struct connection *connection = &load.connections[number];
        int status = 0;

        client_send(fd, request, write_request(connection, request, sizeof request));
        if (read_answer(fd, connection->answer))
            sscanf(connection->answer, "HTTP/1.%*d %d", &status);
        atomic_store(&connection->status, status);
        atomic_store(&connection->has_answer, true);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void take_answer(struct connection *connection, kw_ns now)
{
    static struct kw_sdp sdp;
    struct kw_sdp_problem problem;
    struct kw_terms terms;
    struct kw_peer peer = {0};
    struct kw_session_params params = {.ssrc_max = SSRC_MAX, .method = KW_METHOD_CAP};
    struct kw_generation_params generation = {
        .role = KW_DTLS_CLIENT,
        .identity = connection->identity,
        .has_ice = true,
        .controlling = true,
        .local = connection->credentials,
    };
    const char *body = strstr(connection->answer, "\r\n\r\n");
    const char *location = strcasestr(connection->answer, "\r\nLocation: ");
    uint32_t number;

    CHECK(connection->status == 201, "status %d: %s", connection->status, connection->answer);
    assert_non_null(body);
    if (location != NULL)
        sscanf(location, " %*s %127s", connection->location);
    assert_int_equal(
        kw_sdp_answer_parse((struct kw_bytes){(const uint8_t *)body + 4, strlen(body + 4)}, &sdp,
                            &problem),
        KW_SDP_OK);
    peer.fingerprints = generation.fingerprints = sdp.transport.fingerprints;
    peer.fingerprint_count = generation.fingerprint_count = sdp.transport.fingerprint_count;
    memcpy(generation.remote.ufrag, sdp.transport.ufrag.data, sdp.transport.ufrag.len);
    memcpy(generation.remote.pwd, sdp.transport.pwd.data, sdp.transport.pwd.len);
    assert_int_equal(kw_policy_decide(&load.policy, &peer, kw_clock_utc(), &terms),
                     KW_REFUSAL_NONE);
    params.terms = &terms;
    connection->path.local = address_of(number_of(connection));
    for (size_t i = 0; i < sdp.transport.candidate_count; i++) {
        if (sdp.transport.candidates[i].address.family == 4)
            connection->path.remote = sdp.transport.candidates[i].address;
    }
    assert_int_equal(
        kw_session_init(connection->mem, &load.shared, &params, now, &connection->session), KW_OK);
    assert_int_equal(kw_session_add_generation(connection->session, &generation, now, &number),
                     KW_OK);
    assert_int_equal(kw_session_add_path(connection->session, number, &connection->path, 1000, now),
                     KW_OK);
    connection->is_started = true;
}

/* --- datagrams -------------------------------------------------------------------------------- */

static void send_from(const struct kw_path *path, const uint8_t *datagram, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {0};
    struct sockaddr_storage name;
    struct iovec iovec = {(void *)(uintptr_t)datagram, len};
    struct msghdr header = {
        .msg_name = &name,
        .msg_namelen = kw_address_to_socket(&path->remote, &name),
        .msg_iov = &iovec,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    struct in_pktinfo info = {0};

    memcpy(&info.ipi_spec_dst, path->local.ip, 4);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    (void)!sendmsg(load.fd, &header, 0);
}

static void serve(struct connection *connection, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_session_event event;
    struct kw_path path;
    size_t len;

    while ((len = kw_session_transmit(connection->session, datagram, sizeof datagram, &path,
                                      now)) != 0)
        send_from(&path, datagram, len);
    while (kw_session_next_event(connection->session, &event)) {
        CHECK(event.type != KW_SESSION_EVENT_CLOSED, "connection %zu ended: %s",
              number_of(connection), kw_session_end_name(event.session_end));
        if (event.type != KW_SESSION_EVENT_SWITCHED)
            continue;
        connection->is_up = true;
        load.up++;
    }
}

static void take_echo(const uint8_t *packet, kw_ns arrived)
{
    struct storm_figures *figures = load.figures;
    kw_ns sent;

    memcpy(&sent, packet + RTP_HEADER_LEN, sizeof sent);
    if (figures == NULL || sent < load.media_zero)
        return;
    figures->echoed++;
    if (figures->wait_count < STORM_SAMPLES_MAX)
        figures->waits_us[figures->wait_count++] = (uint32_t)((arrived - sent) / KW_US(1));
}

static void read_control(struct msghdr *header, size_t *number, kw_ns *arrived)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            uint8_t ip[4];

            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(ip, &info.ipi_addr, sizeof ip);
            *number = (size_t)ip[2] * PER_ADDRESS + ip[3] - 1;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;

            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            *arrived = (kw_ns)ts.tv_sec * KW_S(1) + (kw_ns)ts.tv_nsec;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t overflow;

            memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
            if (load.figures != NULL)
                load.figures->socket_drops += (uint32_t)(overflow - load.overflow);
            load.overflow = overflow;
        }
    }
}

static bool receive_one(void)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct iovec iovec = {datagram, sizeof datagram};
    struct msghdr header = {.msg_iov = &iovec,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    size_t number = 2 * load.calls, len;
    ssize_t n = recvmsg(load.fd, &header, 0);
    struct connection *connection;
    struct kw_received received;
    kw_ns arrived = 0, now;

    if (n < 0)
        return false;
    read_control(&header, &number, &arrived);
    if (number >= 2 * load.calls || !load.connections[number].is_started)
        return true;
    connection = &load.connections[number];
    len = (size_t)n;
    now = kw_clock_now();
    assert_int_equal(
        kw_session_receive(connection->session, &connection->path, datagram, &len, now, &received),
        KW_OK);
    if (received.kind == KW_PACKET_RTP && len >= RTP_HEADER_LEN + PAYLOAD_LEN)
        take_echo(datagram, arrived);
    else
        serve(connection, now);
    return true;
}

/* --- media ------------------------------------------------------------------------------------ */

static void send_packet(struct connection *connection, kw_ns now)
{
    uint8_t packet[RTP_HEADER_LEN + PAYLOAD_LEN + KW_SRTP_TAIL] = {0x80, 111};
    uint32_t ssrc = 1 + (uint32_t)number_of(connection);
    size_t len = RTP_HEADER_LEN + PAYLOAD_LEN;
    struct kw_outlet outlet;
    kw_ns sent;

    if (!kw_session_outlet(connection->session, now, &outlet))
        return;
    packet[2] = (uint8_t)(connection->seq >> 8);
    packet[3] = (uint8_t)connection->seq;
    for (size_t i = 0; i < 4; i++) {
        packet[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
        packet[4 + i] = (uint8_t)(connection->seq * 9600U >> (24 - 8 * i));
    }
    connection->seq++;
    sent = stamp_now();
    memcpy(packet + RTP_HEADER_LEN, &sent, sizeof sent);
    assert_int_equal(kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet), KW_ACCEPT);
    send_from(&outlet.path, packet, len);
    kw_session_sent(connection->session, &outlet, len, now);
    if (load.figures != NULL)
        load.figures->sent++;
}

/* Call by call, evenly over the second; on the newest connection that is up. */
static void send_media(kw_ns until)
{
    uint64_t rate = (uint64_t)load.calls * load.per_second;
    kw_ns stamp = stamp_now();
    uint64_t due;

    if (load.media_zero == 0 || stamp < load.media_zero)
        return;
    due = (KW_MIN(stamp, until) - load.media_zero) / (KW_S(1) / rate);
    for (; load.media_sent < due; load.media_sent++) {
        struct connection *first = &load.connections[load.media_sent % load.calls];
        struct connection *second = first + load.calls;

        if (second->is_up)
            send_packet(second, kw_clock_now());
        else if (first->is_up)
            send_packet(first, kw_clock_now());
    }
}

static void tick_all(kw_ns media_until)
{
    kw_ns now = kw_clock_now();

    if (now < load.tick_at)
        return;
    load.tick_at = now + KW_MS(TICK_MS);
    for (size_t i = 0; i < load.end; i++) {
        struct connection *connection = &load.connections[i];

        if (!connection->is_started) {
            if (!atomic_load(&connection->has_answer))
                continue;
            take_answer(connection, now);
        } else if (kw_session_deadline(connection->session) > now) {
            continue;
        }
        assert_int_equal(kw_session_tick(connection->session, now), KW_OK);
        serve(connection, now);
        if (i % RECEIVE_AT_ONCE == 0)
            send_media(media_until);
        now = kw_clock_now();
    }
}

static void turn(kw_ns media_until)
{
    struct pollfd pollfd = {.fd = load.fd, .events = POLLIN};
    const struct timespec wait = {0, 50000};

    send_media(media_until);
    ppoll(&pollfd, 1, &wait, NULL);
    for (int i = 0; i < RECEIVE_AT_ONCE && receive_one(); i++)
        send_media(media_until);
    tick_all(media_until);
}

/* --- what a test asks for --------------------------------------------------------------------- */

static void begin_media(struct storm_figures *figures)
{
    load.figures = figures;
    load.media_zero = stamp_now();
    load.media_sent = 0;
    if (figures != NULL)
        memset(figures, 0, sizeof *figures);
}

/* Nothing more is sent; what is on its way still comes. */
static void end_media(void)
{
    kw_ns stop = stamp_now(), until = kw_clock_now() + KW_MS(500);

    while (kw_clock_now() < until)
        turn(stop);
    load.figures = NULL;
    load.media_zero = 0;
}

void storm_talk(kw_ns time, struct storm_figures *figures)
{
    kw_ns until = kw_clock_now() + time;

    begin_media(figures);
    while (kw_clock_now() < until)
        turn(KW_NEVER);
    end_media();
}

static bool connect_all(size_t first, kw_ns limit)
{
    kw_ns until = kw_clock_now() + limit;

    load.first = first;
    load.end = first + load.calls;
    load.up = 0;
    atomic_store(&load.next_request, first);
    for (size_t i = 0; i < HTTP_THREADS; i++)
        assert_int_equal(pthread_create(&load.threads[i], NULL, request_thread, NULL), 0);
    while (load.up < load.calls && kw_clock_now() < until)
        turn(KW_NEVER);
    for (size_t i = 0; i < HTTP_THREADS; i++)
        pthread_join(load.threads[i], NULL);
    return load.up == load.calls;
}

bool storm_call(kw_ns limit)
{
    for (size_t i = 0; i < load.calls; i++)
        prepare(&load.connections[i]);
    return connect_all(0, limit);
}

bool storm_rotate(kw_ns limit, struct storm_figures *figures, kw_ns *took)
{
    bool is_done;
    kw_ns begin;

    for (size_t i = load.calls; i < 2 * load.calls; i++)
        prepare(&load.connections[i]);
    begin_media(figures);
    begin = kw_clock_now();
    is_done = connect_all(load.calls, limit);
    *took = kw_clock_now() - begin;
    end_media();
    return is_done;
}
