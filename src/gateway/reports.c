/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every back end needs of RTP and RTCP: which SSRC belongs to which m-line, one stream of our
 * own per m-line that goes back, sender and receiver reports like any participant's, so that the
 * client's statistics show round trip and loss.
 */
#include "gateway/state.h"

#include "rtp/rtcp.h"
#include "rtp/rtp.h"

#include <string.h>

enum { NACK_ITEMS_MAX = 16 }; /* of a NACK that are looked at: 272 packets; a flood is cut short */

static struct kw_incoming *find_incoming(struct kw_leg *leg, uint32_t ssrc)
{
    for (size_t i = 0; i < KW_LEG_STREAMS; i++) {
        if (leg->incoming[i].used && leg->incoming[i].source.ssrc == ssrc)
            return &leg->incoming[i];
    }
    return NULL;
}

/* Which m-line a new SSRC belongs to, its payload type says (RFC 9143, section 9.2). */
static struct kw_incoming *new_incoming(struct kw_leg *leg, const struct kw_rtp *rtp)
{
    uint8_t place = leg->payload[rtp->payload_type & 0x7f];

    for (size_t i = 0; place != 0 && i < KW_LEG_STREAMS; i++) {
        struct kw_incoming *incoming = &leg->incoming[i];

        if (incoming->used)
            continue;
        incoming->used = true;
        incoming->media = leg->formats[place - 1].media;
        kw_rtp_source_init(&incoming->source, rtp->ssrc, leg->formats[place - 1].clock_hz);
        return incoming;
    }
    return NULL;
}

/*
 * The first SSRC of an m-line is the one. Another takes its place when it has fallen silent, never
 * while it speaks.
 */
bool kw_leg_feeds(struct kw_leg *leg, const struct kw_incoming *incoming, kw_ns now)
{
    struct kw_leg_media *media = &leg->media[incoming->media];
    uint8_t place = (uint8_t)(incoming - leg->incoming + 1);

    if (media->feeds == 0 ||
        now > leg->incoming[media->feeds - 1].source.heard_at + KW_STREAM_SILENT)
        media->feeds = place;
    return media->feeds == place;
}

struct kw_incoming *kw_leg_incoming(struct kw_leg *leg, const struct kw_rtp *rtp, kw_ns now)
{
    struct kw_incoming *incoming = find_incoming(leg, rtp->ssrc);

    if (incoming == NULL)
        incoming = new_incoming(leg, rtp);
    if (incoming != NULL)
        kw_rtp_source_receive(&incoming->source, rtp->seq, rtp->timestamp, now);
    return incoming;
}

/*
 * A stream starts below 2^14, so that the roll-over counters of both sides start at 0 (RFC 3711
 * section 3.3.1); a new source goes on where the last one ended.
 */
bool kw_leg_forward(struct kw_gateway *gateway, struct kw_leg_media *media, uint32_t tag,
                    uint32_t clock_hz, uint8_t *packet, const struct kw_rtp *rtp, kw_ns now)
{
    enum kw_verdict verdict = KW_DROP_FOREIGN;
    enum kw_status status = KW_OK;
    uint64_t drawn;

    if (media->out.started)
        verdict = kw_rtp_stream_forward(&media->out, tag, packet, rtp, now);
    if (verdict != KW_DROP_FOREIGN)
        return verdict == KW_ACCEPT;
    if (media->out.started) {
        kw_rtp_stream_attach(&media->out, tag, rtp, kw_rtp_stream_clock(&media->out, now));
    } else {
        drawn = kw_gateway_draw(gateway, &status);
        if (status != KW_OK)
            return false;
        kw_rtp_stream_init(&media->out, media->ssrc, clock_hz,
                           (uint16_t)(drawn & KW_SEQ_START_MASK));
        kw_rtp_stream_attach(&media->out, tag, rtp, (uint32_t)(drawn >> 32));
    }
    return kw_rtp_stream_forward(&media->out, tag, packet, rtp, now) == KW_ACCEPT;
}

/* --- RTCP ------------------------------------------------------------------------------------- */

static struct kw_leg_media *media_of_ours(struct kw_leg *leg, uint32_t ssrc)
{
    for (size_t i = 0; i < leg->media_count; i++) {
        if (leg->media[i].sends && leg->media[i].ssrc == ssrc)
            return &leg->media[i];
    }
    return NULL;
}

