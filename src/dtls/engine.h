/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_ENGINE_H
#define KW_DTLS_ENGINE_H

#include <keywheel/dtls.h>

#include "base/pool.h"
#include "crypto/hkdf.h"
#include "dtls/ack.h"
#include "dtls/flight.h"
#include "dtls/hooks.h"
#include "dtls/limits.h"
#include "dtls/reassembly.h"
#include "dtls/record.h"
#include "dtls/schedule.h"

/*
 * The inside of an association, for the files of this folder. Three lives:
 *
 *  - struct kw_dtls: as long as the association;
 *  - struct kw_handshake: from the pool, while messages are reassembled or wait for their ACK;
 *  - struct kw_outbox: from the pool, while application data waits for transmit().
 */

enum kw_dtls_state {
    KW_STATE_WAIT_CLIENT_HELLO = 0, /* server */
    KW_STATE_WAIT_SERVER_HELLO,     /* client, from here on what it waits for */
    KW_STATE_WAIT_EXTENSIONS,
    KW_STATE_WAIT_REQUEST,
    KW_STATE_WAIT_CERTIFICATE, /* both roles, 1.3 */
    KW_STATE_WAIT_VERIFY,
    KW_STATE_WAIT_FINISHED,
    KW_STATE_12_CERTIFICATE, /* both roles, 1.2 */
    KW_STATE_12_SERVER_KEY,
    KW_STATE_12_REQUEST,
    KW_STATE_12_HELLO_DONE,
    KW_STATE_12_CLIENT_KEY,
    KW_STATE_12_VERIFY,
    KW_STATE_12_FINISHED,
    KW_STATE_CONNECTED,
    KW_STATE_CLOSED,
};

enum kw_handshake_type {
    KW_HS_HELLO_REQUEST = 0,
    KW_HS_CLIENT_HELLO = 1,
    KW_HS_SERVER_HELLO = 2,
    KW_HS_HELLO_VERIFY_REQUEST = 3,
    KW_HS_NEW_SESSION_TICKET = 4,
    KW_HS_ENCRYPTED_EXTENSIONS = 8,
    KW_HS_REQUEST_CONNECTION_ID = 9,
    KW_HS_NEW_CONNECTION_ID = 10,
    KW_HS_CERTIFICATE = 11,
    KW_HS_SERVER_KEY_EXCHANGE = 12,
    KW_HS_CERTIFICATE_REQUEST = 13,
    KW_HS_SERVER_HELLO_DONE = 14,
    KW_HS_CERTIFICATE_VERIFY = 15,
    KW_HS_CLIENT_KEY_EXCHANGE = 16,
    KW_HS_FINISHED = 20,
    KW_HS_KEY_UPDATE = 24,
    KW_HS_MESSAGE_HASH = 254,
};

/* Epochs of DTLS 1.3 (RFC 9147, section 6.1). */
enum { KW_EPOCH_PLAIN = 0, KW_EPOCH_HANDSHAKE = 2, KW_EPOCH_DATA = 3 };

enum { KW_RANDOM_LEN = 32 };

/* What the terms say, without their names. */
struct kw_dtls_terms {
    uint16_t suites[KW_POLICY_SUITES];
    uint16_t groups[KW_POLICY_GROUPS];
    uint16_t profiles[KW_POLICY_PROFILES];
    bool allow_dtls12;
    bool allow_rsa;
};

/* Everything that only a running handshake needs. */
struct kw_handshake {
    /* Of a server that has a hello in part: its neighbours in the row of half hellos. */
    struct kw_dtls *lent_to; /* NULL: not in that row */
    struct kw_handshake *older, *newer;

    struct kw_reassembly in;
    struct kw_flight out;
    struct kw_digest *transcript;
    uint8_t client_random[KW_RANDOM_LEN];
    uint8_t server_random[KW_RANDOM_LEN];
    struct kw_secret secret;       /* handshake secret, then master secret */
    struct kw_secret read_traffic; /* of the handshake epoch */
    struct kw_secret write_traffic;
    uint8_t hello_hash[KW_DIGEST_MAX]; /* SHA-256 of the peer's hello that was accepted */
    kw_ns hello_at;                    /* .. and when */
    /* Of another hello, the first or the second, that would take its place; client: of another
     * retry. */
    uint8_t rival_hash[2][KW_DIGEST_MAX];
    kw_ns rival_at[2];
    uint32_t rival_len; /* 1.2: all that is known of it before it is whole */
    kw_ns fragment_at;  /* the oldest of what is here in part was booked */
    uint16_t hello_seq;
    uint32_t hello_len;
    bool was_forgotten;    /* the message being handled has let go of its place */
    bool is_authenticated; /* a record of the handshake epoch has arrived */
    bool was_requested;    /* client: a certificate of ours */

