/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_CONNECTIONS_H
#define KW_HTTP_CONNECTIONS_H

/*
 * What evhttp does not watch: how many connections there are and how long a request takes to
 * arrive. When the table is full, whoever has waited longest without a whole request gives way, so
 * that connections which only stay open keep nobody out. A record holds one reference to each
 * connection's bufferevent; evhttp has let go of a connection when the bufferevent has no callbacks
 * any more.
 */

#include <keywheel/base.h>

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

struct kw_connection {
    struct bufferevent *bev; /* NULL: free */
    bool is_arriving;        /* bytes of a request have come, but not all of it */
    bool is_busy;            /* a whole request has come and is being answered */
    kw_ns since;             /* the first byte came, or the last answer left */
};

struct kw_connections {
    struct event_base *base;
    SSL_CTX *tls; /* NULL: clear text */
    struct kw_connection *table;
    size_t max;
    size_t used;
    kw_ns request_time;
    struct evconnlistener **listeners; /* paused while all are busy; borrowed */
    size_t listener_count;
    bool is_paused;
    uint64_t timed_out;
};

/* A bufferevent for a new connection; evhttp's bevcb. */
struct bufferevent *kw_connections_new(struct event_base *base, void *arg);
/* Its request is complete. */
void kw_connections_request_complete(struct kw_connections *connections,
                                     struct evhttp_request *req);
/* Forgets closed connections, answers 408 to those that take too long. Call it about once a second.
 */
void kw_connections_sweep(struct kw_connections *connections, kw_ns now);
/* Lets go of everything, after evhttp has. */
void kw_connections_clear(struct kw_connections *connections);

#endif
