/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     HelloVerifyRequest  -> ClientHello with its cookie, once
 *     ServerHello, Certificate, ServerKeyExchange, CertificateRequest?, ServerHelloDone
 *                         -> Certificate?, ClientKeyExchange, CertificateVerify?, CCS, Finished
 *     [CCS], Finished     -> connected
 */
#include "dtls/client.h"
#include "dtls/handshake12.h"

#include "base/assert.h"
#include "dtls/hello_phase.h"

#include <string.h>

enum { CURVE_NAMED = 3 };

enum kw_status kw_client12_handle_verify_request(struct kw_dtls *dtls,
                                                 const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes cookie;
    bool is_next;
    enum kw_status status;

    kw_read_u16(&in); /* RFC 6347, section 4.2.1: the version here says nothing */
    cookie = kw_read_vector(&in, 1);
    if (!kw_reader_done(&in))
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    if (message->seq != 0)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    if (kw_client_knows_retry(dtls, message))
        return KW_OK;
    status = kw_dtls_hello_is_next12(dtls, message, &is_next);
    if (status != KW_OK || !is_next)
        return status;
    /* One of two is a stranger's. The first is trusted until its hello goes unanswered. */
    if (dtls->hs->was_verified && dtls->expiries < KW_DTLS_DOUBT_EXPIRIES) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return KW_OK;
    }
    kw_client_note_retry(dtls, message);
    dtls->hs->was_verified = true;
    dtls->hs->was_retried = false;
    status = kw_client_write_hello_again(dtls, 0, (struct kw_bytes){NULL, 0}, cookie);
    if (status == KW_OK)
        kw_dtls_flight_send(dtls);
    return status;
}

/* --- ServerHello --- */

static enum kw_alert check_extensions(struct kw_dtls *dtls, const struct kw_extensions *ext)
{
    enum kw_alert alert =
        kw_client_agree(dtls, ext,
                        1U << KW_AT_EXTENDED_MASTER_SECRET | 1U << KW_AT_RENEGOTIATION_INFO |
                            1U << KW_AT_POINT_FORMATS);

    if (alert != KW_ALERT_NONE)
        return alert;
    if (!kw_extension_seen(ext, KW_AT_EXTENDED_MASTER_SECRET))
        return KW_ALERT_HANDSHAKE_FAILURE;
    if (ext->body[KW_AT_EXTENDED_MASTER_SECRET].len != 0)
        return KW_ALERT_DECODE_ERROR;
    if (kw_extension_seen(ext, KW_AT_RENEGOTIATION_INFO) &&
        (ext->body[KW_AT_RENEGOTIATION_INFO].len != 1 ||
         ext->body[KW_AT_RENEGOTIATION_INFO].data[0] != 0))
        return KW_ALERT_HANDSHAKE_FAILURE;
    return KW_ALERT_NONE;
}

static enum kw_alert check_hello(struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 uint16_t seq)
{
    const uint8_t *tail = hello->random.data + KW_RANDOM_LEN - sizeof kw_downgrade_sentinel;

    if (hello->legacy_version != KW_DTLS_1_2 || !dtls->terms.allow_dtls12)
        return KW_ALERT_PROTOCOL_VERSION;
    /* RFC 8446, section 4.1.3: "MUST abort the handshake with an 'illegal_parameter' alert". The
     * last byte of the older sentinel is 0. */
    if (kw_dtls_can_do_13(dtls) && memcmp(tail, kw_downgrade_sentinel, 7) == 0 && tail[7] <= 1)
        return KW_ALERT_ILLEGAL_PARAMETER;
    if ((dtls->hs->was_retried && seq != 0) || hello->is_retry)
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (!kw_client_has_suite(dtls, hello->suite, KW_DTLS_1_2) || hello->compression != 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return check_extensions(dtls, &hello->ext);
}

enum kw_status kw_client12_handle_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                        const struct kw_server_hello *hello)
{
    struct kw_handshake *hs = dtls->hs;
    size_t hello_message = message->seq == 0 ? 0 : hs->hello_message;
    bool is_first = dtls->state == KW_STATE_WAIT_SERVER_HELLO, is_next;
    enum kw_alert alert = check_hello(dtls, hello, message->seq);
    enum kw_status status;

