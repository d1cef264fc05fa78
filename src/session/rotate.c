/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `overlap`: two Keywheel peers prepare a second association on their 5-tuple. The asker says in
 * application data of the live association which ClientHello is coming and with which certificate;
 * the other answers with its own. So only the peer that holds the live association can occupy the
 * next one.
 *
 *      u8  version = 1
 *      u8  type: 1 ROTATE, 2 ACCEPT
 *      u32 generation, the asker's number
 *      u8  hash of the fingerprint, then its digest as a vector with one length byte
 *      ROTATE only: 32 bytes SHA-256 of the coming ClientHello.random
 *
 * Application data is not reliable: the asker repeats itself until it is answered, the other
 * answers each time. When both ask at once the larger hash asks and the smaller answers. Nor does
 * it come in order, so numbers tell which of two wishes is the newer one: an asker's only grow.
 */
#include "session/session.h"

#include "base/reader.h"
#include "base/writer.h"

enum { ROTATE_VERSION = 1, TYPE_ROTATE = 1, TYPE_ACCEPT = 2, HELLO_HASH_LEN = 32 };

struct message {
    uint8_t type;
    uint32_t generation;
    struct kw_fingerprint fingerprint;
    uint8_t hello_hash[HELLO_HASH_LEN];
};

bool kw_rotate_able(const struct kw_generation *current)
{
    return current != NULL && current->dtls != NULL && kw_dtls_facts(current->dtls)->alpn &&
           kw_dtls_facts(current->dtls)->version == KW_DTLS_1_3;
}

static enum kw_verdict parse(struct kw_bytes raw, struct message *ret)
{
    struct kw_reader in = kw_reader_of_bytes(raw);
    struct message message = {0};
    uint8_t version = kw_read_u8(&in);
    struct kw_bytes digest, hash = {NULL, 0};
    uint8_t id;

    message.type = kw_read_u8(&in);
    if (version != ROTATE_VERSION || (message.type != TYPE_ROTATE && message.type != TYPE_ACCEPT))
        return KW_DROP_FOREIGN;
    message.generation = kw_read_u32(&in);
    id = kw_read_u8(&in);
    digest = kw_read_vector(&in, 1);
    if (message.type == TYPE_ROTATE)
        hash = kw_read_bytes(&in, HELLO_HASH_LEN);
    if (!kw_reader_done(&in) || id >= KW_HASH_COUNT || digest.len != kw_hash_len((enum kw_hash)id))
        return KW_DROP_MALFORMED;
    message.fingerprint.hash = (enum kw_hash)id;
    memcpy(message.fingerprint.digest, digest.data, digest.len);
    if (hash.len != 0)
        memcpy(message.hello_hash, hash.data, hash.len);
    *ret = message;
    return KW_ACCEPT;
}

static enum kw_status send(struct kw_session *session, const struct message *message, kw_ns now)
{
    struct kw_generation *current = kw_session_current_of(session);
    const struct kw_bytes digest = {message->fingerprint.digest,
                                    kw_hash_len(message->fingerprint.hash)};
    const struct kw_bytes hash = {message->hello_hash, HELLO_HASH_LEN};
    uint8_t raw[KW_ROTATE_MESSAGE_MAX];
    struct kw_writer out = kw_writer_of(raw, sizeof raw);

    if (current == NULL || current->dtls == NULL)
        return KW_ERR_STATE;
    kw_write_u8(&out, ROTATE_VERSION);
    kw_write_u8(&out, message->type);
    kw_write_u32(&out, message->generation);
    kw_write_u8(&out, (uint8_t)message->fingerprint.hash);
    kw_write_vector(&out, digest, 1);
    if (message->type == TYPE_ROTATE)
        kw_write_bytes(&out, hash);
    KW_ASSERT(!out.failed);
    return kw_dtls_send(current->dtls, kw_writer_view(&out), now);
}

static enum kw_status send_ask(struct kw_session *session, struct kw_generation *next, kw_ns now)
{
    struct message message = {
        .type = TYPE_ROTATE,
        .generation = next->number,
        .fingerprint = next->our_fingerprint,
    };

