/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/hello.h"

#include "base/assert.h"

#include <string.h>

/* RFC 8446, section 4.1.3: SHA-256 of "HelloRetryRequest". */
const uint8_t kw_retry_random[32] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

enum { RANDOM_LEN = 32, SESSION_ID_MAX = 32 };

enum kw_alert kw_client_hello_parse(struct kw_bytes body, struct kw_client_hello *ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_client_hello made = {.has_extensions = false};
    enum kw_alert alert = KW_ALERT_NONE;

    made.legacy_version = kw_read_u16(&in);
    made.random = kw_read_bytes(&in, RANDOM_LEN);
    made.session_id = kw_read_vector(&in, 1);
    made.cookie = kw_read_vector(&in, 1);
    made.suites = kw_read_vector(&in, 2);
    made.compression = kw_read_vector(&in, 1);
    if (in.failed || made.session_id.len > SESSION_ID_MAX || made.suites.len == 0 ||
        made.suites.len % 2 != 0 || made.compression.len == 0)
        return KW_ALERT_DECODE_ERROR;
    if (kw_reader_left(&in) != 0) {
        struct kw_bytes block = kw_read_vector(&in, 2);

        if (!kw_reader_done(&in))
            return KW_ALERT_DECODE_ERROR;
        made.has_extensions = true;
        alert = kw_extensions_parse(block, &made.ext);
    }
    if (alert == KW_ALERT_NONE)
        *ret = made;
    return alert;
}

enum kw_alert kw_server_hello_parse(struct kw_bytes body, struct kw_server_hello *ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_server_hello made = {.suite = 0};
    enum kw_alert alert = KW_ALERT_NONE;

    made.legacy_version = kw_read_u16(&in);
    made.random = kw_read_bytes(&in, RANDOM_LEN);
    made.session_id = kw_read_vector(&in, 1);
    made.suite = kw_read_u16(&in);
    made.compression = kw_read_u8(&in);
    if (in.failed || made.session_id.len > SESSION_ID_MAX)
        return KW_ALERT_DECODE_ERROR;
    made.is_retry = memcmp(made.random.data, kw_retry_random, RANDOM_LEN) == 0;
    if (kw_reader_left(&in) != 0) {
        struct kw_bytes block = kw_read_vector(&in, 2);

        if (!kw_reader_done(&in))
            return KW_ALERT_DECODE_ERROR;
        alert = kw_extensions_parse(block, &made.ext);
    }
    if (alert == KW_ALERT_NONE)
        *ret = made;
    return alert;
}

bool kw_key_shares_open(struct kw_bytes body, struct kw_reader *ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_bytes list = kw_read_vector(&in, 2);

    if (!kw_reader_done(&in))
        return false;
    *ret = kw_reader_of_bytes(list);
    return true;
}

bool kw_key_shares_next(struct kw_reader *in, struct kw_key_share *ret)
{
    if (kw_reader_left(in) == 0)
        return false;
    ret->group = kw_read_u16(in);
    ret->share = kw_read_vector(in, 2);
    if (ret->share.len == 0)
        in->failed = true;
    return !in->failed;
}

bool kw_key_share_parse(struct kw_bytes body, struct kw_key_share *ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);

    return kw_key_shares_next(&in, ret) && kw_reader_done(&in);
}

void kw_server_hello_write(const struct kw_server_hello_parts *parts, struct kw_writer *out)
{
    bool is_retry = parts->random == NULL;
    size_t block, extension;

    kw_write_u16(out, KW_DTLS_1_2);
    kw_write_bytes(out, (struct kw_bytes){is_retry ? kw_retry_random : parts->random, RANDOM_LEN});
    /* RFC 9147, section 5.4, and its successor: "DTLS implementations do not use the TLS 1.3
     * compatibility mode", so nothing is echoed here, whatever the client sent. */
    kw_write_u8(out, 0);
    kw_write_u16(out, parts->suite);
    kw_write_u8(out, 0);
    block = kw_write_open(out, 2);

    extension = kw_extension_open(out, KW_EXT_SUPPORTED_VERSIONS);
    kw_write_u16(out, KW_DTLS_1_3);
    kw_write_close(out, extension, 2);
    if (parts->group != 0) {
        extension = kw_extension_open(out, KW_EXT_KEY_SHARE);
        kw_write_u16(out, parts->group);
        if (!is_retry)
            kw_write_vector(out, parts->share, 2);
        kw_write_close(out, extension, 2);
    }
    if (is_retry) {
        extension = kw_extension_open(out, KW_EXT_COOKIE);
        kw_write_vector(out, parts->cookie, 2);
        kw_write_close(out, extension, 2);
    }
    if (parts->has_cid)
        kw_extension_write_cid(out, parts->cid);
    kw_write_close(out, block, 2);
}
