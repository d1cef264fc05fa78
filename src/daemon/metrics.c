/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

enum kind { COUNTER, GAUGE };

static const struct {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *help;
} rows[] = {
    {"keywheel_calls", GAUGE, offsetof(struct kw_metrics, calls), "Calls now."},
    {"keywheel_calls_max", GAUGE, offsetof(struct kw_metrics, calls_max), "Room for calls."},
    {"keywheel_draining", GAUGE, offsetof(struct kw_metrics, is_draining),
     "1 after SIGTERM: no new calls."},
    {"keywheel_datagrams_received_total", COUNTER, offsetof(struct kw_metrics, received),
     "Datagrams taken from the sockets."},
    {"keywheel_datagrams_sent_total", COUNTER, offsetof(struct kw_metrics, sent),
     "Datagrams given to the kernel."},
    {"keywheel_datagrams_lost_at_socket_total", COUNTER, offsetof(struct kw_metrics, kernel_drops),
     "Datagrams that the kernel dropped because a socket was full."},
    {"keywheel_datagrams_oversize_total", COUNTER, offsetof(struct kw_metrics, oversize),
     "Datagrams larger than any peer sends."},
    {"keywheel_datagrams_not_sent_total", COUNTER, offsetof(struct kw_metrics, send_failures),
     "Datagrams that the kernel refused to send."},
    {"keywheel_datagrams_foreign_total", COUNTER, offsetof(struct kw_metrics, refused_sources),
     "Datagrams of other machines, in the demo."},
    {"keywheel_facts_stored_total", COUNTER, offsetof(struct kw_metrics, facts_stored),
     "Facts appended to the logs."},
    {"keywheel_facts_waiting", GAUGE, offsetof(struct kw_metrics, facts_waiting),
     "Facts on their way to the logs."},
    {"keywheel_facts_refused_total", COUNTER, offsetof(struct kw_metrics, facts_refused),
     "Calls refused because the ring of facts had no room."},
    {"keywheel_evidence_failing", GAUGE, offsetof(struct kw_metrics, evidence_failing),
     "1 while a log cannot be written."},
    {"keywheel_memory_locked", GAUGE, offsetof(struct kw_metrics, memory_locked),
     "1 when key memory cannot be swapped out."},
    {"keywheel_arena_bytes", GAUGE, offsetof(struct kw_metrics, arena_size),
     "Size of the memory for keys."},
    {"keywheel_arena_used_bytes", GAUGE, offsetof(struct kw_metrics, arena_used),
     "How much of it is in use."},
    {"keywheel_arena_peak_bytes", GAUGE, offsetof(struct kw_metrics, arena_peak),
     "The most of it that was in use."},
};

static uint64_t value_at(const struct kw_metrics *metrics, size_t offset)
{
    const _Atomic uint64_t *at = (const void *)((const char *)metrics + offset);

    return atomic_load_explicit(at, memory_order_relaxed);
}

size_t kw_metrics_write(void *arg, char *dst, size_t dst_size)
{
    const struct kw_metrics *metrics = arg;
    FILE *page = fmemopen(dst, dst_size, "w");
    size_t len = 0;

    if (page == NULL)
        return 0;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++)
        fprintf(page, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", rows[i].name, rows[i].help,
                rows[i].name, rows[i].kind == COUNTER ? "counter" : "gauge", rows[i].name,
                value_at(metrics, rows[i].offset));
    fprintf(page, "# HELP keywheel_dropped_total Datagrams dropped before they reached a call.\n"
                  "# TYPE keywheel_dropped_total counter\n");
    for (unsigned i = KW_ACCEPT + 1; i < KW_VERDICT_COUNT; i++)
        fprintf(page, "keywheel_dropped_total{verdict=\"%s\"} %" PRIu64 "\n",
                kw_verdict_name((enum kw_verdict)i),
                atomic_load_explicit(&metrics->verdicts[i], memory_order_relaxed));
    fprintf(page, "# HELP keywheel_rotations_total Rotations that are done.\n"
                  "# TYPE keywheel_rotations_total counter\n");
    for (unsigned i = KW_METHOD_OVERLAP; i < KW_METHOD_CAP; i++)
        fprintf(page, "keywheel_rotations_total{method=\"%s\"} %" PRIu64 "\n",
                kw_method_name((enum kw_method)i),
                atomic_load_explicit(&metrics->rotations[i], memory_order_relaxed));
    fflush(page);
    len = (size_t)ftell(page);
    fclose(page);
    return len;
}
