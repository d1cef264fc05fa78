/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_STREAM_H
#define KW_GATEWAY_STREAM_H

#include <keywheel/base.h>

/* An incoming SSRC of a leg, and how its packets go back as our own stream. */
struct kw_stream {
    bool used;
    bool is_echoed;
    uint8_t media; /* index in the leg */
    uint32_t ssrc;
    uint16_t seq_offset;
    uint32_t ts_offset;
    uint16_t out_highest; /* sequence number of the newest packet that went back */
    uint32_t out_ts;
    kw_ns heard;
};

#endif
