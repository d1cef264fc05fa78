/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BOGO_WIRE_H
#define KW_BOGO_WIRE_H

/*
 * The runner's end of the shim: datagrams and orders for the simulated clock, framed upon one TCP
 * connection to loopback. Every frame begins with a letter.
 */

#include <keywheel/base.h>

enum { WIRE_DATAGRAM_MAX = 65536 };

enum wire_order {
    WIRE_END = 0,         /* the runner has closed the connection */
    WIRE_BROKEN,          /* not a frame */
    WIRE_PACKET = 'P',    /* a datagram */
    WIRE_TIMEOUT = 'T',   /* `value` nanoseconds pass; already acknowledged */
    WIRE_MTU = 'M',       /* the MTU is `value` from now on */
    WIRE_EXPECT = 'E',    /* the deadline must be `value` nanoseconds away, or none if it is ~0 */
    WIRE_SET_TIMER = 'U', /* the first timeout is `value` milliseconds from now on */
};

struct wire_frame {
    enum wire_order order;
    uint64_t value;
    size_t len; /* of the datagram */
};

/* Connects and says which shim we are; -1 on failure. */
int wire_open(uint16_t port, bool ipv6, uint64_t shim_id);
/* Tells whether an order comes within that time. */
bool wire_is_ready(int fd, int timeout_ms);
/* Waits for the next order; a datagram goes to dst. */
struct wire_frame wire_read(int fd, uint8_t dst[WIRE_DATAGRAM_MAX]);
bool wire_write(int fd, const uint8_t *datagram, size_t len);
/* Lets the runner read what we wrote before the connection goes away. */
void wire_close(int fd);

#endif
