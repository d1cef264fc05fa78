/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many packets at once, and one packet with many contexts.
 *
 * A gateway's contexts are rarely in a cache, and fetching one costs more than the arithmetic. All
 * lines that a packet needs lie at fixed places of its context, so they are asked for a few packets
 * ahead: far enough to hide memory, near enough not to be evicted again.
 */
#include "srtp/prefetch.h"

enum {
    AHEAD = 6, /* packets of about 45 ns each hide the latency of main memory under load */
};

KW_PREFETCH_INLINE void prefetch_first(const struct kw_srtp_item *items, size_t item_count)
{
    for (size_t i = 0; i < item_count && i < AHEAD; i++)
        prefetch_packet(items[i].srtp, KW_PREFETCH_KEY, items[i].packet, items[i].len);
}

KW_PREFETCH_INLINE void prefetch_ahead(const struct kw_srtp_item *item, size_t left)
{
    const struct kw_gcm *gcm = item->srtp->gcm;

    if (left > AHEAD)
        prefetch_packet(item[AHEAD].srtp, gcm != NULL ? gcm->key_len : 0, item[AHEAD].packet,
                        item[AHEAD].len);
}

void kw_srtp_protect_batch(struct kw_srtp_item *items, size_t item_count)
{
    prefetch_first(items, item_count);
    for (size_t i = 0; i < item_count; i++) {
        struct kw_srtp_item *item = &items[i];

        prefetch_ahead(item, item_count - i);
        if (kw_srtp_is_rtcp(item->packet, item->len))
            item->verdict = kw_srtcp_protect(item->srtp, item->packet, &item->len, item->size);
        else
            item->verdict = kw_srtp_seal(item->srtp, item->packet, &item->len, item->size);
    }
}

void kw_srtp_unprotect_batch(struct kw_srtp_item *items, size_t item_count)
{
    prefetch_first(items, item_count);
    for (size_t i = 0; i < item_count; i++) {
        struct kw_srtp_item *item = &items[i];

        prefetch_ahead(item, item_count - i);
        if (kw_srtp_is_rtcp(item->packet, item->len))
            item->verdict = kw_srtcp_unprotect(item->srtp, item->packet, &item->len);
        else
            item->verdict = kw_srtp_open(item->srtp, item->packet, &item->len);
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
            verdict = kw_srtp_open_kept(contexts[i], packet, len, context_count > 1);
        if (verdict == KW_ACCEPT) {
            *which_ret = i;
            return KW_ACCEPT;
        }
        failure = worse(failure, verdict);
    }
    return count_dropped(contexts[0], failure);
}
