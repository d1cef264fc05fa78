/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_INTERNAL_H
#define KW_HTTP_INTERNAL_H

#include "base/spsc.h"
#include "http/connections.h"
#include "http/http.h"

#include <event2/event.h>
#include <event2/http.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    REQUEST_RING = 32, /* requests that wait for the gateway; more are refused with 503 */
    RESPONSE_RING = 32,
    PUSH_RING = 256,
    OTHERS_MIN = 128, /* connections that event streams leave to everything else */
    HEADERS_MAX = 16384,
};

/* A request that the gateway has, or an event stream. */
struct exchange {
    struct kw_http *http;
    struct evhttp_request *req; /* NULL: the client has gone */
    uint64_t completion;        /* 0: free */
    uint64_t stream;            /* not 0: an event stream */
    bool is_tls;
};

struct kw_http {
    struct kw_http_config config;
    struct event_base *base;
    struct evhttp *server;
    struct evhttp *admin;
    struct evconnlistener *listeners[KW_HTTP_LISTEN_MAX];
    struct evconnlistener *admin_listener;
    struct kw_address addresses[KW_HTTP_LISTEN_MAX];
    struct kw_address admin_address;
    struct kw_connections connections;
    struct kw_connections admin_connections;
    SSL_CTX *tls;
    int web_fd;
    struct event *wake_event;
    struct event *sweep_event;
    struct kw_wake wake; /* the gateway wrote something, or we shall stop */
    pthread_t thread;
    bool has_thread;
    _Atomic bool stopping;

    struct exchange *exchanges; /* connections.max of them */
    uint64_t next_completion;
    size_t stream_count, streams_max;

    struct kw_spsc requests;  /* us -> gateway */
    struct kw_spsc responses; /* gateway -> us */
    struct kw_spsc pushes;    /* gateway -> us */
    struct kw_spsc closed;    /* us -> gateway: streams whose client has gone */
};

/* One request of the public server or of the admin server; evhttp's callback. */
void kw_http_on_request(struct evhttp_request *req, void *arg);
void kw_http_on_admin_request(struct evhttp_request *req, void *arg);

/* exchange.c: hand a checked request to the gateway; bring back what it says. */
void kw_exchange_begin(struct kw_http *http, struct evhttp_request *req,
                       const struct kw_address *remote, const char *path, const char *token,
                       bool is_tls);
void kw_exchange_deliver(struct kw_http *http);

#endif