    if (alert != KW_ALERT_NONE) {
        kw_dtls_hello_forget(dtls);
        return is_first ? kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert) : KW_OK;
    }
    status = kw_dtls_hello_is_next12(dtls, message, &is_next);
    if (status != KW_OK || !is_next)
        return status;
    /* Anybody could have sent it; a true server sends it again. */
    if (!kw_common12_start(dtls)) {
        dtls->counters[KW_DROP_LIMIT]++;
        return KW_OK;
    }
    dtls->version = KW_DTLS_1_2;
    dtls->suite = kw_suite_info((enum kw_suite)hello->suite);
    dtls->facts.version = KW_DTLS_1_2;
    dtls->facts.retried = message->seq != 0;
    dtls->next_send_seq = message->seq + 1U;
    dtls->facts.suite = (enum kw_suite)hello->suite;
    memcpy(hs->server_random, hello->random.data, KW_RANDOM_LEN);
    status = kw_dtls_transcript_add(dtls, KW_HS_CLIENT_HELLO, message->seq,
                                    kw_flight_body(&hs->out, hello_message));
    if (status == KW_OK)
        status = kw_common12_add(dtls, message);
    if (status == KW_OK)
        status = kw_dtls_hello_accept(dtls, message);
    if (status == KW_OK)
        dtls->state = KW_STATE_12_CERTIFICATE;
    return status;
}

/* --- ServerKeyExchange and what follows --- */

static bool is_rsa(uint16_t scheme)
{
    return scheme == KW_SIG_RSA_PKCS1_SHA256 || scheme == KW_SIG_RSA_PSS_RSAE_SHA256;
}

struct server_key {
    struct kw_bytes parameters;
    uint8_t curve_type;
    uint16_t group;
    struct kw_bytes share;
    uint16_t scheme;
    struct kw_bytes signature;
};

static enum kw_alert parse_server_key(const struct kw_dtls *dtls, struct kw_bytes body,
                                      struct server_key *key)
{
    struct kw_reader in = kw_reader_of_bytes(body);

    key->curve_type = kw_read_u8(&in);
    key->group = kw_read_u16(&in);
    key->share = kw_read_vector(&in, 1);
    key->parameters = (struct kw_bytes){body.data, (size_t)(in.at - body.data)};
    key->scheme = kw_read_u16(&in);
    key->signature = kw_read_vector(&in, 2);
    if (!kw_reader_done(&in))
        return KW_ALERT_DECODE_ERROR;
    if (key->curve_type != CURVE_NAMED || key->group == KW_GROUP_X25519MLKEM768 ||
        !kw_client_has_group(dtls, key->group) || !kw_common12_scheme_fits(dtls, key->scheme) ||
        is_rsa(key->scheme) != dtls->suite->rsa)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_status verify_server_key(struct kw_dtls *dtls, const struct server_key *key,
                                        enum kw_verdict *verdict)
{
    uint8_t content[2 * KW_RANDOM_LEN + 4 + 255];
    struct kw_writer out = kw_writer_of(content, sizeof content);

    kw_write_bytes(&out, (struct kw_bytes){dtls->hs->client_random, KW_RANDOM_LEN});
    kw_write_bytes(&out, (struct kw_bytes){dtls->hs->server_random, KW_RANDOM_LEN});
    kw_write_bytes(&out, key->parameters);
    KW_ASSERT(!out.failed);
    return dtls->crypto->ops->verify(
        dtls->crypto, (struct kw_bytes){dtls->hs->certificate, dtls->hs->certificate_len},
        (enum kw_sigscheme)key->scheme, kw_writer_view(&out), key->signature, verdict);
}

static enum kw_status handle_server_key(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_handshake *hs = dtls->hs;
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    struct server_key key;
    enum kw_alert alert = parse_server_key(dtls, message->body, &key);
    enum kw_status status;

    if (alert != KW_ALERT_NONE)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
    status = verify_server_key(dtls, &key, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT,
                                verdict == KW_DROP_MALFORMED ? KW_ALERT_ILLEGAL_PARAMETER
                                                             : KW_ALERT_DECRYPT_ERROR);
    status = dtls->crypto->ops->kx_answer(dtls->crypto, (enum kw_group)key.group, key.share,
                                          hs->share12, &hs->share12_len, &hs->secret, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    dtls->facts.group = (enum kw_group)key.group;
    dtls->facts.peer_scheme = (enum kw_sigscheme)key.scheme;
    dtls->state = KW_STATE_12_REQUEST;
    return kw_common12_add(dtls, message);
}

static enum kw_status handle_request(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes types = kw_read_vector(&in, 1);
    struct kw_bytes schemes = kw_read_vector(&in, 2);

    kw_read_vector(&in, 2); /* authorities */
    if (!kw_reader_done(&in) || types.len == 0 || schemes.len == 0 || schemes.len % 2 != 0)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    if (!kw_list16_has(schemes, dtls->our_scheme))
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_HANDSHAKE_FAILURE);
    dtls->hs->was_requested = true;
    dtls->state = KW_STATE_12_HELLO_DONE;
    return kw_common12_add(dtls, message);
}

/* --- our flight --- */

static enum kw_status write_verify(struct kw_dtls *dtls)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    enum kw_status status =
        kw_dtls_write_signature(dtls, (struct kw_bytes){dtls->hs->raw, dtls->hs->raw_len}, &out);

