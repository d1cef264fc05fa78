/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of the first two flights (RFC 8446, section 4.1; RFC 9147, section 5).
 *
 *     ClientHello  ->  choose  -> HelloRetryRequest with a cookie
 *                              -> ServerHello .. Finished, wait for the client's certificate
 *
 * Every retry has a cookie, which carries the hash of the first hello; on a path that is not
 * validated the retry is forgotten at once, elsewhere it is a flight that is repeated until the
 * second hello comes. Nothing is committed before a hello has been understood as a whole.
 */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/cookie.h"
#include "dtls/handshake12.h"
#include "dtls/hello.h"
#include "dtls/hello_phase.h"

#include <string.h>

/* What the server makes of a ClientHello. */
struct choice {
    enum kw_dtls_end end;
    enum kw_alert alert; /* KW_ALERT_NONE: it can be answered */
    enum kw_dtls_version version;
    uint16_t suite;
    uint16_t group;
    struct kw_bytes share; /* empty: the client has to be asked for one */
    uint16_t profile;
    bool has_alpn;
    bool has_cid;
    struct kw_bytes cid;
    bool has_cookie;
    bool is_ignored; /* it is not even worth a refusal */
    struct kw_bytes cookie;
};

static bool refuse(struct choice *choice, enum kw_dtls_end end, enum kw_alert alert)
{
    choice->end = end;
    choice->alert = alert;
    return false;
}

