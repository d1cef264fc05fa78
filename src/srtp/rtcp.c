/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SRTCP packet. The index travels in the packet, behind the E bit that says "encrypted"; we
 * always encrypt. RFC 7714, section 9.1 and 9.2, puts the tag before that word, RFC 3711, section
 * 3.4, behind it:
 *
 *     GCM:     header (8) | encrypted | tag (16) | E, index (31)
 *     AES_CM:  header (8) | encrypted | E, index (31) | tag (10)
 *
 * With GCM the header and that word are what is authenticated only. Compound packets are few, so
 * they are always authenticated before a byte is written.
 */
#include "srtp/context.h"
#include "srtp/header.h"

#include "base/assert.h"

#include <string.h>

enum {
    WORD = 4,
    E_SHIFT = 31,
    AAD_ROOM = KW_RTCP_FIXED + WORD + KW_TAG_LEN, /* kernels load whole blocks */
};

static bool is_settled(const struct stream *stream)
{
    return stream != NULL && (stream->flags & KW_STREAM_RTCP) != 0;
}

/* Moves the state; the packet is authentic. len: with tag and word. */
static void accept_packet(struct kw_srtp *srtp, uint32_t ssrc, struct stream *stream,
                          uint64_t index, size_t len)
{
    struct history *history;

    if (stream == NULL)
        stream = kw_srtp_stream_add(srtp, ssrc);
    KW_ASSERT(stream != NULL); /* there was room */
    history = history_of(srtp, stream);
    if (is_settled(stream))
        window_note(&history->rtcp_recent, history->rtcp_older, KW_RTCP_WINDOW_WORDS,
                    &history->rtcp_highest, index);
    else
        window_start(&history->rtcp_recent, history->rtcp_older, KW_RTCP_WINDOW_WORDS,
                     &history->rtcp_highest, index);
    stream->flags |= KW_STREAM_RTCP;
    if (index >= KW_SRTCP_INDEX_NEAR)
        srtp->near_limit = true;
    srtp->counters.rtcp_packets++;
    srtp->rtcp_bytes += len;
}

static enum kw_verdict check_header(const uint8_t *packet, size_t len, size_t overhead)
{
    if (len < KW_RTCP_FIXED + overhead)
        return KW_DROP_TRUNCATED;
    return packet[0] >> 6 == 2 ? KW_ACCEPT : KW_DROP_MALFORMED;
}

/* len: without tag and word. aad: becomes the header and the word, which lie apart. */
static struct kw_packet gcm_view(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                                 uint32_t word, uint8_t aad[AAD_ROOM])
{
    struct kw_packet view = {
        .aad = aad,
        .aad_len = KW_RTCP_FIXED + WORD,
        .body = packet + KW_RTCP_FIXED,
        .body_len = len - KW_RTCP_FIXED,
        .tag = packet + len,
    };

    memset(aad, 0, AAD_ROOM);
    memcpy(aad, packet, KW_RTCP_FIXED);
    put_u32(aad + KW_RTCP_FIXED, word);
    iv_make(srtp->rtcp_salt, false, ssrc, word & ~(UINT32_C(1) << E_SHIFT), view.iv);
    return view;
}

static enum kw_verdict seal_gcm(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                                uint32_t word)
{
    uint8_t aad[AAD_ROOM];
    struct kw_packet view = gcm_view(srtp, packet, len, ssrc, word, aad);
    enum kw_verdict verdict = srtp->gcm->seal(&srtp->rtcp_key, &view);

    put_u32(packet + len + KW_TAG_LEN, word);
    return verdict;
}

static struct kw_packet cm_view(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                                uint32_t word)
{
    struct kw_packet view = {
        .body = packet + KW_RTCP_FIXED,
        .body_len = len - KW_RTCP_FIXED,
    };

    iv_make(srtp->rtcp_salt, true, ssrc, word & ~(UINT32_C(1) << E_SHIFT), view.iv);
    return view;
}

static enum kw_verdict seal_cm(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                               uint32_t word)
{
    struct kw_packet view = cm_view(srtp, packet, len, ssrc, word);
    enum kw_verdict verdict = kw_cm_crypt(srtp, srtp->rtcp_cm, &view);

    if (verdict != KW_ACCEPT)
        return verdict;
    put_u32(packet + len, word);
    return kw_cm_tag(srtp, srtp->rtcp_cm, (struct kw_bytes){packet, len}, word,
                     packet + len + WORD);
}

static enum kw_verdict protect(struct kw_srtp *srtp, uint8_t *packet, size_t *len, size_t size)
{
    struct stream *stream;
    enum kw_verdict verdict;
    uint64_t index = 0;
    uint32_t ssrc, word;

    verdict = check_header(packet, *len, 0);
    if (verdict != KW_ACCEPT)
        return verdict;
    if (*len > KW_SRTP_PACKET_MAX - KW_SRTP_TAIL || size < *len + KW_SRTP_TAIL)
        return KW_DROP_LIMIT;
    ssrc = get_u32(packet + 4);
    stream = stream_find(srtp, ssrc);
    if (stream == NULL && !kw_srtp_has_room(srtp))
        return KW_DROP_LIMIT;

