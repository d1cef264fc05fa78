/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SESSION_PAIR_H
#define KW_TESTS_SESSION_PAIR_H

/*
 * Two sessions on a plain 5-tuple in virtual time, each the other's peer, with real handshakes.
 * Both send numbered packets; the receiver knows of each whether it came, came twice, or could not
 * be read. Whatever is due is prepared at once unless the test says otherwise.
 */

#include "session/session.h"
#include "sim/net.h"

enum { PAIR_A = 0, PAIR_B = 1, PAIR_EVENTS_MAX = 9 };

struct pair_config {
    uint64_t seed;
    struct net_link link;
    kw_ns period;          /* L; 0: 1 h */
    uint64_t bytes;        /* 0: the preset's */
    kw_ns grace;           /* 0: close */
    kw_ns interval;        /* between packets of media; 0: 20 ms */
    kw_ns sparse;          /* .. away from switches; 0: the same */
    enum kw_method method; /* OVERLAP, or PARALLEL with plain paths */
    uint16_t first_seq;
    size_t handshakes; /* 0: enough */
    size_t rotations;  /* second generations of both ends together; 0: enough */
    bool one_sided;    /* only A prepares what is due */
};

struct pair_end {
    struct pair *pair;
    unsigned number;
    struct kw_path path;
    void *mem;
    struct kw_session *session;
    struct kw_identity *identity; /* of the newest generation */
    struct kw_identity *first;
    bool is_lazy; /* prepares nothing */
    bool is_mute;
    bool is_up, has_ended;
    struct kw_session_event last_end;
    unsigned events[PAIR_EVENTS_MAX + 1];
    kw_ns last_switch;
    kw_ns next_media;
    uint64_t sent; /* numbers given out; the sequence number follows them */
    uint64_t got;
    uint64_t unusable; /* media that no key of ours opened, replays apart */
    uint64_t twice;
    uint64_t beyond;   /* packets sent with a key older than L */
    uint64_t highest;  /* number */
    uint64_t seen[64]; /* window behind highest, as bits */
    void (*on_event)(struct pair_end *end, const struct kw_session_event *event);
};

struct pair {
    struct pair_config config;
    struct net net;
    kw_ns now;
    kw_ns busy_until; /* dense media */
    struct kw_crypto *crypto;
    uint64_t random_state;
    struct kw_session_shared shared;
    struct kw_policy policy;
    struct kw_terms terms;
    void *buffers_mem;
    void *pool_mem;
    struct pair_end ends[2];
    void *ctx;
};

/* crypto: borrowed; NULL: a toy of its own. */
void pair_init(struct pair *pair, const struct pair_config *config);
void pair_deinit(struct pair *pair);
void pair_run(struct pair *pair, kw_ns until);
/* Prepares the next generation of this end, as DUE asks. */
enum kw_status pair_prepare(struct pair *pair, struct pair_end *end);
bool pair_connect(struct pair *pair, kw_ns limit);
/* Blocks of the pool that belong to no generation and still hold something. */
size_t pair_dirty_blocks(const struct pair *pair);
/* Everything that was sent and not lost by the network has arrived. */
void pair_settle(struct pair *pair);

#endif
