/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate is nested (tag, length, body) elements. Parsing walks down one known path to the
 * subjectPublicKeyInfo and skips everything beside it; writing fills a fixed shape from the inside
 * out, whose only variable parts are serial, dates, key and signature.
 */
#include "crypto/cert.h"

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"

#include <string.h>

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTF8_STRING = 0x0c,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_VERSION = 0xa0, /* [0] EXPLICIT */
};

static const uint8_t oid_ec_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ecdsa_sha256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t oid_common_name[] = {0x55, 0x04, 0x03};

#define OID(array) ((struct kw_bytes){array, sizeof(array)})

/* X.690, section 10.1: the definite form in the fewest bytes. Two length bytes are enough here. */
static size_t read_length(struct kw_reader *in)
{
    uint8_t first = kw_read_u8(in);
    size_t len = first;

    if (first == 0x81)
        len = kw_read_u8(in);
    else if (first == 0x82)
        len = kw_read_u16(in);

    if ((first >= 0x80 && first != 0x81 && first != 0x82) || (first == 0x81 && len < 0x80) ||
        (first == 0x82 && len < 0x100))
        in->failed = true;
    return len;
}

/* The body of the next element, which has to have this tag. */
static struct kw_bytes read_element(struct kw_reader *in, uint8_t tag)
{
    uint8_t seen = kw_read_u8(in);
    size_t len = read_length(in);

    if (seen != tag)
        in->failed = true;
    return kw_read_bytes(in, len);
}

static struct kw_reader enter(struct kw_reader *in, uint8_t tag)
{
    struct kw_reader inner = kw_reader_of_bytes(read_element(in, tag));

    inner.failed = in->failed;
    return inner;
}

