/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a peer sends, what comes out is JSON of bounded length that is harmless in HTML. */
#include "check.h"

#include "control/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void texts_are_escaped(void **state)
{
    static const struct {
        const char *text;
        const char *json;
        const char *why;
    } rows[] = {
        {"plain", "\"plain\"", "nothing to do"},
        {"a\"b\\c", "\"a\\u0022b\\u005cc\"", "quotes and backslashes"},
        {"\n\x01\x7f", "\"\\u000a\\u0001\\u007f\"", "control characters: one line stays one line"},
        {"</script>&", "\"\\u003c/script\\u003e\\u0026\"", "HTML"},
        {"\xc3\xa4\xf0\x9f\x8e\xa1", "\"\xc3\xa4\xf0\x9f\x8e\xa1\"", "UTF-8 passes"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\"", "line separators of scripts"},
        {"\xff\xc3", "\"\\ufffd\\ufffd\"", "not UTF-8, and cut"},
        {"\xc0\x80\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"", "overlong, surrogate"},
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", "beyond U+10FFFF"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        uint8_t dst[256] = {0};
        struct kw_json json = kw_json_of(dst, sizeof dst - 1);

        kw_json_text(&json, NULL, rows[i].text);
        CHECK(strcmp((char *)dst, rows[i].json) == 0, "%s: %s", rows[i].why, (char *)dst);
    }
}

static void long_texts_are_cut(void **state)
{
    char text[2000];
    uint8_t dst[4096];
    struct kw_json json = kw_json_of(dst, sizeof dst);

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    kw_json_text(&json, NULL, text);
    assert_int_equal(json.out.len, KW_JSON_TEXT_MAX + 2);
}

static void structures_are_json(void **state)
{
    uint8_t dst[512];
    struct kw_json json = kw_json_of(dst, sizeof dst);
    json_t *read;

    (void)state;
    kw_json_open(&json, NULL, '{');
    kw_json_u64(&json, "n", UINT64_MAX);
    kw_json_open(&json, "list", '[');
    kw_json_u64(&json, NULL, 0);
    kw_json_open(&json, NULL, '{');
    kw_json_close(&json, '}');
    kw_json_null(&json, NULL);
    kw_json_close(&json, ']');
    kw_json_bool(&json, "yes", true);
    kw_json_ms(&json, "ms", KW_US(12034));
    kw_json_seconds(&json, "s", KW_MS(1007));
    kw_json_close(&json, '}');
    assert_false(json.out.failed);
    dst[json.out.len] = '\0';
    assert_string_equal((char *)dst, "{\"n\":18446744073709551615,\"list\":[0,{},null],"
                                     "\"yes\":true,\"ms\":12.034,\"s\":1.007}");
    read = json_loadb((char *)dst, json.out.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                      NULL);
    assert_non_null(read);
    json_decref(read);
}

static void a_small_buffer_is_noticed(void **state)
{
    uint8_t dst[8];
    struct kw_json json = kw_json_of(dst, sizeof dst);

    (void)state;
    kw_json_text(&json, NULL, "longer than that");
    assert_true(json.out.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(structures_are_json),
        cmocka_unit_test(a_small_buffer_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
