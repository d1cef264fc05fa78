/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records a handshake: record_handshake [--cookie]
 *
 * A server without a socket. Standard input brings lines, standard output is the tape:
 *
 *   peer VALUE      the client's a=fingerprint; the association begins
 *   C hex           a datagram of the client
 *   media hex       an SRTP packet of the client, kept as it is
 *
 * Whoever runs it (tests/browser/capture-handshake.mjs) delivers the lines "S hex" to the client.
 * It ends with standard input, or when the association has closed.
 */
#include "dtls/tape.h"

#include <keywheel/openssl.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static kw_ns began;

static kw_ns now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (kw_ns)ts.tv_sec * 1000000000U + (kw_ns)ts.tv_nsec - began;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "record_handshake: %s\n", what);
    exit(1);
}

static void print(struct tape *tape, const char *kind, const char *text)
{
    (void)tape;
    (void)printf("%s%s%s\n", kind, *text != '\0' ? " " : "", text);
    (void)fflush(stdout);
}

static enum kw_status draw(struct tape *tape, const char *kind, uint8_t *dst, size_t len)
{
    struct kw_random random = kw_openssl_random();
    enum kw_status status = kw_random_fill(&random, dst, len);

    if (status == KW_OK)
        tape_state_bytes(tape, kind, dst, len);
    return status;
}

static enum kw_status exchange(struct tape *tape, const char *kind, uint8_t *dst, size_t size,
                               size_t *len)
{
    (void)size;
    tape_state_bytes(tape, kind, dst, *len);
    return KW_OK;
}

static kw_ns print_time(void)
{
    kw_ns now = now_ns();

    (void)printf("at %llu\n", (unsigned long long)now);
    return now;
}

static void handle_line(struct tape *tape, const char *line, bool with_cookie)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_fingerprint peer;

    if (strncmp(line, "peer ", 5) == 0 && tape->dtls == NULL) {
        if (!kw_fingerprint_parse((struct kw_bytes){(const uint8_t *)line + 5, strlen(line + 5)},
                                  &peer))
            die("unreadable fingerprint");
        print(tape, with_cookie ? "peer-with-cookie" : "peer", line + 5);
        if (tape_start(tape, &peer, with_cookie) != KW_OK)
            die("no association");
    } else if (strncmp(line, "C ", 2) == 0 && tape->dtls != NULL) {
        kw_ns now = print_time();

        print(tape, "C", line + 2);
        if (tape_receive(tape, datagram, tape_read_hex(line + 2, datagram, sizeof datagram), now) !=
            KW_OK)
            die("receive");
    } else if (strncmp(line, "media ", 6) == 0) {
        print(tape, "media", line + 6);
    } else {
        die("a line that is none of peer, C, media");
    }
}

static bool wait_for_input(struct tape *tape)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    for (;;) {
        kw_ns deadline = tape->dtls != NULL ? kw_dtls_deadline(tape->dtls) : KW_NEVER;
        kw_ns now = now_ns();
        int wait_ms = -1;

        if (deadline != KW_NEVER)
            wait_ms = deadline <= now ? 0 : (int)((deadline - now) / 1000000U) + 1;
        if (poll(&in, 1, wait_ms) < 0 && errno != EINTR)
            return false;
        if (in.revents != 0)
            return true;
        if (deadline > now_ns())
            continue;
        now = print_time();
        print(tape, "tick", "");
        if (tape_tick(tape, now) != KW_OK)
            die("tick");
        if (tape->is_closed)
            return false;
    }
}

int main(int argc, char *argv[])
{
    static char line[TAPE_LINE_MAX + 16];
    static struct tape tape = {.draw = draw, .exchange = exchange, .state = print};
    bool with_cookie = argc == 2 && strcmp(argv[1], "--cookie") == 0;

    began = now_ns();
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see every line that was not read */
    if (tape_init(&tape) != KW_OK)
        die("no crypto");
    while (!tape.is_closed && wait_for_input(&tape) && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        handle_line(&tape, line, with_cookie);
    }
    if (tape.dtls != NULL)
        tape_state_counters(&tape);
    tape_deinit(&tape);
    return 0;
}
