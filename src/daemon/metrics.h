/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_METRICS_H
#define KW_DAEMON_METRICS_H

/*
 * Figures that the gateway's thread publishes once a second and the admin listener prints. Numbers
 * only, each an atomic of its own: a page may mix two seconds, never half a number.
 */

#include <keywheel/session.h>

#include <stdatomic.h>

struct kw_metrics {
    _Atomic uint64_t calls;
    _Atomic uint64_t calls_max;
    _Atomic uint64_t received;
    _Atomic uint64_t sent;
    _Atomic uint64_t kernel_drops;
    _Atomic uint64_t oversize;
    _Atomic uint64_t send_failures;
    _Atomic uint64_t refused_sources;
    _Atomic uint64_t verdicts[KW_VERDICT_COUNT];
    _Atomic uint64_t rotations[KW_METHOD_CAP + 1]; /* that are done, by method */
    _Atomic uint64_t facts_stored;
    _Atomic uint64_t facts_waiting;
    _Atomic uint64_t facts_refused;
    _Atomic uint64_t evidence_failing;
    _Atomic uint64_t memory_locked;
    _Atomic uint64_t arena_size;
    _Atomic uint64_t arena_used;
    _Atomic uint64_t arena_peak;
    _Atomic uint64_t is_draining;
};

/* The page in Prometheus' text format; returns its length. */
size_t kw_metrics_write(void *arg, char *dst, size_t dst_size);

#endif
