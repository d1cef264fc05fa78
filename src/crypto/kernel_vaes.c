/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel for CPUs with VAES and VPCLMULQDQ: two blocks in a 256-bit register. Compiled with
 * those instructions, so nothing here runs before kw_cpu_has_vaes() said yes. */
#include "crypto/kernel_x86.h"

enum { LANES = 2 };
typedef __m256i vec;

#define vec_clmul(a, b, parts) _mm256_clmulepi64_epi128(a, b, parts)

KERNEL_INLINE vec vec_aesenc(vec state, vec round_key)
{
    return _mm256_aesenc_epi128(state, round_key);
}

KERNEL_INLINE vec vec_aesenclast(vec state, vec round_key)
{
    return _mm256_aesenclast_epi128(state, round_key);
}

KERNEL_INLINE vec vec_spread(__m128i x)
{
    return _mm256_broadcastsi128_si256(x);
}

KERNEL_INLINE vec vec_put(vec v, __m128i x, int lane)
{
    return lane == 0 ? _mm256_inserti128_si256(v, x, 0) : _mm256_inserti128_si256(v, x, 1);
}

KERNEL_INLINE __m128i vec_get(vec v, int lane)
{
    return lane == 0 ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1);
}

KERNEL_INLINE vec vec_numbers(int n)
{
    return _mm256_set_epi32(0, 0, 0, n + 1, 0, 0, 0, n);
}

KERNEL_INLINE __m128i vec_fold(vec v)
{
    return _mm_xor_si128(vec_get(v, 0), vec_get(v, 1));
}

KERNEL_INLINE vec vec_swap(vec v)
{
    return _mm256_shuffle_epi32(v, 0x4e);
}

KERNEL_INLINE vec vec_reverse(vec v)
{
    return _mm256_shuffle_epi8(v,
                               vec_spread(_mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f)));
}

/* Ones for the bytes that exist. */
typedef vec cut;

KERNEL_INLINE cut cut_at(int lane, int n, size_t len)
{
    const __m128i before = n == 2 ? _mm_set1_epi8(-1) : _mm_setzero_si128();

    return lane + n == 1 ? _mm256_zextsi128_si256(tail_mask(len))
                         : _mm256_set_m128i(tail_mask(len), before);
}

KERNEL_INLINE vec cut_clear(vec v, cut end)
{
    return _mm256_and_si256(v, end);
}

KERNEL_INLINE vec cut_load(const void *from, cut end, int lane, int n)
{
    if (n == 2)
        return cut_clear(_mm256_loadu_si256(from), end);
    return cut_clear(vec_put(_mm256_setzero_si256(), _mm_loadu_si128(from), lane), end);
}

KERNEL_INLINE void cut_store(void *to, vec v, cut end, int lane, int n)
{
    (void)end;
    if (n == 2)
        _mm256_storeu_si256(to, v);
    else
        _mm_storeu_si128(to, vec_get(v, lane));
}

#include "crypto/kernel_gcm.h"

const struct kw_gcm kw_gcm_vaes[2] = KERNEL_ROWS;
