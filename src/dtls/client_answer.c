/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client makes of the answer to its hello.
 *
 *     ClientHello -> ServerHello -> (handshake13_client.c)
 *          ^            |
 *          '- second ---' HelloRetryRequest, at most once
 *
 * Message number 0 answers our first hello, number 1 the second. Neither is final before a record
 * of the handshake epoch authenticates: until then another answer may take over.
 */
#include "dtls/client.h"

#include "base/assert.h"
#include "dtls/handshake12.h"
#include "dtls/hello.h"
#include "dtls/hello_phase.h"

#include <string.h>

static enum kw_alert check_retry(const struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 uint16_t *group, struct kw_bytes *cookie)
{
    struct kw_reader in;

    *group = 0;
    *cookie = (struct kw_bytes){NULL, 0};
    if (kw_extension_seen(&hello->ext, KW_AT_COOKIE)) {
        in = kw_reader_of_bytes(hello->ext.body[KW_AT_COOKIE]);
        *cookie = kw_read_vector(&in, 2);
        if (!kw_reader_done(&in) || cookie->len == 0)
            return KW_ALERT_DECODE_ERROR;
        if (cookie->len > KW_DTLS_COOKIE_MAX)
            return KW_ALERT_ILLEGAL_PARAMETER;
    }
    if (kw_extension_seen(&hello->ext, KW_AT_KEY_SHARE)) {
        in = kw_reader_of_bytes(hello->ext.body[KW_AT_KEY_SHARE]);
        *group = kw_read_u16(&in);
        if (!kw_reader_done(&in))
            return KW_ALERT_DECODE_ERROR;
        /* Section 4.2.8: a group that we offered, and for which we sent no share. */
        if (!kw_client_has_group(dtls, *group) || kw_client_find_kx(dtls, *group, true) != NULL)
            return KW_ALERT_ILLEGAL_PARAMETER;
    }
    /* Section 4.1.4: a retry that would change nothing. */
    if (*group == 0 && cookie->len == 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_status refuse_hello(struct kw_dtls *dtls, enum kw_alert alert)
{
    bool is_first = dtls->state == KW_STATE_WAIT_SERVER_HELLO;

    dtls->counters[KW_DROP_UNEXPECTED]++;
    kw_dtls_hello_forget(dtls);
    return is_first ? kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert) : KW_OK;
}

static enum kw_status handle_retry(struct kw_dtls *dtls, const struct kw_message *message,
                                   const struct kw_server_hello *hello)
{
    struct kw_handshake *hs = dtls->hs;
    bool repeated;
    struct kw_bytes cookie;
    uint16_t group;
    enum kw_alert alert = check_retry(dtls, hello, &group, &cookie);
    enum kw_status status;

    /* RFC 8446, section 4.1.4: a second one is answered with unexpected_message. */
    if (message->seq != 0)
        return refuse_hello(dtls, KW_ALERT_UNEXPECTED_MESSAGE);
    if (kw_client_knows_retry(dtls, message))
        return KW_OK;
    /* One of two is a stranger's. The first is trusted until its hello goes unanswered. */
    status = kw_dtls_hello_is_repeated(dtls, 0, message->body, &repeated);
    if (status != KW_OK)
        return status;
    if (hs->was_retried && !kw_client_doubts_retry(dtls) &&
        (dtls->expiries < KW_DTLS_DOUBT_EXPIRIES || !repeated)) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        return KW_OK;
    }
    if (alert == KW_ALERT_NONE && message->body.len > sizeof hs->retry)
        alert = KW_ALERT_ILLEGAL_PARAMETER;
    if (alert != KW_ALERT_NONE)
        return refuse_hello(dtls, alert);
    /* A ServerHello that we have accepted stays so, until one proves to be true. */
    status = kw_dtls_hash_message(dtls, kw_suite_info((enum kw_suite)hello->suite)->hash,
                                  KW_HS_CLIENT_HELLO, kw_flight_body(&hs->out, 0), hs->first_hash);
    if (status != KW_OK)
        return status;
    if (dtls->state == KW_STATE_WAIT_SERVER_HELLO)
        dtls->version = KW_DTLS_1_3;
    kw_client_note_retry(dtls, message);
    hs->was_retried = true;
    /* The ServerHello that we have may answer the new hello just as well: it is looked at again. */
    memset(hs->hello_hash, 0, sizeof hs->hello_hash);
    hs->was_verified = false;
    hs->retry_suite = hello->suite;
    hs->retry_group = group;
    status = kw_client_write_hello_again(dtls, group, cookie, (struct kw_bytes){NULL, 0});
    if (status == KW_OK)
        kw_dtls_flight_send(dtls);
    return status;
}

/* --- what was agreed --- */

