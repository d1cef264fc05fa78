/* SPDX-License-Identifier: Apache-2.0 */
/* ML-KEM-768: its polynomials against plain arithmetic, the scheme against itself. */
#include "crypto/mlkem/keccak.h"
#include "crypto/mlkem/mlkem.h"

#include "check.h"
#include "support/toy_crypto.h"

#include <string.h>

static int32_t modulo(int64_t a)
{
    return (int32_t)((a % KW_MLKEM_Q + KW_MLKEM_Q) % KW_MLKEM_Q);
}

static void random_poly(uint64_t *seed, struct kw_poly *ret)
{
    struct kw_random random = toy_random(seed);

    for (size_t i = 0; i < KW_MLKEM_N; i++) {
        uint16_t raw;

        assert_int_equal(kw_random_fill(&random, (uint8_t *)&raw, sizeof raw), KW_OK);
        ret->c[i] = (int16_t)(raw % (2 * KW_MLKEM_Q - 1) - (KW_MLKEM_Q - 1));
    }
}

/* FIPS 202 appendix vectors: the empty message and "abc". */
static void sponges_answer_known(void **state)
{
    static const uint8_t empty_256[8] = {0xa7, 0xff, 0xc6, 0xf8, 0xbf, 0x1e, 0xd7, 0x66};
    static const uint8_t abc_256[8] = {0x3a, 0x98, 0x5d, 0xa7, 0x4f, 0xe2, 0x25, 0xb2};
    static const uint8_t abc_512[8] = {0xb7, 0x51, 0x85, 0x0b, 0x1a, 0x57, 0x16, 0x8a};
    static const uint8_t empty_shake256[8] = {0x46, 0xb9, 0xdd, 0x2b, 0x0b, 0xa8, 0x8d, 0x13};
    const uint8_t *abc = (const uint8_t *)"abc";
    uint8_t out[64];

    (void)state;
    kw_sha3_256(out, NULL, 0);
    assert_memory_equal(out, empty_256, 8);
    kw_sha3_256(out, abc, 3);
    assert_memory_equal(out, abc_256, 8);
    kw_sha3_512(out, abc, 1, abc + 1, 2);
    assert_memory_equal(out, abc_512, 8);
    kw_shake256(out, 64, NULL, 0, NULL, 0);
    assert_memory_equal(out, empty_shake256, 8);
}

static void sponges_take_any_pieces(void **state)
{
    uint8_t data[700], whole[500], pieces[500];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    kw_shake256(whole, sizeof whole, data, sizeof data, NULL, 0);
    for (size_t step = 1; step < 180; step += 6) {
        struct kw_keccak keccak;

        kw_keccak_init(&keccak, KW_SHAKE256_RATE);
        for (size_t at = 0; at < sizeof data; at += step)
            kw_keccak_absorb(&keccak, data + at, KW_MIN(step, sizeof data - at));
        kw_shake_finish(&keccak);
        for (size_t at = 0; at < sizeof pieces; at += step)
            kw_keccak_squeeze(&keccak, pieces + at, KW_MIN(step, sizeof pieces - at));
        CHECK(memcmp(whole, pieces, sizeof whole) == 0, "pieces of %zu", step);
    }
}

static void product_is_the_schoolbook_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t at = seed;
        struct kw_poly a, b, product;
        struct kw_poly_cache cache;
        struct kw_poly_sum sum = {0};
        int64_t expected[KW_MLKEM_N] = {0};

        random_poly(&at, &a);
        random_poly(&at, &b);
        for (size_t i = 0; i < KW_MLKEM_N; i++) {
            for (size_t j = 0; j < KW_MLKEM_N; j++) {
                int64_t term = (int64_t)a.c[i] * b.c[j];

                expected[(i + j) % KW_MLKEM_N] += i + j < KW_MLKEM_N ? term : -term;
            }
        }
        kw_poly_ntt(&a);
        kw_poly_ntt(&b);
        kw_poly_cache(&b, &cache);
        kw_poly_sum_add(&sum, &a, &b, &cache);
        kw_poly_sum_reduce(&sum, &product);
        kw_poly_ntt_inverse(&product);
        for (size_t i = 0; i < KW_MLKEM_N; i++)
            CHECK(modulo(product.c[i]) == modulo(expected[i]), "seed %d, coefficient %zu",
                  (int)seed, i);
    }
}

