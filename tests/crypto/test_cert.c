/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: ours read by libcrypto's full parser, libcrypto's read by our small one. */
#include "crypto/cert.h"

#include "check.h"
#include "provider.h"
#include "support/toy_crypto.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct kw_bytes view_of(const uint8_t *data, size_t len)
{
    return (struct kw_bytes){data, len};
}

static void check_time(const ASN1_TIME *at, kw_utc_ms expected)
{
    struct tm broken;

    assert_int_equal(ASN1_TIME_to_tm(at, &broken), 1);
    assert_int_equal((kw_utc_ms)timegm(&broken) * 1000, expected / 1000 * 1000);
}

/* Every day from 1970 to 2105, leap years and the change of the time's form in 2050 included. */
static void dates_are_written_right(void **state)
{
    (void)state;
    for (kw_utc_ms day = 0; day < 49500; day += day < 1000 ? 1 : 13) {
        struct kw_cert_fields fields = {
            .not_before = day * 86400000 + day * 977 % 86400 * 1000,
            .not_after = day * 86400000 + INT64_C(31) * 86400000 + 86399999,
        };
        uint8_t tbs[KW_CERT_TBS_MAX], der[KW_CERT_MAX], fake[8] = {0x30, 0x06, 2, 1, 1, 2, 1, 1};
        size_t tbs_len, len;
        const uint8_t *at = der;
        X509 *x509;

        fields.point[0] = 4;
        tbs_len = kw_cert_write_tbs(&fields, tbs, sizeof tbs);
        assert_true(tbs_len > 0);
        len = kw_cert_write(view_of(tbs, tbs_len), view_of(fake, 8), der, sizeof der);
        assert_true(len > 0);
        x509 = d2i_X509(NULL, &at, (long)len);
        CHECK(x509 != NULL && at == der + len, "day %lld", (long long)day);
        check_time(X509_get0_notBefore(x509), fields.not_before);
        check_time(X509_get0_notAfter(x509), fields.not_after);
        X509_free(x509);
    }
}

static void ours_is_a_good_certificate(void **state)
{
    static const kw_utc_ms now = INT64_C(1795426526000);
    uint8_t serials[2][32] = {{0}};

    (void)state;
    for (int round = 0; round < 2; round++) {
        struct kw_identity *identity;
        struct kw_cert_key key;
        struct kw_bytes cert;
        const uint8_t *at;
        uint8_t *again = NULL, point[65];
        size_t point_len = 0;
        char name[64];
        EVP_PKEY *public_key;
        X509 *x509;

        assert_int_equal(crypto->ops->identity_new(crypto, now, &identity), KW_OK);
        cert = crypto->ops->identity_certificate(identity);
        at = cert.data;
        x509 = d2i_X509(NULL, &at, (long)cert.len);
        assert_non_null(x509);
        public_key = X509_get0_pubkey(x509);
        assert_int_equal(X509_verify(x509, public_key), 1);
        assert_int_equal(X509_get_version(x509), X509_VERSION_3);
        assert_true(X509_NAME_oneline(X509_get_subject_name(x509), name, sizeof name) == name);
        assert_string_equal(name, "/CN=keywheel");
        check_time(X509_get0_notBefore(x509), now - INT64_C(86400000));
        check_time(X509_get0_notAfter(x509), now + INT64_C(30) * 86400000);
        assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(x509)), KW_CERT_SERIAL_LEN);
        memcpy(serials[round], ASN1_STRING_get0_data(X509_get0_serialNumber(x509)),
               KW_CERT_SERIAL_LEN);
        /* DER has one spelling: writing it again gives the same bytes. */
        assert_int_equal(i2d_X509(x509, &again), cert.len);
        assert_memory_equal(again, cert.data, cert.len);
        OPENSSL_free(again);

        assert_int_equal(kw_cert_parse(cert, &key), KW_ACCEPT);
        assert_int_equal(key.type, KW_CERT_P256);
        assert_int_equal(EVP_PKEY_get_octet_string_param(public_key, "encoded-pub-key", point,
                                                         sizeof point, &point_len),
                         1);
        assert_int_equal(key.point.len, point_len);
        assert_memory_equal(key.point.data, point, point_len);
        X509_free(x509);
        crypto->ops->identity_free(identity);
    }
    assert_memory_not_equal(serials[0], serials[1], KW_CERT_SERIAL_LEN);
}

