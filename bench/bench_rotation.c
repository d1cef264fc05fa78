/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rotation by `overlap` costs: two sessions on one 5-tuple in virtual time, both sides in
 * one thread, real crypto. A rotation goes from kw_session_rotate() until both ends have retired
 * the old generation. Its two certificates are made before the clock starts.
 */
#include <keywheel/openssl.h>
#include <keywheel/session.h>

#include "bench.h"

#include "base/assert.h"

#include <stdbool.h>
#include <string.h>

enum { SIDES = 2, BATCH = 20, HANDSHAKES = 4, SSRC_MAX = 2, CALL_SSRC_MAX = 8, ALIGN = 64 };

static const struct kw_bytes alpn = {(const uint8_t *)"keywheel/1", 10};

static const struct {
    enum kw_group group;
    const char *name;
} groups[] = {
    {KW_GROUP_P256, "P-256"},
    {KW_GROUP_X25519, "x25519"},
    {KW_GROUP_X25519MLKEM768, "X25519MLKEM768"},
};

struct side {
    struct kw_session *session;
    void *mem;
    struct kw_path path;
    unsigned switched, retired;
};

static struct {
    struct kw_session_shared shared;
    struct kw_terms terms;
    struct kw_identity *identities[SIDES * BATCH];
    size_t identity_count;
    struct side sides[SIDES];
    kw_ns now;
    size_t bytes, datagrams;
} world;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "rotation: %s failed\n", what);
    exit(1);
}

static void *aligned(size_t size)
{
    void *mem = aligned_alloc(ALIGN, (size + ALIGN - 1) / ALIGN * ALIGN);

    must(mem != NULL, "memory");
    return mem;
}

static void fill(void)
{
    struct kw_crypto *crypto = world.shared.dtls.crypto;

    while (world.identity_count < SIDES * BATCH)
        must(crypto->ops->identity_new(crypto, 0, &world.identities[world.identity_count++]) ==
                 KW_OK,
             "identity");
}

/* The owner's part: a generation for each DUE. */
static void serve(struct side *side)
{
    struct kw_session_event event;

    while (kw_session_next_event(side->session, &event)) {
        side->switched += event.type == KW_SESSION_EVENT_SWITCHED;
        side->retired += event.type == KW_SESSION_EVENT_RETIRED;
        must(event.type != KW_SESSION_EVENT_FAILED && event.type != KW_SESSION_EVENT_CLOSED,
             "rotation");
        if (event.type == KW_SESSION_EVENT_DUE) {
            struct kw_generation_params params = {.alpn = alpn, .method = KW_METHOD_OVERLAP};
            uint32_t number;

            must(world.identity_count > 0, "a certificate at hand");
            params.identity = world.identities[--world.identity_count];
            must(kw_session_add_generation(side->session, &params, world.now, &number) == KW_OK,
                 "generation");
            world.shared.dtls.crypto->ops->identity_free(params.identity);
        }
    }
}

static bool pass(struct side *from, struct side *to)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_received received;
    struct kw_path path;
    bool any = false;
    size_t len;

    serve(from);
    while ((len = kw_session_transmit(from->session, datagram, sizeof datagram, &path,
                                      world.now)) != 0) {
        world.bytes += len;
        world.datagrams++;
        must(kw_session_receive(to->session, &to->path, datagram, &len, world.now, &received) ==
                 KW_OK,
             "receive");
        serve(to);
        any = true;
    }
    return any;
}

static void exchange(void)
{
    while (pass(&world.sides[0], &world.sides[1]) || pass(&world.sides[1], &world.sides[0]))
        ;
}

static void tick(kw_ns step)
{
    world.now += step;
    for (size_t i = 0; i < SIDES; i++)
        must(kw_session_tick(world.sides[i].session, world.now) == KW_OK, "tick");
    exchange();
}

static void rotate(void)
{
    unsigned switched = world.sides[0].switched, retired = world.sides[0].retired;

    kw_session_rotate(world.sides[0].session, KW_REASON_OPERATOR, world.now);
    exchange();
    for (int i = 0; i < 10 && world.sides[0].switched == switched; i++)
        tick(KW_MS(100)); /* an ACK may wait for its timer */
    tick(KW_S(11));
    must(world.sides[0].switched == switched + 1 && world.sides[1].switched == switched + 1 &&
             world.sides[0].retired == retired + 1,
         "rotation");
}

static struct kw_address address(uint8_t host)
{
    return (struct kw_address){.family = 4, .port = 4000, .ip = {192, 0, 2, host}};
}

