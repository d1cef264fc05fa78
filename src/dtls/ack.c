/* SPDX-License-Identifier: Apache-2.0 */
/* The list is sorted by number, so that writing it is a copy. When full, the lowest goes. */
#include "dtls/ack.h"

#include "dtls/record.h"

#include <string.h>

enum { ACK_ENTRY = 16 };

void kw_ack_list_add(struct kw_ack_list *list, uint64_t number)
{
    size_t at = list->count;

    while (at > 0 && list->numbers[at - 1] > number)
        at--;
    if (at > 0 && list->numbers[at - 1] == number)
        return;
    if (list->count == KW_DTLS_ACK_RECORDS) {
        if (at == 0)
            return;
        memmove(list->numbers, list->numbers + 1, (at - 1) * sizeof list->numbers[0]);
        list->numbers[at - 1] = number;
        return;
    }
    memmove(list->numbers + at + 1, list->numbers + at,
            (list->count - at) * sizeof list->numbers[0]);
    list->numbers[at] = number;
    list->count++;
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
    size_t mark = kw_write_open(out, 2);

    for (size_t i = list->count - count; i < list->count; i++) {
        kw_write_u64(out, list->numbers[i] >> KW_RECORD_SEQ_BITS);
        kw_write_u64(out, list->numbers[i] & KW_RECORD_SEQ_MAX);
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
