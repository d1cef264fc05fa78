/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keywheeld: reads what it shall do, takes memory, sockets and logs, and then hands the thread to
 * the worker. Whatever cannot be had at start ends the program with a reason and status 1.
 */
#include "base/assert.h"
#include "daemon/locked.h"
#include "daemon/options.h"
#include "daemon/worker.h"
#include "sys/address.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"

#include <keywheel/openssl.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HANDSHAKES_MAX = 64,       /* in flight at a time; more wait for their turn */
    LIBCRYPTO_BYTES = 3 << 20, /* its tables, providers and the TLS of the console */
    /*
     * Two generations: pools of contexts (1.1 kB), two associations (0.5 kB each), and while one
     * negotiates its certificate, key and exchange. Measured with 100 calls that rotate at
     * once: 3.6 kB each at the peak, 0.3 kB at rest.
     */
    LIBCRYPTO_BYTES_PER_CALL = 8 << 10,
    /* Where libcrypto does SRTP, too: 11.5 kB for two generations of AES_CM, 9.2 kB of AES-GCM. */
    LIBCRYPTO_BYTES_PER_EVP_CALL = 13 << 10,
    DEMO_TOKEN_BYTES = 16,
    HTTP_CONNECTIONS = 256,  /* at least; half of them for requests */
    OTHER_DESCRIPTORS = 256, /* sockets, a log and its two companions for each of 64 tenants */
};

struct daemon {
    struct kw_config config;
    struct kw_arena *arena;
    bool locked;
    struct kw_crypto *crypto; /* the gateway's */
    struct kw_crypto *evidence_crypto;
    struct kw_udp sockets[2];
    struct kw_evidence evidence;
    bool has_evidence;
    struct kw_metrics metrics;
    struct kw_gateway_config gateway;
    struct kw_worker worker;
    struct kw_http *http;
};

static bool fail(const char *what, const char *why)
{
    KW_LOG(KW_LOG_ERROR, "cannot-start", KW_LOG_TEXT("what", what), KW_LOG_TEXT("why", why));
    return false;
}

static bool fail_status(const char *what, enum kw_status status)
{
    return fail(what, status == KW_ERR_SYSTEM ? strerror(errno) : kw_status_text(status));
}

static void on_assert(const char *expression, const char *file, int line)
{
    KW_LOG(KW_LOG_ERROR, "broken-promise", KW_LOG_TEXT("expression", expression),
           KW_LOG_TEXT("file", file), KW_LOG_NUMBER("line", line));
    abort();
}

static size_t handshakes(const struct daemon *daemon)
{
    return KW_MIN(daemon->config.calls_max, (size_t)HANDSHAKES_MAX);
}

static void decide_sizes(struct kw_config *config)
{
    size_t calls = 0;

    for (size_t i = 0; i < config->tenant_count; i++)
        calls += config->tenants[i].calls_max;
    if (config->calls_max == 0)
        config->calls_max = calls;
}

/* libcrypto protects SRTP of some call: it is wanted, or AES_CM is, which only it has. */
static bool needs_evp(const struct kw_config *config)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        const struct kw_policy *policy = &config->tenants[i].policy;

        if (policy->provider_aes)
            return true;
        for (size_t j = 0; j < policy->exception_count; j++) {
            if (policy->exceptions[j].allow_cm_sha1_80)
                return true;
        }
    }
    return strcmp(config->kernel, "evp") == 0;
}

/* Everything that can hold a secret, with a little room to share. */
static size_t arena_size(struct daemon *daemon)
{
    size_t calls = daemon->config.calls_max;
    size_t evp = needs_evp(&daemon->config) ? LIBCRYPTO_BYTES_PER_EVP_CALL : 0;
    size_t size = kw_gateway_size(&daemon->gateway) + kw_dtls_buffers_size(handshakes(daemon)) +
                  daemon->config.tenant_count * sizeof(struct kw_tenant_config) + LIBCRYPTO_BYTES +
                  calls * (LIBCRYPTO_BYTES_PER_CALL + evp);

    return (size + size / 16 + 4095) / 4096 * 4096;
}

/* Tokens move into the arena; the copy that the configuration was read into is wiped. */
static bool move_tenants(struct daemon *daemon)
{
    struct kw_config *config = &daemon->config;
    size_t size = config->tenant_count * sizeof *config->tenants;
    struct kw_tenant_config *tenants = kw_memory_take(daemon->arena, size);

    if (tenants == NULL)
        return fail("memory", "the arena has no room for the tenants");
    memcpy(tenants, config->tenants, size);
    kw_config_deinit(config);
    config->tenants = tenants;
    daemon->gateway.tenants = tenants;
    daemon->gateway.tenant_count = config->tenant_count;
    return true;
}

