/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of a fact: every type comes back unchanged, and nothing else is accepted. */
#include "check.h"

#include "audit/utf8.h"
#include "facts.h"

#include <inttypes.h>

enum { FIRST = KW_FACT_SESSION_OPENED, LAST = KW_FACT_SESSION_CLOSED, SEEDS = 2000 };

static void every_type_round_trips(void **state)
{
    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            uint8_t bytes[KW_FACT_BYTES_MAX], again[KW_FACT_BYTES_MAX];
            struct kw_fact fact, back;
            size_t len;

            fact_random_fill(seed, (enum kw_fact_type)type, false, &fact);
            memset(&back, 0, sizeof back);
            len = kw_fact_write(&fact, bytes, sizeof bytes);
            CHECK(len != 0, "type %u seed %" PRIu64, type, seed);
            CHECK(kw_fact_parse((struct kw_bytes){bytes, len}, &back), "type %u seed %" PRIu64,
                  type, seed);
            CHECK(memcmp(&fact, &back, sizeof fact) == 0, "type %u seed %" PRIu64 " changed", type,
                  seed);
            CHECK(kw_fact_write(&back, again, sizeof again) == len &&
                      memcmp(bytes, again, len) == 0,
                  "type %u seed %" PRIu64 " has two forms", type, seed);
        }
    }
}

static void the_largest_fact_fits(void **state)
{
    size_t largest = 0;

    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        uint8_t bytes[KW_FACT_BYTES_MAX];
        struct kw_fact fact;
        size_t len;

        fact_random_fill(type, (enum kw_fact_type)type, true, &fact);
        len = kw_fact_write(&fact, bytes, sizeof bytes);
        CHECK(len != 0, "type %u does not fit", type);
        CHECK(kw_fact_write(&fact, bytes, len) == len, "type %u exactly", type);
        CHECK(kw_fact_write(&fact, bytes, len - 1) == 0, "type %u one byte short", type);
        largest = KW_MAX(largest, len);
    }
    print_message("# largest canonical form: %zu bytes\n", largest);
}

static void every_truncation_and_addition_is_refused(void **state)
{
    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        uint8_t bytes[KW_FACT_BYTES_MAX + 1];
        struct kw_fact fact, back;
        size_t len;

        fact_random_fill(type, (enum kw_fact_type)type, false, &fact);
        len = kw_fact_write(&fact, bytes, KW_FACT_BYTES_MAX);
        for (size_t cut = 0; cut < len; cut++)
            CHECK(!kw_fact_parse((struct kw_bytes){bytes, cut}, &back), "type %u cut at %zu", type,
                  cut);
        bytes[len] = 0;
        CHECK(!kw_fact_parse((struct kw_bytes){bytes, len + 1}, &back), "type %u grown", type);
    }
}

/* Whatever parse() takes, write() spells exactly so: no byte is free to carry anything else. */
static void what_is_accepted_has_one_form(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        uint8_t bytes[KW_FACT_BYTES_MAX], again[KW_FACT_BYTES_MAX];
        struct kw_fact fact, back;
        size_t len;

        fact_random_fill(type + 100, (enum kw_fact_type)type, false, &fact);
        len = kw_fact_write(&fact, bytes, sizeof bytes);
        for (size_t at = 0; at < len; at++) {
            for (int round = 0; round < 8; round++) {
                uint8_t was = bytes[at];

                bytes[at] = (uint8_t)fact_random(&seed);
                if (kw_fact_parse((struct kw_bytes){bytes, len}, &back))
                    CHECK(kw_fact_write(&back, again, sizeof again) == len &&
                              memcmp(bytes, again, len) == 0,
                          "type %u byte %zu value %02x", type, at, bytes[at]);
                bytes[at] = was;
            }
        }
    }
}

static void refusals(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } rows[] = {
        {0, 0, "version 0"},
        {0, KW_FACT_VERSION + 1, "a version of the future"},
        {1, 0, "type 0"},
        {1, 8, "a type that does not exist"},
        {2, 64, "a text longer than its capacity"},
        {3, 0x00, "a NUL inside a text"},
        {3, 0xff, "a byte that is never UTF-8"},
        {3, 0xc3, "a character that the text's end cuts"},
    };
    uint8_t bytes[KW_FACT_BYTES_MAX];
    struct kw_fact fact = {.type = KW_FACT_OVERDUE, .tenant = "d"}, back;
    size_t len = kw_fact_write(&fact, bytes, sizeof bytes);

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t was = bytes[rows[i].at];

        bytes[rows[i].at] = rows[i].value;
        CHECK(!kw_fact_parse((struct kw_bytes){bytes, len}, &back), "%s", rows[i].why);
        bytes[rows[i].at] = was;
    }
    assert_true(kw_fact_parse((struct kw_bytes){bytes, len}, &back));
}