static enum kw_alert agree_on_srtp(struct kw_dtls *dtls, struct kw_bytes body)
{
    struct kw_bytes list, mki;

    if (!kw_use_srtp_parse(body, &list, &mki))
        return KW_ALERT_DECODE_ERROR;
    /* RFC 5764, section 4.1.1: exactly one of ours; we offered no MKI. */
    if (list.len != 2 || mki.len != 0 || kw_list16_choose(list, dtls->terms.profiles) == 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    dtls->facts.srtp_profile = (enum kw_srtp_profile)kw_list16_choose(list, dtls->terms.profiles);
    return KW_ALERT_NONE;
}

static enum kw_alert agree_on_alpn(struct kw_dtls *dtls, struct kw_bytes body)
{
    const struct kw_bytes name = {dtls->alpn, dtls->alpn_len};
    size_t count;
    bool has;

    if (!kw_alpn_parse(body, name, &count, &has))
        return KW_ALERT_DECODE_ERROR;
    if (count != 1 || !has)
        return KW_ALERT_ILLEGAL_PARAMETER;
    dtls->facts.alpn = true;
    return KW_ALERT_NONE;
}

enum kw_alert kw_client_agree(struct kw_dtls *dtls, const struct kw_extensions *ext,
                              uint32_t others)
{
    uint32_t allowed = others;
    enum kw_alert alert = KW_ALERT_NONE;

    allowed |= dtls->terms.profiles[0] != 0 ? 1U << KW_AT_USE_SRTP : 0;
    allowed |= dtls->alpn_len != 0 ? 1U << KW_AT_ALPN : 0;
    /* A hello that was refused may have said something else. */
    dtls->facts.srtp_profile = KW_SRTP_NONE;
    dtls->facts.alpn = false;
    if (ext->has_unknown || (ext->seen & ~allowed) != 0)
        return KW_ALERT_UNSUPPORTED_EXTENSION;
    if (kw_extension_seen(ext, KW_AT_USE_SRTP))
        alert = agree_on_srtp(dtls, ext->body[KW_AT_USE_SRTP]);
    if (alert == KW_ALERT_NONE && kw_extension_seen(ext, KW_AT_ALPN))
        alert = agree_on_alpn(dtls, ext->body[KW_AT_ALPN]);
    return alert;
}

/* --- ServerHello --- */

/* The alert that a ServerHello or a retry of 1.3 deserves for what both have in common. */
static enum kw_alert check_hello(const struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 uint16_t seq)
{
    uint32_t allowed = 1U << KW_AT_SUPPORTED_VERSIONS | 1U << KW_AT_KEY_SHARE;
    struct kw_reader in = kw_reader_of_bytes(hello->ext.body[KW_AT_SUPPORTED_VERSIONS]);
    uint16_t version = kw_read_u16(&in);

