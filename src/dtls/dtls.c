/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four verbs, and the way of a record to those who understand it. A record is told apart by its
 * header, authenticated by the keys of its epoch, and only then believed; what came in the clear is
 * looked at only where a handshake still has to begin.
 */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/client.h"
#include "dtls/handshake12.h"
#include "dtls/hello_phase.h"

#include <string.h>

_Static_assert((int)KW_DTLS_DATA_MAX == (int)KW_RECORD_CONTENT_MAX, "data fills a record");
_Static_assert(KW_RECORD_PLAIN_HEADER + KW_RECORD_NONCE12 + KW_TAG_LEN <= KW_DTLS_OVERHEAD_MAX &&
                   KW_RECORD_UNIFIED_HEADER + KW_DTLS_CID_MAX + 1 + KW_TAG_LEN <=
                       KW_DTLS_OVERHEAD_MAX,
               "a record of either version");

/* --- life --- */

size_t kw_dtls_size(void)
{
    return sizeof(struct kw_dtls);
}

static bool params_valid(const struct kw_dtls_params *params)
{
    if (params->terms == NULL || params->identity == NULL)
        return false;
    if (params->fingerprint_count == 0 || params->fingerprint_count > KW_DTLS_FINGERPRINTS_MAX)
        return false;
    if (params->mtu != 0 && (params->mtu < KW_DTLS_MTU_MIN || params->mtu > KW_DTLS_DATAGRAM_MAX))
        return false;
    if (params->alpn.len > KW_DTLS_ALPN_MAX || params->binding.len > KW_DTLS_BINDING_MAX ||
        params->cid_len > KW_DTLS_CID_MAX)
        return false;
    if (params->role == KW_DTLS_SERVER ? params->has_client_random : params->has_prepared_hello)
        return false;
    return params->terms->suites[0] != KW_SUITE_NONE && params->terms->groups[0] != KW_GROUP_NONE;
}

static void copy_terms(const struct kw_terms *terms, struct kw_dtls_terms *ret)
{
    for (size_t i = 0; i + 1 < KW_POLICY_SUITES && terms->suites[i] != 0; i++)
        ret->suites[i] = (uint16_t)terms->suites[i];
    for (size_t i = 0; i + 1 < KW_POLICY_GROUPS && terms->groups[i] != 0; i++)
        ret->groups[i] = (uint16_t)terms->groups[i];
    for (size_t i = 0; i + 1 < KW_POLICY_PROFILES && terms->profiles[i] != 0; i++)
        ret->profiles[i] = (uint16_t)terms->profiles[i];
    ret->allow_dtls12 = terms->allow_dtls12;
    ret->allow_rsa = terms->allow_rsa;
}

static void copy_params(struct kw_dtls *dtls, const struct kw_dtls_params *params)
{
    kw_ns first = params->path_rtt == 0 ? KW_DTLS_TIMEOUT_UNKNOWN : params->path_rtt * 3 / 2;

    dtls->role = params->role;
    copy_terms(params->terms, &dtls->terms);
    dtls->mtu = (uint16_t)(params->mtu == 0 ? KW_DTLS_MTU_DEFAULT : params->mtu);
    dtls->first_timeout =
        KW_MIN(KW_MAX(first, KW_DTLS_TIMEOUT_FIRST_MIN), KW_DTLS_TIMEOUT_FIRST_MAX);
    dtls->expiries_max = KW_DTLS_EXPIRIES_MAX;
    dtls->timeout_max = KW_DTLS_TIMEOUT_MAX;
    dtls->ask_certificate = true;
    dtls->our_scheme = KW_SIG_ECDSA_P256_SHA256;
    dtls->require_cookie = params->require_cookie;
    dtls->fail_fast = params->fail_fast;
    /* A server of 1.2 may agree to what was offered, and its records (RFC 9146) differ. */
    dtls->use_cid =
        params->use_cid && !(params->role == KW_DTLS_CLIENT && params->terms->allow_dtls12);
    dtls->own_cid_len = params->cid_len;
    memcpy(dtls->own_cid, params->cid, params->cid_len);
    dtls->alpn_len = (uint8_t)params->alpn.len;
    if (params->alpn.len != 0)
        memcpy(dtls->alpn, params->alpn.data, params->alpn.len);
    dtls->binding_len = (uint8_t)params->binding.len;
    if (params->binding.len != 0)
        memcpy(dtls->binding, params->binding.data, params->binding.len);
    dtls->fingerprint_count = (uint8_t)params->fingerprint_count;
    memcpy(dtls->fingerprints, params->fingerprints,
           params->fingerprint_count * sizeof dtls->fingerprints[0]);
    dtls->has_client_random = params->has_client_random;
    dtls->has_prepared_hello = params->has_prepared_hello;
    memcpy(dtls->hello_random,
           params->has_client_random ? params->client_random : params->prepared_hello,
           sizeof dtls->hello_random);
}

