/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own checks. Until a pair is validated a check is one transaction, repeated by the timers of
 * RFC 8489; afterwards each check is a single request about every 5 s with a transaction of its own
 * (RFC 7675 section 5.1), whose answers are consent and round trip.
 */
#include "ice/agent.h"

#include "base/assert.h"

/* RFC 8445 section 7.1.1: the priority that our side would have as peer-reflexive candidate. */
enum { REFLEXIVE_PRIORITY = 110U << 24 | 65535U << 8 | 255U };

static bool draw(struct kw_ice *ice, uint8_t *dst, size_t len)
{
    return kw_random_fill(ice->random, dst, len) == KW_OK;
}

/* 0.8 .. 1.2 of the interval, RFC 7675 section 5.1; without randomness simply the interval. */
static kw_ns consent_interval(struct kw_ice *ice)
{
    uint8_t r[2];

    if (!draw(ice, r, sizeof r))
        return KW_ICE_CONSENT_EVERY;
    return KW_ICE_CONSENT_EVERY / 10 * 8 +
           KW_ICE_CONSENT_EVERY / 10 * 4 / 65535 * (kw_ns)(r[0] << 8 | r[1]);
}

void kw_ice_check_trigger(struct kw_ice *ice, struct pair *pair, kw_ns now)
{
    switch (pair->state) {
    case CHECK_IDLE:
        pair->state = CHECK_DUE;
        pair->tries = 0;
        /* A lite agent has one new pair at a time; a full one paces its first checks. */
        pair->next_at = ice->lite ? now : KW_MAX(now, ice->paced_at);
        if (!ice->lite)
            ice->paced_at = pair->next_at + KW_ICE_PACE;
        return;
    case CHECK_DUE:
        return;
    case CHECK_SENT:
        if (pair->tries < KW_ICE_TRIES && now - pair->sent_at >= KW_ICE_TRIGGER
                                                                     << (pair->tries - 1))
            pair->next_at = KW_MIN(pair->next_at, now);
        return;
    }
}

/* Controlling: whether something better may still come. */
static bool is_outranked(const struct kw_ice *ice, const struct pair *pair)
{
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        const struct pair *other = &ice->pairs[i];
        bool hopeful =
            other->validated || (other->state != CHECK_IDLE && other->tries < KW_ICE_HOPEFUL_TRIES);

        if (other != pair && other->epoch == ice->epoch && hopeful &&
            other->priority > pair->priority)
            return true;
    }
    return false;
}

void kw_ice_check_nominate(struct kw_ice *ice, kw_ns now)
{
    for (size_t i = 0; i < KW_ICE_PATHS && ice->controlling; i++) {
        struct pair *pair = &ice->pairs[i];

        if (pair->epoch != ice->epoch || !pair->validated || pair->nominated ||
            is_outranked(ice, pair))
            continue;
        if (pair->state == CHECK_SENT && pair->nominating)
            continue;
        pair->state = CHECK_DUE;
        pair->tries = 0;
        pair->next_at = now;
    }
}

/* Not a question for validation or nomination any more: nothing is repeated, only asked anew. */
static bool is_consent(const struct pair *pair)
{
    return pair->validated && (pair->nominated || !pair->nominating);
}

/* A new transaction, or the same once more. False: no randomness; tried again soon. */
static bool arm(struct kw_ice *ice, struct pair *pair, kw_ns now)
{
    if (pair->state == CHECK_DUE) {
        if (!draw(ice, pair->transaction, sizeof pair->transaction)) {
            pair->next_at = now + KW_ICE_PACE;
            return false;
        }
        pair->tries = 0;
        pair->nominating = ice->controlling && !is_outranked(ice, pair);
        pair->asked_as = ice->controlling ? KW_STUN_CONTROLLING : KW_STUN_CONTROLLED;
    }
    pair->state = CHECK_SENT;
    pair->tries++;
    pair->sent_at = now;
    if (is_consent(pair))
        pair->next_at = now + consent_interval(ice);
    else if (pair->tries < KW_ICE_TRIES)
        pair->next_at = now + (KW_ICE_RTO << (pair->tries - 1));
    else
        pair->next_at = now + KW_ICE_LAST_WAIT * KW_ICE_RTO;
    return true;
}

static size_t write_check(struct kw_ice *ice, const struct pair *pair, uint8_t *dst,
                          size_t dst_size)
{
    const struct kw_ice_credentials *local = &ice->local[pair->epoch % 2];
    const struct kw_ice_credentials *remote = &ice->remote[pair->epoch % 2];
    struct kw_writer out = kw_writer_of(dst, dst_size);

    kw_stun_begin(&out, KW_STUN_REQUEST, pair->transaction);
    kw_stun_write_username(&out, kw_ice_text(remote->ufrag), kw_ice_text(local->ufrag));
    /* A controlling agent tells the pair's rank; a lite one has no candidates of its own to rank.
     */
    kw_stun_write_priority(&out, ice->lite ? (uint32_t)REFLEXIVE_PRIORITY : pair->priority);
    kw_stun_write_role(&out, pair->asked_as, ice->tie_breaker);
    if (pair->nominating)
        kw_stun_write_use_candidate(&out);
    return kw_stun_finish(&out, ice->crypto, kw_ice_text(remote->pwd));
}

