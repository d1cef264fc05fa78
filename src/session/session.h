/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SESSION_SESSION_H
#define KW_SESSION_SESSION_H

/*
 * What the files of this folder share.
 *
 * A session is an array of three slots. A slot holds one generation; its stage says which place of
 * the wheel it has. While it lives its large state is a block of the shared pool. At most one slot
 * is `current`, at most one is on its way (prepared, negotiating, ready: the "next"), at most one
 * is `previous`. A retired slot keeps its figures, and nothing secret, until it is used again.
 *
 *      prepared -> negotiating -> ready -> current -> previous -> retired
 *           \___________\_________\__> retired (failed; the alert still leaves)
 */

#include "base/assert.h"
#include "base/pool.h"

#include <keywheel/session.h>

enum kw_stage {
    KW_STAGE_EMPTY = 0,
    KW_STAGE_PREPARED,    /* waits for its path, for its peer's ROTATE answer, or for a hello */
    KW_STAGE_NEGOTIATING, /* its association has begun */
    KW_STAGE_READY,       /* receive keys are installed */
    KW_STAGE_CURRENT,     /* we send with it */
    KW_STAGE_PREVIOUS,    /* still accepted */
    KW_STAGE_RETIRED,
};

enum {
    KW_SESSION_EVENTS = 16,     /* one call adds at most a handful; the owner drains after each */
    KW_SESSION_TRACKED = 4,     /* streams whose loss across a switch is measured */
    KW_ROTATE_MESSAGE_MAX = 128 /* one ROTATE or its answer */
};

/* Times and bounds of the wheel, each with its reason. */
#define KW_OVERLAP_MAX KW_S(10)     /* DESIGN: min(10 s, L/4); jitter buffers are below 1 s */
#define KW_NEGOTIATION_MAX KW_S(60) /* a handshake at 30 % loss completes within it */
#define KW_NEGOTIATION_MIN KW_S(2)  /* .. also when L is a few seconds */
#define KW_BACKOFF_FIRST KW_MS(500) /* after a failed attempt; doubles */
#define KW_BACKOFF_MAX KW_S(60)
#define KW_CONSENT_MAX KW_S(30)     /* RFC 7675 section 5.1 */
#define KW_OVERDUE_EVERY KW_S(60)   /* grace: audited once a minute */
#define KW_ROTATE_RESEND KW_MS(250) /* ROTATE is not reliable; doubles */
#define KW_ROTATE_RESEND_MAX KW_S(2)
/*
 * An offer that its asker has not repeated is over: four of its longest pauses, so that three in a
 * row may get lost. Whoever answered later would wait for a hello that nobody sends.
 */
#define KW_ROTATE_OFFER_MAX (4 * KW_ROTATE_RESEND_MAX)
/*
 * No byte is sent beyond L. A batch asks for all its outlets first, so that as many packets of the
 * largest size may follow one look at the counters. Where that much would end a small L before it
 * is due (95 % at the latest), a 64th of L is kept free, and outlets are counted until something
 * was sent or time has passed.
 */
#define KW_LIMIT_BATCH 64U
#define KW_LIMIT_PACKET 2048U
#define KW_LIMIT_SHARE 64U

struct kw_session_pool {
    struct kw_pool blocks;
    struct kw_pool agents;
    struct kw_session_pool_config config;
    struct kw_session_pool_usage usage;
};

/* What a generation needs while it lives: the beginning of its block (pool.c). */
struct kw_engines {
    uint8_t *dtls_mem;
    uint8_t *in_mem;
    uint8_t *out_mem;

    struct kw_identity *identity; /* our hold, until it has signed */
    struct kw_fingerprint fingerprints[KW_DTLS_FINGERPRINTS_MAX];
    size_t fingerprint_count;
    uint8_t alpn[KW_DTLS_ALPN_MAX];
    uint8_t alpn_len;
    bool has_dtls_path; /* where the last DTLS datagram came from */
    struct kw_path dtls_path;
    kw_ns give_up;    /* negotiation */
    kw_ns retire_at;  /* previous */
    kw_ns lent_until; /* with path_is_lent */

    /* overlap only */
    uint8_t client_random[32];
    uint8_t hello_hash[32]; /* SHA-256 of the coming ClientHello.random, ours or the peer's */
    kw_ns resend_at;
    kw_ns resend_after;
};

struct kw_generation {
    enum kw_stage stage;
    uint32_t number;
    enum kw_method method;
    enum kw_reason reason;
    enum kw_dtls_role role;
    bool shares_path; /* overlap: lives on the 5-tuple of its neighbour */
    bool connected;   /* its association has finished */
    bool heard;       /* its peer has shown itself, by what no stranger can say */

