/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of addresses and ids, without the C library. */
#include "gateway/text.h"

#include "base/assert.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

size_t kw_text_len(const char *text)
{
    size_t len = 0;

    while (text[len] != '\0')
        len++;
    return len;
}

bool kw_text_equal(const char *a, const char *b)
{
    size_t len = kw_text_len(a);

    return len == kw_text_len(b) && memcmp(a, b, len) == 0;
}

void kw_text_copy_bytes(char *dst, size_t dst_size, struct kw_bytes src)
{
    size_t len = KW_MIN(src.len, dst_size - 1);

    if (len != 0)
        memcpy(dst, src.data, len);
    dst[len] = '\0';
}

void kw_text_copy(char *dst, size_t dst_size, const char *src)
{
    kw_text_copy_bytes(dst, dst_size, (struct kw_bytes){(const uint8_t *)src, kw_text_len(src)});
}

static char *write_decimal(char *at, unsigned value)
{
    char digits[10];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *write_group(char *at, unsigned value)
{
    bool begun = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 15;

        begun = begun || digit != 0 || shift == 0;
        if (begun)
            *at++ = hex_digits[digit];
    }
    return at;
}

/* RFC 5952: the longest run of at least two zero groups becomes "::". */
static char *write_ipv6(char *at, const uint8_t ip[16])
{
    unsigned groups[8];
    int best = -1, best_len = 1;

    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]);
    for (int i = 0; i < 8; i++) {
        int len = 0;

        while (i + len < 8 && groups[i + len] == 0)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            *at++ = ':';
            *at++ = ':';
            i += best_len - 1;
            continue;
        }
        if (i != 0 && i != best + best_len)
            *at++ = ':';
        at = write_group(at, groups[i]);
    }
    return at;
}

void kw_address_write(const struct kw_address *address, char dst[KW_ADDRESS_TEXT_MAX])
{
    char *at = dst;

    if (address->family == 4) {
        for (int i = 0; i < 4; i++) {
            if (i != 0)
                *at++ = '.';
            at = write_decimal(at, address->ip[i]);
        }
    } else if (address->family == 6) {
        if (address->port != 0)
            *at++ = '[';
        at = write_ipv6(at, address->ip);
        if (address->port != 0)
            *at++ = ']';
    }
    if (address->family != 0 && address->port != 0) {
        *at++ = ':';
        at = write_decimal(at, address->port);
    }
    *at = '\0';
}

void kw_hex_write(const uint8_t *data, size_t len, char *dst)
{
    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = hex_digits[data[i] >> 4];
        dst[2 * i + 1] = hex_digits[data[i] & 15];
    }
    dst[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool kw_hex_parse(const char *text, uint8_t *dst, size_t len)
{
    if (kw_text_len(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        dst[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