    memcpy(message.hello_hash, next->engines->hello_hash, sizeof message.hello_hash);
    next->engines->resend_at = now + next->engines->resend_after;
    next->engines->resend_after = KW_MIN(2 * next->engines->resend_after, KW_ROTATE_RESEND_MAX);
    return send(session, &message, now);
}

static enum kw_status send_answer(struct kw_session *session, const struct kw_generation *next,
                                  uint32_t generation, kw_ns now)
{
    const struct message message = {
        .type = TYPE_ACCEPT,
        .generation = generation,
        .fingerprint = next->our_fingerprint,
    };

    return send(session, &message, now);
}

enum kw_status kw_rotate_ask(struct kw_session *session, struct kw_generation *next, kw_ns now)
{
    const struct kw_session_shared *shared = session->shared;
    enum kw_status status = kw_random_fill(&shared->dtls.random, next->engines->client_random,
                                           sizeof next->engines->client_random);

    if (status != KW_OK)
        return status;
    status = kw_crypto_hash(
        shared->dtls.crypto, KW_SHA256,
        (struct kw_bytes){next->engines->client_random, sizeof next->engines->client_random},
        next->engines->hello_hash);
    if (status != KW_OK)
        return status;
    next->role = KW_DTLS_CLIENT;
    next->asks = true;
    next->engines->resend_after = KW_ROTATE_RESEND;
    return send_ask(session, next, now);
}

/* Makes `next` the server of the hello that the peer announced. */
static enum kw_status serve(struct kw_session *session, struct kw_generation *next,
                            const struct kw_rotate_offer *offer, kw_ns now)
{
    kw_generation_drop_dtls(session, next);
    next->stage = KW_STAGE_PREPARED;
    next->role = KW_DTLS_SERVER;
    next->asks = false;
    next->heard = false;
    kw_wipe(next->engines->client_random, sizeof next->engines->client_random);
    memcpy(next->engines->hello_hash, offer->hello_hash, sizeof next->engines->hello_hash);
    next->engines->fingerprints[0] = offer->fingerprint;
    next->engines->fingerprint_count = 1;
    next->engines->give_up = now + kw_wheel_negotiation_max(session);
    return send_answer(session, next, offer->generation, now);
}

enum kw_status kw_rotate_answer(struct kw_session *session, struct kw_generation *next, kw_ns now)
{
    if (next->reason == KW_REASON_NONE)
        next->reason = KW_REASON_PEER;
    return serve(session, next, &session->offer, now);
}

/*
 * Says DUE for the peer: at once, then while it goes on asking, and after an attempt of its own
 * that failed the later the more of them did, since each costs a certificate and a handshake. Our
 * own DUE and its back-off have nothing to do with it.
 */
static void tell_owner(struct kw_session *session, const struct kw_generation *current, kw_ns now)
{
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_DUE,
        .generation = current->number,
        .reason = KW_REASON_PEER,
    };

    if (now < session->peer_due_at)
        return; /* it asks again */
    session->peer_due_at = now + KW_BACKOFF_FIRST;
    kw_session_push(session, &event);
}

/* It goes on asking for as long as an attempt lasts, so that one of its repetitions is in time. */
void kw_rotate_failed(struct kw_session *session, kw_ns now)
{
    kw_ns most = kw_wheel_negotiation_max(session) / 4;
    kw_ns wait = KW_BACKOFF_FIRST << session->peer_failures;

    if (wait < most)
        session->peer_failures++;
    session->peer_due_at = now + KW_MIN(wait, KW_MAX(most, KW_BACKOFF_FIRST));
}

/* The offer that we hold already. */
static bool is_offered(const struct kw_session *session, const struct kw_rotate_offer *offer)
{
    return session->offer.valid &&
           memcmp(session->offer.hello_hash, offer->hello_hash, HELLO_HASH_LEN) == 0;
}