/* A certificate as another library would make it, with extensions. */
static size_t make_foreign(EVP_PKEY *key, long version, uint8_t *dst)
{
    X509 *x509 = X509_new();
    uint8_t *at = dst;
    int len;

    assert_non_null(x509);
    assert_int_equal(X509_set_version(x509, version), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 77), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                                                (const uint8_t *)"somebody else", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(x509, X509_get_subject_name(x509)), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 86400));
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    assert_true(
        X509_sign(x509, key, EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
    len = i2d_X509(x509, &at);
    X509_free(x509);
    assert_true(len > 0);
    return (size_t)len;
}

static EVP_PKEY *make_key(const char *kind)
{
    EVP_PKEY *key = strncmp(kind, "RSA-", 4) == 0
                        ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(kind + 4, NULL, 10))
                    : strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                                   : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);

    assert_non_null(key);
    return key;
}

static enum kw_verdict verify(enum kw_sigscheme scheme, struct kw_bytes cert,
                              const uint8_t *message, size_t message_len, const uint8_t *signature,
                              size_t len)
{
    enum kw_verdict verdict = KW_DROP_INTERNAL;

    assert_int_equal(crypto->ops->verify(crypto, cert, scheme, view_of(message, message_len),
                                         view_of(signature, len), &verdict),
                     KW_OK);
    return verdict;
}

/* RFC 8446, section 4.2.3: "the length of the Salt MUST be equal to the length of the digest". */
static void pss_salt_has_one_length(void **state)
{
    static const uint8_t message[] = "transcript";
    EVP_PKEY *key = make_key("RSA-2048");
    uint8_t der[4096], signature[KW_SIGNATURE_MAX];
    size_t der_len = make_foreign(key, X509_VERSION_3, der);

    (void)state;
    for (int salt = 31; salt <= 33; salt++) {
        size_t len = sizeof signature;
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx;

        assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL, key), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt), 1);
        assert_int_equal(EVP_DigestSign(ctx, signature, &len, message, sizeof message), 1);
        CHECK(verify(KW_SIG_RSA_PSS_RSAE_SHA256, view_of(der, der_len), message, sizeof message,
                     signature, len) == (salt == 32 ? KW_ACCEPT : KW_DROP_FORGED),
              "salt of %d", salt);
        EVP_MD_CTX_free(ctx);
    }
    EVP_PKEY_free(key);
}

static const struct {
    const char *kind;
    enum kw_sigscheme scheme;
    bool known;
} peers[] = {
    {"P-256", KW_SIG_ECDSA_P256_SHA256, true},    {"P-384", KW_SIG_ECDSA_P384_SHA384, true},
    {"RSA-2048", KW_SIG_RSA_PKCS1_SHA256, true},  {"RSA-2048", KW_SIG_RSA_PSS_RSAE_SHA256, true},
    {"RSA-1024", KW_SIG_RSA_PKCS1_SHA256, false}, /* too short */
    {"P-521", KW_SIG_ECDSA_P384_SHA384, false},   {"secp256k1", KW_SIG_ECDSA_P256_SHA256, false},
    {"ED25519", KW_SIG_ECDSA_P256_SHA256, false},
};

