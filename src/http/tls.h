/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_TLS_H
#define KW_HTTP_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

/* TLS 1.2 and 1.3 with a certificate chain and its key in PEM; NULL and why in error. */
SSL_CTX *kw_http_tls_new(const char *cert_path, const char *key_path, char *error,
                         size_t error_size);

#endif
