/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3550 section 5.1: V P X CC, M PT, sequence number, timestamp, SSRC, CC CSRCs, then, with X, a
 * profile, a length in words and that many words; with P the last byte counts the padding.
 */
#include "rtp/rtp.h"

#include "base/reader.h"

#include <string.h>

enum rtp_bits { PADDING = 0x20, EXTENSION = 0x10, CSRC_COUNT = 0x0f, MARKER = 0x80 };

enum kw_verdict kw_rtp_parse(const uint8_t *packet, size_t len, struct kw_rtp *ret)
{
    struct kw_reader in = kw_reader_of(packet, len);
    struct kw_rtp rtp = {0};
    uint8_t flags = kw_read_u8(&in);
    uint8_t type = kw_read_u8(&in);
    size_t padding = 0;

    if (len != 0 && flags >> 6 != 2)
        return KW_DROP_FOREIGN;
    rtp.marker = (type & MARKER) != 0;
    rtp.payload_type = type & 0x7f;
    rtp.seq = kw_read_u16(&in);
    rtp.timestamp = kw_read_u32(&in);
    rtp.ssrc = kw_read_u32(&in);
    kw_read_bytes(&in, 4 * (size_t)(flags & CSRC_COUNT));
    if ((flags & EXTENSION) != 0) {
        rtp.has_ext = true;
        rtp.ext_profile = kw_read_u16(&in);
        rtp.ext = kw_read_bytes(&in, 4 * (size_t)kw_read_u16(&in));
    }
    if (in.failed)
        return KW_DROP_TRUNCATED;
    rtp.header_len = len - kw_reader_left(&in);

    /* Section 5.1: the count includes itself, so zero contradicts. */
    if ((flags & PADDING) != 0) {
        padding = packet[len - 1];
        if (padding == 0 || padding > kw_reader_left(&in))
            return KW_DROP_MALFORMED;
    }
    rtp.payload = kw_read_bytes(&in, kw_reader_left(&in) - padding);
    *ret = rtp;
    return KW_ACCEPT;
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

void kw_rtp_set_payload_type(uint8_t *packet, uint8_t payload_type)
{
    packet[1] = (uint8_t)((packet[1] & MARKER) | (payload_type & 0x7f));
}

void kw_rtp_set_seq(uint8_t *packet, uint16_t seq)
{
    put16(packet + 2, seq);
}

void kw_rtp_set_timestamp(uint8_t *packet, uint32_t timestamp)
{
    put32(packet + 4, timestamp);
}

void kw_rtp_set_ssrc(uint8_t *packet, uint32_t ssrc)
{
    put32(packet + 8, ssrc);
}

/* ---- header extensions ----------------------------------------------------------------------- */

static bool is_one_byte(const struct kw_rtp *rtp)
{
    return rtp->ext_profile == KW_RTP_EXT_ONE_BYTE;
}

static bool is_two_byte(const struct kw_rtp *rtp)
{
    return (rtp->ext_profile & 0xfff0) == KW_RTP_EXT_TWO_BYTE;
}

/*
 * RFC 8285 sections 4.2 and 4.3. A zero byte is padding; id 15 of the one-byte form ends the walk,
 * and so does an element that runs beyond the end.
 */
bool kw_rtp_ext_next(const struct kw_rtp *rtp, struct kw_rtp_ext *ext)
{
    const struct kw_bytes body = rtp->ext;
    bool one = is_one_byte(rtp);
    size_t at = ext->at, value_len;

    if (!rtp->has_ext || (!one && !is_two_byte(rtp)))
        return false;
    while (at < body.len && body.data[at] == 0)
        at++;
    if (at >= body.len)
        return false;

    ext->id_at = at;
    if (one) {
        ext->id = body.data[at] >> 4;
        value_len = (size_t)(body.data[at] & 15) + 1;
        at += 1;
        /* Section 4.2: an id of 0 with a length is to be ignored; 15 ends everything. */
        if (ext->id == 15)
            return false;
    } else {
        ext->id = body.data[at];
        if (body.len - at < 2)
            return false;
        value_len = body.data[at + 1];
        at += 2;
    }
    if (body.len - at < value_len)
        return false;
    ext->value = (struct kw_bytes){body.data + at, value_len};
    ext->at = at + value_len;
    return true;
}

bool kw_rtp_ext_find(const struct kw_rtp *rtp, uint8_t id, struct kw_bytes *ret)
{
    struct kw_rtp_ext ext = {0};

    while (id != 0 && kw_rtp_ext_next(rtp, &ext)) {
        if (ext.id == id) {
            *ret = ext.value;
            return true;
        }
    }
    return false;
}

void kw_rtp_ext_map(uint8_t *packet, const struct kw_rtp *rtp, const uint8_t *map)
{
    uint8_t *body = packet + rtp->header_len - rtp->ext.len;
    struct kw_rtp_ext ext = {0};

    while (kw_rtp_ext_next(rtp, &ext)) {
        uint8_t id = map[ext.id];

        if (id == 0 || ext.id == 0 || (is_one_byte(rtp) && id > 14))
            memset(body + ext.id_at, 0, ext.at - ext.id_at);
        else if (is_one_byte(rtp))
            body[ext.id_at] = (uint8_t)(id << 4 | (body[ext.id_at] & 15));
        else
            body[ext.id_at] = id;
    }
}

bool kw_rtp_abs_send_time(const struct kw_rtp *rtp, uint8_t id, uint32_t *ret)
{
    struct kw_bytes value;

    if (!kw_rtp_ext_find(rtp, id, &value) || value.len != 3)
        return false;
    *ret = (uint32_t)value.data[0] << 16 | (uint32_t)value.data[1] << 8 | value.data[2];
    return true;
}

/* ---- times ----------------------------------------------------------------------------------- */

uint64_t kw_ntp_from_ns(kw_ns ns)
{
    uint64_t seconds = ns / KW_S(1), rest = ns % KW_S(1);

    return seconds << 32 | (rest << 32) / KW_S(1);
}

kw_ns kw_ntp_to_ns(uint64_t ntp)
{
    uint64_t fraction = ntp & UINT32_MAX;

    return (ntp >> 32) * KW_S(1) + (fraction * KW_S(1) + UINT32_MAX) / ((uint64_t)1 << 32);
}

uint32_t kw_ntp_middle(uint64_t ntp)
{
    return (uint32_t)(ntp >> 16);
}
