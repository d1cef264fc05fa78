/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of quarters of a second, each with its lowest point: the packet that was least late.
 *
 *   late     .  .                .
 *    ^     .      .  .         .    .   .        a sender's packets; some go out in bursts, and
 *    |   .     low      .   low   .       low    whatever delays one stream delays the other too
 *    +-- | quarter 81 | quarter 82 | quarter 83 |
 *
 * What delays both streams of a sender (it stalls, its sound card's buffers are emptied in another
 * rhythm than frames are made, the network is full) delays them in the same quarters. So the lows
 * of all quarters that both have tell how far they are apart, to a millisecond. Now and then a low
 * lies: one stream's frames have met a good moment and the other's have not (Chromium 156: by 10
 * ms, whenever two frames leave at once). The means of the quarters are not so exact and do not
 * lie: when the lows are far from what they say, they are believed.
 */
#include "rtp/clock.h"

#include "base/assert.h"
#include "rtp/rtp.h"
#include "rtp/source.h"

#define QUARTER KW_MS(250)
/* A quarter with fewer packets than that says little: at 20 ms there are twelve, at 60 ms four. */
enum { ENOUGH = 4 };
/* More would only make numbers large. */
enum { PLENTY = 1000 };
#define LATE_MAX (int64_t) KW_S(1)
/* Farther than means err, nearer than the blocks of 10 ms in which browsers count. */
#define DOUBTFUL (int64_t) KW_MS(7)
/* Timestamps that leap forward with every packet would take us beyond 64 bits. */
#define LIFETIME ((int64_t)1 << 60)
enum { SEND_TIME_BITS = 24, SEND_TIME_HZ = 1 << 18 };

_Static_assert((KW_RTP_LOWS & (KW_RTP_LOWS - 1)) == 0, "the ring goes on where a number wraps");
_Static_assert(((int64_t)1 << SEND_TIME_BITS) * (int64_t)KW_S(1) / SEND_TIME_HZ == KW_RTP_SEND_SPAN,
               "the span of what 24 bits can say");

int64_t kw_rtp_point_time(const struct kw_rtp_point *point, uint32_t timestamp, uint32_t clock_hz)
{
    return point->at_ns + kw_rtp_units_to_ns(kw_rtp_ts_diff(timestamp, point->timestamp), clock_hz);
}

/* The multiple of `step` that is nearest to a distance. */
int64_t kw_rtp_nearest(int64_t distance, int64_t step)
{
    return (distance + (distance >= 0 ? step / 2 : -step / 2)) / step * step;
}

void kw_rtp_clock_learn(struct kw_rtp_clock *clock, uint32_t timestamp, int64_t at_ns,
                        uint32_t clock_hz, kw_ns now)
{
    uint32_t quarter = (uint32_t)(now / QUARTER);
    struct kw_rtp_low *low = &clock->lows[quarter % KW_RTP_LOWS];
    struct kw_rtp_point point = {.timestamp = timestamp, .at_ns = at_ns};
    int64_t late;

    clock->newest = quarter;
    if (low->count == 0 || low->quarter != quarter)
        *low = (struct kw_rtp_low){.quarter = quarter};
    if (low->count == PLENTY)
        return;
    if (low->count == 0)
        low->point = point;
    late = at_ns - kw_rtp_point_time(&low->point, timestamp, clock_hz);
    if (late < 0) { /* so all before it were later than we thought */
        low->point = point;
        low->late_ns += KW_MIN(-late, LATE_MAX) * low->count;
    } else {
        low->late_ns += KW_MIN(late, LATE_MAX);
    }
    low->count++;
}

void kw_rtp_clock_learn_sent(struct kw_rtp_clock *clock, uint32_t timestamp, uint32_t send_time,
                             uint32_t clock_hz, kw_ns now)
{
    int64_t at = (int64_t)send_time * (int64_t)KW_S(1) / SEND_TIME_HZ, expected = at;

    if (kw_rtp_clock_is_known(clock))
        expected =
            kw_rtp_point_time(&clock->lows[clock->newest % KW_RTP_LOWS].point, timestamp, clock_hz);
    if (expected < LIFETIME && expected > -LIFETIME)
        at += kw_rtp_nearest(expected - at, KW_RTP_SEND_SPAN);
    kw_rtp_clock_learn(clock, timestamp, at, clock_hz, now);
}

/* The shortest way of all that is kept. */
static int64_t lowest(const struct kw_rtp_clock *clock, uint32_t timestamp, uint32_t clock_hz)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < KW_RTP_LOWS; i++) {
        const struct kw_rtp_low *low = &clock->lows[i];

        if (low->count != 0 && clock->newest - low->quarter < KW_RTP_LOWS)
            least = KW_MIN(least, kw_rtp_point_time(&low->point, timestamp, clock_hz));
    }
    return least;
}

/* Of a few; those of an even number have two in the middle. */
static int64_t middle_of(int64_t *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int64_t value = values[i];
        size_t k = i;

        for (; k > 0 && values[k - 1] > value; k--)
            values[k] = values[k - 1];
        values[k] = value;
    }
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

int64_t kw_rtp_clock_between(const struct kw_rtp_clock *a, uint32_t a_ts,
                             const struct kw_rtp_clock *b, uint32_t b_ts, uint32_t clock_hz)
{
    int64_t a_least = INT64_MAX, b_least = INT64_MAX, apart[KW_RTP_LOWS], middle, best;
    size_t count = 0;

    KW_ASSERT(kw_rtp_clock_is_known(a) && kw_rtp_clock_is_known(b));
    for (size_t i = 0; i < KW_RTP_LOWS; i++) {
        const struct kw_rtp_low *a_low = &a->lows[i], *b_low = &b->lows[i];
        int64_t a_time, b_time;

        if (a_low->count < ENOUGH || b_low->count < ENOUGH || a_low->quarter != b_low->quarter)
            continue;
        a_time = kw_rtp_point_time(&a_low->point, a_ts, clock_hz);
        b_time = kw_rtp_point_time(&b_low->point, b_ts, clock_hz);
        a_least = KW_MIN(a_least, a_time);
        b_least = KW_MIN(b_least, b_time);
        apart[count++] =
            a_time + a_low->late_ns / a_low->count - (b_time + b_low->late_ns / b_low->count);
    }
    if (count == 0) /* they never met */
        return lowest(a, a_ts, clock_hz) - lowest(b, b_ts, clock_hz);
    best = a_least - b_least;
    middle = middle_of(apart, count);
    return best - middle > DOUBTFUL || middle - best > DOUBTFUL ? middle : best;
}
