/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_GATEWAY_TABLE_H
#define KW_GATEWAY_TABLE_H

/*
 * Routing tables: a 64-bit tag, the keyed hash of what is looked up, leads to the number of a call.
 * Open addressing with linear probing, sized at start, at most half full, nothing is allocated
 * later. The key is random per start, so nobody outside can aim at a bucket. Two things with the
 * same tag are possible in theory (2^-64 each): whoever is found must check that it is meant.
 */

#include "base/assert.h"

struct kw_table_entry {
    uint64_t tag; /* 0: empty */
    uint32_t value;
};

struct kw_table {
    struct kw_table_entry *entries;
    size_t mask; /* entry count - 1 */
    size_t used;
    uint64_t key[2];
};

/* Bytes for a table of count things, 64-byte aligned. */
size_t kw_table_size(size_t count);
void kw_table_init(struct kw_table *table, void *mem, size_t count, const uint8_t key[16]);

/* SipHash-1-3 of data under the table's key; never 0. */
uint64_t kw_table_tag(const struct kw_table *table, const void *data, size_t len);
uint64_t kw_table_tag_path(const struct kw_table *table, const struct kw_path *path);

/* Adds or replaces; false: half full. */
KW_MUST_USE bool kw_table_put(struct kw_table *table, uint64_t tag, uint32_t value);
KW_MUST_USE bool kw_table_get(const struct kw_table *table, uint64_t tag, uint32_t *value_ret);
void kw_table_remove(struct kw_table *table, uint64_t tag);

#endif
