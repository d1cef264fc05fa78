/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts of several generations: trials, and roll-over counters carried from one to the next. */
#include "srtp/common.h"

#include "srtp/context.h"

/* DESIGN section 3: two generations alive, packets of both arrive; newest is tried first. */
static void trial_finds_the_generation(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct context_mem mem[4];
        struct kw_srtp *send[2], *receive[2];
        struct packet packet, plain, sealed;
        size_t which = 99;

        for (unsigned i = 0; i < 2; i++) {
            send[i] = make_context(&mem[i], (struct context_options){.profile = profiles[p],
                                                                     .seed = i + 1,
                                                                     .for_sending = true});
            receive[i] = make_context(
                &mem[2 + i], (struct context_options){.profile = profiles[p], .seed = i + 1});
        }
        for (unsigned n = 0; n < 50; n++) {
            unsigned generation = n * 7 % 3 == 0;
            struct kw_srtp *const newest_first[] = {receive[1], receive[0]};

            plain = n % 4 == 3 ? rtcp_packet(5, 24) : rtp_packet(5, 100 + n, 77);
            packet = plain;
            assert_int_equal(protect(send[generation], &packet), KW_ACCEPT);
            sealed = packet;
            assert_int_equal(
                kw_srtp_unprotect_trial(newest_first, 2, packet.bytes, &packet.len, &which),
                KW_ACCEPT);
            assert_int_equal(which, generation == 1 ? 0 : 1);
            assert_true(same_packet(&packet, &plain));

            /* Forged: unchanged, counted once, in the newest. */
            sealed.bytes[sealed.len - 7] ^= 1;
            packet = sealed;
            which = 99;
            assert_int_not_equal(
                kw_srtp_unprotect_trial(newest_first, 2, packet.bytes, &packet.len, &which),
                KW_ACCEPT);
            assert_int_equal(which, 99);
            assert_true(same_packet(&packet, &sealed));
        }
        for (size_t v = 0; v < KW_VERDICT_COUNT; v++)
            assert_int_equal(kw_srtp_counters(receive[0])->verdicts[v], 0);
        assert_int_equal(kw_srtp_counters(receive[1])->verdicts[KW_DROP_FORGED] +
                             kw_srtp_counters(receive[1])->verdicts[KW_DROP_REPLAY],
                         50);
        for (size_t i = 0; i < 2; i++) {
            kw_srtp_deinit(send[i]);
            kw_srtp_deinit(receive[i]);
        }
    }
}

/* An unsettled SSRC is authenticated before a byte is written: a failure leaves the packet whole.
 */
static void unsettled_failures_change_nothing(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct pair pair;
        struct packet sealed = rtp_packet(1, 1, 300), packet;

        pair_init(&pair, profiles[p]);
        assert_int_equal(protect(pair.send, &sealed), KW_ACCEPT);
        sealed.bytes[100] ^= 4;
        packet = sealed;
        assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_FORGED);
        assert_true(same_packet(&packet, &sealed));
        sealed.bytes[100] ^= 4;
        assert_int_equal(unprotect(pair.receive, &sealed), KW_ACCEPT);
        pair_deinit(&pair);
    }
}

