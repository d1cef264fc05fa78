/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connections.h"

#include "sys/clock.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <string.h>
#include <sys/socket.h>

/* More than the largest header evhttp reads, so that it never waits for bytes we do not take. */
enum { INPUT_MAX = 256 << 10 };

static const char timed_out_text[] = "HTTP/1.1 408 Request Timeout\r\n"
                                     "Connection: close\r\nContent-Length: 0\r\n\r\n";

static void input_changed(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct kw_connection *connection = arg;

    (void)input;
    if (info->n_added != 0 && !connection->is_arriving) {
        connection->is_arriving = true;
        connection->since = kw_clock_now();
    }
}

static bool is_gone(const struct kw_connection *connection)
{
    bufferevent_event_cb event_cb = NULL;

    bufferevent_getcb(connection->bev, NULL, NULL, &event_cb, NULL);
    return event_cb == NULL;
}

static void pause_listeners(struct kw_connections *connections, bool pause)
{
    if (connections->is_paused == pause)
        return;
    connections->is_paused = pause;
    for (size_t i = 0; i < connections->listener_count; i++) {
        if (pause)
            evconnlistener_disable(connections->listeners[i]);
        else
            evconnlistener_enable(connections->listeners[i]);
    }
}

static void forget(struct kw_connections *connections, struct kw_connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);

    evbuffer_remove_cb(input, input_changed, connection);
    bufferevent_disable(connection->bev, EV_READ | EV_WRITE);
    bufferevent_decref(connection->bev);
    *connection = (struct kw_connection){0};
    connections->used--;
}

/* evhttp closes it, and we forget it at once. */
static void make_room(struct kw_connections *connections, const struct kw_connection *newest)
{
    struct kw_connection *oldest = NULL;

    for (size_t i = 0; i < connections->max; i++) {
        struct kw_connection *connection = &connections->table[i];

        if (connection->bev == NULL || connection == newest || connection->is_busy)
            continue;
        if (oldest == NULL || connection->since < oldest->since)
            oldest = connection;
    }
    if (oldest == NULL)
        return;
    if (!is_gone(oldest))
        bufferevent_trigger_event(oldest->bev, BEV_EVENT_EOF | BEV_EVENT_READING, 0);
    if (is_gone(oldest))
        forget(connections, oldest);
}

static struct bufferevent *new_bufferevent(struct kw_connections *connections)
{
    struct bufferevent *bev;
    SSL *ssl;

    if (connections->tls == NULL)
        return bufferevent_socket_new(connections->base, -1, BEV_OPT_CLOSE_ON_FREE);
    ssl = SSL_new(connections->tls);
    if (ssl == NULL)
        return NULL;
    bev = bufferevent_openssl_socket_new(connections->base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

struct bufferevent *kw_connections_new(struct event_base *base, void *arg)
{
    struct kw_connections *connections = arg;
    struct bufferevent *bev = new_bufferevent(connections);

    (void)base;
    for (size_t i = 0; bev != NULL && i < connections->max; i++) {
        struct kw_connection *connection = &connections->table[i];

        if (connection->bev != NULL)
            continue;
        bufferevent_incref(bev);
        bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
        evbuffer_add_cb(bufferevent_get_input(bev), input_changed, connection);
        /* a TLS handshake that never ends counts as a request that never arrives */
        *connection = (struct kw_connection){
            .bev = bev, .is_arriving = connections->tls != NULL, .since = kw_clock_now()};
        connections->used++;
        if (connections->used == connections->max)
            make_room(connections, connection);
        break;
    }
    if (connections->used == connections->max)
        pause_listeners(connections, true);
    return bev;
}

static void answered(struct evhttp_request *req, void *arg)
{
    struct kw_connection *connection = arg;

    (void)req;
    connection->is_busy = false;
    connection->since = kw_clock_now();
}

void kw_connections_request_complete(struct kw_connections *connections, struct evhttp_request *req)
{
    const struct bufferevent *bev =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

    for (size_t i = 0; i < connections->max; i++) {
        struct kw_connection *connection = &connections->table[i];

        if (connection->bev != bev)
            continue;
        connection->is_arriving = false;
        connection->is_busy = true;
        evhttp_request_set_on_complete_cb(req, answered, connection);
    }
}

/* Says 408 past evhttp, which would only close, and then lets evhttp close. */
static void time_out(struct kw_connection *connection)
{
    SSL *ssl = bufferevent_openssl_get_ssl(connection->bev);
    size_t len = sizeof timed_out_text - 1;

    if (ssl == NULL)
        (void)!send(bufferevent_getfd(connection->bev), timed_out_text, len,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (SSL_is_init_finished(ssl))
        SSL_write(ssl, timed_out_text, (int)len);
    connection->is_arriving = false;
    bufferevent_trigger_event(connection->bev, BEV_EVENT_EOF | BEV_EVENT_READING, 0);
}

void kw_connections_sweep(struct kw_connections *connections, kw_ns now)
{
    for (size_t i = 0; i < connections->max; i++) {
        struct kw_connection *connection = &connections->table[i];

        if (connection->bev == NULL)
            continue;
        if (is_gone(connection)) {
            forget(connections, connection);
        } else if (connection->is_arriving &&
                   now - connection->since >= connections->request_time) {
            connections->timed_out++;
            time_out(connection);
        }
    }
    if (connections->used < connections->max)
        pause_listeners(connections, false);
}

void kw_connections_clear(struct kw_connections *connections)
{
    for (size_t i = 0; i < connections->max; i++) {
        if (connections->table[i].bev != NULL)
            forget(connections, &connections->table[i]);
    }
}