    bool asks; /* overlap: we sent ROTATE, so we are the client */

    uint32_t outlets; /* given out since its counters were last looked at */

    struct kw_fingerprint our_fingerprint;

    struct kw_engines *engines; /* NULL: empty, or retired */
    struct kw_dtls *dtls;       /* NULL: not begun, or wiped */
    struct kw_ice *ice;         /* NULL: no ICE, or moved to the neighbour */
    struct kw_srtp *in;
    struct kw_srtp *out;

    bool has_path; /* of media: selected by ICE, or given */
    struct kw_path path;
    bool path_is_lent; /* restart: the predecessor's, until our own agent selects one */

    kw_ns prepared, ready, switched, retired;

    /* figures, final when the engines behind them are gone */
    struct kw_dtls_facts facts;
    struct kw_srtp_counters sent;
    struct kw_srtp_counters received;
    uint64_t lost_across_switch;
    kw_ns rtt;
};

/* Sequence numbers seen from `ready` until `retired`, to tell what the switch lost. */
struct kw_track {
    uint32_t ssrc;
    uint32_t generation; /* 0: the stream runs through both (overlap) */
    uint64_t first, highest;
    uint64_t count;
};

/* A ROTATE that waits for the owner to prepare a generation. */
struct kw_rotate_offer {
    bool valid;
    kw_ns until;         /* it holds, unless it is repeated */
    uint32_t generation; /* the peer's number */
    uint8_t hello_hash[32];
    struct kw_fingerprint fingerprint;
};

struct kw_session {
    const struct kw_session_shared *shared;
    struct kw_terms terms;
    enum kw_method method;
    uint8_t block_count; /* of the pool */
    size_t mtu;
    size_t ssrc_max;
    kw_ns now; /* of the last call: time never runs backwards */

    struct kw_generation generations[KW_SESSION_GENERATIONS];
    uint32_t generation_count; /* numbers given out */

    /* the wheel */
    enum kw_reason due_reason;
    kw_ns due_at; /* by time; KW_NEVER before the first switch */
    uint64_t due_bytes;
    uint64_t due_packets;
    kw_ns announce_at; /* when DUE is said (again) */
    kw_ns backoff;
    kw_ns outlets_at;    /* the moment in which outlets are counted */
    kw_ns overdue_since; /* 0: not */
    kw_ns overdue_at;    /* when it is said again */
    struct kw_rotate_offer offer;
    uint32_t asked;        /* the newest number that the peer has asked with */
    uint8_t peer_failures; /* attempts of the peer's that came to nothing, in a row */
    kw_ns peer_due_at;     /* the earliest moment to say DUE for the peer (again) */
    struct kw_track tracks[KW_SESSION_TRACKED];

    bool closed;
    size_t event_first, event_count;
    struct kw_session_event events[KW_SESSION_EVENTS];
    uint64_t counters[KW_VERDICT_COUNT];
};

/* --- slots ------------------------------------------------------------------------------------ */

static inline struct kw_generation *kw_session_in_stage(struct kw_session *session,
                                                        enum kw_stage from, enum kw_stage to)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (gen->stage >= from && gen->stage <= to)
            return gen;
    }
    return NULL;
}

static inline struct kw_generation *kw_session_current_of(struct kw_session *session)
{
    return kw_session_in_stage(session, KW_STAGE_CURRENT, KW_STAGE_CURRENT);
}

static inline struct kw_generation *kw_session_next_of(struct kw_session *session)
{
    return kw_session_in_stage(session, KW_STAGE_PREPARED, KW_STAGE_READY);
}

static inline struct kw_generation *kw_session_previous_of(struct kw_session *session)
{
    return kw_session_in_stage(session, KW_STAGE_PREVIOUS, KW_STAGE_PREVIOUS);
}

/* session.c */
void kw_session_stamp(struct kw_session *session, kw_ns now);
void kw_session_push(struct kw_session *session, const struct kw_session_event *event);
void kw_session_count(struct kw_session *session, enum kw_verdict verdict);
/* The live generation with this number, or NULL. */
struct kw_generation *kw_session_find(struct kw_session *session, uint32_t number);
/* The session ends: media keys are wiped now, close_notify and alerts still leave by transmit. */
void kw_session_end(struct kw_session *session, enum kw_session_end why, enum kw_dtls_end end,
                    enum kw_alert alert, kw_ns now);

