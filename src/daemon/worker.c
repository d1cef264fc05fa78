/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include "base/assert.h"
#include "control/control.h"
#include "sys/log.h"

#include <signal.h>

enum {
    REQUESTS_PER_TURN = 4, /* media first: a new call costs about a millisecond */
    PUSHES_PER_TURN = 64,
    CHORES_MS = 1000,
    INTERFACES_S = 10,
};

static void on_receive(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now)
{
    kw_gateway_receive(((struct kw_worker *)ctx)->gateway, items, item_count, now);
}

static size_t on_transmit(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now)
{
    return kw_gateway_transmit(((struct kw_worker *)ctx)->gateway, items, item_count, now);
}

static kw_ns on_deadline(void *ctx)
{
    struct kw_worker *worker = ctx;

    return KW_MIN(kw_gateway_deadline(worker->gateway), worker->chores_at);
}

static void set(_Atomic uint64_t *metric, uint64_t value)
{
    atomic_store_explicit(metric, value, memory_order_relaxed);
}

static void publish_metrics(struct kw_worker *worker)
{
    struct kw_metrics *metrics = worker->metrics;
    const uint64_t *verdicts = kw_gateway_counters(worker->gateway);
    const uint64_t *rotations = kw_gateway_rotations(worker->gateway);
    struct kw_udp_counters sum = {0};

    for (size_t i = 0; i < 2; i++) {
        const struct kw_udp_counters *counters = &worker->sockets[i].counters;

        sum.received += counters->received;
        sum.sent += counters->sent;
        sum.kernel_drops += counters->kernel_drops;
        sum.oversize += counters->oversize;
        sum.send_failures += counters->send_failures;
    }
    set(&metrics->calls, kw_gateway_call_count(worker->gateway));
    set(&metrics->received, sum.received);
    set(&metrics->sent, sum.sent);
    set(&metrics->kernel_drops, sum.kernel_drops);
    set(&metrics->oversize, sum.oversize);
    set(&metrics->send_failures, sum.send_failures);
    set(&metrics->refused_sources, kw_loop_refused(worker->loop));
    for (size_t i = 0; i < KW_VERDICT_COUNT; i++)
        set(&metrics->verdicts[i], verdicts[i]);
    for (size_t i = 0; i < KW_ARRAY_LEN(metrics->rotations); i++)
        set(&metrics->rotations[i], rotations[i]);
    set(&metrics->facts_stored, kw_store_writer_stored(worker->evidence->writer));
    set(&metrics->facts_waiting, kw_spsc_used(&worker->evidence->ring.ring));
    set(&metrics->facts_refused, worker->evidence->ring.refused);
    set(&metrics->evidence_failing, kw_store_writer_failing(worker->evidence->writer));
    set(&metrics->is_draining, worker->is_draining);
    if (worker->arena != NULL) {
        struct kw_arena_usage usage;

        kw_arena_usage(worker->arena, &usage);
        set(&metrics->arena_used, usage.used);
        set(&metrics->arena_peak, usage.peak);
    }
}

/* A full ring of facts refuses calls: an operator must hear of it, once a second at most. */
static void raise_alarms(struct kw_worker *worker)
{
    uint64_t refused = worker->evidence->ring.refused;

    if (refused != worker->last_alarm)
        KW_LOG(KW_LOG_ERROR, "evidence-full", KW_LOG_NUMBER("refused", refused));
    worker->last_alarm = refused;
}

static void on_tick(void *ctx, kw_ns now, kw_utc_ms utc)
{
    struct kw_worker *worker = ctx;

    kw_gateway_tick(worker->gateway, now, utc);
    if (now < worker->chores_at)
        return;
    worker->chores_at = now + KW_MS(CHORES_MS);
    publish_metrics(worker);
    raise_alarms(worker);
    if (worker->config->is_demo && now >= worker->interfaces_at) {
        struct kw_interfaces fresh;

        worker->interfaces_at = now + KW_S(INTERFACES_S);
        if (kw_interfaces_read(&fresh) == KW_OK)
            worker->interfaces = fresh;
    }
}

/* A request is taken only when there is room for its answer. */
static bool handle_request(struct kw_worker *worker, kw_ns now, kw_utc_ms utc)
{
    const struct kw_request *request = kw_http_next_request(worker->http);
    struct kw_response *response;

    if (request == NULL)
        return false;
    response = kw_http_claim_response(worker->http);
    if (response == NULL)
        return false;
    kw_control_handle(worker->gateway, request, now, utc, response);
    KW_ASSERT(response->completion == request->completion);
    kw_http_request_done(worker->http);
    kw_http_publish_response(worker->http);
    return true;
}

static bool on_notes(void *ctx, kw_ns now, kw_utc_ms utc)
{
    struct kw_worker *worker = ctx;
    uint64_t stream;

    while (kw_http_next_closed(worker->http, &stream))
        kw_control_stream_closed(worker->gateway, stream);
    for (int i = 0; i < REQUESTS_PER_TURN; i++) {
        if (!handle_request(worker, now, utc))
            return false;
    }
    return true;
}

static void on_signal(void *ctx, int signal, kw_ns now)
{
    struct kw_worker *worker = ctx;
    size_t calls = kw_gateway_call_count(worker->gateway);

    KW_LOG(KW_LOG_INFO, "ending", KW_LOG_TEXT("signal", signal == SIGINT ? "SIGINT" : "SIGTERM"),
           KW_LOG_NUMBER("calls", calls));
    /* the second signal of an impatient operator: no more waiting */
    worker->drain_until = worker->is_draining ? now : now + worker->config->drain;
    worker->is_draining = true;
    kw_gateway_drain(worker->gateway, worker->drain_until);
}

struct kw_loop_handler kw_worker_handler(struct kw_worker *worker)
{
    return (struct kw_loop_handler){
        on_receive, on_transmit, on_deadline, on_tick, on_notes, on_signal, worker,
    };
}

bool kw_worker_admits(void *ctx, const struct kw_address *remote)
{
    return kw_interfaces_owns(&((struct kw_worker *)ctx)->interfaces, remote);
}

static void forward_pushes(struct kw_worker *worker)
{
    kw_ns now = kw_loop_now(worker->loop);

    for (int i = 0; i < PUSHES_PER_TURN; i++) {
        struct kw_push *push = kw_http_claim_push(worker->http);

        if (push == NULL || !kw_control_next_push(worker->gateway, now, push))
            return;
        kw_http_publish_push(worker->http);
    }
}

/* close_notify has left, or has had a second to. */
static bool is_over(const struct kw_worker *worker)
{
    return worker->is_draining && (kw_gateway_call_count(worker->gateway) == 0 ||
                                   kw_loop_now(worker->loop) >= worker->drain_until + KW_S(1));
}

enum kw_status kw_worker_run(struct kw_worker *worker)
{
    enum kw_status status = KW_OK;

    while (status == KW_OK && !is_over(worker)) {
        status = kw_loop_turn(worker->loop, worker->is_draining ? KW_MS(50) : KW_NEVER);
        forward_pushes(worker);
        kw_evidence_flush(worker->evidence);
    }
    return status;
}
