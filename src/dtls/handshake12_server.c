/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     ClientHello            -> HelloVerifyRequest, when the path is not validated
 *     ClientHello            -> ServerHello, Certificate, ServerKeyExchange, CertificateRequest,
 *                               ServerHelloDone
 *     Certificate, ClientKeyExchange, CertificateVerify, [CCS], Finished
 *                            -> [CCS], Finished
 *
 * ChangeCipherSpec carries nothing that the epoch of a record does not say; it is not waited for.
 */
#include "dtls/handshake12.h"

#include "base/assert.h"
#include "dtls/cookie.h"
#include "dtls/hello_phase.h"

#include <string.h>

enum { CURVE_NAMED = 3, CERT_TYPE_RSA = 1, CERT_TYPE_ECDSA = 64, SCSV = 0x00ff };

struct choice12 {
    uint16_t suite;
    uint16_t group;
    uint16_t profile;
    bool has_alpn;
    bool has_renegotiation;
    bool has_formats;
    enum kw_dtls_end end;
};

static bool signs_with_rsa(const struct kw_dtls *dtls)
{
    return dtls->our_scheme != KW_SIG_ECDSA_P256_SHA256;
}

static void choose_suite(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                         struct choice12 *choice)
{
    for (const uint16_t *ours = dtls->terms.suites; *ours != 0 && choice->suite == 0; ours++) {
        const struct kw_suite_info *info = kw_suite_info((enum kw_suite) * ours);

        if (info != NULL && info->version == KW_DTLS_1_2 && info->rsa == signs_with_rsa(dtls) &&
            kw_list16_has(hello->suites, *ours))
            choice->suite = *ours;
    }
}

static enum kw_alert choose_group(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                                  struct choice12 *choice)
{
    struct kw_bytes groups = {NULL, 0};
    bool has_list = kw_extension_seen(&hello->ext, KW_AT_SUPPORTED_GROUPS);

    if (has_list && !kw_list16_parse(hello->ext.body[KW_AT_SUPPORTED_GROUPS], 2, &groups))
        return KW_ALERT_DECODE_ERROR;
    for (const uint16_t *ours = dtls->terms.groups; *ours != 0 && choice->group == 0; ours++) {
        /* A hybrid group is not defined for 1.2. */
        if (*ours == KW_GROUP_X25519MLKEM768 ||
            !dtls->crypto->ops->has_group(dtls->crypto, (enum kw_group) * ours))
            continue;
        if (has_list ? kw_list16_has(groups, *ours) : *ours == KW_GROUP_P256)
            choice->group = *ours;
    }
    choice->end = KW_DTLS_END_POLICY;
    return choice->group == 0 ? KW_ALERT_HANDSHAKE_FAILURE : KW_ALERT_NONE;
}

static enum kw_alert choose_extensions(const struct kw_dtls *dtls,
                                       const struct kw_client_hello *hello, struct choice12 *choice)
{
    const struct kw_extensions *ext = &hello->ext;
    struct kw_bytes list, mki;
    size_t count;

    choice->end = KW_DTLS_END_ALERT_SENT;
    if (kw_extension_seen(ext, KW_AT_USE_SRTP)) {
        if (!kw_use_srtp_parse(ext->body[KW_AT_USE_SRTP], &list, &mki))
            return KW_ALERT_DECODE_ERROR;
        choice->profile = kw_list16_choose(list, dtls->terms.profiles);
    }
    if (kw_extension_seen(ext, KW_AT_ALPN)) {
        if (!kw_alpn_parse(ext->body[KW_AT_ALPN], (struct kw_bytes){dtls->alpn, dtls->alpn_len},
                           &count, &choice->has_alpn))
            return KW_ALERT_DECODE_ERROR;
        choice->has_alpn = choice->has_alpn && dtls->alpn_len != 0;
    }
    choice->has_formats = kw_extension_seen(ext, KW_AT_POINT_FORMATS);
    if (choice->has_formats) {
        struct kw_reader in = kw_reader_of_bytes(ext->body[KW_AT_POINT_FORMATS]);
        struct kw_bytes formats = kw_read_vector(&in, 1);
        bool has_uncompressed = false;

        if (!kw_reader_done(&in))
            return KW_ALERT_DECODE_ERROR;
        for (size_t i = 0; i < formats.len; i++)
            has_uncompressed |= formats.data[i] == 0;
        if (!has_uncompressed)
            return KW_ALERT_ILLEGAL_PARAMETER;
    }
    choice->has_renegotiation = kw_list16_has(hello->suites, SCSV);
    if (kw_extension_seen(ext, KW_AT_RENEGOTIATION_INFO)) {
        struct kw_bytes info = ext->body[KW_AT_RENEGOTIATION_INFO];

        /* RFC 5746, section 3.6: this is a first handshake. */
        if (info.len != 1 || info.data[0] != 0)
            return KW_ALERT_HANDSHAKE_FAILURE;
        choice->has_renegotiation = true;
    }
    return KW_ALERT_NONE;
}

