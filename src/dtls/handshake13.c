/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What client and server of DTLS 1.3 do alike: derive keys, prove who they are, and check the
 * other's proof: Certificate, CertificateVerify, Finished (RFC 8446, section 4.4).
 */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/extensions.h"

#include <string.h>

enum { VERIFY_PADDING = 64, VERIFY_LABEL = 33 };

static const char verify_labels[2][VERIFY_LABEL + 1] = {
    [KW_DTLS_SERVER] = "TLS 1.3, server CertificateVerify",
    [KW_DTLS_CLIENT] = "TLS 1.3, client CertificateVerify",
};

const uint16_t *kw_dtls_schemes(const struct kw_dtls *dtls, bool is_13)
{
    static const uint16_t strict[] = {KW_SIG_ECDSA_P256_SHA256, KW_SIG_ECDSA_P384_SHA384, 0};
    static const uint16_t rsa[] = {KW_SIG_ECDSA_P256_SHA256, KW_SIG_ECDSA_P384_SHA384,
                                   KW_SIG_RSA_PSS_RSAE_SHA256, 0};
    /* RFC 8446, section 4.2.3: PKCS #1 "is not defined for use in signed TLS handshake messages" */
    static const uint16_t rsa12[] = {KW_SIG_ECDSA_P256_SHA256, KW_SIG_ECDSA_P384_SHA384,
                                     KW_SIG_RSA_PSS_RSAE_SHA256, KW_SIG_RSA_PKCS1_SHA256, 0};

    if (!dtls->terms.allow_rsa)
        return strict;
    return is_13 ? rsa : rsa12;
}

static bool scheme_allowed(const struct kw_dtls *dtls, uint16_t scheme)
{
    for (const uint16_t *ours = kw_dtls_schemes(dtls, true); *ours != 0; ours++) {
        if (*ours == scheme)
            return true;
    }
    return false;
}

/* --- keys --- */

enum kw_status kw_common13_derive_handshake(struct kw_dtls *dtls, const struct kw_secret *shared)
{
    struct kw_handshake *hs = dtls->hs;
    enum kw_hash hash = dtls->suite->hash;
    bool is_server = dtls->role == KW_DTLS_SERVER;
    struct kw_secret *client = is_server ? &hs->read_traffic : &hs->write_traffic;
    struct kw_secret *server = is_server ? &hs->write_traffic : &hs->read_traffic;
    uint8_t digest[KW_DIGEST_MAX];
    const struct kw_bytes view = {digest, kw_hash_len(hash)};
    enum kw_status status = kw_dtls_transcript_hash(dtls, digest);

    if (status == KW_OK)
        status = kw_schedule_handshake(dtls->crypto, hash, shared, &hs->secret);
    if (status == KW_OK)
        status =
            kw_hkdf_derive_secret(dtls->crypto, hash, &hs->secret, "c hs traffic", view, client);
    if (status == KW_OK)
        status =
            kw_hkdf_derive_secret(dtls->crypto, hash, &hs->secret, "s hs traffic", view, server);
    if (status == KW_OK)
        status = kw_dtls_install_read(dtls, &hs->read_traffic, KW_EPOCH_HANDSHAKE);
    if (status == KW_OK)
        status = kw_dtls_install_write(dtls, &hs->write_traffic, KW_EPOCH_HANDSHAKE);
    return status;
}

/* The transcript ends with the server's Finished. */
enum kw_status kw_common13_derive_data(struct kw_dtls *dtls)
{
    struct kw_handshake *hs = dtls->hs;
    enum kw_hash hash = dtls->suite->hash;
    bool is_server = dtls->role == KW_DTLS_SERVER;
    struct kw_secret *client = is_server ? &dtls->read_secret : &dtls->write_secret;
    struct kw_secret *server = is_server ? &dtls->write_secret : &dtls->read_secret;
    struct kw_secret master = {.len = 0};
    uint8_t digest[KW_DIGEST_MAX];
    const struct kw_bytes view = {digest, kw_hash_len(hash)};
    enum kw_status status = kw_dtls_transcript_hash(dtls, digest);

    if (status == KW_OK)
        status =
            kw_schedule_next(dtls->crypto, hash, &hs->secret, (struct kw_bytes){NULL, 0}, &master);
    if (status == KW_OK)
        status = kw_hkdf_derive_secret(dtls->crypto, hash, &master, "c ap traffic", view, client);
    if (status == KW_OK)
        status = kw_hkdf_derive_secret(dtls->crypto, hash, &master, "s ap traffic", view, server);
    if (status == KW_OK)
        status =
            kw_hkdf_derive_secret(dtls->crypto, hash, &master, "exp master", view, &dtls->exporter);
    kw_secret_wipe(&master);
    kw_secret_wipe(&hs->secret);
    return status;
}

/* --- our proof --- */

