/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end `echo`: what a client sends comes back as a stream of our own, with our SSRC, our
 * sequence numbers and our clock, each a constant away from the client's, so that gaps stay gaps
 * and its jitter buffer sees what we saw. One source per m-line goes back. We report like any
 * sender and receiver, so that the client's statistics show round trip and loss.
 */
#include "gateway/state.h"

#include "rtp/rtcp.h"
#include "rtp/rtp.h"

#include <string.h>

enum { SEQ_START_MASK = 0x3fff };

static const struct kw_bytes cname = {(const uint8_t *)"keywheel", 8};

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
    uint8_t media = leg->payload[rtp->payload_type].media;
    uint32_t clock_hz = leg->payload[rtp->payload_type].clock_khz * 1000U;

    for (size_t i = 0; media != 0 && i < KW_LEG_STREAMS; i++) {
        struct kw_incoming *incoming = &leg->incoming[i];

        if (incoming->used)
            continue;
        incoming->used = true;
        incoming->media = (uint8_t)(media - 1);
        kw_rtp_source_init(&incoming->source, rtp->ssrc, clock_hz);
        return incoming;
    }
    return NULL;
}

/*
 * This source begins to feed the stream that goes back. A stream starts below 2^14, so that the
 * roll-over counters of both sides start at 0; a successor goes on where the last one ended.
 */
static bool attach(struct kw_gateway *gateway, struct kw_leg *leg, struct kw_incoming *incoming,
                   const struct kw_rtp *rtp, kw_ns now)
{
    struct kw_leg_media *media = &leg->media[incoming->media];
    enum kw_status status = KW_OK;

    if (!media->out.started) {
        uint64_t drawn = kw_gateway_draw(gateway, &status);

        if (status != KW_OK)
            return false;
        kw_rtp_stream_init(&media->out, media->ssrc, incoming->source.clock_hz,
                           (uint16_t)(drawn & SEQ_START_MASK));
        kw_rtp_stream_attach(&media->out, leg->generation, rtp, (uint32_t)(drawn >> 32));
    } else {
        kw_rtp_stream_attach(&media->out, leg->generation, rtp,
                             kw_rtp_stream_clock(&media->out, now));
    }
    media->feeds = (uint8_t)(incoming - leg->incoming + 1);
    return true;
}

/* Another SSRC takes the place of one that has fallen silent, never of one that speaks. */
static bool may_attach(const struct kw_leg *leg, const struct kw_leg_media *media, kw_ns now)
{
    return media->feeds == 0 ||
           now > leg->incoming[media->feeds - 1].source.heard_at + KW_STREAM_SILENT;
}

bool kw_echo_rtp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                 uint8_t *packet, size_t len, kw_ns now)
{
    struct kw_incoming *incoming;
    struct kw_leg_media *media;
    struct kw_rtp rtp;

    (void)call;
    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return false;
    incoming = find_incoming(leg, rtp.ssrc);
    if (incoming == NULL)
        incoming = new_incoming(leg, &rtp);
    if (incoming == NULL)
        return false;
    media = &leg->media[incoming->media];
    if (media->sends && media->feeds != incoming - leg->incoming + 1 &&
        may_attach(leg, media, now) && !attach(gateway, leg, incoming, &rtp, now))
        return false;
    kw_rtp_source_receive(&incoming->source, rtp.seq, rtp.timestamp, now);
    return media->sends &&
           kw_rtp_stream_forward(&media->out, leg->generation, packet, &rtp, now) == KW_ACCEPT;
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

static void take_sender(struct kw_leg *leg, const struct kw_rtcp *rtcp, uint64_t ntp, kw_ns now)
{
    struct kw_incoming *incoming = find_incoming(leg, rtcp->ssrc);

    if (incoming == NULL)
        return;
    kw_rtp_source_sr(&incoming->source, &rtcp->sender, now);
    kw_rtp_sync_learn(&leg->sync, &rtcp->sender, ntp);
    kw_rtp_stream_anchor(&leg->media[incoming->media].out, leg->generation, rtcp->ssrc,
                         &rtcp->sender, &leg->sync);
}

/* The client is also the source: its decoder's wish for a key frame goes to its encoder. */
static void take_wish(struct kw_leg *leg, uint32_t ssrc)
{
    struct kw_leg_media *media = media_of_ours(leg, ssrc);

    if (media != NULL && media->kind == KW_SDP_VIDEO)
        media->wants_key_frame = true;
}

static void take_feedback(struct kw_leg *leg, const struct kw_rtcp *rtcp)
{
    struct kw_bytes items = rtcp->items;
    uint32_t ssrc;
    uint8_t command;

    if (rtcp->type == KW_RTCP_PSFB && rtcp->count == KW_RTCP_FMT_PLI)
        take_wish(leg, rtcp->media_ssrc);
    if (rtcp->type == KW_RTCP_PSFB && rtcp->count == KW_RTCP_FMT_FIR) {
        while (kw_rtcp_fir_next(&items, &ssrc, &command))
            take_wish(leg, ssrc);
    }
    /* We keep no packets to send again; for video a key frame mends what is missing. */
    if (rtcp->type == KW_RTCP_RTPFB && rtcp->count == KW_RTCP_FMT_NACK)
        take_wish(leg, rtcp->media_ssrc);
}

void kw_echo_rtcp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                  const uint8_t *packet, size_t len, kw_ns now)
{
    struct kw_reader in = kw_reader_of(packet, len);
    uint64_t ntp = kw_ntp_from_ns(now);
    struct kw_rtcp rtcp;

    (void)gateway;
    (void)call;
    if (kw_rtcp_check(packet, len) != KW_ACCEPT)
        return;
    while (kw_rtcp_next(&in, &rtcp)) {
        if (rtcp.type == KW_RTCP_SR)
            take_sender(leg, &rtcp, ntp, now);
        if (rtcp.type == KW_RTCP_SR || rtcp.type == KW_RTCP_RR)
            take_blocks(leg, &rtcp, ntp);
        if (rtcp.type == KW_RTCP_PSFB || rtcp.type == KW_RTCP_RTPFB)
            take_feedback(leg, &rtcp);
    }
}

static bool asks_now(const struct kw_leg_media *media, kw_ns now)
{
    return media->wants_key_frame && media->feeds != 0 && now >= media->asked + KW_KEY_FRAME_EVERY;
}

static size_t write_wishes(struct kw_leg *leg, uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);

    for (size_t i = 0; i < leg->media_count; i++) {
        struct kw_leg_media *media = &leg->media[i];

        if (!asks_now(media, now))
            continue;
        kw_rtcp_write_pli(&out, media->ssrc != 0 ? media->ssrc : leg->report_ssrc,
                          leg->incoming[media->feeds - 1].source.ssrc);
        media->wants_key_frame = false;
        media->asked = now;
    }
    return out.failed ? 0 : out.len;
}

size_t kw_echo_report(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      uint8_t *dst, size_t dst_size, kw_ns now)
{
    struct kw_rtp_stream *streams[KW_SDP_MEDIA_MAX];
    struct kw_rtp_source *sources[KW_LEG_STREAMS];
    struct kw_rtp_report report = {
        .ssrc = leg->report_ssrc,
        .cname = cname,
        .streams = streams,
        .sources = sources,
    };
    bool is_due = now >= leg->report_at;
    size_t len;

    (void)gateway;
    (void)call;
    for (size_t i = 0; i < leg->media_count; i++) {
        is_due = is_due || asks_now(&leg->media[i], now);
        if (leg->media[i].out.started)
            streams[report.stream_count++] = &leg->media[i].out;
    }
    if (!is_due)
        return 0;
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
