/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotations in virtual time: one microphone (or camera), an encoder for each generation with its
 * own SSRC, numbers and frame phase, a network with delay, jitter and loss, and a listener who
 * knows from the payload when each frame was captured.
 */
#include "check.h"

#include "rtp/splice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static bool chance(struct dice *dice, unsigned percent)
{
    return roll(dice) % 100 < percent;
}

enum { PACKET_MAX = 64, EVENTS_MAX = 60000 };

struct event {
    kw_ns at; /* arrival */
    uint64_t order;
    uint32_t generation;
    bool is_report;
    struct kw_rtcp_sender report;
    uint32_t ssrc;
    kw_ns captured, sent;
    size_t len;
    uint8_t data[PACKET_MAX];
};

struct scene {
    struct dice dice;
    unsigned rotations;
    kw_ns every, overlap;
    kw_ns delay, jitter;
    unsigned loss_percent;
    bool reports, send_times;
    kw_ns report_error;     /* a report is up to so much late */
    kw_ns first_report;     /* 0: soon enough for the cut */
    kw_ns stall;            /* whenever an encoder begins, its machine loses so much time */
    kw_ns removed_after;    /* the old generation leaves so long after `next` came; 0: later */
    int drift_ppm;          /* of the sound card against the clock of the reports */
    unsigned pause_percent; /* frames left out in bursts (DTX) */
    struct event *events;
    size_t event_count;
};

