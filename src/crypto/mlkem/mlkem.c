/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheme on top of the polynomials: t = A s + e is the public key; a ciphertext hides a
 * message under fresh noise, u = A^T y + e1 and v = t y + e2 + message; decapsulation decrypts,
 * encrypts again and compares. Secrets live in one struct per function, wiped at its end.
 */
#include "crypto/mlkem/mlkem.h"

#include "crypto/mlkem/keccak.h"

#include <string.h>

enum { K = KW_MLKEM768_K, U_BYTES = 320 };

/* Marks what is made of secrets but public itself, for the test that follows secrets around. */
#ifndef KW_MLKEM_REVEAL
#define KW_MLKEM_REVEAL(mem, len) ((void)0)
#endif

static void multiply_vectors(const struct kw_poly a[K], const struct kw_poly b[K],
                             const struct kw_poly_cache b_cache[K], struct kw_poly *ret)
{
    struct kw_poly_sum sum = {0};

    for (size_t j = 0; j < K; j++)
        kw_poly_sum_add(&sum, &a[j], &b[j], &b_cache[j]);
    kw_poly_sum_reduce(&sum, ret);
    kw_wipe(&sum, sizeof sum);
}

/*
 * Row i of the matrix A, or column i, times a vector; divided by 2^16. The row is sampled when it
 * is needed; the sampler's fourth place is idle.
 */
static void multiply_matrix(const uint8_t rho[32], uint8_t i, bool transposed,
                            const struct kw_poly vector[K], const struct kw_poly_cache cache[K],
                            struct kw_poly *ret)
{
    struct kw_poly row[K + 1];
    uint16_t tails[K + 1];

    /* FIPS 203, algorithm 13: A[i, j] = SampleNTT(rho || j || i). */
    for (unsigned j = 0; j <= K; j++)
        tails[j] = (uint16_t)(transposed ? i | j << 8 : j | (unsigned)i << 8);
    kw_poly_sample_uniform(row, rho, tails);
    multiply_vectors(row, vector, cache, ret);
}

/* K-PKE.KeyGen, algorithm 13, and the hash of the public key. */
void kw_mlkem768_keygen(const uint8_t seed[KW_MLKEM768_SEED_LEN], struct kw_mlkem768_key *ret,
                        uint8_t ek[KW_MLKEM768_EK_LEN])
{
    static const uint8_t k = K;
    struct {
        uint8_t seeds[64]; /* rho || sigma */
        struct kw_poly noise[8];
        struct kw_poly_cache cache[K];
    } w;
    const struct kw_poly *s = w.noise;
    struct kw_poly *e = w.noise + K;

    kw_sha3_512(w.seeds, seed, 32, &k, 1);
    memcpy(ret->rho, w.seeds, 32);
    KW_MLKEM_REVEAL(ret->rho, sizeof ret->rho); /* it is the end of the public key */
    memcpy(ret->z, seed + 32, 32);
    kw_poly_sample_noise(w.noise, w.seeds + 32, 0);
    kw_poly_sample_noise(w.noise + 4, w.seeds + 32, 4);
    for (size_t i = 0; i < K; i++) {
        ret->s[i] = s[i];
        kw_poly_ntt(&ret->s[i]);
        kw_poly_cache(&ret->s[i], &w.cache[i]);
    }
    for (uint8_t i = 0; i < K; i++) {
        multiply_matrix(ret->rho, i, false, ret->s, w.cache, &ret->t[i]);
        kw_poly_scale(&ret->t[i]);
        kw_poly_ntt(&e[i]);
        kw_poly_add(&ret->t[i], &e[i]);
        kw_poly_reduce(&ret->t[i]);
        kw_poly_write(&ret->t[i], ek + i * KW_POLY_BYTES);
    }
    memcpy(ek + K * KW_POLY_BYTES, ret->rho, 32);
    kw_sha3_256(ret->ek_hash, ek, KW_MLKEM768_EK_LEN);
    kw_wipe(&w, sizeof w);
}

