/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A polynomial is 256 signed 16-bit coefficients. Products modulo q go through Montgomery's
 * reduction by 2^16, which the compiler turns into vector instructions; sums are reduced lazily,
 * and each function of the header states the bound that makes this safe.
 */
#include "crypto/mlkem/poly.h"

#include "crypto/mlkem/clones.h"
#include "crypto/mlkem/keccak.h"

#include <string.h>

enum {
    Q = KW_MLKEM_Q,
    N = KW_MLKEM_N,
    Q_INVERSE = -3327,            /* of q modulo 2^16 */
    R2 = 1353,                    /* 2^32 modulo q */
    R2_INVERSE = 20553,           /* R2 / q modulo 2^16 */
    R2_OVER_128 = 1441,           /* 2^32 / 128 modulo q */
    R2_OVER_128_INVERSE = -10079, /* the same / q modulo 2^16 */
};

/* 17^bitreverse(i) * 2^16 modulo q, and the same / q modulo 2^16. */
static const int16_t zetas[128] = {
    -1044, -758,  -359,  -1517, 1493,  1422,  287,   202,   -171,  622,   1577,  182,   962,
    -1202, -1474, 1468,  573,   -1325, 264,   383,   -829,  1458,  -1602, -130,  -681,  1017,
    732,   608,   -1542, 411,   -205,  -1571, 1223,  652,   -552,  1015,  -1293, 1491,  -282,
    -1544, 516,   -8,    -320,  -666,  -1618, -1162, 126,   1469,  -853,  -90,   -271,  830,
    107,   -1421, -247,  -951,  -398,  961,   -1508, -725,  448,   -1065, 677,   -1275, -1103,
    430,   555,   843,   -1251, 871,   1550,  105,   422,   587,   177,   -235,  -291,  -460,
    1574,  1653,  -246,  778,   1159,  -147,  -777,  1483,  -602,  1119,  -1590, 644,   -872,
    349,   418,   329,   -156,  -75,   817,   1097,  603,   610,   1322,  -1285, -1465, 384,
    -1215, -136,  1218,  -1335, -874,  220,   -1187, -1659, -1185, -1530, -1278, 794,   -1510,
    -854,  -870,  478,   -108,  -308,  996,   991,   958,   -1460, 1522,  1628};
static const int16_t zetas_inverse[128] = {
    -20,    31498,  14745,  787,    13525,  -12402, 28191,  -16694, -20907, 27758,  -3799,  -15690,
    10690,  1358,   -11202, 31164,  -5827,  17363,  -26360, -29057, 5571,   -1102,  21438,  -26242,
    -28073, 24313,  -10532, 8800,   18426,  8859,   26675,  -16163, -5689,  -6516,  1496,   30967,
    -23565, 20179,  20710,  25080,  -12796, 26616,  16064,  -12442, 9134,   -650,   -25986, 27837,
    19883,  -28250, -15887, -8898,  -28309, 9075,   -30199, 18249,  13426,  14017,  -29156, -12757,
    16832,  4311,   -24155, -17915, -335,   11182,  -11477, 13387,  -32227, -14233, 20494,  -21655,
    -27738, 13131,  945,    -4587,  -14883, 23092,  6182,   5493,   32010,  -32502, 10631,  30317,
    29175,  -18741, -28762, 12639,  -18486, 20100,  17560,  18525,  -14430, 19529,  -5276,  -12619,
    -31183, 20297,  25435,  2146,   -7382,  15355,  24391,  -32384, -20927, -6280,  10946,  -14903,
    24214,  -11044, 16989,  14469,  10335,  -21498, -7934,  -20198, -22502, 23210,  10906,  -17442,
    31636,  -23860, 28644,  -20257, 23998,  7756,   -17422, 23132};

/* a b / 2^16 modulo q, |result| < q, where b_inverse is b / q modulo 2^16 and |b| < q. */
static inline int16_t multiply(int16_t a, int16_t b, int16_t b_inverse)
{
    int16_t high = (int16_t)((a * b) >> 16);
    int16_t low = (int16_t)(a * b_inverse);

    return (int16_t)(high - ((low * Q) >> 16));
}

