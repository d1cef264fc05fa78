/* SPDX-License-Identifier: Apache-2.0 */
/* Compound RTCP: reading comes to an end, and what checks out has no rest. */
#include "rtp/rtcp.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_rtcp_block block;
    struct kw_bytes cname;
    struct kw_rtcp rtcp;
    uint16_t seq, mask;
    uint8_t command;
    uint32_t ssrc;
    size_t seen = 0;

    while (kw_rtcp_next(&in, &rtcp)) {
        struct kw_bytes items = rtcp.items;

        (void)!kw_rtcp_cname(&rtcp, rtcp.ssrc, &cname);
        while (kw_rtcp_block_next(&rtcp.blocks, &block))
            seen++;
        while (kw_rtcp_nack_next(&items, &seq, &mask))
            seen++;
        for (items = rtcp.items; kw_rtcp_fir_next(&items, &ssrc, &command);)
            seen++;
        for (items = rtcp.items; kw_rtcp_bye_next(&items, &ssrc);)
            seen++;
    }
    if (kw_rtcp_check(data, size) == KW_ACCEPT)
        KW_ASSERT(kw_reader_left(&in) == 0);
    return 0;
}
