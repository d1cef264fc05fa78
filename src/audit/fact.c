/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical form of a fact, which is what is stored and what is hashed:
 *
 *   u8 version | u8 type | text tenant | 16 bytes session | u32 generation | u64 utc | u64
 * monotonic | the fields of its type, in the order of fields.c
 *
 * There is exactly one form for each fact: parse() takes nothing that write() would spell
 * differently, so equal facts have equal hashes and no byte is free to carry anything else.
 */
#include <keywheel/audit.h>

#include "audit/fields.h"
#include "audit/utf8.h"
#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"

enum { TEXT_BYTES_MAX = KW_FACT_TEXT_MAX - 1 };

/*
 * Cuts at the capacity and before a character that does not fit; a byte that belongs to no
 * character becomes '?'. So whatever a peer called itself, what we keep is UTF-8.
 */
static void write_text(struct kw_writer *out, const char *text)
{
    size_t mark = kw_write_open(out, 1);
    struct kw_bytes left = {(const uint8_t *)text, 0};

    while (left.len < TEXT_BYTES_MAX && text[left.len] != '\0')
        left.len++;

    while (left.len != 0) {
        bool is_cut;
        size_t len = kw_utf8_char(left, &is_cut);

        if (is_cut)
            break;
        if (len != 0)
            kw_write_bytes(out, (struct kw_bytes){left.data, len});
        else
            kw_write_u8(out, '?');
        len = KW_MAX(len, 1U);
        left.data += len;
        left.len -= len;
    }
    kw_write_close(out, mark, 1);
}

static bool read_text(struct kw_reader *in, char dst[KW_FACT_TEXT_MAX])
{
    struct kw_bytes text = kw_read_vector(in, 1);

    if (in->failed || text.len > TEXT_BYTES_MAX || !kw_utf8_valid(text))
        return false;
    memset(dst, 0, KW_FACT_TEXT_MAX);
    memcpy(dst, text.data, text.len);
    return true;
}

static void write_fingerprint(struct kw_writer *out, const struct kw_fingerprint *fingerprint)
{
    KW_ASSERT((size_t)fingerprint->hash < KW_HASH_COUNT);
    kw_write_u8(out, (uint8_t)fingerprint->hash);
    kw_write_bytes(out, (struct kw_bytes){fingerprint->digest, kw_hash_len(fingerprint->hash)});
}

static bool read_fingerprint(struct kw_reader *in, struct kw_fingerprint *ret)
{
    uint8_t hash = kw_read_u8(in);
    struct kw_bytes digest;

    if (hash >= KW_HASH_COUNT)
        return false;
    digest = kw_read_bytes(in, kw_hash_len((enum kw_hash)hash));
    if (in->failed)
        return false;
    ret->hash = (enum kw_hash)hash;
    memcpy(ret->digest, digest.data, digest.len);
    return true;
}

static void write_list(struct kw_writer *out, const uint16_t list[KW_FACT_OFFERED_MAX])
{
    uint8_t count = 0;

    while (count < KW_FACT_OFFERED_MAX && list[count] != 0)
        count++;
    kw_write_u8(out, count);
    for (size_t i = 0; i < count; i++)
        kw_write_u16(out, list[i]);
}

static bool read_list(struct kw_reader *in, uint16_t list[KW_FACT_OFFERED_MAX])
{
    uint8_t count = kw_read_u8(in);

    if (count > KW_FACT_OFFERED_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        list[i] = kw_read_u16(in);
        if (list[i] == 0)
            return false;
    }
    return !in->failed;
}

/* The enums of code points are all of one size, checked here, and all fit 16 bits on the wire. */
_Static_assert(sizeof(enum kw_suite) == sizeof(unsigned) &&
                   sizeof(enum kw_group) == sizeof(unsigned) &&
                   sizeof(enum kw_sigscheme) == sizeof(unsigned) &&
                   sizeof(enum kw_srtp_profile) == sizeof(unsigned) &&
                   sizeof(enum kw_dtls_version) == sizeof(unsigned),
               "code points are read and written through one type");

static void write_code_point(struct kw_writer *out, const void *at)
{
    unsigned value;

    memcpy(&value, at, sizeof value);
    KW_ASSERT(value <= UINT16_MAX);
    kw_write_u16(out, (uint16_t)value);
}

static bool read_code_point(struct kw_reader *in, void *at)
{
    unsigned value = kw_read_u16(in);

    memcpy(at, &value, sizeof value);
    return !in->failed;
}

