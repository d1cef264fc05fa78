/* SPDX-License-Identifier: Apache-2.0 */
/* A peer's certificate: what is accepted lies inside the input and keeps the promised bounds. */
#include "crypto/cert.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct kw_bytes view, const uint8_t *data, size_t size)
{
    return view.data >= data && view.len <= size && view.data + view.len <= data + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_cert_key key;

    if (kw_cert_parse((struct kw_bytes){data, size}, &key) != KW_ACCEPT)
        return 0;
    switch (key.type) {
    case KW_CERT_P256:
    case KW_CERT_P384:
        KW_ASSERT(inside(key.point, data, size) && key.point.data[0] == 4);
        KW_ASSERT(key.point.len == (key.type == KW_CERT_P256 ? 65 : 97));
        break;
    case KW_CERT_RSA:
        KW_ASSERT(inside(key.modulus, data, size) && inside(key.exponent, data, size));
        KW_ASSERT(key.modulus.len >= 256 && key.modulus.len <= 512 && key.modulus.data[0] != 0);
        KW_ASSERT(key.exponent.len >= 1 && key.exponent.len <= 4);
        break;
    }
    return 0;
}
