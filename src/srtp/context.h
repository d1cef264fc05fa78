/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_CONTEXT_H
#define KW_SRTP_CONTEXT_H

/*
 * One direction of one generation, in one piece of memory. A packet in its order touches five (with
 * AES-256 six) consecutive cache lines, one of which it writes:
 *
 *   rarely      counters of what was dropped, limits, session key of SRTCP
 *   five lines  session key of SRTP, of which AES-128 uses the last four
 *   one line    transform, salt, the counters that every packet moves, and the live part of the
 *               first stream (SSRC); live parts of the others follow
 *   rarely      the streams' histories: replay windows, SRTCP
 *
 * All of it lies at places that follow from the context's own address, so it can be prefetched
 * blindly.
 */

#include <keywheel/srtp.h>

#include "crypto/packet_kernel.h"
#include "srtp/window.h"

/* Kept out of the way of a packet in its order, which is then short and one piece. */
#define KW_SELDOM __attribute__((noinline, cold))

enum {
    KW_STREAM_RTP = 1,     /* an SRTP packet was accepted: highest and window are facts */
    KW_STREAM_RTCP = 2,    /* an SRTCP packet was accepted */
    KW_STREAM_CARRIED = 4, /* highest comes from an older generation: where to start guessing */

    KW_SRTP_TRIAL_BUDGET = 64, /* wrong guesses that a context pays before it counts every one */
};

/* RFC 3711, section 9.2: at most 2^48 SRTP packets and 2^31 SRTCP packets with one key. */
#define KW_SRTP_INDEX_END (UINT64_C(1) << 48)
#define KW_SRTCP_INDEX_END (UINT64_C(1) << 31)
/* Less than a sixteenth left. */
#define KW_SRTP_INDEX_NEAR (KW_SRTP_INDEX_END / 16 * 15)
#define KW_SRTCP_INDEX_NEAR (KW_SRTCP_INDEX_END / 16 * 15)

enum {
    KW_WINDOW_WORDS = KW_SRTP_WINDOW / 64,
    KW_RTCP_WINDOW_WORDS = KW_SRTCP_WINDOW / 64,
};

/* What every packet of a stream needs. */
struct stream {
    uint32_t ssrc;
    uint32_t flags;   /* 0: this place is free */
    uint64_t highest; /* index: roll-over counter and sequence number */
    uint64_t recent;  /* window.h */
};

struct history {
    _Alignas(64) uint64_t first; /* first accepted index: older ones were never counted as lost */
    uint64_t rtcp_highest;
    uint64_t rtcp_recent;
    uint64_t rtcp_older[KW_RTCP_WINDOW_WORDS];
    _Alignas(64) uint64_t older[KW_WINDOW_WORDS];
};

struct kw_srtp {
    _Alignas(64) struct kw_srtp_counters counters; /* packets and bytes are filled in when asked */
    struct kw_crypto *crypto;
    struct kw_packet_key *cm; /* AES_CM: the provider's contexts for SRTP and SRTCP */
    struct kw_packet_key *rtcp_cm;
    uint64_t rtcp_bytes;
    uint8_t rtcp_salt[14];
    uint8_t stream_count;
    uint8_t trial_budget;
    uint8_t trial_turn;
    bool near_limit;
    bool for_sending;
    bool roc_continues;
    struct kw_gcm_key rtcp_key;

    struct kw_gcm_key key;
    const struct kw_gcm *gcm; /* NULL: AES_CM */
    uint8_t salt[14];
    uint8_t stream_max; /* here, because it says where the histories begin */
    uint8_t hint : 6;   /* stream of the last packet */
    bool cryptex : 1;
    bool budget_spent : 1; /* trial_budget is not full */
    uint64_t packets;
    uint64_t bytes; /* of SRTP */
    struct stream streams[];
    /* Behind stream_max of them, at the next cache line: struct history[stream_max]. */
};

_Static_assert(offsetof(struct kw_srtp, key) % 64 == 0, "whole lines");
_Static_assert(offsetof(struct kw_srtp, streams) ==
                   offsetof(struct kw_srtp, gcm) + 64 - sizeof(struct stream),
               "the first stream ends its line");
_Static_assert(KW_SRTP_SSRC_MAX <= 1 << 6, "hint has 6 bits");

/* Bytes up to the histories. */
static inline size_t streams_end(size_t stream_max)
{
    size_t end = offsetof(struct kw_srtp, streams) + stream_max * sizeof(struct stream);

    return (end + 63) / 64 * 64;
}

static inline struct history *history_of(struct kw_srtp *srtp, const struct stream *stream)
{
    void *histories = (uint8_t *)srtp + streams_end(srtp->stream_max);

    return (struct history *)histories + (stream - srtp->streams);
}

