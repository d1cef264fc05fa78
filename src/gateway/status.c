/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner of a call may know of it. */
#include "gateway/state.h"

#include <string.h>

static const char *state_of(const struct kw_call *call, bool is_rotating)
{
    switch (call->state) {
    case KW_CALL_FREE:
    case KW_CALL_ENDING:
        return "ended";
    case KW_CALL_LIVE:
        break;
    }
    if (!call->was_up)
        return "connecting";
    return is_rotating ? "rotating" : "up";
}

/* What the client reports of what we send; before its first report the path's round trip. */
static void add_reports(const struct kw_leg *leg, const struct kw_generation_facts *facts,
                        struct kw_call_status *ret)
{
    ret->rtt = facts->rtt;
    for (size_t i = 0; i < leg->media_count; i++) {
        const struct kw_rtp_stream *out = &leg->media[i].out;

        if (!out->has_report)
            continue;
        if (out->rtt != 0)
            ret->rtt = out->rtt;
        ret->lost_out += out->lost > 0 ? (uint64_t)out->lost : 0;
    }
}

void kw_call_status(struct kw_gateway *gateway, struct kw_call *call, kw_ns now,
                    struct kw_call_status *ret)
{
    uint32_t current = kw_session_current(call->session);
    kw_ns due = kw_session_due(call->session);
    bool is_rotating = false;

    (void)gateway;
    memset(ret, 0, sizeof *ret);
    kw_call_id_write(call, ret->id);
    kw_text_copy(ret->tenant, sizeof ret->tenant, call->tenant->config->name);
    ret->backend = kw_backend_name(call->tenant->config->backend);
    ret->method = kw_session_method(call->session);
    ret->rotation = call->terms.rotation;
    ret->age = now - call->opened;
    ret->has_due = due != KW_NEVER && ret->method != KW_METHOD_CAP;
    ret->due_in = ret->has_due && due > now ? due - now : 0;
    ret->packets_in = call->packets_received;
    ret->packets_out = call->packets_sent;
    ret->lost_in = call->lost;
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_generation_facts facts;
        uint32_t generation = call->generations[i].number;

        if (generation == 0 || !kw_session_facts(call->session, generation, now, &facts))
            continue;
        is_rotating = is_rotating || (current != 0 && generation != current);
        ret->packets_in += facts.received.packets;
        ret->packets_out += facts.sent.packets;
        ret->lost_in += facts.received.lost;
        if (generation == current)
            add_reports(call->generations[i].leg, &facts, ret);
        ret->generations[ret->generation_count].facts = facts;
        ret->generations[ret->generation_count].is_current = generation == current;
        ret->generations[ret->generation_count].age = facts.ready != 0 ? now - facts.ready : 0;
        ret->generation_count++;
    }
    ret->state = state_of(call, is_rotating);
}
