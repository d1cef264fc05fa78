/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_UDP_H
#define KW_SYS_UDP_H

/*
 * UDP sockets on the wildcard address, one per family, that know which local address each datagram
 * came to and send each reply from the right one. Datagrams travel in batches.
 */

#include "base/datagram.h"

enum {
    KW_UDP_BATCH = 64,
    KW_UDP_HEADROOM = 64, /* before each datagram, for whoever prepends to it in place */
    KW_UDP_TAILROOM = 64, /* behind it: authentication tags */
};

struct kw_udp_counters {
    uint64_t received;
    uint64_t sent;
    uint64_t kernel_drops; /* SO_RXQ_OVFL: lost at the socket before we saw them */
    uint64_t oversize;     /* larger than KW_DATAGRAM_RECEIVE_MAX */
    uint64_t send_failures;
};

struct kw_udp {
    int fd; /* -1: this machine does not speak the family */
    uint8_t family;
    uint16_t port;
    uint32_t overflow; /* the kernel's count, as last seen */
    struct kw_udp_counters counters;
};

/* Binds both families to one port; 0 takes a free one. KW_ERR_SYSTEM: errno says why. */
KW_MUST_USE enum kw_status kw_udp_open_pair(uint16_t port, struct kw_udp ret[2]);
void kw_udp_close(struct kw_udp *udp);

/* Buffers and headers of a batch; one belongs to one thread. NULL: out of memory. */
struct kw_udp_batch;
struct kw_udp_batch *kw_udp_batch_new(void);
void kw_udp_batch_free(struct kw_udp_batch *batch);
/* KW_UDP_BATCH items, each with its buffer; reset() restores data, size and len 0. */
struct kw_datagram *kw_udp_batch_items(struct kw_udp_batch *batch);
void kw_udp_batch_reset(struct kw_udp_batch *batch);

/*
 * Receives what waits, at most one batch, without blocking; returns how many items of the batch
 * are filled.
 */
size_t kw_udp_receive(struct kw_udp *udp, struct kw_udp_batch *batch);

/*
 * Sends the items whose len is not 0, by the socket of their family, from their local address. What
 * the kernel refuses is counted and lost, as UDP may.
 */
void kw_udp_send(struct kw_udp pair[2], struct kw_udp_batch *batch, size_t item_count);

#endif
