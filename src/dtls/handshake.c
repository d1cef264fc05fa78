/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both versions and both roles share: the transcript, flights, and the way of a fragment to
 * its handler.
 */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/handshake12.h"
#include "dtls/hello_phase.h"

#include <string.h>

void kw_dtls_free_kx(struct kw_dtls *dtls)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->hs->kx); i++) {
        if (dtls->hs->kx[i] != NULL)
            dtls->crypto->ops->kx_free(dtls->hs->kx[i]);
        dtls->hs->kx[i] = NULL;
    }
}

void kw_dtls_transcript_free(struct kw_dtls *dtls)
{
    if (dtls->hs->transcript != NULL)
        dtls->crypto->ops->digest_free(dtls->hs->transcript);
    dtls->hs->transcript = NULL;
}

/* --- transcript --- */

enum kw_status kw_dtls_transcript_start(struct kw_dtls *dtls)
{
    kw_dtls_transcript_free(dtls);
    return dtls->crypto->ops->digest_new(dtls->crypto, dtls->suite->hash, &dtls->hs->transcript);
}

static enum kw_status add_raw(struct kw_handshake *hs, struct kw_bytes header, struct kw_bytes body)
{
    struct kw_writer out = {.start = hs->raw, .len = hs->raw_len, .size = sizeof *hs};

    kw_write_bytes(&out, header);
    kw_write_bytes(&out, body);
    if (out.failed)
        return KW_ERR_LIMIT;
    hs->raw_len = out.len;
    return KW_OK;
}

/*
 * RFC 9147, section 5.2: the transcript of 1.3 omits message_seq and the fragment fields. That of
 * 1.2 has them, as if the message had come whole (RFC 6347, section 4.2.6).
 */
enum kw_status kw_dtls_transcript_add(struct kw_dtls *dtls, uint8_t type, uint16_t seq,
                                      struct kw_bytes body)
{
    struct kw_digest *digest = dtls->hs->transcript;
    uint8_t header[KW_FRAGMENT_HEADER];
    struct kw_writer out = kw_writer_of(header, sizeof header);
    enum kw_status status;

    if (digest == NULL && dtls->hs->raw == NULL)
        return KW_OK;
    kw_write_u8(&out, type);
    kw_write_u24(&out, (uint32_t)body.len);
    if (dtls->version == KW_DTLS_1_2) {
        kw_write_u16(&out, seq);
        kw_write_u24(&out, 0);
        kw_write_u24(&out, (uint32_t)body.len);
        return add_raw(dtls->hs, kw_writer_view(&out), body);
    }
    status = dtls->crypto->ops->digest_update(digest, kw_writer_view(&out));
    if (status == KW_OK && body.len != 0)
        status = dtls->crypto->ops->digest_update(digest, body);
    return status;
}

enum kw_status kw_dtls_transcript_hash(struct kw_dtls *dtls, uint8_t *dst)
{
    return dtls->crypto->ops->digest_peek(dtls->hs->transcript, dst);
}

enum kw_status kw_dtls_hash_message(struct kw_dtls *dtls, enum kw_hash hash, uint8_t type,
                                    struct kw_bytes body, uint8_t *dst)
{
    const uint8_t header[4] = {type, (uint8_t)(body.len >> 16), (uint8_t)(body.len >> 8),
                               (uint8_t)body.len};
    struct kw_digest *digest;
    enum kw_status status = dtls->crypto->ops->digest_new(dtls->crypto, hash, &digest);

    if (status != KW_OK)
        return status;
    status = dtls->crypto->ops->digest_update(digest, (struct kw_bytes){header, sizeof header});
    if (status == KW_OK)
        status = dtls->crypto->ops->digest_update(digest, body);
    if (status == KW_OK)
        status = dtls->crypto->ops->digest_peek(digest, dst);
    dtls->crypto->ops->digest_free(digest);
    return status;
}

/* --- flights --- */

void kw_dtls_flight_begin(struct kw_dtls *dtls)
{
    kw_flight_clear(&dtls->hs->out);
    dtls->hs->out.is_unsent = true;
    dtls->has_answered = true;
    /* The answer says that we have it all (RFC 9147, section 7.1). */
    kw_ack_list_clear(&dtls->acks);
    dtls->ack_now = dtls->ack_wanted = false;
    dtls->ack_at = KW_NEVER;
}