enum kw_status kw_dtls_init(void *mem, const struct kw_dtls_shared *shared,
                            const struct kw_dtls_params *params, kw_ns now, struct kw_dtls **ret)
{
    struct kw_dtls *dtls = mem;
    enum kw_status status = KW_OK;

    if (!params_valid(params))
        return KW_ERR_INPUT;
    memset(dtls, 0, sizeof *dtls);
    dtls->shared = shared;
    dtls->crypto = shared->crypto;
    dtls->now = dtls->started_at = now;
    copy_params(dtls, params);
    dtls->retransmit_at = dtls->ack_at = dtls->hello_until = KW_NEVER;
    dtls->give_up_at = dtls->answerable_until = KW_NEVER;
    kw_dtls_undoom(dtls);
    dtls->facts.role = params->role;
    dtls->identity = dtls->crypto->ops->identity_hold(params->identity);
    if (params->role == KW_DTLS_CLIENT) {
        dtls->state = KW_STATE_WAIT_SERVER_HELLO;
        status = kw_client_start(dtls);
    }
    if (status == KW_OK)
        *ret = dtls;
    else
        kw_dtls_deinit(dtls);
    return status;
}

void kw_dtls_deinit(struct kw_dtls *dtls)
{
    if (dtls == NULL)
        return;
    dtls->state = KW_STATE_CLOSED;
    kw_dtls_drop_secrets(dtls);
    kw_pool_give(&dtls->shared->buffers->outboxes, dtls->outbox);
    dtls->crypto->ops->identity_free(dtls->identity);
    kw_wipe(dtls, sizeof *dtls);
}

/* --- receiving --- */

static void stamp(struct kw_dtls *dtls, kw_ns now)
{
    KW_ASSERT(now >= dtls->now);
    dtls->now = now;
}

/* Data that nobody took is gone: its memory belongs to the caller again. */
static void forget_data_events(struct kw_dtls *dtls)
{
    size_t kept = 0;

    for (size_t i = 0; i < dtls->event_count; i++) {
        struct kw_dtls_event *event = &dtls->events[(dtls->event_first + i) % KW_DTLS_EVENTS];

        if (event->type != KW_DTLS_EVENT_DATA)
            dtls->events[(dtls->event_first + kept++) % KW_DTLS_EVENTS] = *event;
    }
    dtls->event_count = (uint8_t)kept;
}

static struct kw_record_keys *find_read_keys(struct kw_dtls *dtls, const struct kw_record *record)
{
    struct kw_record_keys *found = NULL;

    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++) {
        struct kw_record_keys *keys = &dtls->read[i];

        if (keys->aead == NULL || (keys->mask != NULL) != record->is_unified)
            continue;
        if (record->is_unified ? (keys->epoch & 3) != record->epoch_bits
                               : keys->epoch != record->epoch)
            continue;
        if (found == NULL || keys->epoch > found->epoch)
            found = keys;
    }
    return found;
}

