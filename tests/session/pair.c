/* SPDX-License-Identifier: Apache-2.0 */
#include "session/pair.h"

#include "check.h"
#include "support/toy_crypto.h"

#include <stdlib.h>
#include <string.h>

static const struct kw_bytes alpn = {(const uint8_t *)"keywheel/1", 10};

static void *aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static struct kw_identity *new_identity(struct pair *pair, struct kw_fingerprint *print)
{
    struct kw_identity *identity;

    assert_int_equal(pair->crypto->ops->identity_new(pair->crypto, 0, &identity), KW_OK);
    assert_int_equal(kw_crypto_fingerprint(pair->crypto, KW_SHA256,
                                           pair->crypto->ops->identity_certificate(identity),
                                           print),
                     KW_OK);
    return identity;
}

static void init_end(struct pair *pair, unsigned number, const struct kw_fingerprint *peer)
{
    struct pair_end *end = &pair->ends[number];
    const struct kw_session_params params = {
        .terms = &pair->terms,
        .ssrc_max = 2,
        .method = pair->config.method,
    };
    const struct kw_generation_params generation = {
        .role = number == PAIR_A ? KW_DTLS_CLIENT : KW_DTLS_SERVER,
        .identity = end->identity,
        .fingerprints = peer,
        .fingerprint_count = 1,
        .alpn = alpn,
    };
    uint32_t given;

    end->pair = pair;
    end->number = number;
    end->path = net_path((uint8_t)(number + 1), (uint8_t)(2 - number));
    end->mem = aligned(kw_session_size());
    assert_int_equal(kw_session_init(end->mem, &pair->shared, &params, pair->now, &end->session),
                     KW_OK);
    assert_int_equal(kw_session_add_generation(end->session, &generation, pair->now, &given),
                     KW_OK);
    assert_int_equal(kw_session_add_path(end->session, given, &end->path, 0, pair->now), KW_OK);
}

/* Its known answers are checked once, not for each of thousands of pairs. */
static const struct kw_srtp_kernel *select_kernel(struct kw_crypto *crypto)
{
    static const struct kw_srtp_kernel *kernel;

    if (kernel == NULL)
        kernel = kw_srtp_kernel_select(crypto, NULL);
    return kernel;
}

void pair_init(struct pair *pair, const struct pair_config *config)
{
    struct kw_fingerprint prints[2];
    struct kw_peer peer = {.fingerprints = prints, .fingerprint_count = 1};
    size_t handshakes = config->handshakes != 0 ? config->handshakes : 8;
    const struct kw_session_pool_config pool = {
        .ssrc_max = 2,
        .sessions = 2,
        .rotations = config->rotations != 0 ? config->rotations : 4,
    };

    memset(pair, 0, sizeof *pair);
    pair->config = *config;
    pair->now = KW_S(1000);
    net_init(&pair->net, config->seed);
    pair->net.link = config->link;
    pair->crypto = toy_crypto_new(config->seed);
    pair->random_state = config->seed ^ 0x1234;
    pair->buffers_mem = aligned(kw_dtls_buffers_size(handshakes));
    pair->pool_mem = aligned(kw_session_pool_size(&pool));
    pair->shared = (struct kw_session_shared){
        .dtls =
            {
                .crypto = pair->crypto,
                .random = toy_random(&pair->random_state),
                .buffers = kw_dtls_buffers_init(pair->buffers_mem, handshakes),
            },
        .pool = kw_session_pool_init(pair->pool_mem, &pool),
        .kernel = select_kernel(pair->crypto),
    };
    pair->shared.evp_kernel = pair->shared.kernel;
    assert_non_null(pair->shared.kernel);
    assert_true(kw_policy_preset("modern", &pair->policy));
    if (config->period != 0)
        pair->policy.rotation.period = config->period;
    if (config->bytes != 0)
        pair->policy.rotation.bytes = config->bytes;
    if (config->grace != 0) {
        pair->policy.rotation.at_limit = KW_AT_LIMIT_GRACE;
        pair->policy.rotation.grace = config->grace;
    }
    for (unsigned i = 0; i < 2; i++)
        pair->ends[i].identity = new_identity(pair, &prints[i]);
    assert_int_equal(kw_policy_decide(&pair->policy, &peer, 0, &pair->terms), KW_REFUSAL_NONE);
    init_end(pair, PAIR_A, &prints[PAIR_B]);
    init_end(pair, PAIR_B, &prints[PAIR_A]);
}

