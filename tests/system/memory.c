/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All patterns are looked for in one pass: a table over their first two bytes says whether a
 * position is worth a comparison.
 */
#include "memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

void patterns_add(struct patterns *patterns, const uint8_t bytes[PATTERN_LEN], const char *name)
{
    struct pattern *pattern = &patterns->list[patterns->count];

    if (patterns->count == PATTERNS_MAX)
        abort();
    patterns->count++;
    memset(pattern, 0, sizeof *pattern);
    memcpy(pattern->bytes, bytes, PATTERN_LEN);
    pattern->name = name;
}

/* FIPS 197, section 4.2: multiplication in GF(2^8). */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    uint8_t product = 0;

    for (; b != 0; b >>= 1) {
        if (b & 1)
            product ^= a;
        a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
    }
    return product;
}

/* Section 5.1.1: the inverse (x^254), then the affine map. */
static uint8_t substitute(uint8_t x)
{
    uint8_t inverse = 1, result = 0x63;

    for (int i = 0; i < 254; i++)
        inverse = multiply(inverse, x);
    for (int i = 0; i < 5; i++)
        result ^= (uint8_t)(inverse << i | inverse >> (8 - i));
    return result;
}

static void add_both_orders(struct patterns *patterns, const uint8_t round_key[16],
                            const char *name)
{
    uint8_t swapped[16];

    patterns_add(patterns, round_key, name);
    for (size_t i = 0; i < 16; i++)
        swapped[i] = round_key[i / 4 * 4 + 3 - i % 4];
    patterns_add(patterns, swapped, name);
}

/* Section 5.2: key expansion. */
void patterns_add_aes128(struct patterns *patterns, const uint8_t key[16], const char *name)
{
    uint8_t schedule[176];
    uint8_t constant = 1;

    memcpy(schedule, key, 16);
    for (size_t at = 16; at < sizeof schedule; at += 4) {
        uint8_t word[4];

        memcpy(word, schedule + at - 4, 4);
        if (at % 16 == 0) {
            uint8_t first = word[0];

            word[0] = (uint8_t)(substitute(word[1]) ^ constant);
            word[1] = substitute(word[2]);
            word[2] = substitute(word[3]);
            word[3] = substitute(first);
            constant = multiply(constant, 2);
        }
        for (size_t i = 0; i < 4; i++)
            schedule[at + i] = (uint8_t)(schedule[at + i - 16] ^ word[i]);
    }
    for (size_t at = 0; at < sizeof schedule; at += 16)
        add_both_orders(patterns, schedule + at, name);
}

static void found(struct pattern *pattern, bool is_inside, const char *where)
{
    if (is_inside) {
        pattern->inside++;
        return;
    }
    if (pattern->outside++ == 0)
        snprintf(pattern->where, sizeof pattern->where, "%s", where);
}

static void search(struct patterns *patterns, const uint8_t *data, size_t len, bool is_inside,
                   const char *where)
{
    static uint8_t worth[65536];

    memset(worth, 0, sizeof worth);
    for (size_t i = 0; i < patterns->count; i++)
        worth[patterns->list[i].bytes[0] << 8 | patterns->list[i].bytes[1]] = 1;
    for (size_t at = 0; at + PATTERN_LEN <= len; at++) {
        if (!worth[data[at] << 8 | data[at + 1]])
            continue;
        for (size_t i = 0; i < patterns->count; i++) {
            if (memcmp(data + at, patterns->list[i].bytes, PATTERN_LEN) == 0)
                found(&patterns->list[i], is_inside, where);
        }
    }
}

/* Chunks overlap by a pattern less one byte, so that none hides across a border. */
static void search_range(struct patterns *patterns, int fd, uint64_t from, uint64_t until,
                         bool is_inside, const char *where)
{
    static uint8_t chunk[CHUNK];

    while (from < until) {
        size_t want = until - from < CHUNK ? (size_t)(until - from) : CHUNK;
        ssize_t n = pread(fd, chunk, want, (off_t)from);

        if (n <= 0) {
            from += 4096; /* a hole, such as a guard page or the kernel's own */
            continue;
        }
        search(patterns, chunk, (size_t)n, is_inside, where);
        if ((size_t)n < PATTERN_LEN || from + (size_t)n >= until)
            from += (size_t)n;
        else
            from += (size_t)n - (PATTERN_LEN - 1);
    }
}

bool patterns_scan_process(struct patterns *patterns, pid_t pid, size_t *arena_ret)
{
    char path[64], line[512], where[128] = "";
    uint64_t from = 0, until = 0;
    bool is_readable = false;
    FILE *smaps;
    int mem;

    *arena_ret = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    mem = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    smaps = fopen(path, "r");
    if (mem < 0 || smaps == NULL)
        return false;
    while (fgets(line, sizeof line, smaps) != NULL) {
        char rights[8];
        uint64_t a, b;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &a, &b, rights) == 3) {
            from = a;
            until = b;
            is_readable = rights[0] == 'r' && strstr(line, "[vvar") == NULL &&
                          strstr(line, "[vsyscall") == NULL;
            snprintf(where, sizeof where, "%.120s", line);
            where[strcspn(where, "\n")] = '\0';
        } else if (strncmp(line, "VmFlags:", 8) == 0 && is_readable) {
            /* lo: locked, dd: not dumped; together they are the arena's mark */
            bool is_arena = strstr(line, " lo") != NULL && strstr(line, " dd") != NULL;

            *arena_ret += is_arena ? (size_t)(until - from) : 0;
            search_range(patterns, mem, from, until, is_arena, where);
        }
    }
    fclose(smaps);
    close(mem);
    return true;
}

void patterns_scan_folder(struct patterns *patterns, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[4096];
        struct stat st;
        int fd;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        fd = open(path, O_RDONLY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) != 0) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        if (S_ISDIR(st.st_mode))
            patterns_scan_folder(patterns, path);
        else if (S_ISREG(st.st_mode))
            search_range(patterns, fd, 0, (uint64_t)st.st_size, false, path);
        close(fd);
    }
    if (dir != NULL)
        closedir(dir);
}
