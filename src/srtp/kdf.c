/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session keys out of the master key. RFC 3711, section 4.3.1: x = key_id XOR master_salt, where
 * key_id = label || r and r = 0 because the key derivation rate is zero; the pseudo-random function
 * is AES-CM keyed with the master key and started at x * 2^16. RFC 7714, section 11: the 96-bit
 * salt of AEAD is padded with 16 zero bits on the right. RFC 6188 does the same with a 256-bit key.
 */
#include "srtp/context.h"

#include "base/assert.h"

#include <string.h>

enum { LABEL_AT = 7 }; /* label || 48-bit r fills the low seven bytes of the 14-byte salt */

enum kw_status kw_srtp_derive(struct kw_crypto *crypto, const struct kw_srtp_master *master,
                              enum kw_srtp_label label, uint8_t *dst, size_t dst_len)
{
    enum kw_aead aead = master->key_len == 32 ? KW_AES_256_GCM : KW_AES_128_GCM;
    uint8_t counter[KW_MASK_LEN] = {0};
    uint8_t block[KW_MASK_LEN];
    struct kw_mask_key *cipher;
    enum kw_status status;

    memcpy(counter, master->salt, master->salt_len);
    counter[LABEL_AT] ^= (uint8_t)label;

    status = crypto->ops->mask_new(crypto, aead, master->key, &cipher);
    if (status != KW_OK)
        goto out;
    for (size_t at = 0; status == KW_OK && at < dst_len; at += sizeof block) {
        status = crypto->ops->mask(cipher, counter, block);
        if (status == KW_OK)
            memcpy(dst + at, block, KW_MIN(dst_len - at, sizeof block));
        counter[15]++;
    }
    crypto->ops->mask_free(cipher);
out:
    kw_wipe(counter, sizeof counter);
    kw_wipe(block, sizeof block);
    return status;
}
