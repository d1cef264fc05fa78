/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gateway/peer.h"
#include "gateway/state.h"
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

const struct world_config world_plain = {
    .seed = 77,
    .link = {.delay = KW_MS(20)},
    .calls_max = 8,
    .clients_max = 64,
    .period = KW_S(60),
};

enum { WORLD_BATCH = 64 };

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

static size_t facts_room(const struct world *world)
{
    return world->config.facts_room != 0 ? world->config.facts_room : WORLD_FACTS_MAX;
}

static bool reserve(void *ctx, size_t slot_count)
{
    struct world *world = ctx;

    if (world->fact_count + world->facts_reserved + slot_count > facts_room(world))
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

void *world_aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void init_crypto(struct world *world)
{
    size_t handshakes = world->config.handshakes != 0 ? world->config.handshakes
                                                      : 2 * world->config.clients_max + 8;
    const struct kw_session_pool_config pool = {
        .ssrc_max = 4,
        .sessions = world->config.clients_max,
        .rotations = 2 * world->config.clients_max,
        .has_ice = true,
    };

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
    world->buffers_mem = world_aligned(kw_dtls_buffers_size(handshakes));
    world->pool_mem = world_aligned(kw_session_pool_size(&pool));
    world->shared = (struct kw_session_shared){
        .dtls =
            {
                .crypto = world->crypto,
                .random = toy_random(&world->toy_state),
                .buffers = kw_dtls_buffers_init(world->buffers_mem, handshakes),
            },
        .pool = kw_session_pool_init(world->pool_mem, &pool),
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

struct world *world_new(const struct world_config *config)
{
    struct world *world = calloc(1, sizeof *world);
    struct kw_gateway_config gateway;

    assert_non_null(world);
    world->config = *config;
    world->now = KW_S(1000);
    net_init(&world->net, config->seed);
    world->net.link = config->link;
    init_crypto(world);
    init_tenants(world);
    world->facts = calloc(facts_room(world), sizeof *world->facts);
    world->peers = calloc(config->clients_max, sizeof *world->peers);
    world->heap_mem = world_aligned(kw_heap_size(config->clients_max));
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
    world->gateway_mem = world_aligned(kw_gateway_size(&gateway));
    assert_int_equal(kw_gateway_init(world->gateway_mem, &gateway, world->now, &world->gateway),
                     KW_OK);
    kw_gateway_tick(world->gateway, world->now, world_utc(world));
    world->faulty_random.calls = 0;
    world->faulty_random.fail_at = config->random_fault_at;
    if (world->faulty != NULL)
        faulty_crypto_arm(world->faulty, config->fault_at, KW_ERR_CRYPTO, false);
    return world;
}

void world_free(struct world *world)
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
    free(world->pool_mem);
    free(world->facts);
    free(world->heap_mem);
    free(world->peers);
    free(world);
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
