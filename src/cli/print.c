/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "base/assert.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void kw_session_id_format(const struct kw_session_id *id, char dst[KW_SESSION_TEXT_MAX])
{
    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(dst + 2 * i, 3, "%02x", id->bytes[i]);
}

void kw_text_print(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c > 0x7e || c == '\\')
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

static unsigned code_point(const void *at)
{
    unsigned value;

    memcpy(&value, at, sizeof value);
    return value;
}

static const char *code_name(enum kw_field_kind kind, unsigned value)
{
    switch (kind) {
    case KW_FIELD_DTLS_VERSION:
        return kw_dtls_version_name((enum kw_dtls_version)value);
    case KW_FIELD_SUITE:
    case KW_FIELD_SUITES:
        return kw_suite_name((enum kw_suite)value);
    case KW_FIELD_GROUP:
    case KW_FIELD_GROUPS:
        return kw_group_name((enum kw_group)value);
    case KW_FIELD_SIGSCHEME:
        return kw_sigscheme_name((enum kw_sigscheme)value);
    case KW_FIELD_PROFILE:
    case KW_FIELD_PROFILES:
        return kw_srtp_profile_name((enum kw_srtp_profile)value);
    case KW_FIELD_TEXT:
    case KW_FIELD_BOOL:
    case KW_FIELD_U32:
    case KW_FIELD_U64:
    case KW_FIELD_I64:
    case KW_FIELD_FINGERPRINT:
        break;
    }
    return "unknown";
}

/* "TLS_AES_128_GCM_SHA256", or "0x1304" for what has no name here. */
static void code_text(enum kw_field_kind kind, unsigned value, char dst[48])
{
    const char *name = code_name(kind, value);

    if (strcmp(name, "unknown") == 0)
        snprintf(dst, 48, "0x%04x", value);
    else
        snprintf(dst, 48, "%s", name);
}

static void print_list(enum kw_field_kind kind, const uint16_t *list)
{
    for (size_t i = 0; i < KW_FACT_OFFERED_MAX && list[i] != 0; i++) {
        char text[48];

        code_text(kind, list[i], text);
        printf("%s%s", i != 0 ? ", " : "", text);
    }
    if (list[0] == 0)
        printf("none");
}

static void print_value(const struct kw_field *field, const void *at)
{
    char text[KW_FINGERPRINT_TEXT_MAX];

    switch (field->kind) {
    case KW_FIELD_TEXT:
        kw_text_print(at);
        return;
    case KW_FIELD_BOOL:
        printf("%s", *(const bool *)at ? "yes" : "no");
        return;
    case KW_FIELD_U32:
        printf("%" PRIu32, *(const uint32_t *)at);
        return;
    case KW_FIELD_U64:
        printf("%" PRIu64, *(const uint64_t *)at);
        return;
    case KW_FIELD_I64:
        printf("%" PRId64, *(const int64_t *)at);
        return;
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        code_text(field->kind, code_point(at), text);
        printf("%s", text);
        return;
    case KW_FIELD_FINGERPRINT:
        kw_fingerprint_format(at, text);
        printf("%s", text);
        return;
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        print_list(field->kind, at);
        return;
    }
}

void kw_fact_print(const struct kw_fact *fact)
{
    const struct kw_fact_layout *layout = kw_fact_layout(fact->type);
    char utc[KW_UTC_TEXT_MAX];

    kw_utc_format(fact->utc, utc);
    printf("%s  %s", utc, layout->name);
    if (fact->generation != 0)
        printf("  generation %" PRIu32, fact->generation);
    printf("\n");
    for (size_t i = 0; i < layout->field_count && layout->fields[i].since <= fact->version; i++) {
        printf("    %-18s ", layout->fields[i].name);
        print_value(&layout->fields[i], (const uint8_t *)fact + layout->fields[i].offset);
        printf("\n");
    }
}

static json_t *list_json(enum kw_field_kind kind, const uint16_t *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < KW_FACT_OFFERED_MAX && list[i] != 0; i++) {
        char text[48];

        code_text(kind, list[i], text);
        json_array_append_new(array, json_string(text));
    }
    return array;
}

static json_t *value_json(const struct kw_field *field, const void *at)
{
    char text[KW_FINGERPRINT_TEXT_MAX];

    switch (field->kind) {
    case KW_FIELD_TEXT:
        return json_string(at);
    case KW_FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case KW_FIELD_U32:
        return json_integer(*(const uint32_t *)at);
    case KW_FIELD_U64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case KW_FIELD_I64:
        return json_integer(*(const int64_t *)at);
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        code_text(field->kind, code_point(at), text);
        return json_string(text);
    case KW_FIELD_FINGERPRINT:
        kw_fingerprint_format(at, text);
        return json_string(text);
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        return list_json(field->kind, at);
    }
    return json_null();
}

json_t *kw_fact_json(const struct kw_fact *fact, uint64_t position)
{
    const struct kw_fact_layout *layout = kw_fact_layout(fact->type);
    char session[KW_SESSION_TEXT_MAX], utc[KW_UTC_TEXT_MAX];
    json_t *object = json_object();

    kw_session_id_format(&fact->session, session);
    kw_utc_format(fact->utc, utc);
    json_object_set_new(object, "position", json_integer((json_int_t)position));
    json_object_set_new(object, "type", json_string(layout->name));
    json_object_set_new(object, "tenant", json_string(fact->tenant));
    json_object_set_new(object, "session", json_string(session));
    json_object_set_new(object, "generation", json_integer(fact->generation));
    json_object_set_new(object, "utc", json_string(utc));
    json_object_set_new(object, "monotonic", json_integer((json_int_t)fact->monotonic));
    for (size_t i = 0; i < layout->field_count && layout->fields[i].since <= fact->version; i++)
        json_object_set_new(
            object, layout->fields[i].name,
            value_json(&layout->fields[i], (const uint8_t *)fact + layout->fields[i].offset));
    return object;
}
