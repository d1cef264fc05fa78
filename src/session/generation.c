/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one slot: it begins its association when it knows where to, takes its keys when the
 * peer is proven, and is wiped in three steps: the association when it is superseded (RFC 9147
 * section 5.11), the send keys with it or at the end of the overlap, the receive keys at
 * retirement.
 */
#include "session/session.h"

#include <string.h>

bool kw_generation_alive(const struct kw_generation *gen)
{
    return gen->stage >= KW_STAGE_PREPARED && gen->stage <= KW_STAGE_PREVIOUS;
}

struct kw_ice *kw_generation_ice(const struct kw_session *session, const struct kw_generation *gen)
{
    if (gen->ice != NULL || !gen->shares_path)
        return gen->ice;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *other = &session->generations[i];

        if (other != gen && kw_generation_alive(other) && other->ice != NULL)
            return other->ice;
    }
    return NULL;
}

/* The generation on whose plain 5-tuple this one lives. */
static const struct kw_generation *path_owner(const struct kw_session *session,
                                              const struct kw_generation *gen)
{
    if (gen->has_path || !gen->shares_path)
        return gen;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *other = &session->generations[i];

        if (other != gen && kw_generation_alive(other) && other->has_path)
            return other;
    }
    return gen;
}

bool kw_generation_takes(struct kw_session *session, const struct kw_generation *gen,
                         const struct kw_path *path)
{
    const struct kw_generation *owner = path_owner(session, gen);
    const struct kw_ice *ice;

    if (owner->has_path && kw_path_equal(&owner->path, path))
        return true;
    ice = kw_generation_ice(session, gen);
    return ice != NULL && (kw_ice_knows(ice, path) || kw_ice_validated(ice, path));
}

bool kw_generation_path(const struct kw_session *session, const struct kw_generation *gen,
                        struct kw_path *ret)
{
    const struct kw_generation *owner = path_owner(session, gen);

    if (!owner->has_path)
        return false;
    *ret = owner->path;
    return true;
}

void kw_generation_lend_path(const struct kw_generation *from, struct kw_generation *to)
{
    to->path = from->path;
    to->has_path = true;
    to->path_is_lent = to->ice != NULL; /* a plain 5-tuple is given */
    to->engines->lent_until =
        from->ice != NULL ? kw_ice_consent(from->ice) + KW_CONSENT_MAX : KW_NEVER;
}

/*
 * RFC 7675 section 5.1: without consent nothing may be sent. A lent path has the consent that its
 * lender had; whoever lends it on without one of its own has nothing to lend.
 */
void kw_generation_age_path(struct kw_generation *gen, kw_ns now)
{
    if (!kw_generation_alive(gen) || !gen->path_is_lent || now < gen->engines->lent_until)
        return;
    gen->has_path = false;
    gen->path_is_lent = false;
}

/* Notices that ICE has selected another pair. A client begins to talk on the first one. */
void kw_generation_watch_path(struct kw_session *session, struct kw_generation *gen)
{
    struct kw_session_event event = {.type = KW_SESSION_EVENT_PATH, .generation = gen->number};
    struct kw_path selected;

    if (gen->ice == NULL || !kw_ice_selected(gen->ice, &selected))
        return;
    gen->path_is_lent = false;
    if (gen->has_path && kw_path_equal(&gen->path, &selected))
        return;
    gen->path = selected;
    gen->has_path = true;
    kw_session_push(session, &event);
    /* Who lives on this path moves with it. */
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation *other = &session->generations[i];

        if (kw_generation_alive(other) && other->path_is_lent)
            kw_generation_lend_path(gen, other);
    }
}

enum kw_status kw_generation_begin(struct kw_session *session, struct kw_generation *gen, kw_ns now)
{
    struct kw_ice *ice = kw_generation_ice(session, gen);
    struct kw_dtls_params params = {
        .role = gen->role,
        .terms = &session->terms,
        .identity = gen->engines->identity,
        .fingerprints = gen->engines->fingerprints,
        .fingerprint_count = gen->engines->fingerprint_count,
        .mtu = session->mtu,
        .path_rtt = ice != NULL ? kw_ice_rtt(ice) : 0,
        .alpn = {gen->engines->alpn, gen->engines->alpn_len},
    };
    enum kw_status status;

    KW_ASSERT(gen->dtls == NULL && gen->engines->fingerprint_count != 0);
    if (gen->shares_path && gen->role == KW_DTLS_CLIENT) {
        memcpy(params.client_random, gen->engines->client_random, sizeof params.client_random);
        params.has_client_random = true;
    } else if (gen->shares_path) {
        memcpy(params.prepared_hello, gen->engines->hello_hash, sizeof params.prepared_hello);
        params.has_prepared_hello = true;
    }
    status = kw_dtls_init(gen->engines->dtls_mem, &session->shared->dtls, &params, now, &gen->dtls);
    kw_wipe(params.client_random, sizeof params.client_random);
    if (status != KW_OK) {
        gen->dtls = NULL;
        return status;
    }
    gen->stage = KW_STAGE_NEGOTIATING;
    return KW_OK;
}

