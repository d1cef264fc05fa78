/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in. RFC 7983 section 7: the first byte tells STUN (0..3), DTLS (20..63) and media
 * (128..191) apart. Which generation it is for, the path tells; where two share a path, the
 * association that owns the record, or the keys that authenticate the packet.
 */
#include "session/session.h"

#include <string.h>

enum { MEDIA_MIN = 12 }; /* a fixed RTP header; SRTCP with its index and tag is longer */

enum sort { SORT_FOREIGN, SORT_STUN, SORT_DTLS, SORT_MEDIA };

static enum sort sort_of(const uint8_t *datagram, size_t len)
{
    if (len == 0)
        return SORT_FOREIGN;
    if (datagram[0] <= 3)
        return SORT_STUN;
    if (datagram[0] >= 20 && datagram[0] <= 63)
        return SORT_DTLS;
    if (datagram[0] >= 128 && datagram[0] <= 191)
        return SORT_MEDIA;
    return SORT_FOREIGN;
}

/* --- STUN ------------------------------------------------------------------------------------- */

/* The generation that a request names by our ufrag; if none, one that may say so: the first. */
static struct kw_generation *named(struct kw_session *session, struct kw_bytes ufrag)
{
    struct kw_generation *first = NULL;

    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (!kw_generation_alive(gen) || gen->ice == NULL)
            continue;
        if (kw_ice_owns(gen->ice, ufrag))
            return gen;
        if (first == NULL)
            first = gen;
    }
    return first;
}

/*
 * A request goes to the agent that it names alone: another would answer 401 beside the answer.
 * Of the rest each agent knows its own transactions; the first that accepts has it.
 */
static enum kw_verdict receive_stun(struct kw_session *session, const struct kw_path *path,
                                    const uint8_t *datagram, size_t len, kw_ns now)
{
    enum kw_verdict verdict = KW_DROP_FOREIGN;
    struct kw_generation *only = NULL;
    struct kw_bytes ufrag;

    if (kw_stun_local_ufrag(datagram, len, &ufrag))
        only = named(session, ufrag);
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];
        enum kw_verdict own;

        if (!kw_generation_alive(gen) || gen->ice == NULL || (only != NULL && gen != only))
            continue;
        own = kw_ice_receive(gen->ice, path, datagram, len, now);
        if (own == KW_ACCEPT) {
            kw_generation_watch_path(session, gen);
            if (gen->stage == KW_STAGE_PREPARED && gen->role == KW_DTLS_CLIENT && gen->has_path)
                kw_status_ignore(kw_generation_begin(session, gen, now)); /* tick tries again */
            return KW_ACCEPT;
        }
        if (own != KW_DROP_FOREIGN)
            verdict = own;
    }
    return verdict;
}

/* --- DTLS ------------------------------------------------------------------------------------- */

/* A plaintext ClientHello, or its first fragment: type 22, epoch 0, message 1. */
static bool looks_like_hello(const uint8_t *datagram, size_t len)
{
    return len > 13 && datagram[0] == 22 && datagram[3] == 0 && datagram[4] == 0 &&
           datagram[13] == 1;
}

/* A prepared server that waits for its first flight. */
static bool awaits_hello(const struct kw_generation *gen)
{
    return gen->stage == KW_STAGE_PREPARED && gen->role == KW_DTLS_SERVER &&
           gen->engines->fingerprint_count != 0;
}

/* The newest live generations first. */
static size_t generations_of_path(struct kw_session *session, const struct kw_path *path,
                                  struct kw_generation *ret[KW_SESSION_GENERATIONS])
{
    size_t count = 0;

    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];
        size_t at = count;

        if (!kw_generation_alive(gen) || !kw_generation_takes(session, gen, path))
            continue;
        for (; at > 0 && ret[at - 1]->number < gen->number; at--)
            ret[at] = ret[at - 1];
        ret[at] = gen;
        count++;
    }
    return count;
}

