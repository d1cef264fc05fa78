/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input per generation; one of them is current, and the newest other one is `next`. Each input
 * knows three clocks: its sender's reports, its packets' send times, their arrivals. Two inputs are
 * compared by the best clock that both have.
 *
 *   old   ....|--------|--------|========|
 *                               ^ its end, once the frame of `next` before the cut is known
 *   next    ....|========|========|--------|--------|
 *                                 ^ begins within half a frame of that end: the cut
 */
#include "rtp/splice.h"

#include "base/assert.h"

#include <string.h>

/* Send times and arrivals are the best of the last 2 to 4 s: enough packets, little drift. */
#define WINDOW KW_S(2)
/*
 * An old stream that is silent for so long while `next` speaks is gone. It takes packets of `next`
 * as well, because in a pause of the speaker both are silent (DTX).
 */
#define SILENCE KW_MS(200)
enum { SILENCE_PACKETS = 10 };
/* Send times are trusted once so many packets have been seen: the shortest way stands. */
#define SETTLE KW_MS(500)
/* After its patience a cut that finds no frame to align with is made anyway. */
#define GIVE_UP KW_S(1)
/* Longer than a frame and its jitter. */
#define ON_ITS_WAY KW_MS(100)
/* The old stream was ended for a frame of `next` that does not come: it goes on. */
#define REOPEN KW_MS(60)
#define ASK_EVERY KW_MS(500)
/* Clocks that differ by more than this from what arrivals say are not one clock. */
#define SANE KW_MS(500)
/* Nothing sensible pauses for longer without a new stream. */
#define GAP_MAX KW_S(60)
/* A restart takes less than a second of video packets; farther apart it is another stream. */
enum { SAME_STREAM_MAX = 1000 };
enum { SEND_TIME_BITS = 24, SEND_TIME_HZ = 1 << 18, FRAME_MS_DEFAULT = 20 };

const char *kw_splice_method_name(enum kw_splice_method method)
{
    switch (method) {
    case KW_SPLICE_NONE:
        return "none";
    case KW_SPLICE_FIRST:
        return "first";
    case KW_SPLICE_SR:
        return "sender-reports";
    case KW_SPLICE_SEND_TIME:
        return "send-time";
    case KW_SPLICE_ARRIVAL:
        return "arrival";
    case KW_SPLICE_LOST_OLD:
        return "lost-old";
    case KW_SPLICE_SAME:
        return "same-stream";
    }
    return "none";
}

