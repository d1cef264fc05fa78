/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence. Every admitted call has room for its facts reserved, and each generation its own, so
 * what is put here always fits: a fact takes a slot of the one that owes it and of nobody else.
 * Texts of the peer are cut here and escaped where they are shown.
 */
#include "gateway/state.h"

#include <string.h>

struct kw_fact *kw_fact_begin(struct kw_gateway *gateway, enum kw_fact_type type,
                              const struct kw_tenant *tenant, kw_ns now)
{
    struct kw_fact *fact = &gateway->fact;

    memset(fact, 0, sizeof *fact);
    fact->type = type;
    fact->utc = kw_gateway_utc(gateway, now);
    fact->monotonic = now;
    kw_text_copy(fact->tenant, sizeof fact->tenant, tenant->config->name);
    return fact;
}

static struct kw_fact *begin_of(struct kw_gateway *gateway, enum kw_fact_type type,
                                const struct kw_call *call, uint32_t generation, kw_ns now)
{
    struct kw_fact *fact = kw_fact_begin(gateway, type, call->tenant, now);

    fact->session = call->session_id;
    fact->generation = generation;
    return fact;
}

size_t kw_fact_count(const struct kw_terms *terms)
{
    return terms->exception[0] != '\0' ? 3 : 2;
}

void kw_fact_release(struct kw_gateway *gateway, size_t *owed)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;

    if (*owed != 0)
        sink->release(sink->ctx, *owed);
    *owed = 0;
}

/* With a slot that is owed; a fact beyond what was foreseen asks for one of its own. */
static void put(struct kw_gateway *gateway, size_t *owed)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;

    if (owed != NULL && *owed != 0) {
        (*owed)--;
    } else if (!sink->reserve(sink->ctx, 1)) {
        gateway->lost_facts++;
        return;
    }
    sink->put(sink->ctx, &gateway->fact);
}

static void put_of(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation)
{
    struct kw_call_generation *owes = kw_call_generation(call, generation);

    if (owes == NULL && call->left.number == generation)
        owes = &call->left;
    put(gateway, owes != NULL ? &owes->owed : NULL);
}

const char *kw_backend_name(enum kw_backend_kind kind)
{
    switch (kind) {
    case KW_BACKEND_ECHO:
        return "echo";
    case KW_BACKEND_BRIDGE:
        return "bridge";
    case KW_BACKEND_RTP:
        return "rtp";
    }
    return "unknown";
}

void kw_fact_opened(struct kw_gateway *gateway, struct kw_call *call,
                    const struct kw_call_offer *offer, kw_ns now)
{
    struct kw_fact *fact = begin_of(gateway, KW_FACT_SESSION_OPENED, call, 0, now);
    char remote[KW_ADDRESS_TEXT_MAX];

    kw_address_write(offer->remote, remote);
    kw_text_copy(fact->u.opened.policy, sizeof fact->u.opened.policy, call->terms.policy);
    kw_text_copy(fact->u.opened.backend, sizeof fact->u.opened.backend,
                 kw_backend_name(call->tenant->config->backend));
    kw_text_copy(fact->u.opened.method, sizeof fact->u.opened.method, kw_method_name(call->method));
    kw_text_copy(fact->u.opened.remote, sizeof fact->u.opened.remote, remote);
    kw_text_copy(fact->u.opened.user_agent, sizeof fact->u.opened.user_agent, offer->user_agent);
    fact->u.opened.limit_seconds = call->terms.rotation.period / KW_S(1);
    fact->u.opened.limit_bytes = call->terms.rotation.bytes;
    put(gateway, &call->owed);
}

static void exception_used(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                           const struct kw_dtls_facts *dtls, kw_ns now)
{
    bool is_old = dtls->version == KW_DTLS_1_2;
    bool is_cm = dtls->srtp_profile == KW_SRTP_AES128_CM_SHA1_80;
    struct kw_fact *fact;

    if (call->terms.exception[0] == '\0')
        return;
    fact = begin_of(gateway, KW_FACT_EXCEPTION_USED, call, generation, now);
    kw_text_copy(fact->u.exception.name, sizeof fact->u.exception.name, call->terms.exception);
    kw_text_copy(fact->u.exception.what, sizeof fact->u.exception.what,
                 is_old && is_cm ? "DTLS 1.2, AES_CM_128_HMAC_SHA1_80"
                 : is_old        ? "DTLS 1.2"
                 : is_cm         ? "AES_CM_128_HMAC_SHA1_80"
                                 : "applies, not needed");
    put_of(gateway, call, generation);
}

