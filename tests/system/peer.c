/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "peer.h"

#include "../http/client.h"
#include "base/writer.h"
#include "rtp/rtcp.h"
#include "rtp/rtp.h"
#include "sdp/sdp.h"
#include "sys/clock.h"

#include <keywheel/openssl.h>

#include <stdlib.h>
#include <sys/socket.h>

enum { RTP_HEADER_LEN = 12, PAYLOAD_LEN = 80, SSRC_MAX = 8, PEERS_MAX = 20 };

static struct {
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_dtls_shared dtls;
    const struct kw_srtp_kernel *kernel;
    void *buffers;
} world;

static void *aligned(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    assert_non_null(mem);
    memset(mem, 0, size);
    return mem;
}

void peer_world_open(void)
{
    const struct kw_openssl_config config = {
        .associations = PEERS_MAX, .handshakes = PEERS_MAX, .srtp_keys = 2 * PEERS_MAX};

    assert_int_equal(kw_openssl_new(&config, &world.crypto), KW_OK);
    world.random = kw_openssl_random();
    world.buffers = aligned(kw_dtls_buffers_size(PEERS_MAX));
    world.dtls = (struct kw_dtls_shared){
        .crypto = world.crypto,
        .random = world.random,
        .buffers = kw_dtls_buffers_init(world.buffers, PEERS_MAX),
    };
    world.kernel = kw_srtp_kernel_select(world.crypto, NULL);
    assert_non_null(world.kernel);
}

void peer_world_close(void)
{
    kw_openssl_free(world.crypto);
    free(world.buffers);
}

struct kw_crypto *peer_crypto(void)
{
    return world.crypto;
}

static bool header_value(const char *answer, const char *name, char *dst, size_t dst_size)
{
    const char *at = strcasestr(answer, name);
    size_t len;

    if (at == NULL)
        return false;
    at += strlen(name);
    len = strcspn(at, "\r\n");
    if (len >= dst_size)
        return false;
    memcpy(dst, at, len);
    dst[len] = '\0';
    return true;
}

static void new_identity(struct peer *peer)
{
    assert_int_equal(world.crypto->ops->identity_new(world.crypto, kw_clock_utc(), &peer->identity),
                     KW_OK);
    assert_int_equal(kw_crypto_fingerprint(world.crypto, KW_SHA256,
                                           world.crypto->ops->identity_certificate(peer->identity),
                                           &peer->fingerprint),
                     KW_OK);
}

static size_t write_offer(struct peer *peer, const struct kw_ice_credentials *credentials,
                          char *dst, size_t dst_size)
{
    struct kw_sdp_offer_params params;

    new_identity(peer);
    params = (struct kw_sdp_offer_params){
        .session_id = 1,
        .version = 1,
        .ufrag = credentials->ufrag,
        .pwd = credentials->pwd,
        .fingerprint = &peer->fingerprint,
        .setup = KW_SDP_SETUP_ACTPASS,
        .direction = KW_SDP_SENDRECV,
        .cname = "peer",
        .stream = "peer",
        .audio_ssrc = peer->ssrc,
    };
    return kw_sdp_offer_write(&params, dst, dst_size);
}

/* client_random: NULL, or the 32 bytes that ROTATE announced. */
static void start_association(struct peer *peer, const struct kw_fingerprint *remote,
                              const uint8_t *client_random)
{
    static const char name[] = "keywheel/1";
    struct kw_policy policy;
    struct kw_terms terms;
    const struct kw_peer known = {.fingerprints = remote, .fingerprint_count = 1};
    struct kw_dtls_params dtls = {
        .role = KW_DTLS_CLIENT,
        .terms = &terms,
        .identity = peer->identity,
        .fingerprints = remote,
        .fingerprint_count = 1,
    };

    assert_true(kw_policy_preset("modern", &policy));
    if (peer->wants_cm) {
        memset(policy.profiles, 0, sizeof policy.profiles);
        policy.profiles[0] = KW_SRTP_AES128_CM_SHA1_80;
    }
    assert_int_equal(kw_policy_decide(&policy, &known, kw_clock_utc(), &terms), KW_REFUSAL_NONE);
    if (peer->says_keywheel)
        dtls.alpn = (struct kw_bytes){(const uint8_t *)name, strlen(name)};
    if (client_random != NULL) {
        memcpy(dtls.client_random, client_random, sizeof dtls.client_random);
        dtls.has_client_random = true;
    }
    peer->remote_fingerprint = *remote;
    peer->memory[1] = aligned(kw_dtls_size());
    assert_int_equal(kw_dtls_init(peer->memory[1], &world.dtls, &dtls, kw_clock_now(), &peer->dtls),
                     KW_OK);
}

