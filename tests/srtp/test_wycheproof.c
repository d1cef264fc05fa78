/* SPDX-License-Identifier: Apache-2.0 */
/* Wycheproof's AES-GCM for the packet kernel under test: all its vectors of our sizes (96-bit
 * nonces, keys of 128 and 256 bits), through seal, verify and open. */
#include "srtp/common.h"

#include "crypto/vectors.h"
#include "srtp/kernel.h"

enum { TEXT_MAX = 1024 };

struct vector {
    uint8_t key[32], iv[16], tag[KW_TAG_LEN];
    uint8_t aad[TEXT_MAX], plain[TEXT_MAX], cipher[TEXT_MAX];
    size_t aad_len, body_len;
    bool valid;
    int id;
};

static struct vector read_vector(const json_t *test)
{
    struct vector v = {.id = (int)json_integer_value(json_object_get(test, "tcId"))};

    (void)from_hex(field_text(test, "key"), v.key, sizeof v.key);
    (void)from_hex(field_text(test, "iv"), v.iv, sizeof v.iv);
    (void)from_hex(field_text(test, "tag"), v.tag, sizeof v.tag);
    v.aad_len = from_hex(field_text(test, "aad"), v.aad, sizeof v.aad - KW_TAG_LEN);
    v.body_len = from_hex(field_text(test, "msg"), v.plain, sizeof v.plain - KW_TAG_LEN);
    assert_int_equal(from_hex(field_text(test, "ct"), v.cipher, sizeof v.cipher - KW_TAG_LEN),
                     v.body_len);
    v.valid = strcmp(field_text(test, "result"), "valid") == 0;
    return v;
}

static void check_vector(const struct kw_gcm *gcm, const struct vector *v)
{
    struct kw_gcm_key key = {0};
    uint8_t body[TEXT_MAX], tag[KW_TAG_LEN];
    struct kw_packet packet = {
        .aad = v->aad, .aad_len = v->aad_len, .body = body, .body_len = v->body_len, .tag = tag};
    enum kw_verdict expected = v->valid ? KW_ACCEPT : KW_DROP_FORGED;

    memcpy(packet.iv, v->iv, KW_NONCE_LEN);
    if (v->valid) {
        memcpy(body, v->plain, sizeof body);
        assert_int_equal(gcm->init(&key, test_crypto(), v->key, true), KW_OK);
        assert_int_equal(gcm->seal(&key, &packet), KW_ACCEPT);
        CHECK(memcmp(body, v->cipher, v->body_len) == 0, "vector %d: ciphertext", v->id);
        CHECK(memcmp(tag, v->tag, sizeof tag) == 0, "vector %d: tag", v->id);
        gcm->deinit(&key);
    }

    memcpy(body, v->cipher, sizeof body);
    memcpy(tag, v->tag, sizeof tag);
    assert_int_equal(gcm->init(&key, test_crypto(), v->key, false), KW_OK);
    CHECK(gcm->verify(&key, &packet) == expected, "vector %d: verify", v->id);
    assert_memory_equal(body, v->cipher, v->body_len);
    CHECK(gcm->open(&key, &packet) == expected, "vector %d: open", v->id);
    if (v->valid)
        assert_memory_equal(body, v->plain, v->body_len);
    gcm->deinit(&key);
}

static void wycheproof_aes_gcm(void **state)
{
    json_t *root = open_vectors("aes_gcm_test.json"), *group, *test;
    size_t i, j, run = 0, other = 0;

    (void)state;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_int_t key_bits = json_integer_value(json_object_get(group, "keySize"));
        json_int_t iv_bits = json_integer_value(json_object_get(group, "ivSize"));

        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            struct vector v;

            if (iv_bits != 96 || (key_bits != 128 && key_bits != 256)) {
                other++;
                continue;
            }
            v = read_vector(test);
            check_vector(kw_srtp_kernel_gcm(test_kernel(), key_bits == 128
                                                               ? KW_SRTP_AEAD_AES_128_GCM
                                                               : KW_SRTP_AEAD_AES_256_GCM),
                         &v);
            run++;
        }
    }
    printf("# %s: %zu vectors; %zu have nonces or keys that SRTP does not use\n",
           kw_srtp_kernel_name(test_kernel()), run, other);
    assert_true(run > 100);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wycheproof_aes_gcm)};

    if (!have_vectors()) {
        (void)printf("1..0 # SKIP ../shared/vectors is not beside the repository\n");
        return 0;
    }
    (void)test_kernel();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
