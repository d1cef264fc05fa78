/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back ends that pass media on: `bridge` to the other call of a room, `rtp` to a plain address.
 *
 *   client's generations --> splice (one per kind) --> streams of the other call's legs
 *                                                  \-> plain RTP
 *
 * The splice makes one continuous stream of whatever generation speaks, so the far end sees one
 * SSRC and a steady clock across rotations. Each leg of the far client has streams of its own
 * again. While the far client has two connections, both get the media.
 *
 * Header extensions: the audio level is passed, under the far end's id; everything else is taken
 * out, because mids differ and send times are not ours.
 */
#include "gateway/state.h"

#include "rtp/rtcp.h"
#include "rtp/rtp.h"

#include <string.h>

enum { NO_PAYLOAD = 0xff, PLAIN_TAG = 1 };

/*
 * For so long both streams are compared before an audio cut, so that four whole quarters of a
 * second can outvote one that lies. Less than the 1.5 s for which keywheel.js keeps the old
 * connection.
 */
#define SPLICE_PATIENCE KW_MS(1200)

static size_t kind_of(enum kw_sdp_kind kind)
{
    return kind == KW_SDP_VIDEO ? KW_RELAY_VIDEO : KW_RELAY_AUDIO;
}

/* --- joining ---------------------------------------------------------------------------------- */

static struct kw_call *other_of(struct kw_gateway *gateway, const struct kw_call *call)
{
    return call->relay.other != KW_NO_CALL ? &gateway->calls[call->relay.other] : NULL;
}

static enum kw_call_outcome join_room(struct kw_gateway *gateway, struct kw_call *call,
                                      struct kw_bytes room)
{
    struct kw_call *other = NULL;

    kw_text_copy_bytes(call->relay.room, sizeof call->relay.room, room);
    for (size_t i = 0; i < gateway->calls_max; i++) {
        struct kw_call *found = &gateway->calls[i];

        if (found == call || found->state != KW_CALL_LIVE || found->tenant != call->tenant ||
            !kw_text_equal(found->relay.room, call->relay.room))
            continue;
        if (other != NULL || found->relay.other != KW_NO_CALL)
            return KW_CALL_ROOM_FULL; /* two are in it already */
        other = found;
    }
    if (other != NULL) {
        other->relay.other = call->number;
        call->relay.other = other->number;
    }
    return KW_CALL_OK;
}

bool kw_relay_serves(const struct kw_call *call, uint64_t tag)
{
    return call->relay.has_target && call->relay.target_tag == tag;
}

/*
 * Plain RTP has no names: one target serves one call at a time. It is the operator's address:
 * whoever sends checks that claim to come from there does not have it.
 */
static enum kw_call_outcome take_target(struct kw_gateway *gateway, struct kw_call *call)
{
    const struct kw_address *target = &call->tenant->config->rtp_target;
    struct kw_path path = {.remote = *target};
    uint32_t held;
    uint64_t tag;

    for (size_t i = 0; i < gateway->config.candidate_count && path.local.family == 0; i++) {
        if (gateway->config.candidates[i].family == target->family)
            path.local = gateway->config.candidates[i];
    }
    tag = kw_table_tag_path(&gateway->paths, &path);
    if (path.local.family == 0 ||
        (kw_table_get(&gateway->paths, tag, &held) &&
         kw_relay_serves(&gateway->calls[held & ~KW_ROUTE_FIRM], tag)) ||
        !kw_table_put(&gateway->paths, tag, call->number | KW_ROUTE_FIRM))
        return KW_CALL_BACKEND_BUSY;
    call->relay.has_target = true;
    call->relay.target = path;
    call->relay.target_tag = tag;
    call->relay.report_at = KW_NEVER;
    return KW_CALL_OK;
}

enum kw_call_outcome kw_relay_join(struct kw_gateway *gateway, struct kw_call *call,
                                   struct kw_bytes room)
{
    call->relay.other = KW_NO_CALL;
    switch (call->tenant->config->backend) {
    case KW_BACKEND_ECHO:
        break;
    case KW_BACKEND_BRIDGE:
        return join_room(gateway, call, room);
    case KW_BACKEND_RTP:
        return take_target(gateway, call);
    }
    return KW_CALL_OK;
}

void kw_relay_leave(struct kw_gateway *gateway, struct kw_call *call)
{
    struct kw_relay *relay = &call->relay;

    if (call->tenant->config->backend == KW_BACKEND_BRIDGE && relay->other != KW_NO_CALL)
        gateway->calls[relay->other].relay.other = KW_NO_CALL;
    relay->other = KW_NO_CALL;
    if (relay->has_target)
        kw_table_remove(&gateway->paths, relay->target_tag);
    relay->has_target = false;
}

