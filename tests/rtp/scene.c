/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "scene.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN KW_S(100) /* of the first generation */

uint64_t roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

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

void make_packet(struct event *event, uint32_t ssrc, uint16_t seq, uint32_t timestamp,
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

/* How many rotations have begun by then, and how long ago the last one did. */
static uint64_t begun(const struct scene *scene, kw_ns moment, kw_ns *since)
{
    kw_ns passed = moment + scene->overlap - BEGIN;

    *since = KW_NEVER;
    if (scene->every == 0 || moment < BEGIN || passed < scene->every)
        return 0;
    *since = passed % scene->every;
    return passed / scene->every;
}

/* When a frame leaves its machine. */
static kw_ns sent_at(struct scene *scene, uint32_t generation, kw_ns captured)
{
    kw_ns since, sent = captured + KW_MS(5) + roll(&scene->dice) % KW_MS(2);
    uint64_t rotations = begun(scene, captured, &since);

    sent += rotations * scene->stall;
    if (scene->rhythm != 0)
        sent = (sent / scene->rhythm + 1) * scene->rhythm;
    if (scene->lucky != 0 && (since >= scene->lucky || generation <= rotations))
        sent += KW_MS(10);
    return sent;
}

static kw_ns way_of(struct scene *scene, uint32_t generation, kw_ns sent)
{
    kw_ns wave = KW_MS(1300), place = sent % wave;
    kw_ns queue = scene->queue * KW_MIN(place, wave - place) / (wave / 2);

    return scene->delay + queue + (generation % 2 == 0 ? scene->detour : 0) +
           roll(&scene->dice) % (scene->jitter + 1);
}

void scene_begin(struct scene *scene)
{
    scene->events = calloc(EVENTS_MAX, sizeof *scene->events);
    assert_non_null(scene->events);
}

void scene_speak(struct scene *scene, uint32_t generation, kw_ns start, kw_ns stop)
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
            event->at = captured + way_of(scene, generation, captured);
            event->report.ntp = kw_ntp_from_ns(KW_S(3900000000) + captured +
                                               roll(dice) % (scene->report_error + 1));
            event->report.timestamp = (uint32_t)(ts0 + n * 960);
        }
        seq++;
        if (roll(dice) % 100 < scene->loss_percent)
            continue;
        event = add_event(scene);
        event->generation = generation;
        event->captured = captured;
        event->sent = sent_at(scene, generation, captured);
        event->at = event->sent + way_of(scene, generation, event->sent);
        make_packet(event, ssrc, seq, (uint32_t)(ts0 + n * 960), (const uint8_t *)"sound", 5);
    }
}

void scene_sort(struct scene *scene)
{
    qsort(scene->events, scene->event_count, sizeof *scene->events, by_arrival);
}

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

/* One packet through the splice to the ear. */
static void pass(const struct scene *scene, struct kw_splice *splice, struct event *event,
                 struct ear *ear)
{
    struct kw_splice_packet info = {.generation = event->generation};
    struct kw_rtp rtp;

    assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
    info.rtp = &rtp;
    info.has_send_time = scene->send_times;
    info.send_time = (uint32_t)(event->sent % KW_S(64) * (1 << 18) / KW_S(1)) & 0xffffff;
    if (kw_splice_receive(splice, &info, event->data, event->at) != KW_ACCEPT)
        return;
    assert_int_equal(kw_rtp_parse(event->data, event->len, &rtp), KW_ACCEPT);
    assert_int_equal(rtp.ssrc, 42);
    listen(ear, event, &rtp);
}

static void play(struct scene *scene)
{
    scene_begin(scene);
    for (unsigned i = 0; i <= scene->rotations; i++) {
        kw_ns start = BEGIN + i * scene->every;
        kw_ns begin = i == 0 ? start : start - scene->overlap;

        scene_speak(scene, i + 1, begin, start + scene->every + scene->overlap);
    }
    scene_sort(scene);
}

void scene_run(const struct scene *original, struct ear *ear, uint64_t seed)
{
    struct scene scene = *original;
    struct kw_splice_params params = {.ssrc = 42,
                                      .clock_hz = 48000,
                                      .first_seq = 1000,
                                      .first_ts = 0xfffff000, /* wraps soon */
                                      .patience = scene.overlap * 3 / 4};
    struct kw_splice splice;
    uint32_t cuts = 0, newest = 1;
    kw_ns newest_at = 0;

    scene.dice.state = seed;
    play(&scene);
    memset(ear, 0, sizeof *ear);
    kw_splice_init(&splice, &params);
    for (size_t i = 0; i < scene.event_count; i++) {
        struct event *event = &scene.events[i];

        if (event->generation > newest) {
            newest = event->generation;
            newest_at = event->at;
        }
        if (scene.removed_after != 0 && event->generation < newest &&
            event->at > newest_at + scene.removed_after) {
            kw_splice_remove(&splice, event->generation);
            continue; /* of a connection that is closed */
        }
        if (event->is_report) {
            kw_splice_report(&splice, event->generation, event->ssrc, &event->report);
            continue;
        }
        pass(&scene, &splice, event, ear);
        if (splice.cuts == cuts)
            continue;
        cuts = splice.cuts;
        ear->cuts_by[splice.method]++;
        if (llabs(splice.error_ns) > llabs(ear->worst_error))
            ear->worst_error = splice.error_ns;
        if (cuts > 2)
            kw_splice_remove(&splice, event->generation - 2);
    }
    free(scene.events);
    CHECK(cuts == scene.rotations + 1, "seed %" PRIu64 ": %u cuts", seed, cuts);
    ear->worst_clock = worst_clock(ear);
}
