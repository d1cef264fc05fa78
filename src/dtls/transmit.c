/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves, in this order: the last record of an association that has ended; else, in one
 * datagram, an ACK and as much of the flight as fits; else the oldest record of the outbox.
 */
#include "dtls/engine.h"

#include "base/assert.h"

#include <string.h>

enum { OUTBOX_LEN = 2 }; /* before each record in the outbox */

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
    dtls->ack_now = false;
    dtls->ack_at = KW_NEVER;
    /* An ACK is a thing of 1.3, and is never sent in the clear. */
    if (dtls->version != KW_DTLS_1_3 || keys == NULL || dtls->acks.count == 0)
        return KW_OK;
    room = kw_writer_left(out) - kw_record_overhead(keys, cid.len);
    count = KW_MIN(dtls->acks.count, (room - kw_ack_size(0)) / (kw_ack_size(1) - kw_ack_size(0)));
    kw_ack_write(&dtls->acks, count, &ack);
    return kw_record_protect(keys, cid, KW_CONTENT_ACK, (struct kw_bytes){NULL, 0},
                             kw_writer_view(&ack), out, NULL);
}

static struct kw_bytes write_fragment_header(const struct kw_flight_message *message,
                                             const struct kw_flight_piece *piece,
                                             uint8_t header[KW_FRAGMENT_HEADER])
{
    struct kw_writer out = kw_writer_of(header, KW_FRAGMENT_HEADER);

    kw_write_u8(&out, message->type);
    kw_write_u24(&out, message->len);
    kw_write_u16(&out, message->seq);
    kw_write_u24(&out, piece->offset);
    kw_write_u24(&out, piece->len);
    return kw_writer_view(&out);
}

/* Writes one piece in a record of its own. */
static enum kw_status write_piece(struct kw_dtls *dtls, const struct kw_flight_message *message,
                                  const struct kw_flight_piece *piece, struct kw_writer *out,
                                  uint64_t *number)
{
    static const uint8_t ccs = 1;
    struct kw_record_keys *keys = kw_dtls_write_keys(dtls, message->epoch);
    enum kw_content type = message->is_ccs ? KW_CONTENT_CCS : KW_CONTENT_HANDSHAKE;
    uint8_t header[KW_FRAGMENT_HEADER];
    struct kw_bytes head = {NULL, 0}, body = {&ccs, 1};
    uint64_t seq = dtls->plain_seq;
    enum kw_status status;

    if (!message->is_ccs) {
        head = write_fragment_header(message, piece, header);
        body = (struct kw_bytes){dtls->hs->out.bytes + message->at + piece->offset, piece->len};
    }
    if (message->epoch == KW_EPOCH_PLAIN) {
        kw_record_write_plain(type, KW_DTLS_1_2, dtls->plain_seq++, head, body, out);
    } else {
        KW_ASSERT(keys != NULL);
        status = kw_record_protect(keys, kw_dtls_cid_out(dtls), type, head, body, out, &seq);
        if (status != KW_OK)
            return status;
    }
    *number = kw_record_number(message->epoch, seq);
    return KW_OK;
}

static enum kw_status write_flight(struct kw_dtls *dtls, struct kw_writer *out)
{
    struct kw_flight *flight = &dtls->hs->out;
    struct kw_flight_piece piece;
    uint64_t number;
    enum kw_status status;

    while (kw_flight_peek(flight, &piece)) {
        const struct kw_flight_message *message = &flight->messages[piece.message];
        size_t overhead = kw_record_overhead(kw_dtls_write_keys(dtls, message->epoch),
                                             kw_dtls_cid_out(dtls).len) +
                          (message->is_ccs ? 1 : KW_FRAGMENT_HEADER);
        size_t left = kw_writer_left(out);

        if (left < overhead + KW_MIN(piece.len, KW_DTLS_FRAGMENT_MIN))
            break;
        piece.len = (uint16_t)KW_MIN(piece.len, left - overhead);
        status = write_piece(dtls, message, &piece, out, &number);
        if (status != KW_OK)
            return status;
        kw_flight_sent(flight, &piece, number);
    }
    if (!flight->is_sending) {
        dtls->flight_sent_at = dtls->now;
        if (dtls->retransmit_at != KW_NEVER)
            dtls->retransmit_at = dtls->now + dtls->timeout;
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
