/* SPDX-License-Identifier: Apache-2.0 */
/* The engine upon libcrypto: every suite and group really agree on keys. */
#include <keywheel/openssl.h>

#include "check.h"
#include "dtls/pair.h"

static void every_suite_and_group_with_libcrypto(void **state)
{
    static const struct kw_openssl_config config = {.associations = 8, .handshakes = 4};
    struct kw_random random = kw_openssl_random();
    struct kw_crypto *crypto;
    struct pair pair;

    (void)state;
    assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    for (int suite = KW_TLS_AES_128_GCM_SHA256; suite <= KW_TLS_CHACHA20_POLY1305_SHA256; suite++) {
        static const enum kw_group groups[] = {KW_GROUP_X25519MLKEM768, KW_GROUP_X25519,
                                               KW_GROUP_P256, KW_GROUP_P384};

        for (size_t g = 0; g < KW_ARRAY_LEN(groups); g++) {
            if (!crypto->ops->has_group(crypto, groups[g]))
                continue;
            pair_connect(&pair, &(struct pair_config){.seed = 1,
                                                      .crypto = crypto,
                                                      .random = &random,
                                                      .suite = (enum kw_suite)suite,
                                                      .group = groups[g]});
            assert_true(pair_same_srtp_keys(&pair));
            pair_deinit(&pair);
        }
    }
    /* Every pool of the provider is whole again: as many as it has places for. */
    for (int round = 0; round < 20; round++) {
        pair_connect(&pair, &(struct pair_config){.seed = 2, .crypto = crypto, .random = &random});
        pair_deinit(&pair);
    }
    kw_openssl_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_and_group_with_libcrypto),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