static void start_transport(struct peer *peer, const struct kw_ice_credentials *local,
                            const struct kw_sdp_transport *remote)
{
    struct kw_ice_params ice = {
        .crypto = world.crypto, .random = &world.random, .local = *local, .controlling = true};
    kw_ns now = kw_clock_now();

    memcpy(ice.remote.ufrag, remote->ufrag.data, remote->ufrag.len);
    memcpy(ice.remote.pwd, remote->pwd.data, remote->pwd.len);
    peer->memory[0] = aligned(kw_ice_size());
    assert_int_equal(kw_ice_init(peer->memory[0], &ice, now, &peer->ice), KW_OK);
    assert_int_equal(remote->fingerprint_count, 1);
    start_association(peer, &remote->fingerprints[0], NULL);

    assert_true(remote->candidate_count >= 1);
    peer->path.local = (struct kw_address){.family = 4, .port = 1};
    for (size_t i = 0; i < remote->candidate_count && peer->path.remote.family != 4; i++)
        peer->path.remote = remote->candidates[i].address;
    assert_int_equal(peer->path.remote.family, 4);
    assert_int_equal(kw_ice_add_path(peer->ice, &peer->path, 1000, now), KW_OK);
}

static bool post_offer(struct peer *peer, const struct daemon *daemon, const char *path)
{
    static char body[KW_SDP_TEXT_MAX], request[KW_SDP_TEXT_MAX + 1024], answer[65536];
    static struct kw_sdp sdp;
    struct kw_ice_credentials credentials = {0};
    struct kw_sdp_problem problem;
    const char *text;
    size_t len;
    int request_len;

    assert_int_equal(kw_ice_credentials_draw(&world.random, &credentials), KW_OK);
    len = write_offer(peer, &credentials, body, sizeof body);
    assert_true(len != 0);
    request_len = snprintf(request, sizeof request,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           "Authorization: Bearer %s\r\nContent-Type: application/sdp\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           path, daemon->token, len, body);
    peer->http_status =
        client_ask(&daemon->http, request, (size_t)request_len, answer, sizeof answer);
    if (peer->http_status != 201)
        return false;
    if (peer->location[0] == '\0')
        assert_true(header_value(answer, "\r\nLocation: ", peer->location, sizeof peer->location));
    header_value(answer, "\r\nETag: ", peer->etag, sizeof peer->etag);
    text = strstr(answer, "\r\n\r\n") + 4;
    CHECK(kw_sdp_answer_parse((struct kw_bytes){(const uint8_t *)text, strlen(text)}, &sdp,
                              &problem) == KW_SDP_OK,
          "answer line %u: %s", problem.line, problem.what);
    start_transport(peer, &credentials, &sdp.transport);
    return true;
}

static void open_socket(struct peer *peer)
{
    struct sockaddr_storage name;
    socklen_t len = kw_address_to_socket(&peer->path.remote, &name);

    peer->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&name, len), 0);
}

static void reset(struct peer *peer, uint32_t ssrc)
{
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
    peer->ssrc = ssrc;
}

bool peer_post(struct peer *peer, const struct daemon *daemon, const char *path, uint32_t ssrc)
{
    const char *tail = strstr(path, "/generations");

    reset(peer, ssrc);
    if (tail != NULL)
        memcpy(peer->location, path, (size_t)(tail - path));
    if (!post_offer(peer, daemon, path))
        return false;
    open_socket(peer);
    return true;
}

bool peer_call(struct peer *peer, const struct daemon *daemon)
{
    return peer_post(peer, daemon, "/v1/calls", 0x4b570001);
}

bool peer_call_cm(struct peer *peer, const struct daemon *daemon)
{
    reset(peer, 0x4b570001);
    peer->wants_cm = true;
    if (!post_offer(peer, daemon, "/v1/calls"))
        return false;
    open_socket(peer);
    return true;
}

