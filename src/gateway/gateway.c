/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block of memory, cut once: the gateway, its calls with their sessions, the tables, the queue
 * of handshake datagrams, the listeners. Nothing is allocated later. Then time: ticks, deadlines,
 * drain.
 */
#include "gateway/state.h"

#include <string.h>

enum { ALIGN = 64 };

static size_t round_up(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t ufrag_count(const struct kw_gateway_config *config)
{
    return config->calls_max * KW_CALL_LEGS * 2; /* before and after an ICE restart */
}

static size_t path_count(const struct kw_gateway_config *config)
{
    return config->calls_max * (KW_CALL_ROUTES + 1); /* and one plain path */
}

static size_t check_count(const struct kw_gateway_config *config)
{
    return config->calls_max * KW_CALL_CHECKS;
}

static size_t listener_count(const struct kw_gateway_config *config)
{
    return config->calls_max + KW_MAX((size_t)KW_STREAMS_PER_CALL, config->calls_max / 4);
}

/* Every call may rotate at any moment, and all at once when an operator says so. */
static struct kw_session_pool_config pool_config(const struct kw_gateway_config *config)
{
    return (struct kw_session_pool_config){
        .ssrc_max = KW_CALL_SSRC_MAX,
        .sessions = config->calls_max,
        .rotations = config->calls_max,
        .has_ice = true,
    };
}

size_t kw_gateway_generations(const struct kw_gateway_config *config)
{
    return 2 * config->calls_max;
}

size_t kw_gateway_size(const struct kw_gateway_config *config)
{
    const struct kw_session_pool_config pool = pool_config(config);
    size_t n = config->calls_max;

    return round_up(sizeof(struct kw_gateway)) + round_up(n * sizeof(struct kw_call)) +
           n * round_up(kw_session_size()) + round_up(kw_session_pool_size(&pool)) +
           round_up(kw_table_size(n)) + round_up(kw_table_size(ufrag_count(config))) +
           round_up(kw_table_size(check_count(config))) +
           round_up(kw_table_size(path_count(config))) + round_up(kw_heap_size(n)) +
           round_up(KW_HANDSHAKE_QUEUE * sizeof(struct kw_waiting)) +
           round_up(KW_OUTGOING * sizeof(struct kw_outgoing)) +
           round_up(listener_count(config) * sizeof(struct kw_listener));
}

static void *cut(uint8_t **at, size_t size)
{
    void *block = *at;

    *at += round_up(size);
    return block;
}

static void init_calls(struct kw_gateway *gateway, uint8_t **at)
{
    size_t n = gateway->config.calls_max;

    gateway->calls = cut(at, n * sizeof(struct kw_call));
    gateway->calls_max = n;
    gateway->free_first = KW_NO_CALL;
    gateway->dirty_first = KW_NO_CALL;
    gateway->dirty_last = KW_NO_CALL;
    for (size_t i = n; i > 0; i--) {
        struct kw_call *call = &gateway->calls[i - 1];

        memset(call, 0, sizeof *call);
        call->number = (uint32_t)(i - 1);
        call->next_free = gateway->free_first;
        gateway->free_first = call->number;
        call->session_mem = cut(at, kw_session_size());
    }
}

enum kw_status kw_gateway_init(void *mem, const struct kw_gateway_config *config, kw_ns now,
                               struct kw_gateway **ret)
{
    const struct kw_session_pool_config pool = pool_config(config);
    struct kw_gateway *gateway = mem;
    uint8_t *at = mem;
    uint8_t key[16];
    enum kw_status status;

    KW_ASSERT((uintptr_t)mem % ALIGN == 0);
    if (config->calls_max == 0 || config->calls_max >= KW_ROUTE_FIRM ||
        config->candidate_count == 0 || config->candidate_count > KW_GATEWAY_CANDIDATES_MAX ||
        config->tenant_count > KW_GATEWAY_TENANTS_MAX)
        return KW_ERR_INPUT;
    status = kw_random_fill(&config->shared.dtls.random, key, sizeof key);
    if (status != KW_OK)
        return status;

    (void)cut(&at, sizeof *gateway);
    memset(gateway, 0, sizeof *gateway);
    gateway->config = *config;
    gateway->shared = config->shared;
    gateway->now = now;
    gateway->drain_at = KW_NEVER;
    gateway->refusals_at = KW_NEVER;
    for (size_t i = 0; i < config->tenant_count; i++)
        gateway->tenants[i] = (struct kw_tenant){
            .config = &config->tenants[i],
            .per_minute = kw_bucket_full(KW_TENANT_MINUTE, now),
            .refusals = {.budget = kw_bucket_full(KW_TENANT_MINUTE, now), .since = KW_NEVER},
        };
    gateway->shared.pool = kw_session_pool_init(cut(&at, kw_session_pool_size(&pool)), &pool);
    init_calls(gateway, &at);
    kw_table_init(&gateway->ids, cut(&at, kw_table_size(config->calls_max)), config->calls_max,
                  key);
    kw_table_init(&gateway->ufrags, cut(&at, kw_table_size(ufrag_count(config))),
                  ufrag_count(config), key);
    kw_table_init(&gateway->checks, cut(&at, kw_table_size(check_count(config))),
                  check_count(config), key);
    kw_table_init(&gateway->paths, cut(&at, kw_table_size(path_count(config))), path_count(config),
                  key);
    kw_heap_init(&gateway->heap, cut(&at, kw_heap_size(config->calls_max)), config->calls_max);
    gateway->waiting = cut(&at, KW_HANDSHAKE_QUEUE * sizeof(struct kw_waiting));
    gateway->outgoing = cut(&at, KW_OUTGOING * sizeof(struct kw_outgoing));
    gateway->listeners_max = listener_count(config);
    gateway->listeners = cut(&at, gateway->listeners_max * sizeof(struct kw_listener));
    memset(gateway->listeners, 0, gateway->listeners_max * sizeof(struct kw_listener));
    KW_ASSERT((size_t)(at - (uint8_t *)mem) == kw_gateway_size(config));
    kw_wipe(key, sizeof key);
    *ret = gateway;
    return KW_OK;
}

void kw_gateway_deinit(struct kw_gateway *gateway)
{
    const struct kw_crypto_ops *ops = gateway->shared.dtls.crypto->ops;
    size_t size = kw_gateway_size(&gateway->config);

    for (size_t i = 0; i < gateway->calls_max; i++) {
        if (gateway->calls[i].state != KW_CALL_FREE)
            kw_call_free(gateway, &gateway->calls[i], gateway->now);
    }
    kw_refusals_flush(gateway, gateway->now);
    for (size_t i = 0; i < gateway->identity_count; i++)
        ops->identity_free(gateway->identities[i]);
    kw_wipe(gateway, size);
}

kw_utc_ms kw_gateway_utc(const struct kw_gateway *gateway, kw_ns now)
{
    return gateway->utc + (kw_utc_ms)((now - gateway->utc_at) / KW_MS(1));
}

void kw_gateway_touch(struct kw_gateway *gateway, struct kw_call *call)
{
    if (call->is_dirty)
        return;
    call->is_dirty = true;
    call->next_dirty = KW_NO_CALL;
    if (gateway->dirty_first == KW_NO_CALL)
        gateway->dirty_first = call->number;
    else
        gateway->calls[gateway->dirty_last].next_dirty = call->number;
    gateway->dirty_last = call->number;
}

void kw_gateway_schedule(struct kw_gateway *gateway, struct kw_call *call)
{
    kw_ns at = KW_NEVER;

    if (call->state == KW_CALL_LIVE) {
        at = kw_session_deadline(call->session);
        if (call->relay.has_target)
            at = KW_MIN(at, call->relay.report_at);
        for (size_t i = 0; i < KW_CALL_LEGS; i++) {
            if (call->legs[i].tag != 0)
                at = KW_MIN(at, call->legs[i].report_at);
        }
    }
    kw_heap_set(&gateway->heap, call->number, at);
}

/* A certificate from the store that idle time fills, or a new one. */
struct kw_identity *kw_gateway_identity(struct kw_gateway *gateway, kw_ns now)
{
    struct kw_crypto *crypto = gateway->shared.dtls.crypto;
    struct kw_identity *identity = NULL;

    if (gateway->identity_count > 0)
        return gateway->identities[--gateway->identity_count];
    if (crypto->ops->identity_new(crypto, kw_gateway_utc(gateway, now), &identity) != KW_OK)
        return NULL;
    return identity;
}

static void fill_identities(struct kw_gateway *gateway, kw_ns now)
{
    struct kw_crypto *crypto = gateway->shared.dtls.crypto;
    struct kw_identity *identity = NULL;

    if (gateway->identity_count == KW_IDENTITIES || gateway->waiting_count != 0)
        return;
    if (crypto->ops->identity_new(crypto, kw_gateway_utc(gateway, now), &identity) == KW_OK)
        gateway->identities[gateway->identity_count++] = identity;
}

uint64_t kw_gateway_draw(struct kw_gateway *gateway, enum kw_status *status)
{
    uint64_t value = 0;

    *status = kw_random_fill(&gateway->shared.dtls.random, (uint8_t *)&value, sizeof value);
    return value;
}

void kw_gateway_drain(struct kw_gateway *gateway, kw_ns deadline)
{
    gateway->is_draining = true;
    gateway->drain_at = deadline;
}

static void drain_rest(struct kw_gateway *gateway, kw_ns now)
{
    if (now < gateway->drain_at)
        return;
    gateway->drain_at = KW_NEVER;
    for (size_t i = 0; i < gateway->calls_max; i++) {
        if (gateway->calls[i].state == KW_CALL_LIVE)
            kw_call_hang_up(gateway, &gateway->calls[i], now);
    }
}

void kw_gateway_tick(struct kw_gateway *gateway, kw_ns now, kw_utc_ms utc)
{
    KW_ASSERT(now >= gateway->now);
    gateway->now = now;
    gateway->utc = utc;
    gateway->utc_at = now;

    drain_rest(gateway, now);
    if (!gateway->has_received)
        gateway->budget = KW_HANDSHAKE_BUDGET;
    gateway->has_received = false;
    kw_gateway_run_queue(gateway, now);
    while (kw_heap_top(&gateway->heap) <= now) {
        struct kw_call *call = &gateway->calls[gateway->heap.entries[0].call];

        /* The session says itself what is wrong: by an event. */
        kw_status_ignore(kw_session_tick(call->session, now));
        kw_call_pump(gateway, call, now);
        kw_gateway_touch(gateway, call);
        /* One that is due again at once waits for the next turn. */
        if (kw_heap_at(&gateway->heap, call->number) <= now)
            kw_heap_set(&gateway->heap, call->number, now + KW_MS(1));
    }
    kw_events_tick(gateway, now);
    kw_refusals_tick(gateway, now);
    fill_identities(gateway, now);
}

kw_ns kw_gateway_deadline(const struct kw_gateway *gateway)
{
    kw_ns deadline = KW_MIN(kw_heap_top(&gateway->heap), gateway->drain_at);

    if (gateway->waiting_count != 0 || gateway->outgoing_count != 0 ||
        gateway->dirty_first != KW_NO_CALL)
        return gateway->now;
    deadline = KW_MIN(deadline, gateway->refusals_at);
    return KW_MIN(deadline, kw_events_deadline(gateway));
}

size_t kw_gateway_call_count(const struct kw_gateway *gateway)
{
    return gateway->call_count;
}

const uint64_t *kw_gateway_counters(const struct kw_gateway *gateway)
{
    return gateway->counters;
}

const uint64_t *kw_gateway_rotations(const struct kw_gateway *gateway)
{
    return gateway->rotations;
}
