/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_STATE_H
#define KW_GATEWAY_STATE_H

/*
 * What the files of this folder share.
 *
 * A gateway is an array of calls in one block of memory. A call has one session (a wheel of
 * generations) and, for each connection of its client, a leg: what its offer and answer agreed. A
 * generation runs on a leg; in `overlap` a leg sees many of them come and go. Four tables
 * lead to a call: by its id (HTTP), by the ufrag of a leg (STUN requests), by the transaction of a
 * check of ours (STUN responses), by 5-tuple (everything else). A heap holds the deadlines; a list
 * holds the calls that have something to send.
 */

#include "gateway/bucket.h"
#include "gateway/call.h"
#include "gateway/heap.h"
#include "gateway/stream.h"
#include "gateway/table.h"
#include "gateway/text.h"

enum {
    KW_CALL_LEGS = KW_SESSION_GENERATIONS,
    KW_CALL_ROUTES = 24,  /* 5-tuples of one call: 3 agents watch 8 pairs each */
    KW_CALL_CHECKS = 32,  /* checks of ours that are out: a transaction a pair, and some older */
    KW_CALL_SSRC_MAX = 8, /* of a session: audio and video, and what a client changes them to */
    KW_LEG_STREAMS = 8,   /* incoming SSRCs of a leg that are followed */
    KW_LEG_MID_MAX = 32,
    KW_LEG_FORMATS = 24,  /* accepted payload types; Chromium's offer has 15 */
    KW_LEG_FMTP_MAX = 95, /* profile and mode stand in front; the rest is not compared */
    KW_ROOM_MAX = 63,
    KW_SEQ_START_MASK = 0x3fff, /* a stream begins below 2^14 (RFC 3711 section 3.3.1) */
    KW_OUTGOING = 256,          /* second copies of media that wait to be sent */
    KW_BATCH = 64,              /* datagrams handled at once: bounds the stack */
    KW_HANDSHAKE_BUDGET = 8,    /* DTLS handshake datagrams a turn: about 3 ms at most */
    KW_HANDSHAKE_QUEUE = 256,   /* that wait for a later turn; 30 ms of work */
    KW_IDENTITIES = 8,          /* certificates made in idle time */
    KW_CALL_FACTS = 2,          /* opened, closed; its generations have their own */
    KW_REFUSAL_RULES = 8, /* of a tenant that are counted apart: more than one client breaks */
    KW_ECHO_TAG = 1,      /* an m-line's own stream has one kind of source */
    KW_FULL_RETRY_S = 10, /* Retry-After when there is no room: calls end, overlaps too */
    KW_NO_CALL = 0xffffffff,
    KW_ROUTE_FIRM = 0x80000000, /* the route's path is validated: nobody else may take it */
};

#define KW_CNAME "keywheel" /* of all our streams: one clock */
/* What we recognise in a hello, beside what browsers say: a client on libkeywheel. */
#define KW_GATEWAY_ALPN                                                                            \
    {                                                                                              \
        (const uint8_t *)KW_SESSION_ALPN, sizeof KW_SESSION_ALPN - 1                               \
    }
#define KW_RULE_EXCEPTION_ENDED "exception-ended"
#define KW_RULE_TOO_OFTEN "generation-quota"
#define KW_REPORT_EVERY KW_S(1) /* RTCP: getStats shows a fresh round trip each second */
#define KW_KEY_FRAME_EVERY KW_MS(300)
#define KW_AGAIN_EVERY                                                                             \
    KW_MS(20)                    /* NACKs of a flood become one in so long; browsers ask each RTT  \
                                  */
#define KW_STREAM_ALIVE KW_S(15) /* proxies close silent responses after 30..60 s */
#define KW_HANDSHAKE_PATIENCE KW_MS(5)
#define KW_TENANT_MINUTE KW_S(60)
/* Refusals told one by one, 30 a minute: enough to debug a client, 15 MB a day for one who floods
 */
