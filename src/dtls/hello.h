/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_HELLO_H
#define KW_DTLS_HELLO_H

#include "dtls/extensions.h"

/* ClientHello, ServerHello and HelloRetryRequest, as bytes. What they mean is decided elsewhere. */

struct kw_client_hello {
    uint16_t legacy_version;
    struct kw_bytes random;
    struct kw_bytes session_id;
    struct kw_bytes cookie; /* the field of 1.2; the extension of 1.3 is in ext */
    struct kw_bytes suites;
    struct kw_bytes compression;
    bool has_extensions;
    struct kw_extensions ext;
};

/* KW_ALERT_NONE, or the alert that its sender deserves; views of body. */
enum kw_alert kw_client_hello_parse(struct kw_bytes body, struct kw_client_hello *ret);

struct kw_server_hello {
    uint16_t legacy_version;
    struct kw_bytes random;
    struct kw_bytes session_id;
    uint16_t suite;
    uint8_t compression;
    bool is_retry; /* the random says HelloRetryRequest (RFC 8446, section 4.1.3) */
    struct kw_extensions ext;
};

enum kw_alert kw_server_hello_parse(struct kw_bytes body, struct kw_server_hello *ret);

/* key_share of a ClientHello: the shares one after the other. */
struct kw_key_share {
    uint16_t group;
    struct kw_bytes share;
};
KW_MUST_USE bool kw_key_shares_open(struct kw_bytes body, struct kw_reader *ret);
KW_MUST_USE bool kw_key_shares_next(struct kw_reader *in, struct kw_key_share *ret);
/* key_share of a ServerHello. */
KW_MUST_USE bool kw_key_share_parse(struct kw_bytes body, struct kw_key_share *ret);

/* What a ServerHello of 1.3, or a HelloRetryRequest, says. */
struct kw_server_hello_parts {
    const uint8_t *random; /* NULL: a HelloRetryRequest */
    uint16_t suite;
    uint16_t group;         /* 0 in a retry: the shares were fine */
    struct kw_bytes share;  /* not in a retry */
    struct kw_bytes cookie; /* only in a retry */
    bool has_cid;
    struct kw_bytes cid;
};
void kw_server_hello_write(const struct kw_server_hello_parts *parts, struct kw_writer *out);

/* The random of a HelloRetryRequest. */
extern const uint8_t kw_retry_random[32];

#endif
