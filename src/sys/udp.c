/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is KW_UDP_BATCH slots of [headroom | datagram | tailroom] with the kernel's headers for
 * them. items[i].data points into slot i when it is received; the gateway may shorten or lengthen
 * it within its room before it is sent.
 *
 * IP_PKTINFO and IPV6_PKTINFO carry the local address both ways: a gateway with several addresses
 * must answer from the one that was asked, or the peer's NAT and ICE agent discard it.
 */
#include "sys/udp.h"

#include "base/assert.h"
#include "sys/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SLOT_LEN = KW_UDP_HEADROOM + KW_DATAGRAM_RECEIVE_MAX + KW_UDP_TAILROOM,
    SOCKET_BUFFER = 4 << 20, /* about half a second of 5,000 voice calls */
    PORT_ATTEMPTS = 16,
};

_Static_assert(SLOT_LEN % 64 == 0, "every datagram starts on a cache line");

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t))];
};

struct kw_udp_batch {
    struct kw_datagram items[KW_UDP_BATCH];
    struct mmsghdr headers[KW_UDP_BATCH];
    struct iovec iovecs[KW_UDP_BATCH];
    struct sockaddr_storage names[KW_UDP_BATCH];
    union control controls[KW_UDP_BATCH];
    _Alignas(64) uint8_t slots[KW_UDP_BATCH][SLOT_LEN];
};

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static bool set_options(int fd, uint8_t family)
{
    if (family == 4 && !set_option(fd, IPPROTO_IP, IP_PKTINFO, 1))
        return false;
    if (family == 6 && (!set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) ||
                        !set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)))
        return false;
    if (!set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1))
        return false;
    /* Larger buffers are a wish: FORCE needs a privilege, the plain option is capped. */
    if (!set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER))
        set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    if (!set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER))
        set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    return true;
}

static enum kw_status open_one(uint8_t family, uint16_t port, struct kw_udp *ret)
{
    const struct kw_address any = {.family = family, .port = port};
    struct sockaddr_storage name;
    struct kw_address bound;
    socklen_t len = kw_address_to_socket(&any, &name);
    int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *ret = (struct kw_udp){.fd = -1, .family = family};
    if (fd < 0)
        return KW_ERR_SYSTEM;
    if (set_options(fd, family) && bind(fd, (struct sockaddr *)&name, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
        kw_address_from_socket((struct sockaddr *)&name, &bound)) {
        ret->fd = fd;
        ret->port = bound.port;
        return KW_OK;
    }
    int saved = errno;

    close(fd);
    errno = saved;
    return KW_ERR_SYSTEM;
}

static bool family_is_missing(void)
{
    return errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
}

enum kw_status kw_udp_open_pair(uint16_t port, struct kw_udp ret[2])
{
    for (int attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
        if (open_one(4, port, &ret[0]) != KW_OK && !family_is_missing())
            return KW_ERR_SYSTEM;
        if (open_one(6, ret[0].fd >= 0 ? ret[0].port : port, &ret[1]) == KW_OK)
            return KW_OK;
        if (family_is_missing() && ret[0].fd >= 0)
            return KW_OK;
        int saved = errno;

        kw_udp_close(&ret[0]);
        errno = saved;
        /* a free port of one family need not be free in the other */
        if (port != 0 || errno != EADDRINUSE)
            break;
    }
    return KW_ERR_SYSTEM;
}

void kw_udp_close(struct kw_udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
}

struct kw_udp_batch *kw_udp_batch_new(void)
{
    size_t size = (sizeof(struct kw_udp_batch) + 63) / 64 * 64;
    struct kw_udp_batch *batch = aligned_alloc(64, size);