static void a_list_and_a_bool_say_only_what_they_can(void **state)
{
    uint8_t bytes[KW_FACT_BYTES_MAX];
    struct kw_fact fact = {.type = KW_FACT_REFUSED, .u.refused.offered_suites = {0x1301}}, back;
    size_t len = kw_fact_write(&fact, bytes, sizeof bytes);
    /* version, type, tenant, session, generation, utc, monotonic, three empty texts */
    size_t at = 1 + 1 + 1 + 16 + 4 + 8 + 8 + 3;

    (void)state;
    assert_int_equal(bytes[at], 1);
    assert_true(kw_fact_parse((struct kw_bytes){bytes, len}, &back));
    bytes[at + 1] = bytes[at + 2] = 0;
    assert_false(kw_fact_parse((struct kw_bytes){bytes, len}, &back));
    bytes[at] = KW_FACT_OFFERED_MAX + 1;
    assert_false(kw_fact_parse((struct kw_bytes){bytes, sizeof bytes}, &back));

    fact = (struct kw_fact){.type = KW_FACT_GENERATION_ESTABLISHED};
    len = kw_fact_write(&fact, bytes, sizeof bytes);
    at = 1 + 1 + 1 + 16 + 4 + 8 + 8 + 2;
    assert_int_equal(bytes[at], 0);
    bytes[at] = 2;
    assert_false(kw_fact_parse((struct kw_bytes){bytes, len}, &back));
}

static void texts_are_cut_into_valid_utf8(void **state)
{
    static const struct {
        const char *written;
        size_t repeat;
        const char *tail;
        const char *kept;
        const char *why;
    } rows[] = {
        {"", 0, "", "", "nothing"},
        {"x", 62, "\xc3\xa9", "", "two bytes, one too many: the character goes"},
        {"x", 61, "\xc3\xa9", "\xc3\xa9", "two bytes that fit exactly"},
        {"x", 60, "\xf0\x9f\x94\x91", "", "four bytes, one too many"},
        {"x", 59, "\xf0\x9f\x94\x91", "\xf0\x9f\x94\x91", "four bytes that fit"},
        {"x", 3, "\xff\xfe", "??", "bytes that are never UTF-8"},
        {"x", 3, "\xc0\xaf", "??", "an overlong slash"},
        {"x", 3, "\xed\xa0\x80", "???", "a surrogate"},
        {"x", 3, "\xf4\x90\x80\x80", "????", "beyond U+10FFFF"},
        {"x", 3, "\xe2\x82y", "??y", "a character that another one interrupts"},
        {"x", 3, "\xe2\x82", "", "a character that the end interrupts"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_fact fact = {.type = KW_FACT_EXCEPTION_USED}, back;
        uint8_t bytes[KW_FACT_BYTES_MAX];
        char expected[KW_FACT_TEXT_MAX] = {0};
        char whole[KW_FACT_TEXT_MAX + 8] = {0};
        size_t len;

        memset(whole, 'x', rows[i].repeat);
        memcpy(whole + rows[i].repeat, rows[i].tail, strlen(rows[i].tail));
        /* the field is full to its last byte when the text is longer: no terminator */
        memcpy(fact.u.exception.name, whole, KW_FACT_TEXT_MAX);
        memset(expected, 'x', rows[i].repeat);
        memcpy(expected + rows[i].repeat, rows[i].kept, strlen(rows[i].kept));

        len = kw_fact_write(&fact, bytes, sizeof bytes);
        CHECK(kw_fact_parse((struct kw_bytes){bytes, len}, &back), "%s", rows[i].why);
        CHECK(strcmp(back.u.exception.name, expected) == 0, "%s: %s", rows[i].why,
              back.u.exception.name);
    }
}

static void text_of_random_bytes_stays_valid_utf8(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct kw_fact fact = {.type = KW_FACT_EXCEPTION_USED}, back;
        uint8_t bytes[KW_FACT_BYTES_MAX];
        uint64_t random = seed;
        size_t len;

        for (size_t i = 0; i < KW_FACT_TEXT_MAX; i++)
            fact.u.exception.what[i] = (char)(fact_random(&random) | (seed & 1 ? 0x80 : 0));
        len = kw_fact_write(&fact, bytes, sizeof bytes);
        CHECK(kw_fact_parse((struct kw_bytes){bytes, len}, &back), "seed %" PRIu64, seed);
        CHECK(kw_utf8_valid((struct kw_bytes){(const uint8_t *)back.u.exception.what,
                                              strlen(back.u.exception.what)}),
              "seed %" PRIu64, seed);
    }
}

/* Frozen: if this changes, every stored log stops verifying. */
static void the_canonical_form_is_frozen(void **state)
{
    static const uint8_t expected[] = {
        2,    6,                                        /* version, overdue */
        4,    'd',  'e',  'm',  'o',                    /* tenant */
        0,    1,    2,    3,    4,    5,    6,    7,    /* session */
        8,    9,    10,   11,   12,   13,   14,   15,   /* .. */
        0,    0,    0,    3,                            /* generation */
        0x00, 0x00, 0x01, 0x9a, 0xbc, 0xde, 0xf0, 0x12, /* utc */
        0,    0,    0,    0,    0,    0,    0x30, 0x39, /* monotonic */
        0,    0,    0,    0,    0x03, 0x93, 0x87, 0x00, /* beyond_us */
    };
    struct kw_fact fact = {
        .type = KW_FACT_OVERDUE,
        .tenant = "demo",
        .session = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
        .generation = 3,
        .utc = 0x19abcdef012,
        .monotonic = 12345,
        .u.overdue = {.beyond_us = 60000000},
    };
    uint8_t bytes[KW_FACT_BYTES_MAX];
    size_t len = kw_fact_write(&fact, bytes, sizeof bytes);

    (void)state;
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
}

