/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/world.h"

#include "check.h"
#include "gateway/state.h"
#include "rtp/rtp.h"
#include "support/toy_crypto.h"

#include <keywheel/openssl.h>
#include <stdlib.h>
#include <string.h>

const struct kw_address world_gateway_address = {
    .family = 4,
    .port = 5004,
    .ip = {192, 0, 2, 1},
};

const struct kw_address world_agent_address = {
    .family = 4,
    .port = 6000,
    .ip = {192, 0, 2, 99},
};

enum { WORLD_BATCH = 64, AGENT_SSRC = 0xa9e27 };

static const kw_utc_ms start_utc = 1795000000000; /* November 2026 */

kw_utc_ms world_utc(const struct world *world)
{
    return start_utc + (kw_utc_ms)(world->now / KW_MS(1));
}

struct kw_address world_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct kw_address){.family = 4, .port = port, .ip = {a, b, c, d}};
}

struct kw_path world_reversed(const struct kw_path *path)
{
    return (struct kw_path){.local = path->remote, .remote = path->local};
}

/* --- the audit ring --------------------------------------------------------------------------- */

static bool reserve(void *ctx, size_t slot_count)
{
    struct world *world = ctx;
    size_t room = world->config.facts_room != 0 ? world->config.facts_room : WORLD_FACTS_MAX;

    if (world->fact_count + world->facts_reserved + slot_count > room)
        return false;
    world->facts_reserved += slot_count;
    return true;
}

static void release(void *ctx, size_t slot_count)
{
    struct world *world = ctx;

    assert_true(world->facts_reserved >= slot_count);
    world->facts_reserved -= slot_count;
}

static void put(void *ctx, const struct kw_fact *fact)
{
    struct world *world = ctx;

    assert_true(world->facts_reserved > 0);
    world->facts_reserved--;
    world->facts[world->fact_count++] = *fact;
}

size_t world_facts(const struct world *world, enum kw_fact_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < world->fact_count; i++)
        count += world->facts[i].type == type;
    return count;
}

