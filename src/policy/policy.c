/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy is four ordered lists and a limit. decide() copies the lists that a peer may use into
 * its terms; an exception that names the peer and has not expired appends what it allows at the end
 * of them, so that the strict choice is always preferred.
 */
#include <keywheel/policy.h>

#include "base/assert.h"

#include <string.h>

static const struct kw_rotation_policy rotation_default = {
    .period = KW_S(3600),
    .bytes = UINT64_C(1000000000),
    .packets = UINT64_C(1) << 47,
    .due_min_percent = 75,
    .due_max_percent = 95,
    .at_limit = KW_AT_LIMIT_CLOSE,
};

static const struct kw_policy presets[] = {
    {
        .name = "modern",
        .suites = {KW_TLS_AES_128_GCM_SHA256, KW_TLS_AES_256_GCM_SHA384,
                   KW_TLS_CHACHA20_POLY1305_SHA256},
        .groups = {KW_GROUP_X25519MLKEM768, KW_GROUP_X25519, KW_GROUP_P256, KW_GROUP_P384},
        .profiles = {KW_SRTP_AEAD_AES_128_GCM, KW_SRTP_AEAD_AES_256_GCM},
    },
    {
        /* NIST SP 800-52r2: NIST curves and AES-GCM from a provider that can be validated. */
        .name = "nist",
        .suites = {KW_TLS_AES_128_GCM_SHA256, KW_TLS_AES_256_GCM_SHA384},
        .groups = {KW_GROUP_P256, KW_GROUP_P384},
        .profiles = {KW_SRTP_AEAD_AES_128_GCM, KW_SRTP_AEAD_AES_256_GCM},
        .provider_aes = true,
    },
    {
        .name = "pq",
        .suites = {KW_TLS_AES_128_GCM_SHA256, KW_TLS_AES_256_GCM_SHA384,
                   KW_TLS_CHACHA20_POLY1305_SHA256},
        .groups = {KW_GROUP_X25519MLKEM768},
        .profiles = {KW_SRTP_AEAD_AES_128_GCM, KW_SRTP_AEAD_AES_256_GCM},
    },
};

static bool text_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool kw_policy_preset(const char *name, struct kw_policy *ret)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(presets); i++) {
        if (text_equal(presets[i].name, name)) {
            *ret = presets[i];
            ret->rotation = rotation_default;
            return true;
        }
    }
    return false;
}

static bool in_network(const struct kw_address *address, const struct kw_address *network,
                       uint8_t prefix)
{
    size_t whole = prefix / 8U;
    uint8_t mask = (uint8_t)(0xff00U >> (prefix % 8U));

    if (network->family == 0 || address->family != network->family)
        return false;
    if (prefix > (network->family == 4 ? 32 : 128))
        return false;
    if (memcmp(address->ip, network->ip, whole) != 0)
        return false;
    return mask == 0 || ((address->ip[whole] ^ network->ip[whole]) & mask) == 0;
}

static bool exception_names(const struct kw_exception *exception, const struct kw_peer *peer)
{
    if (exception->network.family != 0)
        return in_network(&peer->address, &exception->network, exception->network_prefix);
    if (exception->has_fingerprint) {
        for (size_t i = 0; i < peer->fingerprint_count; i++) {
            if (kw_fingerprint_equal(&peer->fingerprints[i], &exception->fingerprint))
                return true;
        }
        return false;
    }
    return exception->trunk[0] != '\0' && peer->trunk != NULL &&
           text_equal(exception->trunk, peer->trunk);
}

/* Appends to a list that ends with 0; the lists have room for everything that exists. */
#define APPEND(list, value)                                                                        \
    do {                                                                                           \
        size_t at_ = 0;                                                                            \
        while (at_ + 1 < KW_ARRAY_LEN(list) && (list)[at_] != 0 && (list)[at_] != (value))         \
            at_++;                                                                                 \
        KW_ASSERT(at_ + 1 < KW_ARRAY_LEN(list));                                                   \
        (list)[at_] = (value);                                                                     \
    } while (0)