static int by_arrival(const void *a, const void *b)
{
    const struct event *left = a, *right = b;

    if (left->at != right->at)
        return left->at < right->at ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static struct event *add_event(struct scene *scene)
{
    struct event *event = &scene->events[scene->event_count];

    assert_true(scene->event_count < EVENTS_MAX);
    *event = (struct event){.order = scene->event_count++};
    return event;
}

static void make_packet(struct event *event, uint32_t ssrc, uint16_t seq, uint32_t timestamp,
                        const uint8_t *payload, size_t payload_len)
{
    static const uint8_t start[2] = {0x80, 111};

    memcpy(event->data, start, 2);
    kw_rtp_set_seq(event->data, seq);
    kw_rtp_set_timestamp(event->data, timestamp);
    kw_rtp_set_ssrc(event->data, ssrc);
    memcpy(event->data + 12, payload, payload_len);
    event->len = 12 + payload_len;
    event->ssrc = ssrc;
}

/* The encoder of one generation, from start to stop. */
static void speak(struct scene *scene, uint32_t generation, kw_ns start, kw_ns stop)
{
    struct dice *dice = &scene->dice;
    uint32_t ssrc = (uint32_t)roll(dice), ts0 = (uint32_t)roll(dice);
    uint16_t seq = (uint16_t)roll(dice);
    kw_ns phase = start + roll(dice) % KW_MS(20), next_report = phase;

    next_report += scene->first_report != 0 ? scene->first_report : KW_MS(600);
    for (uint64_t n = 0;; n++) {
        kw_ns captured = phase + n * (KW_MS(20) + (kw_ns)(20 * scene->drift_ppm));
        struct event *event;

        if (captured >= stop)
            return;
        /* Both encoders hear the same silence. */
        if (scene->pause_percent != 0 &&
            captured / KW_MS(300) * 2654435761U % 100 < scene->pause_percent)
            continue;
        if (scene->reports && captured >= next_report) {
            next_report += KW_MS(2500);
            event = add_event(scene);
            event->is_report = true;
            event->generation = generation;
            event->ssrc = ssrc;
            event->at = captured + scene->delay + roll(dice) % (scene->jitter + 1);
            event->report.ntp = kw_ntp_from_ns(KW_S(3900000000) + captured +
                                               roll(dice) % (scene->report_error + 1));
            event->report.timestamp = (uint32_t)(ts0 + n * 960);
        }
        seq++;
        if (chance(dice, scene->loss_percent))
            continue;
        event = add_event(scene);
        event->generation = generation;
        event->captured = captured;
        event->sent = captured + KW_MS(5) + roll(dice) % KW_MS(2);
        if (captured > KW_S(100) && scene->every != 0)
            event->sent += (captured + scene->overlap - KW_S(100)) / scene->every * scene->stall;
        event->at = event->sent + scene->delay + roll(dice) % (scene->jitter + 1);
        make_packet(event, ssrc, seq, (uint32_t)(ts0 + n * 960), (const uint8_t *)"sound", 5);
    }
}

static void play(struct scene *scene)
{
    scene->events = calloc(EVENTS_MAX, sizeof *scene->events);
    for (unsigned i = 0; i <= scene->rotations; i++) {
        kw_ns start = KW_S(100) + i * scene->every;
        kw_ns begin = i == 0 ? start : start - scene->overlap;

        speak(scene, i + 1, begin, start + scene->every + scene->overlap);
    }
    qsort(scene->events, scene->event_count, sizeof *scene->events, by_arrival);
}

/* What the listener notes of one frame. */
struct heard {
    bool is_there;
    uint32_t timestamp;
    kw_ns captured;
};

struct ear {
    struct heard frames[EVENTS_MAX];
    uint64_t highest; /* extended */
    uint64_t first;
    size_t count;
    unsigned cuts_by[KW_SPLICE_SAME + 1];
    int64_t worst_error;
};

static void listen(struct ear *ear, const struct event *event, const struct kw_rtp *out)
{
    uint64_t seq;

    if (ear->count++ == 0)
        ear->highest = ear->first = out->seq + 65536U;
    seq = ear->highest + (uint64_t)(int64_t)kw_rtp_seq_diff(out->seq, (uint16_t)ear->highest);
    assert_true(seq >= ear->first && seq - ear->first < EVENTS_MAX);
    CHECK(!ear->frames[seq - ear->first].is_there, "sequence number %u twice", out->seq);
    ear->frames[seq - ear->first] =
        (struct heard){.is_there = true, .timestamp = out->timestamp, .captured = event->captured};
    if (seq > ear->highest)
        ear->highest = seq;
}

static void run_audio(struct scene *scene, struct ear *ear, uint64_t seed)
{
    struct kw_splice_params params = {.ssrc = 42,
                                      .clock_hz = 48000,
                                      .first_seq = 1000,
                                      .first_ts = 0xfffff000, /* wraps soon */
                                      .patience = scene->overlap * 3 / 4};
    struct kw_splice splice;
    uint32_t cuts = 0, newest = 1;
    kw_ns newest_at = 0;

    memset(ear, 0, sizeof *ear);
    kw_splice_init(&splice, &params);
    for (size_t i = 0; i < scene->event_count; i++) {
        struct event *event = &scene->events[i];
        struct kw_splice_packet info = {.generation = event->generation};
        struct kw_rtp rtp;

        if (event->generation > newest) {
            newest = event->generation;
            newest_at = event->at;
        }
        if (scene->removed_after != 0 && event->generation < newest &&
            event->at > newest_at + scene->removed_after) {
            kw_splice_remove(&splice, event->generation);
            continue; /* of a connection that is closed */
        }
        if (event->is_report) {
            kw_splice_report(&splice, event->generation, event->ssrc, &event->report);
            continue;
        }
        assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
        info.rtp = &rtp;
        info.has_send_time = scene->send_times;
        info.send_time = (uint32_t)(event->sent % KW_S(64) * (1 << 18) / KW_S(1)) & 0xffffff;
        if (kw_splice_receive(&splice, &info, event->data, event->at) == KW_ACCEPT) {
            assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
            CHECK(rtp.ssrc == 42, "seed %" PRIu64, seed);
            listen(ear, event, &rtp);
        }
        if (splice.cuts != cuts) {
            cuts = splice.cuts;
            ear->cuts_by[splice.method]++;
            if (llabs(splice.error_ns) > llabs(ear->worst_error))
                ear->worst_error = splice.error_ns;
            if (cuts > 2)
                kw_splice_remove(&splice, event->generation - 2);
        }
    }
    CHECK(cuts == scene->rotations + 1, "seed %" PRIu64 ": %u cuts", seed, cuts);
    free(scene->events);
}

/* How far the outgoing clock may be from the capture clock, as seen since the first frame. */
static int64_t worst_clock(const struct ear *ear)
{
    int64_t worst = 0;

    for (uint64_t i = 0; i <= ear->highest - ear->first; i++) {
        const struct heard *frame = &ear->frames[i];
        int64_t out, in;

        if (!frame->is_there)
            continue;
        out = kw_rtp_units_to_ns((uint32_t)(frame->timestamp - ear->frames[0].timestamp), 48000);
        in = (int64_t)(frame->captured - ear->frames[0].captured);
        if (llabs(out - in) > llabs(worst))
            worst = out - in;
    }
    return worst;
}

static struct ear ear;

static void without_loss_nothing_is_missing_and_the_clock_is_steady(void **state)
{
    int64_t worst = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct scene scene = {.dice = {seed},
                              .rotations = 12,
                              .every = KW_S(5),
                              .overlap = KW_MS(1500),
                              .delay = KW_MS(20 + seed % 280),
                              .jitter = seed % 4 * KW_MS(8),
                              .reports = true};

        play(&scene);
        run_audio(&scene, &ear, seed);
        /* every sequence number, every timestamp 20 ms after the one before */
        for (uint64_t i = 0; i <= ear.highest - ear.first; i++) {
            CHECK(ear.frames[i].is_there, "seed %" PRIu64 ": hole at %" PRIu64, seed, i);
            CHECK(i == 0 || ear.frames[i].timestamp - ear.frames[i - 1].timestamp == 960,
                  "seed %" PRIu64 ": step at %" PRIu64, seed, i);
            /* what was captured twice or never at a cut is at most a frame */
            CHECK(i == 0 || ear.frames[i].captured + KW_MS(1) > ear.frames[i - 1].captured,
                  "seed %" PRIu64 ": back at %" PRIu64, seed, i);
            CHECK(i == 0 ||
                      ear.frames[i].captured - ear.frames[i - 1].captured <= KW_MS(40) + KW_US(1),
                  "seed %" PRIu64 ": skip at %" PRIu64, seed, i);
        }
        assert_int_equal(ear.cuts_by[KW_SPLICE_FIRST], 1);
        CHECK(ear.cuts_by[KW_SPLICE_SR] == 12, "seed %" PRIu64, seed);
        CHECK(llabs(ear.worst_error) <= (int64_t)KW_MS(10), "seed %" PRIu64, seed);
        if (llabs(worst_clock(&ear)) > llabs(worst))
            worst = worst_clock(&ear);
        CHECK(llabs(worst) <= (int64_t)KW_US(10050), "seed %" PRIu64 ": %" PRId64 " ns", seed,
              worst);
    }
    print_message("worst clock error after 12 rotations: %" PRId64 " us\n", worst / 1000);
}