const struct kw_fact *world_last_fact(const struct world *world, enum kw_fact_type type)
{
    for (size_t i = world->fact_count; i > 0; i--) {
        if (world->facts[i - 1].type == type)
            return &world->facts[i - 1];
    }
    return NULL;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void *aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void init_crypto(struct world *world)
{
    size_t handshakes = world->config.handshakes != 0 ? world->config.handshakes
                                                      : 2 * world->config.clients_max + 8;

    if (world->config.real_crypto) {
        const struct kw_openssl_config config = {
            .associations = 8 * world->config.clients_max + 16,
            .handshakes = 2 * world->config.clients_max + 16,
            .srtp_keys = 16 * world->config.clients_max + 16,
        };

        assert_int_equal(kw_openssl_new(&config, &world->crypto), KW_OK);
    } else {
        world->crypto = toy_crypto_new(world->config.seed);
    }
    world->toy_state = world->config.seed ^ 0x5eed;
    world->buffers_mem = aligned(kw_dtls_buffers_size(handshakes));
    world->shared = (struct kw_session_shared){
        .dtls =
            {
                .crypto = world->crypto,
                .random = toy_random(&world->toy_state),
                .buffers = kw_dtls_buffers_init(world->buffers_mem, handshakes),
            },
        .kernel = kw_srtp_kernel_select(world->crypto, NULL),
    };
    world->shared.evp_kernel = world->shared.kernel;
    assert_non_null(world->shared.kernel);
}

static void init_tenants(struct world *world)
{
    static const char *const names[] = {"demo", "other", "whip-only"};
    static const char *const tokens[] = {"demo-token", "other-token", "third-token"};

    for (size_t i = 0; i < 3; i++) {
        struct kw_tenant_config *tenant = &world->tenants[i];

        memset(tenant, 0, sizeof *tenant);
        strcpy(tenant->name, names[i]);
        strcpy(tenant->token, tokens[i]);
        assert_true(kw_policy_preset("modern", &tenant->policy));
        tenant->backend = i == 0 ? world->config.backend : KW_BACKEND_ECHO;
        tenant->rtp_target = world_agent_address;
        tenant->calls_max = world->config.tenant_calls_max;
        tenant->calls_per_minute = world->config.calls_per_minute;
        if (world->config.period != 0)
            tenant->policy.rotation.period = world->config.period;
        if (world->config.grace) {
            tenant->policy.rotation.at_limit = KW_AT_LIMIT_GRACE;
            tenant->policy.rotation.grace = KW_S(120);
        }
    }
}

void world_init(struct world *world, const struct world_config *config)
{
    struct kw_gateway_config gateway;

    memset(world, 0, sizeof *world);
    world->config = *config;
    world->now = KW_S(1000);
    net_init(&world->net, config->seed);
    world->net.link = config->link;
    init_crypto(world);
    init_tenants(world);
    world->facts = calloc(WORLD_FACTS_MAX, sizeof *world->facts);
    world->peers = calloc(config->clients_max, sizeof *world->peers);
    world->heap_mem = aligned(kw_heap_size(config->clients_max));
    kw_heap_init(&world->heap, world->heap_mem, config->clients_max);

    gateway = (struct kw_gateway_config){
        .shared = world->shared,
        .sink = {.reserve = reserve, .release = release, .put = put, .ctx = world},
        .calls_max = config->calls_max,
        .candidate_count = 1,
        .candidates = {world_gateway_address},
        .tenant_count = 3,
        .tenants = world->tenants,
    };
    if (config->fault_at != 0) {
        world->faulty = faulty_crypto_new(world->crypto);
        gateway.shared.dtls.crypto = world->faulty;
    }
    world->faulty_random = (struct faulty_random){.inner = world->shared.dtls.random};
    gateway.shared.dtls.random = faulty_random(&world->faulty_random);
    world->gateway_mem = aligned(kw_gateway_size(&gateway));
    assert_int_equal(kw_gateway_init(world->gateway_mem, &gateway, world->now, &world->gateway),
                     KW_OK);
    kw_gateway_tick(world->gateway, world->now, world_utc(world));
    world->faulty_random.calls = 0;
    world->faulty_random.fail_at = config->random_fault_at;
    if (world->faulty != NULL)
        faulty_crypto_arm(world->faulty, config->fault_at, KW_ERR_CRYPTO, false);
}

void world_deinit(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        struct peer *peer = &world->peers[i];

        if (peer->session != NULL)
            kw_session_deinit(peer->session);
        if (peer->identity != NULL)
            world->crypto->ops->identity_free(peer->identity);
        free(peer->mem);
    }
    kw_gateway_deinit(world->gateway);
    assert_int_equal(world->facts_reserved, 0);
    if (world->faulty != NULL) {
        assert_int_equal(faulty_crypto_live(world->faulty), 0);
        faulty_crypto_free(world->faulty);
    }
    if (world->config.real_crypto) {
        kw_openssl_free(world->crypto);
    } else {
        assert_int_equal(toy_crypto_live(world->crypto), 0);
        toy_crypto_free(world->crypto);
    }
    net_deinit(&world->net);
    free(world->gateway_mem);
    free(world->buffers_mem);
    free(world->facts);
    free(world->heap_mem);
    free(world->peers);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void peer_events(struct peer *peer)
{
    struct kw_session_event event;

    while (kw_session_next_event(peer->session, &event)) {
        if (event.type == KW_SESSION_EVENT_SWITCHED)
            peer->is_up = true;
        if (event.type == KW_SESSION_EVENT_CLOSED) {
            peer->has_ended = true;
            peer->end = event.session_end;
            peer->dtls_end = event.end;
        }
    }
}

static bool speaks(const struct world *world, const struct peer *peer)
{
    return peer->is_up && !peer->is_mute && !peer->is_deaf && !peer->has_ended &&
           world->now < peer->media_until;
}

void world_schedule(struct world *world, struct peer *peer)
{
    kw_ns at = KW_NEVER;

    if (peer->session != NULL && !peer->has_ended)
        at = kw_session_deadline(peer->session);
    if (speaks(world, peer))
        at = KW_MIN(at, peer->next_media);
    kw_heap_set(&world->heap, peer->number, at);
}

static void peer_transmit(struct world *world, struct peer *peer)
{
    uint8_t datagram[2048];
    struct kw_path path;
    size_t len;

    while ((len = kw_session_transmit(peer->session, datagram, sizeof datagram, &path,
                                      world->now)) != 0) {
        if (!peer->is_deaf)
            net_send(&world->net, &path, datagram, len, world->now);
    }
    peer_events(peer);
    world_schedule(world, peer);
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void world_rtcp(struct world *world, struct peer *peer, const uint8_t *packet, size_t len)
{
    uint8_t buffer[512];
    struct kw_outlet outlet;

    assert_true(kw_session_outlet(peer->session, world->now, &outlet));
    memcpy(buffer, packet, len);
    assert_int_equal(kw_srtcp_protect(outlet.srtp, buffer, &len, sizeof buffer), KW_ACCEPT);
    kw_session_sent(peer->session, &outlet, len, world->now);
    net_send(&world->net, &outlet.path, buffer, len, world->now);
}

/* A sender report of our audio with what we know of the stream that comes back. */
static void peer_report(struct world *world, struct peer *peer)
{
    uint8_t packet[256];
    struct kw_writer out = kw_writer_of(packet, sizeof packet);
    const struct kw_rtcp_sender sender = {
        .ntp = kw_ntp_from_ns(world->now + KW_S(12345)),
        .timestamp = peer->timestamp,
        .packets = (uint32_t)peer->media_sent,
    };
    struct kw_rtcp_block block;
    size_t block_count = 0;

    peer->next_report = world->now + KW_S(1);
    if (peer->source.started) {
        kw_rtp_source_block(&peer->source, world->now, &block);
        block_count = 1;
    }
    kw_rtcp_write_sr(&out, peer->ssrc, &sender, &block, block_count);
    kw_rtcp_write_cname(&out, peer->ssrc, (struct kw_bytes){(const uint8_t *)"client", 6});
    assert_false(out.failed);
    world_rtcp(world, peer, packet, out.len);
}

static void peer_rtcp(struct world *world, struct peer *peer, const uint8_t *packet, size_t len)
{
    struct kw_reader in = kw_reader_of(packet, len);
    struct kw_rtcp rtcp;
    struct kw_rtcp_block block;

    assert_int_equal(kw_rtcp_check(packet, len), KW_ACCEPT);
    peer->rtcp_back++;
    while (kw_rtcp_next(&in, &rtcp)) {
        if (rtcp.type == KW_RTCP_SR && rtcp.ssrc == peer->source.ssrc)
            kw_rtp_source_sr(&peer->source, &rtcp.sender, world->now);
        while (kw_rtcp_block_next(&rtcp.blocks, &block)) {
            if (block.ssrc == peer->ssrc)
                peer->heard = block;
        }
        if (rtcp.type == KW_RTCP_PSFB && rtcp.media_ssrc == peer->ssrc + 0x10000)
            peer->key_frame_wishes++;
    }
}

static void peer_media(struct world *world, struct peer *peer)
{
    uint8_t packet[256] = {0x80, 111};
    size_t len = 12 + 80;
    struct kw_outlet outlet;

    peer->next_media =
        world->now + (world->config.media_interval != 0 ? world->config.media_interval : KW_MS(20));
    packet[2] = (uint8_t)(peer->seq >> 8);
    packet[3] = (uint8_t)peer->seq;
    peer->seq++;
    put32(packet + 4, peer->timestamp);
    peer->timestamp += 960;
    put32(packet + 8, peer->ssrc);
    memset(packet + 12, (int)(peer->number & 0xff), 80);
    if (!kw_session_outlet(peer->session, world->now, &outlet))
        return;
    assert_int_equal(kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet), KW_ACCEPT);
    kw_session_sent(peer->session, &outlet, len, world->now);
    net_send(&world->net, &outlet.path, packet, len, world->now);
    peer->media_sent++;
    if (world->now >= peer->next_report)
        peer_report(world, peer);
}

static void peer_receive(struct world *world, struct peer *peer, struct net_datagram *packet)
{
    struct kw_received received;
    size_t len = packet->len;

    if (peer->is_deaf)
        return;
    assert_int_equal(
        kw_session_receive(peer->session, &packet->path, packet->data, &len, world->now, &received),
        KW_OK);
    if (received.kind == KW_PACKET_RTP) {
        uint16_t seq = (uint16_t)(packet->data[2] << 8 | packet->data[3]);

        uint32_t ssrc = get32(packet->data + 8), ts = get32(packet->data + 4);
        uint32_t step = ts - peer->back_ts - 960;

        if (peer->media_back != 0 && ssrc == peer->back_ssrc && step != 0) {
            peer->ts_steps++;
            peer->ts_step_max = KW_MAX(peer->ts_step_max, (int32_t)step < 0 ? 0 - step : step);
        }
        if (peer->media_back == 0 || ssrc != peer->back_ssrc)
            peer->back_ssrcs++;
        peer->back_ts = ts;
        if (peer->media_back != 0 && seq != (uint16_t)(peer->back_seq + 1))
            peer->back_gaps++;
        peer->back_seq = seq;
        peer->back_ssrc = get32(packet->data + 8);
        peer->media_back++;
        if (!peer->source.started)
            kw_rtp_source_init(&peer->source, peer->back_ssrc, 48000);
        if (peer->back_ssrc == peer->source.ssrc)
            kw_rtp_source_receive(&peer->source, seq, get32(packet->data + 4), world->now);
    } else if (received.kind == KW_PACKET_RTCP) {
        peer_rtcp(world, peer, packet->data, len);
    }
    peer_transmit(world, peer);
}

size_t world_offer(struct world *world, struct peer *peer)
{
    const struct kw_random random = toy_random(&world->toy_state);
    struct kw_sdp_offer_params params;
    size_t len;

    if (peer->identity != NULL)
        world->crypto->ops->identity_free(peer->identity);
    assert_int_equal(kw_ice_credentials_draw(&random, &peer->credentials), KW_OK);
    assert_int_equal(
        world->crypto->ops->identity_new(world->crypto, world_utc(world), &peer->identity), KW_OK);
    assert_int_equal(kw_crypto_fingerprint(world->crypto, KW_SHA256,
                                           world->crypto->ops->identity_certificate(peer->identity),
                                           &peer->fingerprint),
                     KW_OK);
    params = (struct kw_sdp_offer_params){
        .session_id = 1 + peer->number,
        .version = 1,
        .ufrag = peer->credentials.ufrag,
        .pwd = peer->credentials.pwd,
        .fingerprint = &peer->fingerprint,
        .setup = KW_SDP_SETUP_ACTPASS,
        .direction = KW_SDP_SENDRECV,
        .cname = "client",
        .stream = "client",
        .audio_ssrc = peer->ssrc,
        .has_video = world->config.video,
        .video_ssrc = peer->ssrc + 0x10000,
    };
    len = kw_sdp_offer_write(&params, (char *)world->offer, sizeof world->offer);
    assert_true(len != 0);
    return len;
}

struct peer *world_peer(struct world *world, size_t *offer_len)
{
    struct peer *peer = &world->peers[world->peer_count];

    assert_true(world->peer_count < world->config.clients_max);
    *peer = (struct peer){.used = true, .number = (uint32_t)world->peer_count};
    world->peer_count++;
    peer->address = world_address(198, 51, (uint8_t)(peer->number >> 8), (uint8_t)peer->number,
                                  (uint16_t)(40000 + peer->number % 20000));
    peer->ssrc = 0x1000 + peer->number;
    peer->seq = (uint16_t)(net_draw(&world->net, 0x8000));
    *offer_len = world_offer(world, peer);
    return peer;
}

void world_answer(struct world *world, struct peer *peer)
{
    static struct kw_sdp sdp;
    struct kw_sdp_problem problem;
    struct kw_policy policy;
    struct kw_terms terms;
    struct kw_peer known;
    struct kw_session_params session = {
        .terms = &terms, .ssrc_max = 4, .method = KW_METHOD_RESTART};
    struct kw_generation_params generation = {
        .role = KW_DTLS_CLIENT,
        .identity = peer->identity,
        .has_ice = true,
        .controlling = true,
        .local = peer->credentials,
    };
    struct kw_path path = {.local = peer->address};
    enum kw_sdp_outcome outcome = kw_sdp_answer_parse(
        (struct kw_bytes){world->response.body, world->response.body_len}, &sdp, &problem);

    CHECK(outcome == KW_SDP_OK, "answer line %u: %s", problem.line, problem.what);
    assert_int_equal(sdp.transport.setup, KW_SDP_SETUP_PASSIVE);
    assert_true(sdp.transport.ice_lite);
    assert_true(kw_policy_preset("modern", &policy));
    known = (struct kw_peer){
        .fingerprints = sdp.transport.fingerprints,
        .fingerprint_count = sdp.transport.fingerprint_count,
    };
    assert_int_equal(kw_policy_decide(&policy, &known, world_utc(world), &terms), KW_REFUSAL_NONE);
    if (peer->session == NULL) {
        peer->mem = aligned(kw_session_size(4));
        assert_int_equal(
            kw_session_init(peer->mem, &world->shared, &session, world->now, &peer->session),
            KW_OK);
    } else {
        generation.method = KW_METHOD_RESTART;
    }
    generation.fingerprints = sdp.transport.fingerprints;
    generation.fingerprint_count = sdp.transport.fingerprint_count;
    memcpy(generation.remote.ufrag, sdp.transport.ufrag.data, sdp.transport.ufrag.len);
    memcpy(generation.remote.pwd, sdp.transport.pwd.data, sdp.transport.pwd.len);
    assert_int_equal(
        kw_session_add_generation(peer->session, &generation, world->now, &peer->generation),
        KW_OK);
    assert_true(sdp.transport.candidate_count >= 1);
    path.remote = sdp.transport.candidates[0].address;
    assert_int_equal(kw_session_add_path(peer->session, peer->generation, &path, 1000, world->now),
                     KW_OK);
    peer->media_until = KW_NEVER;
    peer_transmit(world, peer);
}

/* --- requests --------------------------------------------------------------------------------- */

int world_request(struct world *world, enum kw_request_method method, const char *path,
                  const char *token, const char *type, const void *body, size_t body_len)
{
    struct kw_request *request = &world->request;

    request->completion = 7;
    request->method = method;
    strcpy(request->path, path);
    strcpy(request->token, token);
    strcpy(request->content_type, type);
    request->remote = world_address(203, 0, 113, 9, 4711);
    strcpy(request->user_agent, "world");
    request->body_len = body_len;
    if (body_len != 0)
        memcpy(request->body, body, body_len);
    request->body[body_len] = 0;
    kw_control_handle(world->gateway, request, world->now, world_utc(world), &world->response);
    assert_int_equal(world->response.completion, 7);
    request->if_match[0] = '\0';
    return world->response.status;
}

const char *world_header(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->response.header_count; i++) {
        if (strcmp(world->response.headers[i].name, name) == 0)
            return world->response.headers[i].value;
    }
    return "";
}

