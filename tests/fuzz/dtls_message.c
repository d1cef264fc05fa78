/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer that holds the keys: one end's handshake messages are changed before they are
 * hashed, protected and sent, so that what the other end reads is anything, and authentic. The
 * first byte chooses the world as in dtls_engine.c, the second the hostile end (bit 0); then
 * changes, each
 *
 *     message (its number in what this end says), order, at (two bytes), bytes (a length byte)
 *
 * with the orders 0 XOR, 1 overwrite, 2 insert, 3 cut out as many, 4 end the message at `at`,
 * 5 another type. A world without changes completes its handshake.
 */
#include "fuzz/dtls_world.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGES_MAX = 8, ROOM_MAX = 64 };

struct change {
    uint8_t message, order;
    uint16_t at;
    struct kw_bytes bytes;
};

static struct pair pair;

static struct plan {
    struct kw_dtls *hostile;
    unsigned message; /* the next one's number */
    size_t change_count;
    struct change changes[CHANGES_MAX];
} plan;

static void make_room(struct kw_writer *body, size_t at, size_t len)
{
    memmove(body->start + at + len, body->start + at, body->len - at);
    body->len += len;
}

static void apply(const struct change *change, struct kw_writer *body, uint8_t *type)
{
    size_t at = body->len == 0 ? 0 : change->at % (body->len + 1);
    size_t len = change->bytes.len;

    switch (change->order % 6) {
    case 0:
        for (size_t i = 0; i < len && at + i < body->len; i++)
            body->start[at + i] ^= change->bytes.data[i];
        break;
    case 1:
        for (size_t i = 0; i < len && at + i < body->len; i++)
            body->start[at + i] = change->bytes.data[i];
        break;
    case 2:
        if (len == 0 || kw_writer_left(body) < len + ROOM_MAX)
            break;
        make_room(body, at, len);
        memcpy(body->start + at, change->bytes.data, len);
        break;
    case 3:
        len = KW_MIN(len, body->len - at);
        memmove(body->start + at, body->start + at + len, body->len - at - len);
        body->len -= len;
        break;
    case 4:
        body->len = at;
        break;
    case 5:
        if (len != 0)
            *type = change->bytes.data[0];
        break;
    }
}

/* The linker puts this in the place of kw_flight_end(): see meson.build. */
bool __real_kw_flight_end(struct kw_flight *flight, const struct kw_writer *body, uint8_t type,
                          uint16_t seq, uint16_t epoch);
bool __wrap_kw_flight_end(struct kw_flight *flight, const struct kw_writer *body, uint8_t type,
                          uint16_t seq, uint16_t epoch);

bool __wrap_kw_flight_end(struct kw_flight *flight, const struct kw_writer *body, uint8_t type,
                          uint16_t seq, uint16_t epoch)
{
    /* The caller's own: what it adds to its transcript is what we leave here. */
    struct kw_writer *changed = (struct kw_writer *)(uintptr_t)body;

    if (plan.hostile != NULL && plan.hostile->hs != NULL && flight == &plan.hostile->hs->out) {
        for (size_t i = 0; i < plan.change_count; i++) {
            if (plan.changes[i].message == plan.message)
                apply(&plan.changes[i], changed, &type);
        }
        plan.message++;
    }
    return __real_kw_flight_end(flight, body, type, seq, epoch);
}

static void remember(struct pair *made, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    (void)params;
    /* A client's first message is made by init, before anybody is told its address. */
    if (plan.hostile == NULL && role == KW_DTLS_CLIENT)
        plan.hostile = made->end[role].mem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);
    struct pair_config config = dtls_world(kw_read_u8(&in));
    bool is_client = (kw_read_u8(&in) & 1) == 0;

    plan = (struct plan){.hostile = NULL};
    while (kw_reader_left(&in) >= 5 && plan.change_count < CHANGES_MAX) {
        struct change *change = &plan.changes[plan.change_count++];
        size_t len;

        change->message = kw_read_u8(&in) % 16;
        change->order = kw_read_u8(&in);
        change->at = kw_read_u16(&in);
        len = kw_read_u8(&in);
        change->bytes = kw_read_bytes(&in, KW_MIN(len, kw_reader_left(&in)));
    }
    if (is_client)
        config.prepare = remember;
    KW_ASSERT(pair_init(&pair, &config) == KW_OK);
    if (!is_client)
        plan.hostile = pair.end[KW_DTLS_SERVER].dtls;
    if (plan.change_count == 0) {
        KW_ASSERT(pair_run(&pair, pair_confirmed, pair.now + KW_S(60)));
    } else {
        pair_run(&pair, pair_one_ended, pair.now + KW_S(20));
    }
    /* Whatever was said: a peer that is connected has shown the certificate we know. */
    for (int role = 0; role < 2; role++) {
        if (pair.end[role].connected && !pair.end[role].closed)
            kw_status_ignore(kw_dtls_update_keys(pair.end[role].dtls, true, pair.now));
    }
    pair_run(&pair, pair_one_ended, pair.now + KW_S(1));
    plan.hostile = NULL;
    pair_deinit(&pair);
    return 0;
}
