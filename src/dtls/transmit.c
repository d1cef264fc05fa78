/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves, in this order: the last record of an association that has ended; else, in one
 * datagram, an ACK and as much of the flight as fits; else the oldest record of the outbox.
 */
#include "dtls/engine.h"

#include "base/assert.h"

#include <string.h>

enum {
    OUTBOX_LEN = 2, /* before each record in the outbox */
    FIRST_HELLO_VERSION = 0xfeff,
};

bool kw_outbox_open(struct kw_dtls *dtls, size_t size, struct kw_writer *ret)
{
    if (dtls->outbox == NULL)
        dtls->outbox = kw_pool_take(&dtls->shared->buffers->outboxes);
    if (dtls->outbox == NULL || KW_DTLS_OUTBOX - dtls->outbox->used < OUTBOX_LEN + size)
        return false;
    *ret = kw_writer_of(dtls->outbox->bytes + dtls->outbox->used + OUTBOX_LEN, size);
    return true;
}

void kw_outbox_close(struct kw_dtls *dtls, const struct kw_writer *record)
{
    struct kw_outbox *outbox = dtls->outbox;

    KW_ASSERT(!record->failed);
    outbox->bytes[outbox->used] = (uint8_t)(record->len >> 8);
    outbox->bytes[outbox->used + 1] = (uint8_t)record->len;
    outbox->used += OUTBOX_LEN + record->len;
}

static size_t take_from_outbox(struct kw_dtls *dtls, uint8_t *dst, size_t dst_size)
{
    struct kw_outbox *outbox = dtls->outbox;
    size_t len = 0;

    if (outbox == NULL)
        return 0;
    if (outbox->first < outbox->used) {
        const uint8_t *at = outbox->bytes + outbox->first;

        len = (size_t)(at[0] << 8 | at[1]);
        KW_ASSERT(len <= dst_size);
        memcpy(dst, at + OUTBOX_LEN, len);
        outbox->first += OUTBOX_LEN + len;
    }
    if (outbox->first == outbox->used) {
        kw_pool_give(&dtls->shared->buffers->outboxes, outbox);
        dtls->outbox = NULL;
    }
    return len;
}

static enum kw_status write_ack(struct kw_dtls *dtls, struct kw_writer *out)
{
    struct kw_record_keys *keys = kw_dtls_newest_write_keys(dtls);
    struct kw_bytes cid = kw_dtls_cid_out(dtls);
    uint8_t body[2 + 16 * KW_DTLS_ACK_RECORDS];
    struct kw_writer ack = kw_writer_of(body, sizeof body);
    size_t room, count;

    if (!dtls->ack_now)
        return KW_OK;
    dtls->ack_now = dtls->ack_wanted = false;
    dtls->ack_at = KW_NEVER;
    if (dtls->version != KW_DTLS_1_3 || dtls->acks.count == 0)
        return KW_OK;
    room = kw_writer_left(out) - kw_record_overhead(keys, cid.len);
    count = KW_MIN(dtls->acks.count, (room - kw_ack_size(0)) / (kw_ack_size(1) - kw_ack_size(0)));
    kw_ack_write(&dtls->acks, count, &ack);
    kw_dtls_note(dtls, true, KW_DTLS_HOOK_ACK, 0, 0);
    /* In the clear only between a retry and the hello that answers it. */
    if (keys == NULL) {
        kw_record_write_plain(KW_CONTENT_ACK, KW_DTLS_1_2, dtls->plain_seq++,
                              (struct kw_bytes){NULL, 0}, kw_writer_view(&ack), out);
        return KW_OK;
    }
    return kw_record_protect(keys, cid, KW_CONTENT_ACK, (struct kw_bytes){NULL, 0},
                             kw_writer_view(&ack), out, NULL);
}

static void write_fragment(const struct kw_flight *flight, const struct kw_flight_piece *piece,
                           struct kw_writer *out)
{
    const struct kw_flight_message *message = &flight->messages[piece->message];

    kw_write_u8(out, message->type);
    kw_write_u24(out, message->len);
    kw_write_u16(out, message->seq);
    kw_write_u24(out, piece->offset);
    kw_write_u24(out, piece->len);
    kw_write_bytes(out, (struct kw_bytes){flight->bytes + message->at + piece->offset, piece->len});
}

/*
 * Fills one record with pieces of one epoch, at most room bytes, and cuts the last one to fit.
 * Several messages share a record when it is protected; in the clear each has its own.
 */
static void collect_pieces(struct kw_flight *flight, uint64_t number, uint16_t epoch,
                           struct kw_writer *content)
{
    struct kw_flight_piece piece;

