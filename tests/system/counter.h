/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_COUNTER_H
#define KW_TESTS_SYSTEM_COUNTER_H

/*
 * What each thread of a program asked of the C library, in a file that the program (counter.c is
 * preloaded into it) and the test map. The program gets its name from KW_COUNT_FILE. Only a thread
 * itself writes its figures.
 */

#include <stdint.h>

enum { COUNTER_THREADS = 32 };

struct counter_thread {
    uint64_t allocations; /* malloc and its kin, free not */
    uint64_t locks;       /* mutexes and read-write locks */
    uint64_t receives;    /* calls of recvmmsg: the thread that has any moves the media */
};

struct counter_file {
    uint32_t used;
    struct counter_thread threads[COUNTER_THREADS];
};

/*
 * What KW_COUNT_SIN makes the preloaded recvmmsg do beside its work, for the controls of a test:
 * "allocate", "lock", "call" (a system call more), "single" (one datagram a call).
 */

#endif