int world_call(struct world *world, struct peer **ret)
{
    size_t offer_len;
    struct peer *peer = world_peer(world, &offer_len);
    int status = world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token", "application/sdp",
                               world->offer, offer_len);

    if (ret != NULL)
        *ret = peer;
    if (status != 201)
        return status;
    strcpy(peer->location, world_header(world, "Location"));
    strcpy(peer->etag, world_header(world, "ETag"));
    world_answer(world, peer);
    return status;
}

bool world_status_has(struct world *world, const struct peer *peer, const char *text)
{
    if (world_request(world, KW_REQUEST_GET, peer->location, "demo-token", "", NULL, 0) != 200)
        return false;
    world->response.body[world->response.body_len] = 0;
    return strstr((const char *)world->response.body, text) != NULL;
}

/* --- time ------------------------------------------------------------------------------------- */

static void gateway_transmit(struct world *world)
{
    uint8_t buffers[16][1500];
    struct kw_datagram items[16];
    size_t count;

    do {
        for (size_t i = 0; i < 16; i++)
            items[i] = (struct kw_datagram){.data = buffers[i], .size = sizeof buffers[i]};
        count = kw_gateway_transmit(world->gateway, items, 16, world->now);
        for (size_t i = 0; i < count; i++) {
            world->gateway_datagrams++;
            net_send(&world->net, &items[i].path, items[i].data, items[i].len, world->now);
        }
    } while (count != 0);
}

