/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of hellos and of the extensions inside them. */
#include "dtls/hello.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_inside(const struct kw_extensions *ext)
{
    static const struct kw_bytes name = {(const uint8_t *)"webrtc", 6};
    static const uint16_t ours[] = {KW_GROUP_X25519, KW_GROUP_P256, 0};
    struct kw_bytes list, mki;
    struct kw_key_share share;
    struct kw_reader in;
    size_t count;
    bool has;

    for (int place = 0; place < KW_EXTENSION_PLACES; place++) {
        struct kw_bytes body = ext->body[place];

        if (!kw_extension_seen(ext, (enum kw_extension_place)place))
            continue;
        if (kw_list16_parse(body, 2, &list)) {
            uint16_t chosen = kw_list16_choose(list, ours);

            KW_ASSERT(chosen == 0 || kw_list16_has(list, chosen));
        }
        if (kw_list16_parse(body, 1, &list))
            KW_ASSERT(list.len >= 2 && list.len < body.len);
        if (kw_use_srtp_parse(body, &list, &mki))
            KW_ASSERT(list.len + mki.len + 3 == body.len);
        if (kw_alpn_parse(body, name, &count, &has))
            KW_ASSERT(count != 0);
        if (kw_key_shares_open(body, &in)) {
            while (kw_key_shares_next(&in, &share))
                KW_ASSERT(share.share.len != 0 && share.share.len < body.len);
        }
        if (kw_key_share_parse(body, &share))
            KW_ASSERT(share.share.len + 4 == body.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kw_bytes body = {data, size};
    struct kw_client_hello client;
    struct kw_server_hello server;

    if (kw_client_hello_parse(body, &client) == KW_ALERT_NONE) {
        KW_ASSERT(client.random.len == 32 && client.session_id.len <= 32);
        look_inside(&client.ext);
    }
    if (kw_server_hello_parse(body, &server) == KW_ALERT_NONE) {
        KW_ASSERT(server.random.len == 32);
        look_inside(&server.ext);
    }
    return 0;
}
