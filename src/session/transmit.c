/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out, and when we want to be called. STUN first: without it nothing else may leave. An
 * association speaks on the validated path, or answers where its peer spoke, within three times
 * what came from there.
 */
#include "session/session.h"

/* The predecessor's agent has validated a lent path. */
static bool is_lent(const struct kw_generation *gen, const struct kw_path *path)
{
    return gen->path_is_lent && kw_path_equal(&gen->path, path);
}

/* Where an association's datagram goes; false: nowhere, or the budget forbids it. */
static bool dtls_path(struct kw_session *session, const struct kw_generation *gen,
                      struct kw_path *ret)
{
    if (kw_generation_path(session, gen, ret))
        return true;
    if (gen->engines->has_dtls_path)
        *ret = gen->engines->dtls_path;
    return gen->engines->has_dtls_path;
}

static size_t transmit_dtls(struct kw_session *session, struct kw_generation *gen, uint8_t *dst,
                            size_t dst_size, struct kw_path *path_ret, kw_ns now)
{
    struct kw_ice *ice = kw_generation_ice(session, gen);

    while (gen->dtls != NULL) {
        size_t len = kw_dtls_transmit(gen->dtls, dst, dst_size, now);

        if (len == 0) {
            if (gen->stage == KW_STAGE_RETIRED)
                kw_generation_drop_dtls(session, gen);
            return 0;
        }
        if (!dtls_path(session, gen, path_ret) ||
            (ice != NULL && !is_lent(gen, path_ret) && !kw_ice_may_send(ice, path_ret, len))) {
            kw_session_count(session, KW_DROP_LIMIT); /* its timer sends it again */
            continue;
        }
        return len;
    }
    return 0;
}

size_t kw_session_transmit(struct kw_session *session, uint8_t *dst, size_t dst_size,
                           struct kw_path *path_ret, kw_ns now)
{
    size_t len;

    kw_session_stamp(session, now);
    for (size_t i = 0; i < KW_SESSION_GENERATIONS && !session->closed; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (gen->ice == NULL)
            continue;
        len = kw_ice_transmit(gen->ice, dst, dst_size, path_ret, now);
        if (len != 0)
            return len;
    }
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        len = transmit_dtls(session, &session->generations[i], dst, dst_size, path_ret, now);
        if (len != 0)
            return len;
    }
    return 0;
}

kw_ns kw_session_deadline(const struct kw_session *session)
{
    kw_ns deadline = KW_NEVER;

    if (session->closed)
        return KW_NEVER;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        const struct kw_generation *gen = &session->generations[i];

        if (!kw_generation_alive(gen))
            continue;
        if (gen->ice != NULL)
            deadline = KW_MIN(deadline, kw_ice_deadline(gen->ice));
        if (gen->dtls != NULL)
            deadline = KW_MIN(deadline, kw_dtls_deadline(gen->dtls));
    }
    return KW_MIN(deadline, kw_wheel_deadline(session));
}

enum kw_status kw_session_tick(struct kw_session *session, kw_ns now)
{
    kw_session_stamp(session, now);
    for (size_t i = 0; i < KW_SESSION_GENERATIONS && !session->closed; i++) {
        struct kw_generation *gen = &session->generations[i];

        if (!kw_generation_alive(gen))
            continue;
        if (gen->ice != NULL) {
            kw_ice_tick(gen->ice, now);
            kw_generation_watch_path(session, gen);
            if (gen->stage == KW_STAGE_PREPARED && gen->role == KW_DTLS_CLIENT && gen->has_path)
                kw_status_ignore(kw_generation_begin(session, gen, now)); /* the next tick may */
        }
        if (gen->dtls == NULL)
            continue;
        if (kw_dtls_tick(gen->dtls, now) != KW_OK)
            kw_generation_over(session, gen, KW_DTLS_END_INTERNAL, KW_ALERT_NONE, now);
        else
            kw_generation_pump(session, gen, now);
    }
    kw_rotate_tick(session, now);
    kw_wheel_turn(session, now);
    return KW_OK;
}
