/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments: bounded, and credentials come in pairs. */
#include "sdp/sdp.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_sdp_fragment fragment;
    struct kw_sdp_problem problem;

    if (kw_sdp_fragment_parse((struct kw_bytes){data, size}, &fragment, &problem) != KW_SDP_OK)
        return 0;
    KW_ASSERT((fragment.ufrag.len == 0) == (fragment.pwd.len == 0));
    KW_ASSERT(fragment.candidate_count <= KW_SDP_CANDIDATES_MAX);
    return 0;
}
