/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes answers and our own offers. The answer repeats the offer's m-lines, mids, payload types
 * and their order (RFC 3264 section 6, RFC 8829 section 5.3.1) and keeps of each only what is
 * accepted.
 *
 * ICE credentials, fingerprint and setup stand at every accepted m-line, as browsers write them;
 * candidates only at the first, which is the tagged one of the bundle.
 */
#include "sdp/codec.h"
#include "sdp/text.h"

#include "base/assert.h"

/* a=<name>:<value> */
static void write_attribute(struct kw_writer *out, const char *name, const char *value)
{
    kw_text_write(out, "a=");
    kw_text_write(out, name);
    kw_text_write(out, ":");
    kw_text_write(out, value);
    kw_text_write(out, "\r\n");
}

static void write_flag(struct kw_writer *out, const char *name)
{
    kw_text_write(out, "a=");
    kw_text_write(out, name);
    kw_text_write(out, "\r\n");
}

static void write_opening(struct kw_writer *out, uint64_t session_id, uint64_t version)
{
    kw_text_write(out, "v=0\r\no=- ");
    kw_text_write_decimal(out, session_id);
    kw_text_write(out, " ");
    kw_text_write_decimal(out, version);
    kw_text_write(out, " IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
}

/* Terminates; 0 when something did not fit. */
static size_t finish(struct kw_writer *out)
{
    size_t len = out->len;

    kw_write_u8(out, 0);
    return out->failed ? 0 : len;
}

/*
 * RFC 8445 section 5.1.2.1: type preference 126 for host candidates; the order of the list is the
 * local preference, so the first one is also the default candidate (RFC 8421 leaves the mix of
 * families to whoever made the list).
 */
static uint32_t host_priority(size_t place)
{
    return 126U << 24 | (uint32_t)(65535 - place) << 8 | 255U;
}

static void write_candidates(struct kw_writer *out, const struct kw_address *candidates,
                             size_t candidate_count)
{
    for (size_t i = 0; i < candidate_count; i++) {
        kw_text_write(out, "a=candidate:");
        kw_text_write_decimal(out, i + 1);
        kw_text_write(out, " 1 udp ");
        kw_text_write_decimal(out, host_priority(i));
        kw_text_write(out, " ");
        kw_text_write_address(out, &candidates[i]);
        kw_text_write(out, " ");
        kw_text_write_decimal(out, candidates[i].port);
        kw_text_write(out, " typ host\r\n");
    }
    write_flag(out, "end-of-candidates");
}

/* c= and the port of the m-line: the default candidate, or the discard port of RFC 8840. */
static uint16_t default_port(const struct kw_address *candidates, size_t candidate_count)
{
    return candidate_count != 0 ? candidates[0].port : 9;
}

static void write_connection(struct kw_writer *out, const struct kw_address *candidates,
                             size_t candidate_count)
{
    kw_text_write(out,
                  candidate_count != 0 && candidates[0].family == 6 ? "c=IN IP6 " : "c=IN IP4 ");
    if (candidate_count != 0)
        kw_text_write_address(out, &candidates[0]);
    else
        kw_text_write(out, "0.0.0.0");
    kw_text_write(out, "\r\n");
}

static void write_fingerprint(struct kw_writer *out, const struct kw_fingerprint *fingerprint)
{
    char text[KW_FINGERPRINT_TEXT_MAX];

    kw_fingerprint_format(fingerprint, text);
    write_attribute(out, "fingerprint", text);
}

static const char *direction_name(enum kw_sdp_direction direction)
{
    switch (direction) {
    case KW_SDP_SENDRECV:
        return "sendrecv";
    case KW_SDP_SENDONLY:
        return "sendonly";
    case KW_SDP_RECVONLY:
        return "recvonly";
    case KW_SDP_INACTIVE:
        return "inactive";
    }
    return "inactive";
}

/* "<attribute>:<payload type> " */
static void write_format_start(struct kw_writer *out, const char *attribute, uint8_t payload_type)
{
    kw_text_write(out, "a=");
    kw_text_write(out, attribute);
    kw_text_write(out, ":");
    kw_text_write_decimal(out, payload_type);
    kw_text_write(out, " ");
}

static void write_format(struct kw_writer *out, const struct kw_sdp_format *format,
                         enum kw_sdp_kind kind)
{
    static const struct {
        uint8_t bit;
        const char *text;
    } feedback[] = {
        {KW_SDP_FB_CCM_FIR, "ccm fir\r\n"},
        {KW_SDP_FB_NACK, "nack\r\n"},
        {KW_SDP_FB_NACK_PLI, "nack pli\r\n"},
    };

    if (format->name.len != 0) {
        write_format_start(out, "rtpmap", format->payload_type);
        kw_write_bytes(out, format->name);
        kw_text_write(out, "/");
        kw_text_write_decimal(out, format->clock_hz);
        if (format->channels != 1) {
            kw_text_write(out, "/");
            kw_text_write_decimal(out, format->channels);
        }
        kw_text_write(out, "\r\n");
    }
    for (size_t i = 0; i < KW_ARRAY_LEN(feedback) && kind == KW_SDP_VIDEO; i++) {
        if ((format->feedback & feedback[i].bit) == 0)
            continue;
        write_format_start(out, "rtcp-fb", format->payload_type);
        kw_text_write(out, feedback[i].text);
    }
    if (format->fmtp.len != 0) {
        write_format_start(out, "fmtp", format->payload_type);
        kw_write_bytes(out, format->fmtp);
        kw_text_write(out, "\r\n");
    }
}

/* RFC 8285 section 7: the answer names the direction from its own side. */
static void write_extmap(struct kw_writer *out, const struct kw_sdp_extmap *extmap)
{
    kw_text_write(out, "a=extmap:");
    kw_text_write_decimal(out, extmap->id);
    if (extmap->has_direction) {
        enum kw_sdp_direction ours = extmap->direction;

        if (ours == KW_SDP_SENDONLY)
            ours = KW_SDP_RECVONLY;
        else if (ours == KW_SDP_RECVONLY)
            ours = KW_SDP_SENDONLY;
        kw_text_write(out, "/");
        kw_text_write(out, direction_name(ours));
    }
    kw_text_write(out, " ");
    kw_write_bytes(out, extmap->uri);
    kw_text_write(out, "\r\n");
}

/* a=msid and a=ssrc of what we send in this m-line. */
static void write_source(struct kw_writer *out, const char *stream, struct kw_bytes track,
                         uint32_t ssrc, const char *cname)
{
    kw_text_write(out, "a=msid:");
    kw_text_write(out, stream);
    kw_text_write(out, " ");
    kw_text_write(out, stream);
    kw_text_write(out, "-");
    kw_write_bytes(out, track);
    kw_text_write(out, "\r\n");
    if (ssrc == 0)
        return;
    kw_text_write(out, "a=ssrc:");
    kw_text_write_decimal(out, ssrc);
    kw_text_write(out, " cname:");
    kw_text_write(out, cname);
    kw_text_write(out, "\r\n");
}

/* ---- answer --------------------------------------------------------------------------------- */

static bool is_answered(const struct kw_sdp_media *media)
{
    for (size_t i = 0; media->accepted && i < media->format_count; i++) {
        if (media->formats[i].accepted && kw_sdp_codec_is_primary(media->formats[i].codec))
            return true;
    }
    return false;
}

enum kw_sdp_direction kw_sdp_answer_direction(const struct kw_sdp_media *offered,
                                              enum kw_sdp_profile profile)
{
    if (!is_answered(offered))
        return KW_SDP_INACTIVE;
    if (profile == KW_SDP_WHIP)
        return KW_SDP_RECVONLY; /* RFC 9725 section 4.2: MUST, in any case */

    switch (offered->direction) {
    case KW_SDP_SENDRECV:
        return KW_SDP_SENDRECV;
    case KW_SDP_SENDONLY:
        return KW_SDP_RECVONLY;
    case KW_SDP_RECVONLY:
        return KW_SDP_SENDONLY;
    case KW_SDP_INACTIVE:
        return KW_SDP_INACTIVE;
    }
    return KW_SDP_INACTIVE;
}

static void write_media_line(struct kw_writer *out, const struct kw_sdp_media *media, uint16_t port)
{
    kw_text_write(out, "m=");
    kw_write_bytes(out, media->type);
    kw_text_write(out, " ");
    kw_text_write_decimal(out, port);
    kw_text_write(out, " ");
    kw_write_bytes(out, media->proto);
}

/* RFC 3264 section 6: port 0; RFC 8843 section 7.3.3: its mid is not in the group. */
static void write_rejected(struct kw_writer *out, const struct kw_sdp_media *media)
{
    write_media_line(out, media, 0);
    kw_text_write(out, " ");
    kw_write_bytes(out, media->format_list);
    kw_text_write(out, "\r\nc=IN IP4 0.0.0.0\r\n");
    if (media->mid.len != 0) {
        kw_text_write(out, "a=mid:");
        kw_write_bytes(out, media->mid);
        kw_text_write(out, "\r\n");
    }
    if (media->kind != KW_SDP_OTHER)
        write_flag(out, "inactive");
}

static void write_accepted(struct kw_writer *out, const struct kw_sdp *offer,
                           const struct kw_sdp_choices *choices, size_t place, bool is_tagged)
{
    const struct kw_sdp_media *media = &offer->media[place];
    enum kw_sdp_direction direction = kw_sdp_answer_direction(media, choices->profile);

    write_media_line(out, media, default_port(choices->candidates, choices->candidate_count));
    for (size_t i = 0; i < media->format_count; i++) {
        if (!media->formats[i].accepted)
            continue;
        kw_text_write(out, " ");
        kw_text_write_decimal(out, media->formats[i].payload_type);
    }
    kw_text_write(out, "\r\n");
    write_connection(out, choices->candidates, choices->candidate_count);
    kw_text_write(out, "a=mid:");
    kw_write_bytes(out, media->mid);
    kw_text_write(out, "\r\n");
    write_attribute(out, "ice-ufrag", choices->ufrag);
    write_attribute(out, "ice-pwd", choices->pwd);
    write_fingerprint(out, choices->fingerprint);
    write_attribute(out, "setup", "passive");
    if (choices->tls_id != NULL && offer->transport.tls_id.len != 0)
        write_attribute(out, "tls-id", choices->tls_id);
    write_flag(out, direction_name(direction));
    write_flag(out, "rtcp-mux");
    if (media->rtcp_rsize)
        write_flag(out, "rtcp-rsize");
    if (media->cryptex && choices->cryptex)
        write_flag(out, "cryptex");
    for (size_t i = 0; i < media->extmap_count; i++) {
        if (media->extmaps[i].accepted)
            write_extmap(out, &media->extmaps[i]);
    }
    for (size_t i = 0; i < media->format_count; i++) {
        if (media->formats[i].accepted)
            write_format(out, &media->formats[i], media->kind);
    }
    if (kw_sdp_sends(direction))
        write_source(out, choices->stream, media->type, choices->ssrcs[place], choices->cname);
    if (is_tagged)
        write_candidates(out, choices->candidates, choices->candidate_count);
}

static bool is_kept(const struct kw_sdp_media *media)
{
    return media->accepted;
}

/* a=group:BUNDLE with the mids that are in; returns the place of the first, media_count: none. */
static size_t write_group(struct kw_writer *out, const struct kw_sdp *offer,
                          bool (*is_in)(const struct kw_sdp_media *media))
{
    size_t first = offer->media_count;

    kw_text_write(out, "a=group:BUNDLE");
    for (size_t i = offer->media_count; i-- > 0;) {
        if (is_in(&offer->media[i]))
            first = i;
    }
    for (size_t i = first; i < offer->media_count; i++) {
        if (!is_in(&offer->media[i]))
            continue;
        kw_text_write(out, " ");
        kw_write_bytes(out, offer->media[i].mid);
    }
    kw_text_write(out, "\r\n");
    return first;
}

size_t kw_sdp_answer_write(const struct kw_sdp *offer, const struct kw_sdp_choices *choices,
                           char *dst, size_t dst_size)
{
    struct kw_writer out = kw_writer_of((uint8_t *)dst, dst_size);
    size_t tagged;

    write_opening(&out, choices->session_id, choices->version);
    tagged = write_group(&out, offer, is_answered);
    if (tagged == offer->media_count)
        return 0;
    write_flag(&out, "ice-lite");
    write_attribute(&out, "ice-options", "trickle ice2");
    for (size_t i = 0; i < offer->media_count; i++) {
        if (is_answered(&offer->media[i]))
            write_accepted(&out, offer, choices, i, i == tagged);
        else
            write_rejected(&out, &offer->media[i]);
    }
    return finish(&out);
}

/* ---- fragment ------------------------------------------------------------------------------- */

/* RFC 8840 section 9 and RFC 9725 section 4.3.3: the pseudo m-line has port 9. */
size_t kw_sdp_fragment_write(const struct kw_sdp *offer, const struct kw_sdp_choices *choices,
                             char *dst, size_t dst_size)
{
    struct kw_writer out = kw_writer_of((uint8_t *)dst, dst_size);
    size_t tagged;

    write_flag(&out, "ice-lite");
    write_attribute(&out, "ice-options", "trickle ice2");
    tagged = write_group(&out, offer, is_kept);
    if (tagged == offer->media_count)
        return 0;
    write_media_line(&out, &offer->media[tagged], 9);
    kw_text_write(&out, " 0\r\na=mid:");
    kw_write_bytes(&out, offer->media[tagged].mid);
    kw_text_write(&out, "\r\n");
    write_attribute(&out, "ice-ufrag", choices->ufrag);
    write_attribute(&out, "ice-pwd", choices->pwd);
    write_candidates(&out, choices->candidates, choices->candidate_count);
    return finish(&out);
}

/* ---- our own offer -------------------------------------------------------------------------- */

static const char *setup_name(enum kw_sdp_setup setup)
{
    switch (setup) {
    case KW_SDP_SETUP_NONE:
    case KW_SDP_SETUP_ACTPASS:
        return "actpass";
    case KW_SDP_SETUP_ACTIVE:
        return "active";
    case KW_SDP_SETUP_PASSIVE:
        return "passive";
    case KW_SDP_SETUP_HOLDCONN:
        return "holdconn";
    }
    return "actpass";
}

static void write_offered_media(struct kw_writer *out, const struct kw_sdp_offer_params *params,
                                bool is_video)
{
    static const char audio[] = "a=rtpmap:111 opus/48000/2\r\n"
                                "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
                                "a=rtpmap:0 PCMU/8000\r\n"
                                "a=rtpmap:110 telephone-event/48000\r\n"
                                "a=fmtp:110 0-16\r\n"
                                "a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
    static const char video[] =
        "a=rtpmap:96 VP8/90000\r\n"
        "a=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
        "a=rtpmap:102 H264/90000\r\n"
        "a=rtcp-fb:102 ccm fir\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n"
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n";

    kw_text_write(out, is_video ? "m=video " : "m=audio ");
    kw_text_write_decimal(out, default_port(params->candidates, params->candidate_count));
    kw_text_write(out,
                  is_video ? " UDP/TLS/RTP/SAVPF 96 102\r\n" : " UDP/TLS/RTP/SAVPF 111 0 110\r\n");
    write_connection(out, params->candidates, params->candidate_count);
    write_attribute(out, "mid", is_video ? "1" : "0");
    write_attribute(out, "ice-ufrag", params->ufrag);
    write_attribute(out, "ice-pwd", params->pwd);
    write_fingerprint(out, params->fingerprint);
    write_attribute(out, "setup", setup_name(params->setup));
    write_flag(out, direction_name(params->direction));
    write_flag(out, "rtcp-mux");
    write_flag(out, "rtcp-rsize");
    if (params->cryptex)
        write_flag(out, "cryptex");
    kw_text_write(out, "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    kw_text_write(out, is_video ? video : audio);
    if (kw_sdp_sends(params->direction))
        write_source(out, params->stream, kw_text_of(is_video ? "video" : "audio"),
                     is_video ? params->video_ssrc : params->audio_ssrc, params->cname);
    if (!is_video)
        write_candidates(out, params->candidates, params->candidate_count);
}

size_t kw_sdp_offer_write(const struct kw_sdp_offer_params *params, char *dst, size_t dst_size)
{
    struct kw_writer out = kw_writer_of((uint8_t *)dst, dst_size);

    write_opening(&out, params->session_id, params->version);
    write_attribute(&out, "group", params->has_video ? "BUNDLE 0 1" : "BUNDLE 0");
    write_attribute(&out, "ice-options", "ice2");
    write_offered_media(&out, params, false);
    if (params->has_video)
        write_offered_media(&out, params, true);
    return finish(&out);
}
