/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each open message owns a piece of the arena, taken whole when its first fragment arrives:
 *
 *     arena: | body of 3 | seen bits | body of 5 | seen bits | free ...
 *
 * The pieces lie in order of arrival; when one is forgotten, those behind it move up. The message
 * that is due always gets its room. In the clear later ones are forgotten for it, since their
 * sender repeats what is not acknowledged; of protected ones only so much is taken that its room is
 * left.
 */
#include "dtls/reassembly.h"

#include "base/assert.h"

#include <string.h>

_Static_assert(KW_DTLS_MESSAGE_MAX + (KW_DTLS_MESSAGE_MAX + 7) / 8 <= KW_DTLS_ARENA,
               "the largest message fits an empty arena");

enum kw_verdict kw_fragment_parse(struct kw_reader *in, struct kw_fragment *ret)
{
    struct kw_fragment made;
    uint32_t len;

    made.type = kw_read_u8(in);
    made.message_len = kw_read_u24(in);
    made.seq = kw_read_u16(in);
    made.offset = kw_read_u24(in);
    len = kw_read_u24(in);
    made.body = kw_read_bytes(in, len);
    if (in->failed)
        return KW_DROP_TRUNCATED;
    /* Both are below 2^24: the sum cannot wrap. */
    if (made.offset + len > made.message_len)
        return KW_DROP_MALFORMED;
    *ret = made;
    return KW_ACCEPT;
}

void kw_reassembly_init(struct kw_reassembly *reassembly, uint32_t next_seq)
{
    kw_reassembly_reset(reassembly, next_seq);
}

void kw_reassembly_reset(struct kw_reassembly *reassembly, uint32_t next_seq)
{
    kw_wipe(reassembly->arena, reassembly->used);
    memset(reassembly->open, 0, sizeof reassembly->open);
    reassembly->used = 0;
    reassembly->next_seq = next_seq;
}

static uint32_t piece_size(uint32_t len)
{
    return len + (len + 7) / 8;
}

static void forget(struct kw_reassembly *r, struct kw_open_message *gone)
{
    uint32_t size = piece_size(gone->len), behind = gone->at + size;

    memmove(r->arena + gone->at, r->arena + behind, r->used - behind);
    kw_wipe(r->arena + r->used - size, size);
    r->used -= size;
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (r->open[i].used && r->open[i].at > gone->at)
            r->open[i].at -= size;
    }
    *gone = (struct kw_open_message){.used = false};
}

static struct kw_open_message *find(struct kw_reassembly *r, uint32_t seq)
{
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (r->open[i].used && r->open[i].seq == seq)
            return &r->open[i];
    }
    return NULL;
}

/*
 * Says whether a message ahead of its turn leaves room for any message whose turn it is. What was
 * protected is acknowledged when it is booked, and then nobody repeats it: it cannot be forgotten
 * for another (RFC 9147, section 7: "Otherwise, deadlock can ensue"). So it is not booked.
 */
static bool fits_beside_next(const struct kw_reassembly *r, const struct kw_fragment *fragment)
{
    uint32_t sum = piece_size(fragment->message_len) + piece_size(KW_DTLS_MESSAGE_MAX);

    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (r->open[i].used && r->open[i].seq != r->next_seq)
            sum += piece_size(r->open[i].len);
    }
    return sum <= KW_DTLS_ARENA;
}

/* The one furthest ahead; there is always a sender who repeats it. */
static struct kw_open_message *find_latest(struct kw_reassembly *r)
{
    struct kw_open_message *latest = NULL;

    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (r->open[i].used && (latest == NULL || r->open[i].seq > latest->seq))
            latest = &r->open[i];
    }
    return latest;
}

static struct kw_open_message *start(struct kw_reassembly *r, const struct kw_fragment *fragment,
                                     uint16_t epoch)
{
    uint32_t size = piece_size(fragment->message_len);
    struct kw_open_message *slot = NULL;

    if (epoch != 0 && fragment->seq != r->next_seq && !fits_beside_next(r, fragment))
        return NULL;
    /* What comes first is needed first. In the hello phase that need not be the very next one. */
    while (r->used + size > KW_DTLS_ARENA) {
        struct kw_open_message *latest = find_latest(r);

        if (latest == NULL || latest->seq < fragment->seq)
            break;
        forget(r, latest);
    }
    if (r->used + size > KW_DTLS_ARENA)
        return NULL;
    /* A message ahead by n needs n + 1 slots at most, so there is a free one. */
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (!r->open[i].used) {
            slot = &r->open[i];
            break;
        }
    }
    KW_ASSERT(slot != NULL);
    *slot = (struct kw_open_message){
        .used = true,
        .type = fragment->type,
        .epoch = epoch,
        .seq = fragment->seq,
        .len = fragment->message_len,
        .at = r->used,
    };
    memset(r->arena + r->used, 0, size);
    r->used += size;
    return slot;
}

