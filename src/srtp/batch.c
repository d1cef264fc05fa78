/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many packets at once, and one packet with many contexts.
 *
 * A gateway's contexts are rarely in a cache, and fetching one costs more than the arithmetic. All
 * lines that a packet needs lie at fixed places of its context, so they are asked for a few packets
 * ahead: far enough to hide memory, near enough not to be evicted again.
 */
#include "srtp/context.h"

enum {
    LINE = 64,
    AHEAD = 4,        /* packets of about 40 ns each hide the latency of main memory */
    PACKET_LINES = 4, /* header and a voice packet; what follows is fetched by the hardware */
};

static void prefetch_context(const struct kw_srtp *srtp)
{
    const uint8_t *key = srtp->key.bytes;
    const uint8_t *stream = (const uint8_t *)srtp->streams;

    __builtin_prefetch(srtp, 1);
    for (size_t at = 0; at < sizeof srtp->key; at += LINE)
        __builtin_prefetch(key + at);
    for (size_t at = 0; at < sizeof srtp->streams[0]; at += LINE)
        __builtin_prefetch(stream + at, 1);
}

static void prefetch_item(const struct kw_srtp_item *item)
{
    prefetch_context(item->srtp);
    for (size_t at = 0; at < PACKET_LINES * LINE && at < item->len; at += LINE)
        __builtin_prefetch(item->packet + at, 1);
}

static void prefetch_first(const struct kw_srtp_item *items, size_t item_count)
{
    for (size_t i = 0; i < item_count && i < AHEAD; i++)
        prefetch_item(&items[i]);
}

void kw_srtp_protect_batch(struct kw_srtp_item *items, size_t item_count)
{
    prefetch_first(items, item_count);
    for (size_t i = 0; i < item_count; i++) {
        struct kw_srtp_item *item = &items[i];

        if (item_count - i > AHEAD)
            prefetch_item(&items[i + AHEAD]);
        if (kw_srtp_is_rtcp(item->packet, item->len))
            item->verdict = kw_srtcp_protect(item->srtp, item->packet, &item->len, item->size);
        else
            item->verdict = kw_srtp_protect(item->srtp, item->packet, &item->len, item->size);
    }
}

void kw_srtp_unprotect_batch(struct kw_srtp_item *items, size_t item_count)
{
    prefetch_first(items, item_count);
    for (size_t i = 0; i < item_count; i++) {
        struct kw_srtp_item *item = &items[i];

        if (item_count - i > AHEAD)
            prefetch_item(&items[i + AHEAD]);
        if (kw_srtp_is_rtcp(item->packet, item->len))
            item->verdict = kw_srtcp_unprotect(item->srtp, item->packet, &item->len);
        else
            item->verdict = kw_srtp_unprotect(item->srtp, item->packet, &item->len);
    }
}

/*
 * A failure of several contexts has one name. "Replayed" or "old" says more than "forged", which
 * every context says of what belongs to another.
 */
static enum kw_verdict worse(enum kw_verdict so_far, enum kw_verdict verdict)
{
    return so_far == KW_ACCEPT || so_far == KW_DROP_FORGED ? verdict : so_far;
}

enum kw_verdict kw_srtp_unprotect_trial(struct kw_srtp *const *contexts, size_t context_count,
                                        uint8_t *packet, size_t *len, size_t *which_ret)
{
    bool is_rtcp = kw_srtp_is_rtcp(packet, *len);
    enum kw_verdict failure = KW_ACCEPT;

    if (context_count == 0)
        return KW_DROP_KEYLESS;
    for (size_t i = 0; i < context_count && i < KW_SRTP_TRIAL_MAX; i++) {
        enum kw_verdict verdict;

        if (is_rtcp)
            verdict = kw_srtcp_open(contexts[i], packet, len);
        else
            verdict = kw_srtp_open(contexts[i], packet, len, context_count > 1);
        if (verdict == KW_ACCEPT) {
            *which_ret = i;
            return KW_ACCEPT;
        }
        failure = worse(failure, verdict);
    }
    return count_dropped(contexts[0], failure);
}
