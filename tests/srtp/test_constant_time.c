/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows secrets through the AES-NI kernel and the comparison of tags: memcheck takes them for
 * uninitialised memory and reports each branch and each address that depends on one. Runs under
 * valgrind, where the errors are counted; the controls show that it would notice. The kernel is
 * compiled into this program with KW_GCM_REVEAL defined: whether a tag was right is public.
 */
#include "check.h"

#include "crypto/packet_kernel.h"

#include <string.h>
#include <valgrind/memcheck.h>

enum { BODY_MAX = 1500 };

static unsigned long errors(void)
{
    return VALGRIND_COUNT_ERRORS;
}

static void make_secret(void *mem, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(mem, len);
}

static bool is_secret(const void *mem, size_t len)
{
    return VALGRIND_CHECK_MEM_IS_DEFINED(mem, len) != 0;
}

static void needs_valgrind(void)
{
    if (!RUNNING_ON_VALGRIND || !kw_cpu_has_aesni()) {
        print_message("# skipped: needs valgrind and AES-NI\n");
        skip();
    }
}

static void controls_are_reported(void **state)
{
    static const uint8_t table[256] = {1};
    volatile uint8_t sink = 0;
    uint8_t secret[2] = {3, 4}, other[2] = {3, 5};
    unsigned long before;

    (void)state;
    needs_valgrind();
    make_secret(secret, sizeof secret);
    before = errors();
    if (secret[0] & 1)
        __asm__ volatile("nop"); /* keeps it a branch */
    CHECK(errors() == before + 1, "a branch on a secret went unnoticed");
    sink = table[secret[1]];
    CHECK(errors() == before + 2, "an address made of a secret went unnoticed");
    if (memcmp(secret, other, sizeof secret) == 0)
        sink = 1;
    CHECK(errors() > before + 2, "memcmp() of secrets went unnoticed");
    (void)sink;
}

struct packet_mem {
    uint8_t aad[64 + KW_TAG_LEN];
    uint8_t body[BODY_MAX + KW_TAG_LEN];
};

static struct kw_packet view_of(struct packet_mem *mem, size_t aad_len, size_t body_len)
{
    return (struct kw_packet){.aad = mem->aad,
                              .aad_len = aad_len,
                              .body = mem->body,
                              .body_len = body_len,
                              .tag = mem->body + body_len};
}

/* Every length up to 400 (each tail of the kernel), and some long ones. */
static size_t next_len(size_t len)
{
    return len < 400 ? len + 1 : len + 137;
}

static void sealing_and_opening(void **state)
{
    (void)state;
    needs_valgrind();
    for (size_t row = 0; row < 2; row++) {
        const struct kw_gcm *gcm = &kw_gcm_aesni[row];
        static struct packet_mem mem;
        uint8_t cipher_key[KW_KEY_MAX] = {1, 2, 3};
        unsigned long before = errors();
        struct kw_gcm_key key;
        size_t rounds = 0;

        make_secret(cipher_key, sizeof cipher_key);
        assert_int_equal(gcm->init(&key, NULL, cipher_key, true), KW_OK);
        for (size_t len = 0; len <= BODY_MAX; len = next_len(len)) {
            struct kw_packet packet = view_of(&mem, 12 + len % 3 * 24, len);
            enum kw_verdict verdict;

            memset(&mem, 7, sizeof mem);
            make_secret(mem.body, len);
            assert_int_equal(gcm->seal(&key, &packet), KW_ACCEPT);
            /* It went through the cipher: what came out is secret until we send it. */
            CHECK(is_secret(packet.tag, KW_TAG_LEN), "length %zu: the tag lost its taint", len);
            before++; /* that question itself was reported */
            verdict = gcm->verify(&key, &packet);
            assert_int_equal(verdict, KW_ACCEPT);
            verdict = gcm->open(&key, &packet);
            assert_int_equal(verdict, KW_ACCEPT);
            CHECK(len == 0 || is_secret(mem.body, len), "length %zu: the body lost its taint", len);
            before += len != 0;
            /* A wrong tag takes the other branch. */
            memset(&mem, 7, sizeof mem);
            make_secret(mem.body, len);
            packet = view_of(&mem, 12, len);
            assert_int_equal(gcm->verify(&key, &packet), KW_DROP_FORGED);
            assert_int_equal(gcm->open(&key, &packet), KW_DROP_FORGED);
            rounds++;
        }
        CHECK(errors() == before, "row %zu: %lu secret-dependent branches or addresses", row,
              errors() - before);
        printf("# aesni, row %zu: %zu lengths\n", row, rounds);
    }
}

/* The comparison of AES_CM's tags. */
static void tags_are_compared_without_branches(void **state)
{
    uint8_t a[KW_SRTP_MAC_LEN] = {1}, b[KW_SRTP_MAC_LEN] = {1};
    unsigned long before;
    bool same;

    (void)state;
    needs_valgrind();
    make_secret(a, sizeof a);
    before = errors();
    same = kw_ct_equal(a, b, 10);
    CHECK(errors() == before, "kw_ct_equal() branches on what it compares");
    CHECK(is_secret(&same, sizeof same), "the answer lost its taint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_are_reported),
        cmocka_unit_test(sealing_and_opening),
        cmocka_unit_test(tags_are_compared_without_branches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
