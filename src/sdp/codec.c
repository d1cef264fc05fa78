/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Keywheel passes, as tables. It passes whole payload types and never looks inside audio, so a
 * codec needs nothing but a row. RTX, RED and FEC have none: they refer to other streams' sequence
 * numbers or payload types, which change on the way.
 */
#include "sdp/codec.h"

#include "base/assert.h"
#include "sdp/text.h"

static const struct codec_row {
    enum kw_sdp_codec codec;
    enum kw_sdp_kind kind;
    const char *name;  /* lower case */
    uint32_t clock_hz; /* 0: any that audio has */
    uint8_t channels;  /* 0: any */
    int static_type;   /* RFC 3551 section 6; -1: none */
} rows[] = {
    {KW_SDP_CODEC_OPUS, KW_SDP_AUDIO, "opus", 48000, 2, -1},
    {KW_SDP_CODEC_PCMU, KW_SDP_AUDIO, "pcmu", 8000, 0, 0},
    {KW_SDP_CODEC_PCMA, KW_SDP_AUDIO, "pcma", 8000, 0, 8},
    {KW_SDP_CODEC_G722, KW_SDP_AUDIO, "g722", 8000, 0, 9},
    {KW_SDP_CODEC_CN, KW_SDP_AUDIO, "cn", 0, 0, 13},
    {KW_SDP_CODEC_TELEPHONE_EVENT, KW_SDP_AUDIO, "telephone-event", 0, 0, -1},
    {KW_SDP_CODEC_VP8, KW_SDP_VIDEO, "vp8", 90000, 0, -1},
    {KW_SDP_CODEC_VP9, KW_SDP_VIDEO, "vp9", 90000, 0, -1},
    {KW_SDP_CODEC_H264, KW_SDP_VIDEO, "h264", 90000, 0, -1},
    {KW_SDP_CODEC_AV1, KW_SDP_VIDEO, "av1", 90000, 0, -1},
};

static const struct {
    enum kw_sdp_ext ext;
    const char *uri;
} extensions[] = {
    {KW_SDP_EXT_MID, "urn:ietf:params:rtp-hdrext:sdes:mid"},
    {KW_SDP_EXT_AUDIO_LEVEL, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"},
    {KW_SDP_EXT_ABS_SEND_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"},
};

/* A clock of 1 Hz or of 4 GHz is no clock: everything that measures by it would go wrong. */
static bool is_audio_clock(uint32_t clock_hz)
{
    return clock_hz == 8000 || clock_hz == 16000 || clock_hz == 32000 || clock_hz == 48000;
}

static bool row_fits(const struct codec_row *row, const struct kw_sdp_format *format,
                     enum kw_sdp_kind kind)
{
    if (row->kind != kind)
        return false;
    if (format->name.len == 0)
        return row->static_type == format->payload_type;
    return kw_text_is_any_case(format->name, row->name) &&
           (row->clock_hz != 0 ? row->clock_hz == format->clock_hz
                               : is_audio_clock(format->clock_hz)) &&
           (row->channels == 0 || row->channels == format->channels);
}

void kw_sdp_codec_recognise(struct kw_sdp_format *format, enum kw_sdp_kind kind)
{
    format->codec = KW_SDP_CODEC_OTHER;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        if (!row_fits(&rows[i], format, kind))
            continue;
        format->codec = rows[i].codec;
        if (format->name.len == 0) {
            format->clock_hz = 8000; /* every static row here */
            format->channels = 1;
        }
        return;
    }
}

bool kw_sdp_codec_is_primary(enum kw_sdp_codec codec)
{
    return codec != KW_SDP_CODEC_OTHER && codec != KW_SDP_CODEC_CN &&
           codec != KW_SDP_CODEC_TELEPHONE_EVENT;
}

enum kw_sdp_ext kw_sdp_ext_recognise(struct kw_bytes uri)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(extensions); i++) {
        if (kw_text_is(uri, extensions[i].uri))
            return extensions[i].ext;
    }
    return KW_SDP_EXT_OTHER;
}

