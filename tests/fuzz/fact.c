/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical facts: whatever is accepted is spelled by write() exactly as it came. */
#include <keywheel/audit.h>

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[KW_FACT_BYTES_MAX];
    struct kw_fact fact;

    if (!kw_fact_parse((struct kw_bytes){data, size}, &fact))
        return 0;
    KW_ASSERT(kw_fact_write(&fact, again, sizeof again) == size);
    KW_ASSERT(memcmp(data, again, size) == 0);
    return 0;
}