static size_t make_signed(enum kw_dtls_role signer, const uint8_t *digest, size_t digest_len,
                          uint8_t *dst)
{
    memset(dst, 0x20, VERIFY_PADDING);
    memcpy(dst + VERIFY_PADDING, verify_labels[signer], VERIFY_LABEL + 1);
    memcpy(dst + VERIFY_PADDING + VERIFY_LABEL + 1, digest, digest_len);
    return VERIFY_PADDING + VERIFY_LABEL + 1 + digest_len;
}

static enum kw_status write_certificate(struct kw_dtls *dtls)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t list;

    kw_write_u8(&out, 0); /* context */
    list = kw_write_open(&out, 3);
    kw_write_vector(&out, dtls->crypto->ops->identity_certificate(dtls->identity), 3);
    kw_write_u16(&out, 0); /* extensions */
    kw_write_close(&out, list, 3);
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE, KW_EPOCH_HANDSHAKE);
}

static enum kw_status write_verify(struct kw_dtls *dtls)
{
    uint8_t digest[KW_DIGEST_MAX];
    uint8_t content[VERIFY_PADDING + VERIFY_LABEL + 1 + KW_DIGEST_MAX];
    struct kw_writer out;
    size_t content_len;
    enum kw_status status = kw_dtls_transcript_hash(dtls, digest);

    if (status != KW_OK)
        return status;
    content_len = make_signed(dtls->role, digest, kw_hash_len(dtls->suite->hash), content);
    out = kw_dtls_message_begin(dtls);
    status = kw_dtls_write_signature(dtls, (struct kw_bytes){content, content_len}, &out);
    if (status != KW_OK)
        return status;
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE_VERIFY, KW_EPOCH_HANDSHAKE);
}

static enum kw_status write_finished(struct kw_dtls *dtls)
{
    uint8_t digest[KW_DIGEST_MAX], verify_data[KW_DIGEST_MAX];
    struct kw_writer out;
    enum kw_status status = kw_dtls_transcript_hash(dtls, digest);

    if (status == KW_OK)
        status = kw_schedule_finished(dtls->crypto, dtls->suite->hash, &dtls->hs->write_traffic,
                                      digest, verify_data);
    if (status != KW_OK)
        return status;
    out = kw_dtls_message_begin(dtls);
    kw_write_bytes(&out, (struct kw_bytes){verify_data, kw_hash_len(dtls->suite->hash)});
    return kw_dtls_message_end(dtls, &out, KW_HS_FINISHED, KW_EPOCH_HANDSHAKE);
}

enum kw_status kw_common13_write_auth(struct kw_dtls *dtls)
{
    enum kw_status status = KW_OK;

    /* A client shows a certificate when it was asked for one. */
    if (dtls->role == KW_DTLS_SERVER || dtls->hs->was_requested) {
        status = write_certificate(dtls);
        if (status == KW_OK)
            status = write_verify(dtls);
    }
    return status == KW_OK ? write_finished(dtls) : status;
}

/* --- the peer's proof --- */

static enum kw_alert parse_certificate(struct kw_bytes body, struct kw_bytes *leaf)
{
    struct kw_reader in = kw_reader_of_bytes(body);
    struct kw_bytes context = kw_read_vector(&in, 1);
    struct kw_reader list = kw_reader_of_bytes(kw_read_vector(&in, 3));

    *leaf = (struct kw_bytes){NULL, 0};
    if (!kw_reader_done(&in))
        return KW_ALERT_DECODE_ERROR;
    if (context.len != 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    while (kw_reader_left(&list) != 0) {
        struct kw_bytes certificate = kw_read_vector(&list, 3);
        struct kw_bytes block = kw_read_vector(&list, 2);
        struct kw_extensions extensions;
        enum kw_alert alert;

        if (list.failed || certificate.len == 0)
            return KW_ALERT_DECODE_ERROR;
        alert = kw_extensions_parse(block, &extensions);
        if (alert != KW_ALERT_NONE)
            return alert;
        /* We asked for none (RFC 8446, section 4.4.2). */
        if (block.len != 0)
            return KW_ALERT_UNSUPPORTED_EXTENSION;
        if (leaf->data == NULL)
            *leaf = certificate;
    }
    return KW_ALERT_NONE;
}

static enum kw_status handle_certificate(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_bytes leaf;
    enum kw_alert alert = parse_certificate(message->body, &leaf);
    bool matches;
    enum kw_status status;

    if (alert != KW_ALERT_NONE)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
    if (leaf.len == 0)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT,
                            dtls->role == KW_DTLS_SERVER ? KW_ALERT_CERTIFICATE_REQUIRED
                                                         : KW_ALERT_DECODE_ERROR);
    status = kw_dtls_check_fingerprint(dtls, leaf, &matches);
    if (status != KW_OK)
        return status;
    if (!matches)
        return kw_dtls_fail(dtls, KW_DTLS_END_FINGERPRINT, KW_ALERT_BAD_CERTIFICATE);
    if (leaf.len > KW_CERT_MAX)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_BAD_CERTIFICATE);
    memcpy(dtls->hs->certificate, leaf.data, leaf.len);
    dtls->hs->certificate_len = leaf.len;
    dtls->state = KW_STATE_WAIT_VERIFY;
    return kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
}

