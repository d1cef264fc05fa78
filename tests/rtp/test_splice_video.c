/* SPDX-License-Identifier: Apache-2.0 */
/* Video through rotations: a camera and an encoder for each generation, and a viewer who is strict
 * about pictures. */
#include "check.h"

#include "scene.h"

#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_switches_at_a_key_frame),
        cmocka_unit_test(video_without_a_current_generation_waits_for_a_key_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
