/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_SESSION_H
#define KEYWHEEL_SESSION_H

/*
 * A media session with one peer: a wheel of generations. Each generation is everything that one
 * DTLS handshake produced: ICE credentials, our certificate, the association, SRTP keys of both
 * directions, counters. The session demultiplexes (RFC 7983), runs the handshakes, hands out media
 * in the clear, and rotates by policy: due -> negotiating -> ready -> switched -> retired.
 *
 * Sans-IO: datagrams with the path they came by, a clock and random bytes come in; datagrams with
 * the path they go by, and events, come out. It belongs to one thread at a time.
 */

#include <keywheel/dtls.h>
#include <keywheel/ice.h>
#include <keywheel/policy.h>
#include <keywheel/srtp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kw_session;

/*
 * The ALPN value (RFC 7301) by which two Keywheel peers know each other. It changes no record that
 * follows; it says that ROTATE is understood.
 */
#define KW_SESSION_ALPN "keywheel/1"

enum {
    KW_SESSION_GENERATIONS = 3, /* previous, current, next */
    KW_SESSION_HEADROOM = 64,   /* before a packet handed to us for sending */
};

enum kw_method {
    KW_METHOD_INITIAL = 0, /* the first generation */
    KW_METHOD_OVERLAP,
    KW_METHOD_PARALLEL,
    KW_METHOD_RESTART,
    KW_METHOD_CAP,
};
KW_API const char *kw_method_name(enum kw_method method);

enum kw_reason {
    KW_REASON_NONE = 0,
    KW_REASON_TIME,
    KW_REASON_BYTES,
    KW_REASON_PACKETS,
    KW_REASON_AEAD_LIMIT,
    KW_REASON_OPERATOR,
    KW_REASON_POLICY,
    KW_REASON_PEER,
};
KW_API const char *kw_reason_name(enum kw_reason reason);

/*
 * Where the large state of generations comes from: the association, the keys of both directions,
 * the ICE agent. A session has one generation nearly all its life and two for some seconds of a
 * rotation, so many sessions share the second place. `sessions` of them find a place for their
 * first generation, whatever the others do; at most `rotations` generations live beside another one
 * at a time. When those places are taken a rotation is postponed, which costs nothing until L:
 * kw_session_add_generation() says KW_ERR_MEMORY, the session says DUE again, and `postponed`
 * counts.
 */
struct kw_session_pool;

struct kw_session_pool_config {
    size_t ssrc_max; /* the largest of its sessions */
    size_t sessions;
    size_t rotations;
    bool has_ice; /* false: only generations without ICE */
};

KW_API size_t kw_session_pool_size(const struct kw_session_pool_config *config);
/* mem: kw_session_pool_size() bytes, 64-byte aligned, borrowed until the last session ends. */
KW_API struct kw_session_pool *kw_session_pool_init(void *mem,
                                                    const struct kw_session_pool_config *config);

struct kw_session_pool_usage {
    size_t sessions;    /* places in use now */
    size_t rotations;   /* .. */
    uint64_t postponed; /* generations that found no place, ever */
};
KW_API void kw_session_pool_usage(const struct kw_session_pool *pool,
                                  struct kw_session_pool_usage *ret);

/* What many sessions share. Borrowed; outlives them all. */
struct kw_session_shared {
    struct kw_dtls_shared dtls;
    struct kw_session_pool *pool;
    const struct kw_srtp_kernel *kernel;     /* the fast one */
    const struct kw_srtp_kernel *evp_kernel; /* for terms with provider_aes */
};

struct kw_session_params {
    const struct kw_terms *terms;
    size_t ssrc_max; /* at most the pool's */
    /*
     * How generations after the first will come; KW_METHOD_CAP: they cannot. A peer who agreed to
     * KW_SESSION_ALPN in DTLS 1.3 rotates by `overlap` whatever stands here.
     */
    enum kw_method method;
    size_t mtu; /* 0: default */
};

