/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP thread over real sockets, with a gateway of a few lines behind it. */
#include "check.h"

#include "client.h"
#include "http/http.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct kw_http *http;
static struct kw_wake gateway_wake;
static struct kw_address address, admin_address;
static char error[KW_HTTP_ERROR_MAX];
static char answer[400000];
static char request[400000];

/*
 * The gateway: answers with what it was asked, and streams on GET /v1/stream. It obeys /v1/hold by
 * waiting for the semaphore, so that a test decides what happens in between.
 */
static struct {
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t handled;
    _Atomic uint64_t closed_stream;
    sem_t hold, held, closed;
} gateway;

static void push(uint64_t stream, const char *text, bool end)
{
    struct kw_push *piece;

    while ((piece = kw_http_claim_push(http)) == NULL)
        sched_yield();
    piece->stream = stream;
    piece->end = end;
    piece->len = strlen(text);
    memcpy(piece->data, text, piece->len);
    kw_http_publish_push(http);
}

static void answer_request(const struct kw_request *req, struct kw_response *response)
{
    memset(response, 0, offsetof(struct kw_response, body));
    response->completion = req->completion;
    response->status = 200;
    if (strcmp(req->path, "/v1/stream") == 0) {
        response->stream = 77;
        strcpy(response->content_type, "text/event-stream");
        return;
    }
    if (strcmp(req->path, "/v1/quiet") == 0)
        return;
    response->header_count = 1;
    strcpy(response->headers[0].name, "Location");
    strcpy(response->headers[0].value, "/v1/calls/1");
    strcpy(response->content_type, "text/plain");
    response->body_len =
        (size_t)snprintf((char *)response->body, sizeof response->body,
                         "method=%d path=%s token=%s type=%s body=%zu %s", (int)req->method,
                         req->path, req->token, req->content_type, req->body_len, req->body);
}

static void *gateway_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&gateway.stopping)) {
        const struct kw_request *req;
        uint64_t stream;

        while ((req = kw_http_next_request(http)) != NULL) {
            struct kw_response *response = kw_http_claim_response(http);
            bool is_stream = strcmp(req->path, "/v1/stream") == 0;

            if (strcmp(req->path, "/v1/hold") == 0) {
                sem_post(&gateway.held);
                sem_wait(&gateway.hold);
            }
            answer_request(req, response);
            kw_http_request_done(http);
            kw_http_publish_response(http);
            if (is_stream) {
                push(77, "data: one\n\n", false);
                push(77, "data: two\n\n", false);
            }
            atomic_fetch_add(&gateway.handled, 1);
        }
        while (kw_http_next_closed(http, &stream)) {
            atomic_store(&gateway.closed_stream, stream);
            sem_post(&gateway.closed);
        }
        kw_wake_wait(&gateway_wake, 1000);
    }
    return NULL;
}

static size_t write_metrics(void *ctx, char *dst, size_t dst_size)
{
    (void)ctx;
    return (size_t)snprintf(dst, dst_size, "keywheel_calls 3\n");
}

