/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_TEXT_H
#define KW_GATEWAY_TEXT_H

/* The few text functions of the pure half: bounded, always terminated. */

#include <keywheel/base.h>

enum { KW_ADDRESS_TEXT_MAX = 56 }; /* "[ffff:..:ffff]:65535" */

size_t kw_text_len(const char *text);
bool kw_text_equal(const char *a, const char *b);
/* Cuts at the room. */
void kw_text_copy(char *dst, size_t dst_size, const char *src);
void kw_text_copy_bytes(char *dst, size_t dst_size, struct kw_bytes src);
/* "192.0.2.1:5004", "[2001:db8::1]:5004"; "" for family 0. Without the port when it is 0. */
void kw_address_write(const struct kw_address *address, char dst[KW_ADDRESS_TEXT_MAX]);
/* dst holds 2 * len + 1. */
void kw_hex_write(const uint8_t *data, size_t len, char *dst);
/* Exactly 2 * len lower-case digits. */
KW_MUST_USE bool kw_hex_parse(const char *text, uint8_t *dst, size_t len);

#endif