    if (status != KW_OK)
        return status;
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE_VERIFY, KW_EPOCH_PLAIN);
}

static enum kw_status write_finished(struct kw_dtls *dtls)
{
    uint8_t verify_data[KW_FINISHED12_LEN];
    struct kw_writer out;
    enum kw_status status = kw_common12_finished(dtls, KW_DTLS_CLIENT, verify_data);

    if (status == KW_OK)
        status = kw_common12_install(dtls, true);
    if (status == KW_OK)
        status = kw_common12_install(dtls, false);
    if (status != KW_OK)
        return status;
    kw_flight_add_ccs(&dtls->hs->out);
    out = kw_dtls_message_begin(dtls);
    kw_write_bytes(&out, (struct kw_bytes){verify_data, sizeof verify_data});
    return kw_dtls_message_end(dtls, &out, KW_HS_FINISHED, 1);
}

static enum kw_status write_flight(struct kw_dtls *dtls)
{
    struct kw_writer out;
    enum kw_status status = KW_OK;

    if (dtls->hs->was_requested)
        status = kw_common12_write_certificate(dtls);
    if (status != KW_OK)
        return status;
    out = kw_dtls_message_begin(dtls);
    kw_write_vector(&out, (struct kw_bytes){dtls->hs->share12, dtls->hs->share12_len}, 1);
    status = kw_dtls_message_end(dtls, &out, KW_HS_CLIENT_KEY_EXCHANGE, KW_EPOCH_PLAIN);
    if (status == KW_OK)
        status = kw_common12_derive(dtls, &dtls->hs->secret);
    kw_secret_wipe(&dtls->hs->secret);
    if (status == KW_OK && dtls->hs->was_requested)
        status = write_verify(dtls);
    return status == KW_OK ? write_finished(dtls) : status;
}

static enum kw_status handle_hello_done(struct kw_dtls *dtls, const struct kw_message *message)
{
    enum kw_status status;

    if (message->body.len != 0)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    status = kw_common12_add(dtls, message);
    if (status != KW_OK)
        return status;
    kw_dtls_flight_begin(dtls);
    status = write_flight(dtls);
    if (status != KW_OK)
        return status;
    kw_dtls_free_kx(dtls);
    dtls->state = KW_STATE_12_FINISHED;
    kw_dtls_flight_send(dtls);
    return KW_OK;
}

enum kw_status kw_client12_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    if (dtls->state == KW_STATE_12_CERTIFICATE && message->type == KW_HS_CERTIFICATE)
        return kw_common12_handle_certificate(dtls, message, KW_STATE_12_SERVER_KEY);
    if (dtls->state == KW_STATE_12_SERVER_KEY && message->type == KW_HS_SERVER_KEY_EXCHANGE)
        return handle_server_key(dtls, message);
    if (dtls->state == KW_STATE_12_REQUEST && message->type == KW_HS_CERTIFICATE_REQUEST)
        return handle_request(dtls, message);
    if ((dtls->state == KW_STATE_12_REQUEST || dtls->state == KW_STATE_12_HELLO_DONE) &&
        message->type == KW_HS_SERVER_HELLO_DONE)
        return handle_hello_done(dtls, message);
    if (dtls->state == KW_STATE_12_FINISHED && message->type == KW_HS_FINISHED)
        return kw_common12_handle_finished(dtls, message);
    return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}
