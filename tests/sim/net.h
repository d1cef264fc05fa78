/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_NET_H
#define KW_TESTS_NET_H

/*
 * A network in virtual time: datagrams with their paths go in, and come out later, or never, or
 * twice, or after those that were sent behind them. Everything is drawn from the seed, so the same
 * seed makes the same world.
 *
 *     net_init(&net, seed);
 *     net.link = (struct net_link){.delay = KW_MS(40), .loss_percent = 20};
 *     net_send(&net, &path, data, len, now);          // path.local is the sender
 *     while (net_next(&net) <= now && net_take(&net, now, &datagram))
 *         deliver(datagram.path, ...);                // path.local is the receiver
 */

#include <keywheel/base.h>

struct net_link {
    kw_ns delay;
    kw_ns jitter; /* added to the delay, uniformly drawn */
    unsigned loss_percent;
    unsigned duplicate_percent;
    unsigned reorder_percent; /* held back by another delay + jitter + 1 ms */
    size_t mtu;               /* larger datagrams vanish; 0: none do */
    bool is_black_hole;
};

enum { NET_DATAGRAM_MAX = 2048 };

struct net_datagram {
    kw_ns at;
    uint64_t number;     /* order of sending, among equals of time */
    struct kw_path path; /* as the receiver sees it */
    size_t len;
    uint8_t data[NET_DATAGRAM_MAX];
};

struct net;

/* Sees every datagram before the network does; false: it is dropped. It may change data. */
typedef bool (*net_tap)(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                        size_t *len, kw_ns now);

struct net_counters {
    uint64_t sent;
    uint64_t bytes;
    uint64_t lost;
    uint64_t too_big;
    uint64_t delivered;
};

struct net {
    uint64_t seed;
    uint64_t state;
    struct net_link link; /* of every path that link_of does not name */
    /* Another link for a path (as its sender sees it); NULL or returning NULL: the common one. */
    const struct net_link *(*link_of)(void *ctx, const struct kw_path *path);
    void *link_ctx;
    net_tap tap;
    void *tap_ctx;
    struct net_counters counters;
    uint64_t number;
    struct net_datagram **heap; /* by time */
    size_t count;
    size_t size;
};

void net_init(struct net *net, uint64_t seed);
void net_deinit(struct net *net);

/* A uniformly drawn number below bound, from the same seed. */
uint64_t net_draw(struct net *net, uint64_t bound);

void net_send(struct net *net, const struct kw_path *path, const uint8_t *data, size_t len,
              kw_ns now);
/* Puts a datagram before its receiver at that time, past tap and link. */
void net_inject(struct net *net, const struct kw_path *path, const uint8_t *data, size_t len,
                kw_ns at);
/* When the next datagram arrives; KW_NEVER. */
kw_ns net_next(const struct net *net);
/* Takes the next datagram that has arrived by now; false: there is none. */
bool net_take(struct net *net, kw_ns now, struct net_datagram *ret);

/* An IPv4 address 10.0.0.host:port, and the path between two. */
struct kw_address net_address(uint8_t host, uint16_t port);
struct kw_path net_path(uint8_t from, uint8_t to);

#endif
