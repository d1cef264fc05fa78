/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SRTP: nanoseconds per packet of the whole protect and unprotect (header, stream, replay,
 * roll-over counter), ours and libsrtp's alternating in one run, on one core.
 *
 *   hot    one stream, single calls
 *   cold   10,000 streams, each with a key and a context of its own, in an order shuffled for each
 *          pass; single calls, or (ours only) batch calls
 *
 * Our contexts lie where the gateway puts them, in its arena (huge pages where the kernel has
 * them); libsrtp's and libcrypto's own memory is malloc's. Packets come in groups of 64, as
 * recvmmsg() hands them out: written into the same buffers just before, outside the measured time.
 * One JSON line per figure on stdout: medians over the rounds, and the median of the rounds'
 * ratios. The peer is built by bench/build-libsrtp and loaded at run time.
 */
#include <keywheel/openssl.h>
#include <keywheel/srtp.h>

#include "crypto/packet_kernel.h"
#include "sys/arena.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#ifdef KW_HAVE_LIBSRTP
#include <srtp2/srtp.h>
#endif

enum {
    STREAMS = 10000,
    ROUNDS = 11,
    GROUP = 64,
    HOT_PACKETS = 100 * GROUP,
    COLD_PACKETS = STREAMS / GROUP * GROUP,
    ROOM = 1536,
    SSRC = 0x10000,
};

static const size_t payloads[] = {20, 80, 160, 500, 1200};

struct packet {
    _Alignas(64) uint8_t bytes[ROOM];
    size_t len;
};

/* Contexts for all streams, ours or the peer's: senders first, then receivers. */
struct set {
    void (*run)(struct set *set, bool sealing, const uint32_t *streams, struct packet *group,
                bool batch);
    void **contexts;
    uint8_t *memory;
    uint16_t seq;
};

static uint64_t seed = 1;

