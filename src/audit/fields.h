/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_AUDIT_FIELDS_H
#define KW_AUDIT_FIELDS_H

/*
 * What a fact of each type consists of, in canonical order: one table that the writer, the parser
 * and whoever prints facts walk, so that they cannot disagree. docs/audit.md is its prose.
 */

#include <keywheel/audit.h>

enum kw_field_kind {
    KW_FIELD_TEXT = 0, /* u8 length, that many bytes of UTF-8 */
    KW_FIELD_BOOL,     /* u8: 0 or 1 */
    KW_FIELD_U32,
    KW_FIELD_U64,
    KW_FIELD_I64,          /* two's complement */
    KW_FIELD_DTLS_VERSION, /* u16, as on the wire; so are the next four */
    KW_FIELD_SUITE,
    KW_FIELD_GROUP,
    KW_FIELD_SIGSCHEME,
    KW_FIELD_PROFILE,
    KW_FIELD_FINGERPRINT, /* u8 hash, then as many bytes as the hash has */
    KW_FIELD_SUITES,      /* u8 count, that many u16, none of them 0; so are the next two */
    KW_FIELD_GROUPS,
    KW_FIELD_PROFILES,
};

struct kw_field {
    const char *name;
    enum kw_field_kind kind;
    size_t offset; /* in struct kw_fact */
    uint8_t since; /* version of the canonical form that has it */
};

struct kw_fact_layout {
    enum kw_fact_type type;
    const char *name;
    const struct kw_field *fields;
    size_t field_count;
};

/* NULL for a type that does not exist. */
const struct kw_fact_layout *kw_fact_layout(enum kw_fact_type type);

#endif