#define KW_REFUSAL_PRICE KW_S(2)
/*
 * Attempts at a next generation: as dear as a call (a certificate, a handshake, facts), so a call
 * has 30 a minute and 8 at once. A client's own back-off never comes near.
 */
#define KW_ATTEMPT_PRICE KW_S(2)
#define KW_ATTEMPTS_SAVED KW_S(16)
#define KW_STREAM_SILENT KW_S(1) /* then another SSRC may take its place in the echo */

/* Refusals beyond a tenant's budget, by rule, until the minute is over. */
struct kw_refusal_count {
    const char *rule;                 /* static */
    char remote[KW_ADDRESS_TEXT_MAX]; /* of the last one */
    uint64_t count;                   /* 0: unused */
};

struct kw_refusals {
    struct kw_bucket budget;
    kw_ns since; /* KW_NEVER: nothing is counted */
    struct kw_refusal_count lines[KW_REFUSAL_RULES];
};

struct kw_tenant {
    const struct kw_tenant_config *config;
    size_t calls;
    struct kw_bucket per_minute; /* of new calls */
    struct kw_refusals refusals;
};

struct kw_leg_media {
    enum kw_sdp_kind kind;
    bool accepted;
    bool sends; /* we do */
    char mid[KW_LEG_MID_MAX + 1];
    uint8_t level_ext; /* ids of header extensions; 0: not agreed */
    uint8_t send_time_ext;
    uint8_t feedback;
    uint32_t ssrc;        /* ours */
    uint8_t feeds;        /* incoming SSRC that goes back, 1-based; 0: none yet */
    bool wants_key_frame; /* the receiver asks for one */
    kw_ns asked;          /* when we last asked the sender */
    /* Packets of a source of this m-line that somebody misses and that never came to us. */
    bool wants_again;
    uint32_t again_ssrc;
    uint16_t again_seq, again_mask; /* as a NACK has them (RFC 4585 section 6.2.1) */
    kw_ns again_at;                 /* when we last asked */
    struct kw_rtp_stream out;
};

/* An accepted payload type, with what tells its bitstream apart from another one's. */
struct kw_leg_format {
    uint8_t payload_type;
    uint8_t media; /* index */
    uint8_t channels;
    enum kw_sdp_codec codec;
    uint32_t clock_hz;
    char fmtp[KW_LEG_FMTP_MAX + 1];
};

/* What one offer and answer agreed: a connection of the client. */
struct kw_leg {
    /*
     * Its name in splices and streams: the number of its first generation. 0: unused. Keys change
     * under it, its streams go on.
     */
    uint32_t tag;
    uint64_t etag;
    uint64_t sdp_session;
    uint64_t sdp_version;
    char ufrag[32];
    char pwd[64];
    uint64_t ufrag_tag;
    uint64_t old_ufrag_tag; /* before an ICE restart; still answered */
    char remote_ufrag[KW_ICE_UFRAG_MAX + 1];
    struct kw_fingerprint our_fingerprint;
    struct kw_fingerprint peer_fingerprint; /* of its offer, proven; later ones descend from it */
    kw_ns report_at;
    size_t media_count;
    struct kw_leg_media media[KW_SDP_MEDIA_MAX];
    uint8_t payload[128]; /* by payload type: place in formats, 1-based; 0: not accepted */
    size_t format_count;
    struct kw_leg_format formats[KW_LEG_FORMATS];
    /* Payload types of a leg of the other call, as this leg calls them (bridge). */
    uint32_t map_call, map_leg;
    uint8_t map[128];
    uint32_t report_ssrc; /* who reports when we send nothing */
    struct kw_rtp_sync sync;
    struct kw_incoming incoming[KW_LEG_STREAMS];
};

/* A generation of the session. */
struct kw_call_generation {
    uint32_t number; /* 0: unused */
    struct kw_leg *leg;
    size_t owed; /* slots of the audit ring for what it may still tell */
};

