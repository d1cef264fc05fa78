/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When keys change. Three marks stand on the life of the current generation, all counted from the
 * moment its keys existed: due (drawn between 75 and 95 % of L, so that a fleet never rotates at
 * once), L (sending stops), and with `grace` the end of the grace. Bytes and packets have the same
 * marks. Only our own use and the clock move them: what the network forges counts for nothing here.
 */
#include "session/session.h"

#include <string.h>

struct usage {
    uint64_t bytes;
    uint64_t packets;
};

static struct usage usage_of(const struct kw_generation *gen)
{
    struct usage use = {0, 0};

    if (gen->in != NULL) {
        const struct kw_srtp_counters *in = kw_srtp_counters(gen->in);

        use.bytes += in->bytes;
        use.packets += in->packets + in->rtcp_packets;
    }
    if (gen->out != NULL) {
        const struct kw_srtp_counters *out = kw_srtp_counters(gen->out);

        use.bytes += out->bytes;
        use.packets += out->packets + out->rtcp_packets;
    }
    return use;
}

kw_ns kw_wheel_negotiation_max(const struct kw_session *session)
{
    kw_ns share = session->terms.rotation.period / 8;

    if (kw_session_current(session) == 0)
        return KW_NEGOTIATION_MAX; /* nothing goes on meanwhile that has an L */
    return KW_MAX(KW_NEGOTIATION_MIN, KW_MIN(KW_NEGOTIATION_MAX, share));
}

/* part / whole of n without overflow. */
static uint64_t scale(uint64_t n, uint64_t part, uint64_t whole)
{
    return n / whole * part + n % whole * part / whole;
}

/*
 * In `overlap` both ends have a wheel. Were both to draw, the earlier of two would crowd the start
 * of the window; so one draws, and the other asks at the window's end, should the first have
 * failed. The one who draws is who asked for this generation (its client), since his L is the
 * shorter one; of a generation that no ROTATE made, its server: a gateway's policy is the strict
 * one, and its fleet must not rotate at once.
 */
static bool leaves_it_to_the_peer(const struct kw_generation *gen)
{
    enum kw_dtls_role waits = gen->method == KW_METHOD_OVERLAP ? KW_DTLS_SERVER : KW_DTLS_CLIENT;

    return kw_rotate_able(gen) && gen->role == waits;
}

/*
 * Draws where in the due window this generation's turn comes. When the random source fails the
 * earliest moment is taken: never later than the policy says.
 */
static void draw_due(struct kw_session *session, const struct kw_generation *gen)
{
    const struct kw_rotation_policy *rotation = &session->terms.rotation;
    enum { SCALE = 1 << 16 };
    uint8_t raw[2] = {0, 0};
    uint64_t low = (uint64_t)rotation->due_min_percent * SCALE;
    uint64_t width = (uint64_t)(rotation->due_max_percent - rotation->due_min_percent);
    uint64_t part;

    if (kw_random_fill(&session->shared->dtls.random, raw, sizeof raw) != KW_OK)
        memset(raw, 0, sizeof raw);
    if (leaves_it_to_the_peer(gen))
        memset(raw, 0xff, sizeof raw);
    part = low + width * ((uint64_t)raw[0] << 8 | raw[1]);
    session->due_at = gen->ready + scale(rotation->period, part, 100 * SCALE);
    session->due_bytes = scale(rotation->bytes, part, 100 * SCALE);
    session->due_packets = scale(rotation->packets, part, 100 * SCALE);
}

static kw_ns overlap_of(const struct kw_session *session)
{
    return KW_MIN(KW_OVERLAP_MAX, session->terms.rotation.period / 4);
}

/*
 * The previous generation keeps what its peer may still need. Its association has no task left and
 * goes now. Its send keys go too, except in `parallel`: there both connections of the peer play, so
 * both are fed until the overlap ends.
 */
static void supersede(struct kw_session *session, struct kw_generation *old,
                      struct kw_generation *gen, kw_ns now)
{
    kw_generation_snapshot(session, old);
    kw_generation_drop_dtls(session, old);
    if (old->in != NULL)
        kw_srtp_carry(gen->in, old->in, gen->method == KW_METHOD_OVERLAP);
    if (gen->method == KW_METHOD_OVERLAP && old->out != NULL)
        kw_srtp_carry(gen->out, old->out, true);
    if (gen->method != KW_METHOD_PARALLEL && old->out != NULL) {
        kw_srtp_deinit(old->out);
        old->out = NULL;
        kw_wipe(old->engines->out_mem, kw_srtp_size(session->ssrc_max));
    }
    if (gen->shares_path) {
        /* The 5-tuple and its agent belong to whoever sends. */
        gen->ice = old->ice;
        gen->has_path = old->has_path;
        gen->path = old->path;
        gen->shares_path = false;
        old->ice = NULL;
        old->shares_path = true;
    }
    old->stage = KW_STAGE_PREVIOUS;
    old->engines->retire_at = now + overlap_of(session);
}

