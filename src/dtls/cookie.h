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

/*
 * DTLS 1.2: the second hello repeats the parameters of the first (RFC 6347, section 4.2.1), so
 * their hash is covered and need not be carried. 32 bytes, which is as much as DTLS 1.0 allowed and
 * as some clients still take: wolfSSL leaves a longer one out, without a word.
 */
enum { KW_COOKIE12_LEN = 32, KW_COOKIE12_HASH_LEN = 32 };

KW_MUST_USE enum kw_status kw_cookie12_create(const struct kw_dtls_shared *shared,
                                              struct kw_bytes binding,
                                              const uint8_t parameters[KW_COOKIE12_HASH_LEN],
                                              kw_ns now, uint8_t dst[KW_COOKIE12_LEN]);
/* Verdicts as above. */
KW_MUST_USE enum kw_status kw_cookie12_check(const struct kw_dtls_shared *shared,
                                             struct kw_bytes binding,
                                             const uint8_t parameters[KW_COOKIE12_HASH_LEN],
                                             struct kw_bytes cookie, kw_ns now,
                                             enum kw_verdict *verdict);

#endif
