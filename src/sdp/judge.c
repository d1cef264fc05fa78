/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From lines to a decision. What was read is well formed; here it meets the rules, in the order in
 * which a reader of the answer would want to hear of them: first what no m-line can mend, then the
 * one transport of the bundle, then what is left of the media.
 *
 * The transport is that of the first bundled m-line which has ICE credentials, with the session
 * level filling its gaps (RFC 8843 section 7.1.3: the tagged m-line carries it for all).
 */
#include "sdp/codec.h"
#include "sdp/parser.h"

#include "base/assert.h"

struct judgement {
    struct kw_sdp_parser *parser;
    struct kw_sdp *sdp;
    enum kw_sdp_profile profile;
    bool is_answer;
};

static enum kw_sdp_outcome refuse(const struct judgement *at, uint32_t line, const char *rule,
                                  const char *what)
{
    *at->parser->problem = (struct kw_sdp_problem){.line = line, .what = what, .rule = rule};
    return KW_SDP_REFUSED;
}

static enum kw_sdp_outcome no_media(const struct judgement *at, const char *what)
{
    *at->parser->problem = (struct kw_sdp_problem){.what = what, .rule = "no-common-media"};
    return KW_SDP_NO_MEDIA;
}

/* RFC 3264 section 6: port 0 means "not used", except together with bundle-only (RFC 8843). */
static bool is_live(const struct kw_sdp_media *media)
{
    return media->kind != KW_SDP_OTHER && (media->port != 0 || media->bundle_only);
}

/* RFC 8829 section 5.1.2: any mix of UDP/TCP and AVP/AVPF is one and the same to us. */
static bool is_secure(const struct kw_sdp_media *media)
{
    static const char *const protocols[] = {"UDP/TLS/RTP/SAVPF",  "UDP/TLS/RTP/SAVP",
                                            "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP",
                                            "RTP/SAVPF",          "RTP/SAVP"};

    for (size_t i = 0; i < KW_ARRAY_LEN(protocols); i++) {
        if (kw_text_is(media->proto, protocols[i]))
            return true;
    }
    return false;
}

static bool in_bundle(struct kw_bytes bundle, struct kw_bytes mid)
{
    while (mid.len != 0 && bundle.len != 0) {
        if (kw_text_equal(kw_text_word(&bundle), mid))
            return true;
    }
    return false;
}

/* RFC 8285 section 5: an extmap at session level is meant for every m-line. */
static void inherit_extmaps(const struct kw_sdp_parser *parser, struct kw_sdp_media *media)
{
    for (size_t i = 0; i < parser->session_extmap_count; i++) {
        if (media->extmap_count < KW_SDP_EXTMAPS_MAX)
            media->extmaps[media->extmap_count++] = parser->session_extmaps[i];
    }
}

/* Marks what we can pass, format by format; true when something with pictures or sound is left. */
static bool mark_formats(struct kw_sdp_media *media)
{
    bool any = false;

    for (size_t i = 0; i < media->format_count; i++) {
        struct kw_sdp_format *format = &media->formats[i];

        kw_sdp_codec_recognise(format, media->kind);
        format->accepted = format->codec != KW_SDP_CODEC_OTHER;
        any = any || kw_sdp_codec_is_primary(format->codec);
    }
    for (size_t i = 0; i < media->extmap_count; i++)
        media->extmaps[i].accepted = media->extmaps[i].ext != KW_SDP_EXT_OTHER;
    return any;
}

static void fill_gaps(struct kw_sdp_transport *to, const struct kw_sdp_level *session,
                      bool has_fingerprint)
{
    const struct kw_sdp_transport *from = &session->transport;

    if (to->ufrag.len == 0)
        to->ufrag = from->ufrag;
    if (to->pwd.len == 0)
        to->pwd = from->pwd;
    if (to->setup == KW_SDP_SETUP_NONE)
        to->setup = from->setup;
    if (to->tls_id.len == 0)
        to->tls_id = from->tls_id;
    to->trickle = to->trickle || from->trickle;
    to->end_of_candidates = to->end_of_candidates || from->end_of_candidates;
    if (!has_fingerprint) {
        to->fingerprint_count = from->fingerprint_count;
        memcpy(to->fingerprints, from->fingerprints, sizeof to->fingerprints);
    }
}