    /* Client. */
    struct kw_kx *kx[3]; /* two of the first hello, one of the second; a server of 1.2: one */
    uint16_t kx_group[3];
    uint8_t hello_message; /* of the flight: the hello that was sent last */
    bool was_retried;
    uint16_t retry_suite;
    uint16_t retry_group;
    uint8_t first_hash[KW_DIGEST_MAX]; /* of the first hello, when there was a retry */
    size_t retry_len;
    uint8_t retry[KW_DTLS_RETRY_MAX]; /* the HelloRetryRequest */

    /* DTLS 1.2. */
    uint8_t *raw; /* the transcript, in a second block of the pool */
    size_t raw_len;
    bool was_verified; /* client: there was a HelloVerifyRequest */
    uint8_t share12[KW_KX_SHARE_MAX];
    size_t share12_len;

    size_t certificate_len;
    uint8_t certificate[KW_CERT_MAX];
};

struct kw_outbox {
    size_t first; /* of the record to send next */
    size_t used;
    uint8_t bytes[KW_DTLS_OUTBOX];
};

struct kw_dtls_buffers {
    struct kw_pool handshakes;
    struct kw_pool outboxes;
    struct kw_handshake *oldest_half, *newest_half;
};

/* Why this association will end, unless something better than its unauthenticated cause comes. */
struct kw_doom {
    kw_ns at; /* KW_NEVER: not doomed */
    enum kw_dtls_end end;
    enum kw_alert alert;
    bool is_received;
};

struct kw_dtls {
    struct kw_dtls_hooks hooks; /* empty, but in conformance suites */

    /* Who we are. */
    const struct kw_dtls_shared *shared;
    struct kw_crypto *crypto;
    struct kw_identity *identity;
    struct kw_handshake *hs;
    struct kw_outbox *outbox;
    kw_ns now; /* stamped by every entry point */
    struct kw_dtls_terms terms;
    uint16_t mtu;
    bool require_cookie;
    bool fail_fast;
    bool ask_certificate; /* always, but in conformance suites */
    uint16_t our_scheme;  /* with which we sign: fits our identity */
    bool use_cid;
    bool has_client_random;
    bool has_prepared_hello;
    uint8_t own_cid_len; /* what the peer writes, when it was negotiated */
    uint8_t peer_cid_len;
    uint8_t fingerprint_count;
    uint8_t alpn_len;
    uint8_t binding_len;
    uint8_t own_cid[KW_DTLS_CID_MAX];
    uint8_t peer_cid[KW_DTLS_CID_MAX];
    uint8_t alpn[KW_DTLS_ALPN_MAX];
    uint8_t binding[KW_DTLS_BINDING_MAX];
    uint8_t hello_random[KW_RANDOM_LEN]; /* client: announced; server: SHA-256 of the prepared */
    struct kw_fingerprint fingerprints[KW_DTLS_FINGERPRINTS_MAX];

    /* Where we are. */
    uint8_t disowned[8]; /* server: begins the hash of a first hello that its client took back */
    enum kw_dtls_role role;
    enum kw_dtls_state state;
    enum kw_dtls_version version;
    const struct kw_suite_info *suite;
    uint32_t next_send_seq;    /* of handshake messages */
    uint32_t next_receive_seq; /* while no buffers are held */
    bool is_confirmed;
    bool are_srtp_keys_taken;
    bool is_closing;
    bool read_closed;      /* the peer's close_notify was seen */
    uint16_t record_epoch; /* of the record being handled */

    /* Keys. */
    uint64_t plain_seq;
    struct kw_record_keys read[3];  /* handshake, data, data of the next epoch */
    struct kw_record_keys write[2]; /* handshake, data */
    struct kw_secret read_secret;   /* of the newest data epoch: KeyUpdate goes on from it */
    struct kw_secret write_secret;
    struct kw_secret exporter; /* master secret in 1.2 */
    kw_ns answerable_until;    /* handshake read keys go then */

    /* 1.2: the seed of the exporter, and the Finished that may have to be repeated. */
    uint8_t randoms[2 * KW_RANDOM_LEN];
    uint8_t last_finished[12];
    uint16_t last_finished_seq;