enum { KW_RELAY_AUDIO = 0, KW_RELAY_VIDEO, KW_RELAY_KINDS };

/*
 * How media of a call goes further (bridge, rtp). What its client sends leaves as one continuous
 * stream per kind, whatever generation it came in by.
 */
struct kw_relay {
    bool has_splice[KW_RELAY_KINDS];
    struct kw_splice splice[KW_RELAY_KINDS];
    uint32_t other; /* bridge: the other call of the room; KW_NO_CALL */
    char room[KW_ROOM_MAX + 1];
    bool has_target; /* rtp: a plain 5-tuple */
    struct kw_path target;
    uint64_t target_tag;
    bool has_agent[KW_RELAY_KINDS];
    struct kw_rtp_source agent[KW_RELAY_KINDS];
    kw_ns report_at; /* towards the target */
};

/* Where a clear packet goes next. */
struct kw_way {
    struct kw_call *to; /* protected under its outlet; NULL: plain, to `path` */
    struct kw_outlet outlet;
    struct kw_path path;
};

enum kw_call_state { KW_CALL_FREE = 0, KW_CALL_LIVE, KW_CALL_ENDING };

struct kw_listener {
    uint64_t id; /* 0: unused */
    uint32_t call;
    uint64_t next; /* event number to say */
    kw_ns said;
    bool is_new;
    bool is_silent; /* a sign of life is due */
    bool is_ending;
    bool has_last;
    struct kw_call_event last;
};

struct kw_call {
    enum kw_call_state state;
    uint32_t number; /* its place in the array */
    uint32_t next_free;
    uint32_t next_dirty;
    bool is_dirty;
    bool has_session;
    struct kw_session *session;
    void *session_mem;
    struct kw_tenant *tenant;
    uint8_t id[16];
    uint64_t id_tag;
    struct kw_session_id session_id;
    enum kw_sdp_profile profile;
    enum kw_method method;
    struct kw_terms terms;
    struct kw_address signalling; /* where the call was opened from: exceptions name networks */
    kw_ns opened;
    struct kw_bucket attempts; /* at a next generation */
    bool was_up;
    size_t owed; /* slots of the audit ring for what is told of the call as a whole */
    struct kw_session_event end;
    bool has_end;
    /* sums of generations that are gone */
    uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
    uint64_t lost, auth_failures, replays;

    struct kw_leg legs[KW_CALL_LEGS];
    struct kw_call_generation generations[KW_SESSION_GENERATIONS];
    struct kw_call_generation left; /* by its client, before its successor was up: still untold */
    struct kw_relay relay;
    uint64_t routes[KW_CALL_ROUTES];
    size_t route_next;
    uint64_t checks[KW_CALL_CHECKS];
    size_t check_next;

    uint64_t event_count;
    struct kw_call_event events[KW_CALL_EVENTS];
    uint32_t listeners;
};

/* A DTLS datagram that waits for its turn. */
struct kw_waiting {
    struct kw_path path;
    uint32_t call;
    size_t len;
    uint8_t data[KW_DATAGRAM_RECEIVE_MAX];
};

/* A protected datagram that is on its way out. */
struct kw_outgoing {
    struct kw_path path;
    size_t len;
    uint8_t data[KW_DATAGRAM_RECEIVE_MAX + KW_SRTP_TAIL];
};

struct kw_gateway {
    struct kw_gateway_config config;
    struct kw_session_shared shared;
    struct kw_tenant tenants[KW_GATEWAY_TENANTS_MAX];
    kw_ns now;
    kw_ns utc_at;
    kw_utc_ms utc;

    struct kw_call *calls;
    size_t calls_max;
    size_t call_count;
    uint32_t free_first;
    uint32_t dirty_first, dirty_last;

    struct kw_table ids, ufrags, checks, paths;
    struct kw_heap heap;

    struct kw_identity *identities[KW_IDENTITIES];
    size_t identity_count;

