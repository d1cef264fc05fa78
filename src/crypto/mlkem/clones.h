/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_MLKEM_CLONES_H
#define KW_CRYPTO_MLKEM_CLONES_H

/*
 * Lets the compiler make one portable C function for several x86-64 processors and the loader take
 * the best (GNU indirect functions). Elsewhere the function is compiled once.
 */
#if defined(KW_MLKEM_CLONES)
/* A test chose. */
#elif defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define KW_MLKEM_CLONES                                                                            \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KW_MLKEM_CLONES
#endif

#endif