bool peer_call_overlap(struct peer *peer, const struct daemon *daemon)
{
    reset(peer, 0x4b570001);
    peer->says_keywheel = true;
    peer->generation = 1;
    if (!post_offer(peer, daemon, "/v1/calls"))
        return false;
    open_socket(peer);
    return true;
}

/* docs/session.md, "Overlap". */
enum { ROTATE_VERSION = 1, ROTATE_ASK = 1, ROTATE_ACCEPT = 2, ROTATE_HEAD_LEN = 8 };

static void take_accept(struct peer *peer, struct kw_bytes message)
{
    if (message.len != ROTATE_HEAD_LEN + 32 || message.data[0] != ROTATE_VERSION ||
        message.data[1] != ROTATE_ACCEPT || message.data[5] != peer->generation + 1 ||
        message.data[6] != KW_SHA256 || message.data[7] != 32)
        return;
    peer->accepted.hash = KW_SHA256;
    memcpy(peer->accepted.digest, message.data + ROTATE_HEAD_LEN, 32);
    peer->is_accepted = true;
}

static bool is_accepted(const struct peer *peer)
{
    return peer->is_accepted;
}

bool peer_overlap(struct peer *peer, struct peer *old)
{
    uint8_t client_random[32], hash[KW_DIGEST_MAX];
    uint8_t raw[128];
    struct kw_writer out = kw_writer_of(raw, sizeof raw);

    reset(peer, old->ssrc);
    strcpy(peer->location, old->location);
    peer->says_keywheel = true;
    peer->generation = old->generation + 1;
    new_identity(peer);
    assert_int_equal(kw_random_fill(&world.random, client_random, sizeof client_random), KW_OK);
    assert_int_equal(kw_crypto_hash(world.crypto, KW_SHA256,
                                    (struct kw_bytes){client_random, sizeof client_random}, hash),
                     KW_OK);
    kw_write_u8(&out, ROTATE_VERSION);
    kw_write_u8(&out, ROTATE_ASK);
    kw_write_u32(&out, peer->generation);
    kw_write_u8(&out, KW_SHA256);
    kw_write_vector(&out, (struct kw_bytes){peer->fingerprint.digest, 32}, 1);
    kw_write_bytes(&out, (struct kw_bytes){hash, 32});
    assert_false(out.failed);
    assert_int_equal(kw_dtls_send(old->dtls, kw_writer_view(&out), kw_clock_now()), KW_OK);
    if (!peer_run(old, KW_S(2), is_accepted))
        return false;

    peer->fd = old->fd;
    peer->path = old->path;
    peer->ice = old->ice;
    peer->memory[0] = old->memory[0];
    peer->seq = old->seq;
    old->fd = -1;
    old->ice = NULL;
    old->memory[0] = NULL;
    start_association(peer, &old->accepted, client_random);
    return true;
}

bool peer_restart(struct peer *peer, struct peer *old, const struct daemon *daemon)
{
    char path[300];

    reset(peer, old->ssrc);
    strcpy(peer->location, old->location);
    snprintf(path, sizeof path, "%s/restart", old->location);
    if (!post_offer(peer, daemon, path))
        return false;
    peer->fd = old->fd;
    peer->seq = old->seq;
    old->fd = -1;
    return true;
}

static void take_keys(struct peer *peer)
{
    struct kw_srtp_params params = {
        .kernel = world.kernel, .crypto = world.crypto, .ssrc_max = SSRC_MAX};

    assert_int_equal(kw_dtls_export(peer->dtls, "EXTRACTOR-dtls_srtp", (struct kw_bytes){NULL, 0},
                                    peer->exported, sizeof peer->exported),
                     KW_OK);
    assert_int_equal(kw_dtls_take_srtp_keys(peer->dtls, &peer->keys), KW_OK);
    peer->memory[2] = aligned(kw_srtp_size(SSRC_MAX));
    peer->memory[3] = aligned(kw_srtp_size(SSRC_MAX));
    params.master = &peer->keys.write;
    params.for_sending = true;
    assert_int_equal(kw_srtp_init(peer->memory[2], &params, &peer->sending), KW_OK);
    params.master = &peer->keys.read;
    params.for_sending = false;
    assert_int_equal(kw_srtp_init(peer->memory[3], &params, &peer->receiving), KW_OK);
}

