/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender and its receiver over a network that the input is: each byte pair sends, delivers,
 * loses, holds back, duplicates, forges, jumps ahead, or rotates to the next generation. A model
 * beside them knows which indices the receiver has accepted, so it knows what every delivery must
 * come to. Above all: nothing is accepted twice, and what is accepted is what was sent.
 */
#include "fuzz/srtp_contexts.h"

#include <keywheel/srtp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENT_MAX = 192, PACKET_MAX = 80, SSRC = 0x0a0b0c0d, GENERATIONS = 3 };

struct sent {
    uint8_t bytes[PACKET_MAX + KW_SRTP_TAIL];
    size_t len;
    uint8_t plain[PACKET_MAX];
    size_t plain_len;
    uint64_t index;
    size_t generation;
    bool is_rtcp;
    bool accepted;
};

/* What the receiver of one generation has accepted. */
struct model {
    bool settled[2];
    uint64_t highest[2];
};

static struct world {
    struct sent sent[SENT_MAX];
    size_t sent_count;
    struct model model[GENERATIONS];
    struct fuzz_context send_mem[GENERATIONS], receive_mem[GENERATIONS];
    struct kw_srtp *send, *receive[GENERATIONS];
    size_t generation;
    uint64_t index, rtcp_index; /* of the next packets */
    bool has_sent;              /* .. in this generation, or in the one it continues */
    uint64_t last;              /* index sent last */
    size_t profile;
    uint64_t accepted;
} world;

static void start_generation(size_t generation)
{
    const struct fuzz_born *born = fuzz_born(world.profile, generation, false);

    world.generation = generation;
    world.rtcp_index = 0;
    world.send = fuzz_copy(&world.send_mem[generation], &born->send);
    world.receive[generation] = fuzz_copy(&world.receive_mem[generation], &born->receive);
}

static void rotate(bool roc_continues)
{
    size_t next = world.generation + 1;
    struct kw_srtp *old = world.send;

    if (next == GENERATIONS)
        return;
    start_generation(next);
    kw_srtp_carry(world.send, old, roc_continues);
    kw_srtp_carry(world.receive[next], world.receive[next - 1], roc_continues);
    if (!roc_continues) {
        world.index &= 0x7fff; /* a new association starts at counter 0, below 2^15 */
        world.has_sent = false;
    }
}

static void send_packet(bool is_rtcp, uint8_t payload_len)
{
    struct sent *sent = &world.sent[world.sent_count];
    enum kw_verdict verdict;

    if (world.sent_count == SENT_MAX)
        return;
    if (!is_rtcp && !world.has_sent)
        world.index &= 0xffff; /* the counter starts at 0 */
    *sent = (struct sent){.generation = world.generation,
                          .is_rtcp = is_rtcp,
                          .len = 12U + payload_len % 64,
                          .index = is_rtcp ? world.rtcp_index : world.index};
    memset(sent->bytes, payload_len, sent->len);
    sent->bytes[0] = 0x80;
    sent->bytes[1] = is_rtcp ? 200 : 96;
    sent->bytes[2] = (uint8_t)(sent->index >> 8);
    sent->bytes[3] = (uint8_t)sent->index;
    for (size_t i = 0; i < 4; i++)
        sent->bytes[(is_rtcp ? 4 : 8) + i] = (uint8_t)(SSRC >> (24 - 8 * i));
    memcpy(sent->plain, sent->bytes, sent->len);
    sent->plain_len = sent->len;
    if (is_rtcp)
        verdict = kw_srtcp_protect(world.send, sent->bytes, &sent->len, sizeof sent->bytes);
    else
        verdict = kw_srtp_protect(world.send, sent->bytes, &sent->len, sizeof sent->bytes);
    FUZZ_CHECK(verdict == KW_ACCEPT);
    world.sent_count++;
    if (is_rtcp) {
        world.rtcp_index++;
    } else {
        world.last = world.index++;
        world.has_sent = true;
    }
}

/* A sender may leave out numbers, but fewer than 2^15 at once: more is another counter. */
static void jump(uint64_t distance)
{
    world.index += distance;
    if (world.has_sent && world.index - world.last > 0x7fff)
        world.index = world.last + 0x7fff;
}

/* What a true packet of a settled stream must come to; KW_VERDICT_COUNT: this model cannot tell. */
static enum kw_verdict expected(const struct sent *sent)
{
    const struct model *model = &world.model[sent->generation];
    uint64_t highest = model->highest[sent->is_rtcp];
    uint64_t window = sent->is_rtcp ? KW_SRTCP_WINDOW : KW_SRTP_WINDOW;

    if (!model->settled[sent->is_rtcp])
        return KW_VERDICT_COUNT;
    if (sent->index > highest)
        return sent->is_rtcp || sent->index - highest < 0x8000 ? KW_ACCEPT : KW_VERDICT_COUNT;
    if (!sent->is_rtcp && highest - sent->index >= 0x8000)
        return KW_VERDICT_COUNT; /* taken for a packet of the next turn of the counter */
    if (highest - sent->index >= window)
        return KW_DROP_OLD;
    return sent->accepted ? KW_DROP_REPLAY : KW_ACCEPT;
}

