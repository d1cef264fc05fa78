/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SRTP packet (RFC 3711 section 3.3, RFC 7714 section 8): header, stream, index, replay,
 * transform, and only then the state moves.
 *
 * A stream is settled once a packet has authenticated under this context: its roll-over counter is
 * then known, and its packets are decrypted while they are authenticated. For any other SSRC the
 * counter is a guess; such a packet is authenticated with each guess before a byte of it is
 * written.
 */
#include "srtp/context.h"
#include "srtp/cryptex.h"
#include "srtp/header.h"
#include "srtp/prefetch.h"

#include "base/assert.h"

enum { GUESS_MAX = 4 };

static bool is_settled(const struct stream *stream)
{
    return stream != NULL && (stream->flags & KW_STREAM_RTP) != 0;
}

/* RFC 9335, section 5.1: only with extensions of RFC 8285. */
static bool cryptex_applies(const struct rtp_header *header)
{
    if (header->ext_profile == 0)
        return header->csrc_len != 0 && header->len == KW_RTP_FIXED + header->csrc_len;
    return header->ext_profile == KW_EXT_ONE_BYTE || header->ext_profile == KW_EXT_TWO_BYTE;
}

static void put_ext_profile(uint8_t *packet, const struct rtp_header *header, unsigned profile)
{
    packet[KW_RTP_FIXED + header->csrc_len] = (uint8_t)(profile >> 8);
    packet[KW_RTP_FIXED + header->csrc_len + 1] = (uint8_t)profile;
}

/*
 * Names the extension block encrypted and returns the header as it is now. RFC 9335, section 5.1:
 * "If the packet contains CSRCs but no header extensions, an empty extension block [...] MUST be
 * appended, and the X bit MUST be set".
 */
static KW_SELDOM struct rtp_header cryptex_mark(uint8_t *packet, size_t *len,
                                                struct rtp_header header)
{
    if (header.ext_profile == 0) {
        memmove(packet + header.len + 4, packet + header.len, *len - header.len);
        put_u32(packet + header.len, (uint32_t)KW_EXT_ONE_BYTE << 16);
        packet[0] |= 0x10;
        header.ext_profile = KW_EXT_ONE_BYTE;
        header.len += 4;
        *len += 4;
    }
    put_ext_profile(packet, &header,
                    header.ext_profile == KW_EXT_ONE_BYTE ? KW_CRYPTEX_ONE_BYTE
                                                          : KW_CRYPTEX_TWO_BYTE);
    return header;
}

static bool is_cryptex(const struct kw_srtp *srtp, const struct rtp_header *header)
{
    return srtp->cryptex && (header->ext_profile == KW_CRYPTEX_ONE_BYTE ||
                             header->ext_profile == KW_CRYPTEX_TWO_BYTE);
}

/* len: without tag. With cryptex the packet is in its gathered form. */
static inline struct kw_packet packet_view(uint8_t *packet, size_t len,
                                           const struct rtp_header *header, bool cryptex)
{
    size_t aad_len = cryptex ? KW_RTP_FIXED + 4 : header->len;

    return (struct kw_packet){
        .aad = packet,
        .aad_len = aad_len,
        .body = packet + aad_len,
        .body_len = len - aad_len,
        .tag = packet + len,
    };
}

/* The index of a settled stream's packet out of its order, and whether the window has a place. */
static KW_SELDOM enum kw_verdict unusual_index(struct kw_srtp *srtp, const struct stream *stream,
                                               uint16_t seq, uint64_t *ret)
{
    *ret = index_guess(stream->highest, seq);
    return window_check(stream->recent, history_of(srtp, stream)->older, KW_WINDOW_WORDS,
                        stream->highest, *ret);
}

/* The packet after the highest one, which nearly all are, needs neither guess nor window. */
static inline enum kw_verdict settled_index(struct kw_srtp *srtp, const struct stream *stream,
                                            uint16_t seq, uint64_t *ret)
{
    enum kw_verdict verdict = KW_ACCEPT;
    uint64_t index = stream->highest + 1;

    if ((uint16_t)index != seq)
        verdict = unusual_index(srtp, stream, seq, &index);
    if (verdict == KW_ACCEPT && index >= KW_SRTP_INDEX_END)
        verdict = KW_DROP_EXPIRED;
    *ret = index;
    return verdict;
}

static void start_stream(struct kw_srtp *srtp, struct stream *stream, uint64_t index)
{
    struct history *history = history_of(srtp, stream);

    stream->flags = (stream->flags | KW_STREAM_RTP) & ~(uint32_t)KW_STREAM_CARRIED;
    history->first = index;
    window_start(&stream->recent, history->older, KW_WINDOW_WORDS, &stream->highest, index);
}

