/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After the handshake: ACKs of the last flight, KeyUpdate (RFC 9147, section 8), and the messages
 * that a server may send and we do not need.
 *
 * A KeyUpdate of ours closes its epoch when the peer acknowledged it: only then do we write with
 * new keys. A KeyUpdate of the peer gives us new read keys at once; the old ones stay beside them
 * until the next update, for records that were overtaken.
 */
#include "dtls/engine.h"

#include "base/assert.h"

#include <string.h>

enum { UPDATE_NOT_REQUESTED = 0, UPDATE_REQUESTED = 1 };
/* Epochs are 16 bits wide inside this engine; with two updates a second it lasts nine hours, and
 * rotation comes first. */
enum { EPOCH_MAX = 0xffff };

static enum kw_status next_secret(struct kw_dtls *dtls, struct kw_secret *secret)
{
    struct kw_secret made = {.len = secret->len};
    enum kw_status status =
        kw_hkdf_expand_label(dtls->crypto, dtls->suite->hash, secret, "traffic upd",
                             (struct kw_bytes){NULL, 0}, made.bytes, made.len);

    if (status == KW_OK)
        *secret = made;
    kw_secret_wipe(&made);
    return status;
}

uint64_t kw_dtls_newest_read_epoch(const struct kw_dtls *dtls)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++) {
        if (dtls->read[i].aead != NULL)
            newest = KW_MAX(newest, dtls->read[i].epoch);
    }
    return newest;
}

enum kw_status kw_post13_flush(struct kw_dtls *dtls)
{
    struct kw_writer out;
    enum kw_status status;

    if (!dtls->key_update_wanted || dtls->key_update_in_flight ||
        dtls->state != KW_STATE_CONNECTED || (dtls->hs != NULL && dtls->hs->out.count != 0))
        return KW_OK;
    if (dtls->write[1].epoch == EPOCH_MAX || dtls->next_send_seq > UINT16_MAX) {
        dtls->key_update_wanted = dtls->key_update_ask = false;
        return KW_ERR_LIMIT;
    }
    if (!kw_dtls_take_buffers(dtls))
        return KW_ERR_MEMORY;
    out = kw_dtls_message_begin(dtls);
    kw_write_u8(&out, dtls->key_update_ask ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED);
    status = kw_dtls_message_end(dtls, &out, KW_HS_KEY_UPDATE, (uint16_t)dtls->write[1].epoch);
    if (status != KW_OK)
        return status;
    dtls->key_update_wanted = dtls->key_update_ask = false;
    dtls->key_update_in_flight = true;
    kw_dtls_flight_send(dtls);
    return KW_OK;
}

enum kw_status kw_post13_key_update_acked(struct kw_dtls *dtls)
{
    enum kw_status status = next_secret(dtls, &dtls->write_secret);

    if (status == KW_OK)
        status = kw_dtls_install_write(dtls, &dtls->write_secret, dtls->write[1].epoch + 1);
    dtls->key_update_in_flight = false;
    return status;
}

/* The whole flight has arrived; what that means depends on which one it was. */
static enum kw_status flight_acked(struct kw_dtls *dtls)
{
    enum kw_status status = KW_OK;

    kw_dtls_flight_done(dtls);
    if (dtls->state != KW_STATE_CONNECTED)
        return KW_OK;
    kw_flight_clear(&dtls->hs->out);
    if (dtls->key_update_in_flight)
        status = kw_post13_key_update_acked(dtls);
    if (status == KW_OK && !dtls->is_confirmed) {
        /* RFC 9147, section 5.11: nothing of the handshake is needed any more. */
        kw_record_keys_wipe(&dtls->write[0]);
        kw_record_keys_wipe(&dtls->read[0]);
        kw_dtls_confirmed(dtls);
    }
    if (status == KW_OK)
        status = kw_post13_flush(dtls);
    if (status == KW_ERR_MEMORY || status == KW_ERR_LIMIT)
        status = KW_OK; /* the update waits */
    kw_dtls_give_buffers_if_idle(dtls);
    return status;
}

void kw_dtls_handle_ack(struct kw_dtls *dtls, uint64_t epoch, struct kw_bytes content)
{
    struct kw_reader in;
    uint64_t named_epoch, named_seq;
    bool is_news = false;

    kw_dtls_note(dtls, false, KW_DTLS_HOOK_ACK, 0, 0);
    if (!kw_ack_open(content, &in)) {
        kw_status_ignore(kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR));
        return;
    }
    while (kw_ack_next(&in, &named_epoch, &named_seq)) {
        /* Section 7: "During the handshake, ACK records MUST be sent with an epoch which is equal
         * to or higher than the record which is being acknowledged." Later on the two directions
         * count their epochs apart. */
        if (named_epoch > epoch && epoch < KW_EPOCH_DATA) {
            kw_status_ignore(
                kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER));
            return;
        }
        /* What we never sent, or have forgotten, is nobody's loss. */
        if (dtls->hs != NULL && named_epoch <= EPOCH_MAX && named_seq <= KW_RECORD_SEQ_MAX)
            is_news |= kw_flight_ack(&dtls->hs->out, kw_record_number(named_epoch, named_seq));
    }
    if (!is_news)
        return;
    if (kw_flight_is_acked(&dtls->hs->out)) {
        enum kw_status status = flight_acked(dtls);

        if (status != KW_OK)
            kw_status_ignore(kw_dtls_fail_internal(dtls, status)); /* CLOSED tells it */
        return;
    }
    /* Section 7.2: the peer lives, and lacks exactly the rest. */
    dtls->expiries = 0;
    kw_dtls_arm_retransmit(dtls);
    kw_dtls_flight_resend(dtls);
}

