/* SPDX-License-Identifier: Apache-2.0 */
/* The checks before a request means anything, from the outside in: Host, origin, size, target. */
#include "http/internal.h"
#include "http/reply.h"
#include "http/rules.h"
#include "sys/address.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

static const char *header(struct evhttp_request *req, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

static size_t header_count(struct evhttp_request *req, const char *name)
{
    const struct evkeyval *at;
    size_t count = 0;

    TAILQ_FOREACH(at, evhttp_request_get_input_headers(req), next)
    {
        count += strcasecmp(at->key, name) == 0;
    }
    return count;
}

static size_t headers_len(struct evhttp_request *req)
{
    const struct evkeyval *at;
    size_t len = 0;

    TAILQ_FOREACH(at, evhttp_request_get_input_headers(req), next)
    {
        len += strlen(at->key) + strlen(at->value) + 4;
    }
    return len;
}

static bool endpoints(struct evhttp_request *req, struct kw_address *local,
                      struct kw_address *remote)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int fd = bufferevent_getfd(bev);

    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0 ||
        !kw_address_from_socket((struct sockaddr *)&name, local))
        return false;
    len = sizeof name;
    return getpeername(fd, (struct sockaddr *)&name, &len) == 0 &&
           kw_address_from_socket((struct sockaddr *)&name, remote);
}

/* Host and origin; answers and returns false when they are not ours. */
static bool check_names(struct kw_http *http, struct evhttp_request *req, bool is_tls,
                        const struct kw_address *local)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const struct kw_http_host_rule rule = {
        .hosts = http->config.hosts, .host_count = http->config.host_count, .local = *local};
    const char *host = header(req, "Host");

    /* RFC 9112, section 3.2: a request without Host, or with two, MUST be answered with 400. */
    if (header_count(req, "Host") != 1) {
        kw_reply_problem(req, is_tls, 400, "a request has exactly one Host header");
        return false;
    }
    if (!kw_http_host_allowed(&rule, host) || evhttp_uri_get_host(uri) != NULL) {
        kw_reply_problem(req, is_tls, 421, "this gateway does not answer to that Host");
        return false;
    }
    if (!kw_http_origin_allowed(header(req, "Origin"), is_tls, host)) {
        kw_reply_problem(req, is_tls, 403, "requests of other origins are not accepted");
        return false;
    }
    return true;
}

static bool check_sizes(struct evhttp_request *req, bool is_tls)
{
    static const char *const fields[] = {"Authorization", "Content-Type", "Accept", "If-Match",
                                         "If-None-Match"};
    /* "Bearer " stands before the token */
    size_t field_max = KW_REQUEST_FIELD_MAX + 7;
    bool is_too_large = headers_len(req) > HEADERS_MAX;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *value = header(req, fields[i]);

        is_too_large =
            is_too_large || (value != NULL && strlen(value) >= field_max - (i == 0 ? 0 : 7));
    }
    if (is_too_large) {
        kw_reply_problem(req, is_tls, 431, "the header, or a field of it, is too large");
        return false;
    }
    if (evbuffer_get_length(evhttp_request_get_input_buffer(req)) > KW_REQUEST_BODY_MAX) {
        kw_reply_problem(req, is_tls, 413, "a body has at most 65536 bytes");
        return false;
    }
    if (header(req, "Content-Encoding") != NULL) {
        kw_reply_problem(req, is_tls, 415, "a body travels without a content coding");
        return false;
    }
    return true;
}

static bool decode_target(struct evhttp_request *req, bool is_tls, char path[KW_REQUEST_PATH_MAX])
{
    const char *target = evhttp_request_get_uri(req);
    const char *query = "";

    if (strlen(target) >= 4 * KW_REQUEST_PATH_MAX) {
        kw_reply_problem(req, is_tls, 414, "the path is too long");
        return false;
    }
    if (!kw_http_path_decode(target, path, KW_REQUEST_PATH_MAX, &query)) {
        kw_reply_problem(req, is_tls, 400, "the path is not one");
        return false;
    }
    if (kw_http_query_has_token(query)) {
        kw_reply_problem(req, is_tls, 400,
                         "a token travels in the Authorization header, never in a query");
        return false;
    }
    return true;
}

static void serve_file(struct kw_http *http, struct evhttp_request *req, bool is_tls,
                       const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    char name[KW_REQUEST_PATH_MAX];

    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", "GET, HEAD");
        kw_reply_problem(req, is_tls, 405, "a page can only be read");
    } else if (!kw_http_file_name(path, name)) {
        kw_reply_problem(req, is_tls, 404, "there is no such page");
    } else {
        kw_reply_file(req, is_tls, http->web_fd, name);
    }
}