void kw_relay_forget(struct kw_call *call, uint32_t tag)
{
    for (size_t i = 0; i < KW_RELAY_KINDS; i++) {
        if (call->relay.has_splice[i])
            kw_splice_remove(&call->relay.splice[i], tag);
    }
}

/* --- payload types ---------------------------------------------------------------------------- */

static struct kw_sdp_format sdp_format(const struct kw_leg_format *format)
{
    return (struct kw_sdp_format){
        .payload_type = format->payload_type,
        .accepted = true,
        .codec = format->codec,
        .channels = format->channels,
        .clock_hz = format->clock_hz,
        .fmtp = {(const uint8_t *)format->fmtp, kw_text_len(format->fmtp)},
    };
}

/* The formats of one m-line of a leg, as the SDP module compares them. */
static void sdp_media(const struct kw_leg *leg, enum kw_sdp_kind kind, struct kw_sdp_media *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->kind = kind;
    for (size_t i = 0; i < leg->format_count && ret->format_count < KW_SDP_FORMATS_MAX; i++) {
        if (leg->media[leg->formats[i].media].kind == kind)
            ret->formats[ret->format_count++] = sdp_format(&leg->formats[i]);
    }
}

static void fill_map(struct kw_gateway *gateway, struct kw_leg *to, const struct kw_leg *from)
{
    struct kw_sdp_media *media = &gateway->sdp.media[0];

    memset(to->map, NO_PAYLOAD, sizeof to->map);
    for (int kind = KW_SDP_AUDIO; kind <= KW_SDP_VIDEO; kind++) {
        sdp_media(to, (enum kw_sdp_kind)kind, media);
        for (size_t i = 0; i < from->format_count; i++) {
            struct kw_sdp_format format = sdp_format(&from->formats[i]);
            const struct kw_sdp_format *match;

            if (from->media[from->formats[i].media].kind != (enum kw_sdp_kind)kind)
                continue;
            match = kw_sdp_format_match(media, &format);
            if (match != NULL)
                to->map[format.payload_type] = match->payload_type;
        }
    }
}

static uint8_t mapped(struct kw_gateway *gateway, struct kw_leg *to, const struct kw_call *call,
                      const struct kw_leg *from, uint8_t payload_type)
{
    /* Call numbers are used again, tags of legs too: the SDP session tells them apart. */
    if (to->map_call != call->number + 1 || to->map_leg != (uint32_t)from->sdp_session) {
        fill_map(gateway, to, from);
        to->map_call = call->number + 1;
        to->map_leg = (uint32_t)from->sdp_session;
    }
    return to->map[payload_type & 0x7f];
}

/* A codec that the other call cannot take is not accepted, so that clients choose a common one. */
void kw_relay_narrow(struct kw_gateway *gateway, const struct kw_call *call, struct kw_sdp *offer)
{
    struct kw_call *other = call->relay.other != KW_NO_CALL ? other_of(gateway, call) : NULL;
    const struct kw_leg *leg = other != NULL ? kw_call_newest_leg(other) : NULL;
    struct kw_sdp_media theirs;

    for (size_t i = 0; leg != NULL && i < offer->media_count; i++) {
        struct kw_sdp_media *media = &offer->media[i];
        size_t common = 0;

        sdp_media(leg, media->kind, &theirs);
        for (size_t k = 0; k < media->format_count; k++)
            common += media->formats[k].accepted &&
                      kw_sdp_format_match(&theirs, &media->formats[k]) != NULL;
        for (size_t k = 0; common != 0 && k < media->format_count; k++) {
            if (kw_sdp_format_match(&theirs, &media->formats[k]) == NULL)
                media->formats[k].accepted = false;
        }
    }
}

/* --- towards a client ------------------------------------------------------------------------- */

static struct kw_leg_media *sending_media(struct kw_leg *leg, size_t kind)
{
    for (size_t i = 0; i < leg->media_count; i++) {
        if (leg->media[i].sends && kind_of(leg->media[i].kind) == kind)
            return &leg->media[i];
    }
    return NULL;
}

/* What a packet of one kind has to become for one leg; false: that leg does not take it. */
struct delivery {
    uint8_t payload_type;
    uint8_t level_ext; /* of the packet as it is */
    size_t kind;
    uint32_t clock_hz;
};

