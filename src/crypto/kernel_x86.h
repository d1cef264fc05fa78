/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_KERNEL_X86_H
#define KW_CRYPTO_KERNEL_X86_H

/*
 * What both x86 kernels share: the key's form, the AES key schedule, and multiplication in GHASH's
 * field.
 *
 * A key is the round keys and five powers of H: H^8, H^4, H^3, H^2, H^1. That is four cache lines
 * for AES-128 and five for AES-256, at the end of the key's memory.
 *
 * GHASH counts bits from the wrong end (SP 800-38D, section 6.3). We load blocks with their bytes
 * reversed; a carry-less product of two such values is then one bit short of the reversed product,
 * so each power is kept multiplied by x, and the reduction works from the low end with the reversed
 * polynomial 2^128 + 2^127 + 2^126 + 2^121 + 1 (its two upper terms at 64 bits: c2000...).
 */

#include "crypto/packet_kernel.h"

#include <immintrin.h>
#include <string.h>

#define KERNEL_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define KERNEL_UNROLL _Pragma("unroll")
#else
#define KERNEL_UNROLL _Pragma("GCC unroll 16")
#endif

enum {
    KEY_VECTORS = KW_GCM_KEY_SIZE / 16,
    ROUNDS_128 = 10,
    ROUNDS_256 = 14,
    POWERS = 5,
    KEY_LEN_128 = (ROUNDS_128 + 1 + POWERS) * 16,
    KEY_LEN_256 = (ROUNDS_256 + 1 + POWERS) * 16,
};

_Static_assert(KEY_LEN_128 == 4 * 64 && KEY_LEN_256 == 5 * 64, "see the paragraph above");
_Static_assert(sizeof(struct kw_gcm_key) == KEY_LEN_256, "the longest");

/* The first round key. */
KERNEL_INLINE const __m128i *key_rounds(const struct kw_gcm_key *key, int rounds)
{
    return (const __m128i *)(const void *)key->bytes + KEY_VECTORS - POWERS - (rounds + 1);
}

/* The power H^n: 1 to 4, or 8. */
KERNEL_INLINE const __m128i *key_power(const struct kw_gcm_key *key, int n)
{
    return (const __m128i *)(const void *)key->bytes + KEY_VECTORS - (n <= 4 ? n : POWERS);
}

KERNEL_INLINE __m128i reverse_bytes(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f));
}

/* low, middle (at 64 bits) and high part of an unreduced product, reduced. */
KERNEL_INLINE __m128i reduce_parts(__m128i low, __m128i middle, __m128i high)
{
    const __m128i poly = _mm_set_epi64x(0, (long long)0xc200000000000000);

    middle = _mm_xor_si128(middle, _mm_shuffle_epi32(low, 0x4e));
    middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(poly, low, 0x00));
    high = _mm_xor_si128(high, _mm_shuffle_epi32(middle, 0x4e));
    return _mm_xor_si128(high, _mm_clmulepi64_si128(poly, middle, 0x00));
}

KERNEL_INLINE __m128i multiply(__m128i a, __m128i power)
{
    __m128i low = _mm_clmulepi64_si128(a, power, 0x00);
    __m128i middle =
        _mm_xor_si128(_mm_clmulepi64_si128(a, power, 0x01), _mm_clmulepi64_si128(a, power, 0x10));
    __m128i high = _mm_clmulepi64_si128(a, power, 0x11);

    return reduce_parts(low, middle, high);
}

KERNEL_INLINE __m128i encrypt_block(const struct kw_gcm_key *key, int rounds, __m128i block)
{
    const __m128i *round_keys = key_rounds(key, rounds);

    block = _mm_xor_si128(block, round_keys[0]);
    KERNEL_UNROLL
    for (int i = 1; i < rounds; i++)
        block = _mm_aesenc_si128(block, round_keys[i]);
    return _mm_aesenclast_si128(block, round_keys[rounds]);
}

static const uint8_t tail_masks[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* Ones for the bytes of the last block that exist. */
KERNEL_INLINE __m128i tail_mask(size_t left)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(tail_masks + (15 - (left - 1) % 16)));
}

/* FIPS 197, section 5.2: each word is the XOR of the words before it, and of `mixed`. */
KERNEL_INLINE __m128i next_round_key(__m128i previous, __m128i mixed)
{
    previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
    previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
    return _mm_xor_si128(previous, mixed);
}

/* The round constant is part of the instruction, hence a macro. */
#define NEXT_ROUND_KEY(previous, before, constant, word)                                           \
    next_round_key(previous, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(before, constant), word))

