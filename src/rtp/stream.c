/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence numbers are kept as 64-bit numbers that never wrap: an incoming one is the candidate
 * nearest to the highest of its epoch, an outgoing one is that plus the epoch's shift.
 */
#include "rtp/stream.h"

#include "base/assert.h"

#include <string.h>

/* So that no extended number ever goes below zero. */
#define EXTENDED_ZERO ((uint64_t)1 << 32)

static uint64_t extend(uint16_t seq, uint64_t near)
{
    return near + (uint64_t)(int64_t)kw_rtp_seq_diff(seq, (uint16_t)near);
}

void kw_rtp_stream_init(struct kw_rtp_stream *stream, uint32_t ssrc, uint32_t clock_hz,
                        uint16_t first_seq)
{
    KW_ASSERT(clock_hz != 0);
    *stream = (struct kw_rtp_stream){
        .ssrc = ssrc,
        .clock_hz = clock_hz,
        .highest = EXTENDED_ZERO + first_seq - 1,
    };
}

uint32_t kw_rtp_stream_clock(const struct kw_rtp_stream *stream, kw_ns now)
{
    return stream->last_ts + (uint32_t)kw_rtp_units(now - stream->last_at, stream->clock_hz);
}

void kw_rtp_stream_attach(struct kw_rtp_stream *stream, uint32_t tag, const struct kw_rtp *first,
                          uint32_t out_ts)
{
    uint64_t in = EXTENDED_ZERO + first->seq;

    memmove(&stream->epochs[1], &stream->epochs[0], (KW_RTP_EPOCHS - 1) * sizeof stream->epochs[0]);
    stream->epochs[0] = (struct kw_rtp_epoch){
        .used = true,
        .tag = tag,
        .ssrc = first->ssrc,
        .first_out = stream->highest + 1,
        .in_highest = in,
        .shift = stream->highest + 1 - in,
        .ts_shift = out_ts - first->timestamp,
    };
    stream->has_anchor = false;
}

/* What is skipped has not left yet: it may be late, or lost before us. */
static void note_sent(struct kw_rtp_stream *stream, uint64_t out)
{
    uint64_t first = KW_MAX(stream->highest + 1, out >= KW_RTP_SENT ? out - KW_RTP_SENT + 1 : 0);

    for (uint64_t n = first; n <= out; n++)
        stream->sent[n % KW_RTP_SENT / 64] &= ~((uint64_t)1 << n % 64);
    if (out + KW_RTP_SENT > stream->highest)
        stream->sent[out % KW_RTP_SENT / 64] |= (uint64_t)1 << out % 64;
}

bool kw_rtp_stream_has_sent(const struct kw_rtp_stream *stream, uint16_t seq)
{
    uint64_t out = extend(seq, stream->highest);

    return stream->started && out <= stream->highest && out + KW_RTP_SENT > stream->highest &&
           (stream->sent[out % KW_RTP_SENT / 64] >> out % 64 & 1) != 0;
}

enum kw_verdict kw_rtp_stream_forward(struct kw_rtp_stream *stream, uint32_t tag, uint8_t *packet,
                                      const struct kw_rtp *rtp, kw_ns now)
{
    uint64_t end = UINT64_MAX; /* where the next epoch begins */
    struct kw_rtp_epoch *epoch = NULL;
    uint64_t in, out;
    uint32_t timestamp;

    for (size_t i = 0; i < KW_RTP_EPOCHS && epoch == NULL; i++) {
        if (!stream->epochs[i].used)
            break;
        if (stream->epochs[i].tag == tag && stream->epochs[i].ssrc == rtp->ssrc)
            epoch = &stream->epochs[i];
        else
            end = stream->epochs[i].first_out;
    }
    if (epoch == NULL)
        return KW_DROP_FOREIGN;
    in = extend(rtp->seq, epoch->in_highest);
    out = in + epoch->shift;
    if (out < epoch->first_out)
        return KW_DROP_OLD;
    if (out >= end)
        return KW_DROP_UNEXPECTED;

    epoch->in_highest = KW_MAX(epoch->in_highest, in);
    note_sent(stream, out);
    timestamp = rtp->timestamp + epoch->ts_shift;
    if (out > stream->highest) {
        stream->highest = out;
        stream->last_ts = timestamp;
        stream->last_at = now;
    }
    stream->started = true;
    stream->packets++;
    stream->octets += (uint32_t)rtp->payload.len;
    kw_rtp_set_ssrc(packet, stream->ssrc);
    kw_rtp_set_seq(packet, (uint16_t)out);
    kw_rtp_set_timestamp(packet, timestamp);
    return KW_ACCEPT;
}

bool kw_rtp_stream_origin(const struct kw_rtp_stream *stream, uint16_t seq,
                          struct kw_rtp_origin *ret)
{
    uint64_t out = extend(seq, stream->highest);

