/* SPDX-License-Identifier: Apache-2.0 */
/* A whole gateway in virtual time, with our own client at the other end of a simulated network. */
#include "check.h"

#include "gateway/world.h"
#include "support/toy_crypto.h"

#include <stdlib.h>
#include <string.h>

static const struct world_config plain = {
    .seed = 1,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 16,
};

static bool first_is_up(struct world *world)
{
    return world->peers[0].is_up;
}

static bool all_are_up(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        if (!world->peers[i].is_up)
            return false;
    }
    return true;
}

static void a_call_comes_up_and_echoes(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    const struct kw_fact *fact;

    (void)state;
    world_run(world, world->now + KW_S(10));
    assert_true(peer->media_sent >= 499);
    CHECK(peer->media_back + 4 >= peer->media_sent, "%llu of %llu came back",
          (unsigned long long)peer->media_back, (unsigned long long)peer->media_sent);
    assert_int_equal(peer->back_gaps, 0);
    assert_int_not_equal(peer->back_ssrc, peer->ssrc);

    assert_true(world_status_has(world, peer, "\"dtls\":\"DTLS 1.3\""));
    assert_true(world_status_has(world, peer, "\"suite\":\"TLS_AES_128_GCM_SHA256\""));
    assert_true(world_status_has(world, peer, "\"state\":\"up\""));
    assert_true(world_status_has(world, peer, "\"lostIn\":0"));

    assert_int_equal(world_facts(world, KW_FACT_SESSION_OPENED), 1);
    fact = world_last_fact(world, KW_FACT_GENERATION_ESTABLISHED);
    assert_non_null(fact);
    assert_int_equal(fact->u.established.version, KW_DTLS_1_3);
    assert_int_equal(fact->u.established.srtp_profile, KW_SRTP_AEAD_AES_128_GCM);
    assert_true(kw_fingerprint_equal(&fact->u.established.peer_fingerprint, &peer->fingerprint));

    assert_int_equal(
        world_request(world, KW_REQUEST_DELETE, peer->location, "demo-token", "", NULL, 0), 200);
    world_run(world, world->now + KW_S(1));
    assert_true(peer->has_ended);
    assert_int_equal(peer->end, KW_SESSION_END_PEER);
    assert_int_equal(kw_gateway_call_count(world->gateway), 0);
    fact = world_last_fact(world, KW_FACT_SESSION_CLOSED);
    assert_non_null(fact);
    assert_string_equal(fact->u.closed.reason, "local");
    assert_true(fact->u.closed.packets_received >= 499);
    assert_int_equal(
        world_request(world, KW_REQUEST_GET, peer->location, "demo-token", "", NULL, 0), 404);
    world_free(world);
}

static void real_arithmetic_makes_no_difference(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;

    (void)state;
    config.real_crypto = true;
    world = world_new(&config);
    peer = world_up(world);
    world_run(world, world->now + KW_S(2));
    assert_true(peer->media_back >= 95 && peer->back_gaps == 0);
    assert_true(world_status_has(world, peer, "\"group\":\"X25519MLKEM768\""));
    world_free(world);
}

static void a_call_survives_a_bad_network(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world_config config = plain;
        struct world *world;
        struct peer *peer;

        config.seed = seed;
        config.link = (struct net_link){
            .delay = KW_MS(60),
            .jitter = KW_MS(30),
            .loss_percent = 20,
            .duplicate_percent = 5,
        };
        world = world_new(&config);
        assert_int_equal(world_call(world, &peer), 201);
        CHECK(world_until(world, first_is_up, KW_S(30)), "seed %llu", (unsigned long long)seed);
        world_run(world, world->now + KW_S(5));
        CHECK(peer->media_back * 100 > peer->media_sent * 50, "seed %llu",
              (unsigned long long)seed);
        world_free(world);
    }
}

