/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session in the caller's memory: the struct alone. The large state of its generations comes from
 * the shared pool and goes back when they retire. Events wait in a small ring.
 */
#include "session/session.h"

#include <string.h>

enum { BLOCK_ALIGN = 64 };

static size_t round_up(size_t size)
{
    return (size + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

size_t kw_session_size(void)
{
    return round_up(sizeof(struct kw_session));
}

enum kw_status kw_session_init(void *mem, const struct kw_session_shared *shared,
                               const struct kw_session_params *params, kw_ns now,
                               struct kw_session **ret)
{
    struct kw_session *session = mem;

    KW_ASSERT((uintptr_t)mem % BLOCK_ALIGN == 0);
    if (params->ssrc_max == 0 || !kw_session_pool_fits(shared->pool, params->ssrc_max))
        return KW_ERR_INPUT;
    if (params->mtu != 0 && params->mtu < KW_DTLS_MTU_MIN)
        return KW_ERR_INPUT;

    memset(session, 0, sizeof *session);
    session->shared = shared;
    session->terms = *params->terms;
    session->method = params->method;
    session->mtu = params->mtu != 0 ? params->mtu : KW_DTLS_MTU_DEFAULT;
    session->ssrc_max = params->ssrc_max;
    session->now = now;
    session->due_at = KW_NEVER;
    session->announce_at = KW_NEVER;
    session->backoff = KW_BACKOFF_FIRST;
    *ret = session;
    return KW_OK;
}

void kw_session_deinit(struct kw_session *session)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++)
        kw_generation_retire(session, &session->generations[i], KW_RETIRE_SILENT, session->now);
    KW_ASSERT(session->block_count == 0);
    kw_wipe(session, sizeof *session);
}

void kw_session_stamp(struct kw_session *session, kw_ns now)
{
    KW_ASSERT(now >= session->now);
    session->now = now;
}

void kw_session_count(struct kw_session *session, enum kw_verdict verdict)
{
    session->counters[verdict]++;
}

/* What is said again while it lasts: once in the queue is enough. */
static bool is_repeatable(enum kw_session_event_type type)
{
    return type == KW_SESSION_EVENT_PATH || type == KW_SESSION_EVENT_DUE ||
           type == KW_SESSION_EVENT_OVERDUE;
}

/*
 * Path changes come in bursts and only the last matters; a peer may ask for new keys as often as it
 * likes. Neither may push out what is said once. CLOSED always finds room, because nothing
 * follows it and one slot is kept for it.
 */
void kw_session_push(struct kw_session *session, const struct kw_session_event *event)
{
    size_t room = KW_SESSION_EVENTS - session->event_count;

    for (size_t i = 0; i < session->event_count; i++) {
        const struct kw_session_event *queued =
            &session->events[(session->event_first + i) % KW_SESSION_EVENTS];

        if (queued->type == event->type && is_repeatable(event->type) &&
            queued->generation == event->generation)
            return;
    }
    if (room == 0 || (room == 1 && event->type != KW_SESSION_EVENT_CLOSED)) {
        kw_session_count(session, KW_DROP_LIMIT);
        return;
    }
    session->events[(session->event_first + session->event_count) % KW_SESSION_EVENTS] = *event;
    session->event_count++;
}

bool kw_session_next_event(struct kw_session *session, struct kw_session_event *ret)
{
    if (session->event_count == 0)
        return false;
    *ret = session->events[session->event_first];
    session->event_first = (session->event_first + 1) % KW_SESSION_EVENTS;
    session->event_count--;
    return true;
}

bool kw_session_has_event(const struct kw_session *session)
{
    return session->event_count != 0;
}

struct kw_generation *kw_session_find(struct kw_session *session, uint32_t number)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (kw_generation_alive(gen) && gen->number == number)
            return gen;
    }
    return NULL;
}

/* A slot for a new generation: an empty one, else the one that retired first. */
static struct kw_generation *free_slot(struct kw_session *session)
{
    struct kw_generation *best = NULL;

    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (gen->stage == KW_STAGE_EMPTY)
            return gen;
        if (gen->stage == KW_STAGE_RETIRED && (best == NULL || gen->number < best->number))
            best = gen;
    }
    return best;
}

static bool params_fit(const struct kw_generation_params *params)
{
    if (params->identity == NULL || params->alpn.len > KW_DTLS_ALPN_MAX ||
        params->fingerprint_count > KW_DTLS_FINGERPRINTS_MAX)
        return false;
    if (params->method == KW_METHOD_OVERLAP)
        return !params->has_ice;
    return params->fingerprint_count != 0;
}