    /* Timers: KW_NEVER when not armed. */
    kw_ns retransmit_at;
    kw_ns armed_at; /* when retransmit_at was armed, with kw_dtls_timeout() */
    kw_ns first_timeout;
    kw_ns timeout_max;
    kw_ns flight_sent_at;
    kw_ns ack_at; /* a quarter of the timeout after ack_armed_at */
    kw_ns ack_armed_at;
    kw_ns hello_until; /* a half-received message gives its buffers back */
    kw_ns give_up_at;  /* a handshake that makes no progress ends */
    kw_ns started_at;
    uint8_t expiries;     /* of retransmit_at, in a row */
    uint8_t expiries_max; /* the last of which ends the association */
    struct kw_doom doom;

    /* What waits to be sent. */
    struct kw_ack_list acks;
    bool has_answered; /* with a flight, the record being handled: that says more than an ACK */
    bool ack_now;
    bool ack_wanted;        /* the list has something new; when the timer is armed is ours to say */
    bool key_update_wanted; /* to send when the flight is free */
    bool key_update_ask;    /* .. asking the peer to do the same */
    bool key_update_in_flight; /* new write keys when it is acknowledged */
    uint8_t alert_len;
    uint8_t alert[64]; /* a record, ready */

    /* What waits to be told. */
    uint8_t event_first;
    uint8_t event_count;
    struct kw_dtls_event events[KW_DTLS_EVENTS];
    struct kw_dtls_facts facts;
    uint64_t counters[KW_VERDICT_COUNT];
};

/* Tells a conformance suite of a message, when one listens. */
static inline void kw_dtls_note(const struct kw_dtls *dtls, bool is_write,
                                enum kw_dtls_hook_kind kind, uint8_t first, uint8_t second)
{
    if (dtls->hooks.message != NULL)
        dtls->hooks.message(dtls->hooks.message_ctx, is_write, kind, first, second);
}

/* --- ending (alert.c) --- */

/*
 * The peer, or somebody in its name, did something fatal. Returns KW_OK, so that a handler can
 * `return kw_dtls_fail(..)`. What an authenticated record caused ends the association at once;
 * what anybody could have sent dooms it: it ends after KW_DTLS_REFUSAL_PATIENCE (a server that
 * refuses a hello) or KW_DTLS_DOOM_PATIENCE, unless the handshake goes on meanwhile.
 */
enum kw_status kw_dtls_fail(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert);
/* Our surroundings failed: says internal_error to the peer; returns status. */
enum kw_status kw_dtls_fail_internal(struct kw_dtls *dtls, enum kw_status status);
/* Ends now; `sent` says whether we tell the peer. */
void kw_dtls_finish(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert, bool sent);
/* Makes the record that leaves last. */
void kw_dtls_prepare_alert(struct kw_dtls *dtls, uint8_t level, uint8_t description);
/* An alert arrived. */
void kw_dtls_handle_alert(struct kw_dtls *dtls, uint64_t epoch, struct kw_bytes content);
/* The handshake goes on. */
void kw_dtls_undoom(struct kw_dtls *dtls);
void kw_dtls_drop_secrets(struct kw_dtls *dtls);

/* --- the pool (buffers.c) --- */

/* False: all are in use, and none is lent to a half hello of somebody else. */
KW_MUST_USE bool kw_dtls_take_buffers(struct kw_dtls *dtls);
/* The hello is whole and answered: they are no loan any more. */
void kw_dtls_keep_buffers(struct kw_dtls *dtls);
void kw_dtls_give_buffers(struct kw_dtls *dtls);
void kw_dtls_give_buffers_if_idle(struct kw_dtls *dtls);
/* One more block of the size of struct kw_handshake, or NULL. */
KW_MUST_USE void *kw_dtls_take_block(struct kw_dtls *dtls);

/* --- the handshake's common parts (handshake.c) --- */

KW_MUST_USE enum kw_status kw_dtls_handle_message(struct kw_dtls *dtls,
                                                  const struct kw_message *message);
/* Books one fragment and handles the messages that it completes. */
KW_MUST_USE enum kw_status kw_dtls_handle_fragment(struct kw_dtls *dtls,
                                                   const struct kw_fragment *fragment,
                                                   uint64_t epoch, enum kw_verdict *verdict);
/* The two halves of that, for a fragment of which is known that it may come now. */
enum kw_verdict kw_dtls_add_fragment(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                     uint64_t epoch);
KW_MUST_USE enum kw_status kw_dtls_handle_complete_messages(struct kw_dtls *dtls);

