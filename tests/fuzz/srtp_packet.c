/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile packets. The first byte chooses profile, cryptex and what is done; the rest is the
 * packet. A receiver accepts nothing, changes nothing that it must not, and stays usable; a sender
 * either refuses or makes a packet that its receiver gives back.
 */
#include "fuzz/srtp_contexts.h"

#include <keywheel/srtp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PACKET_MAX = 2048, SSRC = 0x01020304 };

static uint8_t buffer[PACKET_MAX + KW_SRTP_TAIL], original[PACKET_MAX + KW_SRTP_TAIL];
static struct fuzz_context send_mem, receive_mem, other_mem;

/* A true packet, so that the stream is settled; later, to see that the receiver still works. */
static void exchange(struct kw_srtp *send, struct kw_srtp *receive, uint16_t seq)
{
    uint8_t packet[64 + KW_SRTP_TAIL] = {
        0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 0, 1, 2, 3, 4};
    size_t len = 64;

    FUZZ_CHECK(kw_srtp_protect(send, packet, &len, sizeof packet) == KW_ACCEPT);
    FUZZ_CHECK(kw_srtp_unprotect(receive, packet, &len) == KW_ACCEPT && len == 64);
}

/* True when every byte before `end` is as it came. */
static bool is_unchanged(size_t end)
{
    return memcmp(buffer, original, end) == 0;
}

static void open_hostile(struct kw_srtp *receive, size_t size, bool settled)
{
    uint64_t before = kw_srtp_counters(receive)->packets;
    uint8_t streams = receive->stream_count;
    size_t len = size;
    enum kw_verdict verdict;

    if (kw_srtp_is_rtcp(buffer, size))
        verdict = kw_srtcp_unprotect(receive, buffer, &len);
    else
        verdict = kw_srtp_unprotect(receive, buffer, &len);
    FUZZ_CHECK(verdict != KW_ACCEPT && verdict < KW_VERDICT_COUNT);
    FUZZ_CHECK(len == size && receive->stream_count == streams);
    FUZZ_CHECK(kw_srtp_counters(receive)->packets == before);
    if (!settled || verdict != KW_DROP_FORGED)
        FUZZ_CHECK(is_unchanged(size));
}

static void trial_hostile(struct kw_srtp *receive, struct kw_srtp *other, size_t size)
{
    struct kw_srtp *contexts[2] = {receive, other};
    size_t len = size, which = 77;

    FUZZ_CHECK(kw_srtp_unprotect_trial(contexts, 2, buffer, &len, &which) != KW_ACCEPT);
    FUZZ_CHECK(which == 77 && len == size && is_unchanged(size));
}

static void seal_hostile(struct kw_srtp *send, struct kw_srtp *receive, size_t size)
{
    bool is_rtcp = kw_srtp_is_rtcp(buffer, size);
    size_t len = size, grown;
    enum kw_verdict verdict;

    if (is_rtcp)
        verdict = kw_srtcp_protect(send, buffer, &len, sizeof buffer);
    else
        verdict = kw_srtp_protect(send, buffer, &len, sizeof buffer);
    FUZZ_CHECK(verdict < KW_VERDICT_COUNT);
    if (verdict != KW_ACCEPT) {
        FUZZ_CHECK(len == size && is_unchanged(size));
        return;
    }
    FUZZ_CHECK(len > size && len <= size + KW_SRTP_TAIL);
    if (is_rtcp)
        verdict = kw_srtcp_unprotect(receive, buffer, &len);
    else
        verdict = kw_srtp_unprotect(receive, buffer, &len);
    /* seq and SSRC are the input's: a packet far behind the settled stream is refused as old, and
     * across more than one turn of the counter nothing can be known */
    FUZZ_CHECK(verdict == KW_ACCEPT);
    grown = len - size;
    FUZZ_CHECK(grown == 0 || grown == 4); /* cryptex may have added an empty extension */
    FUZZ_CHECK(grown == 4 || is_unchanged(size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t choice = size > 0 ? data[0] : 0;
    const struct fuzz_born *born = fuzz_born(choice & 3, 0, choice & 4);
    const struct fuzz_born *old = fuzz_born(choice & 3, 1, choice & 4);
    struct kw_srtp *send = fuzz_copy(&send_mem, &born->send);
    struct kw_srtp *receive = fuzz_copy(&receive_mem, &born->receive);
    bool settled = choice & 8;

    if (size < 1 || size - 1 > PACKET_MAX)
        return 0;
    data++;
    size--;
    memset(original, 0, sizeof original);
    memcpy(original, data, size);
    memcpy(buffer, original, sizeof buffer);

    if (settled)
        exchange(send, receive, 1000);
    switch (choice >> 4 & 3) {
    case 0:
    case 1:
        open_hostile(receive, size, settled);
        break;
    case 2:
        trial_hostile(receive, fuzz_copy(&other_mem, &old->receive), size);
        break;
    case 3:
        seal_hostile(send, receive, size);
        break;
    }
    if (kw_srtp_has_room(receive) && settled && (choice >> 4 & 3) != 3)
        exchange(send, receive, 1001);
    return 0;
}