static enum kw_status begin_agent(struct kw_session *session, struct kw_generation *gen,
                                  const struct kw_generation_params *params, kw_ns now)
{
    const struct kw_ice_params ice = {
        .crypto = session->shared->dtls.crypto,
        .random = &session->shared->dtls.random,
        .local = params->local,
        .remote = params->remote,
        .controlling = params->controlling,
    };
    void *mem = kw_agent_take(session);
    enum kw_status status;

    if (mem == NULL)
        return KW_ERR_INPUT; /* the pool was made for sessions without */
    status = kw_ice_init(mem, &ice, now, &gen->ice);
    if (status != KW_OK) {
        gen->ice = NULL;
        kw_agent_give(session, mem);
    }
    return status;
}

/* On failure the caller empties the slot. */
static enum kw_status fill_slot(struct kw_session *session, struct kw_generation *gen,
                                const struct kw_generation_params *params, kw_ns now)
{
    struct kw_crypto *crypto = session->shared->dtls.crypto;
    struct kw_bytes certificate = crypto->ops->identity_certificate(params->identity);
    struct kw_engines *engines;
    enum kw_status status = kw_engines_take(session, gen);

    if (status != KW_OK)
        return status;
    status = kw_crypto_fingerprint(crypto, KW_SHA256, certificate, &gen->our_fingerprint);
    if (status == KW_OK && params->has_ice)
        status = begin_agent(session, gen, params, now);
    if (status != KW_OK)
        return status;
    engines = gen->engines;
    engines->identity = crypto->ops->identity_hold(params->identity);
    for (size_t i = 0; i < params->fingerprint_count; i++)
        engines->fingerprints[i] = params->fingerprints[i];
    engines->fingerprint_count = params->fingerprint_count;
    if (params->alpn.len != 0)
        memcpy(engines->alpn, params->alpn.data, params->alpn.len);
    engines->alpn_len = (uint8_t)params->alpn.len;
    gen->role = params->role;
    gen->method = params->method;
    gen->prepared = now;
    gen->engines->give_up = now + kw_wheel_negotiation_max(session);
    return KW_OK;
}

enum kw_status kw_session_add_generation(struct kw_session *session,
                                         const struct kw_generation_params *params, kw_ns now,
                                         uint32_t *generation_ret)
{
    struct kw_generation *current = kw_session_current_of(session);
    struct kw_generation *next = kw_session_next_of(session);
    struct kw_generation *gen;
    enum kw_status status;

    kw_session_stamp(session, now);
    kw_rotate_age(session, now);
    if (session->closed)
        return KW_ERR_CLOSED;
    if (!params_fit(params))
        return KW_ERR_INPUT;
    if (kw_session_previous_of(session) != NULL)
        return KW_ERR_STATE;
    if (next != NULL && next->heard)
        return KW_ERR_STATE;
    if (params->method == KW_METHOD_OVERLAP && !kw_rotate_able(current))
        return KW_ERR_STATE;

    /* A prepared next without traffic may be replaced; it failed nobody. */
    if (next != NULL)
        kw_generation_retire(session, next, KW_RETIRE_SILENT, now);
    gen = free_slot(session);
    KW_ASSERT(gen != NULL);
    kw_generation_drop_dtls(session, gen); /* its last alert has been fetched, or is too late */
    *gen = (struct kw_generation){.stage = KW_STAGE_EMPTY};
    status = fill_slot(session, gen, params, now);
    if (status != KW_OK) {
        kw_engines_give(session, gen);
        return status;
    }

    gen->number = ++session->generation_count;
    gen->reason = session->due_reason;
    gen->stage = KW_STAGE_PREPARED;
    /*
     * The same connection: its client says its hello at once, where it was heard last, before its
     * new checks. RFC 8445 section 9: during an ICE restart the previous pair goes on.
     */
    if (params->method == KW_METHOD_RESTART && current != NULL && current->has_path) {
        kw_generation_lend_path(current, gen);
        if (gen->role == KW_DTLS_CLIENT)
            kw_status_ignore(kw_generation_begin(session, gen, now)); /* a tick tries again */
    }
    if (params->method == KW_METHOD_OVERLAP) {
        gen->shares_path = true;
        status = session->offer.valid ? kw_rotate_answer(session, gen, now)
                                      : kw_rotate_ask(session, gen, now);
        if (status != KW_OK) {
            kw_generation_retire(session, gen, KW_RETIRE_SILENT, now);
            return status;
        }
    }
    *generation_ret = gen->number;
    return KW_OK;
}

enum kw_status kw_session_add_path(struct kw_session *session, uint32_t generation,
                                   const struct kw_path *path, uint32_t priority, kw_ns now)
{
    struct kw_generation *gen = kw_session_find(session, generation);

    kw_session_stamp(session, now);
    if (session->closed)
        return KW_ERR_CLOSED;
    if (gen == NULL || gen->shares_path)
        return KW_ERR_STATE;
    if (gen->ice != NULL)
        return kw_ice_add_path(gen->ice, path, priority, now);
    if (gen->stage != KW_STAGE_PREPARED)
        return KW_ERR_STATE; /* its association lives on the path that it was given */
    gen->path = *path;
    gen->has_path = true;
    return gen->role == KW_DTLS_CLIENT ? kw_generation_begin(session, gen, now) : KW_OK;
}

