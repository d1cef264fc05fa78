/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_FUZZ_DTLS_WORLD_H
#define KW_FUZZ_DTLS_WORLD_H

/* What the first byte of an input says of the two ends and of the network between them. */
#include "dtls/pair.h"

static inline struct pair_config dtls_world(uint8_t kind)
{
    static const size_t mtus[] = {256, 600, 1200, 1200};

    return (struct pair_config){
        .seed = 1,
        .link = {.delay = KW_MS(10)},
        .mtu = mtus[kind & 3],
        .dtls12 = (kind & 4) != 0,
        .only_dtls12 = (kind & 12) == 12,
        .require_cookie = (kind & 16) != 0,
        .use_cid = (kind & 32) != 0,
        .server_group = kind & 64 ? KW_GROUP_P256 : KW_GROUP_NONE,
        .fail_fast = (kind & 128) != 0,
    };
}

#endif