void kw_fact_established(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                         kw_ns now)
{
    struct kw_generation_facts facts;
    struct kw_fact *fact;
    char path[KW_ADDRESS_TEXT_MAX];

    if (!kw_session_facts(call->session, generation, now, &facts))
        return;
    exception_used(gateway, call, generation, &facts.dtls, now);
    fact = begin_of(gateway, KW_FACT_GENERATION_ESTABLISHED, call, generation, now);
    kw_address_write(&facts.path.remote, path);
    fact->u.established.version = facts.dtls.version;
    fact->u.established.server = facts.dtls.role == KW_DTLS_SERVER;
    fact->u.established.suite = facts.dtls.suite;
    fact->u.established.group = facts.dtls.group;
    fact->u.established.our_scheme = facts.dtls.our_scheme;
    fact->u.established.peer_scheme = facts.dtls.peer_scheme;
    fact->u.established.srtp_profile = facts.dtls.srtp_profile;
    fact->u.established.peer_fingerprint = facts.dtls.peer_fingerprint;
    fact->u.established.our_fingerprint = facts.our_fingerprint;
    fact->u.established.retried = facts.dtls.retried;
    kw_text_copy(fact->u.established.method, sizeof fact->u.established.method,
                 kw_method_name(facts.method));
    kw_text_copy(fact->u.established.kernel, sizeof fact->u.established.kernel, facts.kernel);
    kw_text_copy(fact->u.established.provider, sizeof fact->u.established.provider,
                 gateway->shared.dtls.crypto->ops->name);
    kw_text_copy(fact->u.established.path, sizeof fact->u.established.path, path);
    fact->u.established.datagrams = facts.dtls.datagrams_sent + facts.dtls.datagrams_received;
    fact->u.established.retransmissions = facts.dtls.retransmissions;
    fact->u.established.duration_us = facts.dtls.duration / KW_US(1);
    put_of(gateway, call, generation);
}

static uint64_t us_between(kw_ns from, kw_ns to)
{
    return from != 0 && to > from ? (to - from) / KW_US(1) : 0;
}

static const char *cut_name(const struct kw_splice *splice)
{
    return kw_splice_method_name(splice != NULL ? splice->method : KW_SPLICE_NONE);
}

/* `overlap`: the same streams under other keys; the splice has seen nothing of it. */
static void add_no_cuts(const struct kw_call *call, struct kw_fact *fact)
{
    const char *same = kw_splice_method_name(KW_SPLICE_SAME);
    const char *none = kw_splice_method_name(KW_SPLICE_NONE);

    kw_text_copy(fact->u.rotated.audio_cut, sizeof fact->u.rotated.audio_cut,
                 call->relay.has_splice[KW_RELAY_AUDIO] ? same : none);
    kw_text_copy(fact->u.rotated.video_cut, sizeof fact->u.rotated.video_cut,
                 call->relay.has_splice[KW_RELAY_VIDEO] ? same : none);
}

/* How the new generation's media took the old one's place in what leaves; not yet: "none". */
static void add_cuts(struct kw_call *call, uint32_t current, struct kw_fact *fact)
{
    const struct kw_leg *leg = kw_call_leg(call, current);
    const struct kw_splice *cut[KW_RELAY_KINDS] = {NULL};
    uint32_t tag, ssrc;

    for (size_t i = 0; i < KW_RELAY_KINDS; i++) {
        if (call->relay.has_splice[i] && kw_splice_current(&call->relay.splice[i], &tag, &ssrc) &&
            leg != NULL && tag == leg->tag)
            cut[i] = &call->relay.splice[i];
    }
    kw_text_copy(fact->u.rotated.audio_cut, sizeof fact->u.rotated.audio_cut,
                 cut_name(cut[KW_RELAY_AUDIO]));
    kw_text_copy(fact->u.rotated.video_cut, sizeof fact->u.rotated.video_cut,
                 cut_name(cut[KW_RELAY_VIDEO]));
    if (cut[KW_RELAY_AUDIO] != NULL) {
        fact->u.rotated.audio_error_us = cut[KW_RELAY_AUDIO]->error_ns / (int64_t)KW_US(1);
        fact->u.rotated.audio_wait_us = cut[KW_RELAY_AUDIO]->waited_ns / KW_US(1);
    }
    if (cut[KW_RELAY_VIDEO] != NULL)
        fact->u.rotated.video_wait_us = cut[KW_RELAY_VIDEO]->waited_ns / KW_US(1);
}

void kw_fact_rotated(struct kw_gateway *gateway, struct kw_call *call, uint32_t from, kw_ns now)
{
    uint32_t current = kw_session_current(call->session);
    struct kw_generation_facts old, new;
    struct kw_fact *fact;

    if (!kw_session_facts(call->session, from, now, &old) ||
        !kw_session_facts(call->session, current, now, &new))
        return;
    fact = begin_of(gateway, KW_FACT_ROTATED, call, current, now);
    fact->u.rotated.from = from;
    kw_text_copy(fact->u.rotated.method, sizeof fact->u.rotated.method, kw_method_name(new.method));
    kw_text_copy(fact->u.rotated.reason, sizeof fact->u.rotated.reason, kw_reason_name(new.reason));
    fact->u.rotated.negotiation_us = us_between(new.prepared, new.ready);
    fact->u.rotated.switch_us = us_between(new.ready, new.switched);
    fact->u.rotated.overlap_us = us_between(new.switched, old.retired);
    fact->u.rotated.old_packets = old.received.packets;
    fact->u.rotated.new_packets = new.received.packets;
    fact->u.rotated.lost = old.lost_across_switch;
    fact->u.rotated.old_bytes = old.sent.bytes + old.received.bytes;
    fact->u.rotated.old_age_us = us_between(old.ready, old.retired);
    if (new.method == KW_METHOD_OVERLAP)
        add_no_cuts(call, fact);
    else
        add_cuts(call, current, fact);
    gateway->rotations[new.method]++;
    put_of(gateway, call, from);
}

