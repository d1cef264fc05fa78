/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SESSION_NET_H
#define KW_TESTS_SESSION_NET_H

/*
 * A network in virtual time: datagrams wait in a heap until their moment. Everything random comes
 * from one seed, so a failure is repeated by it.
 */

#include <keywheel/base.h>

struct net_link {
    kw_ns delay;
    kw_ns jitter; /* uniformly added: what reorders */
    unsigned loss_permille;
    unsigned duplicate_permille;
};

struct net_packet {
    kw_ns at;
    uint64_t order;      /* equal times: first in, first out */
    uint32_t to;         /* whom it reaches, as the test numbers them */
    struct kw_path path; /* as its receiver sees it */
    size_t len;
    uint8_t data[2048];
};

struct net {
    uint64_t rng;
    struct net_link link;
    struct net_packet **heap;
    size_t count, size;
    uint64_t order;
    uint64_t sent, lost;
    struct net_packet *free;
};

void net_init(struct net *net, uint64_t seed, struct net_link link);
void net_deinit(struct net *net);
uint64_t net_draw(struct net *net);
/* path: as its sender sees it. */
void net_send(struct net *net, uint32_t to, const struct kw_path *path, const uint8_t *data,
              size_t len, kw_ns now);
kw_ns net_next(const struct net *net);
/* Takes the next packet that is due; NULL: none. Give it back with net_done(). */
struct net_packet *net_take(struct net *net, kw_ns now);
void net_done(struct net *net, struct net_packet *packet);

struct kw_path net_reversed(const struct kw_path *path);
struct kw_address net_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

#endif
