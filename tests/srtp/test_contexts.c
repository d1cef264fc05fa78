/* SPDX-License-Identifier: Apache-2.0 */
/* What a context promises: indices, replay, streams, counters, limits. */
#include "srtp/common.h"

#include "srtp/context.h"

/* The window against the simplest model of one: the set of all indices seen. */
static void window_equals_its_model(void **state)
{
    enum { SPAN = 8192 };
    static bool known[SPAN + 4096];
    uint64_t seed = 42;

    (void)state;
    for (size_t size = 128; size <= 1024; size *= 8) {
        uint64_t older[16], recent, highest;
        size_t words = size / 64;

        window_start(&recent, older, words, &highest, 5);
        memset(known, 0, sizeof known);
        known[5] = true;
        for (size_t i = 0; i < 200000 && highest < SPAN; i++) {
            uint64_t r = next_random(&seed);
            uint64_t index =
                r % 100 == 0 ? highest + r / 128 % 1500
                             : highest + r / 128 % 8 + 4 - KW_MIN(highest, r / 4096 % (2 * size));
            enum kw_verdict expected = known[index] ? KW_DROP_REPLAY : KW_ACCEPT;

            if (index <= highest && highest - index >= size)
                expected = KW_DROP_OLD;
            CHECK(window_check(recent, older, words, highest, index) == expected,
                  "size %zu: index %" PRIu64 ", highest %" PRIu64, size, index, highest);
            if (expected == KW_ACCEPT && r >> 60 < 12) {
                window_note(&recent, older, words, &highest, index);
                known[index] = true;
            }
        }
    }
}

/* RFC 3711, appendix A, as it stands there, but that nothing lies before the first index. */
static uint64_t index_by_the_book(uint64_t highest, uint16_t seq)
{
    int64_t roc = (int64_t)(highest >> 16), s_l = (int64_t)(highest & 0xffff);

    if (s_l < 32768) {
        if (seq - s_l > 32768 && roc > 0)
            roc--;
    } else if (s_l - 32768 > seq) {
        roc++;
    }
    return (uint64_t)roc << 16 | seq;
}

static void indices_are_guessed_by_the_book(void **state)
{
    static const uint32_t rocs[] = {0, 1, 7, 0xffffffff};
    static const uint16_t lowest[] = {0, 1, 32766, 32767, 32768, 32769, 65534, 65535};

    (void)state;
    for (size_t r = 0; r < KW_ARRAY_LEN(rocs); r++) {
        for (size_t l = 0; l < KW_ARRAY_LEN(lowest); l++) {
            uint64_t highest = (uint64_t)rocs[r] << 16 | lowest[l];

            for (uint32_t seq = 0; seq < 65536; seq++)
                CHECK(index_guess(highest, (uint16_t)seq) ==
                          index_by_the_book(highest, (uint16_t)seq),
                      "highest %" PRIx64 ", seq %x", highest, seq);
        }
    }
}

static void round_trip_of_every_profile(void **state)
{
    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(profiles); i++) {
        struct pair pair;

        pair_init(&pair, profiles[i]);
        for (unsigned n = 0; n < 400; n++) {
            struct packet plain = n % 5 == 4 ? rtcp_packet(7, n * 4) : rtp_packet(7, n, n * 4);
            struct packet packet = plain;

            assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
            assert_int_not_equal(packet.len, plain.len);
            assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
            CHECK(same_packet(&packet, &plain), "profile %zu, packet %u", i, n);
        }
        assert_int_equal(kw_srtp_counters(pair.receive)->packets, 320);
        assert_int_equal(kw_srtp_counters(pair.receive)->rtcp_packets, 80);
        assert_int_equal(kw_srtp_counters(pair.receive)->bytes, kw_srtp_counters(pair.send)->bytes);
        pair_deinit(&pair);
    }
}

