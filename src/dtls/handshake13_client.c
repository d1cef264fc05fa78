/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of the first two flights.
 *
 *     ClientHello -> ServerHello -> EncryptedExtensions -> CertificateRequest? -> (handshake13.c)
 *          ^            |
 *          '- second ---' HelloRetryRequest, at most once
 *
 * Our hello stays in the flight, and our key exchanges stay alive, until a record of the handshake
 * epoch authenticates: only then is it certain that the ServerHello was not a stranger's.
 */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/handshake12.h"
#include "dtls/hello.h"

#include <string.h>

static bool has_suite(const struct kw_dtls *dtls, uint16_t suite, enum kw_dtls_version version)
{
    const struct kw_suite_info *info = kw_suite_info((enum kw_suite)suite);

    for (const uint16_t *ours = dtls->terms.suites; *ours != 0; ours++) {
        if (*ours == suite)
            return info != NULL && info->version == version;
    }
    return false;
}

static bool has_group(const struct kw_dtls *dtls, uint16_t group)
{
    for (const uint16_t *ours = dtls->terms.groups; *ours != 0; ours++) {
        if (*ours == group)
            return dtls->crypto->ops->has_group(dtls->crypto, (enum kw_group)group);
    }
    return false;
}

static struct kw_kx *find_kx(const struct kw_dtls *dtls, uint16_t group)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->hs->kx); i++) {
        if (dtls->hs->kx[i] != NULL && dtls->hs->kx_group[i] == group)
            return dtls->hs->kx[i];
    }
    return NULL;
}

/* --- the hello --- */

struct shares {
    size_t count;
    size_t len[2];
    uint8_t share[2][KW_KX_SHARE_MAX];
};

static enum kw_status offer(struct kw_dtls *dtls, uint16_t group, struct shares *shares)
{
    size_t at = shares->count;
    enum kw_status status = dtls->crypto->ops->kx_offer(
        dtls->crypto, (enum kw_group)group, &dtls->hs->kx[at], shares->share[at], &shares->len[at]);

    if (status != KW_OK)
        return status;
    dtls->hs->kx_group[at] = group;
    shares->count++;
    return KW_OK;
}

/* Our first group, and x25519 beside a hybrid one: a server without ML-KEM needs no retry. */
static enum kw_status offer_first(struct kw_dtls *dtls, struct shares *shares)
{
    uint16_t first = 0;
    enum kw_status status;

    for (const uint16_t *ours = dtls->terms.groups; *ours != 0 && first == 0; ours++) {
        if (has_group(dtls, *ours))
            first = *ours;
    }
    if (first == 0)
        return KW_ERR_INPUT;
    status = offer(dtls, first, shares);
    if (status == KW_OK && first == KW_GROUP_X25519MLKEM768 && has_group(dtls, KW_GROUP_X25519))
        status = offer(dtls, KW_GROUP_X25519, shares);
    return status;
}

static void write_suites(const struct kw_dtls *dtls, struct kw_writer *out)
{
    size_t list = kw_write_open(out, 2);

    for (const uint16_t *ours = dtls->terms.suites; *ours != 0; ours++) {
        const struct kw_suite_info *info = kw_suite_info((enum kw_suite) * ours);

        if (info != NULL && (info->version == KW_DTLS_1_3 || dtls->terms.allow_dtls12))
            kw_write_u16(out, *ours);
    }
    kw_write_close(out, list, 2);
}

static void write_groups(const struct kw_dtls *dtls, struct kw_writer *out)
{
    uint16_t groups[KW_POLICY_GROUPS] = {0};
    size_t count = 0;

    for (const uint16_t *ours = dtls->terms.groups; *ours != 0; ours++) {
        if (has_group(dtls, *ours))
            groups[count++] = *ours;
    }
    kw_extension_write_list16(out, KW_EXT_SUPPORTED_GROUPS, 2, groups);
}

static void write_shares(const struct kw_dtls *dtls, const struct shares *shares,
                         struct kw_writer *out)
{
    size_t extension = kw_extension_open(out, KW_EXT_KEY_SHARE);
    size_t list = kw_write_open(out, 2);