kw_ns kw_dtls_timeout(const struct kw_dtls *dtls)
{
    kw_ns timeout = dtls->first_timeout;

    for (size_t i = 0; i < dtls->expiries && timeout < dtls->timeout_max; i++)
        timeout *= 2;
    return KW_MIN(timeout, dtls->timeout_max);
}

void kw_dtls_arm_retransmit(struct kw_dtls *dtls)
{
    dtls->armed_at = dtls->now;
    dtls->retransmit_at = dtls->now + kw_dtls_timeout(dtls);
}

struct kw_writer kw_dtls_message_begin(struct kw_dtls *dtls)
{
    return kw_flight_begin(&dtls->hs->out);
}

enum kw_status kw_dtls_message_end(struct kw_dtls *dtls, const struct kw_writer *body, uint8_t type,
                                   uint16_t epoch)
{
    uint16_t seq = (uint16_t)dtls->next_send_seq;

    if (dtls->next_send_seq > UINT16_MAX || !kw_flight_end(&dtls->hs->out, body, type, seq, epoch))
        return KW_ERR_LIMIT;
    dtls->next_send_seq++;
    kw_dtls_note(dtls, true, KW_DTLS_HOOK_HANDSHAKE, type, 0);
    /* Which hello counts is known only when it is answered. */
    if (type == KW_HS_CLIENT_HELLO)
        return KW_OK;
    return kw_dtls_transcript_add(dtls, type, seq, kw_writer_view(body));
}

enum kw_status kw_dtls_write_signature(struct kw_dtls *dtls, struct kw_bytes content,
                                       struct kw_writer *message)
{
    uint8_t signature[KW_SIGNATURE_MAX];
    size_t signature_len;
    enum kw_status status = dtls->crypto->ops->sign(
        dtls->identity, (enum kw_sigscheme)dtls->our_scheme, content, signature, &signature_len);

    if (status != KW_OK)
        return status;
    kw_write_u16(message, dtls->our_scheme);
    kw_write_vector(message, (struct kw_bytes){signature, signature_len}, 2);
    dtls->facts.our_scheme = (enum kw_sigscheme)dtls->our_scheme;
    return KW_OK;
}

void kw_dtls_flight_send(struct kw_dtls *dtls)
{
    kw_flight_send(&dtls->hs->out);
    dtls->expiries = 0;
    kw_dtls_arm_retransmit(dtls);
}

void kw_dtls_flight_resend(struct kw_dtls *dtls)
{
    if (dtls->hs == NULL || dtls->hs->out.count == 0 || dtls->hs->out.is_sending)
        return;
    /* The peer's repetition and our timer often come together; one answer is enough. */
    if (dtls->now - dtls->flight_sent_at < kw_dtls_timeout(dtls) / 2)
        return;
    dtls->facts.retransmissions++;
    kw_flight_send(&dtls->hs->out);
}

void kw_dtls_flight_done(struct kw_dtls *dtls)
{
    dtls->retransmit_at = KW_NEVER;
    dtls->expiries = 0;
    if (dtls->hs != NULL)
        dtls->hs->out.is_sending = false;
}

/* --- the way of a fragment --- */

/* Says whether a fragment of this epoch may belong to what we wait for. */
static bool epoch_fits(const struct kw_dtls *dtls, uint64_t epoch)
{
    switch (dtls->state) {
    case KW_STATE_WAIT_CLIENT_HELLO:
    case KW_STATE_WAIT_SERVER_HELLO:
        return false; /* see hello_phase.c */
    case KW_STATE_12_CERTIFICATE:
    case KW_STATE_12_SERVER_KEY:
    case KW_STATE_12_REQUEST:
    case KW_STATE_12_HELLO_DONE:
    case KW_STATE_12_CLIENT_KEY:
    case KW_STATE_12_VERIFY:
        return epoch == KW_EPOCH_PLAIN;
    case KW_STATE_WAIT_EXTENSIONS:
    case KW_STATE_WAIT_REQUEST:
    case KW_STATE_WAIT_CERTIFICATE:
    case KW_STATE_WAIT_VERIFY:
    case KW_STATE_WAIT_FINISHED:
        return epoch == KW_EPOCH_HANDSHAKE;
    case KW_STATE_12_FINISHED:
        return epoch == 1;
    case KW_STATE_CONNECTED:
        /* RFC 9147, section 8: nothing new follows a KeyUpdate in its epoch. */
        return epoch == (dtls->version == KW_DTLS_1_2 ? 1 : kw_dtls_newest_read_epoch(dtls));
    case KW_STATE_CLOSED:
        return false;
    }
    return false;
}

