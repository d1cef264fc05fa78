/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SRTP_COMMON_H
#define KW_TESTS_SRTP_COMMON_H

/* Contexts, packets and seeded randomness for the SRTP tests. */

#include "check.h"

#include <keywheel/openssl.h>
#include <keywheel/srtp.h>

#include "crypto/packet_kernel.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT_MAX = 1024 + KW_SRTP_SSRC_MAX * 192, BUFFER = 2048 };

static const enum kw_srtp_profile profiles[] = {
    KW_SRTP_AEAD_AES_128_GCM,
    KW_SRTP_AEAD_AES_256_GCM,
    KW_SRTP_AES128_CM_SHA1_80,
};

/* Room for one context, aligned as it must be. */
struct context_mem {
    _Alignas(64) uint8_t bytes[CONTEXT_MAX];
};

static inline struct kw_crypto *test_crypto(void)
{
    static struct kw_crypto *crypto;
    struct kw_openssl_config config = {.associations = 1, .handshakes = 1, .srtp_keys = 64};

    if (crypto == NULL)
        assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    return crypto;
}

/* Such a kernel can only be missing because it failed its known answers. */
static inline bool cpu_has_kernel(const char *name)
{
#ifdef __x86_64__
    if (strcmp(name, "vaes512") == 0)
        return kw_cpu_has_vaes512();
    if (strcmp(name, "vaes") == 0)
        return kw_cpu_has_vaes();
    if (strcmp(name, "aesni") == 0)
        return kw_cpu_has_aesni();
#endif
    return strcmp(name, "evp") == 0;
}

/* KW_KERNEL names the kernel under test; the best one otherwise. Each run says which. */
static inline const struct kw_srtp_kernel *test_kernel(void)
{
    static const struct kw_srtp_kernel *kernel;
    const char *name = getenv("KW_KERNEL");

    if (kernel == NULL) {
        kernel = kw_srtp_kernel_select(test_crypto(), name != NULL && *name != '\0' ? name : NULL);
        if (kernel == NULL && (name == NULL || cpu_has_kernel(name))) {
            printf("Bail out! kernel %s runs here and gives wrong answers\n",
                   name != NULL ? name : "of any kind");
            exit(1);
        }
        if (kernel == NULL) {
            printf("1..0 # SKIP kernel %s does not run on this machine\n", name);
            exit(0);
        }
        printf("# kernel: %s, provider: %s\n", kw_srtp_kernel_name(kernel),
               test_crypto()->ops->name);
        fflush(stdout);
    }
    return kernel;
}

static inline struct kw_srtp_master test_master(enum kw_srtp_profile profile, unsigned seed)
{
    bool cm = profile == KW_SRTP_AES128_CM_SHA1_80;
    struct kw_srtp_master master = {
        .profile = profile,
        .key_len = profile == KW_SRTP_AEAD_AES_256_GCM ? 32 : 16,
        .salt_len = cm ? 14 : 12,
    };

    for (size_t i = 0; i < sizeof master.key; i++)
        master.key[i] = (uint8_t)(seed * 31 + i * 7 + 1);
    for (size_t i = 0; i < sizeof master.salt; i++)
        master.salt[i] = (uint8_t)(seed * 17 + i * 11 + 2);
    return master;
}

struct context_options {
    enum kw_srtp_profile profile;
    unsigned seed;
    bool for_sending;
    bool cryptex;
    size_t ssrc_max;                     /* 0: 8 */
    const struct kw_srtp_kernel *kernel; /* NULL: the one under test */
};

static inline struct kw_srtp *make_context(struct context_mem *mem, struct context_options options)
{
    struct kw_srtp_master master = test_master(options.profile, options.seed);
    struct kw_srtp_params params = {
        .kernel = options.kernel != NULL ? options.kernel : test_kernel(),
        .crypto = test_crypto(),
        .master = &master,
        .for_sending = options.for_sending,
        .ssrc_max = options.ssrc_max != 0 ? options.ssrc_max : 8,
        .cryptex = options.cryptex,
    };
    struct kw_srtp *srtp = NULL;

    assert_true(kw_srtp_size(params.ssrc_max) <= sizeof mem->bytes);
    assert_int_equal(kw_srtp_init(mem, &params, &srtp), KW_OK);
    return srtp;
}

/* A sender and its receiver. */
struct pair {
    struct context_mem send_mem, receive_mem;
    struct kw_srtp *send, *receive;
};

static inline void pair_init(struct pair *pair, enum kw_srtp_profile profile)
{
    pair->send = make_context(&pair->send_mem,
                              (struct context_options){.profile = profile, .for_sending = true});
    pair->receive = make_context(&pair->receive_mem, (struct context_options){.profile = profile});
}

static inline void pair_deinit(struct pair *pair)
{
    kw_srtp_deinit(pair->send);
    kw_srtp_deinit(pair->receive);
}

struct packet {
    size_t len;
    uint8_t bytes[BUFFER];
};

static inline void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static inline struct packet rtp_packet(uint32_t ssrc, unsigned seq, size_t payload_len)
{
    struct packet packet = {.len = 12 + payload_len};

    packet.bytes[0] = 0x80;
    packet.bytes[1] = 111;
    put16(packet.bytes + 2, seq & 0xffff);
    put32(packet.bytes + 4, seq * 960);
    put32(packet.bytes + 8, ssrc);
    for (size_t i = 0; i < payload_len; i++)
        packet.bytes[12 + i] = (uint8_t)(seq * 3 + i);
    return packet;
}

static inline struct packet rtcp_packet(uint32_t ssrc, size_t payload_len)
{
    struct packet packet = {.len = 8 + payload_len};

    packet.bytes[0] = 0x80;
    packet.bytes[1] = 200;
    put16(packet.bytes + 2, (unsigned)((8 + payload_len) / 4 - 1));
    put32(packet.bytes + 4, ssrc);
    for (size_t i = 0; i < payload_len; i++)
        packet.bytes[8 + i] = (uint8_t)(ssrc + i);
    return packet;
}

static inline enum kw_verdict protect(struct kw_srtp *srtp, struct packet *packet)
{
    if (kw_srtp_is_rtcp(packet->bytes, packet->len))
        return kw_srtcp_protect(srtp, packet->bytes, &packet->len, sizeof packet->bytes);
    return kw_srtp_protect(srtp, packet->bytes, &packet->len, sizeof packet->bytes);
}

static inline enum kw_verdict unprotect(struct kw_srtp *srtp, struct packet *packet)
{
    if (kw_srtp_is_rtcp(packet->bytes, packet->len))
        return kw_srtcp_unprotect(srtp, packet->bytes, &packet->len);
    return kw_srtp_unprotect(srtp, packet->bytes, &packet->len);
}

static inline bool same_packet(const struct packet *a, const struct packet *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* splitmix64: small, seeded, good enough for tests. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void random_bytes(uint64_t *state, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = next_random(state);

        memcpy(dst + i, &word, len - i < 8 ? len - i : 8);
    }
}

/* Hex digits, blanks ignored; returns the number of bytes. */
static inline size_t hex_bytes(const char *hex, uint8_t *dst)
{
    size_t digits = 0;

    for (; *hex != '\0'; hex++) {
        int c = (unsigned char)*hex, value;

        if (c == ' ')
            continue;
        value = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        dst[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : dst[digits / 2] | value);
        digits++;
    }
    return digits / 2;
}

#endif