/* RFC 9147, section 4: once a connection id is agreed, a record without it is not for us. */
static bool cid_fits(const struct kw_dtls *dtls, const struct kw_record *record)
{
    size_t expected = dtls->facts.cid ? dtls->own_cid_len : 0;

    return record->cid.len == expected &&
           (expected == 0 || memcmp(record->cid.data, dtls->own_cid, expected) == 0);
}

static void note_ack(struct kw_dtls *dtls, uint64_t epoch, uint64_t seq, bool is_13)
{
    /* Of a server's records in the clear the ServerHello is worth an ACK, which then goes out
     * protected; of a client's, the hello that follows a retry. */
    if (epoch == KW_EPOCH_PLAIN && dtls->role == KW_DTLS_SERVER &&
        (dtls->state != KW_STATE_WAIT_CLIENT_HELLO || dtls->hs == NULL || !dtls->hs->was_retried))
        return;
    kw_ack_list_add(&dtls->acks, kw_record_number(epoch, seq));
    /* The hello that settles the version is named by an ACK, but does not ask for one. */
    dtls->ack_wanted |= is_13;
}

/* What makes no sense is fatal when it was authenticated; in the clear it is nobody's word. */
static enum kw_status make_no_sense(struct kw_dtls *dtls, uint64_t epoch, enum kw_alert alert)
{
    if (epoch == KW_EPOCH_PLAIN && !dtls->fail_fast)
        return KW_OK;
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
}

static enum kw_status handle_handshake(struct kw_dtls *dtls, uint64_t epoch, uint64_t seq,
                                       struct kw_bytes content)
{
    struct kw_reader in = kw_reader_of_bytes(content);
    struct kw_fragment fragment;
    bool is_kept = true, is_13 = dtls->version == KW_DTLS_1_3;
    enum kw_status status = KW_OK;

    dtls->has_answered = false;

    /* RFC 8446, section 5.1: "Implementations MUST NOT send zero-length fragments of Handshake
     * types". */
    if (content.len == 0) {
        if (epoch != KW_EPOCH_PLAIN)
            return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
        dtls->counters[KW_DROP_MALFORMED]++;
        return KW_OK;
    }
    while (status == KW_OK && kw_reader_left(&in) != 0 && dtls->state != KW_STATE_CLOSED) {
        enum kw_verdict verdict = kw_fragment_parse(&in, &fragment);

        if (verdict == KW_ACCEPT)
            status = kw_dtls_handle_fragment(dtls, &fragment, epoch, &verdict);
        if (status != KW_OK || dtls->state == KW_STATE_CLOSED)
            return status;
        dtls->counters[verdict]++;
        if (verdict == KW_ACCEPT || verdict == KW_DROP_OLD)
            continue;
        is_kept = false;
        /* A peer that proved who it is must not contradict itself. */
        if (verdict == KW_DROP_TRUNCATED)
            return make_no_sense(dtls, epoch, KW_ALERT_DECODE_ERROR);
        if (verdict == KW_DROP_MALFORMED || fragment.message_len > KW_DTLS_MESSAGE_MAX)
            return make_no_sense(dtls, epoch, KW_ALERT_ILLEGAL_PARAMETER);
    }
    if (status == KW_OK && is_kept && !dtls->has_answered && dtls->state != KW_STATE_CLOSED)
        note_ack(dtls, epoch, seq, is_13);
    return status;
}

