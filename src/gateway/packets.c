/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet path. A batch is walked in four steps over all its calls: what is it (first byte,
 * 5-tuple), take its protection away, let the back end rewrite it, protect it again for where it
 * goes. Only then come the packets that can change a session: STUN, DTLS, and media during a
 * switch. So handshakes never delay the media that arrived with them, and no context changes while
 * a batch holds it. DTLS beyond the budget of a turn waits in a queue.
 */
#include "gateway/state.h"

#include <string.h>

struct media {
    struct kw_datagram *datagram;
    struct kw_call *call;
    uint32_t generation;
    enum kw_packet_kind kind;
    struct kw_way way;
};

struct batch {
    struct kw_srtp_item items[KW_BATCH];
    struct media media[KW_BATCH];
    size_t count;
    struct kw_datagram *slow[KW_BATCH]; /* everything else, in order */
    struct kw_call *slow_calls[KW_BATCH];
    size_t slow_count;
};

static void count(struct kw_gateway *gateway, enum kw_verdict verdict)
{
    gateway->counters[verdict]++;
}

static bool is_stun(const struct kw_datagram *datagram)
{
    return datagram->len != 0 && datagram->data[0] <= 3;
}

static bool is_dtls(const struct kw_datagram *datagram)
{
    return datagram->len != 0 && datagram->data[0] >= 20 && datagram->data[0] <= 63;
}

/* The outlet towards this connection, under the keys that it has now. */
static bool outlet_for(struct kw_call *call, const struct kw_leg *leg, kw_ns now,
                       struct kw_outlet *ret)
{
    if (kw_session_outlet(call->session, now, ret) && kw_call_leg(call, ret->generation) == leg)
        return true;
    return kw_session_second_outlet(call->session, now, ret) &&
           kw_call_leg(call, ret->generation) == leg;
}

/* One clear packet of a client: to the back end, and if it goes on, where. False: consumed. */
static bool turn_around(struct kw_gateway *gateway, struct media *media, uint8_t *packet,
                        size_t len, kw_ns now)
{
    struct kw_leg *leg = kw_call_leg(media->call, media->generation);

    if (leg == NULL || media->call->state != KW_CALL_LIVE)
        return false;
    if (media->kind == KW_PACKET_RTCP) {
        kw_leg_rtcp(gateway, media->call, leg, packet, len, now);
        kw_gateway_touch(gateway, media->call);
        return false;
    }
    if (media->call->tenant->config->backend != KW_BACKEND_ECHO)
        return kw_relay_rtp(gateway, media->call, leg, packet, len, now, &media->way);
    media->way.to = media->call;
    return outlet_for(media->call, leg, now, &media->way.outlet) &&
           kw_echo_rtp(gateway, leg, packet, len, now);
}

/* A plain packet goes as it is. */
static void send_plain(const struct media *media, size_t len)
{
    media->datagram->path = media->way.path;
    media->datagram->len = len;
}

static void send_batch(struct kw_gateway *gateway, struct batch *batch, size_t item_count,
                       kw_ns now)
{
    kw_srtp_protect_batch(batch->items, item_count);
    for (size_t i = 0; i < item_count; i++) {
        struct media *media = &batch->media[i];

        if (batch->items[i].verdict != KW_ACCEPT) {
            count(gateway, batch->items[i].verdict);
            continue;
        }
        media->datagram->path = media->way.outlet.path;
        media->datagram->len = batch->items[i].len;
        kw_session_sent(media->way.to->session, &media->way.outlet, batch->items[i].len, now);
    }
}

static void run_media(struct kw_gateway *gateway, struct batch *batch, kw_ns now)
{
    size_t out = 0;

    kw_srtp_unprotect_batch(batch->items, batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        struct media *media = &batch->media[i];

        kw_session_commit(media->call->session, media->generation, &media->datagram->path,
                          &batch->items[i], now);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct media media = batch->media[i];
        struct kw_srtp_item item = batch->items[i];

        if (item.verdict != KW_ACCEPT || !turn_around(gateway, &media, item.packet, item.len, now))
            continue;
        if (media.way.to == NULL) {
            send_plain(&media, item.len);
            continue;
        }
        item.srtp = media.way.outlet.srtp;
        item.size = media.datagram->size;
        batch->items[out] = item;
        batch->media[out] = media;
        out++;
    }
    send_batch(gateway, batch, out, now);
}

