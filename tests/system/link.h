/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_LINK_H
#define KW_TESTS_SYSTEM_LINK_H

/*
 * Two network namespaces joined by a pair of virtual Ethernet devices, each with a connected UDP
 * socket. The process moves into a namespace of its own for it; without root a user namespace gives
 * the right. Nothing has to be removed: the namespaces end with the process.
 */

#include <stdbool.h>
#include <stdint.h>

struct link_end {
    int namespace; /* a file that names it */
    int fd;        /* UDP, connected to the other end */
    const char *ip;
};

struct link {
    struct link_end ends[2];
};

enum { LINK_PORT = 5004 };

/* What the kernel says it has lost in the calling process's namespace. */
struct link_losses {
    uint64_t socket; /* UDP receive and send buffers that were full, checksums that were wrong */
    uint64_t device; /* dropped by the virtual device, either way */
};

/* Once in a process that has one thread. False: this machine allows no network namespace. */
bool link_open(struct link *link);
/* Moves the calling process to this end. */
bool link_enter(const struct link_end *end);
bool link_losses(struct link_losses *ret);

#endif