static void other_clocks_and_loss(void **state)
{
    static const struct {
        bool reports, send_times;
        kw_ns report_error, first_report;
        unsigned loss_percent;
        int drift_ppm;
        enum kw_splice_method method;
        int64_t allowed; /* the clock, in ns */
    } rows[] = {
        {true, false, 0, 0, 5, 0, KW_SPLICE_SR, KW_US(10050)},
        {true, false, 0, 0, 0, 100, KW_SPLICE_SR, KW_MS(20)}, /* + 65 s x 100 ppm of drift */
        {false, true, 0, 0, 0, 0, KW_SPLICE_SEND_TIME, KW_MS(11)},
        {false, true, 0, 0, 5, 0, KW_SPLICE_SEND_TIME, KW_MS(11)},
        /* as Chromium: its reports are worse than its send times, and must not spoil them */
        {true, true, KW_MS(20), 0, 5, 0, KW_SPLICE_SEND_TIME, KW_MS(11)},
        {true, true, KW_MS(20), KW_MS(2500), 5, 0, KW_SPLICE_SEND_TIME, KW_MS(11)},
        {false, false, 0, 0, 0, 0, KW_SPLICE_ARRIVAL, KW_MS(20)},
        {false, false, 0, 0, 5, 0, KW_SPLICE_ARRIVAL, KW_MS(20)},
        /* as Firefox: the first report after 2.5 s, too late for the cut but not for its review */
        {true, false, 0, KW_MS(2500), 0, 0, KW_SPLICE_ARRIVAL, KW_MS(14)},
        {true, false, 0, KW_MS(2500), 5, 0, KW_SPLICE_ARRIVAL, KW_MS(14)},
    };

    (void)state;
    for (size_t row = 0; row < KW_ARRAY_LEN(rows); row++) {
        for (uint64_t seed = 1; seed <= 30; seed++) {
            struct scene scene = {.dice = {seed},
                                  .rotations = 12,
                                  .every = KW_S(5),
                                  .overlap = KW_MS(1500),
                                  .delay = KW_MS(50),
                                  .jitter = KW_MS(30),
                                  .reports = rows[row].reports,
                                  .report_error = rows[row].report_error,
                                  .first_report = rows[row].first_report,
                                  .send_times = rows[row].send_times,
                                  .drift_ppm = rows[row].drift_ppm,
                                  .loss_percent = rows[row].loss_percent};

            play(&scene);
            run_audio(&scene, &ear, seed);
            CHECK(ear.cuts_by[rows[row].method] == 12, "row %zu seed %" PRIu64, row, seed);
            for (uint64_t i = 1; i <= ear.highest - ear.first; i++)
                CHECK(!ear.frames[i].is_there || !ear.frames[i - 1].is_there ||
                          (ear.frames[i].timestamp - ear.frames[i - 1].timestamp) % 960 == 0,
                      "row %zu seed %" PRIu64 ": step at %" PRIu64, row, seed, i);
            CHECK(llabs(worst_clock(&ear)) <= rows[row].allowed,
                  "row %zu seed %" PRIu64 ": clock off by %" PRId64 " us", row, seed,
                  worst_clock(&ear) / 1000);
        }
    }
}

