/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include "base/assert.h"
#include "http/rules.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 8 << 20, DEPTH_MAX = 8 };

void kw_reply_headers(struct evhttp_request *req, bool is_tls)
{
    static const struct {
        const char *name;
        const char *value;
    } rows[] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
         "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
         "form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Permissions-Policy", "microphone=(self), camera=(self), geolocation=()"},
    };
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++)
        evhttp_add_header(headers, rows[i].name, rows[i].value);
    if (is_tls)
        evhttp_add_header(headers, "Strict-Transport-Security", "max-age=31536000");
}

const char *kw_reply_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return "Unknown";
}

void kw_reply_problem(struct evhttp_request *req, bool is_tls, int status, const char *detail)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer *body = evbuffer_new();

    kw_reply_headers(req, is_tls);
    evhttp_add_header(headers, "Content-Type", "application/problem+json");
    evhttp_add_header(headers, "Cache-Control", "no-store");
    if (body != NULL)
        evbuffer_add_printf(body, "{\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"}\n",
                            kw_reply_reason(status), status, detail);
    evhttp_send_reply(req, status, kw_reply_reason(status), body);
    if (body != NULL)
        evbuffer_free(body);
}

/* Opens component by component without following a link, so that nothing outside is reached. */
static int open_below(int folder_fd, const char *name)
{
    char copy[KW_REQUEST_PATH_MAX];
    char *save = NULL;
    int at = dup(folder_fd);
    int depth = 0;

    strcpy(copy, name);
    for (char *part = strtok_r(copy, "/", &save); part != NULL && at >= 0;
         part = strtok_r(NULL, "/", &save)) {
        int next = -1;

        if (++depth <= DEPTH_MAX)
            next = openat(at, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        close(at);
        at = next;
    }
    return at;
}

static bool read_file(int fd, size_t size, struct evbuffer *body)
{
    char piece[16384];

    while (size != 0) {
        ssize_t n = read(fd, piece, KW_MIN(sizeof piece, size));

        if (n <= 0 || evbuffer_add(body, piece, (size_t)n) != 0)
            return false;
        size -= (size_t)n;
    }
    return true;
}

static void send_file(struct evhttp_request *req, bool is_tls, int fd, const char *name,
                      const struct stat *st)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    const char *known = evhttp_find_header(evhttp_request_get_input_headers(req), "If-None-Match");
    struct evbuffer *body = evbuffer_new();
    bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
    char etag[64], length[24];

    snprintf(etag, sizeof etag, "\"%llx-%llx-%llx\"", (unsigned long long)st->st_mtim.tv_sec,
             (unsigned long long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size);
    if (body == NULL || (!is_head && !read_file(fd, (size_t)st->st_size, body))) {
        kw_reply_problem(req, is_tls, 500, "the file could not be read");
    } else {
        kw_reply_headers(req, is_tls);
        evhttp_add_header(headers, "ETag", etag);
        evhttp_add_header(headers, "Cache-Control", "no-cache");
        if (known != NULL && strcmp(known, etag) == 0) {
            evhttp_send_reply(req, 304, kw_reply_reason(304), NULL);
        } else {
            snprintf(length, sizeof length, "%llu", (unsigned long long)st->st_size);
            evhttp_add_header(headers, "Content-Type", kw_http_mime_type(name));
            evhttp_add_header(headers, "Content-Length", length);
            evhttp_send_reply(req, 200, kw_reply_reason(200), is_head ? NULL : body);
        }
    }
    if (body != NULL)
        evbuffer_free(body);
}

void kw_reply_file(struct evhttp_request *req, bool is_tls, int folder_fd, const char *name)
{
    struct stat st;
    int fd = folder_fd >= 0 ? open_below(folder_fd, name) : -1;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
        send_file(req, is_tls, fd, name, &st);
    else
        kw_reply_problem(req, is_tls, 404, "there is no such page");
    if (fd >= 0)
        close(fd);
}
