/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BENCH_BENCH_H
#define KW_BENCH_BENCH_H

/*
 * Measuring beside a peer: both run in turns, so that what the machine does meanwhile hits both,
 * and the medians are compared. One JSON object a line on standard output.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_ROUNDS = 15 };

/* Of this process's own time: what is measured here only computes. */
static inline double bench_now_us(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static inline double bench_median(double samples[BENCH_ROUNDS])
{
    qsort(samples, BENCH_ROUNDS, sizeof samples[0], bench_compare);
    return samples[BENCH_ROUNDS / 2];
}

/* Microseconds of one call in a batch. */
static inline double bench_batch(void (*run)(void), int count)
{
    double start = bench_now_us();

    for (int i = 0; i < count; i++)
        run();
    return (bench_now_us() - start) / count;
}

/* peer NULL: nobody to compare with. The ratio is ours / peer's: below 1 we are better. */
static inline void bench_line(const char *bench, const char *variant, double ours, const char *unit,
                              const char *peer, double peer_value)
{
    printf("{\"bench\":\"%s\",\"variant\":\"%s\",\"ours\":%.3f,\"unit\":\"%s\",", bench, variant,
           ours, unit);
    if (peer == NULL)
        printf("\"peer\":null,\"peer_value\":null,\"ratio\":null}\n");
    else
        printf("\"peer\":\"%s\",\"peer_value\":%.3f,\"ratio\":%.3f}\n", peer, peer_value,
               ours / peer_value);
    (void)fflush(stdout);
}

static inline void bench_pair(const char *bench, const char *variant, void (*ours)(void),
                              const char *peer, void (*theirs)(void), int count)
{
    double a[BENCH_ROUNDS], b[BENCH_ROUNDS] = {0};

    fprintf(stderr, "%s: %s\n", bench, variant);
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        a[round] = bench_batch(ours, count);
        if (theirs != NULL)
            b[round] = bench_batch(theirs, count);
    }
    bench_line(bench, variant, bench_median(a), "us", theirs != NULL ? peer : NULL,
               bench_median(b));
}

#endif