/* True when a check goes out now: due, repeated, or the next of a validated pair. */
static bool is_wanted(struct kw_ice *ice, struct pair *pair, kw_ns now)
{
    if (pair->epoch == 0 || pair->state == CHECK_IDLE || now < pair->next_at)
        return false;
    if (pair->state == CHECK_DUE)
        return true;
    if (is_consent(pair)) {
        pair->state = CHECK_DUE; /* RFC 7675: each consent check is a transaction of its own */
        return true;
    }
    if (pair->tries < KW_ICE_TRIES)
        return true;
    if (pair->validated) {
        pair->state = CHECK_DUE; /* not nominated yet: asked again until consent is lost */
        return true;
    }
    pair->state = CHECK_IDLE; /* failed; a request from the peer revives it */
    kw_ice_check_nominate(ice, now);
    return false;
}

size_t kw_ice_check_write(struct kw_ice *ice, uint8_t *dst, size_t dst_size,
                          struct kw_path *path_ret, kw_ns now)
{
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        struct pair *pair = &ice->pairs[i];
        size_t len;

        if (!is_wanted(ice, pair, now) || !arm(ice, pair, now))
            continue;
        if (!ice->lite && pair->tries == KW_ICE_HOPEFUL_TRIES)
            kw_ice_check_nominate(ice, now);
        len = write_check(ice, pair, dst, dst_size);
        if (len == 0)
            continue; /* the provider failed: the timer tries again */
        /* Nobody is made to send more than 3 x what a stranger sent, checks included. */
        if (ice->lite && !pair->validated &&
            pair->sent + len > KW_ICE_AMPLIFICATION * pair->received)
            continue;
        *path_ret = pair->path;
        return len;
    }
    return 0;
}

/* RFC 6298 section 2 and Karn: smoothed, and only from requests that were sent once. */
static void measure(struct pair *pair, kw_ns now)
{
    kw_ns sample = KW_MAX(now - pair->sent_at, 1);

    if (pair->tries != 1)
        return;
    pair->rtt = pair->rtt == 0 ? sample : pair->rtt - pair->rtt / 8 + sample / 8;
}

/* RFC 8445 section 7.2.5.1: the other side keeps the role, we take the opposite and ask again. */
static void handle_conflict(struct kw_ice *ice, struct pair *pair, kw_ns now)
{
    if (!ice->lite)
        ice->controlling = pair->asked_as != KW_STUN_CONTROLLING;
    pair->state = CHECK_DUE;
    pair->next_at = now + KW_ICE_PACE;
}

enum kw_verdict kw_ice_check_response(struct kw_ice *ice, const struct kw_path *path,
                                      const uint8_t *datagram,
                                      const struct kw_stun_message *message, kw_ns now)
{
    struct pair *pair = NULL;
    enum kw_verdict verdict;

    /* RFC 8445 section 7.2.5.2.1: it comes back by the way that the request went. */
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        if (ice->pairs[i].epoch != 0 && ice->pairs[i].state == CHECK_SENT &&
            kw_path_equal(&ice->pairs[i].path, path) &&
            memcmp(ice->pairs[i].transaction, message->transaction, KW_STUN_TRANSACTION_LEN) == 0)
            pair = &ice->pairs[i];
    }
    if (pair == NULL)
        return KW_DROP_UNEXPECTED;
    verdict = kw_stun_verify(ice->crypto, datagram, message,
                             kw_ice_text(ice->remote[pair->epoch % 2].pwd));
    if (verdict != KW_ACCEPT)
        return verdict;
    pair->heard_at = now;

    if (message->class == KW_STUN_ERROR) {
        if (message->error_code == 487) {
            handle_conflict(ice, pair, now);
        } else {
            /* 400, 401, 420: the same question would get the same answer. */
            pair->state = pair->validated ? CHECK_SENT : CHECK_IDLE;
            kw_ice_check_nominate(ice, now);
        }
        return KW_ACCEPT;
    }
    if (message->unknown_count != 0 || !message->has_mapped)
        return KW_DROP_MALFORMED; /* RFC 8489 section 6.3.3 */

    measure(pair, now);
    pair->validated = true;
    pair->consent_at = now;
    ice->consent_at = now;
    if (pair->nominating)
        pair->nominated = true;
    pair->state = CHECK_DUE;
    pair->next_at = now + consent_interval(ice);
    kw_ice_check_nominate(ice, now);
    kw_ice_settle(ice);
    return KW_ACCEPT;
}
