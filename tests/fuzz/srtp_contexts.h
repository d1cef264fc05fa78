/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_FUZZ_SRTP_CONTEXTS_H
#define KW_TESTS_FUZZ_SRTP_CONTEXTS_H

/*
 * Contexts for the SRTP fuzzers. They are derived once and kept as they were born; an execution
 * begins with a copy, which costs less than a derivation by far. (A copy shares the pooled objects
 * of the provider with its original; those keep no state between packets.)
 */

#include <keywheel/openssl.h>

#include "srtp/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(expr)                                                                           \
    do {                                                                                           \
        if (!(expr)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { FUZZ_STREAMS = 4, FUZZ_KEYS = 3, FUZZ_PROFILES = 3 };

struct fuzz_context {
    _Alignas(64) uint8_t bytes[2304];
};

struct fuzz_born {
    struct fuzz_context send, receive;
};

static inline enum kw_srtp_profile fuzz_profile(size_t n)
{
    static const enum kw_srtp_profile profiles[FUZZ_PROFILES] = {
        KW_SRTP_AEAD_AES_128_GCM, KW_SRTP_AEAD_AES_256_GCM, KW_SRTP_AES128_CM_SHA1_80};

    return profiles[n % FUZZ_PROFILES];
}

static inline void fuzz_bear(struct kw_crypto *crypto, const struct kw_srtp_kernel *kernel,
                             size_t profile, size_t key, bool cryptex, bool for_sending,
                             struct fuzz_context *ret)
{
    struct kw_srtp_master master = {.profile = fuzz_profile(profile)};
    struct kw_srtp_params params = {.kernel = kernel,
                                    .crypto = crypto,
                                    .master = &master,
                                    .for_sending = for_sending,
                                    .ssrc_max = FUZZ_STREAMS,
                                    .cryptex = cryptex};
    struct kw_srtp *srtp;

    master.key_len = master.profile == KW_SRTP_AEAD_AES_256_GCM ? 32 : 16;
    master.salt_len = master.profile == KW_SRTP_AES128_CM_SHA1_80 ? 14 : 12;
    memset(master.key, (int)(17 * key + profile + 1), master.key_len);
    memset(master.salt, (int)(key + 3), master.salt_len);
    FUZZ_CHECK(kw_srtp_size(FUZZ_STREAMS) <= sizeof ret->bytes);
    FUZZ_CHECK(kw_srtp_init(ret, &params, &srtp) == KW_OK);
}

/* Sender and receiver as they were born: a profile, a key (generation), with or without cryptex. */
static inline const struct fuzz_born *fuzz_born(size_t profile, size_t key, bool cryptex)
{
    static struct fuzz_born born[FUZZ_PROFILES][FUZZ_KEYS][2];
    static bool done;

    if (!done) {
        struct kw_openssl_config config = {.associations = 1, .srtp_keys = 64};
        const struct kw_srtp_kernel *kernel;
        struct kw_crypto *crypto;

        FUZZ_CHECK(kw_openssl_new(&config, &crypto) == KW_OK);
        kernel = kw_srtp_kernel_select(crypto, getenv("KW_KERNEL"));
        FUZZ_CHECK(kernel != NULL);
        for (size_t p = 0; p < FUZZ_PROFILES; p++) {
            for (size_t k = 0; k < FUZZ_KEYS; k++) {
                for (size_t c = 0; c < 2; c++) {
                    fuzz_bear(crypto, kernel, p, k, c == 1, true, &born[p][k][c].send);
                    fuzz_bear(crypto, kernel, p, k, c == 1, false, &born[p][k][c].receive);
                }
            }
        }
        done = true;
    }
    return &born[profile % FUZZ_PROFILES][key % FUZZ_KEYS][cryptex];
}

static inline struct kw_srtp *fuzz_copy(struct fuzz_context *mem, const struct fuzz_context *born)
{
    memcpy(mem, born, sizeof *mem);
    return (struct kw_srtp *)(void *)mem;
}

#endif