    struct kw_waiting *waiting;
    size_t waiting_first, waiting_count;
    size_t budget;            /* handshake datagrams left in this turn */
    kw_ns handshake_at;       /* when the last one was worked on */
    uint64_t handshake_steps; /* DTLS datagrams worked on */
    bool has_received;        /* since the last tick: it is the same turn */

    struct kw_outgoing *outgoing;
    size_t outgoing_first, outgoing_count;

    struct kw_listener *listeners;
    size_t listeners_max;
    size_t listener_count;
    size_t listener_extra; /* that are not the first of their call */
    size_t listener_at;    /* where the search for work goes on */
    size_t listener_work;
    uint64_t listener_id;

    bool is_draining;
    kw_ns drain_at;
    kw_ns refusals_at; /* when counted refusals are told; KW_NEVER */
    uint64_t lost_facts;
    uint64_t rotations[KW_METHOD_CAP + 1]; /* that are done, by method */
    uint64_t counters[KW_VERDICT_COUNT];

    /* Scratch that is too large for a stack. */
    struct kw_sdp sdp;
    struct kw_fact fact;
};

/* gateway.c */
kw_utc_ms kw_gateway_utc(const struct kw_gateway *gateway, kw_ns now);
void kw_gateway_touch(struct kw_gateway *gateway, struct kw_call *call); /* it may have to send */
void kw_gateway_schedule(struct kw_gateway *gateway, struct kw_call *call);
struct kw_identity *kw_gateway_identity(struct kw_gateway *gateway, kw_ns now);
uint64_t kw_gateway_draw(struct kw_gateway *gateway, enum kw_status *status);

/* packets.c */
void kw_gateway_run_queue(struct kw_gateway *gateway, kw_ns now); /* within the budget */

/* tenant.c */
enum kw_call_outcome kw_tenant_admit(struct kw_gateway *gateway, struct kw_tenant *tenant,
                                     kw_ns now, uint32_t *retry_after_s);

/* generations.c */
struct kw_call_generation *kw_call_generation(struct kw_call *call, uint32_t number);
/* The leg that a generation runs on; NULL: forgotten. */
struct kw_leg *kw_call_leg(struct kw_call *call, uint32_t generation);
struct kw_leg *kw_call_leg_tagged(struct kw_call *call, uint32_t tag);
struct kw_leg *kw_call_newest_leg(struct kw_call *call);
uint32_t kw_leg_newest_generation(const struct kw_call *call, const struct kw_leg *leg);
struct kw_call_generation *kw_call_note_generation(struct kw_call *call, uint32_t number,
                                                   struct kw_leg *leg);
/* And its leg, when it was the last one there. */
void kw_call_forget_generation(struct kw_gateway *gateway, struct kw_call *call, uint32_t number);
/* Forgets generations that were replaced before they showed themselves. */
void kw_call_sweep(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);

/* call.c */
void kw_call_pump(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);
void kw_call_free(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);

/* routes.c */
void kw_call_route(struct kw_gateway *gateway, struct kw_call *call, const struct kw_path *path,
                   bool firm, kw_ns now);
/* A datagram of this call that leaves: the response to a check will find it. */
void kw_call_note_check(struct kw_gateway *gateway, struct kw_call *call, const uint8_t *datagram,
                        size_t len);
/* Whose a datagram is; NULL: nobody's. */
struct kw_call *kw_call_of(const struct kw_gateway *gateway, const struct kw_datagram *datagram);
void kw_call_forget_routes(struct kw_gateway *gateway, struct kw_call *call);
uint64_t kw_ufrag_tag(const struct kw_gateway *gateway, const char *ufrag);

/* offer.c */
void kw_answer_begin(struct kw_call_answer *ret, struct kw_call *call);
/* Parses the offer into gateway->sdp and asks the policy; what is wrong goes into ret. */
KW_MUST_USE bool kw_offer_accept(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                                 const struct kw_call_offer *offer, kw_utc_ms utc,
                                 struct kw_terms *terms, struct kw_call_answer *ret);
