/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call: admitted with everything it will need (a place, ids, room in the audit ring),
 * led by the events of its session, freed when its last datagram has left.
 */
#include "gateway/state.h"

#include <string.h>

/* --- finding ---------------------------------------------------------------------------------- */

struct kw_call *kw_call_find(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                             const char *id)
{
    uint8_t raw[16];
    uint32_t number;
    struct kw_call *call;

    if (!kw_hex_parse(id, raw, sizeof raw) ||
        !kw_table_get(&gateway->ids, kw_table_tag(&gateway->ids, raw, sizeof raw), &number))
        return NULL;
    call = &gateway->calls[number];
    if (call->state != KW_CALL_LIVE || call->tenant != tenant ||
        !kw_ct_equal(call->id, raw, sizeof raw))
        return NULL;
    return call;
}

void kw_call_id_write(const struct kw_call *call, char dst[KW_CALL_ID_TEXT])
{
    kw_hex_write(call->id, sizeof call->id, dst);
}

enum kw_sdp_profile kw_call_profile(const struct kw_call *call)
{
    return call->profile;
}

enum kw_method kw_call_method(const struct kw_call *call)
{
    return call->has_session ? kw_session_method(call->session) : call->method;
}

const struct kw_rotation_policy *kw_call_rotation(const struct kw_call *call)
{
    return &call->terms.rotation;
}

bool kw_call_facts(const struct kw_call *call, uint32_t generation, kw_ns now,
                   struct kw_generation_facts *ret)
{
    return call->has_session && kw_session_facts(call->session, generation, now, ret);
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct kw_call *take_place(struct kw_gateway *gateway, struct kw_tenant *tenant)
{
    struct kw_call *call = &gateway->calls[gateway->free_first];

    gateway->free_first = call->next_free;
    gateway->call_count++;
    tenant->calls++;
    call->tenant = tenant;
    call->state = KW_CALL_LIVE;
    return call;
}

static enum kw_status begin(struct kw_gateway *gateway, struct kw_call *call, kw_ns now,
                            struct kw_call_generation **ret)
{
    const struct kw_session_params params = {
        .terms = &call->terms,
        .ssrc_max = KW_CALL_SSRC_MAX,
        .method = call->method,
    };
    const struct kw_random *random = &gateway->shared.dtls.random;
    enum kw_status status = kw_random_fill(random, call->id, sizeof call->id);

    if (status == KW_OK)
        status = kw_random_fill(random, call->session_id.bytes, sizeof call->session_id.bytes);
    if (status == KW_OK)
        status = kw_session_init(call->session_mem, &gateway->shared, &params, now, &call->session);
    if (status != KW_OK)
        return status;
    call->has_session = true;
    status = kw_call_add_leg(gateway, call, KW_METHOD_INITIAL, now, ret);
    if (status != KW_OK)
        return status;
    call->id_tag = kw_table_tag(&gateway->ids, call->id, sizeof call->id);
    return kw_table_put(&gateway->ids, call->id_tag, call->number) ? KW_OK : KW_ERR_MEMORY;
}

/* No refusal without a trace: when there is no room for one, that is the answer. */
static void refused(struct kw_gateway *gateway, struct kw_tenant *tenant,
                    const struct kw_call_offer *offer, kw_ns now, struct kw_call_answer *ret)
{
    if (!kw_refusals_note(gateway, tenant, kw_outcome_rule(ret), offer->remote, now))
        ret->outcome = KW_CALL_UNRECORDED;
}

void kw_call_open(struct kw_gateway *gateway, struct kw_tenant *tenant,
                  const struct kw_call_offer *offer, kw_ns now, kw_utc_ms utc,
                  struct kw_call_answer *ret)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    struct kw_terms terms;
    struct kw_call_generation *first = NULL;
    struct kw_call *call;
    size_t fact_count;

