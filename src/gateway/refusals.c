/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of callers who have a tenant's token and got no call. The ring and the disk are shared,
 * so a tenant has a budget: within it each refusal is a fact of its own; beyond it they are counted
 * by rule, and each minute every rule that was counted becomes one fact ("37 refusals like this").
 * The slot of that fact is reserved with the first refusal that it stands for, so it is never lost.
 */
#include "gateway/state.h"

#include <string.h>

static bool reserve(struct kw_gateway *gateway)
{
    return gateway->config.sink.reserve(gateway->config.sink.ctx, 1);
}

static void put(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                const struct kw_refusal_count *what, kw_ns span, kw_ns now)
{
    struct kw_fact *fact = kw_fact_begin(gateway, KW_FACT_REFUSED, tenant, now);

    kw_text_copy(fact->u.refused.rule, sizeof fact->u.refused.rule, what->rule);
    kw_text_copy(fact->u.refused.remote, sizeof fact->u.refused.remote, what->remote);
    fact->u.refused.count = what->count;
    fact->u.refused.span_us = span / KW_US(1);
    gateway->config.sink.put(gateway->config.sink.ctx, fact);
}

/* Rules beyond the table's room share its last line. */
static struct kw_refusal_count *line_of(struct kw_refusals *refusals, const char *rule)
{
    for (size_t i = 0; i < KW_REFUSAL_RULES; i++) {
        struct kw_refusal_count *line = &refusals->lines[i];

        if (line->count == 0 || kw_text_equal(line->rule, rule))
            return line;
    }
    refusals->lines[KW_REFUSAL_RULES - 1].rule = "several";
    return &refusals->lines[KW_REFUSAL_RULES - 1];
}

static bool count(struct kw_gateway *gateway, struct kw_refusals *refusals, const char *rule,
                  const char *remote, kw_ns now)
{
    struct kw_refusal_count *line = line_of(refusals, rule);

    if (line->count == 0) {
        if (!reserve(gateway))
            return false;
        line->rule = rule;
    }
    line->count++;
    kw_text_copy(line->remote, sizeof line->remote, remote); /* of the last one */
    if (refusals->since == KW_NEVER)
        refusals->since = now;
    gateway->refusals_at = KW_MIN(gateway->refusals_at, refusals->since + KW_TENANT_MINUTE);
    return true;
}

bool kw_refusals_note(struct kw_gateway *gateway, struct kw_tenant *tenant, const char *rule,
                      const struct kw_address *remote, kw_ns now)
{
    struct kw_refusals *refusals = &tenant->refusals;
    struct kw_refusal_count one = {.rule = rule, .count = 1};

    kw_address_write(remote, one.remote);
    if (!kw_bucket_has(&refusals->budget, KW_REFUSAL_PRICE, KW_TENANT_MINUTE, now))
        return count(gateway, refusals, rule, one.remote, now);
    if (!reserve(gateway))
        return false;
    kw_bucket_pay(&refusals->budget, KW_REFUSAL_PRICE);
    put(gateway, tenant, &one, 0, now);
    return true;
}

static void tell(struct kw_gateway *gateway, struct kw_tenant *tenant, kw_ns now)
{
    struct kw_refusals *refusals = &tenant->refusals;

    for (size_t i = 0; i < KW_REFUSAL_RULES && refusals->lines[i].count != 0; i++)
        put(gateway, tenant, &refusals->lines[i], now - refusals->since, now);
    memset(refusals->lines, 0, sizeof refusals->lines);
    refusals->since = KW_NEVER;
}

static void tell_since(struct kw_gateway *gateway, kw_ns since, kw_ns now)
{
    gateway->refusals_at = KW_NEVER;
    for (size_t i = 0; i < gateway->config.tenant_count; i++) {
        struct kw_tenant *tenant = &gateway->tenants[i];

        if (tenant->refusals.since == KW_NEVER)
            continue;
        if (tenant->refusals.since <= since)
            tell(gateway, tenant, now);
        else
            gateway->refusals_at =
                KW_MIN(gateway->refusals_at, tenant->refusals.since + KW_TENANT_MINUTE);
    }
}

void kw_refusals_tick(struct kw_gateway *gateway, kw_ns now)
{
    if (now >= gateway->refusals_at)
        tell_since(gateway, now - KW_TENANT_MINUTE, now);
}

void kw_refusals_flush(struct kw_gateway *gateway, kw_ns now)
{
    tell_since(gateway, KW_NEVER, now);
}