/* Any 16-bit a to |result| <= q/2: a minus q times the rounded quotient. */
static inline int16_t reduce(int16_t a)
{
    enum { RECIPROCAL = ((1 << 26) + Q / 2) / Q };
    int16_t quotient = (int16_t)((((a * RECIPROCAL) >> 16) + (1 << 9)) >> 10);

    return (int16_t)(a - quotient * Q);
}

/* |a| < q to 0 <= result < q. */
static inline uint16_t positive(int16_t a)
{
    return (uint16_t)(a + ((a >> 15) & Q));
}

/* Keeps the compiler from turning arithmetic on a secret bit into a branch. */
static inline uint32_t hide(uint32_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

static inline void butterflies(int16_t *low, int16_t *high, size_t len, size_t k)
{
    int16_t zeta = zetas[k], zeta_inverse = zetas_inverse[k];

    for (size_t j = 0; j < len; j++) {
        int16_t t = multiply(high[j], zeta, zeta_inverse);

        high[j] = (int16_t)(low[j] - t);
        low[j] = (int16_t)(low[j] + t);
    }
}

/* FIPS 203, algorithm 9. Seven layers add less than q each: 8 q < 2^15. */
KW_MLKEM_CLONES void kw_poly_ntt(struct kw_poly *poly)
{
    size_t k = 1;

    for (size_t len = 128; len >= 2; len /= 2) {
        for (size_t start = 0; start < N; start += 2 * len)
            butterflies(&poly->c[start], &poly->c[start + len], len, k++);
    }
    kw_poly_reduce(poly);
}

static inline void butterflies_inverse(int16_t *low, int16_t *high, size_t len, size_t k)
{
    int16_t zeta = zetas[k], zeta_inverse = zetas_inverse[k];

    for (size_t j = 0; j < len; j++) {
        int16_t t = low[j];

        low[j] = reduce((int16_t)(t + high[j]));
        high[j] = multiply((int16_t)(high[j] - t), zeta, zeta_inverse);
    }
}

/* FIPS 203, algorithm 10; 1/128 and the factor 2^16 are one multiplication at the end. */
KW_MLKEM_CLONES void kw_poly_ntt_inverse(struct kw_poly *poly)
{
    size_t k = 127;

    for (size_t len = 2; len <= 128; len *= 2) {
        for (size_t start = 0; start < N; start += 2 * len)
            butterflies_inverse(&poly->c[start], &poly->c[start + len], len, k--);
    }
    for (size_t i = 0; i < N; i++)
        poly->c[i] = multiply(poly->c[i], R2_OVER_128, R2_OVER_128_INVERSE);
}

KW_MLKEM_CLONES void kw_poly_reduce(struct kw_poly *poly)
{
    for (size_t i = 0; i < N; i++)
        poly->c[i] = reduce(poly->c[i]);
}

KW_MLKEM_CLONES void kw_poly_scale(struct kw_poly *poly)
{
    for (size_t i = 0; i < N; i++)
        poly->c[i] = multiply(poly->c[i], R2, R2_INVERSE);
}

void kw_poly_add(struct kw_poly *poly, const struct kw_poly *other)
{
    for (size_t i = 0; i < N; i++)
        poly->c[i] = (int16_t)(poly->c[i] + other->c[i]);
}

void kw_poly_subtract(struct kw_poly *poly, const struct kw_poly *other)
{
    for (size_t i = 0; i < N; i++)
        poly->c[i] = (int16_t)(poly->c[i] - other->c[i]);
}

/* FIPS 203, section 4.3.1: pairs are multiplied modulo X^2 -+ zeta^(2 bitreverse(i) + 1). */
KW_MLKEM_CLONES void kw_poly_cache(const struct kw_poly *poly, struct kw_poly_cache *ret)
{
    for (size_t i = 0; i < N / 4; i++) {
        int16_t t = multiply(poly->c[4 * i + 1], zetas[64 + i], zetas_inverse[64 + i]);
        int16_t u = multiply(poly->c[4 * i + 3], zetas[64 + i], zetas_inverse[64 + i]);

        ret->c[2 * i] = t;
        ret->c[2 * i + 1] = (int16_t)-u;
    }
}

KW_MLKEM_CLONES void kw_poly_sum_add(struct kw_poly_sum *sum, const struct kw_poly *a,
                                     const struct kw_poly *b, const struct kw_poly_cache *b_cache)
{
    for (size_t i = 0; i < N / 2; i++) {
        int32_t a0 = a->c[2 * i], a1 = a->c[2 * i + 1];
        int32_t b0 = b->c[2 * i], b1 = b->c[2 * i + 1];

        sum->c[2 * i] += a0 * b0 + a1 * b_cache->c[i];
        sum->c[2 * i + 1] += a0 * b1 + a1 * b0;
    }
}

/* Montgomery: |sum| <= 6 q^2 < q 2^15, hence |result| < q. */
KW_MLKEM_CLONES void kw_poly_sum_reduce(const struct kw_poly_sum *sum, struct kw_poly *ret)
{
    for (size_t i = 0; i < N; i++) {
        int16_t low = (int16_t)((int16_t)sum->c[i] * Q_INVERSE);

        ret->c[i] = (int16_t)((sum->c[i] - low * Q) >> 16);
    }
}

_Static_assert(6LL * KW_MLKEM_Q * KW_MLKEM_Q < KW_MLKEM_Q * 32768LL, "three products fit a sum");

/* Takes the candidates of a block that are below q; returns how many coefficients there are now. */
static size_t take_candidates(struct kw_poly *ret, size_t count,
                              const uint8_t block[KW_SHAKE128_RATE])
{
    for (size_t i = 0; i < KW_SHAKE128_RATE && count < N; i += 3) {
        int16_t first = (int16_t)(block[i] | (block[i + 1] & 15) << 8);
        int16_t second = (int16_t)(block[i + 1] >> 4 | block[i + 2] << 4);

        if (first < Q)
            ret->c[count++] = first;
        if (second < Q && count < N)
            ret->c[count++] = second;
    }
    return count;
}

_Static_assert(KW_SHAKE128_RATE % 3 == 0, "no candidate spans two blocks");

void kw_poly_sample_uniform(struct kw_poly ret[4], const uint8_t seed[32], const uint16_t tails[4])
{
    struct kw_keccak_four shake;
    uint8_t blocks[4][KW_SHAKE128_RATE];
    uint8_t *const dst[4] = {blocks[0], blocks[1], blocks[2], blocks[3]};
    size_t counts[4] = {0};

    kw_shake_four_init(&shake, KW_SHAKE128_RATE, seed, tails, 2);
    while (counts[0] < N || counts[1] < N || counts[2] < N || counts[3] < N) {
        kw_shake_four_block(&shake, dst);
        for (size_t i = 0; i < 4; i++)
            counts[i] = take_candidates(&ret[i], counts[i], blocks[i]);
    }
}

void kw_poly_sample_noise(struct kw_poly ret[4], const uint8_t seed[32], uint8_t number)
{
    struct kw_keccak_four shake;
    uint8_t blocks[4][KW_SHAKE256_RATE];
    uint8_t *const dst[4] = {blocks[0], blocks[1], blocks[2], blocks[3]};
    const uint16_t tails[4] = {number, (uint16_t)(number + 1), (uint16_t)(number + 2),
                               (uint16_t)(number + 3)};

    kw_shake_four_init(&shake, KW_SHAKE256_RATE, seed, tails, 1);
    kw_shake_four_block(&shake, dst);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < N / 2; j++) {
            unsigned bits = blocks[i][j];
            unsigned pairs = (bits & 0x55U) + (bits >> 1 & 0x55U);

            ret[i].c[2 * j] = (int16_t)((int)(pairs & 3) - (int)(pairs >> 2 & 3));
            ret[i].c[2 * j + 1] = (int16_t)((int)(pairs >> 4 & 3) - (int)(pairs >> 6));
        }
    }
    kw_wipe(&shake, sizeof shake);
    kw_wipe(blocks, sizeof blocks);
}

