/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_CRAFT_H
#define KW_TESTS_CRAFT_H

#include "dtls/pair.h"

/* What a peer that has the keys, or a stranger who has none, can make by hand. */

/* One handshake message in one fragment. */
size_t craft_message(uint8_t *dst, size_t dst_size, uint8_t type, uint16_t seq, const uint8_t *body,
                     size_t len);
/* A fragment with every field as told. */
size_t craft_fragment(uint8_t *dst, size_t dst_size, uint8_t type, uint32_t message_len,
                      uint16_t seq, uint32_t offset, const uint8_t *body, size_t len);

/* Hands content to the other end in a record of that epoch of `from`, past the network. */
void craft_deliver(struct pair *pair, enum kw_dtls_role from, uint64_t epoch, uint8_t type,
                   const uint8_t *content, size_t len);
/* The same in the clear. */
void craft_deliver_plain(struct pair *pair, enum kw_dtls_role to, uint8_t type,
                         const uint8_t *content, size_t len);

/* Runs until the client has its keys and its last flight, none of which leaves. */
void craft_hold_client(struct pair *pair, const struct pair_config *config);

/* Rebuilds the first hello of the pair's client, whole: with a session id, and with padding. */
size_t craft_hello(struct pair *pair, size_t session_id_len, size_t padding, uint8_t *dst,
                   size_t dst_size);
/* Hands a message to the server in fragments, last one first. */
void craft_deliver_hello(struct pair *pair, const uint8_t *body, size_t len, size_t piece);

#endif