    for (size_t i = 0; i < shares->count; i++) {
        kw_write_u16(out, dtls->hs->kx_group[i]);
        kw_write_vector(out, (struct kw_bytes){shares->share[i], shares->len[i]}, 2);
    }
    kw_write_close(out, list, 2);
    kw_write_close(out, extension, 2);
}

/* What only a hello that would also take 1.2 says. */
static void write_extensions12(struct kw_writer *out)
{
    size_t extension = kw_extension_open(out, KW_EXT_EXTENDED_MASTER_SECRET);

    kw_write_close(out, extension, 2);
    extension = kw_extension_open(out, KW_EXT_RENEGOTIATION_INFO);
    kw_write_u8(out, 0);
    kw_write_close(out, extension, 2);
    extension = kw_extension_open(out, KW_EXT_POINT_FORMATS);
    kw_write_u8(out, 1);
    kw_write_u8(out, 0);
    kw_write_close(out, extension, 2);
}

static void write_extensions(const struct kw_dtls *dtls, struct kw_bytes cookie,
                             struct kw_bytes key_share, struct kw_writer *out)
{
    static const uint16_t versions[] = {KW_DTLS_1_3, 0};
    static const uint16_t both[] = {KW_DTLS_1_3, KW_DTLS_1_2, 0};
    size_t extension;

    /* Terms without a suite of 1.3 make a hello of 1.2. */
    if (kw_dtls_can_do_13(dtls))
        kw_extension_write_list16(out, KW_EXT_SUPPORTED_VERSIONS, 1,
                                  dtls->terms.allow_dtls12 ? both : versions);
    write_groups(dtls, out);
    kw_extension_write_list16(out, KW_EXT_SIGNATURE_ALGORITHMS, 2,
                              kw_dtls_schemes(dtls, !dtls->terms.allow_dtls12));
    kw_write_bytes(out, key_share);
    if (dtls->terms.profiles[0] != 0)
        kw_extension_write_srtp(out, dtls->terms.profiles);
    if (dtls->alpn_len != 0)
        kw_extension_write_alpn(out, (struct kw_bytes){dtls->alpn, dtls->alpn_len});
    if (dtls->use_cid)
        kw_extension_write_cid(out, (struct kw_bytes){dtls->own_cid, dtls->own_cid_len});
    if (dtls->terms.allow_dtls12)
        write_extensions12(out);
    if (dtls->hooks.takes_tickets) {
        extension = kw_extension_open(out, KW_EXT_PSK_MODES);
        kw_write_u8(out, 1);
        kw_write_u8(out, 1); /* psk_dhe_ke */
        kw_write_close(out, extension, 2);
    }
    if (cookie.len != 0) {
        extension = kw_extension_open(out, KW_EXT_COOKIE);
        kw_write_vector(out, cookie, 2);
        kw_write_close(out, extension, 2);
    }
}

/* key_share is the whole extension, ready. */
static enum kw_status write_hello(struct kw_dtls *dtls, struct kw_bytes cookie,
                                  struct kw_bytes cookie12, struct kw_bytes key_share)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t block;

    dtls->hs->hello_message = dtls->hs->out.count;
    kw_write_u16(&out, KW_DTLS_1_2);
    kw_write_bytes(&out, (struct kw_bytes){dtls->hs->client_random, KW_RANDOM_LEN});
    kw_write_u8(&out, 0); /* legacy_session_id */
    kw_write_vector(&out, cookie12, 1);
    write_suites(dtls, &out);
    kw_write_u8(&out, 1); /* legacy_compression_methods: null */
    kw_write_u8(&out, 0);
    block = kw_write_open(&out, 2);
    write_extensions(dtls, cookie, key_share, &out);
    kw_write_close(&out, block, 2);
    return kw_dtls_message_end(dtls, &out, KW_HS_CLIENT_HELLO, KW_EPOCH_PLAIN);
}

enum kw_status kw_client_start(struct kw_dtls *dtls)
{
    uint8_t extension[2 * KW_KX_SHARE_MAX + 16];
    struct kw_writer out = kw_writer_of(extension, sizeof extension);
    struct shares shares = {.count = 0};
    enum kw_status status = KW_OK;

