/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU can run, by CPUID; for 256-bit registers also whether the system saves them. */
#include "crypto/packet_kernel.h"

#include <cpuid.h>

enum {
    XCR0_SSE_AND_AVX = 6,
};

static bool leaf(unsigned number, unsigned *ebx, unsigned *ecx)
{
    unsigned eax, edx;

    return __get_cpuid_count(number, 0, &eax, ebx, ecx, &edx) != 0;
}

bool kw_cpu_has_aesni(void)
{
    const unsigned needed = bit_AES | bit_PCLMUL | bit_SSSE3 | bit_SSE4_1;
    unsigned ebx, ecx;

    return leaf(1, &ebx, &ecx) && (ecx & needed) == needed;
}

static bool system_saves_avx(void)
{
    unsigned low, high, ebx, ecx;

    if (!leaf(1, &ebx, &ecx) || (ecx & bit_OSXSAVE) == 0)
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & XCR0_SSE_AND_AVX) == XCR0_SSE_AND_AVX;
}

bool kw_cpu_has_vaes(void)
{
    unsigned ebx, ecx;

    return kw_cpu_has_aesni() && system_saves_avx() && leaf(7, &ebx, &ecx) &&
           (ebx & bit_AVX2) != 0 && (ecx & bit_VAES) != 0 && (ecx & bit_VPCLMULQDQ) != 0;
}
