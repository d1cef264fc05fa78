/* SPDX-License-Identifier: Apache-2.0 */
/* STUN: read without harm, and nothing that does not authenticate is known afterwards. */
#include "ice/stun.h"

#include "base/assert.h"

#include <keywheel/ice.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A provider with one operation: a checksum in the place of HMAC-SHA1, so that a fuzzer meets it.
 */
static enum kw_status checksum(struct kw_crypto *crypto, struct kw_bytes key,
                               const struct kw_bytes *parts, size_t part_count,
                               uint8_t dst[KW_SHA1_LEN])
{
    (void)crypto;
    memset(dst, 0, KW_SHA1_LEN);
    for (size_t i = 0; i < part_count; i++) {
        for (size_t k = 0; k < parts[i].len; k++)
            dst[k % KW_SHA1_LEN] ^= parts[i].data[k];
    }
    for (size_t k = 0; k < key.len; k++)
        dst[k % KW_SHA1_LEN] ^= key.data[k];
    return KW_OK;
}

static enum kw_status count_up(void *ctx, uint8_t *dst, size_t len)
{
    uint8_t *next = ctx;

    for (size_t i = 0; i < len; i++)
        dst[i] = (*next)++;
    return KW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kw_crypto_ops ops = {.name = "checksum", .hmac_sha1 = checksum};
    static _Alignas(64) uint8_t mem[16384];
    struct kw_crypto crypto = {.ops = &ops};
    uint8_t counter = 0, out[KW_STUN_MESSAGE_MAX];
    struct kw_random random = {.fill = count_up, .ctx = &counter};
    struct kw_ice_params params = {
        .crypto = &crypto,
        .random = &random,
        .local = {.ufrag = "evtj", .pwd = "VOkJxbRl1RmTxUk/WvJxBt"},
        .remote = {.ufrag = "h6vY", .pwd = "0123456789012345678901"},
        .controlling = size % 2 == 1,
    };
    struct kw_path path = {.local = {.family = 4, .port = 1}, .remote = {.family = 4, .port = 2}};
    struct kw_path to;
    struct kw_stun_message message;
    struct kw_bytes ufrag;
    struct kw_ice *ice;
    size_t len;

    KW_ASSERT(kw_ice_size() <= sizeof mem);
    KW_ASSERT(kw_ice_init(mem, &params, 1, &ice) == KW_OK);
    if (kw_stun_local_ufrag(data, size, &ufrag))
        KW_ASSERT(ufrag.data > data && ufrag.data + ufrag.len < data + size);
    if (kw_ice_receive(ice, &path, data, size, 1) == KW_ACCEPT && !params.controlling)
        KW_ASSERT(kw_stun_parse(data, size, &message) == KW_ACCEPT);
    for (int i = 0; i < 20 && (len = kw_ice_transmit(ice, out, sizeof out, &to, 1)) != 0; i++)
        KW_ASSERT(kw_stun_parse(out, len, &message) == KW_ACCEPT);
    KW_ASSERT(!kw_ice_validated(ice, &path));
    kw_ice_deinit(ice);
    return 0;
}
