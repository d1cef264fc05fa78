/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on the wire.
 *
 *     plain    | type | version | epoch 16 | number 48 | length 16 | body
 *     unified  | 001CSLEE | cid? | number 8 or 16, masked | length? | ciphertext, tag 16
 *
 * The 1.3 plaintext is content, one byte of type, zeros. The nonce is the IV xor the number; the
 * additional data is the header as written, with the number unmasked. In 1.2 the header is the
 * plain one and the ciphertext begins with eight bytes of nonce, which are always epoch and
 * number: a nonce cannot repeat, because a number cannot.
 */
#include "dtls/record.h"

#include "base/assert.h"
#include "crypto/hkdf.h"

#include <string.h>

enum { REPLAY_WINDOW = 64 };
_Static_assert(REPLAY_WINDOW == 8 * sizeof(uint64_t), "one bit of 'seen' per sequence number");

enum {
    UNIFIED_FIXED = 0x20,
    UNIFIED_FIXED_MASK = 0xe0,
    UNIFIED_CID = 0x10,
    UNIFIED_SEQ16 = 0x08,
    UNIFIED_LENGTH = 0x04,
    UNIFIED_EPOCH = 0x03,
    CONTENT_FIRST = KW_CONTENT_CCS,
    CONTENT_LAST = KW_CONTENT_ACK,
};

static enum kw_verdict parse_plain(struct kw_reader *in, struct kw_record *rec)
{
    const uint8_t *start = in->at;

    rec->type = kw_read_u8(in);
    rec->version = kw_read_u16(in);
    rec->epoch = kw_read_u16(in);
    rec->seq = kw_read_u48(in);
    rec->body = kw_read_vector(in, 2);
    if (in->failed)
        return KW_DROP_TRUNCATED;
    rec->header = (struct kw_bytes){start, KW_RECORD_PLAIN_HEADER};
    return KW_ACCEPT;
}

/* RFC 9147, section 4: a record without the L bit runs to the end of the datagram. */
static enum kw_verdict parse_unified(struct kw_reader *in, size_t cid_len, struct kw_record *rec)
{
    const uint8_t *start = in->at;
    uint8_t flags = kw_read_u8(in);

    rec->is_unified = true;
    rec->epoch_bits = flags & UNIFIED_EPOCH;
    if (flags & UNIFIED_CID) {
        /* Section 4: "Implementations which receive records without the agreed CID, or with one
         * when none was negotiated, MUST discard" them: the length would be a guess. */
        if (cid_len == 0)
            return KW_DROP_FOREIGN;
        rec->cid = kw_read_bytes(in, cid_len);
    }
    rec->seq_at = (size_t)(in->at - start);
    rec->seq_len = flags & UNIFIED_SEQ16 ? 2 : 1;
    kw_read_bytes(in, rec->seq_len);

    size_t body_len = flags & UNIFIED_LENGTH ? kw_read_u16(in) : kw_reader_left(in);

    rec->header = (struct kw_bytes){start, (size_t)(in->at - start)};
    rec->body = kw_read_bytes(in, body_len);
    return in->failed ? KW_DROP_TRUNCATED : KW_ACCEPT;
}

enum kw_verdict kw_record_parse(struct kw_reader *in, size_t cid_len, struct kw_record *ret)
{
    struct kw_record rec = {.is_unified = false};
    enum kw_verdict verdict = KW_DROP_FOREIGN;
    uint8_t first;

    if (kw_reader_left(in) == 0)
        return KW_DROP_TRUNCATED;
    first = *in->at;
    if ((first & UNIFIED_FIXED_MASK) == UNIFIED_FIXED)
        verdict = parse_unified(in, cid_len, &rec);
    else if (first >= CONTENT_FIRST && first <= CONTENT_LAST)
        verdict = parse_plain(in, &rec);
    if (verdict == KW_ACCEPT)
        *ret = rec;
    return verdict;
}

enum kw_status kw_record_keys_derive(struct kw_crypto *crypto, const struct kw_suite_info *suite,
                                     const struct kw_secret *traffic, uint64_t epoch,
                                     bool for_writing, struct kw_record_keys *ret)
{
    const struct kw_bytes none = {NULL, 0};
    struct kw_record_keys made = {
        .ops = crypto->ops,
        .info = kw_aead_info(suite->aead),
        .epoch = epoch,
    };
    uint8_t key[KW_KEY_MAX];
    enum kw_status status;

    status =
        kw_hkdf_expand_label(crypto, suite->hash, traffic, "iv", none, made.iv, sizeof made.iv);
    if (status == KW_OK)
        status = kw_hkdf_expand_label(crypto, suite->hash, traffic, "key", none, key,
                                      made.info->key_len);
    if (status == KW_OK)
        status = crypto->ops->aead_new(crypto, suite->aead, key, for_writing, &made.aead);
    if (status == KW_OK)
        status =
            kw_hkdf_expand_label(crypto, suite->hash, traffic, "sn", none, key, made.info->key_len);
    if (status == KW_OK)
        status = crypto->ops->mask_new(crypto, suite->aead, key, &made.mask);
    kw_wipe(key, sizeof key);
    if (status == KW_OK) {
        *ret = made;
        kw_wipe(&made, sizeof made);
    } else {
        kw_record_keys_wipe(&made);
    }
    return status;
}