static void count_gap(struct kw_srtp *srtp, const struct stream *stream, uint64_t index)
{
    if (index > stream->highest)
        srtp->counters.lost += index - stream->highest - 1;
    else if (index > history_of(srtp, stream)->first && srtp->counters.lost > 0)
        srtp->counters.lost--;
}

/* Notes an index that is not simply the next one of its block. */
static KW_SELDOM void note_unusual(struct kw_srtp *srtp, struct stream *stream, uint64_t index)
{
    KW_ASSERT(stream != NULL); /* there was room */
    if (!is_settled(stream)) {
        start_stream(srtp, stream, index);
    } else {
        if (index != stream->highest + 1)
            count_gap(srtp, stream, index);
        window_note(&stream->recent, history_of(srtp, stream)->older, KW_WINDOW_WORDS,
                    &stream->highest, index);
    }
    if (index >= KW_SRTP_INDEX_NEAR)
        srtp->near_limit = true;
}

/* Moves the state; the packet is authentic. len: with its tag. */
static inline void accept_packet(struct kw_srtp *srtp, struct stream *stream, uint64_t index,
                                 size_t len)
{
    if (is_settled(stream) && index == stream->highest + 1 && index % 64 != 0) {
        stream->highest = index;
        stream->recent |= UINT64_C(1) << (index % 64);
    } else {
        note_unusual(srtp, stream, index);
    }
    if (srtp->budget_spent && ++srtp->trial_budget >= KW_SRTP_TRIAL_BUDGET)
        srtp->budget_spent = false;
    srtp->packets++;
    srtp->bytes += len;
}

_Static_assert(KW_SRTP_INDEX_NEAR % 64 == 0, "an unusual index, or jumped over by one");

static KW_SELDOM enum kw_verdict seal_cm(struct kw_srtp *srtp, uint8_t *packet, size_t len,
                                         struct rtp_header header, uint64_t index, bool cryptex)
{
    struct kw_packet view = packet_view(packet, len, &header, cryptex);
    size_t csrc_len = cryptex ? header.csrc_len : 0;
    enum kw_verdict verdict;

    iv_make(srtp->salt, true, header.ssrc, index, view.iv);
    if (csrc_len != 0)
        cryptex_gather(packet, csrc_len);
    verdict = kw_cm_crypt(srtp, srtp->cm, &view);
    if (csrc_len != 0)
        cryptex_scatter(packet, csrc_len);
    if (verdict != KW_ACCEPT)
        return verdict;
    return kw_cm_tag(srtp, srtp->cm, (struct kw_bytes){packet, len}, (uint32_t)(index >> 16),
                     packet + len);
}

static inline enum kw_verdict seal_gcm(struct kw_srtp *srtp, uint8_t *packet, size_t len,
                                       struct rtp_header header, uint64_t index, bool cryptex)
{
    struct kw_packet view = packet_view(packet, len, &header, cryptex);
    size_t csrc_len = cryptex ? header.csrc_len : 0;
    enum kw_verdict verdict;

    iv_make(srtp->salt, false, header.ssrc, index, view.iv);
    if (csrc_len != 0)
        cryptex_gather(packet, csrc_len);
    verdict = srtp->gcm->seal(&srtp->key, &view);
    if (csrc_len != 0)
        cryptex_scatter(packet, csrc_len);
    return verdict;
}

/* The index of the first packet that we send on a stream. */
static inline uint64_t sender_start(const struct stream *stream, uint16_t seq)
{
    bool carried = stream != NULL && stream->flags != KW_STREAM_RTCP;

    return carried ? index_guess(stream->highest, seq) : seq;
}

static inline enum kw_verdict protect(struct kw_srtp *srtp, uint8_t *packet, size_t *len_ret,
                                      size_t size)
{
    size_t len = *len_ret;
    struct rtp_header header;
    struct stream *stream;
    enum kw_verdict verdict;
    uint64_t index;
    bool cryptex;

    verdict = rtp_header_parse(packet, len, &header);
    if (verdict != KW_ACCEPT)
        return verdict;
    if (is_cryptex(srtp, &header))
        return KW_DROP_MALFORMED; /* in clear, under the name of an encrypted extension */
    if (len > KW_SRTP_PACKET_MAX - KW_SRTP_TAIL || size < len + KW_SRTP_TAIL)
        return KW_DROP_LIMIT;

    stream = stream_find(srtp, header.ssrc);
    if (is_settled(stream)) {
        verdict = settled_index(srtp, stream, header.seq, &index);
        if (verdict != KW_ACCEPT)
            return verdict;
    } else {
        if (stream == NULL && !kw_srtp_has_room(srtp))
            return KW_DROP_LIMIT;
        index = sender_start(stream, header.seq);
        if (index >= KW_SRTP_INDEX_END)
            return KW_DROP_EXPIRED;
    }

    cryptex = srtp->cryptex && cryptex_applies(&header);
    if (cryptex)
        header = cryptex_mark(packet, &len, header);
    verdict = srtp->gcm != NULL ? seal_gcm(srtp, packet, len, header, index, cryptex)
                                : seal_cm(srtp, packet, len, header, index, cryptex);
    if (verdict != KW_ACCEPT) {
        kw_wipe(packet, len);
        return verdict;
    }

    *len_ret = len + tag_len_of(srtp);
    if (stream == NULL)
        stream = kw_srtp_stream_add(srtp, header.ssrc);
    accept_packet(srtp, stream, index, *len_ret);
    return KW_ACCEPT;
}