static enum kw_status handle_protected(struct kw_dtls *dtls, uint64_t epoch,
                                       const struct kw_opened *opened)
{
    struct kw_bytes content = {opened->content, opened->content_len};

    switch ((enum kw_content)opened->type) {
    case KW_CONTENT_HANDSHAKE:
        return handle_handshake(dtls, epoch, opened->seq, content);
    case KW_CONTENT_ALERT:
        dtls->counters[KW_ACCEPT]++;
        kw_dtls_handle_alert(dtls, epoch, content);
        return KW_OK;
    case KW_CONTENT_DATA:
        /* Application data has an epoch of its own; the handshake's is not it. */
        if (dtls->version == KW_DTLS_1_3 &&
            (dtls->state != KW_STATE_CONNECTED || epoch < KW_EPOCH_DATA))
            break;
        /* In 1.2 it has the epoch of the Finished that it may have overtaken. */
        if (dtls->state != KW_STATE_CONNECTED) {
            dtls->counters[KW_DROP_UNEXPECTED]++;
            return KW_OK;
        }
        dtls->counters[KW_ACCEPT]++;
        if (content.len != 0)
            kw_dtls_event(dtls, KW_DTLS_EVENT_DATA, content);
        return KW_OK;
    case KW_CONTENT_ACK:
        if (dtls->version != KW_DTLS_1_3)
            break;
        dtls->counters[KW_ACCEPT]++;
        kw_dtls_handle_ack(dtls, epoch, content);
        return KW_OK;
    case KW_CONTENT_NONE:
    case KW_CONTENT_CCS:
        break;
    }
    /* RFC 8446, section 5: what was authenticated and makes no sense is fatal. */
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}

static enum kw_status receive_protected(struct kw_dtls *dtls, const struct kw_record *record,
                                        uint8_t *body)
{
    struct kw_record_keys *keys = find_read_keys(dtls, record);
    enum kw_verdict verdict = KW_DROP_KEYLESS;
    struct kw_opened opened;
    uint64_t epoch = 0;
    enum kw_status status = KW_OK;

    if (record->body.len > KW_RECORD_BODY_MAX) {
        verdict = KW_DROP_MALFORMED;
    } else if (keys != NULL) {
        epoch = keys->epoch;
        status = kw_record_unprotect(keys, record, body, false, &opened, &verdict);
        if (status != KW_OK)
            return status;
    }
    if (verdict != KW_ACCEPT) {
        dtls->counters[verdict]++;
        /* RFC 9147, section 4.5.3: beyond the limit the connection MUST be closed. */
        if (verdict == KW_DROP_EXPIRED)
            kw_dtls_finish(dtls, KW_DTLS_END_INTERNAL, KW_ALERT_BAD_RECORD_MAC, true);
        return KW_OK;
    }
    dtls->record_epoch = (uint16_t)epoch;
    /* RFC 8446, section 5.2: "MUST terminate the connection with a 'record_overflow' alert". */
    if (opened.content_len > KW_RECORD_CONTENT_MAX)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_RECORD_OVERFLOW);
    if (epoch == KW_EPOCH_HANDSHAKE)
        kw_dtls_authenticated(dtls);
    return handle_protected(dtls, epoch, &opened);
}

static enum kw_status receive_plain(struct kw_dtls *dtls, const struct kw_record *record)
{
    dtls->record_epoch = KW_EPOCH_PLAIN;
    /* An established association hears nothing that anybody could have said. The version of a
     * record "MUST be ignored for all purposes" (RFC 9147, section 4). */
    if (dtls->state == KW_STATE_CONNECTED) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return KW_OK;
    }
    switch ((enum kw_content)record->type) {
    case KW_CONTENT_HANDSHAKE:
        return handle_handshake(dtls, KW_EPOCH_PLAIN, record->seq, record->body);
    case KW_CONTENT_ALERT:
        kw_dtls_handle_alert(dtls, KW_EPOCH_PLAIN, record->body);
        return KW_OK;
    case KW_CONTENT_ACK:
        /* Anybody could say that a hello has arrived. It is sent again until it is answered. */
        if (!dtls->fail_fast || dtls->version != KW_DTLS_1_3 ||
            (dtls->hs != NULL && dtls->hs->is_authenticated))
            break;
        kw_dtls_handle_ack(dtls, KW_EPOCH_PLAIN, record->body);
        return KW_OK;
    case KW_CONTENT_DATA:
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return make_no_sense(dtls, KW_EPOCH_PLAIN, KW_ALERT_UNEXPECTED_MESSAGE);
    case KW_CONTENT_CCS:
        if (record->body.len == 1 && record->body.data[0] == 1)
            break;
        dtls->counters[KW_DROP_MALFORMED]++;
        return make_no_sense(dtls, KW_EPOCH_PLAIN, KW_ALERT_ILLEGAL_PARAMETER);
    case KW_CONTENT_NONE:
        break;
    }
    dtls->counters[KW_DROP_UNEXPECTED]++;
    return KW_OK;
}

