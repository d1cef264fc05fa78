/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SDP_CODEC_H
#define KW_SDP_CODEC_H

#include "sdp/sdp.h"

/* Fills codec, clock and channels from the name, or from RFC 3551's table when there is none. */
void kw_sdp_codec_recognise(struct kw_sdp_format *format, enum kw_sdp_kind kind);
/* Carries speech, music or pictures by itself: not telephone-event, not comfort noise. */
bool kw_sdp_codec_is_primary(enum kw_sdp_codec codec);
/* Which extension a URI names. */
enum kw_sdp_ext kw_sdp_ext_recognise(struct kw_bytes uri);
const char *kw_sdp_ext_uri(enum kw_sdp_ext ext);

#endif
