/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3550 appendix A.1 (sequence numbers), A.3 (loss), A.8 (jitter). The probation of A.1 is left
 * out: every packet that comes here has been authenticated.
 */
#include "rtp/source.h"

#include "base/assert.h"

enum { SEQ_MOD = 1 << 16, MAX_DROPOUT = 3000, MAX_MISORDER = 100, NOTHING = SEQ_MOD + 1 };

uint64_t kw_rtp_units(kw_ns ns, uint32_t clock_hz)
{
    return ns / KW_S(1) * clock_hz + ns % KW_S(1) * clock_hz / KW_S(1);
}

int64_t kw_rtp_units_to_ns(int64_t units, uint32_t clock_hz)
{
    int64_t seconds = units / (int64_t)clock_hz, rest = units % (int64_t)clock_hz;

    return seconds * (int64_t)KW_S(1) + rest * (int64_t)KW_S(1) / (int64_t)clock_hz;
}

void kw_rtp_source_init(struct kw_rtp_source *source, uint32_t ssrc, uint32_t clock_hz)
{
    KW_ASSERT(clock_hz != 0);
    *source = (struct kw_rtp_source){.ssrc = ssrc, .clock_hz = clock_hz};
}

static void restart(struct kw_rtp_source *source, uint16_t seq)
{
    source->base_seq = seq;
    source->max_seq = seq;
    source->bad_seq = NOTHING;
    source->cycles = 0;
    source->received = 0;
    source->expected_prior = 0;
    source->received_prior = 0;
}

/* A.1. False: a jump that only a second packet would confirm. */
static bool update_seq(struct kw_rtp_source *source, uint16_t seq)
{
    uint16_t delta = (uint16_t)(seq - source->max_seq);

    if (delta < MAX_DROPOUT) {
        if (seq < source->max_seq)
            source->cycles += SEQ_MOD;
        source->max_seq = seq;
    } else if (delta <= SEQ_MOD - MAX_MISORDER) {
        if (seq != source->bad_seq) {
            source->bad_seq = (seq + 1U) & (SEQ_MOD - 1);
            return false;
        }
        restart(source, seq); /* two in a row: the sender started anew */
    }
    source->received++;
    return true;
}

/* A.8: the difference of transit times, smoothed by 1/16. */
static void update_jitter(struct kw_rtp_source *source, uint32_t timestamp, kw_ns now)
{
    uint32_t transit = (uint32_t)kw_rtp_units(now, source->clock_hz) - timestamp;
    int32_t d = (int32_t)(transit - source->transit);
    uint32_t size = d < 0 ? 0U - (uint32_t)d : (uint32_t)d;

    source->transit = transit;
    if (source->received > 1)
        source->jitter += size - ((source->jitter + 8) >> 4);
}

void kw_rtp_source_receive(struct kw_rtp_source *source, uint16_t seq, uint32_t timestamp,
                           kw_ns now)
{
    if (!source->started) {
        restart(source, seq);
        source->started = true;
    }
    source->heard_at = now;
    if (update_seq(source, seq))
        update_jitter(source, timestamp, now);
}

void kw_rtp_source_sr(struct kw_rtp_source *source, const struct kw_rtcp_sender *sr, kw_ns now)
{
    source->has_sr = true;
    source->sr = *sr;
    source->sr_at = now;
}

uint32_t kw_rtp_source_highest(const struct kw_rtp_source *source)
{
    return source->cycles + source->max_seq;
}

static uint32_t expected_of(const struct kw_rtp_source *source)
{
    return source->started ? kw_rtp_source_highest(source) - source->base_seq + 1 : 0;
}

int32_t kw_rtp_source_lost(const struct kw_rtp_source *source)
{
    return (int32_t)(expected_of(source) - source->received);
}

/* A.3: 24 bits, clamped; the fraction over the last interval is never negative. */
void kw_rtp_source_block(struct kw_rtp_source *source, kw_ns now, struct kw_rtcp_block *ret)
{
    uint32_t expected = expected_of(source);
    uint32_t expected_interval = expected - source->expected_prior;
    uint32_t received_interval = source->received - source->received_prior;
    int64_t lost_interval = (int64_t)expected_interval - received_interval;
    int32_t lost = kw_rtp_source_lost(source);

    *ret = (struct kw_rtcp_block){
        .ssrc = source->ssrc,
        .lost = KW_MAX(KW_MIN(lost, 0x7fffff), -0x800000),
        .highest = kw_rtp_source_highest(source),
        .jitter = source->jitter >> 4,
    };
    if (expected_interval != 0 && lost_interval > 0)
        ret->fraction_lost = (uint8_t)KW_MIN((lost_interval << 8) / expected_interval, 255);
    if (source->has_sr) {
        ret->lsr = (uint32_t)(source->sr.ntp >> 16);
        ret->dlsr = (uint32_t)kw_rtp_units(now - source->sr_at, 65536);
    }
    source->expected_prior = expected;
    source->received_prior = source->received;
}