static bool draw_demo_token(struct daemon *daemon)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct kw_random random = kw_sys_random();
    char *token = daemon->config.tenants[0].token;
    uint8_t bytes[DEMO_TOKEN_BYTES + 6];

    if (!daemon->config.is_demo)
        return true;
    if (kw_random_fill(&random, bytes, sizeof bytes) != KW_OK)
        return fail("token", "the kernel gives no random bytes");
    /* 22 characters of 6 bits: 132 random bits */
    for (size_t i = 0; i < sizeof bytes; i++)
        token[i] = alphabet[bytes[i] & 63];
    token[sizeof bytes] = '\0';
    kw_wipe(bytes, sizeof bytes);
    return true;
}

static bool open_memory(struct daemon *daemon)
{
    size_t size;
    enum kw_status status;

    daemon->gateway.calls_max = daemon->config.calls_max;
    daemon->gateway.tenant_count = daemon->config.tenant_count;
    daemon->gateway.tenants = daemon->config.tenants;
    size = arena_size(daemon);
    status = kw_memory_open(&daemon->config, size, &daemon->arena, &daemon->locked);
    if (status != KW_OK)
        return fail_status("memory", status);
    atomic_store(&daemon->metrics.memory_locked, daemon->locked);
    atomic_store(&daemon->metrics.arena_size, size);
    atomic_store(&daemon->metrics.calls_max, daemon->config.calls_max);
    return move_tenants(daemon) && draw_demo_token(daemon);
}

static bool open_crypto(struct daemon *daemon)
{
    const struct kw_config *config = &daemon->config;
    size_t generations = kw_gateway_generations(&daemon->gateway);
    size_t srtp_keys = generations * 2;
    struct kw_openssl_config openssl = {
        .associations = generations,
        .handshakes = handshakes(daemon),
        .srtp_keys = needs_evp(config) ? srtp_keys : 1,
    };
    const struct kw_openssl_config small = {.associations = 1, .handshakes = 1};
    struct kw_session_shared *shared = &daemon->gateway.shared;
    size_t buffers_size = kw_dtls_buffers_size(handshakes(daemon));
    enum kw_status status = kw_openssl_new(&openssl, &daemon->crypto);
    void *buffers;

    if (status == KW_OK)
        status = kw_openssl_new(&small, &daemon->evidence_crypto);
    if (status != KW_OK)
        return fail_status("libcrypto", status);
    shared->kernel =
        kw_srtp_kernel_select(daemon->crypto, config->kernel[0] != '\0' ? config->kernel : NULL);
    if (shared->kernel == NULL)
        return fail("kernel", "this processor does not run it, or it failed its known answers");
    shared->evp_kernel = kw_srtp_kernel_select(daemon->crypto, "evp");
    shared->dtls.crypto = daemon->crypto;
    shared->dtls.random = kw_openssl_random();
    buffers = kw_memory_take(daemon->arena, buffers_size);
    if (shared->evp_kernel == NULL || buffers == NULL)
        return fail("memory", "the arena has no room for handshakes");
    shared->dtls.buffers = kw_dtls_buffers_init(buffers, handshakes(daemon));
    status = kw_random_fill(&shared->dtls.random, shared->dtls.cookie_key,
                            sizeof shared->dtls.cookie_key);
    if (status == KW_OK)
        status = kw_random_fill(&shared->dtls.random, shared->dtls.cookie_key_previous,
                                sizeof shared->dtls.cookie_key_previous);
    return status == KW_OK || fail_status("libcrypto", status);
}

static void add_candidate(struct kw_gateway_config *gateway, struct kw_address address,
                          uint16_t port)
{
    address.port = port;
    if (gateway->candidate_count < KW_GATEWAY_CANDIDATES_MAX)
        gateway->candidates[gateway->candidate_count++] = address;
}

static bool open_sockets(struct daemon *daemon)
{
    const struct kw_config *config = &daemon->config;
    struct kw_interfaces *interfaces = &daemon->worker.interfaces;
    struct kw_address loopback = {.family = 4, .ip = {127, 0, 0, 1}};
    enum kw_status status = kw_udp_open_pair(config->media_port, daemon->sockets);
    char port_text[32];
    uint16_t port;

    if (status != KW_OK) {
        snprintf(port_text, sizeof port_text, "udp port %u", (unsigned)config->media_port);
        return fail(port_text, strerror(errno));
    }
    port = daemon->sockets[daemon->sockets[0].fd >= 0 ? 0 : 1].port;
    if (kw_interfaces_read(interfaces) != KW_OK)
        return fail("interfaces", strerror(errno));
    for (size_t i = 0; i < config->advertise_count; i++)
        add_candidate(&daemon->gateway, config->advertise[i],
                      config->advertise[i].port != 0 ? config->advertise[i].port : port);
    for (size_t i = 0; i < interfaces->candidate_count; i++)
        add_candidate(&daemon->gateway, interfaces->candidates[i], port);
    if (daemon->gateway.candidate_count != 0)
        return true;
    KW_LOG(KW_LOG_WARNING, "loopback-only",
           KW_LOG_TEXT("said", "this machine has no other address; browsers do not connect to it"));
    add_candidate(&daemon->gateway, loopback, port);
    return true;
}

