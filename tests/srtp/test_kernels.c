/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel under test against libcrypto: equal on random packets, and not one flipped bit passes.
 * KW_PACKETS sets how many random packets (default 100,000; the whole campaign is 10,000,000) and
 * KW_FLIP_PACKETS how many packets have each bit flipped (default 1,000; the whole is 10,000).
 */
#include "srtp/common.h"

#include "srtp/kernel.h"

static uint64_t setting(const char *name, uint64_t usual, uint64_t full)
{
    const char *value = getenv(name);

    if (value != NULL && *value != '\0')
        return strtoull(value, NULL, 0);
    value = getenv("KW_FULL");
    return value != NULL && *value == '1' ? full : usual;
}

/* A random RTP packet: 0..15 CSRCs, sometimes an extension, 0..1500 bytes in all. */
static struct packet random_packet(uint64_t *seed, unsigned seq)
{
    uint64_t r = next_random(seed);
    struct packet packet = rtp_packet(1, seq, 0);
    unsigned csrcs = r % 4 == 0 ? (unsigned)(r >> 8) % 16 : 0;
    bool has_ext = (r >> 16) % 3 == 0;
    unsigned words = (unsigned)(r >> 24) % 12;
    size_t payload_max = (r >> 32) % 4 == 0 ? 1500 - 12 - 60 - 52 : 200;

    packet.bytes[0] =
        (uint8_t)(0x80 | (has_ext ? 0x10 : 0) | csrcs | ((r >> 40) % 8 == 0 ? 0x20 : 0));
    packet.len = 12 + 4 * csrcs + (has_ext ? 4 + 4 * words : 0) + (r >> 44) % (payload_max + 1);
    random_bytes(seed, packet.bytes + 12, packet.len - 12);
    if (has_ext) {
        put16(packet.bytes + 12 + 4 * csrcs, 0xbede);
        put16(packet.bytes + 14 + 4 * csrcs, words);
    }
    return packet;
}

/* Four contexts with one key: the kernel's and libcrypto's, senders and receivers. */
struct quartet {
    struct context_mem mem[4];
    struct kw_srtp *send, *receive, *evp_send, *evp_receive;
};

static void quartet_init(struct quartet *four, enum kw_srtp_profile profile, unsigned seed,
                         bool cryptex)
{
    const struct kw_srtp_kernel *evp = kw_srtp_kernel_select(test_crypto(), "evp");
    struct context_options options = {.profile = profile, .seed = seed, .cryptex = cryptex};

    assert_non_null(evp);
    four->receive = make_context(&four->mem[0], options);
    options.for_sending = true;
    four->send = make_context(&four->mem[1], options);
    options.kernel = evp;
    four->evp_send = make_context(&four->mem[2], options);
    options.for_sending = false;
    four->evp_receive = make_context(&four->mem[3], options);
}

static void quartet_deinit(struct quartet *four)
{
    kw_srtp_deinit(four->send);
    kw_srtp_deinit(four->receive);
    kw_srtp_deinit(four->evp_send);
    kw_srtp_deinit(four->evp_receive);
}

static void equals_libcrypto(void **state)
{
    uint64_t count = setting("KW_PACKETS", 100000, 10000000), seed = 20261123;
    static struct quartet four;

    (void)state;
    printf("# %s against evp: %" PRIu64 " packets, seed %" PRIu64 "\n",
           kw_srtp_kernel_name(test_kernel()), count, seed);
    for (uint64_t n = 0; n < count; n++) {
        struct packet plain, ours, theirs;

        if (n % 1000 == 0) {
            if (n != 0)
                quartet_deinit(&four);
            quartet_init(&four, profiles[n / 1000 % 2], (unsigned)(n / 1000), n / 1000 % 5 == 0);
        }
        plain = random_packet(&seed, (unsigned)n);
        ours = plain;
        theirs = plain;
        assert_int_equal(kw_srtp_protect(four.send, ours.bytes, &ours.len, BUFFER), KW_ACCEPT);
        assert_int_equal(kw_srtp_protect(four.evp_send, theirs.bytes, &theirs.len, BUFFER),
                         KW_ACCEPT);
        CHECK(same_packet(&ours, &theirs), "packet %" PRIu64 " sealed", n);
        assert_int_equal(kw_srtp_unprotect(four.receive, theirs.bytes, &theirs.len), KW_ACCEPT);
        assert_int_equal(kw_srtp_unprotect(four.evp_receive, ours.bytes, &ours.len), KW_ACCEPT);
        CHECK(same_packet(&ours, &theirs), "packet %" PRIu64 " opened", n);
        if ((plain.bytes[0] & 0x0f) == 0)
            CHECK(same_packet(&ours, &plain), "packet %" PRIu64 " is what was sent", n);
    }
    quartet_deinit(&four);
}

static void srtcp_equals_libcrypto(void **state)
{
    uint64_t count = setting("KW_PACKETS", 100000, 10000000) / 50, seed = 4711;
    static struct quartet four;

    (void)state;
    for (uint64_t n = 0; n < count; n++) {
        struct packet plain = rtcp_packet((uint32_t)n % 3, n * 4 % 1400), ours, theirs;

        if (n % 1000 == 0) {
            if (n != 0)
                quartet_deinit(&four);
            quartet_init(&four, profiles[n / 1000 % 2], (unsigned)(n / 1000), false);
        }
        random_bytes(&seed, plain.bytes + 8, plain.len - 8);
        ours = plain;
        theirs = plain;
        assert_int_equal(protect(four.send, &ours), KW_ACCEPT);
        assert_int_equal(protect(four.evp_send, &theirs), KW_ACCEPT);
        CHECK(same_packet(&ours, &theirs), "packet %" PRIu64 " sealed", n);
        assert_int_equal(unprotect(four.receive, &theirs), KW_ACCEPT);
        CHECK(same_packet(&theirs, &plain), "packet %" PRIu64 " opened", n);
    }
    quartet_deinit(&four);
}

