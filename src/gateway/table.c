/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing; a removal moves the entries behind it back, so no tombstones pile up. */
#include "gateway/table.h"

#include <string.h>

static size_t entry_count(size_t count)
{
    size_t n = 16;

    while (n < 2 * count)
        n *= 2;
    return n;
}

size_t kw_table_size(size_t count)
{
    return entry_count(count) * sizeof(struct kw_table_entry);
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

void kw_table_init(struct kw_table *table, void *mem, size_t count, const uint8_t key[16])
{
    *table = (struct kw_table){
        .entries = mem,
        .mask = entry_count(count) - 1,
        .key = {load64(key), load64(key + 8)},
    };
    memset(mem, 0, kw_table_size(count));
}

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t kw_table_tag(const struct kw_table *table, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t v[4] = {
        table->key[0] ^ 0x736f6d6570736575U,
        table->key[1] ^ 0x646f72616e646f6dU,
        table->key[0] ^ 0x6c7967656e657261U,
        table->key[1] ^ 0x7465646279746573U,
    };
    uint64_t last = (uint64_t)len << 56;
    size_t left = len;

    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load64(at);

        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    last = v[0] ^ v[1] ^ v[2] ^ v[3];
    return last != 0 ? last : 1;
}

uint64_t kw_table_tag_path(const struct kw_table *table, const struct kw_path *path)
{
    uint8_t raw[2 * (1 + 2 + 16)];
    uint8_t *at = raw;

    for (int i = 0; i < 2; i++) {
        const struct kw_address *address = i == 0 ? &path->remote : &path->local;

        *at++ = address->family;
        *at++ = (uint8_t)(address->port >> 8);
        *at++ = (uint8_t)address->port;
        memcpy(at, address->ip, sizeof address->ip);
        at += sizeof address->ip;
    }
    return kw_table_tag(table, raw, sizeof raw);
}

static size_t find(const struct kw_table *table, uint64_t tag)
{
    size_t i = (size_t)tag & table->mask;

    while (table->entries[i].tag != 0 && table->entries[i].tag != tag)
        i = (i + 1) & table->mask;
    return i;
}

bool kw_table_put(struct kw_table *table, uint64_t tag, uint32_t value)
{
    struct kw_table_entry *entry = &table->entries[find(table, tag)];

    KW_ASSERT(tag != 0);
    if (entry->tag == 0) {
        if (2 * table->used > table->mask)
            return false;
        table->used++;
    }
    *entry = (struct kw_table_entry){tag, value};
    return true;
}

bool kw_table_get(const struct kw_table *table, uint64_t tag, uint32_t *value_ret)
{
    const struct kw_table_entry *entry = &table->entries[find(table, tag)];

    if (entry->tag == 0)
        return false;
    *value_ret = entry->value;
    return true;
}

void kw_table_remove(struct kw_table *table, uint64_t tag)
{
    size_t hole = find(table, tag);

    if (table->entries[hole].tag == 0)
        return;
    table->used--;
    for (size_t i = (hole + 1) & table->mask; table->entries[i].tag != 0;
         i = (i + 1) & table->mask) {
        size_t home = (size_t)table->entries[i].tag & table->mask;

        /* It may move back when its home does not lie behind the hole. */
        if (((i - home) & table->mask) >= ((i - hole) & table->mask)) {
            table->entries[hole] = table->entries[i];
            hole = i;
        }
    }
    table->entries[hole] = (struct kw_table_entry){0, 0};
}