enum kw_status kw_session_ice_restart(struct kw_session *session, uint32_t generation,
                                      const struct kw_ice_credentials *local,
                                      const struct kw_ice_credentials *remote, kw_ns now)
{
    struct kw_generation *gen = kw_session_find(session, generation);
    struct kw_ice *ice = gen != NULL ? kw_generation_ice(session, gen) : NULL;

    kw_session_stamp(session, now);
    if (session->closed)
        return KW_ERR_CLOSED;
    if (ice == NULL)
        return KW_ERR_STATE;
    return kw_ice_restart(ice, local, remote, now);
}

void kw_session_end(struct kw_session *session, enum kw_session_end why, enum kw_dtls_end end,
                    enum kw_alert alert, kw_ns now)
{
    struct kw_generation *current = kw_session_current_of(session);
    struct kw_generation *previous = kw_session_previous_of(session);
    struct kw_session_event event = {
        .type = KW_SESSION_EVENT_CLOSED,
        .generation = current != NULL ? current->number : session->generation_count,
        .session_end = why,
        .end = end,
        .alert = alert,
    };

    if (session->closed)
        return;
    /* Its rotation has happened, and is told with its figures. */
    if (previous != NULL)
        kw_generation_retire(session, previous, KW_RETIRE_TOLD, now);
    session->closed = true;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (!kw_generation_alive(gen))
            continue;
        kw_generation_snapshot(session, gen);
        kw_generation_drop_srtp(session, gen);
        if (gen->dtls != NULL)
            kw_dtls_close(gen->dtls, now);
    }
    kw_session_push(session, &event);
}

void kw_session_close(struct kw_session *session, kw_ns now)
{
    kw_session_stamp(session, now);
    kw_session_end(session, KW_SESSION_END_LOCAL, KW_DTLS_END_CLOSED, KW_ALERT_NONE, now);
}

void kw_session_rotate(struct kw_session *session, enum kw_reason reason, kw_ns now)
{
    bool is_due = session->due_reason != KW_REASON_NONE;
    kw_ns backoff = session->backoff;

    kw_session_stamp(session, now);
    if (session->closed)
        return;
    /* Should a generation that is on its way fail, the wish is still there. */
    session->due_reason = reason;
    session->announce_at = now;
    kw_wheel_turn(session, now);
    if (is_due)
        session->backoff = backoff; /* whoever insists has not failed */
}

bool kw_session_facts(const struct kw_session *session, uint32_t generation, kw_ns now,
                      struct kw_generation_facts *ret)
{
    (void)now;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *gen = &session->generations[i];
        const struct kw_ice *ice =
            kw_generation_alive(gen) ? kw_generation_ice(session, gen) : NULL;

        if (gen->stage == KW_STAGE_EMPTY || gen->number != generation)
            continue;
        *ret = (struct kw_generation_facts){
            .number = gen->number,
            .method = gen->method,
            .reason = gen->reason,
            .dtls = gen->dtls != NULL ? *kw_dtls_facts(gen->dtls) : gen->facts,
            .our_fingerprint = gen->our_fingerprint,
            .prepared = gen->prepared,
            .ready = gen->ready,
            .switched = gen->switched,
            .retired = gen->retired,
            .rtt = ice != NULL ? kw_ice_rtt(ice) : gen->rtt,
            .sent = gen->out != NULL ? *kw_srtp_counters(gen->out) : gen->sent,
            .received = gen->in != NULL ? *kw_srtp_counters(gen->in) : gen->received,
            .lost_across_switch = gen->lost_across_switch,
            .kernel = kw_srtp_kernel_name(session->terms.provider_aes ? session->shared->evp_kernel
                                                                      : session->shared->kernel),
        };
        /* One that negotiates on its neighbour's 5-tuple has none of its own. */
        ret->has_path = kw_generation_path(session, gen, &ret->path);
        return true;
    }
    return false;
}

uint32_t kw_session_current(const struct kw_session *session)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        if (session->generations[i].stage == KW_STAGE_CURRENT)
            return session->generations[i].number;
    }
    return 0;
}

enum kw_method kw_session_method(const struct kw_session *session)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *gen = &session->generations[i];

        if (gen->stage == KW_STAGE_CURRENT && kw_rotate_able(gen))
            return KW_METHOD_OVERLAP;
    }
    return session->method;
}

kw_ns kw_session_due(const struct kw_session *session)
{
    return session->due_at;
}

const uint64_t *kw_session_counters(const struct kw_session *session)
{
    return session->counters;
}