static bool malformed(struct choice *choice)
{
    return refuse(choice, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
}

static bool illegal(struct choice *choice)
{
    return refuse(choice, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
}

/* Notes what was offered, so that a refusal can be explained. */
static void note_list(struct kw_bytes list, void (*put)(struct kw_dtls_facts *, size_t, uint16_t),
                      struct kw_dtls_facts *facts, size_t room)
{
    for (size_t i = 0; i < room; i++) {
        unsigned value = 0;

        if (2 * i + 1 < list.len)
            value = (unsigned)list.data[2 * i] << 8 | list.data[2 * i + 1];
        put(facts, i, (uint16_t)value);
    }
}

static void put_suite(struct kw_dtls_facts *facts, size_t at, uint16_t value)
{
    facts->offered_suites[at] = (enum kw_suite)value;
}

static void put_group(struct kw_dtls_facts *facts, size_t at, uint16_t value)
{
    facts->offered_groups[at] = (enum kw_group)value;
}

static void put_profile(struct kw_dtls_facts *facts, size_t at, uint16_t value)
{
    facts->offered_profiles[at] = (enum kw_srtp_profile)value;
}

static void note_offers(struct kw_dtls *dtls, const struct kw_client_hello *hello)
{
    struct kw_dtls_facts *facts = &dtls->facts;
    struct kw_bytes list, mki;

    note_list(hello->suites, put_suite, facts, KW_ARRAY_LEN(facts->offered_suites) - 1);
    if (kw_list16_parse(hello->ext.body[KW_AT_SUPPORTED_GROUPS], 2, &list))
        note_list(list, put_group, facts, KW_ARRAY_LEN(facts->offered_groups) - 1);
    if (kw_use_srtp_parse(hello->ext.body[KW_AT_USE_SRTP], &list, &mki))
        note_list(list, put_profile, facts, KW_ARRAY_LEN(facts->offered_profiles) - 1);
}

/*
 * DESIGN: the hello is whole here, so what it does not say, it does not say. 1.2 is chosen because
 * the client asks for it, never because something did not parse.
 */
static bool choose_version(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                           struct choice *choice)
{
    struct kw_bytes versions;
    bool offers12;

    if (kw_extension_seen(&hello->ext, KW_AT_SUPPORTED_VERSIONS)) {
        if (!kw_list16_parse(hello->ext.body[KW_AT_SUPPORTED_VERSIONS], 1, &versions))
            return malformed(choice);
        if (kw_list16_has(versions, KW_DTLS_1_3) && kw_dtls_can_do_13(dtls)) {
            choice->version = KW_DTLS_1_3;
            return true;
        }
        offers12 = kw_list16_has(versions, KW_DTLS_1_2);
    } else {
        /* Versions count downwards: 1.2 is 0xfefd, 1.0 is 0xfeff. */
        offers12 = hello->legacy_version >= 0x8000 && hello->legacy_version <= KW_DTLS_1_2;
    }
    if (!offers12 || !dtls->terms.allow_dtls12)
        return refuse(choice, KW_DTLS_END_POLICY, KW_ALERT_PROTOCOL_VERSION);
    choice->version = KW_DTLS_1_2;
    return true;
}

/* Looks for the client's share of a group, and at all shares' form. */
static bool find_share(const struct kw_client_hello *hello, struct kw_bytes groups, uint16_t group,
                       struct kw_bytes *share_ret, struct choice *choice)
{
    struct kw_reader in, before;
    struct kw_key_share entry, other;

    *share_ret = (struct kw_bytes){NULL, 0};
    if (!kw_key_shares_open(hello->ext.body[KW_AT_KEY_SHARE], &in))
        return malformed(choice);
    while (kw_key_shares_next(&in, &entry)) {
        /* RFC 8446, section 4.2.8: at most one share of a group, and only of groups offered. */
        if (!kw_list16_has(groups, entry.group))
            return illegal(choice);
        if (!kw_key_shares_open(hello->ext.body[KW_AT_KEY_SHARE], &before))
            return malformed(choice);
        while (kw_key_shares_next(&before, &other) && other.share.data != entry.share.data) {
            if (other.group == entry.group)
                return illegal(choice);
        }
        if (entry.group == group)
            *share_ret = entry.share;
    }
    return in.failed ? malformed(choice) : true;
}

/* Our order, but a share that the client already sent is worth a round trip. */
static bool choose_group(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                         struct choice *choice)
{
    struct kw_bytes groups;

    if (!kw_extension_seen(&hello->ext, KW_AT_SUPPORTED_GROUPS) ||
        !kw_extension_seen(&hello->ext, KW_AT_KEY_SHARE))
        return refuse(choice, KW_DTLS_END_ALERT_SENT, KW_ALERT_MISSING_EXTENSION);
    if (!kw_list16_parse(hello->ext.body[KW_AT_SUPPORTED_GROUPS], 2, &groups))
        return malformed(choice);
    for (const uint16_t *ours = dtls->terms.groups; *ours != 0; ours++) {
        if (!dtls->crypto->ops->has_group(dtls->crypto, (enum kw_group) * ours))
            continue;
        if (!find_share(hello, groups, *ours, &choice->share, choice))
            return false;
        if (choice->share.len != 0) {
            choice->group = *ours;
            return true;
        }
        if (choice->group == 0 && kw_list16_has(groups, *ours))
            choice->group = *ours;
    }
    if (choice->group == 0)
        return refuse(choice, KW_DTLS_END_POLICY, KW_ALERT_HANDSHAKE_FAILURE);
    return true;
}

static bool choose_extensions(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                              struct choice *choice)
{
    const struct kw_extensions *ext = &hello->ext;
    struct kw_bytes list, mki;
    size_t count;

    if (kw_extension_seen(ext, KW_AT_USE_SRTP)) {
        if (!kw_use_srtp_parse(ext->body[KW_AT_USE_SRTP], &list, &mki))
            return malformed(choice);
        choice->profile = kw_list16_choose(list, dtls->terms.profiles);
    }
    if (kw_extension_seen(ext, KW_AT_ALPN)) {
        struct kw_bytes name = {dtls->alpn, dtls->alpn_len};

        if (!kw_alpn_parse(ext->body[KW_AT_ALPN], name, &count, &choice->has_alpn))
            return malformed(choice);
        /* RFC 7301 would answer no_application_protocol; Firefox offers "webrtc" and must pass. */
        choice->has_alpn = choice->has_alpn && name.len != 0;
    }
    if (kw_extension_seen(ext, KW_AT_CONNECTION_ID)) {
        struct kw_reader in = kw_reader_of_bytes(ext->body[KW_AT_CONNECTION_ID]);

        choice->cid = kw_read_vector(&in, 1);
        if (!kw_reader_done(&in))
            return malformed(choice);
        choice->has_cid = dtls->use_cid && choice->cid.len <= KW_DTLS_CID_MAX;
    }
    if (kw_extension_seen(ext, KW_AT_COOKIE)) {
        struct kw_reader in = kw_reader_of_bytes(ext->body[KW_AT_COOKIE]);

        choice->has_cookie = true;
        choice->cookie = kw_read_vector(&in, 2);
        if (!kw_reader_done(&in) || choice->cookie.len == 0)
            return malformed(choice);
    }
    return true;
}

static bool choose13(const struct kw_dtls *dtls, const struct kw_client_hello *hello,
                     struct choice *choice)
{
    struct kw_bytes schemes;

    /* RFC 9147, section 5.3: "legacy_cookie: A DTLS 1.3-only client MUST set [it] to zero length.
     * If a DTLS 1.3 ClientHello is received with any other value in this field, the server MUST
     * abort the handshake with an 'illegal_parameter' alert." The same for compression. */
    if (hello->cookie.len != 0 || hello->compression.len != 1 || hello->compression.data[0] != 0)
        return illegal(choice);
    /* RFC 8446, section 4.2.11: pre_shared_key is the last extension. We never use it. */
    if (kw_extension_seen(&hello->ext, KW_AT_PRE_SHARED_KEY) &&
        hello->ext.last != KW_EXT_PRE_SHARED_KEY)
        return illegal(choice);
    for (const uint16_t *ours = dtls->terms.suites; *ours != 0 && choice->suite == 0; ours++) {
        const struct kw_suite_info *info = kw_suite_info((enum kw_suite) * ours);

        if (info != NULL && info->version == KW_DTLS_1_3 && kw_list16_has(hello->suites, *ours))
            choice->suite = *ours;
    }
    if (choice->suite == 0)
        return refuse(choice, KW_DTLS_END_POLICY, KW_ALERT_HANDSHAKE_FAILURE);
    if (!kw_extension_seen(&hello->ext, KW_AT_SIGNATURE_ALGORITHMS))
        return refuse(choice, KW_DTLS_END_ALERT_SENT, KW_ALERT_MISSING_EXTENSION);
    if (!kw_list16_parse(hello->ext.body[KW_AT_SIGNATURE_ALGORITHMS], 2, &schemes))
        return malformed(choice);
    if (!kw_list16_has(schemes, dtls->our_scheme))
        return refuse(choice, KW_DTLS_END_POLICY, KW_ALERT_HANDSHAKE_FAILURE);
    return choose_group(dtls, hello, choice) && choose_extensions(dtls, hello, choice);
}

/* --- HelloRetryRequest --- */

static void write_retry(const struct kw_cookie *cookie, struct kw_bytes sealed,
                        struct kw_writer *out)
{
    kw_server_hello_write(&(struct kw_server_hello_parts){.suite = cookie->suite,
                                                          .group = cookie->group,
                                                          .cookie = sealed},
                          out);
}

/* Another hello takes the place of the one whose handshake never authenticated. */
void kw_server_start_over(struct kw_dtls *dtls)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++)
        kw_record_keys_wipe(&dtls->read[i]);
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->write); i++)
        kw_record_keys_wipe(&dtls->write[i]);
    kw_dtls_flight_done(dtls);
    dtls->state = KW_STATE_WAIT_CLIENT_HELLO;
    dtls->give_up_at = KW_NEVER;
    dtls->facts.cid = false;
    dtls->peer_cid_len = 0;
}