static void carried_counters(void **state)
{
    static const struct {
        uint64_t carried; /* highest index of the old generation */
        bool roc_continues;
        uint64_t sent; /* index of the first packet of the new one */
        enum kw_verdict verdict;
        const char *why;
    } rows[] = {
        {5 * 65536 + 100, true, 5 * 65536 + 105, KW_ACCEPT, "overlap: goes on"},
        {5 * 65536 + 65530, true, 6 * 65536 + 3, KW_ACCEPT, "overlap: wraps at the switch"},
        {6 * 65536 + 3, true, 5 * 65536 + 65530, KW_ACCEPT, "overlap: an early packet is late"},
        {5 * 65536 + 100, false, 105, KW_ACCEPT, "other methods: starts at zero"},
        {5 * 65536 + 100, false, 5 * 65536 + 105, KW_ACCEPT, "other methods: carried after all"},
        {5 * 65536 + 100, false, 6 * 65536 + 90, KW_ACCEPT, "one more"},
        {5 * 65536 + 100, false, 4 * 65536 + 90, KW_ACCEPT, "one less"},
        {5 * 65536 + 100, false, 9 * 65536 + 90, KW_DROP_FORGED, "none of these"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct context_mem mem[3];
        struct kw_srtp *old =
            make_context(&mem[0], (struct context_options){.profile = profiles[0]});
        struct kw_srtp *send = make_context(
            &mem[1],
            (struct context_options){.profile = profiles[0], .seed = 2, .for_sending = true});
        struct kw_srtp *receive =
            make_context(&mem[2], (struct context_options){.profile = profiles[0], .seed = 2});
        struct packet packet = rtp_packet(8, rows[i].sent & 0xffff, 80);

        kw_srtp_stream_add(old, 8)->flags = KW_STREAM_RTP;
        old->streams[0].highest = rows[i].carried;
        kw_srtp_carry(receive, old, rows[i].roc_continues);
        *kw_srtp_stream_add(send, 8) =
            (struct stream){.ssrc = 8, .flags = KW_STREAM_CARRIED, .highest = rows[i].sent};
        assert_int_equal(protect(send, &packet), KW_ACCEPT);
        CHECK(unprotect(receive, &packet) == rows[i].verdict, "%s", rows[i].why);
        if (rows[i].verdict == KW_ACCEPT)
            CHECK(receive->streams[0].highest == rows[i].sent, "%s: index", rows[i].why);
        kw_srtp_deinit(old);
        kw_srtp_deinit(send);
        kw_srtp_deinit(receive);
    }
}

static void carried_sender_continues(void **state)
{
    struct context_mem mem[2];
    struct kw_srtp *old = make_context(
        &mem[0], (struct context_options){.profile = profiles[0], .for_sending = true});
    struct kw_srtp *next = make_context(
        &mem[1], (struct context_options){.profile = profiles[0], .seed = 2, .for_sending = true});
    struct packet packet = rtp_packet(8, 65535, 80);

    (void)state;
    assert_int_equal(protect(old, &packet), KW_ACCEPT);
    kw_srtp_carry(next, old, false);
    assert_int_equal(next->stream_count, 0);
    kw_srtp_carry(next, old, true);
    packet = rtp_packet(8, 0, 80);
    assert_int_equal(protect(next, &packet), KW_ACCEPT);
    assert_int_equal(next->streams[0].highest, 65536);
    kw_srtp_deinit(old);
    kw_srtp_deinit(next);
}

/* Strangers cannot make us pay four times per packet for ever, nor lock a real sender out. */
static void wrong_guesses_are_bounded(void **state)
{
    struct context_mem mem;
    struct kw_srtp *old = make_context(&mem, (struct context_options){.profile = profiles[0]});
    struct pair pair;
    struct packet packet;
    int tries = 0;

    (void)state;
    pair_init(&pair, profiles[0]);
    kw_srtp_stream_add(old, 8)->flags = KW_STREAM_RTP;
    old->streams[0].highest = 5 * 65536 + 100;
    kw_srtp_carry(pair.receive, old, false);
    for (int i = 0; i < 100; i++) {
        packet = rtp_packet(8, 7, 80);
        assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_FORGED);
    }
    assert_true(pair.receive->trial_budget < 4);

    *kw_srtp_stream_add(pair.send, 8) =
        (struct stream){.ssrc = 8, .flags = KW_STREAM_CARRIED, .highest = 6 * 65536 + 90};
    do {
        packet = rtp_packet(8, 91 + (unsigned)tries, 80);
        assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    } while (unprotect(pair.receive, &packet) != KW_ACCEPT && ++tries < 10);
    assert_in_range(tries, 0, 3);
    kw_srtp_deinit(old);
    pair_deinit(&pair);
}

static void carried_places_are_given_up_for_real_streams(void **state)
{
    struct context_mem mem;
    struct kw_srtp *old = make_context(&mem, (struct context_options){.profile = profiles[0]});
    struct pair pair;

    (void)state;
    pair_init(&pair, profiles[0]);
    for (uint32_t ssrc = 1; ssrc <= 8; ssrc++)
        kw_srtp_stream_add(old, ssrc)->flags = KW_STREAM_RTP;
    kw_srtp_carry(pair.receive, old, false);
    assert_int_equal(pair.receive->stream_count, 8);
    for (uint32_t ssrc = 21; ssrc <= 28; ssrc++) {
        struct packet packet = rtp_packet(ssrc, 1, 60);

        assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
        assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
    }
    kw_srtp_deinit(old);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trial_finds_the_generation),
        cmocka_unit_test(unsettled_failures_change_nothing),
        cmocka_unit_test(carried_counters),
        cmocka_unit_test(carried_sender_continues),
        cmocka_unit_test(wrong_guesses_are_bounded),
        cmocka_unit_test(carried_places_are_given_up_for_real_streams),
    };

    (void)test_kernel();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