static void write_field(struct kw_writer *out, const struct kw_field *field, const void *at)
{
    switch (field->kind) {
    case KW_FIELD_TEXT:
        write_text(out, at);
        return;
    case KW_FIELD_BOOL:
        kw_write_u8(out, *(const bool *)at ? 1 : 0);
        return;
    case KW_FIELD_U32:
        kw_write_u32(out, *(const uint32_t *)at);
        return;
    case KW_FIELD_U64:
        kw_write_u64(out, *(const uint64_t *)at);
        return;
    case KW_FIELD_I64:
        kw_write_u64(out, (uint64_t) * (const int64_t *)at);
        return;
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        write_code_point(out, at);
        return;
    case KW_FIELD_FINGERPRINT:
        write_fingerprint(out, at);
        return;
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        write_list(out, at);
        return;
    }
}

static bool read_bool(struct kw_reader *in, bool *ret)
{
    uint8_t value = kw_read_u8(in);

    *ret = value == 1;
    return value <= 1;
}

static bool read_field(struct kw_reader *in, const struct kw_field *field, void *at)
{
    switch (field->kind) {
    case KW_FIELD_TEXT:
        return read_text(in, at);
    case KW_FIELD_BOOL:
        return read_bool(in, at);
    case KW_FIELD_U32:
        *(uint32_t *)at = kw_read_u32(in);
        return true;
    case KW_FIELD_U64:
        *(uint64_t *)at = kw_read_u64(in);
        return true;
    case KW_FIELD_I64:
        *(int64_t *)at = (int64_t)kw_read_u64(in);
        return true;
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        return read_code_point(in, at);
    case KW_FIELD_FINGERPRINT:
        return read_fingerprint(in, at);
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        return read_list(in, at);
    }
    return false;
}

size_t kw_fact_write(const struct kw_fact *fact, uint8_t *dst, size_t dst_size)
{
    const struct kw_fact_layout *layout = kw_fact_layout(fact->type);
    struct kw_writer out = kw_writer_of(dst, dst_size);
    uint8_t version = fact->version != 0 ? fact->version : KW_FACT_VERSION;

    KW_ASSERT(layout != NULL && version <= KW_FACT_VERSION);
    kw_write_u8(&out, version);
    kw_write_u8(&out, (uint8_t)fact->type);
    write_text(&out, fact->tenant);
    kw_write_bytes(&out, (struct kw_bytes){fact->session.bytes, sizeof fact->session.bytes});
    kw_write_u32(&out, fact->generation);
    kw_write_u64(&out, (uint64_t)fact->utc);
    kw_write_u64(&out, fact->monotonic);
    for (size_t i = 0; i < layout->field_count && layout->fields[i].since <= version; i++)
        write_field(&out, &layout->fields[i], (const uint8_t *)fact + layout->fields[i].offset);
    return kw_writer_view(&out).len;
}

bool kw_fact_parse(struct kw_bytes canonical, struct kw_fact *ret)
{
    struct kw_reader in = kw_reader_of_bytes(canonical);
    const struct kw_fact_layout *layout;
    struct kw_bytes session;
    struct kw_fact fact;

    memset(&fact, 0, sizeof fact);
    fact.version = kw_read_u8(&in);
    if (fact.version == 0 || fact.version > KW_FACT_VERSION)
        return false;
    layout = kw_fact_layout((enum kw_fact_type)kw_read_u8(&in));
    if (layout == NULL)
        return false;
    fact.type = layout->type;
    if (!read_text(&in, fact.tenant))
        return false;
    session = kw_read_bytes(&in, sizeof fact.session.bytes);
    fact.generation = kw_read_u32(&in);
    fact.utc = (kw_utc_ms)kw_read_u64(&in);
    fact.monotonic = kw_read_u64(&in);
    for (size_t i = 0; i < layout->field_count && layout->fields[i].since <= fact.version; i++) {
        if (!read_field(&in, &layout->fields[i], (uint8_t *)&fact + layout->fields[i].offset))
            return false;
    }
    if (!kw_reader_done(&in) || session.data == NULL)
        return false;

    memcpy(fact.session.bytes, session.data, session.len);
    *ret = fact;
    return true;
}

enum kw_status kw_fact_leaf_hash(struct kw_crypto *crypto, struct kw_bytes canonical,
                                 uint8_t dst[32])
{
    const uint8_t leaf_prefix = 0x00; /* RFC 6962, section 2.1 */
    uint8_t digest[KW_DIGEST_MAX];
    struct kw_digest *running;
    enum kw_status status;

    status = crypto->ops->digest_new(crypto, KW_SHA256, &running);
    if (status != KW_OK)
        return status;
    status = crypto->ops->digest_update(running, (struct kw_bytes){&leaf_prefix, 1});
    if (status == KW_OK)
        status = crypto->ops->digest_update(running, canonical);
    if (status == KW_OK)
        status = crypto->ops->digest_peek(running, digest);
    if (status == KW_OK)
        memcpy(dst, digest, 32);
    crypto->ops->digest_free(running);
    return status;
}