enum kw_status kw_record_keys_make12(struct kw_crypto *crypto, const struct kw_suite_info *suite,
                                     const uint8_t *key, const uint8_t salt[4], bool for_writing,
                                     struct kw_record_keys *ret)
{
    struct kw_record_keys made = {
        .ops = crypto->ops,
        .info = kw_aead_info(suite->aead),
        .epoch = 1,
    };
    enum kw_status status =
        crypto->ops->aead_new(crypto, suite->aead, key, for_writing, &made.aead);

    if (status != KW_OK)
        return status;
    memcpy(made.iv, salt, 4);
    *ret = made;
    kw_wipe(&made, sizeof made);
    return KW_OK;
}

void kw_record_keys_wipe(struct kw_record_keys *keys)
{
    if (keys->aead != NULL)
        keys->ops->aead_free(keys->aead);
    if (keys->mask != NULL)
        keys->ops->mask_free(keys->mask);
    kw_wipe(keys, sizeof *keys);
}

static void make_nonce(const struct kw_record_keys *keys, uint64_t seq, uint8_t nonce[KW_NONCE_LEN])
{
    memcpy(nonce, keys->iv, KW_NONCE_LEN);
    for (size_t i = 0; i < 8; i++)
        nonce[KW_NONCE_LEN - 1 - i] ^= (uint8_t)(seq >> (8 * i));
}

/*
 * RFC 9147, section 4.2.2: the number closest to one above the highest that authenticated.
 */
static uint64_t reconstruct(uint64_t expected, uint64_t low, size_t bits)
{
    uint64_t span = UINT64_C(1) << bits;
    uint64_t candidate = (expected & ~(span - 1)) | low;

    if (candidate > expected && candidate - expected > span / 2 && candidate >= span)
        return candidate - span;
    if (candidate < expected && expected - candidate > span / 2 &&
        candidate + span <= KW_RECORD_SEQ_MAX)
        return candidate + span;
    return candidate;
}

static enum kw_verdict window_check(const struct kw_record_keys *keys, uint64_t seq)
{
    uint64_t back;

    if (seq >= keys->seq)
        return KW_ACCEPT;
    back = keys->seq - 1 - seq;
    if (back >= REPLAY_WINDOW)
        return KW_DROP_OLD;
    return keys->window >> back & 1 ? KW_DROP_REPLAY : KW_ACCEPT;
}

/* Only for a record that authenticated. */
static void window_commit(struct kw_record_keys *keys, uint64_t seq)
{
    if (seq < keys->seq) {
        keys->window |= UINT64_C(1) << (keys->seq - 1 - seq);
        return;
    }
    uint64_t shift = seq + 1 - keys->seq;

    keys->window = shift >= REPLAY_WINDOW ? 0 : keys->window << shift;
    keys->window |= 1;
    keys->seq = seq + 1;
}

/* Strips the zeros behind the content and finds its type: the last byte that is not zero. */
static void find_type(struct kw_opened *opened)
{
    while (opened->content_len > 0 && opened->content[opened->content_len - 1] == 0)
        opened->content_len--;
    opened->type = KW_CONTENT_NONE;
    if (opened->content_len > 0)
        opened->type = opened->content[--opened->content_len];
}

