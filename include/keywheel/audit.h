/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_AUDIT_H
#define KEYWHEEL_AUDIT_H

/*
 * The evidence: one versioned fact per thing that happened. Its canonical bytes are what is stored
 * and what is hashed; a fact is serialised once. No secret and no packet content ever enters one.
 */

#include <keywheel/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KW_FACT_VERSION = 2,      /* that is written; older ones are still read */
    KW_FACT_BYTES_MAX = 2048, /* largest canonical form; asserted for every type in a test */
    KW_FACT_TEXT_MAX = 64,
    KW_FACT_OFFERED_MAX = 16,
};

enum kw_fact_type {
    KW_FACT_SESSION_OPENED = 1,
    KW_FACT_GENERATION_ESTABLISHED,
    KW_FACT_ROTATED,
    KW_FACT_EXCEPTION_USED,
    KW_FACT_REFUSED,
    KW_FACT_OVERDUE,
    KW_FACT_SESSION_CLOSED,
};
KW_API const char *kw_fact_type_name(enum kw_fact_type type);

/* 128-bit random session id; printed as 32 hex digits. It is not the call id that authorises. */
struct kw_session_id {
    uint8_t bytes[16];
};

struct kw_fact {
    enum kw_fact_type type;
    uint8_t version; /* of its canonical form; 0: the newest */
    char tenant[KW_FACT_TEXT_MAX];
    struct kw_session_id session;
    uint32_t generation; /* 0 when it concerns the session as a whole */
    kw_utc_ms utc;
    kw_ns monotonic;
    union {
        struct {
            char policy[KW_FACT_TEXT_MAX];
            char backend[KW_FACT_TEXT_MAX];
            char method[KW_FACT_TEXT_MAX]; /* how its keys will rotate: "parallel", "cap", .. */
            char remote[KW_FACT_TEXT_MAX]; /* signalling peer's address, text */
            char user_agent[KW_FACT_TEXT_MAX];
            uint64_t limit_seconds;
            uint64_t limit_bytes;
        } opened;
        struct {
            enum kw_dtls_version version;
            bool server; /* our role */
            enum kw_suite suite;
            enum kw_group group;
            enum kw_sigscheme our_scheme;
            enum kw_sigscheme peer_scheme;
            enum kw_srtp_profile srtp_profile;
            struct kw_fingerprint peer_fingerprint;
            struct kw_fingerprint our_fingerprint;
            bool retried;
            char method[KW_FACT_TEXT_MAX];
            char kernel[KW_FACT_TEXT_MAX];
            char provider[KW_FACT_TEXT_MAX];
            char path[KW_FACT_TEXT_MAX]; /* peer's media address, text */
            uint32_t datagrams;
            uint32_t retransmissions;
            uint64_t duration_us;
        } established;
        struct {
            uint32_t from;
            char method[KW_FACT_TEXT_MAX];
            char reason[KW_FACT_TEXT_MAX];
            uint64_t negotiation_us;           /* prepared -> ready */
            uint64_t switch_us;                /* ready -> switched */
            uint64_t overlap_us;               /* switched -> retired */
            uint64_t old_packets, new_packets; /* received on each during the overlap */
            uint64_t lost;
            uint64_t old_bytes; /* both directions, under the old key */
            uint64_t old_age_us;
            /* Back ends that splice: by which clock the two streams were aligned; "none": not cut
             */
            char audio_cut[KW_FACT_TEXT_MAX];
            int64_t audio_error_us; /* outgoing clock behind the sender's, after this cut */
            uint64_t audio_wait_us; /* first packet of the new stream -> cut */
            char video_cut[KW_FACT_TEXT_MAX];
            uint64_t video_wait_us;
        } rotated;
        struct {
            char name[KW_FACT_TEXT_MAX];
            char what[KW_FACT_TEXT_MAX];
        } exception;
        struct {
            char rule[KW_FACT_TEXT_MAX]; /* "no-fingerprint", "no-common-suite", .. */
            char remote[KW_FACT_TEXT_MAX];
            char alert[KW_FACT_TEXT_MAX];
            uint16_t offered_suites[KW_FACT_OFFERED_MAX]; /* 0 ends */
            uint16_t offered_groups[KW_FACT_OFFERED_MAX];
            uint16_t offered_profiles[KW_FACT_OFFERED_MAX];
            uint64_t count;   /* 1; in a summary: how many refusals like this it stands for */
            uint64_t span_us; /* summary: the time that they took */
        } refused;
        struct {
            uint64_t beyond_us;
        } overdue;
        struct {
            char reason[KW_FACT_TEXT_MAX];
            uint64_t duration_us;
            uint64_t packets_sent, packets_received;
            uint64_t bytes_sent, bytes_received;
            uint64_t lost;
            uint64_t auth_failures;
            uint64_t replays;
        } closed;
    } u;
};

/*
 * Writes the canonical form: fields in the documented order (docs/audit.md), big endian, texts with
 * a length prefix, text cut at its capacity and valid UTF-8. Returns its length; 0: dst is too
 * small.
 */
KW_API size_t kw_fact_write(const struct kw_fact *fact, uint8_t *dst, size_t dst_size);
/* The reverse; false for anything that write() could not have produced. */
KW_API KW_MUST_USE bool kw_fact_parse(struct kw_bytes canonical, struct kw_fact *ret);

/* RFC 6962 leaf hash of the canonical bytes: SHA-256(0x00 || bytes). */
KW_API KW_MUST_USE enum kw_status kw_fact_leaf_hash(struct kw_crypto *crypto,
                                                    struct kw_bytes canonical, uint8_t dst[32]);

#ifdef __cplusplus
}
#endif

#endif
