/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_GATEWAY_H
#define KW_GATEWAY_GATEWAY_H

/*
 * The gateway without its sockets: tenants, calls, legs, quotas, routing. A worker owns one;
 * datagrams, requests, a clock and random bytes come in, datagrams, responses and facts go out.
 */

#include "base/datagram.h"

#include <keywheel/audit.h>
#include <keywheel/session.h>

struct kw_gateway;

enum { KW_GATEWAY_CANDIDATES_MAX = 16, KW_GATEWAY_TENANTS_MAX = 64, KW_TOKEN_MAX = 128 };

/* Where facts go: a bounded ring that another thread drains. */
struct kw_fact_sink {
    /* Reserves slots so that an admitted session can always tell its end; false: refuse the call.
     */
    bool (*reserve)(void *ctx, size_t slot_count);
    void (*release)(void *ctx, size_t slot_count);
    void (*put)(void *ctx, const struct kw_fact *fact); /* uses one reserved slot */
    void *ctx;
};

enum kw_backend_kind { KW_BACKEND_ECHO = 0, KW_BACKEND_BRIDGE, KW_BACKEND_RTP };

struct kw_tenant_config {
    char name[KW_POLICY_NAME_MAX];
    char token[KW_TOKEN_MAX]; /* bearer token; compared in constant time */
    struct kw_policy policy;
    enum kw_backend_kind backend;
    size_t calls_max;             /* concurrent */
    uint32_t calls_per_minute;    /* refusal: 429 with Retry-After */
    struct kw_address rtp_target; /* KW_BACKEND_RTP */
};

struct kw_gateway_config {
    struct kw_session_shared shared; /* the pool of generations is the gateway's own */
    struct kw_fact_sink sink;
    size_t calls_max;
    size_t candidate_count;
    struct kw_address
        candidates[KW_GATEWAY_CANDIDATES_MAX]; /* host candidates with the worker's port */
    size_t tenant_count;
    const struct kw_tenant_config *tenants; /* borrowed */
};

/* Memory for everything, 64-byte aligned: sessions, generations, tables. The caller locks it. */
size_t kw_gateway_size(const struct kw_gateway_config *config);
/* Generations that may live at a time, for the provider's pools. */
size_t kw_gateway_generations(const struct kw_gateway_config *config);
KW_MUST_USE enum kw_status kw_gateway_init(void *mem, const struct kw_gateway_config *config,
                                           kw_ns now, struct kw_gateway **ret);
void kw_gateway_deinit(struct kw_gateway *gateway);

/*
 * Feeds a batch. Media is decrypted, routed and protected again in place by the batch calls of
 * SRTP: on return an item with len != 0 is to be sent to its (changed) path, the others are
 * consumed.
 */
void kw_gateway_receive(struct kw_gateway *gateway, struct kw_datagram *items, size_t item_count,
                        kw_ns now);
/* Fills items with what else is to be sent (STUN, DTLS, RTCP, second legs); returns how many. */
size_t kw_gateway_transmit(struct kw_gateway *gateway, struct kw_datagram *items, size_t item_count,
                           kw_ns now);
kw_ns kw_gateway_deadline(const struct kw_gateway *gateway);
void kw_gateway_tick(struct kw_gateway *gateway, kw_ns now, kw_utc_ms utc);

/* SIGTERM: no new calls (503); each call ends with close_notify when it ends or at `deadline`. */
void kw_gateway_drain(struct kw_gateway *gateway, kw_ns deadline);
size_t kw_gateway_call_count(const struct kw_gateway *gateway);

/* Datagrams dropped before they reached a session, by verdict; KW_VERDICT_COUNT entries. */
const uint64_t *kw_gateway_counters(const struct kw_gateway *gateway);
/* Rotations that are done, by enum kw_method; KW_METHOD_CAP + 1 entries. */
const uint64_t *kw_gateway_rotations(const struct kw_gateway *gateway);

#endif
