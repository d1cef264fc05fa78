/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two peers of libkeywheel, each in a process and a network of its own, change their keys by
 * `overlap` once a second. Whatever is not thrown away on purpose arrives, or the kernel says that
 * it dropped it.
 *
 * KW_FULL=1: 5 minutes. KW_OVERLAP_SECONDS and KW_OVERLAP_PER_SECOND say otherwise.
 */
#include "check.h"

#include "link.h"
#include "overlap_end.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_MS = 5, TARGET_US = 1000 };

struct lab {
    struct overlap_plan plan;
    struct overlap_identity identities[2];
    struct overlap_figures *figures[2];
    struct link_losses losses[2]; /* shared: written by the child */
};

static struct link link_of_test;
static bool has_link;

static kw_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (kw_ns)ts.tv_sec * KW_S(1) + (kw_ns)ts.tv_nsec;
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void *shared_memory(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(mem != MAP_FAILED);
    return mem;
}

static size_t packets_of(const struct overlap_plan *plan)
{
    return (size_t)plan->seconds * plan->per_second;
}

static void child(struct lab *lab, struct link_losses *losses, unsigned number)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!link_enter(&link_of_test.ends[number]))
        _exit(EXIT_FAILURE);
    overlap_end_run(&lab->plan, number, link_of_test.ends[number].fd, &lab->identities[number],
                    &lab->identities[1 - number].fingerprint, lab->figures[number]);
    _exit(link_losses(losses) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void run(struct lab *lab)
{
    struct link_losses *losses = shared_memory(2 * sizeof *losses);
    pid_t pids[2];

    for (unsigned i = 0; i < 2; i++) {
        assert_true(overlap_identity_new(&lab->identities[i]));
        lab->figures[i] = shared_memory(sizeof *lab->figures[i]);
        lab->figures[i]->is_thrown = shared_memory(packets_of(&lab->plan));
        lab->figures[i]->delays = shared_memory(packets_of(&lab->plan) * sizeof(uint32_t));
    }
    lab->plan.begin = clock_now() + KW_S(1);
    fflush(NULL);
    for (unsigned i = 0; i < 2; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            child(lab, &losses[i], i);
    }
    for (unsigned i = 0; i < 2; i++) {
        int status = -1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        CHECK(status == 0 && lab->figures[i]->is_done, "end %u: status %d", i, status);
        lab->losses[i] = losses[i];
    }
    munmap(losses, 2 * sizeof *losses);
}

static void free_lab(struct lab *lab)
{
    for (unsigned i = 0; i < 2; i++) {
        lab->identities[i].crypto->ops->identity_free(lab->identities[i].identity);
        kw_openssl_free(lab->identities[i].crypto);
        munmap(lab->figures[i]->is_thrown, packets_of(&lab->plan));
        munmap(lab->figures[i]->delays, packets_of(&lab->plan) * sizeof(uint32_t));
        munmap(lab->figures[i], sizeof *lab->figures[i]);
    }
}

/* --- delay ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

struct sample {
    uint32_t *delays;
    size_t count;
};

static uint32_t percentile(const struct sample *sample, unsigned percent)
{
    if (sample->count == 0)
        return 0;
    return sample->delays[(sample->count - 1) * percent / 100];
}

/* From the first question of either end until shortly after its switch. */
static bool is_during(const struct overlap_figures *figures, kw_ns at, size_t *from)
{
    while (*from < figures->window_count && figures->windows[*from].switched != 0 &&
           at > figures->windows[*from].switched + KW_MS(SETTLE_MS))
        (*from)++;
    return *from < figures->window_count && at >= figures->windows[*from].asked;
}

/* Adds the delays of what `to` has received from the other end. */
static void sort_delays(const struct lab *lab, unsigned to, struct sample *in, struct sample *out)
{
    kw_ns interval = KW_S(1) / lab->plan.per_second;
    size_t from[2] = {0, 0};

    for (size_t n = 0; n < packets_of(&lab->plan); n++) {
        uint32_t delay = lab->figures[to]->delays[n];
        kw_ns at = lab->plan.begin + n * interval;
        bool during = is_during(lab->figures[0], at, &from[0]);
        struct sample *sample;

        during = is_during(lab->figures[1], at, &from[1]) || during;
        sample = during ? in : out;
        if (delay != 0)
            sample->delays[sample->count++] = delay - 1;
    }
}

static void say_delays(const struct lab *lab)
{
    size_t max = 2 * packets_of(&lab->plan) * sizeof(uint32_t);
    struct sample in = {malloc(max), 0}, out = {malloc(max), 0};
    const struct sample *samples[2] = {&in, &out};
    int32_t difference;

    for (unsigned to = 0; to < 2; to++)
        sort_delays(lab, to, &in, &out);
    for (size_t i = 0; i < 2; i++) {
        if (samples[i]->count != 0)
            qsort(samples[i]->delays, samples[i]->count, sizeof(uint32_t), compare);
        print_message(
            "# one-way delay %s rotations: %zu packets, p50 %u us, p99 %u us, max %u us\n",
            i == 0 ? "during" : "outside", samples[i]->count, percentile(samples[i], 50),
            percentile(samples[i], 99), percentile(samples[i], 100));
    }
    difference = (int32_t)(percentile(&in, 99) - percentile(&out, 99));
    print_message("# target: p99 within %d us of outside: %+d us, %s\n", TARGET_US, difference,
                  difference <= TARGET_US ? "met" : "missed");
    free(in.delays);
    free(out.delays);
}

/* --- loss ------------------------------------------------------------------------------------- */

static void nothing_else_is_lost(const struct lab *lab, unsigned to)
{
    const struct overlap_figures *sender = lab->figures[1 - to], *receiver = lab->figures[to];
    uint64_t kernel = lab->losses[to].socket + lab->losses[0].device + lab->losses[1].device;
    uint64_t unexplained = 0, ghosts = 0;

    for (size_t n = 0; n < packets_of(&lab->plan); n++) {
        unexplained += !sender->is_thrown[n] && receiver->delays[n] == 0;
        ghosts += sender->is_thrown[n] && receiver->delays[n] != 0;
    }
    print_message(
        "# to end %u: %" PRIu64 " sent, %" PRIu64 " of them thrown away on purpose, %" PRIu64
        " arrived, %" PRIu64 " more missing; dropped at the socket %" PRIu64
        ", by the kernel in all %" PRIu64 "\n",
        to, sender->sent, sender->thrown, receiver->got, unexplained, receiver->overflow, kernel);
    assert_int_equal(sender->sent, packets_of(&lab->plan));
    assert_int_equal(sender->stalled, 0);
    assert_int_equal(sender->unsent, 0);
    assert_int_equal(ghosts, 0);
    assert_int_equal(receiver->twice, 0);
    assert_int_equal(receiver->unusable, 0);
    assert_true(unexplained <= kernel);
    assert_int_equal(sender->sent, sender->thrown + receiver->got + unexplained);
    if (lab->plan.loss_permille != 0)
        assert_true(sender->thrown > packets_of(&lab->plan) * lab->plan.loss_permille / 2000);
    /* What the library says of its switches is part of what was lost. */
    assert_true(receiver->lost_across_switches <= sender->thrown + unexplained);
}

static void say_rotations(const struct lab *lab)
{
    kw_ns longest = 0, sum = 0;
    size_t count = 0;

    for (unsigned i = 0; i < 2; i++) {
        const struct overlap_figures *figures = lab->figures[i];

        for (size_t k = 0; k < figures->window_count; k++) {
            kw_ns time = figures->windows[k].switched - figures->windows[k].asked;

            if (figures->windows[k].switched == 0)
                continue;
            longest = time > longest ? time : longest;
            sum += time;
            count++;
        }
        print_message("# end %u: generation %u, %u failed, %" PRIu64 " of %" PRIu64
                      " other datagrams thrown away, %" PRIu64 " packets lost across switches\n",
                      i, figures->last.number, figures->failed, figures->others_thrown,
                      figures->others, figures->lost_across_switches);
    }
    assert_true(count != 0);
    print_message("# asked to switched: mean %.2f ms, longest %.2f ms\n",
                  (double)sum / (double)count / 1e6, (double)longest / 1e6);
}

static void keys_change_every_second_and_nothing_is_lost(void **state)
{
    bool is_full = getenv("KW_FULL") != NULL;
    struct lab lab = {
        .plan =
            {
                .seconds = number_from("KW_OVERLAP_SECONDS", is_full ? 300 : 10),
                .per_second = number_from("KW_OVERLAP_PER_SECOND", is_full ? 5000 : 1000),
                .loss_permille = 10,
                .seed = number_from("KW_OVERLAP_SEED", 1),
            },
    };

    (void)state;
    if (!has_link) {
        print_message("# needs namespaces: this machine allows no network namespace\n");
        skip();
    }
    assert_true(lab.plan.seconds != 0 && lab.plan.seconds <= OVERLAP_SECONDS_MAX);
    print_message("# %u s, %u packets/s each way, %u of 1000 datagrams thrown away, seed %" PRIu64
                  "\n",
                  lab.plan.seconds, lab.plan.per_second, lab.plan.loss_permille, lab.plan.seed);
    run(&lab);
    say_rotations(&lab);
    say_delays(&lab);
    for (unsigned i = 0; i < 2; i++) {
        const struct overlap_figures *figures = lab.figures[i];

        nothing_else_is_lost(&lab, i);
        assert_false(figures->is_closed);
        assert_int_equal(figures->overdue, 0);
        /* nine of ten: a datagram of a handshake that was thrown away costs a moment */
        assert_true(figures->last.number * 10 >= (lab.plan.seconds - 1) * 9);
        assert_int_equal(figures->last.method, KW_METHOD_OVERLAP);
    }
    free_lab(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_every_second_and_nothing_is_lost),
    };

    has_link = link_open(&link_of_test);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
