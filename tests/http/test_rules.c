/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP decides without a socket: Host, Origin, paths, tokens, file names. */
#include "check.h"

#include "http/rules.h"
#include "sys/address.h"

#include <string.h>

static void hosts(void **state)
{
    static const char *const names[] = {"gw.example.org"};
    static const struct {
        const char *local;
        const char *host; /* NULL: absent */
        bool allowed;
        const char *why;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:8080", true, "the address itself"},
        {"127.0.0.1", "127.0.0.1", true, "without the port"},
        {"127.0.0.1", "127.0.0.1:1", true, "behind a forwarded port"},
        {"127.0.0.1", "localhost:8080", true, "localhost on loopback"},
        {"127.0.0.1", "LocalHost", true, "in any case"},
        {"192.0.2.7", "localhost", false, "localhost from elsewhere"},
        {"192.0.2.7", "192.0.2.7:8443", true, "the address that was reached"},
        {"192.0.2.7", "192.0.2.8", false, "another address"},
        {"2001:db8::1", "[2001:db8::1]:8443", true, "IPv6"},
        {"2001:db8::1", "[2001:DB8:0::1]", true, "IPv6 spelled otherwise"},
        {"::1", "[::1]:8080", true, "IPv6 loopback"},
        {"192.0.2.7", "gw.example.org", true, "a configured name"},
        {"192.0.2.7", "GW.example.org.:443", true, "its full form with a port"},
        {"192.0.2.7", "gw.example.org.evil.test", false, "a name that begins like ours"},
        {"127.0.0.1", "evil.test", false, "DNS rebinding"},
        {"127.0.0.1", "127.0.0.1.evil.test", false, "a name that begins like an address"},
        {"127.0.0.1", "127.0.0.1@evil.test", false, "user information"},
        {"127.0.0.1", "127.0.0.1:80:80", false, "two ports"},
        {"127.0.0.1", "127.0.0.1:x", false, "a port of letters"},
        {"127.0.0.1", "2130706433", false, "an address as one number"},
        {"127.0.0.1", "", false, "an empty host"},
        {"127.0.0.1", ":80", false, "only a port"},
        {"127.0.0.1", "[::1", false, "an open bracket"},
        {"127.0.0.1", NULL, false, "no Host"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_http_host_rule rule = {.hosts = names, .host_count = 1};

        assert_true(kw_address_parse(rows[i].local, 8080, &rule.local));
        CHECK(kw_http_host_allowed(&rule, rows[i].host) == rows[i].allowed, "%s", rows[i].why);
    }
}

static void origins(void **state)
{
    (void)state;
    assert_true(kw_http_origin_allowed(NULL, false, "127.0.0.1:8080"));
    assert_true(kw_http_origin_allowed("http://127.0.0.1:8080", false, "127.0.0.1:8080"));
    assert_true(kw_http_origin_allowed("https://gw.example.org", true, "gw.example.org"));
    assert_false(kw_http_origin_allowed("http://gw.example.org", true, "gw.example.org"));
    assert_false(kw_http_origin_allowed("http://127.0.0.1:8081", false, "127.0.0.1:8080"));
    assert_false(kw_http_origin_allowed("null", false, "127.0.0.1:8080"));
    assert_false(kw_http_origin_allowed("", false, "127.0.0.1:8080"));
}

static void paths(void **state)
{
    static const struct {
        const char *target;
        const char *path; /* NULL: refused */
        const char *query;
    } rows[] = {
        {"/", "/", ""},
        {"/v1/calls", "/v1/calls", ""},
        {"/a%20b%2fc", "/a b/c", ""},
        {"/x?y=1#z", "/x", "y=1#z"},
        {"/x#z", "/x", ""},
        {"/%2e%2e/etc", "/../etc", ""},
        {"/%00", NULL, ""},
        {"/%0a", NULL, ""},
        {"/%7f", NULL, ""},
        {"/%2", NULL, ""},
        {"/%zz", NULL, ""},
        {"x", NULL, ""},
        {"", NULL, ""},
        {"*", NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        char path[32];
        const char *query = NULL;
        bool taken = kw_http_path_decode(rows[i].target, path, sizeof path, &query);

        CHECK(taken == (rows[i].path != NULL), "%s", rows[i].target);
        if (!taken)
            continue;
        assert_string_equal(path, rows[i].path);
        assert_string_equal(query, rows[i].query);
    }
    char tight[5];
    const char *query;

    assert_true(kw_http_path_decode("/123", tight, sizeof tight, &query));
    assert_false(kw_http_path_decode("/1234", tight, sizeof tight, &query));
}

static void tokens_in_queries_are_noticed(void **state)
{
    (void)state;
    assert_true(kw_http_query_has_token("token=x"));
    assert_true(kw_http_query_has_token("a=1&Access_Token=x"));
    assert_true(kw_http_query_has_token("a;jwt=x"));
    assert_false(kw_http_query_has_token(""));
    assert_false(kw_http_query_has_token("nontoken=1&a=token="));
}

static void bearer_tokens(void **state)
{
    char token[KW_REQUEST_FIELD_MAX], longest[KW_REQUEST_FIELD_MAX + 8] = "Bearer ";

    (void)state;
    assert_true(kw_http_bearer("Bearer abc", token));
    assert_string_equal(token, "abc");
    assert_true(kw_http_bearer("bearer   abc", token));
    assert_string_equal(token, "abc");
    assert_false(kw_http_bearer("Basic abc", token));
    assert_false(kw_http_bearer("Bearer ", token));
    assert_false(kw_http_bearer("Bearer", token));
    memset(longest + 7, 'x', KW_REQUEST_FIELD_MAX - 1);
    assert_true(kw_http_bearer(longest, token));
    longest[7 + KW_REQUEST_FIELD_MAX - 1] = 'x';
    assert_false(kw_http_bearer(longest, token));
}

static void file_names(void **state)
{
    static const struct {
        const char *path;
        const char *name; /* NULL: refused */
    } rows[] = {
        {"/", "index.html"},
        {"/app.js", "app.js"},
        {"/a/b.css", "a/b.css"},
        {"/../secret", NULL},
        {"/a/../../secret", NULL},
        {"/a/./b", NULL},
        {"//etc/passwd", NULL},
        {"/a//b", NULL},
        {"/a/", NULL},
        {"/.git/config", NULL},
        {"/a/.hidden", NULL},
        {"/a\\..\\b", NULL},
        {"", NULL},
        {"relative", NULL},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        char name[KW_REQUEST_PATH_MAX];
        bool taken = kw_http_file_name(rows[i].path, name);

        CHECK(taken == (rows[i].name != NULL), "%s", rows[i].path);
        if (taken)
            assert_string_equal(name, rows[i].name);
    }
}

static void mime_types(void **state)
{
    (void)state;
    assert_string_equal(kw_http_mime_type("index.html"), "text/html; charset=utf-8");
    assert_string_equal(kw_http_mime_type("a/keywheel.js"), "text/javascript; charset=utf-8");
    assert_string_equal(kw_http_mime_type("x.mjs"), "text/javascript; charset=utf-8");
    assert_string_equal(kw_http_mime_type(".js"), "application/octet-stream");
    assert_string_equal(kw_http_mime_type("LICENSE"), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),         cmocka_unit_test(origins),
        cmocka_unit_test(paths),         cmocka_unit_test(tokens_in_queries_are_noticed),
        cmocka_unit_test(bearer_tokens), cmocka_unit_test(file_names),
        cmocka_unit_test(mime_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
