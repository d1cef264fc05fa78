/* SPDX-License-Identifier: Apache-2.0 */
/* RTP and RTCP on the wire: headers, extensions, compounds, video descriptors, times. */
#include "check.h"

#include "rtp/rtcp.h"
#include "rtp/rtp.h"
#include "rtp/video.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(text) ((struct kw_bytes){(const uint8_t *)(text), sizeof(text) - 1})

/* ---- RTP ------------------------------------------------------------------------------------- */

/* V=2, P, X, two CSRCs, marker, type 111; extension of one word; payload "payl", padding of 4 */
static const char whole[] = "\xb2\xef\x12\x34\x00\x00\x10\x00\xca\xfe\xba\xbe"
                            "\x00\x00\x00\x01\x00\x00\x00\x02"
                            "\xbe\xde\x00\x01\x10\xaa\x00\x00"
                            "payl\x00\x00\x00\x04";
enum { WHOLE_LEN = sizeof whole - 1 };

static void a_header_with_everything(void **state)
{
    struct kw_bytes value;
    struct kw_rtp rtp;

    (void)state;
    assert_int_equal(kw_rtp_parse((const uint8_t *)whole, WHOLE_LEN, &rtp), KW_ACCEPT);
    assert_true(rtp.marker && rtp.has_ext);
    assert_int_equal(rtp.payload_type, 111);
    assert_int_equal(rtp.seq, 0x1234);
    assert_int_equal(rtp.timestamp, 0x1000);
    assert_int_equal(rtp.ssrc, 0xcafebabe);
    assert_int_equal(rtp.header_len, 28);
    assert_int_equal(rtp.payload.len, 4);
    assert_memory_equal(rtp.payload.data, "payl", 4);
    assert_true(kw_rtp_ext_find(&rtp, 1, &value));
    assert_int_equal(value.len, 1);
    assert_int_equal(value.data[0], 0xaa);
    assert_false(kw_rtp_ext_find(&rtp, 2, &value));
    assert_false(kw_rtp_ext_find(&rtp, 0, &value));
}

static void every_truncation(void **state)
{
    struct kw_rtp rtp;

    (void)state;
    for (size_t cut = 0; cut < WHOLE_LEN; cut++) {
        uint8_t *copy = malloc(cut + 1);
        enum kw_verdict verdict;

        memcpy(copy, whole, cut);
        verdict = kw_rtp_parse(copy, cut, &rtp);
        if (cut < 28)
            CHECK(verdict == KW_DROP_TRUNCATED, "cut %zu", cut);
        else if (cut == 28)
            assert_int_equal(verdict, KW_DROP_MALFORMED); /* padding without payload */
        free(copy);
    }
}

static const struct {
    struct kw_bytes packet;
    enum kw_verdict verdict;
    const char *why;
} packets[] = {
    {{(const uint8_t *)"\x80\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01", 12}, KW_ACCEPT, "bare"},
    {{(const uint8_t *)"\x40\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01", 12},
     KW_DROP_FOREIGN,
     "version 1"},
    {{(const uint8_t *)"\xa0\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00", 13},
     KW_DROP_MALFORMED,
     "padding of 0"},
    {{(const uint8_t *)"\xa0\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x02", 13},
     KW_DROP_MALFORMED,
     "padding beyond the payload"},
    {{(const uint8_t *)"\xa0\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x01", 13},
     KW_ACCEPT,
     "padding only"},
    {{(const uint8_t *)"\x8f\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01", 12},
     KW_DROP_TRUNCATED,
     "15 CSRCs missing"},
    {{(const uint8_t *)"\x90\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\xbe\xde\xff\xff", 16},
     KW_DROP_TRUNCATED,
     "an extension of 256 KiB"},
};

static void odd_packets(void **state)
{
    struct kw_rtp rtp;

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(packets); i++) {
        enum kw_verdict verdict = kw_rtp_parse(packets[i].packet.data, packets[i].packet.len, &rtp);

        CHECK(verdict == packets[i].verdict, "%s: %s", packets[i].why, kw_verdict_name(verdict));
    }
}

