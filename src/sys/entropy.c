/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/entropy.h"

#include <errno.h>
#include <sys/random.h>

static enum kw_status fill(void *ctx, uint8_t *dst, size_t len)
{
    size_t done = 0;

    (void)ctx;
    while (done < len) {
        ssize_t n = getrandom(dst + done, len - done, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return KW_ERR_RANDOM;
        done += (size_t)n;
    }
    return KW_OK;
}

struct kw_random kw_sys_random(void)
{
    return (struct kw_random){.fill = fill};
}