/*
 * A browser that makes a connection may lose sound for a moment; from then on both encoders are
 * late by as much. That is no difference between the two.
 */
static void a_sender_that_stalls_at_each_rotation_does_not_move_the_clock(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct scene scene = {.dice = {seed},
                              .rotations = 12,
                              .every = KW_S(5),
                              .overlap = KW_MS(1500),
                              .delay = KW_MS(50),
                              .jitter = KW_MS(1),
                              .stall = KW_MS(10),
                              .send_times = seed % 2};

        play(&scene);
        run_audio(&scene, &ear, seed);
        CHECK(llabs(worst_clock(&ear)) <= (int64_t)KW_MS(12), "seed %" PRIu64 ": %" PRId64 " us",
              seed, worst_clock(&ear) / 1000);
    }
}

/*
 * A client that closes the old connection before the cut: nothing is left to wait for, but what is
 * known of the old clock still counts, so the errors do not add up.
 */
static void an_old_generation_may_leave_before_the_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct scene scene = {.dice = {seed},
                              .rotations = 12,
                              .every = KW_S(5),
                              .overlap = KW_MS(1500),
                              .delay = KW_MS(50),
                              .jitter = KW_MS(25),
                              .send_times = true,
                              .removed_after = KW_MS(200)};

        play(&scene);
        run_audio(&scene, &ear, seed);
        CHECK(llabs(worst_clock(&ear)) <= (int64_t)KW_MS(12), "seed %" PRIu64 ": %" PRId64 " us",
              seed, worst_clock(&ear) / 1000);
    }
}

static void silence_keeps_its_length(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct scene scene = {.dice = {seed},
                              .rotations = 12,
                              .every = KW_S(5),
                              .overlap = KW_MS(1500),
                              .delay = KW_MS(50),
                              .jitter = KW_MS(5),
                              .reports = true,
                              .pause_percent = 40};

        play(&scene);
        run_audio(&scene, &ear, seed);
        CHECK(llabs(worst_clock(&ear)) <= (int64_t)KW_MS(20), "seed %" PRIu64 ": %" PRId64 " us",
              seed, worst_clock(&ear) / 1000);
    }
}

/* The old generation dies without a word before `next` could be aligned. */
static void an_old_stream_that_is_gone_is_not_waited_for(void **state)
{
    struct scene scene = {.dice = {5}, .delay = KW_MS(30)};
    struct kw_splice_params params = {
        .ssrc = 42, .clock_hz = 48000, .first_seq = 5, .patience = KW_S(5)};
    struct kw_splice splice;
    kw_ns last_old = 0, first_new = 0;
    uint32_t ts_old = 0, ts_new = 0;

    (void)state;
    scene.events = calloc(EVENTS_MAX, sizeof *scene.events);
    speak(&scene, 1, KW_S(1), KW_S(3));
    speak(&scene, 2, KW_MS(2900), KW_S(6));
    qsort(scene.events, scene.event_count, sizeof *scene.events, by_arrival);
    kw_splice_init(&splice, &params);
    for (size_t i = 0; i < scene.event_count; i++) {
        struct event *event = &scene.events[i];
        struct kw_splice_packet info = {.generation = event->generation};
        struct kw_rtp rtp;

        assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
        info.rtp = &rtp;
        if (kw_splice_receive(&splice, &info, event->data, event->at) != KW_ACCEPT)
            continue;
        assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
        if (event->generation == 1) {
            last_old = event->captured;
            ts_old = rtp.timestamp;
        } else if (first_new == 0) {
            first_new = event->captured;
            ts_new = rtp.timestamp;
        }
    }
    assert_in_range(first_new - last_old, KW_MS(200), KW_MS(260));
    assert_in_range((ts_new - ts_old) / 48, (first_new - last_old) / KW_MS(1) - 15,
                    (first_new - last_old) / KW_MS(1) + 15);
    assert_int_equal(splice.method, KW_SPLICE_LOST_OLD);
    free(scene.events);
}

