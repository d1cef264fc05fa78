/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FIPS 202: a sponge of 25 lanes of 64 bits. The round is written over arrays with constant
 * indices, which the compiler unrolls; two rounds go from one array to the other and back.
 */
#include "crypto/mlkem/keccak.h"

#include "crypto/mlkem/clones.h"

#include <string.h>

/*
 * One round from a to e. Lane (x, y) is number x + 5 y. Theta adds d[x] to it, rho turns it, pi
 * moves it to (y, 2 x + 3 y), so that the lane arriving at (x, y) is (x + 3 y, x). A macro, because
 * the lanes are either numbers or vectors of four.
 */
#define ROTATE(lane, n) ((n) == 0 ? (lane) : (lane) << (n) | (lane) >> (64 - (n)))
#define ROUND(type, a, e, constant)                                                                \
    do {                                                                                           \
        type c_[5], d_[5], b_[5];                                                                  \
        _Pragma("GCC unroll 5") for (unsigned x_ = 0; x_ < 5; x_++) c_[x_] =                       \
            (a)[x_] ^ (a)[x_ + 5] ^ (a)[x_ + 10] ^ (a)[x_ + 15] ^ (a)[x_ + 20];                    \
        _Pragma("GCC unroll 5") for (unsigned x_ = 0; x_ < 5; x_++) d_[x_] =                       \
            c_[(x_ + 4) % 5] ^ ROTATE(c_[(x_ + 1) % 5], 1);                                        \
        _Pragma("GCC unroll 5") for (unsigned y_ = 0; y_ < 5; y_++)                                \
        {                                                                                          \
            _Pragma("GCC unroll 5") for (unsigned x_ = 0; x_ < 5; x_++)                            \
            {                                                                                      \
                unsigned column_ = (x_ + 3 * y_) % 5, from_ = column_ + 5 * x_;                    \
                b_[x_] = (a)[from_] ^ d_[column_];                                                 \
                b_[x_] = ROTATE(b_[x_], turns[from_]);                                             \
            }                                                                                      \
            _Pragma("GCC unroll 5") for (unsigned x_ = 0; x_ < 5; x_++)(e)[5 * y_ + x_] =          \
                b_[x_] ^ (~b_[(x_ + 1) % 5] & b_[(x_ + 2) % 5]);                                   \
        }                                                                                          \
        (e)[0] ^= (constant);                                                                      \
    } while (0)

static const uint8_t turns[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                  25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
static const uint64_t round_constants[24] = {
    0x0000000000000001U, 0x0000000000008082U, 0x800000000000808aU, 0x8000000080008000U,
    0x000000000000808bU, 0x0000000080000001U, 0x8000000080008081U, 0x8000000000008009U,
    0x000000000000008aU, 0x0000000000000088U, 0x0000000080008009U, 0x000000008000000aU,
    0x000000008000808bU, 0x800000000000008bU, 0x8000000000008089U, 0x8000000000008003U,
    0x8000000000008002U, 0x8000000000000080U, 0x000000000000800aU, 0x800000008000000aU,
    0x8000000080008081U, 0x8000000000008080U, 0x0000000080000001U, 0x8000000080008008U,
};

KW_MLKEM_CLONES static void permute(uint64_t lanes[25])
{
    uint64_t a[25], e[25];

    memcpy(a, lanes, sizeof a);
    for (size_t round = 0; round < 24; round += 2) {
        ROUND(uint64_t, a, e, round_constants[round]);
        ROUND(uint64_t, e, a, round_constants[round + 1]);
    }
    memcpy(lanes, a, sizeof a);
}

/* Four states at once, a vector for each lane. */
typedef uint64_t lane4 __attribute__((vector_size(32)));

KW_MLKEM_CLONES static void permute_four(uint64_t lanes[25][4])
{
    lane4 a[25], e[25];

    memcpy(a, lanes, sizeof a);
    for (size_t round = 0; round < 24; round += 2) {
        ROUND(lane4, a, e, round_constants[round]);
        ROUND(lane4, e, a, round_constants[round + 1]);
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

void kw_shake_four_init(struct kw_keccak_four *four, uint8_t rate, const uint8_t seed[32],
                        const uint16_t tails[4], size_t tail_len)
{
    memset(four->lanes, 0, sizeof four->lanes);
    four->rate = rate;
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++)
            four->lanes[j][i] = load(seed + 8 * j);
        four->lanes[4][i] = tails[i] | (uint64_t)0x1f << (8 * tail_len);
        four->lanes[rate / 8 - 1][i] ^= (uint64_t)0x80 << 56;
    }
}

void kw_shake_four_block(struct kw_keccak_four *four, uint8_t *const dst[4])
{
    permute_four(four->lanes);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < four->rate / 8U; j++) {
            uint64_t lane = load((const uint8_t *)&four->lanes[j][i]);

            memcpy(dst[i] + 8 * j, &lane, 8);
        }
    }
}