static void largest_packets_pass_and_larger_are_refused(void **state)
{
    static uint8_t plain[KW_SRTP_PACKET_MAX + 64], packet[sizeof plain];

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(profiles); i++) {
        size_t len = KW_SRTP_PACKET_MAX - KW_SRTP_TAIL;
        struct pair pair;

        pair_init(&pair, profiles[i]);
        memcpy(plain, rtp_packet(9, 1, 0).bytes, 12);
        for (size_t at = 12; at < len; at++)
            plain[at] = (uint8_t)(at * 13);
        memcpy(packet, plain, sizeof plain);
        assert_int_equal(kw_srtp_protect(pair.send, packet, &len, sizeof packet), KW_ACCEPT);
        assert_int_equal(kw_srtp_unprotect(pair.receive, packet, &len), KW_ACCEPT);
        assert_int_equal(len, KW_SRTP_PACKET_MAX - KW_SRTP_TAIL);
        assert_memory_equal(packet, plain, len);

        len = KW_SRTP_PACKET_MAX - KW_SRTP_TAIL + 1;
        assert_int_equal(kw_srtp_protect(pair.send, packet, &len, sizeof packet), KW_DROP_LIMIT);
        len = KW_SRTP_PACKET_MAX + 1;
        assert_int_equal(kw_srtp_unprotect(pair.receive, packet, &len), KW_DROP_LIMIT);
        len = 100;
        assert_int_equal(kw_srtp_protect(pair.send, packet, &len, 100 + KW_SRTP_TAIL - 1),
                         KW_DROP_LIMIT);
        pair_deinit(&pair);
    }
}

static void malformed_packets_are_named(void **state)
{
    static const struct {
        const char *hex;
        size_t pad;
        enum kw_verdict verdict;
        const char *why;
    } rows[] = {
        {"", 0, KW_DROP_TRUNCATED, "nothing"},
        {"8000000100000000", 0, KW_DROP_TRUNCATED, "half a header"},
        {"800000010000000000000007", 15, KW_DROP_TRUNCATED, "shorter than header and tag"},
        {"400000010000000000000007", 30, KW_DROP_MALFORMED, "version 1"},
        {"8f0000010000000000000007", 16 + 59, KW_DROP_TRUNCATED, "15 CSRCs do not fit"},
        {"900000010000000000000007", 16 + 3, KW_DROP_TRUNCATED, "no room for an extension"},
        {"900000010000000000000007bede0002", 16 + 7, KW_DROP_TRUNCATED, "extension too long"},
        {"900000010000000000000007bedeffff", 100, KW_DROP_TRUNCATED, "extension far too long"},
        {"80000001000000000000000700000000", 40, KW_DROP_FORGED, "well formed, not authentic"},
        {"80c800010000", 0, KW_DROP_TRUNCATED, "RTCP: half a header"},
        {"80c8000100000007", 19, KW_DROP_TRUNCATED, "RTCP: no room for tag and index"},
        {"c0c8000100000007", 20, KW_DROP_MALFORMED, "RTCP: version 3"},
        {"80c8000100000007", 20, KW_DROP_FORGED, "RTCP: well formed, not authentic"},
    };
    struct pair pair;

    (void)state;
    pair_init(&pair, KW_SRTP_AEAD_AES_128_GCM);
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct packet packet = {0};
        uint64_t before = kw_srtp_counters(pair.receive)->verdicts[rows[i].verdict];

        packet.len = hex_bytes(rows[i].hex, packet.bytes) + rows[i].pad;
        CHECK(unprotect(pair.receive, &packet) == rows[i].verdict, "%s", rows[i].why);
        CHECK(kw_srtp_counters(pair.receive)->verdicts[rows[i].verdict] == before + 1,
              "%s: counted", rows[i].why);
        assert_int_equal(pair.receive->stream_count, 0);
    }
    pair_deinit(&pair);
}

