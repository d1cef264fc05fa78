/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     messages | ServerHello | EncryptedExtensions | ... | Finished |
 *     bytes    |=============|====|======================|====|
 *     acked    |#############|####|####          ########|    |     a bit per byte
 *                                      ^ cursor: the next piece is the gap that begins here
 *
 * A record carries pieces of messages. The ring `sent` remembers which, so that an ACK, which names
 * records, cancels exactly what they carried.
 */
#include "dtls/flight.h"

#include "base/assert.h"

#include <string.h>

void kw_flight_clear(struct kw_flight *flight)
{
    kw_wipe(flight, sizeof *flight);
}

void kw_flight_truncate(struct kw_flight *flight, uint8_t count)
{
    KW_ASSERT(count <= flight->count);
    while (flight->count > count)
        flight->used = flight->messages[--flight->count].at;
    for (size_t i = 0; i < KW_DTLS_SENT_RECORDS; i++) {
        if (flight->sent[i].message >= count)
            flight->sent[i] = (struct kw_sent_record){.number = 0};
    }
    for (size_t at = flight->used; at < KW_DTLS_FLIGHT_BYTES; at++)
        flight->acked[at / 8] &= (uint8_t) ~(1U << (at % 8));
    flight->is_sending = false;
}

struct kw_writer kw_flight_begin(struct kw_flight *flight)
{
    return kw_writer_of(flight->bytes + flight->used, KW_DTLS_FLIGHT_BYTES - (size_t)flight->used);
}

bool kw_flight_end(struct kw_flight *flight, const struct kw_writer *body, uint8_t type,
                   uint16_t seq, uint16_t epoch)
{
    if (body->failed || flight->count == KW_DTLS_FLIGHT_MESSAGES)
        return false;
    flight->messages[flight->count++] = (struct kw_flight_message){
        .type = type,
        .epoch = epoch,
        .seq = seq,
        .at = flight->used,
        .len = (uint16_t)body->len,
    };
    flight->used = (uint16_t)(flight->used + body->len);
    return true;
}

void kw_flight_add_ccs(struct kw_flight *flight)
{
    KW_ASSERT(flight->count < KW_DTLS_FLIGHT_MESSAGES);
    flight->messages[flight->count++] =
        (struct kw_flight_message){.is_ccs = true, .at = flight->used};
}

struct kw_bytes kw_flight_body(const struct kw_flight *flight, size_t message)
{
    const struct kw_flight_message *m = &flight->messages[message];

    return (struct kw_bytes){flight->bytes + m->at, m->len};
}

static bool byte_acked(const struct kw_flight *flight, size_t at)
{
    return flight->acked[at / 8] >> (at % 8) & 1;
}

void kw_flight_send(struct kw_flight *flight)
{
    flight->is_sending = flight->count != 0;
    flight->cursor = 0;
    flight->offset = 0;
}

bool kw_flight_peek(const struct kw_flight *flight, struct kw_flight_piece *ret)
{
    uint8_t message = flight->cursor;
    uint16_t offset = flight->offset;

    if (!flight->is_sending)
        return false;
    for (; message < flight->count; message++, offset = 0) {
        const struct kw_flight_message *m = &flight->messages[message];

        if (m->acked)
            continue;
        while (offset < m->len && byte_acked(flight, (size_t)m->at + offset))
            offset++;
        /* A message without a body is sent while the cursor stands at its beginning. */
        if (offset == m->len && m->len != 0)
            continue;
        uint16_t end = offset;

        while (end < m->len && !byte_acked(flight, (size_t)m->at + end))
            end++;
        *ret = (struct kw_flight_piece){message, offset, (uint16_t)(end - offset)};
        return true;
    }
    return false;
}

void kw_flight_sent(struct kw_flight *flight, const struct kw_flight_piece *piece, uint64_t number)
{
    const struct kw_flight_message *m = &flight->messages[piece->message];

    flight->is_unsent = false;
    if (!m->is_ccs) {
        flight->sent[flight->sent_at] = (struct kw_sent_record){
            .number = number + 1,
            .offset = piece->offset,
            .len = piece->len,
            .message = piece->message,
        };
        flight->sent_at = (uint8_t)((flight->sent_at + 1) % KW_DTLS_SENT_RECORDS);
    }
    flight->cursor = piece->message;
    flight->offset = (uint16_t)(piece->offset + piece->len);
    if (flight->offset == m->len) {
        flight->cursor++;
        flight->offset = 0;
    }
    struct kw_flight_piece next;

    flight->is_sending = kw_flight_peek(flight, &next);
}

static bool message_complete(const struct kw_flight *flight, const struct kw_flight_message *m)
{
    for (size_t i = 0; i < m->len; i++) {
        if (!byte_acked(flight, m->at + i))
            return false;
    }
    return true;
}

bool kw_flight_ack(struct kw_flight *flight, uint64_t number)
{
    bool is_news = false;

    for (size_t i = 0; i < KW_DTLS_SENT_RECORDS; i++) {
        struct kw_sent_record *sent = &flight->sent[i];

        if (sent->number != number + 1)
            continue;
        struct kw_flight_message *m = &flight->messages[sent->message];

        for (size_t k = 0; k < sent->len; k++) {
            size_t at = (size_t)m->at + sent->offset + k;

            is_news |= !byte_acked(flight, at);
            flight->acked[at / 8] |= (uint8_t)(1U << (at % 8));
        }
        if (!m->acked && message_complete(flight, m)) {
            m->acked = true;
            is_news = true;
        }
        *sent = (struct kw_sent_record){.number = 0};
    }
    return is_news;
}

void kw_flight_unack(struct kw_flight *flight, size_t message)
{
    struct kw_flight_message *m = &flight->messages[message];

    m->acked = false;
    for (size_t at = m->at; at < (size_t)m->at + m->len; at++)
        flight->acked[at / 8] &= (uint8_t) ~(1U << (at % 8));
}

bool kw_flight_is_acked(const struct kw_flight *flight)
{
    for (size_t i = 0; i < flight->count; i++) {
        if (!flight->messages[i].acked)
            return false;
    }
    return true;
}