enum kw_verdict kw_srtp_seal(struct kw_srtp *srtp, uint8_t *packet, size_t *len, size_t size)
{
    return count_dropped(srtp, protect(srtp, packet, len, size));
}

enum kw_verdict kw_srtp_protect(struct kw_srtp *srtp, uint8_t *packet, size_t *len, size_t size)
{
    prefetch_context(srtp, KW_PREFETCH_KEY);
    return kw_srtp_seal(srtp, packet, len, size);
}

/*
 * One packet on its way in. Handed on by value, so that for a settled stream, where all is inlined,
 * it exists in registers only.
 */
struct opening {
    struct kw_srtp *srtp;
    uint8_t *packet;
    size_t len; /* without tag */
    struct rtp_header header;
    bool cryptex;
};

enum open_how { VERIFY_ONLY, VERIFY_THEN_OPEN, OPEN_FUSED };

static KW_SELDOM enum kw_verdict try_cm(struct opening in, uint64_t index, enum open_how how)
{
    struct kw_packet view = packet_view(in.packet, in.len, &in.header, in.cryptex);
    size_t csrc_len = in.cryptex ? in.header.csrc_len : 0;
    struct kw_bytes authenticated = {in.packet, in.len};
    struct kw_packet_key *key = in.srtp->cm;
    enum kw_verdict verdict;

    verdict = kw_cm_check(in.srtp, key, authenticated, (uint32_t)(index >> 16), view.tag);
    if (verdict != KW_ACCEPT || how == VERIFY_ONLY)
        return verdict;
    iv_make(in.srtp->salt, true, in.header.ssrc, index, view.iv);
    if (csrc_len != 0)
        cryptex_gather(in.packet, csrc_len);
    verdict = kw_cm_crypt(in.srtp, key, &view);
    if (csrc_len != 0)
        cryptex_scatter(in.packet, csrc_len);
    return verdict;
}

static inline enum kw_verdict try_gcm(struct opening in, uint64_t index, enum open_how how)
{
    struct kw_packet view = packet_view(in.packet, in.len, &in.header, in.cryptex);
    size_t csrc_len = in.cryptex ? in.header.csrc_len : 0;
    const struct kw_gcm *gcm = in.srtp->gcm;
    enum kw_verdict verdict = KW_ACCEPT;

    iv_make(in.srtp->salt, false, in.header.ssrc, index, view.iv);
    if (csrc_len != 0)
        cryptex_gather(in.packet, csrc_len);
    if (how != OPEN_FUSED)
        verdict = gcm->verify(&in.srtp->key, &view);
    if (verdict == KW_ACCEPT && how != VERIFY_ONLY)
        verdict = gcm->open(&in.srtp->key, &view);
    if (csrc_len != 0)
        cryptex_scatter(in.packet, csrc_len);
    return verdict;
}

static inline enum kw_verdict try_index(struct opening in, uint64_t index, enum open_how how)
{
    return in.srtp->gcm != NULL ? try_gcm(in, index, how) : try_cm(in, index, how);
}

/*
 * The indices that a packet of an unsettled SSRC may have, likeliest first: roll-over counter 0,
 * the carried one (0 where nothing was carried) and its neighbours.
 */
static size_t make_guesses(const struct kw_srtp *srtp, const struct stream *stream, uint16_t seq,
                           uint64_t guesses[GUESS_MAX])
{
    bool carried = stream != NULL && (stream->flags & KW_STREAM_CARRIED) != 0;
    int64_t roc = carried ? (int64_t)(index_guess(stream->highest, seq) >> 16) : 0;
    int64_t order[GUESS_MAX] = {0, roc, roc + 1, roc - 1};
    size_t count = 0;

    if (carried && srtp->roc_continues) {
        order[0] = roc;
        order[1] = roc + 1;
        order[2] = roc - 1;
        order[3] = 0;
    }
    for (size_t i = 0; i < GUESS_MAX; i++) {
        uint64_t index = (uint64_t)order[i] << 16 | seq;
        bool known = order[i] < 0 || index >= KW_SRTP_INDEX_END;

        for (size_t j = 0; j < count && !known; j++)
            known = guesses[j] == index;
        if (!known)
            guesses[count++] = index;
    }
    return count;
}