enum kw_status kw_dtls_handle_complete_messages(struct kw_dtls *dtls)
{
    struct kw_message message;
    enum kw_status status = KW_OK;

    while (status == KW_OK && dtls->hs != NULL && kw_reassembly_peek(&dtls->hs->in, &message)) {
        /* It came early, in the clear, and would be believed now: Finished of 1.2, say. */
        if (!epoch_fits(dtls, message.epoch)) {
            dtls->counters[KW_DROP_UNEXPECTED]++;
            kw_reassembly_reset(&dtls->hs->in, message.seq);
            return dtls->fail_fast
                       ? kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE)
                       : KW_OK;
        }
        dtls->hs->was_forgotten = false;
        status = kw_dtls_handle_message(dtls, &message);
        if (status != KW_OK || dtls->state == KW_STATE_CLOSED)
            break;
        /* A hello that was refused, or answered with a retry, has let go of its place. */
        if (dtls->hs != NULL && !dtls->hs->was_forgotten)
            kw_reassembly_pop(&dtls->hs->in);
    }
    if (dtls->hs != NULL && !kw_reassembly_has_open(&dtls->hs->in))
        dtls->hello_until = KW_NEVER;
    if (status == KW_OK)
        kw_dtls_give_buffers_if_idle(dtls);
    return status;
}

/* One of the messages that the hello phase is about. */
static bool is_hello(const struct kw_fragment *fragment)
{
    return fragment->type == KW_HS_CLIENT_HELLO || fragment->type == KW_HS_SERVER_HELLO ||
           fragment->type == KW_HS_HELLO_VERIFY_REQUEST;
}

/*
 * What came half may never be whole, and holds buffers. In the clear it may also be a stranger's,
 * who contradicts the true one. Of hellos the newest has the place: a true one comes in one breath,
 * and whoever goes on sending pieces of others, each of another length, would be first every time.
 * Elsewhere the newer one is tried after a while.
 */
enum kw_verdict kw_dtls_add_fragment(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                     uint64_t epoch)
{
    struct kw_reassembly *in = &dtls->hs->in;
    bool is_first = !kw_reassembly_has_open(in);
    bool newest_wins = is_hello(fragment) && !dtls->fail_fast;
    enum kw_verdict verdict = kw_reassembly_add(in, fragment, (uint16_t)epoch);

    if (verdict == KW_DROP_MALFORMED && epoch == KW_EPOCH_PLAIN &&
        (newest_wins || dtls->now - dtls->hs->fragment_at >= KW_DTLS_HELLO_PATIENCE)) {
        if (newest_wins)
            kw_reassembly_forget(in, fragment->seq);
        else
            kw_reassembly_reset(in, in->next_seq);
        is_first = !kw_reassembly_has_open(in);
        verdict = kw_reassembly_add(in, fragment, (uint16_t)epoch);
    }
    if (verdict != KW_ACCEPT)
        return verdict;
    /* What follows does not make it younger: a stranger could go on adding bytes. */
    if (is_first)
        dtls->hs->fragment_at = dtls->now;
    if ((dtls->state == KW_STATE_WAIT_CLIENT_HELLO || dtls->state == KW_STATE_CONNECTED) &&
        dtls->hello_until == KW_NEVER)
        dtls->hello_until = dtls->now + KW_DTLS_PARTIAL_PATIENCE;
    return KW_ACCEPT;
}

enum kw_status kw_dtls_handle_fragment(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                       uint64_t epoch, enum kw_verdict *verdict)
{
    uint32_t expected;
    bool is_hello;
    enum kw_status status;

