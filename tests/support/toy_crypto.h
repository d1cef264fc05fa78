/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_TOY_CRYPTO_H
#define KW_TESTS_TOY_CRYPTO_H

/*
 * A provider for simulations and fuzzers: the whole contract at a few hundred nanoseconds per
 * operation, the same bytes for the same seed. It is no cryptography; but an AEAD notices every
 * changed bit, both sides of a key exchange agree and differ from everybody else, and a signature
 * binds message and key. All sizes are the real ones, certificates are real DER.
 *
 * Peculiar: shares of P-256, P-384 and X25519MLKEM768 carry a check, so that a changed one is
 * KW_DROP_MALFORMED as a point off the curve would be; an x25519 share is accepted unless it is
 * zero.
 */

#include <keywheel/crypto.h>

/* Objects come from malloc without bound; objects of one instance work with another. */
struct kw_crypto *toy_crypto_new(uint64_t seed);
void toy_crypto_free(struct kw_crypto *crypto);
/* Objects that were not given back yet. */
size_t toy_crypto_live(const struct kw_crypto *crypto);

/* A deterministic stream of random bytes; the state is the caller's and starts as a seed. */
struct kw_random toy_random(uint64_t *state);

#endif
