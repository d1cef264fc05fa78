/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an offer and our answer agreed: which m-lines, which payload types, which SSRC is ours. The
 * description itself is not kept; from a leg an answer's ICE part can be written again.
 */
#include "gateway/state.h"

#include <string.h>

static const char stream_name[] = "keywheel";

static uint32_t draw_ssrc(struct kw_gateway *gateway, enum kw_status *status)
{
    uint32_t ssrc = (uint32_t)kw_gateway_draw(gateway, status);

    return ssrc != 0 ? ssrc : 1;
}

static void agree_formats(struct kw_leg *leg, size_t index, const struct kw_sdp_media *offered)
{
    for (size_t i = 0; i < offered->format_count && leg->format_count < KW_LEG_FORMATS; i++) {
        const struct kw_sdp_format *format = &offered->formats[i];
        struct kw_leg_format *agreed = &leg->formats[leg->format_count];

        if (!format->accepted || format->payload_type > 127)
            continue;
        agreed->payload_type = format->payload_type;
        agreed->media = (uint8_t)index;
        agreed->channels = format->channels;
        agreed->codec = format->codec;
        agreed->clock_hz = format->clock_hz;
        kw_text_copy_bytes(agreed->fmtp, sizeof agreed->fmtp, format->fmtp);
        leg->payload[format->payload_type] = (uint8_t)++leg->format_count;
        leg->media[index].feedback |= format->feedback;
    }
}

enum kw_status kw_leg_agree(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                            const struct kw_sdp *offer)
{
    enum kw_status status = KW_OK;

    leg->etag = kw_gateway_draw(gateway, &status);
    if (status != KW_OK)
        return status;
    leg->sdp_session = kw_gateway_draw(gateway, &status) >> 2;
    leg->sdp_version = 1;
    leg->report_ssrc = draw_ssrc(gateway, &status);
    leg->media_count = offer->media_count;
    for (size_t i = 0; i < offer->media_count && status == KW_OK; i++) {
        const struct kw_sdp_media *offered = &offer->media[i];
        struct kw_leg_media *media = &leg->media[i];

        media->kind = offered->kind;
        media->accepted = offered->accepted;
        kw_text_copy_bytes(media->mid, sizeof media->mid, offered->mid);
        if (!offered->accepted)
            continue;
        media->level_ext = kw_sdp_extmap_id(offered, KW_SDP_EXT_AUDIO_LEVEL);
        media->send_time_ext = kw_sdp_extmap_id(offered, KW_SDP_EXT_ABS_SEND_TIME);
        media->sends = kw_sdp_sends(kw_sdp_answer_direction(offered, call->profile));
        if (media->sends)
            media->ssrc = draw_ssrc(gateway, &status);
        agree_formats(leg, i, offered);
    }
    kw_text_copy_bytes(leg->remote_ufrag, sizeof leg->remote_ufrag, offer->transport.ufrag);
    return status;
}

void kw_leg_inherit(struct kw_leg *leg, const struct kw_leg *old)
{
    leg->sdp_session = old->sdp_session;
    leg->sdp_version = old->sdp_version + 1;
    leg->report_ssrc = old->report_ssrc;
    leg->sync = old->sync;
    for (size_t i = 0; i < leg->media_count && i < old->media_count; i++) {
        struct kw_leg_media *media = &leg->media[i];

        if (!media->accepted || !kw_text_equal(media->mid, old->media[i].mid))
            continue;
        media->ssrc = old->media[i].ssrc;
        media->out = old->media[i].out;
        media->feeds = old->media[i].feeds;
    }
    memcpy(leg->incoming, old->incoming, sizeof leg->incoming);
}

static struct kw_sdp_choices choices_of(struct kw_gateway *gateway, const struct kw_call *call,
                                        const struct kw_leg *leg)
{
    struct kw_sdp_choices choices = {
        .profile = call->profile,
        .session_id = leg->sdp_session,
        .version = leg->sdp_version,
        .ufrag = leg->ufrag,
        .pwd = leg->pwd,
        .fingerprint = &leg->our_fingerprint,
        .candidate_count = gateway->config.candidate_count,
        .candidates = gateway->config.candidates,
        .cname = KW_CNAME,
        .stream = stream_name,
    };

    for (size_t i = 0; i < leg->media_count; i++)
        choices.ssrcs[i] = leg->media[i].ssrc;
    return choices;
}

size_t kw_leg_answer(struct kw_gateway *gateway, const struct kw_call *call,
                     const struct kw_leg *leg, const struct kw_sdp *offer, char *dst,
                     size_t dst_size)
{
    struct kw_sdp_choices choices = choices_of(gateway, call, leg);

    return kw_sdp_answer_write(offer, &choices, dst, dst_size);
}

static struct kw_bytes text(const char *s)
{
    return (struct kw_bytes){(const uint8_t *)s, kw_text_len(s)};
}

/* Everything about media is unchanged by an ICE restart: the m-lines need their names only. */
size_t kw_leg_fragment(struct kw_gateway *gateway, const struct kw_call *call,
                       const struct kw_leg *leg, char *dst, size_t dst_size)
{
    struct kw_sdp_choices choices = choices_of(gateway, call, leg);
    struct kw_sdp *sdp = &gateway->sdp;

    memset(sdp, 0, sizeof *sdp);
    sdp->media_count = leg->media_count;
    for (size_t i = 0; i < leg->media_count; i++) {
        const struct kw_leg_media *media = &leg->media[i];

        sdp->media[i] = (struct kw_sdp_media){
            .kind = media->kind,
            .accepted = media->accepted,
            .type = text(media->kind == KW_SDP_VIDEO ? "video" : "audio"),
            .proto = text("UDP/TLS/RTP/SAVPF"),
            .mid = text(media->mid),
        };
    }
    return kw_sdp_fragment_write(sdp, &choices, dst, dst_size);
}
