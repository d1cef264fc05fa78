/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers of RFCs and of independent implementations, through the provider on libcrypto. */
#include "crypto/hkdf.h"
#include "crypto/mlkem/mlkem.h"

#include "provider.h"
#include "vectors.h"

#include <openssl/evp.h>

static struct kw_bytes hex(const char *text)
{
    static uint8_t buffers[8][4096];
    static size_t next;
    uint8_t *dst = buffers[next++ % 8];

    return (struct kw_bytes){dst, from_hex(text, dst, sizeof buffers[0])};
}

static void check_bytes(const uint8_t *made, const char *expected, const char *what)
{
    struct kw_bytes want = hex(expected);

    CHECK(memcmp(made, want.data, want.len) == 0, "%s", what);
}

static void rfc5869_hkdf(void **state)
{
    static const struct {
        const char *ikm, *salt, *info, *prk, *okm;
    } rows[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
         "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_secret prk;
        struct kw_bytes okm = hex(rows[i].okm);
        uint8_t out[128];

        assert_int_equal(
            kw_hkdf_extract(crypto, KW_SHA256, hex(rows[i].salt), hex(rows[i].ikm), &prk), KW_OK);
        assert_int_equal(prk.len, 32);
        check_bytes(prk.bytes, rows[i].prk, "extract");
        assert_int_equal(kw_hkdf_expand(crypto, KW_SHA256, (struct kw_bytes){prk.bytes, prk.len},
                                        hex(rows[i].info), out, okm.len),
                         KW_OK);
        assert_memory_equal(out, okm.data, okm.len);
    }
}

/* RFC 8448, section 3. Its labels say "tls13 ", so the prefix is handed in. */
static void rfc8448_key_schedule(void **state)
{
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char hello[] = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8";
    static const uint8_t zeros[32];
    struct kw_bytes none = {NULL, 0}, ikm = {zeros, sizeof zeros};
    struct kw_secret early, derived = {.len = 32}, handshake, traffic = {.len = 32};
    uint8_t key[16], iv[12];

    (void)state;
    assert_int_equal(kw_hkdf_extract(crypto, KW_SHA256, none, ikm, &early), KW_OK);
    check_bytes(early.bytes, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a",
                "early secret");
    assert_int_equal(kw_hkdf_expand_label_prefixed(crypto, KW_SHA256, &early, "tls13 ", "derived",
                                                   hex(empty), derived.bytes, 32),
                     KW_OK);
    check_bytes(derived.bytes, "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba",
                "derived");
    assert_int_equal(
        kw_hkdf_extract(crypto, KW_SHA256, (struct kw_bytes){derived.bytes, 32},
                        hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"),
                        &handshake),
        KW_OK);
    check_bytes(handshake.bytes, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac",
                "handshake secret");
    assert_int_equal(kw_hkdf_expand_label_prefixed(crypto, KW_SHA256, &handshake, "tls13 ",
                                                   "c hs traffic", hex(hello), traffic.bytes, 32),
                     KW_OK);
    check_bytes(traffic.bytes, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
                "client handshake traffic");
    assert_int_equal(kw_hkdf_expand_label_prefixed(crypto, KW_SHA256, &traffic, "tls13 ", "key",
                                                   none, key, sizeof key),
                     KW_OK);
    check_bytes(key, "dbfaa693d1762c5b666af5d950258d01", "client handshake key");
    assert_int_equal(kw_hkdf_expand_label_prefixed(crypto, KW_SHA256, &traffic, "tls13 ", "iv",
                                                   none, iv, sizeof iv),
                     KW_OK);
    check_bytes(iv, "5bd3c71b836e0b76bb73265f", "client handshake iv");
}

/*
 * RFC 9147, section 5.9: "the HKDF label prefix is 'dtls13'", without the space of TLS. Both ends
 * of a self-made connection would agree on a wrong one, so the label is spelled out here by hand.
 */