/* A hello that cannot be answered; it does not disturb a handshake that was begun before it. */
static enum kw_status refuse_hello(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert)
{
    bool is_first = dtls->state == KW_STATE_WAIT_CLIENT_HELLO;

    dtls->counters[KW_DROP_UNEXPECTED]++;
    kw_dtls_hello_forget(dtls);
    return is_first ? kw_dtls_fail(dtls, end, alert) : KW_OK;
}

/* The hash of the first hello, and the cookie that keeps it. */
static enum kw_status make_cookie(struct kw_dtls *dtls, const struct kw_message *message,
                                  struct kw_cookie *cookie, uint8_t sealed[KW_COOKIE_MAX],
                                  size_t *sealed_len)
{
    enum kw_status status = kw_dtls_transcript_start(dtls);

    cookie->hash_len = (uint8_t)kw_hash_len(dtls->suite->hash);
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
    if (status == KW_OK)
        status = kw_dtls_transcript_hash(dtls, cookie->hello_hash);
    kw_dtls_transcript_free(dtls);
    if (status == KW_OK)
        status = kw_cookie_create(dtls->shared, (struct kw_bytes){dtls->binding, dtls->binding_len},
                                  cookie, dtls->now, sealed, sealed_len);
    return status;
}

/* One retry, of which nothing is kept. */
static void send_retry_once(struct kw_dtls *dtls, uint16_t seq, struct kw_bytes body)
{
    uint8_t header[KW_FRAGMENT_HEADER];
    struct kw_writer head = kw_writer_of(header, sizeof header);
    struct kw_writer record;

    kw_write_u8(&head, KW_HS_SERVER_HELLO);
    kw_write_u24(&head, (uint32_t)body.len);
    kw_write_u16(&head, seq);
    kw_write_u24(&head, 0);
    kw_write_u24(&head, (uint32_t)body.len);
    KW_ASSERT(KW_RECORD_PLAIN_HEADER + head.len + body.len <= KW_DTLS_MTU_MIN);

    if (!kw_outbox_open(dtls, KW_RECORD_PLAIN_HEADER + head.len + body.len, &record)) {
        dtls->counters[KW_DROP_LIMIT]++;
        return;
    }
    kw_record_write_plain(KW_CONTENT_HANDSHAKE, KW_DTLS_1_2, dtls->plain_seq++,
                          kw_writer_view(&head), body, &record);
    kw_outbox_close(dtls, &record);
}

