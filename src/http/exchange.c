/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange is a request that the gateway's thread has, or an event stream that it feeds. Its
 * completion number says which slot it is and which use of the slot, so that an answer for a client
 * who has left finds nobody.
 */
#include "base/assert.h"
#include "http/internal.h"
#include "http/reply.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <string.h>

enum { STREAM_BACKLOG_MAX = 256 << 10 }; /* a client that reads slower than this is let go */

static struct exchange *find(struct kw_http *http, uint64_t completion)
{
    struct exchange *exchange = &http->exchanges[completion % http->connections.max];

    return completion != 0 && exchange->completion == completion ? exchange : NULL;
}

static void note_closed(struct kw_http *http, uint64_t stream)
{
    uint64_t *slot = kw_spsc_claim(&http->closed);

    if (slot == NULL)
        return; /* the gateway is told when it pushes to it the next time */
    *slot = stream;
    kw_spsc_publish(&http->closed);
    kw_wake_note(http->config.notify);
}

static void end_exchange(struct exchange *exchange)
{
    if (exchange->stream != 0)
        exchange->http->stream_count--;
    *exchange = (struct exchange){0};
}

/* The client has gone. evhttp either has let go of the request or frees it itself. */
static void on_close(struct evhttp_connection *connection, void *arg)
{
    struct exchange *exchange = arg;
    struct evhttp_request *req = exchange->req;

    (void)connection;
    if (req == NULL)
        return;
    if (evhttp_request_get_connection(req) == NULL)
        evhttp_request_free(req);
    exchange->req = NULL;
    if (exchange->stream != 0) {
        note_closed(exchange->http, exchange->stream);
        end_exchange(exchange);
    }
    /* otherwise the slot waits for the gateway's answer, which must not find another's request */
}

static void copy_field(struct evhttp_request *req, const char *name, char dst[KW_REQUEST_FIELD_MAX])
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), name);
    size_t len = value != NULL ? strlen(value) : 0;

    len = KW_MIN(len, (size_t)KW_REQUEST_FIELD_MAX - 1); /* User-Agent alone may be longer */
    if (len != 0)
        memcpy(dst, value, len);
    dst[len] = '\0';
}

static enum kw_request_method method_of(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
        return KW_REQUEST_GET;
    case EVHTTP_REQ_POST:
        return KW_REQUEST_POST;
    case EVHTTP_REQ_PATCH:
        return KW_REQUEST_PATCH;
    case EVHTTP_REQ_DELETE:
        return KW_REQUEST_DELETE;
    case EVHTTP_REQ_HEAD:
    case EVHTTP_REQ_PUT:
    case EVHTTP_REQ_OPTIONS:
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT:
        break;
    }
    return KW_REQUEST_OTHER;
}

static void fill_request(struct evhttp_request *req, const struct kw_address *remote,
                         const char *path, const char *token, uint64_t completion,
                         struct kw_request *ret)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(req);

    ret->completion = completion;
    ret->method = method_of(req);
    strcpy(ret->path, path);
    ret->remote = *remote;
    strcpy(ret->token, token);
    copy_field(req, "Content-Type", ret->content_type);
    copy_field(req, "Accept", ret->accept);
    copy_field(req, "If-Match", ret->if_match);
    copy_field(req, "If-None-Match", ret->if_none_match);
    copy_field(req, "User-Agent", ret->user_agent);
    ret->body_len = evbuffer_get_length(body);
    KW_ASSERT(ret->body_len <= KW_REQUEST_BODY_MAX);
    evbuffer_remove(body, ret->body, ret->body_len);
    ret->body[ret->body_len] = '\0';
}

static struct exchange *free_exchange(struct kw_http *http)
{
    for (size_t i = 0; i < http->connections.max; i++) {
        if (http->exchanges[i].completion == 0)
            return &http->exchanges[i];
    }
    return NULL;
}

void kw_exchange_begin(struct kw_http *http, struct evhttp_request *req,
                       const struct kw_address *remote, const char *path, const char *token,
                       bool is_tls)
{
    struct kw_request *slot = kw_spsc_claim(&http->requests);
    struct exchange *exchange = free_exchange(http);
    size_t index;

    if (slot == NULL || exchange == NULL) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", "1");
        kw_reply_problem(req, is_tls, 503, "too many requests are waiting");
        return;
    }
    index = (size_t)(exchange - http->exchanges);
    http->next_completion += http->connections.max;
    *exchange = (struct exchange){
        .http = http,
        .req = req,
        .completion = http->next_completion + index,
        .is_tls = is_tls,
    };
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, exchange);
    fill_request(req, remote, path, token, exchange->completion, slot);
    kw_spsc_publish(&http->requests);
    kw_wake_note(http->config.notify);
}