/* A log is older than the program that reads it: what version 1 lacks is not there. */
static void an_older_version_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        uint8_t bytes[KW_FACT_BYTES_MAX], again[KW_FACT_BYTES_MAX];
        struct kw_fact fact, back;
        size_t len;

        fact_random_fill(type + 40, (enum kw_fact_type)type, false, &fact);
        fact.version = 1;
        len = kw_fact_write(&fact, bytes, sizeof bytes);
        assert_int_equal(bytes[0], 1);
        CHECK(kw_fact_parse((struct kw_bytes){bytes, len}, &back), "type %u", type);
        assert_int_equal(back.version, 1);
        CHECK(kw_fact_write(&back, again, sizeof again) == len && memcmp(bytes, again, len) == 0,
              "type %u has two forms", type);
        bytes[0] = KW_FACT_VERSION;
        if (type == KW_FACT_ROTATED || type == KW_FACT_REFUSED) {
            CHECK(!kw_fact_parse((struct kw_bytes){bytes, len}, &back), "type %u lacks fields",
                  type);
            assert_int_equal(back.type == KW_FACT_REFUSED ? back.u.refused.count
                                                          : back.u.rotated.audio_wait_us,
                             0);
        }
    }
}

static void types_have_names(void **state)
{
    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++)
        assert_string_not_equal(kw_fact_type_name((enum kw_fact_type)type), "unknown");
    assert_string_equal(kw_fact_type_name((enum kw_fact_type)99), "unknown");
}

static void field_shape(enum kw_field_kind kind, size_t *size, size_t *align)
{
    *align = 4;
    switch (kind) {
    case KW_FIELD_TEXT:
        *size = KW_FACT_TEXT_MAX;
        *align = 1;
        return;
    case KW_FIELD_BOOL:
        *size = *align = 1;
        return;
    case KW_FIELD_U64:
    case KW_FIELD_I64:
        *size = *align = 8;
        return;
    case KW_FIELD_U32:
    case KW_FIELD_DTLS_VERSION:
    case KW_FIELD_SUITE:
    case KW_FIELD_GROUP:
    case KW_FIELD_SIGSCHEME:
    case KW_FIELD_PROFILE:
        *size = 4;
        return;
    case KW_FIELD_FINGERPRINT:
        *size = sizeof(struct kw_fingerprint);
        return;
    case KW_FIELD_SUITES:
    case KW_FIELD_GROUPS:
    case KW_FIELD_PROFILES:
        *size = 2 * KW_FACT_OFFERED_MAX;
        *align = 2;
        return;
    }
}

static size_t align_up(size_t value, size_t align)
{
    return (value + align - 1) / align * align;
}

/* A member that the table forgets would never reach the log: the table must tile the struct. */
static void the_table_forgets_no_member(void **state)
{
    static const size_t sizes[] = {
        0,
        sizeof((struct kw_fact *)0)->u.opened,
        sizeof((struct kw_fact *)0)->u.established,
        sizeof((struct kw_fact *)0)->u.rotated,
        sizeof((struct kw_fact *)0)->u.exception,
        sizeof((struct kw_fact *)0)->u.refused,
        sizeof((struct kw_fact *)0)->u.overdue,
        sizeof((struct kw_fact *)0)->u.closed,
    };

    (void)state;
    for (unsigned type = FIRST; type <= LAST; type++) {
        const struct kw_fact_layout *layout = kw_fact_layout((enum kw_fact_type)type);
        size_t end = offsetof(struct kw_fact, u), widest = 1;

        for (size_t i = 0; i < layout->field_count; i++) {
            size_t size = 0, align = 1;

            field_shape(layout->fields[i].kind, &size, &align);
            widest = KW_MAX(widest, align);
            CHECK(layout->fields[i].offset == align_up(end, align), "%s: a hole before %s",
                  layout->name, layout->fields[i].name);
            end = layout->fields[i].offset + size;
        }
        CHECK(align_up(end - offsetof(struct kw_fact, u), widest) == sizes[type],
              "%s: a hole at the end", layout->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_round_trips),
        cmocka_unit_test(the_largest_fact_fits),
        cmocka_unit_test(every_truncation_and_addition_is_refused),
        cmocka_unit_test(what_is_accepted_has_one_form),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_list_and_a_bool_say_only_what_they_can),
        cmocka_unit_test(texts_are_cut_into_valid_utf8),
        cmocka_unit_test(text_of_random_bytes_stays_valid_utf8),
        cmocka_unit_test(the_canonical_form_is_frozen),
        cmocka_unit_test(an_older_version_is_read_as_it_was_written),
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(the_table_forgets_no_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
