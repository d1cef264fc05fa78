/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8840 section 9: attributes without the lines around them, grouped by pseudo m-lines. All
 * m-lines share one transport here, so candidates of any of them count, and credentials are taken
 * from where they stand first.
 */
#include "sdp/parser.h"

static void add(struct kw_sdp_fragment *to, const struct kw_sdp_transport *from)
{
    /* Credentials come in pairs: a password never belongs to another level's fragment. */
    if (to->ufrag.len == 0 && to->pwd.len == 0) {
        to->ufrag = from->ufrag;
        to->pwd = from->pwd;
    }
    to->end_of_candidates = to->end_of_candidates || from->end_of_candidates;
    to->ignored_candidates += from->ignored_candidates;
    for (size_t i = 0; i < from->candidate_count; i++) {
        if (to->candidate_count < KW_SDP_CANDIDATES_MAX)
            to->candidates[to->candidate_count++] = from->candidates[i];
        else
            to->ignored_candidates++;
    }
}

enum kw_sdp_outcome kw_sdp_fragment_parse(struct kw_bytes body, struct kw_sdp_fragment *ret,
                                          struct kw_sdp_problem *problem)
{
    struct kw_sdp sdp = {0};
    struct kw_sdp_parser parser = {
        .sdp = &sdp, .problem = problem, .rest = body, .is_fragment = true};

    memset(ret, 0, sizeof *ret);
    *problem = (struct kw_sdp_problem){.what = "", .rule = ""};
    if (!kw_sdp_read(&parser))
        return KW_SDP_MALFORMED;

    add(ret, &parser.session.transport);
    for (size_t i = 0; i < sdp.media_count; i++) {
        add(ret, &parser.levels[i].transport);
        if (ret->mid.len == 0)
            ret->mid = sdp.media[i].mid;
    }
    if ((ret->ufrag.len == 0) != (ret->pwd.len == 0)) {
        *problem = (struct kw_sdp_problem){.what = "ice-ufrag and ice-pwd belong together",
                                           .rule = "no-ice"};
        return KW_SDP_REFUSED;
    }
    return KW_SDP_OK;
}
