/* SPDX-License-Identifier: Apache-2.0 */
/* A client's hello: what it offers, and how the second one differs. */
#include "dtls/client.h"

#include "base/assert.h"
#include "dtls/hello.h"

#include <string.h>

enum { FIRST_SHARES = 2 };

bool kw_client_has_suite(const struct kw_dtls *dtls, uint16_t suite, enum kw_dtls_version version)
{
    const struct kw_suite_info *info = kw_suite_info((enum kw_suite)suite);

    for (const uint16_t *ours = dtls->terms.suites; *ours != 0; ours++) {
        if (*ours == suite)
            return info != NULL && info->version == version;
    }
    return false;
}

bool kw_client_has_group(const struct kw_dtls *dtls, uint16_t group)
{
    for (const uint16_t *ours = dtls->terms.groups; *ours != 0; ours++) {
        if (*ours == group)
            return dtls->crypto->ops->has_group(dtls->crypto, (enum kw_group)group);
    }
    return false;
}

struct kw_kx *kw_client_find_kx(const struct kw_dtls *dtls, uint16_t group, bool is_first)
{
    size_t from = 0, to = FIRST_SHARES;

    if (!is_first && dtls->hs->retry_group != 0) {
        from = FIRST_SHARES;
        to = KW_ARRAY_LEN(dtls->hs->kx);
    }
    for (size_t i = from; i < to; i++) {
        if (dtls->hs->kx[i] != NULL && dtls->hs->kx_group[i] == group)
            return dtls->hs->kx[i];
    }
    return NULL;
}

/* --- the hello --- */

struct shares {
    size_t count;
    uint16_t group[FIRST_SHARES];
    size_t len[FIRST_SHARES];
    uint8_t share[FIRST_SHARES][KW_KX_SHARE_MAX];
};

/* Makes a share; its key exchange takes that place. */
static enum kw_status offer(struct kw_dtls *dtls, uint16_t group, size_t place,
                            struct shares *shares)
{
    struct kw_handshake *hs = dtls->hs;
    size_t at = shares->count;
    struct kw_kx *made;
    enum kw_status status = dtls->crypto->ops->kx_offer(dtls->crypto, (enum kw_group)group, &made,
                                                        shares->share[at], &shares->len[at]);

    if (status != KW_OK)
        return status;
    if (hs->kx[place] != NULL)
        dtls->crypto->ops->kx_free(hs->kx[place]);
    hs->kx[place] = made;
    hs->kx_group[place] = group;
    shares->group[at] = group;
    shares->count++;
    return KW_OK;
}

/* Our first group, and x25519 beside a hybrid one: a server without ML-KEM needs no retry. */
static enum kw_status offer_first(struct kw_dtls *dtls, struct shares *shares)
{
    uint16_t first = 0;
    enum kw_status status;

    for (const uint16_t *ours = dtls->terms.groups; *ours != 0 && first == 0; ours++) {
        if (kw_client_has_group(dtls, *ours))
            first = *ours;
    }
    if (first == 0)
        return KW_ERR_INPUT;
    status = offer(dtls, first, 0, shares);
    if (status == KW_OK && first == KW_GROUP_X25519MLKEM768 &&
        kw_client_has_group(dtls, KW_GROUP_X25519))
        status = offer(dtls, KW_GROUP_X25519, 1, shares);
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
        if (kw_client_has_group(dtls, *ours))
            groups[count++] = *ours;
    }
    kw_extension_write_list16(out, KW_EXT_SUPPORTED_GROUPS, 2, groups);
}

static void write_shares(const struct shares *shares, struct kw_writer *out)
{
    size_t extension = kw_extension_open(out, KW_EXT_KEY_SHARE);
    size_t list = kw_write_open(out, 2);

    for (size_t i = 0; i < shares->count; i++) {
        kw_write_u16(out, shares->group[i]);
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
        write_shares(&shares, &out);
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

/*
 * The first hello stays in the flight, and its key exchanges stay alive: the retry that makes us
 * say a second one may be a stranger's, and the true server may answer the first.
 */
enum kw_status kw_client_write_hello_again(struct kw_dtls *dtls, uint16_t group,
                                           struct kw_bytes cookie, struct kw_bytes cookie12)
{
    struct kw_handshake *hs = dtls->hs;
    uint8_t extension[KW_KX_SHARE_MAX + 16];
    struct kw_writer out = kw_writer_of(extension, sizeof extension);
    struct kw_bytes key_share = {NULL, 0};
    struct shares shares = {.count = 0};
    enum kw_status status;

    if (group != 0) {
        status = offer(dtls, group, FIRST_SHARES, &shares);
        if (status != KW_OK)
            return status;
        write_shares(&shares, &out);
        key_share = kw_writer_view(&out);
    } else if (kw_dtls_can_do_13(dtls)) {
        /* RFC 8446, section 4.1.2: without a key_share in the retry, ours stays as it was. */
        key_share = own_extension(kw_flight_body(&hs->out, 0), KW_AT_KEY_SHARE);
    }
    dtls->has_answered = true;
    kw_flight_truncate(&hs->out, 1);
    hs->out.messages[0].acked = true;
    dtls->next_send_seq = 1;
    return write_hello(dtls, cookie, cookie12, key_share);
}

bool kw_client_knows_retry(const struct kw_dtls *dtls, const struct kw_message *message)
{
    const struct kw_handshake *hs = dtls->hs;

    return (hs->was_retried || hs->was_verified) && message->body.len == hs->retry_len &&
           memcmp(message->body.data, hs->retry, hs->retry_len) == 0;
}

bool kw_client_doubts_retry(const struct kw_dtls *dtls)
{
    const struct kw_handshake *hs = dtls->hs;

    if (!(hs->was_retried || hs->was_verified) || hs->is_authenticated ||
        dtls->expiries < KW_DTLS_DOUBT_EXPIRIES)
        return false;
    return dtls->state == KW_STATE_WAIT_SERVER_HELLO ||
           (hs->was_retried && dtls->state == KW_STATE_WAIT_EXTENSIONS &&
            dtls->read[0].failed != 0);
}

void kw_client_note_retry(struct kw_dtls *dtls, const struct kw_message *message)
{
    struct kw_handshake *hs = dtls->hs;

    KW_ASSERT(message->body.len <= sizeof hs->retry);
    memcpy(hs->retry, message->body.data, message->body.len);
    hs->retry_len = message->body.len;
    kw_ack_list_clear(&dtls->acks);
    dtls->has_answered = true;
    kw_dtls_undoom(dtls);
}