static char web[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", web, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct kw_http_config base_config(void)
{
    static const char name[] = "gw.test";
    struct kw_http_config config = {
        .listen_count = 1,
        .hosts = {name},
        .host_count = 1,
        .has_admin = true,
        .web_dir = web,
        .notify = &gateway_wake,
        .metrics = write_metrics,
    };

    assert_true(kw_address_parse("127.0.0.1:0", 0, &config.listen[0]));
    assert_true(kw_address_parse("127.0.0.1:0", 0, &config.admin));
    return config;
}

static void start(const struct kw_http_config *config)
{
    CHECK(kw_http_start(config, &http, error) == KW_OK, "%s", error);
    address = kw_http_address(http, 0);
    admin_address = kw_http_admin_address(http);
    memset(&gateway, 0, sizeof gateway);
    sem_init(&gateway.hold, 0, 0);
    sem_init(&gateway.held, 0, 0);
    sem_init(&gateway.closed, 0, 0);
    assert_int_equal(pthread_create(&gateway.thread, NULL, gateway_main, NULL), 0);
}

static int set_up_with(unsigned request_seconds, size_t connections_max)
{
    struct kw_http_config config;
    char path[128];

    strcpy(web, "/tmp/keywheel-web-XXXXXX");
    if (mkdtemp(web) == NULL)
        return -1;
    write_file("index.html", "<title>console</title>");
    write_file("app.js", "export {}");
    write_file(".hidden", "secret");
    snprintf(path, sizeof path, "%s/link", web);
    if (symlink("/etc/passwd", path) != 0 || kw_wake_open(&gateway_wake) != KW_OK)
        return -1;
    config = base_config();
    config.request_seconds = request_seconds;
    config.connections_max = connections_max;
    start(&config);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(15, 64);
}

static int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(1, 2);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"index.html", "app.js", ".hidden", "link"};

    (void)state;
    atomic_store(&gateway.stopping, true);
    sem_post(&gateway.hold);
    kw_wake_note(&gateway_wake);
    pthread_join(gateway.thread, NULL);
    kw_http_stop(http);
    kw_wake_close(&gateway_wake);
    for (size_t i = 0; i < KW_ARRAY_LEN(names); i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", web, names[i]);
        unlink(path);
    }
    return rmdir(web);
}

#define HOST "Host: localhost\r\nConnection: close\r\n"

static int ask(const char *text)
{
    return client_ask(&address, text, strlen(text), answer, sizeof answer);
}

static void each_rule_has_its_status(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *says; /* NULL: anything */
    } rows[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 200, "<title>console</title>"},
        {"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n", 421, "Host"},
        {"POST /v1/calls HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n", 421, "Host"},
        {"GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n", 200, NULL},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "exactly one"},
        {"GET / HTTP/1.1\r\n" HOST "Host: localhost\r\n\r\n", 400, "exactly one"},
        {"GET http://evil.test/ HTTP/1.1\r\n" HOST "\r\n", 421, NULL},
        {"GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "application/problem+json"},
        {"GET /.hidden HTTP/1.1\r\n" HOST "\r\n", 404, NULL},
        {"GET /link HTTP/1.1\r\n" HOST "\r\n", 404, NULL},
        {"GET /../../../etc/passwd HTTP/1.1\r\n" HOST "\r\n", 404, NULL},
        {"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" HOST "\r\n", 404, NULL},
        {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 405, "Allow: GET, HEAD"},
        {"OPTIONS /whip/demo HTTP/1.1\r\n" HOST "\r\n", 204, "Accept-Post: application/sdp"},
        {"PUT /v1/calls HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 405, "Allow: GET, POST"},
        {"GET /v1/calls?token=x HTTP/1.1\r\n" HOST "\r\n", 400, "never in a query"},
        {"POST /v1/calls HTTP/1.1\r\n" HOST "Origin: http://evil.test\r\n\r\n", 403, NULL},
        {"POST /v1/calls HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n", 403, NULL},
        {"POST /v1/calls HTTP/1.1\r\n" HOST "Origin: http://localhost\r\n\r\n", 200, NULL},
        {"POST /v1/calls HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n", 403, NULL},
        {"POST /v1/calls HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
         415, NULL},
        {"FROB / HTTP/1.1\r\n" HOST "\r\n", 0, NULL},
        {"nonsense\r\n\r\n", 400, NULL},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        int status = ask(rows[i].request);

        if (rows[i].status == 0) { /* evhttp's own refusal: any error will do */
            CHECK(status >= 400, "%s: %d", rows[i].request, status);
            continue;
        }
        CHECK(status == rows[i].status, "%s: %d, not %d\n%s", rows[i].request, status,
              rows[i].status, answer);
        if (rows[i].says != NULL)
            CHECK(strstr(answer, rows[i].says) != NULL, "%s: %s", rows[i].request, answer);
        assert_null(strstr(answer, "root:"));
        assert_null(strstr(answer, "Access-Control-Allow-Origin"));
        assert_null(strstr(answer, "Set-Cookie"));
    }
}

