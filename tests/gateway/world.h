/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_GATEWAY_WORLD_H
#define KW_TESTS_GATEWAY_WORLD_H

/*
 * A whole gateway and its clients in virtual time: requests go through kw_control_handle(),
 * datagrams through a simulated network, facts into an array. A client is one kw_session as ICE
 * controlling DTLS client; it sends a packet of audio every 20 ms once it is up, and counts what
 * comes back. With `overlap` it is one of us (ALPN), and prepares a generation when its session
 * says DUE.
 */

#include "sim/net.h"
#include "support/faulty_crypto.h"

#include "control/control.h"
#include "gateway/call.h"
#include "gateway/heap.h"
#include "rtp/rtcp.h"
#include "rtp/source.h"

enum { WORLD_FACTS_MAX = 32768 };

struct world_config {
    uint64_t seed;
    struct net_link link;
    size_t calls_max;
    size_t clients_max;
    size_t tenant_calls_max;
    uint32_t calls_per_minute;
    kw_ns period;        /* L; 0: the preset's */
    kw_ns client_period; /* .. of the clients' own policy */
    bool grace;
    bool real_crypto;
    bool overlap;      /* the clients offer KW_SESSION_ALPN */
    bool dtls12;       /* .. and know DTLS 1.2 alone */
    size_t handshakes; /* buffers in flight; 0: enough */
    size_t facts_room; /* of the ring; 0: enough */
    bool video;
    size_t fault_at;              /* this call of the gateway's provider fails; 0: none */
    size_t random_fault_at;       /* .. or of its random source */
    enum kw_backend_kind backend; /* of tenant demo */
    kw_ns media_interval;         /* 0: 20 ms */
    kw_ns handshake_cost;         /* virtual time that a handshake datagram takes the gateway */
    kw_ns packet_cost;            /* .. and any other one */
};

/* One connection of a client: what a browser's RTCPeerConnection is. */
struct peer {
    bool used;
    bool is_mute; /* sends no media */
    bool is_deaf; /* receives nothing: a vanished client */
    bool is_lazy; /* prepares nothing when keys are due */
    uint32_t number;
    struct kw_address address;
    void *mem;
    struct kw_session *session;
    struct kw_identity *identity;
    struct kw_fingerprint fingerprint;
    struct kw_ice_credentials credentials;
    uint32_t generation;
    char location[256];
    char etag[64];
    uint32_t ssrc;
    uint16_t seq;
    uint32_t timestamp;
    kw_ns next_media;
    kw_ns media_until;
    kw_ns next_report;
    bool has_video;
    struct kw_rtp_source source; /* what comes back */
    struct kw_rtcp_block heard;  /* what the gateway reports of us */
    uint32_t key_frame_wishes;   /* for our video */
    uint32_t nacks;
    uint16_t nack_seq, nack_mask; /* of the last one */
    /* observed */
    bool is_up;
    bool has_ended;
    enum kw_session_end end;
    enum kw_dtls_end dtls_end;
    unsigned events[KW_SESSION_EVENT_CLOSED + 1];
    uint64_t media_sent, media_back, rtcp_back;
    uint32_t back_ssrc;
    uint16_t back_seq;
    uint32_t back_gaps;
    uint32_t back_ssrcs; /* how often another SSRC came */
    uint32_t back_ts;
    uint32_t ts_steps;    /* timestamps that were not a frame apart */
    uint32_t ts_step_max; /* by how much at most */
};

struct world {
    struct world_config config;
    struct net net;
    kw_ns now;
    uint64_t toy_state;
    struct kw_crypto *crypto;
    struct kw_session_shared shared;
    struct kw_crypto *faulty; /* the gateway's, with fault_at */
    struct faulty_random faulty_random;
    void *buffers_mem;
    void *pool_mem; /* of the clients' generations */
    struct kw_tenant_config tenants[3];
    void *gateway_mem;
    struct kw_gateway *gateway;
    struct peer *peers;
    size_t peer_count;
    struct kw_heap heap; /* when each peer wants to be called */
    void *heap_mem;
    size_t facts_reserved, fact_count;
    struct kw_fact *facts;
    struct kw_request request;
    struct kw_response response;
    uint8_t offer[KW_SDP_TEXT_MAX];
    uint64_t gateway_datagrams;
    kw_ns busy_until; /* the gateway works */
    /* a plain RTP agent that answers each packet with one of its own */
    uint64_t agent_got, agent_rtcp, agent_gaps;
    uint32_t agent_ssrcs, agent_ssrc, agent_ts_steps;
    uint16_t agent_seq;
    uint32_t agent_ts;
    kw_ns media_wait; /* the longest time that media waited for it */
};

struct kw_address world_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
struct kw_path world_reversed(const struct kw_path *path);

struct world *world_new(const struct world_config *config);
void world_free(struct world *world);
/* Runs until the moment. */
void world_run(struct world *world, kw_ns until);
/* .. and until the condition holds; false: it did not. */
bool world_until(struct world *world, bool (*done)(struct world *world), kw_ns limit);
kw_utc_ms world_utc(const struct world *world);

/* A connection with an offer ready to be posted in world->offer; returns its length. */
struct peer *world_peer(struct world *world, size_t *offer_len);
/* Requests. The response is in world->response. */
int world_request(struct world *world, enum kw_request_method method, const char *path,
                  const char *token, const char *type, const void *body, size_t body_len);
const char *world_header(const struct world *world, const char *name);
/* An offer of a connection that exists, with fresh ICE credentials and certificate. */
size_t world_offer(struct world *world, struct peer *peer);
/* POST of a new connection's offer and, after 201, the client's half of it; returns the status. */
int world_post(struct world *world, const char *path, struct peer **ret);
/* .. to /v1/calls */
int world_call(struct world *world, struct peer **ret);
/* .. to {call}/generations */
int world_add(struct world *world, const struct peer *old, struct peer **ret);
/* A call that is up. */
struct peer *world_up(struct world *world);
/* The client closes a connection; nothing more comes from it. */
void world_hang_up(struct world *world, struct peer *peer);
/* A second connection takes over; `both` play so long; on return the rotation is over. */
struct peer *world_rotate(struct world *world, struct peer *old, kw_ns both);
/* The client wants new keys by `overlap`. */
void world_ask(struct world *world, struct peer *peer);
/* An operator wants them; returns the status. */
int world_order_rotation(struct world *world, const struct peer *peer);
/* Of the first call. */
struct kw_session *world_session(const struct world *world);
/* Conditions for world_until(). */
bool world_newest_is_up(struct world *world);
bool world_is_empty(struct world *world);
bool world_has_rotated(struct world *world);
/* Takes the answer in world->response. */
void world_answer(struct world *world, struct peer *peer);
/* After a change from outside: when it wants to be called may have changed. */
void world_schedule(struct world *world, struct peer *peer);
/* Protects an RTCP compound and sends it. */
void world_rtcp(struct world *world, struct peer *peer, const uint8_t *packet, size_t len);
/* The status JSON of a call contains this text. */
bool world_status_has(struct world *world, const struct peer *peer, const char *text);
/* Datagram from anywhere. */
void world_inject(struct world *world, const struct kw_path *path, const uint8_t *data, size_t len);
size_t world_facts(const struct world *world, enum kw_fact_type type);
const struct kw_fact *world_last_fact(const struct world *world, enum kw_fact_type type);

/* 20 ms each way, 8 calls, L = 60 s. */
extern const struct world_config world_plain;
extern const struct kw_address world_gateway_address, world_agent_address;

#endif