static bool deliver(struct kw_gateway *gateway, struct kw_leg *leg, const struct delivery *how,
                    uint8_t *packet, size_t len, kw_ns now)
{
    struct kw_leg_media *media = sending_media(leg, how->kind);
    uint8_t ids[256] = {0};
    struct kw_rtp rtp;

    if (media == NULL || how->payload_type == NO_PAYLOAD ||
        kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return false;
    if (how->level_ext != 0)
        ids[how->level_ext] = media->level_ext;
    kw_rtp_ext_map(packet, &rtp, ids);
    kw_rtp_set_payload_type(packet, how->payload_type);
    return kw_leg_forward(gateway, media, PLAIN_TAG, how->clock_hz, packet, &rtp, now);
}

/*
 * To all connections of a client. The packet is used up: it becomes the one for the current
 * generation; the copy for the previous one is made first.
 */
static bool deliver_all(struct kw_gateway *gateway, struct kw_call *to, const struct kw_leg *from,
                        const struct kw_call *from_call, struct delivery *how, uint8_t *packet,
                        size_t len, kw_ns now, struct kw_way *way)
{
    uint8_t payload_type = how->payload_type;
    struct kw_outlet outlet;
    struct kw_leg *leg;
    uint8_t copy[KW_DATAGRAM_RECEIVE_MAX];

    if (kw_session_second_outlet(to->session, now, &outlet) && len <= sizeof copy) {
        leg = kw_call_leg(to, outlet.generation);
        if (leg != NULL) {
            memcpy(copy, packet, len);
            if (from != NULL)
                how->payload_type = mapped(gateway, leg, from_call, from, payload_type);
            if (deliver(gateway, leg, how, copy, len, now))
                kw_gateway_send_copy(gateway, to, &outlet, copy, len, now);
        }
    }
    if (!kw_session_outlet(to->session, now, &outlet))
        return false;
    leg = kw_call_leg(to, outlet.generation);
    if (leg == NULL)
        return false;
    how->payload_type =
        from != NULL ? mapped(gateway, leg, from_call, from, payload_type) : payload_type;
    *way = (struct kw_way){.to = to, .outlet = outlet};
    return deliver(gateway, leg, how, packet, len, now);
}

/* --- from a client ---------------------------------------------------------------------------- */

static enum kw_video_codec video_codec(enum kw_sdp_codec codec)
{
    switch (codec) {
    case KW_SDP_CODEC_VP8:
        return KW_VIDEO_VP8;
    case KW_SDP_CODEC_VP9:
        return KW_VIDEO_VP9;
    case KW_SDP_CODEC_H264:
        return KW_VIDEO_H264;
    case KW_SDP_CODEC_AV1:
        return KW_VIDEO_AV1;
    case KW_SDP_CODEC_OTHER:
    case KW_SDP_CODEC_OPUS:
    case KW_SDP_CODEC_G722:
    case KW_SDP_CODEC_PCMU:
    case KW_SDP_CODEC_PCMA:
    case KW_SDP_CODEC_CN:
    case KW_SDP_CODEC_TELEPHONE_EVENT:
        break;
    }
    return KW_VIDEO_NONE;
}

static struct kw_splice *splice_of(struct kw_gateway *gateway, struct kw_call *call, size_t kind,
                                   uint32_t clock_hz)
{
    struct kw_relay *relay = &call->relay;
    enum kw_status status = KW_OK;
    struct kw_splice_params params;
    uint64_t drawn;

    if (relay->has_splice[kind])
        return &relay->splice[kind];
    drawn = kw_gateway_draw(gateway, &status);
    if (status != KW_OK)
        return NULL;
    params = (struct kw_splice_params){
        .is_video = kind == KW_RELAY_VIDEO,
        .ssrc = (uint32_t)drawn | 1,
        .clock_hz = clock_hz,
        .first_seq = (uint16_t)(drawn >> 32 & KW_SEQ_START_MASK),
        .first_ts = (uint32_t)(drawn >> 16),
        .patience = SPLICE_PATIENCE,
    };
    kw_splice_init(&relay->splice[kind], &params);
    relay->has_splice[kind] = true;
    return &relay->splice[kind];
}

/* The encoder that the splice names is asked through its own leg. */
static void ask_leg(struct kw_gateway *gateway, struct kw_call *call, uint32_t tag, uint32_t ssrc)
{
    struct kw_leg *leg = kw_call_leg_tagged(call, tag);

    for (size_t i = 0; leg != NULL && i < KW_LEG_STREAMS; i++) {
        if (!leg->incoming[i].used || leg->incoming[i].source.ssrc != ssrc)
            continue;
        leg->media[leg->incoming[i].media].wants_key_frame = true;
        kw_gateway_touch(gateway, call);
    }
}

static bool to_target(struct kw_call *call, uint8_t *packet, size_t len, kw_ns now,
                      struct kw_way *way)
{
    const uint8_t none[256] = {0};
    struct kw_rtp rtp;

    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return false;
    kw_rtp_ext_map(packet, &rtp, none);
    if (call->relay.report_at == KW_NEVER)
        call->relay.report_at = now;
    *way = (struct kw_way){.path = call->relay.target};
    return true;
}

bool kw_relay_rtp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                  uint8_t *packet, size_t len, kw_ns now, struct kw_way *way)
{
    struct kw_call *other = other_of(gateway, call);
    const struct kw_leg_format *format;
    struct kw_splice_packet info = {.generation = leg->tag};
    struct kw_incoming *incoming;
    struct kw_splice *splice;
    struct kw_rtp rtp;
    struct delivery how;
    uint32_t tag, ssrc;
    size_t kind;

    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return false;
    incoming = kw_leg_incoming(leg, &rtp, now);
    if (incoming == NULL || !kw_leg_feeds(leg, incoming, now) ||
        leg->payload[rtp.payload_type & 0x7f] == 0)
        return false;
    format = &leg->formats[leg->payload[rtp.payload_type & 0x7f] - 1];
    kind = kind_of(leg->media[incoming->media].kind);
    splice = splice_of(gateway, call, kind, incoming->source.clock_hz);
    if (splice == NULL)
        return false;
    info.rtp = &rtp;
    info.codec = video_codec(format->codec);
    info.has_send_time =
        kw_rtp_abs_send_time(&rtp, leg->media[incoming->media].send_time_ext, &info.send_time);
    if (kw_splice_receive(splice, &info, packet, now) != KW_ACCEPT) {
        if (kw_splice_wants_key(splice, now, &tag, &ssrc))
            ask_leg(gateway, call, tag, ssrc);
        return false;
    }
    if (call->relay.has_target)
        return to_target(call, packet, len, now, way);
    if (other == NULL || other->state != KW_CALL_LIVE)
        return false;
    how = (struct delivery){
        .payload_type = rtp.payload_type,
        .level_ext = leg->media[incoming->media].level_ext,
        .kind = kind,
        .clock_hz = incoming->source.clock_hz,
    };
    return deliver_all(gateway, other, leg, call, &how, packet, len, now, way);
}

