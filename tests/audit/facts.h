/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_AUDIT_FACTS_H
#define KW_TESTS_AUDIT_FACTS_H

/* Random facts that are already in normal form, so that a round trip must give them back. */

#include "audit/fields.h"

#include <string.h>

static inline uint64_t fact_random(uint64_t *seed)
{
    /* splitmix64: small, and every seed gives another fact */
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void fact_random_text(uint64_t *seed, char dst[KW_FACT_TEXT_MAX], bool longest)
{
    static const char *const characters[] = {
        "a", "Z", "\n", "\"", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "<", "~"};
    size_t limit = longest ? KW_FACT_TEXT_MAX - 1 : fact_random(seed) % KW_FACT_TEXT_MAX;
    size_t len = 0;

    memset(dst, 0, KW_FACT_TEXT_MAX);
    for (;;) {
        const char *c = longest ? "x" : characters[fact_random(seed) % 9];
        size_t c_len = strlen(c);

        if (len + c_len > limit)
            return;
        memcpy(dst + len, c, c_len);
        len += c_len;
    }
}

static inline void fact_random_field(uint64_t *seed, const struct kw_field *field, void *at,
                                     bool longest)
{
    uint16_t *list = at;
    struct kw_fingerprint *fingerprint = at;
    size_t count;
    unsigned point = (unsigned)(fact_random(seed) & 0xffff);
    uint32_t u32 = (uint32_t)fact_random(seed);
    uint64_t u64 = fact_random(seed);

    switch (field->kind) {
    case KW_FIELD_TEXT:
        fact_random_text(seed, at, longest);
        return;
    case KW_FIELD_BOOL:
        *(bool *)at = u64 & 1;
        return;
    case KW_FIELD_U32:
        memcpy(at, &u32, sizeof u32);
        return;
    case KW_FIELD_U64:
    case KW_FIELD_I64:
        memcpy(at, &u64, sizeof u64);
        return;
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        memcpy(at, &point, sizeof point);
        return;
    case KW_FIELD_FINGERPRINT:
        fingerprint->hash = longest ? KW_SHA512 : (enum kw_hash)(u64 % KW_HASH_COUNT);
        for (size_t i = 0; i < kw_hash_len(fingerprint->hash); i++)
            fingerprint->digest[i] = (uint8_t)fact_random(seed);
        return;
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        count = longest ? KW_FACT_OFFERED_MAX : u64 % (KW_FACT_OFFERED_MAX + 1);
        for (size_t i = 0; i < count; i++)
            list[i] = (uint16_t)(1 + fact_random(seed) % 0xffff);
        return;
    }
}

/* longest: every field as large as it can be. */
static inline void fact_random_fill(uint64_t seed, enum kw_fact_type type, bool longest,
                                    struct kw_fact *ret)
{
    const struct kw_fact_layout *layout = kw_fact_layout(type);

    memset(ret, 0, sizeof *ret);
    ret->type = type;
    ret->version = KW_FACT_VERSION;
    fact_random_text(&seed, ret->tenant, longest);
    for (size_t i = 0; i < sizeof ret->session.bytes; i++)
        ret->session.bytes[i] = (uint8_t)fact_random(&seed);
    ret->generation = (uint32_t)fact_random(&seed);
    ret->utc = (kw_utc_ms)fact_random(&seed);
    ret->monotonic = fact_random(&seed);
    for (size_t i = 0; i < layout->field_count; i++)
        fact_random_field(&seed, &layout->fields[i], (uint8_t *)ret + layout->fields[i].offset,
                          longest);
}

#endif