void pair_deinit(struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        kw_session_deinit(pair->ends[i].session);
        pair->crypto->ops->identity_free(pair->ends[i].identity);
        free(pair->ends[i].mem);
    }
    assert_int_equal(toy_crypto_live(pair->crypto), 0);
    toy_crypto_free(pair->crypto);
    net_deinit(&pair->net);
    free(pair->buffers_mem);
    free(pair->pool_mem);
}

enum kw_status pair_prepare(struct pair *pair, struct pair_end *end)
{
    struct kw_fingerprint print;
    struct kw_identity *identity = new_identity(pair, &print);
    const struct kw_generation_params generation = {
        .identity = identity,
        .alpn = alpn,
        .method = KW_METHOD_OVERLAP,
    };
    uint32_t given;
    enum kw_status status = kw_session_add_generation(end->session, &generation, pair->now, &given);

    if (status != KW_OK) {
        pair->crypto->ops->identity_free(identity);
        return status;
    }
    pair->crypto->ops->identity_free(end->identity);
    end->identity = identity;
    return KW_OK;
}

static void drain_events(struct pair *pair, struct pair_end *end)
{
    struct kw_session_event event;

    while (kw_session_next_event(end->session, &event)) {
        end->events[event.type]++;
        if (event.type == KW_SESSION_EVENT_SWITCHED) {
            end->is_up = true;
            end->last_switch = pair->now;
            pair->busy_until = pair->now + KW_S(5);
        }
        if (event.type == KW_SESSION_EVENT_CLOSED) {
            end->has_ended = true;
            end->last_end = event;
        }
        if (event.type == KW_SESSION_EVENT_DUE && !end->is_lazy) {
            pair->busy_until = pair->now + KW_S(5);
            (void)!pair_prepare(pair, end);
        }
        if (end->on_event != NULL)
            end->on_event(end, &event);
    }
}

static void transmit(struct pair *pair, struct pair_end *end)
{
    uint8_t datagram[2048];
    struct kw_path path;
    size_t len;

    drain_events(pair, end);
    while ((len = kw_session_transmit(end->session, datagram, sizeof datagram, &path, pair->now)) !=
           0)
        net_send(&pair->net, &path, datagram, len, pair->now);
}

static void send_media(struct pair *pair, struct pair_end *end)
{
    uint8_t packet[128] = {0x80, 111};
    uint16_t seq = (uint16_t)(pair->config.first_seq + end->sent);
    size_t len = 12 + 40;
    struct kw_outlet outlet;
    struct kw_generation_facts facts;
    kw_ns interval = pair->config.interval != 0 ? pair->config.interval : KW_MS(20);

    if (pair->config.sparse != 0 && pair->now >= pair->busy_until)
        interval = pair->config.sparse;
    end->next_media = pair->now + interval;
    if (!kw_session_outlet(end->session, pair->now, &outlet))
        return;
    if (kw_session_facts(end->session, outlet.generation, pair->now, &facts) &&
        (pair->now >= facts.ready + pair->terms.rotation.period ||
         facts.sent.bytes + facts.received.bytes >= pair->terms.rotation.bytes))
        end->beyond++;
    packet[2] = (uint8_t)(seq >> 8);
    packet[3] = (uint8_t)seq;
    packet[11] = (uint8_t)(end->number + 1);
    memcpy(packet + 12, &end->sent, sizeof end->sent);
    assert_int_equal(kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet), KW_ACCEPT);
    net_send(&pair->net, &outlet.path, packet, len, pair->now);
    kw_session_sent(end->session, &outlet, len, pair->now);
    end->sent++;
    drain_events(pair, end);
}

