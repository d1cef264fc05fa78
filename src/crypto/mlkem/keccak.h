/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_MLKEM_KECCAK_H
#define KW_CRYPTO_MLKEM_KECCAK_H

/* The sponges of FIPS 202 that ML-KEM uses: SHA3-256, SHA3-512, SHAKE128 and SHAKE256. */

#include <keywheel/base.h>

enum {
    KW_SHAKE128_RATE = 168,
    KW_SHAKE256_RATE = 136,
    KW_SHA3_256_RATE = 136,
    KW_SHA3_512_RATE = 72,
};

/* Absorb, then finish once, then squeeze. Holds what it absorbed: wipe it after secrets. */
struct kw_keccak {
    uint64_t lanes[25];
    uint8_t rate; /* bytes per permutation */
    uint8_t at;   /* bytes of the current block that are used */
};

void kw_keccak_init(struct kw_keccak *keccak, uint8_t rate);
void kw_keccak_absorb(struct kw_keccak *keccak, const uint8_t *data, size_t len);
void kw_shake_finish(struct kw_keccak *keccak);
void kw_sha3_finish(struct kw_keccak *keccak);
void kw_keccak_squeeze(struct kw_keccak *keccak, uint8_t *dst, size_t len);

/* Of a || b; the state is wiped. */
void kw_sha3_256(uint8_t dst[32], const uint8_t *a, size_t a_len);
void kw_sha3_512(uint8_t dst[64], const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);
void kw_shake256(uint8_t *dst, size_t len, const uint8_t *a, size_t a_len, const uint8_t *b,
                 size_t b_len);

/*
 * Four independent SHAKEs of seed || tail_i at once, for messages that fit one block. tail_len is 1
 * or 2 bytes, little endian in tails. Each call gives one block (rate bytes) of each.
 */
struct kw_keccak_four {
    uint64_t lanes[25][4];
    uint8_t rate;
};

void kw_shake_four_init(struct kw_keccak_four *four, uint8_t rate, const uint8_t seed[32],
                        const uint16_t tails[4], size_t tail_len);
void kw_shake_four_block(struct kw_keccak_four *four, uint8_t *const dst[4]);

#endif
