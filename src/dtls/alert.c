/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an association ends. The last record is made at once and kept ready for transmit(), so that
 * all secrets can be wiped in the same breath.
 */
#include "dtls/engine.h"

#include "base/assert.h"

#include <string.h>

enum { ALERT_WARNING = 1, ALERT_FATAL = 2, ALERT_LEN = 2 };

const char *kw_alert_name(enum kw_alert alert)
{
    switch (alert) {
    case KW_ALERT_CLOSE_NOTIFY:
        return "close_notify";
    case KW_ALERT_UNEXPECTED_MESSAGE:
        return "unexpected_message";
    case KW_ALERT_BAD_RECORD_MAC:
        return "bad_record_mac";
    case KW_ALERT_RECORD_OVERFLOW:
        return "record_overflow";
    case KW_ALERT_HANDSHAKE_FAILURE:
        return "handshake_failure";
    case KW_ALERT_BAD_CERTIFICATE:
        return "bad_certificate";
    case KW_ALERT_UNSUPPORTED_CERTIFICATE:
        return "unsupported_certificate";
    case KW_ALERT_CERTIFICATE_UNKNOWN:
        return "certificate_unknown";
    case KW_ALERT_ILLEGAL_PARAMETER:
        return "illegal_parameter";
    case KW_ALERT_DECODE_ERROR:
        return "decode_error";
    case KW_ALERT_DECRYPT_ERROR:
        return "decrypt_error";
    case KW_ALERT_PROTOCOL_VERSION:
        return "protocol_version";
    case KW_ALERT_INSUFFICIENT_SECURITY:
        return "insufficient_security";
    case KW_ALERT_INTERNAL_ERROR:
        return "internal_error";
    case KW_ALERT_USER_CANCELED:
        return "user_canceled";
    case KW_ALERT_NO_RENEGOTIATION:
        return "no_renegotiation";
    case KW_ALERT_MISSING_EXTENSION:
        return "missing_extension";
    case KW_ALERT_UNSUPPORTED_EXTENSION:
        return "unsupported_extension";
    case KW_ALERT_CERTIFICATE_REQUIRED:
        return "certificate_required";
    case KW_ALERT_NO_APPLICATION_PROTOCOL:
        return "no_application_protocol";
    case KW_ALERT_NONE:
        return "none";
    }
    return "unknown";
}

const char *kw_dtls_end_name(enum kw_dtls_end end)
{
    switch (end) {
    case KW_DTLS_END_NONE:
        return "none";
    case KW_DTLS_END_CLOSED:
        return "closed";
    case KW_DTLS_END_ALERT_SENT:
        return "alert_sent";
    case KW_DTLS_END_ALERT_RECEIVED:
        return "alert_received";
    case KW_DTLS_END_TIMEOUT:
        return "timeout";
    case KW_DTLS_END_FINGERPRINT:
        return "fingerprint";
    case KW_DTLS_END_POLICY:
        return "policy";
    case KW_DTLS_END_INTERNAL:
        return "internal";
    }
    return "unknown";
}

/* Makes the last record; a failure to do so leaves the peer to its timers. */
void kw_dtls_prepare_alert(struct kw_dtls *dtls, uint8_t level, uint8_t description)
{
    const struct kw_bytes none = {NULL, 0};
    uint8_t content[ALERT_LEN] = {level, description};
    struct kw_bytes view = {content, sizeof content};
    struct kw_writer out = kw_writer_of(dtls->alert, sizeof dtls->alert);
    struct kw_record_keys *keys = kw_dtls_newest_write_keys(dtls);

    kw_dtls_note(dtls, true, KW_DTLS_HOOK_ALERT, level, description);
    /* As long as nothing of a client's last flight has left, its peer reads the handshake epoch. */
    if (dtls->role == KW_DTLS_CLIENT && dtls->write[0].aead != NULL && dtls->hs != NULL &&
        dtls->hs->out.count != 0 && dtls->hs->out.is_unsent)
        keys = &dtls->write[0];
    if (keys == NULL)
        kw_record_write_plain(KW_CONTENT_ALERT, KW_DTLS_1_2, dtls->plain_seq++, none, view, &out);
    else if (kw_record_protect(keys, kw_dtls_cid_out(dtls), KW_CONTENT_ALERT, none, view, &out,
                               NULL) != KW_OK)
        out.failed = true;
    dtls->alert_len = out.failed ? 0 : (uint8_t)out.len;
}

