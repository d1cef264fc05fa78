/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8866 section 5: lines "<letter>=<value>", a session level first, then a level for each
 * m-line. The reader keeps the number of the line in hand, so that a complaint can name it. Lines
 * end in CRLF; a bare LF is taken too (section 5: parsers SHOULD).
 */
#include "sdp/parser.h"

static bool complain(struct kw_sdp_parser *parser, const char *what)
{
    *parser->problem = (struct kw_sdp_problem){.line = parser->line, .what = what, .rule = ""};
    return false;
}

static bool has_control_character(struct kw_bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return true;
    }
    return false;
}

/* m=<media> <port> <proto> <fmt> .. */
static const char *read_media(struct kw_sdp_parser *parser, struct kw_bytes value)
{
    struct kw_sdp_media media = {.line = parser->line, .direction = parser->session_direction};
    uint64_t port;

    media.type = kw_text_word(&value);
    if (!kw_text_decimal(kw_text_word(&value), UINT16_MAX, &port))
        return "the port of the m-line is not a number from 0 to 65535";
    media.port = (uint16_t)port;
    media.proto = kw_text_word(&value);
    media.format_list = value;
    if (!kw_text_is_token(media.type) || !kw_text_is_token(media.proto) || value.len == 0)
        return "the m-line is incomplete";
    if (kw_text_is(media.type, "audio"))
        media.kind = KW_SDP_AUDIO;
    else if (kw_text_is(media.type, "video"))
        media.kind = KW_SDP_VIDEO;
    media.cryptex = parser->session_cryptex;

    while (value.len != 0 && media.kind != KW_SDP_OTHER) {
        struct kw_bytes word = kw_text_word(&value);
        uint64_t type;

        if (word.len == 0)
            break;
        if (!kw_text_decimal(word, 127, &type))
            return "a payload type is not a number from 0 to 127";
        /* RFC 3264 section 6.1: the answer may name fewer formats; what has no room is not in it.
         */
        if (media.format_count < KW_SDP_FORMATS_MAX &&
            kw_sdp_format_find(&media, (uint8_t)type) == NULL)
            media.formats[media.format_count++] =
                (struct kw_sdp_format){.payload_type = (uint8_t)type, .channels = 1};
    }

    parser->media = NULL;
    parser->skipping = parser->sdp->media_count == KW_SDP_MEDIA_MAX;
    if (parser->skipping) {
        if (parser->excess_line == 0)
            parser->excess_line = parser->line;
        return NULL;
    }
    parser->media = &parser->sdp->media[parser->sdp->media_count++];
    *parser->media = media;
    return NULL;
}

static const char *read_value(struct kw_sdp_parser *parser, char type, struct kw_bytes value)
{
    struct kw_bytes name;

    switch (type) {
    case 'a':
        if (parser->skipping)
            return NULL;
        name = kw_text_split(&value, ':');
        return kw_sdp_attribute(parser, name, value);
    case 'm':
        if (!parser->has_time && !parser->is_fragment)
            return "the t= line is missing before the first m-line";
        return read_media(parser, value);
    case 't':
        parser->has_time = true;
        return NULL;
    case 'v':
        return parser->line == 1 && kw_text_is(value, "0") ? NULL : "v= must be 0 and come first";
    case 'o':
    case 's':
        return parser->media != NULL || parser->skipping ? "belongs to the session level" : NULL;
    default:
        return NULL; /* i, u, e, p, c, b, r, z, k and what may come: nothing for us */
    }
}

/* Section 5: the first three lines are v, o and s. */
static const char *check_opening(const struct kw_sdp_parser *parser, char type)
{
    static const char opening[] = "vos";

    if (parser->is_fragment || parser->line > 3 || type == opening[parser->line - 1])
        return NULL;
    return "a description begins with v=, o= and s=";
}

bool kw_sdp_read(struct kw_sdp_parser *parser)
{
    while (parser->rest.len != 0) {
        struct kw_bytes line = kw_text_split(&parser->rest, '\n');
        const char *wrong;

        if (++parser->line > KW_SDP_LINES_MAX)
            return complain(parser, "too many lines");
        if (line.len > KW_SDP_LINE_MAX)
            return complain(parser, "the line is too long");
        if (line.len != 0 && line.data[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 && parser->rest.len == 0)
            break; /* an empty line at the very end hurts nobody */
        if (has_control_character(line))
            return complain(parser, "the line holds a control character");
        if (line.len < 2 || line.data[1] != '=' || line.data[0] < 'a' || line.data[0] > 'z')
            return complain(parser, "not of the form <letter>=<value>");
        wrong = check_opening(parser, (char)line.data[0]);
        if (wrong == NULL)
            wrong = read_value(parser, (char)line.data[0],
                               (struct kw_bytes){line.data + 2, line.len - 2});
        if (wrong != NULL)
            return complain(parser, wrong);
    }
    if (!parser->is_fragment && !parser->has_time) {
        parser->line++;
        return complain(parser, "the description ends before its t= line");
    }
    return true;
}
