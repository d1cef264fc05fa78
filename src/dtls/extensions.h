/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_EXTENSIONS_H
#define KW_DTLS_EXTENSIONS_H

#include <keywheel/dtls.h>

#include "base/reader.h"
#include "base/writer.h"

/* The block of extensions that most handshake messages end with. */

enum kw_extension_type {
    KW_EXT_SUPPORTED_GROUPS = 10,
    KW_EXT_POINT_FORMATS = 11,
    KW_EXT_SIGNATURE_ALGORITHMS = 13,
    KW_EXT_USE_SRTP = 14,
    KW_EXT_ALPN = 16,
    KW_EXT_EXTENDED_MASTER_SECRET = 23,
    KW_EXT_PRE_SHARED_KEY = 41,
    KW_EXT_SUPPORTED_VERSIONS = 43,
    KW_EXT_COOKIE = 44,
    KW_EXT_PSK_MODES = 45, /* written for a test suite; ignored when read */
    KW_EXT_KEY_SHARE = 51,
    KW_EXT_CONNECTION_ID = 54,
    KW_EXT_RENEGOTIATION_INFO = 0xff01,
};

/* Places of the extensions that we know; one bit each in `seen`. */
enum kw_extension_place {
    KW_AT_SUPPORTED_GROUPS = 0,
    KW_AT_POINT_FORMATS,
    KW_AT_SIGNATURE_ALGORITHMS,
    KW_AT_USE_SRTP,
    KW_AT_ALPN,
    KW_AT_EXTENDED_MASTER_SECRET,
    KW_AT_PRE_SHARED_KEY,
    KW_AT_SUPPORTED_VERSIONS,
    KW_AT_COOKIE,
    KW_AT_KEY_SHARE,
    KW_AT_CONNECTION_ID,
    KW_AT_RENEGOTIATION_INFO,
    KW_EXTENSION_PLACES,
};

struct kw_extensions {
    uint32_t seen;    /* bit per place */
    bool has_unknown; /* one that has no place here */
    uint16_t last;    /* type of the last one */
    struct kw_bytes body[KW_EXTENSION_PLACES];
};

static inline bool kw_extension_seen(const struct kw_extensions *extensions,
                                     enum kw_extension_place place)
{
    return extensions->seen >> place & 1;
}

/* Splits a block; KW_ALERT_NONE, or the alert that its sender deserves. */
enum kw_alert kw_extensions_parse(struct kw_bytes block, struct kw_extensions *ret);

/* A vector of 16-bit values behind a prefix of `width` bytes: not empty, whole, nothing behind it.
 */
KW_MUST_USE bool kw_list16_parse(struct kw_bytes body, size_t width, struct kw_bytes *ret);
KW_MUST_USE bool kw_list16_has(struct kw_bytes list, uint16_t value);
/* The first of ours (ending with 0) that is in the list; 0 when there is none. */
uint16_t kw_list16_choose(struct kw_bytes list, const uint16_t *ours);

/* use_srtp (RFC 5764, section 4.1.1): the profiles; the MKI is ignored. */
KW_MUST_USE bool kw_use_srtp_parse(struct kw_bytes body, struct kw_bytes *profiles_ret,
                                   struct kw_bytes *mki_ret);
/* ALPN (RFC 7301): *has_ret says whether one of the names is name. */
KW_MUST_USE bool kw_alpn_parse(struct kw_bytes body, struct kw_bytes name, size_t *count_ret,
                               bool *has_ret);

/* Opens an extension; the mark goes to kw_write_close(out, mark, 2). */
size_t kw_extension_open(struct kw_writer *out, enum kw_extension_type type);
void kw_extension_write_list16(struct kw_writer *out, enum kw_extension_type type, size_t width,
                               const uint16_t *values);
void kw_extension_write_srtp(struct kw_writer *out, const uint16_t *profiles);
void kw_extension_write_alpn(struct kw_writer *out, struct kw_bytes name);
void kw_extension_write_cid(struct kw_writer *out, struct kw_bytes cid);

#endif