static void reports_show_round_trip_and_loss(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;
    struct kw_call_status status;
    struct kw_tenant *tenant;

    (void)state;
    config.link.loss_percent = 5;
    world = world_new(&config);
    peer = world_up(world);
    world_run(world, world->now + KW_S(30));
    assert_true(peer->rtcp_back >= 25);
    CHECK(peer->heard.lost >= 30 && peer->heard.lost <= 150, "%d of 1500", peer->heard.lost);
    assert_int_not_equal(peer->heard.lsr, 0);
    tenant = kw_gateway_authorise(world->gateway, "demo-token");
    kw_call_status(world->gateway,
                   kw_call_find(world->gateway, tenant, strrchr(peer->location, '/') + 1),
                   world->now, &status);
    CHECK(status.rtt >= KW_MS(39) && status.rtt <= KW_MS(42), "%llu ns",
          (unsigned long long)status.rtt);
    /* Loss on the way there makes gaps on the way back: both ways together. */
    CHECK(status.lost_out >= 80 && status.lost_out <= 260, "%llu",
          (unsigned long long)status.lost_out);
    world_free(world);
}

static uint32_t video_ssrc_of_answer(const struct world *world)
{
    const char *video = strstr((const char *)world->response.body, "m=video");
    const char *ssrc = video != NULL ? strstr(video, "a=ssrc:") : NULL;

    assert_non_null(ssrc);
    return (uint32_t)strtoul(ssrc + 7, NULL, 10);
}

static void film(struct world *world, struct peer *peer, uint8_t payload_type, uint16_t seq)
{
    uint8_t packet[128] = {0x80, payload_type, (uint8_t)(seq >> 8), (uint8_t)seq};
    uint32_t ssrc = peer->ssrc + 0x10000;
    struct kw_outlet outlet;
    size_t len = 100;

    for (int i = 0; i < 4; i++)
        packet[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    assert_true(kw_session_outlet(peer->session, world->now, &outlet));
    assert_int_equal(kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet), KW_ACCEPT);
    net_send(&world->net, &outlet.path, packet, len, world->now);
    world_run(world, world->now + KW_MS(100));
}

/* A call with video that is up; its video's payload type, and the SSRC that comes back. */
static struct peer *up_with_video(struct world *world, uint8_t *payload_type, uint32_t *theirs)
{
    struct peer *peer;
    const char *map;

    assert_int_equal(world_call(world, &peer), 201);
    world->response.body[world->response.body_len] = 0;
    *theirs = video_ssrc_of_answer(world);
    map = strstr(strstr((const char *)world->response.body, "m=video"), "a=rtpmap:");
    *payload_type = (uint8_t)strtoul(map + 9, NULL, 10);
    peer->is_mute = true;
    assert_true(world_until(world, all_are_up, KW_S(5)));
    return peer;
}

static void say_nack(struct world *world, struct peer *peer, uint32_t ssrc, uint16_t seq,
                     uint16_t mask)
{
    uint8_t nack[64];
    struct kw_writer out = kw_writer_of(nack, sizeof nack);

    kw_rtcp_write_rr(&out, peer->ssrc, NULL, 0);
    kw_rtcp_write_nack(&out, peer->ssrc, ssrc, seq, mask);
    world_rtcp(world, peer, nack, out.len);
    world_run(world, world->now + KW_MS(100));
}

/* What never came here its sender has; what has left is lost for good, and a key frame mends it. */
static void a_nack_goes_to_who_has_the_packet(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;
    uint32_t theirs;
    uint16_t first;
    uint8_t type;

    (void)state;
    config.video = true;
    world = world_new(&config);
    peer = up_with_video(world, &type, &theirs);
    film(world, peer, type, 100);
    first = peer->back_seq;
    film(world, peer, type, 105); /* 101 to 104 are lost on the way to us */
    assert_int_equal(peer->back_seq, first + 5);

    say_nack(world, peer, theirs, (uint16_t)(first + 1), 0x5); /* 1, 2, 4 */
    assert_int_equal(peer->nacks, 1);
    assert_int_equal(peer->nack_seq, 101);
    assert_int_equal(peer->nack_mask, 0x5);
    assert_int_equal(peer->key_frame_wishes, 0);
    film(world, peer, type, 101);
    assert_int_equal(peer->back_seq, first + 1); /* in its place */
    assert_int_equal(peer->media_back, 3);

    say_nack(world, peer, theirs, (uint16_t)(first + 1), 0);
    assert_int_equal(peer->nacks, 1);
    assert_int_equal(peer->key_frame_wishes, 1);

    /* Of audio nothing is asked again, whatever a client says. */
    say_nack(world, peer, peer->source.ssrc, 7, 0xffff);
    world_run(world, world->now + KW_S(1));
    assert_int_equal(peer->nacks, 1);
    assert_int_equal(peer->key_frame_wishes, 1);
    world_free(world);
}

