/* SPDX-License-Identifier: Apache-2.0 */
/* Published vectors: RFC 3711 B.3, RFC 6188, RFC 7714 sections 16 and 17, RFC 9335 appendix A. */
#include "srtp/common.h"

#include "srtp/context.h"
#include "srtp/kernel.h"

static struct kw_srtp_master master_of(enum kw_srtp_profile profile, const char *key,
                                       const char *salt)
{
    struct kw_srtp_master master = {.profile = profile};

    master.key_len = (uint8_t)hex_bytes(key, master.key);
    master.salt_len = (uint8_t)hex_bytes(salt, master.salt);
    return master;
}

static void key_derivation(void **state)
{
    static const struct {
        const char *key, *salt;
        enum kw_srtp_label label;
        const char *expected;
        const char *why;
    } rows[] = {
        {"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6", KW_LABEL_RTP_KEY,
         "C61E7A93744F39EE10734AFE3FF7A087", "RFC 3711 B.3 cipher key"},
        {"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6", KW_LABEL_RTP_SALT,
         "30CBBC08863D8C85D49DB34A9AE1", "RFC 3711 B.3 salt"},
        {"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6", KW_LABEL_RTP_AUTH,
         "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE"
         "E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25"
         "6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2",
         "RFC 3711 B.3 auth key, all 94 bytes"},
        {"f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
         "3b04803de51ee7c96423ab5b78d2", KW_LABEL_RTP_KEY,
         "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
         "RFC 6188 7.4 cipher key"},
        {"f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
         "3b04803de51ee7c96423ab5b78d2", KW_LABEL_RTP_SALT, "fa31791685ca444a9e07c6c64e93",
         "RFC 6188 7.4 salt"},
        {"000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab", KW_LABEL_RTP_KEY,
         "077c6143cb221bc355ff23d5f984a16e", "RFC 9335 A.2: a 96-bit salt is padded on the right"},
        {"000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab", KW_LABEL_RTP_SALT,
         "9af3e95364ebac9c99c5a7c4", "RFC 9335 A.2 salt"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_srtp_master master =
            master_of(KW_SRTP_AES128_CM_SHA1_80, rows[i].key, rows[i].salt);
        uint8_t expected[96], derived[96];
        size_t len = hex_bytes(rows[i].expected, expected);

        assert_int_equal(kw_srtp_derive(test_crypto(), &master, rows[i].label, derived, len),
                         KW_OK);
        CHECK(memcmp(derived, expected, len) == 0, "%s", rows[i].why);
    }
}

#define RFC7714_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define RFC7714_SALT "517569642070726f2071756f"
#define RFC7714_RTP                                                                                \
    "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 "   \
    "61727465 73207472 6573"
#define RFC7714_RTCP                                                                               \
    "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef "   \
    "deadbeef deadbeef deadbeef"

/* The session key is given, not derived; so the context gets it directly. */
static void give_session_key(struct kw_srtp *srtp)
{
    uint8_t key[32];

    (void)hex_bytes(RFC7714_KEY, key);
    memset(srtp->salt, 0, sizeof srtp->salt);
    (void)hex_bytes(RFC7714_SALT, srtp->salt);
    memcpy(srtp->rtcp_salt, srtp->salt, sizeof srtp->salt);
    srtp->gcm->deinit(&srtp->key);
    srtp->gcm->deinit(&srtp->rtcp_key);
    assert_int_equal(srtp->gcm->init(&srtp->key, srtp->crypto, key, srtp->for_sending), KW_OK);
    assert_int_equal(srtp->gcm->init(&srtp->rtcp_key, srtp->crypto, key, srtp->for_sending), KW_OK);
}

static void rfc7714_pair(struct pair *pair, enum kw_srtp_profile profile)
{
    pair_init(pair, profile);
    give_session_key(pair->send);
    give_session_key(pair->receive);
}

static void rfc7714_section_16_srtp(void **state)
{
    static const struct {
        enum kw_srtp_profile profile;
        const char *expected;
    } rows[] = {
        {KW_SRTP_AEAD_AES_128_GCM,
         "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f "
         "42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce"},
        {KW_SRTP_AEAD_AES_256_GCM,
         "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 "
         "b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct pair pair;
        struct packet packet = {0}, plain = {0}, expected = {0};

        rfc7714_pair(&pair, rows[i].profile);
        plain.len = hex_bytes(RFC7714_RTP, plain.bytes);
        expected.len = hex_bytes(rows[i].expected, expected.bytes);
        packet = plain;
        /* Its payload type, 64, is one that RFC 5761 later gave to RTCP: so no demultiplexing. */
        assert_int_equal(kw_srtp_protect(pair.send, packet.bytes, &packet.len, sizeof packet.bytes),
                         KW_ACCEPT);
        assert_true(same_packet(&packet, &expected));
        assert_int_equal(kw_srtp_unprotect(pair.receive, packet.bytes, &packet.len), KW_ACCEPT);
        assert_true(same_packet(&packet, &plain));
        pair_deinit(&pair);
    }
}

/* Sections 16.1.3, 16.2.3: the whole packet as associated data, nothing encrypted. */
static void rfc7714_section_16_tagging_only(void **state)
{
    static const char *const tags[2] = {"22493f82d2bce397e9d79e3b19aa4216",
                                        "a866d5910f887463067ceefec45215d4"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kw_gcm_key key = {0};
        const struct kw_gcm *gcm = kw_srtp_kernel_gcm(test_kernel(), profiles[i]);
        uint8_t cipher_key[32], salt[16] = {0}, tag[16], expected[16];
        struct packet packet = {0};
        struct kw_packet view = {.aad = packet.bytes, .tag = tag};

        (void)hex_bytes(RFC7714_KEY, cipher_key);
        (void)hex_bytes(RFC7714_SALT, salt);
        (void)hex_bytes(tags[i], expected);
        view.aad_len = hex_bytes(RFC7714_RTP, packet.bytes);
        view.body = packet.bytes + view.aad_len;
        iv_make(salt, false, 0x5501a0b2, 0xf17b, view.iv);
        assert_int_equal(gcm->init(&key, test_crypto(), cipher_key, true), KW_OK);
        assert_int_equal(gcm->seal(&key, &view), KW_ACCEPT);
        assert_memory_equal(tag, expected, sizeof tag);
        gcm->deinit(&key);
    }
}

static void rfc7714_section_17_srtcp(void **state)
{
    static const struct {
        enum kw_srtp_profile profile;
        const char *expected;
        const char *why;
    } rows[] = {
        {KW_SRTP_AEAD_AES_128_GCM,
         "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 "
         "730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
         "17.1: encrypted"},
        {KW_SRTP_AEAD_AES_256_GCM,
         "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 "
         "110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
         "17.2: encrypted"},
        {KW_SRTP_AEAD_AES_128_GCM, RFC7714_RTCP " 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
         "17.3: authenticated only"},
        {KW_SRTP_AEAD_AES_256_GCM, RFC7714_RTCP " 91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
         "17.4: authenticated only"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct pair pair;
        struct packet packet = {0}, plain = {0}, expected = {0}, broken;

        rfc7714_pair(&pair, rows[i].profile);
        plain.len = hex_bytes(RFC7714_RTCP, plain.bytes);
        expected.len = hex_bytes(rows[i].expected, expected.bytes);
        if (i < 2) {
            packet = plain;
            kw_srtp_stream_add(pair.send, 0x4d617273)->flags = KW_STREAM_RTCP;
            history_of(pair.send, pair.send->streams)->rtcp_highest = 0x5d3;
            assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
            CHECK(same_packet(&packet, &expected), "%s", rows[i].why);
        }
        broken = expected;
        broken.bytes[20] ^= 1;
        assert_int_equal(unprotect(pair.receive, &broken), KW_DROP_FORGED);
        broken.bytes[20] ^= 1;
        CHECK(same_packet(&broken, &expected), "%s: unchanged", rows[i].why);
        CHECK(unprotect(pair.receive, &broken) == KW_ACCEPT, "%s", rows[i].why);
        CHECK(same_packet(&broken, &plain), "%s", rows[i].why);
        pair_deinit(&pair);
    }
}

static const struct {
    const char *plain, *gcm, *cm;
    const char *why;
} cryptex_rows[] = {
    {"900f1235 decafbad cafebabe bede0001 51000200 abababab abababab abababab abababab",
     "900f1235 decafbad cafebabe c0de0001 39972dc9 572c4d99 e8fc355d e743fb2e 94f9d8ff 54e72f41 "
     "93bbc5c7 4ffab0fa 9fa0fbeb",
     "900f1235 decafbad cafebabe c0de0001 eb923652 51c3e036 f8de27e9 c27ee3e0 b4651d9f bc4218a7 "
     "0244522f 34a5",
     "one-byte extension"},
    {"900f1236 decafbad cafebabe 10000001 05020002 abababab abababab abababab abababab",
     "900f1236 decafbad cafebabe c2de0001 bb75a4c5 45cd1f41 3bdb7daa 2b1e3263 de313667 c9632490 "
     "81b35a65 f5cb6c88 b394235f",
     "900f1236 decafbad cafebabe c2de0001 4ed9cc4e 6a712b30 96c5ca77 339d4204 ce0d7739 6cab6958 "
     "5fbce381 94a5",
     "two-byte extension"},
    {"920f1238 decafbad cafebabe 0001e240 0000b26e bede0001 51000200 abababab abababab abababab "
     "abababab",
     "920f1238 decafbad cafebabe 63bbccc4 a7f695c4 c0de0001 8ad7c71f ac70a80c 92866b4c 6ba98546 "
     "ef913586 e95ffaaf fe956885 bb0647a8 bc094ac8",
     "920f1238 decafbad cafebabe 8bb6e12b 5cff16dd c0de0001 92838c8c 09e58393 e1de3a9a 74734d67 "
     "45671338 c3acf11d a2df8423 bee0",
     "one-byte extension and CSRCs"},
    {"920f1239 decafbad cafebabe 0001e240 0000b26e 10000001 05020002 abababab abababab abababab "
     "abababab",
     "920f1239 decafbad cafebabe 3680524f 8d312b00 c2de0001 c78d1200 38422bc1 11a7187a 18246f98 "
     "0c059cc6 bc9df8b6 26394eca 344e4b05 d80fea83",
     "920f1239 decafbad cafebabe f70e513e b90b9b25 c2de0001 bbed4848 faa64466 5f3d7f34 125914e9 "
     "f4d0ae92 3c6f479b 95a0f7b5 3133",
     "two-byte extension and CSRCs"},
    {"920f123a decafbad cafebabe 0001e240 0000b26e bede0000 abababab abababab abababab abababab",
     "920f123a decafbad cafebabe 15b6bb43 37906fff c0de0000 b7b96453 7a2b03ab 7ba5389c e9331712 "
     "6b5d974d f30c6884 dcb651c5 e120c1da",
     "920f123a decafbad cafebabe 7130b6ab fe2ab0e3 c0de0000 e3d9f64b 25c9e74c b4cf8e43 fb92e378 "
     "1c2c0cea b6b3a499 a14c",
     "empty one-byte extension and CSRCs"},
    {"920f123b decafbad cafebabe 0001e240 0000b26e 10000000 abababab abababab abababab abababab",
     "920f123b decafbad cafebabe dcb38c9e 48bf95f4 c2de0000 61ee432c f9203170 76613258 d3ce4236 "
     "c06ac429 681ad084 13512dc9 8b5207d8",
     "920f123b decafbad cafebabe cbf24c12 4330e1c8 c2de0000 599dd45b c9d687b6 03e8b59d 771fd38e "
     "88b170e0 cd31e125 eabe",
     "empty two-byte extension and CSRCs"},
};

static struct kw_srtp *cryptex_context(struct context_mem *mem, bool cm, bool for_sending)
{
    struct kw_srtp_master master =
        cm ? master_of(KW_SRTP_AES128_CM_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139",
                       "0ec675ad498afeebb6960b3aabe6")
           : master_of(KW_SRTP_AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f",
                       "a0a1a2a3a4a5a6a7a8a9aaab");
    struct kw_srtp_params params = {
        .kernel = test_kernel(),
        .crypto = test_crypto(),
        .master = &master,
        .for_sending = for_sending,
        .ssrc_max = 1,
        .cryptex = true,
    };
    struct kw_srtp *srtp;

    assert_int_equal(kw_srtp_init(mem, &params, &srtp), KW_OK);
    return srtp;
}

static void rfc9335_cryptex(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KW_ARRAY_LEN(cryptex_rows); i++) {
        bool cm = i % 2 == 1;
        const char *why = cryptex_rows[i / 2].why;
        struct context_mem send_mem, receive_mem;
        struct kw_srtp *send = cryptex_context(&send_mem, cm, true);
        struct kw_srtp *receive = cryptex_context(&receive_mem, cm, false);
        struct packet plain = {0}, expected = {0}, packet;

        plain.len = hex_bytes(cryptex_rows[i / 2].plain, plain.bytes);
        expected.len =
            hex_bytes(cm ? cryptex_rows[i / 2].cm : cryptex_rows[i / 2].gcm, expected.bytes);
        packet = plain;
        assert_int_equal(protect(send, &packet), KW_ACCEPT);
        CHECK(same_packet(&packet, &expected), "%s, %s", why, cm ? "AES_CM" : "GCM");

        packet.bytes[16] ^= 0x40;
        assert_int_equal(unprotect(receive, &packet), KW_DROP_FORGED);
        packet.bytes[16] ^= 0x40;
        CHECK(same_packet(&packet, &expected), "%s: unchanged", why);
        assert_int_equal(unprotect(receive, &packet), KW_ACCEPT);
        CHECK(same_packet(&packet, &plain), "%s, %s back", why, cm ? "AES_CM" : "GCM");
        kw_srtp_deinit(send);
        kw_srtp_deinit(receive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_derivation),
        cmocka_unit_test(rfc7714_section_16_srtp),
        cmocka_unit_test(rfc7714_section_16_tagging_only),
        cmocka_unit_test(rfc7714_section_17_srtcp),
        cmocka_unit_test(rfc9335_cryptex),
    };

    (void)test_kernel();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