static bool is(struct kw_bytes a, struct kw_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* A positive INTEGER without its leading zero; empty when it is not positive or not DER. */
static struct kw_bytes read_positive(struct kw_reader *in)
{
    struct kw_bytes value = read_element(in, DER_INTEGER);

    if (value.len == 0 || (value.data[0] & 0x80) != 0)
        return (struct kw_bytes){NULL, 0};
    if (value.data[0] == 0) {
        if (value.len > 1 && (value.data[1] & 0x80) == 0)
            return (struct kw_bytes){NULL, 0};
        value.data++;
        value.len--;
    }
    return value;
}

static bool parse_rsa(struct kw_bytes bits, struct kw_cert_key *key)
{
    struct kw_reader in = kw_reader_of_bytes(bits);
    struct kw_reader pair = enter(&in, DER_SEQUENCE);

    key->type = KW_CERT_RSA;
    key->modulus = read_positive(&pair);
    key->exponent = read_positive(&pair);
    if (!kw_reader_done(&in) || !kw_reader_done(&pair))
        return false;
    if (key->modulus.len < KW_CERT_RSA_BITS_MIN / 8 || key->modulus.len > KW_CERT_RSA_BITS_MAX / 8)
        return false;
    /* A large exponent costs us time at a stranger's wish; 1 signs nothing. */
    if (key->exponent.len < 1 || key->exponent.len > 4)
        return false;
    return (key->exponent.data[key->exponent.len - 1] & 1) != 0 &&
           !(key->exponent.len == 1 && key->exponent.data[0] == 1) &&
           (key->modulus.data[key->modulus.len - 1] & 1) != 0;
}

static bool parse_point(struct kw_bytes curve, struct kw_bytes bits, struct kw_cert_key *key)
{
    size_t coordinate_len;

    if (is(curve, OID(oid_p256))) {
        key->type = KW_CERT_P256;
        coordinate_len = 32;
    } else if (is(curve, OID(oid_p384))) {
        key->type = KW_CERT_P384;
        coordinate_len = 48;
    } else {
        return false;
    }
    /* RFC 8422, section 5.1.1: only the uncompressed form. */
    key->point = bits;
    return bits.len == 1 + 2 * coordinate_len && bits.data[0] == 0x04;
}

/* RFC 5280, section 4.1: SubjectPublicKeyInfo ::= { { algorithm, parameters }, key bits }. */
static bool parse_spki(struct kw_reader *in, struct kw_cert_key *key)
{
    struct kw_reader spki = enter(in, DER_SEQUENCE);
    struct kw_reader algorithm = enter(&spki, DER_SEQUENCE);
    struct kw_bytes oid = read_element(&algorithm, DER_OID);
    bool is_rsa = is(oid, OID(oid_rsa));
    struct kw_bytes parameters = read_element(&algorithm, is_rsa ? DER_NULL : DER_OID);
    struct kw_bytes bits = read_element(&spki, DER_BIT_STRING);

    if (!kw_reader_done(&algorithm) || !kw_reader_done(&spki))
        return false;
    if (bits.len < 1 || bits.data[0] != 0) /* unused bits */
        return false;
    bits.data++;
    bits.len--;

    if (is_rsa)
        return parameters.len == 0 && parse_rsa(bits, key);
    return is(oid, OID(oid_ec_key)) && parse_point(parameters, bits, key);
}

enum kw_verdict kw_cert_parse(struct kw_bytes der, struct kw_cert_key *ret)
{
    struct kw_cert_key key = {0};
    struct kw_reader in = kw_reader_of_bytes(der);
    struct kw_reader cert = enter(&in, DER_SEQUENCE);
    struct kw_reader tbs = enter(&cert, DER_SEQUENCE);

    if (kw_reader_left(&tbs) > 0 && *tbs.at == DER_VERSION)
        (void)read_element(&tbs, DER_VERSION);
    (void)read_element(&tbs, DER_INTEGER);  /* serial */
    (void)read_element(&tbs, DER_SEQUENCE); /* signature algorithm */
    (void)read_element(&tbs, DER_SEQUENCE); /* issuer */
    (void)read_element(&tbs, DER_SEQUENCE); /* validity */
    (void)read_element(&tbs, DER_SEQUENCE); /* subject */
    if (tbs.failed)
        return in.failed ? KW_DROP_TRUNCATED : KW_DROP_MALFORMED;
    if (!parse_spki(&tbs, &key))
        return KW_DROP_MALFORMED;

    (void)read_element(&cert, DER_SEQUENCE);   /* signature algorithm */
    (void)read_element(&cert, DER_BIT_STRING); /* signature */
    if (!kw_reader_done(&cert) || !kw_reader_done(&in))
        return KW_DROP_MALFORMED;

    *ret = key;
    return KW_ACCEPT;
}

/* Opens an element whose length is filled in by close_element(); nothing here is over 64 KiB. */
static size_t open_element(struct kw_writer *out, uint8_t tag)
{
    kw_write_u8(out, tag);
    return kw_write_open(out, 1);
}

/* DER wants the shortest length, so the body moves up when one byte is not enough. */
static void close_element(struct kw_writer *out, size_t mark)
{
    size_t body_len, extra;

    if (out->failed)
        return;
    body_len = out->len - mark - 1;
    extra = body_len < 0x80 ? 0 : body_len < 0x100 ? 1 : 2;
    KW_ASSERT(body_len < 0x10000);
    if (extra != 0 && kw_write_room(out, extra) != NULL) {
        uint8_t *at = out->start + mark;

        memmove(at + 1 + extra, at + 1, body_len);
        at[0] = (uint8_t)(0x80 | extra);
        for (size_t i = 0; i < extra; i++)
            at[1 + i] = (uint8_t)(body_len >> (8 * (extra - 1 - i)));
    } else if (extra == 0) {
        out->start[mark] = (uint8_t)body_len;
    }
}

static void write_element(struct kw_writer *out, uint8_t tag, struct kw_bytes body)
{
    size_t mark = open_element(out, tag);

    kw_write_bytes(out, body);
    close_element(out, mark);
}

static void write_ecdsa_sha256(struct kw_writer *out)
{
    size_t mark = open_element(out, DER_SEQUENCE);

    write_element(out, DER_OID, OID(oid_ecdsa_sha256));
    close_element(out, mark);
}

static void write_name(struct kw_writer *out)
{
    static const uint8_t text[] = {'k', 'e', 'y', 'w', 'h', 'e', 'e', 'l'};
    size_t name = open_element(out, DER_SEQUENCE);
    size_t set = open_element(out, DER_SET);
    size_t pair = open_element(out, DER_SEQUENCE);

    write_element(out, DER_OID, OID(oid_common_name));
    write_element(out, DER_UTF8_STRING, OID(text));
    close_element(out, pair);
    close_element(out, set);
    close_element(out, name);
}

static void write_digits(struct kw_writer *out, unsigned value, unsigned count)
{
    unsigned scale = count == 4 ? 1000 : 10;

    for (; scale > 0; scale /= 10)
        kw_write_u8(out, (uint8_t)('0' + value / scale % 10));
}

/*
 * RFC 5280, section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. The date is
 * counted in years that begin on the first of March, so that the leap day comes last.
 */
static void write_time(struct kw_writer *out, kw_utc_ms utc)
{
    uint64_t seconds = (uint64_t)utc / 1000;
    unsigned clock = (unsigned)(seconds % 86400);
    uint64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    uint64_t era = days / 146097;             /* of 400 years */
    unsigned day_of_era = (unsigned)(days % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153; /* 0 is March */
    unsigned day = day_of_year - (153 * shifted + 2) / 5 + 1;
    unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
    unsigned year = (unsigned)(400 * era) + year_of_era + (month <= 2 ? 1 : 0);
    size_t mark;

    KW_ASSERT(utc >= 0 && year <= 9999);
    mark = open_element(out, year < 2050 ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    if (year < 2050)
        write_digits(out, year % 100, 2);
    else
        write_digits(out, year, 4);
    write_digits(out, month, 2);
    write_digits(out, day, 2);
    write_digits(out, clock / 3600, 2);
    write_digits(out, clock / 60 % 60, 2);
    write_digits(out, clock % 60, 2);
    kw_write_u8(out, 'Z');
    close_element(out, mark);
}

static void write_bit_string(struct kw_writer *out, struct kw_bytes bits)
{
    size_t mark = open_element(out, DER_BIT_STRING);

    kw_write_u8(out, 0);
    kw_write_bytes(out, bits);
    close_element(out, mark);
}

static void write_spki(struct kw_writer *out, const uint8_t point[KW_CERT_POINT_LEN])
{
    size_t spki = open_element(out, DER_SEQUENCE);
    size_t algorithm = open_element(out, DER_SEQUENCE);

    write_element(out, DER_OID, OID(oid_ec_key));
    write_element(out, DER_OID, OID(oid_p256));
    close_element(out, algorithm);
    write_bit_string(out, (struct kw_bytes){point, KW_CERT_POINT_LEN});
    close_element(out, spki);
}

size_t kw_cert_write_tbs(const struct kw_cert_fields *fields, uint8_t *dst, size_t dst_size)
{
    static const uint8_t v3[] = {DER_INTEGER, 1, 2};
    struct kw_writer out = kw_writer_of(dst, dst_size);
    uint8_t serial[KW_CERT_SERIAL_LEN];
    size_t tbs, validity;

    /* A positive number of full length: top bit 0, the next one 1. */
    memcpy(serial, fields->serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);

    tbs = open_element(&out, DER_SEQUENCE);
    write_element(&out, DER_VERSION, OID(v3));
    write_element(&out, DER_INTEGER, OID(serial));
    write_ecdsa_sha256(&out);
    write_name(&out); /* issuer */
    validity = open_element(&out, DER_SEQUENCE);
    write_time(&out, fields->not_before);
    write_time(&out, fields->not_after);
    close_element(&out, validity);
    write_name(&out); /* subject */
    write_spki(&out, fields->point);
    close_element(&out, tbs);
    return kw_writer_view(&out).len;
}

size_t kw_cert_write(struct kw_bytes tbs, struct kw_bytes signature, uint8_t *dst, size_t dst_size)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);
    size_t cert = open_element(&out, DER_SEQUENCE);

    kw_write_bytes(&out, tbs);
    write_ecdsa_sha256(&out);
    write_bit_string(&out, signature);
    close_element(&out, cert);
    return kw_writer_view(&out).len;
}
