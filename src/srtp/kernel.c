/* SPDX-License-Identifier: Apache-2.0 */
/* Which packet kernel runs: the best one that this CPU has and that gives the known answers. */
#include "srtp/kernel.h"

#include <string.h>

static const struct kw_srtp_kernel kernels[] = {
#ifdef KW_HAVE_X86_KERNELS
    {"vaes512", KW_SRTP_KERNEL_VAES512, kw_gcm_vaes512, kw_cpu_has_vaes512},
    {"vaes", KW_SRTP_KERNEL_VAES, kw_gcm_vaes, kw_cpu_has_vaes},
    {"aesni", KW_SRTP_KERNEL_AESNI, kw_gcm_aesni, kw_cpu_has_aesni},
#endif
    {"evp", KW_SRTP_KERNEL_EVP, kw_gcm_evp, NULL},
};

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool is_usable(const struct kw_srtp_kernel *kernel, struct kw_crypto *crypto)
{
    if (kernel->runs_here != NULL && !kernel->runs_here())
        return false;
    return kw_srtp_kernel_check(&kernel->gcm[0], crypto) &&
           kw_srtp_kernel_check(&kernel->gcm[1], crypto);
}

const struct kw_srtp_kernel *kw_srtp_kernel_select(struct kw_crypto *crypto, const char *name)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if ((name == NULL || same_name(name, kernels[i].name)) && is_usable(&kernels[i], crypto))
            return &kernels[i];
    }
    return NULL;
}

const char *kw_srtp_kernel_name(const struct kw_srtp_kernel *kernel)
{
    return kernel->name;
}

const struct kw_gcm *kw_srtp_kernel_gcm(const struct kw_srtp_kernel *kernel,
                                        enum kw_srtp_profile profile)
{
    for (size_t i = 0; i < 2; i++) {
        if (kernel->gcm[i].profile == profile)
            return &kernel->gcm[i];
    }
    return NULL;
}
