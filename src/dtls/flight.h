/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_FLIGHT_H
#define KW_DTLS_FLIGHT_H

#include <keywheel/dtls.h>

#include "base/writer.h"
#include "dtls/limits.h"

/*
 * The outgoing flight: messages kept for retransmission, cut into fragments as the MTU allows, and
 * what the peer has acknowledged of them (RFC 9147, section 7).
 */

struct kw_flight_message {
    uint8_t type;
    bool is_ccs; /* 1.2: a ChangeCipherSpec record stands at this place */
    bool acked;
    uint16_t epoch; /* of the keys that protect it */
    uint16_t seq;
    uint16_t at; /* in bytes: the body */
    uint16_t len;
};

/* A piece that we sent, and in which record; a record may carry several. */
struct kw_sent_record {
    uint64_t number; /* kw_record_number() + 1; 0: unused */
    uint16_t offset;
    uint16_t len;
    uint8_t message;
};

struct kw_flight {
    struct kw_flight_message messages[KW_DTLS_FLIGHT_MESSAGES];
    uint8_t count;
    bool is_unsent;  /* nothing of it has left yet */
    bool is_sending; /* transmit() has more to write */
    uint8_t cursor;  /* message, and offset in it, where transmit() goes on */
    uint16_t offset;
    uint16_t used; /* of bytes */
    uint8_t sent_at;
    struct kw_sent_record sent[KW_DTLS_SENT_RECORDS];
    uint8_t bytes[KW_DTLS_FLIGHT_BYTES];
    uint8_t acked[KW_DTLS_FLIGHT_BYTES / 8]; /* a bit per byte */
};

/* Forgets everything. */
void kw_flight_clear(struct kw_flight *flight);

/* Forgets all messages but the first count. */
void kw_flight_truncate(struct kw_flight *flight, uint8_t count);

/* A writer for the body of the next message; kw_flight_end() closes it. */
struct kw_writer kw_flight_begin(struct kw_flight *flight);
/* Keeps the message. False: it did not fit. */
KW_MUST_USE bool kw_flight_end(struct kw_flight *flight, const struct kw_writer *body, uint8_t type,
                               uint16_t seq, uint16_t epoch);
void kw_flight_add_ccs(struct kw_flight *flight);
struct kw_bytes kw_flight_body(const struct kw_flight *flight, size_t message);

/* Starts sending, from the first byte that is not acknowledged. */
void kw_flight_send(struct kw_flight *flight);

/* The next piece to send: not acknowledged, at most room bytes of body. False: all is sent. */
struct kw_flight_piece {
    uint8_t message;
    uint16_t offset;
    uint16_t len;
};
KW_MUST_USE bool kw_flight_peek(const struct kw_flight *flight, struct kw_flight_piece *ret);
/* It went out (as much of it as piece says) in the record of that number. */
void kw_flight_sent(struct kw_flight *flight, const struct kw_flight_piece *piece, uint64_t number);

/* An ACK names a record. True when that was news. */
bool kw_flight_ack(struct kw_flight *flight, uint64_t number);
/* Takes an acknowledgement of a message back, so that it is sent again. */
void kw_flight_unack(struct kw_flight *flight, size_t message);
/* True when nothing waits for an acknowledgement any more. */
KW_MUST_USE bool kw_flight_is_acked(const struct kw_flight *flight);

#endif
