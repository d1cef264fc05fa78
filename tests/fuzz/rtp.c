/* SPDX-License-Identifier: Apache-2.0 */
/* RTP, its header extensions and video descriptors; what is mapped can be read again. */
#include "rtp/rtp.h"
#include "rtp/video.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rtp(uint8_t *packet, size_t len, const uint8_t *map)
{
    struct kw_rtp_ext ext = {0};
    struct kw_video video;
    struct kw_rtp rtp;
    size_t steps = 0;

    if (kw_rtp_parse(packet, len, &rtp) != KW_ACCEPT)
        return;
    KW_ASSERT(rtp.header_len + rtp.payload.len <= len);
    while (kw_rtp_ext_next(&rtp, &ext))
        KW_ASSERT(++steps <= rtp.ext.len);
    for (int codec = KW_VIDEO_NONE; codec <= KW_VIDEO_AV1; codec++) {
        if (kw_video_parse((enum kw_video_codec)codec, rtp.payload, &video) != KW_ACCEPT)
            continue;
        KW_ASSERT(video.picture_id_bits == 0 ||
                  video.picture_id_at + video.picture_id_bits / 8 < rtp.payload.len);
        KW_ASSERT(!video.has_tl0 || video.tl0_at < rtp.payload.len);
    }
    kw_rtp_ext_map(packet, &rtp, map);
    KW_ASSERT(kw_rtp_parse(packet, len, &rtp) == KW_ACCEPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t map[256];
    /* exactly as large, so that a sanitizer sees one byte too far */
    uint8_t *packet = malloc(size);

    KW_ASSERT(packet != NULL || size == 0);
    for (size_t i = 0; i < sizeof map; i++)
        map[i] = (uint8_t)(i * 7);
    if (size != 0) {
        memcpy(packet, data, size);
        read_rtp(packet, size, map);
    }
    free(packet);
    return 0;
}
