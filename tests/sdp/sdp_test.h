/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SDP_TEST_H
#define KW_TESTS_SDP_TEST_H

/* Offers as files (with LF, turned into CRLF here) and the small edits that tests make in them. */

#include "check.h"

#include "sdp/sdp.h"

#include <stdlib.h>
#include <string.h>

enum { OFFER_MAX = 65536 };

/* Reads tests/sdp/offers/<name>.sdp; the caller frees. */
static inline char *offer_load(const char *name)
{
    char path[512], *text = calloc(1, OFFER_MAX);
    size_t len = 0;
    FILE *file;
    int c;

    snprintf(path, sizeof path, "%s/%s.sdp", getenv("KW_OFFERS"), name);
    file = fopen(path, "rb");
    CHECK(file != NULL && text != NULL, "cannot read %s", path);
    while ((c = fgetc(file)) != EOF && len < OFFER_MAX - 2) {
        if (c == '\r')
            continue;
        if (c == '\n')
            text[len++] = '\r';
        text[len++] = (char)c;
    }
    fclose(file);
    return text;
}

/* Replaces the first (or every) `from` by `to`; returns how many were found. */
static inline size_t offer_edit(char *text, const char *from, const char *to, bool every)
{
    size_t count = 0;
    char *at = text;

    while ((at = strstr(at, from)) != NULL) {
        size_t tail = strlen(at + strlen(from)) + 1;

        memmove(at + strlen(to), at + strlen(from), tail);
        memcpy(at, to, strlen(to));
        at += strlen(to);
        count++;
        if (!every)
            break;
    }
    return count;
}

/* Removes every line that begins with `start`. */
static inline size_t offer_drop(char *text, const char *start)
{
    size_t count = 0;
    char *at = text;

    while (*at != '\0') {
        char *end = strchr(at, '\n');

        end = end != NULL ? end + 1 : at + strlen(at);
        if (strncmp(at, start, strlen(start)) == 0) {
            memmove(at, end, strlen(end) + 1);
            count++;
        } else {
            at = end;
        }
    }
    return count;
}

static inline struct kw_bytes text_bytes(const char *text)
{
    return (struct kw_bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_are(struct kw_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static inline uint32_t line_of(const char *text, const char *at)
{
    uint32_t line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

#endif
