/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/loop.h"

#include "base/assert.h"
#include "sys/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    EVENTS = 4,            /* two sockets, the wake, the signals */
    TRANSMIT_BATCHES = 16, /* per turn, then sockets are looked at again */
};

enum source { SOURCE_SOCKET_0, SOURCE_SOCKET_1, SOURCE_WAKE, SOURCE_SIGNAL };

struct kw_loop {
    struct kw_loop_config config;
    struct kw_wake wake;
    struct kw_udp_batch *batch;
    int epoll_fd;
    int signal_fd;
    bool has_more; /* do not wait: the last turn left something */
    bool has_notes;
    kw_ns last_now;
    uint64_t refused;
};

static enum kw_status watch(struct kw_loop *loop, int fd, enum source source)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = (uint32_t)source}};

    if (fd < 0)
        return KW_OK;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? KW_OK : KW_ERR_SYSTEM;
}

static enum kw_status open_signals(struct kw_loop *loop)
{
    sigset_t set;

    if (loop->config.signals == NULL)
        return KW_OK;
    sigemptyset(&set);
    for (const int *signal = loop->config.signals; *signal != 0; signal++)
        sigaddset(&set, *signal);
    loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return loop->signal_fd >= 0 ? KW_OK : KW_ERR_SYSTEM;
}

enum kw_status kw_loop_open(const struct kw_loop_config *config, struct kw_loop **ret)
{
    struct kw_loop *loop = calloc(1, sizeof *loop);
    enum kw_status status = KW_ERR_MEMORY;

    if (loop == NULL)
        return KW_ERR_MEMORY;
    loop->config = *config;
    loop->wake.fd = loop->signal_fd = loop->epoll_fd = -1;
    loop->batch = kw_udp_batch_new();
    if (loop->batch == NULL)
        goto fail;
    status = KW_ERR_SYSTEM;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0 || kw_wake_open(&loop->wake) != KW_OK || open_signals(loop) != KW_OK)
        goto fail;
    if (watch(loop, config->sockets[0].fd, SOURCE_SOCKET_0) != KW_OK ||
        watch(loop, config->sockets[1].fd, SOURCE_SOCKET_1) != KW_OK ||
        watch(loop, loop->wake.fd, SOURCE_WAKE) != KW_OK ||
        watch(loop, loop->signal_fd, SOURCE_SIGNAL) != KW_OK)
        goto fail;
    *ret = loop;
    return KW_OK;
fail:
    kw_loop_close(loop);
    return status;
}

void kw_loop_close(struct kw_loop *loop)
{
    int saved = errno;

    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->signal_fd >= 0)
        close(loop->signal_fd);
    kw_wake_close(&loop->wake);
    kw_udp_batch_free(loop->batch);
    free(loop);
    errno = saved;
}

const struct kw_wake *kw_loop_wake(const struct kw_loop *loop)
{
    return &loop->wake;
}

kw_ns kw_loop_now(const struct kw_loop *loop)
{
    return loop->last_now;
}

uint64_t kw_loop_refused(const struct kw_loop *loop)
{
    return loop->refused;
}

/* Keeps the admitted items at the front. */
static size_t admit(struct kw_loop *loop, struct kw_datagram *items, size_t item_count)
{
    size_t kept = 0;

    if (loop->config.admits == NULL)
        return item_count;
    for (size_t i = 0; i < item_count; i++) {
        if (loop->config.admits(loop->config.handler.ctx, &items[i].path.remote))
            items[kept++] = items[i];
        else
            loop->refused++;
    }
    return kept;
}

static void serve_socket(struct kw_loop *loop, struct kw_udp *udp, kw_ns now)
{
    struct kw_datagram *items = kw_udp_batch_items(loop->batch);
    size_t item_count = kw_udp_receive(udp, loop->batch);

    item_count = admit(loop, items, item_count);
    if (item_count == 0)
        return;
    loop->config.handler.receive(loop->config.handler.ctx, items, item_count, now);
    kw_udp_send(loop->config.sockets, loop->batch, item_count);
}

static void serve_signals(struct kw_loop *loop, kw_ns now)
{
    struct signalfd_siginfo info;

    while (read(loop->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->config.handler.signal(loop->config.handler.ctx, (int)info.ssi_signo, now);
}

static bool transmit(struct kw_loop *loop, kw_ns now)
{
    const struct kw_loop_handler *handler = &loop->config.handler;

    for (int i = 0; i < TRANSMIT_BATCHES; i++) {
        size_t item_count;

        kw_udp_batch_reset(loop->batch);
        item_count =
            handler->transmit(handler->ctx, kw_udp_batch_items(loop->batch), KW_UDP_BATCH, now);
        if (item_count == 0)
            return false;
        KW_ASSERT(item_count <= KW_UDP_BATCH);
        kw_udp_send(loop->config.sockets, loop->batch, item_count);
    }
    return true;
}

/* Milliseconds, rounded up: to wake before the deadline would be to spin until it comes. */
static int wait_ms(struct kw_loop *loop, kw_ns max_wait)
{
    kw_ns now = kw_clock_now();
    kw_ns deadline = loop->config.handler.deadline(loop->config.handler.ctx);
    kw_ns wait;

    if (loop->has_more || deadline <= now)
        return 0;
    wait = KW_MIN(deadline - now, max_wait);
    wait = KW_MIN(wait, KW_S(60));
    return (int)((wait + KW_MS(1) - 1) / KW_MS(1));
}

enum kw_status kw_loop_turn(struct kw_loop *loop, kw_ns max_wait)
{
    const struct kw_loop_handler *handler = &loop->config.handler;
    struct epoll_event events[EVENTS];
    int event_count = epoll_wait(loop->epoll_fd, events, EVENTS, wait_ms(loop, max_wait));
    kw_ns now = kw_clock_now();
    kw_utc_ms utc = kw_clock_utc();

    if (event_count < 0 && errno != EINTR)
        return KW_ERR_SYSTEM;
    KW_ASSERT(now >= loop->last_now);
    loop->last_now = now;

    for (int i = 0; i < event_count; i++) {
        switch ((enum source)events[i].data.u32) {
        case SOURCE_SOCKET_0:
            serve_socket(loop, &loop->config.sockets[0], now);
            break;
        case SOURCE_SOCKET_1:
            serve_socket(loop, &loop->config.sockets[1], now);
            break;
        case SOURCE_WAKE:
            kw_wake_take(&loop->wake);
            loop->has_notes = true;
            break;
        case SOURCE_SIGNAL:
            serve_signals(loop, now);
            break;
        }
    }
    if (loop->has_notes)
        loop->has_notes = handler->notes(handler->ctx, now, utc);
    if (handler->deadline(handler->ctx) <= now)
        handler->tick(handler->ctx, now, utc);
    loop->has_more = transmit(loop, now) || loop->has_notes;
    return KW_OK;
}
