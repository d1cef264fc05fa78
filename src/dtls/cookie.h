/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_COOKIE_H
#define KW_DTLS_COOKIE_H

#include <keywheel/dtls.h>

/*
 * A cookie is all that a server remembers between the two hellos (RFC 9147, section 5.1): when,
 * which suite and group the retry named, and the hash of the first hello; under an HMAC that covers
 * the address, too.
 */

enum { KW_COOKIE_MAX = 4 + 2 + 2 + KW_DIGEST_MAX + 32 };

struct kw_cookie {
    uint16_t suite;
    uint16_t group; /* that the retry asked for; 0: none */
    uint8_t hello_hash[KW_DIGEST_MAX];
    uint8_t hash_len;
};

/* dst holds KW_COOKIE_MAX bytes. */
KW_MUST_USE enum kw_status kw_cookie_create(const struct kw_dtls_shared *shared,
                                            struct kw_bytes binding, const struct kw_cookie *cookie,
                                            kw_ns now, uint8_t *dst, size_t *len_ret);

/* KW_DROP_FORGED: not ours, or of another address. KW_DROP_EXPIRED: too old. */
KW_MUST_USE enum kw_status kw_cookie_consume(const struct kw_dtls_shared *shared,
                                             struct kw_bytes binding, struct kw_bytes cookie,
                                             kw_ns now, struct kw_cookie *ret,
                                             enum kw_verdict *verdict);

#endif
