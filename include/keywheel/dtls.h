/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_DTLS_H
#define KEYWHEEL_DTLS_H

/*
 * One DTLS association: 1.3 (RFC 9147), and 1.2 (RFC 6347) where the terms allow it. Client or
 * server, sans-IO: datagrams, a clock value and random bytes come in; datagrams and events go out.
 * It knows no addresses. Memory is handed in; buffers of the handshake come from a shared pool and
 * go back when it ends.
 *
 * An association belongs to one thread at a time, together with its pools and its provider.
 */

#include <keywheel/crypto.h>
#include <keywheel/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kw_dtls;

enum kw_dtls_role { KW_DTLS_SERVER = 0, KW_DTLS_CLIENT };

enum {
    KW_DTLS_MTU_MIN = 256,
    KW_DTLS_MTU_DEFAULT = 1200, /* of UDP payload */
    /* Largest MTU, and what a peer of media sends at most: no path of media is wider, and our
     * buffers for what waits have this size. What the caller holds may be larger, both ways. */
    KW_DTLS_DATAGRAM_MAX = 2048,
    /* Application data in one record: RFC 8446, section 5.1, allows no more. */
    KW_DTLS_DATA_MAX = 16384,
    KW_DTLS_OVERHEAD_MAX = 64, /* what a record adds to it, with room to spare */
    KW_DTLS_CID_MAX = 8,
    KW_DTLS_ALPN_MAX = 32,
    KW_DTLS_BINDING_MAX = 64,
    KW_DTLS_FINGERPRINTS_MAX = 8,
};

/* What many associations share. Borrowed; outlives them all. */
struct kw_dtls_shared {
    struct kw_crypto *crypto;
    struct kw_random random;
    struct kw_dtls_buffers *buffers; /* from kw_dtls_buffers_init() */
    /* HMAC key of cookies; the caller draws and replaces it. `previous` is still accepted. */
    uint8_t cookie_key[32];
    uint8_t cookie_key_previous[32];
};

/* Pool of handshake buffers: one set for each handshake that may be in flight at a time. */
KW_API size_t kw_dtls_buffers_size(size_t handshake_count);
/* mem: kw_dtls_buffers_size() bytes, 64-byte aligned, borrowed until the last association ends. */
KW_API struct kw_dtls_buffers *kw_dtls_buffers_init(void *mem, size_t handshake_count);

/* One association. Everything is copied; the identity gets a hold of its own. */
struct kw_dtls_params {
    enum kw_dtls_role role;
    const struct kw_terms *terms;
    struct kw_identity *identity;
    /* The peer must present a certificate that matches one of these. Never empty. */
    const struct kw_fingerprint *fingerprints;
    size_t fingerprint_count;
    size_t mtu;              /* of UDP payload; 0: KW_DTLS_MTU_DEFAULT */
    kw_ns path_rtt;          /* measured round trip; 0: unknown */
    bool require_cookie;     /* server: the path is not validated yet */
    struct kw_bytes binding; /* server: what the cookie binds (address), at most
                                KW_DTLS_BINDING_MAX bytes */
    struct kw_bytes alpn;    /* client: the one value offered; server: the one value recognised */
    bool use_cid;            /* offer or accept connection ids: 1.3 only, so a client whose terms
                                allow 1.2 offers none */
    uint8_t cid[KW_DTLS_CID_MAX]; /* what the peer shall write; cid_len 0 is allowed */
    uint8_t cid_len;
    uint8_t client_random[32]; /* client with has_client_random: announced by ROTATE */
    bool has_client_random;
    uint8_t prepared_hello[32]; /* server with has_prepared_hello: SHA-256 of the only
                                   ClientHello.random that this association answers */
    bool has_prepared_hello;
    /* End at once on what anybody could have sent: a hello that cannot be answered, an alert in the
     * clear. Without it they end the association only when nothing better comes for some seconds.
     * For conformance suites, which wait for the answer. */
    bool fail_fast;
};

/* Bytes of one association, 64-byte aligned. */
KW_API size_t kw_dtls_size(void);

/*
 * Starts an association in mem (kw_dtls_size() bytes, 64-byte aligned, borrowed until deinit).
 * A client has its first flight ready to transmit. KW_ERR_INPUT: params contradict themselves.
 * On failure nothing is held.
 */
