/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS key of the HTTP listeners: whose it may be, and that nobody is asked for a pass phrase.
 */
#include "check.h"

#include "http/tls.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/kw-test-keys-XXXXXX";
static char path[300];
static char error[256];

/* A certificate and its EC key, under a pass phrase or in clear, in a file of the test's folder. */
static void write_key(const char *name, const char *pass_phrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *file;

    assert_non_null(key);
    assert_non_null(cert);
    X509_set_pubkey(cert, key);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(PEM_write_PrivateKey(file, key, pass_phrase != NULL ? EVP_aes_128_cbc() : NULL,
                                          NULL, 0, NULL, (void *)(uintptr_t)pass_phrase),
                     1);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static bool is_taken(mode_t mode)
{
    SSL_CTX *tls;

    assert_int_equal(chmod(path, mode), 0);
    error[0] = '\0';
    tls = kw_http_tls_new(path, path, error, sizeof error);
    SSL_CTX_free(tls);
    return tls != NULL;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kw-test-keys-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void others_may_neither_read_nor_change_a_key(void **state)
{
    static const mode_t too_open[] = {0644, 0604, 0660, 0602, 0601};

    (void)state;
    write_key("plain", NULL);
    CHECK(is_taken(0600), "%s", error);
    CHECK(is_taken(0640), "%s", error); /* a group of its own may read it */
    for (size_t i = 0; i < KW_ARRAY_LEN(too_open); i++) {
        assert_false(is_taken(too_open[i]));
        CHECK(strstr(error, "chmod 640") != NULL, "%o: %s", (unsigned)too_open[i], error);
    }
}

/* Nobody is asked, and nobody waits. */
static void a_key_under_a_pass_phrase_is_an_error(void **state)
{
    (void)state;
    write_key("locked", "s3cret");
    assert_false(is_taken(0600));
    CHECK(strstr(error, "locked.pem") != NULL, "%s", error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(others_may_neither_read_nor_change_a_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_under_a_pass_phrase_is_an_error, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