static enum kw_status install(struct kw_session *session, struct kw_generation *gen, void *mem,
                              const struct kw_srtp_master *master, bool for_sending,
                              struct kw_srtp **ret)
{
    const struct kw_srtp_params params = {
        .kernel =
            session->terms.provider_aes ? session->shared->evp_kernel : session->shared->kernel,
        .crypto = session->shared->dtls.crypto,
        .master = master,
        .for_sending = for_sending,
        .ssrc_max = session->ssrc_max,
    };

    (void)gen;
    return kw_srtp_init(mem, &params, ret);
}

/* The peer is proven: its keys become receive keys of this generation. */
static enum kw_status take_keys(struct kw_session *session, struct kw_generation *gen)
{
    struct kw_generation *current = kw_session_current_of(session);
    struct kw_srtp_keys keys;
    enum kw_status status = kw_dtls_take_srtp_keys(gen->dtls, &keys);

    if (status != KW_OK)
        return status;
    status = install(session, gen, gen->engines->in_mem, &keys.read, false, &gen->in);
    if (status == KW_OK)
        status = install(session, gen, gen->engines->out_mem, &keys.write, true, &gen->out);
    kw_srtp_keys_wipe(&keys);
    if (status != KW_OK) {
        kw_generation_drop_srtp(session, gen);
        return status;
    }
    if (current != NULL && current->in != NULL)
        kw_srtp_carry(gen->in, current->in, gen->method == KW_METHOD_OVERLAP);
    return KW_OK;
}

static void drop_identity(struct kw_session *session, struct kw_generation *gen)
{
    if (gen->engines == NULL)
        return;
    session->shared->dtls.crypto->ops->identity_free(gen->engines->identity);
    gen->engines->identity = NULL;
}

static void connected(struct kw_session *session, struct kw_generation *gen, kw_ns now)
{
    struct kw_session_event event = {
        .type = KW_SESSION_EVENT_READY,
        .generation = gen->number,
        .reason = gen->reason,
    };
    enum kw_status status;

    if (gen->stage != KW_STAGE_NEGOTIATING)
        return;
    status = take_keys(session, gen);
    if (status != KW_OK) {
        kw_generation_over(session, gen,
                           status == KW_ERR_STATE ? KW_DTLS_END_POLICY : KW_DTLS_END_INTERNAL,
                           KW_ALERT_NONE, now);
        return;
    }
    drop_identity(session, gen); /* nothing will be signed with it again */
    gen->connected = true;
    gen->stage = KW_STAGE_READY;
    gen->ready = now;
    memset(session->tracks, 0, sizeof session->tracks);
    kw_session_push(session, &event);
}

void kw_generation_pump(struct kw_session *session, struct kw_generation *gen, kw_ns now)
{
    struct kw_dtls_event event;

    while (gen->dtls != NULL && kw_dtls_next_event(gen->dtls, &event)) {
        switch (event.type) {
        case KW_DTLS_EVENT_NONE:
            break;
        case KW_DTLS_EVENT_CONNECTED:
            connected(session, gen, now);
            break;
        case KW_DTLS_EVENT_CONFIRMED:
            if (gen->stage == KW_STAGE_READY)
                kw_wheel_switch(session, gen, now);
            break;
        case KW_DTLS_EVENT_DATA:
            kw_rotate_receive(session, gen, event.data, now);
            break;
        case KW_DTLS_EVENT_CLOSED:
            kw_generation_over(session, gen, event.end, event.alert, now);
            break;
        }
    }
}

static void tell_failed(struct kw_session *session, const struct kw_generation *gen,
                        enum kw_dtls_end end, enum kw_alert alert)
{
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_FAILED,
        .generation = gen->number,
        .reason = gen->reason,
        .end = end,
        .alert = alert,
    };

    kw_session_push(session, &event);
}

static enum kw_session_end ending_of(enum kw_dtls_end end)
{
    switch (end) {
    case KW_DTLS_END_CLOSED:
    case KW_DTLS_END_ALERT_RECEIVED:
        return KW_SESSION_END_PEER;
    case KW_DTLS_END_TIMEOUT:
        return KW_SESSION_END_GONE;
    case KW_DTLS_END_NONE:
    case KW_DTLS_END_ALERT_SENT:
    case KW_DTLS_END_FINGERPRINT:
    case KW_DTLS_END_POLICY:
    case KW_DTLS_END_INTERNAL:
        break;
    }
    return KW_SESSION_END_HANDSHAKE;
}