static void dtls_label_is_dtls13(void **state)
{
    static const uint8_t info[] = "\x00\x10"
                                  "\x09"
                                  "dtls13key"
                                  "\x00";
    struct kw_secret secret = {.bytes = {1, 2, 3}, .len = 32}, derived;
    uint8_t made[16], expected[16], transcript[32] = {7};

    (void)state;
    assert_int_equal(kw_hkdf_expand_label(crypto, KW_SHA256, &secret, "key",
                                          (struct kw_bytes){NULL, 0}, made, sizeof made),
                     KW_OK);
    assert_int_equal(kw_hkdf_expand(crypto, KW_SHA256, (struct kw_bytes){secret.bytes, 32},
                                    (struct kw_bytes){info, sizeof info - 1}, expected,
                                    sizeof expected),
                     KW_OK);
    assert_memory_equal(made, expected, sizeof made);
    assert_int_equal(kw_hkdf_derive_secret(crypto, KW_SHA384, &secret, "exp master",
                                           (struct kw_bytes){transcript, 32}, &derived),
                     KW_OK);
    assert_int_equal(derived.len, 48);
}

static void tls12_prf(void **state)
{
    /* Vectors posted to the TLS working group's list in 2009; computed again with Python. */
    static const char sha256[] =
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14"
        "baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e"
        "5a5110fff70187347b66";
    static const char sha384[] =
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c"
        "9146a0e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abf"
        "dad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a2685430"
        "8d5eaa3be85e0990703d73e56f";
    struct kw_bytes seed = hex("a0ba9f936cda311827a6f796ffd5198c");
    uint8_t out[148];

    (void)state;
    assert_int_equal(kw_tls12_prf(crypto, KW_SHA256, hex("9bbe436ba940f017b17652849a71db35"),
                                  "test label", (struct kw_bytes){seed.data, 7},
                                  (struct kw_bytes){seed.data + 7, 9}, out, 100),
                     KW_OK);
    check_bytes(out, sha256, "SHA-256");
    assert_int_equal(kw_tls12_prf(crypto, KW_SHA384, hex("b80b733d6ceefcdc71566ea48e5567df"),
                                  "test label", hex("cd665cf6a8447dd6ff8b27555edb7465"),
                                  (struct kw_bytes){NULL, 0}, out, 148),
                     KW_OK);
    check_bytes(out, sha384, "SHA-384");
}