static struct peer *peer_at(const struct world *world, const struct kw_address *address)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        size_t guess = (size_t)(address->ip[2] << 8 | address->ip[3]) + i;

        guess %= world->peer_count;
        if (kw_address_equal(&world->peers[guess].address, address))
            return &world->peers[guess];
    }
    return NULL;
}

/* All that arrives now, as one batch. */
static void gateway_receive(struct world *world, struct net_datagram *packets, size_t count)
{
    struct kw_datagram items[WORLD_BATCH];
    uint64_t steps;

    for (size_t i = 0; i < count; i++)
        items[i] = (struct kw_datagram){
            .path = packets[i].path,
            .data = packets[i].data,
            .len = packets[i].len,
            .size = sizeof packets[i].data,
        };
    for (size_t i = 0; i < count; i++) {
        if (packets[i].data[0] >= 128)
            world->media_wait = KW_MAX(world->media_wait, world->now - packets[i].at);
    }
    steps = world->gateway->handshake_steps;
    kw_gateway_receive(world->gateway, items, count, world->now);
    world->busy_until = world->now + count * world->config.packet_cost +
                        (world->gateway->handshake_steps - steps) * world->config.handshake_cost;
    for (size_t i = 0; i < count; i++) {
        if (items[i].len != 0)
            net_send(&world->net, &items[i].path, items[i].data, items[i].len, world->now);
    }
    gateway_transmit(world);
}