/* RFC 9147, section 7.1: part of a flight is here, and the rest may be lost. */
static void arm_ack(struct kw_dtls *dtls)
{
    if (dtls->state == KW_STATE_CLOSED || dtls->ack_now || !dtls->ack_wanted ||
        dtls->ack_at != KW_NEVER)
        return;
    /* RFC 9147's successor: no ACK before 1.3 is chosen. */
    if (dtls->version != KW_DTLS_1_3 ||
        (kw_dtls_newest_write_keys(dtls) == NULL && (dtls->hs == NULL || !dtls->hs->was_retried)))
        return;
    dtls->ack_armed_at = dtls->now;
    dtls->ack_at = dtls->now + kw_dtls_timeout(dtls) / 4;
}

enum kw_status kw_dtls_receive(struct kw_dtls *dtls, uint8_t *datagram, size_t len, kw_ns now)
{
    struct kw_reader in = kw_reader_of(datagram, len);
    struct kw_record record;
    enum kw_status status = KW_OK;

    stamp(dtls, now);
    forget_data_events(dtls);
    dtls->facts.datagrams_received++;
    if (dtls->facts.datagrams_received == 1 && dtls->role == KW_DTLS_SERVER)
        dtls->started_at = now;
    while (kw_reader_left(&in) != 0 && dtls->state != KW_STATE_CLOSED) {
        enum kw_verdict verdict =
            kw_record_parse(&in, dtls->facts.cid ? dtls->own_cid_len : 0U, &record);

        /* RFC 9147, section 4: a record with another id is of another association, and so "the rest
         * of the datagram MUST be discarded". */
        if (verdict == KW_ACCEPT && record.is_unified && !cid_fits(dtls, &record))
            verdict = KW_DROP_FOREIGN;
        if (verdict != KW_ACCEPT) {
            dtls->counters[verdict]++;
            break;
        }
        if (record.is_unified || record.epoch != KW_EPOCH_PLAIN)
            status = receive_protected(dtls, &record, datagram + (record.body.data - datagram));
        else
            status = receive_plain(dtls, &record);
        if (status != KW_OK)
            return kw_dtls_fail_internal(dtls, status);
    }
    arm_ack(dtls);
    return KW_OK;
}

/* Says whether a plaintext record can be of the handshake that runs. */
static bool owns_plain(const struct kw_dtls *dtls, const struct kw_record *record)
{
    struct kw_reader in = kw_reader_of_bytes(record->body);
    struct kw_fragment fragment;

    if (record->epoch != KW_EPOCH_PLAIN || dtls->state == KW_STATE_CONNECTED ||
        dtls->state == KW_STATE_CLOSED || record->type != KW_CONTENT_HANDSHAKE ||
        kw_fragment_parse(&in, &fragment) != KW_ACCEPT)
        return false;
    if (dtls->version == KW_DTLS_1_3 && dtls->hs != NULL && dtls->hs->is_authenticated)
        return false;
    if (dtls->role == KW_DTLS_SERVER)
        return dtls->state != KW_STATE_WAIT_CLIENT_HELLO || fragment.type == KW_HS_CLIENT_HELLO;
    return fragment.type != KW_HS_CLIENT_HELLO;
}