static enum kw_alert choose12(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                              struct choice12 *choice)
{
    struct kw_bytes schemes;
    bool has_null = false;
    enum kw_alert alert;

    choice->end = KW_DTLS_END_ALERT_SENT;
    for (size_t i = 0; i < hello->compression.len; i++)
        has_null |= hello->compression.data[i] == 0;
    if (!has_null)
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (kw_extension_seen(&hello->ext, KW_AT_SIGNATURE_ALGORITHMS)) {
        if (!kw_list16_parse(hello->ext.body[KW_AT_SIGNATURE_ALGORITHMS], 2, &schemes))
            return KW_ALERT_DECODE_ERROR;
        choice->end = KW_DTLS_END_POLICY;
        if (!kw_list16_has(schemes, dtls->our_scheme))
            return KW_ALERT_HANDSHAKE_FAILURE;
    } else {
        /* RFC 5246, section 7.4.1.4.1: its absence means SHA-1. */
        choice->end = KW_DTLS_END_POLICY;
        return KW_ALERT_HANDSHAKE_FAILURE;
    }
    /* RFC 7627 without which the exported keys would not be bound to this handshake. */
    if (!kw_extension_seen(&hello->ext, KW_AT_EXTENDED_MASTER_SECRET))
        return KW_ALERT_HANDSHAKE_FAILURE;
    if (hello->ext.body[KW_AT_EXTENDED_MASTER_SECRET].len != 0)
        return KW_ALERT_DECODE_ERROR;
    choose_suite(dtls, hello, choice);
    if (choice->suite == 0)
        return KW_ALERT_HANDSHAKE_FAILURE;
    alert = choose_group(dtls, hello, choice);
    return alert == KW_ALERT_NONE ? choose_extensions(dtls, hello, choice) : alert;
}

/* --- HelloVerifyRequest --- */

/* RFC 6347, section 4.2.1: the second hello repeats the parameters of the first. */
static enum kw_status hash_parameters(struct kw_dtls *dtls, const struct kw_client_hello *hello,
                                      uint8_t *dst)
{
    const uint8_t *start = hello->random.data;
    size_t head_len = (size_t)(hello->session_id.data - start) + hello->session_id.len;
    struct kw_digest *digest;
    enum kw_status status = dtls->crypto->ops->digest_new(dtls->crypto, KW_SHA256, &digest);

    if (status != KW_OK)
        return status;
    status = dtls->crypto->ops->digest_update(digest, (struct kw_bytes){start, head_len});
    if (status == KW_OK)
        status = dtls->crypto->ops->digest_update(digest, hello->suites);
    if (status == KW_OK)
        status = dtls->crypto->ops->digest_update(digest, hello->compression);
    if (status == KW_OK)
        status = dtls->crypto->ops->digest_peek(digest, dst);
    dtls->crypto->ops->digest_free(digest);
    return status;
}

static enum kw_status check_cookie(struct kw_dtls *dtls, const struct kw_client_hello *hello,
                                   bool *is_valid)
{
    uint8_t parameters[KW_COOKIE12_HASH_LEN];
    enum kw_verdict verdict = KW_DROP_FORGED;
    enum kw_status status;

    *is_valid = false;
    if (hello->cookie.len == 0)
        return KW_OK;
    status = hash_parameters(dtls, hello, parameters);
    if (status == KW_OK)
        status =
            kw_cookie12_check(dtls->shared, (struct kw_bytes){dtls->binding, dtls->binding_len},
                              parameters, hello->cookie, dtls->now, &verdict);
    *is_valid = status == KW_OK && verdict == KW_ACCEPT;
    return status;
}