/* Begins a new flight: what was sent before is answered. */
void kw_dtls_flight_begin(struct kw_dtls *dtls);
/* Writes a message of the flight and adds it to the transcript, when there is one. */
struct kw_writer kw_dtls_message_begin(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_dtls_message_end(struct kw_dtls *dtls, const struct kw_writer *body,
                                               uint8_t type, uint16_t epoch);
/*
 * Signs content with our identity and writes scheme and signature: RFC 5246, section 4.7
 * (DigitallySigned), and RFC 8446, section 4.4.3.
 */
KW_MUST_USE enum kw_status kw_dtls_write_signature(struct kw_dtls *dtls, struct kw_bytes content,
                                                   struct kw_writer *message);
/* The first timeout, doubled with each expiry. */
kw_ns kw_dtls_timeout(const struct kw_dtls *dtls);
void kw_dtls_arm_retransmit(struct kw_dtls *dtls);
/* Sends the flight, the first time; transmit() arms the timer when the last of it leaves. */
void kw_dtls_flight_send(struct kw_dtls *dtls);
/* Sends again what is not acknowledged, unless that was done a moment ago. */
void kw_dtls_flight_resend(struct kw_dtls *dtls);
/* Nothing waits for an answer any more. */
void kw_dtls_flight_done(struct kw_dtls *dtls);
/* Asks for room in the outbox for one record that leaves as it is; false: there is none now. */
KW_MUST_USE bool kw_outbox_open(struct kw_dtls *dtls, size_t size, struct kw_writer *ret);
void kw_outbox_close(struct kw_dtls *dtls, const struct kw_writer *record);

void kw_dtls_free_kx(struct kw_dtls *dtls);
void kw_dtls_transcript_free(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_dtls_transcript_start(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_dtls_transcript_add(struct kw_dtls *dtls, uint8_t type, uint16_t seq,
                                                  struct kw_bytes body);
/* The hash of one message as the transcript of 1.3 has it. */
KW_MUST_USE enum kw_status kw_dtls_hash_message(struct kw_dtls *dtls, enum kw_hash hash,
                                                uint8_t type, struct kw_bytes body, uint8_t *dst);
KW_MUST_USE enum kw_status kw_dtls_transcript_hash(struct kw_dtls *dtls, uint8_t *dst);

struct kw_record_keys *kw_dtls_write_keys(struct kw_dtls *dtls, uint64_t epoch);
struct kw_record_keys *kw_dtls_newest_write_keys(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_dtls_install_read(struct kw_dtls *dtls,
                                                const struct kw_secret *traffic, uint64_t epoch);
KW_MUST_USE enum kw_status kw_dtls_install_write(struct kw_dtls *dtls,
                                                 const struct kw_secret *traffic, uint64_t epoch);
uint64_t kw_dtls_newest_read_epoch(const struct kw_dtls *dtls);
struct kw_bytes kw_dtls_cid_out(const struct kw_dtls *dtls);
void kw_dtls_event(struct kw_dtls *dtls, enum kw_dtls_event_type type, struct kw_bytes data);
void kw_dtls_connected(struct kw_dtls *dtls);
void kw_dtls_confirmed(struct kw_dtls *dtls);

/* --- DTLS 1.3 (handshake13*.c, post.c) --- */

KW_MUST_USE enum kw_status kw_server_handle_hello(struct kw_dtls *dtls,
                                                  const struct kw_message *message);
/* Another hello takes the place of the one whose handshake never authenticated. */
void kw_server_start_over(struct kw_dtls *dtls);
/* The terms have a suite of 1.3. */
KW_MUST_USE bool kw_dtls_can_do_13(const struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_client_start(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_client_handle_hello(struct kw_dtls *dtls,
                                                  const struct kw_message *message);
KW_MUST_USE enum kw_status kw_client13_handle(struct kw_dtls *dtls,
                                              const struct kw_message *message);
KW_MUST_USE enum kw_status kw_common13_handle(struct kw_dtls *dtls,
                                              const struct kw_message *message);
KW_MUST_USE enum kw_status kw_common13_write_auth(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_common13_derive_handshake(struct kw_dtls *dtls,
                                                        const struct kw_secret *shared);
KW_MUST_USE enum kw_status kw_common13_derive_data(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_post13_handle(struct kw_dtls *dtls, const struct kw_message *message);
/* Sends a KeyUpdate that waits, when nothing else is in flight. */
KW_MUST_USE enum kw_status kw_post13_flush(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_post13_key_update_acked(struct kw_dtls *dtls);
void kw_dtls_handle_ack(struct kw_dtls *dtls, uint64_t epoch, struct kw_bytes content);

/* The signature schemes that we verify, ending with 0. */
const uint16_t *kw_dtls_schemes(const struct kw_dtls *dtls, bool is_13);
/* The certificate that the peer showed against the signalled fingerprints. */
KW_MUST_USE enum kw_status kw_dtls_check_fingerprint(struct kw_dtls *dtls,
                                                     struct kw_bytes certificate, bool *matches);

#endif