/* On a validated path a retry is a flight like any other. */
static enum kw_status send_retry_flight(struct kw_dtls *dtls, const struct kw_message *message,
                                        struct kw_bytes body)
{
    struct kw_writer out;
    enum kw_status status = kw_dtls_hello_accept(dtls, message);

    if (status != KW_OK)
        return status;
    dtls->hs->was_retried = true;
    dtls->next_send_seq = message->seq;
    kw_dtls_flight_begin(dtls);
    out = kw_dtls_message_begin(dtls);
    kw_write_bytes(&out, body);
    status = kw_dtls_message_end(dtls, &out, KW_HS_SERVER_HELLO, KW_EPOCH_PLAIN);
    if (status == KW_OK)
        kw_dtls_flight_send(dtls);
    return status;
}

/*
 * A client that doubts a retry says its first hello again, and it is not the one that the cookie of
 * the second speaks for: a stranger had a part in that. The second hello, of which pieces may still
 * be on their way, is not listened to any more, unless that first hello is said again.
 */
static void disown_first_hello(struct kw_dtls *dtls, const uint8_t *other_hash)
{
    size_t len = sizeof dtls->disowned;

    if (dtls->state != KW_STATE_WAIT_CLIENT_HELLO && dtls->hs->hello_seq == 1 &&
        memcmp(dtls->hs->first_hash, other_hash, len) != 0)
        memcpy(dtls->disowned, dtls->hs->first_hash, len);
    else if (memcmp(dtls->disowned, other_hash, len) == 0)
        memset(dtls->disowned, 0, len);
}