/* The peer asks. */
static enum kw_verdict receive_ask(struct kw_session *session, const struct message *message,
                                   kw_ns now)
{
    struct kw_generation *next = kw_session_next_of(session);
    struct kw_generation *current = kw_session_current_of(session);
    struct kw_rotate_offer offer = {
        .valid = true,
        .until = now + KW_ROTATE_OFFER_MAX,
        .generation = message->generation,
        .fingerprint = message->fingerprint,
    };

    if (!kw_rotate_able(current))
        return KW_DROP_UNEXPECTED;
    if (message->generation < session->asked)
        return KW_DROP_OLD; /* its asker has given that attempt up; nobody will say its hello */
    session->asked = message->generation;
    if (kw_session_previous_of(session) != NULL)
        return KW_DROP_UNEXPECTED; /* it asks again; ours retires meanwhile */
    memcpy(offer.hello_hash, message->hello_hash, sizeof offer.hello_hash);

    if (next == NULL) {
        session->offer = offer;
        tell_owner(session, current, now);
        return KW_ACCEPT;
    }
    if (next->stage == KW_STAGE_READY || !next->shares_path)
        return KW_DROP_UNEXPECTED;
    if (next->asks && next->stage == KW_STAGE_NEGOTIATING && !is_offered(session, &offer)) {
        /*
         * It had accepted ours. It has given that up, by a shorter L of its own, if it means what
         * it says: then it says it again. Once may be glare that was long on its way.
         */
        session->offer = offer;
        return KW_ACCEPT;
    }
    /* Glare. The larger hash asks; equal hashes are our own echo. */
    if (next->asks && next->stage == KW_STAGE_PREPARED &&
        memcmp(next->engines->hello_hash, offer.hello_hash, HELLO_HASH_LEN) >= 0)
        return KW_DROP_UNEXPECTED;
    session->offer = offer; /* also for whoever takes the place of `next` */
    /*
     * A second hash: it has given the other attempt up, and the live association vouches for this
     * one. It asks again should our answer not leave.
     */
    if (!next->asks && memcmp(next->engines->hello_hash, offer.hello_hash, HELLO_HASH_LEN) == 0)
        kw_status_ignore(send_answer(session, next, offer.generation, now));
    else
        kw_status_ignore(serve(session, next, &offer, now));
    return KW_ACCEPT;
}

/* The peer has answered: our ClientHello may go. */
static enum kw_verdict receive_accept(struct kw_session *session, const struct message *message,
                                      kw_ns now)
{
    struct kw_generation *next = kw_session_next_of(session);

    if (next == NULL || !next->asks || next->stage != KW_STAGE_PREPARED ||
        next->number != message->generation)
        return KW_DROP_UNEXPECTED;
    next->engines->fingerprints[0] = message->fingerprint;
    next->engines->fingerprint_count = 1;
    next->engines->resend_at = KW_NEVER;
    if (kw_generation_begin(session, next, now) != KW_OK)
        next->engines->resend_at =
            now + next->engines->resend_after; /* pool empty: ask again later */
    return KW_ACCEPT;
}

void kw_rotate_receive(struct kw_session *session, struct kw_generation *from, struct kw_bytes raw,
                       kw_ns now)
{
    struct message message = {0};
    enum kw_verdict verdict;

    if (session->closed)
        return;
    verdict = from->stage == KW_STAGE_CURRENT ? parse(raw, &message) : KW_DROP_UNEXPECTED;
    if (verdict == KW_ACCEPT)
        verdict = message.type == TYPE_ROTATE ? receive_ask(session, &message, now)
                                              : receive_accept(session, &message, now);
    kw_session_count(session, verdict);
}

void kw_rotate_age(struct kw_session *session, kw_ns now)
{
    if (session->offer.valid && now >= session->offer.until)
        session->offer.valid = false;
}

void kw_rotate_tick(struct kw_session *session, kw_ns now)
{
    struct kw_generation *next = kw_session_next_of(session);

    kw_rotate_age(session, now);
    if (next == NULL || !next->asks || next->stage != KW_STAGE_PREPARED ||
        now < next->engines->resend_at)
        return;
    kw_status_ignore(send_ask(session, next, now)); /* give_up ends it */
}
