/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of the attributes that we understand, each with the level where it may stand and a
 * reader. What is not in the table is ignored (RFC 8866 section 5.13); what is in it must be well
 * formed.
 */
#include "sdp/codec.h"
#include "sdp/parser.h"

#include "base/assert.h"

static struct kw_sdp_level *level_of(struct kw_sdp_parser *parser)
{
    if (parser->media == NULL)
        return &parser->session;
    return &parser->levels[parser->media - parser->sdp->media];
}

/* ---- transport ---------------------------------------------------------------------------- */

/* RFC 8839 section 5.4: ice-char is a letter, a digit, "+" or "/". */
static bool is_ice_text(struct kw_bytes text, size_t least)
{
    if (text.len < least || text.len > 256)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = kw_text_lower(text.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

static const char *read_ufrag(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    if (!is_ice_text(value, 4))
        return "the ice-ufrag is not 4 to 256 letters, digits, + or /";
    level_of(parser)->transport.ufrag = value;
    return NULL;
}

static const char *read_pwd(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    if (!is_ice_text(value, 22))
        return "the ice-pwd is not 22 to 256 letters, digits, + or /";
    level_of(parser)->transport.pwd = value;
    return NULL;
}

static const char *read_ice_lite(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    parser->ice_lite = true;
    return NULL;
}

static const char *read_ice_options(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    while (value.len != 0) {
        struct kw_bytes word = kw_text_word(&value);

        /* Tags are separated by spaces; libdatachannel separates them by commas. */
        while (word.len != 0) {
            if (kw_text_is(kw_text_split(&word, ','), "trickle"))
                level_of(parser)->transport.trickle = true;
        }
    }
    return NULL;
}

static const char *read_end_of_candidates(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    level_of(parser)->transport.end_of_candidates = true;
    return NULL;
}

/*
 * RFC 8839 section 5.1: foundation component transport priority address port "typ" type ..
 * Names instead of addresses (mDNS and others) are never resolved: they are counted and left.
 */
static const char *read_candidate(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_transport *transport = &level_of(parser)->transport;
    struct kw_sdp_candidate candidate = {0};
    struct kw_bytes foundation = kw_text_word(&value), protocol, host, type;
    uint64_t component, priority, port;
    bool numeric;

    if (!is_ice_text(foundation, 1) || foundation.len > 32)
        return "the candidate's foundation is not 1 to 32 letters, digits, + or /";
    if (!kw_text_decimal(kw_text_word(&value), 256, &component) || component == 0)
        return "the candidate's component is not a number from 1 to 256";
    protocol = kw_text_word(&value);
    if (!kw_text_decimal(kw_text_word(&value), UINT32_MAX >> 1, &priority) || priority == 0)
        return "the candidate's priority is not a number from 1 to 2147483647";
    host = kw_text_word(&value);
    if (!kw_text_decimal(kw_text_word(&value), UINT16_MAX, &port))
        return "the candidate's port is not a number from 0 to 65535";
    type = kw_text_word(&value);
    if (host.len == 0 || !kw_text_is(type, "typ") || kw_text_word(&value).len == 0)
        return "the candidate has no type";

    numeric = kw_text_address(host, &candidate.address);
    candidate.address.port = (uint16_t)port;
    candidate.priority = (uint32_t)priority;
    candidate.component = (uint8_t)KW_MIN(component, 255);
    if (!numeric || port == 0 || component != 1 || !kw_text_is_any_case(protocol, "udp") ||
        transport->candidate_count == KW_SDP_CANDIDATES_MAX) {
        transport->ignored_candidates++;
        return NULL;
    }
    transport->candidates[transport->candidate_count++] = candidate;
    return NULL;
}

static bool has_known_hash(struct kw_bytes value)
{
    struct kw_bytes name = kw_text_word(&value);

    return kw_text_is_any_case(name, "sha-256") || kw_text_is_any_case(name, "sha-384") ||
           kw_text_is_any_case(name, "sha-512");
}

static const char *read_fingerprint(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_level *level = level_of(parser);
    struct kw_fingerprint made;

    level->has_fingerprint = true;
    if (!has_known_hash(value))
        return NULL; /* sha-1 and the like: as if it were absent, and named if nothing else comes */
    if (!kw_fingerprint_parse(value, &made))
        return "the fingerprint's digest does not fit its hash function";
    if (level->transport.fingerprint_count < KW_SDP_FINGERPRINTS_MAX)
        level->transport.fingerprints[level->transport.fingerprint_count++] = made;
    return NULL;
}

static const char *read_setup(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    static const struct {
        const char *name;
        enum kw_sdp_setup setup;
    } names[] = {
        {"actpass", KW_SDP_SETUP_ACTPASS},
        {"active", KW_SDP_SETUP_ACTIVE},
        {"passive", KW_SDP_SETUP_PASSIVE},
        {"holdconn", KW_SDP_SETUP_HOLDCONN},
    };

    for (size_t i = 0; i < KW_ARRAY_LEN(names); i++) {
        if (kw_text_is(value, names[i].name)) {
            level_of(parser)->transport.setup = names[i].setup;
            return NULL;
        }
    }
    return "setup is none of actpass, active, passive, holdconn";
}

static const char *read_tls_id(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    if (!kw_text_is_token(value) || value.len < 20 || value.len > 255)
        return "the tls-id is not 20 to 255 characters";
    level_of(parser)->transport.tls_id = value;
    return NULL;
}

/* ---- session and m-line -------------------------------------------------------------------- */

/* RFC 8843 section 7: the first BUNDLE group counts; a second transport is more than we offer. */
static const char *read_group(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    if (!kw_text_is(kw_text_word(&value), "BUNDLE") || parser->bundle_line != 0)
        return NULL;
    parser->bundle = value;
    parser->bundle_line = parser->line;
    return NULL;
}

static const char *read_mid(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    if (!kw_text_is_token(value))
        return "the mid is not a token";
    if (kw_sdp_media_by_mid(parser->sdp, value) != NULL)
        return "the mid stands at a second m-line";
    parser->media->mid = value;
    return NULL;
}

static const char *read_direction(struct kw_sdp_parser *parser, enum kw_sdp_direction direction)
{
    if (parser->media != NULL)
        parser->media->direction = direction;
    else
        parser->session_direction = direction;
    return NULL;
}

static const char *read_sendrecv(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    return read_direction(parser, KW_SDP_SENDRECV);
}

static const char *read_sendonly(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    return read_direction(parser, KW_SDP_SENDONLY);
}

static const char *read_recvonly(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    return read_direction(parser, KW_SDP_RECVONLY);
}

static const char *read_inactive(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    return read_direction(parser, KW_SDP_INACTIVE);
}

static const char *read_rtcp_mux(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    parser->media->rtcp_mux = true;
    return NULL;
}

static const char *read_rtcp_rsize(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    parser->media->rtcp_rsize = true;
    return NULL;
}

static const char *read_bundle_only(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    parser->media->bundle_only = true;
    return NULL;
}

static const char *read_cryptex(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    (void)value;
    if (parser->media != NULL)
        parser->media->cryptex = true;
    else
        parser->session_cryptex = true;
    return NULL;
}

/* RFC 8830: "<stream> [<track>]"; "-" names no stream. */
static const char *read_msid(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_bytes stream = kw_text_word(&value);

    if (!kw_text_is_token(stream))
        return "the msid is not a token";
    if (!kw_text_is(stream, "-"))
        parser->media->stream = stream;
    parser->media->track = kw_text_word(&value);
    return NULL;
}

/* RFC 5576: "<ssrc> <attribute>[:<value>]", several lines for one source. */
static const char *read_ssrc(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_media *media = parser->media;
    struct kw_bytes name;
    uint64_t ssrc;
    size_t i;

    if (!kw_text_decimal(kw_text_word(&value), UINT32_MAX, &ssrc))
        return "the ssrc is not a number below 2^32";
    for (i = 0; i < media->ssrc_count && media->ssrcs[i].ssrc != ssrc; i++)
        continue;
    if (i == KW_SDP_SSRCS_MAX)
        return NULL;
    if (i == media->ssrc_count)
        media->ssrcs[media->ssrc_count++].ssrc = (uint32_t)ssrc;
    name = kw_text_split(&value, ':');
    if (kw_text_is(name, "cname"))
        media->ssrcs[i].cname = value;
    return NULL;
}

/* ---- formats -------------------------------------------------------------------------------- */

/* The format that an attribute is about; NULL when the m-line does not list it. */
static const char *read_format(struct kw_sdp_parser *parser, struct kw_bytes *value,
                               struct kw_sdp_format **ret)
{
    uint64_t type;

    if (!kw_text_decimal(kw_text_word(value), 127, &type))
        return "the payload type is not a number from 0 to 127";
    *ret = NULL;
    for (size_t i = 0; i < parser->media->format_count; i++) {
        if (parser->media->formats[i].payload_type == type)
            *ret = &parser->media->formats[i];
    }
    return NULL;
}

/* <payload type> <name>/<clock>[/<channels>] */
static const char *read_rtpmap(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_format *format;
    const char *wrong = read_format(parser, &value, &format);
    struct kw_bytes name, clock_text;
    uint64_t clock_hz, channels = 1;

    if (wrong != NULL)
        return wrong;
    name = kw_text_split(&value, '/');
    clock_text = kw_text_split(&value, '/');
    if (!kw_text_is_token(name) || !kw_text_decimal(clock_text, UINT32_MAX, &clock_hz) ||
        clock_hz == 0)
        return "the rtpmap is not <payload type> <name>/<clock rate>";
    if (value.len != 0 && (!kw_text_decimal(value, 255, &channels) || channels == 0))
        return "the rtpmap's channels are not a number from 1 to 255";
    if (format == NULL || format->name.len != 0)
        return NULL;
    format->name = name;
    format->clock_hz = (uint32_t)clock_hz;
    format->channels = (uint8_t)channels;
    return NULL;
}

static const char *read_fmtp(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_format *format;
    const char *wrong = read_format(parser, &value, &format);

    if (wrong == NULL && format != NULL && format->fmtp.len == 0)
        format->fmtp = value;
    return wrong;
}

/* RFC 4585 section 4.2: "<payload type or *> <type> [<parameter>]". */
static const char *read_rtcp_fb(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_bytes rest = value, type, parameter;
    struct kw_sdp_format *format = NULL;
    bool every = kw_text_is(kw_text_word(&rest), "*");
    uint8_t bit = 0;

    if (every) {
        value = rest;
    } else {
        const char *wrong = read_format(parser, &value, &format);

        if (wrong != NULL)
            return wrong;
    }
    type = kw_text_word(&value);
    parameter = kw_text_word(&value);
    if (kw_text_is(type, "nack") && parameter.len == 0)
        bit = KW_SDP_FB_NACK;
    else if (kw_text_is(type, "nack") && kw_text_is(parameter, "pli"))
        bit = KW_SDP_FB_NACK_PLI;
    else if (kw_text_is(type, "ccm") && kw_text_is(parameter, "fir"))
        bit = KW_SDP_FB_CCM_FIR;

    for (size_t i = 0; i < parser->media->format_count; i++) {
        if (every || &parser->media->formats[i] == format)
            parser->media->formats[i].feedback |= bit;
    }
    return NULL;
}

/* RFC 8285 section 5: "<id>[/<direction>] <uri> [<attributes>]". */
static const char *read_extmap(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    static const char *const directions[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
    bool at_session = parser->media == NULL;
    size_t *count = at_session ? &parser->session_extmap_count : &parser->media->extmap_count;
    struct kw_sdp_extmap *maps = at_session ? parser->session_extmaps : parser->media->extmaps;
    struct kw_sdp_extmap made = {0};
    struct kw_bytes direction = kw_text_word(&value);
    struct kw_bytes id_text = kw_text_split(&direction, '/');
    uint64_t id;

    /* 4096..4351 ask for a number to be chosen by the answerer: left out of the answer. */
    if (!kw_text_decimal(id_text, 4351, &id) || id == 0)
        return "the extmap's id is not a number from 1 to 255";
    for (size_t i = 0; i < KW_ARRAY_LEN(directions); i++) {
        if (kw_text_is(direction, directions[i])) {
            made.has_direction = true;
            made.direction = (enum kw_sdp_direction)i;
        }
    }
    made.uri = value;
    if (direction.len != 0 && !made.has_direction)
        return "the extmap's direction is unknown";
    if (value.len == 0)
        return "the extmap has no URI";
    if (id == 15 || id > 255 || *count == KW_SDP_EXTMAPS_MAX)
        return NULL;
    made.id = (uint8_t)id;
    made.ext = kw_sdp_ext_recognise(value);
    maps[(*count)++] = made;
    return NULL;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    bool at_session, at_media;
    bool of_format; /* means something for RTP only; a data channel's numbers are others */
    const char *(*read)(struct kw_sdp_parser *parser, struct kw_bytes value);
} attributes[] = {
    {"group", true, false, false, read_group},
    {"ice-lite", true, false, false, read_ice_lite},
    {"ice-options", true, true, false, read_ice_options},
    {"ice-ufrag", true, true, false, read_ufrag},
    {"ice-pwd", true, true, false, read_pwd},
    {"candidate", true, true, false, read_candidate}, /* session level: in fragments */
    {"end-of-candidates", true, true, false, read_end_of_candidates},
    {"fingerprint", true, true, false, read_fingerprint},
    {"setup", true, true, false, read_setup},
    {"tls-id", true, true, false, read_tls_id},
    {"mid", false, true, false, read_mid},
    {"sendrecv", true, true, false, read_sendrecv},
    {"sendonly", true, true, false, read_sendonly},
    {"recvonly", true, true, false, read_recvonly},
    {"inactive", true, true, false, read_inactive},
    {"rtcp-mux", false, true, false, read_rtcp_mux},
    {"rtcp-rsize", false, true, false, read_rtcp_rsize},
    {"bundle-only", false, true, false, read_bundle_only},
    {"cryptex", true, true, false, read_cryptex},
    {"msid", false, true, false, read_msid},
    {"ssrc", false, true, true, read_ssrc},
    {"rtpmap", false, true, true, read_rtpmap},
    {"fmtp", false, true, true, read_fmtp},
    {"rtcp-fb", false, true, true, read_rtcp_fb},
    {"extmap", true, true, true, read_extmap},
};

const char *kw_sdp_attribute(struct kw_sdp_parser *parser, struct kw_bytes name,
                             struct kw_bytes value)
{
    bool at_session = parser->media == NULL;

    for (size_t i = 0; i < KW_ARRAY_LEN(attributes); i++) {
        if (!kw_text_is(name, attributes[i].name))
            continue;
        if (at_session ? !attributes[i].at_session : !attributes[i].at_media)
            continue;
        if (attributes[i].of_format && !at_session && parser->media->kind == KW_SDP_OTHER)
            continue;
        return attributes[i].read(parser, value);
    }
    return NULL;
}