void world_inject(struct world *world, const struct kw_path *path, const uint8_t *data, size_t len)
{
    static struct net_datagram packet;

    packet.path = *path;
    packet.len = len;
    memcpy(packet.data, data, len);
    gateway_receive(world, &packet, 1);
}

/* The agent sees one stream, and answers in kind. */
static void agent_receive(struct world *world, struct net_datagram *packet)
{
    uint8_t answer[172] = {0x80, 111};
    uint16_t seq = (uint16_t)(packet->data[2] << 8 | packet->data[3]);
    uint32_t ts = get32(packet->data + 4), ssrc = get32(packet->data + 8);

    if (kw_srtp_is_rtcp(packet->data, packet->len)) {
        assert_int_equal(kw_rtcp_check(packet->data, packet->len), KW_ACCEPT);
        world->agent_rtcp++;
        return;
    }
    assert_int_equal(packet->len, 12 + 80); /* no tag, no extension */
    if (world->agent_got == 0 || ssrc != world->agent_ssrc)
        world->agent_ssrcs++;
    if (world->agent_got != 0 && seq != (uint16_t)(world->agent_seq + 1))
        world->agent_gaps++;
    if (world->agent_got != 0 && ts != world->agent_ts + 960)
        world->agent_ts_steps++;
    world->agent_ssrc = ssrc;
    world->agent_seq = seq;
    world->agent_ts = ts;
    put32(answer + 4, (uint32_t)world->agent_got * 960);
    put32(answer + 8, AGENT_SSRC);
    answer[2] = (uint8_t)(world->agent_got >> 8);
    answer[3] = (uint8_t)world->agent_got;
    world->agent_got++;
    net_send(&world->net, &packet->path, answer, sizeof answer, world->now);
}

