/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_READER_H
#define KW_BASE_READER_H

#include <keywheel/base.h>

/*
 * A sticky reader over borrowed bytes: beyond the end it yields zeros and empty views and
 * remembers, so that one look at `failed` after a whole message is enough. Big endian.
 */
struct kw_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct kw_reader kw_reader_of(const uint8_t *data, size_t len)
{
    /* an empty view may have no address, and NULL + 0 is undefined */
    return (struct kw_reader){.at = data, .end = len != 0 ? data + len : data};
}

static inline struct kw_reader kw_reader_of_bytes(struct kw_bytes bytes)
{
    return kw_reader_of(bytes.data, bytes.len);
}

static inline size_t kw_reader_left(const struct kw_reader *in)
{
    return (size_t)(in->end - in->at);
}

/* True when everything was read and nothing was missing. */
static inline bool kw_reader_done(const struct kw_reader *in)
{
    return !in->failed && in->at == in->end;
}

/* A view of the next len bytes; {NULL, 0} and failed when there are fewer. */
static inline struct kw_bytes kw_read_bytes(struct kw_reader *in, size_t len)
{
    struct kw_bytes view = {NULL, 0};

    if (in->failed || kw_reader_left(in) < len) {
        in->failed = true;
        in->at = in->end;
        return view;
    }
    view = (struct kw_bytes){in->at, len};
    in->at += len;
    return view;
}

static inline uint64_t kw_read_uint(struct kw_reader *in, size_t width)
{
    struct kw_bytes raw = kw_read_bytes(in, width);
    uint64_t value = 0;

    for (size_t i = 0; i < raw.len; i++)
        value = value << 8 | raw.data[i];
    return value;
}

static inline uint8_t kw_read_u8(struct kw_reader *in)
{
    return (uint8_t)kw_read_uint(in, 1);
}

static inline uint16_t kw_read_u16(struct kw_reader *in)
{
    return (uint16_t)kw_read_uint(in, 2);
}

static inline uint32_t kw_read_u24(struct kw_reader *in)
{
    return (uint32_t)kw_read_uint(in, 3);
}

static inline uint32_t kw_read_u32(struct kw_reader *in)
{
    return (uint32_t)kw_read_uint(in, 4);
}

static inline uint64_t kw_read_u48(struct kw_reader *in)
{
    return kw_read_uint(in, 6);
}

static inline uint64_t kw_read_u64(struct kw_reader *in)
{
    return kw_read_uint(in, 8);
}

/* A vector with a length prefix of `width` bytes (RFC 8446, section 3.4), as a view. */
static inline struct kw_bytes kw_read_vector(struct kw_reader *in, size_t width)
{
    size_t len = (size_t)kw_read_uint(in, width);

    return kw_read_bytes(in, len);
}

#endif
