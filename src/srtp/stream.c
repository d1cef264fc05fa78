/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of streams. RFC 3711, section 3.2.1: roll-over counter and replay list belong to one
 * SSRC, the keys to all of them. An SSRC takes a place only when it has authenticated something, or
 * when an older generation knew it; a carried place that never did is given up for one that has.
 */
#include "srtp/context.h"

struct stream *kw_srtp_stream_search(struct kw_srtp *srtp, uint32_t ssrc)
{
    struct stream *streams = srtp->streams;

    for (uint8_t i = 0; i < srtp->stream_count; i++) {
        if (streams[i].ssrc == ssrc) {
            srtp->hint = (uint8_t)(i & 63u);
            return &streams[i];
        }
    }
    return NULL;
}

static struct stream *idle_stream(const struct kw_srtp *srtp)
{
    for (uint8_t i = 0; i < srtp->stream_count; i++) {
        const struct stream *stream = &srtp->streams[i];

        if ((stream->flags & (KW_STREAM_RTP | KW_STREAM_RTCP)) == 0)
            return (struct stream *)(uintptr_t)stream;
    }
    return NULL;
}

bool kw_srtp_has_room(const struct kw_srtp *srtp)
{
    return srtp->stream_count < srtp->stream_max || idle_stream(srtp) != NULL;
}

struct stream *kw_srtp_stream_add(struct kw_srtp *srtp, uint32_t ssrc)
{
    struct stream *stream;

    if (srtp->stream_count < srtp->stream_max)
        stream = &srtp->streams[srtp->stream_count++];
    else
        stream = idle_stream(srtp);
    if (stream == NULL)
        return NULL;
    *stream = (struct stream){.ssrc = ssrc};
    *history_of(srtp, stream) = (struct history){0};
    return stream;
}

void kw_srtp_carry(struct kw_srtp *to, const struct kw_srtp *from, bool roc_continues)
{
    /* RFC 3711, section 3.3.1: a new sender context that nobody told otherwise starts at zero. */
    if (to->for_sending && !roc_continues)
        return;
    to->roc_continues = roc_continues;
    for (uint8_t i = 0; i < from->stream_count; i++) {
        const struct stream *old = &from->streams[i];
        struct stream *stream = stream_find(to, old->ssrc);

        if ((old->flags & (KW_STREAM_RTP | KW_STREAM_CARRIED)) == 0)
            continue;
        if (stream == NULL && to->stream_count < to->stream_max)
            stream = kw_srtp_stream_add(to, old->ssrc);
        if (stream == NULL || (stream->flags & KW_STREAM_RTP) != 0)
            continue;
        stream->highest = old->highest;
        stream->flags |= KW_STREAM_CARRIED;
    }
}

const struct kw_srtp_counters *kw_srtp_counters(const struct kw_srtp *srtp)
{
    struct kw_srtp *own = (struct kw_srtp *)(uintptr_t)srtp;

    own->counters.packets = srtp->packets;
    own->counters.bytes = srtp->bytes + srtp->rtcp_bytes;
    return &srtp->counters;
}

bool kw_srtp_near_limit(const struct kw_srtp *srtp)
{
    return srtp->near_limit;
}

bool kw_srtp_is_rtcp(const uint8_t *packet, size_t len)
{
    uint8_t type = len >= 2 ? packet[1] & 0x7f : 0;

    return type >= 64 && type <= 95;
}
