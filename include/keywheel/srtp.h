/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_SRTP_H
#define KEYWHEEL_SRTP_H

/*
 * SRTP and SRTCP (RFC 3711, RFC 7714): one direction of one generation. Works in place on the
 * caller's buffer, allocates nothing, takes no lock. A context belongs to one thread at a time.
 */

#include <keywheel/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KW_SRTP_TAIL = 24, /* room behind a packet that protect may need: tag + SRTCP index */
    KW_SRTP_PACKET_MAX = 65535,
    KW_SRTP_WINDOW = 1024, /* replay window of SRTP, packets */
    KW_SRTCP_WINDOW = 128,
    KW_SRTP_SSRC_MAX = 64, /* per direction and generation: more is an attack or a mixer */
    KW_SRTP_TRIAL_MAX = 3, /* generations that a packet may be tried with */
};

/*
 * A packet kernel: the AEAD transform for one packet. Chosen once at start by CPUID
 * after each candidate passed its known answers.
 */
struct kw_srtp_kernel;

enum kw_srtp_kernel_kind {
    KW_SRTP_KERNEL_EVP = 0, /* libcrypto: portable, referee, preset nist */
    KW_SRTP_KERNEL_AESNI,
    KW_SRTP_KERNEL_VAES,
    KW_SRTP_KERNEL_VAES512,
    KW_SRTP_KERNEL_COUNT,
};

/*
 * The best kernel of this CPU that passed its known answers, or the one asked for by
 * name ("vaes512", "vaes", "aesni", "evp"); NULL when that one does not run here. `crypto` serves
 * the EVP kernel. Call at start; the result is constant and may be shared by threads.
 */
KW_API const struct kw_srtp_kernel *kw_srtp_kernel_select(struct kw_crypto *crypto,
                                                          const char *name);
KW_API const char *kw_srtp_kernel_name(const struct kw_srtp_kernel *kernel);

struct kw_srtp;

struct kw_srtp_params {
    const struct kw_srtp_kernel *kernel;
    struct kw_crypto *crypto; /* for the key derivation, and for the EVP kernel's contexts */
    const struct kw_srtp_master *master;
    bool for_sending;
    size_t ssrc_max; /* 1 .. KW_SRTP_SSRC_MAX; memory is sized for it */
    bool cryptex;    /* RFC 9335 was negotiated */
};

/* Bytes of one context for this many SSRCs, 64-byte aligned. */
KW_API size_t kw_srtp_size(size_t ssrc_max);

/* Derives the session keys (RFC 3711 section 4.3) and starts a context in mem, borrowed until
 * deinit. */
KW_API KW_MUST_USE enum kw_status kw_srtp_init(void *mem, const struct kw_srtp_params *params,
                                               struct kw_srtp **ret);
/* Gives the provider's contexts back and wipes everything. NULL is allowed. */
KW_API void kw_srtp_deinit(struct kw_srtp *srtp);

/*
 * Protects the packet in place: *len bytes are in use, size is the room (at least *len +
 * KW_SRTP_TAIL). On KW_ACCEPT *len is the new length; on anything else the packet is untouched
 * or wiped and must not be sent. Verdicts: TRUNCATED, MALFORMED (not RTP), LIMIT (SSRC table full,
 * no room), EXPIRED (2^48 packets of a stream, 2^31 of SRTCP), INTERNAL. With cryptex the packet
 * may have to grow by an empty header extension, which is part of KW_SRTP_TAIL.
 *
 * RFC 3711 3.3.1: sequence numbers are the caller's; one that was already sent is refused (REPLAY):
 * a repeated nonce would break GCM.
 */
KW_API KW_MUST_USE enum kw_verdict kw_srtp_protect(struct kw_srtp *srtp, uint8_t *packet,
                                                   size_t *len, size_t size);
KW_API KW_MUST_USE enum kw_verdict kw_srtcp_protect(struct kw_srtp *srtp, uint8_t *packet,
                                                    size_t *len, size_t size);

/*
 * Authenticates and decrypts in place; the tag's bytes behind the new *len are then spoilt. State
 * (ROC, window, SSRC entry) moves only on KW_ACCEPT. On KW_DROP_FORGED the buffer holds nothing of
 * the plaintext; for an unsettled SSRC it is unchanged.
 */
KW_API KW_MUST_USE enum kw_verdict kw_srtp_unprotect(struct kw_srtp *srtp, uint8_t *packet,
                                                     size_t *len);
KW_API KW_MUST_USE enum kw_verdict kw_srtcp_unprotect(struct kw_srtp *srtp, uint8_t *packet,
                                                      size_t *len);

/*
 * Tries the contexts in order (newest generation first); commits only in the one that
 * authenticates. Failed trials consume nothing: no window, no ROC, no counter of that context, not
 * the packet. *which_ret: index of the context that accepted; on failure untouched, and one failure
 * is counted in contexts[0]. RTP or RTCP is told apart by RFC 5761.
 */
KW_API KW_MUST_USE enum kw_verdict kw_srtp_unprotect_trial(struct kw_srtp *const *contexts,
                                                           size_t context_count, uint8_t *packet,
                                                           size_t *len, size_t *which_ret);

/* Item of a batch. `srtp` is set by the caller; srtp may differ from item to item. */
struct kw_srtp_item {
    struct kw_srtp *srtp;
    uint8_t *packet;
    size_t len;
    size_t size; /* room; protect only */
    enum kw_verdict verdict;
};

/* As the single calls, RTP and RTCP mixed (RFC 5761), in order; contexts are prefetched. */
KW_API void kw_srtp_protect_batch(struct kw_srtp_item *items, size_t item_count);
KW_API void kw_srtp_unprotect_batch(struct kw_srtp_item *items, size_t item_count);

/*
 * Carries the roll-over counters of `from` (same direction, older generation) as candidates for
 * SSRCs that have not yet authenticated under `to`. `overlap` carries, every other method may try
 * {0, carried, carried +- 1}.
 */
KW_API void kw_srtp_carry(struct kw_srtp *to, const struct kw_srtp *from, bool roc_continues);

/* What one key has done. Bytes count whole protected packets (SRTP and SRTCP). */
struct kw_srtp_counters {
    uint64_t packets; /* SRTP */
    uint64_t bytes;
    uint64_t rtcp_packets;
    uint64_t lost; /* gaps in the sequence numbers of authenticated packets, late ones paid back */
    uint64_t verdicts[KW_VERDICT_COUNT]; /* of what was dropped; none for KW_ACCEPT */
};

/* Borrowed until deinit; as of this call. */
KW_API const struct kw_srtp_counters *kw_srtp_counters(const struct kw_srtp *srtp);

/* True when an SSRC or the SRTCP index has less than 1/16 of its packets left: rotate now. */
KW_API bool kw_srtp_near_limit(const struct kw_srtp *srtp);

/* RFC 5761, section 4: payload types 64..95 in the second byte are RTCP. len >= 2. */
KW_API bool kw_srtp_is_rtcp(const uint8_t *packet, size_t len);

#ifdef __cplusplus
}
#endif

#endif
