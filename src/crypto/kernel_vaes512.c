/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel for CPUs with VAES, VPCLMULQDQ and AVX-512: four blocks in a 512-bit register.
 * Compiled with those instructions, so nothing here runs before kw_cpu_has_vaes512() said yes. */
#include "crypto/kernel_x86.h"

enum { LANES = 4 };
typedef __m512i vec;

#define vec_clmul(a, b, parts) _mm512_clmulepi64_epi128(a, b, parts)

KERNEL_INLINE vec vec_aesenc(vec state, vec round_key)
{
    return _mm512_aesenc_epi128(state, round_key);
}

KERNEL_INLINE vec vec_aesenclast(vec state, vec round_key)
{
    return _mm512_aesenclast_epi128(state, round_key);
}

KERNEL_INLINE vec vec_spread(__m128i x)
{
    return _mm512_broadcast_i32x4(x);
}

KERNEL_INLINE vec vec_put(vec v, __m128i x, int lane)
{
    switch (lane) {
    case 0:
        return _mm512_inserti32x4(v, x, 0);
    case 1:
        return _mm512_inserti32x4(v, x, 1);
    case 2:
        return _mm512_inserti32x4(v, x, 2);
    default:
        return _mm512_inserti32x4(v, x, 3);
    }
}

KERNEL_INLINE __m128i vec_get(vec v, int lane)
{
    switch (lane) {
    case 0:
        return _mm512_castsi512_si128(v);
    case 1:
        return _mm512_extracti32x4_epi32(v, 1);
    case 2:
        return _mm512_extracti32x4_epi32(v, 2);
    default:
        return _mm512_extracti32x4_epi32(v, 3);
    }
}

KERNEL_INLINE vec vec_numbers(int n)
{
    return _mm512_set_epi32(0, 0, 0, n + 3, 0, 0, 0, n + 2, 0, 0, 0, n + 1, 0, 0, 0, n);
}

KERNEL_INLINE __m128i vec_fold(vec v)
{
    __m256i half = _mm512_castsi512_si256(v) ^ _mm512_extracti64x4_epi64(v, 1);

    return _mm256_castsi256_si128(half) ^ _mm256_extracti128_si256(half, 1);
}

KERNEL_INLINE vec vec_swap(vec v)
{
    return _mm512_shuffle_epi32(v, 0x4e);
}

KERNEL_INLINE vec vec_reverse(vec v)
{
    return _mm512_shuffle_epi8(v,
                               vec_spread(_mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f)));
}

/* A bit for each byte that exists. */
typedef __mmask64 cut;

KERNEL_INLINE cut cut_at(int lane, int n, size_t len)
{
    return ~UINT64_C(0) >> (64 - (size_t)(lane + n - 1) * 16 - len) & ~UINT64_C(0) << lane * 16;
}

KERNEL_INLINE vec cut_clear(vec v, cut end)
{
    return _mm512_maskz_mov_epi8(end, v);
}

/* Where a mask has a zero nothing is read or written. */
KERNEL_INLINE vec cut_load(const uint8_t *from, cut end, int lane, int n)
{
    (void)n;
    return _mm512_maskz_loadu_epi8(end, from - lane * 16);
}

KERNEL_INLINE void cut_store(uint8_t *to, vec v, cut end, int lane, int n)
{
    (void)n;
    _mm512_mask_storeu_epi8(to - lane * 16, end, v);
}

#include "crypto/kernel_gcm.h"

const struct kw_gcm kw_gcm_vaes512[2] = KERNEL_ROWS;
