/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control of check-kernel-code: functions with the names of a kernel's, each with one way for a
 * secret to get into a branch or an address. Compiled, never run.
 */
#include "crypto/packet_kernel.h"

#include <immintrin.h>

static const uint8_t table[256] = {1, 2, 3};

#define ENTRY(name)                                                                                \
    enum kw_verdict name(const struct kw_gcm_key *key, const struct kw_packet *packet);            \
    enum kw_verdict name(const struct kw_gcm_key *key, const struct kw_packet *packet)

static __m128i key_block(const struct kw_gcm_key *key)
{
    return _mm_load_si128((const __m128i *)(const void *)key->bytes);
}

static __m128i tag_block(const struct kw_packet *packet)
{
    return _mm_loadu_si128((const __m128i *)(const void *)packet->tag);
}

/* a table indexed by a byte of the key */
ENTRY(seal_128)
{
    packet->tag[0] = table[key->bytes[0]];
    return KW_ACCEPT;
}

/* a branch on a word that was in a vector */
ENTRY(seal_256)
{
    __m128i mixed = _mm_xor_si128(key_block(key), tag_block(packet));

    return _mm_cvtsi128_si32(mixed) > 5 ? KW_ACCEPT : KW_DROP_FORGED;
}

/* a table indexed by a byte of the body */
ENTRY(open_128)
{
    (void)key;
    packet->tag[0] = table[packet->body[3]];
    return KW_ACCEPT;
}

/* a tag compared byte by byte */
ENTRY(open_256)
{
    for (size_t i = 0; i < KW_TAG_LEN; i++) {
        if (key->bytes[i] != packet->tag[i])
            return KW_DROP_FORGED;
    }
    return KW_ACCEPT;
}

/* flags made of a vector */
ENTRY(verify_128)
{
    return _mm_testz_si128(key_block(key), tag_block(packet)) ? KW_ACCEPT : KW_DROP_FORGED;
}

/* two comparisons, of which one is not the tag's */
ENTRY(verify_256)
{
    int first = _mm_movemask_epi8(_mm_cmpeq_epi8(key_block(key), tag_block(packet)));
    int second = _mm_movemask_epi8(key_block(key));

    return first == 0xffff && second != 0 ? KW_ACCEPT : KW_DROP_FORGED;
}

/* a mask that says which bytes of two secrets are equal, and with it which are written */
ENTRY(leaky_mask)
{
    __mmask16 equal = _mm_cmpeq_epi8_mask(key_block(key), tag_block(packet));

    _mm_mask_storeu_epi8(packet->body, equal, key_block(key));
    return KW_ACCEPT;
}

enum kw_status x86_init_128(struct kw_gcm_key *key, struct kw_crypto *crypto,
                            const uint8_t *cipher_key, bool for_sealing);
enum kw_status x86_init_256(struct kw_gcm_key *key, struct kw_crypto *crypto,
                            const uint8_t *cipher_key, bool for_sealing);

/* the key schedule with a table */
enum kw_status x86_init_128(struct kw_gcm_key *key, struct kw_crypto *crypto,
                            const uint8_t *cipher_key, bool for_sealing)
{
    (void)crypto;
    (void)for_sealing;
    key->bytes[0] = table[cipher_key[0]];
    return KW_OK;
}

/* a secret through the stack: stored as a vector, read as a word */
enum kw_status x86_init_256(struct kw_gcm_key *key, struct kw_crypto *crypto,
                            const uint8_t *cipher_key, bool for_sealing)
{
    volatile __m128i slot = _mm_loadu_si128((const __m128i *)(const void *)cipher_key);

    (void)crypto;
    (void)for_sealing;
    if (*(const volatile uint32_t *)(const volatile void *)&slot & 1)
        key->bytes[0] = 1;
    return KW_OK;
}