static void note(struct pair_end *end, const uint8_t *packet)
{
    enum { WINDOW = 64 * 64 };
    uint64_t number;

    memcpy(&number, packet + 12, sizeof number);
    while (end->got != 0 && end->highest < number) {
        end->highest++;
        end->seen[end->highest % WINDOW / 64] &= ~(UINT64_C(1) << end->highest % 64);
    }
    if (end->got == 0)
        end->highest = number;
    if (end->seen[number % WINDOW / 64] >> number % 64 & 1)
        end->twice++;
    end->seen[number % WINDOW / 64] |= UINT64_C(1) << number % 64;
    end->got++;
}

static void receive(struct pair *pair, struct pair_end *end, struct net_datagram *datagram)
{
    struct kw_received received;
    size_t len = datagram->len;
    bool is_media = datagram->data[0] >= 128 && datagram->data[0] <= 191;

    assert_int_equal(kw_session_receive(end->session, &datagram->path, datagram->data, &len,
                                        pair->now, &received),
                     KW_OK);
    if (received.kind == KW_PACKET_RTP)
        note(end, datagram->data);
    else if (is_media && !end->has_ended && received.verdict != KW_DROP_REPLAY)
        end->unusable++;
    transmit(pair, end);
}

static void turn(struct pair *pair)
{
    struct net_datagram datagram;

    while (net_take(&pair->net, pair->now, &datagram)) {
        for (unsigned i = 0; i < 2; i++) {
            if (kw_address_equal(&pair->ends[i].path.local, &datagram.path.local))
                receive(pair, &pair->ends[i], &datagram);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        struct pair_end *end = &pair->ends[i];

        if (kw_session_deadline(end->session) <= pair->now)
            assert_int_equal(kw_session_tick(end->session, pair->now), KW_OK);
        transmit(pair, end);
        if (end->is_up && !end->has_ended && !end->is_mute && end->next_media <= pair->now)
            send_media(pair, end);
    }
}

void pair_run(struct pair *pair, kw_ns until)
{
    unsigned stuck = 0;

    for (;;) {
        kw_ns next = net_next(&pair->net);

        for (unsigned i = 0; i < 2; i++) {
            struct pair_end *end = &pair->ends[i];

            next = KW_MIN(next, kw_session_deadline(end->session));
            if (end->is_up && !end->has_ended && !end->is_mute)
                next = KW_MIN(next, end->next_media);
        }
        next = KW_MAX(next, pair->now);
        if (next > until)
            break;
        stuck = next == pair->now ? stuck + 1 : 0;
        CHECK(stuck < 1000, "time stands still, seed %llu", (unsigned long long)pair->config.seed);
        pair->now = next;
        turn(pair);
    }
    pair->now = until;
}

bool pair_connect(struct pair *pair, kw_ns limit)
{
    kw_ns end = pair->now + limit;

    transmit(pair, &pair->ends[PAIR_A]);
    while (pair->now < end && !(pair->ends[0].is_up && pair->ends[1].is_up))
        pair_run(pair, pair->now + KW_MS(10));
    return pair->ends[0].is_up && pair->ends[1].is_up;
}

void pair_settle(struct pair *pair)
{
    pair->ends[0].is_mute = true;
    pair->ends[1].is_mute = true;
    pair_run(pair, pair->now + KW_S(2));
}

static bool is_in_use(const struct pair *pair, const uint8_t *block)
{
    for (unsigned i = 0; i < 2; i++) {
        for (size_t j = 0; j < KW_SESSION_GENERATIONS; j++) {
            if ((const uint8_t *)pair->ends[i].session->generations[j].engines == block)
                return true;
        }
    }
    return false;
}

size_t pair_dirty_blocks(const struct pair *pair)
{
    const struct kw_pool *blocks = &pair->shared.pool->blocks;
    size_t count = 0;

    for (size_t i = 0; i < blocks->block_count; i++) {
        const uint8_t *block = blocks->memory + i * blocks->block_size;
        bool is_dirty = false;

        if (is_in_use(pair, block))
            continue;
        /* A free block begins with the pointer to the next one. */
        for (size_t at = sizeof(void *); at < blocks->block_size; at++)
            is_dirty |= block[at] != 0;
        count += is_dirty;
    }
    return count;
}
