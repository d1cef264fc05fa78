/* SPDX-License-Identifier: Apache-2.0 */
/* Records: views stay inside the datagram, and reading always comes to an end. */
#include "dtls/record.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct kw_bytes view, const uint8_t *data, size_t size)
{
    return view.len == 0 || (view.data >= data && view.data + view.len <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cid_len = size == 0 ? 0 : data[0] % (KW_DTLS_CID_MAX + 1);
    struct kw_reader in = kw_reader_of(data, size);
    struct kw_record record;
    size_t left = size + 1;

    while (kw_record_parse(&in, cid_len, &record) == KW_ACCEPT) {
        KW_ASSERT(kw_reader_left(&in) < left);
        left = kw_reader_left(&in);
        KW_ASSERT(inside(record.header, data, size) && inside(record.body, data, size) &&
                  inside(record.cid, data, size));
        KW_ASSERT(!record.is_unified || record.seq_at + record.seq_len <= record.header.len);
        KW_ASSERT(record.header.len <= KW_RECORD_PLAIN_HEADER);
    }
    return 0;
}