static void replayed_and_old_packets(void **state)
{
    static const struct {
        unsigned seq;
        enum kw_verdict verdict;
        const char *why;
    } steps[] = {
        {2000, KW_ACCEPT, "first packet"},
        {2000, KW_DROP_REPLAY, "exact replay"},
        {3000, KW_ACCEPT, "jump ahead"},
        {2000, KW_DROP_REPLAY, "replay inside the window"},
        {1977, KW_ACCEPT, "oldest place of the window"},
        {1977, KW_DROP_REPLAY, "replay of the oldest place"},
        {1976, KW_DROP_OLD, "one older than the window"},
        {2999, KW_ACCEPT, "late"},
        {3001, KW_ACCEPT, "next"},
        {1977, KW_DROP_OLD, "the window has moved"},
    };

    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct pair pair;
        struct kw_srtp_counters counters;

        pair_init(&pair, profiles[p]);
        for (size_t i = 0; i < KW_ARRAY_LEN(steps); i++) {
            struct context_mem mem;
            struct kw_srtp *fresh = make_context(
                &mem, (struct context_options){.profile = profiles[p], .for_sending = true});
            struct packet packet = rtp_packet(1, steps[i].seq, 50);

            assert_int_equal(protect(fresh, &packet), KW_ACCEPT);
            CHECK(unprotect(pair.receive, &packet) == steps[i].verdict, "%s", steps[i].why);
            kw_srtp_deinit(fresh);
        }
        counters = *kw_srtp_counters(pair.receive);
        assert_int_equal(counters.packets, 5);
        assert_int_equal(counters.verdicts[KW_DROP_REPLAY], 3);
        assert_int_equal(counters.verdicts[KW_DROP_OLD], 2);
        assert_int_equal(counters.lost, 998); /* 2001..2998 */
        pair_deinit(&pair);
    }
}

/* RFC 3711, section 3.3.1: the sender must never use an index twice. */
static void sender_refuses_repeated_sequence_numbers(void **state)
{
    struct pair pair;
    struct packet packet;

    (void)state;
    pair_init(&pair, KW_SRTP_AEAD_AES_128_GCM);
    packet = rtp_packet(1, 5000, 20);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    packet = rtp_packet(1, 5000, 20);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_REPLAY);
    assert_int_equal(packet.len, 32);
    packet = rtp_packet(1, 4999, 20);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    packet = rtp_packet(1, 5000 - KW_SRTP_WINDOW, 20);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_OLD);
    packet = rtp_packet(2, 5000, 20);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    pair_deinit(&pair);
}

/* The roll-over counter across the wrap, with packets that come early and late. */
static void roc_survives_the_wrap(void **state)
{
    static const uint32_t order[] = {65530,  65533,  65531,  65536,  65535,  65540, 65534,
                                     65532,  65537,  65600,  65539,  66000,  65538, 90000,
                                     120000, 131071, 131073, 131072, 131070, 160000};

    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct pair pair;
        struct packet packets[KW_ARRAY_LEN(order)];
        uint32_t sent = 65530;

        pair_init(&pair, profiles[p]);
        /* The sender sends in order; what the receiver will get is kept. */
        for (sent = 65530; sent <= 160000; sent++) {
            struct packet packet = rtp_packet(3, sent, 33);

            assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
            for (size_t i = 0; i < KW_ARRAY_LEN(order); i++) {
                if (order[i] == sent)
                    packets[i] = packet;
            }
        }
        for (size_t i = 0; i < KW_ARRAY_LEN(order); i++) {
            struct packet again = packets[i], plain = rtp_packet(3, order[i], 33);

            CHECK(unprotect(pair.receive, &packets[i]) == KW_ACCEPT, "index %u", order[i]);
            CHECK(same_packet(&packets[i], &plain), "index %u", order[i]);
            assert_int_equal(unprotect(pair.receive, &again), KW_DROP_REPLAY);
        }
        assert_int_equal(pair.receive->streams[0].highest, 160000);
        pair_deinit(&pair);
    }
}