static enum kw_status open13(struct kw_record_keys *keys, const struct kw_record *rec,
                             uint8_t *body, struct kw_opened *opened, enum kw_verdict *verdict)
{
    uint8_t mask[KW_MASK_LEN], nonce[KW_NONCE_LEN];
    uint8_t header[KW_RECORD_UNIFIED_HEADER + KW_DTLS_CID_MAX];
    size_t content_len;
    uint64_t low = 0;
    enum kw_status status;

    /* Section 4.2.3 samples 16 bytes for the mask. A record without even a type may authenticate:
     * then its sender is to blame. */
    if (rec->body.len < KW_TAG_LEN) {
        *verdict = KW_DROP_MALFORMED;
        return KW_OK;
    }
    status = keys->ops->mask(keys->mask, rec->body.data, mask);
    if (status != KW_OK)
        return status;
    memcpy(header, rec->header.data, rec->header.len);
    for (size_t i = 0; i < rec->seq_len; i++) {
        header[rec->seq_at + i] ^= mask[i];
        low = low << 8 | header[rec->seq_at + i];
    }
    opened->seq = reconstruct(keys->seq, low, 8 * rec->seq_len);
    *verdict = window_check(keys, opened->seq);
    if (*verdict != KW_ACCEPT)
        return KW_OK;

    make_nonce(keys, opened->seq, nonce);
    content_len = rec->body.len - KW_TAG_LEN;
    if (body != rec->body.data)
        memcpy(body, rec->body.data, rec->body.len);
    status = keys->ops->aead_open(keys->aead, nonce, (struct kw_bytes){header, rec->header.len},
                                  body, content_len, body + content_len, verdict);
    if (status == KW_OK && *verdict == KW_ACCEPT) {
        opened->content = body;
        opened->content_len = content_len;
        find_type(opened);
    }
    return status;
}

/* RFC 5246, section 6.2.3.3: number, type, version and length of the content are authenticated. */
static void make_aad12(uint8_t aad[13], uint64_t number, uint8_t type, uint16_t version,
                       size_t content_len)
{
    struct kw_writer out = kw_writer_of(aad, 13);

    kw_write_u64(&out, number);
    kw_write_u8(&out, type);
    kw_write_u16(&out, version);
    kw_write_u16(&out, (uint16_t)content_len);
}

static enum kw_status open12(struct kw_record_keys *keys, const struct kw_record *rec,
                             uint8_t *body, struct kw_opened *opened, enum kw_verdict *verdict)
{
    uint8_t nonce[KW_NONCE_LEN], aad[13];
    size_t content_len;
    enum kw_status status;

    if (rec->body.len < KW_RECORD_NONCE12 + KW_TAG_LEN) {
        *verdict = KW_DROP_MALFORMED;
        return KW_OK;
    }
    opened->seq = rec->seq;
    *verdict = window_check(keys, rec->seq);
    if (*verdict != KW_ACCEPT)
        return KW_OK;
    content_len = rec->body.len - KW_RECORD_NONCE12 - KW_TAG_LEN;
    memcpy(nonce, keys->iv, 4);
    memcpy(nonce + 4, rec->body.data, KW_RECORD_NONCE12);
    make_aad12(aad, kw_record_number(rec->epoch, rec->seq), rec->type, rec->version, content_len);
    if (body != rec->body.data)
        memcpy(body, rec->body.data, rec->body.len);
    body += KW_RECORD_NONCE12;
    status = keys->ops->aead_open(keys->aead, nonce, (struct kw_bytes){aad, sizeof aad}, body,
                                  content_len, body + content_len, verdict);
    if (status == KW_OK && *verdict == KW_ACCEPT) {
        opened->type = rec->type;
        opened->content = body;
        opened->content_len = content_len;
    }
    return status;
}

enum kw_status kw_record_unprotect(struct kw_record_keys *keys, const struct kw_record *record,
                                   uint8_t *body, bool is_trial, struct kw_opened *ret,
                                   enum kw_verdict *verdict)
{
    struct kw_opened opened = {.type = KW_CONTENT_NONE};
    enum kw_status status;

    if (keys->failed >= keys->info->integrity_limit) {
        *verdict = KW_DROP_EXPIRED;
        return KW_OK;
    }
    status = record->is_unified ? open13(keys, record, body, &opened, verdict)
                                : open12(keys, record, body, &opened, verdict);
    if (status != KW_OK)
        return status;
    /* RFC 9147, section 4.5.3: "MUST count the number of received packets that fail
     * authentication with each key"; a trial tells a forger as much. */
    if (*verdict == KW_DROP_FORGED)
        keys->failed++;
    if (*verdict != KW_ACCEPT)
        return KW_OK;
    if (!is_trial)
        window_commit(keys, opened.seq);
    *ret = opened;
    return KW_OK;
}

size_t kw_record_overhead(const struct kw_record_keys *keys, size_t cid_len)
{
    if (keys == NULL)
        return KW_RECORD_PLAIN_HEADER;
    if (keys->mask == NULL)
        return KW_RECORD_PLAIN_HEADER + KW_RECORD_NONCE12 + KW_TAG_LEN;
    return KW_RECORD_UNIFIED_HEADER + cid_len + 1 + KW_TAG_LEN;
}

