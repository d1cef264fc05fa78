/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_ASSERT_H
#define KW_BASE_ASSERT_H

#include <keywheel/base.h>

/* Ends the process through the hook; never returns. */
void kw_assert_failed(const char *expression, const char *file, int line)
    __attribute__((noreturn, cold));

#define KW_ASSERT(expr) ((expr) ? (void)0 : kw_assert_failed(#expr, __FILE__, __LINE__))

/* For a status that is ignored on purpose; the comment beside the call says why. */
static inline void kw_status_ignore(enum kw_status status)
{
    (void)status;
}

#define KW_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define KW_MIN(a, b) ((a) < (b) ? (a) : (b))
#define KW_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