/* One generation to be negotiated. */
struct kw_generation_params {
    enum kw_dtls_role role;
    struct kw_identity *identity;
    const struct kw_fingerprint *fingerprints; /* the peer's, signalled */
    size_t fingerprint_count;
    bool has_ice; /* false: paths are trusted as given (two peers on a plain 5-tuple) */
    bool controlling;
    struct kw_ice_credentials local;
    struct kw_ice_credentials remote;
    struct kw_bytes alpn; /* KW_SESSION_ALPN: ready for `overlap`; or empty */
    enum kw_method method;
};

/* Bytes of a session itself, 64-byte aligned; its generations are in the pool. */
KW_API size_t kw_session_size(void);
KW_API KW_MUST_USE enum kw_status kw_session_init(void *mem, const struct kw_session_shared *shared,
                                                  const struct kw_session_params *params, kw_ns now,
                                                  struct kw_session **ret);
/* Wipes everything at once and sends nothing. */
KW_API void kw_session_deinit(struct kw_session *session);

/*
 * Prepares the next generation (the first one, when there is none). *generation_ret is its number,
 * counted from 1. KW_ERR_STATE: `next` exists already and has shown traffic of its handshake, or
 * `previous` still lives. KW_ERR_MEMORY: a pool has no room; the session goes on as it is, and a
 * rotation that is due is announced again.
 */
KW_API KW_MUST_USE enum kw_status
kw_session_add_generation(struct kw_session *session, const struct kw_generation_params *params,
                          kw_ns now, uint32_t *generation_ret);

/*
 * Client side: start talking on this path (ICE controlling: a pair to check). Without ICE a
 * generation has one path: KW_ERR_STATE once its association has begun. KW_ERR_MEMORY: it could not
 * begin; the call may be repeated.
 */
KW_API KW_MUST_USE enum kw_status kw_session_add_path(struct kw_session *session,
                                                      uint32_t generation,
                                                      const struct kw_path *path, uint32_t priority,
                                                      kw_ns now);
KW_API KW_MUST_USE enum kw_status kw_session_ice_restart(struct kw_session *session,
                                                         uint32_t generation,
                                                         const struct kw_ice_credentials *local,
                                                         const struct kw_ice_credentials *remote,
                                                         kw_ns now);

/* What a datagram turned out to be. */
enum kw_packet_kind {
    KW_PACKET_NONE = 0, /* consumed, or dropped and counted */
    KW_PACKET_RTP,      /* *len is the clear packet in place */
    KW_PACKET_RTCP,
};

struct kw_received {
    enum kw_packet_kind kind;
    enum kw_verdict verdict;
    uint32_t generation; /* that authenticated it */
};

/* Feeds one datagram; it is decrypted in place. ret->kind says whether media came out. */
KW_API KW_MUST_USE enum kw_status kw_session_receive(struct kw_session *session,
                                                     const struct kw_path *path, uint8_t *datagram,
                                                     size_t *len, kw_ns now,
                                                     struct kw_received *ret);

/*
 * The same in two steps for a batch of datagrams of many sessions: classify() says what it is and,
 * for media of a settled generation, fills item->srtp so that the caller runs
 * kw_srtp_unprotect_batch() over all; commit() then books the verdict. Anything else goes through
 * kw_session_receive().
 */
KW_API enum kw_packet_kind kw_session_classify(struct kw_session *session,
                                               const struct kw_path *path, uint8_t *datagram,
                                               size_t len, struct kw_srtp_item *item,
                                               uint32_t *generation_ret);
KW_API void kw_session_commit(struct kw_session *session, uint32_t generation,
                              const struct kw_path *path, const struct kw_srtp_item *item,
                              kw_ns now);

/*
 * Where and under which context the next media packet leaves; false: no keys, no validated path, or
 * the key has reached L. The caller protects (single or batch) and calls kw_session_sent().
 */
struct kw_outlet {
    struct kw_srtp *srtp;
    struct kw_path path;
    uint32_t generation;
};
KW_API KW_MUST_USE bool kw_session_outlet(struct kw_session *session, kw_ns now,
                                          struct kw_outlet *ret);
/*
 * `parallel` only, until the overlap ends: the outlet of the previous generation. Both connections
 * of such a peer play, so both are fed.
 */
KW_API KW_MUST_USE bool kw_session_second_outlet(struct kw_session *session, kw_ns now,
                                                 struct kw_outlet *ret);