    if (!kw_dtls_take_buffers(dtls))
        return KW_ERR_MEMORY;
    if (dtls->has_client_random)
        memcpy(dtls->hs->client_random, dtls->hello_random, KW_RANDOM_LEN);
    else
        status = kw_random_fill(&dtls->shared->random, dtls->hs->client_random, KW_RANDOM_LEN);
    if (status == KW_OK && kw_dtls_can_do_13(dtls)) {
        status = offer_first(dtls, &shares);
        write_shares(dtls, &shares, &out);
    }
    if (status != KW_OK)
        return status;
    status = write_hello(dtls, (struct kw_bytes){NULL, 0}, (struct kw_bytes){NULL, 0},
                         kw_writer_view(&out));
    if (status == KW_OK)
        kw_dtls_flight_send(dtls);
    return status;
}

/* Finds an extension in a hello of our own. */
static struct kw_bytes own_extension(struct kw_bytes body, enum kw_extension_place place)
{
    struct kw_client_hello hello;

    KW_ASSERT(kw_client_hello_parse(body, &hello) == KW_ALERT_NONE);
    KW_ASSERT(kw_extension_seen(&hello.ext, place));
    /* With its type and length before it. */
    return (struct kw_bytes){hello.ext.body[place].data - 4, hello.ext.body[place].len + 4};
}

enum kw_status kw_client_write_hello_again(struct kw_dtls *dtls, struct kw_bytes cookie12)
{
    struct kw_handshake *hs = dtls->hs;
    struct kw_bytes key_share = {NULL, 0};

    if (kw_dtls_can_do_13(dtls))
        key_share = own_extension(kw_flight_body(&hs->out, hs->hello_message), KW_AT_KEY_SHARE);
    hs->out.messages[hs->hello_message].acked = true;
    return write_hello(dtls, (struct kw_bytes){NULL, 0}, cookie12, key_share);
}

/* --- HelloRetryRequest --- */

static enum kw_alert check_retry(const struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 uint16_t *group, struct kw_bytes *cookie)
{
    struct kw_reader in;

    *group = 0;
    *cookie = (struct kw_bytes){NULL, 0};
    /* RFC 8446, section 4.1.4: a second one is answered with unexpected_message. */
    if (dtls->hs->was_retried)
        return KW_ALERT_UNEXPECTED_MESSAGE;
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
        if (!has_group(dtls, *group) || find_kx(dtls, *group) != NULL)
            return KW_ALERT_ILLEGAL_PARAMETER;
    }
    /* Section 4.1.4: a retry that would change nothing. */
    if (*group == 0 && cookie->len == 0)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_status hash_first_hello(struct kw_dtls *dtls, const struct kw_server_hello *hello)
{
    struct kw_flight *out = &dtls->hs->out;
    enum kw_status status;

    dtls->version = KW_DTLS_1_3;
    dtls->suite = kw_suite_info((enum kw_suite)hello->suite);
    status = kw_dtls_transcript_start(dtls);
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, KW_HS_CLIENT_HELLO, 0,
                                        kw_flight_body(out, dtls->hs->hello_message));
    if (status == KW_OK)
        status = kw_dtls_transcript_hash(dtls, dtls->hs->first_hash);
    kw_dtls_transcript_free(dtls);
    return status;
}