void kw_wheel_switch(struct kw_session *session, struct kw_generation *gen, kw_ns now)
{
    struct kw_generation *old = kw_session_current_of(session);
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_SWITCHED,
        .generation = gen->number,
        .reason = gen->reason,
    };

    KW_ASSERT(gen->stage == KW_STAGE_READY);
    if (old != NULL)
        supersede(session, old, gen, now);
    gen->stage = KW_STAGE_CURRENT;
    gen->switched = now;
    session->due_reason = KW_REASON_NONE;
    session->announce_at = KW_NEVER;
    session->backoff = KW_BACKOFF_FIRST;
    session->overdue_since = 0;
    session->overdue_at = 0;
    session->offer.valid = false;
    session->peer_due_at = 0;
    session->peer_failures = 0;
    draw_due(session, gen);
    kw_session_push(session, &event);
}

void kw_wheel_failed(struct kw_session *session, const struct kw_generation *gen, kw_ns now)
{
    session->offer.valid = false;
    if (gen->method == KW_METHOD_OVERLAP && !gen->asks)
        kw_rotate_failed(session, now); /* the peer will ask again */
    if (session->due_reason == KW_REASON_NONE)
        return;
    session->announce_at = now + session->backoff;
    session->backoff = KW_MIN(2 * session->backoff, KW_BACKOFF_MAX);
}

/* A method that can bring another generation to this peer. */
static bool can_rotate(const struct kw_session *session, const struct kw_generation *current)
{
    switch (session->method) {
    case KW_METHOD_INITIAL:
    case KW_METHOD_CAP:
    case KW_METHOD_OVERLAP:
        return kw_rotate_able(current);
    case KW_METHOD_PARALLEL:
    case KW_METHOD_RESTART:
        break;
    }
    return true;
}

static enum kw_reason due_reason(const struct kw_session *session,
                                 const struct kw_generation *current, kw_ns now)
{
    struct usage use = usage_of(current);

    if (now >= session->due_at)
        return KW_REASON_TIME;
    if (use.bytes >= session->due_bytes)
        return KW_REASON_BYTES;
    if (use.packets >= session->due_packets)
        return KW_REASON_PACKETS;
    if (kw_srtp_near_limit(current->in) || kw_srtp_near_limit(current->out))
        return KW_REASON_AEAD_LIMIT;
    return KW_REASON_NONE;
}

/* Says DUE, and again with back-off while nobody prepares a generation. */
static void announce(struct kw_session *session, const struct kw_generation *current, kw_ns now)
{
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_DUE,
        .generation = current->number,
        .reason = session->due_reason,
    };

    session->announce_at = now + session->backoff;
    session->backoff = KW_MIN(2 * session->backoff, KW_BACKOFF_MAX);
    kw_session_push(session, &event);
}

static void turn_due(struct kw_session *session, const struct kw_generation *current, kw_ns now)
{
    /* Not due while the previous generation lives (DESIGN section 3). */
    if (kw_session_next_of(session) != NULL || kw_session_previous_of(session) != NULL ||
        !can_rotate(session, current))
        return;
    if (session->due_reason == KW_REASON_NONE) {
        session->due_reason = due_reason(session, current, now);
        if (session->due_reason == KW_REASON_NONE)
            return;
        session->announce_at = now;
    }
    if (now >= session->announce_at)
        announce(session, current, now);
}

/* How much may be on its way when the counters are looked at. */
static uint64_t byte_margin(const struct kw_rotation_policy *rotation)
{
    return KW_MAX(KW_LIMIT_PACKET,
                  KW_MIN(KW_LIMIT_BATCH * KW_LIMIT_PACKET, rotation->bytes / KW_LIMIT_SHARE));
}

static uint64_t packet_margin(const struct kw_rotation_policy *rotation)
{
    return KW_MIN(KW_LIMIT_BATCH, rotation->packets / KW_LIMIT_SHARE);
}

