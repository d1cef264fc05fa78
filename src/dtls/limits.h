/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_LIMITS_H
#define KW_DTLS_LIMITS_H

#include <keywheel/crypto.h>

/* Every bound of the DTLS engine, in one place, each with its reason. */
enum {
    /* Largest handshake message reassembled: a chain of three certificates. */
    KW_DTLS_MESSAGE_MAX = 3 * KW_CERT_MAX,
    /* Messages of one flight that may be open at a time: the largest flight has six. */
    KW_DTLS_OPEN_MESSAGES = 7,
    /* Arena of reassembly: the largest message with its map of bytes, and the rest of its flight.
     */
    KW_DTLS_ARENA = 10240,
    /* One outgoing flight: our hello with a hybrid share, our certificate, two signatures. */
    KW_DTLS_FLIGHT_BYTES = 6144,
    KW_DTLS_FLIGHT_MESSAGES = 8,
    /* Pieces of messages whose record we remember, so that an ACK can name it: four times the
     * largest flight at the smallest MTU. An ACK of a forgotten one is ignored. */
    KW_DTLS_SENT_RECORDS = 96,
    /* Records that one of our ACKs names. */
    KW_DTLS_ACK_RECORDS = 32,
    /* A cookie that a foreign server may hand us; ours have KW_DTLS_OWN_COOKIE_MAX bytes. */
    KW_DTLS_COOKIE_MAX = 512,
    /* A HelloRetryRequest with such a cookie, which the transcript needs once more. */
    KW_DTLS_RETRY_MAX = KW_DTLS_COOKIE_MAX + 128,
    /* Events that wait for their owner; data beyond KW_DTLS_DATA_EVENTS is dropped, since the
     * last few places belong to connected, confirmed and closed. */
    KW_DTLS_EVENTS = 12,
    KW_DTLS_DATA_EVENTS = 8,
    /* Room for protected application data that waits for transmit(). */
    KW_DTLS_OUTBOX = 2048,
    /* Expiries of the timer without progress, the last of which ends the handshake: a minute
     * after the first sending. */
    KW_DTLS_EXPIRIES_MAX = 32,
    /* Expiries after which a client doubts the retry that it answered. */
    KW_DTLS_DOUBT_EXPIRIES = 2,
};

/* First timeout without a measured round trip; else the round trip and a half, clamped. */
#define KW_DTLS_TIMEOUT_UNKNOWN KW_MS(200)
#define KW_DTLS_TIMEOUT_FIRST_MIN KW_MS(50)
#define KW_DTLS_TIMEOUT_FIRST_MAX KW_MS(400)
/*
 * Where doubling ends. RFC 9147, section 5.8.2 says that an implementation SHOULD go on to 60 s; it
 * thinks of paths of which nothing is known. Ours are checked by ICE every few seconds, a flight is
 * a handful of datagrams, and a call that has lost three of them must not wait for half a minute.
 */
#define KW_DTLS_TIMEOUT_MAX KW_S(2)
/* A handshake in which the peer says nothing of use ends. */
#define KW_DTLS_GIVE_UP KW_S(120)

/* How long a stranger's hello, or a hello that failed, keeps its place against another one. */
#define KW_DTLS_HELLO_PATIENCE KW_S(1)
/* How long a handshake goes on though somebody said in the clear that it failed: several
 * repetitions of a hello, some of which get lost. */
#define KW_DTLS_DOOM_PATIENCE KW_S(15)
/* The same for a server whose terms refuse a hello that makes sense: a person waits for the answer.
 */
#define KW_DTLS_REFUSAL_PATIENCE KW_S(2)
/* How long a message that is here in part waits for the rest: one pause of a patient sender. */
#define KW_DTLS_PARTIAL_PATIENCE KW_S(60)
/* RFC 9147, section 5.8.1: the last flight stays answerable for twice the segment lifetime. */
#define KW_DTLS_ANSWERABLE KW_S(240)
/* A cookie is for the next hello, which a slow client may repeat: it lives for the period in which
 * it was made and as many more. */
#define KW_DTLS_COOKIE_PERIOD KW_S(30)
#define KW_DTLS_COOKIE_PERIODS 2

#endif