static enum kw_status send_retry(struct kw_dtls *dtls, const struct kw_message *message,
                                 const struct choice *choice)
{
    struct kw_cookie cookie = {
        .suite = choice->suite,
        .group = choice->share.len == 0 ? choice->group : 0,
    };
    uint8_t sealed[KW_COOKIE_MAX], body[KW_DTLS_RETRY_MAX];
    struct kw_writer out = kw_writer_of(body, sizeof body);
    size_t sealed_len;
    enum kw_status status;

    dtls->version = KW_DTLS_1_3;
    dtls->suite = kw_suite_info((enum kw_suite)choice->suite);
    status = make_cookie(dtls, message, &cookie, sealed, &sealed_len);
    if (status != KW_OK)
        return status;
    disown_first_hello(dtls, cookie.hello_hash);
    kw_server_start_over(dtls);
    write_retry(&cookie, (struct kw_bytes){sealed, sealed_len}, &out);
    KW_ASSERT(!out.failed);
    kw_dtls_undoom(dtls);
    if (!dtls->require_cookie)
        return send_retry_flight(dtls, message, kw_writer_view(&out));
    /* On a path that nobody has validated everything else is forgotten. */
    send_retry_once(dtls, message->seq, kw_writer_view(&out));
    kw_dtls_hello_forget(dtls);
    return KW_OK;
}

/*
 * Takes up the transcript where the retry left it (RFC 8446, section 4.4.1): the first hello is
 * represented by its hash, which the cookie kept.
 */
static enum kw_status resume_transcript(struct kw_dtls *dtls, const struct kw_cookie *cookie,
                                        struct kw_bytes sealed)
{
    uint8_t body[KW_DTLS_RETRY_MAX];
    struct kw_writer out = kw_writer_of(body, sizeof body);
    enum kw_status status;

    write_retry(cookie, sealed, &out);
    KW_ASSERT(!out.failed);
    memcpy(dtls->hs->retry, body, out.len);
    dtls->hs->retry_len = out.len;
    status = kw_dtls_transcript_add(dtls, KW_HS_MESSAGE_HASH, 0,
                                    (struct kw_bytes){cookie->hello_hash, cookie->hash_len});
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, KW_HS_SERVER_HELLO, 0, kw_writer_view(&out));
    return status;
}

/* --- the answer --- */

static enum kw_status write_extensions(struct kw_dtls *dtls, const struct choice *choice)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t block = kw_write_open(&out, 2);

    if (choice->profile != 0)
        kw_extension_write_srtp(&out, (const uint16_t[]){choice->profile, 0});
    if (choice->has_alpn)
        kw_extension_write_alpn(&out, (struct kw_bytes){dtls->alpn, dtls->alpn_len});
    kw_write_close(&out, block, 2);
    return kw_dtls_message_end(dtls, &out, KW_HS_ENCRYPTED_EXTENSIONS, KW_EPOCH_HANDSHAKE);
}

/* RFC 8827, section 6.5: both sides show certificates, so the client is always asked. */
static enum kw_status write_request(struct kw_dtls *dtls)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t block;

    kw_write_u8(&out, 0);
    block = kw_write_open(&out, 2);
    kw_extension_write_list16(&out, KW_EXT_SIGNATURE_ALGORITHMS, 2, kw_dtls_schemes(dtls, true));
    kw_write_close(&out, block, 2);
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE_REQUEST, KW_EPOCH_HANDSHAKE);
}

static enum kw_status write_hello(struct kw_dtls *dtls, const struct choice *choice,
                                  struct kw_bytes share)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);

    kw_server_hello_write(
        &(struct kw_server_hello_parts){
            .random = dtls->hs->server_random,
            .suite = choice->suite,
            .group = choice->group,
            .share = share,
            .has_cid = choice->has_cid,
            .cid = {dtls->own_cid, dtls->own_cid_len},
        },
        &out);
    return kw_dtls_message_end(dtls, &out, KW_HS_SERVER_HELLO, KW_EPOCH_PLAIN);
}

static void note_choice(struct kw_dtls *dtls, const struct choice *choice)
{
    struct kw_dtls_facts *facts = &dtls->facts;

    facts->version = KW_DTLS_1_3;
    facts->suite = (enum kw_suite)choice->suite;
    facts->group = (enum kw_group)choice->group;
    facts->srtp_profile = (enum kw_srtp_profile)choice->profile;
    facts->alpn = choice->has_alpn;
    facts->cid = choice->has_cid;
    facts->retried = choice->has_cookie;
    if (choice->has_cid) {
        memcpy(dtls->peer_cid, choice->cid.data, choice->cid.len);
        dtls->peer_cid_len = (uint8_t)choice->cid.len;
    }
}