/* Puts an extension behind a bare header. */
static size_t with_ext(uint8_t *packet, uint16_t profile, const char *body, size_t body_len)
{
    static const uint8_t head[12] = {0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};

    assert_int_equal(body_len % 4, 0);
    memcpy(packet, head, 12);
    packet[12] = (uint8_t)(profile >> 8);
    packet[13] = (uint8_t)profile;
    packet[14] = 0;
    packet[15] = (uint8_t)(body_len / 4);
    memcpy(packet + 16, body, body_len);
    return 16 + body_len;
}

static void extensions_are_walked_and_mapped(void **state)
{
    static const struct {
        uint16_t profile;
        const char *body;
        size_t len;
        uint8_t ids[4];
        const char *mapped; /* 1 -> 3, 2 -> 0, 3 -> 20 */
        const char *why;
    } rows[] = {
        {0xbede, "\x10\xaa\x21\xbb\xbb\x00\x00\x00", 8, {1, 2}, "\x30\xaa\0\0\0\0\0\0", "two"},
        {0xbede, "\x00\x10\xaa\x00\x21\xbb\xbb\x00", 8, {1, 2}, "\0\x30\xaa\0\0\0\0\0", "padded"},
        {0xbede,
         "\x10\xaa\xf0\xbb\x10\xcc\x00\x00",
         8,
         {1},
         "\x30\xaa\xf0\xbb\x10\xcc\0\0",
         "id 15 ends"},
        {0xbede, "\x10\xaa\x1f\xbb", 4, {1}, "\x30\xaa\x1f\xbb", "runs over the end"},
        {0xbede, "\x30\xaa\x00\x00", 4, {3}, "\0\0\0\0", "20 does not fit one byte"},
        {0x1000,
         "\x01\x01\xaa\x02\x00\x00\x00\x00",
         8,
         {1, 2},
         "\x03\x01\xaa\0\0\0\0\0",
         "two-byte, an empty one"},
        {0x1000, "\x03\x01\xaa\x00", 4, {3}, "\x14\x01\xaa\x00", "two-byte takes 20"},
        {0x1000, "\x01\x09\xaa\x00", 4, {0}, "\x01\x09\xaa\x00", "two-byte runs over"},
        {0x1000, "\x00\x00\x00\x01", 4, {0}, "\x00\x00\x00\x01", "an id without a length"},
        {0x1234, "\x10\xaa\x00\x00", 4, {0}, "\x10\xaa\x00\x00", "another profile"},
    };
    uint8_t map[256] = {[1] = 3, [3] = 20};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t packet[64];
        size_t len = with_ext(packet, rows[i].profile, rows[i].body, rows[i].len), found = 0;
        struct kw_rtp_ext ext = {0};
        struct kw_rtp rtp;

        assert_int_equal(kw_rtp_parse(packet, len, &rtp), KW_ACCEPT);
        while (kw_rtp_ext_next(&rtp, &ext)) {
            CHECK(found < 4 && ext.id == rows[i].ids[found], "%s: id %u", rows[i].why, ext.id);
            found++;
        }
        CHECK(found == 4 || rows[i].ids[found] == 0, "%s: %zu found", rows[i].why, found);
        kw_rtp_ext_map(packet, &rtp, map);
        CHECK(memcmp(packet + 16, rows[i].mapped, rows[i].len) == 0, "%s", rows[i].why);
    }
}

static void numbers_are_set_in_place(void **state)
{
    uint8_t packet[WHOLE_LEN];
    struct kw_rtp rtp;

    (void)state;
    memcpy(packet, whole, WHOLE_LEN);
    kw_rtp_set_payload_type(packet, 96);
    kw_rtp_set_seq(packet, 0xfffe);
    kw_rtp_set_timestamp(packet, 0x89abcdef);
    kw_rtp_set_ssrc(packet, 0x01020304);
    assert_int_equal(kw_rtp_parse(packet, WHOLE_LEN, &rtp), KW_ACCEPT);
    assert_true(rtp.marker);
    assert_int_equal(rtp.payload_type, 96);
    assert_int_equal(rtp.seq, 0xfffe);
    assert_int_equal(rtp.timestamp, 0x89abcdef);
    assert_int_equal(rtp.ssrc, 0x01020304);
}