static void deliver(struct world *world)
{
    static struct net_datagram batch[WORLD_BATCH];
    size_t count = 0;

    /* A busy gateway reads nothing; then it reads what has come, a batch a turn. */
    while (world->now >= world->busy_until && net_take(&world->net, world->now, &batch[count])) {
        struct peer *peer;

        if (kw_address_equal(&batch[count].path.local, &world_gateway_address)) {
            if (++count == WORLD_BATCH) {
                gateway_receive(world, batch, count);
                count = 0;
            }
            continue;
        }
        if (kw_address_equal(&batch[count].path.local, &world_agent_address)) {
            agent_receive(world, &batch[count]);
            continue;
        }
        peer = peer_at(world, &batch[count].path.local);
        if (peer != NULL)
            peer_receive(world, peer, &batch[count]);
    }
    if (count != 0 || (world->gateway->waiting_count != 0 && world->now >= world->busy_until))
        gateway_receive(world, batch, count);
}

static kw_ns next_moment(struct world *world)
{
    kw_ns next = KW_MIN(net_next(&world->net), kw_gateway_deadline(world->gateway));

    if (world->now < world->busy_until)
        next = world->busy_until;
    return KW_MAX(KW_MIN(next, kw_heap_top(&world->heap)), world->now);
}

static void peer_turn(struct world *world, struct peer *peer)
{
    if (kw_session_deadline(peer->session) <= world->now) {
        assert_int_equal(kw_session_tick(peer->session, world->now), KW_OK);
        peer_transmit(world, peer);
    }
    if (speaks(world, peer) && peer->next_media <= world->now)
        peer_media(world, peer);
    world_schedule(world, peer);
}

