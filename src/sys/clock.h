/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_CLOCK_H
#define KW_SYS_CLOCK_H

#include <keywheel/base.h>

/* The only places that ask a clock. The loop stamps both once per turn and hands them down. */
kw_ns kw_clock_now(void);
kw_utc_ms kw_clock_utc(void);

enum { KW_UTC_TEXT_MAX = 80 }; /* 25 in this century */

/* "2026-11-23T09:41:07.123Z"; dst holds KW_UTC_TEXT_MAX. */
void kw_utc_format(kw_utc_ms utc, char *dst);
/* The same, or a date alone, or with seconds; false for anything else. */
KW_MUST_USE bool kw_utc_parse(const char *text, kw_utc_ms *ret);

#endif