static void reply_headers(struct evhttp_request *req, bool is_tls,
                          const struct kw_response *response)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

    kw_reply_headers(req, is_tls);
    for (size_t i = 0; i < response->header_count; i++)
        evhttp_add_header(headers, response->headers[i].name, response->headers[i].value);
    if (response->content_type[0] != '\0')
        evhttp_add_header(headers, "Content-Type", response->content_type);
    if (evhttp_find_header(headers, "Cache-Control") == NULL)
        evhttp_add_header(headers, "Cache-Control", "no-store");
}

static void begin_stream(struct exchange *exchange, const struct kw_response *response)
{
    struct evhttp_request *req = exchange->req;
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    const struct timeval write_timeout = {.tv_sec = 60};

    exchange->stream = response->stream;
    exchange->http->stream_count++;
    reply_headers(req, exchange->is_tls, response);
    evhttp_send_reply_start(req, response->status, kw_reply_reason(response->status));
    /* a client may listen for hours without saying anything */
    bufferevent_set_timeouts(bev, NULL, &write_timeout);
}

static void push_piece(struct exchange *exchange, const uint8_t *data, size_t len)
{
    struct bufferevent *bev =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(exchange->req));
    struct evbuffer *body;

    if (len == 0)
        return;
    if (evbuffer_get_length(bufferevent_get_output(bev)) > STREAM_BACKLOG_MAX) {
        bufferevent_trigger_event(bev, BEV_EVENT_EOF | BEV_EVENT_WRITING, 0);
        return; /* on_close() has ended the exchange */
    }
    body = evbuffer_new();
    if (body == NULL)
        return;
    evbuffer_add(body, data, len);
    evhttp_send_reply_chunk(exchange->req, body);
    evbuffer_free(body);
}

static void end_stream(struct exchange *exchange)
{
    struct evhttp_request *req = exchange->req;

    evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
    end_exchange(exchange);
    evhttp_send_reply_end(req);
}

static void deliver_response(struct kw_http *http, const struct kw_response *response)
{
    struct exchange *exchange = find(http, response->completion);
    struct evhttp_request *req;
    struct evbuffer *body;

    if (exchange == NULL || exchange->req == NULL) {
        if (response->stream != 0)
            note_closed(http, response->stream);
        if (exchange != NULL)
            end_exchange(exchange);
        return;
    }
    req = exchange->req;
    if (response->stream != 0 && http->stream_count < http->streams_max) {
        begin_stream(exchange, response);
        push_piece(exchange, response->body, response->body_len);
        return;
    }
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
    bool is_tls = exchange->is_tls;

    end_exchange(exchange);
    if (response->stream != 0) {
        note_closed(http, response->stream);
        kw_reply_problem(req, is_tls, 503, "too many event streams are open");
        return;
    }
    reply_headers(req, is_tls, response);
    body = evbuffer_new();
    if (body != NULL)
        evbuffer_add(body, response->body, response->body_len);
    evhttp_send_reply(req, response->status, kw_reply_reason(response->status), body);
    if (body != NULL)
        evbuffer_free(body);
}

static void deliver_push(struct kw_http *http, const struct kw_push *push)
{
    struct exchange *exchange = NULL;

    KW_ASSERT(push->stream != 0);
    for (size_t i = 0; i < http->connections.max && exchange == NULL; i++) {
        if (http->exchanges[i].stream == push->stream)
            exchange = &http->exchanges[i];
    }
    if (exchange == NULL) {
        if (!push->end)
            note_closed(http, push->stream);
        return;
    }
    push_piece(exchange, push->data, push->len);
    if (push->end && exchange->stream == push->stream)
        end_stream(exchange);
}

void kw_exchange_deliver(struct kw_http *http)
{
    const struct kw_response *response;
    const struct kw_push *push;
    /* A stream's response is published before its first push: pushes counted before the responses
     * are read all have their exchange. */
    uint64_t push_count = kw_spsc_used(&http->pushes);

    while ((response = kw_spsc_peek(&http->responses, 0)) != NULL) {
        deliver_response(http, response);
        kw_spsc_pop(&http->responses, 1);
    }
    while (push_count-- != 0 && (push = kw_spsc_peek(&http->pushes, 0)) != NULL) {
        deliver_push(http, push);
        kw_spsc_pop(&http->pushes, 1);
    }
}