/* An invalid cookie is answered like none at all. */
static enum kw_status send_verify_request(struct kw_dtls *dtls, const struct kw_message *message,
                                          const struct kw_client_hello *hello)
{
    uint8_t parameters[KW_COOKIE12_HASH_LEN], cookie[KW_COOKIE12_LEN];
    uint8_t body[KW_FRAGMENT_HEADER + 3 + KW_COOKIE12_LEN];
    struct kw_writer out = kw_writer_of(body, sizeof body);
    struct kw_writer record;
    enum kw_status status = hash_parameters(dtls, hello, parameters);

    if (status == KW_OK)
        status =
            kw_cookie12_create(dtls->shared, (struct kw_bytes){dtls->binding, dtls->binding_len},
                               parameters, dtls->now, cookie);
    if (status != KW_OK)
        return status;
    kw_write_u8(&out, KW_HS_HELLO_VERIFY_REQUEST);
    kw_write_u24(&out, (uint32_t)(3 + sizeof cookie));
    kw_write_u16(&out, message->seq);
    kw_write_u24(&out, 0);
    kw_write_u24(&out, (uint32_t)(3 + sizeof cookie));
    kw_write_u16(&out, KW_DTLS_1_2);
    kw_write_vector(&out, (struct kw_bytes){cookie, sizeof cookie}, 1);
    KW_ASSERT(!out.failed);
    kw_dtls_hello_forget(dtls);
    kw_dtls_undoom(dtls);
    if (!kw_outbox_open(dtls, KW_RECORD_PLAIN_HEADER + out.len, &record)) {
        dtls->counters[KW_DROP_LIMIT]++;
        return KW_OK;
    }
    kw_record_write_plain(KW_CONTENT_HANDSHAKE, KW_DTLS_1_2, dtls->plain_seq++,
                          (struct kw_bytes){NULL, 0}, kw_writer_view(&out), &record);
    kw_outbox_close(dtls, &record);
    return KW_OK;
}

/* --- the answer --- */

static enum kw_status write_hello(struct kw_dtls *dtls, const struct choice12 *choice)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t block, extension;

    kw_write_u16(&out, KW_DTLS_1_2);
    kw_write_bytes(&out, (struct kw_bytes){dtls->hs->server_random, KW_RANDOM_LEN});
    kw_write_u8(&out, 0); /* no session to come back to */
    kw_write_u16(&out, choice->suite);
    kw_write_u8(&out, 0);
    block = kw_write_open(&out, 2);
    extension = kw_extension_open(&out, KW_EXT_EXTENDED_MASTER_SECRET);
    kw_write_close(&out, extension, 2);
    if (choice->has_renegotiation) {
        extension = kw_extension_open(&out, KW_EXT_RENEGOTIATION_INFO);
        kw_write_u8(&out, 0);
        kw_write_close(&out, extension, 2);
    }
    if (choice->has_formats) {
        extension = kw_extension_open(&out, KW_EXT_POINT_FORMATS);
        kw_write_u8(&out, 1);
        kw_write_u8(&out, 0);
        kw_write_close(&out, extension, 2);
    }
    if (choice->profile != 0)
        kw_extension_write_srtp(&out, (const uint16_t[]){choice->profile, 0});
    if (choice->has_alpn)
        kw_extension_write_alpn(&out, (struct kw_bytes){dtls->alpn, dtls->alpn_len});
    kw_write_close(&out, block, 2);
    return kw_dtls_message_end(dtls, &out, KW_HS_SERVER_HELLO, KW_EPOCH_PLAIN);
}

/* RFC 8422, section 5.4: the signature covers both randoms and the parameters. */
static enum kw_status write_key_exchange(struct kw_dtls *dtls, uint16_t group)
{
    uint8_t share[KW_KX_SHARE_MAX];
    uint8_t content[2 * KW_RANDOM_LEN + 4 + 255];
    struct kw_writer out, signed_part = kw_writer_of(content, sizeof content);
    struct kw_bytes parameters;
    size_t share_len;
    enum kw_status status;