static void ntp_there_and_back(void **state)
{
    static const kw_ns times[] = {0, 1, 999999999, KW_S(1), KW_MS(1500), KW_S(4000000000) + 17};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(times); i++)
        assert_true(kw_ntp_to_ns(kw_ntp_from_ns(times[i])) == times[i]);
    assert_true(kw_ntp_from_ns(KW_MS(500)) == 0x80000000);
    assert_int_equal(kw_ntp_middle(0x1122334455667788), 0x33445566);
}

/* ---- RTCP ------------------------------------------------------------------------------------ */

static size_t compound(uint8_t *dst, size_t dst_size)
{
    struct kw_rtcp_sender sender = {
        .ntp = 0x1122334455667788, .timestamp = 99, .packets = 7, .octets = 700};
    struct kw_rtcp_block blocks[2] = {
        {.ssrc = 1, .fraction_lost = 128, .lost = -5, .highest = 70000, .jitter = 3},
        {.ssrc = 2, .lost = 0x7fffff, .lsr = 4, .dlsr = 5},
    };
    struct kw_writer out = kw_writer_of(dst, dst_size);

    kw_rtcp_write_sr(&out, 0xaaaaaaaa, &sender, blocks, 2);
    kw_rtcp_write_rr(&out, 0xbbbbbbbb, blocks, 1);
    kw_rtcp_write_cname(&out, 0xaaaaaaaa, BYTES("someone"));
    kw_rtcp_write_cname(&out, 0xbbbbbbbb, BYTES("so"));
    kw_rtcp_write_pli(&out, 1, 2);
    kw_rtcp_write_fir(&out, 1, 3, 9);
    kw_rtcp_write_nack(&out, 1, 2, 500, 0x8001);
    kw_rtcp_write_bye(&out, 0xcccccccc);
    return kw_writer_view(&out).len;
}

static void a_compound_is_read_back(void **state)
{
    uint8_t data[512];
    size_t len = compound(data, sizeof data);
    struct kw_reader in = kw_reader_of(data, len);
    struct kw_rtcp_block block;
    struct kw_bytes cname;
    struct kw_rtcp rtcp;
    uint16_t seq, mask;
    uint8_t command;
    uint32_t ssrc;

    (void)state;
    assert_int_not_equal(len, 0);
    assert_int_equal(kw_rtcp_check(data, len), KW_ACCEPT);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_SR);
    assert_int_equal(rtcp.ssrc, 0xaaaaaaaa);
    assert_true(rtcp.sender.ntp == 0x1122334455667788);
    assert_int_equal(rtcp.sender.octets, 700);
    assert_true(kw_rtcp_block_next(&rtcp.blocks, &block));
    assert_int_equal(block.lost, -5);
    assert_int_equal(block.fraction_lost, 128);
    assert_int_equal(block.highest, 70000);
    assert_true(kw_rtcp_block_next(&rtcp.blocks, &block));
    assert_int_equal(block.lost, 0x7fffff);
    assert_int_equal(block.dlsr, 5);
    assert_false(kw_rtcp_block_next(&rtcp.blocks, &block));
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_RR);
    assert_int_equal(rtcp.ssrc, 0xbbbbbbbb);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_true(kw_rtcp_cname(&rtcp, 0xaaaaaaaa, &cname));
    assert_int_equal(cname.len, 7);
    assert_false(kw_rtcp_cname(&rtcp, 1, &cname));
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_true(kw_rtcp_cname(&rtcp, 0xbbbbbbbb, &cname));
    assert_int_equal(cname.len, 2);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_PSFB);
    assert_int_equal(rtcp.count, KW_RTCP_FMT_PLI);
    assert_int_equal(rtcp.media_ssrc, 2);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.count, KW_RTCP_FMT_FIR);
    assert_true(kw_rtcp_fir_next(&rtcp.items, &ssrc, &command));
    assert_int_equal(ssrc, 3);
    assert_int_equal(command, 9);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_RTPFB);
    assert_true(kw_rtcp_nack_next(&rtcp.items, &seq, &mask));
    assert_int_equal(seq, 500);
    assert_int_equal(mask, 0x8001);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_BYE);
    assert_int_equal(rtcp.ssrc, 0xcccccccc);
    assert_false(kw_rtcp_next(&in, &rtcp));
}

