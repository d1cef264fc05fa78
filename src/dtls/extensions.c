/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/extensions.h"

#include "base/assert.h"

#include <string.h>

/* More than that is no hello of a media client; duplicates are searched pair by pair. */
enum { EXTENSIONS_MAX = 64 };

static const uint16_t places[KW_EXTENSION_PLACES] = {
    [KW_AT_SUPPORTED_GROUPS] = KW_EXT_SUPPORTED_GROUPS,
    [KW_AT_POINT_FORMATS] = KW_EXT_POINT_FORMATS,
    [KW_AT_SIGNATURE_ALGORITHMS] = KW_EXT_SIGNATURE_ALGORITHMS,
    [KW_AT_USE_SRTP] = KW_EXT_USE_SRTP,
    [KW_AT_ALPN] = KW_EXT_ALPN,
    [KW_AT_EXTENDED_MASTER_SECRET] = KW_EXT_EXTENDED_MASTER_SECRET,
    [KW_AT_PRE_SHARED_KEY] = KW_EXT_PRE_SHARED_KEY,
    [KW_AT_SUPPORTED_VERSIONS] = KW_EXT_SUPPORTED_VERSIONS,
    [KW_AT_COOKIE] = KW_EXT_COOKIE,
    [KW_AT_KEY_SHARE] = KW_EXT_KEY_SHARE,
    [KW_AT_CONNECTION_ID] = KW_EXT_CONNECTION_ID,
    [KW_AT_RENEGOTIATION_INFO] = KW_EXT_RENEGOTIATION_INFO,
};

enum kw_alert kw_extensions_parse(struct kw_bytes block, struct kw_extensions *ret)
{
    struct kw_reader in = kw_reader_of_bytes(block);
    struct kw_extensions made = {.seen = 0};
    uint16_t types[EXTENSIONS_MAX];
    size_t count = 0;

    while (kw_reader_left(&in) != 0) {
        uint16_t type = kw_read_u16(&in);
        struct kw_bytes body = kw_read_vector(&in, 2);
        size_t place = 0;

        if (in.failed || count == EXTENSIONS_MAX)
            return KW_ALERT_DECODE_ERROR;
        /* RFC 8446, section 4.2: "There MUST NOT be more than one extension of the same type". */
        for (size_t i = 0; i < count; i++) {
            if (types[i] == type)
                return KW_ALERT_DECODE_ERROR;
        }
        types[count++] = type;
        made.last = type;
        while (place < KW_EXTENSION_PLACES && places[place] != type)
            place++;
        if (place == KW_EXTENSION_PLACES) {
            made.has_unknown = true;
            continue;
        }
        made.seen |= 1U << place;
        made.body[place] = body;
    }
    *ret = made;
    return KW_ALERT_NONE;
}

bool kw_list16_parse(struct kw_bytes body, size_t width, struct kw_bytes *ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_bytes list = kw_read_vector(&in, width);

    if (!kw_reader_done(&in) || list.len == 0 || list.len % 2 != 0)
        return false;
    *ret = list;
    return true;
}

bool kw_list16_has(struct kw_bytes list, uint16_t value)
{
    for (size_t i = 0; i + 1 < list.len; i += 2) {
        if ((list.data[i] << 8 | list.data[i + 1]) == value)
            return true;
    }
    return false;
}

uint16_t kw_list16_choose(struct kw_bytes list, const uint16_t *ours)
{
    for (; *ours != 0; ours++) {
        if (kw_list16_has(list, *ours))
            return *ours;
    }
    return 0;
}

bool kw_use_srtp_parse(struct kw_bytes body, struct kw_bytes *profiles_ret,
                       struct kw_bytes *mki_ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_bytes profiles = kw_read_vector(&in, 2);
    struct kw_bytes mki = kw_read_vector(&in, 1);

    if (!kw_reader_done(&in) || profiles.len == 0 || profiles.len % 2 != 0)
        return false;
    *profiles_ret = profiles;
    *mki_ret = mki;
    return true;
}

bool kw_alpn_parse(struct kw_bytes body, struct kw_bytes name, size_t *count_ret, bool *has_ret)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_reader list = kw_reader_of_bytes(kw_read_vector(&in, 2));
    size_t count = 0;
    bool has = false;

    if (!kw_reader_done(&in) || kw_reader_left(&list) == 0)
        return false;
    for (; kw_reader_left(&list) != 0; count++) {
        struct kw_bytes offered = kw_read_vector(&list, 1);

        if (list.failed || offered.len == 0)
            return false;
        has |= offered.len == name.len && memcmp(offered.data, name.data, name.len) == 0;
    }
    *count_ret = count;
    *has_ret = has;
    return true;
}

size_t kw_extension_open(struct kw_writer *out, enum kw_extension_type type)
{
    kw_write_u16(out, (uint16_t)type);
    return kw_write_open(out, 2);
}

void kw_extension_write_list16(struct kw_writer *out, enum kw_extension_type type, size_t width,
                               const uint16_t *values)
{
    size_t extension = kw_extension_open(out, type);
    size_t list = kw_write_open(out, width);

    for (; *values != 0; values++)
        kw_write_u16(out, *values);
    kw_write_close(out, list, width);
    kw_write_close(out, extension, 2);
}

void kw_extension_write_srtp(struct kw_writer *out, const uint16_t *profiles)
{
    size_t extension = kw_extension_open(out, KW_EXT_USE_SRTP);
    size_t list = kw_write_open(out, 2);

    for (; *profiles != 0; profiles++)
        kw_write_u16(out, *profiles);
    kw_write_close(out, list, 2);
    kw_write_u8(out, 0); /* no MKI */
    kw_write_close(out, extension, 2);
}

void kw_extension_write_alpn(struct kw_writer *out, struct kw_bytes name)
{
    size_t extension = kw_extension_open(out, KW_EXT_ALPN);
    size_t list = kw_write_open(out, 2);

    kw_write_vector(out, name, 1);
    kw_write_close(out, list, 2);
    kw_write_close(out, extension, 2);
}

void kw_extension_write_cid(struct kw_writer *out, struct kw_bytes cid)
{
    size_t extension = kw_extension_open(out, KW_EXT_CONNECTION_ID);

    kw_write_vector(out, cid, 1);
    kw_write_close(out, extension, 2);
}
