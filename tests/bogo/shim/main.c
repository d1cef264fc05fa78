/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim between BoringSSL's protocol suite and our DTLS engine. It is a small program that
 * owns one association at a time: datagrams and orders for the clock come from the runner, and what
 * the engine wants to send goes back. There is no other clock. What happens after the handshake is
 * what the runner expects of every shim: echo each message with all bits turned, until the peer
 * closes.
 *
 * It exits with 0 when all went well and the peer closed; otherwise the reason goes to stderr as
 * "END ALERT" in the engine's own names (kw_dtls_end_name, kw_alert_name), or as a sentence
 * beginning with "shim:" when an expectation of the command line was not met.
 */
#include "config.h"
#include "credential.h"
#include "wire.h"

#include "dtls/hooks.h"

#include <keywheel/openssl.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGES_MAX = 1024, /* bytes of the message trace */
    EXPORT_MAX = 4096,
    /* The schedule that the suite knows by heart: 400 ms, twelve retransmissions. */
    FIRST_TIMEOUT_MS = 400,
    EXPIRIES = 13,
    ALERT_DECOMPRESSION_FAILURE = 30,
    QUIET_MS = 100, /* of real time, after which the runner is taken to be waiting */
    HANDSHAKES = 2, /* buffers for one, and one to spare */
};

struct shim {
    const struct config *config;
    struct kw_crypto *crypto;
    struct kw_identity *identity;
    struct kw_dtls_shared shared;
    struct kw_dtls *dtls;
    struct kw_dtls_params params;
    struct kw_terms terms;
    size_t mtu;
    int fd;
    kw_ns now;
    bool connected;
    bool peer_has_closed;
    bool runner_is_gone; /* it has what it wants; what we still send is lost */
    bool finished;       /* nothing more to do */
    bool failed;         /* and it did not go well */
    char messages[MESSAGES_MAX];
    size_t messages_len;
};

/* When our own certificate was made; nobody looks at it. */
#define IDENTITY_MADE INT64_C(1700000000000)

/* The clock starts somewhere, so that a wrong use of zero shows. */
static const kw_ns clock_start = KW_S(1000);

static void fail(struct shim *shim, const char *why)
{
    if (!shim->failed)
        fprintf(stderr, "shim: %s\n", why);
    shim->failed = true;
    shim->finished = true;
}

static void record_message(void *ctx, bool is_write, enum kw_dtls_hook_kind kind, uint8_t first,
                           uint8_t second)
{
    struct shim *shim = ctx;
    char *at = shim->messages + shim->messages_len;
    size_t room = sizeof shim->messages - shim->messages_len;
    const char *way = is_write ? "write" : "read";
    int n = 0;

    /* The suite's own stack leaves a close_notify unanswered; ours answers (RFC 8446, 6.1). */
    if (shim->peer_has_closed)
        return;
    switch (kind) {
    case KW_DTLS_HOOK_HANDSHAKE:
        n = snprintf(at, room, "%s hs %u\n", way, first);
        break;
    case KW_DTLS_HOOK_CHANGE_CIPHER_SPEC:
        n = snprintf(at, room, "%s ccs\n", way);
        break;
    case KW_DTLS_HOOK_ALERT:
        n = snprintf(at, room, "%s alert %u %u\n", way, first, second);
        shim->peer_has_closed = !is_write && second == KW_ALERT_CLOSE_NOTIFY;
        break;
    case KW_DTLS_HOOK_ACK:
        n = snprintf(at, room, "%s ack\n", way);
        break;
    }
    if (n > 0 && (size_t)n < room)
        shim->messages_len += (size_t)n;
}

/*
 * The suite does not tell the fingerprint of the peer's certificate, but the root that issued it.
 * When the certificate arrives we check it against the root and only then name its fingerprint;
 * the engine's own comparison follows.
 */
static bool name_fingerprint(void *ctx, struct kw_bytes certificate, struct kw_fingerprint *ret)
{
    struct shim *shim = ctx;

    return trust_covers(certificate) &&
           kw_crypto_fingerprint(shim->crypto, KW_SHA256, certificate, ret) == KW_OK;
}

static bool wants_version(const struct config *config, enum kw_dtls_version version)
{
    /* On the wire a later version is a smaller number. */
    if (config->min_version != 0 && version > config->min_version)
        return false;
    if (config->max_version != 0 && version < config->max_version)
        return false;
    return version == KW_DTLS_1_3 ? !config->no_13 : !config->no_12;
}

