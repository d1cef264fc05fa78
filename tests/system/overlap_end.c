/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop around kw_session_*: what waits at the socket, what is due, what is to be said, then sleep
 * until the next of them. Packets carry the moment they were scheduled for, so that waiting in
 * our own loop counts as delay.
 *
 * Once a second new keys are asked for: by one end, by the other, by both at once.
 */
#include "overlap_end.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum {
    SSRC_MAX = 2,
    HEADER_LEN = 12,
    PACKET_LEN = HEADER_LEN + 160,
    HANDSHAKES = 2,
    GENERATIONS = 3,
    FIRST_SEQ = 64000, /* it wraps soon: new keys go on with the roll-over counter of the old */
};

#define KEYS_MAX KW_S(3)      /* L: a rotation that fails for two seconds ends the session */
#define IDLE_AFTER KW_MS(400) /* after a switch there is time to make the next certificate */
#define LISTEN KW_S(1)

static const struct kw_bytes alpn = {(const uint8_t *)"keywheel/1", 10};

struct end {
    const struct overlap_plan *plan;
    struct overlap_figures *figures;
    unsigned number;
    int fd;
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_session *session;
    struct kw_path path;
    struct overlap_identity spare; /* for the next generation */
    kw_ns refill_at;
    kw_ns next_media;
    kw_ns next_mark;
    unsigned mark;
    uint64_t draw;
    uint32_t overflow;
};

static kw_ns earlier(kw_ns a, kw_ns b)
{
    return a < b ? a : b;
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "overlap end: %s\n", what);
    exit(EXIT_FAILURE);
}

static kw_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (kw_ns)ts.tv_sec * KW_S(1) + (kw_ns)ts.tv_nsec;
}

static void *memory(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    must(mem != NULL, "no memory");
    memset(mem, 0, size);
    return mem;
}

static bool new_identity(struct overlap_identity *ret)
{
    kw_utc_ms utc = (kw_utc_ms)time(NULL) * 1000;

    return ret->crypto->ops->identity_new(ret->crypto, utc, &ret->identity) == KW_OK &&
           kw_crypto_fingerprint(ret->crypto, KW_SHA256,
                                 ret->crypto->ops->identity_certificate(ret->identity),
                                 &ret->fingerprint) == KW_OK;
}

bool overlap_identity_new(struct overlap_identity *ret)
{
    const struct kw_openssl_config config = {
        .associations = GENERATIONS, .handshakes = HANDSHAKES, .srtp_keys = 2 * GENERATIONS};

    return kw_openssl_new(&config, &ret->crypto) == KW_OK && new_identity(ret);
}

/* --- what goes out ---------------------------------------------------------------------------- */