    kw_dtls_free_kx(dtls);
    status = dtls->crypto->ops->kx_offer(dtls->crypto, (enum kw_group)group, &dtls->hs->kx[0],
                                         share, &share_len);
    if (status != KW_OK)
        return status;
    dtls->hs->kx_group[0] = group;
    kw_write_bytes(&signed_part, (struct kw_bytes){dtls->hs->client_random, KW_RANDOM_LEN});
    kw_write_bytes(&signed_part, (struct kw_bytes){dtls->hs->server_random, KW_RANDOM_LEN});
    kw_write_u8(&signed_part, CURVE_NAMED);
    kw_write_u16(&signed_part, group);
    kw_write_vector(&signed_part, (struct kw_bytes){share, share_len}, 1);
    if (signed_part.failed)
        return KW_ERR_LIMIT;
    parameters =
        (struct kw_bytes){content + 2 * KW_RANDOM_LEN, signed_part.len - 2 * KW_RANDOM_LEN};
    out = kw_dtls_message_begin(dtls);
    kw_write_bytes(&out, parameters);
    status = kw_dtls_write_signature(dtls, kw_writer_view(&signed_part), &out);
    if (status != KW_OK)
        return status;
    return kw_dtls_message_end(dtls, &out, KW_HS_SERVER_KEY_EXCHANGE, KW_EPOCH_PLAIN);
}

static enum kw_status write_request(struct kw_dtls *dtls)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t types = kw_write_open(&out, 1);
    size_t schemes;

    kw_write_u8(&out, CERT_TYPE_ECDSA);
    if (dtls->terms.allow_rsa)
        kw_write_u8(&out, CERT_TYPE_RSA);
    kw_write_close(&out, types, 1);
    schemes = kw_write_open(&out, 2);
    for (const uint16_t *ours = kw_dtls_schemes(dtls, false); *ours != 0; ours++)
        kw_write_u16(&out, *ours);
    kw_write_close(&out, schemes, 2);
    kw_write_u16(&out, 0); /* of any authority: fingerprints decide */
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE_REQUEST, KW_EPOCH_PLAIN);
}

static enum kw_status write_flight(struct kw_dtls *dtls, const struct choice12 *choice)
{
    struct kw_writer out;
    enum kw_status status = write_hello(dtls, choice);

    if (status == KW_OK)
        status = kw_common12_write_certificate(dtls);
    if (status == KW_OK)
        status = write_key_exchange(dtls, choice->group);
    if (status == KW_OK && dtls->ask_certificate)
        status = write_request(dtls);
    if (status != KW_OK)
        return status;
    out = kw_dtls_message_begin(dtls);
    return kw_dtls_message_end(dtls, &out, KW_HS_SERVER_HELLO_DONE, KW_EPOCH_PLAIN);
}

static enum kw_status answer(struct kw_dtls *dtls, const struct kw_message *message,
                             const struct kw_client_hello *hello, const struct choice12 *choice)
{
    struct kw_dtls_facts *facts = &dtls->facts;
    enum kw_status status;

    if (!kw_common12_start(dtls)) {
        dtls->counters[KW_DROP_LIMIT]++;
        kw_dtls_hello_forget(dtls);
        return KW_OK;
    }
    kw_server_start_over(dtls);
    dtls->version = KW_DTLS_1_2;
    dtls->suite = kw_suite_info((enum kw_suite)choice->suite);
    memcpy(dtls->hs->client_random, hello->random.data, KW_RANDOM_LEN);
    facts->version = KW_DTLS_1_2;
    facts->suite = (enum kw_suite)choice->suite;
    facts->group = (enum kw_group)choice->group;
    facts->srtp_profile = (enum kw_srtp_profile)choice->profile;
    facts->alpn = choice->has_alpn;
    facts->retried = hello->cookie.len != 0;
    facts->cid = false;
    status = kw_random_fill(&dtls->shared->random, dtls->hs->server_random, KW_RANDOM_LEN);
    if (status != KW_OK)
        return status;
    /* RFC 8446, section 4.1.3: says that it was not we who wanted less. */
    if (kw_dtls_can_do_13(dtls))
        memcpy(dtls->hs->server_random + KW_RANDOM_LEN - sizeof kw_downgrade_sentinel,
               kw_downgrade_sentinel, sizeof kw_downgrade_sentinel);
    status = kw_common12_add(dtls, message);
    if (status == KW_OK)
        status = kw_dtls_hello_accept(dtls, message);
    if (status != KW_OK)
        return status;
    dtls->next_send_seq = message->seq;
    kw_dtls_flight_begin(dtls);
    status = write_flight(dtls, choice);
    if (status != KW_OK)
        return status;
    dtls->state = dtls->ask_certificate ? KW_STATE_12_CERTIFICATE : KW_STATE_12_CLIENT_KEY;
    kw_dtls_flight_send(dtls);
    return KW_OK;
}