/* What came back is asked for a key frame, and so is its encoder. */
static void wishes_for_key_frames_reach_the_encoder(void **state)
{
    struct world_config config = plain;
    struct world *world;
    struct peer *peer;
    uint8_t wish[64], type;
    struct kw_writer out;
    uint32_t theirs;

    (void)state;
    config.video = true;
    world = world_new(&config);
    peer = up_with_video(world, &type, &theirs);
    film(world, peer, type, 1);
    world_run(world, world->now + KW_MS(100));
    assert_int_equal(peer->media_back, 1);
    assert_int_equal(peer->back_ssrc, theirs);

    out = kw_writer_of(wish, sizeof wish);
    kw_rtcp_write_rr(&out, peer->ssrc, NULL, 0);
    kw_rtcp_write_pli(&out, peer->ssrc, theirs);
    for (int i = 0; i < 20; i++) {
        world_rtcp(world, peer, wish, out.len);
        world_run(world, world->now + KW_MS(5));
    }
    world_run(world, world->now + KW_MS(100));
    CHECK(peer->key_frame_wishes == 1, "%u wishes", peer->key_frame_wishes); /* not a storm */
    world_run(world, world->now + KW_S(2));
    assert_int_equal(peer->key_frame_wishes, 2);
    world_free(world);
}

static void a_vanished_client_frees_its_session_in_30_s(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);

    (void)state;
    world_run(world, world->now + KW_S(5));
    peer->is_deaf = true;
    world_run(world, world->now + KW_S(20));
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    assert_true(world_until(world, world_is_empty, KW_S(16)));
    assert_string_equal(world_last_fact(world, KW_FACT_SESSION_CLOSED)->u.closed.reason, "gone");
    world_free(world);
}

static void a_client_that_never_comes_frees_its_place(void **state)
{
    struct world *world = world_new(&plain);
    size_t offer_len;

    (void)state;
    (void)world_peer(world, &offer_len);
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token",
                                   "application/sdp", world->offer, offer_len),
                     201);
    assert_true(world_until(world, world_is_empty, KW_S(31)));
    world_free(world);
}

/* --- strangers -------------------------------------------------------------------------------- */

static void garbage_disturbs_nothing(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    struct kw_path stranger = {
        .local = world_gateway_address,
        .remote = world_address(10, 9, 8, 7, 6666),
    };
    struct kw_path spoofed = {.local = world_gateway_address, .remote = peer->address};
    uint64_t before;
    uint8_t garbage[1400];

    (void)state;
    before = world->gateway_datagrams;
    for (int i = 0; i < 20000; i++) {
        size_t len = (size_t)net_draw(&world->net, sizeof garbage);

        for (size_t k = 0; k < len; k += 8) {
            uint64_t word = net_draw(&world->net, UINT64_MAX);

            memcpy(garbage + k, &word, KW_MIN((size_t)8, len - k));
        }
        if (len > 0 && i % 4 == 0)
            garbage[0] = (uint8_t)(i % 16 == 0 ? 0x80 : i % 12 == 0 ? 22 : 0x2f);
        world_inject(world, i % 2 == 0 ? &stranger : &spoofed, garbage, len);
    }
    assert_true(world->gateway_datagrams - before < 10); /* nothing is answered */
    world_run(world, world->now + KW_S(5));
    assert_false(peer->has_ended);
    assert_int_equal(peer->back_gaps, 0);
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    world_free(world);
}

/* A ClientHello for a live call: from elsewhere, and with the call's own address. */
static void a_strangers_hello_is_ignored(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    uint8_t hello[200] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 187, 1, 0, 0, 175};
    struct kw_path stranger = {
        .local = world_gateway_address,
        .remote = world_address(10, 9, 8, 7, 6666),
    };
    struct kw_path spoofed = {.local = world_gateway_address, .remote = peer->address};
    uint64_t before = world->gateway_datagrams;

    (void)state;
    world_inject(world, &stranger, hello, sizeof hello);
    world_inject(world, &spoofed, hello, sizeof hello);
    assert_int_equal(world->gateway_datagrams, before);
    world_run(world, world->now + KW_S(3));
    assert_false(peer->has_ended);
    assert_int_equal(peer->back_gaps, 0);
    assert_true(world_status_has(world, peer, "\"generation\":1"));
    world_free(world);
}