static void turn(struct world *world)
{
    deliver(world);
    if (world->now >= world->busy_until && kw_gateway_deadline(world->gateway) <= world->now) {
        uint64_t steps = world->gateway->handshake_steps;

        kw_gateway_tick(world->gateway, world->now, world_utc(world));
        world->busy_until =
            KW_MAX(world->busy_until, world->now) +
            (world->gateway->handshake_steps - steps) * world->config.handshake_cost;
        gateway_transmit(world);
    }
    /* Each peer once: what is due again at once waits for the next turn. */
    for (size_t left = world->peer_count; left > 0 && kw_heap_top(&world->heap) <= world->now;
         left--)
        peer_turn(world, &world->peers[world->heap.entries[0].call]);
}

void world_run(struct world *world, kw_ns until)
{
    unsigned stuck = 0;
    kw_ns next;

    /* A test may have changed a peer since. */
    for (size_t i = 0; i < world->peer_count; i++)
        world_schedule(world, &world->peers[i]);
    while ((next = next_moment(world)) <= until) {
        stuck = next == world->now ? stuck + 1 : 0;
        CHECK(stuck < 10000, "time stands still at %llu, seed %llu", (unsigned long long)world->now,
              (unsigned long long)world->config.seed);
        world->now = next;
        turn(world);
    }
    world->now = until;
}

bool world_until(struct world *world, bool (*done)(struct world *world), kw_ns limit)
{
    kw_ns end = world->now + limit;

    while (!done(world)) {
        if (world->now >= end)
            return false;
        world_run(world, KW_MIN(end, world->now + KW_MS(10)));
    }
    return true;
}