static enum kw_status handle_key_update(struct kw_dtls *dtls, const struct kw_message *message)
{
    uint64_t epoch = kw_dtls_newest_read_epoch(dtls);
    enum kw_status status;

    if (message->body.len != 1)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    if (message->body.data[0] > UPDATE_REQUESTED)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    /* RFC 9147, section 8: nothing follows a KeyUpdate in its epoch. */
    if (message->epoch != epoch || epoch == EPOCH_MAX || kw_reassembly_has_later(&dtls->hs->in))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    status = next_secret(dtls, &dtls->read_secret);
    if (status == KW_OK)
        status = kw_dtls_install_read(dtls, &dtls->read_secret, epoch + 1);
    if (status != KW_OK)
        return status;
    /* The old keys stay for what was overtaken, and for a repetition that asks for our ACK. */
    dtls->answerable_until = dtls->now + KW_DTLS_ANSWERABLE;
    if (message->body.data[0] == UPDATE_REQUESTED && !dtls->key_update_in_flight)
        dtls->key_update_wanted = true;
    status = kw_post13_flush(dtls);
    return status == KW_ERR_MEMORY || status == KW_ERR_LIMIT ? KW_OK : status;
}

/* RFC 9147, section 9: other ids that we may, or must, write from now on. */
static enum kw_status handle_new_cid(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_reader list = kw_reader_of_bytes(kw_read_vector(&in, 2));
    uint8_t usage = kw_read_u8(&in);
    struct kw_bytes first = kw_read_vector(&list, 1);

    while (kw_reader_left(&list) != 0)
        kw_read_vector(&list, 1); /* spare: one is enough */
    if (!kw_reader_done(&in) || list.failed)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    if (!dtls->facts.cid || dtls->peer_cid_len == 0)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    if (usage > 1 || first.len > KW_DTLS_CID_MAX)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    if (usage == 0) { /* cid_immediate */
        memcpy(dtls->peer_cid, first.data, first.len);
        dtls->peer_cid_len = (uint8_t)first.len;
    }
    return KW_OK;
}

static enum kw_status handle_ticket(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes ticket;

    kw_read_u64(&in); /* lifetime and age */
    kw_read_vector(&in, 1);
    ticket = kw_read_vector(&in, 2);
    kw_read_vector(&in, 2);
    if (!kw_reader_done(&in) || ticket.len == 0)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    return KW_OK;
}

enum kw_status kw_post13_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    switch (message->type) {
    case KW_HS_KEY_UPDATE:
        return handle_key_update(dtls, message);
    case KW_HS_NEW_CONNECTION_ID:
        return handle_new_cid(dtls, message);
    case KW_HS_REQUEST_CONNECTION_ID:
        if (message->body.len != 1)
            return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
        /* RFC 9147, section 9: not without an id, nor by who writes an empty one. */
        if (!dtls->facts.cid || dtls->own_cid_len == 0)
            break;
        return KW_OK; /* "fewer than requested" is allowed: we have one */
    case KW_HS_NEW_SESSION_TICKET:
        if (dtls->role != KW_DTLS_CLIENT)
            break;
        return handle_ticket(dtls, message); /* there is no resumption here */
    default:
        break;
    }
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}

enum kw_status kw_dtls_update_keys(struct kw_dtls *dtls, bool ask_peer, kw_ns now)
{
    enum kw_status status;

    KW_ASSERT(now >= dtls->now);
    dtls->now = now;
    if (dtls->state != KW_STATE_CONNECTED || dtls->version != KW_DTLS_1_3)
        return KW_ERR_STATE;
    /* One that is on its way brings the same. */
    if (dtls->key_update_in_flight)
        return KW_OK;
    dtls->key_update_wanted = true;
    dtls->key_update_ask |= ask_peer;
    status = kw_post13_flush(dtls);
    /* Without a buffer it waits for the next flight that ends; asking again tries again. */
    if (status != KW_OK && status != KW_ERR_MEMORY && status != KW_ERR_LIMIT)
        return kw_dtls_fail_internal(dtls, status);
    return status;
}
