/* SPDX-License-Identifier: Apache-2.0 */
#include "session/net.h"

#include <stdlib.h>
#include <string.h>

void net_init(struct net *net, uint64_t seed, struct net_link link)
{
    *net = (struct net){.rng = seed * 0x9e3779b97f4a7c15U + 1, .link = link};
}

void net_deinit(struct net *net)
{
    for (size_t i = 0; i < net->count; i++)
        free(net->heap[i]);
    free(net->heap);
    while (net->free != NULL) {
        struct net_packet *packet = net->free;

        memcpy(&net->free, packet->data, sizeof net->free);
        free(packet);
    }
}

uint64_t net_draw(struct net *net)
{
    uint64_t z = (net->rng += 0x9e3779b97f4a7c15U);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static bool earlier(const struct net_packet *a, const struct net_packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct net *net, struct net_packet *packet)
{
    size_t at = net->count++;

    if (net->count > net->size) {
        net->size = net->size != 0 ? 2 * net->size : 64;
        net->heap = realloc(net->heap, net->size * sizeof *net->heap);
    }
    while (at > 0 && earlier(packet, net->heap[(at - 1) / 2])) {
        net->heap[at] = net->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->heap[at] = packet;
}

static struct net_packet *pop(struct net *net)
{
    struct net_packet *top = net->heap[0];
    struct net_packet *last = net->heap[--net->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < net->count && earlier(net->heap[child + 1], net->heap[child]))
            child++;
        if (child >= net->count || !earlier(net->heap[child], last))
            break;
        net->heap[at] = net->heap[child];
        at = child;
    }
    net->heap[at] = last;
    return top;
}

static struct net_packet *new_packet(struct net *net)
{
    struct net_packet *packet = net->free;

    if (packet == NULL)
        return malloc(sizeof *packet);
    memcpy(&net->free, packet->data, sizeof net->free);
    return packet;
}

void net_done(struct net *net, struct net_packet *packet)
{
    memcpy(packet->data, &net->free, sizeof net->free);
    net->free = packet;
}

struct kw_path net_reversed(const struct kw_path *path)
{
    return (struct kw_path){.local = path->remote, .remote = path->local};
}

struct kw_address net_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct kw_address){.family = 4, .port = port, .ip = {a, b, c, d}};
}

static void send_once(struct net *net, uint32_t to, const struct kw_path *path, const uint8_t *data,
                      size_t len, kw_ns now)
{
    struct net_packet *packet = new_packet(net);

    packet->at =
        now + net->link.delay + (net->link.jitter != 0 ? net_draw(net) % net->link.jitter : 0);
    packet->order = net->order++;
    packet->to = to;
    packet->path = net_reversed(path);
    packet->len = len;
    memcpy(packet->data, data, len);
    push(net, packet);
}

void net_send(struct net *net, uint32_t to, const struct kw_path *path, const uint8_t *data,
              size_t len, kw_ns now)
{
    net->sent++;
    if (net_draw(net) % 1000 < net->link.loss_permille) {
        net->lost++;
        return;
    }
    send_once(net, to, path, data, len, now);
    if (net_draw(net) % 1000 < net->link.duplicate_permille)
        send_once(net, to, path, data, len, now);
}

kw_ns net_next(const struct net *net)
{
    return net->count != 0 ? net->heap[0]->at : KW_NEVER;
}

struct net_packet *net_take(struct net *net, kw_ns now)
{
    return net->count != 0 && net->heap[0]->at <= now ? pop(net) : NULL;
}
