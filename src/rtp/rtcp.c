/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3550 section 6.4: V P count, type, length in words minus one. A compound is a row of such
 * packets. check() looks at every length once; next() then only walks.
 */
#include "rtp/rtcp.h"

#include "base/assert.h"

enum { BLOCK_LEN = 24, SENDER_LEN = 20, SDES_CNAME = 1 };

struct frame {
    bool padded;
    uint8_t count;
    uint8_t type;
    struct kw_bytes body;
};

/* One packet's frame, its padding taken off. */
static enum kw_verdict next_frame(struct kw_reader *in, struct frame *ret)
{
    uint8_t flags = kw_read_u8(in);

    ret->padded = (flags & 0x20) != 0;
    ret->count = flags & 0x1f;
    ret->type = kw_read_u8(in);
    ret->body = kw_read_bytes(in, 4 * (size_t)kw_read_u16(in));
    if (in->failed)
        return KW_DROP_TRUNCATED;
    if (flags >> 6 != 2)
        return KW_DROP_FOREIGN;
    if (ret->padded) {
        uint8_t padding = ret->body.len != 0 ? ret->body.data[ret->body.len - 1] : 0;

        if (padding == 0 || padding % 4 != 0 || padding > ret->body.len)
            return KW_DROP_MALFORMED;
        ret->body.len -= padding;
    }
    return KW_ACCEPT;
}

static size_t least_body(const struct frame *frame)
{
    switch (frame->type) {
    case KW_RTCP_SR:
        return 4 + SENDER_LEN + BLOCK_LEN * (size_t)frame->count;
    case KW_RTCP_RR:
        return 4 + BLOCK_LEN * (size_t)frame->count;
    case KW_RTCP_BYE:
        return 4 * (size_t)frame->count;
    case KW_RTCP_APP:
    case KW_RTCP_RTPFB:
    case KW_RTCP_PSFB:
        return 8;
    default:
        return 0; /* SDES is walked, XR and others are skipped */
    }
}

enum kw_verdict kw_rtcp_check(const uint8_t *packet, size_t len)
{
    struct kw_reader in = kw_reader_of(packet, len);

    if (len < 8)
        return KW_DROP_TRUNCATED;
    while (kw_reader_left(&in) != 0) {
        struct frame frame;
        enum kw_verdict verdict = next_frame(&in, &frame);

        if (verdict != KW_ACCEPT)
            return verdict;
        if (frame.body.len < least_body(&frame))
            return KW_DROP_MALFORMED;
        /* RFC 3550 appendix A.2: only the last packet may be padded. */
        if (frame.padded && kw_reader_left(&in) != 0)
            return KW_DROP_MALFORMED;
    }
    return KW_ACCEPT;
}

bool kw_rtcp_next(struct kw_reader *in, struct kw_rtcp *ret)
{
    struct kw_rtcp made = {0};
    struct kw_reader body;
    struct frame frame;

    if (kw_reader_left(in) == 0 || next_frame(in, &frame) != KW_ACCEPT ||
        frame.body.len < least_body(&frame))
        return false;
    made.type = frame.type;
    made.count = frame.count;
    body = kw_reader_of_bytes(frame.body);

    switch (frame.type) {
    case KW_RTCP_SR:
        made.ssrc = kw_read_u32(&body);
        made.sender.ntp = kw_read_u64(&body);
        made.sender.timestamp = kw_read_u32(&body);
        made.sender.packets = kw_read_u32(&body);
        made.sender.octets = kw_read_u32(&body);
        made.blocks = kw_read_bytes(&body, BLOCK_LEN * (size_t)frame.count);
        break;
    case KW_RTCP_RR:
        made.ssrc = kw_read_u32(&body);
        made.blocks = kw_read_bytes(&body, BLOCK_LEN * (size_t)frame.count);
        break;
    case KW_RTCP_BYE:
        made.items = kw_read_bytes(&body, 4 * (size_t)frame.count);
        if (frame.count != 0) {
            struct kw_bytes first = made.items;

            (void)!kw_rtcp_bye_next(&first, &made.ssrc);
        }
        break;
    case KW_RTCP_SDES:
        made.items = frame.body;
        made.ssrc = kw_read_u32(&body); /* 0 when there is no chunk */
        break;
    case KW_RTCP_APP:
    case KW_RTCP_RTPFB:
    case KW_RTCP_PSFB:
        made.ssrc = kw_read_u32(&body);
        made.media_ssrc = kw_read_u32(&body);
        made.items = kw_read_bytes(&body, kw_reader_left(&body));
        break;
    default:
        break;
    }
    *ret = made;
    return true;
}