/* The m-line that carries the transport, by its place; media_count when none has credentials. */
static size_t tagged_media(const struct kw_sdp_parser *parser)
{
    const struct kw_sdp *sdp = parser->sdp;
    bool at_session = parser->session.transport.ufrag.len != 0;

    for (size_t i = 0; i < sdp->media_count; i++) {
        const struct kw_sdp_media *media = &sdp->media[i];

        if (media->bundled && (media->port != 0 || media->bundle_only) &&
            (at_session || parser->levels[i].transport.ufrag.len != 0))
            return i;
    }
    return sdp->media_count;
}

static enum kw_sdp_outcome judge_transport(struct judgement *at)
{
    struct kw_sdp_parser *parser = at->parser;
    struct kw_sdp_transport *transport = &at->sdp->transport;
    size_t tagged = tagged_media(parser);
    const struct kw_sdp_level *level;
    uint32_t line;

    if (tagged == at->sdp->media_count)
        return refuse(at, 0, "no-ice", "there are no ice-ufrag and ice-pwd for the bundle");
    level = &parser->levels[tagged];
    line = at->sdp->media[tagged].line;
    *transport = level->transport;
    fill_gaps(transport, &parser->session, level->has_fingerprint);
    transport->ice_lite = parser->ice_lite;

    if (transport->pwd.len == 0)
        return refuse(at, line, "no-ice", "there is no ice-pwd for the bundle");
    if (!level->has_fingerprint && !parser->session.has_fingerprint)
        return refuse(at, line, "no-fingerprint",
                      "there is no a=fingerprint: media is accepted over DTLS-SRTP only");
    if (transport->fingerprint_count == 0)
        return refuse(at, line, "weak-fingerprint",
                      "no fingerprint uses sha-256, sha-384 or sha-512");
    if (transport->setup == KW_SDP_SETUP_HOLDCONN)
        return refuse(at, line, "setup-holdconn", "setup:holdconn makes no connection");
    if (at->is_answer && transport->setup == KW_SDP_SETUP_ACTPASS)
        return refuse(at, line, "setup-actpass", "an answer chooses active or passive");
    if (at->is_answer)
        return KW_SDP_OK;
    if (transport->setup == KW_SDP_SETUP_PASSIVE)
        return refuse(at, line, "setup-passive",
                      "the gateway is the DTLS server: offer setup:actpass or setup:active");
    if (transport->ice_lite)
        return refuse(at, 0, "ice-lite", "the gateway is ICE-lite: the offerer must be full ICE");
    return KW_SDP_OK;
}

/* RFC 9725 section 4.2: "inactive" and "recvonly" MUST NOT be used in a WHIP offer. */
static enum kw_sdp_outcome judge_direction(const struct judgement *at,
                                           const struct kw_sdp_media *media)
{
    if (at->is_answer || at->profile != KW_SDP_WHIP || kw_sdp_sends(media->direction))
        return KW_SDP_OK;
    return refuse(at, media->line, "whip-direction", "a WHIP client offers sendonly or sendrecv");
}

/* Rules that one m-line can break for all. */
static enum kw_sdp_outcome judge_lines(const struct judgement *at)
{
    size_t live = 0, secure = 0, bundled = 0;
    uint32_t plain_line = 0;

    for (size_t i = 0; i < at->sdp->media_count; i++) {
        struct kw_sdp_media *media = &at->sdp->media[i];

        media->bundled = in_bundle(at->parser->bundle, media->mid);
        if (!is_live(media))
            continue;
        live++;
        if (!is_secure(media)) {
            plain_line = media->line;
            continue;
        }
        secure++;
        bundled += media->bundled;
    }
    if (live == 0)
        return no_media(at, "there is no audio or video m-line in use");
    if (secure == 0)
        return refuse(at, plain_line, "plain-rtp", "media without DTLS-SRTP is not accepted");
    if (bundled == 0)
        return refuse(at, at->parser->bundle_line, "no-bundle",
                      "audio and video must be in one a=group:BUNDLE");