static void reduction_keeps_the_class(void **state)
{
    (void)state;
    for (int32_t start = -32768; start < 32768; start += KW_MLKEM_N) {
        struct kw_poly poly, scaled;

        for (int32_t i = 0; i < KW_MLKEM_N; i++)
            poly.c[i] = (int16_t)(start + i);
        scaled = poly;
        kw_poly_reduce(&poly);
        kw_poly_scale(&scaled);
        for (int32_t i = 0; i < KW_MLKEM_N; i++) {
            CHECK(modulo(poly.c[i]) == modulo(start + i), "%d", start + i);
            CHECK(poly.c[i] >= -KW_MLKEM_Q / 2 && poly.c[i] <= KW_MLKEM_Q / 2, "%d", start + i);
            CHECK(modulo(scaled.c[i]) == modulo((int64_t)(start + i) * 65536), "%d", start + i);
            CHECK(scaled.c[i] > -KW_MLKEM_Q && scaled.c[i] < KW_MLKEM_Q, "%d", start + i);
        }
    }
}

/* FIPS 203, equation 4.7 with real division, for every coefficient. */
static uint32_t compressed(int32_t a, unsigned d)
{
    return (uint32_t)(((int64_t)a * 2 << d) + KW_MLKEM_Q) / (2 * KW_MLKEM_Q) % (1U << d);
}

static void compression_rounds_exactly(void **state)
{
    (void)state;
    for (int32_t a = 0; a < KW_MLKEM_Q; a++) {
        struct kw_poly poly = {{0}}, back;
        uint8_t ten[320], four[128], one[32];

        for (size_t i = 0; i < 8; i++) /* the other sign of the same class, too */
            poly.c[i] = (int16_t)(i % 2 == 0 || a == 0 ? a : a - KW_MLKEM_Q);
        kw_poly_write10(&poly, ten);
        kw_poly_write4(&poly, four);
        kw_poly_write1(&poly, one);
        assert_int_equal(ten[0] | (ten[1] & 3) << 8, compressed(a, 10));
        assert_int_equal(ten[1] >> 2 | (ten[2] & 15) << 6, compressed(a, 10));
        assert_int_equal(four[0], compressed(a, 4) * 0x11);
        assert_int_equal(one[0], compressed(a, 1) * 0xff);

        kw_poly_read10(ten, &back);
        assert_int_equal(back.c[0], (compressed(a, 10) * KW_MLKEM_Q + 512) / 1024);
        kw_poly_read4(four, &back);
        assert_int_equal(back.c[1], (compressed(a, 4) * KW_MLKEM_Q + 8) / 16);
        kw_poly_read1(one, &back);
        assert_int_equal(back.c[7], compressed(a, 1) * 1665);
    }
}

static void coefficients_are_checked(void **state)
{
    struct kw_poly poly = {{0}}, back;
    uint8_t bytes[KW_POLY_BYTES];

    (void)state;
    poly.c[7] = -1;
    kw_poly_write(&poly, bytes);
    assert_true(kw_poly_read(bytes, &back));
    assert_int_equal(back.c[7], KW_MLKEM_Q - 1);
    for (size_t i = 0; i < KW_MLKEM_N; i++) {
        uint8_t wrong[KW_POLY_BYTES] = {0};

        wrong[3 * (i / 2)] = i % 2 == 0 ? 0x01 : 0;
        wrong[3 * (i / 2) + 1] = i % 2 == 0 ? 0x0d : 0x10;
        wrong[3 * (i / 2) + 2] = i % 2 == 0 ? 0 : 0xd0;
        CHECK(!kw_poly_read(wrong, &back), "coefficient %zu is q", i);
    }
}

static void both_sides_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t at = seed;
        struct kw_random random = toy_random(&at);
        uint8_t key_seed[KW_MLKEM768_SEED_LEN], message[32], a[32], b[32], c[32];
        static uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN];
        static struct kw_mlkem768_key key;

        assert_int_equal(kw_random_fill(&random, key_seed, sizeof key_seed), KW_OK);
        assert_int_equal(kw_random_fill(&random, message, sizeof message), KW_OK);
        kw_mlkem768_keygen(key_seed, &key, ek);
        assert_true(kw_mlkem768_encaps(ek, message, ct, a));
        kw_mlkem768_decaps(&key, ct, b);
        CHECK(memcmp(a, b, sizeof a) == 0, "seed %d", (int)seed);

        /* Implicit rejection: one changed bit gives another secret, the same each time. */
        ct[seed * 21 % sizeof ct] ^= (uint8_t)(1 << seed % 8);
        kw_mlkem768_decaps(&key, ct, b);
        kw_mlkem768_decaps(&key, ct, c);
        CHECK(memcmp(a, b, sizeof a) != 0, "seed %d", (int)seed);
        assert_memory_equal(b, c, sizeof b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sponges_answer_known),
        cmocka_unit_test(sponges_take_any_pieces),
        cmocka_unit_test(product_is_the_schoolbook_one),
        cmocka_unit_test(reduction_keeps_the_class),
        cmocka_unit_test(compression_rounds_exactly),
        cmocka_unit_test(coefficients_are_checked),
        cmocka_unit_test(both_sides_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