static void lost_first_packets_across_the_wrap(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct pair pair;
        struct packet packet;

        pair_init(&pair, profiles[p]);
        for (uint32_t index = 65500; index < 65600; index++) {
            packet = rtp_packet(3, index, 33);
            assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
        }
        assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
        assert_int_equal(pair.receive->streams[0].highest, 65599);
        pair_deinit(&pair);
    }
}

static void streams_are_bounded_and_only_authentic_ones_take_a_place(void **state)
{
    struct pair pair;
    struct packet packet;

    (void)state;
    pair_init(&pair, KW_SRTP_AEAD_AES_128_GCM);
    for (uint32_t ssrc = 100; ssrc < 1100; ssrc++) {
        packet = rtp_packet(ssrc, 1, 60);
        assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_FORGED);
    }
    assert_int_equal(pair.receive->stream_count, 0);
    for (uint32_t ssrc = 1; ssrc <= 8; ssrc++) {
        packet = rtp_packet(ssrc, 1, 60);
        assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
        assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
    }
    packet = rtp_packet(9, 1, 60);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_LIMIT);
    assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_LIMIT);
    packet = rtcp_packet(9, 60);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_LIMIT);
    assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_LIMIT);
    assert_int_equal(kw_srtp_counters(pair.receive)->verdicts[KW_DROP_LIMIT], 2);
    pair_deinit(&pair);
}

static void srtcp_window_and_index(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct pair pair;
        struct packet packets[200], packet;

        pair_init(&pair, profiles[p]);
        for (size_t i = 0; i < KW_ARRAY_LEN(packets); i++) {
            packets[i] = rtcp_packet(5, 20);
            assert_int_equal(protect(pair.send, &packets[i]), KW_ACCEPT);
        }
        packet = packets[199];
        assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
        packet = packets[199];
        assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_REPLAY);
        packet = packets[199 - KW_SRTCP_WINDOW + 1];
        assert_int_equal(unprotect(pair.receive, &packet), KW_ACCEPT);
        packet = packets[199 - KW_SRTCP_WINDOW];
        assert_int_equal(unprotect(pair.receive, &packet), KW_DROP_OLD);
        pair_deinit(&pair);
    }
}

static void limits_are_signalled_before_they_are_reached(void **state)
{
    struct pair pair;
    struct packet packet;

    (void)state;
    pair_init(&pair, KW_SRTP_AEAD_AES_128_GCM);
    for (int i = 0; i < 2; i++) {
        packet = rtp_packet(1, 10 + (unsigned)i, 10);
        assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
        packet = rtcp_packet(1, 10);
        assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    }
    assert_false(kw_srtp_near_limit(pair.send));

    pair.send->streams[0].highest = KW_SRTP_INDEX_NEAR - 2;
    packet = rtp_packet(1, (KW_SRTP_INDEX_NEAR - 1) & 0xffff, 10);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    assert_false(kw_srtp_near_limit(pair.send));
    packet = rtp_packet(1, KW_SRTP_INDEX_NEAR & 0xffff, 10);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    assert_true(kw_srtp_near_limit(pair.send));

    pair.send->streams[0].highest = KW_SRTP_INDEX_END - 2;
    packet = rtp_packet(1, 65535, 10);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    packet = rtp_packet(1, 0, 10);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_EXPIRED);

    pair.send->near_limit = false;
    history_of(pair.send, pair.send->streams)->rtcp_highest = KW_SRTCP_INDEX_NEAR - 1;
    packet = rtcp_packet(1, 10);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    assert_true(kw_srtp_near_limit(pair.send));
    history_of(pair.send, pair.send->streams)->rtcp_highest = KW_SRTCP_INDEX_END - 2;
    packet = rtcp_packet(1, 10);
    assert_int_equal(protect(pair.send, &packet), KW_ACCEPT);
    packet = rtcp_packet(1, 10);
    assert_int_equal(protect(pair.send, &packet), KW_DROP_EXPIRED);
    assert_int_equal(packet.len, 18);
    pair_deinit(&pair);
}