static uint64_t next_random(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_srtp: %s failed\n", what);
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *allocate(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    check(mem != NULL, "allocation");
    memset(mem, 0, size);
    return mem;
}

static struct kw_srtp_master master_of(enum kw_srtp_profile profile, uint32_t stream)
{
    struct kw_srtp_master master = {.profile = profile, .salt_len = 12};

    master.key_len = profile == KW_SRTP_AEAD_AES_256_GCM ? 32 : 16;
    for (size_t i = 0; i < master.key_len; i++)
        master.key[i] = (uint8_t)(stream >> (i % 4 * 8)) ^ (uint8_t)(i * 37);
    memset(master.salt, (int)stream & 0xff, master.salt_len);
    return master;
}

/* Ours. */

static struct kw_arena *arena;

static void arena_open(void)
{
    struct kw_arena_report report;
    enum kw_status status =
        kw_arena_open(2 * STREAMS * kw_srtp_size(1) + 4096, false, &arena, &report);

    check(status == KW_OK, report.text);
    fprintf(stderr, "memory of our contexts: %s\n", report.text);
}

static void ours_single(bool sealing, struct kw_srtp *srtp, struct packet *packet)
{
    enum kw_verdict verdict;

    if (sealing)
        verdict = kw_srtp_protect(srtp, packet->bytes, &packet->len, sizeof packet->bytes);
    else
        verdict = kw_srtp_unprotect(srtp, packet->bytes, &packet->len);
    check(verdict == KW_ACCEPT, kw_verdict_name(verdict));
}

static void ours_run(struct set *set, bool sealing, const uint32_t *streams, struct packet *group,
                     bool batch)
{
    void **contexts = sealing ? set->contexts : set->contexts + STREAMS;
    struct kw_srtp_item items[GROUP];

    if (!batch) {
        for (size_t i = 0; i < GROUP; i++)
            ours_single(sealing, contexts[streams[i]], &group[i]);
        return;
    }
    for (size_t i = 0; i < GROUP; i++)
        items[i] = (struct kw_srtp_item){.srtp = contexts[streams[i]],
                                         .packet = group[i].bytes,
                                         .len = group[i].len,
                                         .size = sizeof group[i].bytes};
    if (sealing)
        kw_srtp_protect_batch(items, GROUP);
    else
        kw_srtp_unprotect_batch(items, GROUP);
    for (size_t i = 0; i < GROUP; i++) {
        check(items[i].verdict == KW_ACCEPT, kw_verdict_name(items[i].verdict));
        group[i].len = items[i].len;
    }
}

static void ours_init(struct set *set, struct kw_crypto *crypto,
                      const struct kw_srtp_kernel *kernel, enum kw_srtp_profile profile)
{
    size_t size = kw_srtp_size(1);

    *set = (struct set){.run = ours_run,
                        .contexts = allocate(2 * STREAMS * sizeof *set->contexts),
                        .memory = kw_arena_take(arena, 2 * STREAMS * size)};
    check(set->memory != NULL, "arena");
    for (uint32_t i = 0; i < 2 * STREAMS; i++) {
        struct kw_srtp_master master = master_of(profile, i % STREAMS);
        struct kw_srtp_params params = {.kernel = kernel,
                                        .crypto = crypto,
                                        .master = &master,
                                        .for_sending = i < STREAMS,
                                        .ssrc_max = 1};
        struct kw_srtp *srtp;

        check(kw_srtp_init(set->memory + i * size, &params, &srtp) == KW_OK, "kw_srtp_init");
        set->contexts[i] = srtp;
    }
}

static void ours_deinit(struct set *set)
{
    for (size_t i = 0; i < 2 * STREAMS; i++)
        kw_srtp_deinit(set->contexts[i]);
    free(set->contexts);
    kw_arena_give(arena, set->memory);
}

/* The peer. */

static char peer_name[96];

#ifdef KW_HAVE_LIBSRTP
static struct {
    srtp_err_status_t (*init)(void);
    srtp_err_status_t (*create)(srtp_t *session, const srtp_policy_t *policy);
    srtp_err_status_t (*protect)(srtp_t ctx, void *packet, int *len);
    srtp_err_status_t (*unprotect)(srtp_t ctx, void *packet, int *len);
    srtp_err_status_t (*dealloc)(srtp_t s);
    void (*set_128)(srtp_crypto_policy_t *p);
    void (*set_256)(srtp_crypto_policy_t *p);
    const char *(*version)(void);
} peer;

static void *peer_symbol(void *library, const char *name)
{
    void *symbol = dlsym(library, name);

    check(symbol != NULL, name);
    return symbol;
}

/* Builds, if need be, and loads libsrtp on OpenSSL; false: no peer. */
static bool peer_load(void)
{
    FILE *builder = popen(KW_SOURCE_DIR "/bench/build-libsrtp", "r");
    char path[512] = {0};
    void *library;

    if (builder == NULL || fgets(path, sizeof path, builder) == NULL || pclose(builder) != 0)
        return false;
    path[strcspn(path, "\n")] = '\0';
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
    *(void **)&peer.init = peer_symbol(library, "srtp_init");
    *(void **)&peer.create = peer_symbol(library, "srtp_create");
    *(void **)&peer.protect = peer_symbol(library, "srtp_protect");
    *(void **)&peer.unprotect = peer_symbol(library, "srtp_unprotect");
    *(void **)&peer.dealloc = peer_symbol(library, "srtp_dealloc");
    *(void **)&peer.set_128 = peer_symbol(library, "srtp_crypto_policy_set_aes_gcm_128_16_auth");
    *(void **)&peer.set_256 = peer_symbol(library, "srtp_crypto_policy_set_aes_gcm_256_16_auth");
    *(void **)&peer.version = peer_symbol(library, "srtp_get_version_string");
    check(peer.init() == srtp_err_status_ok, "srtp_init");
    snprintf(peer_name, sizeof peer_name, "%s, %s", peer.version(),
             OpenSSL_version(OPENSSL_VERSION));
    return true;
}

static void peer_run(struct set *set, bool sealing, const uint32_t *streams, struct packet *group,
                     bool batch)
{
    void **contexts = sealing ? set->contexts : set->contexts + STREAMS;

    (void)batch;
    for (size_t i = 0; i < GROUP; i++) {
        int len = (int)group[i].len;
        srtp_err_status_t status = sealing
                                       ? peer.protect(contexts[streams[i]], group[i].bytes, &len)
                                       : peer.unprotect(contexts[streams[i]], group[i].bytes, &len);

        check(status == srtp_err_status_ok, "libsrtp");
        group[i].len = (size_t)len;
    }
}

static void peer_init(struct set *set, enum kw_srtp_profile profile)
{
    *set = (struct set){.run = peer_run, .contexts = allocate(2 * STREAMS * sizeof *set->contexts)};
    for (uint32_t i = 0; i < 2 * STREAMS; i++) {
        struct kw_srtp_master master = master_of(profile, i % STREAMS);
        uint8_t key[KW_KEY_MAX + 14];
        srtp_policy_t policy;
        srtp_t session;

        memset(&policy, 0, sizeof policy);
        memcpy(key, master.key, master.key_len);
        memcpy(key + master.key_len, master.salt, master.salt_len);
        (profile == KW_SRTP_AEAD_AES_256_GCM ? peer.set_256 : peer.set_128)(&policy.rtp);
        (profile == KW_SRTP_AEAD_AES_256_GCM ? peer.set_256 : peer.set_128)(&policy.rtcp);
        policy.ssrc.type = ssrc_specific;
        policy.ssrc.value = SSRC + i % STREAMS;
        policy.key = key;
        policy.window_size = KW_SRTP_WINDOW;
        check(peer.create(&session, &policy) == srtp_err_status_ok, "srtp_create");
        set->contexts[i] = session;
    }
}

static void peer_deinit(struct set *set)
{
    for (size_t i = 0; i < 2 * STREAMS; i++)
        (void)peer.dealloc(set->contexts[i]);
    free(set->contexts);
}
#else
static bool peer_load(void)
{
    return false;
}

static void peer_init(struct set *set, enum kw_srtp_profile profile)
{
    (void)set;
    (void)profile;
}

static void peer_deinit(struct set *set)
{
    (void)set;
}
#endif

/* Measuring. */

struct figures {
    double protect, unprotect; /* ns per packet */
};

static struct packet group[GROUP];
static uint8_t *sealed; /* what the senders made, for the receivers: ROOM bytes each */

static void shuffle(uint32_t *streams, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = next_random() % (i + 1);
        uint32_t other = streams[i];

        streams[i] = streams[j];
        streams[j] = other;
    }
}