KW_API void kw_session_sent(struct kw_session *session, const struct kw_outlet *outlet, size_t len,
                            kw_ns now);

/* Next STUN or DTLS datagram and its path; 0 when there is none. */
KW_API size_t kw_session_transmit(struct kw_session *session, uint8_t *dst, size_t dst_size,
                                  struct kw_path *path_ret, kw_ns now);
KW_API kw_ns kw_session_deadline(const struct kw_session *session);
KW_API KW_MUST_USE enum kw_status kw_session_tick(struct kw_session *session, kw_ns now);

/* An operator or a changed policy asks for new keys: due at once. */
KW_API void kw_session_rotate(struct kw_session *session, enum kw_reason reason, kw_ns now);
/* Ends the session: close_notify, then CLOSED. Idempotent. */
KW_API void kw_session_close(struct kw_session *session, kw_ns now);

/* Figures of one generation, for events, statistics and audit. */
struct kw_generation_facts {
    uint32_t number;
    enum kw_method method;
    enum kw_reason reason;
    struct kw_dtls_facts dtls;
    struct kw_fingerprint our_fingerprint;
    kw_ns prepared, ready, switched, retired; /* 0: not yet */
    kw_ns rtt;
    bool has_path;
    struct kw_path path;
    struct kw_srtp_counters sent;
    struct kw_srtp_counters received;
    uint64_t lost_across_switch;
    const char *kernel;
};

enum kw_session_event_type {
    KW_SESSION_EVENT_NONE = 0,
    KW_SESSION_EVENT_PATH,     /* media has (another) validated path */
    KW_SESSION_EVENT_READY,    /* Finished verified, fingerprint matched: receive keys installed */
    KW_SESSION_EVENT_SWITCHED, /* we send with this generation; for the first: the session is up */
    KW_SESSION_EVENT_DUE,      /* `reason`; the owner prepares the next generation */
    KW_SESSION_EVENT_RETIRED,  /* its last secret is wiped; its figures are final */
    KW_SESSION_EVENT_FAILED,  /* the next generation failed: `end`, `alert`; the current one goes on
                               */
    KW_SESSION_EVENT_OVERDUE, /* grace: beyond L, once a minute */
    KW_SESSION_EVENT_CLOSED,  /* the last event */
};

enum kw_session_end {
    KW_SESSION_END_NONE = 0,
    KW_SESSION_END_LOCAL,     /* kw_session_close() */
    KW_SESSION_END_PEER,      /* close_notify of the sole generation */
    KW_SESSION_END_GONE,      /* consent lost */
    KW_SESSION_END_LIMIT,     /* L reached and the policy says close */
    KW_SESSION_END_HANDSHAKE, /* the first handshake failed: `end`, `alert` */
};
KW_API const char *kw_session_end_name(enum kw_session_end end);

struct kw_session_event {
    enum kw_session_event_type type;
    uint32_t generation;
    enum kw_reason reason;
    enum kw_dtls_end end;
    enum kw_alert alert;
    enum kw_session_end session_end;
};

KW_API KW_MUST_USE bool kw_session_next_event(struct kw_session *session,
                                              struct kw_session_event *ret);
/* An event waits. Cheap: asked after each packet. */
KW_API bool kw_session_has_event(const struct kw_session *session);
/* Figures of a generation; false when it is forgotten (retired and its event taken). */
KW_API KW_MUST_USE bool kw_session_facts(const struct kw_session *session, uint32_t generation,
                                         kw_ns now, struct kw_generation_facts *ret);
/* Number of the generation we send with; 0 when there is none. */
KW_API uint32_t kw_session_current(const struct kw_session *session);
/*
 * How the next generation can come: `overlap` where the live association has agreed to it, else as
 * the params said. So each generation decides for the one that follows it.
 */
KW_API enum kw_method kw_session_method(const struct kw_session *session);
/* When the next rotation is due; KW_NEVER before the first switch. */
KW_API kw_ns kw_session_due(const struct kw_session *session);
/* Datagrams dropped, by verdict; KW_VERDICT_COUNT entries, borrowed. */
KW_API const uint64_t *kw_session_counters(const struct kw_session *session);

#ifdef __cplusplus
}
#endif

#endif
