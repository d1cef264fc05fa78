/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_OPENSSL_H
#define KEYWHEEL_OPENSSL_H

/* The crypto provider on libcrypto (3.0 or later; ML-KEM is libcrypto's own from 3.5 on, ours
 * below). */

#include <keywheel/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kw_openssl_config {
    size_t associations; /* bounds every pool: contexts for this many live associations */
    size_t handshakes;   /* .. and for this many handshakes in flight */
    size_t srtp_keys;    /* .. and for this many SRTP keys on the EVP kernel; 0 without it */
};

/* Where libcrypto gets its memory from. Called from any thread that uses libcrypto. */
struct kw_openssl_memory {
    void *ctx;
    void *(*take)(void *ctx, size_t size);
    void *(*resize)(void *ctx, void *mem, size_t size);
    void (*give)(void *ctx, void *mem); /* NULL is allowed */
};

/*
 * Lets all of libcrypto, in the whole process and until its end, allocate from here; the memory
 * must live as long. To be called before anything else touches libcrypto: KW_ERR_STATE afterwards.
 */
KW_API KW_MUST_USE enum kw_status kw_openssl_use_memory(const struct kw_openssl_memory *memory);

/*
 * Fetches every algorithm once and makes its pools. The provider belongs to one thread at a time.
 * KW_ERR_CRYPTO: libcrypto lacks an algorithm that this build needs.
 */
KW_API KW_MUST_USE enum kw_status kw_openssl_new(const struct kw_openssl_config *config,
                                                 struct kw_crypto **ret);
KW_API void kw_openssl_free(struct kw_crypto *crypto);

/* libcrypto's generator as a kw_random. */
KW_API struct kw_random kw_openssl_random(void);

#ifdef __cplusplus
}
#endif

#endif