KW_API KW_MUST_USE enum kw_status kw_dtls_init(void *mem, const struct kw_dtls_shared *shared,
                                               const struct kw_dtls_params *params, kw_ns now,
                                               struct kw_dtls **ret);

/* Gives everything back and wipes every secret. Sends nothing: kw_dtls_close() does. */
KW_API void kw_dtls_deinit(struct kw_dtls *dtls);

/*
 * Feeds one received datagram of any length, which is borrowed and decrypted in place; data views
 * of events point into it and live until the next call.
 *
 * Hostile input is ordinary input: forged, replayed and truncated records are dropped and counted,
 * and the call returns KW_OK. Any error means that this association is over.
 */
KW_API KW_MUST_USE enum kw_status kw_dtls_receive(struct kw_dtls *dtls, uint8_t *datagram,
                                                  size_t len, kw_ns now);

/*
 * Writes the next datagram to send and returns its length, or 0 when there is none. dst_size is at
 * least the MTU. Call until it returns 0 after every other call.
 */
KW_API size_t kw_dtls_transmit(struct kw_dtls *dtls, uint8_t *dst, size_t dst_size, kw_ns now);

/* Tells when to call kw_dtls_tick() next; KW_NEVER when no timer is armed. */
KW_API kw_ns kw_dtls_deadline(const struct kw_dtls *dtls);
KW_API KW_MUST_USE enum kw_status kw_dtls_tick(struct kw_dtls *dtls, kw_ns now);

/*
 * Tells whether this datagram's first record can be of this association: a unified-header record
 * that authenticates (checked in scratch, so not above KW_DTLS_DATAGRAM_MAX), or, while its
 * handshake runs, a plaintext handshake record that continues it. Moves no state; a record that
 * does not authenticate counts towards the limit of its key, and beyond that limit the answer is
 * true, so that kw_dtls_receive() ends the association. For two associations on one 5-tuple.
 */
KW_API bool kw_dtls_owns(struct kw_dtls *dtls, const uint8_t *datagram, size_t len);

/* TLS alert descriptions that we send or report; 255: none. */
enum kw_alert {
    KW_ALERT_CLOSE_NOTIFY = 0,
    KW_ALERT_UNEXPECTED_MESSAGE = 10,
    KW_ALERT_BAD_RECORD_MAC = 20,
    KW_ALERT_RECORD_OVERFLOW = 22,
    KW_ALERT_HANDSHAKE_FAILURE = 40,
    KW_ALERT_BAD_CERTIFICATE = 42,
    KW_ALERT_UNSUPPORTED_CERTIFICATE = 43,
    KW_ALERT_CERTIFICATE_UNKNOWN = 46,
    KW_ALERT_ILLEGAL_PARAMETER = 47,
    KW_ALERT_DECODE_ERROR = 50,
    KW_ALERT_DECRYPT_ERROR = 51,
    KW_ALERT_PROTOCOL_VERSION = 70,
    KW_ALERT_INSUFFICIENT_SECURITY = 71,
    KW_ALERT_INTERNAL_ERROR = 80,
    KW_ALERT_USER_CANCELED = 90,
    KW_ALERT_NO_RENEGOTIATION = 100,
    KW_ALERT_MISSING_EXTENSION = 109,
    KW_ALERT_UNSUPPORTED_EXTENSION = 110,
    KW_ALERT_CERTIFICATE_REQUIRED = 116,
    KW_ALERT_NO_APPLICATION_PROTOCOL = 120,
    KW_ALERT_NONE = 255,
};

KW_API const char *kw_alert_name(enum kw_alert alert);

/* Why an association ended, for an auditor. */
enum kw_dtls_end {
    KW_DTLS_END_NONE = 0,
    KW_DTLS_END_CLOSED,     /* close_notify, either side */
    KW_DTLS_END_ALERT_SENT, /* the peer did something fatal; `alert` says what */
    KW_DTLS_END_ALERT_RECEIVED,
    KW_DTLS_END_TIMEOUT,     /* retransmissions exhausted */
    KW_DTLS_END_FINGERPRINT, /* the certificate is not the signalled one */
    KW_DTLS_END_POLICY,      /* nothing in common within the terms */
    KW_DTLS_END_INTERNAL,    /* our provider, pool or random source failed */
};

KW_API const char *kw_dtls_end_name(enum kw_dtls_end end);