    if (!kw_reader_done(&in))
        return KW_ALERT_DECODE_ERROR;
    if (version != KW_DTLS_1_3 || hello->legacy_version != KW_DTLS_1_2)
        return KW_ALERT_ILLEGAL_PARAMETER;
    allowed |= hello->is_retry ? 1U << KW_AT_COOKIE : 0;
    allowed |= dtls->use_cid && !hello->is_retry ? 1U << KW_AT_CONNECTION_ID : 0;
    /* RFC 8446, section 4.2: what was not asked for is answered with unsupported_extension. */
    if (hello->ext.has_unknown || (hello->ext.seen & ~allowed) != 0)
        return KW_ALERT_UNSUPPORTED_EXTENSION;
    if (hello->session_id.len != 0 || hello->compression != 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (!kw_client_has_suite(dtls, hello->suite, KW_DTLS_1_3))
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (dtls->hs->was_retried && seq != 0 && !hello->is_retry &&
        hello->suite != dtls->hs->retry_suite)
        return KW_ALERT_ILLEGAL_PARAMETER;
    /* A server of 1.3 asks with HelloRetryRequest. */
    if (dtls->hs->was_verified && seq != 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_alert check_share(const struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 uint16_t seq, struct kw_key_share *share)
{
    if (!kw_extension_seen(&hello->ext, KW_AT_KEY_SHARE))
        return KW_ALERT_MISSING_EXTENSION;
    if (!kw_key_share_parse(hello->ext.body[KW_AT_KEY_SHARE], share))
        return KW_ALERT_DECODE_ERROR;
    /* After a retry for a group this is that group. */
    if (kw_client_find_kx(dtls, share->group, seq == 0) == NULL)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_alert check_cid(const struct kw_server_hello *hello, struct kw_bytes *cid)
{
    struct kw_reader in = kw_reader_of_bytes(hello->ext.body[KW_AT_CONNECTION_ID]);

    *cid = (struct kw_bytes){NULL, 0};
    if (!kw_extension_seen(&hello->ext, KW_AT_CONNECTION_ID))
        return KW_ALERT_NONE;
    *cid = kw_read_vector(&in, 1);
    if (!kw_reader_done(&in))
        return KW_ALERT_DECODE_ERROR;
    return cid->len > KW_DTLS_CID_MAX ? KW_ALERT_ILLEGAL_PARAMETER : KW_ALERT_NONE;
}

static enum kw_status start_transcript(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_handshake *hs = dtls->hs;
    enum kw_status status = kw_dtls_transcript_start(dtls);

    if (status == KW_OK && hs->was_retried && message->seq != 0) {
        status = kw_dtls_transcript_add(
            dtls, KW_HS_MESSAGE_HASH, 0,
            (struct kw_bytes){hs->first_hash, kw_hash_len(dtls->suite->hash)});
        if (status == KW_OK)
            status = kw_dtls_transcript_add(dtls, KW_HS_SERVER_HELLO, 0,
                                            (struct kw_bytes){hs->retry, hs->retry_len});
    }
    if (status == KW_OK)
        status = kw_dtls_transcript_add(
            dtls, KW_HS_CLIENT_HELLO, 0,
            kw_flight_body(&hs->out, message->seq == 0 ? 0 : hs->hello_message));
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
    return status;
}

static enum kw_status accept_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                   const struct kw_server_hello *hello,
                                   const struct kw_key_share *share, struct kw_bytes cid)
{
    struct kw_secret shared = {.len = 0};
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    enum kw_status status = dtls->crypto->ops->kx_finish(
        kw_client_find_kx(dtls, share->group, message->seq == 0), share->share, &shared, &verdict);

    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return refuse_hello(dtls, KW_ALERT_ILLEGAL_PARAMETER);
    dtls->version = KW_DTLS_1_3;
    dtls->suite = kw_suite_info((enum kw_suite)hello->suite);
    memcpy(dtls->hs->server_random, hello->random.data, KW_RANDOM_LEN);
    dtls->facts.version = KW_DTLS_1_3;
    dtls->facts.retried = message->seq != 0;
    dtls->facts.suite = (enum kw_suite)hello->suite;
    dtls->facts.group = (enum kw_group)share->group;
    dtls->facts.cid = kw_extension_seen(&hello->ext, KW_AT_CONNECTION_ID);
    dtls->peer_cid_len = (uint8_t)cid.len;
    if (cid.len != 0)
        memcpy(dtls->peer_cid, cid.data, cid.len);
    status = start_transcript(dtls, message);
    if (status == KW_OK)
        status = kw_common13_derive_handshake(dtls, &shared);
    if (status == KW_OK)
        status = kw_dtls_hello_accept(dtls, message);
    kw_secret_wipe(&shared);
    if (status == KW_OK)
        dtls->state = KW_STATE_WAIT_EXTENSIONS;
    return status;
}

enum kw_status kw_client_handle_hello(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_server_hello hello;
    struct kw_key_share share = {.group = 0};
    struct kw_bytes cid = {NULL, 0};
    enum kw_hello_place place;
    enum kw_alert alert;
    enum kw_status status;

    if (dtls->state != KW_STATE_WAIT_SERVER_HELLO) {
        status = kw_dtls_hello_compare(dtls, message, &place);
        if (status != KW_OK || place == KW_HELLO_KNOWN)
            return status;
    }
    if (message->type == KW_HS_HELLO_VERIFY_REQUEST && dtls->terms.allow_dtls12)
        return kw_client12_handle_verify_request(dtls, message);
    /* RFC 9147, section 5.1: no server of 1.3 says that. */
    if (message->type == KW_HS_HELLO_VERIFY_REQUEST)
        return refuse_hello(dtls, KW_ALERT_PROTOCOL_VERSION);
    if (message->type != KW_HS_SERVER_HELLO)
        return refuse_hello(dtls, KW_ALERT_UNEXPECTED_MESSAGE);
    alert = kw_server_hello_parse(message->body, &hello);
    if (alert == KW_ALERT_NONE && !kw_extension_seen(&hello.ext, KW_AT_SUPPORTED_VERSIONS))
        return kw_client12_handle_hello(dtls, message, &hello);
    if (alert == KW_ALERT_NONE)
        alert = check_hello(dtls, &hello, message->seq);
    if (alert == KW_ALERT_NONE && hello.is_retry)
        return handle_retry(dtls, message, &hello);
    if (alert == KW_ALERT_NONE)
        alert = check_share(dtls, &hello, message->seq, &share);
    if (alert == KW_ALERT_NONE)
        alert = check_cid(&hello, &cid);
    if (alert != KW_ALERT_NONE)
        return refuse_hello(dtls, alert);
    return accept_hello(dtls, message, &hello, &share, cid);
}
