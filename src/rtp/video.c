/* SPDX-License-Identifier: Apache-2.0 */
/* Payload descriptors, each read as its RFC draws it. */
#include "rtp/video.h"

#include "base/reader.h"

/* Bit M of the first byte says whether there are 15 bits or 7 (RFC 7741 4.2, RFC 9628 4.2). */
static void read_picture_id(struct kw_reader *in, struct kw_bytes payload, struct kw_video *video)
{
    bool is_long;

    video->picture_id_at = payload.len - kw_reader_left(in);
    is_long = (kw_read_u8(in) & 0x80) != 0;
    if (is_long)
        kw_read_u8(in);
    video->picture_id_bits = is_long ? 15 : 7;
}

static void read_tl0(struct kw_reader *in, struct kw_bytes payload, struct kw_video *video)
{
    video->has_tl0 = true;
    video->tl0_at = payload.len - kw_reader_left(in);
    kw_read_u8(in);
}

/* X R N S R PID, then with X: I L T K and their fields, then the frame; P of its tag is 0 for a key
 * frame (RFC 6386 section 9.1). */
static bool parse_vp8(struct kw_bytes payload, struct kw_video *video)
{
    struct kw_reader in = kw_reader_of_bytes(payload);
    uint8_t first = kw_read_u8(&in);
    bool starts_frame = (first & 0x10) != 0 && (first & 0x07) == 0;

    if ((first & 0x80) != 0) {
        uint8_t more = kw_read_u8(&in);

        if ((more & 0x80) != 0)
            read_picture_id(&in, payload, video);
        if ((more & 0x40) != 0)
            read_tl0(&in, payload, video);
        if ((more & 0x30) != 0)
            kw_read_u8(&in);
    }
    video->starts_key_frame = starts_frame && (kw_read_u8(&in) & 1) == 0;
    return !in.failed;
}

/* I P L F B E V Z: a key frame begins where B is set and P is not, on the lowest spatial layer. */
static bool parse_vp9(struct kw_bytes payload, struct kw_video *video)
{
    struct kw_reader in = kw_reader_of_bytes(payload);
    uint8_t first = kw_read_u8(&in);
    bool lowest = true;

    if ((first & 0x80) != 0)
        read_picture_id(&in, payload, video);
    if ((first & 0x20) != 0) {
        lowest = (kw_read_u8(&in) >> 1 & 7) == 0;
        if ((first & 0x10) == 0)
            read_tl0(&in, payload, video);
    }
    video->starts_key_frame = (first & 0x08) != 0 && (first & 0x40) == 0 && lowest;
    return !in.failed;
}

enum h264_nal { NAL_IDR = 5, NAL_SPS = 7, NAL_STAP_A = 24, NAL_FU_A = 28 };

/* Parameter sets come right before their picture, so decoding begins with them. */
static bool is_key_nal(uint8_t header)
{
    return (header & 31) == NAL_IDR || (header & 31) == NAL_SPS;
}

static bool parse_h264(struct kw_bytes payload, struct kw_video *video)
{
    struct kw_reader in = kw_reader_of_bytes(payload);
    uint8_t header = kw_read_u8(&in), fragment;

    switch (header & 31) {
    case NAL_STAP_A:
        while (kw_reader_left(&in) != 0) {
            struct kw_bytes unit = kw_read_vector(&in, 2);

            if (unit.len != 0 && is_key_nal(unit.data[0]))
                video->starts_key_frame = true;
        }
        break;
    case NAL_FU_A:
        fragment = kw_read_u8(&in);
        video->starts_key_frame = (fragment & 0x80) != 0 && is_key_nal(fragment);
        break;
    default:
        video->starts_key_frame = is_key_nal(header);
    }
    return !in.failed;
}

/* Z Y W W N: N marks the first packet of a coded video sequence; Z: it continues an OBU. */
static bool parse_av1(struct kw_bytes payload, struct kw_video *video)
{
    if (payload.len == 0)
        return false;
    video->starts_key_frame = (payload.data[0] & 0x88) == 0x08;
    return true;
}

enum kw_verdict kw_video_parse(enum kw_video_codec codec, struct kw_bytes payload,
                               struct kw_video *ret)
{
    struct kw_video video = {0};
    bool ok = true;

    switch (codec) {
    case KW_VIDEO_NONE:
        break;
    case KW_VIDEO_VP8:
        ok = parse_vp8(payload, &video);
        break;
    case KW_VIDEO_VP9:
        ok = parse_vp9(payload, &video);
        break;
    case KW_VIDEO_H264:
        ok = parse_h264(payload, &video);
        break;
    case KW_VIDEO_AV1:
        ok = parse_av1(payload, &video);
        break;
    }
    if (!ok)
        return KW_DROP_TRUNCATED;
    *ret = video;
    return KW_ACCEPT;
}

uint16_t kw_video_picture_id(const struct kw_video *video, const uint8_t *payload)
{
    const uint8_t *at = payload + video->picture_id_at;

    if (video->picture_id_bits == 15)
        return (uint16_t)((at[0] & 0x7f) << 8 | at[1]);
    return video->picture_id_bits == 7 ? at[0] & 0x7f : 0;
}

void kw_video_set_picture_id(const struct kw_video *video, uint8_t *payload, uint16_t id)
{
    uint8_t *at = payload + video->picture_id_at;

    if (video->picture_id_bits == 15) {
        at[0] = (uint8_t)(0x80 | (id >> 8 & 0x7f));
        at[1] = (uint8_t)id;
    } else if (video->picture_id_bits == 7) {
        at[0] = (uint8_t)(id & 0x7f);
    }
}