/* Padding bit, CSRCs, extension, empty payload: headers pass, and stay in clear without cryptex. */
static void header_shapes(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (unsigned n = 0; n < 600; n++) {
        struct pair pair;
        struct packet plain = rtp_packet(1, n, 0), packet;
        unsigned csrcs = n % 16, words = n % 3 == 0 ? 0 : n % 40;
        size_t header_len = 12 + 4 * csrcs + (n % 3 == 0 ? 0 : 4 + 4 * words);
        bool cryptex = n % 2 == 1;
        enum kw_srtp_profile profile = profiles[n / 2 % 3];

        plain.bytes[0] = (uint8_t)(0x80 | (n & 0x20) | (n % 3 == 0 ? 0 : 0x10) | csrcs);
        plain.len = header_len + n % 100;
        random_bytes(&seed, plain.bytes + 12, plain.len - 12);
        if (n % 3 != 0) {
            put16(plain.bytes + 12 + 4 * csrcs, n % 3 == 1 ? 0xbede : 0x1000);
            put16(plain.bytes + 14 + 4 * csrcs, words);
        }
        pair.send = make_context(
            &pair.send_mem,
            (struct context_options){.profile = profile, .for_sending = true, .cryptex = cryptex});
        pair.receive = make_context(
            &pair.receive_mem, (struct context_options){.profile = profile, .cryptex = cryptex});
        packet = plain;
        CHECK(protect(pair.send, &packet) == KW_ACCEPT, "shape %u", n);
        if (!cryptex)
            assert_memory_equal(packet.bytes, plain.bytes, header_len);
        CHECK(unprotect(pair.receive, &packet) == KW_ACCEPT, "shape %u", n);
        if (cryptex && n % 3 == 0 && csrcs != 0) {
            /* RFC 9335, section 5.1: an empty extension block was added and stays. */
            assert_int_equal(packet.len, plain.len + 4);
            assert_memory_equal(packet.bytes + 12, plain.bytes + 12, 4 * csrcs);
            assert_memory_equal(packet.bytes + header_len + 4, plain.bytes + header_len,
                                plain.len - header_len);
        } else {
            CHECK(same_packet(&packet, &plain), "shape %u", n);
        }
        pair_deinit(&pair);
    }
}

static void batches_equal_single_calls(void **state)
{
    enum { COUNT = 40 };
    static struct packet packets[COUNT], plain[COUNT];
    static struct pair pairs[4];
    struct kw_srtp_item items[COUNT];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        pair_init(&pairs[i], profiles[i % 3]);
    for (unsigned i = 0; i < COUNT; i++) {
        plain[i] = i % 7 == 6 ? rtcp_packet(i, 40) : rtp_packet(i % 4, i, 10 * i);
        packets[i] = plain[i];
        items[i] = (struct kw_srtp_item){.srtp = pairs[i % 4].send,
                                         .packet = packets[i].bytes,
                                         .len = packets[i].len,
                                         .size = sizeof packets[i].bytes};
    }
    items[5].len = 3;
    kw_srtp_protect_batch(items, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].verdict, i == 5 ? KW_DROP_TRUNCATED : KW_ACCEPT);
        items[i].srtp = pairs[i % 4].receive;
    }
    items[9].packet[items[9].len - 1] ^= 1;
    kw_srtp_unprotect_batch(items, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i == 5 || i == 9) {
            assert_int_not_equal(items[i].verdict, KW_ACCEPT);
            continue;
        }
        assert_int_equal(items[i].verdict, KW_ACCEPT);
        assert_int_equal(items[i].len, plain[i].len);
        assert_memory_equal(items[i].packet, plain[i].bytes, plain[i].len);
    }
    for (size_t i = 0; i < 4; i++)
        pair_deinit(&pairs[i]);
}

static void packets_are_told_apart(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t packet[2] = {0x80, (uint8_t)type};
        unsigned payload_type = type & 0x7f;

        assert_int_equal(kw_srtp_is_rtcp(packet, 2), payload_type >= 64 && payload_type <= 95);
    }
}

