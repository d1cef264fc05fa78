/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CONTROL_CONTROL_H
#define KW_CONTROL_CONTROL_H

/*
 * The control plane without its transport: a bounded request becomes a command, the gateway
 * carries it out at once, and a bounded response goes back. HTTP (another thread) only fills
 * requests and prints responses; it decides nothing but framing, Host, CORS and size. So every rule
 * of WHIP and /v1/calls is tested without a socket.
 */

#include <keywheel/base.h>

enum {
    KW_REQUEST_PATH_MAX = 256,
    KW_REQUEST_FIELD_MAX = 256,
    KW_REQUEST_BODY_MAX = 65536, /* a browser's offer with video is about 8 KiB */
    KW_RESPONSE_BODY_MAX = 65536,
    KW_RESPONSE_HEADERS_MAX = 12,
    KW_RESPONSE_HEADER_MAX = 512,
};

enum kw_request_method {
    KW_REQUEST_OTHER = 0,
    KW_REQUEST_GET,
    KW_REQUEST_POST,
    KW_REQUEST_PATCH,
    KW_REQUEST_DELETE,
};

/* Empty string: the header was absent. Texts are terminated and already length-checked. */
struct kw_request {
    uint64_t completion; /* opaque; given back in the response */
    enum kw_request_method method;
    char path[KW_REQUEST_PATH_MAX];   /* decoded, without query */
    char token[KW_REQUEST_FIELD_MAX]; /* of "Authorization: Bearer" */
    char content_type[KW_REQUEST_FIELD_MAX];
    char accept[KW_REQUEST_FIELD_MAX];
    char if_match[KW_REQUEST_FIELD_MAX];
    char if_none_match[KW_REQUEST_FIELD_MAX];
    char user_agent[KW_REQUEST_FIELD_MAX];
    struct kw_address remote;
    size_t body_len;
    uint8_t body[KW_REQUEST_BODY_MAX + 1]; /* terminated */
};

struct kw_response {
    uint64_t completion;
    int status;
    size_t header_count; /* names and values, printable ASCII */
    struct {
        char name[48];
        char value[KW_RESPONSE_HEADER_MAX];
    } headers[KW_RESPONSE_HEADERS_MAX];
    char content_type[64];
    uint64_t stream; /* not 0: an event stream begins; pushes with this number follow */
    size_t body_len;
    uint8_t body[KW_RESPONSE_BODY_MAX];
};

/* A piece of an event stream; `end` closes it. */
struct kw_push {
    uint64_t stream;
    bool end;
    size_t len;
    uint8_t data[4096];
};

struct kw_gateway;

/*
 * Carries out one request on the gateway's owner thread. ret is always filled: errors are
 * responses (RFC 9457 problem+json with "title", "detail" and, for refusals by policy, "rule").
 */
void kw_control_handle(struct kw_gateway *gateway, const struct kw_request *request, kw_ns now,
                       kw_utc_ms utc, struct kw_response *ret);
/* The transport lost the client of a stream. */
void kw_control_stream_closed(struct kw_gateway *gateway, uint64_t stream);
/* Next piece of any stream; false when there is none. */
bool kw_control_next_push(struct kw_gateway *gateway, kw_ns now, struct kw_push *ret);

#endif
