/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/craft.h"

#include "check.h"

#include "base/writer.h"

#include <string.h>

size_t craft_fragment(uint8_t *dst, size_t dst_size, uint8_t type, uint32_t message_len,
                      uint16_t seq, uint32_t offset, const uint8_t *body, size_t len)
{
    struct kw_writer out = kw_writer_of(dst, dst_size);

    kw_write_u8(&out, type);
    kw_write_u24(&out, message_len);
    kw_write_u16(&out, seq);
    kw_write_u24(&out, offset);
    kw_write_u24(&out, (uint32_t)len);
    kw_write_bytes(&out, (struct kw_bytes){body, len});
    assert_false(out.failed);
    return out.len;
}

size_t craft_message(uint8_t *dst, size_t dst_size, uint8_t type, uint16_t seq, const uint8_t *body,
                     size_t len)
{
    return craft_fragment(dst, dst_size, type, (uint32_t)len, seq, 0, body, len);
}

void craft_deliver(struct pair *pair, enum kw_dtls_role from, uint64_t epoch, uint8_t type,
                   const uint8_t *content, size_t len)
{
    struct pair_end *to = &pair->end[from == KW_DTLS_CLIENT ? KW_DTLS_SERVER : KW_DTLS_CLIENT];
    struct kw_dtls *dtls = pair->end[from].dtls;
    struct kw_record_keys *keys = kw_dtls_write_keys(dtls, epoch);
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_writer out = kw_writer_of(datagram, sizeof datagram);

    assert_non_null(keys);
    assert_int_equal(kw_record_protect(keys, kw_dtls_cid_out(dtls), (enum kw_content)type,
                                       (struct kw_bytes){NULL, 0}, (struct kw_bytes){content, len},
                                       &out, NULL),
                     KW_OK);
    assert_int_equal(kw_dtls_receive(to->dtls, datagram, out.len, pair->now), KW_OK);
}

void craft_deliver_plain(struct pair *pair, enum kw_dtls_role to, uint8_t type,
                         const uint8_t *content, size_t len)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_writer out = kw_writer_of(datagram, sizeof datagram);

    kw_record_write_plain((enum kw_content)type, KW_DTLS_1_2, 5, (struct kw_bytes){NULL, 0},
                          (struct kw_bytes){content, len}, &out);
    assert_false(out.failed);
    assert_int_equal(kw_dtls_receive(pair->end[to].dtls, datagram, out.len, pair->now), KW_OK);
}

/* Nothing of the client's last flight leaves. */
static bool hold(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data, size_t *len,
                 kw_ns now)
{
    struct pair *pair = ctx;

    (void)net;
    (void)data;
    (void)len;
    (void)now;
    return !(kw_path_equal(path, &pair->end[KW_DTLS_CLIENT].path) &&
             pair->end[KW_DTLS_CLIENT].dtls->state == KW_STATE_CONNECTED);
}

static bool client_connected(const struct pair *pair)
{
    return pair->end[KW_DTLS_CLIENT].connected;
}

void craft_hold_client(struct pair *pair, const struct pair_config *config)
{
    assert_int_equal(pair_init(pair, config), KW_OK);
    pair->net.tap = hold;
    pair->net.tap_ctx = pair;
    assert_true(pair_run(pair, client_connected, pair->now + KW_S(10)));
    assert_false(pair->end[KW_DTLS_SERVER].connected);
}

size_t craft_hello(struct pair *pair, size_t session_id_len, size_t padding, uint8_t *dst,
                   size_t dst_size)
{
    struct kw_bytes hello = kw_flight_body(&pair->end[KW_DTLS_CLIENT].dtls->hs->out, 0);
    struct kw_reader in = kw_reader_of_bytes(hello);
    struct kw_writer out = kw_writer_of(dst, dst_size);
    size_t block;

    kw_write_bytes(&out, kw_read_bytes(&in, 34));
    kw_read_vector(&in, 1);
    kw_write_u8(&out, (uint8_t)session_id_len);
    for (size_t i = 0; i < session_id_len; i++)
        kw_write_u8(&out, (uint8_t)i);
    kw_write_vector(&out, kw_read_vector(&in, 1), 1);
    kw_write_vector(&out, kw_read_vector(&in, 2), 2);
    kw_write_vector(&out, kw_read_vector(&in, 1), 1);
    block = kw_write_open(&out, 2);
    kw_write_bytes(&out, kw_read_vector(&in, 2));
    if (padding != 0) {
        kw_write_u16(&out, 21); /* RFC 7685 */
        kw_write_u16(&out, (uint16_t)padding);
        memset(kw_write_room(&out, padding), 0, padding);
    }
    kw_write_close(&out, block, 2);
    assert_true(kw_reader_done(&in));
    assert_false(out.failed);
    return out.len;
}

void craft_deliver_hello(struct pair *pair, const uint8_t *body, size_t len, size_t piece)
{
    uint8_t fragment[KW_DTLS_DATAGRAM_MAX];
    size_t count = (len + piece - 1) / piece;

    for (size_t i = count; i-- > 0;) {
        size_t offset = i * piece;
        size_t n = craft_fragment(fragment, sizeof fragment, KW_HS_CLIENT_HELLO, (uint32_t)len, 0,
                                  (uint32_t)offset, body + offset, KW_MIN(piece, len - offset));

        craft_deliver_plain(pair, KW_DTLS_SERVER, KW_CONTENT_HANDSHAKE, fragment, n);
    }
}