/*
 * The first packet of a stream under new keys: its counter is among the likely ones when it is 0 or
 * 1, or near the carried one. Only the likeliest guess is never refused, so that is all we demand.
 */
static bool must_be_found(const struct sent *sent, const struct kw_srtp *receive)
{
    if (sent->is_rtcp)
        return true;
    return sent->index >> 16 == 0 && !receive->roc_continues;
}

static enum kw_verdict open_packet(struct kw_srtp *const *contexts, size_t count, bool is_rtcp,
                                   uint8_t *packet, size_t *len, size_t *which)
{
    *which = 0;
    if (count > 1)
        return kw_srtp_unprotect_trial(contexts, count, packet, len, which);
    return is_rtcp ? kw_srtcp_unprotect(contexts[0], packet, len)
                   : kw_srtp_unprotect(contexts[0], packet, len);
}

static void deliver(size_t n, uint8_t how)
{
    struct sent *sent = &world.sent[n];
    uint8_t packet[PACKET_MAX + KW_SRTP_TAIL];
    struct kw_srtp *newest_first[GENERATIONS];
    size_t len = sent->len, which, count = 0, chosen = 0;
    enum kw_verdict verdict, wanted = expected(sent);
    bool forged = how & 1, by_trial = how & 2;

    memcpy(packet, sent->bytes, len);
    if (forged)
        packet[sent->len - 1 - (how >> 2) % (sent->len - 12)] ^= (uint8_t)(1 << (how >> 5));
    for (size_t g = world.generation + 1; g-- > 0;) {
        if (by_trial || g == sent->generation) {
            if (g == sent->generation)
                chosen = count;
            newest_first[count++] = world.receive[g];
        }
    }
    verdict = open_packet(newest_first, count, sent->is_rtcp, packet, &len, &which);
    if (forged) {
        FUZZ_CHECK(verdict != KW_ACCEPT);
        return;
    }
    if (verdict == KW_ACCEPT) {
        FUZZ_CHECK(!sent->accepted && which == chosen);
        FUZZ_CHECK(wanted == KW_ACCEPT || wanted == KW_VERDICT_COUNT);
        FUZZ_CHECK(len == sent->plain_len && memcmp(packet, sent->plain, len) == 0);
        struct model *model = &world.model[sent->generation];

        if (!model->settled[sent->is_rtcp] || sent->index > model->highest[sent->is_rtcp])
            model->highest[sent->is_rtcp] = sent->index;
        model->settled[sent->is_rtcp] = true;
        sent->accepted = true;
        world.accepted++;
        return;
    }
    FUZZ_CHECK(wanted != KW_ACCEPT);
    if (wanted != KW_VERDICT_COUNT && count == 1)
        FUZZ_CHECK(verdict == wanted);
    if (wanted == KW_VERDICT_COUNT && !world.model[sent->generation].settled[sent->is_rtcp])
        FUZZ_CHECK(!must_be_found(sent, world.receive[sent->generation]));
}

static void act(uint8_t op, uint8_t value)
{
    size_t count = world.sent_count;

    switch (op % 16) {
    case 0:
    case 1:
    case 2: /* send and deliver at once */
        send_packet(false, value);
        if (world.sent_count > count)
            deliver(count, (uint8_t)((value & 1) << 1));
        break;
    case 3: /* send, keep for later or for ever */
        send_packet(false, value);
        break;
    case 4:
        send_packet(true, value);
        break;
    case 5:
        send_packet(true, value);
        if (world.sent_count > count)
            deliver(count, 0);
        break;
    case 6: /* jump ahead a little, to the edge of the window, over the wrap */
        jump(value);
        break;
    case 7:
        jump(8U * value);
        break;
    case 8:
        jump((value & 0x7f) * UINT64_C(256));
        break;
    case 9:
        rotate(value & 1);
        break;
    case 10: /* several in a row, lost */
        for (uint8_t i = 0; i < value % 32; i++)
            send_packet(false, i);
        break;
    default: /* an old one: late, again, or forged */
        if (count != 0)
            deliver(count - 1 - value % count, op >> 4 == 15 ? (uint8_t)(value | 1) : op >> 4 & 2);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1024)
        return 0;
    world.sent_count = 0;
    world.index = data[1] * UINT64_C(257);
    world.has_sent = false;
    world.profile = data[0];
    memset(world.model, 0, sizeof world.model);
    start_generation(0);
    for (size_t at = 2; at + 2 <= size; at += 2)
        act(data[at], data[at + 1]);
    for (size_t g = 0; g <= world.generation; g++)
        FUZZ_CHECK(world.receive[g]->stream_count <= 1);
    return 0;
}