/* Reads everything that there is, as a user would. */
static void read_all(const uint8_t *data, size_t len)
{
    struct kw_reader in = kw_reader_of(data, len);
    struct kw_rtcp_block block;
    struct kw_bytes cname;
    struct kw_rtcp rtcp;
    uint16_t seq, mask;
    uint8_t command;
    uint32_t ssrc;

    while (kw_rtcp_next(&in, &rtcp)) {
        struct kw_bytes items = rtcp.items;

        (void)!kw_rtcp_cname(&rtcp, rtcp.ssrc, &cname);
        while (kw_rtcp_block_next(&rtcp.blocks, &block) || kw_rtcp_bye_next(&items, &ssrc))
            continue;
        for (items = rtcp.items; kw_rtcp_nack_next(&items, &seq, &mask);)
            continue;
        for (items = rtcp.items; kw_rtcp_fir_next(&items, &ssrc, &command);)
            continue;
    }
}

static void rtcp_truncations_and_bent_lengths(void **state)
{
    uint8_t data[512];
    size_t len = compound(data, sizeof data);

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1);

        memcpy(copy, data, cut);
        if (cut % 4 != 0)
            assert_int_not_equal(kw_rtcp_check(copy, cut), KW_ACCEPT);
        read_all(copy, cut);
        free(copy);
    }
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(len);

            memcpy(copy, data, len);
            copy[at] ^= (uint8_t)(1 << bit);
            (void)!kw_rtcp_check(copy, len);
            read_all(copy, len);
            free(copy);
        }
    }
}

