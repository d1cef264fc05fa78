/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_HOOKS_H
#define KW_DTLS_HOOKS_H

/*
 * What a foreign conformance suite needs to turn and no product may (tests/bogo). Not installed,
 * not exported from the shared library, and called between kw_dtls_init() and kw_dtls_deinit() by
 * tests alone.
 */

#include <keywheel/dtls.h>

enum kw_dtls_hook_kind {
    KW_DTLS_HOOK_HANDSHAKE = 0,      /* first: the message type */
    KW_DTLS_HOOK_CHANGE_CIPHER_SPEC, /* 1.2 */
    KW_DTLS_HOOK_ALERT,              /* first: level, second: description */
    KW_DTLS_HOOK_ACK,
};

/* Every complete message as it is first sent or taken in order; retransmissions are not told. */
typedef void (*kw_dtls_hook_message)(void *ctx, bool is_write, enum kw_dtls_hook_kind kind,
                                     uint8_t first, uint8_t second);

/*
 * The peer's certificate has arrived and is about to be compared. True: *ret replaces the
 * signalled fingerprints; the comparison itself always follows.
 */
typedef bool (*kw_dtls_hook_fingerprint)(void *ctx, struct kw_bytes certificate,
                                         struct kw_fingerprint *ret);

struct kw_dtls_hooks {
    kw_dtls_hook_message message;
    void *message_ctx;
    kw_dtls_hook_fingerprint fingerprint;
    void *fingerprint_ctx;
    bool takes_tickets;
};

void kw_dtls_hook_messages(struct kw_dtls *dtls, kw_dtls_hook_message hook, void *ctx);
void kw_dtls_hook_certificate(struct kw_dtls *dtls, kw_dtls_hook_fingerprint hook, void *ctx);

/* From the next datagram on. Refragments what is sent again. */
void kw_dtls_hook_mtu(struct kw_dtls *dtls, size_t mtu);

/*
 * The first timeout of the schedule, which doubles up to 60 s, and how many expiries in a row end
 * the association. A running timer is rescaled from the moment it was armed, and may then be due.
 */
void kw_dtls_hook_timeout(struct kw_dtls *dtls, kw_ns first, unsigned expiries, kw_ns now);

/*
 * When the next retransmission or ACK is due: the suite knows no other timer. The engine's bounds
 * on a handshake that makes no progress are lifted, since the suite's clock leaps by minutes.
 */
kw_ns kw_dtls_hook_deadline(struct kw_dtls *dtls);

/* When a handshake that something in the clear has doomed goes on with it; KW_NEVER: it has not. */
kw_ns kw_dtls_hook_doom(const struct kw_dtls *dtls);

/* A server asks for no client certificate. The suite's client has none unless that is tested. */
void kw_dtls_hook_no_client_certificate(struct kw_dtls *dtls);

/*
 * A client says that it could use tickets (psk_key_exchange_modes), so that the suite's server
 * sends some: they are its messages after the handshake. We acknowledge and forget them. Writes the
 * first hello anew, before anything has left.
 */
KW_MUST_USE enum kw_status kw_dtls_hook_take_tickets(struct kw_dtls *dtls);

/* Our identity is an RSA key: sign with PSS in 1.3, PKCS#1 in 1.2, choose the RSA suites. */
void kw_dtls_hook_rsa_identity(struct kw_dtls *dtls);

/* Sends an alert that the engine itself never sends. */
void kw_dtls_hook_send_alert(struct kw_dtls *dtls, uint8_t level, uint8_t description, kw_ns now);

#endif
