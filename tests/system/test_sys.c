/* SPDX-License-Identifier: Apache-2.0 */
/* The rim's small parts: addresses, time stamps, log lines, the loop over real loopback sockets. */
#include "check.h"

#include "sys/address.h"
#include "sys/clock.h"
#include "sys/interfaces.h"
#include "sys/log.h"
#include "sys/loop.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void addresses_are_parsed_and_printed(void **state)
{
    static const struct {
        const char *text;
        const char *printed; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1:7"},
        {"192.0.2.1:443", "192.0.2.1:443"},
        {"2001:db8::1", "[2001:db8::1]:7"},
        {"[2001:db8::1]", "[2001:db8::1]:7"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:4x", NULL},
        {"192.0.2", NULL},
        {"[192.0.2.1]", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]x", NULL},
        {"localhost", NULL},
        {"", NULL},
        {"1111111111111111111111111111111111111111111111111111111111111111111", NULL},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_address address;
        char text[KW_ADDRESS_TEXT_MAX];
        bool taken = kw_address_parse(rows[i].text, 7, &address);

        CHECK(taken == (rows[i].printed != NULL), "%s", rows[i].text);
        if (!taken)
            continue;
        kw_address_format(&address, text);
        assert_string_equal(text, rows[i].printed);
    }
}

static void candidates_are_addresses_that_others_can_reach(void **state)
{
    static const struct {
        const char *text;
        bool is_candidate;
    } rows[] = {
        {"10.0.0.1", true}, {"192.0.2.7", true},  {"127.0.0.1", false},  {"169.254.3.4", false},
        {"0.0.0.0", false}, {"224.0.0.1", false}, {"2001:db8::1", true}, {"fd00::1", true},
        {"::1", false},     {"fe80::1", false},   {"fec0::1", false},    {"ff02::1", false},
        {"::", false},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_address address;

        assert_true(kw_address_parse(rows[i].text, 0, &address));
        CHECK(kw_address_is_candidate(&address) == rows[i].is_candidate, "%s", rows[i].text);
    }
}

static void this_machine_owns_its_loopback(void **state)
{
    struct kw_interfaces interfaces;
    struct kw_address address;

    (void)state;
    assert_int_equal(kw_interfaces_read(&interfaces), KW_OK);
    assert_true(interfaces.own_count >= 1);
    assert_true(kw_address_parse("127.0.0.9", 0, &address));
    assert_true(kw_interfaces_owns(&interfaces, &address));
    assert_true(kw_address_parse("203.0.113.200", 0, &address));
    assert_false(kw_interfaces_owns(&interfaces, &address));
    for (size_t i = 0; i < interfaces.candidate_count; i++)
        assert_true(kw_interfaces_owns(&interfaces, &interfaces.candidates[i]));
}

static void time_stamps_are_printed_and_parsed(void **state)
{
    static const struct {
        const char *text;
        kw_utc_ms utc;
        const char *printed; /* NULL: refused */
    } rows[] = {
        {"1970-01-01", 0, "1970-01-01T00:00:00.000Z"},
        {"2026-11-23T09:41:07Z", 1795426867000, "2026-11-23T09:41:07.000Z"},
        {"2026-11-23T09:41Z", 1795426860000, "2026-11-23T09:41:00.000Z"},
        {"2026-02-30", 0, NULL},
        {"2026-11-23 09:41", 0, NULL},
        {"yesterday", 0, NULL},
        {"", 0, NULL},
    };
    char text[KW_UTC_TEXT_MAX];
    kw_utc_ms utc;

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        bool taken = kw_utc_parse(rows[i].text, &utc);

        CHECK(taken == (rows[i].printed != NULL), "%s", rows[i].text);
        if (!taken)
            continue;
        CHECK(utc == rows[i].utc, "%s is %lld", rows[i].text, (long long)utc);
        kw_utc_format(utc, text);
        assert_string_equal(text, rows[i].printed);
    }
    kw_utc_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    kw_utc_format(INT64_MAX, text);
    assert_string_equal(text, "beyond-the-calendar");
}