static void peers_of_every_kind(void **state)
{
    static const uint8_t message[] = "what both sides have said so far";

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(peers); i++) {
        EVP_PKEY *key = make_key(peers[i].kind);
        uint8_t der[4096], signature[KW_SIGNATURE_MAX];
        size_t der_len = make_foreign(key, i % 2 == 0 ? X509_VERSION_3 : X509_VERSION_1, der);
        size_t len = sizeof signature;
        bool pss = peers[i].scheme == KW_SIG_RSA_PSS_RSAE_SHA256;
        const EVP_MD *md =
            peers[i].scheme == KW_SIG_ECDSA_P384_SHA384 ? EVP_sha384() : EVP_sha256();
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx;
        enum kw_verdict verdict;

        if (!peers[i].known) {
            verdict =
                verify(peers[i].scheme, view_of(der, der_len), message, sizeof message, der, 70);
            CHECK(verdict == KW_DROP_MALFORMED, "%s", peers[i].kind);
        } else {
            assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md, NULL, key), 1);
            if (pss) {
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
            }
            assert_int_equal(EVP_DigestSign(ctx, signature, &len, message, sizeof message), 1);
            verdict = verify(peers[i].scheme, view_of(der, der_len), message, sizeof message,
                             signature, len);
            CHECK(verdict == KW_ACCEPT, "%s", peers[i].kind);
            verdict = verify(peers[i].scheme, view_of(der, der_len), message, sizeof message - 1,
                             signature, len);
            CHECK(verdict == KW_DROP_FORGED, "%s, another message", peers[i].kind);
            signature[len / 2] ^= 4;
            verdict = verify(peers[i].scheme, view_of(der, der_len), message, sizeof message,
                             signature, len);
            CHECK(verdict == KW_DROP_FORGED, "%s, changed signature", peers[i].kind);
            signature[len / 2] ^= 4;
            verdict = verify(peers[i].scheme, view_of(der, der_len), message, sizeof message,
                             signature, len - 1);
            CHECK(verdict == KW_DROP_FORGED, "%s, cut signature", peers[i].kind);
            for (size_t j = 0; j < KW_ARRAY_LEN(peers); j++) {
                bool same = peers[i].kind[0] == 'R' &&
                            peers[j].scheme != KW_SIG_ECDSA_P256_SHA256 &&
                            peers[j].scheme != KW_SIG_ECDSA_P384_SHA384;

                verdict = verify(peers[j].scheme, view_of(der, der_len), message, sizeof message,
                                 signature, len);
                CHECK(peers[j].scheme == peers[i].scheme
                          ? verdict == KW_ACCEPT
                          : verdict == (same ? KW_DROP_FORGED : KW_DROP_MALFORMED),
                      "%s with scheme %x", peers[i].kind, (unsigned)peers[j].scheme);
            }
        }
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
    }
}

/* Cut anywhere, lengthened, or with one bit changed: an answer each time, never a read outside. */
static void broken_certificates_are_refused(void **state)
{
    EVP_PKEY *key = make_key("P-256");
    uint8_t der[1024], *exact;
    size_t len = make_foreign(key, X509_VERSION_3, der);
    struct kw_cert_key parsed;

    (void)state;
    assert_int_equal(kw_cert_parse(view_of(der, len), &parsed), KW_ACCEPT);
    for (size_t cut = 0; cut < len; cut++) {
        exact = malloc(cut + 1); /* a sanitizer sees one byte too far */
        memcpy(exact, der, cut);
        CHECK(kw_cert_parse(view_of(exact, cut), &parsed) == KW_DROP_TRUNCATED, "cut at %zu", cut);
        free(exact);
    }
    der[len] = 0;
    assert_int_equal(kw_cert_parse(view_of(der, len + 1), &parsed), KW_DROP_MALFORMED);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (kw_cert_parse(view_of(der, len), &parsed) == KW_ACCEPT)
            assert_int_equal(parsed.type, KW_CERT_P256);
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    EVP_PKEY_free(key);
}

/* A certificate around the given SubjectPublicKeyInfo. */
static enum kw_verdict parse_spki(const uint8_t *spki, size_t spki_len)
{
    uint8_t der[256];
    static const uint8_t start[] = {0x02, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 0};
    static const uint8_t end[] = {0x30, 0, 0x03, 1, 0};
    size_t tbs_len = sizeof start + spki_len, len = 0;
    struct kw_cert_key key;