static enum kw_status handle_retry(struct kw_dtls *dtls, const struct kw_message *message,
                                   const struct kw_server_hello *hello)
{
    struct kw_handshake *hs = dtls->hs;
    uint8_t extension[2 * KW_KX_SHARE_MAX + 16];
    struct kw_writer out = kw_writer_of(extension, sizeof extension);
    struct shares shares = {.count = 0};
    struct kw_bytes cookie;
    uint16_t group;
    enum kw_alert alert = check_retry(dtls, hello, &group, &cookie);
    enum kw_status status;

    if (alert == KW_ALERT_NONE && message->body.len > sizeof hs->retry)
        alert = KW_ALERT_ILLEGAL_PARAMETER;
    if (alert != KW_ALERT_NONE) {
        kw_dtls_hello_forget(dtls);
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert);
    }
    status = hash_first_hello(dtls, hello);
    if (status != KW_OK)
        return status;
    memcpy(hs->retry, message->body.data, message->body.len);
    hs->retry_len = message->body.len;
    hs->retry_suite = hello->suite;
    hs->retry_group = group;
    hs->was_retried = true;
    dtls->facts.retried = true;
    dtls->doom.at = KW_NEVER;
    kw_ack_list_clear(&dtls->acks);

    if (group != 0) {
        kw_dtls_free_kx(dtls);
        status = offer(dtls, group, &shares);
        if (status != KW_OK)
            return status;
        write_shares(dtls, &shares, &out);
    } else {
        /* RFC 8446, section 4.1.2: without a key_share in the retry, ours stays as it was. */
        kw_write_bytes(&out,
                       own_extension(kw_flight_body(&hs->out, hs->hello_message), KW_AT_KEY_SHARE));
    }
    hs->out.messages[hs->hello_message].acked = true;
    status = write_hello(dtls, cookie, (struct kw_bytes){NULL, 0}, kw_writer_view(&out));
    if (status == KW_OK)
        kw_dtls_flight_send(dtls);
    return status;
}

/* --- ServerHello --- */

/* The alert that a ServerHello or a retry of 1.3 deserves for what both have in common. */
static enum kw_alert check_hello(const struct kw_dtls *dtls, const struct kw_server_hello *hello)
{
    const uint32_t allowed_hello = 1U << KW_AT_SUPPORTED_VERSIONS | 1U << KW_AT_KEY_SHARE;
    uint32_t allowed = allowed_hello;
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
    if (!has_suite(dtls, hello->suite, KW_DTLS_1_3))
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (dtls->hs->was_retried && !hello->is_retry && hello->suite != dtls->hs->retry_suite)
        return KW_ALERT_ILLEGAL_PARAMETER;
    /* A server of 1.3 asks with HelloRetryRequest. */
    if (dtls->hs->was_verified)
        return KW_ALERT_ILLEGAL_PARAMETER;
    return KW_ALERT_NONE;
}

static enum kw_alert check_share(const struct kw_dtls *dtls, const struct kw_server_hello *hello,
                                 struct kw_key_share *share)
{
    if (!kw_extension_seen(&hello->ext, KW_AT_KEY_SHARE))
        return KW_ALERT_MISSING_EXTENSION;
    if (!kw_key_share_parse(hello->ext.body[KW_AT_KEY_SHARE], share))
        return KW_ALERT_DECODE_ERROR;
    if (find_kx(dtls, share->group) == NULL)
        return KW_ALERT_ILLEGAL_PARAMETER;
    if (dtls->hs->retry_group != 0 && share->group != dtls->hs->retry_group)
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

    if (status == KW_OK && hs->was_retried) {
        status = kw_dtls_transcript_add(
            dtls, KW_HS_MESSAGE_HASH, 0,
            (struct kw_bytes){hs->first_hash, kw_hash_len(dtls->suite->hash)});
        if (status == KW_OK)
            status = kw_dtls_transcript_add(dtls, KW_HS_SERVER_HELLO, 0,
                                            (struct kw_bytes){hs->retry, hs->retry_len});
    }
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, KW_HS_CLIENT_HELLO, 0,
                                        kw_flight_body(&hs->out, hs->hello_message));
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
    return status;
}

static enum kw_status refuse_hello(struct kw_dtls *dtls, enum kw_alert alert)
{
    bool is_first = dtls->state == KW_STATE_WAIT_SERVER_HELLO;

    kw_dtls_hello_forget(dtls);
    return is_first ? kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, alert) : KW_OK;
}

