/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello phase: no record of the handshake epoch has authenticated yet. The hello is the one
 * message that nobody has authenticated when it is acted upon. At a client any ServerHello, to the
 * first hello or to the second, and any retry may be a stranger's, and the next one the true one;
 * at a server any ClientHello.
 *
 * So no hello is final. While the phase lasts, the messages number 0 and 1 of the other side are
 * both looked for, and forgotten when they were handled; another hello of the same place may take
 * over (at a server after KW_DTLS_HELLO_PATIENCE, and when it is repeated). A stranger who is first
 * delays a handshake; he does not prevent it.
 */
#include "dtls/hello_phase.h"

#include "base/assert.h"
#include "dtls/client.h"

#include <string.h>

static bool in_hello_phase(const struct kw_dtls *dtls)
{
    if (dtls->hs != NULL && dtls->hs->is_authenticated)
        return false;
    if (dtls->role == KW_DTLS_CLIENT)
        return dtls->state == KW_STATE_WAIT_SERVER_HELLO || dtls->state == KW_STATE_WAIT_EXTENSIONS;
    return dtls->state == KW_STATE_WAIT_CLIENT_HELLO || dtls->state == KW_STATE_WAIT_CERTIFICATE ||
           dtls->state == KW_STATE_WAIT_FINISHED;
}

void kw_dtls_hello_forget(struct kw_dtls *dtls)
{
    if (dtls->state == KW_STATE_WAIT_CLIENT_HELLO)
        kw_dtls_give_buffers(dtls);
    else if (!in_hello_phase(dtls)) {
        /* 1.2: the true message may come instead. */
        kw_reassembly_reset(&dtls->hs->in, dtls->hs->in.next_seq);
        dtls->hs->was_forgotten = true;
    }
}

enum kw_status kw_dtls_hello_accept(struct kw_dtls *dtls, const struct kw_message *message)
{
    enum kw_status status =
        kw_crypto_hash(dtls->crypto, KW_SHA256, message->body, dtls->hs->hello_hash);

    if (status != KW_OK)
        return status;
    dtls->hs->hello_at = dtls->now;
    dtls->hs->hello_seq = message->seq;
    dtls->hs->hello_len = (uint32_t)message->body.len;
    dtls->hello_until = KW_NEVER;
    kw_dtls_keep_buffers(dtls);
    kw_dtls_undoom(dtls);
    return KW_OK;
}

/* A server that accepted a second hello knows the first one by the hash in its cookie. */
static enum kw_status is_first_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                     bool *ret)
{
    uint8_t digest[KW_DIGEST_MAX];
    enum kw_status status =
        kw_dtls_hash_message(dtls, dtls->suite->hash, message->type, message->body, digest);

    *ret = status == KW_OK &&
           memcmp(digest, dtls->hs->first_hash, kw_hash_len(dtls->suite->hash)) == 0;
    return status;
}

/* A stranger speaks once; a true peer repeats its hello, and its answer whenever it is asked. */
static bool is_repeated(struct kw_dtls *dtls, uint16_t place, const uint8_t *digest)
{
    struct kw_handshake *hs = dtls->hs;
    size_t hash_len = kw_hash_len(KW_SHA256);

    if (memcmp(digest, hs->rival_hash[place], hash_len) == 0)
        return dtls->now - hs->rival_at[place] >= KW_DTLS_HELLO_PATIENCE / 8;
    memcpy(hs->rival_hash[place], digest, hash_len);
    hs->rival_at[place] = dtls->now;
    return false;
}

enum kw_status kw_dtls_hello_is_repeated(struct kw_dtls *dtls, uint16_t place, struct kw_bytes body,
                                         bool *ret)
{
    uint8_t digest[KW_DIGEST_MAX];
    enum kw_status status = kw_crypto_hash(dtls->crypto, KW_SHA256, body, digest);

    *ret = status == KW_OK && is_repeated(dtls, place, digest);
    return status;
}

/*
 * At a server another hello takes over only when it is repeated, as that of a true client is: one
 * datagram of a stranger changes nothing.
 */