void kw_splice_init(struct kw_splice *splice, const struct kw_splice_params *params)
{
    *splice = (struct kw_splice){.params = *params};
    kw_rtp_stream_init(&splice->stream, params->ssrc, params->clock_hz, params->first_seq);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static int64_t to_ns(const struct kw_splice *splice, int32_t units)
{
    return kw_rtp_units_to_ns(units, splice->params.clock_hz);
}

/* The time that a point gives to a timestamp. */
static int64_t point_time(const struct kw_splice *splice, const struct kw_splice_point *point,
                          uint32_t timestamp)
{
    return point->at_ns + to_ns(splice, kw_rtp_ts_diff(timestamp, point->timestamp));
}

/* The shorter way wins: the smallest time for the same timestamp. */
static void clock_learn(const struct kw_splice *splice, struct kw_splice_clock *clock,
                        uint32_t timestamp, int64_t at_ns, kw_ns now)
{
    struct kw_splice_point point = {.known = true, .timestamp = timestamp, .at_ns = at_ns};

    if (!clock->now.known || clock->is_old || now - clock->window_at >= WINDOW) {
        clock->before = clock->now;
        clock->before.known =
            clock->now.known && !clock->is_old && now - clock->window_at < 2 * WINDOW;
        clock->now = point;
        clock->is_old = false;
        clock->window_at = now;
    } else if (at_ns < point_time(splice, &clock->now, timestamp)) {
        clock->now = point;
    }
}

static int64_t clock_time(const struct kw_splice *splice, const struct kw_splice_clock *clock,
                          uint32_t timestamp)
{
    int64_t time = point_time(splice, &clock->now, timestamp);

    if (clock->before.known)
        time = KW_MIN(time, point_time(splice, &clock->before, timestamp));
    return time;
}

/*
 * `next` appeared: both are compared by what they do from now on. A sender that has stalled for a
 * moment is late by that moment ever after, and its shortest way of before would say otherwise of
 * the old stream alone.
 */
static void begin_comparison(struct kw_splice_input *from)
{
    from->sent.is_old = true;
    from->arrived.is_old = true;
}

/* 24 bits of 1/2^18 s, relative to the first one seen: good for 32 s either way, then rebased. */
static int64_t send_time_ns(struct kw_splice *splice, uint32_t send_time,
                            const struct kw_splice_clock *clock, uint32_t timestamp)
{
    int64_t span = ((int64_t)1 << SEND_TIME_BITS) * (int64_t)KW_S(1) / SEND_TIME_HZ;
    int64_t raw, near;

    if (!splice->has_send_base) {
        splice->has_send_base = true;
        splice->send_base = send_time;
    }
    raw = (int64_t)((send_time - splice->send_base) & ((1U << SEND_TIME_BITS) - 1)) *
          (int64_t)KW_S(1) / SEND_TIME_HZ;
    if (!clock->now.known)
        return raw;
    near = point_time(splice, &clock->now, timestamp);
    /* the candidate nearest to where the clock expects it */
    return raw + (near - raw + (near >= raw ? span / 2 : -span / 2)) / span * span;
}

/*
 * a's time of a_ts minus b's time of b_ts, by the best clock of both. Send times come first: each
 * packet has one, and the shortest of many is good to a fraction of a millisecond. A report stands
 * alone, and a browser's is up to 20 ms beside its own send times (Chromium 156).
 */
static enum kw_splice_method compare(const struct kw_splice *splice,
                                     const struct kw_splice_input *a, uint32_t a_ts,
                                     const struct kw_splice_input *b, uint32_t b_ts, int64_t *ret)
{
    int64_t arrival = clock_time(splice, &a->arrived, a_ts) - clock_time(splice, &b->arrived, b_ts);
    int64_t span = ((int64_t)1 << SEND_TIME_BITS) * (int64_t)KW_S(1) / SEND_TIME_HZ;
    int64_t by_report, by_send;

    if (a->sent.now.known && b->sent.now.known) {
        by_send = clock_time(splice, &a->sent, a_ts) - clock_time(splice, &b->sent, b_ts);
        /* both are known modulo 64 s only */
        by_send -= (by_send - arrival + (by_send >= arrival ? span / 2 : -span / 2)) / span * span;
        if (by_send - arrival < (int64_t)SANE && arrival - by_send < (int64_t)SANE) {
            *ret = by_send;
            return KW_SPLICE_SEND_TIME;
        }
    }
    if (a->reported.known && b->reported.known) {
        by_report = point_time(splice, &a->reported, a_ts) - point_time(splice, &b->reported, b_ts);
        if (by_report - arrival < (int64_t)SANE && arrival - by_report < (int64_t)SANE) {
            *ret = by_report;
            return KW_SPLICE_SR;
        }
    }
    *ret = arrival;
    return KW_SPLICE_ARRIVAL;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static struct kw_splice_input *find(struct kw_splice *splice, uint32_t generation)
{
    for (size_t i = 0; i < KW_SPLICE_INPUTS; i++) {
        if (splice->inputs[i].used && splice->inputs[i].generation == generation)
            return &splice->inputs[i];
    }
    return NULL;
}

static struct kw_splice_input *add(struct kw_splice *splice, uint32_t generation)
{
    for (size_t i = 0; i < KW_SPLICE_INPUTS; i++) {
        if (splice->inputs[i].used)
            continue;
        splice->inputs[i] = (struct kw_splice_input){.used = true, .generation = generation};
        return &splice->inputs[i];
    }
    return NULL;
}

static void learn(struct kw_splice *splice, struct kw_splice_input *input,
                  const struct kw_splice_packet *info, kw_ns now)
{
    const struct kw_rtp *rtp = info->rtp;
    int32_t step = kw_rtp_ts_diff(rtp->timestamp, input->last_ts);

    if (!input->heard || input->ssrc != rtp->ssrc) {
        if (splice->current != NULL && splice->current != input)
            begin_comparison(splice->current);
        /* A new SSRC in a generation is a new clock. */
        uint32_t generation = input->generation;

        *input = (struct kw_splice_input){.used = true, .generation = generation};
        input->heard = true;
        input->ssrc = rtp->ssrc;
        input->first_at = now;
        input->last_seq = rtp->seq;
        input->last_ts = rtp->timestamp;
    } else if (kw_rtp_seq_diff(rtp->seq, input->last_seq) > 0) {
        /* A longer step between neighbours is a pause (DTX): the shortest one is the frame. */
        if (rtp->seq == (uint16_t)(input->last_seq + 1) && step > 0 &&
            (input->frame_units == 0 || (uint32_t)step < input->frame_units))
            input->frame_units = (uint32_t)step;
        input->last_seq = rtp->seq;
        input->last_ts = rtp->timestamp;
    }
    input->last_at = now;
    clock_learn(splice, &input->arrived, rtp->timestamp, (int64_t)now, now);
    if (info->has_send_time)
        clock_learn(splice, &input->sent, rtp->timestamp,
                    send_time_ns(splice, info->send_time, &input->sent, rtp->timestamp), now);
}

static uint32_t frame_units(const struct kw_splice *splice, const struct kw_splice_input *input)
{
    if (input->frame_units != 0)
        return input->frame_units;
    return KW_MAX(1U, splice->params.clock_hz / (1000 / FRAME_MS_DEFAULT)); /* never 0: a divisor */
}

/* ---- the cut --------------------------------------------------------------------------------- */

static void cut(struct kw_splice *splice, struct kw_splice_input *to, const struct kw_rtp *first,
                uint32_t out_ts, enum kw_splice_method method, kw_ns now)
{
    kw_rtp_stream_attach(&splice->stream, to->generation, first, out_ts);
    splice->current = to;
    splice->cuts++;
    splice->method = method;
    splice->error_ns = splice->debt_ns;
    splice->cut_at = now;
    splice->waited_ns = now - to->first_at;
    splice->asked = false;
    splice->closed = false;
    splice->review.is_open = false;
}

/* The timestamp behind what has left: the end of the last frame. */
static uint32_t out_end(const struct kw_splice *splice, uint32_t frame)
{
    return splice->stream.last_ts + frame;
}

/* Nothing to align with, or the current SSRC was lost: go on where its clock would be now. */
static void cut_blindly(struct kw_splice *splice, struct kw_splice_input *to,
                        const struct kw_rtp *first, kw_ns now)
{
    uint32_t frame = splice->params.is_video ? 1 : frame_units(splice, to);
    uint32_t clock = kw_rtp_stream_clock(&splice->stream, now);

    if (!splice->stream.started) {
        cut(splice, to, first, splice->params.first_ts, KW_SPLICE_FIRST, now);
        return;
    }
    if (kw_rtp_ts_diff(clock, out_end(splice, frame)) < 0)
        clock = out_end(splice, frame);
    splice->debt_ns = 0;
    cut(splice, to, first, clock, KW_SPLICE_LOST_OLD, now);
}

/*
 * When frames between the last early one and this one are missing, late or lost, the cut is in
 * front of them: their sequence numbers are left free. Returns how many.
 */
static int64_t step_back(const struct kw_splice_input *to, struct kw_rtp *start, int64_t pause,
                         uint32_t frame)
{
    int64_t missing = to->has_early ? kw_rtp_seq_diff(start->seq, to->early_seq) - 1 : 0;

    if (missing <= 0 || missing > pause)
        return 0;
    start->seq = (uint16_t)(start->seq - missing);
    start->timestamp -= (uint32_t)missing * frame;
    return missing;
}

/*
 * Audio. x: how far this frame begins behind the end of what has left. Below minus half a frame it
 * is too early; when the one after it will fit, the old stream is ended now, or its frames would
 * stay ahead for ever. From there on the pause between them is a whole number of frames (0, or more
 * after silence or loss), and what is left over is the debt.
 */
static bool try_audio(struct kw_splice *splice, struct kw_splice_input *to,
                      const struct kw_rtp *first, kw_ns now)
{
    struct kw_splice_input *from = splice->current;
    uint32_t from_frame = frame_units(splice, from), frame = frame_units(splice, to);
    int64_t frame_ns = to_ns(splice, (int32_t)frame), x, pause, missing;
    kw_ns patience_at = to->first_at + splice->params.patience;
    uint32_t end_ts = (splice->closed ? splice->closed_ts : from->last_ts) + from_frame;
    enum kw_splice_method method = compare(splice, to, first->timestamp, from, end_ts, &x);
    int64_t assumed = x;
    struct kw_splice_point old_point = from->reported;
    bool old_is_gone =
        from->removed || (now - from->last_at > SILENCE && splice->unanswered >= SILENCE_PACKETS);
    kw_ns settled_at = method == KW_SPLICE_SEND_TIME ? to->first_at + SETTLE : patience_at;
    struct kw_rtp start = *first;

    if (method != KW_SPLICE_SR && now < settled_at && !old_is_gone)
        return false;
    /* The one after it has been left out already: a cut here would leave a hole. */
    if (to->has_early && kw_rtp_seq_diff(first->seq, to->early_seq) < 0)
        return false;
    x += splice->debt_ns;
    if (x < -frame_ns / 2 && now < patience_at + GIVE_UP) {
        if (x + frame_ns >= -frame_ns / 2 && !splice->closed) {
            splice->closed = true;
            splice->closed_ts = from->last_ts;
            splice->closed_at = now;
        }
        return false;
    }
    x = KW_MIN(KW_MAX(x, -frame_ns / 2), (int64_t)GAP_MAX);
    pause = (x + frame_ns / 2) / frame_ns;
    missing = step_back(to, &start, pause, frame);
    /* It came before the old stream's frame, which is on its way: the next one will come after. */
    if (pause > missing && !splice->closed && !from->removed && now - from->last_at < ON_ITS_WAY &&
        now < patience_at + GIVE_UP)
        return false;
    splice->debt_ns = x - pause * frame_ns;
    pause -= missing;
    cut(splice, to, &start, out_end(splice, from_frame) + (uint32_t)pause * frame,
        old_is_gone && method == KW_SPLICE_ARRIVAL ? KW_SPLICE_LOST_OLD : method, now);
    if (from->removed)
        *from = (struct kw_splice_input){0};
    splice->review.is_open = method == KW_SPLICE_ARRIVAL && old_point.known;
    splice->review.old_point = old_point;
    splice->review.old_end = end_ts;
    splice->review.new_start = first->timestamp;
    splice->review.assumed_ns = assumed;
    return true;
}

/* So that the errors of worse clocks do not add up from rotation to rotation. */
static void review_cut(struct kw_splice *splice)
{
    int64_t exact = point_time(splice, &splice->current->reported, splice->review.new_start) -
                    point_time(splice, &splice->review.old_point, splice->review.old_end);
    int64_t change = exact - splice->review.assumed_ns;

    splice->review.is_open = false;
    if (change >= (int64_t)SANE || change <= -(int64_t)SANE)
        return;
    splice->debt_ns += change;
    splice->error_ns += change;
}

/* Video. The clock need not step in frames, so nothing is left over but a step that would go back.
 */
static bool try_video(struct kw_splice *splice, struct kw_splice_input *to,
                      const struct kw_rtp *first, const struct kw_video *video, kw_ns now)
{
    struct kw_splice_input *from = splice->current;
    enum kw_splice_method method;
    int64_t step, least = (int64_t)KW_MS(1);

    if (!video->starts_key_frame)
        return false;
    method = compare(splice, to, first->timestamp, from, from->last_ts, &step);
    step += splice->debt_ns;
    splice->debt_ns = step < least ? step - least : 0;
    step = KW_MIN(KW_MAX(step, least), (int64_t)GAP_MAX);
    cut(splice, to, first,
        splice->stream.last_ts + (uint32_t)kw_rtp_units((kw_ns)step, splice->params.clock_hz),
        method, now);
    return true;
}

/*
 * `restart`: the same encoder under other keys. Its numbers and its clock go on, so ours do: what
 * was lost between the two stays a gap, and no frame is moved.
 */
static bool try_same_stream(struct kw_splice *splice, struct kw_splice_input *to,
                            const struct kw_rtp *first, kw_ns now)
{
    struct kw_splice_input *from = splice->current;
    int32_t step = kw_rtp_seq_diff(first->seq, from->last_seq);
    struct kw_rtp start = *first;

    if (first->ssrc != from->ssrc || step <= 0 || step > SAME_STREAM_MAX)
        return false;
    start.seq = (uint16_t)(from->last_seq + 1);
    start.timestamp = from->last_ts;
    to->picture_shift = from->picture_shift;
    to->tl0_shift = from->tl0_shift;
    cut(splice, to, &start, splice->stream.last_ts, KW_SPLICE_SAME, now);
    return true;
}

/* PictureID and TL0PICIDX of the first packet become the next ones. */
static void shift_pictures(struct kw_splice *splice, struct kw_splice_input *to,
                           const struct kw_video *video, const uint8_t *payload)
{
    bool is_first = splice->method == KW_SPLICE_FIRST;

    to->picture_shift = 0;
    to->tl0_shift = 0;
    if (is_first)
        return;
    if (video->picture_id_bits != 0)
        to->picture_shift =
            (uint16_t)(splice->picture_id + 1 - kw_video_picture_id(video, payload));
    if (video->has_tl0)
        to->tl0_shift = (uint8_t)(splice->tl0 + 1 - payload[video->tl0_at]);
}

static void rewrite_pictures(struct kw_splice *splice, const struct kw_splice_input *input,
                             const struct kw_video *video, uint8_t *payload, bool is_newest)
{
    uint16_t id = (uint16_t)(kw_video_picture_id(video, payload) + input->picture_shift);
    uint8_t tl0;

    kw_video_set_picture_id(video, payload, id);
    if (is_newest && video->picture_id_bits != 0)
        splice->picture_id = id;
    if (!video->has_tl0)
        return;
    tl0 = (uint8_t)(payload[video->tl0_at] + input->tl0_shift);
    payload[video->tl0_at] = tl0;
    if (is_newest)
        splice->tl0 = tl0;
}

/* A frame of the old stream that came after its end was set. */
static bool is_behind_the_end(struct kw_splice *splice, const struct kw_splice_input *input,
                              const struct kw_rtp *rtp, kw_ns now)
{
    if (!splice->closed || splice->current != input ||
        kw_rtp_ts_diff(rtp->timestamp, splice->closed_ts) <= 0)
        return false;
    if (now - splice->closed_at > REOPEN)
        splice->closed = false;
    return splice->closed;
}

enum kw_verdict kw_splice_receive(struct kw_splice *splice, const struct kw_splice_packet *info,
                                  uint8_t *packet, kw_ns now)
{
    const struct kw_rtp *rtp = info->rtp;
    struct kw_splice_input *input = find(splice, info->generation);
    uint8_t *payload = packet + rtp->header_len;
    uint64_t highest = splice->stream.highest;
    struct kw_video video = {0};
    enum kw_verdict verdict;
    bool is_new;
    /* A prober's padding: it has a number and nothing else, and a missing number is a loss. */
    bool is_padding = rtp->payload.len == 0;

    if (splice->params.is_video && !is_padding) {
        verdict = kw_video_parse(info->codec, rtp->payload, &video);
        if (verdict != KW_ACCEPT)
            return verdict;
    }
    if (input != NULL ? input->removed
                      : splice->current != NULL && info->generation < splice->current->generation)
        return KW_DROP_UNEXPECTED; /* of a generation that is gone */
    if (input == NULL)
        input = add(splice, info->generation);
    if (input == NULL)
        return KW_DROP_LIMIT;
    is_new = !input->heard || input->ssrc != rtp->ssrc;
    splice->unanswered = input == splice->current ? 0 : splice->unanswered + 1;
    learn(splice, input, info, now);

    if (splice->current == NULL || (splice->current == input && is_new)) {
        /* A decoder that has seen another encoder's frames can go on only with a key frame. */
        if (splice->params.is_video && splice->stream.started && !video.starts_key_frame) {
            splice->current = NULL;
            return KW_DROP_UNEXPECTED;
        }
        cut_blindly(splice, input, rtp, now);
        shift_pictures(splice, input, &video, payload);
    } else if (splice->current != input && info->generation > splice->current->generation &&
               !try_same_stream(splice, input, rtp, now)) {
        if (splice->params.is_video ? !try_video(splice, input, rtp, &video, now)
                                    : !try_audio(splice, input, rtp, now)) {
            if (!input->has_early || kw_rtp_seq_diff(rtp->seq, input->early_seq) > 0)
                input->early_seq = rtp->seq;
            input->has_early = true;
            return KW_DROP_UNEXPECTED;
        }
        shift_pictures(splice, input, &video, payload);
    }
    if (is_behind_the_end(splice, input, rtp, now))
        return KW_DROP_UNEXPECTED;
    verdict = kw_rtp_stream_forward(&splice->stream, info->generation, packet, rtp, now);
    if (verdict == KW_ACCEPT && !is_padding)
        rewrite_pictures(splice, input, &video, payload, splice->stream.highest > highest);
    return verdict == KW_DROP_FOREIGN ? KW_DROP_UNEXPECTED : verdict;
}

void kw_splice_report(struct kw_splice *splice, uint32_t generation, uint32_t ssrc,
                      const struct kw_rtcp_sender *sr)
{
    struct kw_splice_input *input = find(splice, generation);

    if (input == NULL || !input->heard || input->ssrc != ssrc)
        return;
    input->reported = (struct kw_splice_point){
        .known = true,
        .timestamp = sr->timestamp,
        .at_ns = (int64_t)(kw_ntp_to_ns(sr->ntp) & INT64_MAX),
    };
    if (splice->review.is_open && input == splice->current)
        review_cut(splice);
}

void kw_splice_remove(struct kw_splice *splice, uint32_t generation)
{
    struct kw_splice_input *input = find(splice, generation);

    if (input == NULL)
        return;
    /* What is known of its clock is still needed: the cut to come is aligned with its end. */
    if (splice->current == input && !splice->params.is_video) {
        input->removed = true;
        return;
    }
    if (splice->current == input)
        splice->current = NULL;
    *input = (struct kw_splice_input){0};
}

bool kw_splice_wants_key(struct kw_splice *splice, kw_ns now, uint32_t *generation, uint32_t *ssrc)
{
    const struct kw_splice_input *next = NULL;

    for (size_t i = 0; i < KW_SPLICE_INPUTS; i++) {
        const struct kw_splice_input *input = &splice->inputs[i];

        if (!input->used || !input->heard ||
            (splice->current != NULL && input->generation <= splice->current->generation))
            continue;
        if (next == NULL || input->generation > next->generation)
            next = input;
    }
    if (!splice->params.is_video || next == NULL ||
        (splice->asked && now - splice->asked_at < ASK_EVERY))
        return false;
    splice->asked = true;
    splice->asked_at = now;
    *generation = next->generation;
    *ssrc = next->ssrc;
    return true;
}

bool kw_splice_current(const struct kw_splice *splice, uint32_t *generation, uint32_t *ssrc)
{
    if (splice->current == NULL)
        return false;
    *generation = splice->current->generation;
    *ssrc = splice->current->ssrc;
    return true;
}

bool kw_splice_bye(struct kw_splice *splice, uint32_t generation, uint32_t ssrc)
{
    const struct kw_splice_input *input = find(splice, generation);
    size_t others = 0;

    if (input == NULL || input->ssrc != ssrc)
        return false;
    for (size_t i = 0; i < KW_SPLICE_INPUTS; i++)
        others += splice->inputs[i].used && &splice->inputs[i] != input;
    if (input == splice->current && others == 0)
        return true;
    kw_splice_remove(splice, generation);
    return false;
}
