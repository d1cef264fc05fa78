/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a gateway that carries a call of /v1/calls and a WHIP session. Input: up to eight
 * requests, each
 *
 *     method, path (a number of the table, or 255 and a text), token, type, If-Match (likewise),
 *     body: 0 and bytes, or the offer of a client that exists with changes {at (two bytes), how
 * many bytes it takes out, bytes that it puts in}
 *
 * where a text or bytes begin with one length byte. Each answer is a whole HTTP response.
 */
#include "gateway/world.h"

#include "base/assert.h"
#include "base/reader.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *world;
static char call_path[256], whip_path[256], call_etag[64], whip_etag[64];

static const struct world_config plain = {
    .seed = 3,
    .link = {.delay = KW_MS(5)},
    .calls_max = 6,
    .clients_max = 12,
    .facts_room = 256,
};

static void copy(char *dst, size_t dst_size, struct kw_bytes text)
{
    size_t len = KW_MIN(text.len, dst_size - 1);

    if (len != 0)
        memcpy(dst, text.data, len);
    dst[len] = '\0';
    dst[strlen(dst)] = '\0';
}

/* One of the table, or the input's own. */
static void read_text(struct kw_reader *in, const char *const *table, size_t table_len, char *dst,
                      size_t dst_size)
{
    uint8_t which = kw_read_u8(in);

    if (which == 255) {
        copy(dst, dst_size, kw_read_vector(in, 1));
        return;
    }
    copy(dst, dst_size,
         (struct kw_bytes){(const uint8_t *)table[which % table_len],
                           strlen(table[which % table_len])});
}

static void read_path(struct kw_reader *in, char *dst, size_t dst_size)
{
    static const char *const parts[] = {"", "/generations", "/restart", "/events", "/rotate"};
    static const char *const paths[] = {"/v1/calls", "/whip/demo", "/v1/rooms/x/calls",
                                        "/whip/other"};
    uint8_t which = kw_read_u8(in);

    if (which == 255)
        copy(dst, dst_size, kw_read_vector(in, 1));
    else if (which < 128)
        strcpy(dst, paths[which % KW_ARRAY_LEN(paths)]);
    else
        snprintf(dst, dst_size, "%s%s", which & 1 ? call_path : whip_path,
                 parts[which / 2 % KW_ARRAY_LEN(parts)]);
}

static size_t read_body(struct kw_reader *in, uint8_t *body)
{
    static const char fragment[] = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
                                   "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
                                   "a=candidate:1 1 UDP 2130706431 192.0.2.9 5000 typ host\r\n";
    uint8_t kind = kw_read_u8(in);
    size_t len, change_count = kind >> 2 & 7;
    struct kw_bytes bytes;

    if ((kind & 3) == 0) {
        bytes = kw_read_vector(in, 1);
        if (bytes.len != 0)
            memcpy(body, bytes.data, bytes.len);
        return bytes.len;
    }
    if ((kind & 3) == 1) {
        len = sizeof fragment - 1;
        memcpy(body, fragment, len);
    } else {
        len = world_offer(world, &world->peers[kind & 1]);
        memcpy(body, world->offer, len);
    }
    for (size_t i = 0; i < change_count; i++) {
        size_t at = kw_read_u16(in) % (len + 1);
        size_t out = kw_read_u8(in);

        out = KW_MIN(out, len - at);
        bytes = kw_read_vector(in, 1);
        memmove(body + at + bytes.len, body + at + out, len - at - out);
        if (bytes.len != 0)
            memcpy(body + at, bytes.data, bytes.len);
        len += bytes.len - out;
    }
    return len;
}

static void check(const struct kw_response *response)
{
    KW_ASSERT(response->status >= 200 && response->status < 600);
    KW_ASSERT(response->completion == 5);
    KW_ASSERT(response->header_count <= KW_RESPONSE_HEADERS_MAX);
    KW_ASSERT(response->body_len <= sizeof response->body);
    KW_ASSERT((response->body_len == 0) == (response->content_type[0] == '\0') ||
              response->stream != 0);
    for (size_t i = 0; i < response->header_count; i++) {
        const char *value = response->headers[i].value;

        KW_ASSERT(response->headers[i].name[0] != '\0' && value[0] != '\0');
        for (; *value != '\0'; value++)
            KW_ASSERT(*value >= 0x20 && *value <= 0x7e);
    }
    if (strcmp(response->content_type, "application/json") == 0 ||
        strcmp(response->content_type, "application/problem+json") == 0)
        KW_ASSERT(response->body[0] == '{' && response->body[response->body_len - 1] == '}');
}

static void request(struct kw_reader *in)
{
    static const char *const tokens[] = {"demo-token", "other-token", "", "third-token"};
    static const char *const types[] = {"application/sdp", "application/trickle-ice-sdpfrag", ""};
    const char *const etags[] = {"", "*", call_etag, whip_etag};
    struct kw_request *request = &world->request;
    struct kw_push push;

    request->completion = 5;
    request->method = (enum kw_request_method)(kw_read_u8(in) % 5);
    request->remote = world_address(198, 51, 0, 1, 443);
    read_path(in, request->path, sizeof request->path);
    read_text(in, tokens, KW_ARRAY_LEN(tokens), request->token, sizeof request->token);
    read_text(in, types, KW_ARRAY_LEN(types), request->content_type, sizeof request->content_type);
    read_text(in, etags, KW_ARRAY_LEN(etags), request->if_match, sizeof request->if_match);
    request->body_len = read_body(in, request->body);
    request->body[request->body_len] = 0;
    kw_control_handle(world->gateway, request, world->now, world_utc(world), &world->response);
    check(&world->response);
    world_run(world, world->now + KW_MS(30));
    for (int i = 0; kw_control_next_push(world->gateway, world->now, &push); i++)
        KW_ASSERT(i < 1000 && push.len <= sizeof push.data);
    if (world->response.stream != 0 && (request->token[0] & 1) == 0)
        kw_control_stream_closed(world->gateway, world->response.stream);
}

static void begin(void)
{
    struct peer *peer;
    size_t offer_len;

    world = world_new(&plain);
    KW_ASSERT(world_call(world, &peer) == 201);
    strcpy(call_path, peer->location);
    strcpy(call_etag, peer->etag);
    peer = world_peer(world, &offer_len);
    KW_ASSERT(world_request(world, KW_REQUEST_POST, "/whip/demo", "demo-token", "application/sdp",
                            world->offer, offer_len) == 201);
    strcpy(whip_path, world_header(world, "Location"));
    strcpy(whip_etag, world_header(world, "ETag"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_reader in = kw_reader_of(data, size);

    begin();
    for (int i = 0; i < 8 && kw_reader_left(&in) != 0; i++)
        request(&in);
    world_free(world);
    return 0;
}