static bool open_gateway(struct daemon *daemon)
{
    void *mem = kw_memory_take(daemon->arena, kw_gateway_size(&daemon->gateway));
    kw_ns now = kw_clock_now();
    enum kw_status status;

    if (mem == NULL)
        return fail("memory", "the arena has no room for the gateway");
    daemon->gateway.sink = kw_evidence_sink(&daemon->evidence);
    status = kw_gateway_init(mem, &daemon->gateway, now, &daemon->worker.gateway);
    if (status != KW_OK)
        return fail_status("gateway", status);
    kw_gateway_tick(daemon->worker.gateway, now, kw_clock_utc());
    return true;
}

static bool open_loop(struct daemon *daemon)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    struct kw_worker *worker = &daemon->worker;
    const struct kw_loop_config loop = {
        .handler = kw_worker_handler(worker),
        .sockets = daemon->sockets,
        .admits = daemon->config.is_demo ? kw_worker_admits : NULL,
        .signals = signals,
    };
    enum kw_status status;

    worker->config = &daemon->config;
    worker->evidence = &daemon->evidence;
    worker->arena = daemon->arena;
    worker->metrics = &daemon->metrics;
    worker->sockets = daemon->sockets;
    status = kw_loop_open(&loop, &worker->loop);
    return status == KW_OK || fail_status("loop", status);
}

/* The console beside this very program: the source tree's when it runs from its build folder. */
static const char *find_web(const char *configured)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (configured[0] != '\0')
        return configured;
    if (len > 0 && strncmp(self, KW_BUILD_DIR "/", strlen(KW_BUILD_DIR "/")) == 0)
        return access(KW_SOURCE_WEB "/index.html", R_OK) == 0 ? KW_SOURCE_WEB : NULL;
    return access(KW_INSTALLED_WEB "/index.html", R_OK) == 0 ? KW_INSTALLED_WEB : NULL;
}

/* An event stream for each call and a quarter more, beside all that is short. */
static size_t connections_max(const struct kw_config *config)
{
    return HTTP_CONNECTIONS + config->calls_max + config->calls_max / 4;
}

/* Descriptors for them; 1024 is a usual limit that may be raised without privilege. */
static void raise_descriptors(size_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = KW_MIN(limit.rlim_max, (rlim_t)wanted);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        KW_LOG(KW_LOG_WARNING, "few-descriptors", KW_LOG_NUMBER("allowed", limit.rlim_cur),
               KW_LOG_NUMBER("wanted", wanted));
}

static bool open_http(struct daemon *daemon)
{
    const struct kw_config *config = &daemon->config;
    struct kw_http_config http = {
        .connections_max = connections_max(config),
        .listen_count = config->listen_count,
        .cert_path = config->cert[0] != '\0' ? config->cert : NULL,
        .key_path = config->key,
        .host_count = config->host_count,
        .has_admin = config->has_admin,
        .admin = config->admin,
        .web_dir = find_web(config->web),
        .notify = kw_loop_wake(daemon->worker.loop),
        .metrics = kw_metrics_write,
        .ctx = &daemon->metrics,
    };
    char error[KW_HTTP_ERROR_MAX];

    raise_descriptors(http.connections_max + OTHER_DESCRIPTORS);
    memcpy(http.listen, config->listen, sizeof http.listen);
    for (size_t i = 0; i < config->host_count; i++)
        http.hosts[i] = config->hosts[i];
    if (http.web_dir == NULL)
        KW_LOG(KW_LOG_WARNING, "no-console", KW_LOG_TEXT("said", "its files are not installed"));
    if (kw_http_start(&http, &daemon->http, error) != KW_OK)
        return fail("http", error);
    daemon->worker.http = daemon->http;
    return true;
}

/* A wildcard is no address to open in a browser: the first one of ours in its family is. */
static struct kw_address reachable(const struct daemon *daemon, struct kw_address address)
{
    static const uint8_t any[16];

