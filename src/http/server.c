/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, the thread and the rings. */
#include "base/assert.h"
#include "http/internal.h"
#include "http/memory.h"
#include "http/tls.h"
#include "sys/address.h"
#include "sys/clock.h"

#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REQUEST_SECONDS = 15,
    IDLE_SECONDS = 60,
    CONNECTIONS_MAX = 256,
    ADMIN_CONNECTIONS_MAX = 16,
    /* What evhttp itself refuses, and less politely than we do: far above our own limits. */
    EVHTTP_HEADERS_MAX = 8 * HEADERS_MAX,
    EVHTTP_BODY_MAX = 4 * KW_REQUEST_BODY_MAX,
};

static enum kw_status explain(char error[KW_HTTP_ERROR_MAX], enum kw_status status,
                              const char *what, const char *why)
{
    snprintf(error, KW_HTTP_ERROR_MAX, "%s: %s", what, why);
    return status;
}

static void on_wake(evutil_socket_t fd, short events, void *arg)
{
    struct kw_http *http = arg;

    (void)fd;
    (void)events;
    kw_wake_take(&http->wake);
    kw_exchange_deliver(http);
    if (atomic_load(&http->stopping))
        event_base_loopbreak(http->base);
}

static void on_sweep(evutil_socket_t fd, short events, void *arg)
{
    struct kw_http *http = arg;
    kw_ns now = kw_clock_now();

    (void)fd;
    (void)events;
    kw_connections_sweep(&http->connections, now);
    kw_connections_sweep(&http->admin_connections, now);
}

static void *http_main(void *arg)
{
    struct kw_http *http = arg;

    event_base_dispatch(http->base);
    return NULL;
}

static struct evconnlistener *open_listener(struct kw_http *http, const struct kw_address *address,
                                            struct kw_address *bound, char *error)
{
    struct sockaddr_storage name;
    socklen_t len = kw_address_to_socket(address, &name);
    struct evconnlistener *listener;
    char text[KW_ADDRESS_TEXT_MAX];

    kw_address_format(address, text);
    listener =
        evconnlistener_new_bind(http->base, NULL, NULL,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
                                    (address->family == 6 ? LEV_OPT_BIND_IPV6ONLY : 0),
                                64, (struct sockaddr *)&name, (int)len);
    if (listener == NULL) {
        snprintf(error, KW_HTTP_ERROR_MAX, "http %s: %s", text, strerror(errno));
        return NULL;
    }
    len = sizeof name;
    *bound = *address;
    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&name, &len) == 0)
        (void)kw_address_from_socket((struct sockaddr *)&name, bound);
    return listener;
}

static bool init_connections(struct kw_http *http, struct kw_connections *connections, size_t max,
                             SSL_CTX *tls, struct evconnlistener **listeners, size_t listener_count)
{
    unsigned seconds = http->config.request_seconds;

    *connections = (struct kw_connections){
        .base = http->base,
        .tls = tls,
        .table = calloc(max, sizeof *connections->table),
        .max = max,
        .request_time = KW_S(seconds != 0 ? seconds : REQUEST_SECONDS),
        .listeners = listeners,
        .listener_count = listener_count,
    };
    return connections->table != NULL;
}

static struct evhttp *new_server(struct kw_http *http, struct kw_connections *connections,
                                 void (*on_request)(struct evhttp_request *, void *))
{
    struct evhttp *server = evhttp_new(http->base);

    if (server == NULL)
        return NULL;
    evhttp_set_max_headers_size(server, EVHTTP_HEADERS_MAX);
    evhttp_set_max_body_size(server, EVHTTP_BODY_MAX);
    evhttp_set_timeout(server, http->config.idle_seconds != 0 ? (int)http->config.idle_seconds
                                                              : IDLE_SECONDS);
    evhttp_set_allowed_methods(server, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                           EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
                                           EVHTTP_REQ_OPTIONS);
    evhttp_set_flags(server, EVHTTP_SERVER_LINGERING_CLOSE);
    evhttp_set_default_content_type(server, NULL);
    evhttp_set_bevcb(server, kw_connections_new, connections);
    evhttp_set_gencb(server, on_request, http);
    return server;
}

/* DESIGN: clear text only on loopback. A token that crosses a network in clear is not a secret. */
static enum kw_status check_clear_text(const struct kw_http_config *config, char *error)
{
    char text[KW_ADDRESS_TEXT_MAX];

