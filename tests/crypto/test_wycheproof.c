/* SPDX-License-Identifier: Apache-2.0 */
/* Wycheproof: AES-GCM through the provider, ML-KEM-768 through our own code. */
#include <keywheel/openssl.h>

#include "crypto/mlkem/mlkem.h"

#include "vectors.h"

/* Calls check for each vector of a file and tells how many there were. */
static void for_each(const char *file, size_t at_least,
                     bool (*check)(void *ctx, const json_t *group, const json_t *test), void *ctx)
{
    json_t *root = open_vectors(file);
    json_t *group, *test;
    size_t i, j, checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            CHECK(check(ctx, group, test), "%s: tcId %d", file,
                  (int)json_integer_value(json_object_get(test, "tcId")));
            checked++;
        }
    }
    print_message("# %zu vectors of %s\n", checked, file);
    assert_true(checked >= at_least);
    json_decref(root);
}

static bool is_valid(const json_t *test)
{
    return strcmp(field_text(test, "result"), "valid") == 0;
}

static bool check_decaps(void *ctx, const json_t *group, const json_t *test)
{
    uint8_t seed[KW_MLKEM768_SEED_LEN], ek[KW_MLKEM768_EK_LEN], made[KW_MLKEM768_EK_LEN];
    uint8_t ct[KW_MLKEM768_CT_LEN + 64], expected[32], secret[32];
    struct kw_mlkem768_key key;

    (void)ctx;
    (void)group;
    /* Wrong lengths cannot be said to a function with fixed arrays: the provider's check is tested
     * in its own file. */
    if (strlen(field_text(test, "seed")) != 2 * sizeof seed ||
        strlen(field_text(test, "c")) != 2 * KW_MLKEM768_CT_LEN)
        return !is_valid(test);
    from_hex(field_text(test, "seed"), seed, sizeof seed);
    from_hex(field_text(test, "c"), ct, sizeof ct);
    kw_mlkem768_keygen(seed, &key, made);
    if (field_text(test, "ek")[0] != '\0') {
        from_hex(field_text(test, "ek"), ek, sizeof ek);
        if (memcmp(ek, made, sizeof ek) != 0)
            return false;
    }
    from_hex(field_text(test, "K"), expected, sizeof expected);
    kw_mlkem768_decaps(&key, ct, secret);
    return is_valid(test) == (memcmp(secret, expected, sizeof secret) == 0);
}

static void mlkem_decaps(void **state)
{
    (void)state;
    for_each("mlkem_768_test.json", 150, check_decaps, NULL);
}

static bool check_encaps(void *ctx, const json_t *group, const json_t *test)
{
    uint8_t ek[KW_MLKEM768_EK_LEN], message[32];
    uint8_t ct[KW_MLKEM768_CT_LEN], expected_ct[KW_MLKEM768_CT_LEN], expected[32], secret[32];

    (void)ctx;
    (void)group;
    if (strlen(field_text(test, "ek")) != 2 * sizeof ek ||
        strlen(field_text(test, "m")) != 2 * sizeof message)
        return !is_valid(test);
    from_hex(field_text(test, "ek"), ek, sizeof ek);
    from_hex(field_text(test, "m"), message, sizeof message);
    if (!kw_mlkem768_encaps(ek, message, ct, secret))
        return !is_valid(test);
    if (!is_valid(test))
        return false;
    from_hex(field_text(test, "c"), expected_ct, sizeof expected_ct);
    from_hex(field_text(test, "K"), expected, sizeof expected);
    return memcmp(ct, expected_ct, sizeof ct) == 0 && memcmp(secret, expected, sizeof secret) == 0;
}

static void mlkem_encaps(void **state)
{
    (void)state;
    for_each("mlkem_768_encaps_test.json", 250, check_encaps, NULL);
}

static bool check_gcm(void *ctx, const json_t *group, const json_t *test)
{
    struct kw_crypto *crypto = ctx;
    long long iv_bits = json_integer_value(json_object_get(group, "ivSize"));
    long long key_bits = json_integer_value(json_object_get(group, "keySize"));
    uint8_t key[32], nonce[12], aad[4096], message[4096], ct[4096], tag[16], made_tag[16];
    enum kw_aead aead = key_bits == 128 ? KW_AES_128_GCM : KW_AES_256_GCM;
    struct kw_aead_key *seal, *open;
    struct kw_bytes aad_view = {aad, 0};
    size_t len;
    enum kw_verdict verdict;
    bool ok;

    if (iv_bits != 96 || key_bits == 192)
        return true; /* sizes that do not exist here */
    from_hex(field_text(test, "key"), key, sizeof key);
    from_hex(field_text(test, "iv"), nonce, sizeof nonce);
    aad_view.len = from_hex(field_text(test, "aad"), aad, sizeof aad);
    len = from_hex(field_text(test, "msg"), message, sizeof message);
    assert_int_equal(from_hex(field_text(test, "ct"), ct, sizeof ct), len);
    from_hex(field_text(test, "tag"), tag, sizeof tag);

    assert_int_equal(crypto->ops->aead_new(crypto, aead, key, true, &seal), KW_OK);
    assert_int_equal(crypto->ops->aead_new(crypto, aead, key, false, &open), KW_OK);
    assert_int_equal(crypto->ops->aead_open(open, nonce, aad_view, ct, len, tag, &verdict), KW_OK);
    ok = is_valid(test) == (verdict == KW_ACCEPT);
    if (verdict == KW_ACCEPT) {
        ok &= memcmp(ct, message, len) == 0;
        assert_int_equal(crypto->ops->aead_seal(seal, nonce, aad_view, ct, len, made_tag), KW_OK);
        ok &= memcmp(made_tag, tag, sizeof tag) == 0;
    }
    crypto->ops->aead_free(seal);
    crypto->ops->aead_free(open);
    return ok;
}

static void aes_gcm(void **state)
{
    struct kw_openssl_config config = {.associations = 1, .handshakes = 1};
    struct kw_crypto *crypto;

    (void)state;
    assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    for_each("aes_gcm_test.json", 300, check_gcm, crypto);
    kw_openssl_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_gcm),
        cmocka_unit_test(mlkem_decaps),
        cmocka_unit_test(mlkem_encaps),
    };

    if (!have_vectors()) {
        (void)printf("1..0 # SKIP ../shared/vectors is not beside the repository\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
