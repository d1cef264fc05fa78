/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_MEMORY_H
#define KW_TESTS_SYSTEM_MEMORY_H

/* Looks for byte patterns in the memory of a process and in files. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PATTERN_LEN = 16, PATTERNS_MAX = 256 };

struct pattern {
    uint8_t bytes[PATTERN_LEN];
    const char *name; /* of the key it belongs to */
    size_t inside;    /* found in locked memory that core dumps leave out */
    size_t outside;   /* found anywhere else */
    char where[128];  /* the first place outside */
};

struct patterns {
    size_t count;
    struct pattern list[PATTERNS_MAX];
};

/* An AES-128 key and its ten further round keys, in both byte orders that programs keep them in. */
void patterns_add_aes128(struct patterns *patterns, const uint8_t key[16], const char *name);
void patterns_add(struct patterns *patterns, const uint8_t bytes[PATTERN_LEN], const char *name);

/* False: the process cannot be read. *arena_ret: bytes that are locked and left out of dumps. */
bool patterns_scan_process(struct patterns *patterns, pid_t pid, size_t *arena_ret);
/* Every regular file of a folder; counts as outside. */
void patterns_scan_folder(struct patterns *patterns, const char *folder);

#endif
