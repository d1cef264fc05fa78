/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8489 section 5: a header of type, length, magic cookie and transaction id; then attributes of
 * type, length, value, padded to four bytes. MESSAGE-INTEGRITY covers what stands before it, under
 * a length that ends with it; FINGERPRINT covers everything and is last.
 */
#include "ice/stun.h"

#include "base/assert.h"
#include "base/reader.h"

#include <keywheel/ice.h>

enum {
    MAGIC_COOKIE = 0x2112a442,
    FINGERPRINT_XOR = 0x5354554e,
    BINDING = 0x0001,
    INTEGRITY_LEN = 4 + KW_SHA1_LEN,
    FINGERPRINT_LEN = 4 + 4,
};

enum attribute {
    MAPPED_ADDRESS = 0x0001,
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000a,
    REALM = 0x0014,
    NONCE = 0x0015,
    MESSAGE_INTEGRITY_SHA256 = 0x001c,
    XOR_MAPPED_ADDRESS = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    FINGERPRINT = 0x8028,
    ICE_CONTROLLED = 0x8029,
    ICE_CONTROLLING = 0x802a,
};

/* ---- CRC-32 (ITU-T V.42), a nibble at a time ------------------------------------------------- */

static uint32_t crc_more(uint32_t crc, const uint8_t *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ data[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ data[i] >> 4) & 15] ^ crc >> 4;
    }
    return crc;
}

