/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_RTP_CLOCK_H
#define KW_RTP_CLOCK_H

/*
 * A stream's media clock as its packets tell it, and how far two streams of one sender are apart.
 *
 * Each packet says when its timestamp was, by its arrival or by the time that its sender put into
 * it, and is late by the way it had until then. The one with the shortest way says it best; it is
 * kept for each quarter of a second, so that two streams can be compared by what both did in the
 * same moments.
 */
#include <keywheel/base.h>

enum { KW_RTP_LOWS = 8 }; /* two seconds: longer than it takes to compare, too short to drift */

/* A timestamp and the time it stands for. */
struct kw_rtp_point {
    uint32_t timestamp;
    int64_t at_ns;
};

struct kw_rtp_low {
    struct kw_rtp_point point; /* the shortest way of its quarter */
    int64_t late_ns;           /* by how much its packets were later than that, in sum */
    uint32_t quarter;          /* which one, counted from where `now` began */
    uint32_t count;            /* packets; 0: nothing is known */
};

struct kw_rtp_clock {
    uint32_t newest; /* quarter */
    struct kw_rtp_low lows[KW_RTP_LOWS];
};

/* The time that a point gives to a timestamp. */
int64_t kw_rtp_point_time(const struct kw_rtp_point *point, uint32_t timestamp, uint32_t clock_hz);

/* The multiple of `step` that is nearest to a distance. */
int64_t kw_rtp_nearest(int64_t distance, int64_t step);

static inline bool kw_rtp_clock_is_known(const struct kw_rtp_clock *clock)
{
    return clock->lows[clock->newest % KW_RTP_LOWS].count != 0;
}

/* A packet: its timestamp was at `at_ns`, if its way was short. */
void kw_rtp_clock_learn(struct kw_rtp_clock *clock, uint32_t timestamp, int64_t at_ns,
                        uint32_t clock_hz, kw_ns now);

/*
 * The same by abs-send-time: 24 bits in units of 2^-18 s, so that it repeats after 64 s. Of the
 * moments that it may mean the one is taken that the clock expects.
 */
#define KW_RTP_SEND_SPAN ((int64_t)KW_S(64))
void kw_rtp_clock_learn_sent(struct kw_rtp_clock *clock, uint32_t timestamp, uint32_t send_time,
                             uint32_t clock_hz, kw_ns now);

/* The time of a's a_ts minus the time of b's b_ts; both clocks are known. */
int64_t kw_rtp_clock_between(const struct kw_rtp_clock *a, uint32_t a_ts,
                             const struct kw_rtp_clock *b, uint32_t b_ts, uint32_t clock_hz);

#endif
