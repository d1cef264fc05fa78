/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `overlap`: a client on libkeywheel changes its keys on the connection that it has. The session
 * says DUE, by our policy or because the client has asked in ROTATE; what elsewhere a POST brings
 * is found here: the policy's word, room in the audit, a certificate. Without one of them nothing
 * happens, the current generation goes on, and DUE comes again with back-off.
 */
#include "gateway/state.h"

/*
 * NULL: the terms of the call's opening hold. The peer is who the offer named: each association
 * vouches for the certificate of the next one, so an exception for the first covers its successors
 * as long as it is given.
 */
static const char *objection(const struct kw_gateway *gateway, const struct kw_call *call,
                             const struct kw_leg *leg, kw_ns now)
{
    const struct kw_peer peer = {
        .address = call->signalling,
        .fingerprints = &leg->peer_fingerprint,
        .fingerprint_count = 1,
    };
    struct kw_terms terms;
    enum kw_refusal refusal = kw_policy_decide(&call->tenant->config->policy, &peer,
                                               kw_gateway_utc(gateway, now), &terms);

    if (refusal != KW_REFUSAL_NONE)
        return kw_refusal_rule(refusal);
    return kw_call_terms_hold(call, &terms) ? NULL : KW_RULE_EXCEPTION_ENDED;
}

/*
 * What somebody wants is an attempt of the call's. What our own policy wants is none: its back-off
 * keeps the pace, and a short L must not end a call by our own quota.
 */
static bool may_try(struct kw_call *call, enum kw_reason reason, kw_ns now)
{
    if (reason != KW_REASON_PEER && reason != KW_REASON_OPERATOR)
        return true;
    if (!kw_bucket_has(&call->attempts, KW_ATTEMPT_PRICE, KW_ATTEMPTS_SAVED, now))
        return false;
    kw_bucket_pay(&call->attempts, KW_ATTEMPT_PRICE);
    return true;
}

static enum kw_status prepare(struct kw_gateway *gateway, struct kw_call *call, struct kw_leg *leg,
                              size_t owed, kw_ns now)
{
    struct kw_generation_params params = {
        .alpn = KW_GATEWAY_ALPN,
        .method = KW_METHOD_OVERLAP,
        .identity = kw_gateway_identity(gateway, now),
    };
    enum kw_status status;
    uint32_t number;

    if (params.identity == NULL)
        return KW_ERR_MEMORY;
    status = kw_session_add_generation(call->session, &params, now, &number);
    gateway->shared.dtls.crypto->ops->identity_free(params.identity); /* the session has its hold */
    if (status != KW_OK)
        return status;
    kw_call_sweep(gateway, call, now);
    kw_call_note_generation(call, number, leg)->owed = owed;
    kw_gateway_touch(gateway, call);
    return KW_OK;
}

void kw_call_overlap(struct kw_gateway *gateway, struct kw_call *call, enum kw_reason reason,
                     kw_ns now)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    struct kw_leg *leg = kw_call_leg(call, kw_session_current(call->session));
    size_t owed = kw_fact_count(&call->terms);
    const char *rule;

    if (leg == NULL || kw_session_method(call->session) != KW_METHOD_OVERLAP)
        return;
    if (!may_try(call, reason, now)) {
        if (!kw_refusals_note(gateway, call->tenant, KW_RULE_TOO_OFTEN, &call->signalling, now))
            gateway->lost_facts++;
        return;
    }
    rule = objection(gateway, call, leg, now);
    if (rule != NULL) {
        if (!kw_fact_offer_refused(gateway, call, rule, now))
            gateway->lost_facts++;
        return;
    }
    if (!sink->reserve(sink->ctx, owed))
        return;
    if (prepare(gateway, call, leg, owed, now) != KW_OK)
        kw_fact_release(gateway, &owed);
}
