/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BENCH_DTLS_BENCH_H
#define KW_BENCH_DTLS_BENCH_H

/*
 * The three things that bench_dtls compares: whole handshakes of ours, whole handshakes of libssl,
 * and the primitives alone. Each call does the work of both sides.
 *
 * Both certificates of a handshake are fresh. They are made before the clock starts (`fill`), each
 * serves one handshake, and how many there were is printed; what one costs is a line of its own.
 */

#include <keywheel/openssl.h>

#include <stdbool.h>
#include <stddef.h>

/* A row per group. evp_type NULL: libcrypto of this machine may not have it. */
struct dtls_group {
    enum kw_group id;
    const char *name;
    const char *evp_type;  /* of the classical half */
    const char *evp_group; /* of "EC" */
    const char *libssl;    /* its list of groups, which must have the certificates' curve too; NULL:
                              not compared */
};

/* What the provider was asked for during one handshake, both sides together. */
struct dtls_counts {
    unsigned offers, answers, finishes;
    unsigned signs, verifies;
    unsigned hmacs, digests, peeks;
    size_t hmac_bytes, digest_bytes;
    unsigned aead_keys, mask_keys, masks, seals, opens;
    size_t sealed_bytes;
};

/* Says what failed and ends the process: a benchmark of something broken is none. */
void dtls_must(bool ok, const char *what);

/* Ours. */
void ours_open(size_t batch);
void ours_close(void);
struct kw_crypto *ours_crypto(void);
void ours_use_group(const struct dtls_group *group);
void ours_fill(void); /* two certificates for each handshake of a batch */
void ours_handshake(void);
void ours_identity(void);
void ours_count(struct dtls_counts *ret); /* of one handshake */

/* libssl, DTLS 1.2. */
void libssl_open(size_t batch);
void libssl_close(void);
void libssl_use_group(const struct dtls_group *group);
void libssl_fill(void);
void libssl_handshake(void);
void libssl_identity(void);

/* Only the primitives, as often as a handshake of ours asks for them. */
void raw_open(struct kw_crypto *crypto);
void raw_close(void);
void raw_use_group(const struct dtls_group *group, const struct dtls_counts *counts);
void raw_key_exchange(void);
void raw_signatures(void);
void raw_hashes(void);
void raw_all(void);

/* Bytes that an idle association holds, averaged over many. */
struct dtls_memory {
    size_t block;     /* ours: the caller's block; libssl: 0 */
    size_t libcrypto; /* everything that libcrypto holds for it, pools included */
};
void ours_memory(struct dtls_memory *ret);
void libssl_memory(struct dtls_memory *ret);

#endif