/* Takes `len` bytes off the front. */
static bool take(struct kw_bytes *from, size_t len, struct kw_reader *ret)
{
    if (from->len < len)
        return false;
    *ret = kw_reader_of(from->data, len);
    from->data += len;
    from->len -= len;
    return true;
}

bool kw_rtcp_block_next(struct kw_bytes *blocks, struct kw_rtcp_block *ret)
{
    struct kw_reader in;

    if (!take(blocks, BLOCK_LEN, &in))
        return false;
    ret->ssrc = kw_read_u32(&in);
    ret->fraction_lost = kw_read_u8(&in);
    ret->lost = (int32_t)(kw_read_u24(&in) << 8) >> 8;
    ret->highest = kw_read_u32(&in);
    ret->jitter = kw_read_u32(&in);
    ret->lsr = kw_read_u32(&in);
    ret->dlsr = kw_read_u32(&in);
    return true;
}

bool kw_rtcp_bye_next(struct kw_bytes *items, uint32_t *ret)
{
    struct kw_reader in;

    if (!take(items, 4, &in))
        return false;
    *ret = kw_read_u32(&in);
    return true;
}

bool kw_rtcp_nack_next(struct kw_bytes *items, uint16_t *seq, uint16_t *mask)
{
    struct kw_reader in;

    if (!take(items, 4, &in))
        return false;
    *seq = kw_read_u16(&in);
    *mask = kw_read_u16(&in);
    return true;
}

bool kw_rtcp_fir_next(struct kw_bytes *items, uint32_t *ssrc, uint8_t *command)
{
    struct kw_reader in;

    if (!take(items, 8, &in))
        return false;
    *ssrc = kw_read_u32(&in);
    *command = kw_read_u8(&in);
    return true;
}

