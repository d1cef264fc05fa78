/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an idle association holds, counted: its own block, and every byte that libcrypto has for it,
 * its share of the provider's pools included. A program of its own, because the heap that counts
 * comes before anything else.
 */
#include "check.h"

#include "counted.h"
#include "dtls_bench.h"

/* DESIGN section 4, rule 1: at most 12 KiB. What we reach is kept. */
enum { GATE = 12 * 1024, REACHED = 4 * 1024 };
_Static_assert(REACHED <= GATE, "never looser than the rule");

void dtls_must(bool ok, const char *what)
{
    CHECK(ok, "%s", what);
}

static void an_idle_association_is_small(void **state)
{
    static const struct dtls_group groups[] = {
        {.id = KW_GROUP_P256, .name = "P-256"},
        {.id = KW_GROUP_X25519MLKEM768, .name = "X25519MLKEM768"},
    };

    (void)state;
    ours_open(1);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct dtls_memory memory;
        size_t sum;

        ours_use_group(&groups[i]);
        ours_memory(&memory);
        sum = memory.block + memory.libcrypto;
        print_message("%s: %zu bytes: %zu of the block, %zu of libcrypto\n", groups[i].name, sum,
                      memory.block, memory.libcrypto);
        CHECK(memory.libcrypto != 0, "%s: the heap counts nothing", groups[i].name);
        CHECK(sum <= REACHED, "%s: %zu bytes", groups[i].name, sum);
    }
    ours_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_association_is_small),
    };

    if (counted_install() != KW_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
