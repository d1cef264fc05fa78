/* SPDX-License-Identifier: Apache-2.0 */
/* A splice of generations, fed with packets that keep no promise. */
#include "rtp/rtcp.h"
#include "rtp/splice.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of the input as packets of two or three generations, each with a length, a time step. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_splice_params params = {
        .is_video = size % 2 == 0, .ssrc = 1, .clock_hz = 90000, .patience = KW_MS(100)};
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_splice splice;
    kw_ns now = KW_S(1);

    kw_splice_init(&splice, &params);
    while (kw_reader_left(&in) >= 4) {
        uint8_t head = kw_read_u8(&in);
        size_t len = kw_read_u8(&in);
        struct kw_bytes piece = kw_read_bytes(&in, KW_MIN(len, kw_reader_left(&in)));
        struct kw_splice_packet info = {.generation = head & 3,
                                        .codec = (enum kw_video_codec)(head >> 2 & 3),
                                        .has_send_time = (head & 16) != 0,
                                        .send_time = (uint32_t)head << 16};
        struct kw_rtcp_sender sr = {.ntp = (uint64_t)head << 56, .timestamp = head * 1000U};
        uint8_t *packet;
        struct kw_rtp rtp;

        now += KW_MS(head >> 4);
        if (kw_rtp_parse(piece.data, piece.len, &rtp) != KW_ACCEPT)
            continue;
        /* exactly as large, so that a sanitizer sees one byte too far */
        packet = malloc(piece.len);
        KW_ASSERT(packet != NULL);
        memcpy(packet, piece.data, piece.len);
        KW_ASSERT(kw_rtp_parse(packet, piece.len, &rtp) == KW_ACCEPT);
        info.rtp = &rtp;
        (void)!kw_splice_receive(&splice, &info, packet, now);
        if ((head & 32) != 0)
            kw_splice_report(&splice, info.generation, rtp.ssrc, &sr);
        if ((head & 0xc0) == 0xc0)
            (void)!kw_splice_bye(&splice, info.generation, rtp.ssrc);
        free(packet);
    }
    return 0;
}
