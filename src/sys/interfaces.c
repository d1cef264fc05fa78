/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/interfaces.h"

#include "sys/address.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

bool kw_address_is_candidate(const struct kw_address *address)
{
    const uint8_t *ip = address->ip;
    static const uint8_t zero[16];

    if (kw_address_is_loopback(address))
        return false;
    if (address->family == 4)
        return ip[0] != 0 && ip[0] < 224 && !(ip[0] == 169 && ip[1] == 254);
    if (address->family != 6 || memcmp(ip, zero, sizeof zero) == 0)
        return false;
    /* fe80::/10 needs a scope that no candidate carries; fec0::/10 is deprecated; ff00::/8 is
     * multicast. fc00::/7 (unique local) stays. */
    return !(ip[0] == 0xfe && ip[1] >= 0x80) && ip[0] != 0xff;
}

enum kw_status kw_interfaces_read(struct kw_interfaces *ret)
{
    struct ifaddrs *list;

    memset(ret, 0, sizeof *ret);
    if (getifaddrs(&list) != 0)
        return KW_ERR_SYSTEM;
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct kw_address address;

        if ((at->ifa_flags & IFF_UP) == 0 || !kw_address_from_socket(at->ifa_addr, &address))
            continue;
        if (ret->own_count < KW_INTERFACE_ADDRESSES_MAX)
            ret->own[ret->own_count++] = address;
        if (kw_address_is_candidate(&address) && ret->candidate_count < KW_INTERFACE_ADDRESSES_MAX)
            ret->candidates[ret->candidate_count++] = address;
    }
    freeifaddrs(list);
    return KW_OK;
}

bool kw_interfaces_owns(const struct kw_interfaces *interfaces, const struct kw_address *address)
{
    if (kw_address_is_loopback(address))
        return true;
    for (size_t i = 0; i < interfaces->own_count; i++) {
        if (interfaces->own[i].family == address->family &&
            memcmp(interfaces->own[i].ip, address->ip, sizeof address->ip) == 0)
            return true;
    }
    return false;
}