/* From ServerHello to Finished, and the keys of both epochs. */
static enum kw_status write_flight(struct kw_dtls *dtls, const struct choice *choice,
                                   struct kw_bytes share, const struct kw_secret *shared)
{
    enum kw_status status = write_hello(dtls, choice, share);

    if (status == KW_OK)
        status = kw_common13_derive_handshake(dtls, shared);
    if (status == KW_OK)
        status = write_extensions(dtls, choice);
    if (status == KW_OK && dtls->ask_certificate)
        status = write_request(dtls);
    if (status == KW_OK)
        status = kw_common13_write_auth(dtls);
    if (status == KW_OK)
        status = kw_common13_derive_data(dtls);
    if (status == KW_OK)
        status = kw_dtls_install_write(dtls, &dtls->write_secret, KW_EPOCH_DATA);
    return status;
}

static enum kw_status answer(struct kw_dtls *dtls, const struct kw_message *message,
                             const struct kw_client_hello *hello, const struct choice *choice,
                             const struct kw_cookie *cookie)
{
    uint8_t share[KW_KX_SHARE_MAX];
    struct kw_secret shared = {.len = 0};
    enum kw_verdict verdict = KW_DROP_INTERNAL;
    size_t share_len;
    enum kw_status status;

    status = dtls->crypto->ops->kx_answer(dtls->crypto, (enum kw_group)choice->group, choice->share,
                                          share, &share_len, &shared, &verdict);
    if (status != KW_OK)
        return status;
    if (verdict != KW_ACCEPT)
        return refuse_hello(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_ILLEGAL_PARAMETER);
    kw_server_start_over(dtls);
    dtls->version = KW_DTLS_1_3;
    dtls->suite = kw_suite_info((enum kw_suite)choice->suite);
    memcpy(dtls->hs->client_random, hello->random.data, KW_RANDOM_LEN);
    note_choice(dtls, choice);
    status = kw_random_fill(&dtls->shared->random, dtls->hs->server_random, KW_RANDOM_LEN);
    if (status == KW_OK)
        status = kw_dtls_transcript_start(dtls);
    if (status == KW_OK && choice->has_cookie) {
        memcpy(dtls->hs->first_hash, cookie->hello_hash, sizeof dtls->hs->first_hash);
        status = resume_transcript(dtls, cookie, choice->cookie);
    }
    if (status == KW_OK)
        status = kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
    if (status == KW_OK)
        status = kw_dtls_hello_accept(dtls, message);
    if (status != KW_OK)
        goto out;
    /* RFC 9147, section 5.2: the first message of each flight goes on where the last one ended;
     * a server that forgot its retry knows from the hello where that was. */
    dtls->next_send_seq = message->seq;
    kw_dtls_flight_begin(dtls);
    status = write_flight(dtls, choice, (struct kw_bytes){share, share_len}, &shared);
    if (status != KW_OK)
        goto out;
    dtls->state = dtls->ask_certificate ? KW_STATE_WAIT_CERTIFICATE : KW_STATE_WAIT_FINISHED;
    kw_dtls_flight_send(dtls);
out:
    kw_secret_wipe(&shared);
    return status;
}

/* The second hello: our own cookie, and what the retry asked for. */
static enum kw_status check_cookie(struct kw_dtls *dtls, struct choice *choice,
                                   struct kw_cookie *cookie)
{
    enum kw_verdict verdict;
    /* A retry that we keep, and send until it is answered, does not age. */
    kw_ns when = dtls->hs->was_retried ? dtls->hs->hello_at : dtls->now;
    enum kw_status status =
        kw_cookie_consume(dtls->shared, (struct kw_bytes){dtls->binding, dtls->binding_len},
                          choice->cookie, when, cookie, &verdict);

