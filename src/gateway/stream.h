/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_STREAM_H
#define KW_GATEWAY_STREAM_H

#include "rtp/source.h"
#include "rtp/splice.h"
#include "rtp/stream.h"

/* An incoming SSRC of a leg. */
struct kw_incoming {
    bool used;
    uint8_t media; /* index in the leg */
    struct kw_rtp_source source;
};

#endif