static void take_blocks(struct kw_leg *leg, const struct kw_rtcp *rtcp, uint64_t ntp)
{
    struct kw_bytes blocks = rtcp->blocks;
    struct kw_rtcp_block block;

    while (kw_rtcp_block_next(&blocks, &block)) {
        struct kw_leg_media *media = media_of_ours(leg, block.ssrc);

        if (media != NULL && media->out.started)
            kw_rtp_stream_report(&media->out, &block, ntp);
    }
}

static void take_sender(struct kw_call *call, struct kw_leg *leg, const struct kw_rtcp *rtcp,
                        uint64_t ntp, kw_ns now)
{
    struct kw_incoming *incoming = find_incoming(leg, rtcp->ssrc);

    if (incoming == NULL)
        return;
    kw_rtp_source_sr(&incoming->source, &rtcp->sender, now);
    kw_rtp_sync_learn(&leg->sync, &rtcp->sender, ntp);
    kw_rtp_stream_anchor(&leg->media[incoming->media].out, KW_ECHO_TAG, rtcp->ssrc, &rtcp->sender,
                         &leg->sync);
    kw_relay_report(call, leg, incoming, &rtcp->sender);
}

/* A decoder's wish for a key frame goes to the encoder: in the echo, the client's own. */
static void take_wish(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      uint32_t ssrc)
{
    struct kw_leg_media *media = media_of_ours(leg, ssrc);

    if (media == NULL || media->kind != KW_SDP_VIDEO)
        return;
    if (call->tenant->config->backend == KW_BACKEND_ECHO)
        media->wants_key_frame = true;
    else
        kw_relay_wish(gateway, call, media->kind);
}

void kw_leg_ask_again(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      uint32_t ssrc, uint16_t seq)
{
    struct kw_incoming *incoming = find_incoming(leg, ssrc);
    struct kw_leg_media *media;
    uint16_t behind;

    if (incoming == NULL || (leg->media[incoming->media].feedback & KW_SDP_FB_NACK) == 0)
        return;
    media = &leg->media[incoming->media];
    behind = (uint16_t)(seq - media->again_seq);
    if (!media->wants_again || media->again_ssrc != ssrc) {
        media->wants_again = true;
        media->again_ssrc = ssrc;
        media->again_seq = seq;
        media->again_mask = 0;
    } else if (behind >= 1 && behind <= 16) {
        media->again_mask |=
            (uint16_t)(1U << (behind - 1)); /* others: whoever misses them repeats */
    }
    kw_gateway_touch(gateway, call);
}

/*
 * What never came to us its sender still has. What we have passed on was lost behind us: we keep no
 * packets, and its sender's repetition would be a replay here, so only a key frame mends that.
 */
static void miss(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                 const struct kw_leg_media *media, uint16_t seq)
{
    struct kw_rtp_origin origin;

    if (kw_rtp_stream_has_sent(&media->out, seq))
        take_wish(gateway, call, leg, media->ssrc);
    else if (!kw_rtp_stream_origin(&media->out, seq, &origin))
        return;
    else if (call->tenant->config->backend == KW_BACKEND_ECHO)
        kw_leg_ask_again(gateway, call, leg, origin.ssrc, origin.seq);
    else
        kw_relay_again(gateway, call, media->kind, origin.seq);
}

/* Video only: for audio no NACK is agreed, a packet that comes again comes too late. */
static void take_nack(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      const struct kw_rtcp *rtcp)
{
    const struct kw_leg_media *media = media_of_ours(leg, rtcp->media_ssrc);
    struct kw_bytes items = rtcp->items;
    uint16_t seq, mask;

    if (media == NULL || media->kind != KW_SDP_VIDEO || !media->out.started)
        return;
    for (int i = 0; i < NACK_ITEMS_MAX && kw_rtcp_nack_next(&items, &seq, &mask); i++) {
        miss(gateway, call, leg, media, seq);
        for (unsigned bit = 0; bit < 16; bit++) {
            if ((mask >> bit & 1) != 0)
                miss(gateway, call, leg, media, (uint16_t)(seq + 1 + bit));
        }
    }
}

