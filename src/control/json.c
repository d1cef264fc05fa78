/* SPDX-License-Identifier: Apache-2.0 */
/* A comma is owed after each value until its bracket closes. */
#include "control/json.h"

#include "gateway/text.h"

#include <string.h>

void kw_json_raw(struct kw_json *json, const char *raw)
{
    kw_write_bytes(&json->out, (struct kw_bytes){(const uint8_t *)raw, kw_text_len(raw)});
}

static void begin_value(struct kw_json *json, const char *name)
{
    if (json->needs_comma)
        kw_write_u8(&json->out, ',');
    if (name != NULL) {
        kw_write_u8(&json->out, '"');
        kw_json_raw(json, name);
        kw_json_raw(json, "\":");
    }
    json->needs_comma = true;
}

void kw_json_open(struct kw_json *json, const char *name, char bracket)
{
    begin_value(json, name);
    kw_write_u8(&json->out, (uint8_t)bracket);
    json->needs_comma = false;
}

void kw_json_close(struct kw_json *json, char bracket)
{
    kw_write_u8(&json->out, (uint8_t)bracket);
    json->needs_comma = true;
}

static void write_escape(struct kw_json *json, unsigned code)
{
    static const char digits[] = "0123456789abcdef";

    kw_json_raw(json, "\\u");
    for (int shift = 12; shift >= 0; shift -= 4)
        kw_write_u8(&json->out, (uint8_t)digits[code >> shift & 15]);
}

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629), 0: there is none. */
static size_t utf8_len(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t len;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        len = 2;
    else if (first >= 0xe0 && first <= 0xef)
        len = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        len = 4;
    else
        return 0;
    if (len > left)
        return 0;
    if (first == 0xe0)
        low = 0xa0; /* not overlong */
    if (first == 0xed)
        high = 0x9f; /* no surrogates */
    if (first == 0xf0)
        low = 0x90;
    if (first == 0xf4)
        high = 0x8f; /* not beyond U+10FFFF */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return len;
}

static void write_text(struct kw_json *json, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = utf8_len(text + i, len - i);
        uint8_t c = text[i];

        if (step == 0) {
            write_escape(json, 0xfffd);
            i++;
            continue;
        }
        if (step == 1 &&
            (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&'))
            write_escape(json, c);
        else if (step == 3 && c == 0xe2 && text[i + 1] == 0x80 &&
                 (text[i + 2] == 0xa8 || text[i + 2] == 0xa9))
            write_escape(json, 0x2000U | (text[i + 2] & 0x3fU)); /* line separators of scripts */
        else
            kw_write_bytes(&json->out, (struct kw_bytes){text + i, step});
        i += step;
    }
}

void kw_json_text(struct kw_json *json, const char *name, const char *value)
{
    size_t len = kw_text_len(value);
    size_t cut = KW_JSON_TEXT_MAX;

    if (len > cut) {
        /* Not inside a character. */
        while (cut > KW_JSON_TEXT_MAX - 4 && ((uint8_t)value[cut] & 0xc0) == 0x80)
            cut--;
        len = cut;
    }
    begin_value(json, name);
    kw_write_u8(&json->out, '"');
    write_text(json, (const uint8_t *)value, len);
    kw_write_u8(&json->out, '"');
}

size_t kw_decimal_write(uint64_t value, char *dst)
{
    char digits[20];
    size_t count = 0, len = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        dst[len++] = digits[--count];
    dst[len] = '\0';
    return len;
}

static void write_decimal(struct kw_json *json, uint64_t value)
{
    char text[21];

    kw_decimal_write(value, text);
    kw_json_raw(json, text);
}

void kw_json_u64(struct kw_json *json, const char *name, uint64_t value)
{
    begin_value(json, name);
    write_decimal(json, value);
}

void kw_json_bool(struct kw_json *json, const char *name, bool value)
{
    begin_value(json, name);
    kw_json_raw(json, value ? "true" : "false");
}

void kw_json_null(struct kw_json *json, const char *name)
{
    begin_value(json, name);
    kw_json_raw(json, "null");
}

static void write_thousandths(struct kw_json *json, const char *name, uint64_t thousandths)
{
    unsigned rest = (unsigned)(thousandths % 1000);

    begin_value(json, name);
    write_decimal(json, thousandths / 1000);
    kw_write_u8(&json->out, '.');
    kw_write_u8(&json->out, (uint8_t)('0' + rest / 100));
    kw_write_u8(&json->out, (uint8_t)('0' + rest / 10 % 10));
    kw_write_u8(&json->out, (uint8_t)('0' + rest % 10));
}

void kw_json_seconds(struct kw_json *json, const char *name, kw_ns value)
{
    write_thousandths(json, name, value / KW_MS(1));
}

void kw_json_ms(struct kw_json *json, const char *name, kw_ns value)
{
    write_thousandths(json, name, value / KW_US(1));
}
