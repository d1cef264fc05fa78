/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3629, section 4, as a table: a first byte decides how many follow and in which range the
 * second one lies; every further one is 80..BF.
 */
#include "audit/utf8.h"

#include "base/assert.h"

static const struct {
    uint8_t first_min, first_max;
    uint8_t len;
    uint8_t second_min, second_max;
} forms[] = {
    {0x01, 0x7f, 1, 0x00, 0x00},                              /* ASCII but NUL */
    {0xc2, 0xdf, 2, 0x80, 0xbf},                              /* C0 and C1 would be overlong */
    {0xe0, 0xe0, 3, 0xa0, 0xbf},                              /* below A0 overlong */
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, /* above 9F a surrogate */
    {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf}, /* below 90 overlong */
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f}, /* above 8F beyond U+10FFFF */
};

static size_t match(struct kw_bytes text, size_t form, bool *is_cut)
{
    for (size_t i = 1; i < forms[form].len; i++) {
        uint8_t min = i == 1 ? forms[form].second_min : 0x80;
        uint8_t max = i == 1 ? forms[form].second_max : 0xbf;

        if (i == text.len) {
            *is_cut = true;
            return 0;
        }
        if (text.data[i] < min || text.data[i] > max)
            return 0;
    }
    return forms[form].len;
}

size_t kw_utf8_char(struct kw_bytes text, bool *is_cut_ret)
{
    bool is_cut = false;
    size_t len = 0;

    for (size_t form = 0; text.len != 0 && form < KW_ARRAY_LEN(forms); form++) {
        if (text.data[0] < forms[form].first_min || text.data[0] > forms[form].first_max)
            continue;
        len = match(text, form, &is_cut);
        break;
    }
    if (is_cut_ret != NULL)
        *is_cut_ret = is_cut;
    return len;
}

bool kw_utf8_valid(struct kw_bytes text)
{
    while (text.len != 0) {
        size_t len = kw_utf8_char(text, NULL);

        if (len == 0)
            return false;
        text.data += len;
        text.len -= len;
    }
    return true;
}