static enum kw_status handle_verify(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    uint16_t scheme = kw_read_u16(&in);
    struct kw_bytes signature = kw_read_vector(&in, 2);
    enum kw_dtls_role peer = dtls->role == KW_DTLS_SERVER ? KW_DTLS_CLIENT : KW_DTLS_SERVER;
    uint8_t digest[KW_DIGEST_MAX];
    uint8_t content[VERIFY_PADDING + VERIFY_LABEL + 1 + KW_DIGEST_MAX];
    enum kw_verdict verdict;
    size_t content_len;
    enum kw_status status;

    if (!kw_reader_done(&in))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    /* RFC 8446, section 4.4.3: the scheme "MUST be one offered". */
    if (!scheme_allowed(dtls, scheme))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    status = kw_dtls_transcript_hash(dtls, digest);
    if (status != KW_OK)
        return status;
    content_len = make_signed(peer, digest, kw_hash_len(dtls->suite->hash), content);
    status = dtls->crypto->ops->verify(
        dtls->crypto, (struct kw_bytes){dtls->hs->certificate, dtls->hs->certificate_len},
        (enum kw_sigscheme)scheme, (struct kw_bytes){content, content_len}, signature, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict == KW_DROP_MALFORMED)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    if (verdict != KW_ACCEPT)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECRYPT_ERROR);
    dtls->facts.peer_scheme = (enum kw_sigscheme)scheme;
    dtls->state = KW_STATE_WAIT_FINISHED;
    return kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
}

static enum kw_status server_connected(struct kw_dtls *dtls)
{
    enum kw_status status = kw_dtls_install_read(dtls, &dtls->read_secret, KW_EPOCH_DATA);

    if (status != KW_OK)
        return status;
    /* The client's flight answers ours: nothing of it can be asked for again. */
    kw_dtls_flight_done(dtls);
    kw_flight_clear(&dtls->hs->out);
    kw_record_keys_wipe(&dtls->write[0]);
    /* RFC 9147, section 5.8.1: its flight may come again, and is acknowledged again. */
    dtls->answerable_until = dtls->now + KW_DTLS_ANSWERABLE;
    dtls->ack_now = true;
    kw_dtls_connected(dtls);
    kw_dtls_confirmed(dtls);
    return KW_OK;
}

static enum kw_status client_connected(struct kw_dtls *dtls)
{
    enum kw_status status = kw_common13_derive_data(dtls);

    kw_dtls_flight_begin(dtls);
    if (status == KW_OK)
        status = kw_common13_write_auth(dtls);
    if (status == KW_OK)
        status = kw_dtls_install_read(dtls, &dtls->read_secret, KW_EPOCH_DATA);
    if (status == KW_OK)
        status = kw_dtls_install_write(dtls, &dtls->write_secret, KW_EPOCH_DATA);
    if (status != KW_OK)
        return status;
    kw_dtls_flight_send(dtls);
    kw_dtls_connected(dtls);
    return KW_OK;
}

static enum kw_status handle_finished(struct kw_dtls *dtls, const struct kw_message *message)
{
    size_t hash_len = kw_hash_len(dtls->suite->hash);
    uint8_t digest[KW_DIGEST_MAX], expected[KW_DIGEST_MAX];
    enum kw_status status;

    if (message->body.len != hash_len)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECRYPT_ERROR);
    /* RFC 8446, section 5.1: messages do not span a change of keys, and nothing follows this one.
     */
    if (kw_reassembly_has_later(&dtls->hs->in))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    status = kw_dtls_transcript_hash(dtls, digest);
    if (status == KW_OK)
        status = kw_schedule_finished(dtls->crypto, dtls->suite->hash, &dtls->hs->read_traffic,
                                      digest, expected);
    if (status != KW_OK)
        return status;
    if (!kw_ct_equal(expected, message->body.data, hash_len))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECRYPT_ERROR);
    status = kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
    if (status != KW_OK)
        return status;
    return dtls->role == KW_DTLS_SERVER ? server_connected(dtls) : client_connected(dtls);
}

enum kw_status kw_common13_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    /* The three come in one order, and none may be left out. */
    if (dtls->state == KW_STATE_WAIT_CERTIFICATE && message->type == KW_HS_CERTIFICATE)
        return handle_certificate(dtls, message);
    if (dtls->state == KW_STATE_WAIT_VERIFY && message->type == KW_HS_CERTIFICATE_VERIFY)
        return handle_verify(dtls, message);
    if (dtls->state == KW_STATE_WAIT_FINISHED && message->type == KW_HS_FINISHED)
        return handle_finished(dtls, message);
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}