enum kw_status kw_dtls_hello_compare(struct kw_dtls *dtls, const struct kw_message *message,
                                     enum kw_hello_place *ret)
{
    struct kw_handshake *hs = dtls->hs;
    size_t hash_len = kw_hash_len(KW_SHA256);
    uint8_t digest[KW_DIGEST_MAX];
    bool is_first;
    enum kw_status status = kw_crypto_hash(dtls->crypto, KW_SHA256, message->body, digest);

    if (status != KW_OK)
        return status;
    if (memcmp(digest, hs->hello_hash, hash_len) == 0) {
        *ret = KW_HELLO_KNOWN;
        return KW_OK;
    }
    if (dtls->role == KW_DTLS_SERVER && message->seq != hs->hello_seq) {
        status = is_first_hello(dtls, message, &is_first);
        if (status != KW_OK || is_first) {
            *ret = KW_HELLO_KNOWN;
            return status;
        }
    }
    *ret = KW_HELLO_SUCCESSOR;
    if (dtls->role == KW_DTLS_SERVER && !is_repeated(dtls, message->seq, digest))
        *ret = KW_HELLO_RIVAL;
    return KW_OK;
}

void kw_dtls_authenticated(struct kw_dtls *dtls)
{
    struct kw_handshake *hs = dtls->hs;

    if (hs == NULL || hs->is_authenticated)
        return;
    hs->is_authenticated = true;
    kw_dtls_undoom(dtls);
    /* A hello that was on its way again is not needed any more. */
    if (hs->in.next_seq <= hs->hello_seq)
        kw_reassembly_reset(&hs->in, hs->hello_seq + 1U);
    /* The client's hello has been answered by one who could read it. */
    if (dtls->role == KW_DTLS_CLIENT) {
        kw_dtls_flight_done(dtls);
        kw_dtls_free_kx(dtls);
        /* A second hello that the server never asked for does not count. */
        dtls->next_send_seq = hs->hello_seq + 1U;
    }
}

static enum kw_status handle_hellos(struct kw_dtls *dtls)
{
    struct kw_message message;
    enum kw_status status;

    for (uint32_t seq = 0; seq <= 1; seq++) {
        if (!kw_reassembly_peek_at(&dtls->hs->in, seq, &message))
            continue;
        status = kw_dtls_handle_message(dtls, &message);
        /* A hello that was refused, or answered with a retry, may have let go of the buffers. */
        if (status != KW_OK || dtls->state == KW_STATE_CLOSED || dtls->hs == NULL)
            return status;
        if (!in_hello_phase(dtls)) {
            /* 1.2: the rest of the flight is in the clear, too, and may be here already. */
            while (dtls->hs->in.next_seq <= dtls->hs->hello_seq)
                kw_reassembly_pop(&dtls->hs->in);
            return kw_dtls_handle_complete_messages(dtls);
        }
        kw_reassembly_forget(&dtls->hs->in, seq);
    }
    return KW_OK;
}

/* Says what stands against looking at a fragment of a ServerHello. */
static enum kw_verdict judge_server_hello(const struct kw_dtls *dtls,
                                          const struct kw_fragment *fragment)
{
    uint16_t last = dtls->hs->was_retried || dtls->hs->was_verified ? 1 : 0;
    bool may_be_12 = dtls->terms.allow_dtls12 && dtls->state == KW_STATE_WAIT_SERVER_HELLO;

    return fragment->seq > last && !may_be_12 ? KW_DROP_UNEXPECTED : KW_ACCEPT;
}

/* The same of a ClientHello, and repeats our answer when it is the one that we answered. */
static enum kw_verdict judge_client_hello(struct kw_dtls *dtls, const struct kw_fragment *fragment)
{
    struct kw_handshake *hs = dtls->hs;
    bool is_answered = dtls->state != KW_STATE_WAIT_CLIENT_HELLO ||
                       (hs->was_retried && fragment->seq == hs->hello_seq);

