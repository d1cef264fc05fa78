/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of the gateway's provider and of its random source fails once, somewhere in the life
 * of a call with a rotation, by `parallel` and by `overlap`. Whatever becomes of that call: nothing
 * leaks, no slot of the audit ring is lost, and the next call works.
 */
#include "check.h"

#include "gateway/world.h"

#include <stdlib.h>
#include <string.h>

static void live(struct world *world)
{
    struct peer *first, *second;

    if (world_call(world, &first) == 201 && world_until(world, world_newest_is_up, KW_S(3))) {
        world_run(world, world->now + KW_MS(500));
        if (world->config.overlap)
            (void)world_order_rotation(world, first);
        if (world->config.overlap || world_add(world, first, &second) == 201)
            world_run(world, world->now + KW_S(12));
        (void)world_request(world, KW_REQUEST_DELETE, first->location, "demo-token", "", NULL, 0);
    }
    world_run(world, world->now + KW_S(35));
}

/* False: the fault came too late to happen. */
static bool fails_once(const struct world_config *config)
{
    struct world *world = world_new(config);
    struct peer *peer;
    bool fired;

    live(world);
    fired = world->faulty != NULL ? faulty_crypto_fired(world->faulty)
                                  : world->faulty_random.calls >= config->random_fault_at;
    CHECK(kw_gateway_call_count(world->gateway) == 0, "a call is left, fault %zu, %zu",
          config->fault_at, config->random_fault_at);
    if (world->faulty != NULL)
        faulty_crypto_arm(world->faulty, 0, KW_OK, false);
    world->faulty_random.fail_at = 0;
    CHECK(world_call(world, &peer) == 201 && world_until(world, world_newest_is_up, KW_S(5)),
          "no call afterwards, fault %zu, %zu", config->fault_at, config->random_fault_at);
    world_free(world);
    return fired;
}

static const struct world_config plain = {
    .seed = 9,
    .link = {.delay = KW_MS(5)},
    .calls_max = 4,
    .clients_max = 8,
    .media_interval = KW_MS(100),
};

static void the_provider_fails_once(void **state)
{
    struct world_config config = plain;

    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t n = 1;

        config.overlap = i == 1;
        /* Each of the first calls, which are the handshakes; then some of the many that follow. */
        for (;; n += n < 400 ? 1 : 37) {
            config.fault_at = n;
            if (!fails_once(&config))
                break;
        }
        print_message("# the provider failed at call 1 to about %zu\n", n);
        assert_true(n > 100);
    }
}

static void the_random_source_fails_once(void **state)
{
    struct world_config config = plain;

    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t n = 1;

        config.overlap = i == 1;
        for (;; n++) {
            config.random_fault_at = n;
            if (!fails_once(&config))
                break;
        }
        print_message("# the random source failed at call 1 to %zu\n", n - 1);
        assert_true(n > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_provider_fails_once),
        cmocka_unit_test(the_random_source_fails_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
