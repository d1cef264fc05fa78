/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which generations of a call's session live, and by which connection each one's media runs. An
 * offer makes a leg and its first generation; `overlap` adds generations to the leg that is there.
 * A leg lives as long as one of its generations does.
 */
#include "gateway/state.h"

struct kw_call_generation *kw_call_generation(struct kw_call *call, uint32_t number)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        if (number != 0 && call->generations[i].number == number)
            return &call->generations[i];
    }
    return NULL;
}

struct kw_leg *kw_call_leg(struct kw_call *call, uint32_t generation)
{
    const struct kw_call_generation *found = kw_call_generation(call, generation);

    return found != NULL ? found->leg : NULL;
}

struct kw_leg *kw_call_leg_tagged(struct kw_call *call, uint32_t tag)
{
    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        if (tag != 0 && call->legs[i].tag == tag)
            return &call->legs[i];
    }
    return NULL;
}

struct kw_leg *kw_call_newest_leg(struct kw_call *call)
{
    struct kw_leg *newest = NULL;

    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        struct kw_leg *leg = &call->legs[i];

        if (leg->tag != 0 && (newest == NULL || leg->tag > newest->tag))
            newest = leg;
    }
    return newest;
}

uint32_t kw_leg_newest_generation(const struct kw_call *call, const struct kw_leg *leg)
{
    uint32_t newest = 0;

    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        if (call->generations[i].leg == leg)
            newest = KW_MAX(newest, call->generations[i].number);
    }
    return newest;
}

struct kw_call_generation *kw_call_note_generation(struct kw_call *call, uint32_t number,
                                                   struct kw_leg *leg)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        struct kw_call_generation *place = &call->generations[i];

        if (place->number != 0)
            continue;
        *place = (struct kw_call_generation){.number = number, .leg = leg};
        return place;
    }
    KW_ASSERT(false); /* the session has no more, and those that it replaced are swept */
    return NULL;
}

void kw_call_forget_generation(struct kw_gateway *gateway, struct kw_call *call, uint32_t number)
{
    struct kw_call_generation *place = kw_call_generation(call, number);
    struct kw_leg *leg;

    if (place == NULL)
        return;
    leg = place->leg;
    kw_fact_release(gateway, &place->owed);
    *place = (struct kw_call_generation){.number = 0};
    if (kw_leg_newest_generation(call, leg) != 0)
        return;
    kw_relay_forget(call, leg->tag);
    kw_leg_forget(gateway, leg);
}

void kw_call_sweep(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS; i++) {
        uint32_t number = call->generations[i].number;
        struct kw_generation_facts facts;

        if (number == 0 ||
            (kw_session_facts(call->session, number, now, &facts) && facts.retired == 0))
            continue;
        kw_call_forget_generation(gateway, call, number);
    }
}
