/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/stranger.h"

#include "check.h"

#include "base/writer.h"

#include <string.h>

const char *const stranger_names[STRANGER_KINDS] = {
    "garbage",      "alert",          "close",        "ack",    "ccs",    "data",
    "unified",      "finished",       "certificate",  "replay", "mutant", "cut",
    "client hello", "hello fragment", "server hello", "retry",
};

/* Handshake records in the clear, one datagram each, of another handshake. */
static struct {
    uint8_t data[KW_DTLS_DATAGRAM_MAX];
    size_t len;
} client_hello, server_hello, retry;

static bool collect_hellos(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                           size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)now;
    if (data[0] != KW_CONTENT_HANDSHAKE)
        return true;
    size_t record = KW_RECORD_PLAIN_HEADER + (size_t)(data[11] << 8 | data[12]);

    if (data[KW_RECORD_PLAIN_HEADER] == KW_HS_CLIENT_HELLO && client_hello.len == 0) {
        memcpy(client_hello.data, data, *len);
        client_hello.len = *len;
    }
    if (data[KW_RECORD_PLAIN_HEADER] == KW_HS_SERVER_HELLO) {
        bool is_retry = data[KW_RECORD_PLAIN_HEADER + KW_FRAGMENT_HEADER + 2] == 0xcf;

        if (is_retry) {
            memcpy(retry.data, data, record);
            retry.len = record;
        } else {
            memcpy(server_hello.data, data, record);
            server_hello.len = record;
            /* As an answer to a first hello. */
            server_hello.data[KW_RECORD_PLAIN_HEADER + 5] = 0;
        }
    }
    return true;
}

/* He has no cookie that this server would take. */
static void other_key(struct pair *pair, enum kw_dtls_role role, struct kw_dtls_params *params)
{
    (void)params;
    memset(pair->end[role].shared.cookie_key, 0x66, sizeof pair->end[role].shared.cookie_key);
}

void stranger_prepare(void)
{
    struct pair pair;

    client_hello.len = server_hello.len = retry.len = 0;
    assert_int_equal(pair_init(&pair, &(struct pair_config){.seed = 4711,
                                                            .mtu = KW_DTLS_DATAGRAM_MAX,
                                                            .require_cookie = true,
                                                            .prepare = other_key}),
                     KW_OK);
    pair.net.tap = collect_hellos;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    pair_deinit(&pair);
    assert_true(client_hello.len != 0 && server_hello.len != 0 && retry.len != 0);
}

static void write_plain(struct kw_writer *out, uint8_t type, const uint8_t *body, size_t len)
{
    kw_record_write_plain((enum kw_content)type, KW_DTLS_1_2, 77, (struct kw_bytes){NULL, 0},
                          (struct kw_bytes){body, len}, out);
}

static void write_message(struct kw_writer *out, uint8_t type, uint16_t seq, size_t message_len,
                          size_t len)
{
    static const uint8_t zeros[64];
    uint8_t body[KW_FRAGMENT_HEADER + 64];
    struct kw_writer message = kw_writer_of(body, sizeof body);

    kw_write_u8(&message, type);
    kw_write_u24(&message, (uint32_t)message_len);
    kw_write_u16(&message, seq);
    kw_write_u24(&message, 0);
    kw_write_u24(&message, (uint32_t)len);
    kw_write_bytes(&message, (struct kw_bytes){zeros, len});
    write_plain(out, KW_CONTENT_HANDSHAKE, body, message.len);
}

static void write_unified(struct net *net, struct kw_writer *out)
{
    for (uint8_t epoch = 0; epoch < 4; epoch++) {
        kw_write_u8(out, 0x2c | epoch);
        kw_write_u16(out, (uint16_t)net_draw(net, 4));
        kw_write_u16(out, 40);
        for (int i = 0; i < 40; i++)
            kw_write_u8(out, (uint8_t)net_draw(net, 256));
    }
}

static void copy_last(struct net *net, enum stranger_kind kind, const struct net_datagram *last,
                      struct kw_writer *out)
{
    size_t len = last->len;

    if (kind == STRANGER_CUT && len > 1)
        len = 1 + net_draw(net, len - 1);
    kw_write_bytes(out, (struct kw_bytes){last->data, len});
    if (kind == STRANGER_MUTANT && len != 0)
        out->start[net_draw(net, len)] ^= (uint8_t)(1U << net_draw(net, 8));
}

size_t stranger_write(struct net *net, enum stranger_kind kind, const struct net_datagram *last,
                      uint8_t dst[KW_DTLS_DATAGRAM_MAX])
{
    static const uint8_t fatal[] = {2, KW_ALERT_HANDSHAKE_FAILURE}, close[] = {1, 0}, ccs[] = {1};
    static const uint8_t ack[2 + 16] = {0, 16};
    struct kw_writer out = kw_writer_of(dst, KW_DTLS_DATAGRAM_MAX);

    switch (kind) {
    case STRANGER_GARBAGE:
        for (size_t i = net_draw(net, 200) + 1; i > 0; i--)
            kw_write_u8(&out, (uint8_t)net_draw(net, 256));
        break;
    case STRANGER_ALERT:
        write_plain(&out, KW_CONTENT_ALERT, fatal, sizeof fatal);
        break;
    case STRANGER_CLOSE:
        write_plain(&out, KW_CONTENT_ALERT, close, sizeof close);
        break;
    case STRANGER_ACK:
        write_plain(&out, KW_CONTENT_ACK, ack, sizeof ack);
        break;
    case STRANGER_CCS:
        write_plain(&out, KW_CONTENT_CCS, ccs, sizeof ccs);
        break;
    case STRANGER_DATA:
        write_plain(&out, KW_CONTENT_DATA, fatal, sizeof fatal);
        break;
    case STRANGER_UNIFIED:
        write_unified(net, &out);
        break;
    case STRANGER_FINISHED:
        write_message(&out, KW_HS_FINISHED, (uint16_t)(1 + net_draw(net, 6)), 32, 32);
        break;
    case STRANGER_CERTIFICATE:
        write_message(&out, KW_HS_CERTIFICATE, (uint16_t)(1 + net_draw(net, 6)), 300, 64);
        break;
    case STRANGER_REPLAY:
    case STRANGER_MUTANT:
    case STRANGER_CUT:
        copy_last(net, kind, last, &out);
        break;
    case STRANGER_CLIENT_HELLO:
        kw_write_bytes(&out, (struct kw_bytes){client_hello.data, client_hello.len});
        break;
    case STRANGER_HELLO_FRAGMENT:
        write_message(&out, net_draw(net, 2) ? KW_HS_CLIENT_HELLO : KW_HS_SERVER_HELLO,
                      (uint16_t)net_draw(net, 2), 900, 50);
        break;
    case STRANGER_SERVER_HELLO:
        kw_write_bytes(&out, (struct kw_bytes){server_hello.data, server_hello.len});
        break;
    case STRANGER_RETRY:
        kw_write_bytes(&out, (struct kw_bytes){retry.data, retry.len});
        break;
    case STRANGER_KINDS:
        break;
    }
    assert_false(out.failed);
    return out.len;
}
