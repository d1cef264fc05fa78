/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_MLKEM_POLY_H
#define KW_CRYPTO_MLKEM_POLY_H

/*
 * Polynomials of Z_3329[X] / (X^256 + 1) and their images under the number-theoretic transform
 * (FIPS 203, section 4). Nothing branches on, indexes by or divides by a coefficient, except
 * sampling of the public matrix and reading a peer's public key.
 */

#include <keywheel/base.h>

enum {
    KW_MLKEM_N = 256,
    KW_MLKEM_Q = 3329,
    KW_POLY_BYTES = 384, /* twelve bits a coefficient */
};

/* Coefficients are any representative modulo q; each function says how large it needs or makes it.
 */
struct kw_poly {
    int16_t c[KW_MLKEM_N];
};

/* For the right factor of a product: odd coefficients times their power of zeta. */
struct kw_poly_cache {
    int16_t c[KW_MLKEM_N / 2];
};

/* Sums of products; at most three products of reduced polynomials fit. */
struct kw_poly_sum {
    int32_t c[KW_MLKEM_N];
};

/* In place. |c| < q in; reduced to |c| <= q/2 out. */
void kw_poly_ntt(struct kw_poly *poly);
/* In place, and times 2^16, which takes back what kw_poly_sum_reduce() divided. |c| < q out. */
void kw_poly_ntt_inverse(struct kw_poly *poly);
/* Any c to |c| <= q/2. */
void kw_poly_reduce(struct kw_poly *poly);
/* |c| stays the sum of both. */
void kw_poly_add(struct kw_poly *poly, const struct kw_poly *other);
void kw_poly_subtract(struct kw_poly *poly, const struct kw_poly *other);

void kw_poly_cache(const struct kw_poly *poly, struct kw_poly_cache *ret);
/* sum += a b, in the transformed domain. |a|, |b| < q. */
void kw_poly_sum_add(struct kw_poly_sum *sum, const struct kw_poly *a, const struct kw_poly *b,
                     const struct kw_poly_cache *b_cache);
/* The sum divided by 2^16; |c| < q. */
void kw_poly_sum_reduce(const struct kw_poly_sum *sum, struct kw_poly *ret);
/* Times 2^16. |c| < q out. */
void kw_poly_scale(struct kw_poly *poly);

/*
 * FIPS 203, algorithm 7: uniform, 0 <= c < q, from SHAKE128(seed || x || y) for each of the tails
 * x | y << 8. Public input.
 */
void kw_poly_sample_uniform(struct kw_poly ret[4], const uint8_t seed[32], const uint16_t tails[4]);
/* FIPS 203, algorithm 8 with eta 2: |c| <= 2, from SHAKE256(seed || number) for number .. + 3. */
void kw_poly_sample_noise(struct kw_poly ret[4], const uint8_t seed[32], uint8_t number);

/* Twelve bits a coefficient. The reader tells whether all were below q (section 7.2). */
void kw_poly_write(const struct kw_poly *poly, uint8_t dst[KW_POLY_BYTES]);
KW_MUST_USE bool kw_poly_read(const uint8_t src[KW_POLY_BYTES], struct kw_poly *ret);

/* Compress and encode with 10, 4 and 1 bits; decode and decompress. */
void kw_poly_write10(const struct kw_poly *poly, uint8_t dst[320]);
void kw_poly_read10(const uint8_t src[320], struct kw_poly *ret);
void kw_poly_write4(const struct kw_poly *poly, uint8_t dst[128]);
void kw_poly_read4(const uint8_t src[128], struct kw_poly *ret);
void kw_poly_write1(const struct kw_poly *poly, uint8_t dst[32]);
void kw_poly_read1(const uint8_t src[32], struct kw_poly *ret);

#endif