/* Media that arrived while two generations share a path, one by one. */
static void slow_media(struct kw_gateway *gateway, struct kw_call *call,
                       struct kw_datagram *datagram, const struct kw_received *received, size_t len,
                       kw_ns now)
{
    struct batch batch;

    batch.media[0] = (struct media){
        .datagram = datagram,
        .call = call,
        .generation = received->generation,
        .kind = received->kind,
    };
    batch.items[0] = (struct kw_srtp_item){.packet = datagram->data, .len = len};
    if (!turn_around(gateway, &batch.media[0], datagram->data, len, now))
        return;
    if (batch.media[0].way.to == NULL) {
        send_plain(&batch.media[0], len);
        return;
    }
    batch.items[0].srtp = batch.media[0].way.outlet.srtp;
    batch.items[0].size = datagram->size;
    send_batch(gateway, &batch, 1, now);
}

/* Plain RTP of a back end: to its call's client. */
static void receive_plain(struct kw_gateway *gateway, struct kw_call *call,
                          struct kw_datagram *datagram, kw_ns now)
{
    struct batch batch;
    size_t len = datagram->len;

    datagram->len = 0;
    batch.media[0] = (struct media){.datagram = datagram, .call = call};
    if (call->state != KW_CALL_LIVE ||
        !kw_relay_plain(gateway, call, datagram->data, len, now, &batch.media[0].way))
        return;
    batch.items[0] = (struct kw_srtp_item){
        .srtp = batch.media[0].way.outlet.srtp,
        .packet = datagram->data,
        .len = len,
        .size = datagram->size,
    };
    send_batch(gateway, &batch, 1, now);
}

/* One datagram through the session; datagram->len is what is to be sent afterwards. */
static void receive_one(struct kw_gateway *gateway, struct kw_call *call,
                        struct kw_datagram *datagram, kw_ns now)
{
    struct kw_received received;
    size_t len = datagram->len;
    bool was_stun = is_stun(datagram);
    struct kw_path path = datagram->path;

    datagram->len = 0;
    if (call->state != KW_CALL_LIVE) {
        count(gateway, KW_DROP_UNEXPECTED);
        return;
    }
    /* Nothing that the network brings ends a session here: it says so by an event. */
    kw_status_ignore(
        kw_session_receive(call->session, &path, datagram->data, &len, now, &received));
    if (was_stun && received.verdict == KW_ACCEPT)
        kw_call_route(gateway, call, &path, false, now);
    kw_call_pump(gateway, call, now);
    kw_gateway_touch(gateway, call);
    if (received.kind != KW_PACKET_NONE && call->state == KW_CALL_LIVE)
        slow_media(gateway, call, datagram, &received, len, now);
}

static void wait_in_queue(struct kw_gateway *gateway, const struct kw_call *call,
                          const struct kw_datagram *datagram)
{
    struct kw_waiting *slot;

    if (gateway->waiting_count == KW_HANDSHAKE_QUEUE || datagram->len > sizeof slot->data) {
        count(gateway, KW_DROP_LIMIT); /* the peer's timer sends it again */
        return;
    }
    slot =
        &gateway->waiting[(gateway->waiting_first + gateway->waiting_count) % KW_HANDSHAKE_QUEUE];
    slot->path = datagram->path;
    slot->call = call->number;
    slot->len = datagram->len;
    memcpy(slot->data, datagram->data, datagram->len);
    gateway->waiting_count++;
}

void kw_gateway_run_queue(struct kw_gateway *gateway, kw_ns now)
{
    while (gateway->waiting_count > 0 && gateway->budget > 0) {
        struct kw_waiting *slot = &gateway->waiting[gateway->waiting_first];
        struct kw_datagram datagram = {
            .path = slot->path,
            .data = slot->data,
            .len = slot->len,
            .size = sizeof slot->data,
        };

        gateway->waiting_first = (gateway->waiting_first + 1) % KW_HANDSHAKE_QUEUE;
        gateway->waiting_count--;
        gateway->budget--;
        gateway->handshake_steps++;
        receive_one(gateway, &gateway->calls[slot->call], &datagram, now);
    }
}