static uint64_t draw(struct end *end) /* SplitMix64 */
{
    uint64_t z = end->draw += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_to_be_thrown(struct end *end)
{
    return draw(end) % 1000 < end->plan->loss_permille;
}

static void flush(struct end *end, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_path path;
    size_t len;

    while ((len = kw_session_transmit(end->session, datagram, sizeof datagram, &path, now)) != 0) {
        end->figures->others++;
        if (is_to_be_thrown(end))
            end->figures->others_thrown++;
        else
            (void)!send(end->fd, datagram, len, 0); /* its timer sends it again */
    }
}

static void write_header(const struct end *end, uint64_t number, uint8_t *packet)
{
    uint32_t timestamp = (uint32_t)number * 160;
    uint16_t seq = (uint16_t)(FIRST_SEQ + number);

    packet[0] = 0x80;
    packet[1] = 111;
    packet[2] = (uint8_t)(seq >> 8);
    packet[3] = (uint8_t)seq;
    for (size_t i = 0; i < 4; i++)
        packet[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
    packet[11] = (uint8_t)(end->number + 1);
}

static void send_packet(struct end *end, kw_ns now)
{
    uint8_t packet[PACKET_LEN + KW_SRTP_TAIL] = {0};
    uint64_t number = end->figures->sent++;
    struct kw_outlet outlet;
    size_t len = PACKET_LEN;

    if (!kw_session_outlet(end->session, now, &outlet)) {
        end->figures->stalled++;
        return;
    }
    write_header(end, number, packet);
    memcpy(packet + HEADER_LEN, &number, sizeof number);
    memcpy(packet + HEADER_LEN + sizeof number, &end->next_media, sizeof end->next_media);
    must(kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet) == KW_ACCEPT, "protect");
    if (is_to_be_thrown(end)) {
        end->figures->is_thrown[number] = 1;
        end->figures->thrown++;
    } else if (send(end->fd, packet, len, 0) != (ssize_t)len) {
        end->figures->unsent++;
    }
    kw_session_sent(end->session, &outlet, len, now);
}

/* --- what happens ----------------------------------------------------------------------------- */

static struct overlap_window *open_window(struct end *end)
{
    struct overlap_figures *figures = end->figures;

    if (figures->window_count == 0 || figures->windows[figures->window_count - 1].switched != 0)
        return NULL;
    return &figures->windows[figures->window_count - 1];
}

/* A certificate costs as much as half of a handshake, so the next one is made in quiet moments. */
static void refill(struct end *end)
{
    if (end->spare.identity == NULL)
        must(new_identity(&end->spare), "no certificate");
}

static void prepare(struct end *end, kw_ns now)
{
    struct overlap_figures *figures = end->figures;
    struct kw_generation_params params = {.alpn = alpn, .method = KW_METHOD_OVERLAP};
    uint32_t number;

    refill(end);
    params.identity = end->spare.identity;

    if (open_window(end) == NULL && figures->window_count < OVERLAP_WINDOWS_MAX)
        figures->windows[figures->window_count++].asked = now;
    if (kw_session_add_generation(end->session, &params, now, &number) != KW_OK)
        return; /* said again after a while */
    end->crypto->ops->identity_free(end->spare.identity);
    end->spare.identity = NULL;
}

static void take_event(struct end *end, const struct kw_session_event *event, kw_ns now)
{
    struct overlap_figures *figures = end->figures;
    struct overlap_window *window = open_window(end);
    struct kw_generation_facts facts;

    switch (event->type) {
    case KW_SESSION_EVENT_NONE:
    case KW_SESSION_EVENT_PATH:
    case KW_SESSION_EVENT_READY:
        break;
    case KW_SESSION_EVENT_DUE:
        prepare(end, now);
        break;
    case KW_SESSION_EVENT_SWITCHED:
        if (window != NULL)
            window->switched = now;
        end->refill_at = now + IDLE_AFTER;
        break;
    case KW_SESSION_EVENT_RETIRED:
        if (kw_session_facts(end->session, event->generation, now, &facts))
            figures->lost_across_switches += facts.lost_across_switch;
        break;
    case KW_SESSION_EVENT_FAILED:
        figures->failed++;
        break;
    case KW_SESSION_EVENT_OVERDUE:
        figures->overdue++;
        break;
    case KW_SESSION_EVENT_CLOSED:
        figures->is_closed = true;
        break;
    }
}

static void take_events(struct end *end, kw_ns now)
{
    struct kw_session_event event;

    while (kw_session_next_event(end->session, &event))
        take_event(end, &event, now);
}

/* --- what comes in ---------------------------------------------------------------------------- */

static void note(struct end *end, const uint8_t *packet, kw_ns now)
{
    struct overlap_figures *figures = end->figures;
    uint64_t number;
    kw_ns scheduled;

    memcpy(&number, packet + HEADER_LEN, sizeof number);
    memcpy(&scheduled, packet + HEADER_LEN + sizeof number, sizeof scheduled);
    must(number < (uint64_t)end->plan->seconds * end->plan->per_second, "a number beyond the plan");
    figures->got++;
    if (figures->delays[number] != 0)
        figures->twice++;
    figures->delays[number] = (uint32_t)((now - scheduled) / KW_US(1)) + 1;
}

static void take_datagram(struct end *end, uint8_t *datagram, size_t len, kw_ns now)
{
    bool is_media = datagram[0] >= 128 && datagram[0] <= 191; /* RFC 7983 */
    struct kw_received received;

    must(kw_session_receive(end->session, &end->path, datagram, &len, now, &received) == KW_OK,
         "the session failed");
    if (received.kind == KW_PACKET_RTP)
        note(end, datagram, clock_now());
    else if (is_media)
        end->figures->unusable++;
    if (!is_media)
        flush(end, now);
    take_events(end, now);
}

static void read_overflow(struct end *end, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        uint32_t overflow;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
        end->figures->overflow += (uint32_t)(overflow - end->overflow);
        end->overflow = overflow;
    }
}

static void receive(struct end *end)
{
    enum { AT_ONCE = 64 }; /* then our own packets have their turn */

    for (int i = 0; i < AT_ONCE; i++) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(uint32_t))];
        } control;
        uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
        struct iovec iovec = {datagram, sizeof datagram};
        struct msghdr header = {.msg_iov = &iovec,
                                .msg_iovlen = 1,
                                .msg_control = &control,
                                .msg_controllen = sizeof control};
        ssize_t n = recvmsg(end->fd, &header, MSG_DONTWAIT);

        if (n < 0)
            return;
        read_overflow(end, &header);
        if (n > 0)
            take_datagram(end, datagram, (size_t)n, clock_now());
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

/* Asked by A, by B, by both at once, and so on. */
static void keep_time(struct end *end, kw_ns now)
{
    if (now < end->next_mark)
        return;
    if (end->mark % 3 == 2 || end->mark % 3 == end->number)
        kw_session_rotate(end->session, KW_REASON_OPERATOR, now);
    end->mark++;
    end->next_mark += KW_S(1);
}

