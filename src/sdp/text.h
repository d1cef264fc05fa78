/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SDP_TEXT_H
#define KW_SDP_TEXT_H

/* Small words over views of ASCII text: split, compare, read numbers and addresses, write. */

#include "base/writer.h"

static inline struct kw_bytes kw_text_of(const char *terminated)
{
    struct kw_bytes text = {(const uint8_t *)terminated, 0};

    while (terminated[text.len] != '\0')
        text.len++;
    return text;
}

static inline bool kw_text_equal(struct kw_bytes a, struct kw_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool kw_text_is(struct kw_bytes text, const char *literal)
{
    return kw_text_equal(text, kw_text_of(literal));
}

static inline uint8_t kw_text_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* As kw_text_is(), in any case; literal is lower case. */
static inline bool kw_text_is_any_case(struct kw_bytes text, const char *literal)
{
    struct kw_bytes want = kw_text_of(literal);

    if (text.len != want.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (kw_text_lower(text.data[i]) != want.data[i])
            return false;
    }
    return true;
}

/* Splits *rest at the first separator, which is dropped; without one the whole rest is taken. */
static inline struct kw_bytes kw_text_split(struct kw_bytes *rest, char separator)
{
    struct kw_bytes head = *rest;

    for (size_t i = 0; i < head.len; i++) {
        if (head.data[i] == (uint8_t)separator) {
            head.len = i;
            rest->data += i + 1;
            rest->len -= i + 1;
            return head;
        }
    }
    *rest = (struct kw_bytes){head.data + head.len, 0};
    return head;
}

/* The next word; runs of spaces count as one. Empty at the end. */
static inline struct kw_bytes kw_text_word(struct kw_bytes *rest)
{
    struct kw_bytes word;

    do {
        word = kw_text_split(rest, ' ');
    } while (word.len == 0 && rest->len != 0);
    return word;
}

/* An unsigned decimal number up to max: digits only, at least one. */
KW_MUST_USE bool kw_text_decimal(struct kw_bytes text, uint64_t max, uint64_t *ret);
/* A numeric IPv4 or IPv6 address (RFC 4291 section 2.2, without zone); the port is left alone. */
KW_MUST_USE bool kw_text_address(struct kw_bytes text, struct kw_address *ret);
/* Not empty, visible ASCII, no space: what we are ready to repeat in an answer. */
bool kw_text_is_token(struct kw_bytes text);

void kw_text_write(struct kw_writer *out, const char *terminated);
void kw_text_write_decimal(struct kw_writer *out, uint64_t value);
/* "192.0.2.1", or "2001:db8::1" in the form of RFC 5952. */
void kw_text_write_address(struct kw_writer *out, const struct kw_address *address);

#endif
