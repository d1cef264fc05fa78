/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_ACK_H
#define KW_DTLS_ACK_H

#include <keywheel/base.h>

#include "base/reader.h"
#include "base/writer.h"
#include "dtls/limits.h"

/*
 * ACKs (RFC 9147, section 7): the records of the peer's current flight that we have processed or
 * kept; the KW_DTLS_ACK_RECORDS that came last.
 */
struct kw_ack_list {
    uint8_t count;
    uint64_t numbers[KW_DTLS_ACK_RECORDS]; /* kw_record_number(), in order of arrival */
};

void kw_ack_list_add(struct kw_ack_list *list, uint64_t number);
void kw_ack_list_clear(struct kw_ack_list *list);

/* Bytes of an ACK that names count records. */
size_t kw_ack_size(size_t count);
/* Writes an ACK of the count records that came last; their numbers ascend (section 7). */
void kw_ack_write(const struct kw_ack_list *list, size_t count, struct kw_writer *out);

/* Reads an ACK one record after the other. */
KW_MUST_USE bool kw_ack_open(struct kw_bytes content, struct kw_reader *ret);
KW_MUST_USE bool kw_ack_next(struct kw_reader *in, uint64_t *epoch, uint64_t *seq);

#endif
