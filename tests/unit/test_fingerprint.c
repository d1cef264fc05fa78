/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8122: a fingerprint is parsed, never compared as text (class "fingerprint compared as text").
 */
#include "check.h"

#include <keywheel/crypto.h>

#include <ctype.h>
#include <string.h>

static struct kw_fingerprint sample(void)
{
    struct kw_fingerprint made = {.hash = KW_SHA256};

    for (size_t i = 0; i < 32; i++)
        made.digest[i] = (uint8_t)(i * 7 + 3);
    return made;
}

static bool parse(const char *text, size_t len, struct kw_fingerprint *ret)
{
    return kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)text, len}, ret);
}

static void round_trip_in_any_case(void **state)
{
    struct kw_fingerprint in = sample(), out;
    char text[KW_FINGERPRINT_TEXT_MAX];
    size_t len = kw_fingerprint_format(&in, text);

    (void)state;
    assert_int_equal(len, strlen(text));
    assert_true(parse(text, len, &out));
    assert_true(kw_fingerprint_equal(&in, &out));
    for (size_t i = 0; i < len; i++)
        text[i] = (char)tolower(text[i]);
    assert_true(parse(text, len, &out));
    assert_true(kw_fingerprint_equal(&in, &out));
    text[0] = 'S';
    assert_true(parse(text, len, &out));
}

static void every_truncation_and_extension_is_refused(void **state)
{
    struct kw_fingerprint in = sample(), out;
    char text[KW_FINGERPRINT_TEXT_MAX + 1];
    size_t len = kw_fingerprint_format(&in, text);

    (void)state;
    for (size_t cut = 0; cut < len; cut++)
        CHECK(!parse(text, cut, &out), "cut at %zu", cut);
    text[len] = ' ';
    assert_false(parse(text, len + 1, &out));
    text[12] = '-';
    assert_false(parse(text, len, &out));
}

static void sha1_and_another_hash_of_the_same_digest_do_not_pass(void **state)
{
    const char *sha1 = "sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13";
    struct kw_fingerprint a = sample(), b = sample(), out;

    (void)state;
    assert_false(parse(sha1, strlen(sha1), &out));
    b.hash = KW_SHA384;
    assert_false(kw_fingerprint_equal(&a, &b));
    b.hash = KW_SHA256;
    b.digest[31] ^= 1;
    assert_false(kw_fingerprint_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_in_any_case),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(sha1_and_another_hash_of_the_same_digest_do_not_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