/*
 * A Binding request with USE-CANDIDATE and the right integrity from an address that never answers
 * our own check: media stays where it is.
 */
static void media_moves_only_to_a_validated_path(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    struct kw_path elsewhere = {
        .local = world_address(10, 6, 6, 6, 666),
        .remote = world_gateway_address,
    };
    uint8_t datagram[1500];
    struct kw_path path;
    uint64_t back;
    size_t len;
    bool sent = false;

    (void)state;
    assert_int_equal(
        kw_session_add_path(peer->session, peer->generation, &elsewhere, 5000, world->now), KW_OK);
    for (int i = 0; i < 20; i++) {
        world->now += KW_MS(50);
        assert_int_equal(kw_session_tick(peer->session, world->now), KW_OK);
        while ((len = kw_session_transmit(peer->session, datagram, sizeof datagram, &path,
                                          world->now)) != 0) {
            if (kw_address_equal(&path.local, &elsewhere.local)) {
                struct kw_path seen = world_reversed(&path);

                world_inject(world, &seen, datagram, len);
                sent = true;
            } else {
                net_send(&world->net, &path, datagram, len, world->now);
            }
        }
    }
    assert_true(sent);
    back = peer->media_back;
    world_run(world, world->now + KW_S(2));
    assert_true(peer->media_back >= back + 90);
    assert_true(world_status_has(world, peer, "\"remote\":\"198.51.0.0:40000\""));
    world_free(world);
}

/* --- ICE restart ------------------------------------------------------------------------------ */

static void ice_restarts_without_new_keys(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);
    struct kw_ice_credentials local, remote;
    const struct kw_random random = toy_random(&world->toy_state);
    struct kw_sdp_fragment fragment;
    struct kw_sdp_problem problem;
    struct kw_path path = {.local = peer->address, .remote = world_gateway_address};
    char body[1024];
    char old_etag[64];

    (void)state;
    assert_int_equal(kw_ice_credentials_draw(&random, &local), KW_OK);
    snprintf(body, sizeof body,
             "a=ice-options:trickle ice2\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
             "a=mid:0\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n",
             local.ufrag, local.pwd);
    strcpy(old_etag, peer->etag);
    strcpy(world->request.if_match, "*");
    assert_int_equal(world_request(world, KW_REQUEST_PATCH, peer->location, "demo-token",
                                   "application/trickle-ice-sdpfrag", body, strlen(body)),
                     200);
    assert_string_not_equal(world_header(world, "ETag"), old_etag);
    assert_string_not_equal(world_header(world, "ETag"), "");
    assert_int_equal(
        kw_sdp_fragment_parse((struct kw_bytes){world->response.body, world->response.body_len},
                              &fragment, &problem),
        KW_SDP_OK);
    memset(&remote, 0, sizeof remote);
    memcpy(remote.ufrag, fragment.ufrag.data, fragment.ufrag.len);
    memcpy(remote.pwd, fragment.pwd.data, fragment.pwd.len);
    assert_int_equal(
        kw_session_ice_restart(peer->session, peer->generation, &local, &remote, world->now),
        KW_OK);
    path.local.port = 41000; /* the network has changed: another port */
    peer->address = path.local;
    assert_int_equal(kw_session_add_path(peer->session, peer->generation, &path, 2000, world->now),
                     KW_OK);
    world_run(world, world->now + KW_S(3));
    assert_false(peer->has_ended);
    assert_true(world_status_has(world, peer, "\"remote\":\"198.51.0.0:41000\""));
    assert_true(world_status_has(world, peer, "\"generation\":1"));
    /* The old tag is stale now. */
    strcpy(world->request.if_match, old_etag);
    assert_int_equal(world_request(world, KW_REQUEST_PATCH, peer->location, "demo-token",
                                   "application/trickle-ice-sdpfrag", body, strlen(body)),
                     412);
    world_free(world);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void quotas_say_when_to_come_back(void **state)
{
    struct world_config config = plain;
    struct world *world;

    (void)state;
    config.tenant_calls_max = 2;
    world = world_new(&config);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 429);
    assert_true(atoi(world_header(world, "Retry-After")) >= 1);
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule, "quota");
    world_free(world);

    config = plain;
    config.calls_per_minute = 2;
    world = world_new(&config);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 429);
    assert_int_equal(atoi(world_header(world, "Retry-After")), 30);
    world_run(world, world->now + KW_S(30));
    assert_int_equal(world_call(world, NULL), 201);
    world_free(world);

    config = plain;
    config.calls_max = 1;
    world = world_new(&config);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 503);
    assert_true(atoi(world_header(world, "Retry-After")) >= 1);
    world_free(world);

    config = plain;
    config.facts_room = 4;
    world = world_new(&config);
    assert_int_equal(world_call(world, NULL), 201);
    assert_int_equal(world_call(world, NULL), 503);
    world_free(world);
}