/* The stable names of what is wrong. */
const char *kw_refusal_rule(enum kw_refusal refusal);
const char *kw_outcome_rule(const struct kw_call_answer *answer);
/* A leg with fresh credentials and certificate, as a generation of the session. */
enum kw_status kw_call_add_leg(struct kw_gateway *gateway, struct kw_call *call,
                               enum kw_method method, kw_ns now, struct kw_call_generation **ret);
void kw_leg_forget(struct kw_gateway *gateway, struct kw_leg *leg);

/* rotation.c */
/* What the policy says now covers the terms that this call was opened with. */
bool kw_call_terms_hold(const struct kw_call *call, const struct kw_terms *terms);

/* overlap.c */
/* New keys are due: where the client's association knows ROTATE they are prepared here. */
void kw_call_overlap(struct kw_gateway *gateway, struct kw_call *call, enum kw_reason reason,
                     kw_ns now);

/* leg.c */
enum kw_status kw_leg_agree(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                            const struct kw_sdp *offer);
/* `restart`: the same connection goes on, so do its SSRCs, streams and SDP session. */
void kw_leg_inherit(struct kw_leg *leg, const struct kw_leg *old);
size_t kw_leg_answer(struct kw_gateway *gateway, const struct kw_call *call,
                     const struct kw_leg *leg, const struct kw_sdp *offer, char *dst,
                     size_t dst_size);
size_t kw_leg_fragment(struct kw_gateway *gateway, const struct kw_call *call,
                       const struct kw_leg *leg, char *dst, size_t dst_size);

/* events.c */
void kw_call_tell(struct kw_gateway *gateway, struct kw_call *call,
                  const struct kw_session_event *event, kw_ns now);
void kw_call_dismiss(struct kw_gateway *gateway,
                     struct kw_call *call); /* listeners of a dead call */
kw_ns kw_events_deadline(const struct kw_gateway *gateway);
void kw_events_tick(struct kw_gateway *gateway, kw_ns now);

/* refusals.c: an authenticated caller got no call */
/* A fact, or beyond the tenant's budget one more in a summary. False: the ring is full. */
KW_MUST_USE bool kw_refusals_note(struct kw_gateway *gateway, struct kw_tenant *tenant,
                                  const char *rule, const struct kw_address *remote, kw_ns now);
void kw_refusals_tick(struct kw_gateway *gateway, kw_ns now);
void kw_refusals_flush(struct kw_gateway *gateway,
                       kw_ns now); /* the end: what is counted is told */

/* facts.c */
/* The gateway's one fact in the making, with what every fact has. */
struct kw_fact *kw_fact_begin(struct kw_gateway *gateway, enum kw_fact_type type,
                              const struct kw_tenant *tenant, kw_ns now);
/* What a generation tells at most: exception, established, and rotated or refused. */
size_t kw_fact_count(const struct kw_terms *terms);
void kw_fact_release(struct kw_gateway *gateway, size_t *owed);
void kw_fact_opened(struct kw_gateway *gateway, struct kw_call *call,
                    const struct kw_call_offer *offer, kw_ns now);
void kw_fact_established(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                         kw_ns now);
void kw_fact_rotated(struct kw_gateway *gateway, struct kw_call *call, uint32_t from, kw_ns now);
void kw_fact_handshake_refused(struct kw_gateway *gateway, struct kw_call *call,
                               const struct kw_session_event *event, kw_ns now);
void kw_fact_overdue(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                     kw_ns now);
void kw_fact_closed(struct kw_gateway *gateway, struct kw_call *call, kw_ns now);
/* An offer for a next generation that was refused. False: the ring is full. */
KW_MUST_USE bool kw_fact_offer_refused(struct kw_gateway *gateway, const struct kw_call *call,
                                       const char *rule, kw_ns now);

