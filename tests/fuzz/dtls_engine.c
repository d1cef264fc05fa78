/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a server with toy crypto on the simulated network, and an input that interferes.
 * The first byte chooses the world; then orders, each one byte and what it needs:
 *
 *     0 len bytes    a datagram to the client        3 n         n * 10 ms pass
 *     1 len bytes    a datagram to the server        4 n         the next datagram is lost
 *     2 n len bytes  bytes over the n-th byte of     5 n         .. and comes twice
 *                    the next datagram               6 len bytes a handshake message, protected,
 * from 7 role         new keys                                    the client (low bit of len:
 * server) 8 role         close
 *
 * Whatever happens: no crash, no leak, no endless flight, deadlines move on, CLOSED comes last. A
 * world without orders that alter completes its handshake.
 */
#include "fuzz/dtls_world.h"

#include "base/assert.h"
#include "support/toy_crypto.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    bool lose, twice, alter;
    size_t alter_at;
    struct kw_bytes altered;
};

static bool interfere(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                      size_t *len, kw_ns now)
{
    struct world *world = ctx;

    if (world->lose) {
        world->lose = false;
        return false;
    }
    if (world->twice) {
        world->twice = false;
        net_inject(net, path, data, *len, now + KW_MS(3));
    }
    if (world->alter) {
        world->alter = false;
        for (size_t i = 0; i < world->altered.len && world->alter_at + i < *len; i++)
            data[world->alter_at + i] ^= world->altered.data[i];
    }
    return true;
}

static void inject(struct pair *pair, enum kw_dtls_role to, struct kw_bytes bytes)
{
    struct kw_path path = {.local = pair->end[to].path.remote, .remote = pair->end[to].path.local};

    net_inject(&pair->net, &path, bytes.data, bytes.len, pair->now);
}

static void inject_protected(struct pair *pair, struct kw_bytes bytes, enum kw_dtls_role from)
{
    struct kw_dtls *dtls = pair->end[from].dtls;
    struct kw_record_keys *keys = kw_dtls_newest_write_keys(dtls);
    uint8_t datagram[512];
    struct kw_writer out = kw_writer_of(datagram, sizeof datagram);

    if (keys == NULL || bytes.len == 0)
        return;
    if (kw_record_protect(keys, kw_dtls_cid_out(dtls), (enum kw_content)bytes.data[0],
                          (struct kw_bytes){NULL, 0},
                          (struct kw_bytes){bytes.data + 1, bytes.len - 1}, &out, NULL) == KW_OK)
        inject(pair, from == KW_DTLS_CLIENT ? KW_DTLS_SERVER : KW_DTLS_CLIENT,
               kw_writer_view(&out));
}

static void obey(struct pair *pair, struct world *world, struct kw_reader *in)
{
    uint8_t order = kw_read_u8(in);
    uint8_t n;
    struct kw_bytes bytes;

    switch (order % 9) {
    case 0:
    case 1:
        inject(pair, order % 9 == 0 ? KW_DTLS_CLIENT : KW_DTLS_SERVER, kw_read_vector(in, 1));
        break;
    case 2:
        world->alter_at = kw_read_u8(in);
        world->altered = kw_read_vector(in, 1);
        world->alter = true;
        break;
    case 3:
        pair_run(pair, pair_forever, pair->now + KW_MS(10) * kw_read_u8(in));
        break;
    case 4:
        world->lose = true;
        break;
    case 5:
        world->twice = true;
        break;
    case 6:
        n = kw_read_u8(in);
        bytes = kw_read_bytes(in, n >> 1);
        inject_protected(pair, bytes, n & 1 ? KW_DTLS_SERVER : KW_DTLS_CLIENT);
        break;
    case 7:
        kw_status_ignore(kw_dtls_update_keys(pair->end[kw_read_u8(in) & 1].dtls, true, pair->now));
        break;
    case 8:
        kw_dtls_close(pair->end[kw_read_u8(in) & 1].dtls, pair->now);
        break;
    }
    pair_run(pair, pair_forever, pair->now + KW_MS(1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pair pair;
    struct kw_reader in = kw_reader_of(data, size);
    struct world world = {.lose = false};
    struct pair_config config = dtls_world(kw_read_u8(&in));
    bool is_idle = kw_reader_left(&in) == 0;

    KW_ASSERT(pair_init(&pair, &config) == KW_OK);
    pair.net.tap = interfere;
    pair.net.tap_ctx = &world;
    for (int i = 0; i < 64 && kw_reader_left(&in) != 0; i++)
        obey(&pair, &world, &in);
    if (is_idle)
        KW_ASSERT(pair_run(&pair, pair_confirmed, pair.now + KW_S(60)));
    else
        pair_run(&pair, pair_one_ended, pair.now + KW_S(2));
    pair_deinit(&pair);
    return 0;
}