static enum kw_status seal13(struct kw_record_keys *keys, struct kw_bytes cid, enum kw_content type,
                             struct kw_bytes head, struct kw_bytes content, struct kw_writer *out)
{
    size_t inner_len = head.len + content.len + 1;
    uint8_t nonce[KW_NONCE_LEN], mask[KW_MASK_LEN];
    uint8_t *header = kw_write_room(out, KW_RECORD_UNIFIED_HEADER + cid.len);
    uint8_t *body = kw_write_room(out, inner_len);
    uint8_t *tag = kw_write_room(out, KW_TAG_LEN);
    struct kw_writer head_out;
    enum kw_status status;

    KW_ASSERT(!out->failed);
    head_out = kw_writer_of(header, KW_RECORD_UNIFIED_HEADER + cid.len);
    kw_write_u8(&head_out,
                (uint8_t)(UNIFIED_FIXED | UNIFIED_SEQ16 | UNIFIED_LENGTH |
                          (cid.len != 0 ? UNIFIED_CID : 0) | (keys->epoch & UNIFIED_EPOCH)));
    kw_write_bytes(&head_out, cid);
    kw_write_u16(&head_out, (uint16_t)keys->seq);
    kw_write_u16(&head_out, (uint16_t)(inner_len + KW_TAG_LEN));

    if (head.len != 0)
        memcpy(body, head.data, head.len);
    if (content.len != 0)
        memcpy(body + head.len, content.data, content.len);
    body[inner_len - 1] = (uint8_t)type;
    make_nonce(keys, keys->seq, nonce);
    status =
        keys->ops->aead_seal(keys->aead, nonce, kw_writer_view(&head_out), body, inner_len, tag);
    if (status != KW_OK)
        return status;
    /* The tag follows the body, so the sample may reach into it. */
    status = keys->ops->mask(keys->mask, body, mask);
    if (status != KW_OK)
        return status;
    header[1 + cid.len] ^= mask[0];
    header[2 + cid.len] ^= mask[1];
    return KW_OK;
}

static enum kw_status seal12(struct kw_record_keys *keys, enum kw_content type,
                             struct kw_bytes head, struct kw_bytes content, struct kw_writer *out)
{
    size_t content_len = head.len + content.len;
    uint64_t number = kw_record_number(keys->epoch, keys->seq);
    uint8_t nonce[KW_NONCE_LEN], aad[13];
    uint8_t *body, *tag;

    kw_write_u8(out, (uint8_t)type);
    kw_write_u16(out, KW_DTLS_1_2);
    kw_write_u64(out, number);
    kw_write_u16(out, (uint16_t)(KW_RECORD_NONCE12 + content_len + KW_TAG_LEN));
    kw_write_u64(out, number);
    body = kw_write_room(out, content_len);
    tag = kw_write_room(out, KW_TAG_LEN);
    KW_ASSERT(!out->failed);

    memcpy(nonce, keys->iv, 4);
    memcpy(nonce + 4, tag - content_len - KW_RECORD_NONCE12, KW_RECORD_NONCE12);
    make_aad12(aad, number, (uint8_t)type, KW_DTLS_1_2, content_len);
    if (head.len != 0)
        memcpy(body, head.data, head.len);
    if (content.len != 0)
        memcpy(body + head.len, content.data, content.len);
    return keys->ops->aead_seal(keys->aead, nonce, (struct kw_bytes){aad, sizeof aad}, body,
                                content_len, tag);
}

enum kw_status kw_record_protect(struct kw_record_keys *keys, struct kw_bytes cid,
                                 enum kw_content type, struct kw_bytes head,
                                 struct kw_bytes content, struct kw_writer *out, uint64_t *seq_ret)
{
    size_t start = out->len;
    enum kw_status status;

    /* RFC 9147, section 4.5.3, and section 4.2.1: numbers never wrap. */
    if (keys->seq >= keys->info->confidentiality_limit || keys->seq > KW_RECORD_SEQ_MAX)
        return KW_ERR_LIMIT;
    KW_ASSERT(kw_record_overhead(keys, cid.len) + head.len + content.len <= kw_writer_left(out));
    status = keys->mask != NULL ? seal13(keys, cid, type, head, content, out)
                                : seal12(keys, type, head, content, out);
    if (status != KW_OK) {
        kw_wipe(out->start + start, out->len - start);
        out->len = start;
        return status;
    }
    if (seq_ret != NULL)
        *seq_ret = keys->seq;
    keys->seq++;
    return KW_OK;
}

void kw_record_write_plain(enum kw_content type, uint16_t version, uint64_t seq,
                           struct kw_bytes head, struct kw_bytes content, struct kw_writer *out)
{
    kw_write_u8(out, (uint8_t)type);
    kw_write_u16(out, version);
    kw_write_u16(out, 0);
    kw_write_u48(out, seq);
    kw_write_u16(out, (uint16_t)(head.len + content.len));
    kw_write_bytes(out, head);
    kw_write_bytes(out, content);
}