/* A run of eight bytes of the plaintext would be a leak; less may be chance. */
static bool holds_plaintext(const uint8_t *buffer, const uint8_t *plain, size_t len)
{
    size_t run = 0;

    for (size_t i = 0; i < len; i++) {
        run = buffer[i] == plain[i] ? run + 1 : 0;
        if (run >= 8)
            return true;
    }
    return false;
}

/*
 * Every single bit of a packet on a settled stream (the fused path) and the same on a fresh context
 * (authenticated first). Bits of sequence number and SSRC lead to other states; they must be
 * refused as well. The payload is never zero, so wiped memory is not mistaken for it.
 */
static void no_flipped_bit_passes(void **state)
{
    uint64_t count = setting("KW_FLIP_PACKETS", 1000, 10000), seed = 99, flips = 0;

    (void)state;
    for (uint64_t n = 0; n < count; n++) {
        static struct context_mem send_mem, settled_mem, fresh_mem;
        struct context_options options = {.profile = profiles[n % 2], .seed = (unsigned)n};
        struct kw_srtp *settled = make_context(&settled_mem, options);
        struct kw_srtp *fresh = make_context(&fresh_mem, options);
        struct kw_srtp *send;
        struct packet first = rtp_packet(1, 9, 8), sealed = random_packet(&seed, 10), plain;
        size_t header_len;

        options.for_sending = true;
        send = make_context(&send_mem, options);
        for (size_t i = 12; i < sealed.len; i++) {
            if (sealed.bytes[i] == 0 && i >= 76)
                sealed.bytes[i] = 1;
        }
        plain = sealed;
        assert_int_equal(kw_srtp_protect(send, first.bytes, &first.len, BUFFER), KW_ACCEPT);
        assert_int_equal(kw_srtp_protect(send, sealed.bytes, &sealed.len, BUFFER), KW_ACCEPT);
        assert_int_equal(kw_srtp_unprotect(settled, first.bytes, &first.len), KW_ACCEPT);
        /* what was encrypted begins where the two differ for good */
        header_len = 12 + 4U * (plain.bytes[0] & 15);
        if (plain.bytes[0] & 0x10)
            header_len += 4 + 4U * plain.bytes[header_len + 3];

        for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
            struct packet broken = sealed, copy;
            enum kw_verdict verdict;

            broken.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            copy = broken;
            verdict = kw_srtp_unprotect(settled, broken.bytes, &broken.len);
            CHECK(verdict != KW_ACCEPT, "packet %" PRIu64 ", bit %zu", n, bit);
            CHECK(!holds_plaintext(broken.bytes + header_len, plain.bytes + header_len,
                                   plain.len - header_len),
                  "packet %" PRIu64 ", bit %zu: plaintext left", n, bit);
            verdict = kw_srtp_unprotect(fresh, copy.bytes, &copy.len);
            CHECK(verdict != KW_ACCEPT, "packet %" PRIu64 ", bit %zu, fresh", n, bit);
            copy.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(same_packet(&copy, &sealed), "packet %" PRIu64 ", bit %zu: changed", n, bit);
            flips++;
        }
        /* after all that, the true packet still passes */
        assert_int_equal(kw_srtp_unprotect(settled, sealed.bytes, &sealed.len), KW_ACCEPT);
        assert_true(same_packet(&sealed, &plain));
        kw_srtp_deinit(send);
        kw_srtp_deinit(settled);
        kw_srtp_deinit(fresh);
    }
    printf("# %s: %" PRIu64 " flipped bits in %" PRIu64 " packets refused, twice each\n",
           kw_srtp_kernel_name(test_kernel()), flips, count);
}

/* A kernel with one wrong answer must not be chosen: the known answers see each operation. */
static enum kw_verdict lenient_open(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    (void)kw_srtp_kernel_gcm(test_kernel(), KW_SRTP_AEAD_AES_128_GCM)->open(key, packet);
    return KW_ACCEPT;
}

static enum kw_verdict lenient_verify(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    (void)key;
    (void)packet;
    return KW_ACCEPT;
}

static enum kw_verdict wrong_seal(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    enum kw_verdict verdict =
        kw_srtp_kernel_gcm(test_kernel(), KW_SRTP_AEAD_AES_128_GCM)->seal(key, packet);

    packet->tag[15] ^= packet->body_len > 1000;
    return verdict;
}

static void known_answers_catch_a_broken_kernel(void **state)
{
    const struct kw_gcm *whole = kw_srtp_kernel_gcm(test_kernel(), KW_SRTP_AEAD_AES_128_GCM);
    struct kw_gcm broken = *whole;

    (void)state;
    assert_true(kw_srtp_kernel_check(whole, test_crypto()));
    broken.open = lenient_open;
    assert_false(kw_srtp_kernel_check(&broken, test_crypto()));
    broken = *whole;
    broken.verify = lenient_verify;
    assert_false(kw_srtp_kernel_check(&broken, test_crypto()));
    broken = *whole;
    broken.seal = wrong_seal;
    assert_false(kw_srtp_kernel_check(&broken, test_crypto()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_catch_a_broken_kernel),
        cmocka_unit_test(equals_libcrypto),
        cmocka_unit_test(srtcp_equals_libcrypto),
        cmocka_unit_test(no_flipped_bit_passes),
    };

    (void)test_kernel();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