/* What a peer sends can neither begin a line of its own nor drive a terminal. */
static void log_values_are_escaped_and_capped(void **state)
{
    char line[KW_LOG_LINE_MAX], longest[KW_LOG_VALUE_MAX + 2];
    const struct kw_log_field fields[] = {
        KW_LOG_TEXT("agent", "Moz\n2026 info forged \"x\" \x1b[2J\\"),
        KW_LOG_TEXT("empty", ""),
        KW_LOG_NUMBER("calls", 7),
        KW_LOG_TEXT("at", "[2001:db8::1]:443"),
    };
    size_t len = kw_log_format(line, sizeof line, KW_LOG_WARNING, "call-refused", fields, 4);

    (void)state;
    assert_string_equal(line, "warning call-refused agent=\"Moz\\x0a2026 info forged \\\"x\\\" "
                              "\\x1b[2J\\\\\" empty=\"\" calls=7 at=[2001:db8::1]:443");
    assert_int_equal(len, strlen(line));

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    len = kw_log_format(line, sizeof line, KW_LOG_INFO, "e",
                        (const struct kw_log_field[]){KW_LOG_TEXT("k", longest)}, 1);
    assert_int_equal(len, strlen("info e k=\"") + KW_LOG_VALUE_MAX + strlen("..\""));
    assert_int_equal(kw_log_format(line, 10, KW_LOG_INFO, "event", fields, 4), 9);
}

/* A gateway of a few lines: returns each datagram, sends one of its own, counts what it is told. */
struct echo {
    size_t received;
    kw_ns last_now;
    struct kw_path last_path;
    struct kw_path extra; /* family not 0: send one datagram there */
    size_t ticks, notes;
    int signal;
    kw_ns deadline;
    size_t consume; /* every n-th is not answered */
};

static void echo_receive(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now)
{
    struct echo *echo = ctx;

    echo->last_now = now;
    for (size_t i = 0; i < item_count; i++) {
        echo->received++;
        echo->last_path = items[i].path;
        memset(items[i].data - KW_UDP_HEADROOM, 0x55, KW_UDP_HEADROOM); /* ours to use */
        memset(items[i].data + items[i].len, 0x55, items[i].size - items[i].len);
        if (echo->consume != 0 && echo->received % echo->consume == 0)
            items[i].len = 0;
    }
}

static size_t echo_transmit(void *ctx, struct kw_datagram *items, size_t item_count, kw_ns now)
{
    struct echo *echo = ctx;

    (void)now;
    if (echo->extra.remote.family == 0 || item_count == 0)
        return 0;
    items[0].path = echo->extra;
    memcpy(items[0].data, "extra", 5);
    items[0].len = 5;
    echo->extra = (struct kw_path){0};
    return 1;
}

static kw_ns echo_deadline(void *ctx)
{
    return ((struct echo *)ctx)->deadline;
}

static void echo_tick(void *ctx, kw_ns now, kw_utc_ms utc)
{
    struct echo *echo = ctx;

    (void)now;
    assert_true(utc > 0);
    echo->ticks++;
    echo->deadline = KW_NEVER;
}

static bool echo_notes(void *ctx, kw_ns now, kw_utc_ms utc)
{
    (void)now;
    (void)utc;
    return ++((struct echo *)ctx)->notes < 3;
}

static void echo_signal(void *ctx, int signal, kw_ns now)
{
    (void)now;
    ((struct echo *)ctx)->signal = signal;
}

static struct echo echo;
static struct kw_udp sockets[2];
static struct kw_loop *loop;
static bool admit_only_odd_ports;

static bool admits(void *ctx, const struct kw_address *remote)
{
    (void)ctx;
    return !admit_only_odd_ports || remote->port % 2 == 1;
}