static void answers_carry_the_security_headers(void **state)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET /nothing HTTP/1.1\r\n" HOST "\r\n",
        "POST /v1/calls HTTP/1.1\r\n" HOST "\r\n",
    };
    static const char *const headers[] = {
        "Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer", "X-Frame-Options: DENY", "Cache-Control: no-"};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(requests); i++) {
        ask(requests[i]);
        for (size_t j = 0; j < KW_ARRAY_LEN(headers); j++)
            CHECK(strstr(answer, headers[j]) != NULL, "%s lacks %s", requests[i], headers[j]);
    }
    assert_non_null(strstr(answer, "Location: /v1/calls/1"));
}

static void files_are_sent_as_what_they_are(void **state)
{
    char etag[80], again[256];
    const char *at;

    (void)state;
    assert_int_equal(ask("GET /app.js HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_non_null(strstr(answer, "Content-Type: text/javascript; charset=utf-8"));
    assert_non_null(strstr(answer, "Content-Length: 9"));
    at = strstr(answer, "ETag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "ETag: %79s", etag), 1);
    snprintf(again, sizeof again, "GET /app.js HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n",
             etag);
    assert_int_equal(ask(again), 304);
    assert_null(strstr(answer, "export"));
    assert_int_equal(ask("HEAD /app.js HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_non_null(strstr(answer, "Content-Length: 9"));
    assert_null(strstr(answer, "export"));
}

static void the_gateway_gets_what_it_needs(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/calls?x=1 HTTP/1.1\r\n" HOST
                         "Authorization: Bearer s3cret\r\nContent-Type: application/sdp\r\n"
                         "Content-Length: 5\r\n\r\nv=0\r\n"),
                     200);
    assert_non_null(
        strstr(answer, "method=2 path=/v1/calls token=s3cret type=application/sdp body=5 v=0"));
    assert_int_equal(ask("PATCH /v1/calls/1 HTTP/1.1\r\n" HOST
                         "Authorization: Basic s3cret\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n0\r\n\r\n"),
                     200);
    assert_non_null(strstr(answer, "method=3 path=/v1/calls/1 token= type= body=3 abc"));
    /* Two tokens name nobody, in whatever order and case: which one a proxy has seen is unknown. */
    assert_int_equal(ask("DELETE /v1/calls/1 HTTP/1.1\r\n" HOST
                         "Authorization: Bearer s3cret\r\nauthorization: Bearer other\r\n\r\n"),
                     200);
    assert_non_null(strstr(answer, " path=/v1/calls/1 token= type="));
}

static void sizes_are_bounded(void **state)
{
    static const struct {
        size_t body_len;
        int status;
    } bodies[] = {{65536, 200}, {65537, 413}, {300000, 413}};
    static const struct {
        const char *name;
        size_t len;
        int status;
    } fields[] = {
        {"X-Long", 15000, 200},      {"X-Long", 17000, 431},     {"X-Long", 100000, 431},
        {"Authorization", 300, 431}, {"Content-Type", 256, 431}, {"User-Agent", 1000, 200},
    };
    int len;

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(bodies); i++) {
        len = snprintf(request, sizeof request,
                       "POST /v1/calls HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                       bodies[i].body_len);
        memset(request + len, 'b', bodies[i].body_len);
        CHECK(client_ask(&address, request, (size_t)len + bodies[i].body_len, answer,
                         sizeof answer) == bodies[i].status,
              "body of %zu: %.40s", bodies[i].body_len, answer);
    }
    for (size_t i = 0; i < KW_ARRAY_LEN(fields); i++) {
        len = snprintf(request, sizeof request,
                       "GET /v1/calls HTTP/1.1\r\n" HOST "%s: ", fields[i].name);
        memset(request + len, 'h', fields[i].len);
        len += (int)fields[i].len;
        memcpy(request + len, "\r\n\r\n", 4);
        CHECK(client_ask(&address, request, (size_t)len + 4, answer, sizeof answer) ==
                  fields[i].status,
              "%s of %zu: %.40s", fields[i].name, fields[i].len, answer);
    }
    len = snprintf(request, sizeof request, "GET /");
    memset(request + len, 'p', 2000);
    len += 2000;
    len += snprintf(request + len, 200, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(client_ask(&address, request, (size_t)len, answer, sizeof answer), 414);
}

static void streams_flow_and_their_end_is_noticed(void **state)
{
    static const char text[] = "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = client_connect(&address);

    (void)state;
    client_send(fd, text, strlen(text));
    client_read(fd, answer, sizeof answer, "data: two");
    assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
    assert_non_null(strstr(answer, "data: one"));
    assert_non_null(strstr(answer, "data: two"));
    close(fd); /* the client goes: the gateway is told */
    sem_wait(&gateway.closed);
    assert_int_equal(gateway.closed_stream, 77);

    fd = client_connect(&address);
    client_send(fd, text, strlen(text));
    client_read(fd, answer, sizeof answer, "data: two");
    push(77, "data: last\n\n", true); /* the gateway ends it */
    client_read(fd, answer, sizeof answer, "\r\n0\r\n\r\n");
    assert_non_null(strstr(answer, "data: last"));
    /* and the connection serves another request */
    client_send(fd, "GET / HTTP/1.1\r\n" HOST "\r\n", strlen("GET / HTTP/1.1\r\n" HOST "\r\n"));
    client_read(fd, answer, sizeof answer, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK"));
    close(fd);
    push(12345, "data: nobody\n\n", false); /* a stream that nobody has: told as closed */
    sem_wait(&gateway.closed);
    assert_int_equal(gateway.closed_stream, 12345);
}

/* A client that leaves while the gateway thinks: its slot's next user must not get its answer. */
static void an_answer_never_reaches_another_client(void **state)
{
    static const char hold[] = "GET /v1/hold HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char next[] = "GET /v1/next HTTP/1.1\r\n" HOST "\r\n";
    int first = client_connect(&address), second;

    (void)state;
    client_send(first, hold, strlen(hold));
    sem_wait(&gateway.held);
    close(first);
    second = client_connect(&address);
    client_send(second, next, strlen(next));
    sem_post(&gateway.hold);
    client_read(second, answer, sizeof answer, NULL);
    assert_non_null(strstr(answer, "path=/v1/next"));
    assert_null(strstr(answer, "/v1/hold"));
    close(second);
}

static void a_full_ring_says_503(void **state)
{
    static const char hold[] = "GET /v1/hold HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct pollfd fds[40];
    int refused = 0;

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++) {
        fds[i] = (struct pollfd){.fd = client_connect(&address), .events = POLLIN};
        client_send(fds[i].fd, hold, strlen(hold));
    }
    while (refused < 8 && poll(fds, KW_ARRAY_LEN(fds), 10000) > 0) {
        for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++) {
            if (fds[i].revents == 0)
                continue;
            client_read(fds[i].fd, answer, sizeof answer, "}");
            CHECK(strstr(answer, "503 Service") != NULL && strstr(answer, "Retry-After: 1") != NULL,
                  "%s", answer);
            fds[i].events = 0;
            refused++;
        }
    }
    assert_int_equal(refused, 8); /* 32 wait, the rest is refused */
    for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++)
        sem_post(&gateway.hold);
    for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++)
        close(fds[i].fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    static const char two[] = "GET /v1/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
                              "GET /v1/b HTTP/1.1\r\n" HOST "\r\n";
    const char *a, *b;
    int fd = client_connect(&address);

    (void)state;
    client_send(fd, two, strlen(two));
    client_read(fd, answer, sizeof answer, NULL);
    a = strstr(answer, "path=/v1/a");
    b = strstr(answer, "path=/v1/b");
    assert_true(a != NULL && b != NULL && a < b);
    close(fd);
}

static void a_slow_request_gets_408(void **state)
{
    int fd = client_connect(&address);
    kw_ns before = kw_clock_now();

    (void)state;
    client_send(fd, "GET / HTTP/1.1\r\nHost: ", 22);
    client_read(fd, answer, sizeof answer, NULL);
    assert_non_null(strstr(answer, "408 Request Timeout"));
    assert_true(kw_clock_now() - before < KW_S(9));
    close(fd);
}

/* The table of connections is full of streams: the next one waits until one leaves. */
static void connections_are_bounded(void **state)
{
    static const char stream[] = "GET /v1/stream HTTP/1.1\r\n" HOST "\r\n";
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    struct pollfd pollfd = {.events = POLLIN};
    int fds[3];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fds[i] = client_connect(&address);
        client_send(fds[i], stream, strlen(stream));
        client_read(fds[i], answer, sizeof answer, "\r\n\r\n");
    }
    fds[2] = client_connect(&address);
    client_send(fds[2], get, strlen(get));
    pollfd.fd = fds[2];
    assert_int_equal(poll(&pollfd, 1, 300), 0);
    close(fds[0]);
    client_read(fds[2], answer, sizeof answer, NULL);
    assert_non_null(strstr(answer, "200 OK"));
    close(fds[1]);
    close(fds[2]);
}

/* Connections that say nothing, or half of something, keep nobody out. */
static void whoever_only_waits_gives_way(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    static const char half[] = "GET / HTTP/1.1\r\nHost: loc";
    static const char keep[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fds[8];

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++) {
        fds[i] = client_connect(&address);
        if (i % 3 == 1) {
            client_send(fds[i], half, strlen(half));
        } else if (i % 3 == 2) {
            client_send(fds[i], keep, strlen(keep));
            client_read(fds[i], answer, sizeof answer, "console");
        }
    }
    for (int i = 0; i < 3; i++) {
        kw_ns before = kw_clock_now();

        assert_int_equal(client_ask(&address, get, strlen(get), answer, sizeof answer), 200);
        assert_true(kw_clock_now() - before < KW_S(1)); /* at once: no limit of time was needed */
    }
    for (size_t i = 0; i < KW_ARRAY_LEN(fds); i++)
        close(fds[i]);
}

enum { TOKEN_LEN = 24, MASK = 0x5a };

/* Kept masked, so that this program has no copy of it but the one that it sends. */
static void unmask(char token[TOKEN_LEN + 1])
{
    static const uint8_t masked[TOKEN_LEN] = {49,  63,  42, 46,  119, 52,  53,  45,
                                              50,  63,  40, 63,  119, 110, 109, 107,
                                              107, 119, 98, 107, 107, 111, 119, 34};

    for (size_t i = 0; i < TOKEN_LEN; i++)
        token[i] = (char)(masked[i] ^ MASK);
    token[TOKEN_LEN] = '\0';
}

static size_t copies_in(const uint8_t *at, size_t len)
{
    char token[TOKEN_LEN + 1];
    size_t count = 0;

    unmask(token);
    for (size_t i = 0; i + TOKEN_LEN <= len; i++)
        count += at[i] == (uint8_t)token[0] && memcmp(at + i, token, TOKEN_LEN) == 0;
    kw_wipe(token, sizeof token);
    return count;
}

/* In everything that this process can write to, but the piece that is being looked at. */
static size_t copies_in_memory(void)
{
    enum { PIECE = 1 << 16 };
    uint8_t *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    unsigned long from, to;
    char line[512], rights[5];
    size_t count = 0;

    assert_true(maps != NULL && mem >= 0 && piece != MAP_FAILED);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[1] != 'w')
            continue;
        for (unsigned long at = from; at < to;) {
            unsigned long next = KW_MIN(to, at + PIECE - TOKEN_LEN);
            bool is_ours = next + TOKEN_LEN > (uintptr_t)piece && at < (uintptr_t)piece + PIECE;
            ssize_t n =
                is_ours ? 0 : pread(mem, piece, KW_MIN(to, next + TOKEN_LEN) - at, (off_t)at);

            count += copies_in(piece, n > 0 ? (size_t)n : 0);
            at = next;
        }
    }
    munmap(piece, PIECE);
    fclose(maps);
    close(mem);
    return count;
}

