/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An offer, of a new call or of its next generation: parsed, put before the policy, and made into a
 * leg.
 */
#include "gateway/state.h"

#include <string.h>

void kw_answer_begin(struct kw_call_answer *ret, struct kw_call *call)
{
    ret->problem = (struct kw_sdp_problem){0, "", ""};
    ret->has_body = false;
    ret->len = 0;
    ret->call = call;
    ret->retry_after_s = 1;
}

const char *kw_refusal_rule(enum kw_refusal refusal)
{
    switch (refusal) {
    case KW_REFUSAL_NONE:
        break;
    case KW_REFUSAL_NO_FINGERPRINT:
        return "no-fingerprint";
    case KW_REFUSAL_EXCEPTION_EXPIRED:
        return "exception-expired";
    }
    return "";
}

bool kw_offer_accept(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                     const struct kw_call_offer *offer, kw_utc_ms utc, struct kw_terms *terms,
                     struct kw_call_answer *ret)
{
    struct kw_sdp *sdp = &gateway->sdp;
    struct kw_peer peer = {.address = *offer->remote};
    enum kw_refusal refusal;

    switch (kw_sdp_offer_parse(offer->body, offer->profile, sdp, &ret->problem)) {
    case KW_SDP_OK:
        break;
    case KW_SDP_MALFORMED:
        ret->outcome = KW_CALL_MALFORMED;
        return false;
    case KW_SDP_REFUSED:
        ret->outcome = KW_CALL_REFUSED;
        return false;
    case KW_SDP_NO_MEDIA:
        ret->outcome = KW_CALL_NO_MEDIA;
        return false;
    }
    for (size_t i = 0; i < sdp->media_count; i++) {
        if (sdp->media[i].mid.len > KW_LEG_MID_MAX) {
            ret->problem = (struct kw_sdp_problem){sdp->media[i].line,
                                                   "a mid is longer than 32 bytes", "mid-length"};
            ret->outcome = KW_CALL_REFUSED;
            return false;
        }
    }
    peer.fingerprints = sdp->transport.fingerprints;
    peer.fingerprint_count = sdp->transport.fingerprint_count;
    refusal = kw_policy_decide(&tenant->config->policy, &peer, utc, terms);
    if (refusal != KW_REFUSAL_NONE) {
        ret->problem =
            (struct kw_sdp_problem){0, kw_refusal_text(refusal), kw_refusal_rule(refusal)};
        ret->outcome = KW_CALL_REFUSED;
        return false;
    }
    return true;
}

const char *kw_outcome_rule(const struct kw_call_answer *answer)
{
    switch (answer->outcome) {
    case KW_CALL_OK:
        break;
    case KW_CALL_MALFORMED:
        return "malformed-sdp";
    case KW_CALL_REFUSED:
    case KW_CALL_NO_MEDIA:
        return answer->problem.rule;
    case KW_CALL_QUOTA:
        return "quota";
    case KW_CALL_TOO_OFTEN:
        return KW_RULE_TOO_OFTEN;
    case KW_CALL_FULL:
        return "gateway-full";
    case KW_CALL_DRAINING:
        return "draining";
    case KW_CALL_UNRECORDED:
        return "audit-full";
    case KW_CALL_ROOM_FULL:
        return "room-full";
    case KW_CALL_BACKEND_BUSY:
        return "backend-busy";
    case KW_CALL_CONFLICT:
    case KW_CALL_STALE:
    case KW_CALL_UNNAMED:
        return "conflict";
    case KW_CALL_FAILED:
        return "internal";
    }
    return "";
}

enum kw_status kw_call_add_leg(struct kw_gateway *gateway, struct kw_call *call,
                               enum kw_method method, kw_ns now, struct kw_call_generation **ret)
{
    const struct kw_sdp_transport *transport = &gateway->sdp.transport;
    struct kw_crypto *crypto = gateway->shared.dtls.crypto;
    struct kw_generation_params params = {
        .role = KW_DTLS_SERVER,
        .fingerprints = transport->fingerprints,
        .fingerprint_count = transport->fingerprint_count,
        .has_ice = true,
        .alpn = KW_GATEWAY_ALPN,
        .method = method,
    };
    struct kw_leg *leg = NULL;
    enum kw_status status;
    uint32_t number;

    for (size_t i = 0; i < KW_CALL_LEGS && leg == NULL; i++) {
        if (call->legs[i].tag == 0)
            leg = &call->legs[i];
    }
    if (leg == NULL)
        return KW_ERR_STATE;
    status = kw_ice_credentials_draw(&gateway->shared.dtls.random, &params.local);
    if (status != KW_OK)
        return status;
    kw_text_copy_bytes(params.remote.ufrag, sizeof params.remote.ufrag, transport->ufrag);
    kw_text_copy_bytes(params.remote.pwd, sizeof params.remote.pwd, transport->pwd);
    params.identity = kw_gateway_identity(gateway, now);
    if (params.identity == NULL)
        return KW_ERR_MEMORY;

    memset(leg, 0, sizeof *leg);
    kw_text_copy(leg->ufrag, sizeof leg->ufrag, params.local.ufrag);
    kw_text_copy(leg->pwd, sizeof leg->pwd, params.local.pwd);
    leg->report_at = KW_NEVER;
    status = kw_leg_agree(gateway, call, leg, &gateway->sdp);
    if (status == KW_OK && method == KW_METHOD_RESTART && kw_call_newest_leg(call) != NULL)
        kw_leg_inherit(leg, kw_call_newest_leg(call));
    if (status == KW_OK)
        status = kw_crypto_fingerprint(crypto, KW_SHA256,
                                       crypto->ops->identity_certificate(params.identity),
                                       &leg->our_fingerprint);
    if (status == KW_OK)
        status = kw_session_add_generation(call->session, &params, now, &number);
    crypto->ops->identity_free(params.identity); /* the session has its own hold */
    kw_wipe(&params.local, sizeof params.local);
    if (status != KW_OK)
        return status;
    kw_call_sweep(gateway, call, now);
    leg->tag = number;
    *ret = kw_call_note_generation(call, number, leg);
    leg->ufrag_tag = kw_ufrag_tag(gateway, leg->ufrag);
    return kw_table_put(&gateway->ufrags, leg->ufrag_tag, call->number) ? KW_OK : KW_ERR_MEMORY;
}

void kw_leg_forget(struct kw_gateway *gateway, struct kw_leg *leg)
{
    if (leg->ufrag_tag != 0)
        kw_table_remove(&gateway->ufrags, leg->ufrag_tag);
    if (leg->old_ufrag_tag != 0)
        kw_table_remove(&gateway->ufrags, leg->old_ufrag_tag);
    kw_wipe(leg, sizeof *leg);
}