/* What was negotiated: known from CONNECTED on. */
struct kw_dtls_facts {
    enum kw_dtls_version version;
    enum kw_dtls_role role;
    enum kw_suite suite;
    enum kw_group group;
    enum kw_sigscheme our_scheme;
    enum kw_sigscheme peer_scheme;
    enum kw_srtp_profile srtp_profile;
    struct kw_fingerprint peer_fingerprint; /* the signalled one that matched */
    bool retried;                           /* HelloRetryRequest or HelloVerifyRequest */
    bool alpn;                              /* the value of the params was agreed */
    bool cid;
    uint32_t datagrams_sent;
    uint32_t datagrams_received;
    uint32_t retransmissions;         /* flights, or parts of them, sent again */
    kw_ns duration;                   /* first datagram of the handshake .. CONNECTED */
    enum kw_suite offered_suites[16]; /* what the peer offered (server), for refusals; 0 ends */
    enum kw_group offered_groups[8];
    enum kw_srtp_profile offered_profiles[8];
};

enum kw_dtls_event_type {
    KW_DTLS_EVENT_NONE = 0,
    /* The peer's Finished is verified and its certificate matches: keys can be taken. */
    KW_DTLS_EVENT_CONNECTED,
    /* The peer is known to hold the keys of this association: a client has its Finished
     * acknowledged (1.3) or verified the server's Finished (1.2); a server says it with CONNECTED.
     */
    KW_DTLS_EVENT_CONFIRMED,
    KW_DTLS_EVENT_DATA,   /* application data; `data` points into the received datagram */
    KW_DTLS_EVENT_CLOSED, /* the last event; `end` and `alert` say why */
};

struct kw_dtls_event {
    enum kw_dtls_event_type type;
    struct kw_bytes data;
    enum kw_dtls_end end;
    enum kw_alert alert;
};

/* Takes the oldest event; false when there is none. */
KW_API KW_MUST_USE bool kw_dtls_next_event(struct kw_dtls *dtls, struct kw_dtls_event *ret);

/* Facts so far; borrowed until deinit. */
KW_API const struct kw_dtls_facts *kw_dtls_facts(const struct kw_dtls *dtls);

/*
 * Takes the SRTP keys (RFC 5764, section 4.2), once, after CONNECTED. KW_ERR_STATE before it, the
 * second time, and when no profile was agreed. The caller wipes them.
 */
KW_API KW_MUST_USE enum kw_status kw_dtls_take_srtp_keys(struct kw_dtls *dtls,
                                                         struct kw_srtp_keys *ret);

/* RFC 8446 section 7.5 / RFC 5705 exporter, after CONNECTED and until the SRTP keys' owner wipes
 * it. At most 255 digests of the suite (RFC 5869). */
KW_API KW_MUST_USE enum kw_status kw_dtls_export(struct kw_dtls *dtls, const char *label,
                                                 struct kw_bytes context, uint8_t *dst, size_t len);

/*
 * Application data, one record that waits for transmit(); data.len <= MTU - KW_DTLS_OVERHEAD_MAX.
 * KW_ERR_STATE before CONNECTED. Not reliable.
 */
KW_API KW_MUST_USE enum kw_status kw_dtls_send(struct kw_dtls *dtls, struct kw_bytes data,
                                               kw_ns now);
/*
 * The same without waiting and without a copy of ours: the record is written into dst, for the
 * caller to send as a datagram. The path decides what fits, not our MTU; data.len <=
 * KW_DTLS_DATA_MAX and dst_size >= data.len + KW_DTLS_OVERHEAD_MAX, else KW_ERR_INPUT. data and dst
 * do not overlap.
 */
KW_API KW_MUST_USE enum kw_status kw_dtls_protect(struct kw_dtls *dtls, struct kw_bytes data,
                                                  uint8_t *dst, size_t dst_size, size_t *len_ret,
                                                  kw_ns now);

/* DTLS 1.3: new traffic keys (the exporter does not change: this is not rotation). */
KW_API KW_MUST_USE enum kw_status kw_dtls_update_keys(struct kw_dtls *dtls, bool ask_peer,
                                                      kw_ns now);

/* Sends close_notify; a CLOSED event follows. Idempotent. */
KW_API void kw_dtls_close(struct kw_dtls *dtls, kw_ns now);

/* Per-verdict counters of records; KW_VERDICT_COUNT entries, borrowed. */
KW_API const uint64_t *kw_dtls_counters(const struct kw_dtls *dtls);

#ifdef __cplusplus
}
#endif

#endif
