/* SPDX-License-Identifier: Apache-2.0 */
/* Offers: whatever is accepted can be answered, and the answer can be read. */
#include "sdp/sdp.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kw_address candidate = {.family = 4, .port = 5000, .ip = {192, 0, 2, 1}};
    static const struct kw_fingerprint fingerprint = {.hash = KW_SHA256};
    static char answer[4 * KW_SDP_TEXT_MAX];
    struct kw_sdp_choices choices = {
        .profile = size % 2 == 0 ? KW_SDP_CALL : KW_SDP_WHIP,
        .ufrag = "ufrag",
        .pwd = "passwordpasswordpassword",
        .fingerprint = &fingerprint,
        .candidate_count = 1,
        .candidates = &candidate,
        .cname = "cname",
        .stream = "stream",
    };
    struct kw_sdp_problem problem;
    struct kw_sdp offer, again;
    size_t len;

    if (kw_sdp_offer_parse((struct kw_bytes){data, size}, choices.profile, &offer, &problem) !=
        KW_SDP_OK) {
        KW_ASSERT(problem.what[0] != '\0');
        return 0;
    }
    len = kw_sdp_answer_write(&offer, &choices, answer, sizeof answer);
    if (len == 0)
        return 0;
    KW_ASSERT(kw_sdp_answer_parse((struct kw_bytes){(const uint8_t *)answer, len}, &again,
                                  &problem) == KW_SDP_OK);
    KW_ASSERT(again.media_count == offer.media_count);
    for (size_t i = 0; i < offer.media_count; i++)
        KW_ASSERT(again.media[i].accepted == offer.media[i].accepted);
    return 0;
}