/* The preset "modern" with an exception for everything that an exception can allow. */
static bool make_terms(const struct config *config, struct kw_terms *ret)
{
    static const enum kw_suite suites[] = {
        KW_TLS_AES_128_GCM_SHA256,        KW_TLS_AES_256_GCM_SHA384,
        KW_TLS_CHACHA20_POLY1305_SHA256,  KW_ECDHE_ECDSA_AES128_GCM_SHA256,
        KW_ECDHE_ECDSA_AES256_GCM_SHA384, KW_ECDHE_RSA_AES128_GCM_SHA256,
        KW_ECDHE_RSA_AES256_GCM_SHA384,
    };
    struct kw_policy policy;
    size_t count = 0;

    if (!kw_policy_preset("modern", &policy))
        return false;
    *ret = (struct kw_terms){.allow_rsa = true, .rotation = policy.rotation};
    ret->allow_dtls12 = wants_version(config, KW_DTLS_1_2);
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (wants_version(config, kw_suite_info(suites[i])->version))
            ret->suites[count++] = suites[i];
    }
    memcpy(ret->groups, config->group_count != 0 ? config->groups : policy.groups,
           sizeof ret->groups);
    memcpy(ret->profiles, config->profiles, sizeof ret->profiles);
    return true;
}

/* Everything that the engine wants to send goes out at once. */
static void send_all(struct shim *shim)
{
    static uint8_t datagram[WIRE_DATAGRAM_MAX];
    size_t len;

    while ((len = kw_dtls_transmit(shim->dtls, datagram, sizeof datagram, shim->now)) != 0) {
        if (!shim->runner_is_gone && !wire_write(shim->fd, datagram, len))
            shim->runner_is_gone = true;
    }
}

static void check(struct shim *shim, enum kw_status status, const char *what)
{
    if (status == KW_OK)
        return;
    if (!shim->failed)
        fprintf(stderr, "%s: %s\n", what, kw_status_text(status));
    shim->failed = true;
    shim->finished = true;
}

/* What is larger than the MTU does not wait in the engine. */
static void send_large_data(struct shim *shim, struct kw_bytes data)
{
    static uint8_t datagram[KW_DTLS_DATA_MAX + KW_DTLS_OVERHEAD_MAX];
    size_t len = 0;

    check(shim, kw_dtls_protect(shim->dtls, data, datagram, sizeof datagram, &len, shim->now),
          "kw_dtls_protect");
    if (!shim->failed && !shim->runner_is_gone && !wire_write(shim->fd, datagram, len))
        shim->runner_is_gone = true;
}

static void send_data(struct shim *shim, struct kw_bytes data)
{
    if (data.len > KW_DTLS_MTU_DEFAULT - KW_DTLS_OVERHEAD_MAX)
        send_large_data(shim, data);
    else
        check(shim, kw_dtls_send(shim->dtls, data, shim->now), "kw_dtls_send");
    send_all(shim);
}

static void export_and_send(struct shim *shim)
{
    const struct config *config = shim->config;
    struct kw_bytes context = {NULL, 0};
    uint8_t secret[EXPORT_MAX];

    if (config->use_export_context)
        context = (struct kw_bytes){(const uint8_t *)config->export_context,
                                    strlen(config->export_context)};
    check(shim,
          kw_dtls_export(shim->dtls, config->export_label, context, secret, config->export_len),
          "kw_dtls_export");
    if (!shim->failed)
        send_data(shim, (struct kw_bytes){secret, config->export_len});
}

/* Each wait for data may be preceded by a change of keys. */
static void before_read(struct shim *shim)
{
    if (!shim->config->key_update_before_read || shim->finished)
        return;
    check(shim, kw_dtls_update_keys(shim->dtls, false, shim->now), "kw_dtls_update_keys");
    send_all(shim);
}

static void check_facts(struct shim *shim)
{
    const struct config *config = shim->config;
    const struct kw_dtls_facts *facts = kw_dtls_facts(shim->dtls);

    if (!wants_version(config, facts->version))
        fail(shim, "a version that was not offered");
    if (config->alpn.len != 0 && config->is_server && !facts->alpn)
        fail(shim, "ALPN was not agreed");
}

static void after_handshake(struct shim *shim)
{
    const struct config *config = shim->config;

    shim->connected = true;
    check_facts(shim);
    if (!shim->failed && config->export_len != 0)
        export_and_send(shim);
    if (shim->failed)
        return;
    if (config->sends_alert) {
        kw_dtls_hook_send_alert(shim->dtls, 2, ALERT_DECOMPRESSION_FAILURE, shim->now);
        send_all(shim);
        shim->finished = true;
        return;
    }
    if (config->writes_first)
        send_data(shim, (struct kw_bytes){(const uint8_t *)"hello", 5});
    if (config->shuts_down)
        kw_dtls_close(shim->dtls, shim->now);
    else
        before_read(shim);
    send_all(shim);
}

