/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left on the dead stack after a key exchange. The stack below is painted, an operation
 * runs, and the area is searched for the secret it returned.
 */
#include "check.h"
#include "provider.h"

#include <string.h>

enum { DEPTH = 128 * 1024, PAINT = 0xc3, PIECE = 16 };

static const uint8_t *area; /* dead stack, on purpose */

__attribute__((noinline)) static void paint(void)
{
    volatile uint8_t dead[DEPTH];

    for (size_t i = 0; i < DEPTH; i++)
        dead[i] = PAINT;
    __asm__ volatile("" : "=r"(area) : "0"(dead) : "memory"); /* the compiler need not know */
}

/* The caller's frame is above the area; this function's own is inside and holds no secret. */
__attribute__((noinline)) static size_t find(const uint8_t *secret, size_t len)
{
    size_t found = 0;

    for (size_t at = 0; at + PIECE <= len; at += PIECE) {
        for (size_t i = 0; i + PIECE <= DEPTH; i++) {
            size_t same = 0;

            while (same < PIECE && ((const volatile uint8_t *)area)[i + same] == secret[at + same])
                same++;
            found += same == PIECE;
        }
    }
    return found;
}

__attribute__((noinline)) static void leave_behind(const struct kw_secret *secret)
{
    uint8_t local[4096 + KW_DIGEST_MAX];

    memcpy(local + 64, secret->bytes, secret->len);
    __asm__ volatile("" : : "r"(local) : "memory");
}

static struct kw_secret a, b;
static uint8_t offer[KW_KX_SHARE_MAX], answer[KW_KX_SHARE_MAX];

static void secrets_are_not_left_behind(void **state)
{
    static const enum kw_group groups[] = {KW_GROUP_P256, KW_GROUP_P384, KW_GROUP_X25519,
                                           KW_GROUP_X25519MLKEM768};

    (void)state;
    for (size_t i = 0; i < 3 * KW_ARRAY_LEN(groups); i++) {
        enum kw_group group = groups[i / 3];
        size_t offer_len, answer_len;
        enum kw_verdict verdict;
        struct kw_kx *kx;

        assert_int_equal(crypto->ops->kx_offer(crypto, group, &kx, offer, &offer_len), KW_OK);
        paint();
        assert_int_equal(crypto->ops->kx_answer(crypto, group, (struct kw_bytes){offer, offer_len},
                                                answer, &answer_len, &a, &verdict),
                         KW_OK);
        CHECK(find(a.bytes, a.len) == 0, "answering %s", kw_group_name(group));
        paint();
        assert_int_equal(
            crypto->ops->kx_finish(kx, (struct kw_bytes){answer, answer_len}, &b, &verdict), KW_OK);
        CHECK(find(b.bytes, b.len) == 0, "finishing %s", kw_group_name(group));
        crypto->ops->kx_free(kx);
    }
}

static void the_search_can_find(void **state)
{
    (void)state;
    paint();
    leave_behind(&a);
    assert_true(find(a.bytes, a.len) > 0);
    paint();
    leave_behind(&a);
    kw_wipe_stack();
    assert_int_equal(find(a.bytes, a.len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_not_left_behind),
        cmocka_unit_test(the_search_can_find),
    };

    return cmocka_run_group_tests(tests, provider_begin, provider_end);
}