/* RFC 4231 (SHA-2) and RFC 2202 (SHA-1), test cases 1 and 2, in one part and in several. */
static void rfc4231_hmac(void **state)
{
    struct kw_bytes hi = {(const uint8_t *)"Hi There", 8};
    struct kw_bytes what[] = {{(const uint8_t *)"what do ya want ", 16},
                              {NULL, 0},
                              {(const uint8_t *)"for nothing?", 12}};
    struct kw_bytes jefe = {(const uint8_t *)"Jefe", 4};
    struct kw_bytes key = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    uint8_t out[64];

    (void)state;
    assert_int_equal(crypto->ops->hmac(crypto, KW_SHA256, key, &hi, 1, out), KW_OK);
    check_bytes(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", "256/1");
    assert_int_equal(crypto->ops->hmac(crypto, KW_SHA256, jefe, what, 3, out), KW_OK);
    check_bytes(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "256/2");
    assert_int_equal(crypto->ops->hmac(crypto, KW_SHA384, key, &hi, 1, out), KW_OK);
    check_bytes(out,
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                "faea9ea9076ede7f4af152e8b2fa9cb6",
                "384/1");
    assert_int_equal(crypto->ops->hmac(crypto, KW_SHA512, key, &hi, 1, out), KW_OK);
    check_bytes(out,
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
                "512/1");
    assert_int_equal(crypto->ops->hmac_sha1(crypto, key, &hi, 1, out), KW_OK);
    check_bytes(out, "b617318655057264e28bc0b6fb378c8ef146be00", "sha1/1");
    assert_int_equal(crypto->ops->hmac_sha1(crypto, jefe, what, 3, out), KW_OK);
    check_bytes(out, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "sha1/2");
    /* No key at all is a key of zeros. HMAC-SHA256("", ""). */
    assert_int_equal(crypto->ops->hmac(crypto, KW_SHA256, (struct kw_bytes){NULL, 0}, NULL, 0, out),
                     KW_OK);
    check_bytes(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", "empty");
}

/* RFC 9001, appendices A.2, A.3 and A.5: QUIC masks headers as DTLS 1.3 masks record numbers. */
static void rfc9001_masks(void **state)
{
    static const struct {
        enum kw_aead aead;
        const char *key, *sample, *mask;
    } rows[] = {
        {KW_AES_128_GCM, "9f50449e04a0e810283a1e9933adedd2", "d1b1c98dd7689fb8ec11d242b123dc9b",
         "437b9aec36"},
        {KW_AES_128_GCM, "c206b8d9b9f0f37644430b490eeaa314", "2cd0991cd25b0aac406a5816b6394100",
         "2ec0d8356a"},
        {KW_CHACHA20_POLY1305, "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
         "5e5cd55c41f69080575d7999c25a5bfb", "aefefe7d03"},
        /* FIPS 197, appendix C.3: the mask is one plain AES block. */
        {KW_AES_256_GCM, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_mask_key *key;
        uint8_t out[KW_MASK_LEN];

        assert_int_equal(crypto->ops->mask_new(crypto, rows[i].aead, hex(rows[i].key).data, &key),
                         KW_OK);
        for (int round = 0; round < 2; round++) { /* nothing is left of the first time */
            assert_int_equal(crypto->ops->mask(key, hex(rows[i].sample).data, out), KW_OK);
            check_bytes(out, rows[i].mask, rows[i].key);
        }
        crypto->ops->mask_free(key);
    }
}

static void aead_known_answers(void **state)
{
    /* The GCM specification's test case 4, RFC 8439 section 2.8.2 (first bytes, and the tag). */
    static const struct {
        enum kw_aead aead;
        const char *key, *nonce, *aad, *plain, *cipher, *tag;
    } rows[] = {
        {KW_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
         "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
         "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
         "5bc94fbc3221a5db94fae95ae7121a47"},
        {KW_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
         "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
         "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
         "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
         "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
         "637265656e20776f756c642062652069742e",
         "d31a8d34648e60db7b86afbc53ef7ec2", "1ae10b594f09e26a7e902ecbd0600691"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_aead_key *key;
        struct kw_bytes plain = hex(rows[i].plain);
        uint8_t body[256], tag[KW_TAG_LEN];

        memcpy(body, plain.data, plain.len);
        assert_int_equal(
            crypto->ops->aead_new(crypto, rows[i].aead, hex(rows[i].key).data, true, &key), KW_OK);
        assert_int_equal(crypto->ops->aead_seal(key, hex(rows[i].nonce).data, hex(rows[i].aad),
                                                body, plain.len, tag),
                         KW_OK);
        check_bytes(body, rows[i].cipher, "ciphertext");
        check_bytes(tag, rows[i].tag, "tag");
        crypto->ops->aead_free(key);
    }
}

/* A peer with the keys of RFC 7748, section 6.1, on libcrypto's documented interface. */
static void rfc7748_peer(void **state)
{
    static const struct {
        const char *private_key, *public_key;
    } rows[] = {
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
        {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        EVP_PKEY *peer =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, hex(rows[i].private_key).data, 32);
        EVP_PKEY *ours;
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer, NULL);
        uint8_t answer[KW_KX_SHARE_MAX], theirs[32];
        size_t answer_len, theirs_len = sizeof theirs;
        struct kw_secret secret;
        enum kw_verdict verdict;

        assert_int_equal(crypto->ops->kx_answer(crypto, KW_GROUP_X25519, hex(rows[i].public_key),
                                                answer, &answer_len, &secret, &verdict),
                         KW_OK);
        assert_int_equal(verdict, KW_ACCEPT);
        ours = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, answer, answer_len);
        assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(ctx, ours), 1);
        assert_int_equal(EVP_PKEY_derive(ctx, theirs, &theirs_len), 1);
        assert_memory_equal(secret.bytes, theirs, sizeof theirs);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(ours);
        EVP_PKEY_free(peer);
    }
}

/* tests/crypto/vectors/README.md: one "name value" a line. */
static bool next_field(FILE *file, const char *name, uint8_t *dst, size_t size)
{
    static char line[8192];
    size_t name_len = strlen(name);

    assert_non_null(fgets(line, sizeof line, file));
    CHECK(strncmp(line, name, name_len) == 0, "expected '%s', found '%.20s'", name, line);
    return from_hex(line + name_len + 1, dst, size) == size;
}

static void derive_input(const char *label, uint32_t number, uint8_t dst[32])
{
    uint8_t message[5] = {(uint8_t)label[0], (uint8_t)(number >> 24), (uint8_t)(number >> 16),
                          (uint8_t)(number >> 8), (uint8_t)number};

    assert_int_equal(kw_crypto_hash(crypto, KW_SHA256, (struct kw_bytes){message, 5}, dst), KW_OK);
}

static struct mlkem {
    uint8_t seed[64], message[32];
    uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN], secret[32], rejected[32];
} made, expected;

