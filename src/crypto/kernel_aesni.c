/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel for CPUs with AES-NI and PCLMULQDQ: one block in a 128-bit register. Compiled with
 * those instructions, so nothing here runs before kw_cpu_has_aesni() said yes. */
#include "crypto/kernel_x86.h"

enum { LANES = 1 };
typedef __m128i vec;

#define vec_clmul(a, b, parts) _mm_clmulepi64_si128(a, b, parts)

KERNEL_INLINE vec vec_aesenc(vec state, vec round_key)
{
    return _mm_aesenc_si128(state, round_key);
}

KERNEL_INLINE vec vec_aesenclast(vec state, vec round_key)
{
    return _mm_aesenclast_si128(state, round_key);
}

KERNEL_INLINE vec vec_spread(__m128i x)
{
    return x;
}

KERNEL_INLINE vec vec_put(vec v, __m128i x, int lane)
{
    (void)v;
    (void)lane;
    return x;
}

KERNEL_INLINE __m128i vec_get(vec v, int lane)
{
    (void)lane;
    return v;
}

KERNEL_INLINE vec vec_numbers(int n)
{
    return _mm_set_epi32(0, 0, 0, n);
}

KERNEL_INLINE __m128i vec_fold(vec v)
{
    return v;
}

KERNEL_INLINE vec vec_swap(vec v)
{
    return _mm_shuffle_epi32(v, 0x4e);
}

KERNEL_INLINE vec vec_reverse(vec v)
{
    return reverse_bytes(v);
}

/* Ones for the bytes that exist. */
typedef vec cut;

KERNEL_INLINE cut cut_at(int lane, int n, size_t len)
{
    (void)lane;
    (void)n;
    return tail_mask(len);
}

KERNEL_INLINE vec cut_clear(vec v, cut end)
{
    return _mm_and_si128(v, end);
}

KERNEL_INLINE vec cut_load(const void *from, cut end, int lane, int n)
{
    (void)lane;
    (void)n;
    return cut_clear(_mm_loadu_si128(from), end);
}

KERNEL_INLINE void cut_store(void *to, vec v, cut end, int lane, int n)
{
    (void)end;
    (void)lane;
    (void)n;
    _mm_storeu_si128(to, v);
}

#include "crypto/kernel_gcm.h"

const struct kw_gcm kw_gcm_aesni[2] = KERNEL_ROWS;
