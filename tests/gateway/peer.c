/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/peer.h"

#include "check.h"
#include "rtp/rtp.h"
#include "support/toy_crypto.h"

#include <string.h>

enum { AGENT_SSRC = 0xa9e27 };

static const struct kw_bytes alpn = {(const uint8_t *)KW_SESSION_ALPN, sizeof KW_SESSION_ALPN - 1};

/* The client's next certificate; its session keeps a hold of the last one as long as it needs it.
 */
static void renew_identity(struct world *world, struct peer *peer)
{
    if (peer->identity != NULL)
        world->crypto->ops->identity_free(peer->identity);
    assert_int_equal(
        world->crypto->ops->identity_new(world->crypto, world_utc(world), &peer->identity), KW_OK);
    assert_int_equal(kw_crypto_fingerprint(world->crypto, KW_SHA256,
                                           world->crypto->ops->identity_certificate(peer->identity),
                                           &peer->fingerprint),
                     KW_OK);
}

static void prepare_overlap(struct world *world, struct peer *peer)
{
    struct kw_generation_params params = {.alpn = alpn, .method = KW_METHOD_OVERLAP};
    uint32_t generation;

    renew_identity(world, peer);
    params.identity = peer->identity;
    /* What fails is said again. */
    (void)!kw_session_add_generation(peer->session, &params, world->now, &generation);
}

static void peer_events(struct world *world, struct peer *peer)
{
    struct kw_session_event event;

    while (kw_session_next_event(peer->session, &event)) {
        peer->events[event.type]++;
        if (event.type == KW_SESSION_EVENT_DUE && !peer->is_lazy)
            prepare_overlap(world, peer);
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

    peer_events(world, peer); /* what they ask for leaves at once */
    while ((len = kw_session_transmit(peer->session, datagram, sizeof datagram, &path,
                                      world->now)) != 0) {
        if (!peer->is_deaf)
            net_send(&world->net, &path, datagram, len, world->now);
    }
    peer_events(world, peer);
    world_schedule(world, peer);
}

void world_ask(struct world *world, struct peer *peer)
{
    kw_session_rotate(peer->session, KW_REASON_OPERATOR, world->now);
    peer_transmit(world, peer);
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
        if (rtcp.type == KW_RTCP_RTPFB && rtcp.media_ssrc == peer->ssrc + 0x10000 &&
            kw_rtcp_nack_next(&rtcp.items, &peer->nack_seq, &peer->nack_mask))
            peer->nacks++;
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

void peer_receive(struct world *world, struct peer *peer, struct net_datagram *packet)
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

    assert_int_equal(kw_ice_credentials_draw(&random, &peer->credentials), KW_OK);
    renew_identity(world, peer);
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
    if (world->config.client_period != 0)
        policy.rotation.period = world->config.client_period;
    known = (struct kw_peer){
        .fingerprints = sdp.transport.fingerprints,
        .fingerprint_count = sdp.transport.fingerprint_count,
    };
    assert_int_equal(kw_policy_decide(&policy, &known, world_utc(world), &terms), KW_REFUSAL_NONE);
    if (world->config.dtls12) {
        terms.allow_dtls12 = true;
        memset(terms.suites, 0, sizeof terms.suites);
        terms.suites[0] = KW_ECDHE_ECDSA_AES128_GCM_SHA256;
    }
    if (peer->session == NULL) {
        peer->mem = world_aligned(kw_session_size());
        assert_int_equal(
            kw_session_init(peer->mem, &world->shared, &session, world->now, &peer->session),
            KW_OK);
    } else {
        generation.method = KW_METHOD_RESTART;
    }
    if (world->config.overlap)
        generation.alpn = alpn;
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

void peer_turn(struct world *world, struct peer *peer)
{
    if (kw_session_deadline(peer->session) <= world->now) {
        assert_int_equal(kw_session_tick(peer->session, world->now), KW_OK);
        peer_transmit(world, peer);
    }
    if (speaks(world, peer) && peer->next_media <= world->now)
        peer_media(world, peer);
    world_schedule(world, peer);
}

/* The agent sees one stream, and answers in kind. */
void agent_receive(struct world *world, struct net_datagram *packet)
{
    uint8_t answer[172] = {0x80, 111};
    uint16_t seq = (uint16_t)(packet->data[2] << 8 | packet->data[3]);
    uint32_t ts = get32(packet->data + 4), ssrc = get32(packet->data + 8);

    if (packet->data[0] <= 3)
        return; /* STUN, for whoever claimed to be here */
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
