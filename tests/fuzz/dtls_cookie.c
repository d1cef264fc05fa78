/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies of strangers. The input is one, or, after an even first byte, XOR over a true one: only
 * the true one comes back, with what was put in.
 */
#include "dtls/cookie.h"

#include "base/assert.h"
#include "dtls/limits.h"
#include "support/toy_crypto.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t address[] = {10, 0, 0, 1, 0x13, 0x88};
    static const struct kw_cookie true_cookie = {.suite = 0x1301, .group = 0x1d, .hash_len = 32};
    static struct kw_dtls_shared shared;
    const struct kw_bytes binding = {address, sizeof address};
    struct kw_cookie cookie = {.suite = 0};
    uint8_t bytes[KW_COOKIE_MAX], changed = 0;
    struct kw_bytes given = {data, size};
    enum kw_verdict verdict;
    kw_ns later;
    size_t len;

    if (size < 2)
        return 0;
    if (shared.crypto == NULL) {
        shared.crypto = toy_crypto_new(1);
        memset(shared.cookie_key, 0x42, sizeof shared.cookie_key);
    }
    later = KW_S(1000) + KW_DTLS_COOKIE_PERIOD * data[1];
    if (data[0] % 2 == 0) {
        KW_ASSERT(kw_cookie_create(&shared, binding, &true_cookie, KW_S(1000), bytes, &len) ==
                  KW_OK);
        for (size_t i = 0; i < size - 2 && i < len; i++) {
            bytes[i] ^= data[i + 2];
            changed |= data[i + 2];
        }
        given = (struct kw_bytes){bytes, len - data[0] / 2U % 2};
    }
    KW_ASSERT(kw_cookie_consume(&shared, binding, given, later, &cookie, &verdict) == KW_OK);
    if (data[0] % 4 != 0 || changed != 0) {
        KW_ASSERT(verdict == KW_DROP_FORGED);
        return 0;
    }
    KW_ASSERT(verdict == (data[1] <= KW_DTLS_COOKIE_PERIODS ? KW_ACCEPT : KW_DROP_EXPIRED));
    KW_ASSERT(cookie.suite == true_cookie.suite && cookie.group == true_cookie.group);
    KW_ASSERT(cookie.hash_len == true_cookie.hash_len);
    return 0;
}
