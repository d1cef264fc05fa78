/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_RECORD_H
#define KW_DTLS_RECORD_H

#include <keywheel/crypto.h>
#include <keywheel/dtls.h>

#include "base/reader.h"
#include "base/writer.h"

/* The record layer: RFC 9147, section 4, and the records of RFC 6347 where 1.2 is allowed. */

enum kw_content {
    KW_CONTENT_NONE = 0,
    KW_CONTENT_CCS = 20,
    KW_CONTENT_ALERT = 21,
    KW_CONTENT_HANDSHAKE = 22,
    KW_CONTENT_DATA = 23,
    KW_CONTENT_ACK = 26,
};

enum {
    KW_RECORD_PLAIN_HEADER = 13,
    KW_RECORD_UNIFIED_HEADER = 5, /* what we write: flags, 16-bit number, length; and the CID */
    KW_RECORD_CONTENT_MAX = 1 << 14,
    KW_RECORD_BODY_MAX = KW_RECORD_CONTENT_MAX + 256, /* RFC 8446, section 5.2 */
    KW_RECORD_NONCE12 = 8,                            /* explicit part of the nonce in 1.2 */
    /* The number in epoch and sequence; epochs beyond 2^16 do not happen (section 8). */
    KW_RECORD_SEQ_BITS = 48,
};

#define KW_RECORD_SEQ_MAX ((UINT64_C(1) << KW_RECORD_SEQ_BITS) - 1)

/* Epoch and sequence number in one word, as records are numbered inside this engine. */
static inline uint64_t kw_record_number(uint64_t epoch, uint64_t seq)
{
    return epoch << KW_RECORD_SEQ_BITS | seq;
}

/* One received record: a view into the datagram. */
struct kw_record {
    bool is_unified;
    uint8_t type;       /* plain header only */
    uint8_t epoch_bits; /* unified header only */
    uint16_t version;   /* plain header only */
    uint64_t epoch;     /* plain header only */
    uint64_t seq;       /* plain header only */
    struct kw_bytes header;
    struct kw_bytes cid;
    size_t seq_at; /* where the masked number lies in the header */
    size_t seq_len;
    struct kw_bytes body;
};

/*
 * Takes the next record off the reader. Fails with KW_DROP_FOREIGN (no DTLS record) or
 * KW_DROP_TRUNCATED; in both cases nothing more can be read from this datagram.
 */
enum kw_verdict kw_record_parse(struct kw_reader *in, size_t cid_len, struct kw_record *ret);

/* Keys of one epoch in one direction, with its numbers. */
struct kw_record_keys {
    const struct kw_crypto_ops *ops;
    const struct kw_aead_info *info;
    struct kw_aead_key *aead; /* NULL: this slot is empty */
    struct kw_mask_key *mask; /* NULL in 1.2 */
    uint64_t epoch;
    uint64_t seq;    /* writing: the next; reading: one above the highest that authenticated */
    uint64_t window; /* reading: bit n is set when seq - 1 - n was seen */
    uint64_t failed; /* reading: records that did not authenticate */
    uint8_t iv[KW_NONCE_LEN];
};

/* Makes the keys of an epoch from a 1.3 traffic secret. */
KW_MUST_USE enum kw_status kw_record_keys_derive(struct kw_crypto *crypto,
                                                 const struct kw_suite_info *suite,
                                                 const struct kw_secret *traffic, uint64_t epoch,
                                                 bool for_writing, struct kw_record_keys *ret);

/* Makes the keys of epoch 1 of DTLS 1.2 from its key block: key and 4 bytes of salt. */
KW_MUST_USE enum kw_status kw_record_keys_make12(struct kw_crypto *crypto,
                                                 const struct kw_suite_info *suite,
                                                 const uint8_t *key, const uint8_t salt[4],
                                                 bool for_writing, struct kw_record_keys *ret);

void kw_record_keys_wipe(struct kw_record_keys *keys);

/* What a protected record contained. */
struct kw_opened {
    uint8_t type;
    uint64_t seq;
    uint8_t *content;
    size_t content_len;
};

/*
 * Authenticates and decrypts into body, which holds record->body.len bytes and may be the record's
 * own memory. The window and the numbers move only on KW_ACCEPT, and not at all when
 * is_trial; what fails is counted always. A status other than KW_OK is our provider's.
 */
KW_MUST_USE enum kw_status kw_record_unprotect(struct kw_record_keys *keys,
                                               const struct kw_record *record, uint8_t *body,
                                               bool is_trial, struct kw_opened *ret,
                                               enum kw_verdict *verdict);

/* Bytes that a protected record takes beyond its content. */
size_t kw_record_overhead(const struct kw_record_keys *keys, size_t cid_len);

/*
 * Writes one protected record; content is copied. KW_ERR_LIMIT: this key has sealed as many
 * records as it may. *seq_ret is its sequence number.
 */
KW_MUST_USE enum kw_status kw_record_protect(struct kw_record_keys *keys, struct kw_bytes cid,
                                             enum kw_content type, struct kw_bytes head,
                                             struct kw_bytes content, struct kw_writer *out,
                                             uint64_t *seq_ret);

/* Writes one record of epoch 0. */
void kw_record_write_plain(enum kw_content type, uint16_t version, uint64_t seq,
                           struct kw_bytes head, struct kw_bytes content, struct kw_writer *out);

#endif
