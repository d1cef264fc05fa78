/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_ICE_STUN_H
#define KW_ICE_STUN_H

/* STUN messages (RFC 8489), as far as ICE (RFC 8445) speaks it: the Binding method only. */

#include "base/writer.h"

#include <keywheel/crypto.h>

enum {
    KW_STUN_HEADER_LEN = 20,
    KW_STUN_TRANSACTION_LEN = 12,
    KW_STUN_UNKNOWN_MAX = 4, /* comprehension-required attributes that a 420 names; the rest wait */
    /* RFC 8489 section 6.1: what every IPv4 path takes. Ours have at most 348 bytes, since one of
     * the two ufrags in a USERNAME is our own and short. */
    KW_STUN_MESSAGE_MAX = 576,
};

enum kw_stun_class {
    KW_STUN_REQUEST = 0,
    KW_STUN_INDICATION = 1,
    KW_STUN_SUCCESS = 2,
    KW_STUN_ERROR = 3,
};

enum kw_stun_role { KW_STUN_ROLE_NONE = 0, KW_STUN_CONTROLLED, KW_STUN_CONTROLLING };

struct kw_stun_message {
    enum kw_stun_class class;
    uint8_t transaction[KW_STUN_TRANSACTION_LEN];
    struct kw_bytes username;
    bool has_priority;
    bool use_candidate;
    bool has_mapped;
    uint32_t priority;
    enum kw_stun_role role;
    uint64_t tie_breaker;
    struct kw_address mapped;
    uint16_t error_code; /* of an error response: 300..699 */
    size_t integrity_at; /* offset of MESSAGE-INTEGRITY; 0: absent */
    size_t unknown_count;
    uint16_t unknown[KW_STUN_UNKNOWN_MAX];
};

/*
 * Reads a Binding message. FOREIGN: not STUN, or another method; TRUNCATED, MALFORMED; every ICE
 * message carries FINGERPRINT (RFC 8445 section 7.1), so one without or with a wrong one is
 * FOREIGN. Says nothing about integrity.
 */
KW_MUST_USE enum kw_verdict kw_stun_parse(const uint8_t *datagram, size_t len,
                                          struct kw_stun_message *ret);

/* MESSAGE-INTEGRITY against a short-term password: ACCEPT, FORGED (absent, too), INTERNAL. */
KW_MUST_USE enum kw_verdict kw_stun_verify(struct kw_crypto *crypto, const uint8_t *datagram,
                                           const struct kw_stun_message *message,
                                           struct kw_bytes password);

/* Writing: begin, attributes, finish. */
void kw_stun_begin(struct kw_writer *out, enum kw_stun_class class,
                   const uint8_t transaction[KW_STUN_TRANSACTION_LEN]);
void kw_stun_write_username(struct kw_writer *out, struct kw_bytes left, struct kw_bytes right);
void kw_stun_write_priority(struct kw_writer *out, uint32_t priority);
void kw_stun_write_use_candidate(struct kw_writer *out);
void kw_stun_write_role(struct kw_writer *out, enum kw_stun_role role, uint64_t tie_breaker);
void kw_stun_write_mapped(struct kw_writer *out, const struct kw_address *address);
void kw_stun_write_error(struct kw_writer *out, uint16_t code);
void kw_stun_write_unknown(struct kw_writer *out, const uint16_t *types, size_t type_count);
/*
 * Adds MESSAGE-INTEGRITY (unless password.data is NULL) and FINGERPRINT and returns the length; 0:
 * no room, or the provider failed.
 */
KW_MUST_USE size_t kw_stun_finish(struct kw_writer *out, struct kw_crypto *crypto,
                                  struct kw_bytes password);

#endif
