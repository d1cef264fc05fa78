/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of facts: reservations are kept, a full ring refuses, two threads agree on the order. */
#include "check.h"

#include "audit/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct kw_fact_ring ring;

static void *ring_of(uint64_t slot_count)
{
    void *memory = aligned_alloc(64, (kw_fact_ring_size(slot_count) + 63) / 64 * 64);

    assert_non_null(memory);
    kw_fact_ring_init(&ring, memory, slot_count);
    return memory;
}

static void put(uint64_t number)
{
    struct kw_fact fact = {.type = KW_FACT_OVERDUE, .u.overdue = {.beyond_us = number}};

    kw_fact_ring_put(&ring, &fact);
}

static void a_full_ring_refuses(void **state)
{
    void *memory = ring_of(8);

    (void)state;
    assert_true(kw_fact_ring_reserve(&ring, 5));
    assert_false(kw_fact_ring_reserve(&ring, 4));
    assert_int_equal(ring.refused, 1);
    assert_true(kw_fact_ring_reserve(&ring, 3));
    for (uint64_t i = 0; i < 8; i++)
        put(i);
    assert_false(kw_fact_ring_reserve(&ring, 1));
    assert_int_equal(kw_fact_ring_peek(&ring, 0)->u.overdue.beyond_us, 0);
    assert_int_equal(kw_fact_ring_peek(&ring, 7)->u.overdue.beyond_us, 7);
    assert_null(kw_fact_ring_peek(&ring, 8));
    kw_fact_ring_pop(&ring, 2);
    assert_true(kw_fact_ring_reserve(&ring, 2));
    assert_false(kw_fact_ring_reserve(&ring, 1));
    free(memory);
}

static void a_released_reservation_is_room_again(void **state)
{
    void *memory = ring_of(4);

    (void)state;
    assert_true(kw_fact_ring_reserve(&ring, 4));
    kw_fact_ring_release(&ring, 3);
    assert_true(kw_fact_ring_reserve(&ring, 3));
    assert_false(kw_fact_ring_reserve(&ring, 1));
    free(memory);
}

static jmp_buf broken;

static void on_broken(const char *expression, const char *file, int line)
{
    (void)expression;
    (void)file;
    (void)line;
    longjmp(broken, 1);
}

static void to_put_without_a_reservation_is_a_broken_promise(void **state)
{
    void *memory = ring_of(4);
    volatile bool stopped = true;

    (void)state;
    kw_set_assert_hook(on_broken);
    if (setjmp(broken) == 0) {
        put(1);
        stopped = false;
    }
    kw_set_assert_hook(NULL);
    assert_true(stopped);
    free(memory);
}

enum { FACTS = 200000 };

static void *produce(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < FACTS; i++) {
        while (!kw_fact_ring_reserve(&ring, 1))
            sched_yield();
        put(i);
    }
    return NULL;
}

static void two_threads_agree_on_the_order(void **state)
{
    void *memory = ring_of(64);
    pthread_t producer;

    (void)state;
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    for (uint64_t i = 0; i < FACTS;) {
        const struct kw_fact *fact = kw_fact_ring_peek(&ring, 0);

        if (fact == NULL) {
            sched_yield();
            continue;
        }
        CHECK(fact->u.overdue.beyond_us == i, "fact %llu came as %llu",
              (unsigned long long)fact->u.overdue.beyond_us, (unsigned long long)i);
        kw_fact_ring_pop(&ring, 1);
        i++;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_refuses),
        cmocka_unit_test(a_released_reservation_is_room_again),
        cmocka_unit_test(to_put_without_a_reservation_is_a_broken_promise),
        cmocka_unit_test(two_threads_agree_on_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