static enum kw_status accept_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                   const struct kw_server_hello *hello,
                                   const struct kw_key_share *share, struct kw_bytes cid)
{
    struct kw_secret shared = {.len = 0};
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    enum kw_status status =
        dtls->crypto->ops->kx_finish(find_kx(dtls, share->group), share->share, &shared, &verdict);

    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return refuse_hello(dtls, KW_ALERT_ILLEGAL_PARAMETER);
    dtls->version = KW_DTLS_1_3;
    dtls->suite = kw_suite_info((enum kw_suite)hello->suite);
    memcpy(dtls->hs->server_random, hello->random.data, KW_RANDOM_LEN);
    dtls->facts.version = KW_DTLS_1_3;
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
    bool is_known = false;
    enum kw_alert alert;
    enum kw_status status;

    if (dtls->state != KW_STATE_WAIT_SERVER_HELLO) {
        status = kw_dtls_hello_is_same(dtls, message, &is_known);
        if (status != KW_OK || is_known)
            return status;
    }
    if (message->type == KW_HS_HELLO_VERIFY_REQUEST && dtls->terms.allow_dtls12 &&
        dtls->state == KW_STATE_WAIT_SERVER_HELLO)
        return kw_client12_handle_verify_request(dtls, message);
    if (message->type != KW_HS_SERVER_HELLO)
        return refuse_hello(dtls, KW_ALERT_UNEXPECTED_MESSAGE);
    alert = kw_server_hello_parse(message->body, &hello);
    if (alert == KW_ALERT_NONE && !kw_extension_seen(&hello.ext, KW_AT_SUPPORTED_VERSIONS))
        return kw_client12_handle_hello(dtls, message, &hello);
    if (alert == KW_ALERT_NONE)
        alert = check_hello(dtls, &hello);
    if (alert == KW_ALERT_NONE && hello.is_retry) {
        if (dtls->state == KW_STATE_WAIT_SERVER_HELLO)
            return handle_retry(dtls, message, &hello);
        alert = KW_ALERT_UNEXPECTED_MESSAGE;
    }
    if (alert == KW_ALERT_NONE)
        alert = check_share(dtls, &hello, &share);
    if (alert == KW_ALERT_NONE)
        alert = check_cid(&hello, &cid);
    if (alert != KW_ALERT_NONE)
        return refuse_hello(dtls, alert);
    return accept_hello(dtls, message, &hello, &share, cid);
}

/* --- EncryptedExtensions, CertificateRequest --- */

static enum kw_alert check_extensions(struct kw_dtls *dtls, const struct kw_extensions *ext)
{
    uint32_t offered = 1U << KW_AT_SUPPORTED_GROUPS;
    struct kw_bytes list, mki;
    size_t count;
    bool has;

    offered |= dtls->terms.profiles[0] != 0 ? 1U << KW_AT_USE_SRTP : 0;
    offered |= dtls->alpn_len != 0 ? 1U << KW_AT_ALPN : 0;
    if (ext->has_unknown || (ext->seen & ~offered) != 0)
        return KW_ALERT_UNSUPPORTED_EXTENSION;
    if (kw_extension_seen(ext, KW_AT_USE_SRTP)) {
        if (!kw_use_srtp_parse(ext->body[KW_AT_USE_SRTP], &list, &mki))
            return KW_ALERT_DECODE_ERROR;
        /* RFC 5764, section 4.1.1: exactly one of ours; we offered no MKI. */
        if (list.len != 2 || mki.len != 0 || kw_list16_choose(list, dtls->terms.profiles) == 0)
            return KW_ALERT_ILLEGAL_PARAMETER;
        dtls->facts.srtp_profile =
            (enum kw_srtp_profile)kw_list16_choose(list, dtls->terms.profiles);
    }
    if (kw_extension_seen(ext, KW_AT_ALPN)) {
        if (!kw_alpn_parse(ext->body[KW_AT_ALPN], (struct kw_bytes){dtls->alpn, dtls->alpn_len},
                           &count, &has))
            return KW_ALERT_DECODE_ERROR;
        if (count != 1 || !has)
            return KW_ALERT_ILLEGAL_PARAMETER;
        dtls->facts.alpn = true;
    }
    return KW_ALERT_NONE;
}

static enum kw_status handle_extensions(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_bytes block = kw_read_vector(&in, 2);
    struct kw_extensions ext;
    enum kw_alert alert = KW_ALERT_DECODE_ERROR;

    if (kw_reader_done(&in))
        alert = kw_extensions_parse(block, &ext);
    if (alert == KW_ALERT_NONE)
        alert = check_extensions(dtls, &ext);
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
    struct kw_extensions ext;
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
