/* SPDX-License-Identifier: Apache-2.0 */
/* keywheeld as a process: it starts, refuses to start, says why, and ends in order. */
#include "check.h"

#include "../http/client.h"
#include "daemon.h"
#include "sys/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static struct daemon one, other;

static int clean(void **state)
{
    (void)state;
    daemon_end(&one, SIGKILL);
    daemon_end(&other, SIGKILL);
    if (one.folder[0] != '\0')
        daemon_remove_folder(&one);
    if (other.folder[0] != '\0')
        daemon_remove_folder(&other);
    return 0;
}

static void start(struct daemon *daemon, const char *const *arguments)
{
    CHECK(daemon_start(daemon, NULL, NULL, arguments), "%s", daemon_file(daemon, "err"));
}

static void says(const struct daemon *daemon, const char *text)
{
    CHECK(strstr(daemon_file(daemon, "err"), text) != NULL, "\"%s\" is not in\n%s", text,
          daemon_file(daemon, "err"));
}

static void a_signal_ends_it_with_zero(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(signals); i++) {
        start(&one, NULL);
        assert_int_equal(strlen(one.token), 22);
        assert_null(strstr(daemon_file(&one, "err"), one.token)); /* on stdout alone */
        daemon_end(&one, signals[i]);
        assert_int_equal(one.exit_status, 0);
        says(&one, "info ended why=signal");
        daemon_remove_folder(&one);
    }
}

static void each_start_has_its_own_token(void **state)
{
    (void)state;
    start(&one, NULL);
    start(&other, NULL);
    assert_string_not_equal(one.token, other.token);
}

static void a_port_in_use_is_named(void **state)
{
    char address[64], port[16];
    const char *const http[] = {"--listen", address, NULL};
    const char *const media[] = {"--media-port", port, NULL};
    const char *at;

    (void)state;
    start(&one, NULL);
    kw_address_format(&one.http, address);
    assert_false(daemon_start(&other, NULL, NULL, http));
    assert_int_equal(other.exit_status, 1);
    says(&other, "Address already in use");
    says(&other, address);
    daemon_remove_folder(&other);

    at = strstr(daemon_file(&one, "err"), "media udp=");
    assert_non_null(at);
    assert_int_equal(sscanf(strrchr(strtok((char *)(uintptr_t)at, "\n"), ':'), ":%15s", port), 1);
    assert_false(daemon_start(&other, NULL, NULL, media));
    assert_int_equal(other.exit_status, 1);
    says(&other, "Address already in use");
    says(&other, port);
}

/* AddressSanitizer turns mlock() into nothing, so there nothing can refuse. */
#ifdef __SANITIZE_ADDRESS__
#define LOCKS_CAN_FAIL false
#else
#define LOCKS_CAN_FAIL true
#endif

/* Root is held to RLIMIT_MEMLOCK only without the capability that exempts it. */
static const char *const *little_memory(void)
{
    static const char *const of_root[] = {"prlimit",
                                          "--memlock=65536:65536",
                                          "setpriv",
                                          "--bounding-set=-ipc_lock",
                                          "--inh-caps=-ipc_lock",
                                          NULL};
    static const char *const plain[] = {"prlimit", "--memlock=65536:65536", NULL};

    return geteuid() == 0 ? of_root : plain;
}