static int open_loop(void **state)
{
    static const int signals[] = {SIGUSR1, 0};
    const struct kw_loop_config config = {
        .handler = {echo_receive, echo_transmit, echo_deadline, echo_tick, echo_notes, echo_signal,
                    &echo},
        .sockets = sockets,
        .admits = admits,
        .signals = signals,
    };
    sigset_t set;

    (void)state;
    echo = (struct echo){.deadline = KW_NEVER};
    admit_only_odd_ports = false;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return kw_udp_open_pair(0, sockets) != KW_OK || kw_loop_open(&config, &loop) != KW_OK;
}

static int close_loop(void **state)
{
    (void)state;
    kw_loop_close(loop);
    kw_udp_close(&sockets[0]);
    kw_udp_close(&sockets[1]);
    return 0;
}

static int client_socket(const char *text, struct kw_address *ret)
{
    struct sockaddr_storage name;
    socklen_t len;
    int fd;

    assert_true(kw_address_parse(text, 0, ret));
    len = kw_address_to_socket(ret, &name);
    fd = socket(ret->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&name, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    assert_true(kw_address_from_socket((struct sockaddr *)&name, ret));
    return fd;
}

static void send_to(int fd, const char *text, const void *data, size_t len)
{
    struct sockaddr_storage name;
    struct kw_address to;
    socklen_t name_len;

    assert_true(kw_address_parse(text, sockets[0].port, &to));
    name_len = kw_address_to_socket(&to, &name);
    assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&name, name_len), (ssize_t)len);
}

static void turn(void)
{
    assert_int_equal(kw_loop_turn(loop, KW_S(5)), KW_OK);
}

static void answers_leave_from_the_address_that_was_asked(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1", "127.0.0.2"},
        {"127.0.0.1", "127.0.0.3"},
        {"::1", "::1"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct sockaddr_storage name;
        socklen_t len = sizeof name;
        struct kw_address client, from, to;
        char answer[16] = {0};
        int fd = client_socket(rows[i].from, &client);

        if (fd < 0) {
            print_message("# no %s on this machine\n", rows[i].from);
            continue;
        }
        assert_true(kw_address_parse(rows[i].to, sockets[0].port, &to));
        send_to(fd, rows[i].to, "question", 8);
        turn();
        assert_int_equal(recvfrom(fd, answer, sizeof answer, 0, (struct sockaddr *)&name, &len), 8);
        assert_string_equal(answer, "question");
        assert_true(kw_address_from_socket((struct sockaddr *)&name, &from));
        CHECK(kw_address_equal(&from, &to), "asked %s", rows[i].to);
        assert_true(kw_address_equal(&echo.last_path.local, &to));
        assert_true(kw_address_equal(&echo.last_path.remote, &client));
        close(fd);
    }
}

static void what_the_gateway_has_to_say_is_sent(void **state)
{
    struct kw_address client;
    char answer[16] = {0};
    int fd = client_socket("127.0.0.1", &client);

    (void)state;
    echo.deadline = 0;
    echo.extra.remote = client; /* no local address: the kernel chooses */
    turn();
    assert_int_equal(echo.ticks, 1);
    assert_int_equal(recv(fd, answer, sizeof answer, 0), 5);
    assert_string_equal(answer, "extra");
    close(fd);
}

static void a_full_batch_and_consumed_items(void **state)
{
    struct kw_address client;
    int fd = client_socket("127.0.0.1", &client);
    size_t answers = 0;
    char answer[16];

    (void)state;
    echo.consume = 3;
    for (uint32_t i = 0; i < 150; i++)
        send_to(fd, "127.0.0.1", &i, sizeof i);
    turn();
    assert_int_equal(echo.received, KW_UDP_BATCH); /* one batch in a turn, not more */
    turn();
    turn();
    assert_int_equal(echo.received, 150);
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        answers++;
    assert_int_equal(answers, 100);
    assert_int_equal(sockets[0].counters.sent, 100);
    close(fd);
}

