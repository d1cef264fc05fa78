/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/wake.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum kw_status kw_wake_open(struct kw_wake *ret)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return KW_ERR_SYSTEM;
    ret->fd = fd;
    return KW_OK;
}

void kw_wake_close(struct kw_wake *wake)
{
    if (wake->fd >= 0)
        close(wake->fd);
    wake->fd = -1;
}

void kw_wake_note(const struct kw_wake *wake)
{
    const uint64_t one = 1;
    ssize_t n = write(wake->fd, &one, sizeof one);

    (void)n; /* EAGAIN: the counter is full of notes already */
}

void kw_wake_take(const struct kw_wake *wake)
{
    uint64_t notes;
    ssize_t n = read(wake->fd, &notes, sizeof notes);

    (void)n; /* EAGAIN: there was none */
}

void kw_wake_wait(const struct kw_wake *wake, int timeout_ms)
{
    struct pollfd pollfd = {.fd = wake->fd, .events = POLLIN};

    if (poll(&pollfd, 1, timeout_ms) > 0)
        kw_wake_take(wake);
}