static void drain_refuses_and_ends(void **state)
{
    struct world *world = world_new(&plain);
    struct peer *peer = world_up(world);

    (void)state;
    kw_gateway_drain(world->gateway, world->now + KW_S(10));
    assert_int_equal(world_call(world, NULL), 503);
    world_run(world, world->now + KW_S(9));
    assert_int_equal(kw_gateway_call_count(world->gateway), 1);
    assert_true(world_until(world, world_is_empty, KW_S(2)));
    world_run(world, world->now + KW_S(1));
    assert_true(peer->has_ended);
    assert_int_equal(peer->end, KW_SESSION_END_PEER);
    world_free(world);
}

static void a_wrong_fingerprint_is_refused_and_recorded(void **state)
{
    struct world *world = world_new(&plain);
    size_t offer_len;
    struct peer *peer = world_peer(world, &offer_len);
    char *print = strstr((char *)world->offer, "sha-256 ");

    (void)state;
    assert_non_null(print);
    print[8] = print[8] == '0' ? '1' : '0';
    assert_int_equal(world_request(world, KW_REQUEST_POST, "/v1/calls", "demo-token",
                                   "application/sdp", world->offer, offer_len),
                     201);
    world_answer(world, peer);
    world_run(world, world->now + KW_S(5));
    assert_false(world->peers[0].media_back > 0);
    assert_int_equal(kw_gateway_call_count(world->gateway), 0);
    assert_int_equal(world_facts(world, KW_FACT_GENERATION_ESTABLISHED), 0);
    assert_string_equal(world_last_fact(world, KW_FACT_REFUSED)->u.refused.rule,
                        "fingerprint-mismatch");
    world_free(world);
}

static void a_thousand_calls(void **state)
{
    struct world_config config = plain;
    struct world *world;
    uint64_t back = 0, sent = 0;

    (void)state;
    config.calls_max = 1000;
    config.clients_max = 1000;
    world = world_new(&config);
    for (int i = 0; i < 1000; i++) {
        struct peer *peer;

        assert_int_equal(world_call(world, &peer), 201);
        peer->media_until = world->now + KW_S(3);
        if (i % 50 == 0)
            world_run(world, world->now + KW_MS(20));
    }
    assert_true(world_until(world, all_are_up, KW_S(20)));
    world_run(world, world->now + KW_S(4));
    for (size_t i = 0; i < world->peer_count; i++) {
        sent += world->peers[i].media_sent;
        back += world->peers[i].media_back;
    }
    assert_int_equal(kw_gateway_call_count(world->gateway), 1000);
    CHECK(sent > 50000 && back == sent, "%llu sent, %llu back", (unsigned long long)sent,
          (unsigned long long)back);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_comes_up_and_echoes),
        cmocka_unit_test(real_arithmetic_makes_no_difference),
        cmocka_unit_test(a_call_survives_a_bad_network),
        cmocka_unit_test(reports_show_round_trip_and_loss),
        cmocka_unit_test(wishes_for_key_frames_reach_the_encoder),
        cmocka_unit_test(a_nack_goes_to_who_has_the_packet),
        cmocka_unit_test(a_vanished_client_frees_its_session_in_30_s),
        cmocka_unit_test(a_client_that_never_comes_frees_its_place),
        cmocka_unit_test(garbage_disturbs_nothing),
        cmocka_unit_test(a_strangers_hello_is_ignored),
        cmocka_unit_test(media_moves_only_to_a_validated_path),
        cmocka_unit_test(ice_restarts_without_new_keys),
        cmocka_unit_test(quotas_say_when_to_come_back),
        cmocka_unit_test(drain_refuses_and_ends),
        cmocka_unit_test(a_wrong_fingerprint_is_refused_and_recorded),
        cmocka_unit_test(a_thousand_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