/* pool.c: KW_ERR_MEMORY: no place left of the kind that this session needs now. */
enum kw_status kw_engines_take(struct kw_session *session, struct kw_generation *gen);
/* Wipes the block and gives it back, when there is one; its engines have ended. */
void kw_engines_give(struct kw_session *session, struct kw_generation *gen);
/* Memory of an ICE agent; NULL when the pool was made without. */
void *kw_agent_take(struct kw_session *session);
/* Ends the agent, too; NULL is allowed. */
void kw_agent_give(struct kw_session *session, struct kw_ice *ice);
bool kw_session_pool_fits(const struct kw_session_pool *pool, size_t ssrc_max);

/* generation.c: the life of one slot */
bool kw_generation_alive(const struct kw_generation *gen);
/* The agent that watches its path: its own, or its neighbour's when they share a 5-tuple. */
struct kw_ice *kw_generation_ice(const struct kw_session *session, const struct kw_generation *gen);
bool kw_generation_takes(struct kw_session *session, const struct kw_generation *gen,
                         const struct kw_path *path);
/* Where media goes; false: nowhere yet. */
bool kw_generation_path(const struct kw_session *session, const struct kw_generation *gen,
                        struct kw_path *ret);
/* Begins the association; a failure leaves the generation prepared. */
enum kw_status kw_generation_begin(struct kw_session *session, struct kw_generation *gen,
                                   kw_ns now);
/* Takes the events of its association. */
void kw_generation_pump(struct kw_session *session, struct kw_generation *gen, kw_ns now);
/* Its association, or its path, has ended. */
void kw_generation_over(struct kw_session *session, struct kw_generation *gen, enum kw_dtls_end end,
                        enum kw_alert alert, kw_ns now);
/* Copies figures out of engines that are about to go. */
void kw_generation_snapshot(struct kw_session *session, struct kw_generation *gen);
void kw_generation_drop_dtls(struct kw_session *session, struct kw_generation *gen);
void kw_generation_drop_srtp(struct kw_session *session, struct kw_generation *gen);
/* Wipes everything that is left and keeps the figures. */
enum kw_retirement {
    KW_RETIRE_SILENT, /* replaced, or the whole session goes */
    KW_RETIRE_TOLD,   /* with its event */
    KW_RETIRE_FAILED, /* its association stays until transmit has taken the alert */
};
void kw_generation_retire(struct kw_session *session, struct kw_generation *gen,
                          enum kw_retirement how, kw_ns now);
void kw_generation_watch_path(struct kw_session *session, struct kw_generation *gen);
/* restart: `to` may use the path of `from`, as long as that one's peer has consented to. */
void kw_generation_lend_path(const struct kw_generation *from, struct kw_generation *to);
/* Takes back what was lent and has not been replaced by a path of its own. */
void kw_generation_age_path(struct kw_generation *gen, kw_ns now);

/* wheel.c: when */
void kw_wheel_switch(struct kw_session *session, struct kw_generation *gen, kw_ns now);
/* Everything that depends on time or on use: due, limits, overlap, give up. */
void kw_wheel_turn(struct kw_session *session, kw_ns now);
/* Cheap part of it, after each packet. */
void kw_wheel_used(struct kw_session *session, kw_ns now);
/* The overlap is over: what was lost across the switch is known. */
void kw_wheel_settle(struct kw_session *session, struct kw_generation *previous);
/* Its keys may still protect a packet. */
bool kw_wheel_may_send(struct kw_session *session, struct kw_generation *gen, kw_ns now);
void kw_wheel_failed(struct kw_session *session, const struct kw_generation *gen, kw_ns now);
kw_ns kw_wheel_deadline(const struct kw_session *session);
kw_ns kw_wheel_negotiation_max(const struct kw_session *session);
void kw_wheel_track(struct kw_session *session, const struct kw_generation *gen,
                    const uint8_t *packet, size_t len);

/* rotate.c: ROTATE in application data of the live association (overlap) */
enum kw_status kw_rotate_ask(struct kw_session *session, struct kw_generation *next, kw_ns now);
enum kw_status kw_rotate_answer(struct kw_session *session, struct kw_generation *next, kw_ns now);
void kw_rotate_receive(struct kw_session *session, struct kw_generation *from, struct kw_bytes raw,
                       kw_ns now);
void kw_rotate_tick(struct kw_session *session, kw_ns now);
/* An attempt that the peer asked for came to nothing. */
void kw_rotate_failed(struct kw_session *session, kw_ns now);
/* Forgets an offer that nobody repeats. */
void kw_rotate_age(struct kw_session *session, kw_ns now);
/* overlap is possible: the peer is one of us. */
bool kw_rotate_able(const struct kw_generation *current);

#endif