static void send_media(struct end *end, kw_ns stop)
{
    kw_ns interval = KW_S(1) / end->plan->per_second;
    kw_ns now;

    while (end->next_media < stop && end->next_media <= (now = clock_now())) {
        send_packet(end, now);
        end->next_media += interval;
    }
}

static void sleep_until(const struct end *end, kw_ns until)
{
    struct pollfd pollfd = {.fd = end->fd, .events = POLLIN};
    kw_ns now = clock_now();
    kw_ns wait = until > now ? until - now : 0;
    struct timespec timeout = {(time_t)(wait / KW_S(1)), (long)(wait % KW_S(1))};

    ppoll(&pollfd, 1, &timeout, NULL);
}

static void run(struct end *end)
{
    kw_ns stop = end->plan->begin + (kw_ns)end->plan->seconds * KW_S(1);
    kw_ns now = clock_now();

    flush(end, now);
    while (!end->figures->is_closed && now < stop + LISTEN) {
        kw_ns until = earlier(kw_session_deadline(end->session), stop + LISTEN);

        if (end->next_media < stop)
            until = earlier(until, earlier(end->next_media, end->next_mark));
        sleep_until(end, until);
        receive(end);
        send_media(end, stop);
        now = clock_now();
        if (now < stop)
            keep_time(end, now);
        if (kw_session_deadline(end->session) <= now)
            must(kw_session_tick(end->session, now) == KW_OK, "the session failed");
        take_events(end, now);
        flush(end, now);
        if (now >= end->refill_at)
            refill(end);
    }
}

static struct kw_session *open_session(struct end *end, const struct overlap_identity *own,
                                       const struct kw_fingerprint *peer)
{
    static struct kw_session_shared shared;
    struct kw_session_params params = {.ssrc_max = SSRC_MAX, .method = KW_METHOD_OVERLAP};
    const struct kw_generation_params generation = {
        .role = end->number == 0 ? KW_DTLS_CLIENT : KW_DTLS_SERVER,
        .identity = own->identity,
        .fingerprints = peer,
        .fingerprint_count = 1,
        .alpn = alpn,
    };
    const struct kw_peer known = {.fingerprints = peer, .fingerprint_count = 1};
    const struct kw_session_pool_config pool = {
        .ssrc_max = SSRC_MAX, .sessions = 1, .rotations = KW_SESSION_GENERATIONS - 1};
    struct kw_session *session;
    struct kw_policy policy;
    struct kw_terms terms;
    kw_ns now = clock_now();
    uint32_t number;

    shared.dtls = (struct kw_dtls_shared){
        .crypto = own->crypto,
        .random = kw_openssl_random(),
        .buffers = kw_dtls_buffers_init(memory(kw_dtls_buffers_size(HANDSHAKES)), HANDSHAKES),
    };
    shared.pool = kw_session_pool_init(memory(kw_session_pool_size(&pool)), &pool);
    shared.kernel = kw_srtp_kernel_select(own->crypto, NULL);
    shared.evp_kernel = kw_srtp_kernel_select(own->crypto, "evp");
    must(kw_policy_preset("modern", &policy), "no such preset");
    policy.rotation.period = KEYS_MAX;
    must(kw_policy_decide(&policy, &known, (kw_utc_ms)time(NULL) * 1000, &terms) == KW_REFUSAL_NONE,
         "the policy refuses this peer");
    params.terms = &terms;
    must(kw_session_init(memory(kw_session_size()), &shared, &params, now, &session) == KW_OK &&
             kw_session_add_generation(session, &generation, now, &number) == KW_OK &&
             kw_session_add_path(session, number, &end->path, 0, now) == KW_OK,
         "no session");
    return session;
}

void overlap_end_run(const struct overlap_plan *plan, unsigned number, int fd,
                     const struct overlap_identity *own, const struct kw_fingerprint *peer,
                     struct overlap_figures *figures)
{
    struct end end = {
        .plan = plan,
        .figures = figures,
        .number = number,
        .fd = fd,
        .crypto = own->crypto,
        .spare = {.crypto = own->crypto},
        .next_media = plan->begin,
        .next_mark = plan->begin + KW_S(1),
        .draw = plan->seed + number,
    };

    prctl(PR_SET_TIMERSLACK, 1000UL);
    end.path.local = (struct kw_address){.family = 4, .port = (uint16_t)(1 + number)};
    end.path.remote = (struct kw_address){.family = 4, .port = (uint16_t)(2 - number)};
    refill(&end);
    end.session = open_session(&end, own, peer);
    run(&end);
    must(
        kw_session_facts(end.session, kw_session_current(end.session), clock_now(), &figures->last),
        "no generation in the end");
    kw_session_deinit(end.session);
    if (end.spare.identity != NULL)
        end.crypto->ops->identity_free(end.spare.identity);
    figures->is_done = true;
}