/*
 * What was authenticated is never said in two ways, so an overlap changes nothing. In the clear a
 * stranger may have said it: were the first copy to stay, whoever goes on sending some bytes of a
 * message whose length he can guess would spoil each one, for good. A true sender says all of it in
 * one breath, so the newest copy is his, unless the stranger hits the moment between two datagrams.
 */
static void copy_in(struct kw_reassembly *r, struct kw_open_message *slot,
                    const struct kw_fragment *fragment)
{
    uint8_t *body = r->arena + slot->at;
    uint8_t *seen = body + slot->len;
    bool newest_wins = slot->epoch == 0 && slot->have < slot->len;

    for (uint32_t i = 0; i < fragment->body.len; i++) {
        uint32_t at = fragment->offset + i;
        uint8_t bit = (uint8_t)(1U << (at % 8));

        if (seen[at / 8] & bit) {
            if (newest_wins)
                body[at] = fragment->body.data[i];
            continue;
        }
        seen[at / 8] |= bit;
        body[at] = fragment->body.data[i];
        slot->have++;
    }
}

enum kw_verdict kw_reassembly_add(struct kw_reassembly *reassembly,
                                  const struct kw_fragment *fragment, uint16_t epoch)
{
    struct kw_open_message *slot;

    if (fragment->seq < reassembly->next_seq)
        return KW_DROP_OLD;
    if (fragment->seq - reassembly->next_seq >= KW_DTLS_OPEN_MESSAGES ||
        fragment->message_len > KW_DTLS_MESSAGE_MAX)
        return KW_DROP_LIMIT;
    if (fragment->offset + fragment->body.len > fragment->message_len)
        return KW_DROP_MALFORMED;
    slot = find(reassembly, fragment->seq);
    /* A fragment of nothing says nothing; it opens no message either. */
    if (fragment->body.len == 0 && fragment->message_len != 0 && slot == NULL)
        return KW_ACCEPT;
    if (slot == NULL)
        slot = start(reassembly, fragment, epoch);
    if (slot == NULL)
        return KW_DROP_LIMIT;
    if (slot->type != fragment->type || slot->len != fragment->message_len || slot->epoch != epoch)
        return KW_DROP_MALFORMED;
    copy_in(reassembly, slot, fragment);
    return KW_ACCEPT;
}

bool kw_reassembly_peek_at(const struct kw_reassembly *reassembly, uint32_t seq,
                           struct kw_message *ret)
{
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        const struct kw_open_message *slot = &reassembly->open[i];

        if (slot->used && slot->seq == seq && slot->have == slot->len) {
            *ret = (struct kw_message){
                .type = slot->type,
                .epoch = slot->epoch,
                .seq = slot->seq,
                .body = {reassembly->arena + slot->at, slot->len},
            };
            return true;
        }
    }
    return false;
}

bool kw_reassembly_peek(const struct kw_reassembly *reassembly, struct kw_message *ret)
{
    return kw_reassembly_peek_at(reassembly, reassembly->next_seq, ret);
}

void kw_reassembly_forget(struct kw_reassembly *reassembly, uint32_t seq)
{
    struct kw_open_message *slot = find(reassembly, seq);

    if (slot != NULL)
        forget(reassembly, slot);
}

void kw_reassembly_pop(struct kw_reassembly *reassembly)
{
    kw_reassembly_forget(reassembly, reassembly->next_seq);
    reassembly->next_seq++;
}

bool kw_reassembly_has_later(const struct kw_reassembly *reassembly)
{
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (reassembly->open[i].used && reassembly->open[i].seq != reassembly->next_seq)
            return true;
    }
    return false;
}

bool kw_reassembly_has_open(const struct kw_reassembly *reassembly)
{
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        if (reassembly->open[i].used)
            return true;
    }
    return false;
}
