/* SPDX-License-Identifier: Apache-2.0 */
/* ACKs: what is read can be written again, and a flight survives every one. */
#include "dtls/ack.h"

#include "base/assert.h"
#include "dtls/flight.h"
#include "dtls/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kw_flight flight;
    struct kw_ack_list list = {.count = 0};
    uint8_t bytes[1024];
    struct kw_writer out = kw_writer_of(bytes, sizeof bytes);
    struct kw_flight_piece piece;
    struct kw_reader in;
    uint64_t epoch, seq, number = 0;

    kw_flight_clear(&flight);
    for (uint8_t type = 1; type <= 3; type++) {
        struct kw_writer body = kw_flight_begin(&flight);

        for (size_t i = 0; i < 100U * type; i++)
            kw_write_u8(&body, type);
        KW_ASSERT(kw_flight_end(&flight, &body, type, type, 0));
    }
    kw_flight_send(&flight);
    while (kw_flight_peek(&flight, &piece)) {
        piece.len = (uint16_t)KW_MIN(piece.len, 40);
        kw_flight_sent(&flight, &piece, number++);
    }
    if (!kw_ack_open((struct kw_bytes){data, size}, &in))
        return 0;
    while (kw_ack_next(&in, &epoch, &seq)) {
        kw_ack_list_add(&list, kw_record_number(epoch & 0xffff, seq & KW_RECORD_SEQ_MAX));
        kw_flight_ack(&flight, kw_record_number(epoch & 0xffff, seq & KW_RECORD_SEQ_MAX));
    }
    KW_ASSERT(list.count <= KW_DTLS_ACK_RECORDS);
    kw_ack_write(&list, list.count, &out);
    KW_ASSERT(!out.failed && out.len == kw_ack_size(list.count));
    /* What is left is sent, and then there is nothing left. */
    kw_flight_send(&flight);
    for (size_t i = 0; kw_flight_peek(&flight, &piece); i++) {
        KW_ASSERT(i < 1000);
        kw_flight_sent(&flight, &piece, number++);
    }
    return 0;
}
