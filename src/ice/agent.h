/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_ICE_AGENT_H
#define KW_ICE_AGENT_H

/* Between the files of this folder: the agent's state. */

#include "ice/stun.h"

#include <keywheel/ice.h>

enum {
    KW_ICE_ANSWERS = 8, /* responses waiting for transmit: one per watched pair */
};

/*
 * Times of checks. RFC 8489 section 6.2.1 and RFC 8445 section 14.3: RTO of 500 ms, doubled, 7
 * requests, the last one waits 16 RTO. RFC 7675 section 5.1: consent is asked for every 5 s times
 * 0.8 .. 1.2 and lost after 30 s.
 */
#define KW_ICE_RTO KW_MS(500)
#define KW_ICE_PACE KW_MS(50) /* Ta, RFC 8445 section 14.2 */
#define KW_ICE_TRIGGER                                                                             \
    KW_MS(100) /* a fresh request from the peer repeats an older check of ours                     \
                */
#define KW_ICE_CONSENT_EVERY KW_S(5)
#define KW_ICE_CONSENT_LOST KW_S(30)
/*
 * A nominated pair on which the peer has been silent for longer than its own consent interval (6 s
 * at most, Chromium's is 2.5 s) ranks below one that is alive: a phone that left the Wi-Fi
 * nominates its mobile path at once, at a lower priority.
 */
#define KW_ICE_ALIVE KW_MS(6500)
enum {
    KW_ICE_TRIES = 7,
    KW_ICE_LAST_WAIT = 16,
    KW_ICE_HOPEFUL_TRIES = 3, /* after so many a better candidate no longer holds up the others */
};

enum check_state {
    CHECK_IDLE = 0, /* none wanted: the pair failed, and only the peer can revive it */
    CHECK_DUE,      /* a new transaction at next_at */
    CHECK_SENT,     /* waiting; repeated or given up at next_at */
};

/* One pair under one set of credentials. */
struct pair {
    struct kw_path path;
    uint32_t epoch; /* 0: free */
    uint32_t priority;
    bool authenticated; /* the peer has shown that it knows our password from here */
    bool validated;     /* it has answered us here */
    bool nominated;
    enum check_state state;
    uint8_t transaction[KW_STUN_TRANSACTION_LEN];
    bool nominating; /* the check in flight carries USE-CANDIDATE */
    uint8_t tries;
    enum kw_stun_role asked_as; /* role in the check in flight, for 487 */
    kw_ns sent_at;
    kw_ns next_at;
    kw_ns seen_at;    /* first authenticated request, or when added: age, for replacement */
    kw_ns heard_at;   /* last authenticated request or response */
    kw_ns consent_at; /* last response; valid with `validated` */
    kw_ns rtt;
    uint64_t received; /* bytes, while not validated */
    uint64_t sent;
};

struct answer {
    struct kw_path path;
    uint8_t transaction[KW_STUN_TRANSACTION_LEN];
    uint32_t epoch; /* whose password signs; 0: unsigned (400, 401) */
    uint16_t code;  /* 0: success */
    size_t unknown_count;
    uint16_t unknown[KW_STUN_UNKNOWN_MAX];
};

struct kw_ice {
    struct kw_crypto *crypto;
    const struct kw_random *random;
    bool lite;
    bool controlling;
    uint64_t tie_breaker;
    kw_ns started_at;
    kw_ns now;          /* of the last call: time never runs backwards */
    kw_ns consent_at;   /* of any pair, ever; 0: never */
    kw_ns paced_at;     /* first checks go out at most every KW_ICE_PACE */
    uint32_t epoch;     /* counted from 1, raised by each restart */
    uint32_t old_epoch; /* still honoured; 0: none */
    struct kw_ice_credentials local[2], remote[2]; /* by epoch % 2 */
    struct pair pairs[KW_ICE_PATHS];
    size_t answer_first, answer_count;
    struct answer answers[KW_ICE_ANSWERS];
};

/* agent.c, for the others */
void kw_ice_stamp(struct kw_ice *ice, kw_ns now);
struct pair *kw_ice_pair_find(struct kw_ice *ice, const struct kw_path *path, uint32_t epoch);
/* A free place, or the one that gives way; NULL when all are validated. Cleared, with its path. */
struct pair *kw_ice_pair_take(struct kw_ice *ice, const struct kw_path *path, uint32_t epoch,
                              kw_ns now);
struct kw_bytes kw_ice_text(const char *terminated);
const struct pair *kw_ice_best(const struct kw_ice *ice);
/* After any change of validated or nominated: forgets old credentials once new ones carry. */
void kw_ice_settle(struct kw_ice *ice);

/* check.c */
/* The next check that is due, into dst; 0: none. */
size_t kw_ice_check_write(struct kw_ice *ice, uint8_t *dst, size_t dst_size,
                          struct kw_path *path_ret, kw_ns now);
enum kw_verdict kw_ice_check_response(struct kw_ice *ice, const struct kw_path *path,
                                      const uint8_t *datagram,
                                      const struct kw_stun_message *message, kw_ns now);
/* Asks for a check soon: at once for a new pair, sooner for one whose check is getting old. */
void kw_ice_check_trigger(struct kw_ice *ice, struct pair *pair, kw_ns now);
/* Controlling: nominates the best pair if nothing better can be hoped for. */
void kw_ice_check_nominate(struct kw_ice *ice, kw_ns now);

#endif
