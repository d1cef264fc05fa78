/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_ICE_TEST_H
#define KW_TESTS_ICE_TEST_H

/*
 * Two agents and a small seeded network in virtual time: delay, jitter (so reordering), loss. Real
 * HMAC from libcrypto; randomness from a counter, which may be told to fail.
 */

#include "check.h"

#include "ice/stun.h"

#include <keywheel/ice.h>
#include <keywheel/openssl.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dice {
    uint64_t state;
    bool broken;
};

static inline uint64_t dice_roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static inline enum kw_status dice_fill(void *ctx, uint8_t *dst, size_t len)
{
    struct dice *dice = ctx;

    if (dice->broken)
        return KW_ERR_RANDOM;
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)dice_roll(dice);
    return KW_OK;
}

static struct kw_crypto *crypto;

static inline int open_crypto(void **state)
{
    static const struct kw_openssl_config config = {.associations = 1, .handshakes = 1};

    (void)state;
    return kw_openssl_new(&config, &crypto) == KW_OK ? 0 : -1;
}

static inline int close_crypto(void **state)
{
    (void)state;
    kw_openssl_free(crypto);
    return 0;
}

static inline struct kw_address addr(uint8_t last, uint16_t port)
{
    return (struct kw_address){.family = 4, .port = port, .ip = {192, 0, 2, last}};
}

static inline struct kw_address addr6(uint8_t last, uint16_t port)
{
    return (struct kw_address){
        .family = 6, .port = port, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = last}};
}

static inline struct kw_path flip(const struct kw_path *path)
{
    return (struct kw_path){.local = path->remote, .remote = path->local};
}

struct flight {
    kw_ns at;
    bool to_gateway;
    struct kw_path path; /* as its receiver sees it */
    size_t len;
    uint8_t data[KW_STUN_MESSAGE_MAX];
};

enum { FLIGHTS_MAX = 256 };

struct world {
    struct dice dice;
    struct kw_random random;
    kw_ns now;
    kw_ns delay, jitter;
    unsigned loss_percent;
    bool cut[256];  /* by the last byte of the client's address: nothing passes */
    bool deaf[256]; /* .. nothing passes towards it */
    struct kw_ice_credentials gateway_side, client_side;
    struct kw_ice *gateway, *client;
    void *gateway_mem, *client_mem;
    size_t flight_count;
    struct flight flights[FLIGHTS_MAX];
    uint64_t sent_by_gateway, sent_by_client; /* datagrams */
    uint64_t bytes_by_gateway;
    bool (*tap)(struct world *world, struct flight *flight); /* false: swallowed */
    struct flight last_request;                              /* from the client */
};

static inline struct kw_ice_credentials credentials(struct world *world)
{
    struct kw_ice_credentials made;

    assert_int_equal(kw_ice_credentials_draw(&world->random, &made), KW_OK);
    return made;
}

static inline struct kw_ice *make_agent(struct world *world, bool controlling, void **mem)
{
    struct kw_ice_params params = {
        .crypto = crypto,
        .random = &world->random,
        .local = controlling ? world->client_side : world->gateway_side,
        .remote = controlling ? world->gateway_side : world->client_side,
        .controlling = controlling,
    };
    struct kw_ice *made;

    *mem = aligned_alloc(64, (kw_ice_size() + 63) / 64 * 64);
    assert_int_equal(kw_ice_init(*mem, &params, world->now, &made), KW_OK);
    return made;
}

static inline void world_open(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->dice.state = seed;
    world->random = (struct kw_random){.fill = dice_fill, .ctx = &world->dice};
    world->now = KW_S(1000);
    world->delay = KW_MS(20);
    world->gateway_side = credentials(world);
    world->client_side = credentials(world);
    world->gateway = make_agent(world, false, &world->gateway_mem);
    world->client = make_agent(world, true, &world->client_mem);
}

static inline void world_close(struct world *world)
{
    kw_ice_deinit(world->gateway);
    kw_ice_deinit(world->client);
    free(world->gateway_mem);
    free(world->client_mem);
}