static void apply_exception(const struct kw_exception *exception, struct kw_terms *terms)
{
    memcpy(terms->exception, exception->name, sizeof terms->exception);
    if (exception->allow_dtls12) {
        terms->allow_dtls12 = true;
        APPEND(terms->suites, KW_ECDHE_ECDSA_AES128_GCM_SHA256);
        APPEND(terms->suites, KW_ECDHE_ECDSA_AES256_GCM_SHA384);
        /* DTLS 1.2 knows no hybrid group: a preset of hybrids only still needs one curve. */
        APPEND(terms->groups, KW_GROUP_P256);
    }
    if (exception->allow_rsa) {
        terms->allow_rsa = true;
        if (exception->allow_dtls12) {
            APPEND(terms->suites, KW_ECDHE_RSA_AES128_GCM_SHA256);
            APPEND(terms->suites, KW_ECDHE_RSA_AES256_GCM_SHA384);
        }
    }
    if (exception->allow_cm_sha1_80)
        APPEND(terms->profiles, KW_SRTP_AES128_CM_SHA1_80);
}

enum kw_refusal kw_policy_decide(const struct kw_policy *policy, const struct kw_peer *peer,
                                 kw_utc_ms now, struct kw_terms *ret)
{
    const struct kw_exception *live = NULL;
    bool expired = false;

    *ret = (struct kw_terms){
        .provider_aes = policy->provider_aes,
        .rotation = policy->rotation,
    };
    memcpy(ret->suites, policy->suites, sizeof ret->suites);
    memcpy(ret->groups, policy->groups, sizeof ret->groups);
    memcpy(ret->profiles, policy->profiles, sizeof ret->profiles);
    memcpy(ret->policy, policy->name, sizeof ret->policy);

    if (peer->fingerprint_count == 0)
        return KW_REFUSAL_NO_FINGERPRINT;

    for (size_t i = 0; i < policy->exception_count && live == NULL; i++) {
        const struct kw_exception *exception = &policy->exceptions[i];

        if (!exception_names(exception, peer))
            continue;
        if (now < exception->expires)
            live = exception;
        else
            expired = true;
    }
    if (live != NULL)
        apply_exception(live, ret);
    return live == NULL && expired ? KW_REFUSAL_EXCEPTION_EXPIRED : KW_REFUSAL_NONE;
}

#define SUBSET(inner, outer, len)                                                                  \
    for (size_t i = 0; i < (len) && (inner)[i] != 0; i++) {                                        \
        bool found = false;                                                                        \
        for (size_t j = 0; j < (len) && (outer)[j] != 0; j++)                                      \
            found = found || (outer)[j] == (inner)[i];                                             \
        inside = inside && found;                                                                  \
    }

static bool suites_inside(const struct kw_policy *base, const struct kw_policy *tenant)
{
    bool inside = true;

    SUBSET(tenant->suites, base->suites, KW_POLICY_SUITES)
    return inside;
}

static bool groups_inside(const struct kw_policy *base, const struct kw_policy *tenant)
{
    bool inside = true;

    SUBSET(tenant->groups, base->groups, KW_POLICY_GROUPS)
    return inside;
}

static bool profiles_inside(const struct kw_policy *base, const struct kw_policy *tenant)
{
    bool inside = true;

    SUBSET(tenant->profiles, base->profiles, KW_POLICY_PROFILES)
    return inside;
}

bool kw_policy_stricter(const struct kw_policy *base, const struct kw_policy *tenant,
                        const char **key_ret)
{
    const struct kw_rotation_policy *b = &base->rotation;
    const struct kw_rotation_policy *t = &tenant->rotation;
    const struct {
        bool holds;
        const char *key;
    } rules[] = {
        {suites_inside(base, tenant), "suites"},
        {groups_inside(base, tenant), "groups"},
        {profiles_inside(base, tenant), "profiles"},
        {t->period <= b->period, "rotation.period"},
        {t->bytes <= b->bytes, "rotation.bytes"},
        {t->packets <= b->packets, "rotation.packets"},
        {t->due_max_percent <= b->due_max_percent, "rotation.due"},
        {t->at_limit == KW_AT_LIMIT_CLOSE ||
             (b->at_limit == KW_AT_LIMIT_GRACE && t->grace <= b->grace),
         "rotation.at_limit"},
        {tenant->provider_aes || !base->provider_aes, "provider_aes"},
        {tenant->mlock_required || !base->mlock_required, "mlock"},
    };

    for (size_t i = 0; i < KW_ARRAY_LEN(rules); i++) {
        if (!rules[i].holds) {
            *key_ret = rules[i].key;
            return false;
        }
    }
    return true;
}

const char *kw_refusal_text(enum kw_refusal refusal)
{
    switch (refusal) {
    case KW_REFUSAL_NONE:
        return "admitted";
    case KW_REFUSAL_NO_FINGERPRINT:
        return "the offer carries no certificate fingerprint, so the peer cannot be authenticated";
    case KW_REFUSAL_EXCEPTION_EXPIRED:
        return "the exception that names this peer has expired";
    }
    return "unknown refusal";
}
