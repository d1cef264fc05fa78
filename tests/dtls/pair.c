/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/pair.h"

#include "check.h"
#include "support/toy_crypto.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void make_terms(struct pair *pair, const struct pair_config *config, enum kw_dtls_role role)
{
    static struct kw_policy policy;
    struct kw_terms *terms = &pair->terms[role];
    const struct kw_fingerprint some = {.hash = KW_SHA256};
    struct kw_peer peer = {.fingerprints = &some, .fingerprint_count = 1};
    enum kw_group group = config->group;

    assert_true(kw_policy_preset(config->preset != NULL ? config->preset : "modern", &policy));
    assert_int_equal(kw_policy_decide(&policy, &peer, 0, terms), KW_REFUSAL_NONE);
    if (config->suite != KW_SUITE_NONE) {
        memset(terms->suites, 0, sizeof terms->suites);
        terms->suites[0] = config->suite;
    }
    if (role == KW_DTLS_SERVER && config->server_group != KW_GROUP_NONE)
        group = config->server_group;
    if (group != KW_GROUP_NONE) {
        memset(terms->groups, 0, sizeof terms->groups);
        terms->groups[0] = group;
    }
    if (config->dtls12 || config->only_dtls12) {
        size_t at = 0;

        terms->allow_dtls12 = true;
        if (config->only_dtls12 && role == KW_DTLS_CLIENT)
            memset(terms->suites, 0, sizeof terms->suites);
        while (terms->suites[at] != 0)
            at++;
        terms->suites[at] = KW_ECDHE_ECDSA_AES128_GCM_SHA256;
        terms->suites[at + 1] = KW_ECDHE_ECDSA_AES256_GCM_SHA384;
    }
}

static enum kw_status init_end(struct pair *pair, const struct pair_config *config,
                               enum kw_dtls_role role)
{
    struct pair_end *end = &pair->end[role];
    size_t count = config->handshake_count == 0 ? 2 : config->handshake_count;
    static const uint8_t binding[] = {10, 0, 0, 1, 0x13, 0x88};

    end->shared.crypto = pair->crypto;
    end->shared.random = config->random != NULL ? *config->random : toy_random(&pair->random_state);
    end->buffers_mem = aligned_alloc(64, (kw_dtls_buffers_size(count) + 63) / 64 * 64);
    end->mem = aligned_alloc(64, (kw_dtls_size() + 63) / 64 * 64);
    assert_non_null(end->buffers_mem);
    assert_non_null(end->mem);
    end->shared.buffers = kw_dtls_buffers_init(end->buffers_mem, count);
    memset(end->shared.cookie_key, 0x42, sizeof end->shared.cookie_key);
    end->path = role == KW_DTLS_CLIENT ? net_path(PAIR_CLIENT_HOST, PAIR_SERVER_HOST)
                                       : net_path(PAIR_SERVER_HOST, PAIR_CLIENT_HOST);
    end->params = (struct kw_dtls_params){
        .role = role,
        .terms = &pair->terms[role],
        .identity = end->identity,
        .fingerprints = &end->peer_fingerprint,
        .fingerprint_count = 1,
        .mtu = config->mtu,
        .path_rtt = config->path_rtt,
        .use_cid = config->use_cid,
        .fail_fast = config->fail_fast,
    };
    if (role == KW_DTLS_SERVER) {
        end->params.require_cookie = config->require_cookie;
        end->params.binding = (struct kw_bytes){binding, sizeof binding};
    }
    if (config->use_cid) {
        end->params.cid_len = role == KW_DTLS_SERVER ? 4 : 8;
        memset(end->params.cid, role == KW_DTLS_SERVER ? 0x55 : 0xcc, KW_DTLS_CID_MAX);
    }
    if (config->prepare != NULL)
        config->prepare(pair, role, &end->params);
    end->status = kw_dtls_init(end->mem, &end->shared, &end->params, pair->now, &end->dtls);
    return end->status;
}