static void echo(struct shim *shim, struct kw_bytes data)
{
    static uint8_t reply[WIRE_DATAGRAM_MAX];

    for (size_t i = 0; i < data.len; i++)
        reply[i] = data.data[i] ^ 0xff;
    send_data(shim, (struct kw_bytes){reply, data.len});
    before_read(shim);
}

static void take_closed(struct shim *shim, const struct kw_dtls_event *event)
{
    shim->finished = true;
    if (event->end == KW_DTLS_END_CLOSED && shim->connected)
        return;
    if (!shim->failed)
        fprintf(stderr, "%s %s\n", kw_dtls_end_name(event->end), kw_alert_name(event->alert));
    shim->failed = true;
}

static void take_events(struct shim *shim)
{
    struct kw_dtls_event event;

    while (!shim->failed && kw_dtls_next_event(shim->dtls, &event)) {
        switch (event.type) {
        case KW_DTLS_EVENT_CONNECTED:
            send_all(shim);
            after_handshake(shim);
            break;
        case KW_DTLS_EVENT_DATA:
            echo(shim, event.data);
            break;
        case KW_DTLS_EVENT_CLOSED:
            take_closed(shim, &event);
            break;
        case KW_DTLS_EVENT_CONFIRMED:
        case KW_DTLS_EVENT_NONE:
            break;
        }
    }
    send_all(shim);
}

static void expect_deadline(struct shim *shim, uint64_t expected)
{
    kw_ns deadline = kw_dtls_hook_deadline(shim->dtls);
    kw_ns left = deadline > shim->now ? deadline - shim->now : 0;

    if (deadline == KW_NEVER && expected == UINT64_MAX)
        return;
    if (deadline != KW_NEVER && left == expected)
        return;
    if (!shim->failed)
        fprintf(stderr, "shim: deadline in %" PRIu64 " us, expected %" PRIu64 " us\n",
                deadline == KW_NEVER ? UINT64_MAX : left / 1000,
                expected == UINT64_MAX ? UINT64_MAX : expected / 1000);
    shim->failed = true;
    shim->finished = true;
}

static void obey(struct shim *shim, const struct wire_frame *frame, uint8_t *datagram)
{
    switch (frame->order) {
    case WIRE_PACKET:
        check(shim, kw_dtls_receive(shim->dtls, datagram, frame->len, shim->now),
              "kw_dtls_receive");
        break;
    case WIRE_TIMEOUT:
        shim->now += frame->value;
        if (kw_dtls_hook_deadline(shim->dtls) <= shim->now ||
            kw_dtls_deadline(shim->dtls) <= shim->now)
            check(shim, kw_dtls_tick(shim->dtls, shim->now), "kw_dtls_tick");
        break;
    case WIRE_MTU:
        shim->mtu = (size_t)frame->value;
        kw_dtls_hook_mtu(shim->dtls, shim->mtu);
        break;
    case WIRE_EXPECT:
        expect_deadline(shim, frame->value);
        break;
    case WIRE_SET_TIMER:
        kw_dtls_hook_timeout(shim->dtls, KW_MS(frame->value), EXPIRIES, shim->now);
        break;
    case WIRE_END:
        /* A close_notify can get lost, so a silent end is one. The runner knows what it missed. */
        if (shim->connected)
            shim->finished = true;
        else if (shim->config->is_patient && kw_dtls_hook_doom(shim->dtls) != KW_NEVER)
            shim->runner_is_gone = true;
        else
            fail(shim, "the runner closed the connection");
        break;
    case WIRE_BROKEN:
        fail(shim, "unreadable order");
        break;
    }
}

/*
 * The suite's clock stands still while its runner waits for an alert. Ours, as the product has it,
 * comes a second after something in the clear has gone wrong: when nothing else happens, that
 * second passes.
 */
static bool let_doom_come(struct shim *shim)
{
    kw_ns doom = kw_dtls_hook_doom(shim->dtls);

    if (!shim->config->is_patient || doom == KW_NEVER ||
        (!shim->runner_is_gone && wire_is_ready(shim->fd, QUIET_MS)))
        return false;
    if (shim->now < doom)
        shim->now = doom;
    check(shim, kw_dtls_tick(shim->dtls, shim->now), "kw_dtls_tick");
    return true;
}

