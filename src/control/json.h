/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CONTROL_JSON_H
#define KW_CONTROL_JSON_H

/*
 * Writes JSON (RFC 8259) into a bounded buffer; there is nothing to read here. Texts are cut at a
 * length and escaped so that they are safe in HTML and in event streams too; bytes that are not
 * UTF-8 become U+FFFD. What does not fit sets `out.failed`.
 */

#include "base/writer.h"

struct kw_json {
    struct kw_writer out;
    bool needs_comma;
};

enum { KW_JSON_TEXT_MAX = 512 };

static inline struct kw_json kw_json_of(uint8_t *dst, size_t dst_size)
{
    return (struct kw_json){.out = kw_writer_of(dst, dst_size)};
}

/* `name` is NULL for elements of arrays and for the outermost value. Names are our own texts. */
void kw_json_open(struct kw_json *json, const char *name, char bracket);
void kw_json_close(struct kw_json *json, char bracket);
void kw_json_text(struct kw_json *json, const char *name, const char *value);
void kw_json_u64(struct kw_json *json, const char *name, uint64_t value);
void kw_json_bool(struct kw_json *json, const char *name, bool value);
/* Seconds or milliseconds with three decimals. */
void kw_json_seconds(struct kw_json *json, const char *name, kw_ns value);
void kw_json_ms(struct kw_json *json, const char *name, kw_ns value);
void kw_json_null(struct kw_json *json, const char *name);

/* Bytes without any escaping: our own constant texts. */
void kw_json_raw(struct kw_json *json, const char *raw);
/* Decimal digits, for headers. dst holds 21 bytes. */
size_t kw_decimal_write(uint64_t value, char *dst);

#endif