static void odd_compounds(void **state)
{
    static const struct {
        struct kw_bytes packet;
        enum kw_verdict verdict;
        const char *why;
    } rows[] = {
        {{(const uint8_t *)"\x80\xc9\x00\x01\x00\x00\x00\x01", 8}, KW_ACCEPT, "an empty RR"},
        {{(const uint8_t *)"\x40\xc9\x00\x01\x00\x00\x00\x01", 8}, KW_DROP_FOREIGN, "version 1"},
        {{(const uint8_t *)"\x81\xc9\x00\x01\x00\x00\x00\x01", 8},
         KW_DROP_MALFORMED,
         "a block that is not there"},
        {{(const uint8_t *)"\x80\xc8\x00\x01\x00\x00\x00\x01", 8}, KW_DROP_MALFORMED, "a short SR"},
        {{(const uint8_t *)"\x82\xcb\x00\x01\x00\x00\x00\x01", 8},
         KW_DROP_MALFORMED,
         "a short BYE"},
        {{(const uint8_t *)"\x81\xce\x00\x01\x00\x00\x00\x01", 8},
         KW_DROP_MALFORMED,
         "a short PLI"},
        {{(const uint8_t *)"\x80\xc9\x00\x02\x00\x00\x00\x01", 8}, KW_DROP_TRUNCATED, "too long"},
        {{(const uint8_t *)"\xa0\xc9\x00\x02\x00\x00\x00\x01\x00\x00\x00\x04", 12},
         KW_ACCEPT,
         "padded"},
        {{(const uint8_t *)"\xa0\xc9\x00\x02\x00\x00\x00\x01\x00\x00\x00\x03", 12},
         KW_DROP_MALFORMED,
         "padding of 3"},
        {{(const uint8_t *)"\xa0\xc9\x00\x02\x00\x00\x00\x01\x00\x00\x00\x0c", 12},
         KW_DROP_MALFORMED,
         "padding beyond the packet"},
        {{(const uint8_t *)"\xa0\xc9\x00\x02\x00\x00\x00\x01\x00\x00\x00\x04"
                           "\x80\xc9\x00\x01\x00\x00\x00\x01",
          20},
         KW_DROP_MALFORMED,
         "padding before the end"},
        {{(const uint8_t *)"\x80\xcf\x00\x01\x00\x00\x00\x01", 8}, KW_ACCEPT, "XR is passed over"},
        {{(const uint8_t *)"\x80\xc9\x00\x00", 4}, KW_DROP_TRUNCATED, "four bytes"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        enum kw_verdict verdict = kw_rtcp_check(rows[i].packet.data, rows[i].packet.len);

        CHECK(verdict == rows[i].verdict, "%s: %s", rows[i].why, kw_verdict_name(verdict));
    }
}

static void rtcp_rooms_that_are_too_small(void **state)
{
    uint8_t data[512];
    size_t len = compound(data, sizeof data);

    (void)state;
    for (size_t size = 0; size < len; size++)
        assert_int_equal(compound(data, size), 0);
}

/* ---- video ----------------------------------------------------------------------------------- */

static const struct {
    enum kw_video_codec codec;
    struct kw_bytes payload;
    enum kw_verdict verdict;
    bool key;
    uint8_t bits;
    uint16_t id;
    int tl0; /* -1: none */
    const char *why;
} videos[] = {
#define ROW(codec, text, verdict, key, bits, id, tl0, why)                                         \
    {                                                                                              \
        codec, {(const uint8_t *)text, sizeof text - 1}, verdict, key, bits, id, tl0, why          \
    }
    ROW(KW_VIDEO_VP8, "\x10\x00", KW_ACCEPT, true, 0, 0, -1, "a bare key frame"),
    ROW(KW_VIDEO_VP8, "\x10\x01", KW_ACCEPT, false, 0, 0, -1, "an inter frame"),
    ROW(KW_VIDEO_VP8, "\x00\x00", KW_ACCEPT, false, 0, 0, -1, "not the start of a partition"),
    ROW(KW_VIDEO_VP8, "\x11\x00", KW_ACCEPT, false, 0, 0, -1, "the second partition"),
    ROW(KW_VIDEO_VP8, "\x90\x80\x7f\x00", KW_ACCEPT, true, 7, 127, -1, "7 bits"),
    ROW(KW_VIDEO_VP8, "\x90\xe0\xff\xfe\x2a\x00\x00", KW_ACCEPT, true, 15, 0x7ffe, 0x2a,
        "15 bits, TL0, TID"),
    ROW(KW_VIDEO_VP8, "\x90\x10\x00\x00", KW_ACCEPT, true, 0, 0, -1, "KEYIDX only"),
    ROW(KW_VIDEO_VP8, "\x90\x80\x80", KW_DROP_TRUNCATED, false, 0, 0, -1, "cut in the id"),
    ROW(KW_VIDEO_VP8, "\x90", KW_DROP_TRUNCATED, false, 0, 0, -1, "cut behind X"),
    ROW(KW_VIDEO_VP8, "", KW_DROP_TRUNCATED, false, 0, 0, -1, "empty"),
    ROW(KW_VIDEO_VP9, "\x88\x81", KW_DROP_TRUNCATED, false, 0, 0, -1, "cut"),
    ROW(KW_VIDEO_VP9, "\x88\x81\x02", KW_ACCEPT, true, 15, 0x102, -1, "a key frame"),
    ROW(KW_VIDEO_VP9, "\xc8\x05", KW_ACCEPT, false, 7, 5, -1, "predicted"),
    ROW(KW_VIDEO_VP9, "\x80\x05", KW_ACCEPT, false, 7, 5, -1, "not the beginning"),
    ROW(KW_VIDEO_VP9, "\xa8\x05\x00\x33", KW_ACCEPT, true, 7, 5, 0x33, "layers, TL0"),
    ROW(KW_VIDEO_VP9, "\xa8\x05\x02\x33", KW_ACCEPT, false, 7, 5, 0x33, "an upper layer"),
    ROW(KW_VIDEO_VP9, "\xb8\x05\x00", KW_ACCEPT, true, 7, 5, -1, "flexible mode has no TL0"),
    ROW(KW_VIDEO_H264, "\x65\x88", KW_ACCEPT, true, 0, 0, -1, "IDR"),
    ROW(KW_VIDEO_H264, "\x67\x42", KW_ACCEPT, true, 0, 0, -1, "SPS"),
    ROW(KW_VIDEO_H264, "\x41\x9a", KW_ACCEPT, false, 0, 0, -1, "a P slice"),
    ROW(KW_VIDEO_H264, "\x78\x00\x02\x67\x42\x00\x01\x68", KW_ACCEPT, true, 0, 0, -1,
        "STAP-A with SPS"),
    ROW(KW_VIDEO_H264, "\x78\x00\x01\x41\x00\x00\x00\x01\x65", KW_ACCEPT, true, 0, 0, -1,
        "STAP-A, an empty unit, IDR"),
    ROW(KW_VIDEO_H264, "\x78\x00\x09\x67", KW_DROP_TRUNCATED, false, 0, 0, -1, "STAP-A cut"),
    ROW(KW_VIDEO_H264, "\x7c\x85\x88", KW_ACCEPT, true, 0, 0, -1, "FU-A begins an IDR"),
    ROW(KW_VIDEO_H264, "\x7c\x05\x88", KW_ACCEPT, false, 0, 0, -1, "FU-A goes on"),
    ROW(KW_VIDEO_H264, "\x7c", KW_DROP_TRUNCATED, false, 0, 0, -1, "FU-A cut"),
    ROW(KW_VIDEO_AV1, "\x18", KW_ACCEPT, true, 0, 0, -1, "a new sequence"),
    ROW(KW_VIDEO_AV1, "\x10", KW_ACCEPT, false, 0, 0, -1, "the same sequence"),
    ROW(KW_VIDEO_AV1, "\x98", KW_ACCEPT, false, 0, 0, -1, "continues an OBU"),
    ROW(KW_VIDEO_AV1, "", KW_DROP_TRUNCATED, false, 0, 0, -1, "empty"),
    ROW(KW_VIDEO_NONE, "", KW_ACCEPT, false, 0, 0, -1, "no codec that we know"),
#undef ROW
};

static void video_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(videos); i++) {
        struct kw_bytes payload = videos[i].payload;
        uint8_t *copy = malloc(payload.len + 1);
        struct kw_video video = {0};
        enum kw_verdict verdict;

        memcpy(copy, payload.data, payload.len);
        verdict = kw_video_parse(videos[i].codec, (struct kw_bytes){copy, payload.len}, &video);
        CHECK(verdict == videos[i].verdict, "%s: %s", videos[i].why, kw_verdict_name(verdict));
        CHECK(video.starts_key_frame == videos[i].key, "%s: key", videos[i].why);
        CHECK(video.picture_id_bits == videos[i].bits, "%s: bits", videos[i].why);
        CHECK(kw_video_picture_id(&video, copy) == videos[i].id, "%s: id", videos[i].why);
        CHECK(video.has_tl0 == (videos[i].tl0 >= 0), "%s: TL0", videos[i].why);
        CHECK(!video.has_tl0 || copy[video.tl0_at] == videos[i].tl0, "%s: TL0", videos[i].why);
        kw_video_set_picture_id(&video, copy, (uint16_t)(videos[i].id + 1));
        CHECK(kw_video_picture_id(&video, copy) ==
                  ((videos[i].id + 1) & ((1 << videos[i].bits) - 1)),
              "%s: id set", videos[i].why);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_with_everything),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(odd_packets),
        cmocka_unit_test(extensions_are_walked_and_mapped),
        cmocka_unit_test(numbers_are_set_in_place),
        cmocka_unit_test(ntp_there_and_back),
        cmocka_unit_test(a_compound_is_read_back),
        cmocka_unit_test(rtcp_truncations_and_bent_lengths),
        cmocka_unit_test(odd_compounds),
        cmocka_unit_test(rtcp_rooms_that_are_too_small),
        cmocka_unit_test(video_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