    kw_answer_begin(ret, NULL);
    ret->outcome = kw_tenant_admit(gateway, tenant, now, &ret->retry_after_s);
    if (ret->outcome != KW_CALL_OK || !kw_offer_accept(gateway, tenant, offer, utc, &terms, ret)) {
        refused(gateway, tenant, offer, now, ret);
        return;
    }
    fact_count = kw_fact_count(&terms);
    if (!sink->reserve(sink->ctx, KW_CALL_FACTS + fact_count)) {
        ret->outcome = KW_CALL_UNRECORDED;
        ret->retry_after_s = 5;
        return;
    }
    call = take_place(gateway, tenant);
    call->owed = KW_CALL_FACTS + fact_count;
    call->profile = offer->profile;
    call->method = offer->profile == KW_SDP_CALL ? KW_METHOD_PARALLEL : KW_METHOD_CAP;
    call->terms = terms;
    call->signalling = *offer->remote;
    call->opened = now;
    call->attempts = kw_bucket_full(KW_ATTEMPTS_SAVED, now);
    ret->outcome = kw_relay_join(gateway, call, offer->room);
    if (ret->outcome != KW_CALL_OK) {
        kw_call_free(gateway, call, now);
        ret->retry_after_s = KW_FULL_RETRY_S;
        refused(gateway, tenant, offer, now, ret);
        return;
    }
    kw_relay_narrow(gateway, call, &gateway->sdp);
    if (begin(gateway, call, now, &first) != KW_OK) {
        kw_call_free(gateway, call, now);
        ret->outcome = KW_CALL_FAILED;
        return;
    }
    call->owed -= fact_count;
    first->owed = fact_count;
    ret->len = kw_leg_answer(gateway, call, first->leg, &gateway->sdp, ret->text, sizeof ret->text);
    if (ret->len == 0) {
        kw_call_free(gateway, call, now);
        ret->outcome = KW_CALL_FAILED;
        return;
    }
    kw_fact_opened(gateway, call, offer, now);
    kw_gateway_schedule(gateway, call);
    ret->outcome = KW_CALL_OK;
    ret->has_body = true;
    ret->call = call;
    ret->generation = first->number;
}

void kw_call_hang_up(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    kw_session_close(call->session, now);
    kw_call_pump(gateway, call, now);
    kw_gateway_touch(gateway, call);
}

/* --- events of the session -------------------------------------------------------------------- */

static void add_sums(struct kw_call *call, const struct kw_generation_facts *facts)
{
    call->packets_sent += facts->sent.packets + facts->sent.rtcp_packets;
    call->packets_received += facts->received.packets + facts->received.rtcp_packets;
    call->bytes_sent += facts->sent.bytes;
    call->bytes_received += facts->received.bytes;
    call->lost += facts->received.lost;
    call->auth_failures += facts->received.verdicts[KW_DROP_FORGED];
    call->replays += facts->received.verdicts[KW_DROP_REPLAY];
}

static void leave_generation(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                             kw_ns now)
{
    struct kw_generation_facts facts;

    if (kw_call_generation(call, generation) == NULL)
        return;
    if (kw_session_facts(call->session, generation, now, &facts))
        add_sums(call, &facts);
    kw_call_forget_generation(gateway, call, generation);
}

/* Its rotation is told when its successor is up; when there is none, it was no rotation. */
static void keep_untold(struct kw_call *call, uint32_t generation)
{
    struct kw_call_generation *leaving = kw_call_generation(call, generation);

    if (leaving == NULL)
        return;
    call->left = (struct kw_call_generation){.number = generation, .owed = leaving->owed};
    leaving->owed = 0;
}

static void tell_untold(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    if (call->left.number == 0)
        return;
    kw_fact_rotated(gateway, call, call->left.number, now);
    kw_fact_release(gateway, &call->left.owed);
    call->left.number = 0;
}