static struct kw_generation *association_of(struct kw_session *session, const struct kw_path *path,
                                            const uint8_t *datagram, size_t len)
{
    struct kw_generation *gens[KW_SESSION_GENERATIONS];
    size_t count = generations_of_path(session, path, gens);
    struct kw_generation *only = NULL;
    size_t candidates = 0;

    for (size_t i = 0; i < count; i++) {
        if (gens[i]->dtls == NULL && !awaits_hello(gens[i]))
            continue;
        only = gens[i];
        candidates++;
    }
    if (candidates <= 1)
        return only;
    for (size_t i = 0; i < count; i++) {
        if (gens[i]->dtls == NULL ? awaits_hello(gens[i]) && looks_like_hello(datagram, len)
                                  : kw_dtls_owns(gens[i]->dtls, datagram, len))
            return gens[i];
    }
    return NULL;
}

static enum kw_verdict receive_dtls(struct kw_session *session, const struct kw_path *path,
                                    uint8_t *datagram, size_t len, kw_ns now,
                                    struct kw_received *ret)
{
    struct kw_generation *gen = association_of(session, path, datagram, len);
    struct kw_ice *ice;

    if (gen == NULL)
        return KW_DROP_FOREIGN;
    /* A ClientHello on a live 5-tuple that nobody prepared: no stranger can occupy `next`. */
    if (gen->connected && looks_like_hello(datagram, len))
        return KW_DROP_UNEXPECTED;
    if (gen->dtls == NULL) {
        if (datagram[0] != 22)
            return KW_DROP_KEYLESS;
        if (kw_generation_begin(session, gen, now) != KW_OK)
            return KW_DROP_LIMIT; /* the pool is in use; the peer sends its hello again */
    }
    ice = kw_generation_ice(session, gen);
    if (ice != NULL)
        kw_ice_note_received(ice, path, len);
    gen->engines->dtls_path = *path;
    gen->engines->has_dtls_path = true;
    ret->generation = gen->number;
    if (kw_dtls_receive(gen->dtls, datagram, len, now) != KW_OK) {
        kw_generation_pump(session, gen, now);
        kw_generation_over(session, gen, KW_DTLS_END_INTERNAL, KW_ALERT_NONE, now);
        return KW_DROP_INTERNAL;
    }
    kw_generation_pump(session, gen, now);
    /*
     * Only who is proven has shown itself: in `overlap` the hello is the announced one, which no
     * stranger can say; elsewhere a hello is anybody's until the peer's Finished.
     */
    if (gen->connected || (gen->shares_path && gen->dtls != NULL &&
                           kw_dtls_facts(gen->dtls)->version != KW_DTLS_NONE))
        gen->heard = true;
    return KW_ACCEPT;
}

/* --- media ------------------------------------------------------------------------------------ */

static void book(struct kw_session *session, struct kw_generation *gen, const struct kw_path *path,
                 const uint8_t *packet, size_t len, kw_ns now)
{
    (void)path;
    /* Its peer sends with these keys, so it holds them: the client's proof (DESIGN section 3). */
    if (gen->stage == KW_STAGE_READY)
        kw_wheel_switch(session, gen, now);
    if (!kw_srtp_is_rtcp(packet, len))
        kw_wheel_track(session, gen, packet, len);
    kw_wheel_used(session, now);
}

static enum kw_verdict receive_media(struct kw_session *session, const struct kw_path *path,
                                     uint8_t *datagram, size_t *len, kw_ns now,
                                     struct kw_received *ret)
{
    struct kw_generation *gens[KW_SESSION_GENERATIONS];
    struct kw_generation *keyed[KW_SESSION_GENERATIONS];
    struct kw_srtp *contexts[KW_SRTP_TRIAL_MAX];
    size_t count = generations_of_path(session, path, gens);
    size_t context_count = 0, which = 0;
    bool is_rtcp;
    enum kw_verdict verdict;

    if (count == 0)
        return KW_DROP_FOREIGN;
    if (*len < MEDIA_MIN)
        return KW_DROP_TRUNCATED;
    for (size_t i = 0; i < count; i++) {
        if (gens[i]->in == NULL)
            continue;
        keyed[context_count] = gens[i];
        contexts[context_count++] = gens[i]->in;
    }
    if (context_count == 0)
        return KW_DROP_KEYLESS;

    is_rtcp = kw_srtp_is_rtcp(datagram, *len);
    if (context_count == 1)
        verdict = is_rtcp ? kw_srtcp_unprotect(contexts[0], datagram, len)
                          : kw_srtp_unprotect(contexts[0], datagram, len);
    else
        verdict = kw_srtp_unprotect_trial(contexts, context_count, datagram, len, &which);
    if (verdict != KW_ACCEPT)
        return verdict;