static inline void expand_128(__m128i *rk, const uint8_t *key)
{
    rk[0] = _mm_loadu_si128((const __m128i *)(const void *)key);
    rk[1] = NEXT_ROUND_KEY(rk[0], rk[0], 0x01, 0xff);
    rk[2] = NEXT_ROUND_KEY(rk[1], rk[1], 0x02, 0xff);
    rk[3] = NEXT_ROUND_KEY(rk[2], rk[2], 0x04, 0xff);
    rk[4] = NEXT_ROUND_KEY(rk[3], rk[3], 0x08, 0xff);
    rk[5] = NEXT_ROUND_KEY(rk[4], rk[4], 0x10, 0xff);
    rk[6] = NEXT_ROUND_KEY(rk[5], rk[5], 0x20, 0xff);
    rk[7] = NEXT_ROUND_KEY(rk[6], rk[6], 0x40, 0xff);
    rk[8] = NEXT_ROUND_KEY(rk[7], rk[7], 0x80, 0xff);
    rk[9] = NEXT_ROUND_KEY(rk[8], rk[8], 0x1b, 0xff);
    rk[10] = NEXT_ROUND_KEY(rk[9], rk[9], 0x36, 0xff);
}

static inline void expand_256(__m128i *rk, const uint8_t *key)
{
    rk[0] = _mm_loadu_si128((const __m128i *)(const void *)key);
    rk[1] = _mm_loadu_si128((const __m128i *)(const void *)(key + 16));
    rk[2] = NEXT_ROUND_KEY(rk[0], rk[1], 0x01, 0xff);
    rk[3] = NEXT_ROUND_KEY(rk[1], rk[2], 0x00, 0xaa);
    rk[4] = NEXT_ROUND_KEY(rk[2], rk[3], 0x02, 0xff);
    rk[5] = NEXT_ROUND_KEY(rk[3], rk[4], 0x00, 0xaa);
    rk[6] = NEXT_ROUND_KEY(rk[4], rk[5], 0x04, 0xff);
    rk[7] = NEXT_ROUND_KEY(rk[5], rk[6], 0x00, 0xaa);
    rk[8] = NEXT_ROUND_KEY(rk[6], rk[7], 0x08, 0xff);
    rk[9] = NEXT_ROUND_KEY(rk[7], rk[8], 0x00, 0xaa);
    rk[10] = NEXT_ROUND_KEY(rk[8], rk[9], 0x10, 0xff);
    rk[11] = NEXT_ROUND_KEY(rk[9], rk[10], 0x00, 0xaa);
    rk[12] = NEXT_ROUND_KEY(rk[10], rk[11], 0x20, 0xff);
    rk[13] = NEXT_ROUND_KEY(rk[11], rk[12], 0x00, 0xaa);
    rk[14] = NEXT_ROUND_KEY(rk[12], rk[13], 0x40, 0xff);
}

/* The round keys are there; H = AES(0), times x, and its powers. */
static inline void fill_powers(struct kw_gcm_key *key, int rounds)
{
    __m128i *end = (__m128i *)(void *)(key->bytes + sizeof key->bytes);
    __m128i h = reverse_bytes(encrypt_block(key, rounds, _mm_setzero_si128()));
    __m128i carries = _mm_srli_epi64(h, 63);
    __m128i top =
        _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xff); /* all ones when bit 127 was set */

    h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(carries, 8));
    h = _mm_xor_si128(h, _mm_and_si128(top, _mm_set_epi64x((long long)0xc200000000000000, 1)));
    end[-1] = h;
    end[-2] = multiply(h, h);
    end[-3] = multiply(end[-2], h);
    end[-4] = multiply(end[-2], end[-2]);
    end[-POWERS] = multiply(end[-4], end[-4]);
}

static inline enum kw_status x86_init_128(struct kw_gcm_key *key, struct kw_crypto *crypto,
                                          const uint8_t *cipher_key, bool for_sealing)
{
    (void)crypto;
    (void)for_sealing;
    expand_128((__m128i *)(uintptr_t)key_rounds(key, ROUNDS_128), cipher_key);
    fill_powers(key, ROUNDS_128);
    return KW_OK;
}

static inline enum kw_status x86_init_256(struct kw_gcm_key *key, struct kw_crypto *crypto,
                                          const uint8_t *cipher_key, bool for_sealing)
{
    (void)crypto;
    (void)for_sealing;
    expand_256((__m128i *)(uintptr_t)key_rounds(key, ROUNDS_256), cipher_key);
    fill_powers(key, ROUNDS_256);
    return KW_OK;
}

static inline void x86_deinit(struct kw_gcm_key *key)
{
    kw_wipe(key, sizeof *key);
}

#endif