    for (size_t i = 0; config->cert_path == NULL && i < config->listen_count; i++) {
        if (kw_address_is_loopback(&config->listen[i]))
            continue;
        kw_address_format(&config->listen[i], text);
        return explain(error, KW_ERR_INPUT, text,
                       "beyond loopback HTTP needs --tls-cert and --tls-key");
    }
    if (config->has_admin && !kw_address_is_loopback(&config->admin)) {
        kw_address_format(&config->admin, text);
        return explain(error, KW_ERR_INPUT, text, "the admin listener stays on loopback");
    }
    return KW_OK;
}

/* One for each stream that can be open. */
static uint64_t closed_ring(const struct kw_http *http)
{
    uint64_t slots = 1024;

    while (slots < http->streams_max)
        slots *= 2;
    return slots;
}

static bool init_rings(struct kw_http *http)
{
    struct {
        struct kw_spsc *ring;
        size_t slot_size;
        uint64_t slot_count;
    } rows[] = {
        {&http->requests, sizeof(struct kw_request), REQUEST_RING},
        {&http->responses, sizeof(struct kw_response), RESPONSE_RING},
        {&http->pushes, sizeof(struct kw_push), PUSH_RING},
        {&http->closed, sizeof(uint64_t), closed_ring(http)},
    };

    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        void *memory = calloc((size_t)rows[i].slot_count, rows[i].slot_size);

        if (memory == NULL)
            return false;
        kw_spsc_init(rows[i].ring, memory, rows[i].slot_size, rows[i].slot_count);
    }
    return true;
}

static enum kw_status open_servers(struct kw_http *http, char *error)
{
    const struct kw_http_config *config = &http->config;
    size_t max = config->connections_max != 0 ? config->connections_max : CONNECTIONS_MAX;

    if (!init_connections(http, &http->connections, max, http->tls, http->listeners,
                          config->listen_count) ||
        !init_connections(http, &http->admin_connections, ADMIN_CONNECTIONS_MAX, NULL,
                          &http->admin_listener, config->has_admin ? 1 : 0))
        return explain(error, KW_ERR_MEMORY, "http", "out of memory");
    http->streams_max = max >= 2 * (size_t)OTHERS_MIN ? max - OTHERS_MIN : max;
    http->exchanges = calloc(max, sizeof *http->exchanges);
    http->server = new_server(http, &http->connections, kw_http_on_request);
    if (http->exchanges == NULL || http->server == NULL || !init_rings(http))
        return explain(error, KW_ERR_MEMORY, "http", "out of memory");
    for (size_t i = 0; i < config->listen_count; i++) {
        http->listeners[i] = open_listener(http, &config->listen[i], &http->addresses[i], error);
        if (http->listeners[i] == NULL)
            return KW_ERR_SYSTEM;
        evhttp_bind_listener(http->server, http->listeners[i]);
    }
    if (!config->has_admin)
        return KW_OK;
    http->admin = new_server(http, &http->admin_connections, kw_http_on_admin_request);
    if (http->admin == NULL)
        return explain(error, KW_ERR_MEMORY, "http", "out of memory");
    http->admin_listener = open_listener(http, &config->admin, &http->admin_address, error);
    if (http->admin_listener == NULL)
        return KW_ERR_SYSTEM;
    evhttp_bind_listener(http->admin, http->admin_listener);
    return KW_OK;
}

static enum kw_status open_all(struct kw_http *http, char *error)
{
    const struct kw_http_config *config = &http->config;
    const struct timeval second = {.tv_sec = 1};
    enum kw_status status;