    ret->kind = is_rtcp ? KW_PACKET_RTCP : KW_PACKET_RTP;
    ret->generation = keyed[which]->number;
    book(session, keyed[which], path, datagram, *len, now);
    return KW_ACCEPT;
}

enum kw_status kw_session_receive(struct kw_session *session, const struct kw_path *path,
                                  uint8_t *datagram, size_t *len, kw_ns now,
                                  struct kw_received *ret)
{
    struct kw_received received = {.kind = KW_PACKET_NONE};

    kw_session_stamp(session, now);
    if (session->closed) {
        received.verdict = KW_DROP_UNEXPECTED;
    } else {
        switch (sort_of(datagram, *len)) {
        case SORT_FOREIGN:
            received.verdict = KW_DROP_FOREIGN;
            break;
        case SORT_STUN:
            received.verdict = receive_stun(session, path, datagram, *len, now);
            break;
        case SORT_DTLS:
            received.verdict = receive_dtls(session, path, datagram, *len, now, &received);
            break;
        case SORT_MEDIA:
            received.verdict = receive_media(session, path, datagram, len, now, &received);
            break;
        }
    }
    kw_session_count(session, received.verdict);
    *ret = received;
    return KW_OK;
}

/* --- media in batches ------------------------------------------------------------------------- */

enum kw_packet_kind kw_session_classify(struct kw_session *session, const struct kw_path *path,
                                        uint8_t *datagram, size_t len, struct kw_srtp_item *item,
                                        uint32_t *generation_ret)
{
    struct kw_generation *only = NULL;

    if (session->closed || len < MEDIA_MIN || sort_of(datagram, len) != SORT_MEDIA)
        return KW_PACKET_NONE;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (!kw_generation_alive(gen) || gen->in == NULL ||
            !kw_generation_takes(session, gen, path))
            continue;
        if (only != NULL)
            return KW_PACKET_NONE; /* two generations on one path: to be tried in order */
        only = gen;
    }
    if (only == NULL || only->stage == KW_STAGE_READY)
        return KW_PACKET_NONE;
    *item = (struct kw_srtp_item){
        .srtp = only->in,
        .packet = datagram,
        .len = len,
    };
    *generation_ret = only->number;
    return kw_srtp_is_rtcp(datagram, len) ? KW_PACKET_RTCP : KW_PACKET_RTP;
}

void kw_session_commit(struct kw_session *session, uint32_t generation, const struct kw_path *path,
                       const struct kw_srtp_item *item, kw_ns now)
{
    struct kw_generation *gen = kw_session_find(session, generation);

    kw_session_stamp(session, now);
    kw_session_count(session, item->verdict);
    if (gen != NULL && item->verdict == KW_ACCEPT)
        book(session, gen, path, item->packet, item->len, now);
}

static bool outlet_of(struct kw_session *session, struct kw_generation *gen, kw_ns now,
                      struct kw_outlet *ret)
{
    struct kw_outlet outlet = {0};

    if (gen == NULL || gen->out == NULL || !kw_generation_path(session, gen, &outlet.path) ||
        !kw_wheel_may_send(session, gen, now))
        return false;
    outlet.srtp = gen->out;
    outlet.generation = gen->number;
    *ret = outlet;
    return true;
}

bool kw_session_outlet(struct kw_session *session, kw_ns now, struct kw_outlet *ret)
{
    return !session->closed && outlet_of(session, kw_session_current_of(session), now, ret);
}

bool kw_session_second_outlet(struct kw_session *session, kw_ns now, struct kw_outlet *ret)
{
    return !session->closed && outlet_of(session, kw_session_previous_of(session), now, ret);
}

void kw_session_sent(struct kw_session *session, const struct kw_outlet *outlet, size_t len,
                     kw_ns now)
{
    struct kw_generation *gen = kw_session_find(session, outlet->generation);

    (void)len;
    kw_session_stamp(session, now);
    if (gen != NULL)
        gen->outlets = 0; /* its counters know */
    kw_wheel_used(session, now);
}
