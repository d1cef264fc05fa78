/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void kw_address_format_ip(const struct kw_address *address, char *dst)
{
    if (address->family == 0 || inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->ip,
                                          dst, KW_ADDRESS_TEXT_MAX) == NULL)
        snprintf(dst, KW_ADDRESS_TEXT_MAX, "none");
}

void kw_address_format(const struct kw_address *address, char *dst)
{
    char ip[INET6_ADDRSTRLEN] = "none";

    if (address->family != 0)
        inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->ip, ip, sizeof ip);
    snprintf(dst, KW_ADDRESS_TEXT_MAX, address->family == 6 ? "[%s]:%u" : "%s:%u", ip,
             (unsigned)address->port);
}

static bool parse_ip(const char *text, struct kw_address *ret)
{
    if (inet_pton(AF_INET, text, ret->ip) == 1) {
        ret->family = 4;
        return true;
    }
    if (inet_pton(AF_INET6, text, ret->ip) == 1) {
        ret->family = 6;
        return true;
    }
    return false;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    unsigned value = 0;

    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *ret = (uint16_t)value;
    return value <= UINT16_MAX;
}

bool kw_address_parse(const char *text, uint16_t default_port, struct kw_address *ret)
{
    struct kw_address address = {.port = default_port};
    char copy[KW_ADDRESS_TEXT_MAX];
    char *ip = copy;
    char *port = NULL;

    if (strlen(text) >= sizeof copy)
        return false;
    memcpy(copy, text, strlen(text) + 1);
    if (copy[0] == '[') {
        char *close = strchr(copy, ']');

        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return false;
        port = close[1] == ':' ? close + 2 : NULL;
        *close = '\0';
        ip = copy + 1;
        if (strchr(ip, ':') == NULL)
            return false;
    } else if (strchr(copy, ':') != NULL && strchr(copy, ':') == strrchr(copy, ':')) {
        port = strchr(copy, ':') + 1; /* exactly one colon: not an IPv6 address */
        port[-1] = '\0';
    }
    if (!parse_ip(ip, &address) || (port != NULL && !parse_port(port, &address.port)))
        return false;
    *ret = address;
    return true;
}

socklen_t kw_address_to_socket(const struct kw_address *address, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof *ret);
    if (address->family == 4) {
        in->sin_family = AF_INET;
        in->sin_port = htons(address->port);
        memcpy(&in->sin_addr, address->ip, 4);
        return sizeof *in;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address->port);
    memcpy(&in6->sin6_addr, address->ip, 16);
    return sizeof *in6;
}

bool kw_address_from_socket(const struct sockaddr *from, struct kw_address *ret)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
    struct kw_address address = {0};

    if (from == NULL || (from->sa_family != AF_INET && from->sa_family != AF_INET6))
        return false;
    if (from->sa_family == AF_INET) {
        address.family = 4;
        address.port = ntohs(in->sin_port);
        memcpy(address.ip, &in->sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        address.family = 4;
        address.port = ntohs(in6->sin6_port);
        memcpy(address.ip, (const uint8_t *)&in6->sin6_addr + 12, 4);
    } else {
        address.family = 6;
        address.port = ntohs(in6->sin6_port);
        memcpy(address.ip, &in6->sin6_addr, 16);
    }
    *ret = address;
    return true;
}

bool kw_address_is_loopback(const struct kw_address *address)
{
    static const uint8_t ipv6_loopback[16] = {[15] = 1};

    if (address->family == 4)
        return address->ip[0] == 127;
    return address->family == 6 && memcmp(address->ip, ipv6_loopback, 16) == 0;
}
