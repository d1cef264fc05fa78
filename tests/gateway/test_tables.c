/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's own data structures against the simplest model of each. */
#include "check.h"

#include "gateway/heap.h"
#include "gateway/table.h"
#include "gateway/text.h"
#include "sim/net.h"

#include <stdlib.h>
#include <string.h>

enum { THINGS = 200 };

/* A thousand random puts and removals; after each the table knows exactly what the model knows. */
static void a_table_forgets_only_what_is_removed(void **state)
{
    static const uint8_t key[16] = {1, 2, 3};
    struct kw_table table;
    struct net random;
    uint32_t model[THINGS];
    void *mem = aligned_alloc(64, kw_table_size(THINGS));

    (void)state;
    net_init(&random, 42);
    memset(model, 0xff, sizeof model);
    kw_table_init(&table, mem, THINGS, key);
    for (int step = 0; step < 5000; step++) {
        uint32_t thing = (uint32_t)(net_draw(&random, THINGS));
        uint64_t tag = kw_table_tag(&table, &thing, sizeof thing);

        if (net_draw(&random, 2) == 0) {
            model[thing] = (uint32_t)step;
            assert_true(kw_table_put(&table, tag, (uint32_t)step));
        } else {
            model[thing] = UINT32_MAX;
            kw_table_remove(&table, tag);
        }
        for (uint32_t i = 0; i < THINGS; i += 7) {
            uint32_t value = UINT32_MAX;
            bool found = kw_table_get(&table, kw_table_tag(&table, &i, sizeof i), &value);

            CHECK(found == (model[i] != UINT32_MAX) && value == model[i], "thing %u, step %d", i,
                  step);
        }
    }
    free(mem);
}

static void a_full_table_refuses(void **state)
{
    static const uint8_t key[16] = {0};
    struct kw_table table;
    void *mem = aligned_alloc(64, kw_table_size(8));
    uint64_t tag = 1;

    (void)state;
    kw_table_init(&table, mem, 8, key);
    while (kw_table_put(&table, tag, 0))
        tag++;
    assert_true(tag > 8);
    assert_true(kw_table_put(&table, 1, 5)); /* a known one still changes */
    free(mem);
}

static void tags_depend_on_key_and_length(void **state)
{
    static const uint8_t key_a[16] = {1}, key_b[16] = {2};
    struct kw_table a, b;
    void *mem = aligned_alloc(64, kw_table_size(8));

    (void)state;
    kw_table_init(&a, mem, 8, key_a);
    kw_table_init(&b, mem, 8, key_b);
    assert_true(kw_table_tag(&a, "12345678", 8) != kw_table_tag(&b, "12345678", 8));
    assert_true(kw_table_tag(&a, "1234567", 7) != kw_table_tag(&a, "1234567\0", 8));
    assert_true(kw_table_tag(&a, "", 0) != 0);
    free(mem);
}

static void a_heap_gives_the_earliest(void **state)
{
    struct kw_heap heap;
    struct net random;
    kw_ns model[THINGS];
    void *mem = aligned_alloc(64, (kw_heap_size(THINGS) + 63) / 64 * 64);

    (void)state;
    net_init(&random, 7);
    kw_heap_init(&heap, mem, THINGS);
    for (size_t i = 0; i < THINGS; i++)
        model[i] = KW_NEVER;
    for (int step = 0; step < 20000; step++) {
        uint32_t call = (uint32_t)(net_draw(&random, THINGS));
        kw_ns earliest = KW_NEVER;

        model[call] = net_draw(&random, 4) == 0 ? KW_NEVER : net_draw(&random, 1000);
        kw_heap_set(&heap, call, model[call]);
        for (size_t i = 0; i < THINGS; i++)
            earliest = KW_MIN(earliest, model[i]);
        CHECK(kw_heap_top(&heap) == earliest, "step %d", step);
        assert_true(kw_heap_at(&heap, call) == model[call]);
    }
    free(mem);
}

static void addresses_are_written_as_rfc5952_says(void **state)
{
    static const struct {
        struct kw_address address;
        const char *text;
    } rows[] = {
        {{.family = 0}, ""},
        {{.family = 4, .ip = {192, 0, 2, 1}}, "192.0.2.1"},
        {{.family = 4, .port = 5004, .ip = {255, 0, 10, 1}}, "255.0.10.1:5004"},
        {{.family = 6}, "::"},
        {{.family = 6, .ip = {[15] = 1}}, "::1"},
        {{.family = 6, .port = 1, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}}, "[2001:db8::1]:1"},
        {{.family = 6, .ip = {0xfe, 0x80, [15] = 0}}, "fe80::"},
        {{.family = 6, .ip = {0x20, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}}, "2001:0:1::1:2"},
        {{.family = 6, .ip = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0xab, 0xcd}},
         "1:2:3:4:5:6:7:abcd"},
        {{.family = 6, .ip = {0, 1, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}}, "1:0:3:4:5:6:7:8"},
    };
    char text[KW_ADDRESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        kw_address_write(&rows[i].address, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void hex_is_exact(void **state)
{
    uint8_t raw[2];
    char text[5];

    (void)state;
    assert_true(kw_hex_parse("0aff", raw, 2));
    kw_hex_write(raw, 2, text);
    assert_string_equal(text, "0aff");
    assert_false(kw_hex_parse("0AFF", raw, 2));
    assert_false(kw_hex_parse("0af", raw, 2));
    assert_false(kw_hex_parse("0aff0", raw, 2));
    assert_false(kw_hex_parse("0ag0", raw, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_forgets_only_what_is_removed),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(tags_depend_on_key_and_length),
        cmocka_unit_test(a_heap_gives_the_earliest),
        cmocka_unit_test(addresses_are_written_as_rfc5952_says),
        cmocka_unit_test(hex_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