    if (status != KW_OK)
        return status;
    /* Nobody who answers a retry of ours has another cookie, but somebody who answers a stranger's
     * may: the true retry is on its way to him. */
    if (!dtls->fail_fast && (verdict != KW_ACCEPT || memcmp(cookie->hello_hash, dtls->disowned,
                                                            sizeof dtls->disowned) == 0))
        choice->is_ignored = true;
    /* RFC 9147, section 5.1: an invalid cookie is answered with illegal_parameter. A second retry
     * is not allowed (RFC 8446, section 4.1.4), so the share has to be there now. */
    if (verdict != KW_ACCEPT || cookie->suite != choice->suite || choice->share.len == 0 ||
        (cookie->group != 0 && cookie->group != choice->group))
        illegal(choice);
    return KW_OK;
}

/* Not the hello that was announced for this association: it is nobody's business here. */
static enum kw_status is_prepared(struct kw_dtls *dtls, const struct kw_client_hello *hello,
                                  bool *prepared)
{
    uint8_t digest[KW_DIGEST_MAX];
    enum kw_status status = KW_OK;

    *prepared = true;
    if (dtls->has_prepared_hello) {
        status = kw_crypto_hash(dtls->crypto, KW_SHA256, hello->random, digest);
        *prepared = kw_ct_equal(digest, dtls->hello_random, sizeof dtls->hello_random);
    }
    return status;
}

/* The first hello once more, after our retry. */
static bool is_first_again(const struct kw_dtls *dtls, const struct kw_message *message)
{
    return dtls->hs->was_retried && message->seq == dtls->hs->hello_seq;
}

enum kw_status kw_server_handle_hello(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct choice choice = {.alert = KW_ALERT_NONE};
    struct kw_cookie cookie = {.suite = 0};
    struct kw_client_hello hello;
    enum kw_hello_place place = KW_HELLO_SUCCESSOR;
    bool is_known = false;
    enum kw_status status;

    if (dtls->state != KW_STATE_WAIT_CLIENT_HELLO || is_first_again(dtls, message)) {
        status = kw_dtls_hello_compare(dtls, message, &place);
        /* A client that doubts our retry says its first hello again. */
        if (status == KW_OK && place == KW_HELLO_KNOWN && message->seq != dtls->hs->hello_seq &&
            dtls->hs->retry_len != 0)
            send_retry_once(dtls, message->seq,
                            (struct kw_bytes){dtls->hs->retry, dtls->hs->retry_len});
        if (status != KW_OK || place != KW_HELLO_SUCCESSOR)
            return status;
    }
    choice.alert = kw_client_hello_parse(message->body, &hello);
    choice.end = KW_DTLS_END_ALERT_SENT;
    if (choice.alert == KW_ALERT_NONE) {
        status = is_prepared(dtls, &hello, &is_known);
        if (status != KW_OK)
            return status;
        if (!is_known) {
            dtls->counters[KW_DROP_UNEXPECTED]++;
            kw_dtls_hello_forget(dtls);
            return KW_OK;
        }
        note_offers(dtls, &hello);
        if (choose_version(dtls, &hello, &choice)) {
            if (choice.version == KW_DTLS_1_2)
                return kw_server12_handle_hello(dtls, message, &hello);
            if (choose13(dtls, &hello, &choice) && choice.has_cookie) {
                status = check_cookie(dtls, &choice, &cookie);
                if (status != KW_OK)
                    return status;
            }
        }
    }
    if (choice.is_ignored) {
        dtls->counters[KW_DROP_UNEXPECTED]++;
        kw_dtls_hello_forget(dtls);
        return KW_OK;
    }
    if (choice.alert != KW_ALERT_NONE)
        return refuse_hello(dtls, choice.end, choice.alert);
    if (!choice.has_cookie && dtls->hs->was_retried && !is_first_again(dtls, message))
        return refuse_hello(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_MISSING_EXTENSION);
    if (!choice.has_cookie && (dtls->require_cookie || choice.share.len == 0))
        return send_retry(dtls, message, &choice);
    return answer(dtls, message, &hello, &choice, &cookie);
}
