/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU can run, by CPUID; for 256-bit registers also whether the system saves them. */
#include "crypto/packet_kernel.h"

#include <cpuid.h>

enum {
    XCR0_SSE_AND_AVX = 6,
    XCR0_AVX512 = 0xe0, /* mask registers, upper halves, registers 16 to 31 */
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

static bool system_saves(unsigned registers)
{
    unsigned low, high, ebx, ecx;

    if (!leaf(1, &ebx, &ecx) || (ecx & bit_OSXSAVE) == 0)
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & registers) == registers;
}

bool kw_cpu_has_vaes(void)
{
    unsigned ebx, ecx;

    return kw_cpu_has_aesni() && system_saves(XCR0_SSE_AND_AVX) && leaf(7, &ebx, &ecx) &&
           (ebx & bit_AVX2) != 0 && (ecx & bit_VAES) != 0 && (ecx & bit_VPCLMULQDQ) != 0;
}

bool kw_cpu_has_vaes512(void)
{
    const unsigned needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned ebx, ecx;

    return kw_cpu_has_vaes() && system_saves(XCR0_SSE_AND_AVX | XCR0_AVX512) &&
           leaf(7, &ebx, &ecx) && (ebx & needed) == needed;
}
