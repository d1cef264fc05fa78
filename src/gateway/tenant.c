/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants: who may call, and how often. A minute of unused time is worth calls_per_minute calls,
 * and no more than a minute is ever saved.
 */
#include "gateway/state.h"

#include <string.h>

/*
 * The token is copied into a block of fixed size first, so that the time of a comparison tells
 * nothing about its length, and every tenant is compared, so that it tells nothing about which.
 */
struct kw_tenant *kw_gateway_authorise(struct kw_gateway *gateway, const char *token)
{
    char given[KW_TOKEN_MAX] = {0};
    size_t len = kw_text_len(token);
    struct kw_tenant *found = NULL;

    if (len == 0 || len >= sizeof given)
        return NULL;
    memcpy(given, token, len);
    for (size_t i = 0; i < gateway->config.tenant_count; i++) {
        struct kw_tenant *tenant = &gateway->tenants[i];
        char known[KW_TOKEN_MAX] = {0};

        kw_text_copy(known, sizeof known, tenant->config->token);
        if (kw_ct_equal(given, known, sizeof given) && known[0] != '\0')
            found = tenant;
        kw_wipe(known, sizeof known);
    }
    kw_wipe(given, sizeof given);
    return found;
}

const char *kw_tenant_name(const struct kw_tenant *tenant)
{
    return tenant->config->name;
}

enum kw_call_outcome kw_tenant_admit(struct kw_gateway *gateway, struct kw_tenant *tenant,
                                     kw_ns now, uint32_t *retry_after_s)
{
    uint32_t per_minute = tenant->config->calls_per_minute;
    kw_ns price = per_minute != 0 ? KW_TENANT_MINUTE / per_minute : 0;

    *retry_after_s = 1;
    if (gateway->is_draining) {
        *retry_after_s = 30;
        return KW_CALL_DRAINING;
    }
    if (tenant->config->calls_max != 0 && tenant->calls >= tenant->config->calls_max) {
        *retry_after_s = KW_FULL_RETRY_S;
        return KW_CALL_QUOTA;
    }
    if (!kw_bucket_has(&tenant->per_minute, price, KW_TENANT_MINUTE, now)) {
        *retry_after_s = kw_bucket_wait_s(&tenant->per_minute, price);
        return KW_CALL_QUOTA;
    }
    if (gateway->free_first == KW_NO_CALL) {
        *retry_after_s = KW_FULL_RETRY_S;
        return KW_CALL_FULL;
    }
    kw_bucket_pay(&tenant->per_minute, price);
    return KW_CALL_OK;
}
