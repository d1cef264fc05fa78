/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_ADDRESS_H
#define KW_SYS_ADDRESS_H

#include <keywheel/base.h>

#include <netinet/in.h>

enum { KW_ADDRESS_TEXT_MAX = 64 };

/* "192.0.2.1:443", "[2001:db8::1]:443"; dst holds KW_ADDRESS_TEXT_MAX. */
void kw_address_format(const struct kw_address *address, char *dst);
/* "192.0.2.1" or "2001:db8::1", without port; dst holds KW_ADDRESS_TEXT_MAX. */
void kw_address_format_ip(const struct kw_address *address, char *dst);
/* Takes "192.0.2.1", "2001:db8::1", both with ":port" ("[2001:db8::1]:443"); no names. */
KW_MUST_USE bool kw_address_parse(const char *text, uint16_t default_port, struct kw_address *ret);

/* Between the kernel's form and ours. An IPv4-mapped IPv6 address becomes IPv4. */
socklen_t kw_address_to_socket(const struct kw_address *address, struct sockaddr_storage *ret);
bool kw_address_from_socket(const struct sockaddr *from, struct kw_address *ret);

/* 127.0.0.0/8 and ::1. */
bool kw_address_is_loopback(const struct kw_address *address);

#endif
