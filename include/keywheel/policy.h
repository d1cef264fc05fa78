/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_POLICY_H
#define KEYWHEEL_POLICY_H

/*
 * One pure function decides what a peer may negotiate: terms = decide(policy, peer, wall clock).
 * SDP, DTLS, SRTP and session see only the terms. Lists are in our order of preference and end
 * with 0.
 */

#include <keywheel/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KW_POLICY_SUITES = 8,      /* 3 of 1.3 and 4 of 1.2 exist, and the closing 0 */
    KW_POLICY_GROUPS = 5,      /* 4 exist, and the closing 0 */
    KW_POLICY_PROFILES = 4,    /* 3 exist, and the closing 0 */
    KW_POLICY_EXCEPTIONS = 64, /* more than that is not an exception any more */
    KW_POLICY_NAME_MAX = 64,
    KW_POLICY_REASON_MAX = 256,
};

enum kw_at_limit { KW_AT_LIMIT_CLOSE = 0, KW_AT_LIMIT_GRACE };

/* L, and what happens when it is reached. */
struct kw_rotation_policy {
    kw_ns period;            /* default 1 h, at most 1 h without an exception */
    uint64_t bytes;          /* both directions, SRTP + SRTCP; default 10^9 */
    uint64_t packets;        /* both directions; default 2^47, half of what the SRTP index allows */
    uint8_t due_min_percent; /* a rotation is due at a uniformly drawn 75..95 % of L */
    uint8_t due_max_percent;
    enum kw_at_limit at_limit;
    kw_ns grace; /* with KW_AT_LIMIT_GRACE */
};

/* What an exception allows on top of the policy. */
struct kw_exception {
    char name[KW_POLICY_NAME_MAX];
    char reason[KW_POLICY_REASON_MAX];
    kw_utc_ms expires; /* from then on it refuses */
    /* It names its peer by exactly one of these; an unset one has family 0, has_fingerprint
     * false, an empty trunk. */
    struct kw_address network;
    uint8_t network_prefix;
    bool has_fingerprint;
    struct kw_fingerprint fingerprint;
    char trunk[KW_POLICY_NAME_MAX];
    bool allow_dtls12;
    bool allow_cm_sha1_80;
    bool allow_rsa;
};

struct kw_policy {
    char name[KW_POLICY_NAME_MAX]; /* "modern", "nist", "pq", or a tenant's own */
    enum kw_suite suites[KW_POLICY_SUITES];
    enum kw_group groups[KW_POLICY_GROUPS];
    enum kw_srtp_profile profiles[KW_POLICY_PROFILES];
    struct kw_rotation_policy rotation;
    bool provider_aes; /* SRTP with libcrypto's own AES, so that a FIPS provider covers it */
    bool mlock_required;
    size_t exception_count;
    struct kw_exception exceptions[KW_POLICY_EXCEPTIONS];
};

/* What is known of a peer before the handshake. */
struct kw_peer {
    struct kw_address address; /* family 0 when unknown */
    const struct kw_fingerprint *fingerprints;
    size_t fingerprint_count;
    const char *trunk; /* NULL when none */
};

enum kw_refusal {
    KW_REFUSAL_NONE = 0,
    KW_REFUSAL_NO_FINGERPRINT,    /* nothing to authenticate the peer with */
    KW_REFUSAL_EXCEPTION_EXPIRED, /* the only exception that fits has expired */
};

/* What one peer may negotiate. */
struct kw_terms {
    bool allow_dtls12;
    bool allow_rsa;
    bool provider_aes;
    enum kw_suite suites[KW_POLICY_SUITES];
    enum kw_group groups[KW_POLICY_GROUPS];
    enum kw_srtp_profile profiles[KW_POLICY_PROFILES];
    struct kw_rotation_policy rotation;
    char policy[KW_POLICY_NAME_MAX];
    char exception[KW_POLICY_NAME_MAX]; /* the exception these terms rest on; "" for none */
};

/*
 * Decides. ret is written also on refusal, as the strict policy without exceptions, so that
 * a caller who ignores the answer is not more permissive. An expired exception adds nothing.
 */
KW_API KW_MUST_USE enum kw_refusal kw_policy_decide(const struct kw_policy *policy,
                                                    const struct kw_peer *peer, kw_utc_ms now,
                                                    struct kw_terms *ret);

/* The presets of DESIGN section 1: "modern", "nist", "pq". False for any other name. */
KW_API KW_MUST_USE bool kw_policy_preset(const char *name, struct kw_policy *ret);

/*
 * Says whether tenant is nowhere more permissive than base; writes the offending key ("groups",
 * "rotation.period") into *key_ret when it is. Exceptions are compared by neither.
 */
KW_API KW_MUST_USE bool kw_policy_stricter(const struct kw_policy *base,
                                           const struct kw_policy *tenant, const char **key_ret);

/* A sentence for an operator; never NULL. */
KW_API const char *kw_refusal_text(enum kw_refusal refusal);

#ifdef __cplusplus
}
#endif

#endif