static void take_events(struct peer *peer)
{
    struct kw_dtls_event event;

    while (kw_dtls_next_event(peer->dtls, &event)) {
        if (event.type == KW_DTLS_EVENT_CONNECTED)
            take_keys(peer);
        if (event.type == KW_DTLS_EVENT_CONFIRMED)
            peer->is_connected = true;
        if (event.type == KW_DTLS_EVENT_CLOSED)
            peer->is_closed = true;
        if (event.type == KW_DTLS_EVENT_DATA)
            take_accept(peer, event.data);
    }
}

static void flush(struct peer *peer, kw_ns now)
{
    uint8_t datagram[2048];
    struct kw_path path;
    size_t len;

    while ((len = kw_ice_transmit(peer->ice, datagram, sizeof datagram, &path, now)) != 0)
        (void)!send(peer->fd, datagram, len, 0);
    if (!kw_ice_selected(peer->ice, &path))
        return;
    while ((len = kw_dtls_transmit(peer->dtls, datagram, sizeof datagram, now)) != 0)
        (void)!send(peer->fd, datagram, len, 0);
}

/* The payload says which packet it is, so that the echo can be recognised. */
static void fill_payload(uint8_t *payload, uint16_t seq)
{
    for (size_t i = 0; i < PAYLOAD_LEN; i++)
        payload[i] = (uint8_t)(seq * 31 + i);
}

static void take_media(struct peer *peer, uint8_t *datagram, size_t len)
{
    uint8_t expected[PAYLOAD_LEN];

    if (peer->receiving == NULL)
        return;
    if (kw_srtp_is_rtcp(datagram, len)) {
        (void)!kw_srtcp_unprotect(peer->receiving, datagram, &len);
        return;
    }
    if (kw_srtp_unprotect(peer->receiving, datagram, &len) != KW_ACCEPT)
        return;
    peer->back++;
    if (peer->on_rtp != NULL)
        peer->on_rtp(peer->ctx, datagram, len);
    if (len < PAYLOAD_LEN + RTP_HEADER_LEN)
        return;
    for (uint16_t seq = peer->seq; (uint16_t)(peer->seq - seq) < 64; seq--) {
        fill_payload(expected, seq);
        if (memcmp(datagram + len - PAYLOAD_LEN, expected, PAYLOAD_LEN) == 0) {
            peer->recognised++;
            return;
        }
    }
}

static void take_datagram(struct peer *peer, uint8_t *datagram, size_t len, kw_ns now)
{
    if (datagram[0] < 4) { /* RFC 7983 */
        (void)!kw_ice_receive(peer->ice, &peer->path, datagram, len, now);
    } else if (datagram[0] >= 20 && datagram[0] <= 63) {
        assert_int_equal(kw_dtls_receive(peer->dtls, datagram, len, now), KW_OK);
        take_events(peer);
    } else if (datagram[0] >= 128 && datagram[0] <= 191) {
        take_media(peer, datagram, len);
    }
}

static kw_ns deadline_of(const struct peer *peer)
{
    return KW_MIN(kw_ice_deadline(peer->ice), kw_dtls_deadline(peer->dtls));
}

