/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's ML-KEM-768 key or ciphertext: patches over a true one, each {at (two bytes), XOR}. FIPS
 * 203, section 7.2: a key with a coefficient that is not below q is refused, and only such a one.
 * Whatever the ciphertext, decapsulation yields a secret, ours only for the true one.
 */
#include "crypto/mlkem/mlkem.h"

#include "base/assert.h"
#include "base/reader.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { Q = 3329 };

static void patch(struct kw_reader *in, uint8_t *bytes, size_t len)
{
    while (kw_reader_left(in) >= 3) {
        size_t at = kw_read_u16(in) % len;

        bytes[at] ^= kw_read_u8(in);
    }
}

static bool is_reduced(const uint8_t *ek)
{
    for (size_t i = 0; i < 3 * KW_POLY_BYTES; i += 3) {
        if ((ek[i] | (ek[i + 1] & 15) << 8) >= Q || (ek[i + 1] >> 4 | ek[i + 2] << 4) >= Q)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[KW_MLKEM768_SEED_LEN] = {1}, message[KW_MLKEM768_MESSAGE_LEN] = {2};
    static struct kw_mlkem768_key key;
    static uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN], ours[KW_MLKEM768_SECRET_LEN];
    uint8_t hostile_ek[KW_MLKEM768_EK_LEN], hostile_ct[KW_MLKEM768_CT_LEN];
    uint8_t secret[KW_MLKEM768_SECRET_LEN];
    struct kw_reader in = kw_reader_of(data, size);
    bool taken;

    if (ours[0] == 0 && ours[1] == 0) {
        kw_mlkem768_keygen(seed, &key, ek);
        KW_ASSERT(kw_mlkem768_encaps(ek, message, ct, ours));
    }
    if (kw_read_u8(&in) & 1) {
        memcpy(hostile_ek, ek, sizeof ek);
        patch(&in, hostile_ek, sizeof hostile_ek);
        taken = kw_mlkem768_encaps(hostile_ek, message, hostile_ct, secret);
        KW_ASSERT(taken == is_reduced(hostile_ek));
        if (taken)
            KW_ASSERT((memcmp(secret, ours, sizeof ours) == 0) ==
                      (memcmp(hostile_ek, ek, sizeof ek) == 0));
        return 0;
    }
    memcpy(hostile_ct, ct, sizeof ct);
    patch(&in, hostile_ct, sizeof hostile_ct);
    kw_mlkem768_decaps(&key, hostile_ct, secret);
    KW_ASSERT((memcmp(secret, ours, sizeof ours) == 0) == (memcmp(hostile_ct, ct, sizeof ct) == 0));
    return 0;
}