static void firm_path(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                      kw_ns now)
{
    struct kw_generation_facts facts;

    if (kw_session_facts(call->session, generation, now, &facts) && facts.has_path)
        kw_call_route(gateway, call, &facts.path, true, now);
}

static void ended(struct kw_gateway *gateway, struct kw_call *call,
                  const struct kw_session_event *event, kw_ns now)
{
    call->end = *event;
    call->has_end = true;
    if (event->session_end == KW_SESSION_END_HANDSHAKE)
        kw_fact_handshake_refused(gateway, call, event, now);
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++)
        leave_generation(gateway, call, call->generations[i].number, now);
    kw_fact_release(gateway, &call->left.owed);
    kw_fact_closed(gateway, call, now);
    kw_relay_leave(gateway, call);
    kw_table_remove(&gateway->ids, call->id_tag);
    call->id_tag = 0;
    call->state = KW_CALL_ENDING;
    kw_gateway_touch(gateway, call); /* its last datagrams leave, then it is freed */
}

/* The peer of an offer is proven. */
static void first_ready(struct kw_call *call, struct kw_leg *leg, kw_ns now)
{
    struct kw_generation_facts facts;

    if (kw_session_facts(call->session, leg->tag, now, &facts))
        leg->peer_fingerprint = facts.dtls.peer_fingerprint;
    leg->report_at = now + KW_REPORT_EVERY;
}

static void handle(struct kw_gateway *gateway, struct kw_call *call,
                   const struct kw_session_event *event, kw_ns now)
{
    struct kw_leg *leg = kw_call_leg(call, event->generation);

    switch (event->type) {
    case KW_SESSION_EVENT_NONE:
        return;
    case KW_SESSION_EVENT_PATH:
        firm_path(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_READY:
        kw_fact_established(gateway, call, event->generation, now);
        if (leg != NULL && event->generation == leg->tag)
            first_ready(call, leg, now);
        break;
    case KW_SESSION_EVENT_SWITCHED:
        call->was_up = true;
        tell_untold(gateway, call, now);
        break;
    case KW_SESSION_EVENT_DUE:
        kw_call_overlap(gateway, call, event->reason, now);
        break;
    case KW_SESSION_EVENT_RETIRED:
        if (kw_session_current(call->session) != 0)
            kw_fact_rotated(gateway, call, event->generation, now);
        else
            keep_untold(call, event->generation);
        leave_generation(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_FAILED:
        kw_fact_handshake_refused(gateway, call, event, now);
        leave_generation(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_OVERDUE:
        kw_fact_overdue(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_CLOSED:
        ended(gateway, call, event, now);
        break;
    }
    kw_call_tell(gateway, call, event, now);
}

void kw_call_pump(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    struct kw_session_event event;

    while (kw_session_next_event(call->session, &event))
        handle(gateway, call, &event, now);
    kw_gateway_schedule(gateway, call);
}

void kw_call_free(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    uint32_t number = call->number;
    void *session_mem = call->session_mem;
    bool is_dirty = call->is_dirty;
    uint32_t next_dirty = call->next_dirty;

    (void)now;
    kw_call_dismiss(gateway, call);
    if (call->id_tag != 0)
        kw_table_remove(&gateway->ids, call->id_tag);
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++)
        kw_call_forget_generation(gateway, call, call->generations[i].number);
    kw_call_forget_routes(gateway, call);
    kw_relay_leave(gateway, call);
    kw_heap_set(&gateway->heap, number, KW_NEVER);
    kw_fact_release(gateway, &call->left.owed);
    kw_fact_release(gateway, &call->owed);
    if (call->has_session)
        kw_session_deinit(call->session);
    call->tenant->calls--;
    gateway->call_count--;

    kw_wipe(call, sizeof *call);
    call->number = number;
    call->session_mem = session_mem;
    call->is_dirty = is_dirty;
    call->next_dirty = next_dirty;
    call->next_free = gateway->free_first;
    gateway->free_first = number;
}
