/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_LOOP_H
#define KW_SYS_LOOP_H

/*
 * The loop of a worker: it waits, receives a batch, asks what to do, sends a batch. The clock is
 * stamped once per turn; each ready socket is served once per turn, so that a noisy one starves
 * nobody. Who is asked is a table of functions, so the loop knows no gateway.
 */

#include "sys/udp.h"
#include "sys/wake.h"

struct kw_loop_handler {
    /* A batch came in; on return an item with len != 0 is sent to its (changed) path. */
    void (*receive)(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now);
    /* Fills items with what else is to be sent; returns how many. */
    size_t (*transmit)(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now);
    /* When tick() is wanted next. */
    kw_ns (*deadline)(void *ctx);
    void (*tick)(void *ctx, kw_ns now, kw_utc_ms utc);
    /* Another thread left a note at the loop's wake. Returns whether more waits than was handled
     * now, so that one turn stays short. */
    bool (*notes)(void *ctx, kw_ns now, kw_utc_ms utc);
    void (*signal)(void *ctx, int signal, kw_ns now);
    void *ctx;
};

struct kw_loop_config {
    struct kw_loop_handler handler;
    struct kw_udp *sockets; /* a pair, borrowed */
    /* Says whether to keep a datagram from there; NULL keeps all. For the demo, which serves this
     * machine only. */
    bool (*admits)(void *ctx, const struct kw_address *remote);
    const int *signals; /* 0 ends; already blocked in every thread */
};

struct kw_loop;

KW_MUST_USE enum kw_status kw_loop_open(const struct kw_loop_config *config, struct kw_loop **ret);
void kw_loop_close(struct kw_loop *loop);

/* For other threads: kw_wake_note() on it leads to notes(). */
const struct kw_wake *kw_loop_wake(const struct kw_loop *loop);

/* One turn; waits until something happens, the deadline comes, or for max_wait at most. */
KW_MUST_USE enum kw_status kw_loop_turn(struct kw_loop *loop, kw_ns max_wait);

/* The stamp of the last turn. */
kw_ns kw_loop_now(const struct kw_loop *loop);

/* Datagrams that admits() refused. */
uint64_t kw_loop_refused(const struct kw_loop *loop);

#endif
