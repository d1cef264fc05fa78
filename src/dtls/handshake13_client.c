/* SPDX-License-Identifier: Apache-2.0 */
/* A client between ServerHello and Certificate: EncryptedExtensions, CertificateRequest. */
#include "dtls/client.h"

#include "base/assert.h"

static enum kw_status handle_extensions(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes block = kw_read_vector(&in, 2);
    struct kw_extensions ext;
    enum kw_alert alert = KW_ALERT_DECODE_ERROR;

    if (kw_reader_done(&in))
        alert = kw_extensions_parse(block, &ext);
    if (alert == KW_ALERT_NONE)
        alert = kw_client_agree(dtls, &ext, 1U << KW_AT_SUPPORTED_GROUPS);
    if (alert != KW_ALERT_NONE)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
    dtls->state = KW_STATE_WAIT_REQUEST;
    return kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
}

static enum kw_status handle_request(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes context = kw_read_vector(&in, 1);
    struct kw_bytes block = kw_read_vector(&in, 2);
    struct kw_bytes schemes;
    struct kw_extensions ext = {.seen = 0};
    enum kw_alert alert = KW_ALERT_DECODE_ERROR;

    if (kw_reader_done(&in))
        alert = kw_extensions_parse(block, &ext);
    if (alert == KW_ALERT_NONE && context.len != 0)
        alert = KW_ALERT_ILLEGAL_PARAMETER;
    if (alert == KW_ALERT_NONE && !kw_extension_seen(&ext, KW_AT_SIGNATURE_ALGORITHMS))
        alert = KW_ALERT_MISSING_EXTENSION;
    if (alert == KW_ALERT_NONE &&
        !kw_list16_parse(ext.body[KW_AT_SIGNATURE_ALGORITHMS], 2, &schemes))
        alert = KW_ALERT_DECODE_ERROR;
    if (alert == KW_ALERT_NONE && !kw_list16_has(schemes, dtls->our_scheme))
        alert = KW_ALERT_HANDSHAKE_FAILURE;
    if (alert != KW_ALERT_NONE)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
    dtls->hs->was_requested = true;
    dtls->state = KW_STATE_WAIT_CERTIFICATE;
    return kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
}

enum kw_status kw_client13_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    if (dtls->state == KW_STATE_WAIT_EXTENSIONS && message->type == KW_HS_ENCRYPTED_EXTENSIONS)
        return handle_extensions(dtls, message);
    if (dtls->state == KW_STATE_WAIT_REQUEST) {
        if (message->type == KW_HS_CERTIFICATE_REQUEST)
            return handle_request(dtls, message);
        dtls->state = KW_STATE_WAIT_CERTIFICATE;
        return kw_common13_handle(dtls, message);
    }
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}
