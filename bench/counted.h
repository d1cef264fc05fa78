/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BENCH_COUNTED_H
#define KW_BENCH_COUNTED_H

/*
 * A heap for libcrypto that knows how much it has given out, the allocator's rounding included. To
 * be installed before anything else touches libcrypto; one thread.
 */

#include <keywheel/openssl.h>

enum kw_status counted_install(void);
/* Bytes that are out now. */
size_t counted_held(void);

#endif