static void write_packet(struct packet *packet, uint32_t stream, uint16_t seq, size_t payload_len)
{
    uint32_t ssrc = SSRC + stream;

    packet->len = 12 + payload_len;
    memset(packet->bytes, seq & 0x7f, packet->len);
    packet->bytes[0] = 0x80;
    packet->bytes[1] = 111;
    packet->bytes[2] = (uint8_t)(seq >> 8);
    packet->bytes[3] = (uint8_t)seq;
    for (size_t i = 0; i < 4; i++)
        packet->bytes[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], by_value);
    return values[count / 2];
}

/* Seals one packet of each listed stream; what comes out is kept behind `out`. */
static double seal_pass(struct set *set, const uint32_t *streams, size_t count, bool one_stream,
                        size_t payload_len, bool batch, uint8_t *out)
{
    size_t sealed_len = 12 + payload_len + KW_TAG_LEN;
    double times[COLD_PACKETS / GROUP];

    for (size_t at = 0; at < count; at += GROUP) {
        double began;

        for (size_t i = 0; i < GROUP; i++)
            write_packet(&group[i], streams[at + i],
                         (uint16_t)(set->seq + (one_stream ? at + i : 0)), payload_len);
        began = now_ns();
        set->run(set, true, streams + at, group, batch);
        times[at / GROUP] = (now_ns() - began) / GROUP;
        for (size_t i = 0; i < GROUP; i++)
            memcpy(out + (at + i) * sealed_len, group[i].bytes, sealed_len);
    }
    set->seq = (uint16_t)(set->seq + (one_stream ? count : 1));
    return median(times, count / GROUP);
}

static double open_pass(struct set *set, const uint32_t *streams, size_t count, size_t payload_len,
                        bool batch, const uint8_t *in)
{
    size_t sealed_len = 12 + payload_len + KW_TAG_LEN;
    double times[COLD_PACKETS / GROUP];

    for (size_t at = 0; at < count; at += GROUP) {
        double began;

        for (size_t i = 0; i < GROUP; i++) {
            memcpy(group[i].bytes, in + (at + i) * sealed_len, sealed_len);
            group[i].len = sealed_len;
        }
        began = now_ns();
        set->run(set, false, streams + at, group, batch);
        times[at / GROUP] = (now_ns() - began) / GROUP;
    }
    return median(times, count / GROUP);
}

/*
 * Two passes over all senders, then two over all receivers; the second ones count, so that what is
 * cold is so because of the other streams and not because the peer ran before. The figure is the
 * median group: one in which the machine did something else does not count.
 */
static struct figures measure(struct set *set, const uint32_t *streams, size_t count,
                              bool one_stream, size_t payload_len, bool batch)
{
    uint8_t *second = sealed + STREAMS * ROOM;
    struct figures ret;

    (void)seal_pass(set, streams, count, one_stream, payload_len, batch, sealed);
    ret.protect = seal_pass(set, streams, count, one_stream, payload_len, batch, second);
    (void)open_pass(set, streams, count, payload_len, batch, sealed);
    ret.unprotect = open_pass(set, streams, count, payload_len, batch, second);
    return ret;
}

static void report(const char *what, const char *direction, double *ours, double *theirs)
{
    double ratios[ROUNDS];

    for (size_t i = 0; theirs != NULL && i < ROUNDS; i++)
        ratios[i] = theirs[i] / ours[i];
    printf("{\"bench\":\"srtp\",\"variant\":\"%s %s\",\"ours\":%.1f,\"unit\":\"ns\"", what,
           direction, median(ours, ROUNDS));
    if (theirs != NULL) {
        printf(",\"peer\":\"%s\",\"peer_value\":%.1f,\"ratio\":%.2f", peer_name,
               median(theirs, ROUNDS), median(ratios, ROUNDS));
    } else {
        printf(",\"peer\":null,\"peer_value\":null,\"ratio\":null");
    }
    printf("}\n");
    fflush(stdout);
}

