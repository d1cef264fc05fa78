/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_CALL_H
#define KW_GATEWAY_CALL_H

/*
 * Offer/answer and call logic, free of HTTP: what a signalling front end (WHIP and /v1/calls now,
 * others later) asks of the gateway. All on the gateway's owner thread.
 */

#include "gateway/gateway.h"
#include "sdp/sdp.h"

struct kw_call;
struct kw_tenant;

enum {
    KW_CALL_ID_TEXT = 33, /* 128 bits in hex, terminated */
    KW_CALL_ETAG_TEXT = 19,
    KW_CALL_MEDIA_STATUS_MAX = KW_SDP_MEDIA_MAX,
    KW_CALL_EVENTS = 16, /* kept for a reader that is slower than the call */
    KW_STREAMS_PER_CALL = 4,
};

enum kw_call_outcome {
    KW_CALL_OK = 0,
    KW_CALL_MALFORMED,    /* problem: line and what */
    KW_CALL_REFUSED,      /* problem: rule and what */
    KW_CALL_NO_MEDIA,     /* problem */
    KW_CALL_QUOTA,        /* of the tenant; retry_after_s */
    KW_CALL_FULL,         /* of the gateway */
    KW_CALL_DRAINING,     /* it is going down */
    KW_CALL_UNRECORDED,   /* the audit ring is full */
    KW_CALL_TOO_OFTEN,    /* another generation; retry_after_s */
    KW_CALL_CONFLICT,     /* a rotation is under way, or this call cannot rotate */
    KW_CALL_ROOM_FULL,    /* bridge: two calls are in it */
    KW_CALL_BACKEND_BUSY, /* rtp: the target serves another call */
    KW_CALL_STALE,        /* another ICE session than the one named */
    KW_CALL_UNNAMED,      /* no ICE session was named */
    KW_CALL_FAILED,       /* our surroundings */
};

struct kw_call_answer {
    enum kw_call_outcome outcome;
    struct kw_sdp_problem problem;
    uint32_t retry_after_s;
    struct kw_call *call;
    uint32_t generation;
    bool has_body; /* trickle alone has none */
    size_t len;
    char text[KW_SDP_TEXT_MAX];
};

/* Compares with every tenant's token in constant time; NULL: nobody's. */
struct kw_tenant *kw_gateway_authorise(struct kw_gateway *gateway, const char *token);
const char *kw_tenant_name(const struct kw_tenant *tenant);

struct kw_call_offer {
    enum kw_sdp_profile profile;
    struct kw_bytes body;
    struct kw_bytes room; /* bridge: two calls of one room hear each other; may be empty */
    const struct kw_address *remote; /* of the signalling peer */
    const char *user_agent;
};

/* A new call. ret->call is set with KW_CALL_OK only. */
void kw_call_open(struct kw_gateway *gateway, struct kw_tenant *tenant,
                  const struct kw_call_offer *offer, kw_ns now, kw_utc_ms utc,
                  struct kw_call_answer *ret);

/* The tenant's own live call with this id, or NULL: a foreign call does not exist. */
struct kw_call *kw_call_find(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                             const char *id);
void kw_call_id_write(const struct kw_call *call, char dst[KW_CALL_ID_TEXT]);
enum kw_sdp_profile kw_call_profile(const struct kw_call *call);
/*
 * How its keys will change next: until the first handshake what its signalling can do; then
 * `overlap` where the client agreed to KW_SESSION_ALPN.
 */
enum kw_method kw_call_method(const struct kw_call *call);
const struct kw_rotation_policy *kw_call_rotation(const struct kw_call *call);
/* Strong entity-tag of the newest ICE session, with its quotes. */
void kw_call_etag_write(struct kw_call *call, char dst[KW_CALL_ETAG_TEXT]);

/* Candidates, or new credentials: an ICE restart. if_match as in the header, "" when absent. */
void kw_call_patch(struct kw_gateway *gateway, struct kw_call *call, struct kw_bytes body,
                   const char *if_match, kw_ns now, struct kw_call_answer *ret);
/* The next generation, with an offer of its own. */
void kw_call_add_generation(struct kw_gateway *gateway, struct kw_call *call, enum kw_method method,
                            struct kw_bytes body, kw_ns now, kw_utc_ms utc,
                            struct kw_call_answer *ret);
/* An operator wants new keys: the client is told by an event, and in `overlap` asked by ROTATE. */
void kw_call_rotate(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);
void kw_call_hang_up(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);

/* What a caller may know of its call. */
struct kw_call_status {
    char id[KW_CALL_ID_TEXT];
    char tenant[KW_POLICY_NAME_MAX];
    const char *state; /* "connecting", "up", "rotating", "ended" */
    const char *backend;
    enum kw_method method;
    struct kw_rotation_policy rotation;
    kw_ns age;
    bool has_due;
    kw_ns due_in;
    size_t generation_count;
    struct {
        struct kw_generation_facts facts;
        bool is_current;
        kw_ns age; /* of its keys; 0 before it has any */
    } generations[KW_SESSION_GENERATIONS];
    uint64_t packets_in, packets_out, lost_in, lost_out;
    kw_ns rtt;
};
const char *kw_backend_name(enum kw_backend_kind kind);
void kw_call_status(struct kw_gateway *gateway, struct kw_call *call, kw_ns now,
                    struct kw_call_status *ret);

/* --- event streams ---------------------------------------------------------------------------- */

struct kw_call_event {
    uint64_t number; /* from 1, per call */
    kw_utc_ms utc;
    enum kw_method method; /* due: how the next generation will come */
    struct kw_session_event what;
    bool is_first; /* the stream has begun */
    bool is_alive; /* nothing happened: a sign of life */
};

/* 0: this call has enough listeners, or the gateway has. */
uint64_t kw_call_listen(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);
void kw_call_unlisten(struct kw_gateway *gateway, uint64_t stream);
/*
 * The next event of any stream; false: none. *call_ret is NULL when the call is gone; *end_ret: it
 * was the last event of this stream.
 */
KW_MUST_USE bool kw_call_next_event(struct kw_gateway *gateway, kw_ns now, uint64_t *stream_ret,
                                    struct kw_call_event *ret, struct kw_call **call_ret,
                                    bool *end_ret);
/* Figures of a generation of this call; false when they are forgotten. */
KW_MUST_USE bool kw_call_facts(const struct kw_call *call, uint32_t generation, kw_ns now,
                               struct kw_generation_facts *ret);

#endif