void kw_generation_over(struct kw_session *session, struct kw_generation *gen, enum kw_dtls_end end,
                        enum kw_alert alert, kw_ns now)
{
    struct kw_generation *next = kw_session_next_of(session);
    struct kw_generation *current = kw_session_current_of(session);
    struct kw_generation *previous = kw_session_previous_of(session);

    if (session->closed || !kw_generation_alive(gen))
        return;
    if (gen == next && (current != NULL || previous != NULL)) {
        tell_failed(session, gen, end, alert);
        kw_generation_retire(session, gen, KW_RETIRE_FAILED, now);
        kw_wheel_failed(session, gen, now);
        return;
    }
    if (gen == next) {
        kw_session_end(session,
                       end == KW_DTLS_END_TIMEOUT ? KW_SESSION_END_GONE : KW_SESSION_END_HANDSHAKE,
                       end, alert, now);
        return;
    }
    if (gen == previous) {
        kw_generation_retire(session, gen, KW_RETIRE_TOLD, now);
        return;
    }
    /*
     * The current one. In `overlap` its word concerns both associations: a peer that has moved on
     * drops what it left without a word, so it is leaving, and so is a path that both share.
     */
    if (next != NULL && next->shares_path && end != KW_DTLS_END_INTERNAL) {
        kw_session_end(session, ending_of(end), end, alert, now);
        return;
    }
    /*
     * Elsewhere a close_notify of a generation that is not the sole one ends that generation only:
     * a client that has moved on closes the connection it left.
     */
    if (next != NULL && next->stage == KW_STAGE_READY)
        kw_wheel_switch(session, next, now);
    if (next != NULL && !next->shares_path) {
        kw_generation_retire(session, gen, KW_RETIRE_TOLD, now);
        return;
    }
    kw_session_end(session, ending_of(end), end, alert, now);
}

void kw_generation_snapshot(struct kw_session *session, struct kw_generation *gen)
{
    const struct kw_ice *ice = kw_generation_ice(session, gen);

    if (gen->dtls != NULL)
        gen->facts = *kw_dtls_facts(gen->dtls);
    if (gen->in != NULL)
        gen->received = *kw_srtp_counters(gen->in);
    if (gen->out != NULL)
        gen->sent = *kw_srtp_counters(gen->out);
    if (ice != NULL)
        gen->rtt = kw_ice_rtt(ice);
    gen->has_path = kw_generation_path(session, gen, &gen->path);
}

void kw_generation_drop_dtls(struct kw_session *session, struct kw_generation *gen)
{
    if (gen->dtls != NULL) {
        gen->facts = *kw_dtls_facts(gen->dtls);
        kw_dtls_deinit(gen->dtls);
        gen->dtls = NULL;
        kw_wipe(gen->engines->dtls_mem, kw_dtls_size());
    }
    if (!kw_generation_alive(gen))
        kw_engines_give(session, gen); /* its last words have left */
}

void kw_generation_drop_srtp(struct kw_session *session, struct kw_generation *gen)
{
    size_t size = kw_srtp_size(session->ssrc_max);

    if (gen->in != NULL) {
        gen->received = *kw_srtp_counters(gen->in);
        kw_srtp_deinit(gen->in);
        gen->in = NULL;
        kw_wipe(gen->engines->in_mem, size);
    }
    if (gen->out != NULL) {
        gen->sent = *kw_srtp_counters(gen->out);
        kw_srtp_deinit(gen->out);
        gen->out = NULL;
        kw_wipe(gen->engines->out_mem, size);
    }
}

/*
 * The association of a failed attempt stays a little: its alert has not left yet. It holds no media
 * key, transmit takes the alert, and then it goes.
 */
void kw_generation_retire(struct kw_session *session, struct kw_generation *gen,
                          enum kw_retirement how, kw_ns now)
{
    const struct kw_session_event event = {
        .type = KW_SESSION_EVENT_RETIRED,
        .generation = gen->number,
        .reason = gen->reason,
    };

    if (!kw_generation_alive(gen)) {
        kw_generation_drop_dtls(session, gen);
        return;
    }
    if (gen->stage == KW_STAGE_PREVIOUS)
        kw_wheel_settle(session, gen);
    kw_generation_snapshot(session, gen);
    kw_generation_drop_srtp(session, gen);
    if (how != KW_RETIRE_FAILED)
        kw_generation_drop_dtls(session, gen);
    else if (gen->dtls != NULL)
        kw_dtls_close(gen->dtls,
                      now); /* wipes its keys; no flight may follow its ICE agent's end */
    kw_agent_give(session, gen->ice);
    gen->ice = NULL;
    drop_identity(session, gen);
    kw_wipe(gen->engines->client_random, sizeof gen->engines->client_random);
    gen->stage = KW_STAGE_RETIRED;
    gen->retired = now;
    if (gen->dtls == NULL)
        kw_engines_give(session, gen);
    if (how == KW_RETIRE_TOLD)
        kw_session_push(session, &event);
}