static void a_refused_lock_is_said(void **state)
{
    (void)state;
    if (!LOCKS_CAN_FAIL)
        skip();
    CHECK(daemon_start(&one, NULL, little_memory(), NULL), "%s", daemon_file(&one, "err"));
    says(&one, "warning memory state=not-locked");
    assert_int_equal(daemon_metric(&one, "keywheel_memory_locked"), 0);
    daemon_end(&one, SIGTERM);
    assert_int_equal(one.exit_status, 0);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

/* Starts with this configuration; it must not run. */
static void refuses(const char *yaml, const char *expected, const char *const *wrapper, int status)
{
    static char config[64], token[64], whole[2048], said[512], long_token[129];
    const char *const arguments[] = {"--config", config, NULL};
    char folder[] = "/tmp/keywheel-config-XXXXXX";
    const char *at;
    size_t len = 0;

    assert_non_null(mkdtemp(folder));
    memset(long_token, 'x', sizeof long_token - 1);
    snprintf(config, sizeof config, "%s/c.yml", folder);
    snprintf(token, sizeof token, "%s/token", folder);
    write_file(token, "abcdefghijklmnopqrstuvwxyz\n", 0600);
    snprintf(whole, sizeof whole, "%s-long", token);
    write_file(whole, long_token, 0600);
    /* $T: the token file; $L: one with a token that is too long */
    for (at = yaml; *at != '\0'; at++) {
        if (strncmp(at, "$T", 2) == 0 || strncmp(at, "$L", 2) == 0) {
            len += (size_t)snprintf(whole + len, sizeof whole - len, "%s%s", token,
                                    at[1] == 'L' ? "-long" : "");
            at++;
        } else {
            whole[len++] = *at;
        }
    }
    whole[len] = '\0';
    write_file(config, whole, 0600);
    assert_false(daemon_start(&one, NULL, wrapper, arguments));
    CHECK(one.exit_status == status, "exit %d: %s\n%s", one.exit_status, expected,
          daemon_file(&one, "err"));
    snprintf(said, sizeof said, "%s%s", expected[0] == ':' ? config : "", expected);
    says(&one, said);
    assert_null(strstr(daemon_file(&one, "err"), "abcdefghijklmnopqrstuvwxyz"));
    daemon_remove_folder(&one);
    unlink(config);
    unlink(token);
    strcat(token, "-long");
    unlink(token);
    rmdir(folder);
}

#define TENANT "tenants:\n- name: clinic\n  token-file: $T\n"

static void configuration_errors_name_line_and_key(void **state)
{
    static const struct {
        const char *yaml;
        const char *expected;
    } rows[] = {
        {"", ":1: the file is empty"},
        {"listen: [127.0.0.1:0\n", ":2: did not find expected"},
        {"listen: [127.0.0.1:0]\n", ":1: tenants: this key is missing"},
        {"listen: [elsewhere]\n" TENANT, ":1: listen[0]: an address"},
        {"hosts: [calls.example.org, 'calls.example.org:443']\n" TENANT, ":1: hosts[1]: a name"},
        {TENANT "colour: red\n", ":4: colour: there is no such key"},
        {TENANT "data: a\ndata: b\n", ":5: data: this key is here twice"},
        {"tenants: []\n", ":1: tenants: at least one tenant"},
        {"tenants:\n- name: Clinic\n  token-file: $T\n", ":2: tenants[0].name: a name has"},
        {"tenants:\n- name: clinic\n  token-file: /nonexistent\n",
         ":3: tenants[0].token-file: the token file cannot be read: No such file"},
        {TENANT "  preset: ancient\n", ":4: tenants[0].preset: modern, nist or pq"},
        {TENANT "  backend: fax\n", ":4: tenants[0].backend: echo, bridge or rtp"},
        {TENANT "  backend: rtp\n", ":2: tenants[0]: backend: rtp and rtp-target"},
        {TENANT "  rtp-target: 192.0.2.1\n", ":4: tenants[0].rtp-target: an address"},
        {TENANT "  calls: 0\n", ":4: tenants[0].calls: a number from 1 to 100000"},
        {TENANT "  rotation: {period: 2h}\n", ":2: tenants[0]: rotation.period is looser"},
        {TENANT "  rotation: {period: soon}\n", ":4: tenants[0].rotation.period: a duration"},
        {TENANT "  exceptions:\n  - name: old\n    reason: x\n    expires: 2027-02-30\n",
         ":7: tenants[0].exceptions[0].expires: a date"},
        {TENANT "  exceptions:\n  - {name: old, reason: x, expires: 2027-01-01, allow: [rsa]}\n",
         ":5: tenants[0].exceptions[0]: exactly one of network"},
        {TENANT "  exceptions:\n  - {name: old, reason: x, expires: 2027-01-01, allow: [rc4],"
                " network: 192.0.2.0/24}\n",
         ":5: tenants[0].exceptions[0].allow[0]: dtls-1.2"},
        {TENANT
         "  exceptions:\n"
         "  - {name: old, reason: x, expires: 2027-01-01, allow: [rsa], network: 192.0.2.0/24}\n"
         "  - {name: old, reason: y, expires: 2027-01-01, allow: [rsa], network: 10.0.0.0/8}\n",
         ":6: tenants[0].exceptions[1]: another exception has this name"},
        {TENANT "- name: second\n  token-file: $L\n",
         ":5: tenants[1].token-file: a token is one line of 16 to 127"},
        {TENANT "- name: clinic\n  token-file: $T\n",
         ":4: tenants[1]: another tenant has this name"},
        {TENANT "- name: second\n  token-file: $T\n",
         ":4: tenants[1]: another tenant has the same token"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++)
        refuses(rows[i].yaml, rows[i].expected, NULL, 2);
}

static void a_policy_may_demand_the_lock(void **state)
{
    (void)state;
    if (!LOCKS_CAN_FAIL)
        skip();
    refuses(TENANT "  require-mlock: true\n", "error memory state=not-locked", little_memory(), 1);
}

static void wrong_options_are_told(void **state)
{
    static const struct {
        const char *arguments[3];
        const char *expected;
    } rows[] = {
        {{"--frob", NULL}, "unrecognized option"},
        {{"frob", NULL}, "frob: no such argument"},
        {{"--media-port", "70000", NULL}, "--media-port 70000: not a number"},
        {{"--listen", "nowhere", NULL}, "--listen nowhere: an address"},
        {{"--preset", "weak", NULL}, "--preset weak: modern, nist or pq"},
        {{"--tls-cert", "x", NULL}, "--tls-cert and --tls-key go together"},
        {{"--config", "/nonexistent", NULL}, "/nonexistent: No such file"},
        {{"--host", "gw.test:8443", NULL}, "--host gw.test:8443: a name"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        assert_false(daemon_start(&one, NULL, NULL, rows[i].arguments));
        CHECK(one.exit_status == 2, "%s: exit %d", rows[i].expected, one.exit_status);
        says(&one, rows[i].expected);
        daemon_remove_folder(&one);
    }
}

static void clear_text_stays_on_loopback(void **state)
{
    static const char *const arguments[] = {"--listen", "0.0.0.0:0", NULL};

    (void)state;
    assert_false(daemon_start(&one, NULL, NULL, arguments));
    assert_int_equal(one.exit_status, 1);
    says(&one, "--tls-cert");
}

static void an_unknown_kernel_is_refused(void **state)
{
    static const char *const arguments[] = {"--kernel", "abacus", NULL};

    (void)state;
    assert_false(daemon_start(&one, NULL, NULL, arguments));
    assert_int_equal(one.exit_status, 1);
    says(&one, "what=kernel");
}

static void the_console_is_served(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static char answer[65536];

    (void)state;
    start(&one, NULL);
    assert_int_equal(client_ask(&one.http, request, strlen(request), answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "<title>Keywheel</title>"));
    assert_true(daemon_metric(&one, "keywheel_calls_max") > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
    const struct CMUnitTest tests[] = {
        TEST(a_signal_ends_it_with_zero),
        TEST(each_start_has_its_own_token),
        TEST(a_port_in_use_is_named),
        TEST(a_refused_lock_is_said),
        TEST(configuration_errors_name_line_and_key),
        TEST(a_policy_may_demand_the_lock),
        TEST(wrong_options_are_told),
        TEST(clear_text_stays_on_loopback),
        TEST(an_unknown_kernel_is_refused),
        TEST(the_console_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
