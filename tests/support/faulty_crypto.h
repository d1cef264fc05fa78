/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_FAULTY_CRYPTO_H
#define KW_TESTS_FAULTY_CRYPTO_H

/*
 * A provider that forwards to another one and lets the n-th call fail, and a random source that
 * does the same. To try every failure of a scenario:
 *
 *     for (size_t n = 1;; n++) {
 *         faulty_crypto_arm(crypto, n, KW_ERR_CRYPTO, false);
 *         run_scenario();
 *         assert_int_equal(faulty_crypto_live(crypto), 0);
 *         if (!faulty_crypto_fired(crypto))
 *             break;
 *     }
 *
 * Every operation that returns a status counts as a call. A failing seal or open scribbles over
 * the body, because the contract promises nothing about it.
 */

#include <keywheel/crypto.h>

/* inner is borrowed until faulty_crypto_free(). */
struct kw_crypto *faulty_crypto_new(struct kw_crypto *inner);
void faulty_crypto_free(struct kw_crypto *crypto);

/*
 * Starts counting anew; call number `n` (1: the next) returns `status`. 0: none. `onwards`: all
 * calls after it as well.
 */
void faulty_crypto_arm(struct kw_crypto *crypto, size_t n, enum kw_status status, bool onwards);
/* Calls since it was armed. */
size_t faulty_crypto_calls(const struct kw_crypto *crypto);
bool faulty_crypto_fired(const struct kw_crypto *crypto);
/* Objects and holds that were not given back yet. */
size_t faulty_crypto_live(const struct kw_crypto *crypto);

/* Fails call number fail_at (1: the first; 0: none) of a random source. */
struct faulty_random {
    struct kw_random inner;
    size_t fail_at;
    size_t calls;
};
struct kw_random faulty_random(struct faulty_random *faulty);

#endif
