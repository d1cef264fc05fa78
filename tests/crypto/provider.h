/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TEST_CRYPTO_PROVIDER_H
#define KW_TEST_CRYPTO_PROVIDER_H

/* The provider on libcrypto, for a group of tests. */
#include <keywheel/openssl.h>

static struct kw_crypto *crypto;

static int provider_begin(void **state)
{
    struct kw_openssl_config config = {.associations = 2, .handshakes = 2};

    (void)state;
    return kw_openssl_new(&config, &crypto) == KW_OK ? 0 : -1;
}

static int provider_end(void **state)
{
    (void)state;
    kw_openssl_free(crypto);
    return 0;
}

#endif