/* `restart`: one encoder whose packets come under other keys from some moment on; three are lost
 * there. */
static void the_same_encoder_under_other_keys_goes_on(void **state)
{
    struct scene scene = {.dice = {9}, .delay = KW_MS(30)};
    struct kw_splice_params params = {
        .ssrc = 42, .clock_hz = 48000, .first_seq = 5, .patience = KW_S(5)};
    struct kw_splice splice;
    uint32_t shift = 0;
    uint16_t seq_shift = 0;
    size_t count = 0, passed = 0;

    (void)state;
    scene.events = calloc(EVENTS_MAX, sizeof *scene.events);
    speak(&scene, 1, KW_S(1), KW_S(5));
    qsort(scene.events, scene.event_count, sizeof *scene.events, by_arrival);
    kw_splice_init(&splice, &params);
    for (size_t i = 0; i < scene.event_count; i++) {
        struct event *event = &scene.events[i];
        struct kw_splice_packet info = {.generation = i < 100 ? 1 : 2};
        struct kw_rtp in, out;

        if (i >= 100 && i < 103)
            continue;
        count++;
        assert_int_equal(kw_rtp_parse(event->data, event->len, &in), KW_ACCEPT);
        info.rtp = &in;
        if (kw_splice_receive(&splice, &info, event->data, event->at) != KW_ACCEPT)
            continue;
        assert_int_equal(kw_rtp_parse(event->data, event->len, &out), KW_ACCEPT);
        if (passed++ == 0) {
            shift = out.timestamp - in.timestamp;
            seq_shift = (uint16_t)(out.seq - in.seq);
        }
        CHECK(out.timestamp - in.timestamp == shift && (uint16_t)(out.seq - in.seq) == seq_shift,
              "packet %zu was moved", i);
    }
    assert_int_equal(passed, count);
    assert_int_equal(splice.method, KW_SPLICE_SAME);
    free(scene.events);
}

/* ---- video ----------------------------------------------------------------------------------- */

/* VP8 with 15-bit PictureID and TL0PICIDX: a frame of three packets. */
static size_t vp8(uint8_t *dst, bool starts, bool key, uint16_t picture_id, uint8_t tl0)
{
    const uint8_t bytes[] = {(uint8_t)(starts ? 0x90 : 0x80),
                             0xc0,
                             (uint8_t)(0x80 | picture_id >> 8),
                             (uint8_t)picture_id,
                             tl0,
                             (uint8_t)(key ? 0 : 1)};

    memcpy(dst, bytes, sizeof bytes);
    return sizeof bytes;
}

struct camera {
    uint32_t generation, ssrc, ts;
    uint16_t seq, picture_id;
    uint8_t tl0;
    bool wants_key;
    kw_ns key_at;
};

struct viewer {
    bool started, saw_new;
    uint16_t seq, picture_id;
    uint8_t tl0;
    uint32_t timestamp;
};

static void see(struct viewer *viewer, const uint8_t *packet, size_t len, uint32_t generation)
{
    struct kw_video video;
    struct kw_rtp rtp;
    uint16_t id;

    assert_int_equal(kw_rtp_parse(packet, len, &rtp), KW_ACCEPT);
    assert_int_equal(kw_video_parse(KW_VIDEO_VP8, rtp.payload, &video), KW_ACCEPT);
    id = kw_video_picture_id(&video, rtp.payload.data);
    if (viewer->started) {
        bool same_frame = rtp.timestamp == viewer->timestamp;

        assert_int_equal(rtp.seq, (uint16_t)(viewer->seq + 1));
        assert_true(kw_rtp_ts_diff(rtp.timestamp, viewer->timestamp) >= 0);
        assert_int_equal(id, (viewer->picture_id + (same_frame ? 0 : 1)) & 0x7fff);
        assert_int_equal(rtp.payload.data[video.tl0_at],
                         (uint8_t)(viewer->tl0 + (same_frame ? 0 : 1)));
    }
    if (generation == 2 && !viewer->saw_new) {
        assert_true(video.starts_key_frame);
        viewer->saw_new = true;
    }
    viewer->started = true;
    viewer->seq = rtp.seq;
    viewer->picture_id = id;
    viewer->tl0 = rtp.payload.data[video.tl0_at];
    viewer->timestamp = rtp.timestamp;
}