static inline size_t tag_len_of(const struct kw_srtp *srtp)
{
    return srtp->gcm != NULL ? KW_TAG_LEN : 10;
}

static inline uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

/*
 * The initial counter block. RFC 7714, section 8.1 and 9.1: 00 00 || SSRC || index (48 bits; SRTCP:
 * 00 00 || 31 bits), XOR salt, then a block counter of 32 bits. RFC 3711, section 4.1.1: the same
 * two bytes further right and 16 bits of block counter.
 */
static inline void iv_make(const uint8_t salt[14], bool cm, uint32_t ssrc, uint64_t index,
                           uint8_t iv[16])
{
    put_u64(iv, get_u64(salt) ^ (cm ? ssrc : (uint64_t)ssrc << 16 | index >> 32));
    put_u32(iv + 8, get_u32(salt + 8) ^ (uint32_t)(cm ? index >> 16 : index));
    put_u32(iv + 12, cm ? (uint32_t)(get_u16(salt + 12) ^ (index & 0xffff)) << 16 : 0);
}

/* The stream of this SSRC, or NULL. */
KW_SELDOM struct stream *kw_srtp_stream_search(struct kw_srtp *srtp, uint32_t ssrc);

static inline struct stream *stream_find(struct kw_srtp *srtp, uint32_t ssrc)
{
    struct stream *likely = &srtp->streams[srtp->hint];

    return likely->ssrc == ssrc && likely->flags != 0 ? likely : kw_srtp_stream_search(srtp, ssrc);
}

/* True when stream_add() will succeed. */
KW_SELDOM bool kw_srtp_has_room(const struct kw_srtp *srtp);
/* An empty stream: a free one, or a carried one that never authenticated anything. */
struct stream *kw_srtp_stream_add(struct kw_srtp *srtp, uint32_t ssrc);

/*
 * RFC 3711, appendix A: the index nearest to `highest` that ends in seq; of two that are equally
 * near, the one with the same roll-over counter. Below zero there is nothing, so it is then a jump
 * ahead.
 */
static inline uint64_t index_guess(uint64_t highest, uint16_t seq)
{
    int64_t ahead = (int16_t)(seq - (uint16_t)highest);
    int64_t index = (int64_t)highest + ahead;

    if (index < 0 || (ahead == INT16_MIN && (uint16_t)highest < 0x8000))
        index += 0x10000;
    return (uint64_t)index;
}

/* Session keys, RFC 3711 section 4.3. */
enum kw_srtp_label {
    KW_LABEL_RTP_KEY = 0,
    KW_LABEL_RTP_AUTH,
    KW_LABEL_RTP_SALT,
    KW_LABEL_RTCP_KEY,
    KW_LABEL_RTCP_AUTH,
    KW_LABEL_RTCP_SALT,
};

/* Writes dst_len (at most 32) bytes of session key material. */
enum kw_status kw_srtp_derive(struct kw_crypto *crypto, const struct kw_srtp_master *master,
                              enum kw_srtp_label label, uint8_t *dst, size_t dst_len);

static inline enum kw_verdict count_dropped(struct kw_srtp *srtp, enum kw_verdict verdict)
{
    if (verdict != KW_ACCEPT)
        srtp->counters.verdicts[verdict]++;
    return verdict;
}

/* The calls without their prefetch: the batch calls have asked for the context before. */
enum kw_verdict kw_srtp_seal(struct kw_srtp *srtp, uint8_t *packet, size_t *len, size_t size);
enum kw_verdict kw_srtp_open(struct kw_srtp *srtp, uint8_t *packet, size_t *len);

/*
 * Opens one packet and counts nothing but an accepted one. `keep`: the packet may still be offered
 * to another context, so it must come back unchanged unless it is accepted.
 */
enum kw_verdict kw_srtp_open_kept(struct kw_srtp *srtp, uint8_t *packet, size_t *len, bool keep);
enum kw_verdict kw_srtcp_open(struct kw_srtp *srtp, uint8_t *packet, size_t *len);

/* AES_CM_128_HMAC_SHA1_80, the exception. tag: ten bytes. */
enum { KW_CM_TAG_LEN = 10 };
enum kw_verdict kw_cm_tag(struct kw_srtp *srtp, struct kw_packet_key *key, struct kw_bytes head,
                          uint32_t tail, uint8_t tag[KW_CM_TAG_LEN]);
enum kw_verdict kw_cm_check(struct kw_srtp *srtp, struct kw_packet_key *key, struct kw_bytes head,
                            uint32_t tail, const uint8_t tag[KW_CM_TAG_LEN]);
enum kw_verdict kw_cm_crypt(struct kw_srtp *srtp, struct kw_packet_key *key,
                            const struct kw_packet *packet);

#endif
