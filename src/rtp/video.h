/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_VIDEO_H
#define KW_RTP_VIDEO_H

/* As much of video payload formats as a switch between two encoders needs. */

#include <keywheel/base.h>

enum kw_video_codec {
    KW_VIDEO_NONE = 0,
    KW_VIDEO_VP8,  /* RFC 7741 */
    KW_VIDEO_VP9,  /* RFC 9628 */
    KW_VIDEO_H264, /* RFC 6184 */
    KW_VIDEO_AV1,  /* AOM's RTP payload specification */
};

/* Offsets count from the start of the payload. */
struct kw_video {
    bool starts_key_frame;   /* decoding can begin with this packet */
    uint8_t picture_id_bits; /* 7, 15; 0: absent */
    size_t picture_id_at;
    bool has_tl0;
    size_t tl0_at;
};

/* TRUNCATED when the descriptor is longer than the payload. */
KW_MUST_USE enum kw_verdict kw_video_parse(enum kw_video_codec codec, struct kw_bytes payload,
                                           struct kw_video *ret);

/* PictureID and TL0PICIDX, as they stand and in place. */
uint16_t kw_video_picture_id(const struct kw_video *video, const uint8_t *payload);
void kw_video_set_picture_id(const struct kw_video *video, uint8_t *payload, uint16_t id);

#endif