/* RFC 3550 section 6.5: chunks of an SSRC and items; a zero ends a chunk, padded to four bytes. */
bool kw_rtcp_cname(const struct kw_rtcp *sdes, uint32_t ssrc, struct kw_bytes *ret)
{
    struct kw_reader in = kw_reader_of_bytes(sdes->items);

    for (uint8_t chunk = 0; chunk < sdes->count && !in.failed; chunk++) {
        bool is_wanted = kw_read_u32(&in) == ssrc;

        while (!in.failed) {
            uint8_t type = kw_read_u8(&in);
            struct kw_bytes text;

            if (type == 0)
                break;
            text = kw_read_vector(&in, 1);
            if (type == SDES_CNAME && is_wanted && !in.failed) {
                *ret = text;
                return true;
            }
        }
        kw_read_bytes(&in, kw_reader_left(&in) % 4);
    }
    return false;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t begin(struct kw_writer *out, uint8_t count, uint8_t type)
{
    size_t mark = out->len;

    kw_write_u8(out, (uint8_t)(0x80 | count));
    kw_write_u8(out, type);
    kw_write_u16(out, 0);
    return mark;
}

static void end(struct kw_writer *out, size_t mark)
{
    size_t words;

    if (out->failed)
        return;
    words = (out->len - mark) / 4 - 1;
    out->start[mark + 2] = (uint8_t)(words >> 8);
    out->start[mark + 3] = (uint8_t)words;
}

static void write_blocks(struct kw_writer *out, const struct kw_rtcp_block *blocks,
                         size_t block_count)
{
    for (size_t i = 0; i < block_count; i++) {
        kw_write_u32(out, blocks[i].ssrc);
        kw_write_u8(out, blocks[i].fraction_lost);
        kw_write_u24(out, (uint32_t)blocks[i].lost & 0xffffff);
        kw_write_u32(out, blocks[i].highest);
        kw_write_u32(out, blocks[i].jitter);
        kw_write_u32(out, blocks[i].lsr);
        kw_write_u32(out, blocks[i].dlsr);
    }
}

void kw_rtcp_write_sr(struct kw_writer *out, uint32_t ssrc, const struct kw_rtcp_sender *sender,
                      const struct kw_rtcp_block *blocks, size_t block_count)
{
    size_t mark;

    KW_ASSERT(block_count <= KW_RTCP_BLOCKS_MAX);
    mark = begin(out, (uint8_t)block_count, KW_RTCP_SR);
    kw_write_u32(out, ssrc);
    kw_write_u64(out, sender->ntp);
    kw_write_u32(out, sender->timestamp);
    kw_write_u32(out, sender->packets);
    kw_write_u32(out, sender->octets);
    write_blocks(out, blocks, block_count);
    end(out, mark);
}

void kw_rtcp_write_rr(struct kw_writer *out, uint32_t ssrc, const struct kw_rtcp_block *blocks,
                      size_t block_count)
{
    size_t mark;

    KW_ASSERT(block_count <= KW_RTCP_BLOCKS_MAX);
    mark = begin(out, (uint8_t)block_count, KW_RTCP_RR);
    kw_write_u32(out, ssrc);
    write_blocks(out, blocks, block_count);
    end(out, mark);
}

void kw_rtcp_write_cname(struct kw_writer *out, uint32_t ssrc, struct kw_bytes cname)
{
    size_t mark = begin(out, 1, KW_RTCP_SDES);

    cname.len = KW_MIN(cname.len, (size_t)KW_RTCP_CNAME_MAX);
    kw_write_u32(out, ssrc);
    kw_write_u8(out, SDES_CNAME);
    kw_write_vector(out, cname, 1);
    /* Section 6.5: one or more zeros end the list, up to the next word. */
    kw_write_uint(out, 0, 4 - (cname.len + 2) % 4);
    end(out, mark);
}

void kw_rtcp_write_bye(struct kw_writer *out, uint32_t ssrc)
{
    size_t mark = begin(out, 1, KW_RTCP_BYE);

    kw_write_u32(out, ssrc);
    end(out, mark);
}

void kw_rtcp_write_pli(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc)
{
    size_t mark = begin(out, KW_RTCP_FMT_PLI, KW_RTCP_PSFB);

    kw_write_u32(out, ssrc);
    kw_write_u32(out, media_ssrc);
    end(out, mark);
}

/* RFC 5104 section 4.3.1: the SSRC of the media stands in the entry, the header has zero. */
void kw_rtcp_write_fir(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc, uint8_t command)
{
    size_t mark = begin(out, KW_RTCP_FMT_FIR, KW_RTCP_PSFB);

    kw_write_u32(out, ssrc);
    kw_write_u32(out, 0);
    kw_write_u32(out, media_ssrc);
    kw_write_u8(out, command);
    kw_write_u24(out, 0);
    end(out, mark);
}

void kw_rtcp_write_nack(struct kw_writer *out, uint32_t ssrc, uint32_t media_ssrc, uint16_t seq,
                        uint16_t mask)
{
    size_t mark = begin(out, KW_RTCP_FMT_NACK, KW_RTCP_RTPFB);

    kw_write_u32(out, ssrc);
    kw_write_u32(out, media_ssrc);
    kw_write_u16(out, seq);
    kw_write_u16(out, mask);
    end(out, mark);
}