static void serve(struct peer *peer, kw_ns now)
{
    uint8_t datagram[2048];
    ssize_t n;

    while ((n = recv(peer->fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0)
        take_datagram(peer, datagram, (size_t)n, now);
    if (kw_ice_deadline(peer->ice) <= now)
        kw_ice_tick(peer->ice, now);
    if (kw_dtls_deadline(peer->dtls) <= now)
        assert_int_equal(kw_dtls_tick(peer->dtls, now), KW_OK);
    take_events(peer);
    flush(peer, now);
}

static void turn(struct peer *const *peers, size_t count, kw_ns until)
{
    struct pollfd pollfds[PEERS_MAX];
    kw_ns now = kw_clock_now();
    kw_ns wait = until;

    assert_true(count <= PEERS_MAX);
    for (size_t i = 0; i < count; i++) {
        pollfds[i] = (struct pollfd){.fd = peers[i]->fd, .events = POLLIN};
        wait = KW_MIN(wait, deadline_of(peers[i]));
        flush(peers[i], now);
    }
    wait = wait > now ? (wait - now + KW_MS(1) - 1) / KW_MS(1) : 0;
    poll(pollfds, count, (int)KW_MIN(wait, (kw_ns)100));
    now = kw_clock_now();
    for (size_t i = 0; i < count; i++)
        serve(peers[i], now);
}

void peers_run(struct peer *const *peers, size_t count, kw_ns until)
{
    do {
        turn(peers, count, until);
    } while (kw_clock_now() < until);
}

bool peer_run(struct peer *peer, kw_ns time, bool (*done)(const struct peer *peer))
{
    kw_ns until = kw_clock_now() + time;

    while (kw_clock_now() < until) {
        if (done != NULL && done(peer))
            return true;
        turn(&peer, 1, until);
    }
    return done != NULL && done(peer);
}

bool peer_is_connected(const struct peer *peer)
{
    return peer->is_connected;
}

void peer_send(struct peer *peer, const struct peer_frame *frame)
{
    uint8_t packet[RTP_HEADER_LEN + PEER_FRAME_MAX + KW_SRTP_TAIL] = {0x80};
    size_t len = RTP_HEADER_LEN + frame->len;

    assert_true(frame->len <= PEER_FRAME_MAX);
    packet[1] = frame->payload_type;
    kw_rtp_set_seq(packet, frame->seq);
    kw_rtp_set_timestamp(packet, frame->timestamp);
    kw_rtp_set_ssrc(packet, peer->ssrc);
    memcpy(packet + RTP_HEADER_LEN, frame->payload, frame->len);
    assert_int_equal(kw_srtp_protect(peer->sending, packet, &len, sizeof packet), KW_ACCEPT);
    (void)!send(peer->fd, packet, len, 0);
    peer->sent++;
}

void peer_report(struct peer *peer, uint32_t timestamp, kw_ns now)
{
    const struct kw_rtcp_sender sender = {
        .ntp = kw_ntp_from_ns(now), .timestamp = timestamp, .packets = (uint32_t)peer->sent};
    uint8_t packet[256];
    struct kw_writer out = kw_writer_of(packet, sizeof packet - KW_SRTP_TAIL);
    size_t len;

    kw_rtcp_write_sr(&out, peer->ssrc, &sender, NULL, 0);
    kw_rtcp_write_cname(&out, peer->ssrc, (struct kw_bytes){(const uint8_t *)"peer", 4});
    assert_false(out.failed);
    len = kw_writer_view(&out).len;
    assert_int_equal(kw_srtcp_protect(peer->sending, packet, &len, sizeof packet), KW_ACCEPT);
    (void)!send(peer->fd, packet, len, 0);
}

void peer_close(struct peer *peer)
{
    kw_ns now = kw_clock_now();

    kw_dtls_close(peer->dtls, now);
    flush(peer, now);
}

static void send_packet(struct peer *peer)
{
    uint8_t payload[PAYLOAD_LEN];
    struct peer_frame frame = {
        .payload_type = 111,
        .timestamp = (uint32_t)peer->seq * 960,
        .payload = payload,
        .len = sizeof payload,
    };

    frame.seq = ++peer->seq;
    fill_payload(payload, frame.seq);
    peer_send(peer, &frame);
}

void peer_talk(struct peer *peer, uint64_t packets, kw_ns interval)
{
    kw_ns next = kw_clock_now();

    for (uint64_t i = 0; i < packets; i++) {
        send_packet(peer);
        next += interval;
        while (kw_clock_now() < next)
            turn(&peer, 1, next);
    }
}

void peer_listen(struct peer *peer, kw_ns time)
{
    (void)peer_run(peer, time, NULL);
}

int peer_ask(const struct peer *peer, const struct daemon *daemon, const char *method,
             const char *tail, char *answer, size_t answer_size)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "%s %s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                       "Authorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
                       method, peer->location, tail, daemon->token);

    return client_ask(&daemon->http, request, (size_t)len, answer, answer_size);
}

int peer_hang_up(struct peer *peer, const struct daemon *daemon)
{
    char answer[4096];

    return peer_ask(peer, daemon, "DELETE", "", answer, sizeof answer);
}

void peer_free(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    kw_srtp_deinit(peer->sending);
    kw_srtp_deinit(peer->receiving);
    if (peer->dtls != NULL)
        kw_dtls_deinit(peer->dtls);
    if (peer->ice != NULL)
        kw_ice_deinit(peer->ice);
    if (peer->identity != NULL)
        world.crypto->ops->identity_free(peer->identity);
    for (size_t i = 0; i < 4; i++)
        free(peer->memory[i]);
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
}
