/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of datagrams by time of arrival; splitmix64 draws the world. */
#include "sim/net.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void net_init(struct net *net, uint64_t seed)
{
    *net = (struct net){.seed = seed, .state = seed};
}

void net_deinit(struct net *net)
{
    for (size_t i = 0; i < net->count; i++)
        free(net->heap[i]);
    free(net->heap);
    net->heap = NULL;
    net->count = net->size = 0;
}

static uint64_t draw64(struct net *net)
{
    uint64_t z = net->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t net_draw(struct net *net, uint64_t bound)
{
    return bound == 0 ? 0 : draw64(net) % bound;
}

static bool before(const struct net_datagram *a, const struct net_datagram *b)
{
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void push(struct net *net, struct net_datagram *datagram)
{
    size_t at = net->count++;

    if (net->count > net->size) {
        net->size = net->size == 0 ? 64 : 2 * net->size;
        net->heap = realloc(net->heap, net->size * sizeof(void *)); /* of pointers */
        KW_ASSERT(net->heap != NULL);
    }
    while (at > 0 && before(datagram, net->heap[(at - 1) / 2])) {
        net->heap[at] = net->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->heap[at] = datagram;
}

static struct net_datagram *pop(struct net *net)
{
    struct net_datagram *first = net->heap[0];
    struct net_datagram *last = net->heap[--net->count];
    size_t at = 0;

    for (size_t child = 1; child < net->count; child = 2 * at + 1) {
        if (child + 1 < net->count && before(net->heap[child + 1], net->heap[child]))
            child++;
        if (before(last, net->heap[child]))
            break;
        net->heap[at] = net->heap[child];
        at = child;
    }
    net->heap[at] = last;
    return first;
}

void net_inject(struct net *net, const struct kw_path *path, const uint8_t *data, size_t len,
                kw_ns at)
{
    struct net_datagram *datagram = malloc(sizeof *datagram);

    KW_ASSERT(datagram != NULL && len <= NET_DATAGRAM_MAX);
    datagram->at = at;
    datagram->number = net->number++;
    datagram->path = (struct kw_path){.local = path->remote, .remote = path->local};
    datagram->len = len;
    if (len != 0)
        memcpy(datagram->data, data, len);
    push(net, datagram);
}

static kw_ns draw_delay(struct net *net, const struct net_link *link)
{
    return link->delay + net_draw(net, link->jitter + 1);
}

void net_send(struct net *net, const struct kw_path *path, const uint8_t *data, size_t len,
              kw_ns now)
{
    const struct net_link *link = NULL;
    uint8_t copy[NET_DATAGRAM_MAX];
    unsigned copies = 1;

    KW_ASSERT(len <= sizeof copy);
    net->counters.sent++;
    net->counters.bytes += len;
    memcpy(copy, data, len);
    if (net->tap != NULL && !net->tap(net->tap_ctx, net, path, copy, &len, now))
        return;
    if (net->link_of != NULL)
        link = net->link_of(net->link_ctx, path);
    if (link == NULL)
        link = &net->link;
    if (link->mtu != 0 && len > link->mtu) {
        net->counters.too_big++;
        return;
    }
    if (link->is_black_hole || net_draw(net, 100) < link->loss_percent) {
        net->counters.lost++;
        return;
    }
    if (net_draw(net, 100) < link->duplicate_percent)
        copies = 2;
    while (copies-- > 0) {
        kw_ns at = now + draw_delay(net, link);

        if (net_draw(net, 100) < link->reorder_percent)
            at += draw_delay(net, link) + KW_MS(1);
        net_inject(net, path, copy, len, at);
    }
}

kw_ns net_next(const struct net *net)
{
    return net->count == 0 ? KW_NEVER : net->heap[0]->at;
}

bool net_take(struct net *net, kw_ns now, struct net_datagram *ret)
{
    struct net_datagram *first;

    if (net_next(net) > now || net->count == 0)
        return false;
    first = pop(net);
    *ret = *first;
    free(first);
    net->counters.delivered++;
    return true;
}

struct kw_address net_address(uint8_t host, uint16_t port)
{
    return (struct kw_address){.family = 4, .port = port, .ip = {10, 0, 0, host}};
}

struct kw_path net_path(uint8_t from, uint8_t to)
{
    return (struct kw_path){.local = net_address(from, 5000), .remote = net_address(to, 5000)};
}
