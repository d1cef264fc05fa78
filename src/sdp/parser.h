/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SDP_PARSER_H
#define KW_SDP_PARSER_H

/* Between the files of this folder: what has been read so far, level by level. */

#include "sdp/sdp.h"
#include "sdp/text.h"

/* Session level, or one m-line. Transport attributes may stand at either. */
struct kw_sdp_level {
    struct kw_sdp_transport transport;
    bool has_fingerprint; /* of any hash function, known or not */
};

struct kw_sdp_parser {
    struct kw_sdp *sdp;
    struct kw_sdp_problem *problem;
    struct kw_bytes rest;
    uint32_t line;
    /* NULL before the first m-line, and for m-lines beyond KW_SDP_MEDIA_MAX, which are skipped */
    struct kw_sdp_media *media;
    bool skipping;
    bool is_fragment;       /* RFC 8840: attributes without the lines around them */
    uint32_t excess_line;   /* first m-line beyond the maximum; 0: none */
    struct kw_bytes bundle; /* mids of the first BUNDLE group */
    uint32_t bundle_line;   /* 0: none */
    bool ice_lite;
    bool has_time;
    bool session_cryptex;
    enum kw_sdp_direction session_direction;
    size_t session_extmap_count;
    struct kw_sdp_extmap session_extmaps[KW_SDP_EXTMAPS_MAX];
    struct kw_sdp_level session;
    struct kw_sdp_level levels[KW_SDP_MEDIA_MAX];
};

/* Reads all lines. False: malformed, and the problem says where. */
KW_MUST_USE bool kw_sdp_read(struct kw_sdp_parser *parser);

/* An "a=" line's "name" or "name:value". NULL when it is fine (or unknown), else what is wrong. */
const char *kw_sdp_attribute(struct kw_sdp_parser *parser, struct kw_bytes name,
                             struct kw_bytes value);

#endif
