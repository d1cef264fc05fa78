/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers for a packet kernel, before it touches a real packet. The tag covers every byte of
 * the ciphertext, so a tag per length stands for the whole packet; opening gives the plaintext
 * back. The lengths reach every path of a kernel: nothing, less than a block behind whole ones, a
 * voice packet, several strides with a ragged end. Answers: OpenSSL, by way of Python's
 * cryptography.
 */
#include "srtp/kernel.h"

#include "base/assert.h"

#include <string.h>

enum { BODY_MAX = 1200, AAD_MAX = 72 };

static const struct {
    enum kw_srtp_profile profile;
    uint16_t body_len;
    uint8_t aad_len;
    uint8_t tag[KW_TAG_LEN];
} answers[] = {
    {KW_SRTP_AEAD_AES_128_GCM,
     0,
     12,
     {0xf5, 0xdd, 0x8b, 0xf9, 0x98, 0x08, 0x8e, 0xad, 0x7e, 0xb2, 0x75, 0x34, 0x71, 0xd1, 0xd1,
      0xaa}},
    {KW_SRTP_AEAD_AES_128_GCM,
     38,
     12,
     {0x80, 0xca, 0xe9, 0x40, 0x11, 0x11, 0x3d, 0xa5, 0x1a, 0xc0, 0x4d, 0x40, 0x16, 0x10, 0x3f,
      0x44}},
    {KW_SRTP_AEAD_AES_128_GCM,
     160,
     12,
     {0x9c, 0x20, 0xd4, 0x20, 0x9b, 0x79, 0xa7, 0x50, 0x15, 0xff, 0x86, 0xf9, 0xf5, 0xfa, 0xac,
      0xa1}},
    {KW_SRTP_AEAD_AES_128_GCM,
     333,
     28,
     {0x08, 0x2a, 0xed, 0x53, 0x1d, 0xba, 0xb6, 0x11, 0x0b, 0x48, 0x43, 0xdd, 0xef, 0xfc, 0x9b,
      0xa9}},
    {KW_SRTP_AEAD_AES_128_GCM,
     1200,
     72,
     {0xd2, 0x6d, 0x5f, 0x3d, 0xaa, 0xae, 0x9b, 0x4f, 0x1f, 0x3d, 0xb2, 0x6c, 0x6f, 0x41, 0xc4,
      0xef}},
    {KW_SRTP_AEAD_AES_256_GCM,
     0,
     12,
     {0x3f, 0xda, 0x53, 0x88, 0x24, 0xc6, 0x0b, 0x98, 0x16, 0x78, 0xa0, 0x5c, 0xff, 0x0d, 0x2a,
      0x70}},
    {KW_SRTP_AEAD_AES_256_GCM,
     38,
     12,
     {0xbb, 0xee, 0xbd, 0x07, 0x71, 0x68, 0xc3, 0x6a, 0x67, 0xf9, 0x0d, 0x6c, 0x7d, 0x04, 0x3d,
      0x31}},
    {KW_SRTP_AEAD_AES_256_GCM,
     160,
     12,
     {0x9a, 0x73, 0x0c, 0x67, 0xc8, 0xeb, 0xab, 0x4a, 0x68, 0xf0, 0x57, 0xad, 0x50, 0x5a, 0x06,
      0xa6}},
    {KW_SRTP_AEAD_AES_256_GCM,
     333,
     28,
     {0xec, 0xa8, 0x52, 0xa2, 0x72, 0xf9, 0x0f, 0x20, 0xeb, 0x9d, 0xad, 0x66, 0x8e, 0xb0, 0xf0,
      0x3c}},
    {KW_SRTP_AEAD_AES_256_GCM,
     1200,
     72,
     {0xdb, 0x3e, 0x6e, 0x74, 0x21, 0x4a, 0x8a, 0x4e, 0xb1, 0x75, 0xfa, 0xcf, 0x91, 0x6e, 0x2c,
      0x0d}},
};

struct known_packet {
    uint8_t aad[AAD_MAX + KW_TAG_LEN];
    uint8_t body[BODY_MAX + KW_TAG_LEN];
    uint8_t tag[KW_TAG_LEN];
};

static uint8_t plain_byte(size_t at)
{
    return (uint8_t)(at * 7 + at / 256 + 3);
}

static bool is_plain(const uint8_t *body, size_t body_len)
{
    for (size_t i = 0; i < body_len; i++) {
        if (body[i] != plain_byte(i))
            return false;
    }
    return true;
}

static bool is_zero(const uint8_t *body, size_t body_len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < body_len; i++)
        any |= body[i];
    return any == 0;
}

static struct kw_packet make_packet(struct known_packet *mem, size_t aad_len, size_t body_len)
{
    struct kw_packet packet = {
        .aad = mem->aad,
        .aad_len = aad_len,
        .body = mem->body,
        .body_len = body_len,
        .tag = mem->tag,
    };

    for (size_t i = 0; i < KW_NONCE_LEN; i++)
        packet.iv[i] = (uint8_t)(0xa0 + i);
    for (size_t i = 0; i < aad_len; i++)
        mem->aad[i] = (uint8_t)(i * 5 + 1);
    for (size_t i = 0; i < body_len; i++)
        mem->body[i] = plain_byte(i);
    return packet;
}

static bool check_one(const struct kw_gcm *gcm, struct kw_crypto *crypto, size_t row)
{
    struct known_packet mem = {0};
    size_t body_len = answers[row].body_len;
    struct kw_packet packet = make_packet(&mem, answers[row].aad_len, body_len);
    struct kw_gcm_key key = {0};
    uint8_t cipher_key[KW_KEY_MAX];
    bool ok;

    for (size_t i = 0; i < sizeof cipher_key; i++)
        cipher_key[i] = (uint8_t)i;
    if (gcm->init(&key, crypto, cipher_key, true) != KW_OK)
        return false;
    ok = gcm->seal(&key, &packet) == KW_ACCEPT &&
         memcmp(mem.tag, answers[row].tag, sizeof mem.tag) == 0;
    gcm->deinit(&key);
    if (!ok || gcm->init(&key, crypto, cipher_key, false) != KW_OK)
        return false;

    ok = gcm->verify(&key, &packet) == KW_ACCEPT && gcm->open(&key, &packet) == KW_ACCEPT &&
         is_plain(mem.body, body_len);
    /* What is plain now is a forgery under the same tag. */
    ok = ok && (body_len == 0 ||
                (gcm->verify(&key, &packet) == KW_DROP_FORGED && is_plain(mem.body, body_len) &&
                 gcm->open(&key, &packet) == KW_DROP_FORGED && is_zero(mem.body, body_len)));
    gcm->deinit(&key);
    return ok;
}

bool kw_srtp_kernel_check(const struct kw_gcm *gcm, struct kw_crypto *crypto)
{
    bool ok = true;

    for (size_t i = 0; i < KW_ARRAY_LEN(answers); i++)
        ok = ok && (answers[i].profile != gcm->profile || check_one(gcm, crypto, i));
    return ok;
}
