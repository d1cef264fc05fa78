/* SPDX-License-Identifier: Apache-2.0 */
/* What we count of an incoming source, and the stream of our own that we make of it. */
#include "check.h"

#include "rtp/stream.h"

#include <string.h>

static void receive(struct kw_rtp_source *source, const uint16_t *seqs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kw_rtp_source_receive(source, seqs[i], seqs[i] * 960U, KW_S(9) + KW_MS(20) * seqs[i]);
}

static void loss_is_counted_as_rfc_3550_does(void **state)
{
    static const struct {
        uint16_t seqs[8];
        size_t count;
        uint32_t highest;
        int32_t lost;
        uint8_t fraction;
        const char *why;
    } rows[] = {
        {{1, 2, 3, 4}, 4, 4, 0, 0, "nothing lost"},
        {{1, 2, 4}, 3, 4, 1, 64, "one of four"},
        {{1, 3, 2, 4}, 4, 4, 0, 0, "reordered"},
        {{1, 2, 2, 3}, 4, 3, -1, 0, "a duplicate"},
        {{65534, 65535, 0, 1}, 4, 65537, 0, 0, "wraps"},
        {{65534, 1}, 2, 65537, 2, 128, "loss across the wrap"},
        {{65535, 0, 65534}, 3, 65536, -1, 0, "from before its first packet, late"},
        {{1, 2, 4, 30000, 5}, 5, 5, 1, 51, "one jump is not believed"},
        {{1, 2, 30000, 30001, 30002}, 5, 30002, 0, 0, "two in a row start anew"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_rtp_source source;
        struct kw_rtcp_block block;

        kw_rtp_source_init(&source, 5, 48000);
        receive(&source, rows[i].seqs, rows[i].count);
        kw_rtp_source_block(&source, KW_S(10), &block);
        CHECK(block.highest == rows[i].highest, "%s: highest %u", rows[i].why, block.highest);
        CHECK(block.lost == rows[i].lost, "%s: lost %d", rows[i].why, block.lost);
        CHECK(block.fraction_lost == rows[i].fraction, "%s: %u", rows[i].why, block.fraction_lost);
        assert_int_equal(block.ssrc, 5);
        assert_int_equal(block.lsr, 0);
    }
}

static void the_fraction_is_of_the_last_interval(void **state)
{
    static const uint16_t first[] = {1, 2, 3, 4}, second[] = {6, 8};
    struct kw_rtp_source source;
    struct kw_rtcp_block block;

    (void)state;
    kw_rtp_source_init(&source, 5, 48000);
    receive(&source, first, 4);
    kw_rtp_source_block(&source, KW_S(10), &block);
    assert_int_equal(block.fraction_lost, 0);
    receive(&source, second, 2);
    kw_rtp_source_block(&source, KW_S(10), &block);
    assert_int_equal(block.fraction_lost, 128);
    assert_int_equal(block.lost, 2);
    kw_rtp_source_block(&source, KW_S(10), &block);
    assert_int_equal(block.fraction_lost, 0);
}

static void jitter_and_the_times_of_reports(void **state)
{
    struct kw_rtcp_sender sr = {.ntp = 0x0000123456780000};
    struct kw_rtp_source source;
    struct kw_rtcp_block block;

    (void)state;
    kw_rtp_source_init(&source, 5, 48000);
    for (uint16_t seq = 0; seq < 500; seq++)
        kw_rtp_source_receive(&source, seq, seq * 960U, KW_S(1) + KW_MS(20) * seq);
    kw_rtp_source_block(&source, KW_S(12), &block);
    assert_in_range(block.jitter, 0, 1);
    /* every other one 10 ms late: the mean difference is 480 units */
    for (uint16_t seq = 500; seq < 1000; seq++)
        kw_rtp_source_receive(&source, seq, seq * 960U,
                              KW_S(1) + KW_MS(20) * seq + (seq % 2 != 0 ? KW_MS(10) : 0));
    kw_rtp_source_sr(&source, &sr, KW_S(30));
    kw_rtp_source_block(&source, KW_S(30) + KW_MS(1500), &block);
    assert_in_range(block.jitter, 470, 480);
    assert_int_equal(block.lsr, 0x12345678);
    assert_int_equal(block.dlsr, 65536 * 3 / 2);
}

/* ---- stream ---------------------------------------------------------------------------------- */

static size_t make(uint8_t *packet, uint32_t ssrc, uint16_t seq, uint32_t timestamp,
                   struct kw_rtp *rtp)
{
    memset(packet, 0, 172);
    packet[0] = 0x80;
    packet[1] = 111;
    kw_rtp_set_seq(packet, seq);
    kw_rtp_set_timestamp(packet, timestamp);
    kw_rtp_set_ssrc(packet, ssrc);
    assert_int_equal(kw_rtp_parse(packet, 172, rtp), KW_ACCEPT);
    return 172;
}

static enum kw_verdict forward(struct kw_rtp_stream *stream, uint32_t tag, uint32_t ssrc,
                               uint16_t seq, uint32_t timestamp, kw_ns now, struct kw_rtp *out)
{
    uint8_t packet[172];
    struct kw_rtp rtp;
    enum kw_verdict verdict;

    make(packet, ssrc, seq, timestamp, &rtp);
    verdict = kw_rtp_stream_forward(stream, tag, packet, &rtp, now);
    assert_int_equal(kw_rtp_parse(packet, sizeof packet, out), KW_ACCEPT);
    return verdict;
}

static void gaps_stay_gaps_and_numbers_wrap(void **state)
{
    struct kw_rtp_stream stream;
    uint8_t packet[172];
    struct kw_rtp rtp, out;

    (void)state;
    kw_rtp_stream_init(&stream, 7, 48000, 100);
    make(packet, 5, 65530, 1000, &rtp);
    assert_int_equal(kw_rtp_stream_forward(&stream, 1, packet, &rtp, 0), KW_DROP_FOREIGN);
    kw_rtp_stream_attach(&stream, 1, &rtp, 5000);
    for (uint32_t i = 0; i < 200000; i += 1 + i % 3) {
        assert_int_equal(
            forward(&stream, 1, 5, (uint16_t)(65530 + i), 1000 + 960 * i, KW_MS(20) * i, &out),
            KW_ACCEPT);
        CHECK(out.seq == (uint16_t)(100 + i), "%u", i);
        assert_int_equal(out.timestamp, 5000 + 960 * i);
        assert_int_equal(out.ssrc, 7);
    }
    /* reordered by 100 */
    assert_int_equal(forward(&stream, 1, 5, (uint16_t)(65530 + 199890), 1000, KW_S(4000), &out),
                     KW_ACCEPT);
    assert_int_equal(out.seq, (uint16_t)(100 + 199890));
    /* before the first one */
    kw_rtp_stream_init(&stream, 7, 48000, 100);
    kw_rtp_stream_attach(&stream, 1, &rtp, 5000);
    assert_int_equal(forward(&stream, 1, 5, 65529, 0, 0, &out), KW_DROP_OLD);
}

static void epochs_follow_each_other(void **state)
{
    struct kw_rtp_stream stream;
    struct kw_rtp_origin origin;
    uint8_t packet[172];
    struct kw_rtp rtp, out;

    (void)state;
    kw_rtp_stream_init(&stream, 7, 48000, 0);
    make(packet, 5, 1000, 50000, &rtp);
    kw_rtp_stream_attach(&stream, 1, &rtp, 0);
    for (uint16_t i = 0; i < 10; i++)
        assert_int_equal(
            forward(&stream, 1, 5, (uint16_t)(1000 + i), 50000 + 960U * i, KW_MS(20) * i, &out),
            KW_ACCEPT);
    /* the same SSRC under another tag is another source */
    make(packet, 5, 40000, 9, &rtp);
    kw_rtp_stream_attach(&stream, 2, &rtp, 9600);
    assert_int_equal(forward(&stream, 2, 5, 40000, 9, KW_MS(200), &out), KW_ACCEPT);
    assert_int_equal(out.seq, 10);
    assert_int_equal(out.timestamp, 9600);
    /* the old one: late is fine, more is not */
    assert_int_equal(forward(&stream, 1, 5, 1008, 50000 + 960 * 8, KW_MS(210), &out), KW_ACCEPT);
    assert_int_equal(out.seq, 8);
    assert_int_equal(forward(&stream, 1, 5, 1010, 50000 + 960 * 10, KW_MS(210), &out),
                     KW_DROP_UNEXPECTED);
    assert_int_equal(forward(&stream, 2, 5, 39999, 0, KW_MS(210), &out), KW_DROP_OLD);

    assert_true(kw_rtp_stream_origin(&stream, 10, &origin));
    assert_int_equal(origin.tag, 2);
    assert_int_equal(origin.seq, 40000);
    assert_true(kw_rtp_stream_origin(&stream, 9, &origin));
    assert_int_equal(origin.tag, 1);
    assert_int_equal(origin.seq, 1009);
    assert_false(kw_rtp_stream_origin(&stream, 11, &origin));    /* never sent */
    assert_false(kw_rtp_stream_origin(&stream, 65535, &origin)); /* before the first */
}

/* Our report, seen by a receiver that answers after a while: loss and round trip. */
static void reports_make_a_round_trip(void **state)
{
    uint8_t packet[172], data[256];
    struct kw_rtp_stream stream, idle, *streams[] = {&stream, &idle};
    struct kw_rtp_source heard, *sources[] = {&heard};
    struct kw_rtp_report report = {.ssrc = 1,
                                   .cname = {(const uint8_t *)"kw", 2},
                                   .streams = streams,
                                   .stream_count = 2,
                                   .sources = sources,
                                   .source_count = 1};
    struct kw_rtp_source far;
    struct kw_rtcp_block block;
    struct kw_reader in;
    struct kw_rtcp rtcp;
    struct kw_rtp rtp;
    struct kw_bytes cname;
    size_t len;

    (void)state;
    kw_rtp_stream_init(&stream, 7, 48000, 0);
    kw_rtp_stream_init(&idle, 8, 48000, 0);
    kw_rtp_source_init(&heard, 5, 48000);
    assert_int_equal(kw_rtp_report_write(&report, 0, KW_S(1), data, sizeof data), 0);
    kw_rtp_source_receive(&heard, 1, 1, KW_S(1));
    len = kw_rtp_report_write(&report, 0, KW_S(1), data, sizeof data);
    assert_int_equal(data[1], KW_RTCP_RR);

    make(packet, 5, 1, 1000, &rtp);
    kw_rtp_stream_attach(&stream, 1, &rtp, 0);
    assert_int_equal(kw_rtp_stream_forward(&stream, 1, packet, &rtp, KW_S(1)), KW_ACCEPT);
    len = kw_rtp_report_write(&report, kw_ntp_from_ns(KW_S(500)), KW_S(2), data, sizeof data);
    assert_int_equal(kw_rtcp_check(data, len), KW_ACCEPT);
    in = kw_reader_of(data, len);
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_int_equal(rtcp.type, KW_RTCP_SR);
    assert_int_equal(rtcp.ssrc, 7);
    assert_int_equal(rtcp.sender.timestamp, 48000); /* a second after its packet */
    assert_int_equal(rtcp.sender.packets, 1);
    assert_int_equal(rtcp.sender.octets, 160);
    assert_true(kw_rtcp_block_next(&rtcp.blocks, &block));
    assert_int_equal(block.ssrc, 5);

    kw_rtp_source_init(&far, 7, 48000);
    kw_rtp_source_receive(&far, 0, 0, KW_S(77));
    kw_rtp_source_sr(&far, &rtcp.sender, KW_S(77)); /* its clock has another zero */
    kw_rtp_source_block(&far, KW_S(80), &block);    /* 3 s later */
    kw_rtp_stream_report(&stream, &block, kw_ntp_from_ns(KW_S(503) + KW_MS(40)));
    assert_in_range(stream.rtt, KW_MS(40) - KW_US(50), KW_MS(40) + KW_US(50));
    assert_true(kw_rtcp_next(&in, &rtcp));
    assert_true(kw_rtcp_cname(&rtcp, 7, &cname));
    assert_false(kw_rtcp_next(&in, &rtcp));
}

/* Two streams of one source stay in step although their packets take different ways. */
static void anchors_keep_streams_in_step(void **state)
{
    struct kw_rtp_sync sync = {0};
    struct kw_rtcp_sender audio_sr = {.ntp = kw_ntp_from_ns(KW_S(100)), .timestamp = 48000};
    struct kw_rtcp_sender video_sr = {.ntp = kw_ntp_from_ns(KW_S(100)), .timestamp = 90000};
    struct kw_rtcp_sender audio_out, video_out;
    struct kw_rtp_stream audio, video;
    uint8_t packet[172];
    struct kw_rtp rtp, out;

    (void)state;
    kw_rtp_stream_init(&audio, 7, 48000, 0);
    make(packet, 5, 1, 48000, &rtp);
    kw_rtp_stream_attach(&audio, 1, &rtp, 48000);
    assert_int_equal(forward(&audio, 1, 5, 1, 48000, KW_S(1) + KW_MS(20), &out), KW_ACCEPT);
    kw_rtp_stream_init(&video, 8, 90000, 0);
    make(packet, 6, 1, 90000, &rtp);
    kw_rtp_stream_attach(&video, 1, &rtp, 90000);
    assert_int_equal(forward(&video, 1, 6, 1, 90000, KW_S(1) + KW_MS(150), &out), KW_ACCEPT);

    /* Without anchors the arrivals show: 130 ms apart. */
    kw_rtp_stream_sender(&audio, kw_ntp_from_ns(KW_S(502)), KW_S(2), &audio_out);
    kw_rtp_stream_sender(&video, kw_ntp_from_ns(KW_S(502)), KW_S(2), &video_out);
    assert_int_not_equal(audio_out.timestamp / 48, video_out.timestamp / 90);

    kw_rtp_sync_learn(&sync, &audio_sr, kw_ntp_from_ns(KW_S(501) + KW_MS(20)));
    kw_rtp_sync_learn(&sync, &video_sr, kw_ntp_from_ns(KW_S(501) + KW_MS(150)));
    kw_rtp_stream_anchor(&audio, 1, 5, &audio_sr, &sync);
    kw_rtp_stream_anchor(&video, 1, 6, &video_sr, &sync);
    kw_rtp_stream_sender(&audio, kw_ntp_from_ns(KW_S(502)), KW_S(2), &audio_out);
    kw_rtp_stream_sender(&video, kw_ntp_from_ns(KW_S(502)), KW_S(2), &video_out);
    assert_in_range(audio_out.timestamp / 48, 1000 + 977, 1000 + 980);
    /* the second report came 130 ms late and moved the common offset by 2 ms only */
    assert_in_range(video_out.timestamp / 90, audio_out.timestamp / 48 - 3,
                    audio_out.timestamp / 48 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_counted_as_rfc_3550_does),
        cmocka_unit_test(the_fraction_is_of_the_last_interval),
        cmocka_unit_test(jitter_and_the_times_of_reports),
        cmocka_unit_test(gaps_stay_gaps_and_numbers_wrap),
        cmocka_unit_test(epochs_follow_each_other),
        cmocka_unit_test(reports_make_a_round_trip),
        cmocka_unit_test(anchors_keep_streams_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