static void unusable_parameters_are_refused(void **state)
{
    struct context_mem mem;
    struct kw_srtp_master master = test_master(KW_SRTP_AEAD_AES_128_GCM, 1);
    struct kw_srtp_params params = {
        .kernel = test_kernel(), .crypto = test_crypto(), .master = &master, .ssrc_max = 1};
    struct kw_srtp *srtp;

    (void)state;
    params.ssrc_max = 0;
    assert_int_equal(kw_srtp_init(&mem, &params, &srtp), KW_ERR_INPUT);
    params.ssrc_max = KW_SRTP_SSRC_MAX + 1;
    assert_int_equal(kw_srtp_init(&mem, &params, &srtp), KW_ERR_INPUT);
    params.ssrc_max = 1;
    master.key_len = 32;
    assert_int_equal(kw_srtp_init(&mem, &params, &srtp), KW_ERR_INPUT);
    master.key_len = 16;
    master.profile = KW_SRTP_NONE;
    assert_int_equal(kw_srtp_init(&mem, &params, &srtp), KW_ERR_INPUT);
    assert_null(kw_srtp_kernel_select(test_crypto(), "no-such-kernel"));
    kw_srtp_deinit(NULL);
}

static void deinit_wipes_everything(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        struct context_mem mem = {0};
        static const struct context_mem zero;
        struct packet packet = rtp_packet(1, 1, 10);
        struct kw_srtp *srtp = make_context(
            &mem, (struct context_options){.profile = profiles[p], .for_sending = true});

        assert_int_equal(protect(srtp, &packet), KW_ACCEPT);
        kw_srtp_deinit(srtp);
        assert_memory_equal(&mem, &zero, sizeof zero);
    }
}

/* The pool of the provider is finite, and a refused context leaves nothing behind. */
static void pool_is_bounded(void **state)
{
    struct kw_openssl_config config = {.associations = 1, .srtp_keys = 2};
    struct context_mem mem[3];
    struct kw_srtp *srtp[3];
    struct kw_crypto *crypto;

    (void)state;
    assert_int_equal(kw_openssl_new(&config, &crypto), KW_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            struct kw_srtp_master master = test_master(KW_SRTP_AES128_CM_SHA1_80, 1);
            struct kw_srtp_params params = {
                .kernel = test_kernel(), .crypto = crypto, .master = &master, .ssrc_max = 1};

            assert_int_equal(kw_srtp_init(&mem[i], &params, &srtp[i]),
                             i < 2 ? KW_OK : KW_ERR_MEMORY);
        }
        kw_srtp_deinit(srtp[0]);
        kw_srtp_deinit(srtp[1]);
    }
    kw_openssl_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_equals_its_model),
        cmocka_unit_test(indices_are_guessed_by_the_book),
        cmocka_unit_test(round_trip_of_every_profile),
        cmocka_unit_test(largest_packets_pass_and_larger_are_refused),
        cmocka_unit_test(malformed_packets_are_named),
        cmocka_unit_test(replayed_and_old_packets),
        cmocka_unit_test(sender_refuses_repeated_sequence_numbers),
        cmocka_unit_test(roc_survives_the_wrap),
        cmocka_unit_test(lost_first_packets_across_the_wrap),
        cmocka_unit_test(streams_are_bounded_and_only_authentic_ones_take_a_place),
        cmocka_unit_test(srtcp_window_and_index),
        cmocka_unit_test(limits_are_signalled_before_they_are_reached),
        cmocka_unit_test(header_shapes),
        cmocka_unit_test(batches_equal_single_calls),
        cmocka_unit_test(packets_are_told_apart),
        cmocka_unit_test(unusable_parameters_are_refused),
        cmocka_unit_test(deinit_wipes_everything),
        cmocka_unit_test(pool_is_bounded),
    };

    (void)test_kernel();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