    while (kw_flight_peek(flight, &piece)) {
        const struct kw_flight_message *message = &flight->messages[piece.message];
        size_t left = kw_writer_left(content);

        if (message->epoch != epoch || message->is_ccs ||
            left < KW_FRAGMENT_HEADER + KW_MIN(piece.len, 1U))
            break;
        piece.len = (uint16_t)KW_MIN(piece.len, left - KW_FRAGMENT_HEADER);
        write_fragment(flight, &piece, content);
        kw_flight_sent(flight, &piece, number);
        if (epoch == KW_EPOCH_PLAIN)
            break;
    }
}

static enum kw_status write_record(struct kw_dtls *dtls, const struct kw_flight_piece *piece,
                                   struct kw_record_keys *keys, size_t room, struct kw_writer *out)
{
    static const uint8_t ccs = 1;
    const struct kw_bytes none = {NULL, 0};
    struct kw_flight *flight = &dtls->hs->out;
    const struct kw_flight_message *message = &flight->messages[piece->message];
    uint64_t seq = keys == NULL ? dtls->plain_seq : keys->seq;
    uint8_t body[KW_DTLS_DATAGRAM_MAX];
    struct kw_writer content = kw_writer_of(body, room);
    enum kw_content type = KW_CONTENT_HANDSHAKE;
    uint16_t version;

    if (message->is_ccs) {
        type = KW_CONTENT_CCS;
        kw_dtls_note(dtls, true, KW_DTLS_HOOK_CHANGE_CIPHER_SPEC, 0, 0);
        kw_write_u8(&content, ccs);
        kw_flight_sent(flight, piece, 0);
    } else {
        collect_pieces(flight, kw_record_number(message->epoch, seq), message->epoch, &content);
    }
    if (keys != NULL)
        return kw_record_protect(keys, kw_dtls_cid_out(dtls), type, none, kw_writer_view(&content),
                                 out, NULL);
    /* RFC 9147, section 5.3: the first hello "MAY also be {254, 255} for compatibility". */
    version = dtls->role == KW_DTLS_CLIENT && dtls->version == KW_DTLS_NONE ? FIRST_HELLO_VERSION
                                                                            : KW_DTLS_1_2;
    kw_record_write_plain(type, version, dtls->plain_seq++, none, kw_writer_view(&content), out);
    return KW_OK;
}

/* Datagrams are filled to the last byte: the fewer there are, the fewer get lost. */
static enum kw_status write_flight(struct kw_dtls *dtls, struct kw_writer *out)
{
    struct kw_flight *flight = &dtls->hs->out;
    struct kw_flight_piece piece;

    while (kw_flight_peek(flight, &piece)) {
        const struct kw_flight_message *message = &flight->messages[piece.message];
        struct kw_record_keys *keys = kw_dtls_write_keys(dtls, message->epoch);
        size_t overhead = kw_record_overhead(keys, kw_dtls_cid_out(dtls).len);
        size_t least = message->is_ccs ? 1 : KW_FRAGMENT_HEADER + KW_MIN(piece.len, 1U);
        enum kw_status status;

        KW_ASSERT(keys != NULL || message->epoch == KW_EPOCH_PLAIN);
        if (kw_writer_left(out) < overhead + least)
            break;
        status = write_record(dtls, &piece, keys, kw_writer_left(out) - overhead, out);
        if (status != KW_OK)
            return status;
    }
    if (!flight->is_sending) {
        dtls->flight_sent_at = dtls->now;
        if (dtls->retransmit_at != KW_NEVER)
            kw_dtls_arm_retransmit(dtls);
    }
    return KW_OK;
}

size_t kw_dtls_transmit(struct kw_dtls *dtls, uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_writer out = kw_writer_of(dst, KW_MIN(dst_size, dtls->mtu));
    enum kw_status status = KW_OK;
    size_t len;

    KW_ASSERT(dst_size >= dtls->mtu);
    KW_ASSERT(now >= dtls->now);
    dtls->now = now;
    if (dtls->state != KW_STATE_CLOSED) {
        status = write_ack(dtls, &out);
        if (status == KW_OK && dtls->hs != NULL && dtls->hs->out.is_sending)
            status = write_flight(dtls, &out);
        if (status != KW_OK) {
            kw_status_ignore(kw_dtls_fail_internal(dtls, status)); /* CLOSED tells it */
            out.len = 0;
        }
    }
    len = out.len;
    if (len == 0)
        len = take_from_outbox(dtls, dst, dst_size);
    if (len == 0 && dtls->alert_len != 0) {
        memcpy(dst, dtls->alert, dtls->alert_len);
        len = dtls->alert_len;
        dtls->alert_len = 0;
    }
    if (len != 0)
        dtls->facts.datagrams_sent++;
    return len;
}
