/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8122, section 5: hash-func SP 2UHEX *(":" 2UHEX). We take any case and write upper case. */
#include <keywheel/crypto.h>

#include "base/assert.h"

#include <string.h>

enum { NAME_LEN = 7 };
static const char names[KW_HASH_COUNT][NAME_LEN + 1] = {"sha-256", "sha-384", "sha-512"};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The first NAME_LEN bytes of text, in any case. */
static bool same_name(struct kw_bytes text, const char *name)
{
    for (size_t i = 0; i < NAME_LEN; i++) {
        if (lower((char)text.data[i]) != name[i])
            return false;
    }
    return true;
}

static int hex_value(uint8_t c)
{
    c = (uint8_t)lower((char)c);
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool kw_fingerprint_parse(struct kw_bytes text, struct kw_fingerprint *ret)
{
    struct kw_fingerprint made = {.hash = KW_HASH_COUNT};
    size_t digest_len, at = NAME_LEN + 1;

    if (text.len < at || text.data[NAME_LEN] != ' ')
        return false;
    for (size_t i = 0; i < KW_HASH_COUNT; i++) {
        if (same_name(text, names[i]))
            made.hash = (enum kw_hash)i;
    }
    if (made.hash == KW_HASH_COUNT)
        return false;

    digest_len = kw_hash_len(made.hash);
    if (text.len - at != 3 * digest_len - 1)
        return false;
    for (size_t i = 0; i < digest_len; i++, at += 3) {
        int high = hex_value(text.data[at]);
        int low = hex_value(text.data[at + 1]);

        if (high < 0 || low < 0 || (i + 1 < digest_len && text.data[at + 2] != ':'))
            return false;
        made.digest[i] = (uint8_t)(high << 4 | low);
    }
    *ret = made;
    return true;
}

size_t kw_fingerprint_format(const struct kw_fingerprint *fingerprint, char *dst)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t digest_len = kw_hash_len(fingerprint->hash);
    char *at = dst;

    memcpy(at, names[fingerprint->hash], NAME_LEN);
    at += NAME_LEN;
    for (size_t i = 0; i < digest_len; i++) {
        *at++ = i == 0 ? ' ' : ':';
        *at++ = digits[fingerprint->digest[i] >> 4];
        *at++ = digits[fingerprint->digest[i] & 15];
    }
    *at = '\0';
    return (size_t)(at - dst);
}

bool kw_fingerprint_equal(const struct kw_fingerprint *a, const struct kw_fingerprint *b)
{
    return a->hash == b->hash && kw_ct_equal(a->digest, b->digest, kw_hash_len(a->hash));
}
