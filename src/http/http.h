/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_HTTP_H
#define KW_HTTP_HTTP_H

/*
 * HTTP on a thread of its own. It decides framing, Host, origin, sizes and the files of the
 * console; everything else becomes a kw_request for the gateway's thread, whose kw_response and
 * kw_push come back. Between the two threads there are only bounded rings and a wake-up each way.
 */

#include "control/control.h"
#include "sys/wake.h"

enum {
    KW_HTTP_LISTEN_MAX = 8,
    KW_HTTP_HOSTS_MAX = 16,
    KW_HTTP_ERROR_MAX = 256,
    KW_HTTP_METRICS_MAX = 65536,
};

struct kw_http_config {
    struct kw_address listen[KW_HTTP_LISTEN_MAX];
    size_t listen_count;
    const char *cert_path; /* NULL: clear text, and then only on loopback */
    const char *key_path;
    /* Names by which clients may call us, beside the addresses they reach us at. Borrowed. */
    const char *hosts[KW_HTTP_HOSTS_MAX];
    size_t host_count;
    bool has_admin; /* metrics, in clear text, on loopback unless the operator says otherwise */
    struct kw_address admin;
    const char *web_dir;          /* NULL: no console */
    unsigned request_seconds;     /* 0: 15; a request must be complete within them (408) */
    unsigned idle_seconds;        /* 0: 60 */
    size_t connections_max;       /* 0: 256 */
    const struct kw_wake *notify; /* noted when a request or a closed stream waits */
    /* Writes the metrics page; runs on the HTTP thread. NULL: none. */
    size_t (*metrics)(void *ctx, char *dst, size_t dst_size);
    void *ctx;
};

struct kw_http;

/*
 * Binds and starts the thread. On failure `error` names the address or file and the reason.
 */
KW_MUST_USE enum kw_status kw_http_start(const struct kw_http_config *config, struct kw_http **ret,
                                         char error[KW_HTTP_ERROR_MAX]);
/* Ends open connections and the thread. */
void kw_http_stop(struct kw_http *http);
/* The address of the n-th listener, with the port that the kernel chose for port 0. */
struct kw_address kw_http_address(const struct kw_http *http, size_t n);
struct kw_address kw_http_admin_address(const struct kw_http *http);

/*
 * The gateway's side of the rings. A request is borrowed until kw_http_request_done(), which also
 * wipes its token. A response or push is filled in place between claim and publish; claim is NULL
 * when the ring is full, and then the gateway tries again in a later turn.
 */
const struct kw_request *kw_http_next_request(struct kw_http *http);
void kw_http_request_done(struct kw_http *http);
struct kw_response *kw_http_claim_response(struct kw_http *http);
void kw_http_publish_response(struct kw_http *http);
struct kw_push *kw_http_claim_push(struct kw_http *http);
void kw_http_publish_push(struct kw_http *http);
/* A stream whose client has gone; false when there is none. */
KW_MUST_USE bool kw_http_next_closed(struct kw_http *http, uint64_t *stream_ret);

#endif
