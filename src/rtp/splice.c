/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input per generation; one of them is current, and the newest other one is `next`. Each input
 * knows three clocks: its packets' send times and their arrivals (rtp/clock.h), its sender's last
 * report. Two inputs are compared by the best clock that both have.
 *
 *   old   ....|--------|--------|========|
 *                               ^ its end, once the frame of `next` before the cut is known
 *   next    ....|========|========|--------|--------|
 *                                 ^ begins within half a frame of that end: the cut
 */
#include "rtp/splice.h"

#include "base/assert.h"

#include <string.h>

/*
 * An old stream that is silent for so long while `next` speaks is gone. It takes packets of `next`
 * as well, because in a pause of the speaker both are silent (DTX).
 */
#define SILENCE KW_MS(200)
enum { SILENCE_PACKETS = 10 };
/* After its patience a cut that finds no frame to align with is made anyway. */
#define GIVE_UP KW_S(1)
/* Longer than a frame and its jitter. */
#define ON_ITS_WAY KW_MS(100)
/* The old stream was ended for a frame of `next` that is so late: it goes on. */
#define REOPEN KW_MS(60)
#define ASK_EVERY KW_MS(500)
/*
 * A report says when one packet was made, which left up to 20 ms (Firefox 153) or 30 ms
 * (Chromium 156) later than others: two of them differ by so much from arrivals without meaning it.
 */
#define REPORT_ERROR KW_MS(40)
/* Clocks that differ by more than this from what arrivals say are not one clock. */
#define SANE KW_MS(500)
/* Nothing sensible pauses for longer without a new stream. */
#define GAP_MAX KW_S(60)
/* A restart takes less than a second of video packets; farther apart it is another stream. */
enum { SAME_STREAM_MAX = 1000 };
enum { FRAME_MS_DEFAULT = 20 };

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

static bool is_within(int64_t distance, kw_ns bound)
{
    return distance < (int64_t)bound && distance > -(int64_t)bound;
}

/*
 * a's time of a_ts minus b's time of b_ts. Arrivals are off by as much as the ways of both differ,
 * so send times come first. Reports know nothing of ways, but each is early or late by itself: they
 * are asked only when they contradict by more than that.
 */
static enum kw_splice_method compare(const struct kw_splice *splice,
                                     const struct kw_splice_input *a, uint32_t a_ts,
                                     const struct kw_splice_input *b, uint32_t b_ts, int64_t *ret)
{
    uint32_t hz = splice->params.clock_hz;
    int64_t arrival = kw_rtp_clock_between(&a->arrived, a_ts, &b->arrived, b_ts, hz);
    int64_t by_report, by_send;

    *ret = arrival;
    if (kw_rtp_clock_is_known(&a->sent) && kw_rtp_clock_is_known(&b->sent)) {
        by_send = kw_rtp_clock_between(&a->sent, a_ts, &b->sent, b_ts, hz);
        by_send -= kw_rtp_nearest(by_send - arrival, KW_RTP_SEND_SPAN);
        if (is_within(by_send - arrival, SANE)) {
            *ret = by_send;
            return KW_SPLICE_SEND_TIME;
        }
    }
    if (a->has_report && b->has_report) {
        by_report =
            kw_rtp_point_time(&a->reported, a_ts, hz) - kw_rtp_point_time(&b->reported, b_ts, hz);
        if (is_within(by_report - arrival, SANE) && !is_within(by_report - arrival, REPORT_ERROR)) {
            *ret = by_report;
            return KW_SPLICE_SR;
        }
    }
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

static void learn(const struct kw_splice *splice, struct kw_splice_input *input,
                  const struct kw_splice_packet *info, kw_ns now)
{
    const struct kw_rtp *rtp = info->rtp;
    int32_t step = kw_rtp_ts_diff(rtp->timestamp, input->last_ts);

    if (!input->heard || input->ssrc != rtp->ssrc) {
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
    kw_rtp_clock_learn(&input->arrived, rtp->timestamp, (int64_t)now, splice->params.clock_hz, now);
    if (info->has_send_time)
        kw_rtp_clock_learn_sent(&input->sent, rtp->timestamp, info->send_time,
                                splice->params.clock_hz, now);
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
 * is too early, and the old stream is ended now, or its frames would stay ahead for ever; the frame
 * that fits is the one after it, or a later one when `next` has a longer way. From there on the
 * pause between them is a whole number of frames (0, or more after silence or loss), and what is
 * left over is the debt.
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
    uint32_t old_generation = from->generation, old_ssrc = from->ssrc;
    bool old_is_gone =
        from->removed || (now - from->last_at > SILENCE && splice->unanswered >= SILENCE_PACKETS);
    struct kw_rtp start = *first;

    if (now < patience_at && !old_is_gone)
        return false;
    /* The one after it has been left out already: a cut here would leave a hole. */
    if (to->has_early && kw_rtp_seq_diff(first->seq, to->early_seq) < 0)
        return false;
    x += splice->debt_ns;
    if (x < -frame_ns / 2 && now < patience_at + GIVE_UP) {
        if (!splice->closed && is_within(x, SANE)) {
            splice->closed = true;
            splice->closed_ts = from->last_ts;
            splice->reopens_at = now + (kw_ns)-x + REOPEN;
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
    splice->review.is_open = !old_is_gone;
    splice->review.generation = old_generation;
    splice->review.ssrc = old_ssrc;
    splice->review.old_end = end_ts;
    splice->review.new_start = first->timestamp;
    splice->review.assumed_ns = assumed;
    return true;
}

/*
 * The longer both streams are seen side by side, the better it is known how far they are apart.
 * What the cut was wrong by is made good by the next one.
 */
static void review_cut(struct kw_splice *splice, kw_ns now)
{
    const struct kw_splice_input *from = find(splice, splice->review.generation);
    int64_t apart, change;

    if (from == NULL || from->ssrc != splice->review.ssrc || now - from->last_at > ON_ITS_WAY) {
        splice->review.is_open = false;
        return;
    }
    if (compare(splice, splice->current, splice->review.new_start, from, splice->review.old_end,
                &apart) != splice->method)
        return;
    change = apart - splice->review.assumed_ns;
    if (!is_within(change, SANE))
        return;
    splice->debt_ns += change;
    splice->error_ns += change;
    splice->review.assumed_ns = apart;
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
    if (now > splice->reopens_at)
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
    if (splice->review.is_open)
        review_cut(splice, now);

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
    input->has_report = true;
    input->reported = (struct kw_rtp_point){
        .timestamp = sr->timestamp,
        .at_ns = (int64_t)(kw_ntp_to_ns(sr->ntp) & INT64_MAX),
    };
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
