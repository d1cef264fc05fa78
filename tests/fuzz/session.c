/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions with media on a plain 5-tuple, up before the input begins, that rotate by `overlap`.
 * The first byte chooses; then orders, each one byte and what it needs:
 *
 *     0 to len bytes      a stranger's datagram        4         the next datagram is lost
 *     1 n                 n * 5 ms pass                5         .. and comes twice
 *     2 from              prepares a generation        6 n       .. is kept, and comes n ms later
 *     3 n len bytes       XOR over the next datagram   7 from len bytes
 *                                                                application data of that end:
 *     ROTATE and what looks like it (the first byte shortens it: 0..15 are put before `bytes` as
 *     {1, n & 1 + 1})
 *
 * Whatever happens: no packet is delivered twice, no key serves beyond L, nothing leaks; and
 * without orders that lose or alter, all media arrives as long as both sessions live.
 */
#include "session/pair.h"

#include "base/assert.h"
#include "base/reader.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * libFuzzer wants to hear of every comparison, so that it can put what was compared with into an
 * input. Here nearly all of them are of times and of what was encrypted, and the telling was half
 * of the time: the linker sends it here. Coverage is told otherwise.
 */
#define SILENT(name, type)                                                                         \
    void __wrap___sanitizer_cov_trace_##name(type a, type b);                                      \
    void __wrap___sanitizer_cov_trace_##name(type a, type b)                                       \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
    }

SILENT(cmp1, uint8_t)
SILENT(cmp2, uint16_t)
SILENT(cmp4, uint32_t)
SILENT(cmp8, uint64_t)
SILENT(const_cmp1, uint8_t)
SILENT(const_cmp2, uint16_t)
SILENT(const_cmp4, uint32_t)
SILENT(const_cmp8, uint64_t)

static struct world {
    bool lose, twice, alter, keep;
    bool is_quiet; /* so far nothing was lost or altered */
    kw_ns later;
    size_t alter_at;
    struct kw_bytes altered;
} world;

static struct pair pair;

static bool interfere(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                      size_t *len, kw_ns now)
{
    (void)ctx;
    if (world.twice)
        net_inject(net, path, data, *len, now + KW_MS(3));
    world.twice = false;
    if (world.keep)
        net_inject(net, path, data, *len, now + world.later);
    if (world.lose || world.keep) {
        world.lose = world.keep = false;
        return false;
    }
    if (world.alter) {
        world.alter = false;
        for (size_t i = 0; i < world.altered.len && world.alter_at + i < *len; i++)
            data[world.alter_at + i] ^= world.altered.data[i];
    }
    return true;
}

static void stranger(unsigned to, struct kw_bytes bytes)
{
    struct kw_path path = {.local = pair.ends[to].path.remote, .remote = pair.ends[to].path.local};

    net_inject(&pair.net, &path, bytes.data, bytes.len, pair.now);
}

static void say(unsigned from, struct kw_bytes bytes)
{
    struct kw_generation *current = kw_session_current_of(pair.ends[from].session);
    uint8_t message[256];
    size_t head = 0;

    if (current == NULL || current->dtls == NULL || bytes.len == 0 ||
        bytes.len > sizeof message - 2)
        return;
    if (bytes.data[0] < 16) {
        message[head++] = 1;
        message[head++] = (uint8_t)((bytes.data[0] & 1) + 1);
        bytes = (struct kw_bytes){bytes.data + 1, bytes.len - 1};
    }
    memcpy(message + head, bytes.data, bytes.len);
    kw_status_ignore(
        kw_dtls_send(current->dtls, (struct kw_bytes){message, head + bytes.len}, pair.now));
}

static void obey(struct kw_reader *in)
{
    uint8_t order = kw_read_u8(in);
    unsigned end;

    switch (order % 8) {
    case 0:
        end = kw_read_u8(in) & 1;
        stranger(end, kw_read_vector(in, 1));
        break;
    case 1:
        pair_run(&pair, pair.now + KW_MS(5) * kw_read_u8(in));
        break;
    case 2:
        end = kw_read_u8(in) & 1;
        (void)!pair_prepare(&pair, &pair.ends[end]);
        break;
    case 3:
        world.alter_at = kw_read_u8(in);
        world.altered = kw_read_vector(in, 1);
        world.alter = true;
        world.is_quiet = false;
        break;
    case 4:
        world.lose = true;
        world.is_quiet = false;
        break;
    case 5:
        world.twice = true;
        break;
    case 6:
        world.later = KW_MS(kw_read_u8(in));
        world.keep = true;
        break;
    case 7:
        end = kw_read_u8(in) & 1;
        say(end, kw_read_vector(in, 1));
        world.is_quiet = false; /* a peer that announces what it does not do is alone to blame */
        break;
    }
    pair_run(&pair, pair.now + KW_MS(1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);
    uint8_t kind = kw_read_u8(&in);
    struct pair_config config = {
        .seed = 1,
        .link = {.delay = KW_MS(10)},
        .period = KW_S(4),
        .interval = kind & 2 ? KW_MS(50) : KW_MS(500),
        .method = KW_METHOD_OVERLAP,
        .first_seq = kind & 1 ? 65500 : 1000,
        .handshakes = 4,
    };

    memset(&world, 0, sizeof world);
    world.is_quiet = true;
    pair_init(&pair, &config);
    KW_ASSERT(pair_connect(&pair, KW_S(10)));
    pair.net.tap = interfere;
    for (int i = 0; i < 32 && kw_reader_left(&in) != 0; i++)
        obey(&in);
    world.lose = world.alter = world.keep = false;
    pair_run(&pair, pair.now + KW_MS(100) * (1U + (kind >> 2)));
    pair_settle(&pair);
    for (unsigned i = 0; i < 2; i++) {
        KW_ASSERT(pair.ends[i].twice == 0 && pair.ends[i].beyond == 0);
        /* a session that reached L without new keys has closed, as the policy says */
        if (world.is_quiet && !pair.ends[0].has_ended && !pair.ends[1].has_ended)
            KW_ASSERT(pair.ends[i].got == pair.ends[1 - i].sent);
    }
    pair_deinit(&pair);
    return 0;
}
