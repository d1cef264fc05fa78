/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void explain(const char *what, const char *path, char *error, size_t error_size)
{
    char reason[128];

    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
    snprintf(error, error_size, "%s %s: %s", what, path, reason);
    ERR_clear_error();
}

/* A key that others may read is nobody's key any more. */
static bool is_private(const char *path, char *error, size_t error_size)
{
    struct stat st;

    if (stat(path, &st) != 0)
        snprintf(error, error_size, "key %s: %s", path, strerror(errno));
    else if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        snprintf(error, error_size, "key %s: others may read or change it: chmod 640 it", path);
    else
        return true;
    return false;
}

/* A daemon has nobody to ask for a pass phrase: an encrypted key is an error, not a prompt. */
static int no_pass_phrase(char *dst, int dst_size, int is_writing, void *arg)
{
    (void)dst;
    (void)dst_size;
    (void)is_writing;
    (void)arg;
    return 0;
}

SSL_CTX *kw_http_tls_new(const char *cert_path, const char *key_path, char *error,
                         size_t error_size)
{
    SSL_CTX *tls;

    if (!is_private(key_path, error, error_size))
        return NULL;
    tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL) {
        explain("TLS", "cannot start", error, error_size);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Forward secrecy and an AEAD here too; 1.3 knows nothing else. */
    SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_default_passwd_cb(tls, no_pass_phrase);
    if (SSL_CTX_use_certificate_chain_file(tls, cert_path) != 1) {
        explain("certificate", cert_path, error, error_size);
    } else if (SSL_CTX_use_PrivateKey_file(tls, key_path, SSL_FILETYPE_PEM) != 1) {
        explain("key", key_path, error, error_size);
    } else if (SSL_CTX_check_private_key(tls) != 1) {
        explain("key does not fit its certificate:", key_path, error, error_size);
    } else {
        return tls;
    }
    SSL_CTX_free(tls);
    return NULL;
}