enum kw_status kw_server12_handle_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                        const struct kw_client_hello *hello)
{
    struct choice12 choice = {.suite = 0};
    enum kw_alert alert = choose12(dtls, hello, &choice);
    bool is_first = dtls->state == KW_STATE_WAIT_CLIENT_HELLO;
    bool is_valid = true;
    enum kw_status status = KW_OK;

    if (alert != KW_ALERT_NONE) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        kw_dtls_hello_forget(dtls);
        return is_first ? kw_dtls_fail(dtls, choice.end, alert) : KW_OK;
    }
    if (dtls->require_cookie)
        status = check_cookie(dtls, hello, &is_valid);
    if (status != KW_OK)
        return status;
    return is_valid ? answer(dtls, message, hello, &choice)
                    : send_verify_request(dtls, message, hello);
}

/* --- the client's flight --- */

static enum kw_status handle_client_key(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes share = kw_read_vector(&in, 1);
    struct kw_secret premaster = {.len = 0};
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    enum kw_status status;

    if (!kw_reader_done(&in))
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    status = dtls->crypto->ops->kx_finish(dtls->hs->kx[0], share, &premaster, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    status = kw_common12_add(dtls, message);
    if (status == KW_OK)
        status = kw_common12_derive(dtls, &premaster);
    kw_secret_wipe(&premaster);
    if (status != KW_OK)
        return status;
    if (dtls->ask_certificate) {
        dtls->state = KW_STATE_12_VERIFY;
        return KW_OK;
    }
    dtls->state = KW_STATE_12_FINISHED;
    return kw_common12_install(dtls, false);
}

static enum kw_status handle_verify(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    uint16_t scheme = kw_read_u16(&in);
    struct kw_bytes signature = kw_read_vector(&in, 2);
    struct kw_handshake *hs = dtls->hs;
    enum kw_verdict verdict;
    enum kw_status status;

    if (!kw_reader_done(&in))
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    if (!kw_common12_scheme_fits(dtls, scheme))
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    status = dtls->crypto->ops->verify(
        dtls->crypto, (struct kw_bytes){hs->certificate, hs->certificate_len},
        (enum kw_sigscheme)scheme, (struct kw_bytes){hs->raw, hs->raw_len}, signature, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT,
                                verdict == KW_DROP_MALFORMED ? KW_ALERT_ILLEGAL_PARAMETER
                                                             : KW_ALERT_DECRYPT_ERROR);
    dtls->facts.peer_scheme = (enum kw_sigscheme)scheme;
    dtls->state = KW_STATE_12_FINISHED;
    status = kw_common12_add(dtls, message);
    return status == KW_OK ? kw_common12_install(dtls, false) : status;
}

enum kw_status kw_server12_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    if (dtls->state == KW_STATE_12_CERTIFICATE && message->type == KW_HS_CERTIFICATE)
        return kw_common12_handle_certificate(dtls, message, KW_STATE_12_CLIENT_KEY);
    if (dtls->state == KW_STATE_12_CLIENT_KEY && message->type == KW_HS_CLIENT_KEY_EXCHANGE)
        return handle_client_key(dtls, message);
    if (dtls->state == KW_STATE_12_VERIFY && message->type == KW_HS_CERTIFICATE_VERIFY)
        return handle_verify(dtls, message);
    if (dtls->state == KW_STATE_12_FINISHED && message->type == KW_HS_FINISHED)
        return kw_common12_handle_finished(dtls, message);
    return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}