static void take_feedback(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                          const struct kw_rtcp *rtcp)
{
    struct kw_bytes items = rtcp->items;
    uint32_t ssrc;
    uint8_t command;

    if (rtcp->type == KW_RTCP_PSFB && rtcp->count == KW_RTCP_FMT_PLI)
        take_wish(gateway, call, leg, rtcp->media_ssrc);
    if (rtcp->type == KW_RTCP_PSFB && rtcp->count == KW_RTCP_FMT_FIR) {
        while (kw_rtcp_fir_next(&items, &ssrc, &command))
            take_wish(gateway, call, leg, ssrc);
    }
    if (rtcp->type == KW_RTCP_RTPFB && rtcp->count == KW_RTCP_FMT_NACK)
        take_nack(gateway, call, leg, rtcp);
}

void kw_leg_rtcp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                 const uint8_t *packet, size_t len, kw_ns now)
{
    struct kw_reader in = kw_reader_of(packet, len);
    uint64_t ntp = kw_ntp_from_ns(now);
    struct kw_rtcp rtcp;

    if (kw_rtcp_check(packet, len) != KW_ACCEPT)
        return;
    while (kw_rtcp_next(&in, &rtcp)) {
        if (rtcp.type == KW_RTCP_SR)
            take_sender(call, leg, &rtcp, ntp, now);
        if (rtcp.type == KW_RTCP_SR || rtcp.type == KW_RTCP_RR)
            take_blocks(leg, &rtcp, ntp);
        if (rtcp.type == KW_RTCP_PSFB || rtcp.type == KW_RTCP_RTPFB)
            take_feedback(gateway, call, leg, &rtcp);
    }
}

static bool asks_now(const struct kw_leg_media *media, kw_ns now)
{
    return media->wants_key_frame && media->feeds != 0 && now >= media->asked + KW_KEY_FRAME_EVERY;
}

static bool asks_again_now(const struct kw_leg_media *media, kw_ns now)
{
    return media->wants_again && now >= media->again_at + KW_AGAIN_EVERY;
}

static size_t write_wishes(struct kw_leg *leg, uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);

    for (size_t i = 0; i < leg->media_count; i++) {
        struct kw_leg_media *media = &leg->media[i];

        uint32_t ours = media->ssrc != 0 ? media->ssrc : leg->report_ssrc;

        if (asks_now(media, now)) {
            kw_rtcp_write_pli(&out, ours, leg->incoming[media->feeds - 1].source.ssrc);
            media->wants_key_frame = false;
            media->asked = now;
        }
        if (asks_again_now(media, now)) {
            kw_rtcp_write_nack(&out, ours, media->again_ssrc, media->again_seq, media->again_mask);
            media->wants_again = false;
            media->again_at = now;
        }
    }
    return out.failed ? 0 : out.len;
}

size_t kw_leg_report(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                     uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_rtp_stream *streams[KW_SDP_MEDIA_MAX];
    struct kw_rtp_source *sources[KW_LEG_STREAMS];
    struct kw_rtp_report report = {
        .ssrc = leg->report_ssrc,
        .cname = {(const uint8_t *)KW_CNAME, sizeof KW_CNAME - 1},
        .streams = streams,
        .sources = sources,
    };
    bool is_due = now >= leg->report_at;
    size_t len;

    for (size_t i = 0; i < leg->media_count; i++) {
        is_due = is_due || asks_now(&leg->media[i], now) || asks_again_now(&leg->media[i], now);
        if (leg->media[i].out.started)
            streams[report.stream_count++] = &leg->media[i].out;
    }
    if (!is_due)
        return 0;
    kw_relay_anchor(gateway, call, leg, now);
    for (size_t i = 0; i < KW_LEG_STREAMS; i++) {
        if (leg->incoming[i].used)
            sources[report.source_count++] = &leg->incoming[i].source;
    }
    if (now >= leg->report_at)
        leg->report_at = now + KW_REPORT_EVERY;
    len = kw_rtp_report_write(&report, kw_ntp_from_ns(now), now, dst, dst_size);
    if (len == 0)
        return 0;
    return len + write_wishes(leg, dst + len, dst_size - len, now);
}
