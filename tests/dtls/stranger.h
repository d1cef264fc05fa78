/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_STRANGER_H
#define KW_TESTS_STRANGER_H

#include "dtls/pair.h"

/* What somebody who can write to both ends, but knows no key, may send. */
enum stranger_kind {
    STRANGER_GARBAGE = 0,
    STRANGER_ALERT,
    STRANGER_CLOSE,
    STRANGER_ACK,
    STRANGER_CCS,
    STRANGER_DATA,
    STRANGER_UNIFIED,     /* each epoch, with a tag that cannot be right */
    STRANGER_FINISHED,    /* in the clear */
    STRANGER_CERTIFICATE, /* in the clear */
    STRANGER_REPLAY,      /* of the datagram that was delivered last */
    STRANGER_MUTANT,      /* the same with a bit changed */
    STRANGER_CUT,         /* the same, shorter */
    /* From here on it may cost time; but the handshake completes. */
    STRANGER_CLIENT_HELLO,
    STRANGER_HELLO_FRAGMENT,
    STRANGER_SERVER_HELLO,
    STRANGER_RETRY,
    STRANGER_KINDS,
};

extern const char *const stranger_names[STRANGER_KINDS];

/* Collects a true ClientHello, ServerHello and retry of a handshake that is not this one. */
void stranger_prepare(void);

/* Writes a datagram of that kind; last is the datagram that its receiver got last. */
size_t stranger_write(struct net *net, enum stranger_kind kind, const struct net_datagram *last,
                      uint8_t dst[KW_DTLS_DATAGRAM_MAX]);

#endif
