/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_REASSEMBLY_H
#define KW_DTLS_REASSEMBLY_H

#include <keywheel/base.h>

#include "base/reader.h"
#include "dtls/limits.h"

/* Handshake messages from fragments, in any order, in a fixed arena. */

enum { KW_FRAGMENT_HEADER = 12 };

/* RFC 9147, section 5.2: one fragment, a view into its record. */
struct kw_fragment {
    uint8_t type;
    uint32_t message_len;
    uint16_t seq;
    uint32_t offset;
    struct kw_bytes body;
};

/* Takes the next fragment off the reader. */
enum kw_verdict kw_fragment_parse(struct kw_reader *in, struct kw_fragment *ret);

/* A whole message; a view into the arena until the next call of add or pop. */
struct kw_message {
    uint8_t type;
    uint16_t epoch;
    uint16_t seq;
    struct kw_bytes body;
};

struct kw_open_message {
    bool used;
    uint8_t type;
    uint16_t epoch;
    uint16_t seq;
    uint32_t len;
    uint32_t have; /* distinct bytes received */
    uint32_t at;   /* in the arena: the body, then a bit per byte received */
};

struct kw_reassembly {
    uint32_t next_seq; /* of the message that pop() takes; 2^16: there can be none */
    uint32_t used;     /* bytes of the arena */
    struct kw_open_message open[KW_DTLS_OPEN_MESSAGES];
    uint8_t arena[KW_DTLS_ARENA];
};

void kw_reassembly_init(struct kw_reassembly *reassembly, uint32_t next_seq);

/*
 * Books a fragment of epoch. KW_DROP_OLD: of a message that was taken already. KW_DROP_MALFORMED:
 * contradicts what other fragments said of its message, or exceeds it. KW_DROP_LIMIT: too long,
 * too far ahead, or no room now.
 */
enum kw_verdict kw_reassembly_add(struct kw_reassembly *reassembly,
                                  const struct kw_fragment *fragment, uint16_t epoch);

/* The next message when it is complete; or that of a number. */
KW_MUST_USE bool kw_reassembly_peek(const struct kw_reassembly *reassembly, struct kw_message *ret);
KW_MUST_USE bool kw_reassembly_peek_at(const struct kw_reassembly *reassembly, uint32_t seq,
                                       struct kw_message *ret);
/* Forgets what is here of a message, which may come again. */
void kw_reassembly_forget(struct kw_reassembly *reassembly, uint32_t seq);
/* Forgets the next message and goes on to the one behind it. */
void kw_reassembly_pop(struct kw_reassembly *reassembly);
/* Forgets every message that is open, and expects next_seq. */
void kw_reassembly_reset(struct kw_reassembly *reassembly, uint32_t next_seq);
/* True when something of a message behind the next one is here. */
KW_MUST_USE bool kw_reassembly_has_later(const struct kw_reassembly *reassembly);
/* True when a message is partly here, or a later one is here before its turn. */
KW_MUST_USE bool kw_reassembly_has_open(const struct kw_reassembly *reassembly);

#endif