/* A token is taken out of what evhttp holds, while the connection lives and after it. */
static void a_token_leaves_no_copy(void **state)
{
    static const char *const paths[] = {"/", "/v1/quiet", "/nothing", "/v1/quiet?a=b"};
    static char sent[256];
    char token[TOKEN_LEN + 1];
    int fd;

    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its shadow is terabytes to look through, and it keeps what was freed */
#endif
    fd = client_connect(&address);
    for (size_t i = 0; i < KW_ARRAY_LEN(paths); i++) {
        unmask(token);
        snprintf(sent, sizeof sent,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", paths[i],
                 token);
        kw_wipe(token, sizeof token);
        assert_int_not_equal(copies_in_memory(), 0); /* the scan sees what is there */
        client_send(fd, sent, strlen(sent));
        kw_wipe(sent, sizeof sent);
        client_read(fd, answer, sizeof answer, "\r\n\r\n");
    }
    /* the last request is done with when the gateway has answered another one */
    assert_int_equal(client_ask(&address, "GET /v1/a HTTP/1.1\r\n" HOST "\r\n",
                                strlen("GET /v1/a HTTP/1.1\r\n" HOST "\r\n"), answer,
                                sizeof answer),
                     200);
    assert_int_equal(copies_in_memory(), 0);
    close(fd);
}