/* What libwebrtc sends to learn the bandwidth: a packet of padding alone, in the numbers of the
 * stream. */
static void pad(struct kw_splice *splice, struct camera *camera, struct viewer *viewer, kw_ns now)
{
    static const uint8_t padding[] = {0, 0, 0, 4};
    struct event event = {0};
    struct kw_rtp rtp;
    struct kw_splice_packet info = {
        .generation = camera->generation, .rtp = &rtp, .codec = KW_VIDEO_VP8};

    make_packet(&event, camera->ssrc, camera->seq++, camera->ts, padding, sizeof padding);
    event.data[0] |= 0x20;
    assert_int_equal(kw_rtp_parse(event.data, event.len, &rtp), KW_ACCEPT);
    assert_int_equal(rtp.payload.len, 0);
    if (kw_splice_receive(splice, &info, event.data, now) != KW_ACCEPT)
        return;
    assert_int_equal(kw_rtp_parse(event.data, event.len, &rtp), KW_ACCEPT);
    assert_int_equal(rtp.seq, (uint16_t)(viewer->seq + 1));
    viewer->seq = rtp.seq;
}

static void film(struct kw_splice *splice, struct camera *camera, struct viewer *viewer, kw_ns now)
{
    bool key = camera->wants_key && now >= camera->key_at;

    if (camera->tl0 % 7 == 0 && viewer->started)
        pad(splice, camera, viewer, now);
    camera->ts += 3000;
    camera->picture_id++;
    camera->tl0++;
    for (int part = 0; part < 3; part++) {
        struct event event = {0};
        struct kw_rtp rtp;
        struct kw_splice_packet info = {
            .generation = camera->generation, .rtp = &rtp, .codec = KW_VIDEO_VP8};
        uint8_t payload[16];
        size_t len = vp8(payload, part == 0, key, camera->picture_id & 0x7fff, camera->tl0);

        make_packet(&event, camera->ssrc, camera->seq++, camera->ts, payload, len);
        assert_int_equal(kw_rtp_parse(event.data, event.len, &rtp), KW_ACCEPT);
        if (kw_splice_receive(splice, &info, event.data, now) == KW_ACCEPT)
            see(viewer, event.data, event.len, camera->generation);
    }
    if (key)
        camera->wants_key = false;
}

static void video_switches_at_a_key_frame(void **state)
{
    struct kw_splice_params params = {
        .is_video = true, .ssrc = 42, .clock_hz = 90000, .first_seq = 65000};
    struct camera old = {.generation = 1,
                         .ssrc = 100,
                         .ts = 5,
                         .seq = 40000,
                         .picture_id = 0x7ff0,
                         .tl0 = 250,
                         .wants_key = true};
    struct camera next = {
        .generation = 2, .ssrc = 100, .ts = 4000000000, .seq = 9, .picture_id = 77, .tl0 = 3};
    struct viewer viewer = {0};
    struct kw_splice splice;
    uint32_t generation, ssrc;
    struct kw_rtp_origin origin;
    int asked = 0;
    kw_ns now = KW_S(1);

    (void)state;
    kw_splice_init(&splice, &params);
    for (int frame = 0; frame < 120; frame++, now += KW_US(33333)) {
        film(&splice, &old, &viewer, now);
        if (frame >= 30)
            film(&splice, &next, &viewer, now + KW_MS(7));
        if (kw_splice_wants_key(&splice, now + KW_MS(8), &generation, &ssrc)) {
            assert_int_equal(generation, 2);
            assert_int_equal(ssrc, 100);
            /* the first request is lost */
            if (++asked == 2) {
                next.wants_key = true;
                next.key_at = now + KW_MS(100);
            }
        }
    }
    assert_int_equal(asked, 2);
    assert_true(viewer.saw_new);
    assert_int_equal(splice.cuts, 2);
    assert_true(kw_splice_current(&splice, &generation, &ssrc));
    assert_int_equal(generation, 2);

    /* NACKs go to the generation that the packet came from. */
    assert_true(kw_rtp_stream_origin(&splice.stream, viewer.seq, &origin));
    assert_int_equal(origin.tag, 2);
    assert_int_equal(origin.seq, (uint16_t)(next.seq - 1));
    assert_true(kw_rtp_stream_origin(&splice.stream, 65000, &origin));
    assert_int_equal(origin.tag, 1);
    assert_int_equal(origin.seq, 40000);

    /* The old one's BYE is swallowed, the last one's is not. */
    assert_false(kw_splice_bye(&splice, 1, 100));
    assert_false(kw_splice_bye(&splice, 2, 555));
    assert_true(kw_splice_bye(&splice, 2, 100));
}

