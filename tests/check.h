/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_CHECK_H
#define KW_TESTS_CHECK_H

/* cmocka with its required headers, and a check that says what was going on when it failed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/assert.h"

#define CHECK(expr, ...)                                                                           \
    do {                                                                                           \
        if (!(expr)) {                                                                             \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            assert_true(expr);                                                                     \
        }                                                                                          \
    } while (0)

#endif
