/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints as signalling spells them: what is read is spelled the same way again. */
#include <keywheel/crypto.h>

#include "base/assert.h"

#include <strings.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_fingerprint fingerprint, same;
    char text[KW_FINGERPRINT_TEXT_MAX];
    size_t len;

    if (!kw_fingerprint_parse((struct kw_bytes){data, size}, &fingerprint))
        return 0;
    len = kw_fingerprint_format(&fingerprint, text);
    KW_ASSERT(len == size && strncasecmp(text, (const char *)data, len) == 0);
    KW_ASSERT(kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)text, len}, &same));
    KW_ASSERT(kw_fingerprint_equal(&fingerprint, &same));
    return 0;
}