static void the_admin_listener_has_metrics_only(void **state)
{
    static const char metrics[] = "GET /metrics HTTP/1.1\r\n" HOST "\r\n";
    static const char other[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    static const char rebound[] = "GET /metrics HTTP/1.1\r\nHost: evil.test\r\n"
                                  "Connection: close\r\n\r\n";

    (void)state;
    assert_int_equal(client_ask(&admin_address, metrics, strlen(metrics), answer, sizeof answer),
                     200);
    assert_non_null(strstr(answer, "keywheel_calls 3"));
    assert_int_equal(client_ask(&admin_address, other, strlen(other), answer, sizeof answer), 404);
    assert_int_equal(client_ask(&admin_address, rebound, strlen(rebound), answer, sizeof answer),
                     421);
    assert_int_equal(ask(metrics), 404); /* and the public one has none */
}

static void starts_that_must_fail(void **state)
{
    struct kw_http_config config = base_config();
    struct kw_http *second = NULL;
    char port[64];

    (void)state;
    config.listen[0] = address;
    assert_int_equal(kw_http_start(&config, &second, error), KW_ERR_SYSTEM);
    snprintf(port, sizeof port, "127.0.0.1:%u: Address already in use", address.port);
    CHECK(strstr(error, port) != NULL, "%s", error);

    config = base_config();
    assert_true(kw_address_parse("0.0.0.0:0", 0, &config.listen[0]));
    assert_int_equal(kw_http_start(&config, &second, error), KW_ERR_INPUT);
    CHECK(strstr(error, "--tls-cert") != NULL, "%s", error);

    config = base_config();
    assert_true(kw_address_parse("0.0.0.0:0", 0, &config.admin));
    assert_int_equal(kw_http_start(&config, &second, error), KW_ERR_INPUT);
    CHECK(strstr(error, "loopback") != NULL, "%s", error);

    config = base_config();
    config.web_dir = "/nonexistent";
    assert_int_equal(kw_http_start(&config, &second, error), KW_ERR_INPUT);
    CHECK(strstr(error, "/nonexistent") != NULL, "%s", error);

    config = base_config();
    config.cert_path = config.key_path = "/nonexistent.pem";
    assert_int_equal(kw_http_start(&config, &second, error), KW_ERR_INPUT);
    CHECK(strstr(error, "/nonexistent.pem") != NULL, "%s", error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define IMPATIENT(name) cmocka_unit_test_setup_teardown(name, set_up_impatient, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_rule_has_its_status),
        TEST(answers_carry_the_security_headers),
        TEST(files_are_sent_as_what_they_are),
        TEST(the_gateway_gets_what_it_needs),
        TEST(sizes_are_bounded),
        TEST(streams_flow_and_their_end_is_noticed),
        TEST(an_answer_never_reaches_another_client),
        TEST(a_full_ring_says_503),
        TEST(pipelined_requests_are_answered_in_order),
        IMPATIENT(a_slow_request_gets_408),
        IMPATIENT(connections_are_bounded),
        IMPATIENT(whoever_only_waits_gives_way),
        TEST(a_token_leaves_no_copy),
        TEST(the_admin_listener_has_metrics_only),
        TEST(starts_that_must_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