static void open_sides(enum kw_group group)
{
    struct kw_crypto *crypto = world.shared.dtls.crypto;
    const struct kw_session_params params = {
        .terms = &world.terms, .ssrc_max = SSRC_MAX, .method = KW_METHOD_OVERLAP};
    struct kw_fingerprint prints[SIDES];
    struct kw_identity *own[SIDES];
    uint32_t number;

    memset(world.terms.groups, 0, sizeof world.terms.groups);
    world.terms.groups[0] = group;
    for (size_t i = 0; i < SIDES; i++)
        must(crypto->ops->identity_new(crypto, 0, &own[i]) == KW_OK &&
                 kw_crypto_fingerprint(crypto, KW_SHA256, crypto->ops->identity_certificate(own[i]),
                                       &prints[i]) == KW_OK,
             "identity");
    for (size_t i = 0; i < SIDES; i++) {
        struct side *side = &world.sides[i];
        const struct kw_generation_params generation = {
            .role = i == 0 ? KW_DTLS_CLIENT : KW_DTLS_SERVER,
            .identity = own[i],
            .fingerprints = &prints[1 - i],
            .fingerprint_count = 1,
            .alpn = alpn,
        };

        *side = (struct side){.mem = aligned(kw_session_size())};
        side->path = (struct kw_path){address((uint8_t)(i + 1)), address((uint8_t)(SIDES - i))};
        must(kw_session_init(side->mem, &world.shared, &params, world.now, &side->session) ==
                     KW_OK &&
                 kw_session_add_generation(side->session, &generation, world.now, &number) ==
                     KW_OK &&
                 kw_session_add_path(side->session, number, &side->path, 0, world.now) == KW_OK,
             "session");
        crypto->ops->identity_free(own[i]);
    }
    exchange();
    tick(KW_S(1));
    must(world.sides[0].switched == 1 && world.sides[1].switched == 1, "handshake");
}

static void close_sides(void)
{
    for (size_t i = 0; i < SIDES; i++) {
        kw_session_deinit(world.sides[i].session);
        free(world.sides[i].mem);
    }
}

static void run_group(size_t which)
{
    double samples[BENCH_ROUNDS];
    char variant[64];

    fprintf(stderr, "rotation: %s\n", groups[which].name);
    open_sides(groups[which].group);
    for (int round = -1; round < BENCH_ROUNDS; round++) {
        fill();
        samples[KW_MAX(round, 0)] = bench_batch(rotate, BATCH) / SIDES; /* the first warms up */
    }
    bench_line("rotation", groups[which].name, bench_median(samples), "us", NULL, 0);
    fill();
    world.bytes = world.datagrams = 0;
    rotate();
    (void)snprintf(variant, sizeof variant, "%s-wire", groups[which].name);
    bench_line("rotation", variant, (double)world.bytes, "B, both ways", NULL, 0);
    (void)snprintf(variant, sizeof variant, "%s-datagrams", groups[which].name);
    bench_line("rotation", variant, (double)world.datagrams, "both ways", NULL, 0);
    close_sides();
}

/* A session and its places in the pool; what libcrypto holds is bench_dtls's to count. */
static void memory(const char *name, size_t ssrc_max, bool has_ice)
{
    const struct kw_session_pool_config none = {.ssrc_max = ssrc_max, .has_ice = has_ice};
    struct kw_session_pool_config one = none;
    char variant[64];
    size_t place;

    one.sessions = 1;
    place = kw_session_pool_size(&one) - kw_session_pool_size(&none);
    (void)snprintf(variant, sizeof variant, "memory-%s-at-rest", name);
    bench_line("rotation", variant, (double)(kw_session_size() + place), "B", "target", 16384);
    (void)snprintf(variant, sizeof variant, "memory-%s-in-overlap", name);
    bench_line("rotation", variant, (double)(kw_session_size() + 2 * place), "B", "target", 32768);
}

int main(void)
{
    const struct kw_openssl_config config = {.associations = 8,
                                             .handshakes = HANDSHAKES + BATCH * 2};
    const struct kw_session_pool_config pool = {
        .ssrc_max = SSRC_MAX, .sessions = SIDES, .rotations = SIDES};
    const struct kw_fingerprint any = {.hash = KW_SHA256};
    const struct kw_peer peer = {.fingerprints = &any, .fingerprint_count = 1};
    struct kw_policy policy;

    must(kw_openssl_new(&config, &world.shared.dtls.crypto) == KW_OK, "provider");
    world.shared.dtls.random = kw_openssl_random();
    world.shared.dtls.buffers =
        kw_dtls_buffers_init(aligned(kw_dtls_buffers_size(HANDSHAKES)), HANDSHAKES);
    world.shared.pool = kw_session_pool_init(aligned(kw_session_pool_size(&pool)), &pool);
    world.shared.kernel = kw_srtp_kernel_select(world.shared.dtls.crypto, NULL);
    world.shared.evp_kernel = world.shared.kernel;
    must(world.shared.kernel != NULL && kw_policy_preset("modern", &policy) &&
             kw_policy_decide(&policy, &peer, 0, &world.terms) == KW_REFUSAL_NONE,
         "terms");
    fprintf(stderr,
            "rotation: %s; %d certificates for each %d rotations are made before the clock "
            "starts\n",
            world.shared.dtls.crypto->ops->name, SIDES * BATCH, BATCH);
    for (size_t i = 0; i < KW_ARRAY_LEN(groups); i++)
        run_group(i);
    memory("peer", SSRC_MAX, false);
    memory("gateway-call", CALL_SSRC_MAX, true);
    return 0;
}
