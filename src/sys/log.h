/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_LOG_H
#define KW_SYS_LOG_H

#include <keywheel/base.h>

/*
 * One line per event on stderr: time, level, event, then key=value. Values are escaped and capped
 * here, so that nothing a peer says can forge a line, drive a terminal or fill a disk. Never hand a
 * secret to it, at any level. Any thread may log.
 */
enum kw_log_level { KW_LOG_ERROR = 0, KW_LOG_WARNING, KW_LOG_INFO, KW_LOG_DEBUG };

enum { KW_LOG_VALUE_MAX = 160, KW_LOG_LINE_MAX = 1024 };

struct kw_log_field {
    const char *key;
    const char *text; /* NULL: a number */
    uint64_t number;
};

#define KW_LOG_TEXT(name, value)                                                                   \
    {                                                                                              \
        .key = (name), .text = (value)                                                             \
    }
#define KW_LOG_NUMBER(name, value)                                                                 \
    {                                                                                              \
        .key = (name), .number = (uint64_t)(value)                                                 \
    }

/* KW_LOG(KW_LOG_INFO, "listening", KW_LOG_TEXT("address", text)); at least one field. */
#define KW_LOG(level, event, ...)                                                                  \
    kw_log_line((level), (event), (const struct kw_log_field[]){__VA_ARGS__},                      \
                sizeof((const struct kw_log_field[]){__VA_ARGS__}) / sizeof(struct kw_log_field))

void kw_log_line(enum kw_log_level level, const char *event, const struct kw_log_field *fields,
                 size_t field_count);

/* Lines above this level are not written; KW_LOG_INFO at start. */
void kw_log_set_level(enum kw_log_level level);

/* The line without its time stamp and newline, for tests; returns its length. */
size_t kw_log_format(char *dst, size_t dst_size, enum kw_log_level level, const char *event,
                     const struct kw_log_field *fields, size_t field_count);

#endif
