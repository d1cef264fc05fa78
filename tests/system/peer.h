/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_PEER_H
#define KW_TESTS_SYSTEM_PEER_H

/*
 * A client of keywheeld on real sockets that knows its own keys: ICE controlling, DTLS client,
 * SRTP, out of the parts of libkeywheel rather than its session, which gives no key away.
 */

#include "daemon.h"

#include <keywheel/dtls.h>
#include <keywheel/ice.h>
#include <keywheel/srtp.h>

struct peer {
    int fd;
    struct kw_path path;
    struct kw_ice *ice;
    struct kw_dtls *dtls;
    struct kw_srtp *sending, *receiving;
    void *memory[4];
    struct kw_identity *identity;
    struct kw_fingerprint remote_fingerprint;
    struct kw_srtp_keys keys; /* of the association, kept for the key scan */
    char location[256];
    char etag[64];
    int http_status;
    bool is_connected;
    bool is_closed;
    uint16_t seq;
    uint32_t ssrc;
    uint64_t sent, back;
    uint64_t recognised; /* came back with the payload that was sent */
};

/* Makes what all peers share; once. */
void peer_world_open(void);
void peer_world_close(void);
struct kw_crypto *peer_crypto(void);

/* POSTs an offer to /v1/calls and makes the client for the answer; false: http_status says why. */
bool peer_call(struct peer *peer, const struct daemon *daemon);
/* Runs for `time`, or until `done` says so; true when it did. */
bool peer_run(struct peer *peer, kw_ns time, bool (*done)(const struct peer *peer));
bool peer_is_connected(const struct peer *peer);
/* Sends packets of audio, 20 ms apart unless interval says otherwise, and takes the echo. */
void peer_talk(struct peer *peer, uint64_t packets, kw_ns interval);
/* Takes what comes for a while. */
void peer_listen(struct peer *peer, kw_ns time);
/* DELETE of the call; returns the status. */
int peer_hang_up(struct peer *peer, const struct daemon *daemon);
void peer_free(struct peer *peer);

#endif