    for (size_t i = 0; i < daemon->worker.interfaces.candidate_count; i++) {
        const struct kw_address *own = &daemon->worker.interfaces.candidates[i];

        if (memcmp(address.ip, any, sizeof any) == 0 && own->family == address.family)
            memcpy(address.ip, own->ip, sizeof address.ip);
    }
    return address;
}

/* On stdout, for the person who started it; the log never sees a token. */
static void greet(const struct daemon *daemon)
{
    const char *scheme = daemon->config.cert[0] != '\0' ? "https" : "http";
    char text[KW_ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < daemon->config.listen_count; i++) {
        struct kw_address address = kw_http_address(daemon->http, i);

        kw_address_format(&address, text);
        KW_LOG(KW_LOG_INFO, "listening", KW_LOG_TEXT("http", text));
        address = reachable(daemon, address);
        kw_address_format(&address, text);
        if (daemon->config.is_demo)
            printf("Console:  %s://%s/#token=%s\n", scheme, text, daemon->config.tenants[0].token);
        else
            printf("Console:  %s://%s/\n", scheme, text);
    }
    for (size_t i = 0; i < daemon->gateway.candidate_count; i++) {
        kw_address_format(&daemon->gateway.candidates[i], text);
        KW_LOG(KW_LOG_INFO, "media", KW_LOG_TEXT("udp", text));
    }
    if (daemon->config.has_admin) {
        struct kw_address address = kw_http_admin_address(daemon->http);

        kw_address_format(&address, text);
        KW_LOG(KW_LOG_INFO, "admin", KW_LOG_TEXT("http", text));
    }
    KW_ASSERT(daemon->crypto != NULL);
    fflush(stdout); /* whoever waits for "ready" finds the address there */
    KW_LOG(KW_LOG_INFO, "ready", KW_LOG_TEXT("version", KW_VERSION),
           KW_LOG_TEXT("provider", daemon->crypto->ops->name),
           KW_LOG_TEXT("kernel", kw_srtp_kernel_name(daemon->gateway.shared.kernel)),
           KW_LOG_NUMBER("calls", daemon->config.calls_max));
}

static bool open_all(struct daemon *daemon)
{
    if (!open_memory(daemon) || !open_crypto(daemon) || !open_sockets(daemon))
        return false;
    if (kw_evidence_open(&daemon->evidence, &daemon->config, daemon->evidence_crypto) != KW_OK)
        return fail("evidence", "the logs could not be opened");
    daemon->has_evidence = true;
    return open_gateway(daemon) && open_loop(daemon) && open_http(daemon);
}

static bool close_all(struct daemon *daemon)
{
    bool is_whole = true;

    if (daemon->http != NULL)
        kw_http_stop(daemon->http);
    if (daemon->worker.gateway != NULL)
        kw_gateway_deinit(daemon->worker.gateway);
    if (daemon->has_evidence)
        is_whole = kw_evidence_close(&daemon->evidence);
    if (daemon->worker.loop != NULL)
        kw_loop_close(daemon->worker.loop);
    kw_udp_close(&daemon->sockets[0]);
    kw_udp_close(&daemon->sockets[1]);
    kw_openssl_free(daemon->crypto);
    kw_openssl_free(daemon->evidence_crypto);
    /* the arena stays: libcrypto lives in it until the process ends */
    return is_whole;
}

static void prepare_process(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* every thread inherits it: signalfd reads them */
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    kw_set_assert_hook(on_assert);
    if (kw_process_harden() != KW_OK)
        KW_LOG(KW_LOG_WARNING, "not-hardened", KW_LOG_TEXT("why", strerror(errno)));
}

int main(int argc, char *argv[])
{
    static struct daemon daemon = {.sockets = {{.fd = -1}, {.fd = -1}}};
    int result = EXIT_SUCCESS;

    prepare_process();
    if (kw_config_init(&daemon.config) != KW_OK)
        return EXIT_FAILURE;
    switch (kw_options_read(argc, argv, &daemon.config)) {
    case KW_OPTIONS_RUN:
        break;
    case KW_OPTIONS_DONE:
        return EXIT_SUCCESS;
    case KW_OPTIONS_WRONG:
        return 2;
    }
    decide_sizes(&daemon.config);
    if (!open_all(&daemon)) {
        result = EXIT_FAILURE;
    } else {
        greet(&daemon);
        if (kw_worker_run(&daemon.worker) != KW_OK) {
            KW_LOG(KW_LOG_ERROR, "ended", KW_LOG_TEXT("why", strerror(errno)));
            result = EXIT_FAILURE;
        }
    }
    if (!close_all(&daemon))
        result = EXIT_FAILURE;
    if (result == EXIT_SUCCESS)
        KW_LOG(KW_LOG_INFO, "ended", KW_LOG_TEXT("why", "signal"));
    return result;
}