    if (out > stream->highest)
        return false; /* never sent */
    for (size_t i = 0; i < KW_RTP_EPOCHS && stream->epochs[i].used; i++) {
        const struct kw_rtp_epoch *epoch = &stream->epochs[i];

        if (out < epoch->first_out)
            continue;
        *ret = (struct kw_rtp_origin){
            .tag = epoch->tag, .ssrc = epoch->ssrc, .seq = (uint16_t)(out - epoch->shift)};
        return true;
    }
    return false;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

void kw_rtp_sync_learn(struct kw_rtp_sync *sync, const struct kw_rtcp_sender *sr, uint64_t ntp)
{
    int64_t sample = (int64_t)(kw_ntp_to_ns(ntp) - kw_ntp_to_ns(sr->ntp));
    int64_t change = sample - sync->offset_ns;

    /* Shorter ways are believed at once, longer ones slowly (drift), steps of a second at once. */
    if (!sync->known || change < 0 || change > (int64_t)KW_S(1))
        sync->offset_ns = sample;
    else
        sync->offset_ns += change / 64;
    sync->known = true;
}

void kw_rtp_stream_anchor(struct kw_rtp_stream *stream, uint32_t tag, uint32_t source_ssrc,
                          const struct kw_rtcp_sender *sr, const struct kw_rtp_sync *sync)
{
    const struct kw_rtp_epoch *epoch = &stream->epochs[0];

    if (!epoch->used || epoch->tag != tag || epoch->ssrc != source_ssrc || !sync->known)
        return;
    stream->has_anchor = true;
    stream->anchor_ts = sr->timestamp + epoch->ts_shift;
    stream->anchor_ntp = kw_ntp_from_ns(kw_ntp_to_ns(sr->ntp) + (uint64_t)sync->offset_ns);
}

void kw_rtp_stream_sender(const struct kw_rtp_stream *stream, uint64_t ntp, kw_ns now,
                          struct kw_rtcp_sender *ret)
{
    *ret = (struct kw_rtcp_sender){
        .ntp = ntp,
        .timestamp = kw_rtp_stream_clock(stream, now),
        .packets = stream->packets,
        .octets = stream->octets,
    };
    if (stream->has_anchor && ntp >= stream->anchor_ntp) {
        kw_ns since = kw_ntp_to_ns(ntp) - kw_ntp_to_ns(stream->anchor_ntp);

        ret->timestamp = stream->anchor_ts + (uint32_t)kw_rtp_units(since, stream->clock_hz);
    }
}

/* RFC 3550 section 6.4.1: A - LSR - DLSR, in 1/65536 s. */
void kw_rtp_stream_report(struct kw_rtp_stream *stream, const struct kw_rtcp_block *block,
                          uint64_t ntp)
{
    int32_t rtt = (int32_t)(kw_ntp_middle(ntp) - block->lsr - block->dlsr);

    stream->has_report = true;
    stream->fraction_lost = block->fraction_lost;
    stream->lost = block->lost;
    stream->jitter = block->jitter;
    /* A clock of 15 us may come out a step negative on a short way; more than that is nonsense. */
    if (block->lsr != 0 && rtt > -16)
        stream->rtt = (kw_ns)KW_MAX(rtt, 1) * KW_S(1) / 65536;
}

/* ---- our reports ----------------------------------------------------------------------------- */

size_t kw_rtp_report_write(const struct kw_rtp_report *report, uint64_t ntp, kw_ns now,
                           uint8_t *dst, size_t dst_size)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);
    struct kw_rtcp_block blocks[KW_RTCP_BLOCKS_MAX];
    size_t block_count = 0, sender_count = 0;

    for (size_t i = 0; i < report->source_count && block_count < KW_RTCP_BLOCKS_MAX; i++) {
        if (report->sources[i]->started)
            kw_rtp_source_block(report->sources[i], now, &blocks[block_count++]);
    }
    for (size_t i = 0; i < report->stream_count; i++) {
        struct kw_rtcp_sender sender;

        if (!report->streams[i]->started)
            continue;
        kw_rtp_stream_sender(report->streams[i], ntp, now, &sender);
        kw_rtcp_write_sr(&out, report->streams[i]->ssrc, &sender, blocks,
                         sender_count == 0 ? block_count : 0);
        sender_count++;
    }
    if (sender_count == 0) {
        if (block_count == 0)
            return 0;
        kw_rtcp_write_rr(&out, report->ssrc, blocks, block_count);
        kw_rtcp_write_cname(&out, report->ssrc, report->cname);
    }
    for (size_t i = 0; i < report->stream_count; i++) {
        if (report->streams[i]->started)
            kw_rtcp_write_cname(&out, report->streams[i]->ssrc, report->cname);
    }
    return kw_writer_view(&out).len;
}
