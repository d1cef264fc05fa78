/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_INTERFACES_H
#define KW_SYS_INTERFACES_H

#include <keywheel/base.h>

/* The machine's own addresses, port 0. */
enum { KW_INTERFACE_ADDRESSES_MAX = 64 };

struct kw_interfaces {
    size_t own_count; /* all of them, loopback and link-local included */
    struct kw_address own[KW_INTERFACE_ADDRESSES_MAX];
    size_t candidate_count; /* those that others can reach: IPv4 beyond loopback and link-local,
                               global and unique local IPv6 */
    struct kw_address candidates[KW_INTERFACE_ADDRESSES_MAX];
};

KW_MUST_USE enum kw_status kw_interfaces_read(struct kw_interfaces *ret);

/* The address (port ignored) is one of this machine's. */
bool kw_interfaces_owns(const struct kw_interfaces *interfaces, const struct kw_address *address);

/* What the rule for candidates says about one address. */
bool kw_address_is_candidate(const struct kw_address *address);

#endif