static bool is_plain(const struct kw_call *call, const struct kw_datagram *datagram)
{
    return call->relay.has_target && kw_path_equal(&call->relay.target, &datagram->path);
}

static void receive_slow(struct kw_gateway *gateway, struct kw_call *call,
                         struct kw_datagram *datagram, kw_ns now)
{
    if (is_plain(call, datagram)) {
        receive_plain(gateway, call, datagram, now);
        return;
    }
    if (!is_dtls(datagram)) {
        receive_one(gateway, call, datagram, now);
        return;
    }
    if (gateway->budget == 0 || gateway->waiting_count != 0) {
        wait_in_queue(gateway, call, datagram);
        datagram->len = 0;
        return;
    }
    gateway->budget--;
    gateway->handshake_steps++;
    receive_one(gateway, call, datagram, now);
}

static void sort_in(struct kw_gateway *gateway, struct batch *batch, struct kw_datagram *datagram)
{
    struct kw_call *call = kw_call_of(gateway, datagram);
    struct media *media = &batch->media[batch->count];

    if (call == NULL) {
        count(gateway, KW_DROP_FOREIGN);
        datagram->len = 0;
        return;
    }
    if (call->state == KW_CALL_LIVE) {
        media->kind =
            kw_session_classify(call->session, &datagram->path, datagram->data, datagram->len,
                                &batch->items[batch->count], &media->generation);
        if (media->kind != KW_PACKET_NONE) {
            media->datagram = datagram;
            media->call = call;
            media->way = (struct kw_way){.to = NULL};
            batch->count++;
            return;
        }
    }
    batch->slow[batch->slow_count] = datagram;
    batch->slow_calls[batch->slow_count++] = call;
}

static void receive_chunk(struct kw_gateway *gateway, struct kw_datagram *items, size_t item_count,
                          kw_ns now)
{
    struct batch batch;
    size_t media_count;
    struct kw_call *touched[KW_BATCH];

    batch.count = 0;
    batch.slow_count = 0;
    for (size_t i = 0; i < item_count; i++)
        sort_in(gateway, &batch, &items[i]);

    media_count = batch.count;
    for (size_t i = 0; i < media_count; i++) {
        touched[i] = batch.media[i].call;
        batch.media[i].datagram->len = 0; /* unless it goes back */
    }
    run_media(gateway, &batch, now);
    for (size_t i = 0; i < media_count; i++) {
        /* Use of a key can make a rotation due, or end the session. */
        if (touched[i]->state == KW_CALL_LIVE && kw_session_has_event(touched[i]->session)) {
            kw_call_pump(gateway, touched[i], now);
            kw_gateway_touch(gateway, touched[i]);
        }
    }
    for (size_t i = 0; i < batch.slow_count; i++)
        receive_slow(gateway, batch.slow_calls[i], batch.slow[i], now);
}

/*
 * What a turn may spend on handshakes. A full batch means that more waits at the socket, media
 * among it: then the socket is emptied first, and a handshake gets a step every 5 ms so that a
 * flood cannot starve it.
 */
static size_t budget_of(const struct kw_gateway *gateway, size_t item_count, kw_ns now)
{
    if (item_count < KW_BATCH)
        return KW_HANDSHAKE_BUDGET;
    return now >= gateway->handshake_at + KW_HANDSHAKE_PATIENCE ? 1 : 0;
}

void kw_gateway_receive(struct kw_gateway *gateway, struct kw_datagram *items, size_t item_count,
                        kw_ns now)
{
    size_t budget;

    KW_ASSERT(now >= gateway->now);
    gateway->now = now;
    budget = budget_of(gateway, item_count, now);
    gateway->budget = budget;
    gateway->has_received = true;
    kw_gateway_run_queue(gateway, now);
    for (size_t i = 0; i < item_count; i += KW_BATCH)
        receive_chunk(gateway, items + i, KW_MIN((size_t)KW_BATCH, item_count - i), now);
    if (gateway->budget != budget)
        gateway->handshake_at = now;
}

/* --- sending ---------------------------------------------------------------------------------- */

