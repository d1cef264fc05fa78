/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments in any order. Input: { epoch bit and a fragment on the wire }*. The arena never
 * overflows, a message that comes out has the length that its fragments said, and everything that
 * was taken goes back.
 */
#include "dtls/reassembly.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No message has more bytes than it said, and none lies outside of what is taken. */
static void check(const struct kw_reassembly *reassembly)
{
    KW_ASSERT(reassembly->used <= KW_DTLS_ARENA);
    for (size_t i = 0; i < KW_DTLS_OPEN_MESSAGES; i++) {
        const struct kw_open_message *slot = &reassembly->open[i];

        if (slot->used)
            KW_ASSERT(slot->have <= slot->len && slot->at + slot->len <= reassembly->used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kw_reassembly reassembly;
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_fragment fragment;
    struct kw_message message;

    kw_reassembly_init(&reassembly, 0);
    while (kw_reader_left(&in) != 0) {
        uint16_t epoch = kw_read_u8(&in) & 1;

        if (kw_fragment_parse(&in, &fragment) != KW_ACCEPT)
            break;
        kw_reassembly_add(&reassembly, &fragment, epoch);
        check(&reassembly);
        while (kw_reassembly_peek(&reassembly, &message)) {
            KW_ASSERT(message.body.len <= KW_DTLS_MESSAGE_MAX);
            KW_ASSERT(message.seq == reassembly.next_seq);
            kw_reassembly_pop(&reassembly);
        }
    }
    while (kw_reassembly_has_open(&reassembly))
        kw_reassembly_pop(&reassembly);
    KW_ASSERT(reassembly.used == 0);
    return 0;
}
