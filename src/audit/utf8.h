/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_AUDIT_UTF8_H
#define KW_AUDIT_UTF8_H

#include <keywheel/base.h>

/*
 * Length of the character at the start of text (RFC 3629: no overlong forms, no surrogates, nothing
 * beyond U+10FFFF, and no NUL, since our texts end with it); 0 when there is none. *is_cut_ret
 * (NULL allowed) says that text ends inside what could have become one.
 */
size_t kw_utf8_char(struct kw_bytes text, bool *is_cut_ret);

/* Every byte belongs to a character. */
bool kw_utf8_valid(struct kw_bytes text);

#endif
