/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our ML-KEM-768 against libcrypto's, each way, for keys and ciphertexts drawn at random. Built
 * when libcrypto is 3.5 or newer: the one found by pkg-config, or the one under KW_OPENSSL35.
 */
#include "crypto/mlkem/mlkem.h"

#include "check.h"
#include "support/toy_crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <string.h>

enum { ROUNDS = 300 };

static EVP_PKEY *theirs(int selection, const char *name, const uint8_t *data, size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "ML-KEM-768", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(name, (void *)data, len),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    (void)EVP_PKEY_fromdata(ctx, &key, selection, params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void same_keys_and_secrets(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t at = seed;
        struct kw_random random = toy_random(&at);
        static struct kw_mlkem768_key key;
        uint8_t drawn[KW_MLKEM768_SEED_LEN], message[32];
        uint8_t ek[KW_MLKEM768_EK_LEN], their_ek[KW_MLKEM768_EK_LEN];
        uint8_t ct[KW_MLKEM768_CT_LEN], a[32], b[32];
        size_t ek_len = 0, ct_len = sizeof ct, a_len = sizeof a, b_len = sizeof b;
        EVP_PKEY *pair, *public_key;
        EVP_PKEY_CTX *ctx;

        assert_int_equal(kw_random_fill(&random, drawn, sizeof drawn), KW_OK);
        assert_int_equal(kw_random_fill(&random, message, sizeof message), KW_OK);
        kw_mlkem768_keygen(drawn, &key, ek);
        pair = theirs(EVP_PKEY_KEYPAIR, "seed", drawn, sizeof drawn);
        assert_non_null(pair);
        assert_int_equal(EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_PUB_KEY, their_ek,
                                                         sizeof their_ek, &ek_len),
                         1);
        CHECK(memcmp(ek, their_ek, sizeof ek) == 0, "public key, seed %d", (int)seed);

        /* We encapsulate, they open; once more with a bit changed. */
        assert_true(kw_mlkem768_encaps(their_ek, message, ct, a));
        for (int changed = 0; changed < 2; changed++) {
            ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
            ct[seed % sizeof ct] ^= (uint8_t)changed;
            kw_mlkem768_decaps(&key, ct, a);
            b_len = sizeof b;
            assert_int_equal(EVP_PKEY_decapsulate_init(ctx, NULL), 1);
            assert_int_equal(EVP_PKEY_decapsulate(ctx, b, &b_len, ct, sizeof ct), 1);
            CHECK(memcmp(a, b, sizeof a) == 0, "decapsulation, seed %d", (int)seed);
            EVP_PKEY_CTX_free(ctx);
        }

        /* They encapsulate, we open. */
        public_key = theirs(EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, ek, sizeof ek);
        assert_non_null(public_key);
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);
        assert_int_equal(EVP_PKEY_encapsulate_init(ctx, NULL), 1);
        assert_int_equal(EVP_PKEY_encapsulate(ctx, ct, &ct_len, a, &a_len), 1);
        kw_mlkem768_decaps(&key, ct, b);
        CHECK(memcmp(a, b, sizeof a) == 0, "encapsulation, seed %d", (int)seed);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(public_key);
        EVP_PKEY_free(pair);

        /* Both refuse the same public keys. */
        ek[seed * 3 % 1152 / 3 * 3 + 1] |= 0x0d;
        ek[seed * 3 % 1152 / 3 * 3] = (uint8_t)seed;
        public_key = theirs(EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, ek, sizeof ek);
        CHECK((public_key != NULL) == kw_mlkem768_encaps(ek, message, ct, a),
              "modulus check, seed %d", (int)seed);
        EVP_PKEY_free(public_key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_keys_and_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
