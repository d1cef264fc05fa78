/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_HTTP_CLIENT_H
#define KW_TESTS_HTTP_CLIENT_H

/* Bytes over a TCP connection: what a client sends is exactly what the test says. */

#include "sys/address.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int client_connect(const struct kw_address *address)
{
    struct sockaddr_storage name;
    socklen_t len = kw_address_to_socket(address, &name);
    int fd = socket(address->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void client_send(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len != 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

/* Reads until `until` was seen (NULL: until the end), the end, or ten seconds of silence. */
static inline size_t client_read(int fd, char *dst, size_t dst_size, const char *until)
{
    size_t len = 0;

    dst[0] = '\0';
    while (len + 1 < dst_size) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&pollfd, 1, 10000) > 0 ? recv(fd, dst + len, dst_size - len - 1, 0) : -1;

        if (n <= 0)
            break;
        len += (size_t)n;
        dst[len] = '\0';
        if (until != NULL && strstr(dst, until) != NULL)
            break;
    }
    return len;
}

/* Sends a request on a connection of its own and returns the status; 0: no answer. */
static inline int client_ask(const struct kw_address *address, const void *request, size_t len,
                             char *answer, size_t answer_size)
{
    int fd = client_connect(address);
    int status = 0;

    if (fd < 0)
        return 0;
    client_send(fd, request, len);
    client_read(fd, answer, answer_size, NULL);
    close(fd);
    if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
        return 0;
    return status;
}

#endif
