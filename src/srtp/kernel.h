/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SRTP_KERNEL_H
#define KW_SRTP_KERNEL_H

#include <keywheel/srtp.h>

#include "crypto/packet_kernel.h"

struct kw_srtp_kernel {
    const char *name;
    enum kw_srtp_kernel_kind kind;
    const struct kw_gcm *gcm; /* two rows: AES-128, AES-256 */
    bool (*runs_here)(void);  /* NULL: everywhere */
};

/* The kernel's row for this profile; NULL for AES_CM, which needs none. */
const struct kw_gcm *kw_srtp_kernel_gcm(const struct kw_srtp_kernel *kernel,
                                        enum kw_srtp_profile profile);

/* Seals, verifies and opens known packets; false when a single byte differs. */
bool kw_srtp_kernel_check(const struct kw_gcm *gcm, struct kw_crypto *crypto);

#endif