static void strangers_and_giants_are_counted_and_dropped(void **state)
{
    static uint8_t giant[KW_DATAGRAM_RECEIVE_MAX + 1];
    struct kw_address one, other;
    int fd = client_socket("127.0.0.1", &one);
    int other_fd = client_socket("127.0.0.1", &other);

    (void)state;
    for (int attempt = 0; one.port % 2 == other.port % 2; attempt++) {
        int again = client_socket("127.0.0.1", &other);

        assert_true(attempt < 64);
        close(other_fd);
        other_fd = again;
    }
    admit_only_odd_ports = true;
    send_to(fd, "127.0.0.1", "x", 1);
    send_to(other_fd, "127.0.0.1", "y", 1);
    turn();
    assert_int_equal(echo.received, 1);
    assert_int_equal(echo.last_path.remote.port % 2, 1);
    assert_int_equal(kw_loop_refused(loop), 1);

    admit_only_odd_ports = false;
    send_to(fd, "127.0.0.1", giant, sizeof giant);
    send_to(fd, "127.0.0.1", giant, sizeof giant - 1);
    turn();
    assert_int_equal(echo.received, 2);
    assert_int_equal(sockets[0].counters.oversize, 1);
    close(fd);
    close(other_fd);
}

/* More than the socket holds: what the kernel dropped is known exactly once another one arrives. */
static void drops_at_the_socket_are_known(void **state)
{
    enum { SENT = 40000 };
    struct kw_address client;
    int fd = client_socket("127.0.0.1", &client);
    size_t before;

    (void)state;
    echo.consume = 1;
    for (size_t i = 0; i < SENT; i++)
        send_to(fd, "127.0.0.1", "x", 1);
    do {
        before = echo.received;
        assert_int_equal(kw_loop_turn(loop, 0), KW_OK);
    } while (echo.received != before);
    send_to(fd, "127.0.0.1", "", 0); /* empty: ignored, but it carries the count */
    turn();
    send_to(fd, "127.0.0.1", "", 0); /* the same count again adds nothing */
    turn();
    print_message("# %zu received, %llu dropped by the kernel\n", echo.received,
                  (unsigned long long)sockets[0].counters.kernel_drops);
    assert_true(sockets[0].counters.kernel_drops > 0);
    assert_int_equal(echo.received + sockets[0].counters.kernel_drops, SENT);
    close(fd);
}

static void notes_and_signals_wake_the_loop(void **state)
{
    (void)state;
    kw_wake_note(kw_loop_wake(loop));
    kw_wake_note(kw_loop_wake(loop));
    turn();
    assert_int_equal(echo.notes, 1);
    turn(); /* notes() said that more waits: asked again without another note */
    turn();
    assert_int_equal(echo.notes, 3);
    assert_int_equal(kw_loop_turn(loop, 0), KW_OK);
    assert_int_equal(echo.notes, 3);

    raise(SIGUSR1);
    turn();
    assert_int_equal(echo.signal, SIGUSR1);
}

static void a_port_in_use_is_refused(void **state)
{
    struct kw_udp second[2];

    (void)state;
    assert_int_equal(kw_udp_open_pair(sockets[0].port, second), KW_ERR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_parsed_and_printed),
        cmocka_unit_test(candidates_are_addresses_that_others_can_reach),
        cmocka_unit_test(this_machine_owns_its_loopback),
        cmocka_unit_test(time_stamps_are_printed_and_parsed),
        cmocka_unit_test(log_values_are_escaped_and_capped),
        cmocka_unit_test_setup_teardown(answers_leave_from_the_address_that_was_asked, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(what_the_gateway_has_to_say_is_sent, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_full_batch_and_consumed_items, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(strangers_and_giants_are_counted_and_dropped, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(drops_at_the_socket_are_known, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(notes_and_signals_wake_the_loop, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_port_in_use_is_refused, open_loop, close_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