/* outlets: given to packets that its counters do not know yet. */
static bool beyond_limit(const struct kw_session *session, const struct kw_generation *gen,
                         uint32_t outlets, kw_ns now)
{
    const struct kw_rotation_policy *rotation = &session->terms.rotation;
    struct usage use = usage_of(gen);
    uint64_t bytes = (uint64_t)outlets * KW_LIMIT_PACKET;

    return now >= gen->ready + rotation->period ||
           use.bytes + KW_MAX(bytes, byte_margin(rotation)) > rotation->bytes ||
           use.packets + KW_MAX(outlets, packet_margin(rotation)) >= rotation->packets;
}

static kw_ns grace_end(const struct kw_session *session)
{
    return session->overdue_since + session->terms.rotation.grace;
}

bool kw_wheel_may_send(struct kw_session *session, struct kw_generation *gen, kw_ns now)
{
    if (now != session->outlets_at) {
        for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++)
            session->generations[i].outlets = 0;
        session->outlets_at = now;
    }
    if (!beyond_limit(session, gen, gen->outlets + 1, now)) {
        gen->outlets++;
        return true;
    }
    if (session->terms.rotation.at_limit == KW_AT_LIMIT_CLOSE || gen->stage != KW_STAGE_CURRENT)
        return false;
    return session->overdue_since == 0 || now < grace_end(session);
}

/* At L: close ends the session; grace goes on, says so every minute, and ends it later. */
static void turn_limit(struct kw_session *session, const struct kw_generation *current, kw_ns now)
{
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_OVERDUE,
        .generation = current->number,
        .reason = session->due_reason,
    };

    if (!beyond_limit(session, current, 0, now))
        return;
    if (session->overdue_since == 0) {
        session->overdue_since = now;
        session->overdue_at = now;
    }
    if (session->terms.rotation.at_limit == KW_AT_LIMIT_CLOSE || now >= grace_end(session)) {
        kw_session_end(session, KW_SESSION_END_LIMIT, KW_DTLS_END_CLOSED, KW_ALERT_NONE, now);
        return;
    }
    if (now >= session->overdue_at) {
        session->overdue_at = now + KW_OVERDUE_EVERY;
        kw_session_push(session, &event);
    }
}

/* Packets lost on the way of the switch: gaps between the sequence numbers that authenticated. */
static uint64_t settle_tracks(struct kw_session *session)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < KW_SESSION_TRACKED; i++) {
        const struct kw_track *track = &session->tracks[i];
        uint64_t span = track->highest - track->first + 1;

        if (track->count != 0 && span > track->count)
            lost += span - track->count;
    }
    memset(session->tracks, 0, sizeof session->tracks);
    return lost;
}

void kw_wheel_settle(struct kw_session *session, struct kw_generation *previous)
{
    struct kw_generation *current = kw_session_current_of(session);

    previous->lost_across_switch = settle_tracks(session);
    if (current != NULL)
        current->lost_across_switch = previous->lost_across_switch;
}

static void turn_previous(struct kw_session *session, struct kw_generation *previous, kw_ns now)
{
    if (now >= previous->engines->retire_at)
        kw_generation_retire(session, previous, KW_RETIRE_TOLD, now);
}

/*
 * A client that is ready waits for the sign that its server is, too, and as long as that one waits:
 * a server that has given up asks anew, or is asked, and both must come before L.
 */
static kw_ns give_up_at(const struct kw_session *session, const struct kw_generation *next)
{
    return next->stage == KW_STAGE_READY ? next->ready + kw_wheel_negotiation_max(session)
                                         : next->engines->give_up;
}

static void turn_next(struct kw_session *session, struct kw_generation *next, kw_ns now)
{
    if (now >= give_up_at(session, next) || (next->ice != NULL && kw_ice_gone(next->ice, now)))
        kw_generation_over(session, next, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, now);
}

void kw_wheel_turn(struct kw_session *session, kw_ns now)
{
    struct kw_generation *gen = kw_session_previous_of(session);

    if (session->closed)
        return;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++)
        kw_generation_age_path(&session->generations[i], now);
    if (gen != NULL)
        turn_previous(session, gen, now);
    gen = kw_session_next_of(session);
    if (gen != NULL)
        turn_next(session, gen, now);
    gen = kw_session_current_of(session);
    if (gen != NULL && gen->ice != NULL && kw_ice_gone(gen->ice, now)) {
        kw_generation_over(session, gen, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, now);
        gen = kw_session_current_of(session);
    }
    if (gen == NULL || session->closed)
        return;
    turn_due(session, gen, now);
    turn_limit(session, gen, now);
}