    if (fragment->type != KW_HS_CLIENT_HELLO || fragment->seq > 1)
        return KW_DROP_UNEXPECTED;
    if (is_answered) {
        /* RFC 9147, section 5.8.1: a repeated flight is answered with ours. */
        if (fragment->seq == hs->hello_seq && fragment->offset == 0 &&
            fragment->message_len == hs->hello_len)
            kw_dtls_flight_resend(dtls);
        return dtls->now - hs->hello_at < KW_DTLS_HELLO_PATIENCE ? KW_DROP_UNEXPECTED : KW_ACCEPT;
    }
    return KW_ACCEPT;
}

/* What a conformance suite calls an unexpected message. */
static bool is_out_of_place(const struct kw_dtls *dtls, const struct kw_fragment *fragment)
{
    if (dtls->state == KW_STATE_WAIT_CLIENT_HELLO)
        return fragment->type != KW_HS_CLIENT_HELLO && fragment->seq <= 1;
    return dtls->state != KW_STATE_WAIT_SERVER_HELLO && fragment->seq > dtls->hs->hello_seq;
}

enum kw_status kw_dtls_hello_handle_fragment(struct kw_dtls *dtls,
                                             const struct kw_fragment *fragment,
                                             enum kw_verdict *verdict)
{
    bool is_server = dtls->role == KW_DTLS_SERVER;

    if (!kw_dtls_take_buffers(dtls)) {
        *verdict = KW_DROP_LIMIT;
        return KW_OK;
    }
    *verdict = is_server ? judge_client_hello(dtls, fragment) : judge_server_hello(dtls, fragment);
    if (*verdict == KW_ACCEPT)
        *verdict = kw_dtls_add_fragment(dtls, fragment, KW_EPOCH_PLAIN);
    if (*verdict != KW_ACCEPT) {
        if (dtls->fail_fast && *verdict == KW_DROP_UNEXPECTED && is_out_of_place(dtls, fragment))
            return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
        if (dtls->state == KW_STATE_WAIT_CLIENT_HELLO && dtls->hs->out.count == 0 &&
            !kw_reassembly_has_open(&dtls->hs->in))
            kw_dtls_give_buffers(dtls);
        return KW_OK;
    }
    /* RFC 9147, section 7.1: the second hello acknowledges our retry. */
    if (is_server && dtls->state == KW_STATE_WAIT_CLIENT_HELLO)
        kw_dtls_flight_done(dtls);
    return handle_hellos(dtls);
}

void kw_dtls_hello_remind(struct kw_dtls *dtls, const struct kw_fragment *fragment)
{
    struct kw_handshake *hs = dtls->hs;

    if (dtls->role != KW_DTLS_SERVER || dtls->state != KW_STATE_WAIT_CERTIFICATE || hs == NULL ||
        fragment->type != KW_HS_CLIENT_HELLO || fragment->seq != hs->hello_seq ||
        fragment->offset != 0 || fragment->message_len != hs->hello_len ||
        kw_reassembly_has_open(&hs->in))
        return;
    kw_flight_unack(&hs->out, 0);
    kw_dtls_flight_resend(dtls);
}

/* --- back to the hello phase: 1.2, whose handshake nothing authenticates before its end --- */

/*
 * A server of 1.2 has answered a hello, and nobody went on from there; meanwhile another hello
 * comes again and again. The first may have been a stranger's.
 */
static bool is_rival_of_12(struct kw_dtls *dtls, const struct kw_fragment *fragment)
{
    struct kw_handshake *hs = dtls->hs;

    if (dtls->role != KW_DTLS_SERVER || dtls->state != KW_STATE_12_CERTIFICATE || hs == NULL ||
        dtls->fail_fast || kw_reassembly_has_open(&hs->in) ||
        fragment->type != KW_HS_CLIENT_HELLO || fragment->seq > hs->hello_seq ||
        fragment->offset != 0 || fragment->message_len == hs->hello_len ||
        dtls->now - hs->hello_at < KW_DTLS_HELLO_PATIENCE)
        return false;
    if (fragment->message_len != hs->rival_len) {
        hs->rival_len = fragment->message_len;
        hs->rival_at[0] = dtls->now;
        return false;
    }
    return dtls->now - hs->rival_at[0] >= KW_DTLS_HELLO_PATIENCE / 8;
}