static const char *end_rule(enum kw_dtls_end end)
{
    switch (end) {
    case KW_DTLS_END_FINGERPRINT:
        return "fingerprint-mismatch";
    case KW_DTLS_END_POLICY:
        return "no-common-terms";
    case KW_DTLS_END_TIMEOUT:
        return "handshake-timeout";
    case KW_DTLS_END_NONE:
    case KW_DTLS_END_CLOSED:
    case KW_DTLS_END_ALERT_SENT:
    case KW_DTLS_END_ALERT_RECEIVED:
    case KW_DTLS_END_INTERNAL:
        break;
    }
    return "handshake-failed";
}

void kw_fact_handshake_refused(struct kw_gateway *gateway, struct kw_call *call,
                               const struct kw_session_event *event, kw_ns now)
{
    struct kw_fact *fact = begin_of(gateway, KW_FACT_REFUSED, call, event->generation, now);
    struct kw_generation_facts facts;
    char remote[KW_ADDRESS_TEXT_MAX];

    fact->u.refused.count = 1;
    kw_text_copy(fact->u.refused.rule, sizeof fact->u.refused.rule, end_rule(event->end));
    if (event->alert != KW_ALERT_NONE)
        kw_text_copy(fact->u.refused.alert, sizeof fact->u.refused.alert,
                     kw_alert_name(event->alert));
    if (kw_session_facts(call->session, event->generation, now, &facts)) {
        kw_address_write(&facts.path.remote, remote);
        kw_text_copy(fact->u.refused.remote, sizeof fact->u.refused.remote, remote);
        for (size_t i = 0; i < KW_ARRAY_LEN(facts.dtls.offered_suites); i++)
            fact->u.refused.offered_suites[i] = (uint16_t)facts.dtls.offered_suites[i];
        for (size_t i = 0; i < KW_ARRAY_LEN(facts.dtls.offered_groups); i++)
            fact->u.refused.offered_groups[i] = (uint16_t)facts.dtls.offered_groups[i];
        for (size_t i = 0; i < KW_ARRAY_LEN(facts.dtls.offered_profiles); i++)
            fact->u.refused.offered_profiles[i] = (uint16_t)facts.dtls.offered_profiles[i];
    }
    put_of(gateway, call, event->generation);
}

void kw_fact_overdue(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                     kw_ns now)
{
    struct kw_fact *fact = begin_of(gateway, KW_FACT_OVERDUE, call, generation, now);
    struct kw_generation_facts facts;
    kw_ns limit;

    if (!kw_session_facts(call->session, generation, now, &facts))
        return;
    limit = facts.ready + call->terms.rotation.period;
    fact->u.overdue.beyond_us = now > limit ? (now - limit) / KW_US(1) : 0;
    /* Nobody owes it: the slots are for how the generation and the call end. */
    put(gateway, NULL);
}

void kw_fact_closed(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    struct kw_fact *fact = begin_of(gateway, KW_FACT_SESSION_CLOSED, call, 0, now);

    kw_text_copy(fact->u.closed.reason, sizeof fact->u.closed.reason,
                 kw_session_end_name(call->end.session_end));
    fact->u.closed.duration_us = (now - call->opened) / KW_US(1);
    fact->u.closed.packets_sent = call->packets_sent;
    fact->u.closed.packets_received = call->packets_received;
    fact->u.closed.bytes_sent = call->bytes_sent;
    fact->u.closed.bytes_received = call->bytes_received;
    fact->u.closed.lost = call->lost;
    fact->u.closed.auth_failures = call->auth_failures;
    fact->u.closed.replays = call->replays;
    put(gateway, &call->owed);
}

bool kw_fact_offer_refused(struct kw_gateway *gateway, const struct kw_call *call, const char *rule,
                           kw_ns now)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    struct kw_fact *fact = begin_of(gateway, KW_FACT_REFUSED, call, 0, now);
    char remote[KW_ADDRESS_TEXT_MAX];

    if (!sink->reserve(sink->ctx, 1))
        return false;
    kw_address_write(&call->signalling, remote);
    kw_text_copy(fact->u.refused.rule, sizeof fact->u.refused.rule, rule);
    kw_text_copy(fact->u.refused.remote, sizeof fact->u.refused.remote, remote);
    fact->u.refused.count = 1;
    sink->put(sink->ctx, fact);
    return true;
}