/* reports.c: what every back end needs of RTP and RTCP */
/* Follows an incoming packet: its source, statistics. NULL: not of this leg. */
struct kw_incoming *kw_leg_incoming(struct kw_leg *leg, const struct kw_rtp *rtp, kw_ns now);
/* This source is the one that its m-line goes on with. */
bool kw_leg_feeds(struct kw_leg *leg, const struct kw_incoming *incoming, kw_ns now);
/* Forwards as the m-line's own stream, begun with its first packet. False: not to be sent. */
KW_MUST_USE bool kw_leg_forward(struct kw_gateway *gateway, struct kw_leg_media *media,
                                uint32_t tag, uint32_t clock_hz, uint8_t *packet,
                                const struct kw_rtp *rtp, kw_ns now);
void kw_leg_rtcp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                 const uint8_t *packet, size_t len, kw_ns now);
/* A packet of this source is missed behind us, and we never had it: its sender is asked for it. */
void kw_leg_ask_again(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                      uint32_t ssrc, uint16_t seq);
/* The next RTCP compound that is due on this leg, in the clear; 0: none. */
size_t kw_leg_report(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                     uint8_t *dst, size_t dst_size, kw_ns now);

/* echo.c: the back end that gives media back */
KW_MUST_USE bool kw_echo_rtp(struct kw_gateway *gateway, struct kw_leg *leg, uint8_t *packet,
                             size_t len, kw_ns now);

/* relay.c: the back ends that pass it on */
/* Finds the other call of the room, or takes the target. KW_CALL_OK, ROOM_FULL, BACKEND_BUSY. */
enum kw_call_outcome kw_relay_join(struct kw_gateway *gateway, struct kw_call *call,
                                   struct kw_bytes room);
/* Before the answer: what the other call has not is not accepted. */
void kw_relay_narrow(struct kw_gateway *gateway, const struct kw_call *call, struct kw_sdp *offer);
void kw_relay_leave(struct kw_gateway *gateway, struct kw_call *call);
/* The 5-tuple with this tag is the call's plain one. */
bool kw_relay_serves(const struct kw_call *call, uint64_t tag);
void kw_relay_forget(struct kw_call *call, uint32_t tag);
/* Rewrites a clear packet of a client for where it goes; false: consumed. */
KW_MUST_USE bool kw_relay_rtp(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                              uint8_t *packet, size_t len, kw_ns now, struct kw_way *way);
/* A datagram from the plain side. */
KW_MUST_USE bool kw_relay_plain(struct kw_gateway *gateway, struct kw_call *call, uint8_t *packet,
                                size_t len, kw_ns now, struct kw_way *way);
/* Sender reports of a source; its client's streams go on by its clock. */
void kw_relay_report(struct kw_call *call, const struct kw_leg *leg,
                     const struct kw_incoming *incoming, const struct kw_rtcp_sender *sr);
/* A receiver wants a key frame of what we send it. */
void kw_relay_wish(struct kw_gateway *gateway, struct kw_call *call, enum kw_sdp_kind kind);
/* A number of the splice that feeds this kind is missed: asked for where it came from. */
void kw_relay_again(struct kw_gateway *gateway, struct kw_call *call, enum kw_sdp_kind kind,
                    uint16_t seq);
/* Gives the streams of a leg the clock of what feeds them, before its report is written. */
void kw_relay_anchor(struct kw_gateway *gateway, const struct kw_call *call, struct kw_leg *leg,
                     kw_ns now);
/* RTCP towards the plain side that is due; 0: none. */
size_t kw_relay_plain_report(struct kw_call *call, uint8_t *dst, size_t dst_size, kw_ns now);

/* packets.c: a second copy leaves protected under another outlet */
void kw_gateway_send_copy(struct kw_gateway *gateway, struct kw_call *to,
                          const struct kw_outlet *outlet, const uint8_t *packet, size_t len,
                          kw_ns now);

#endif