    if (epoch == KW_EPOCH_PLAIN) {
        status = kw_dtls_hello_concerns(dtls, fragment, &is_hello);
        if (status != KW_OK || is_hello)
            return status == KW_OK ? kw_dtls_hello_handle_fragment(dtls, fragment, verdict)
                                   : status;
    }
    expected = dtls->hs != NULL ? dtls->hs->in.next_seq : dtls->next_receive_seq;
    /* Handled already, so its sender has not heard our answer: 1.3 acknowledges it once more. */
    if (fragment->seq < expected && (epoch != KW_EPOCH_PLAIN || dtls->version == KW_DTLS_1_2)) {
        *verdict = KW_DROP_OLD;
        return dtls->version == KW_DTLS_1_2 ? kw_common12_handle_old(dtls, fragment, epoch) : KW_OK;
    }
    if (!epoch_fits(dtls, epoch)) {
        *verdict = KW_DROP_UNEXPECTED;
        if (epoch == KW_EPOCH_PLAIN)
            kw_dtls_hello_remind(dtls, fragment);
        return epoch == KW_EPOCH_PLAIN
                   ? KW_OK
                   : kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    }
    if (!kw_dtls_take_buffers(dtls)) {
        *verdict = KW_DROP_LIMIT;
        return KW_OK;
    }
    *verdict = kw_dtls_add_fragment(dtls, fragment, epoch);
    if (*verdict != KW_ACCEPT) {
        kw_dtls_give_buffers_if_idle(dtls);
        return KW_OK;
    }
    /* RFC 9147, section 7.1: what belongs to the next flight acknowledges ours as a whole. */
    if (dtls->state != KW_STATE_CONNECTED && !kw_dtls_hello_is_unproved12(dtls) &&
        (dtls->role == KW_DTLS_SERVER || dtls->version == KW_DTLS_1_2))
        kw_dtls_flight_done(dtls);
    return kw_dtls_handle_complete_messages(dtls);
}

enum kw_status kw_dtls_handle_message(struct kw_dtls *dtls, const struct kw_message *message)
{
    enum kw_dtls_state before = dtls->state;
    enum kw_status status = KW_ERR_STATE;

    kw_dtls_note(dtls, false, KW_DTLS_HOOK_HANDSHAKE, message->type, 0);
    switch (dtls->state) {
    case KW_STATE_WAIT_CLIENT_HELLO:
        status = kw_server_handle_hello(dtls, message);
        break;
    case KW_STATE_WAIT_SERVER_HELLO:
        status = kw_client_handle_hello(dtls, message);
        break;
    case KW_STATE_WAIT_EXTENSIONS:
    case KW_STATE_WAIT_REQUEST:
        status = message->epoch == KW_EPOCH_PLAIN ? kw_client_handle_hello(dtls, message)
                                                  : kw_client13_handle(dtls, message);
        break;
    case KW_STATE_WAIT_CERTIFICATE:
    case KW_STATE_WAIT_VERIFY:
    case KW_STATE_WAIT_FINISHED:
        status = message->epoch == KW_EPOCH_PLAIN ? kw_server_handle_hello(dtls, message)
                                                  : kw_common13_handle(dtls, message);
        break;
    case KW_STATE_12_CERTIFICATE:
    case KW_STATE_12_SERVER_KEY:
    case KW_STATE_12_REQUEST:
    case KW_STATE_12_HELLO_DONE:
    case KW_STATE_12_CLIENT_KEY:
    case KW_STATE_12_VERIFY:
    case KW_STATE_12_FINISHED:
        status = dtls->role == KW_DTLS_SERVER ? kw_server12_handle(dtls, message)
                                              : kw_client12_handle(dtls, message);
        break;
    case KW_STATE_CONNECTED:
        status = dtls->version == KW_DTLS_1_2 ? kw_post12_handle(dtls, message)
                                              : kw_post13_handle(dtls, message);
        break;
    case KW_STATE_CLOSED:
        return KW_OK;
    }
    if (status == KW_OK && dtls->state != before && dtls->state != KW_STATE_CLOSED) {
        kw_dtls_undoom(dtls);
        dtls->give_up_at =
            dtls->state == KW_STATE_CONNECTED ? KW_NEVER : dtls->now + KW_DTLS_GIVE_UP;
    }
    return status;
}

/* --- keys --- */

/* Handshake keys lie in slot 0; those of data alternate, so that two epochs live side by side. */
static size_t read_slot(uint64_t epoch)
{
    return epoch == KW_EPOCH_HANDSHAKE ? 0 : 1 + (epoch & 1);
}

enum kw_status kw_dtls_install_read(struct kw_dtls *dtls, const struct kw_secret *traffic,
                                    uint64_t epoch)
{
    struct kw_record_keys made;
    struct kw_record_keys *slot = &dtls->read[read_slot(epoch)];
    enum kw_status status =
        kw_record_keys_derive(dtls->crypto, dtls->suite, traffic, epoch, false, &made);

    if (status != KW_OK)
        return status;
    kw_record_keys_wipe(slot);
    /* Epoch 6 has the bits of epoch 2. */
    if (epoch > KW_EPOCH_DATA + 2)
        kw_record_keys_wipe(&dtls->read[0]);
    *slot = made;
    kw_wipe(&made, sizeof made);
    return KW_OK;
}

