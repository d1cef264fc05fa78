/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/ack.h"

#include "dtls/record.h"

#include <string.h>

enum { ACK_ENTRY = 16 };

void kw_ack_list_add(struct kw_ack_list *list, uint64_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->numbers[i] == number)
            return;
    }
    if (list->count == KW_DTLS_ACK_RECORDS) {
        list->count--;
        memmove(list->numbers, list->numbers + 1, list->count * sizeof list->numbers[0]);
    }
    list->numbers[list->count++] = number;
}

void kw_ack_list_clear(struct kw_ack_list *list)
{
    list->count = 0;
}

size_t kw_ack_size(size_t count)
{
    return 2 + ACK_ENTRY * count;
}

void kw_ack_write(const struct kw_ack_list *list, size_t count, struct kw_writer *out)
{
    uint64_t sorted[KW_DTLS_ACK_RECORDS];
    size_t mark = kw_write_open(out, 2);

    for (size_t i = 0; i < count; i++) {
        uint64_t number = list->numbers[list->count - count + i];
        size_t at = i;

        for (; at > 0 && sorted[at - 1] > number; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = number;
    }
    for (size_t i = 0; i < count; i++) {
        kw_write_u64(out, sorted[i] >> KW_RECORD_SEQ_BITS);
        kw_write_u64(out, sorted[i] & KW_RECORD_SEQ_MAX);
    }
    kw_write_close(out, mark, 2);
}

bool kw_ack_open(struct kw_bytes content, struct kw_reader *ret)
{
    struct kw_reader in = kw_reader_of_bytes(content);
    struct kw_bytes numbers = kw_read_vector(&in, 2);

    if (!kw_reader_done(&in) || numbers.len % ACK_ENTRY != 0)
        return false;
    *ret = kw_reader_of_bytes(numbers);
    return true;
}

bool kw_ack_next(struct kw_reader *in, uint64_t *epoch, uint64_t *seq)
{
    if (kw_reader_left(in) == 0)
        return false;
    *epoch = kw_read_u64(in);
    *seq = kw_read_u64(in);
    return true;
}