void kw_gateway_send_copy(struct kw_gateway *gateway, struct kw_call *to,
                          const struct kw_outlet *outlet, const uint8_t *packet, size_t len,
                          kw_ns now)
{
    struct kw_outgoing *slot =
        &gateway->outgoing[(gateway->outgoing_first + gateway->outgoing_count) % KW_OUTGOING];

    if (gateway->outgoing_count == KW_OUTGOING || len + KW_SRTP_TAIL > sizeof slot->data) {
        count(gateway, KW_DROP_LIMIT);
        return;
    }
    memcpy(slot->data, packet, len);
    slot->len = len;
    slot->path = outlet->path;
    if (kw_srtp_protect(outlet->srtp, slot->data, &slot->len, sizeof slot->data) != KW_ACCEPT) {
        count(gateway, KW_DROP_INTERNAL);
        return;
    }
    /*
     * Not kw_session_sent(): it may end the session, and a batch still holds its contexts. The
     * keys count for themselves; the next turn looks.
     */
    (void)now;
    kw_gateway_touch(gateway, to);
    gateway->outgoing_count++;
}

static void transmit_copy(struct kw_gateway *gateway, struct kw_datagram *item)
{
    const struct kw_outgoing *slot = &gateway->outgoing[gateway->outgoing_first];

    gateway->outgoing_first = (gateway->outgoing_first + 1) % KW_OUTGOING;
    gateway->outgoing_count--;
    item->len = 0;
    if (slot->len > item->size) {
        count(gateway, KW_DROP_LIMIT);
        return;
    }
    memcpy(item->data, slot->data, slot->len);
    item->path = slot->path;
    item->len = slot->len;
}

static bool transmit_report(struct kw_gateway *gateway, struct kw_call *call,
                            struct kw_datagram *item, kw_ns now)
{
    item->len = kw_relay_plain_report(call, item->data, item->size, now);
    if (item->len != 0) {
        item->path = call->relay.target;
        return true;
    }
    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        struct kw_leg *leg = &call->legs[i];
        struct kw_outlet outlet;
        size_t len;

        if (leg->tag == 0)
            continue;
        if (!outlet_for(call, leg, now, &outlet)) {
            if (leg->report_at <= now)
                leg->report_at = now + KW_REPORT_EVERY; /* nowhere to send it */
            continue;
        }
        len = kw_leg_report(gateway, call, leg, item->data, item->size - KW_SRTP_TAIL, now);
        if (len == 0)
            continue;
        if (kw_srtcp_protect(outlet.srtp, item->data, &len, item->size) != KW_ACCEPT) {
            count(gateway, KW_DROP_INTERNAL);
            continue;
        }
        item->path = outlet.path;
        item->len = len;
        kw_session_sent(call->session, &outlet, len, now);
        return true;
    }
    return false;
}

/* The next datagram of this call; false: it has none, and when it is ending it is over. */
static bool transmit_call(struct kw_gateway *gateway, struct kw_call *call,
                          struct kw_datagram *item, kw_ns now)
{
    size_t room = KW_MIN(item->size, (size_t)KW_DATAGRAM_SEND_MAX);
    size_t len;

    if (call->state == KW_CALL_FREE)
        return false;
    len = kw_session_transmit(call->session, item->data, room, &item->path, now);
    if (len != 0) {
        kw_call_note_check(gateway, call, item->data, len);
        item->len = len;
        return true;
    }
    if (call->state == KW_CALL_LIVE)
        return transmit_report(gateway, call, item, now);
    return false;
}

size_t kw_gateway_transmit(struct kw_gateway *gateway, struct kw_datagram *items, size_t item_count,
                           kw_ns now)
{
    size_t filled = 0;

    KW_ASSERT(now >= gateway->now);
    gateway->now = now;
    while (filled < item_count && gateway->outgoing_count != 0) {
        transmit_copy(gateway, &items[filled]);
        filled += items[filled].len != 0;
    }
    while (filled < item_count && gateway->dirty_first != KW_NO_CALL) {
        struct kw_call *call = &gateway->calls[gateway->dirty_first];

        if (transmit_call(gateway, call, &items[filled], now)) {
            filled++;
            continue;
        }
        gateway->dirty_first = call->next_dirty;
        if (gateway->dirty_first == KW_NO_CALL)
            gateway->dirty_last = KW_NO_CALL;
        call->is_dirty = false;
        if (call->state == KW_CALL_ENDING)
            kw_call_free(gateway, call, now);
        else if (call->state == KW_CALL_LIVE)
            kw_call_pump(gateway, call, now);
    }
    return filled;
}
