/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_WRITER_H
#define KW_BASE_WRITER_H

#include <keywheel/base.h>

#include <string.h>

/*
 * A sticky writer into the caller's memory: what does not fit is not written and remembered in
 * `failed`. A length that is known only later is reserved first and filled in afterwards.
 * Big endian.
 */
struct kw_writer {
    uint8_t *start;
    size_t len;
    size_t size;
    bool failed;
};

static inline struct kw_writer kw_writer_of(uint8_t *dst, size_t dst_size)
{
    return (struct kw_writer){.start = dst, .size = dst_size};
}

static inline size_t kw_writer_left(const struct kw_writer *out)
{
    return out->failed ? 0 : out->size - out->len;
}

static inline struct kw_bytes kw_writer_view(const struct kw_writer *out)
{
    return (struct kw_bytes){out->start, out->failed ? 0 : out->len};
}

/* Takes len bytes of room; NULL and failed when there is not enough. */
static inline uint8_t *kw_write_room(struct kw_writer *out, size_t len)
{
    uint8_t *at;

    if (out->failed || out->size - out->len < len) {
        out->failed = true;
        return NULL;
    }
    at = out->start + out->len;
    out->len += len;
    return at;
}

static inline void kw_write_bytes(struct kw_writer *out, struct kw_bytes bytes)
{
    uint8_t *at = kw_write_room(out, bytes.len);

    if (at != NULL && bytes.len != 0)
        memcpy(at, bytes.data, bytes.len);
}

static inline void kw_write_uint(struct kw_writer *out, uint64_t value, size_t width)
{
    uint8_t *at = kw_write_room(out, width);

    for (size_t i = 0; at != NULL && i < width; i++)
        at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

static inline void kw_write_u8(struct kw_writer *out, uint8_t value)
{
    kw_write_uint(out, value, 1);
}

static inline void kw_write_u16(struct kw_writer *out, uint16_t value)
{
    kw_write_uint(out, value, 2);
}

static inline void kw_write_u24(struct kw_writer *out, uint32_t value)
{
    kw_write_uint(out, value, 3);
}

static inline void kw_write_u32(struct kw_writer *out, uint32_t value)
{
    kw_write_uint(out, value, 4);
}

static inline void kw_write_u48(struct kw_writer *out, uint64_t value)
{
    kw_write_uint(out, value, 6);
}

static inline void kw_write_u64(struct kw_writer *out, uint64_t value)
{
    kw_write_uint(out, value, 8);
}

/* A vector with a length prefix of `width` bytes. */
static inline void kw_write_vector(struct kw_writer *out, struct kw_bytes bytes, size_t width)
{
    kw_write_uint(out, bytes.len, width);
    kw_write_bytes(out, bytes);
}

/* Opens a vector whose length is not known yet; returns the mark for kw_write_close(). */
static inline size_t kw_write_open(struct kw_writer *out, size_t width)
{
    size_t mark = out->len;

    kw_write_uint(out, 0, width);
    return mark;
}

/* Fills in the length of what was written since kw_write_open() with the same width. */
static inline void kw_write_close(struct kw_writer *out, size_t mark, size_t width)
{
    size_t body_len;

    if (out->failed)
        return;
    body_len = out->len - mark - width;
    if (width < sizeof body_len && body_len >> (8 * width) != 0) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < width; i++)
        out->start[mark + i] = (uint8_t)(body_len >> (8 * (width - 1 - i)));
}

#endif
