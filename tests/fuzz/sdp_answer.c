/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: views lie inside the body, bounds hold, and what is accepted fits together. */
#include "sdp/sdp.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct kw_bytes view, const uint8_t *data, size_t size)
{
    return view.len == 0 || (view.data >= data && view.data + view.len <= data + size);
}

static void look_at_media(const struct kw_sdp *sdp, const struct kw_sdp_media *media,
                          const uint8_t *data, size_t size)
{
    KW_ASSERT(media->format_count <= KW_SDP_FORMATS_MAX);
    KW_ASSERT(media->extmap_count <= KW_SDP_EXTMAPS_MAX && media->ssrc_count <= KW_SDP_SSRCS_MAX);
    KW_ASSERT(inside(media->mid, data, size) && inside(media->track, data, size));
    KW_ASSERT(media->mid.len == 0 || kw_sdp_media_by_mid(sdp, media->mid) != NULL);
    for (size_t i = 0; i < media->format_count; i++) {
        const struct kw_sdp_format *format = &media->formats[i];
        const struct kw_sdp_format *match = kw_sdp_format_match(media, format);

        KW_ASSERT(kw_sdp_format_find(media, format->payload_type) != NULL);
        KW_ASSERT(match == NULL || (match->accepted && match->codec == format->codec));
        KW_ASSERT(inside(format->fmtp, data, size) && inside(format->name, data, size));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kw_sdp answer;
    struct kw_sdp_problem problem;
    enum kw_sdp_outcome outcome;
    size_t accepted = 0;

    outcome = kw_sdp_answer_parse((struct kw_bytes){data, size}, &answer, &problem);
    KW_ASSERT(problem.what != NULL && problem.rule != NULL);
    if (outcome != KW_SDP_OK) {
        KW_ASSERT(problem.what[0] != '\0');
        return 0;
    }
    KW_ASSERT(answer.media_count <= KW_SDP_MEDIA_MAX);
    KW_ASSERT(answer.transport.candidate_count <= KW_SDP_CANDIDATES_MAX);
    KW_ASSERT(answer.transport.fingerprint_count - 1 < KW_SDP_FINGERPRINTS_MAX);
    KW_ASSERT(inside(answer.transport.ufrag, data, size) && answer.transport.ufrag.len != 0);
    for (size_t i = 0; i < answer.media_count; i++) {
        look_at_media(&answer, &answer.media[i], data, size);
        accepted += answer.media[i].accepted;
    }
    KW_ASSERT(accepted != 0);
    return 0;
}