static void make_mlkem(uint32_t number)
{
    struct kw_mlkem768_key key;
    uint8_t wrong[KW_MLKEM768_CT_LEN], again[32];

    derive_input("d", number, made.seed);
    derive_input("z", number, made.seed + 32);
    derive_input("m", number, made.message);
    kw_mlkem768_keygen(made.seed, &key, made.ek);
    assert_true(kw_mlkem768_encaps(made.ek, made.message, made.ct, made.secret));
    kw_mlkem768_decaps(&key, made.ct, again);
    assert_memory_equal(again, made.secret, sizeof again);
    memcpy(wrong, made.ct, sizeof wrong);
    wrong[number % sizeof wrong] ^= 1;
    kw_mlkem768_decaps(&key, wrong, made.rejected);
}

static void mlkem_of_another_implementation(void **state)
{
    FILE *file = fopen(KW_TREE_VECTORS "/mlkem768.txt", "r");
    const struct kw_bytes outputs[] = {{made.ek, sizeof made.ek},
                                       {made.ct, sizeof made.ct},
                                       {made.secret, sizeof made.secret},
                                       {made.rejected, sizeof made.rejected}};
    struct kw_digest *digest;
    uint8_t sum[32], wanted[32];
    char line[64];
    unsigned number, count;

    (void)state;
    assert_non_null(file);
    for (number = 0; number < 3; number++) {
        unsigned seen = 99;

        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "number %u", &seen), 1);
        assert_int_equal(seen, number);
        assert_true(next_field(file, "seed", expected.seed, sizeof expected.seed));
        assert_true(next_field(file, "message", expected.message, sizeof expected.message));
        assert_true(next_field(file, "ek", expected.ek, sizeof expected.ek));
        assert_true(next_field(file, "ct", expected.ct, sizeof expected.ct));
        assert_true(next_field(file, "secret", expected.secret, sizeof expected.secret));
        assert_true(next_field(file, "rejected", expected.rejected, sizeof expected.rejected));
        make_mlkem(number);
        CHECK(memcmp(&made, &expected, sizeof made) == 0, "number %u", number);
    }
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(sscanf(line, "count %u", &count), 1);
    assert_true(next_field(file, "sha256", wanted, sizeof wanted));
    (void)fclose(file);

    assert_int_equal(crypto->ops->digest_new(crypto, KW_SHA256, &digest), KW_OK);
    for (number = 0; number < count; number++) {
        make_mlkem(number);
        for (size_t i = 0; i < KW_ARRAY_LEN(outputs); i++)
            assert_int_equal(crypto->ops->digest_update(digest, outputs[i]), KW_OK);
    }
    assert_int_equal(crypto->ops->digest_peek(digest, sum), KW_OK);
    crypto->ops->digest_free(digest);
    assert_memory_equal(sum, wanted, sizeof sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5869_hkdf),
        cmocka_unit_test(rfc8448_key_schedule),
        cmocka_unit_test(dtls_label_is_dtls13),
        cmocka_unit_test(tls12_prf),
        cmocka_unit_test(rfc4231_hmac),
        cmocka_unit_test(rfc9001_masks),
        cmocka_unit_test(aead_known_answers),
        cmocka_unit_test(rfc7748_peer),
        cmocka_unit_test(mlkem_of_another_implementation),
    };

    return cmocka_run_group_tests(tests, provider_begin, provider_end);
}
