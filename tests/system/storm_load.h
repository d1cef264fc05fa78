/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_STORM_LOAD_H
#define KW_TESTS_SYSTEM_STORM_LOAD_H

/*
 * Thousands of clients of one keywheeld in one process: a kw_session each, all on one UDP socket,
 * each with a loopback address of its own (127.1.x.y), so that the gateway sees as many 5-tuples.
 * Requests are posted by a few threads on kept connections, so that media never waits for HTTP.
 *
 * How long a packet waited in the gateway is told by clocks beside this process: the moment before
 * it was sent, carried in the packet, and the kernel's stamp of its echo's arrival.
 */

#include "daemon.h"

#include <keywheel/session.h>

enum { STORM_CALLS_MAX = 4000, STORM_SAMPLES_MAX = 4 << 20 };

struct storm_figures {
    uint64_t sent, echoed;
    uint64_t socket_drops; /* at our socket */
    size_t wait_count;
    uint32_t waits_us[STORM_SAMPLES_MAX];
};

/* False: something is missing (addresses, memory); errors of the gateway end the test. */
void storm_open(const struct daemon *gateway, size_t calls, unsigned per_second);
void storm_close(void);
/* Opens all calls and waits until all are up. */
bool storm_call(kw_ns limit);
/* Media alone for a while; figures begin anew. */
void storm_talk(kw_ns time, struct storm_figures *figures);
/* All calls get their next generation at once; until all have switched. Returns the time it took.
 */
bool storm_rotate(kw_ns limit, struct storm_figures *figures, kw_ns *took);

#endif
