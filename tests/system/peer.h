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

/* RFC 5764, section 4.2, for AES-128-GCM: two keys of 16 bytes, two salts of 12. */
enum { PEER_EXPORTED_LEN = 56 };

struct peer {
    int fd;
    struct kw_path path;
    struct kw_ice *ice;
    struct kw_dtls *dtls;
    struct kw_srtp *sending, *receiving;
    void *memory[4];
    struct kw_identity *identity;
    struct kw_fingerprint fingerprint, remote_fingerprint;
    struct kw_srtp_keys keys;            /* of the association, kept for the key scan */
    uint8_t exported[PEER_EXPORTED_LEN]; /* .. as our own exporter gives them */
    char location[256];
    char etag[64];
    int http_status;
    bool is_connected;
    bool is_closed;
    bool wants_cm;                  /* AES_CM_128_HMAC_SHA1_80 and nothing else */
    bool says_keywheel;             /* in ALPN: it understands ROTATE */
    uint32_t generation;            /* .. and numbers its generations */
    bool is_accepted;               /* its ROTATE was answered, .. */
    struct kw_fingerprint accepted; /* .. with this certificate */
    uint16_t seq;
    uint32_t ssrc;
    uint64_t sent, back;
    uint64_t recognised; /* came back with the payload that was sent */
    /* Sees each clear RTP packet that comes in; NULL: nobody does. */
    void (*on_rtp)(void *ctx, const uint8_t *packet, size_t len);
    void *ctx;
};

/* One packet of media, as an encoder makes it. */
struct peer_frame {
    uint8_t payload_type;
    uint16_t seq;
    uint32_t timestamp;
    const uint8_t *payload;
    size_t len; /* at most PEER_FRAME_MAX */
};
enum { PEER_FRAME_MAX = 1200 };

/* Makes what all peers share; once. */
void peer_world_open(void);
void peer_world_close(void);
struct kw_crypto *peer_crypto(void);

/* POSTs an offer to /v1/calls and makes the client for the answer; false: http_status says why. */
bool peer_call(struct peer *peer, const struct daemon *daemon);
/*
 * The same at another place: a room, LOCATION "/generations". The new connection has a socket and
 * an SSRC of its own.
 */
bool peer_post(struct peer *peer, const struct daemon *daemon, const char *path, uint32_t ssrc);
/*
 * POSTs to LOCATION "/restart". The connection keeps its socket and SSRC and gets everything else
 * anew; what `old` still holds of the socket is taken from it.
 */
bool peer_restart(struct peer *peer, struct peer *old, const struct daemon *daemon);
/* peer_call() of a client that has no AEAD for its media. */
bool peer_call_cm(struct peer *peer, const struct daemon *daemon);
/* peer_call() of a client that says keywheel/1, so that peer_overlap() can follow. */
bool peer_call_overlap(struct peer *peer, const struct daemon *daemon);
/*
 * ROTATE in the live association, then a second one on the same socket and path: written by hand
 * from docs/session.md, because a session gives no key away. Socket, ICE and SSRC go from `old` to
 * the new one. False: ROTATE was not answered.
 */
bool peer_overlap(struct peer *peer, struct peer *old);
/* A request without a body to LOCATION and what follows it; returns the status. */
int peer_ask(const struct peer *peer, const struct daemon *daemon, const char *method,
             const char *tail, char *answer, size_t answer_size);
/* Serves several connections at once until that moment, and once at least. */
void peers_run(struct peer *const *peers, size_t count, kw_ns until);
void peer_send(struct peer *peer, const struct peer_frame *frame);
/* A sender report: `timestamp` is what the media clock shows now. */
void peer_report(struct peer *peer, uint32_t timestamp, kw_ns now);
/* close_notify. */
void peer_close(struct peer *peer);
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
