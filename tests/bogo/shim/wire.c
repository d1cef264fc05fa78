/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool read_all(int fd, void *dst, size_t len)
{
    uint8_t *at = dst;

    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const void *src, size_t len)
{
    const uint8_t *at = src;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

int wire_open(uint16_t port, bool ipv6, uint64_t shim_id)
{
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr *address = ipv6 ? (const void *)&v6 : (const void *)&v4;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    shim_id = htole64(shim_id);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        connect(fd, address, ipv6 ? sizeof v6 : sizeof v4) != 0 ||
        !write_all(fd, &shim_id, sizeof shim_id)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool read_u32(int fd, uint64_t *ret)
{
    uint32_t value;

    if (!read_all(fd, &value, sizeof value))
        return false;
    *ret = ntohl(value);
    return true;
}

static bool read_u64(int fd, uint64_t *ret)
{
    if (!read_all(fd, ret, sizeof *ret))
        return false;
    *ret = be64toh(*ret);
    return true;
}

bool wire_is_ready(int fd, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, timeout_ms) != 0;
}

struct wire_frame wire_read(int fd, uint8_t dst[WIRE_DATAGRAM_MAX])
{
    struct wire_frame frame = {.order = WIRE_END};
    uint8_t letter;
    bool is_whole = false;

    if (!read_all(fd, &letter, 1))
        return frame;

    frame.order = (enum wire_order)letter;
    switch (frame.order) {
    case WIRE_PACKET:
        is_whole = read_u32(fd, &frame.value) && frame.value <= WIRE_DATAGRAM_MAX &&
                   read_all(fd, dst, (size_t)frame.value);
        frame.len = (size_t)frame.value;
        break;
    case WIRE_TIMEOUT:
        /* The acknowledgement comes before the clock moves: what follows it is what the timeout
         * made us send. */
        is_whole = read_u64(fd, &frame.value) && write_all(fd, "t", 1);
        break;
    case WIRE_EXPECT:
        is_whole = read_u64(fd, &frame.value);
        break;
    case WIRE_MTU:
    case WIRE_SET_TIMER:
        is_whole = read_u32(fd, &frame.value);
        break;
    case WIRE_END:
    case WIRE_BROKEN:
        break;
    }
    if (!is_whole)
        frame.order = WIRE_BROKEN;
    return frame;
}

bool wire_write(int fd, const uint8_t *datagram, size_t len)
{
    uint8_t header[5] = {WIRE_PACKET};
    uint32_t len_be = htonl((uint32_t)len);

    memcpy(header + 1, &len_be, sizeof len_be);
    return write_all(fd, header, sizeof header) && write_all(fd, datagram, len);
}

void wire_close(int fd)
{
    uint8_t rest[1024];

    shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof rest, 0) > 0)
        ;
    close(fd);
}