    der[len++] = 0x30;
    der[len++] = 0x81;
    der[len++] = (uint8_t)(3 + tbs_len + sizeof end);
    der[len++] = 0x30;
    der[len++] = 0x81;
    der[len++] = (uint8_t)tbs_len;
    memcpy(der + len, start, sizeof start);
    len += sizeof start;
    memcpy(der + len, spki, spki_len);
    len += spki_len;
    memcpy(der + len, end, sizeof end);
    len += sizeof end;
    assert_true(tbs_len >= 0x80 && len < 256);
    return kw_cert_parse(view_of(der, len), &key);
}

static void encodings_other_than_der_are_refused(void **state)
{
    uint8_t good[150] = {0x30, 0x81, 0x93, 0x30, 0x13, 6,    7,    0x2a, 0x86, 0x48,
                         0xce, 0x3d, 2,    1,    6,    8,    0x2a, 0x86, 0x48, 0xce,
                         0x3d, 3,    1,    7,    0x03, 0x42, 0,    4};
    uint8_t spki[150];

    (void)state;
    /* The sizes of P-256: 0x59 in all; padded behind with an element that does not belong. */
    good[2] = 0x59;
    memmove(good + 2, good + 3, sizeof good - 3);
    good[1] = 0x59;
    memcpy(spki, good, sizeof spki);
    spki[91] = 0x30; /* extensions would follow here */
    spki[92] = 54;
    assert_int_equal(parse_spki(spki, 91 + 56), KW_ACCEPT);

    memcpy(spki, good, sizeof spki);
    spki[25] = 1; /* unused bits */
    spki[91] = 0x30;
    spki[92] = 54;
    assert_int_equal(parse_spki(spki, 91 + 56), KW_DROP_MALFORMED);

    memcpy(spki, good, sizeof spki);
    memmove(spki + 2, spki + 1, 100); /* 0x81 before a length below 128 */
    spki[1] = 0x81;
    spki[92] = 0x30;
    spki[93] = 54;
    assert_int_equal(parse_spki(spki, 92 + 56), KW_DROP_MALFORMED);

    memcpy(spki, good, sizeof spki);
    spki[1] = 0x80; /* the indefinite form */
    spki[91] = 0x30;
    spki[92] = 54;
    assert_int_equal(parse_spki(spki, 91 + 56), KW_DROP_MALFORMED);

    memcpy(spki, good, sizeof spki);
    spki[26] = 2; /* compressed point */
    spki[91] = 0x30;
    spki[92] = 54;
    assert_int_equal(parse_spki(spki, 91 + 56), KW_DROP_MALFORMED);
}

static void no_room_writes_nothing(void **state)
{
    struct kw_cert_fields fields = {.not_after = 1};
    uint8_t tbs[KW_CERT_TBS_MAX], der[512];
    size_t tbs_len = kw_cert_write_tbs(&fields, tbs, sizeof tbs);

    (void)state;
    assert_true(tbs_len > 0);
    for (size_t size = 0; size < tbs_len; size++)
        assert_int_equal(kw_cert_write_tbs(&fields, der, size), 0);
    assert_int_equal(kw_cert_write_tbs(&fields, der, tbs_len), tbs_len);
    for (size_t size = 0; size < tbs_len + 80; size++)
        assert_int_equal(kw_cert_write(view_of(tbs, tbs_len), view_of(tbs, 72), der, size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_written_right),
        cmocka_unit_test(ours_is_a_good_certificate),
        cmocka_unit_test(peers_of_every_kind),
        cmocka_unit_test(pss_salt_has_one_length),
        cmocka_unit_test(broken_certificates_are_refused),
        cmocka_unit_test(encodings_other_than_der_are_refused),
        cmocka_unit_test(no_room_writes_nothing),
    };

    return cmocka_run_group_tests(tests, provider_begin, provider_end);
}
