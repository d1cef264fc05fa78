/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway with two clients that are up, and packets that keep no promise. The first byte chooses
 * the back end, video (4), and whether the clients do `overlap` (8); then orders, each one byte and
 * what it needs:
 *
 *     0 from len bytes   a datagram to the gateway from a client's address, a stranger's, the
 *                        agent's
 *     1 n                n * 5 ms pass
 *     2 from len bytes   a client protects this as a packet of RTP (what its SRTP refuses stays)
 *     3 from len bytes   .. of RTCP
 *     4 from n           .. and speaks n packets of audio
 *     5 from             a client's session asks for new keys
 *     6 from             an operator asks for them
 *     7 from len bytes   a client says this in application data, where ROTATE stands
 *
 * What the gateway sends is well-formed: the clients open and check it, the tap looks at what goes
 * to the agent in the clear.
 */
#include "gateway/world.h"

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "rtp/rtp.h"
#include "session/session.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PACKET_MAX = 512 };

static struct world *world;
static struct peer *clients[2];

static bool to_agent(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                     size_t *len, kw_ns now)
{
    struct kw_rtp rtp;

    (void)ctx;
    (void)net;
    (void)now;
    if (!kw_address_equal(&path->remote, &world_agent_address))
        return true;
    if (kw_srtp_is_rtcp(data, *len))
        KW_ASSERT(kw_rtcp_check(data, *len) == KW_ACCEPT);
    else
        KW_ASSERT(kw_rtp_parse(data, *len, &rtp) == KW_ACCEPT);
    return false;
}

static void inject(struct kw_reader *in)
{
    uint8_t from = kw_read_u8(in);
    struct kw_bytes bytes = kw_read_vector(in, 1);
    struct kw_path path = {.local = world_gateway_address};

    switch (from & 3) {
    case 0:
    case 1:
        path.remote = clients[from & 1]->address;
        break;
    case 2:
        path.remote = world_agent_address;
        break;
    case 3:
        path.remote = world_address(203, 0, 113, from >> 2, 4000);
        break;
    }
    if (bytes.len != 0)
        world_inject(world, &path, bytes.data, bytes.len);
}

static void send_media(struct peer *peer, bool is_rtcp, struct kw_bytes bytes)
{
    uint8_t packet[PACKET_MAX];
    size_t len = bytes.len;
    struct kw_outlet outlet;
    enum kw_verdict verdict;

    if (len == 0 || !kw_session_outlet(peer->session, world->now, &outlet))
        return;
    memcpy(packet, bytes.data, len);
    verdict = is_rtcp ? kw_srtcp_protect(outlet.srtp, packet, &len, sizeof packet)
                      : kw_srtp_protect(outlet.srtp, packet, &len, sizeof packet);
    if (verdict != KW_ACCEPT)
        return;
    kw_session_sent(peer->session, &outlet, len, world->now);
    net_send(&world->net, &outlet.path, packet, len, world->now);
    world_run(world, world->now + KW_MS(2));
}

static void speak(struct peer *peer, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t packet[12 + 80];
        struct kw_writer out = kw_writer_of(packet, sizeof packet);

        kw_write_u16(&out, 0x8000 | 111);
        kw_write_u16(&out, peer->seq++);
        kw_write_u32(&out, peer->timestamp);
        kw_write_u32(&out, peer->ssrc);
        memset(packet + out.len, 0x55, sizeof packet - out.len);
        peer->timestamp += 960;
        send_media(peer, false, (struct kw_bytes){packet, sizeof packet});
        world_run(world, world->now + KW_MS(18));
    }
}

static void rotate(struct peer *peer)
{
    char path[300];

    snprintf(path, sizeof path, "%s/rotate", peer->location);
    (void)world_request(world, KW_REQUEST_POST, path, "demo-token", "", NULL, 0);
}

static void say(struct peer *peer, struct kw_bytes bytes)
{
    struct kw_generation *current = kw_session_current_of(peer->session);

    if (bytes.len != 0 && current != NULL && current->dtls != NULL)
        (void)!kw_dtls_send(current->dtls, bytes, world->now);
}

static void obey(struct kw_reader *in)
{
    uint8_t order = kw_read_u8(in) % 8;
    struct peer *peer;

    switch (order) {
    case 0:
        inject(in);
        break;
    case 1:
        world_run(world, world->now + KW_MS(5) * kw_read_u8(in));
        break;
    case 2:
    case 3:
        peer = clients[kw_read_u8(in) & 1];
        send_media(peer, order == 3, kw_read_vector(in, 1));
        break;
    case 4:
        peer = clients[kw_read_u8(in) & 1];
        speak(peer, kw_read_u8(in) & 15);
        break;
    case 5:
        world_ask(world, clients[kw_read_u8(in) & 1]);
        break;
    case 6:
        rotate(clients[kw_read_u8(in) & 1]);
        break;
    case 7:
        peer = clients[kw_read_u8(in) & 1];
        say(peer, kw_read_vector(in, 1));
        break;
    }
}

static void begin(uint8_t kind)
{
    const struct world_config config = {
        .seed = 3,
        .link = {.delay = KW_MS(1)},
        .calls_max = 2,
        .clients_max = 2,
        .facts_room = 256,
        .video = (kind & 4) != 0,
        .overlap = (kind & 8) != 0,
        .period = (kind & 8) != 0 ? KW_S(8) : 0, /* an overlap of 2 s */
        .backend = (enum kw_backend_kind)(kind & 3) <= KW_BACKEND_RTP
                       ? (enum kw_backend_kind)(kind & 3)
                       : KW_BACKEND_ECHO,
    };
    size_t offer_len;

    world = world_new(&config);
    world->net.tap = to_agent;
    for (int i = 0; i < 2; i++) {
        int status;

        clients[i] = world_peer(world, &offer_len);
        status =
            world_request(world, KW_REQUEST_POST,
                          config.backend == KW_BACKEND_BRIDGE ? "/v1/rooms/x/calls" : "/v1/calls",
                          config.backend == KW_BACKEND_RTP && i == 1 ? "other-token" : "demo-token",
                          "application/sdp", world->offer, offer_len);
        KW_ASSERT(status == 201);
        strcpy(clients[i]->location, world_header(world, "Location"));
        world_answer(world, clients[i]);
        clients[i]->is_mute = true;
    }
    for (int i = 0; i < 200 && !(clients[0]->is_up && clients[1]->is_up); i++)
        world_run(world, world->now + KW_MS(10));
    KW_ASSERT(clients[0]->is_up && clients[1]->is_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);

    begin(kw_read_u8(&in));
    for (int i = 0; i < 32 && kw_reader_left(&in) != 0; i++)
        obey(&in);
    world_run(world, world->now + KW_MS(100));
    world_free(world);
    return 0;
}