static void start_server_over(struct kw_dtls *dtls)
{
    kw_server_start_over(dtls);
    dtls->version = KW_DTLS_NONE;
    kw_dtls_give_buffers(dtls);
}

bool kw_dtls_hello_is_unproved12(const struct kw_dtls *dtls)
{
    return dtls->role == KW_DTLS_CLIENT && !dtls->fail_fast &&
           (dtls->state == KW_STATE_12_CERTIFICATE || dtls->state == KW_STATE_12_SERVER_KEY);
}

/*
 * A client of 1.2 has taken a ServerHello of which nothing has proved yet that it is the true one,
 * and there is another answer to its hello. That one takes over when it is repeated, or when the
 * first has come to grief. It is looked at in one piece, as it always comes: message number 1 may
 * be the certificate that belongs to the first.
 */
static enum kw_status is_rival_answer(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                      bool *ret)
{
    const struct kw_message message = {
        .type = fragment->type, .seq = fragment->seq, .body = fragment->body};
    enum kw_hello_place place;
    enum kw_status status;

    *ret = false;
    if (!kw_dtls_hello_is_unproved12(dtls) || fragment->seq > 1 ||
        (fragment->type != KW_HS_SERVER_HELLO && fragment->type != KW_HS_HELLO_VERIFY_REQUEST) ||
        fragment->body.len != fragment->message_len || kw_client_knows_retry(dtls, &message))
        return KW_OK;
    status = kw_dtls_hello_compare(dtls, &message, &place);
    if (status != KW_OK || place == KW_HELLO_KNOWN)
        return status;
    status = kw_dtls_hello_is_repeated(dtls, fragment->seq, fragment->body, ret);
    *ret |= status == KW_OK && dtls->doom.at != KW_NEVER;
    return status;
}

/* Our hello is still there, and its timer goes on. */
static void start_client_over(struct kw_dtls *dtls)
{
    struct kw_handshake *hs = dtls->hs;

    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->read); i++)
        kw_record_keys_wipe(&dtls->read[i]);
    for (size_t i = 0; i < KW_ARRAY_LEN(dtls->write); i++)
        kw_record_keys_wipe(&dtls->write[i]);
    kw_dtls_transcript_free(dtls);
    kw_pool_give(&dtls->shared->buffers->handshakes, hs->raw);
    hs->raw = NULL;
    hs->raw_len = hs->certificate_len = 0;
    memset(hs->hello_hash, 0, sizeof hs->hello_hash);
    dtls->version = KW_DTLS_NONE;
    dtls->facts.cid = false;
    dtls->peer_cid_len = 0;
    dtls->state = KW_STATE_WAIT_SERVER_HELLO;
    kw_dtls_undoom(dtls);
}

enum kw_status kw_dtls_hello_is_next12(struct kw_dtls *dtls, const struct kw_message *message,
                                       bool *ret)
{
    enum kw_status status;

    *ret = dtls->state == KW_STATE_WAIT_SERVER_HELLO;
    if (*ret || dtls->fail_fast)
        return KW_OK;
    status = kw_dtls_hello_is_repeated(dtls, message->seq, message->body, ret);
    if (*ret)
        start_client_over(dtls);
    return status;
}

enum kw_status kw_dtls_hello_concerns(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                      bool *ret)
{
    bool is_rival;
    enum kw_status status = is_rival_answer(dtls, fragment, &is_rival);

    if (status != KW_OK)
        return status;
    if (is_rival) {
        start_client_over(dtls);
        kw_reassembly_reset(&dtls->hs->in, 0);
    } else if (is_rival_of_12(dtls, fragment)) {
        start_server_over(dtls);
    }
    *ret = in_hello_phase(dtls);
    return KW_OK;
}
