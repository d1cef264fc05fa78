/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_MLKEM_MLKEM_H
#define KW_CRYPTO_MLKEM_MLKEM_H

/*
 * ML-KEM-768 (FIPS 203) for libcryptos that do not have it. Pure: randomness is handed in, nothing
 * is allocated, and neither time nor addresses depend on a secret.
 */

#include "crypto/mlkem/poly.h"

enum {
    KW_MLKEM768_K = 3,
    KW_MLKEM768_SEED_LEN = 64, /* d || z */
    KW_MLKEM768_EK_LEN = 3 * KW_POLY_BYTES + 32,
    KW_MLKEM768_CT_LEN = 3 * 320 + 128,
    KW_MLKEM768_MESSAGE_LEN = 32,
    KW_MLKEM768_SECRET_LEN = 32,
};

/* A decapsulation key, unpacked. Secret: wipe it. */
struct kw_mlkem768_key {
    struct kw_poly s[KW_MLKEM768_K]; /* secret vector, transformed */
    struct kw_poly t[KW_MLKEM768_K]; /* public vector, transformed */
    uint8_t rho[32];                 /* seed of the public matrix */
    uint8_t ek_hash[32];
    uint8_t z[32]; /* answers a ciphertext that is not ours */
};

/* Algorithm 16 with the randomness d || z handed in. Writes the encapsulation key. */
void kw_mlkem768_keygen(const uint8_t seed[KW_MLKEM768_SEED_LEN], struct kw_mlkem768_key *ret,
                        uint8_t ek[KW_MLKEM768_EK_LEN]);

/*
 * Algorithm 17 with the randomness m handed in. False, and nothing written: the key fails the
 * modulus check of section 7.2.
 */
KW_MUST_USE bool kw_mlkem768_encaps(const uint8_t ek[KW_MLKEM768_EK_LEN],
                                    const uint8_t message[KW_MLKEM768_MESSAGE_LEN],
                                    uint8_t ct[KW_MLKEM768_CT_LEN],
                                    uint8_t secret[KW_MLKEM768_SECRET_LEN]);

/* Algorithm 18. Cannot fail: a bad ciphertext yields a secret that nobody else has. */
void kw_mlkem768_decaps(const struct kw_mlkem768_key *key, const uint8_t ct[KW_MLKEM768_CT_LEN],
                        uint8_t secret[KW_MLKEM768_SECRET_LEN]);

#endif
