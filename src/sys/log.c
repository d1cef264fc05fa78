/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is composed on the stack and leaves in one write(), so that lines of several threads never
 * mix. Values that are plain words stand bare; anything else is quoted, with \xNN for bytes outside
 * printable ASCII.
 */
#include "sys/log.h"

#include "sys/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int level_max = KW_LOG_INFO;

void kw_log_set_level(enum kw_log_level level)
{
    atomic_store(&level_max, (int)level);
}

struct line {
    char *dst;
    size_t len, size;
};

static void add_char(struct line *line, char c)
{
    if (line->len + 1 < line->size)
        line->dst[line->len++] = c;
}

static void add_text(struct line *line, const char *text)
{
    while (*text != '\0')
        add_char(line, *text++);
}

static bool is_plain(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-_.:/@+[]#,";

    return *text != '\0' && text[strspn(text, plain)] == '\0';
}

static void add_value(struct line *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t taken = 0;

    if (is_plain(text) && strlen(text) <= KW_LOG_VALUE_MAX) {
        add_text(line, text);
        return;
    }
    add_char(line, '"');
    for (; taken < KW_LOG_VALUE_MAX && text[taken] != '\0'; taken++) {
        unsigned char c = (unsigned char)text[taken];

        if (c == '"' || c == '\\') {
            add_char(line, '\\');
            add_char(line, (char)c);
        } else if (c < 0x20 || c > 0x7e) {
            add_text(line, "\\x");
            add_char(line, hex[c >> 4]);
            add_char(line, hex[c & 15]);
        } else {
            add_char(line, (char)c);
        }
    }
    if (text[taken] != '\0')
        add_text(line, "..");
    add_char(line, '"');
}

size_t kw_log_format(char *dst, size_t dst_size, enum kw_log_level level, const char *event,
                     const struct kw_log_field *fields, size_t field_count)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct line line = {.dst = dst, .size = dst_size};

    add_text(&line, names[level]);
    add_char(&line, ' ');
    add_text(&line, event);
    for (size_t i = 0; i < field_count; i++) {
        char number[24];

        snprintf(number, sizeof number, "%llu", (unsigned long long)fields[i].number);
        add_char(&line, ' ');
        add_text(&line, fields[i].key);
        add_char(&line, '=');
        add_value(&line, fields[i].text != NULL ? fields[i].text : number);
    }
    dst[line.len] = '\0';
    return line.len;
}

void kw_log_line(enum kw_log_level level, const char *event, const struct kw_log_field *fields,
                 size_t field_count)
{
    char text[KW_LOG_LINE_MAX];
    size_t len;
    ssize_t n;

    if ((int)level > atomic_load(&level_max))
        return;
    kw_utc_format(kw_clock_utc(), text);
    len = strlen(text);
    text[len++] = ' ';
    len += kw_log_format(text + len, sizeof text - len - 1, level, event, fields, field_count);
    text[len++] = '\n';
    n = write(STDERR_FILENO, text, len);
    (void)n; /* nowhere left to say it */
}
