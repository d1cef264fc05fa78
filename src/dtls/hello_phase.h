/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_HELLO_PHASE_H
#define KW_DTLS_HELLO_PHASE_H

#include "dtls/engine.h"

/* Which hello counts, as long as nothing has proved it. */

/*
 * Tells whether a fragment in the clear is looked at as a piece of a hello: in the hello phase each
 * is, behind it none; but a hello that comes again and again may lead back there.
 */
KW_MUST_USE enum kw_status kw_dtls_hello_concerns(struct kw_dtls *dtls,
                                                  const struct kw_fragment *fragment, bool *ret);
KW_MUST_USE enum kw_status kw_dtls_hello_handle_fragment(struct kw_dtls *dtls,
                                                         const struct kw_fragment *fragment,
                                                         enum kw_verdict *verdict);
/*
 * The client says its hello again though it acknowledged our ServerHello: it believes a stranger's
 * that came later. It gets ours once more.
 */
void kw_dtls_hello_remind(struct kw_dtls *dtls, const struct kw_fragment *fragment);

/* A record of the handshake epoch arrived: its sender has the keys, so our hello was the one. */
void kw_dtls_authenticated(struct kw_dtls *dtls);
/* A better hello may come: back to the beginning, with what was received so far forgotten. */
void kw_dtls_hello_forget(struct kw_dtls *dtls);
/* This hello is the one, until its handshake authenticates or another one replaces it. */
KW_MUST_USE enum kw_status kw_dtls_hello_accept(struct kw_dtls *dtls,
                                                const struct kw_message *message);
/* The same hello or answer was here some time ago: no other one came to this place since. */
KW_MUST_USE enum kw_status kw_dtls_hello_is_repeated(struct kw_dtls *dtls, uint16_t place,
                                                     struct kw_bytes body, bool *ret);
/* A client of 1.2 before ServerKeyExchange, the first that only the true server can say: it signs
 * both randoms. */
KW_MUST_USE bool kw_dtls_hello_is_unproved12(const struct kw_dtls *dtls);
/*
 * An answer of 1.2 comes to a client; there may be one of 1.3 already, which nothing has proved.
 * True: this one counts, and the client waits for it.
 */
KW_MUST_USE enum kw_status kw_dtls_hello_is_next12(struct kw_dtls *dtls,
                                                   const struct kw_message *message, bool *ret);

enum kw_hello_place {
    KW_HELLO_KNOWN,     /* it was accepted before */
    KW_HELLO_RIVAL,     /* another one, for which it is too early */
    KW_HELLO_SUCCESSOR, /* another one, which takes over */
};
KW_MUST_USE enum kw_status kw_dtls_hello_compare(struct kw_dtls *dtls,
                                                 const struct kw_message *message,
                                                 enum kw_hello_place *ret);

#endif