/* When the current generation goes before its successor had a key frame, pictures wait for one. */
static void video_without_a_current_generation_waits_for_a_key_frame(void **state)
{
    struct kw_splice_params params = {.is_video = true, .ssrc = 42, .clock_hz = 90000};
    struct camera old = {.generation = 1, .ssrc = 100, .wants_key = true};
    struct camera next = {.generation = 2, .ssrc = 200, .picture_id = 500};
    struct viewer viewer = {0};
    struct kw_splice splice;
    uint32_t generation, ssrc;
    kw_ns now = KW_S(1);

    (void)state;
    kw_splice_init(&splice, &params);
    for (int i = 0; i < 10; i++, now += KW_MS(33)) {
        film(&splice, &old, &viewer, now);
        film(&splice, &next, &viewer, now + KW_MS(5));
    }
    kw_splice_remove(&splice, 1);
    for (int i = 0; i < 10; i++, now += KW_MS(33))
        film(&splice, &next, &viewer, now + KW_MS(5));
    assert_false(viewer.saw_new);
    assert_true(kw_splice_wants_key(&splice, now, &generation, &ssrc));
    assert_int_equal(ssrc, 200);
    next.wants_key = true;
    film(&splice, &next, &viewer, now + KW_MS(5));
    assert_true(viewer.saw_new);
    /* what the removed one still sends is nobody's */
    film(&splice, &old, &viewer, now + KW_MS(6));
    assert_int_equal(splice.cuts, 2);
}

/* A clock so slow that a frame has no unit, and packets that never advance: nothing to divide by.
 */
static void a_clock_without_frames_breaks_nothing(void **state)
{
    struct kw_splice_params params = {.ssrc = 42, .clock_hz = 1};
    struct kw_splice splice;
    kw_ns now = KW_S(1);

    (void)state;
    kw_splice_init(&splice, &params);
    for (uint16_t i = 0; i < 2000; i++, now += KW_MS(20)) {
        struct event event = {0};
        struct kw_rtp rtp;
        struct kw_splice_packet info = {.generation = 1U + i / 500U, .rtp = &rtp};
        uint8_t payload[8] = {0};

        make_packet(&event, 100, i, i % 3 == 0 ? 0xffffffff : 0, payload, sizeof payload);
        assert_int_equal(kw_rtp_parse(event.data, event.len, &rtp), KW_ACCEPT);
        (void)!kw_splice_receive(&splice, &info, event.data, now);
        if (i % 500 == 499)
            kw_splice_remove(&splice, info.generation - 1);
    }
    assert_true(splice.cuts >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss_nothing_is_missing_and_the_clock_is_steady),
        cmocka_unit_test(other_clocks_and_loss),
        cmocka_unit_test(a_sender_that_stalls_at_each_rotation_does_not_move_the_clock),
        cmocka_unit_test(an_old_generation_may_leave_before_the_cut),
        cmocka_unit_test(silence_keeps_its_length),
        cmocka_unit_test(an_old_stream_that_is_gone_is_not_waited_for),
        cmocka_unit_test(a_clock_without_frames_breaks_nothing),
        cmocka_unit_test(the_same_encoder_under_other_keys_goes_on),
        cmocka_unit_test(video_switches_at_a_key_frame),
        cmocka_unit_test(video_without_a_current_generation_waits_for_a_key_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