_Static_assert(KW_SHAKE256_RATE >= KW_MLKEM_N / 2, "the noise of a polynomial is one block");

KW_MLKEM_CLONES void kw_poly_write(const struct kw_poly *poly, uint8_t dst[KW_POLY_BYTES])
{
    for (size_t i = 0; i < N / 2; i++) {
        unsigned a = positive(poly->c[2 * i]), b = positive(poly->c[2 * i + 1]);

        dst[3 * i] = (uint8_t)a;
        dst[3 * i + 1] = (uint8_t)(a >> 8 | b << 4);
        dst[3 * i + 2] = (uint8_t)(b >> 4);
    }
}

bool kw_poly_read(const uint8_t src[KW_POLY_BYTES], struct kw_poly *ret)
{
    bool below = true;

    for (size_t i = 0; i < N / 2; i++) {
        ret->c[2 * i] = (int16_t)(src[3 * i] | (src[3 * i + 1] & 15) << 8);
        ret->c[2 * i + 1] = (int16_t)(src[3 * i + 1] >> 4 | src[3 * i + 2] << 4);
        below &= ret->c[2 * i] < Q;
        below &= ret->c[2 * i + 1] < Q;
    }
    return below;
}

/*
 * round(2^d a / q) modulo 2^d for 0 <= a < q. Division would take a time that depends on a; so
 * multiply by ceil(2^34 / q), whose error is too small to show for these a (tested for every one).
 */