enum kw_status kw_dtls_install_write(struct kw_dtls *dtls, const struct kw_secret *traffic,
                                     uint64_t epoch)
{
    struct kw_record_keys made;
    struct kw_record_keys *slot = &dtls->write[epoch == KW_EPOCH_HANDSHAKE ? 0 : 1];
    enum kw_status status =
        kw_record_keys_derive(dtls->crypto, dtls->suite, traffic, epoch, true, &made);

    if (status != KW_OK)
        return status;
    kw_record_keys_wipe(slot);
    *slot = made;
    kw_wipe(&made, sizeof made);
    return KW_OK;
}

struct kw_record_keys *kw_dtls_write_keys(struct kw_dtls *dtls, uint64_t epoch)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->write); i++) {
        if (dtls->write[i].aead != NULL && dtls->write[i].epoch == epoch)
            return &dtls->write[i];
    }
    return NULL;
}

struct kw_record_keys *kw_dtls_newest_write_keys(struct kw_dtls *dtls)
{
    if (dtls->write[1].aead != NULL)
        return &dtls->write[1];
    return dtls->write[0].aead != NULL ? &dtls->write[0] : NULL;
}

struct kw_bytes kw_dtls_cid_out(const struct kw_dtls *dtls)
{
    return (struct kw_bytes){dtls->peer_cid, dtls->facts.cid ? dtls->peer_cid_len : 0U};
}

/* --- what the owner is told --- */

void kw_dtls_event(struct kw_dtls *dtls, enum kw_dtls_event_type type, struct kw_bytes data)
{
    size_t limit = type == KW_DTLS_EVENT_DATA ? KW_DTLS_DATA_EVENTS : KW_DTLS_EVENTS;

    if (dtls->event_count >= limit) {
        dtls->counters[KW_DROP_LIMIT]++;
        return;
    }
    dtls->events[(dtls->event_first + dtls->event_count++) % KW_DTLS_EVENTS] =
        (struct kw_dtls_event){.type = type, .data = data, .alert = KW_ALERT_NONE};
}

/* Both have signed, and nobody signs again: the identity has no task left. */
void kw_dtls_connected(struct kw_dtls *dtls)
{
    dtls->state = KW_STATE_CONNECTED;
    dtls->crypto->ops->identity_free(dtls->identity);
    dtls->identity = NULL;
    kw_dtls_undoom(dtls);
    dtls->facts.duration = dtls->now - dtls->started_at;
    kw_dtls_event(dtls, KW_DTLS_EVENT_CONNECTED, (struct kw_bytes){NULL, 0});
}

void kw_dtls_confirmed(struct kw_dtls *dtls)
{
    if (dtls->is_confirmed)
        return;
    dtls->is_confirmed = true;
    kw_dtls_event(dtls, KW_DTLS_EVENT_CONFIRMED, (struct kw_bytes){NULL, 0});
}

bool kw_dtls_can_do_13(const struct kw_dtls *dtls)
{
    for (const uint16_t *ours = dtls->terms.suites; *ours != 0; ours++) {
        const struct kw_suite_info *info = kw_suite_info((enum kw_suite) * ours);

        if (info != NULL && info->version == KW_DTLS_1_3)
            return true;
    }
    return false;
}

enum kw_status kw_dtls_check_fingerprint(struct kw_dtls *dtls, struct kw_bytes certificate,
                                         bool *matches)
{
    struct kw_fingerprint made;
    enum kw_status status;

    *matches = false;
    if (dtls->hooks.fingerprint != NULL &&
        dtls->hooks.fingerprint(dtls->hooks.fingerprint_ctx, certificate, &dtls->fingerprints[0]))
        dtls->fingerprint_count = 1;
    for (size_t i = 0; i < dtls->fingerprint_count; i++) {
        const struct kw_fingerprint *signalled = &dtls->fingerprints[i];

        status = kw_crypto_fingerprint(dtls->crypto, signalled->hash, certificate, &made);
        if (status != KW_OK)
            return status;
        if (kw_fingerprint_equal(&made, signalled)) {
            dtls->facts.peer_fingerprint = made;
            *matches = true;
            return KW_OK;
        }
    }
    return KW_OK;
}