static void talk(struct shim *shim)
{
    static uint8_t datagram[WIRE_DATAGRAM_MAX];

    take_events(shim);
    while (!shim->finished) {
        if (!let_doom_come(shim)) {
            struct wire_frame frame = wire_read(shim->fd, datagram);

            obey(shim, &frame, datagram);
        }
        take_events(shim);
    }
    kw_dtls_close(shim->dtls, shim->now);
    send_all(shim);
    if (!shim->failed && shim->config->expect_messages != NULL &&
        strcmp(shim->config->expect_messages, shim->messages) != 0) {
        fprintf(stderr, "shim: messages were\n%s", shim->messages);
        shim->failed = true;
    }
}

static bool start(struct shim *shim, void *memory)
{
    const struct config *config = shim->config;
    struct kw_fingerprint unknown = {.hash = KW_SHA256};
    kw_ns first = config->initial_timeout ? config->initial_timeout : KW_MS(FIRST_TIMEOUT_MS);
    enum kw_status status;

    shim->params = (struct kw_dtls_params){
        .role = config->is_server ? KW_DTLS_SERVER : KW_DTLS_CLIENT,
        .terms = &shim->terms,
        .identity = shim->identity,
        .fingerprints = &unknown,
        .fingerprint_count = 1,
        .mtu = config->mtu,
        .alpn = config->alpn,
        .fail_fast = !config->is_patient,
    };
    status = kw_dtls_init(memory, &shim->shared, &shim->params, shim->now, &shim->dtls);
    if (status != KW_OK) {
        fprintf(stderr, "kw_dtls_init: %s\n", kw_status_text(status));
        return false;
    }
    kw_dtls_hook_messages(shim->dtls, record_message, shim);
    if (!config->is_server && kw_dtls_hook_take_tickets(shim->dtls) != KW_OK)
        return false;
    kw_dtls_hook_timeout(shim->dtls, first, EXPIRIES, shim->now);
    kw_dtls_hook_certificate(shim->dtls, name_fingerprint, shim);
    if (credential_is_rsa())
        kw_dtls_hook_rsa_identity(shim->dtls);
    if (!config->require_client_certificate)
        kw_dtls_hook_no_client_certificate(shim->dtls);
    return true;
}

/* One connection; true when it went well. */
static bool run(struct shim *shim, void *memory)
{
    bool ok = start(shim, memory);

    if (!ok)
        return false;
    shim->fd = wire_open(shim->config->port, shim->config->ipv6, shim->config->shim_id);
    if (shim->fd >= 0) {
        talk(shim);
        wire_close(shim->fd);
        ok = !shim->failed;
    } else {
        fprintf(stderr, "shim: cannot reach the runner\n");
        ok = false;
    }
    kw_dtls_deinit(shim->dtls);
    return ok;
}

static void *aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

/* What all connections of one test share. */
static bool prepare(struct shim *shim, void *buffers)
{
    const struct config *config = shim->config;

    shim->shared = (struct kw_dtls_shared){
        .crypto = shim->crypto,
        .random = kw_openssl_random(),
        .buffers = kw_dtls_buffers_init(buffers, HANDSHAKES),
    };
    if (kw_random_fill(&shim->shared.random, shim->shared.cookie_key,
                       sizeof shim->shared.cookie_key) != KW_OK ||
        !make_terms(config, &shim->terms))
        return false;
    if (config->trust_cert != NULL && !trust_load(config->trust_cert))
        return false;
    if (config->key_file != NULL)
        return credential_load(shim->crypto, config->cert_file, config->key_file, &shim->identity);
    return shim->crypto->ops->identity_new(shim->crypto, IDENTITY_MADE, &shim->identity) == KW_OK;
}

int main(int argc, char *argv[])
{
    const struct kw_openssl_config pools = {.associations = 1, .handshakes = HANDSHAKES};
    struct config config;
    struct shim first = {.config = &config, .now = clock_start};
    void *buffers, *memory;
    int exit_status = config_parse(argc, argv, &config);
    bool ok;

    if (exit_status != 0)
        return exit_status;
    if (config.asks_for_handshaker) {
        puts("No");
        return 0;
    }

    buffers = aligned(kw_dtls_buffers_size(HANDSHAKES));
    memory = aligned(kw_dtls_size());
    ok = buffers != NULL && memory != NULL && kw_openssl_new(&pools, &first.crypto) == KW_OK &&
         prepare(&first, buffers);
    for (unsigned i = 0; ok && i <= config.resume_count; i++) {
        struct shim shim = first;

        ok = run(&shim, memory);
    }
    if (first.identity != NULL)
        first.crypto->ops->identity_free(first.identity);
    if (first.crypto != NULL)
        kw_openssl_free(first.crypto);
    credential_free();
    trust_free();
    free(memory);
    free(buffers);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