const char *kw_sdp_ext_uri(enum kw_sdp_ext ext)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(extensions); i++) {
        if (extensions[i].ext == ext)
            return extensions[i].uri;
    }
    return "";
}

/* The value of "key=value" in a list with semicolons; `otherwise` when the key is absent. */
static struct kw_bytes fmtp_value(struct kw_bytes fmtp, const char *key, const char *otherwise)
{
    while (fmtp.len != 0) {
        struct kw_bytes pair = kw_text_split(&fmtp, ';');
        struct kw_bytes name;

        while (pair.len != 0 && pair.data[0] == ' ') {
            pair.data++;
            pair.len--;
        }
        name = kw_text_split(&pair, '=');
        if (kw_text_is_any_case(name, key))
            return pair;
    }
    return kw_text_of(otherwise);
}

static bool same_value(const struct kw_sdp_format *a, const struct kw_sdp_format *b,
                       const char *key, const char *otherwise)
{
    return kw_text_equal(fmtp_value(a->fmtp, key, otherwise), fmtp_value(b->fmtp, key, otherwise));
}

/*
 * RFC 6184 section 8.1: the first byte of profile-level-id is the profile; the second narrows it
 * (42e0 and 4200 differ); the level may differ between the directions and is not compared.
 */
static bool same_h264_profile(const struct kw_sdp_format *a, const struct kw_sdp_format *b)
{
    struct kw_bytes left = fmtp_value(a->fmtp, "profile-level-id", "42000a");
    struct kw_bytes right = fmtp_value(b->fmtp, "profile-level-id", "42000a");

    if (left.len != 6 || right.len != 6)
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (kw_text_lower(left.data[i]) != kw_text_lower(right.data[i]))
            return false;
    }
    return true;
}

static bool same_bitstream(const struct kw_sdp_format *a, const struct kw_sdp_format *b)
{
    if (a->codec != b->codec || a->clock_hz != b->clock_hz || a->channels != b->channels)
        return false;

    switch (a->codec) {
    case KW_SDP_CODEC_H264:
        return same_value(a, b, "packetization-mode", "0") && same_h264_profile(a, b);
    case KW_SDP_CODEC_VP9:
        return same_value(a, b, "profile-id", "0");
    case KW_SDP_CODEC_AV1:
        return same_value(a, b, "profile", "0");
    case KW_SDP_CODEC_OPUS:
    case KW_SDP_CODEC_G722:
    case KW_SDP_CODEC_PCMU:
    case KW_SDP_CODEC_PCMA:
    case KW_SDP_CODEC_CN:
    case KW_SDP_CODEC_TELEPHONE_EVENT:
    case KW_SDP_CODEC_VP8:
        return true;
    case KW_SDP_CODEC_OTHER:
        return false;
    }
    return false;
}

const struct kw_sdp_format *kw_sdp_format_match(const struct kw_sdp_media *media,
                                                const struct kw_sdp_format *format)
{
    for (size_t i = 0; i < media->format_count; i++) {
        if (media->formats[i].accepted && same_bitstream(&media->formats[i], format))
            return &media->formats[i];
    }
    return NULL;
}

const struct kw_sdp_format *kw_sdp_format_find(const struct kw_sdp_media *media,
                                               uint8_t payload_type)
{
    for (size_t i = 0; i < media->format_count; i++) {
        if (media->formats[i].payload_type == payload_type)
            return &media->formats[i];
    }
    return NULL;
}

uint8_t kw_sdp_extmap_id(const struct kw_sdp_media *media, enum kw_sdp_ext ext)
{
    for (size_t i = 0; i < media->extmap_count; i++) {
        if (media->extmaps[i].accepted && media->extmaps[i].ext == ext)
            return media->extmaps[i].id;
    }
    return 0;
}

const struct kw_sdp_media *kw_sdp_media_by_mid(const struct kw_sdp *sdp, struct kw_bytes mid)
{
    for (size_t i = 0; i < sdp->media_count; i++) {
        if (mid.len != 0 && kw_text_equal(sdp->media[i].mid, mid))
            return &sdp->media[i];
    }
    return NULL;
}