/* K-PKE.Encrypt, algorithm 14. */
static void encrypt(const struct kw_poly t[K], const uint8_t rho[32], const uint8_t message[32],
                    const uint8_t seed[32], uint8_t ct[KW_MLKEM768_CT_LEN])
{
    struct {
        struct kw_poly noise[8]; /* y, e1, e2, one to spare */
        struct kw_poly_cache cache[K];
        struct kw_poly sum, message;
    } w;
    struct kw_poly *y = w.noise;
    const struct kw_poly *e1 = w.noise + K, *e2 = w.noise + 2 * K;

    kw_poly_sample_noise(w.noise, seed, 0);
    kw_poly_sample_noise(w.noise + 4, seed, 4);
    for (size_t i = 0; i < K; i++) {
        kw_poly_ntt(&y[i]);
        kw_poly_cache(&y[i], &w.cache[i]);
    }
    for (uint8_t i = 0; i < K; i++) {
        multiply_matrix(rho, i, true, y, w.cache, &w.sum);
        kw_poly_ntt_inverse(&w.sum);
        kw_poly_add(&w.sum, &e1[i]);
        kw_poly_reduce(&w.sum);
        kw_poly_write10(&w.sum, ct + i * U_BYTES);
    }
    multiply_vectors(t, y, w.cache, &w.sum);
    kw_poly_ntt_inverse(&w.sum);
    kw_poly_add(&w.sum, e2);
    kw_poly_read1(message, &w.message);
    kw_poly_add(&w.sum, &w.message);
    kw_poly_reduce(&w.sum);
    kw_poly_write4(&w.sum, ct + K * U_BYTES);
    kw_wipe(&w, sizeof w);
}

/* K-PKE.Decrypt, algorithm 15: message = v - s u. */
static void decrypt(const struct kw_poly s[K], const uint8_t ct[KW_MLKEM768_CT_LEN],
                    uint8_t message[32])
{
    struct {
        struct kw_poly u[K];
        struct kw_poly_cache cache[K];
        struct kw_poly product, v;
    } w;

    for (size_t i = 0; i < K; i++) {
        kw_poly_read10(ct + i * U_BYTES, &w.u[i]);
        kw_poly_ntt(&w.u[i]);
        kw_poly_cache(&w.u[i], &w.cache[i]);
    }
    multiply_vectors(s, w.u, w.cache, &w.product);
    kw_poly_ntt_inverse(&w.product);
    kw_poly_read4(ct + K * U_BYTES, &w.v);
    kw_poly_subtract(&w.v, &w.product);
    kw_poly_reduce(&w.v);
    kw_poly_write1(&w.v, message);
    kw_wipe(&w, sizeof w);
}

bool kw_mlkem768_encaps(const uint8_t ek[KW_MLKEM768_EK_LEN],
                        const uint8_t message[KW_MLKEM768_MESSAGE_LEN],
                        uint8_t ct[KW_MLKEM768_CT_LEN], uint8_t secret[KW_MLKEM768_SECRET_LEN])
{
    struct kw_poly t[K];
    uint8_t ek_hash[32], derived[64]; /* shared secret || seed of the noise */
    bool below = true;

    /* FIPS 203, section 7.2: the encapsulation key shall be checked before it is used. */
    for (size_t i = 0; i < K; i++)
        below &= kw_poly_read(ek + i * KW_POLY_BYTES, &t[i]);
    if (!below)
        return false;

    kw_sha3_256(ek_hash, ek, KW_MLKEM768_EK_LEN);
    kw_sha3_512(derived, message, KW_MLKEM768_MESSAGE_LEN, ek_hash, sizeof ek_hash);
    encrypt(t, ek + K * KW_POLY_BYTES, message, derived + 32, ct);
    memcpy(secret, derived, KW_MLKEM768_SECRET_LEN);
    kw_wipe(derived, sizeof derived);
    return true;
}

/* 0xff when both are equal, else 0, without a branch. */
static uint8_t equal_mask(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint32_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= (uint32_t)(a[i] ^ b[i]);
    __asm__("" : "+r"(diff));
    return (uint8_t)((diff - 1) >> 8);
}

void kw_mlkem768_decaps(const struct kw_mlkem768_key *key, const uint8_t ct[KW_MLKEM768_CT_LEN],
                        uint8_t secret[KW_MLKEM768_SECRET_LEN])
{
    struct {
        uint8_t message[32];
        uint8_t derived[64];
        uint8_t rejected[KW_MLKEM768_SECRET_LEN];
        uint8_t again[KW_MLKEM768_CT_LEN];
    } w;
    uint8_t ours;

    decrypt(key->s, ct, w.message);
    kw_sha3_512(w.derived, w.message, sizeof w.message, key->ek_hash, sizeof key->ek_hash);
    kw_shake256(w.rejected, sizeof w.rejected, key->z, sizeof key->z, ct, KW_MLKEM768_CT_LEN);
    encrypt(key->t, key->rho, w.message, w.derived + 32, w.again);

    ours = equal_mask(ct, w.again, KW_MLKEM768_CT_LEN);
    for (size_t i = 0; i < KW_MLKEM768_SECRET_LEN; i++)
        secret[i] = (uint8_t)((w.derived[i] & ours) | (w.rejected[i] & (uint8_t)~ours));
    kw_wipe(&w, sizeof w);
}
