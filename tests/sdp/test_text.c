/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and addresses: what is read, what is refused, and that both ways agree. */
#include "sdp_test.h"

#include "sdp/text.h"

#include <arpa/inet.h>

static void addresses_agree_with_the_system(void **state)
{
    /* inet_pton and inet_ntop are the referees. */
    static const char *const texts[] = {
        "0.0.0.0",
        "192.0.2.1",
        "255.255.255.255",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3.4",
        "1.2.3.4.",
        "1..2.3",
        "256.1.1.1",
        "1.2.3.a",
        "",
        ".",
        "1",
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "2001:db8:0:0:1:0:0:1",
        "2001:DB8::a:b",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1::3:4:5:6:7:8",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        ":::",
        ":1",
        "1:",
        ":",
        "::ffff:192.0.2.1",
        "64:ff9b::192.0.2.33",
        "1:2:3:4:5:6:1.2.3.4",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::",
        "::1.2.3",
        "12345::",
        "::g",
        "fe80::1%eth0",
        "fe80::",
        "0:0:0:0:0:0:0:0",
        "1:0:0:2:0:0:0:3",
        "0:1:0:1:0:1:0:1",
        "host.local",
        "1f4712db-ea17-4bcf-a596-105139dfd8bf.local",
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(texts); i++) {
        struct kw_address address = {.port = 7};
        uint8_t want[16] = {0}, family = 0;
        bool ok = kw_text_address(text_bytes(texts[i]), &address);

        if (inet_pton(AF_INET, texts[i], want) == 1)
            family = 4;
        else if (inet_pton(AF_INET6, texts[i], want) == 1)
            family = 6;
        CHECK(ok == (family != 0), "%s", texts[i]);
        if (!ok)
            continue;
        assert_int_equal(address.family, family);
        assert_int_equal(address.port, 7);
        assert_memory_equal(address.ip, want, 16);
    }
}

static void addresses_are_written_as_rfc_5952_says(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
        {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
        {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
        {"abc:0def::10", "abc:def::10"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_address address = {0};
        uint8_t text[64] = {0};
        struct kw_writer out = kw_writer_of(text, sizeof text - 1);

        assert_true(kw_text_address(text_bytes(rows[i].in), &address));
        kw_text_write_address(&out, &address);
        assert_string_equal((const char *)text, rows[i].out);
    }
}

static void decimals(void **state)
{
    uint64_t value = 99;

    (void)state;
    assert_true(kw_text_decimal(text_bytes("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_false(kw_text_decimal(text_bytes("18446744073709551616"), UINT64_MAX, &value));
    assert_false(kw_text_decimal(text_bytes("99999999999999999999"), UINT64_MAX, &value));
    assert_false(kw_text_decimal(text_bytes(""), 9, &value));
    assert_false(kw_text_decimal(text_bytes("+1"), 9, &value));
    assert_false(kw_text_decimal(text_bytes("1 "), 9, &value));
    assert_false(kw_text_decimal(text_bytes("10"), 9, &value));
    assert_true(value == UINT64_MAX);
    assert_true(kw_text_decimal(text_bytes("0009"), 9, &value));
    assert_int_equal(value, 9);
}

static void words(void **state)
{
    struct kw_bytes rest = text_bytes("  one two   three ");

    (void)state;
    assert_true(bytes_are(kw_text_word(&rest), "one"));
    assert_true(bytes_are(kw_text_word(&rest), "two"));
    assert_true(bytes_are(kw_text_word(&rest), "three"));
    assert_int_equal(kw_text_word(&rest).len, 0);
    assert_int_equal(kw_text_word(&rest).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_agree_with_the_system),
        cmocka_unit_test(addresses_are_written_as_rfc_5952_says),
        cmocka_unit_test(decimals),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
