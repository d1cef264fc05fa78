/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows secrets around: memcheck takes them for uninitialised memory and reports every branch and
 * every address that depends on one. Runs under valgrind, where the errors are counted; the
 * positive controls show that it would notice. ML-KEM's sources are compiled into this program with
 * KW_MLKEM_REVEAL defined (tests/crypto/meson.build).
 */
#include "crypto/mlkem/mlkem.h"

#include "check.h"

#include <string.h>
#include <valgrind/memcheck.h>

#define SECRET(object) (void)VALGRIND_MAKE_MEM_UNDEFINED(&(object), sizeof(object))
#define PUBLIC(object) (void)VALGRIND_MAKE_MEM_DEFINED(&(object), sizeof(object))

static unsigned long errors(void)
{
    return VALGRIND_COUNT_ERRORS;
}

static void controls_are_reported(void **state)
{
    static const uint8_t table[256] = {1};
    volatile uint8_t sink = 0;
    uint8_t secret[2] = {3, 4};
    unsigned long before;

    (void)state;
    SECRET(secret);
    before = errors();
    if (secret[0] & 1)
        __asm__ volatile("nop"); /* keeps it a branch */
    CHECK(errors() == before + 1, "a branch on a secret went unnoticed");
    sink = table[secret[1]];
    CHECK(errors() == before + 2, "an address made of a secret went unnoticed");
    (void)sink;
}

/* The way of a secret through the whole scheme reaches its end. */
static void taint_arrives(void **state)
{
    uint8_t message[32] = {1}, secret[32], ct[KW_MLKEM768_CT_LEN], seed[64] = {2};
    static uint8_t ek[KW_MLKEM768_EK_LEN];
    static struct kw_mlkem768_key key;

    (void)state;
    kw_mlkem768_keygen(seed, &key, ek);
    SECRET(message);
    assert_true(kw_mlkem768_encaps(ek, message, ct, secret));
    assert_true(VALGRIND_CHECK_MEM_IS_DEFINED(secret, sizeof secret) != 0);
    assert_true(VALGRIND_CHECK_MEM_IS_DEFINED(ct, sizeof ct) != 0);
    PUBLIC(secret);
}

static void mlkem_keeps_its_secrets(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        uint8_t seed[KW_MLKEM768_SEED_LEN], message[32], a[32], b[32], c[32];
        static uint8_t ek[KW_MLKEM768_EK_LEN], ct[KW_MLKEM768_CT_LEN];
        static struct kw_mlkem768_key key;
        unsigned long before = errors();
        bool good;

        memset(seed, 17 * round + 1, sizeof seed);
        memset(message, 29 * round + 2, sizeof message);
        SECRET(seed);
        SECRET(message);
        kw_mlkem768_keygen(seed, &key, ek);
        CHECK(errors() == before, "key generation, round %d", round);
        PUBLIC(ek);
        good = kw_mlkem768_encaps(ek, message, ct, a);
        CHECK(errors() == before, "encapsulation, round %d", round);
        assert_true(good);
        PUBLIC(ct);
        kw_mlkem768_decaps(&key, ct, b);
        CHECK(errors() == before, "decapsulation, round %d", round);
        ct[round] ^= 1; /* whether a ciphertext is ours is a secret, too */
        kw_mlkem768_decaps(&key, ct, c);
        CHECK(errors() == before, "implicit rejection, round %d", round);
        PUBLIC(a);
        PUBLIC(b);
        PUBLIC(c);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_not_equal(a, c, sizeof a);
        PUBLIC(key);
    }
}

static void comparison_keeps_its_secrets(void **state)
{
    uint8_t a[48] = {1}, b[48] = {1};
    unsigned long before = errors();
    bool equal;

    (void)state;
    SECRET(a);
    SECRET(b);
    equal = kw_ct_equal(a, b, sizeof a);
    assert_int_equal(errors(), before);
    PUBLIC(equal);
    assert_true(equal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_are_reported),
        cmocka_unit_test(taint_arrives),
        cmocka_unit_test(mlkem_keeps_its_secrets),
        cmocka_unit_test(comparison_keeps_its_secrets),
    };

    if (!RUNNING_ON_VALGRIND) {
        (void)printf("1..0 # SKIP not under valgrind\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
