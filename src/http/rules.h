/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_RULES_H
#define KW_HTTP_RULES_H

/* The decisions that need no socket, so that each has its test. Texts are terminated. */

#include "control/control.h"

struct kw_http_host_rule {
    const char *const *hosts; /* configured names */
    size_t host_count;
    struct kw_address local; /* where this connection reached us */
};

/*
 * The Host header names us: one of the configured names, the very address the client is connected
 * to, or "localhost" on a loopback connection. Ports are not compared. This is what stops DNS
 * rebinding: a foreign name that resolves to our address is not our name.
 */
bool kw_http_host_allowed(const struct kw_http_host_rule *rule, const char *host);

/* Origin is scheme://host exactly, or absent (NULL). */
bool kw_http_origin_allowed(const char *origin, bool is_tls, const char *host);

/*
 * Decodes the path of a request target into dst; false when it is not absolute, has a bad escape, a
 * control character, or does not fit. *query_ret: what follows the "?", or "".
 */
bool kw_http_path_decode(const char *target, char *dst, size_t dst_size, const char **query_ret);

/* A query that carries a credential ("token=", "access_token=", ..): URLs end up in logs. */
bool kw_http_query_has_token(const char *query);

/* The credential of "Bearer <token>"; false when it does not fit or the scheme is another. */
bool kw_http_bearer(const char *authorization, char dst[KW_REQUEST_FIELD_MAX]);

/* Paths that the gateway answers; all others are files. */
bool kw_http_is_control(const char *path);

/*
 * A path below the console's folder: "/" becomes "index.html". False for anything that could leave
 * it or that is hidden: empty, "." and ".." components, a leading dot, backslashes.
 */
bool kw_http_file_name(const char *path, char dst[KW_REQUEST_PATH_MAX]);
const char *kw_http_mime_type(const char *name);

#endif
