/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end `echo`: what a client sends comes back as a stream of our own, with our SSRC, our
 * sequence numbers and our timestamps, each a constant away from the client's, so that gaps stay
 * gaps and the receiver's jitter buffer sees what we saw. One stream per m-line goes back.
 */
#include "gateway/state.h"

#include <string.h>

enum { RTP_HEADER = 12, SEQ_START_MASK = 0x3fff };

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static struct kw_stream *find_stream(struct kw_leg *leg, uint32_t ssrc)
{
    for (size_t i = 0; i < KW_LEG_STREAMS; i++) {
        if (leg->streams[i].used && leg->streams[i].ssrc == ssrc)
            return &leg->streams[i];
    }
    return NULL;
}

static struct kw_stream *new_stream(struct kw_leg *leg, uint32_t ssrc, uint8_t media, kw_ns now)
{
    for (size_t i = 0; i < KW_LEG_STREAMS; i++) {
        struct kw_stream *stream = &leg->streams[i];

        if (stream->used)
            continue;
        *stream = (struct kw_stream){.used = true, .ssrc = ssrc, .media = media, .heard = now};
        return stream;
    }
    return NULL;
}

/*
 * The stream becomes the one that goes back for its m-line. A new stream starts below 2^14, so that
 * the roll-over counter of both sides starts at 0; a successor goes on where the last one ended.
 */
static bool start_echo(struct kw_gateway *gateway, struct kw_leg *leg, struct kw_stream *stream,
                       const uint8_t *packet)
{
    struct kw_leg_media *media = &leg->media[stream->media];
    uint16_t seq = get16(packet + 2);
    uint32_t ts = get32(packet + 4);
    enum kw_status status;

    if (media->echo != 0) {
        struct kw_stream *old = &leg->streams[media->echo - 1];

        stream->seq_offset = (uint16_t)(old->out_highest + 1 - seq);
        stream->ts_offset = old->out_ts + 1 - ts;
        stream->out_highest = old->out_highest;
        stream->out_ts = old->out_ts;
        old->is_echoed = false;
    } else {
        uint64_t drawn = kw_gateway_draw(gateway, &status);

        if (status != KW_OK)
            return false;
        stream->seq_offset = (uint16_t)((drawn & SEQ_START_MASK) - seq);
        stream->ts_offset = (uint32_t)(drawn >> 32) - ts;
        stream->out_highest = (uint16_t)(seq + stream->seq_offset - 1);
    }
    stream->is_echoed = true;
    media->echo = (uint8_t)(stream - leg->streams + 1);
    return true;
}

static bool may_echo(const struct kw_leg *leg, const struct kw_stream *stream, kw_ns now)
{
    const struct kw_leg_media *media = &leg->media[stream->media];

    if (!media->sends)
        return false;
    return media->echo == 0 || now > leg->streams[media->echo - 1].heard + KW_STREAM_SILENT;
}

bool kw_echo_rtp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                 uint8_t *packet, size_t len, kw_ns now)
{
    struct kw_stream *stream;
    uint32_t ssrc;
    uint8_t media;
    uint16_t seq;

    (void)call;
    if (len < RTP_HEADER)
        return false;
    ssrc = get32(packet + 8);
    stream = find_stream(leg, ssrc);
    if (stream == NULL) {
        media = leg->payload[packet[1] & 0x7f].media;
        if (media == 0)
            return false;
        stream = new_stream(leg, ssrc, (uint8_t)(media - 1), now);
        if (stream == NULL)
            return false;
    }
    if (!stream->is_echoed &&
        (!may_echo(leg, stream, now) || !start_echo(gateway, leg, stream, packet))) {
        stream->heard = now;
        return false;
    }
    stream->heard = now;
    seq = (uint16_t)(get16(packet + 2) + stream->seq_offset);
    if ((int16_t)(uint16_t)(seq - stream->out_highest) > 0) {
        stream->out_highest = seq;
        stream->out_ts = get32(packet + 4) + stream->ts_offset;
    }
    put16(packet + 2, seq);
    put32(packet + 4, get32(packet + 4) + stream->ts_offset);
    put32(packet + 8, leg->media[stream->media].ssrc);
    return true;
}

void kw_echo_rtcp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                  const uint8_t *packet, size_t len, kw_ns now)
{
    (void)gateway;
    (void)call;
    (void)leg;
    (void)packet;
    (void)len;
    (void)now;
}

size_t kw_echo_report(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      uint8_t *dst, size_t dst_size, kw_ns now)
{
    (void)gateway;
    (void)call;
    (void)dst;
    (void)dst_size;
    if (now >= leg->report_at)
        leg->report_at = now + KW_REPORT_EVERY;
    return 0;
}