static void serve_options(struct evhttp_request *req, bool is_tls)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

    /* RFC 9725, section 4.2: an endpoint says by Accept-Post what an OPTIONS request asks. */
    kw_reply_headers(req, is_tls);
    evhttp_add_header(headers, "Allow", "GET, POST, PATCH, DELETE, OPTIONS");
    evhttp_add_header(headers, "Accept-Post", "application/sdp");
    evhttp_send_reply(req, 204, kw_reply_reason(204), NULL);
}

static void serve_control(struct kw_http *http, struct evhttp_request *req, bool is_tls,
                          const struct kw_address *remote, const char *path, const char *token)
{
    const char *site = header(req, "Sec-Fetch-Site");

    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_POST:
    case EVHTTP_REQ_PATCH:
    case EVHTTP_REQ_DELETE:
        break;
    case EVHTTP_REQ_OPTIONS:
        serve_options(req, is_tls);
        return;
    case EVHTTP_REQ_HEAD:
    case EVHTTP_REQ_PUT:
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT:
        evhttp_add_header(evhttp_request_get_output_headers(req), "Allow",
                          "GET, POST, PATCH, DELETE, OPTIONS");
        kw_reply_problem(req, is_tls, 405, "that method does nothing here");
        return;
    }
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        kw_reply_problem(req, is_tls, 403, "requests of other origins are not accepted");
        return;
    }
    kw_exchange_begin(http, req, remote, path, token, is_tls);
}

/*
 * Takes the token out of the header, so that no copy of it waits in evhttp for the end of the
 * connection. Two of them name nobody.
 */
static void take_token(struct evhttp_request *req, char token[KW_REQUEST_FIELD_MAX])
{
    bool is_one = header_count(req, "Authorization") == 1;
    struct evkeyval *at;

    token[0] = '\0';
    TAILQ_FOREACH(at, evhttp_request_get_input_headers(req), next)
    {
        if (strcasecmp(at->key, "Authorization") != 0)
            continue;
        if (is_one)
            (void)kw_http_bearer(at->value, token);
        memset(at->value, '*', strlen(at->value)); /* its length is still to be checked */
    }
}

static void serve(struct kw_http *http, struct evhttp_request *req, const char *token)
{
    bool is_tls = http->tls != NULL;
    struct kw_address local, remote;
    char path[KW_REQUEST_PATH_MAX];

    if (!endpoints(req, &local, &remote)) {
        kw_reply_problem(req, is_tls, 400, "the connection is gone");
        return;
    }
    if (!check_names(http, req, is_tls, &local) || !check_sizes(req, is_tls) ||
        !decode_target(req, is_tls, path))
        return;
    if (kw_http_is_control(path))
        serve_control(http, req, is_tls, &remote, path, token);
    else
        serve_file(http, req, is_tls, path);
}

void kw_http_on_request(struct evhttp_request *req, void *arg)
{
    struct kw_http *http = arg;
    char token[KW_REQUEST_FIELD_MAX];

    kw_connections_request_complete(&http->connections, req);
    take_token(req, token);
    serve(http, req, token);
    kw_wipe(token, sizeof token);
}

void kw_http_on_admin_request(struct evhttp_request *req, void *arg)
{
    struct kw_http *http = arg;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct kw_address local, remote;
    struct evbuffer *body;
    char path[KW_REQUEST_PATH_MAX];
    char *text;
    size_t len;

    kw_connections_request_complete(&http->admin_connections, req);
    if (!endpoints(req, &local, &remote) || !check_names(http, req, false, &local) ||
        !check_sizes(req, false) || !decode_target(req, false, path))
        return;
    if (evhttp_request_get_command(req) != EVHTTP_REQ_GET || strcmp(path, "/metrics") != 0) {
        kw_reply_problem(req, false, 404, "only GET /metrics is here");
        return;
    }
    text = malloc(KW_HTTP_METRICS_MAX);
    body = evbuffer_new();
    if (text == NULL || body == NULL || http->config.metrics == NULL) {
        kw_reply_problem(req, false, 503, "no metrics now");
    } else {
        len = http->config.metrics(http->config.ctx, text, KW_HTTP_METRICS_MAX);
        evbuffer_add(body, text, len);
        kw_reply_headers(req, false);
        evhttp_add_header(headers, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        evhttp_add_header(headers, "Cache-Control", "no-store");
        evhttp_send_reply(req, 200, kw_reply_reason(200), body);
    }
    free(text);
    if (body != NULL)
        evbuffer_free(body);
}
