/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next generation of a call: asked for by the client's own POST, or wanted by an operator.
 * Where the client cannot do it (`cap`), there is none.
 */
#include "gateway/state.h"

#include <string.h>

bool kw_call_terms_hold(const struct kw_call *call, const struct kw_terms *terms)
{
    /*
     * The session goes on with the terms of its opening. Where these rest on an exception, it must
     * still be given; one that came later adds nothing to them.
     */
    return call->terms.exception[0] == '\0' ||
           kw_text_equal(call->terms.exception, terms->exception);
}

/* Its terms allow it now; what is wrong goes into ret. */
static bool may_go_on(struct kw_gateway *gateway, const struct kw_call *call, struct kw_bytes body,
                      kw_utc_ms utc, struct kw_call_answer *ret)
{
    const struct kw_call_offer offer = {
        .profile = call->profile,
        .body = body,
        .remote = &call->signalling,
        .user_agent = "",
    };
    struct kw_terms terms;

    if (!kw_offer_accept(gateway, call->tenant, &offer, utc, &terms, ret))
        return false;
    if (kw_call_terms_hold(call, &terms))
        return true;
    ret->problem = (struct kw_sdp_problem){
        0, "the exception that this call was opened with applies no more", KW_RULE_EXCEPTION_ENDED};
    ret->outcome = KW_CALL_REFUSED;
    return false;
}

static enum kw_call_outcome refusal_of(enum kw_status status)
{
    if (status == KW_ERR_STATE)
        return KW_CALL_CONFLICT;
    return status == KW_ERR_MEMORY ? KW_CALL_FULL : KW_CALL_FAILED;
}

static void unrecorded(struct kw_call_answer *ret)
{
    ret->outcome = KW_CALL_UNRECORDED;
    ret->retry_after_s = 5;
}

static void add(struct kw_gateway *gateway, struct kw_call *call, enum kw_method method, kw_ns now,
                struct kw_call_answer *ret)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    size_t owed = kw_fact_count(&call->terms);
    struct kw_call_generation *added = NULL;
    enum kw_status status;

    if (!sink->reserve(sink->ctx, owed)) {
        unrecorded(ret);
        return;
    }
    status = kw_call_add_leg(gateway, call, method, now, &added);
    if (status != KW_OK) {
        kw_fact_release(gateway, &owed);
        ret->outcome = refusal_of(status);
        ret->retry_after_s = KW_FULL_RETRY_S;
        return;
    }
    added->owed = owed;
    ret->len = kw_leg_answer(gateway, call, added->leg, &gateway->sdp, ret->text, sizeof ret->text);
    ret->outcome = ret->len != 0 ? KW_CALL_OK : KW_CALL_FAILED;
    ret->has_body = true;
    ret->generation = added->number;
    kw_gateway_schedule(gateway, call);
}

void kw_call_add_generation(struct kw_gateway *gateway, struct kw_call *call, enum kw_method method,
                            struct kw_bytes body, kw_ns now, kw_utc_ms utc,
                            struct kw_call_answer *ret)
{
    kw_answer_begin(ret, call);
    if (call->method == KW_METHOD_CAP || kw_session_current(call->session) == 0) {
        ret->outcome = KW_CALL_CONFLICT;
        return;
    }
    if (!kw_bucket_has(&call->attempts, KW_ATTEMPT_PRICE, KW_ATTEMPTS_SAVED, now)) {
        ret->outcome = KW_CALL_TOO_OFTEN;
        ret->retry_after_s = kw_bucket_wait_s(&call->attempts, KW_ATTEMPT_PRICE);
        if (!kw_refusals_note(gateway, call->tenant, kw_outcome_rule(ret), &call->signalling, now))
            unrecorded(ret);
        return;
    }
    kw_bucket_pay(&call->attempts, KW_ATTEMPT_PRICE);
    if (may_go_on(gateway, call, body, utc, ret))
        add(gateway, call, method, now, ret);
    else if (!kw_fact_offer_refused(gateway, call, kw_outcome_rule(ret), now))
        unrecorded(ret);
}

void kw_call_rotate(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    kw_session_rotate(call->session, KW_REASON_OPERATOR, now);
    kw_call_pump(gateway, call, now);
}