/* --- from the plain side ---------------------------------------------------------------------- */

static void plain_rtcp(struct kw_gateway *gateway, struct kw_call *call, const uint8_t *packet,
                       size_t len, kw_ns now)
{
    struct kw_reader in = kw_reader_of(packet, len);
    uint64_t ntp = kw_ntp_from_ns(now);
    struct kw_relay *relay = &call->relay;
    struct kw_rtcp_block block;
    struct kw_rtcp rtcp;

    if (kw_rtcp_check(packet, len) != KW_ACCEPT)
        return;
    while (kw_rtcp_next(&in, &rtcp)) {
        bool is_wish = rtcp.type == KW_RTCP_PSFB &&
                       (rtcp.count == KW_RTCP_FMT_PLI || rtcp.count == KW_RTCP_FMT_FIR);

        for (size_t i = 0; i < KW_RELAY_KINDS; i++) {
            if (rtcp.type == KW_RTCP_SR && relay->has_agent[i] && relay->agent[i].ssrc == rtcp.ssrc)
                kw_rtp_source_sr(&relay->agent[i], &rtcp.sender, now);
        }
        while (kw_rtcp_block_next(&rtcp.blocks, &block)) {
            for (size_t i = 0; i < KW_RELAY_KINDS; i++) {
                if (relay->has_splice[i] && relay->splice[i].stream.ssrc == block.ssrc)
                    kw_rtp_stream_report(&relay->splice[i].stream, &block, ntp);
            }
        }
        if (is_wish && relay->has_splice[KW_RELAY_VIDEO]) {
            uint32_t tag, ssrc;

            if (kw_splice_current(&relay->splice[KW_RELAY_VIDEO], &tag, &ssrc))
                ask_leg(gateway, call, tag, ssrc);
        }
    }
}