    if (config->cert_path != NULL) {
        http->tls = kw_http_tls_new(config->cert_path, config->key_path, error, KW_HTTP_ERROR_MAX);
        if (http->tls == NULL)
            return KW_ERR_INPUT;
    }
    if (config->web_dir != NULL) {
        http->web_fd = open(config->web_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (http->web_fd < 0)
            return explain(error, KW_ERR_INPUT, config->web_dir, strerror(errno));
    }
    http->base = event_base_new();
    if (http->base == NULL)
        return explain(error, KW_ERR_SYSTEM, "http", "no event base");
    status = kw_wake_open(&http->wake);
    if (status != KW_OK)
        return explain(error, status, "http", strerror(errno));
    status = open_servers(http, error);
    if (status != KW_OK)
        return status;
    http->wake_event = event_new(http->base, http->wake.fd, EV_READ | EV_PERSIST, on_wake, http);
    http->sweep_event = event_new(http->base, -1, EV_PERSIST, on_sweep, http);
    if (http->wake_event == NULL || http->sweep_event == NULL ||
        event_add(http->wake_event, NULL) != 0 || event_add(http->sweep_event, &second) != 0)
        return explain(error, KW_ERR_MEMORY, "http", "out of memory");
    return KW_OK;
}

static void close_all(struct kw_http *http)
{
    /* evhttp closes its connections, and with them each exchange, while the rings still stand */
    if (http->server != NULL)
        evhttp_free(http->server);
    if (http->admin != NULL)
        evhttp_free(http->admin);
    if (http->connections.table != NULL)
        kw_connections_clear(&http->connections);
    if (http->admin_connections.table != NULL)
        kw_connections_clear(&http->admin_connections);
    if (http->wake_event != NULL)
        event_free(http->wake_event);
    if (http->sweep_event != NULL)
        event_free(http->sweep_event);
    if (http->base != NULL)
        event_base_free(http->base);
    if (http->requests.memory != NULL)
        kw_wipe(http->requests.memory, http->requests.slot_size * REQUEST_RING);
    free(http->requests.memory);
    free(http->responses.memory);
    free(http->pushes.memory);
    free(http->closed.memory);
    free(http->exchanges);
    free(http->connections.table);
    free(http->admin_connections.table);
    kw_wake_close(&http->wake);
    if (http->web_fd >= 0)
        close(http->web_fd);
    SSL_CTX_free(http->tls);
    free(http);
}

static void say_nothing(int severity, const char *text)
{
    (void)severity;
    (void)text; /* libevent's complaints are about peers, and we count those ourselves */
}

enum kw_status kw_http_start(const struct kw_http_config *config, struct kw_http **ret,
                             char error[KW_HTTP_ERROR_MAX])
{
    enum kw_status status = check_clear_text(config, error);
    struct kw_http *http;

    if (status != KW_OK)
        return status;
    KW_ASSERT(config->listen_count <= KW_HTTP_LISTEN_MAX);
    http = aligned_alloc(64, (sizeof *http + 63) / 64 * 64);
    if (http == NULL)
        return explain(error, KW_ERR_MEMORY, "http", "out of memory");
    memset(http, 0, sizeof *http);
    http->config = *config;
    http->web_fd = http->wake.fd = -1;
    kw_http_wipe_memory();
    event_set_log_callback(say_nothing);
    status = open_all(http, error);
    if (status == KW_OK && pthread_create(&http->thread, NULL, http_main, http) != 0)
        status = explain(error, KW_ERR_SYSTEM, "http", "no thread");
    if (status != KW_OK) {
        close_all(http);
        return status;
    }
    http->has_thread = true;
    *ret = http;
    return KW_OK;
}

void kw_http_stop(struct kw_http *http)
{
    atomic_store(&http->stopping, true);
    kw_wake_note(&http->wake);
    pthread_join(http->thread, NULL);
    close_all(http);
}

struct kw_address kw_http_address(const struct kw_http *http, size_t n)
{
    return http->addresses[n];
}

struct kw_address kw_http_admin_address(const struct kw_http *http)
{
    return http->admin_address;
}

const struct kw_request *kw_http_next_request(struct kw_http *http)
{
    return kw_spsc_peek(&http->requests, 0);
}

void kw_http_request_done(struct kw_http *http)
{
    struct kw_request *request = kw_spsc_peek(&http->requests, 0);

    kw_wipe(request->token, sizeof request->token);
    kw_spsc_pop(&http->requests, 1);
}

struct kw_response *kw_http_claim_response(struct kw_http *http)
{
    return kw_spsc_claim(&http->responses);
}

void kw_http_publish_response(struct kw_http *http)
{
    kw_spsc_publish(&http->responses);
    kw_wake_note(&http->wake);
}

struct kw_push *kw_http_claim_push(struct kw_http *http)
{
    return kw_spsc_claim(&http->pushes);
}

void kw_http_publish_push(struct kw_http *http)
{
    kw_spsc_publish(&http->pushes);
    kw_wake_note(&http->wake);
}

bool kw_http_next_closed(struct kw_http *http, uint64_t *stream_ret)
{
    const uint64_t *stream = kw_spsc_peek(&http->closed, 0);

    if (stream == NULL)
        return false;
    *stream_ret = *stream;
    kw_spsc_pop(&http->closed, 1);
    return true;
}