void kw_dtls_drop_secrets(struct kw_dtls *dtls)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++)
        kw_record_keys_wipe(&dtls->read[i]);
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->write); i++)
        kw_record_keys_wipe(&dtls->write[i]);
    kw_secret_wipe(&dtls->read_secret);
    kw_secret_wipe(&dtls->write_secret);
    kw_secret_wipe(&dtls->exporter);
    kw_dtls_give_buffers(dtls);
}

void kw_dtls_finish(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert, bool sent)
{
    if (dtls->state == KW_STATE_CLOSED)
        return;
    if (sent)
        kw_dtls_prepare_alert(dtls, alert == KW_ALERT_CLOSE_NOTIFY ? ALERT_WARNING : ALERT_FATAL,
                              (uint8_t)alert);
    dtls->state = KW_STATE_CLOSED;
    kw_dtls_drop_secrets(dtls);
    dtls->retransmit_at = dtls->ack_at = dtls->hello_until = KW_NEVER;
    dtls->give_up_at = dtls->answerable_until = KW_NEVER;
    kw_dtls_undoom(dtls);
    dtls->ack_now = dtls->ack_wanted = false;

    kw_dtls_event(dtls, KW_DTLS_EVENT_CLOSED, (struct kw_bytes){NULL, 0});
    struct kw_dtls_event *last =
        &dtls->events[(dtls->event_first + dtls->event_count - 1U) % KW_DTLS_EVENTS];

    last->end = end;
    last->alert = alert;
}

static void doom(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert, bool is_received)
{
    /* A hello that makes sense and has nothing in common with the terms is most likely the peer's.
     */
    bool is_refusal = dtls->role == KW_DTLS_SERVER && end == KW_DTLS_END_POLICY;

    if (dtls->doom.at != KW_NEVER)
        return;
    dtls->doom = (struct kw_doom){
        .at = dtls->now + (is_refusal ? KW_DTLS_REFUSAL_PATIENCE : KW_DTLS_DOOM_PATIENCE),
        .end = end,
        .alert = alert,
        .is_received = is_received,
    };
}

void kw_dtls_undoom(struct kw_dtls *dtls)
{
    dtls->doom.at = KW_NEVER;
}

enum kw_status kw_dtls_fail(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert)
{
    if (dtls->record_epoch != KW_EPOCH_PLAIN || dtls->fail_fast)
        kw_dtls_finish(dtls, end, alert, true);
    else
        doom(dtls, end, alert, false);
    return KW_OK;
}

enum kw_status kw_dtls_fail_internal(struct kw_dtls *dtls, enum kw_status status)
{
    kw_dtls_finish(dtls, KW_DTLS_END_INTERNAL, KW_ALERT_INTERNAL_ERROR, true);
    return status;
}

static void receive_plain_alert(struct kw_dtls *dtls, uint8_t description)
{
    bool has_keys = dtls->version == KW_DTLS_1_2 ? dtls->state == KW_STATE_CONNECTED
                                                 : kw_dtls_newest_write_keys(dtls) != NULL;

    /* Nothing in the clear is believed once keys exist; a stranger could have sent it. */
    if (has_keys) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return;
    }
    if (dtls->fail_fast) {
        kw_dtls_finish(dtls, KW_DTLS_END_ALERT_RECEIVED, (enum kw_alert)description, false);
        return;
    }
    doom(dtls, KW_DTLS_END_ALERT_RECEIVED, (enum kw_alert)description, true);
}

void kw_dtls_handle_alert(struct kw_dtls *dtls, uint64_t epoch, struct kw_bytes content)
{
    uint8_t level, description;

    if (content.len != ALERT_LEN) {
        dtls->counters[KW_DROP_MALFORMED]++;
        if (epoch != KW_EPOCH_PLAIN || dtls->fail_fast)
            kw_status_ignore(kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR));
        return;
    }
    level = content.data[0];
    description = content.data[1];
    kw_dtls_note(dtls, false, KW_DTLS_HOOK_ALERT, level, description);
    if (epoch == KW_EPOCH_PLAIN) {
        receive_plain_alert(dtls, description);
        return;
    }
    if (level != ALERT_WARNING && level != ALERT_FATAL) {
        kw_status_ignore(kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER));
        return;
    }
    if (description == KW_ALERT_CLOSE_NOTIFY) {
        /* RFC 8446, section 6.1, allows the other direction to go on; media has none. */
        kw_dtls_finish(dtls, KW_DTLS_END_CLOSED, KW_ALERT_CLOSE_NOTIFY, true);
        return;
    }
    if (description == KW_ALERT_USER_CANCELED ||
        (dtls->version == KW_DTLS_1_2 && level == ALERT_WARNING)) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return;
    }
    kw_dtls_finish(dtls, KW_DTLS_END_ALERT_RECEIVED, (enum kw_alert)description, false);
}
