/* SPDX-License-Identifier: Apache-2.0 */
#include "http/rules.h"

#include "base/assert.h"
#include "sys/address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Host without its port; false when that is not how a host is written. */
static bool host_name(const char *host, char dst[KW_REQUEST_FIELD_MAX])
{
    const char *end;
    size_t len;

    if (host[0] == '[') {
        end = strchr(host, ']');
        if (end == NULL)
            return false;
        end++;
    } else {
        end = host + strcspn(host, ":");
    }
    if (*end == ':') {
        size_t digits = strspn(end + 1, "0123456789");

        if (digits > 5 || end[1 + digits] != '\0')
            return false;
    } else if (*end != '\0') {
        return false;
    }
    len = (size_t)(end - host);
    if (len > 1 && host[len - 1] == '.')
        len--; /* the root dot of a full name */
    if (len == 0 || len >= KW_REQUEST_FIELD_MAX)
        return false;
    memcpy(dst, host, len);
    dst[len] = '\0';
    return true;
}

bool kw_http_host_allowed(const struct kw_http_host_rule *rule, const char *host)
{
    char name[KW_REQUEST_FIELD_MAX];
    struct kw_address address;

    if (host == NULL || !host_name(host, name))
        return false;
    for (size_t i = 0; i < rule->host_count; i++) {
        if (strcasecmp(rule->hosts[i], name) == 0)
            return true;
    }
    if (strcasecmp(name, "localhost") == 0)
        return kw_address_is_loopback(&rule->local);
    if (!kw_address_parse(name, rule->local.port, &address))
        return false;
    return kw_address_equal(&address, &rule->local);
}

bool kw_http_origin_allowed(const char *origin, bool is_tls, const char *host)
{
    char own[KW_REQUEST_FIELD_MAX + 16];

    if (origin == NULL)
        return true;
    snprintf(own, sizeof own, "%s://%s", is_tls ? "https" : "http", host);
    return strcasecmp(origin, own) == 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool kw_http_path_decode(const char *target, char *dst, size_t dst_size, const char **query_ret)
{
    size_t len = 0;
    const char *at = target;

    if (*at != '/')
        return false;
    for (; *at != '\0' && *at != '?' && *at != '#'; at++) {
        int c = (unsigned char)*at;

        if (c == '%') {
            int high = hex_value(at[1]);
            int low = high < 0 ? -1 : hex_value(at[2]);

            if (low < 0)
                return false;
            c = high * 16 + low;
            at += 2;
        }
        if (c < 0x20 || c == 0x7f || len + 1 >= dst_size)
            return false;
        dst[len++] = (char)c;
    }
    dst[len] = '\0';
    *query_ret = *at == '?' ? at + 1 : "";
    return true;
}

bool kw_http_query_has_token(const char *query)
{
    static const char *const names[] = {"token=", "access_token=", "jwt=", "authorization="};

    for (const char *at = query; *at != '\0';) {
        for (size_t i = 0; i < KW_ARRAY_LEN(names); i++) {
            if (strncasecmp(at, names[i], strlen(names[i])) == 0)
                return true;
        }
        at += strcspn(at, "&;");
        at += *at != '\0';
    }
    return false;
}

bool kw_http_bearer(const char *authorization, char dst[KW_REQUEST_FIELD_MAX])
{
    static const char scheme[] = "Bearer ";
    const char *token = authorization + strlen(scheme);

    if (strncasecmp(authorization, scheme, strlen(scheme)) != 0)
        return false;
    token += strspn(token, " ");
    if (strlen(token) >= KW_REQUEST_FIELD_MAX || *token == '\0')
        return false;
    strcpy(dst, token);
    return true;
}

bool kw_http_is_control(const char *path)
{
    return strncmp(path, "/v1/", 4) == 0 || strncmp(path, "/whip/", 6) == 0 ||
           strcmp(path, "/v1") == 0 || strcmp(path, "/whip") == 0;
}

bool kw_http_file_name(const char *path, char dst[KW_REQUEST_PATH_MAX])
{
    const char *at = path + 1;

    if (path[0] != '/' || strlen(path) >= KW_REQUEST_PATH_MAX - sizeof "index.html")
        return false;
    if (*at == '\0') {
        strcpy(dst, "index.html");
        return true;
    }
    strcpy(dst, at);
    while (*at != '\0') {
        size_t len = strcspn(at, "/");

        if (len == 0 || at[0] == '.' || memchr(at, '\\', len) != NULL)
            return false;
        at += len;
        at += *at != '\0';
        if (*at == '\0' && at[-1] == '/')
            return false;
    }
    return true;
}

const char *kw_http_mime_type(const char *name)
{
    static const struct {
        const char *suffix;
        const char *type;
    } rows[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
        {".woff2", "font/woff2"},
        {".map", "application/json"},
    };
    size_t len = strlen(name);

    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        size_t suffix_len = strlen(rows[i].suffix);

        if (len > suffix_len && strcmp(name + len - suffix_len, rows[i].suffix) == 0)
            return rows[i].type;
    }
    return "application/octet-stream";
}
