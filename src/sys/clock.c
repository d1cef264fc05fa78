/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/clock.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

kw_ns kw_clock_now(void)
{
    struct timespec ts;

    KW_ASSERT(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (kw_ns)ts.tv_sec * UINT64_C(1000000000) + (kw_ns)ts.tv_nsec;
}

kw_utc_ms kw_clock_utc(void)
{
    struct timespec ts;

    KW_ASSERT(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (kw_utc_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void kw_utc_format(kw_utc_ms utc, char *dst)
{
    kw_utc_ms ms = utc % 1000;
    time_t seconds = (time_t)(utc / 1000);
    struct tm tm;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < -1900) {
        snprintf(dst, KW_UTC_TEXT_MAX, "beyond-the-calendar");
        return;
    }
    snprintf(dst, KW_UTC_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
}

bool kw_utc_parse(const char *text, kw_utc_ms *ret)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};

    for (size_t i = 0; i < KW_ARRAY_LEN(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        struct tm again = tm;
        time_t seconds;

        if (end == NULL || *end != '\0')
            continue;
        seconds = timegm(&again);
        /* timegm() normalises 31 February into March; we refuse it */
        if (again.tm_mday != tm.tm_mday || again.tm_mon != tm.tm_mon)
            return false;
        *ret = (kw_utc_ms)seconds * 1000;
        return true;
    }
    return false;
}
