/* SPDX-License-Identifier: Apache-2.0 */
/* RTP, its extensions, RTCP and video descriptors, and a splice fed with all of it. */
#include "rtp/rtcp.h"
#include "rtp/splice.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rtcp(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_rtcp_block block;
    struct kw_bytes cname;
    struct kw_rtcp rtcp;
    uint16_t seq, mask;
    uint8_t command;
    uint32_t ssrc;
    size_t seen = 0;

    while (kw_rtcp_next(&in, &rtcp)) {
        struct kw_bytes items = rtcp.items;

        (void)!kw_rtcp_cname(&rtcp, rtcp.ssrc, &cname);
        while (kw_rtcp_block_next(&rtcp.blocks, &block))
            seen++;
        while (kw_rtcp_nack_next(&items, &seq, &mask))
            seen++;
        for (items = rtcp.items; kw_rtcp_fir_next(&items, &ssrc, &command);)
            seen++;
        for (items = rtcp.items; kw_rtcp_bye_next(&items, &ssrc);)
            seen++;
    }
    if (kw_rtcp_check(data, size) == KW_ACCEPT)
        KW_ASSERT(kw_reader_left(&in) == 0);
}

static void read_rtp(uint8_t *packet, size_t len, const uint8_t *map)
{
    struct kw_rtp_ext ext = {0};
    struct kw_video video;
    struct kw_rtp rtp;
    size_t steps = 0;

    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return;
    KW_ASSERT(rtp.header_len + rtp.payload.len <= len);
    while (kw_rtp_ext_next(&rtp, &ext))
        KW_ASSERT(++steps <= rtp.ext.len);
    for (int codec = KW_VIDEO_NONE; codec <= KW_VIDEO_AV1; codec++) {
        if (kw_video_parse((enum kw_video_codec)codec, rtp.payload, &video) != KW_ACCEPT)
            continue;
        KW_ASSERT(video.picture_id_bits == 0 ||
                  video.picture_id_at + video.picture_id_bits / 8 < rtp.payload.len);
        KW_ASSERT(!video.has_tl0 || video.tl0_at < rtp.payload.len);
    }
    kw_rtp_ext_map(packet, &rtp, map);
    KW_ASSERT(kw_rtp_parse(packet, len, &rtp) == KW_ACCEPT);
}

/* Pieces of the input as packets of two or three generations, each with a length, a time step. */
static void feed_splice(const uint8_t *data, size_t size)
{
    struct kw_splice_params params = {
        .is_video = size % 2 == 0, .ssrc = 1, .clock_hz = 90000, .patience = KW_MS(100)};
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_splice splice;
    kw_ns now = KW_S(1);

    kw_splice_init(&splice, &params);
    while (kw_reader_left(&in) >= 4) {
        uint8_t head = kw_read_u8(&in);
        size_t len = kw_read_u8(&in);
        struct kw_bytes piece = kw_read_bytes(&in, KW_MIN(len, kw_reader_left(&in)));
        struct kw_splice_packet info = {.generation = head & 3,
                                        .codec = (enum kw_video_codec)(head >> 2 & 3),
                                        .has_send_time = (head & 16) != 0,
                                        .send_time = (uint32_t)head << 16};
        struct kw_rtcp_sender sr = {.ntp = (uint64_t)head << 56, .timestamp = head * 1000U};
        uint8_t packet[256] = {0};
        struct kw_rtp rtp;

        now += KW_MS(head >> 4);
        memcpy(packet, piece.data, piece.len);
        if (kw_rtp_parse(packet, piece.len, &rtp) != KW_ACCEPT)
            continue;
        info.rtp = &rtp;
        (void)!kw_splice_receive(&splice, &info, packet, now);
        if ((head & 32) != 0)
            kw_splice_report(&splice, info.generation, rtp.ssrc, &sr);
        if ((head & 0xc0) == 0xc0)
            (void)!kw_splice_bye(&splice, info.generation, rtp.ssrc);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t map[256], packet[2048];

    for (size_t i = 0; i < sizeof map; i++)
        map[i] = (uint8_t)(i * 7);
    read_rtcp(data, size);
    feed_splice(data, size);
    if (size <= sizeof packet) {
        memcpy(packet, data, size);
        read_rtp(packet, size, map);
    }
    return 0;
}
