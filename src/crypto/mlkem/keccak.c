/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FIPS 202: a sponge of 25 lanes of 64 bits. The round is written as its five steps over arrays
 * with constant indices; the compiler unrolls them and keeps the lanes in registers.
 */
#include "crypto/mlkem/keccak.h"

#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return n == 0 ? x : x << n | x >> (64 - n);
}

static void permute(uint64_t lanes[25])
{
    static const uint64_t round_constants[24] = {
        0x0000000000000001U, 0x0000000000008082U, 0x800000000000808aU, 0x8000000080008000U,
        0x000000000000808bU, 0x0000000080000001U, 0x8000000080008081U, 0x8000000000008009U,
        0x000000000000008aU, 0x0000000000000088U, 0x0000000080008009U, 0x000000008000000aU,
        0x000000008000808bU, 0x800000000000008bU, 0x8000000000008089U, 0x8000000000008003U,
        0x8000000000008002U, 0x8000000000000080U, 0x000000000000800aU, 0x800000008000000aU,
        0x8000000080008081U, 0x8000000000008080U, 0x0000000080000001U, 0x8000000080008008U,
    };
    /* Lane (x, y) is number x + 5 y; rho turns it, pi moves it to (y, 2 x + 3 y). */
    static const uint8_t turns[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                      25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
    uint64_t a[25], b[25], c[5], d[5];

    memcpy(a, lanes, sizeof a);
    for (size_t round = 0; round < 24; round++) {
#pragma GCC unroll 5
        for (size_t x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
#pragma GCC unroll 5
        for (size_t x = 0; x < 5; x++)
            d[x] = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);
#pragma GCC unroll 25
        for (size_t i = 0; i < 25; i++) {
            size_t x = i % 5, y = i / 5;

            b[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(a[i] ^ d[x], turns[i]);
        }
#pragma GCC unroll 25
        for (size_t i = 0; i < 25; i++) {
            size_t x = i % 5, row = i - x;

            a[i] = b[i] ^ (~b[row + (x + 1) % 5] & b[row + (x + 2) % 5]);
        }
        a[0] ^= round_constants[round];
    }
    memcpy(lanes, a, sizeof a);
}

/* The state is bytes in little-endian lanes. */
static void xor_byte(struct kw_keccak *keccak, size_t at, uint8_t byte)
{
    keccak->lanes[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

void kw_keccak_init(struct kw_keccak *keccak, uint8_t rate)
{
    *keccak = (struct kw_keccak){.rate = rate};
}

static uint64_t load(const uint8_t *src)
{
    uint64_t lane;

    memcpy(&lane, src, sizeof lane);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? lane : __builtin_bswap64(lane);
}

void kw_keccak_absorb(struct kw_keccak *keccak, const uint8_t *data, size_t len)
{
    while (len > 0) {
        if (keccak->at % 8 == 0 && len >= 8) {
            keccak->lanes[keccak->at / 8] ^= load(data);
            keccak->at = (uint8_t)(keccak->at + 8);
            data += 8;
            len -= 8;
        } else {
            xor_byte(keccak, keccak->at++, *data++);
            len--;
        }
        if (keccak->at == keccak->rate) {
            permute(keccak->lanes);
            keccak->at = 0;
        }
    }
}

static void finish(struct kw_keccak *keccak, uint8_t suffix)
{
    xor_byte(keccak, keccak->at, suffix);
    xor_byte(keccak, keccak->rate - 1U, 0x80);
    keccak->at = keccak->rate; /* nothing squeezed yet */
}

void kw_shake_finish(struct kw_keccak *keccak)
{
    finish(keccak, 0x1f);
}

void kw_sha3_finish(struct kw_keccak *keccak)
{
    finish(keccak, 0x06);
}

void kw_keccak_squeeze(struct kw_keccak *keccak, uint8_t *dst, size_t len)
{
    while (len > 0) {
        if (keccak->at == keccak->rate) {
            permute(keccak->lanes);
            keccak->at = 0;
        }
        if (keccak->at % 8 == 0 && len >= 8) {
            uint64_t lane = load((const uint8_t *)&keccak->lanes[keccak->at / 8]);

            memcpy(dst, &lane, 8);
            keccak->at = (uint8_t)(keccak->at + 8);
            dst += 8;
            len -= 8;
        } else {
            *dst++ = (uint8_t)(keccak->lanes[keccak->at / 8] >> (8 * (keccak->at % 8)));
            keccak->at++;
            len--;
        }
    }
}

void kw_sha3_256(uint8_t dst[32], const uint8_t *a, size_t a_len)
{
    struct kw_keccak keccak;

    kw_keccak_init(&keccak, KW_SHA3_256_RATE);
    kw_keccak_absorb(&keccak, a, a_len);
    kw_sha3_finish(&keccak);
    kw_keccak_squeeze(&keccak, dst, 32);
    kw_wipe(&keccak, sizeof keccak);
}

void kw_sha3_512(uint8_t dst[64], const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    struct kw_keccak keccak;

    kw_keccak_init(&keccak, KW_SHA3_512_RATE);
    kw_keccak_absorb(&keccak, a, a_len);
    kw_keccak_absorb(&keccak, b, b_len);
    kw_sha3_finish(&keccak);
    kw_keccak_squeeze(&keccak, dst, 64);
    kw_wipe(&keccak, sizeof keccak);
}

void kw_shake256(uint8_t *dst, size_t len, const uint8_t *a, size_t a_len, const uint8_t *b,
                 size_t b_len)
{
    struct kw_keccak keccak;

    kw_keccak_init(&keccak, KW_SHAKE256_RATE);
    kw_keccak_absorb(&keccak, a, a_len);
    kw_keccak_absorb(&keccak, b, b_len);
    kw_shake_finish(&keccak);
    kw_keccak_squeeze(&keccak, dst, len);
    kw_wipe(&keccak, sizeof keccak);
}