    if (batch == NULL)
        return NULL;
    memset(batch, 0, size);
    kw_udp_batch_reset(batch);
    return batch;
}

void kw_udp_batch_free(struct kw_udp_batch *batch)
{
    free(batch);
}

struct kw_datagram *kw_udp_batch_items(struct kw_udp_batch *batch)
{
    return batch->items;
}

static void reset_item(struct kw_udp_batch *batch, size_t item, size_t slot)
{
    batch->items[item] = (struct kw_datagram){
        .data = batch->slots[slot] + KW_UDP_HEADROOM,
        .size = KW_DATAGRAM_RECEIVE_MAX + KW_UDP_TAILROOM,
    };
}

void kw_udp_batch_reset(struct kw_udp_batch *batch)
{
    for (size_t i = 0; i < KW_UDP_BATCH; i++)
        reset_item(batch, i, i);
}

static void prepare_receive(struct kw_udp_batch *batch)
{
    for (size_t i = 0; i < KW_UDP_BATCH; i++) {
        batch->iovecs[i] = (struct iovec){
            .iov_base = batch->slots[i] + KW_UDP_HEADROOM,
            .iov_len = KW_DATAGRAM_RECEIVE_MAX,
        };
        batch->headers[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->names[i],
            .msg_namelen = sizeof batch->names[i],
            .msg_iov = &batch->iovecs[i],
            .msg_iovlen = 1,
            .msg_control = &batch->controls[i],
            .msg_controllen = sizeof batch->controls[i],
        };
    }
}

static void read_control(struct kw_udp *udp, struct msghdr *header, struct kw_address *local)
{
    struct in6_pktinfo info6;
    struct in_pktinfo info4;
    uint32_t overflow;

    *local = (struct kw_address){.family = udp->family, .port = udp->port};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&info4, CMSG_DATA(c), sizeof info4);
            memcpy(local->ip, &info4.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info6, CMSG_DATA(c), sizeof info6);
            memcpy(local->ip, &info6.ipi6_addr, 16);
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
            udp->counters.kernel_drops += (uint32_t)(overflow - udp->overflow);
            udp->overflow = overflow;
        }
    }
}

size_t kw_udp_receive(struct kw_udp *udp, struct kw_udp_batch *batch)
{
    size_t item_count = 0;
    int received;

    prepare_receive(batch);
    received = recvmmsg(udp->fd, batch->headers, KW_UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < received; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        struct kw_datagram *item = &batch->items[item_count];
        struct kw_path path;

        read_control(udp, header, &path.local);
        if ((header->msg_flags & MSG_TRUNC) != 0) {
            udp->counters.oversize++;
            continue;
        }
        if (batch->headers[i].msg_len == 0 ||
            !kw_address_from_socket(header->msg_name, &path.remote))
            continue;
        reset_item(batch, item_count, (size_t)i);
        item->path = path;
        item->len = batch->headers[i].msg_len;
        item_count++;
    }
    udp->counters.received += item_count;
    return item_count;
}

static size_t write_control(const struct kw_address *local, union control *control)
{
    struct msghdr header = {.msg_control = control, .msg_controllen = sizeof *control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    struct in6_pktinfo info6 = {0};
    struct in_pktinfo info4 = {0};

    if (local->family == 0)
        return 0; /* the kernel's routing decides */
    memset(control, 0, sizeof *control);
    if (local->family == 4) {
        memcpy(&info4.ipi_spec_dst, local->ip, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info4);
        memcpy(CMSG_DATA(c), &info4, sizeof info4);
        return CMSG_SPACE(sizeof info4);
    }
    memcpy(&info6.ipi6_addr, local->ip, 16);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info6);
    memcpy(CMSG_DATA(c), &info6, sizeof info6);
    return CMSG_SPACE(sizeof info6);
}

static void prepare_send(struct kw_udp_batch *batch, size_t at, const struct kw_datagram *item)
{
    size_t control_len = write_control(&item->path.local, &batch->controls[at]);

    batch->iovecs[at] = (struct iovec){.iov_base = item->data, .iov_len = item->len};
    batch->headers[at].msg_hdr = (struct msghdr){
        .msg_name = &batch->names[at],
        .msg_namelen = kw_address_to_socket(&item->path.remote, &batch->names[at]),
        .msg_iov = &batch->iovecs[at],
        .msg_iovlen = 1,
        .msg_control = control_len != 0 ? &batch->controls[at] : NULL,
        .msg_controllen = control_len,
    };
}

static void send_prepared(struct kw_udp *udp, struct kw_udp_batch *batch, size_t count)
{
    size_t done = 0;

    while (done < count) {
        int sent = sendmmsg(udp->fd, batch->headers + done, (unsigned)(count - done), MSG_DONTWAIT);

        if (sent > 0) {
            udp->counters.sent += (uint64_t)sent;
            done += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            udp->counters.send_failures += count - done;
            return;
        }
        /* this one cannot be sent (no route, a firewall): the next may well be */
        udp->counters.send_failures++;
        done++;
    }
}

void kw_udp_send(struct kw_udp pair[2], struct kw_udp_batch *batch, size_t item_count)
{
    for (size_t s = 0; s < 2; s++) {
        size_t count = 0;

        for (size_t i = 0; i < item_count; i++) {
            const struct kw_datagram *item = &batch->items[i];

            if (item->len == 0 || item->path.remote.family != pair[s].family)
                continue;
            if (pair[s].fd < 0) {
                pair[s].counters.send_failures++;
                continue;
            }
            prepare_send(batch, count, item);
            count++;
        }
        if (count != 0)
            send_prepared(&pair[s], batch, count);
    }
}