bool kw_dtls_owns(struct kw_dtls *dtls, const uint8_t *datagram, size_t len)
{
    struct kw_reader in = kw_reader_of(datagram, len);
    uint8_t scratch[KW_DTLS_DATAGRAM_MAX];
    struct kw_record_keys *keys;
    struct kw_record record;
    struct kw_opened opened;
    enum kw_verdict verdict;
    bool owns;

    if (kw_record_parse(&in, dtls->facts.cid ? dtls->own_cid_len : 0U, &record) != KW_ACCEPT)
        return false;
    if (!record.is_unified && record.epoch == KW_EPOCH_PLAIN)
        return owns_plain(dtls, &record);
    keys = find_read_keys(dtls, &record);
    if (keys == NULL || (record.is_unified && !cid_fits(dtls, &record)) ||
        record.body.len > sizeof scratch)
        return false;
    /* Keys that have failed too often end their association, with whatever comes next. */
    owns = kw_record_unprotect(keys, &record, scratch, true, &opened, &verdict) == KW_OK &&
           (verdict == KW_ACCEPT || verdict == KW_DROP_EXPIRED);
    kw_wipe(scratch, record.body.len);
    return owns;
}

/* --- time --- */

kw_ns kw_dtls_deadline(const struct kw_dtls *dtls)
{
    kw_ns first = KW_NEVER;
    const kw_ns timers[] = {
        dtls->retransmit_at, dtls->ack_at,  dtls->hello_until,
        dtls->give_up_at,    dtls->doom.at, dtls->answerable_until,
    };

    for (size_t i = 0; i < KW_ARRAY_LEN(timers); i++)
        first = KW_MIN(first, timers[i]);
    return first;
}

/* The first hello, sent again, brings the right retry. */
static void doubt_retry(struct kw_dtls *dtls)
{
    if (dtls->role == KW_DTLS_CLIENT && !dtls->fail_fast && kw_client_doubts_retry(dtls))
        kw_flight_unack(&dtls->hs->out, 0);
}

/*
 * All read keys but the newest. RFC 9147, section 8: "receivers MUST retain the pre-update keying
 * material until receipt and successful decryption of a message using the new keys".
 */
static void forget_old_epochs(struct kw_dtls *dtls)
{
    uint64_t newest = kw_dtls_newest_read_epoch(dtls);
    bool is_used = false;

    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++)
        is_used |= dtls->read[i].epoch == newest && dtls->read[i].seq != 0;
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++) {
        struct kw_record_keys *keys = &dtls->read[i];

        if (keys->aead == NULL || keys->epoch == newest)
            continue;
        if (keys->epoch >= KW_EPOCH_DATA && !is_used)
            dtls->answerable_until = dtls->now + KW_DTLS_ANSWERABLE;
        else
            kw_record_keys_wipe(keys);
    }
}

static void tick_retransmit(struct kw_dtls *dtls)
{
    if (++dtls->expiries >= dtls->expiries_max) {
        kw_dtls_finish(dtls, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, false);
        return;
    }
    kw_dtls_arm_retransmit(dtls);
    doubt_retry(dtls);
    if (!dtls->hs->out.is_sending) {
        dtls->facts.retransmissions++;
        kw_flight_send(&dtls->hs->out);
    }
}

enum kw_status kw_dtls_tick(struct kw_dtls *dtls, kw_ns now)
{
    stamp(dtls, now);
    dtls->record_epoch = KW_EPOCH_PLAIN;
    if (now >= dtls->doom.at) {
        kw_dtls_finish(dtls, dtls->doom.end, dtls->doom.alert, !dtls->doom.is_received);
        return KW_OK;
    }
    if (now >= dtls->give_up_at) {
        kw_dtls_finish(dtls, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, false);
        return KW_OK;
    }
    if (now >= dtls->hello_until) {
        dtls->hello_until = KW_NEVER;
        if (dtls->state == KW_STATE_WAIT_CLIENT_HELLO)
            kw_dtls_give_buffers(dtls);
        else if (dtls->hs != NULL)
            kw_reassembly_reset(&dtls->hs->in, dtls->hs->in.next_seq);
        kw_dtls_give_buffers_if_idle(dtls);
    }
    if (now >= dtls->ack_at) {
        dtls->ack_at = KW_NEVER;
        dtls->ack_now = true;
    }
    if (now >= dtls->answerable_until) {
        dtls->answerable_until = KW_NEVER;
        forget_old_epochs(dtls);
    }
    if (now >= dtls->retransmit_at)
        tick_retransmit(dtls);
    return KW_OK;
}

