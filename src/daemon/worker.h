/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_WORKER_H
#define KW_DAEMON_WORKER_H

/*
 * The owner thread of the gateway: the loop on one side, the rings of HTTP and of the evidence on
 * the other.
 */

#include "daemon/evidence.h"
#include "daemon/metrics.h"
#include "sys/arena.h"
#include "sys/interfaces.h"
#include "sys/loop.h"

struct kw_worker {
    const struct kw_config *config;
    struct kw_gateway *gateway;
    struct kw_http *http;
    struct kw_evidence *evidence;
    struct kw_arena *arena; /* NULL: none */
    struct kw_metrics *metrics;
    struct kw_udp *sockets;
    struct kw_loop *loop;
    struct kw_interfaces interfaces;
    kw_ns chores_at;
    kw_ns interfaces_at;
    bool is_draining;
    bool must_stop;
    kw_ns drain_until;
    uint64_t last_alarm;
};

/* The handler and the filter for kw_loop_open(). */
struct kw_loop_handler kw_worker_handler(struct kw_worker *worker);
bool kw_worker_admits(void *worker, const struct kw_address *remote);

/* Runs until a signal has ended everything. */
KW_MUST_USE enum kw_status kw_worker_run(struct kw_worker *worker);

#endif
