/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SRTP_REVEAL_H
#define KW_TESTS_SRTP_REVEAL_H

/* Included before everything else when the constant-time test compiles the kernel it looks at. */

#include <valgrind/memcheck.h>

#define KW_GCM_REVEAL(mem, len) ((void)VALGRIND_MAKE_MEM_DEFINED(mem, len))

#endif
