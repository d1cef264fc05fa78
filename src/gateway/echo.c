/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end `echo`: what a client sends comes back as a stream of our own, with our SSRC, our
 * sequence numbers and our clock, each a constant away from the client's, so that gaps stay gaps
 * and its jitter buffer sees what we saw. One source per m-line goes back.
 */
#include "gateway/state.h"

#include "rtp/rtp.h"

bool kw_echo_rtp(struct kw_gateway *gateway, struct kw_leg *leg, uint8_t *packet, size_t len,
                 kw_ns now)
{
    struct kw_incoming *incoming;
    struct kw_leg_media *media;
    struct kw_rtp rtp;
    bool feeds;

    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return false;
    incoming = kw_leg_incoming(leg, &rtp, now);
    if (incoming == NULL)
        return false;
    media = &leg->media[incoming->media];
    feeds = kw_leg_feeds(leg, incoming, now);
    return feeds && media->sends &&
           kw_leg_forward(gateway, media, KW_ECHO_TAG, incoming->source.clock_hz, packet, &rtp,
                          now);
}