/*
 * Finds the index under which the packet authenticates. Strangers may send packets of unknown SSRCs
 * as fast as they like, so wrong guesses are paid from a budget that accepted packets refill; when
 * it is empty one packet buys the likeliest guess and one other, each in its turn, which still
 * finds any sender.
 */
static enum kw_verdict find_index(struct opening in, const struct stream *stream, uint64_t *ret)
{
    struct kw_srtp *srtp = in.srtp;
    uint64_t guesses[GUESS_MAX] = {0};
    size_t count = make_guesses(srtp, stream, in.header.seq, guesses);
    enum kw_verdict verdict = KW_DROP_FORGED;

    if (srtp->trial_budget < count && count > 2) {
        guesses[1] = guesses[1 + srtp->trial_turn++ % (count - 1)];
        count = 2;
    }
    for (size_t i = 0; i < count && verdict == KW_DROP_FORGED; i++) {
        verdict = try_index(in, guesses[i], VERIFY_ONLY);
        if (verdict == KW_DROP_FORGED && srtp->trial_budget > 0) {
            srtp->trial_budget--;
            srtp->budget_spent = true;
        }
        *ret = guesses[i];
    }
    return verdict;
}

static KW_SELDOM enum kw_verdict open_unsettled(struct opening in, struct stream *stream)
{
    struct kw_srtp *srtp = in.srtp;
    enum kw_verdict verdict;
    uint64_t index;

    if (stream == NULL && !kw_srtp_has_room(srtp))
        return KW_DROP_LIMIT;
    verdict = find_index(in, stream, &index);
    if (verdict == KW_ACCEPT)
        verdict = try_index(in, index, OPEN_FUSED);
    if (verdict != KW_ACCEPT)
        return verdict;

    if (stream == NULL)
        stream = kw_srtp_stream_add(srtp, in.header.ssrc);
    accept_packet(srtp, stream, index, in.len + tag_len_of(srtp));
    return KW_ACCEPT;
}

static inline enum kw_verdict open_settled(struct opening in, struct stream *stream, bool keep)
{
    enum kw_verdict verdict;
    uint64_t index;

    verdict = settled_index(in.srtp, stream, in.header.seq, &index);
    if (verdict != KW_ACCEPT)
        return verdict;
    verdict = try_index(in, index, keep ? VERIFY_THEN_OPEN : OPEN_FUSED);
    if (verdict == KW_ACCEPT)
        accept_packet(in.srtp, stream, index, in.len + tag_len_of(in.srtp));
    return verdict;
}

static inline enum kw_verdict open_packet(struct kw_srtp *srtp, uint8_t *packet, size_t *len,
                                          bool keep)
{
    struct opening in = {.srtp = srtp, .packet = packet};
    struct stream *stream;
    enum kw_verdict verdict;

    if (*len < tag_len_of(srtp))
        return KW_DROP_TRUNCATED;
    if (*len > KW_SRTP_PACKET_MAX)
        return KW_DROP_LIMIT;
    in.len = *len - tag_len_of(srtp);
    verdict = rtp_header_parse(packet, in.len, &in.header);
    if (verdict != KW_ACCEPT)
        return verdict;
    in.cryptex = is_cryptex(srtp, &in.header);

    stream = stream_find(srtp, in.header.ssrc);
    verdict = is_settled(stream) ? open_settled(in, stream, keep) : open_unsettled(in, stream);
    if (verdict != KW_ACCEPT)
        return verdict;

    if (in.cryptex)
        put_ext_profile(packet, &in.header,
                        in.header.ext_profile == KW_CRYPTEX_ONE_BYTE ? KW_EXT_ONE_BYTE
                                                                     : KW_EXT_TWO_BYTE);
    *len = in.len;
    return KW_ACCEPT;
}

enum kw_verdict kw_srtp_open_kept(struct kw_srtp *srtp, uint8_t *packet, size_t *len, bool keep)
{
    return open_packet(srtp, packet, len, keep);
}

enum kw_verdict kw_srtp_open(struct kw_srtp *srtp, uint8_t *packet, size_t *len)
{
    return count_dropped(srtp, open_packet(srtp, packet, len, false));
}

enum kw_verdict kw_srtp_unprotect(struct kw_srtp *srtp, uint8_t *packet, size_t *len)
{
    prefetch_context(srtp, KW_PREFETCH_KEY);
    return kw_srtp_open(srtp, packet, len);
}