static inline void launch(struct world *world, const struct kw_path *path, bool to_gateway,
                          const uint8_t *data, size_t len)
{
    uint8_t client = to_gateway ? path->local.ip[path->local.family == 4 ? 3 : 15]
                                : path->remote.ip[path->remote.family == 4 ? 3 : 15];
    struct flight *flight;

    if (world->cut[client] || (!to_gateway && world->deaf[client]) ||
        dice_roll(&world->dice) % 100 < world->loss_percent)
        return;
    assert_true(world->flight_count < FLIGHTS_MAX);
    flight = &world->flights[world->flight_count++];
    *flight = (struct flight){.to_gateway = to_gateway, .path = flip(path), .len = len};
    memcpy(flight->data, data, len);
    flight->at = world->now + world->delay;
    if (world->jitter != 0)
        flight->at += dice_roll(&world->dice) % world->jitter;
    if (to_gateway)
        world->last_request = *flight;
    if (world->tap != NULL && !world->tap(world, flight))
        world->flight_count--;
}

static inline void drain(struct world *world, struct kw_ice *ice, bool to_gateway)
{
    uint8_t data[KW_STUN_MESSAGE_MAX];
    struct kw_path path;
    size_t len;

    while ((len = kw_ice_transmit(ice, data, sizeof data, &path, world->now)) != 0) {
        *(to_gateway ? &world->sent_by_client : &world->sent_by_gateway) += 1;
        if (!to_gateway)
            world->bytes_by_gateway += len;
        launch(world, &path, to_gateway, data, len);
    }
}

static inline void deliver(struct world *world)
{
    for (size_t i = 0; i < world->flight_count; i++) {
        struct flight flight = world->flights[i];
        struct kw_ice *ice = flight.to_gateway ? world->gateway : world->client;

        if (flight.at > world->now)
            continue;
        world->flights[i--] = world->flights[--world->flight_count];
        (void)!kw_ice_receive(ice, &flight.path, flight.data, flight.len, world->now);
    }
}

/* Runs both agents until `until`. */
static inline void run(struct world *world, kw_ns until)
{
    for (;;) {
        kw_ns next = until;

        kw_ice_tick(world->gateway, world->now);
        kw_ice_tick(world->client, world->now);
        drain(world, world->gateway, false);
        drain(world, world->client, true);
        for (size_t i = 0; i < world->flight_count; i++)
            next = KW_MIN(next, world->flights[i].at);
        next = KW_MIN(next, kw_ice_deadline(world->gateway));
        next = KW_MIN(next, kw_ice_deadline(world->client));
        if (world->now >= until)
            return;
        assert_true(next > world->now || world->flight_count != 0);
        world->now = KW_MAX(next, world->now);
        deliver(world);
    }
}

/* From the client's address with this last byte to the gateway. */
static inline struct kw_path client_path(uint8_t last)
{
    return (struct kw_path){.local = addr(last, 4000), .remote = addr(1, 5000)};
}

static inline bool gateway_sends_to(struct world *world, uint8_t last)
{
    struct kw_path path;

    return kw_ice_selected(world->gateway, &path) && path.remote.ip[3] == last;
}

/* A check of the client from this path, with this password; returns its length. */
static inline size_t request_from(struct world *world, const struct kw_path *from, const char *pwd,
                                  bool nominate, uint32_t priority)
{
    uint8_t data[KW_STUN_MESSAGE_MAX], transaction[KW_STUN_TRANSACTION_LEN] = {9, 9};
    struct kw_writer out = kw_writer_of(data, sizeof data);
    struct kw_path seen = flip(from);
    size_t len;

    transaction[2] = (uint8_t)dice_roll(&world->dice);
    kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
    kw_stun_write_username(&out, (struct kw_bytes){(const uint8_t *)world->gateway_side.ufrag, 8},
                           (struct kw_bytes){(const uint8_t *)world->client_side.ufrag, 8});
    kw_stun_write_priority(&out, priority);
    kw_stun_write_role(&out, KW_STUN_CONTROLLING, 1);
    if (nominate)
        kw_stun_write_use_candidate(&out);
    len = kw_stun_finish(&out, crypto, (struct kw_bytes){(const uint8_t *)pwd, strlen(pwd)});
    assert_int_not_equal(len, 0);
    (void)!kw_ice_receive(world->gateway, &seen, data, len, world->now);
    return len;
}

#endif
