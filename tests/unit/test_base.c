/* SPDX-License-Identifier: Apache-2.0 */
/* The sticky reader, the reserving writer and the pool keep their promises at their edges. */
#include "check.h"

#include "base/pool.h"
#include "base/reader.h"
#include "base/writer.h"

static void reader_is_sticky(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct kw_reader in = kw_reader_of(bytes, sizeof bytes);

    (void)state;
    assert_int_equal(kw_read_u16(&in), 0x0102);
    assert_int_equal(kw_read_u24(&in), 0x030405);
    assert_true(kw_reader_done(&in));
    assert_int_equal(kw_read_u8(&in), 0);
    assert_true(in.failed);
    assert_int_equal(kw_read_u64(&in), 0);
    assert_null(kw_read_bytes(&in, 0).data);
}

static void reader_refuses_a_vector_longer_than_the_rest(void **state)
{
    const uint8_t bytes[] = {0, 3, 1, 2};
    struct kw_reader in = kw_reader_of(bytes, sizeof bytes);
    struct kw_bytes body = kw_read_vector(&in, 2);

    (void)state;
    assert_true(in.failed);
    assert_int_equal(body.len, 0);
}

static void writer_fills_in_lengths(void **state)
{
    uint8_t dst[8];
    const uint8_t expected[] = {0, 0, 3, 0xaa, 0xbb, 0xcc};
    struct kw_writer out = kw_writer_of(dst, sizeof dst);
    size_t mark = kw_write_open(&out, 3);

    (void)state;
    kw_write_u24(&out, 0xaabbcc);
    kw_write_close(&out, mark, 3);
    assert_false(out.failed);
    assert_int_equal(out.len, sizeof expected);
    assert_memory_equal(dst, expected, sizeof expected);
}

static void writer_refuses_what_does_not_fit(void **state)
{
    uint8_t dst[3] = {0, 0, 0x55};
    struct kw_writer out = kw_writer_of(dst, 2);

    (void)state;
    kw_write_u24(&out, 0x010203);
    assert_true(out.failed);
    assert_int_equal(kw_writer_view(&out).len, 0);
    assert_int_equal(dst[2], 0x55);
}

static void writer_refuses_a_length_that_its_prefix_cannot_say(void **state)
{
    uint8_t dst[400] = {0};
    struct kw_writer out = kw_writer_of(dst, sizeof dst);
    size_t mark = kw_write_open(&out, 1);

    (void)state;
    (void)kw_write_room(&out, 256);
    kw_write_close(&out, mark, 1);
    assert_true(out.failed);
}

static void pool_gives_zeroed_blocks_and_no_more_than_it_has(void **state)
{
    _Alignas(KW_POOL_ALIGN) uint8_t memory[3 * 128];
    struct kw_pool pool;
    uint8_t *blocks[3];

    (void)state;
    memset(memory, 0xee, sizeof memory);
    assert_int_equal(kw_pool_size(100, 3), sizeof memory);
    kw_pool_init(&pool, memory, 100, 3);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            blocks[i] = kw_pool_take(&pool);
            assert_non_null(blocks[i]);
            for (size_t at = 0; at < 100; at++)
                CHECK(blocks[i][at] == 0, "round %d block %zu byte %zu", round, i, at);
            memset(blocks[i], 0x77, 100);
        }
        assert_null(kw_pool_take(&pool));
        for (size_t i = 0; i < 3; i++)
            kw_pool_give(&pool, blocks[i]);
        assert_int_equal(pool.used, 0);
    }
    assert_int_equal(kw_pool_size(SIZE_MAX / 2, 3), 0);
}

static void wipe_and_constant_time_equal(void **state)
{
    uint8_t a[33], b[33];

    (void)state;
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof a);
    assert_true(kw_ct_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 0x80;
        CHECK(!kw_ct_equal(a, b, sizeof a), "difference at %zu", i);
        b[i] ^= 0x80;
    }
    kw_wipe(a, sizeof a);
    for (size_t i = 0; i < sizeof a; i++)
        assert_int_equal(a[i], 0);
}

static enum kw_status fill_then_fail(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    memset(dst, 0x11, len);
    return KW_ERR_RANDOM;
}

static void failed_randomness_leaves_nothing_to_use(void **state)
{
    const struct kw_random random = {.fill = fill_then_fail};
    uint8_t dst[4] = {1, 2, 3, 4};
    const uint8_t zero[4] = {0};

    (void)state;
    assert_int_equal(kw_random_fill(&random, dst, sizeof dst), KW_ERR_RANDOM);
    assert_memory_equal(dst, zero, sizeof dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_is_sticky),
        cmocka_unit_test(reader_refuses_a_vector_longer_than_the_rest),
        cmocka_unit_test(writer_fills_in_lengths),
        cmocka_unit_test(writer_refuses_what_does_not_fit),
        cmocka_unit_test(writer_refuses_a_length_that_its_prefix_cannot_say),
        cmocka_unit_test(pool_gives_zeroed_blocks_and_no_more_than_it_has),
        cmocka_unit_test(wipe_and_constant_time_equal),
        cmocka_unit_test(failed_randomness_leaves_nothing_to_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
