/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and addresses, both ways, without the C library: locale and errno have no say here. */
#include "sdp/text.h"

bool kw_text_decimal(struct kw_bytes text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';

        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}

bool kw_text_is_token(struct kw_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    }
    return text.len != 0;
}

/* Four decimal parts of at most three digits. */
static bool parse_ipv4(struct kw_bytes text, uint8_t dst[4])
{
    for (size_t i = 0; i < 4; i++) {
        struct kw_bytes part = kw_text_split(&text, '.');
        uint64_t value;

        if (part.len > 3 || !kw_text_decimal(part, 255, &value))
            return false;
        dst[i] = (uint8_t)value;
        if (i < 3 && text.len == 0)
            return false;
    }
    return text.len == 0 && text.data[-1] != '.';
}

static bool parse_hex16(struct kw_bytes text, uint16_t *ret)
{
    uint16_t value = 0;

    if (text.len == 0 || text.len > 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = kw_text_lower(text.data[i]);

        if (c >= '0' && c <= '9')
            c = (uint8_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            c = (uint8_t)(c - 'a' + 10);
        else
            return false;
        value = (uint16_t)(value << 4 | c);
    }
    *ret = value;
    return true;
}

/* The groups before or after "::", colons between them, maybe an IPv4 tail; at most `room` bytes.
 */
static bool parse_groups(struct kw_bytes text, bool may_end_in_ipv4, uint8_t *dst, size_t room,
                         size_t *used)
{
    *used = 0;
    while (text.len != 0) {
        struct kw_bytes group = kw_text_split(&text, ':');
        bool last = text.len == 0;
        uint16_t value;

        if (last && group.data + group.len != text.data)
            return false; /* ends in a colon */
        if (last && may_end_in_ipv4 && room - *used >= 4 && parse_ipv4(group, dst + *used)) {
            *used += 4;
            return true;
        }
        if (room - *used < 2 || !parse_hex16(group, &value))
            return false;
        dst[(*used)++] = (uint8_t)(value >> 8);
        dst[(*used)++] = (uint8_t)value;
    }
    return true;
}

static bool parse_ipv6(struct kw_bytes text, uint8_t dst[16])
{
    uint8_t head[16] = {0}, tail[16] = {0};
    size_t head_len, tail_len, gap = text.len;

    for (size_t i = 0; i + 1 < text.len && gap == text.len; i++) {
        if (text.data[i] == ':' && text.data[i + 1] == ':')
            gap = i;
    }
    if (gap == text.len) {
        if (!parse_groups(text, true, head, 16, &head_len) || head_len != 16)
            return false;
        memcpy(dst, head, 16);
        return true;
    }
    /* "::" stands for at least one group. */
    if (!parse_groups((struct kw_bytes){text.data, gap}, false, head, 14, &head_len) ||
        !parse_groups((struct kw_bytes){text.data + gap + 2, text.len - gap - 2}, true, tail,
                      14 - head_len, &tail_len))
        return false;
    memset(dst, 0, 16);
    memcpy(dst, head, head_len);
    memcpy(dst + 16 - tail_len, tail, tail_len);
    return true;
}

bool kw_text_address(struct kw_bytes text, struct kw_address *ret)
{
    struct kw_address made = {.family = 4, .port = ret->port};

    if (text.len == 0 || text.len > 45)
        return false;
    if (!parse_ipv4(text, made.ip)) {
        memset(made.ip, 0, sizeof made.ip);
        made.family = 6;
        if (!parse_ipv6(text, made.ip))
            return false;
    }
    *ret = made;
    return true;
}

void kw_text_write(struct kw_writer *out, const char *terminated)
{
    kw_write_bytes(out, kw_text_of(terminated));
}

void kw_text_write_decimal(struct kw_writer *out, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    kw_write_bytes(out, (struct kw_bytes){digits + at, sizeof digits - at});
}

static void write_hex16(struct kw_writer *out, uint16_t value)
{
    static const char digits[] = "0123456789abcdef";
    bool leading = true;

    for (int shift = 12; shift >= 0; shift -= 4) {
        uint8_t digit = value >> shift & 15;

        leading = leading && digit == 0 && shift != 0;
        if (!leading)
            kw_write_u8(out, (uint8_t)digits[digit]);
    }
}

/* RFC 5952 section 4.2: "::" for the longest run of at least two zero groups, the first of equals.
 */
static void write_ipv6(struct kw_writer *out, const uint8_t ip[16])
{
    size_t best = 8, best_len = 1, run = 0;

    for (size_t i = 0; i < 8; i++) {
        run = ip[2 * i] == 0 && ip[2 * i + 1] == 0 ? run + 1 : 0;
        if (run > best_len) {
            best_len = run;
            best = i + 1 - run;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            kw_text_write(out, "::");
            i += best_len - 1;
            continue;
        }
        if (i != 0 && i != best + best_len)
            kw_text_write(out, ":");
        write_hex16(out, (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]));
    }
}

void kw_text_write_address(struct kw_writer *out, const struct kw_address *address)
{
    if (address->family == 6) {
        write_ipv6(out, address->ip);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        if (i != 0)
            kw_text_write(out, ".");
        kw_text_write_decimal(out, address->ip[i]);
    }
}
