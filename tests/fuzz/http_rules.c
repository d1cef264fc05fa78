/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request says before it means anything. Input: texts that end with NUL, in this order:
 * target, Host, Origin, Authorization, an address.
 */
#include "http/rules.h"

#include "base/assert.h"
#include "sys/address.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1024 };

/* The next text; cut where it does not fit. */
static const char *next_text(const uint8_t **at, const uint8_t *end, char text[TEXT_MAX])
{
    size_t len = 0;

    while (*at < end && **at != 0 && len + 1 < TEXT_MAX)
        text[len++] = (char)*(*at)++;
    if (*at < end)
        (*at)++;
    text[len] = '\0';
    return text;
}

static void read_target(const char *target)
{
    char path[KW_REQUEST_PATH_MAX], name[KW_REQUEST_PATH_MAX];
    const char *query = NULL;

    if (!kw_http_path_decode(target, path, sizeof path, &query))
        return;
    KW_ASSERT(path[0] == '/' && strlen(path) < sizeof path);
    KW_ASSERT(query >= target || *query == '\0');
    for (const char *at = path; *at != '\0'; at++)
        KW_ASSERT((unsigned char)*at >= 0x20 && *at != 0x7f);
    if (kw_http_query_has_token(query))
        KW_ASSERT(strchr(query, '=') != NULL);
    (void)kw_http_is_control(path);
    if (!kw_http_file_name(path, name))
        return;
    /* It stays below the folder, and nothing in it is hidden. */
    KW_ASSERT(name[0] != '/' && name[0] != '.' && name[0] != '\0');
    KW_ASSERT(strstr(name, "/.") == NULL && strstr(name, "//") == NULL);
    KW_ASSERT(strchr(name, '\\') == NULL && name[strlen(name) - 1] != '/');
    KW_ASSERT(kw_http_mime_type(name) != NULL);
}

static void read_host(const char *host, const char *origin)
{
    static const char *const hosts[] = {"gateway.example"};
    const struct kw_http_host_rule rule = {
        .hosts = hosts,
        .host_count = 1,
        .local = {.family = 4, .port = 8080, .ip = {192, 0, 2, 1}},
    };
    bool is_ours = kw_http_host_allowed(&rule, host);

    /* Not on loopback, so these two are all there is. */
    if (is_ours)
        KW_ASSERT(strncasecmp(host, hosts[0], strlen(hosts[0])) == 0 ||
                  strstr(host, "192.0.2.1") != NULL);
    if (is_ours && kw_http_origin_allowed(origin, true, host))
        KW_ASSERT(strncasecmp(origin, "https://", 8) == 0);
}

static void read_address(const char *text)
{
    char again[KW_ADDRESS_TEXT_MAX];
    struct kw_address address, same;

    if (!kw_address_parse(text, 443, &address))
        return;
    KW_ASSERT(address.family == 4 || address.family == 6);
    kw_address_format(&address, again);
    KW_ASSERT(kw_address_parse(again, 1, &same) && kw_address_equal(&address, &same));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    char text[TEXT_MAX], origin[TEXT_MAX], token[KW_REQUEST_FIELD_MAX];

    read_target(next_text(&at, end, text));
    next_text(&at, end, text);
    read_host(text, next_text(&at, end, origin));
    if (kw_http_bearer(next_text(&at, end, text), token))
        KW_ASSERT(token[0] != '\0' && token[0] != ' ' && strstr(text, token) != NULL);
    read_address(next_text(&at, end, text));
    return 0;
}