static inline uint32_t compress(uint16_t a, unsigned d)
{
    enum { RECIPROCAL_34 = 5160670 };
    uint64_t scaled = ((uint64_t)a << d) + Q / 2;

    return (uint32_t)(scaled * RECIPROCAL_34 >> 34) & ((1U << d) - 1);
}

KW_MLKEM_CLONES void kw_poly_write10(const struct kw_poly *poly, uint8_t dst[320])
{
    for (size_t i = 0; i < N / 4; i++) {
        uint64_t packed = 0;

        for (size_t j = 0; j < 4; j++)
            packed |= (uint64_t)compress(positive(poly->c[4 * i + j]), 10) << (10 * j);
        for (size_t j = 0; j < 5; j++)
            dst[5 * i + j] = (uint8_t)(packed >> (8 * j));
    }
}

void kw_poly_read10(const uint8_t src[320], struct kw_poly *ret)
{
    for (size_t i = 0; i < N / 4; i++) {
        uint64_t packed = 0;

        for (size_t j = 0; j < 5; j++)
            packed |= (uint64_t)src[5 * i + j] << (8 * j);
        for (size_t j = 0; j < 4; j++)
            ret->c[4 * i + j] = (int16_t)(((packed >> (10 * j) & 1023) * Q + 512) >> 10);
    }
}

KW_MLKEM_CLONES void kw_poly_write4(const struct kw_poly *poly, uint8_t dst[128])
{
    for (size_t i = 0; i < N / 2; i++)
        dst[i] = (uint8_t)(compress(positive(poly->c[2 * i]), 4) |
                           compress(positive(poly->c[2 * i + 1]), 4) << 4);
}

void kw_poly_read4(const uint8_t src[128], struct kw_poly *ret)
{
    for (size_t i = 0; i < N / 2; i++) {
        ret->c[2 * i] = (int16_t)(((src[i] & 15) * Q + 8) >> 4);
        ret->c[2 * i + 1] = (int16_t)(((src[i] >> 4) * Q + 8) >> 4);
    }
}

void kw_poly_write1(const struct kw_poly *poly, uint8_t dst[32])
{
    for (size_t i = 0; i < N / 8; i++) {
        uint32_t byte = 0;

        for (size_t j = 0; j < 8; j++)
            byte |= hide(compress(positive(poly->c[8 * i + j]), 1)) << j;
        dst[i] = (uint8_t)byte;
    }
}

void kw_poly_read1(const uint8_t src[32], struct kw_poly *ret)
{
    for (size_t i = 0; i < N; i++) {
        uint32_t bit = hide((uint32_t)src[i / 8] >> (i % 8) & 1U);

        ret->c[i] = (int16_t)(bit * ((Q + 1) / 2));
    }
}