    /* RFC 3711, section 3.4: the index "MUST be set to zero before the first SRTCP packet is sent,
     * and MUST be incremented by one, modulo 2^31, after each". We stop instead of wrapping. */
    if (is_settled(stream))
        index = history_of(srtp, stream)->rtcp_highest + 1;
    if (index >= KW_SRTCP_INDEX_END)
        return KW_DROP_EXPIRED;

    word = UINT32_C(1) << E_SHIFT | (uint32_t)index;
    verdict = srtp->gcm != NULL ? seal_gcm(srtp, packet, *len, ssrc, word)
                                : seal_cm(srtp, packet, *len, ssrc, word);
    if (verdict != KW_ACCEPT) {
        kw_wipe(packet, *len);
        return verdict;
    }
    *len += tag_len_of(srtp) + WORD;
    accept_packet(srtp, ssrc, stream, index, *len);
    return KW_ACCEPT;
}

enum kw_verdict kw_srtcp_protect(struct kw_srtp *srtp, uint8_t *packet, size_t *len, size_t size)
{
    return count_dropped(srtp, protect(srtp, packet, len, size));
}

static enum kw_verdict open_gcm(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                                uint32_t word)
{
    uint8_t aad[AAD_ROOM];
    struct kw_packet view = gcm_view(srtp, packet, len, ssrc, word, aad);
    enum kw_verdict verdict = srtp->gcm->verify(&srtp->rtcp_key, &view);

    return verdict == KW_ACCEPT ? srtp->gcm->open(&srtp->rtcp_key, &view) : verdict;
}

/*
 * E = 0: authenticated, not encrypted (RFC 7714, section 9.3). The AAD is the whole packet and the
 * word behind the tag, so the two trade places while the tag is checked.
 */
static enum kw_verdict check_clear_gcm(struct kw_srtp *srtp, uint8_t *packet, size_t len,
                                       uint32_t ssrc, uint32_t word)
{
    uint8_t tail[KW_TAG_LEN + WORD];
    struct kw_packet view = {
        .aad = packet,
        .aad_len = len + WORD,
        .body = packet + len + WORD,
        .tag = tail,
    };
    enum kw_verdict verdict;

    iv_make(srtp->rtcp_salt, false, ssrc, word, view.iv);
    memcpy(tail, packet + len, sizeof tail);
    put_u32(packet + len, word);
    verdict = srtp->gcm->verify(&srtp->rtcp_key, &view);
    memcpy(packet + len, tail, sizeof tail);
    return verdict;
}

static enum kw_verdict open_cm(struct kw_srtp *srtp, uint8_t *packet, size_t len, uint32_t ssrc,
                               uint32_t word)
{
    struct kw_packet view = cm_view(srtp, packet, len, ssrc, word);
    enum kw_verdict verdict;

    verdict =
        kw_cm_check(srtp, srtp->rtcp_cm, (struct kw_bytes){packet, len}, word, packet + len + WORD);
    if (verdict == KW_ACCEPT && word >> E_SHIFT != 0)
        verdict = kw_cm_crypt(srtp, srtp->rtcp_cm, &view);
    return verdict;
}

enum kw_verdict kw_srtcp_open(struct kw_srtp *srtp, uint8_t *packet, size_t *len)
{
    size_t overhead = tag_len_of(srtp) + WORD, body_end;
    struct stream *stream;
    enum kw_verdict verdict;
    uint32_t ssrc, word;
    uint64_t index;

    verdict = check_header(packet, *len, overhead);
    if (verdict != KW_ACCEPT)
        return verdict;
    if (*len > KW_SRTP_PACKET_MAX)
        return KW_DROP_LIMIT;
    body_end = *len - overhead;
    ssrc = get_u32(packet + 4);
    word = get_u32(packet + (srtp->gcm != NULL ? *len - WORD : body_end));
    index = word & ~(UINT32_C(1) << E_SHIFT);

    stream = stream_find(srtp, ssrc);
    if (stream == NULL && !kw_srtp_has_room(srtp))
        return KW_DROP_LIMIT;
    if (is_settled(stream)) {
        const struct history *history = history_of(srtp, stream);

        verdict = window_check(history->rtcp_recent, history->rtcp_older, KW_RTCP_WINDOW_WORDS,
                               history->rtcp_highest, index);
        if (verdict != KW_ACCEPT)
            return verdict;
    }

    if (srtp->gcm == NULL)
        verdict = open_cm(srtp, packet, body_end, ssrc, word);
    else if (word >> E_SHIFT != 0)
        verdict = open_gcm(srtp, packet, body_end, ssrc, word);
    else
        verdict = check_clear_gcm(srtp, packet, body_end, ssrc, word);
    if (verdict != KW_ACCEPT)
        return verdict;

    accept_packet(srtp, ssrc, stream, index, *len);
    *len = body_end;
    return KW_ACCEPT;
}

enum kw_verdict kw_srtcp_unprotect(struct kw_srtp *srtp, uint8_t *packet, size_t *len)
{
    return count_dropped(srtp, kw_srtcp_open(srtp, packet, len));
}