enum kw_status pair_init(struct pair *pair, const struct pair_config *config)
{
    enum kw_status status;

    memset(pair, 0, sizeof *pair);
    net_init(&pair->net, config->seed);
    pair->net.link = config->link;
    pair->now = KW_S(1000);
    pair->random_state = config->seed * 77 + 1;
    pair->crypto = config->crypto;
    if (pair->crypto == NULL) {
        pair->crypto = toy_crypto_new(config->seed);
        pair->owns_crypto = true;
    }
    for (int role = 0; role < 2; role++) {
        make_terms(pair, config, (enum kw_dtls_role)role);
        status = pair->crypto->ops->identity_new(pair->crypto, 1000, &pair->end[role].identity);
        if (status != KW_OK)
            return status;
    }
    for (int role = 0; role < 2; role++) {
        status = kw_crypto_fingerprint(
            pair->crypto, KW_SHA256,
            pair->crypto->ops->identity_certificate(pair->end[1 - role].identity),
            &pair->end[role].peer_fingerprint);
        if (status != KW_OK)
            return status;
    }
    status = init_end(pair, config, KW_DTLS_SERVER);
    return status == KW_OK ? init_end(pair, config, KW_DTLS_CLIENT) : status;
}

void pair_deinit(struct pair *pair)
{
    for (int role = 0; role < 2; role++) {
        struct pair_end *end = &pair->end[role];

        kw_dtls_deinit(end->dtls);
        if (end->identity != NULL)
            pair->crypto->ops->identity_free(end->identity);
        if (end->shared.buffers != NULL) {
            CHECK(end->shared.buffers->handshakes.used == 0,
                  "handshake buffers leak, seed %" PRIu64, pair->net.seed);
            CHECK(end->shared.buffers->outboxes.used == 0, "outboxes leak, seed %" PRIu64,
                  pair->net.seed);
        }
        free(end->buffers_mem);
        free(end->mem);
    }
    net_deinit(&pair->net);
    if (pair->owns_crypto) {
        CHECK(toy_crypto_live(pair->crypto) == 0, "%zu crypto objects leak, seed %" PRIu64,
              toy_crypto_live(pair->crypto), pair->net.seed);
        toy_crypto_free(pair->crypto);
    }
}

static void take_events(struct pair *pair, struct pair_end *end)
{
    struct kw_dtls_event event;

    while (end->dtls != NULL && kw_dtls_next_event(end->dtls, &event)) {
        CHECK(!end->closed, "an event after CLOSED, seed %" PRIu64, pair->net.seed);
        switch (event.type) {
        case KW_DTLS_EVENT_NONE:
            break;
        case KW_DTLS_EVENT_CONNECTED:
            CHECK(!end->connected, "connected twice, seed %" PRIu64, pair->net.seed);
            end->connected = true;
            end->connected_at = pair->now;
            break;
        case KW_DTLS_EVENT_CONFIRMED:
            CHECK(end->connected && !end->confirmed, "confirmed, seed %" PRIu64, pair->net.seed);
            end->confirmed = true;
            break;
        case KW_DTLS_EVENT_DATA:
            end->data_count++;
            end->data_len = event.data.len;
            memcpy(end->data, event.data.data, event.data.len);
            break;
        case KW_DTLS_EVENT_CLOSED:
            end->closed = true;
            end->end = event.end;
            end->alert = event.alert;
            break;
        }
    }
}

static void flush_end(struct pair *pair, struct pair_end *end)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    size_t len, count = 0;

    take_events(pair, end);
    while (end->dtls != NULL &&
           (len = kw_dtls_transmit(end->dtls, datagram, sizeof datagram, pair->now)) != 0) {
        size_t mtu = end->params.mtu == 0 ? KW_DTLS_MTU_DEFAULT : end->params.mtu;

        CHECK(len <= mtu, "%zu bytes for an MTU of %zu, seed %" PRIu64, len, mtu, pair->net.seed);
        CHECK(++count < 200, "endless flight, seed %" PRIu64, pair->net.seed);
        end->datagrams++;
        end->bytes += len;
        net_send(&pair->net, &end->path, datagram, len, pair->now);
    }
    take_events(pair, end);
}