enum shape { HOT, COLD_SINGLE, COLD_BATCH };

static void compare(const char *what, struct set *ours, struct set *theirs, enum shape shape,
                    size_t payload_len)
{
    static uint32_t streams[STREAMS];
    size_t count = shape == HOT ? HOT_PACKETS : COLD_PACKETS;
    double mine[2][ROUNDS], peers[2][ROUNDS];

    for (size_t round = 0; round < ROUNDS + 1; round++) {
        size_t slot = round == 0 ? 0 : round - 1; /* round 0 warms up and is overwritten */
        struct figures figures;

        for (uint32_t i = 0; i < STREAMS; i++)
            streams[i] = shape == HOT ? 0 : i;
        if (shape != HOT)
            shuffle(streams, STREAMS);
        figures = measure(ours, streams, count, shape == HOT, payload_len, shape == COLD_BATCH);
        mine[0][slot] = figures.protect;
        mine[1][slot] = figures.unprotect;
        if (theirs == NULL)
            continue;
        figures = measure(theirs, streams, count, shape == HOT, payload_len, false);
        peers[0][slot] = figures.protect;
        peers[1][slot] = figures.unprotect;
    }
    report(what, "protect", mine[0], theirs != NULL ? peers[0] : NULL);
    report(what, "unprotect", mine[1], theirs != NULL ? peers[1] : NULL);
}

static void run_profile(struct kw_crypto *crypto, enum kw_srtp_profile profile, bool has_peer,
                        const char *wanted)
{
    static const char *const kernels[] = {"vaes512", "vaes", "aesni", "evp"};
    static const char *const shapes[] = {"hot", "cold single", "cold batch"};
    bool is_128 = profile == KW_SRTP_AEAD_AES_128_GCM;
    struct set ours, theirs;

    if (has_peer)
        peer_init(&theirs, profile);
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
        const struct kw_srtp_kernel *kernel = kw_srtp_kernel_select(crypto, kernels[k]);

        if (kernel == NULL) {
            fprintf(stderr, "kernel %s does not run here\n", kernels[k]);
            continue;
        }
        fprintf(stderr, "kernel %s, %s\n", kernels[k], kw_srtp_profile_name(profile));
        ours_init(&ours, crypto, kernel, profile);
        for (size_t p = 0; p < sizeof payloads / sizeof payloads[0]; p++) {
            for (unsigned shape = HOT; shape <= COLD_BATCH; shape++) {
                char what[80];

                if (!is_128 && payloads[p] != 160)
                    continue;
                snprintf(what, sizeof what, "%s %s %zu B %s", kernels[k],
                         is_128 ? "GCM-128" : "GCM-256", payloads[p], shapes[shape]);
                if (strstr(what, wanted) != NULL)
                    compare(what, &ours, has_peer ? &theirs : NULL, shape, payloads[p]);
            }
        }
        ours_deinit(&ours);
    }
    if (has_peer)
        peer_deinit(&theirs);
}

int main(int argc, char *argv[])
{
    const char *wanted = argc > 1 ? argv[1] : ""; /* part of the variants' names */
    struct kw_openssl_config config = {.associations = 1, .srtp_keys = 2 * STREAMS};
    bool has_peer = peer_load();
    struct kw_crypto *crypto;

    check(kw_openssl_new(&config, &crypto) == KW_OK, "kw_openssl_new");
    arena_open();
    sealed = allocate((size_t)2 * STREAMS * ROOM);
    fprintf(stderr, "ours: best kernel %s, provider %s; peer: %s\n",
            kw_srtp_kernel_name(kw_srtp_kernel_select(crypto, NULL)), crypto->ops->name,
            has_peer ? peer_name : "none (needs libsrtp2-dev and the Debian source package)");
    printf("{\"bench\":\"srtp\",\"variant\":\"bytes per key GCM-128\",\"ours\":%zu,\"unit\":\"B\","
           "\"peer\":null,\"peer_value\":null,\"ratio\":null}\n",
           sizeof(struct kw_gcm_key));
    run_profile(crypto, KW_SRTP_AEAD_AES_128_GCM, has_peer, wanted);
    run_profile(crypto, KW_SRTP_AEAD_AES_256_GCM, has_peer, wanted);
    free(sealed);
    kw_openssl_free(crypto);
    kw_arena_close(arena);
    return 0;
}
