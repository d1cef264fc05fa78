/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_PAIR_H
#define KW_TESTS_PAIR_H

/*
 * A client and a server association on a simulated network. The test sets what it cares about in
 * the configuration, runs virtual time, and looks at the two ends.
 */

#include <keywheel/dtls.h>

#include "dtls/engine.h"
#include "sim/net.h"

enum { PAIR_CLIENT_HOST = 1, PAIR_SERVER_HOST = 2, PAIR_DATA_MAX = 64 };

struct pair_end {
    struct kw_dtls *dtls;
    struct kw_dtls_shared shared;
    struct kw_dtls_params params; /* what init used; a test may change it in `prepare` */
    struct kw_identity *identity;
    struct kw_fingerprint peer_fingerprint;
    void *mem;
    void *buffers_mem;
    struct kw_path path;
    bool connected, confirmed, closed;
    kw_ns connected_at;
    enum kw_dtls_end end;
    enum kw_alert alert;
    enum kw_status status; /* of the last call that returned one */
    size_t data_count;
    size_t data_len; /* of the last data */
    uint8_t data[KW_DTLS_DATAGRAM_MAX];
    uint64_t datagrams;
    uint64_t bytes;
};

struct pair {
    struct net net;
    kw_ns now;
    struct kw_crypto *crypto;
    bool owns_crypto;
    uint64_t random_state;
    struct kw_terms terms[2]; /* by role */
    struct pair_end end[2];   /* by role */
};

struct pair_config {
    uint64_t seed;
    struct net_link link;
    struct kw_crypto *crypto;   /* NULL: a toy of its own */
    struct kw_random *random;   /* NULL: a toy stream */
    const char *preset;         /* NULL: "modern" */
    enum kw_suite suite;        /* KW_SUITE_NONE: all of the preset */
    enum kw_group group;        /* KW_GROUP_NONE: all of the preset */
    enum kw_group server_group; /* when the server's differ */
    bool dtls12;                /* both sides allow it */
    bool only_dtls12;           /* the client asks for nothing else */
    size_t mtu;
    kw_ns path_rtt;
    bool require_cookie;
    bool use_cid;
    bool fail_fast;
    size_t handshake_count; /* of each end's pool; 0: 2 */
    /* A last word on the parameters of an end, before it is made. */
    void (*prepare)(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params);
};

/* Both ends are made; nothing has been sent. KW_OK or what kw_dtls_init() said. */
enum kw_status pair_init(struct pair *pair, const struct pair_config *config);
void pair_deinit(struct pair *pair);

/* Sends what waits at both ends, and takes their events. */
void pair_flush(struct pair *pair);
/* Runs until done() or that time. True when done() said so. */
bool pair_run(struct pair *pair, bool (*done)(const struct pair *pair), kw_ns until);
bool pair_confirmed(const struct pair *pair); /* both ends, and the client's keys are known */
bool pair_connected(const struct pair *pair); /* both ends */
bool pair_ended(const struct pair *pair);     /* both closed */
bool pair_one_ended(const struct pair *pair);
/* Nothing is done: runs until that time. */
bool pair_forever(const struct pair *pair);

/* The usual beginning of a test: made and connected on a quiet network. */
void pair_connect(struct pair *pair, const struct pair_config *config);

/* Both took the same SRTP keys, crosswise. */
bool pair_same_srtp_keys(struct pair *pair);

#endif