void pair_flush(struct pair *pair)
{
    flush_end(pair, &pair->end[KW_DTLS_CLIENT]);
    flush_end(pair, &pair->end[KW_DTLS_SERVER]);
}

static void deliver(struct pair *pair, struct net_datagram *datagram)
{
    for (int role = 0; role < 2; role++) {
        struct pair_end *end = &pair->end[role];

        if (end->dtls == NULL || !kw_path_equal(&end->path, &datagram->path))
            continue;
        enum kw_status status =
            kw_dtls_receive(end->dtls, datagram->data, datagram->len, pair->now);

        if (status != KW_OK)
            end->status = status;
        take_events(pair, end);
    }
}

static void tick(struct pair *pair)
{
    for (int role = 0; role < 2; role++) {
        struct pair_end *end = &pair->end[role];

        if (end->dtls == NULL || kw_dtls_deadline(end->dtls) > pair->now)
            continue;
        enum kw_status status = kw_dtls_tick(end->dtls, pair->now);

        if (status != KW_OK)
            end->status = status;
        CHECK(kw_dtls_deadline(end->dtls) > pair->now, "a deadline that stays, seed %" PRIu64,
              pair->net.seed);
    }
}

bool pair_run(struct pair *pair, bool (*done)(const struct pair *pair), kw_ns until)
{
    struct net_datagram datagram;

    for (;;) {
        kw_ns next;

        pair_flush(pair);
        if (done(pair))
            return true;
        next = net_next(&pair->net);
        for (int role = 0; role < 2; role++) {
            if (pair->end[role].dtls != NULL)
                next = KW_MIN(next, kw_dtls_deadline(pair->end[role].dtls));
        }
        if (next > until) {
            pair->now = until == KW_NEVER ? pair->now : KW_MAX(until, pair->now);
            return false;
        }
        pair->now = KW_MAX(next, pair->now);
        if (net_take(&pair->net, pair->now, &datagram))
            deliver(pair, &datagram);
        tick(pair);
    }
}

bool pair_connected(const struct pair *pair)
{
    return pair->end[0].connected && pair->end[1].connected;
}

bool pair_confirmed(const struct pair *pair)
{
    return pair->end[0].confirmed && pair->end[1].confirmed;
}

bool pair_ended(const struct pair *pair)
{
    return pair->end[0].closed && pair->end[1].closed;
}

bool pair_one_ended(const struct pair *pair)
{
    return pair->end[0].closed || pair->end[1].closed;
}

bool pair_forever(const struct pair *pair)
{
    (void)pair;
    return false;
}

void pair_connect(struct pair *pair, const struct pair_config *config)
{
    assert_int_equal(pair_init(pair, config), KW_OK);
    CHECK(pair_run(pair, pair_confirmed, pair->now + KW_S(60)), "seed %" PRIu64 " fails",
          config->seed);
    pair_run(pair, pair_forever, pair->now + KW_S(1));
}

bool pair_same_srtp_keys(struct pair *pair)
{
    struct kw_srtp_keys client, server;
    bool same;

    if (kw_dtls_take_srtp_keys(pair->end[KW_DTLS_CLIENT].dtls, &client) != KW_OK ||
        kw_dtls_take_srtp_keys(pair->end[KW_DTLS_SERVER].dtls, &server) != KW_OK)
        return false;
    same = memcmp(&client.write, &server.read, sizeof client.write) == 0 &&
           memcmp(&client.read, &server.write, sizeof client.read) == 0 &&
           memcmp(&client.read, &client.write, sizeof client.read) != 0;
    kw_srtp_keys_wipe(&client);
    kw_srtp_keys_wipe(&server);
    return same;
}
