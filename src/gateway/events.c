/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event streams. A call keeps its last events in a ring; a listener remembers which one it says
 * next, so a slow reader costs nothing and misses only what is older than the ring. When the call
 * is freed each listener keeps the last event for itself.
 *
 * Every call has a place for one listener, because whoever hears nothing changes no keys; what is
 * left over they share, so that the second listeners of one tenant take nobody's first.
 */
#include "gateway/state.h"

#include <string.h>

void kw_call_tell(struct kw_gateway *gateway, struct kw_call *call,
                  const struct kw_session_event *event, kw_ns now)
{
    struct kw_call_event *slot = &call->events[call->event_count % KW_CALL_EVENTS];

    *slot = (struct kw_call_event){
        .number = call->event_count + 1,
        .utc = kw_gateway_utc(gateway, now),
        .method = kw_session_method(call->session),
        .what = *event,
    };
    call->event_count++;
    if (call->listeners != 0)
        gateway->listener_work = gateway->listeners_max;
}

uint64_t kw_call_listen(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    size_t left_over = gateway->listeners_max - gateway->calls_max;

    if (call->listeners >= KW_STREAMS_PER_CALL ||
        (call->listeners != 0 && gateway->listener_extra >= left_over))
        return 0;
    for (size_t i = 0; i < gateway->listeners_max; i++) {
        struct kw_listener *listener = &gateway->listeners[i];

        if (listener->id != 0)
            continue;
        *listener = (struct kw_listener){
            .id = ++gateway->listener_id,
            .call = call->number,
            .next = call->event_count + 1,
            .said = now,
            .is_new = true,
        };
        gateway->listener_extra += call->listeners != 0;
        call->listeners++;
        gateway->listener_count++;
        gateway->listener_work = gateway->listeners_max;
        return listener->id;
    }
    return 0;
}

static void leave_call(struct kw_gateway *gateway, struct kw_call *call)
{
    call->listeners--;
    gateway->listener_extra -= call->listeners != 0;
}

static void drop_listener(struct kw_gateway *gateway, struct kw_listener *listener)
{
    if (!listener->is_ending)
        leave_call(gateway, &gateway->calls[listener->call]);
    *listener = (struct kw_listener){0};
    gateway->listener_count--;
}

void kw_call_unlisten(struct kw_gateway *gateway, uint64_t stream)
{
    for (size_t i = 0; stream != 0 && i < gateway->listeners_max; i++) {
        if (gateway->listeners[i].id == stream)
            drop_listener(gateway, &gateway->listeners[i]);
    }
}

void kw_call_dismiss(struct kw_gateway *gateway, struct kw_call *call)
{
    for (size_t i = 0; call->listeners != 0 && i < gateway->listeners_max; i++) {
        struct kw_listener *listener = &gateway->listeners[i];

        if (listener->id == 0 || listener->is_ending || listener->call != call->number)
            continue;
        listener->is_ending = true;
        if (call->event_count != 0 && listener->next <= call->event_count) {
            listener->last = call->events[(call->event_count - 1) % KW_CALL_EVENTS];
            listener->has_last = true;
        }
        leave_call(gateway, call);
        gateway->listener_work = gateway->listeners_max;
    }
}

/* False: this listener has nothing to say now. */
static bool say(struct kw_gateway *gateway, struct kw_listener *listener, kw_ns now,
                struct kw_call_event *ret, struct kw_call **call_ret)
{
    struct kw_call *call = &gateway->calls[listener->call];

    *call_ret = NULL;
    if (listener->is_ending) {
        *ret = listener->has_last ? listener->last : (struct kw_call_event){.is_alive = true};
        return true;
    }
    *call_ret = call;
    if (listener->is_new) {
        listener->is_new = false;
        *ret = (struct kw_call_event){.is_first = true, .utc = kw_gateway_utc(gateway, now)};
        return true;
    }
    if (listener->next <= call->event_count) {
        uint64_t oldest =
            call->event_count > KW_CALL_EVENTS ? call->event_count - KW_CALL_EVENTS + 1 : 1;

        listener->next = KW_MAX(listener->next, oldest);
        *ret = call->events[(listener->next - 1) % KW_CALL_EVENTS];
        listener->next++;
        return true;
    }
    if (listener->is_silent) {
        *ret = (struct kw_call_event){.is_alive = true, .utc = kw_gateway_utc(gateway, now)};
        return true;
    }
    return false;
}

bool kw_call_next_event(struct kw_gateway *gateway, kw_ns now, uint64_t *stream_ret,
                        struct kw_call_event *ret, struct kw_call **call_ret, bool *end_ret)
{
    if (gateway->listener_count == 0)
        return false;
    for (; gateway->listener_work > 0; gateway->listener_work--) {
        struct kw_listener *listener = &gateway->listeners[gateway->listener_at];

        if (listener->id != 0 && say(gateway, listener, now, ret, call_ret)) {
            listener->said = now;
            listener->is_silent = false;
            *stream_ret = listener->id;
            *end_ret = listener->is_ending;
            if (listener->is_ending)
                drop_listener(gateway, listener);
            return true;
        }
        gateway->listener_at = (gateway->listener_at + 1) % gateway->listeners_max;
    }
    return false;
}

kw_ns kw_events_deadline(const struct kw_gateway *gateway)
{
    kw_ns deadline = KW_NEVER;
    size_t left = gateway->listener_count;

    for (size_t i = 0; left > 0 && i < gateway->listeners_max; i++) {
        if (gateway->listeners[i].id == 0)
            continue;
        left--;
        deadline = KW_MIN(deadline, gateway->listeners[i].said + KW_STREAM_ALIVE);
    }
    return deadline;
}

void kw_events_tick(struct kw_gateway *gateway, kw_ns now)
{
    if (now < kw_events_deadline(gateway))
        return;
    for (size_t i = 0; i < gateway->listeners_max; i++) {
        struct kw_listener *listener = &gateway->listeners[i];

        if (listener->id == 0 || now < listener->said + KW_STREAM_ALIVE)
            continue;
        listener->is_silent = true;
        listener->said = now;
    }
    gateway->listener_work = gateway->listeners_max;
}