    for (size_t i = 0; i < at->sdp->media_count; i++) {
        const struct kw_sdp_media *media = &at->sdp->media[i];

        /* A bundle-only m-line leaves it to the tagged one (RFC 8843 section 7.1.3). */
        if (!is_live(media) || !is_secure(media) || !media->bundled || media->bundle_only)
            continue;
        if (!media->rtcp_mux)
            return refuse(at, media->line, "no-rtcp-mux", "a=rtcp-mux is required");
    }
    return KW_SDP_OK;
}

static enum kw_sdp_outcome judge(struct judgement *at)
{
    enum kw_sdp_outcome outcome;
    size_t accepted = 0;

    if (at->parser->excess_line != 0)
        return refuse(at, at->parser->excess_line, "too-many-media", "at most 8 m-lines");
    outcome = judge_lines(at);
    if (outcome == KW_SDP_OK)
        outcome = judge_transport(at);
    if (outcome != KW_SDP_OK)
        return outcome;

    for (size_t i = 0; i < at->sdp->media_count; i++) {
        struct kw_sdp_media *media = &at->sdp->media[i];

        if (!is_live(media) || !is_secure(media) || !media->bundled)
            continue;
        inherit_extmaps(at->parser, media);
        media->rtcp_mux = true;
        media->accepted = mark_formats(media);
        accepted += media->accepted;
        if (media->accepted)
            outcome = judge_direction(at, media);
        if (outcome != KW_SDP_OK)
            return outcome;
    }
    return accepted != 0 ? KW_SDP_OK : no_media(at, "no codec in common");
}

static enum kw_sdp_outcome parse(struct kw_bytes body, enum kw_sdp_profile profile, bool is_answer,
                                 struct kw_sdp *ret, struct kw_sdp_problem *problem)
{
    struct kw_sdp_parser parser = {.sdp = ret, .problem = problem, .rest = body};
    struct judgement at = {
        .parser = &parser, .sdp = ret, .profile = profile, .is_answer = is_answer};
    enum kw_sdp_outcome outcome;

    memset(ret, 0, sizeof *ret);
    *problem = (struct kw_sdp_problem){.what = "", .rule = ""};
    if (!kw_sdp_read(&parser))
        return KW_SDP_MALFORMED;
    outcome = judge(&at);
    for (size_t i = 0; outcome != KW_SDP_OK && i < ret->media_count; i++)
        ret->media[i].accepted = false;
    return outcome;
}

enum kw_sdp_outcome kw_sdp_offer_parse(struct kw_bytes body, enum kw_sdp_profile profile,
                                       struct kw_sdp *ret, struct kw_sdp_problem *problem)
{
    return parse(body, profile, false, ret, problem);
}

enum kw_sdp_outcome kw_sdp_answer_parse(struct kw_bytes body, struct kw_sdp *ret,
                                        struct kw_sdp_problem *problem)
{
    return parse(body, KW_SDP_CALL, true, ret, problem);
}

int kw_sdp_http_status(enum kw_sdp_outcome outcome)
{
    switch (outcome) {
    case KW_SDP_OK:
        return 200;
    case KW_SDP_MALFORMED:
        return 400;
    case KW_SDP_REFUSED:
        return 422;
    case KW_SDP_NO_MEDIA:
        return 406;
    }
    return 500;
}

bool kw_sdp_sends(enum kw_sdp_direction direction)
{
    return direction == KW_SDP_SENDRECV || direction == KW_SDP_SENDONLY;
}

bool kw_sdp_receives(enum kw_sdp_direction direction)
{
    return direction == KW_SDP_SENDRECV || direction == KW_SDP_RECVONLY;
}