/* --- the owner's other wishes --- */

bool kw_dtls_next_event(struct kw_dtls *dtls, struct kw_dtls_event *ret)
{
    if (dtls->event_count == 0)
        return false;
    *ret = dtls->events[dtls->event_first];
    dtls->event_first = (uint8_t)((dtls->event_first + 1) % KW_DTLS_EVENTS);
    dtls->event_count--;
    return true;
}

const struct kw_dtls_facts *kw_dtls_facts(const struct kw_dtls *dtls)
{
    return &dtls->facts;
}

const uint64_t *kw_dtls_counters(const struct kw_dtls *dtls)
{
    return dtls->counters;
}

/* Writes one record of application data, for which there is room. */
static enum kw_status write_data(struct kw_dtls *dtls, struct kw_bytes data, struct kw_writer *out)
{
    struct kw_record_keys *keys = &dtls->write[1];
    enum kw_status status = kw_record_protect(keys, kw_dtls_cid_out(dtls), KW_CONTENT_DATA,
                                              (struct kw_bytes){NULL, 0}, data, out, NULL);

    if (status != KW_OK)
        return kw_dtls_fail_internal(dtls, status);
    /* RFC 9147, section 4.5.3: new keys before this one has sealed as much as it may. */
    if (dtls->version == KW_DTLS_1_3 && keys->seq > keys->info->confidentiality_limit / 4 * 3)
        kw_status_ignore(kw_dtls_update_keys(dtls, false, dtls->now)); /* else with the next one */
    return KW_OK;
}

enum kw_status kw_dtls_send(struct kw_dtls *dtls, struct kw_bytes data, kw_ns now)
{
    struct kw_writer out;
    enum kw_status status;

    stamp(dtls, now);
    if (dtls->state != KW_STATE_CONNECTED)
        return KW_ERR_STATE;
    if (data.len > dtls->mtu - (size_t)KW_DTLS_OVERHEAD_MAX)
        return KW_ERR_INPUT;
    if (!kw_outbox_open(
            dtls, kw_record_overhead(&dtls->write[1], kw_dtls_cid_out(dtls).len) + data.len, &out))
        return KW_ERR_MEMORY;
    status = write_data(dtls, data, &out);
    if (status == KW_OK)
        kw_outbox_close(dtls, &out);
    return status;
}

enum kw_status kw_dtls_protect(struct kw_dtls *dtls, struct kw_bytes data, uint8_t *dst,
                               size_t dst_size, size_t *len_ret, kw_ns now)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);
    enum kw_status status;

    stamp(dtls, now);
    if (dtls->state != KW_STATE_CONNECTED)
        return KW_ERR_STATE;
    if (data.len > KW_DTLS_DATA_MAX || dst_size < data.len + KW_DTLS_OVERHEAD_MAX)
        return KW_ERR_INPUT;
    status = write_data(dtls, data, &out);
    if (status != KW_OK)
        return status;
    dtls->facts.datagrams_sent++;
    *len_ret = out.len;
    return KW_OK;
}

void kw_dtls_close(struct kw_dtls *dtls, kw_ns now)
{
    stamp(dtls, now);
    kw_dtls_finish(dtls, KW_DTLS_END_CLOSED, KW_ALERT_CLOSE_NOTIFY, true);
}