void kw_wheel_used(struct kw_session *session, kw_ns now)
{
    struct kw_generation *current = kw_session_current_of(session);

    if (session->closed || current == NULL)
        return;
    if (session->due_reason == KW_REASON_NONE)
        turn_due(session, current, now);
    turn_limit(session, current, now);
}

/* When kw_ice_gone() will say so, if nothing is heard until then. */
static kw_ns gone_at(const struct kw_generation *gen)
{
    return KW_MAX(kw_ice_consent(gen->ice), gen->prepared) + KW_CONSENT_MAX;
}

kw_ns kw_wheel_deadline(const struct kw_session *session)
{
    const struct kw_rotation_policy *rotation = &session->terms.rotation;
    const struct kw_generation *current = NULL;
    bool is_busy = false;
    kw_ns deadline = KW_NEVER;

    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *gen = &session->generations[i];

        if (gen->ice != NULL && gen->stage <= KW_STAGE_CURRENT)
            deadline = KW_MIN(deadline, gone_at(gen));
        if (kw_generation_alive(gen) && gen->path_is_lent)
            deadline = KW_MIN(deadline, gen->engines->lent_until);
        switch (gen->stage) {
        case KW_STAGE_EMPTY:
        case KW_STAGE_RETIRED:
            break;
        case KW_STAGE_PREPARED:
        case KW_STAGE_NEGOTIATING:
        case KW_STAGE_READY:
            is_busy = true;
            deadline = KW_MIN(deadline, give_up_at(session, gen));
            if (gen->asks && gen->stage == KW_STAGE_PREPARED)
                deadline = KW_MIN(deadline, gen->engines->resend_at);
            break;
        case KW_STAGE_CURRENT:
            current = gen;
            break;
        case KW_STAGE_PREVIOUS:
            is_busy = true;
            deadline = KW_MIN(deadline, gen->engines->retire_at);
            break;
        }
    }
    if (current == NULL)
        return deadline;
    if (session->offer.valid)
        deadline = KW_MIN(deadline, session->offer.until);
    if (!is_busy && can_rotate(session, current))
        deadline = KW_MIN(deadline, session->due_reason == KW_REASON_NONE ? session->due_at
                                                                          : session->announce_at);
    if (session->overdue_since == 0)
        return KW_MIN(deadline, current->ready + rotation->period);
    return KW_MIN(deadline, KW_MIN(session->overdue_at, grace_end(session)));
}

/* Sequence numbers continue their 16 bits by the nearest guess. */
void kw_wheel_track(struct kw_session *session, const struct kw_generation *gen,
                    const uint8_t *packet, size_t len)
{
    const struct kw_generation *next = kw_session_next_of(session);
    const struct kw_generation *newest = next != NULL ? next : kw_session_current_of(session);
    struct kw_track *slot = NULL;
    uint32_t ssrc, generation;
    uint16_t seq;
    int16_t step;

    if (len < 12 || newest == NULL ||
        (kw_session_previous_of(session) == NULL &&
         (next == NULL || next->stage != KW_STAGE_READY)))
        return;
    generation = newest->method == KW_METHOD_OVERLAP ? 0 : gen->number;
    seq = (uint16_t)(packet[2] << 8 | packet[3]);
    ssrc = (uint32_t)packet[8] << 24 | (uint32_t)packet[9] << 16 | (uint32_t)packet[10] << 8 |
           packet[11];
    for (size_t i = 0; i < KW_SESSION_TRACKED && slot == NULL; i++) {
        struct kw_track *track = &session->tracks[i];

        if (track->count == 0 || (track->ssrc == ssrc && track->generation == generation))
            slot = track;
    }
    if (slot == NULL)
        return;
    if (slot->count == 0)
        *slot = (struct kw_track){ssrc, generation, 0x10000U + seq, 0x10000U + seq, 0};
    step = (int16_t)(uint16_t)(seq - (uint16_t)slot->highest);
    slot->count++;
    if (step > 0)
        slot->highest += (uint64_t)step;
    else if (slot->highest - (uint64_t)(-(int64_t)step) < slot->first)
        slot->first = slot->highest - (uint64_t)(-(int64_t)step);
}
