/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_REPLY_H
#define KW_HTTP_REPLY_H

#include <event2/http.h>
#include <stdbool.h>

/* The headers that every answer carries, whoever wrote it. */
void kw_reply_headers(struct evhttp_request *req, bool is_tls);

/*
 * An error that HTTP itself decides, as problem+json (RFC 9457). `detail` is ours, never the
 * client's text.
 */
void kw_reply_problem(struct evhttp_request *req, bool is_tls, int status, const char *detail);

/* "Not Found" for 404. */
const char *kw_reply_reason(int status);

/* Sends a file below folder_fd (O_PATH), or 404; HEAD sends its headers alone. */
void kw_reply_file(struct evhttp_request *req, bool is_tls, int folder_fd, const char *name);

#endif