bool kw_relay_plain(struct kw_gateway *gateway, struct kw_call *call, uint8_t *packet, size_t len,
                    kw_ns now, struct kw_way *way)
{
    struct kw_leg *leg = kw_call_leg(call, kw_session_current(call->session));
    const struct kw_leg_format *format;
    struct kw_rtp_source *agent;
    struct delivery how;
    struct kw_rtp rtp;
    size_t kind;

    if (len >= 2 && kw_srtp_is_rtcp(packet, len)) {
        plain_rtcp(gateway, call, packet, len, now);
        return false;
    }
    if (leg == NULL || kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT ||
        leg->payload[rtp.payload_type & 0x7f] == 0)
        return false;
    format = &leg->formats[leg->payload[rtp.payload_type & 0x7f] - 1];
    kind = kind_of(leg->media[format->media].kind);
    agent = &call->relay.agent[kind];
    if (!call->relay.has_agent[kind] || agent->ssrc != rtp.ssrc) {
        kw_rtp_source_init(agent, rtp.ssrc, format->clock_hz);
        call->relay.has_agent[kind] = true;
    }
    kw_rtp_source_receive(agent, rtp.seq, rtp.timestamp, now);
    how = (struct delivery){
        .payload_type = rtp.payload_type,
        .kind = kind,
        .clock_hz = format->clock_hz,
    };
    return deliver_all(gateway, call, NULL, NULL, &how, packet, len, now, way);
}

/* --- RTCP ------------------------------------------------------------------------------------- */

void kw_relay_report(struct kw_call *call, const struct kw_leg *leg,
                     const struct kw_incoming *incoming, const struct kw_rtcp_sender *sr)
{
    size_t kind = kind_of(leg->media[incoming->media].kind);
    struct kw_splice *splice = &call->relay.splice[kind];

    if (!call->relay.has_splice[kind])
        return;
    kw_splice_report(splice, leg->tag, incoming->source.ssrc, sr);
    kw_rtp_stream_anchor(&splice->stream, leg->tag, incoming->source.ssrc, sr, &leg->sync);
}

void kw_relay_wish(struct kw_gateway *gateway, struct kw_call *call, enum kw_sdp_kind kind)
{
    struct kw_call *other = other_of(gateway, call);
    uint32_t tag, ssrc;

    if (other != NULL && other->relay.has_splice[kind_of(kind)] &&
        kw_splice_current(&other->relay.splice[kind_of(kind)], &tag, &ssrc))
        ask_leg(gateway, other, tag, ssrc);
}

void kw_relay_again(struct kw_gateway *gateway, struct kw_call *call, enum kw_sdp_kind kind,
                    uint16_t seq)
{
    struct kw_call *other = other_of(gateway, call);
    struct kw_rtp_origin origin;
    struct kw_leg *leg;

    if (other == NULL || !other->relay.has_splice[kind_of(kind)] ||
        !kw_rtp_stream_origin(&other->relay.splice[kind_of(kind)].stream, seq, &origin))
        return;
    leg = kw_call_leg_tagged(other, origin.tag);
    if (leg != NULL)
        kw_leg_ask_again(gateway, other, leg, origin.ssrc, origin.seq);
}

void kw_relay_anchor(struct kw_gateway *gateway, const struct kw_call *call, struct kw_leg *leg,
                     kw_ns now)
{
    const struct kw_rtp_sync same_clock = {.known = true};
    const struct kw_call *other = other_of(gateway, call);
    uint64_t ntp = kw_ntp_from_ns(now);

    for (size_t i = 0; other != NULL && i < leg->media_count; i++) {
        size_t kind = kind_of(leg->media[i].kind);
        struct kw_rtcp_sender sr;

        if (!leg->media[i].out.started || !other->relay.has_splice[kind])
            continue;
        kw_rtp_stream_sender(&other->relay.splice[kind].stream, ntp, now, &sr);
        kw_rtp_stream_anchor(&leg->media[i].out, PLAIN_TAG, other->relay.splice[kind].stream.ssrc,
                             &sr, &same_clock);
    }
}

size_t kw_relay_plain_report(struct kw_call *call, uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_relay *relay = &call->relay;
    struct kw_rtp_stream *streams[KW_RELAY_KINDS];
    struct kw_rtp_source *sources[KW_RELAY_KINDS];
    struct kw_rtp_report report = {
        .ssrc = 1,
        .cname = {(const uint8_t *)KW_CNAME, sizeof KW_CNAME - 1},
        .streams = streams,
        .sources = sources,
    };

    if (!relay->has_target || now < relay->report_at)
        return 0;
    relay->report_at = now + KW_REPORT_EVERY;
    for (size_t i = 0; i < KW_RELAY_KINDS; i++) {
        if (relay->has_splice[i])
            streams[report.stream_count++] = &relay->splice[i].stream;
        if (relay->has_agent[i])
            sources[report.source_count++] = &relay->agent[i];
    }
    return kw_rtp_report_write(&report, kw_ntp_from_ns(now), now, dst, dst_size);
}