static uint32_t fingerprint_of(const uint8_t *message, size_t len)
{
    return ~crc_more(UINT32_MAX, message, len) ^ FINGERPRINT_XOR;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* RFC 7983 section 7: STUN begins with 0..3; RFC 8489 section 5: cookie, and lengths that agree. */
bool kw_stun_looks_like(const uint8_t *datagram, size_t len)
{
    struct kw_reader in = kw_reader_of(datagram, len);
    uint16_t type = kw_read_u16(&in);
    uint16_t body_len = kw_read_u16(&in);

    return type < 0x0400 && kw_read_u32(&in) == MAGIC_COOKIE && !in.failed && body_len % 4 == 0 &&
           (size_t)body_len + KW_STUN_HEADER_LEN == len;
}

/* Section 5: the class is split around the method's bits, M M M M M C1 M M M C0 M M M M. */
static uint16_t method_of(uint16_t type)
{
    return (uint16_t)((type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2);
}

static enum kw_stun_class class_of(uint16_t type)
{
    return (enum kw_stun_class)((type & 0x0010) >> 4 | (type & 0x0100) >> 7);
}

static uint16_t type_of(enum kw_stun_class class)
{
    unsigned bits = (unsigned)class;

    return (uint16_t)(BINDING | (bits & 1) << 4 | (bits & 2) << 7);
}

/* Section 14.2: port and address are masked with the cookie and the transaction id. */
static bool read_mapped(struct kw_bytes value, const uint8_t *transaction, struct kw_address *ret)
{
    static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};
    struct kw_reader in = kw_reader_of_bytes(value);
    struct kw_address made = {0};
    struct kw_bytes ip;
    uint8_t family;

    kw_read_u8(&in);
    family = kw_read_u8(&in);
    made.port = (uint16_t)(kw_read_u16(&in) ^ MAGIC_COOKIE >> 16);
    made.family = family == 1 ? 4 : 6;
    ip = kw_read_bytes(&in, family == 1 ? 4 : 16);
    if (!kw_reader_done(&in) || (family != 1 && family != 2))
        return false;
    for (size_t i = 0; i < ip.len; i++)
        made.ip[i] = ip.data[i] ^ (i < 4 ? cookie[i] : transaction[i - 4]);
    *ret = made;
    return true;
}

/* Section 14.8: 21 reserved bits, class 3..6, number 0..99, a reason. */
static bool read_error(struct kw_bytes value, uint16_t *ret)
{
    if (value.len < 4 || (value.data[2] & 7) < 3 || (value.data[2] & 7) > 6 || value.data[3] > 99)
        return false;
    *ret = (uint16_t)((value.data[2] & 7) * 100 + value.data[3]);
    return true;
}

static void note_unknown(struct kw_stun_message *message, uint16_t type)
{
    if (message->unknown_count < KW_STUN_UNKNOWN_MAX)
        message->unknown[message->unknown_count++] = type;
}

static bool read_attribute(struct kw_stun_message *message, uint16_t type, struct kw_bytes value)
{
    struct kw_reader in = kw_reader_of_bytes(value);

    switch (type) {
    case USERNAME:
        if (message->username.data == NULL)
            message->username = value; /* section 14: of duplicates only the first counts */
        return value.len <= KW_ICE_UFRAG_MAX + 1 + KW_ICE_UFRAG_MAX; /* RFC 8489: below 509 */
    case PRIORITY:
        message->has_priority = true;
        message->priority = kw_read_u32(&in);
        return kw_reader_done(&in);
    case USE_CANDIDATE:
        message->use_candidate = true;
        return value.len == 0;
    case ICE_CONTROLLED:
    case ICE_CONTROLLING:
        message->role = type == ICE_CONTROLLED ? KW_STUN_CONTROLLED : KW_STUN_CONTROLLING;
        message->tie_breaker = kw_read_u64(&in);
        return kw_reader_done(&in);
    case XOR_MAPPED_ADDRESS:
        message->has_mapped = true;
        return read_mapped(value, message->transaction, &message->mapped);
    case ERROR_CODE:
        return read_error(value, &message->error_code);
    case MAPPED_ADDRESS:
    case UNKNOWN_ATTRIBUTES:
    case REALM:
    case NONCE:
    case MESSAGE_INTEGRITY_SHA256:
        return true; /* understood, of no use here */
    default:
        /* Section 14: 0x0000..0x7fff must be understood, the others may be skipped. */
        if (type < 0x8000)
            note_unknown(message, type);
        return true;
    }
}

enum kw_verdict kw_stun_parse(const uint8_t *datagram, size_t len, struct kw_stun_message *ret)
{
    struct kw_reader in = kw_reader_of(datagram, len);
    struct kw_stun_message message = {0};
    struct kw_bytes transaction;
    bool fingerprint_seen = false;
    uint16_t type;

    if (!kw_stun_looks_like(datagram, len))
        return KW_DROP_FOREIGN;
    type = kw_read_u16(&in);
    if (method_of(type) != BINDING)
        return KW_DROP_FOREIGN;
    message.class = class_of(type);
    kw_read_bytes(&in, 6);
    transaction = kw_read_bytes(&in, KW_STUN_TRANSACTION_LEN);
    if (transaction.data == NULL)
        return KW_DROP_TRUNCATED;
    memcpy(message.transaction, transaction.data, KW_STUN_TRANSACTION_LEN);

    while (kw_reader_left(&in) != 0) {
        size_t at = len - kw_reader_left(&in);
        uint16_t attribute = kw_read_u16(&in);
        struct kw_bytes value = kw_read_vector(&in, 2);

        kw_read_bytes(&in, (4 - value.len % 4) % 4);
        if (in.failed)
            return KW_DROP_TRUNCATED;
        if (fingerprint_seen)
            return KW_DROP_MALFORMED; /* section 14.7: FINGERPRINT MUST be last */
        if (attribute == FINGERPRINT) {
            uint32_t want = fingerprint_of(datagram, at);
            struct kw_reader crc = kw_reader_of_bytes(value);

            if (kw_read_u32(&crc) != want || !kw_reader_done(&crc))
                return KW_DROP_FOREIGN;
            fingerprint_seen = true;
        } else if (message.integrity_at != 0) {
            continue; /* section 14.5: what follows MESSAGE-INTEGRITY MUST be ignored */
        } else if (attribute == MESSAGE_INTEGRITY) {
            if (value.len != KW_SHA1_LEN)
                return KW_DROP_MALFORMED;
            message.integrity_at = at;
        } else if (!read_attribute(&message, attribute, value)) {
            return KW_DROP_MALFORMED;
        }
    }
    if (!fingerprint_seen)
        return KW_DROP_FOREIGN;
    if (message.class == KW_STUN_ERROR && message.error_code == 0)
        return KW_DROP_MALFORMED;
    *ret = message;
    return KW_ACCEPT;
}

bool kw_stun_local_ufrag(const uint8_t *datagram, size_t len, struct kw_bytes *ret)
{
    struct kw_reader in = kw_reader_of(datagram, len);

    if (!kw_stun_looks_like(datagram, len) || kw_read_u16(&in) != type_of(KW_STUN_REQUEST))
        return false;
    kw_read_bytes(&in, KW_STUN_HEADER_LEN - 2);
    while (kw_reader_left(&in) != 0) {
        uint16_t attribute = kw_read_u16(&in);
        struct kw_bytes value = kw_read_vector(&in, 2);

        kw_read_bytes(&in, (4 - value.len % 4) % 4);
        if (in.failed)
            return false;
        if (attribute != USERNAME)
            continue;
        for (size_t i = 0; i < value.len; i++) {
            if (value.data[i] == ':') {
                *ret = (struct kw_bytes){value.data, i};
                return i != 0;
            }
        }
        return false;
    }
    return false;
}

/* ---- integrity ------------------------------------------------------------------------------- */

/* Section 14.5: HMAC-SHA1 over the message up to the attribute, its length already counted in. */
static enum kw_status integrity_of(struct kw_crypto *crypto, const uint8_t *message, size_t at,
                                   struct kw_bytes password, uint8_t dst[KW_SHA1_LEN])
{
    size_t body_len = at + INTEGRITY_LEN - KW_STUN_HEADER_LEN;
    uint8_t length[2] = {(uint8_t)(body_len >> 8), (uint8_t)body_len};
    struct kw_bytes parts[3] = {{message, 2}, {length, 2}, {message + 4, at - 4}};

    return crypto->ops->hmac_sha1(crypto, password, parts, 3, dst);
}

enum kw_verdict kw_stun_verify(struct kw_crypto *crypto, const uint8_t *datagram,
                               const struct kw_stun_message *message, struct kw_bytes password)
{
    uint8_t want[KW_SHA1_LEN];

    if (message->integrity_at == 0)
        return KW_DROP_FORGED;
    if (integrity_of(crypto, datagram, message->integrity_at, password, want) != KW_OK)
        return KW_DROP_INTERNAL;
    return kw_ct_equal(want, datagram + message->integrity_at + 4, sizeof want) ? KW_ACCEPT
                                                                                : KW_DROP_FORGED;
}

/* ---- writing --------------------------------------------------------------------------------- */

void kw_stun_begin(struct kw_writer *out, enum kw_stun_class class,
                   const uint8_t transaction[KW_STUN_TRANSACTION_LEN])
{
    KW_ASSERT(out->len == 0);
    kw_write_u16(out, type_of(class));
    kw_write_u16(out, 0);
    kw_write_u32(out, MAGIC_COOKIE);
    kw_write_bytes(out, (struct kw_bytes){transaction, KW_STUN_TRANSACTION_LEN});
}

static void pad(struct kw_writer *out, size_t len)
{
    kw_write_uint(out, 0, (4 - len % 4) % 4);
}

void kw_stun_write_username(struct kw_writer *out, struct kw_bytes left, struct kw_bytes right)
{
    kw_write_u16(out, USERNAME);
    kw_write_u16(out, (uint16_t)(left.len + 1 + right.len));
    kw_write_bytes(out, left);
    kw_write_u8(out, ':');
    kw_write_bytes(out, right);
    pad(out, left.len + 1 + right.len);
}

void kw_stun_write_priority(struct kw_writer *out, uint32_t priority)
{
    kw_write_u16(out, PRIORITY);
    kw_write_u16(out, 4);
    kw_write_u32(out, priority);
}

void kw_stun_write_use_candidate(struct kw_writer *out)
{
    kw_write_u16(out, USE_CANDIDATE);
    kw_write_u16(out, 0);
}

void kw_stun_write_role(struct kw_writer *out, enum kw_stun_role role, uint64_t tie_breaker)
{
    kw_write_u16(out, role == KW_STUN_CONTROLLING ? ICE_CONTROLLING : ICE_CONTROLLED);
    kw_write_u16(out, 8);
    kw_write_u64(out, tie_breaker);
}

void kw_stun_write_mapped(struct kw_writer *out, const struct kw_address *address)
{
    size_t ip_len = address->family == 4 ? 4 : 16;
    const uint8_t *mask; /* cookie and transaction id stand side by side in the header */

    kw_write_u16(out, XOR_MAPPED_ADDRESS);
    kw_write_u16(out, (uint16_t)(4 + ip_len));
    kw_write_u8(out, 0);
    kw_write_u8(out, address->family == 4 ? 1 : 2);
    kw_write_u16(out, (uint16_t)(address->port ^ MAGIC_COOKIE >> 16));
    if (out->failed)
        return;
    mask = out->start + 4;
    for (size_t i = 0; i < ip_len; i++)
        kw_write_u8(out, address->ip[i] ^ mask[i]);
}

void kw_stun_write_error(struct kw_writer *out, uint16_t code)
{
    kw_write_u16(out, ERROR_CODE);
    kw_write_u16(out, 4);
    kw_write_u16(out, 0);
    kw_write_u8(out, (uint8_t)(code / 100));
    kw_write_u8(out, (uint8_t)(code % 100));
}

void kw_stun_write_unknown(struct kw_writer *out, const uint16_t *types, size_t type_count)
{
    kw_write_u16(out, UNKNOWN_ATTRIBUTES);
    kw_write_u16(out, (uint16_t)(2 * type_count));
    for (size_t i = 0; i < type_count; i++)
        kw_write_u16(out, types[i]);
    pad(out, 2 * type_count);
}

static void set_length(struct kw_writer *out, size_t message_len)
{
    size_t body_len = message_len - KW_STUN_HEADER_LEN;

    out->start[2] = (uint8_t)(body_len >> 8);
    out->start[3] = (uint8_t)body_len;
}

size_t kw_stun_finish(struct kw_writer *out, struct kw_crypto *crypto, struct kw_bytes password)
{
    uint8_t digest[KW_SHA1_LEN];

    if (out->failed)
        return 0;
    if (password.data != NULL) {
        if (integrity_of(crypto, out->start, out->len, password, digest) != KW_OK)
            return 0;
        kw_write_u16(out, MESSAGE_INTEGRITY);
        kw_write_u16(out, sizeof digest);
        kw_write_bytes(out, (struct kw_bytes){digest, sizeof digest});
    }
    if (kw_writer_left(out) < FINGERPRINT_LEN)
        return 0;
    set_length(out, out->len + FINGERPRINT_LEN);
    kw_write_u16(out, FINGERPRINT);
    kw_write_u16(out, 4);
    kw_write_u32(out, fingerprint_of(out->start, out->len - 4));
    return out->len;
}
