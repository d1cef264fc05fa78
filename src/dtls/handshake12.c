/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What client and server of DTLS 1.2 share. The raw transcript is kept, because CertificateVerify
 * signs it with a hash of its own choice; a second block of the buffer pool holds it, since 1.2 is
 * the exception.
 *
 * Everything up to Finished is in the clear. A message that does not fit is dropped and dooms the
 * association unless the true one follows: a stranger cannot end a handshake with one datagram.
 */
#include "dtls/handshake12.h"

#include "base/assert.h"
#include "dtls/hello_phase.h"

#include <string.h>

enum { MASTER_LEN = 48, SALT_LEN = 4, EPOCH12 = 1 };

/* "DOWNGRD" and 1. */
const uint8_t kw_downgrade_sentinel[8] = {0x44, 0x4f, 0x57, 0x4e, 0x47, 0x52, 0x44, 0x01};

bool kw_common12_start(struct kw_dtls *dtls)
{
    if (dtls->hs->raw == NULL)
        dtls->hs->raw = kw_dtls_take_block(dtls);
    dtls->hs->raw_len = 0;
    return dtls->hs->raw != NULL;
}

enum kw_status kw_common12_add(struct kw_dtls *dtls, const struct kw_message *message)
{
    return kw_dtls_transcript_add(dtls, message->type, message->seq, message->body);
}

enum kw_status kw_common12_fail(struct kw_dtls *dtls, enum kw_dtls_end end, enum kw_alert alert)
{
    if (dtls->record_epoch == KW_EPOCH_PLAIN)
        kw_dtls_hello_forget(dtls);
    return kw_dtls_fail(dtls, end, alert);
}

bool kw_common12_scheme_fits(const struct kw_dtls *dtls, uint16_t scheme)
{
    for (const uint16_t *ours = kw_dtls_schemes(dtls, false); *ours != 0; ours++) {
        if (*ours == scheme)
            return true;
    }
    return false;
}

/* --- certificates --- */

enum kw_status kw_common12_write_certificate(struct kw_dtls *dtls)
{
    struct kw_writer out = kw_dtls_message_begin(dtls);
    size_t list = kw_write_open(&out, 3);

    kw_write_vector(&out, dtls->crypto->ops->identity_certificate(dtls->identity), 3);
    kw_write_close(&out, list, 3);
    return kw_dtls_message_end(dtls, &out, KW_HS_CERTIFICATE, KW_EPOCH_PLAIN);
}

enum kw_status kw_common12_handle_certificate(struct kw_dtls *dtls,
                                              const struct kw_message *message,
                                              enum kw_dtls_state next)
{
    struct kw_reader in = kw_reader_of_bytes(message->body);
    struct kw_reader list = kw_reader_of_bytes(kw_read_vector(&in, 3));
    struct kw_bytes leaf = {NULL, 0};
    bool matches;
    enum kw_status status;

    while (kw_reader_left(&list) != 0) {
        struct kw_bytes certificate = kw_read_vector(&list, 3);

        if (certificate.len == 0)
            list.failed = true;
        if (leaf.data == NULL)
            leaf = certificate;
    }
    if (!kw_reader_done(&in) || list.failed)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECODE_ERROR);
    /* The peer's certificate is what binds it to the signalling: none is as bad as a wrong one. */
    if (leaf.len == 0)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT,
                                dtls->role == KW_DTLS_SERVER ? KW_ALERT_HANDSHAKE_FAILURE
                                                             : KW_ALERT_DECODE_ERROR);
    status = kw_dtls_check_fingerprint(dtls, leaf, &matches);
    if (status != KW_OK)
        return status;
    if (!matches)
        return kw_common12_fail(dtls, KW_DTLS_END_FINGERPRINT, KW_ALERT_BAD_CERTIFICATE);
    if (leaf.len > KW_CERT_MAX)
        return kw_common12_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_BAD_CERTIFICATE);
    memcpy(dtls->hs->certificate, leaf.data, leaf.len);
    dtls->hs->certificate_len = leaf.len;
    dtls->state = next;
    return kw_common12_add(dtls, message);
}

/* --- keys --- */

static struct kw_bytes master(const struct kw_dtls *dtls)
{
    return (struct kw_bytes){dtls->exporter.bytes, dtls->exporter.len};
}

static enum kw_status transcript_hash(struct kw_dtls *dtls, uint8_t *dst)
{
    return kw_crypto_hash(dtls->crypto, dtls->suite->hash,
                          (struct kw_bytes){dtls->hs->raw, dtls->hs->raw_len}, dst);
}

/* RFC 7627, section 4: the master secret is bound to the whole handshake so far. */
enum kw_status kw_common12_derive(struct kw_dtls *dtls, const struct kw_secret *premaster)
{
    const struct kw_bytes none = {NULL, 0};
    uint8_t digest[KW_DIGEST_MAX];
    struct kw_secret made = {.len = MASTER_LEN};
    enum kw_status status = transcript_hash(dtls, digest);

    if (status == KW_OK)
        status = kw_tls12_prf(
            dtls->crypto, dtls->suite->hash, (struct kw_bytes){premaster->bytes, premaster->len},
            "extended master secret", (struct kw_bytes){digest, kw_hash_len(dtls->suite->hash)},
            none, made.bytes, MASTER_LEN);
    if (status == KW_OK) {
        dtls->exporter = made;
        memcpy(dtls->randoms, dtls->hs->client_random, KW_RANDOM_LEN);
        memcpy(dtls->randoms + KW_RANDOM_LEN, dtls->hs->server_random, KW_RANDOM_LEN);
    }
    kw_secret_wipe(&made);
    return status;
}

/* RFC 5246, section 6.3: client's key, server's key, client's salt, server's salt. */
enum kw_status kw_common12_install(struct kw_dtls *dtls, bool for_writing)
{
    size_t key_len = kw_aead_info(dtls->suite->aead)->key_len;
    bool is_clients = (dtls->role == KW_DTLS_CLIENT) == for_writing;
    struct kw_record_keys *slot =
        for_writing ? &dtls->write[1] : &dtls->read[KW_ARRAY_LEN(dtls->read) - 1];
    uint8_t block[2 * (KW_KEY_MAX + SALT_LEN)];
    const uint8_t *keys = block, *salts = block + 2 * key_len;
    struct kw_record_keys made;
    enum kw_status status = kw_tls12_prf(
        dtls->crypto, dtls->suite->hash, master(dtls), "key expansion",
        (struct kw_bytes){dtls->hs->server_random, KW_RANDOM_LEN},
        (struct kw_bytes){dtls->hs->client_random, KW_RANDOM_LEN}, block, 2 * (key_len + SALT_LEN));

    if (status == KW_OK)
        status =
            kw_record_keys_make12(dtls->crypto, dtls->suite, is_clients ? keys : keys + key_len,
                                  is_clients ? salts : salts + SALT_LEN, for_writing, &made);
    if (status == KW_OK) {
        kw_record_keys_wipe(slot);
        *slot = made;
        kw_wipe(&made, sizeof made);
    }
    kw_wipe(block, sizeof block);
    return status;
}

/* --- Finished --- */

enum kw_status kw_common12_finished(struct kw_dtls *dtls, enum kw_dtls_role sender,
                                    uint8_t dst[KW_FINISHED12_LEN])
{
    uint8_t digest[KW_DIGEST_MAX];
    enum kw_status status = transcript_hash(dtls, digest);

    if (status != KW_OK)
        return status;
    return kw_tls12_prf(dtls->crypto, dtls->suite->hash, master(dtls),
                        sender == KW_DTLS_CLIENT ? "client finished" : "server finished",
                        (struct kw_bytes){digest, kw_hash_len(dtls->suite->hash)},
                        (struct kw_bytes){NULL, 0}, dst, KW_FINISHED12_LEN);
}

static enum kw_status server_connected(struct kw_dtls *dtls)
{
    enum kw_status status = kw_common12_finished(dtls, KW_DTLS_SERVER, dtls->last_finished);

    if (status == KW_OK)
        status = kw_common12_install(dtls, true);
    if (status != KW_OK)
        return status;
    dtls->last_finished_seq = (uint16_t)dtls->next_send_seq++;
    dtls->answerable_until = dtls->now + KW_DTLS_ANSWERABLE;
    kw_dtls_flight_done(dtls);
    kw_flight_clear(&dtls->hs->out);
    status = kw_server12_send_last(dtls);
    if (status != KW_OK)
        return status;
    kw_dtls_connected(dtls);
    kw_dtls_confirmed(dtls);
    return KW_OK;
}

enum kw_status kw_common12_handle_finished(struct kw_dtls *dtls, const struct kw_message *message)
{
    enum kw_dtls_role peer = dtls->role == KW_DTLS_SERVER ? KW_DTLS_CLIENT : KW_DTLS_SERVER;
    uint8_t expected[KW_FINISHED12_LEN];
    enum kw_status status = kw_common12_finished(dtls, peer, expected);

    if (status != KW_OK)
        return status;
    if (message->body.len != sizeof expected ||
        !kw_ct_equal(expected, message->body.data, sizeof expected))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_DECRYPT_ERROR);
    if (kw_reassembly_has_later(&dtls->hs->in))
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    status = kw_common12_add(dtls, message);
    if (status != KW_OK)
        return status;
    if (dtls->role == KW_DTLS_SERVER)
        return server_connected(dtls);
    kw_dtls_flight_done(dtls);
    kw_flight_clear(&dtls->hs->out);
    kw_dtls_connected(dtls);
    kw_dtls_confirmed(dtls);
    return KW_OK;
}

/*
 * RFC 6347, section 4.2.4: the sender of the last flight answers a repeated Finished with it for
 * twice the segment lifetime. Its record gets a number, and so a nonce, of its own each time.
 */
enum kw_status kw_server12_send_last(struct kw_dtls *dtls)
{
    static const uint8_t ccs = 1;
    const struct kw_bytes none = {NULL, 0};
    struct kw_record_keys *keys = &dtls->write[1];
    uint8_t body[KW_FRAGMENT_HEADER + KW_FINISHED12_LEN];
    struct kw_writer message = kw_writer_of(body, sizeof body);
    size_t ccs_len = KW_RECORD_PLAIN_HEADER + 1;
    size_t finished_len = kw_record_overhead(keys, 0) + sizeof body;
    struct kw_writer out;
    enum kw_status status;

    kw_write_u8(&message, KW_HS_FINISHED);
    kw_write_u24(&message, KW_FINISHED12_LEN);
    kw_write_u16(&message, dtls->last_finished_seq);
    kw_write_u24(&message, 0);
    kw_write_u24(&message, KW_FINISHED12_LEN);
    kw_write_bytes(&message, (struct kw_bytes){dtls->last_finished, KW_FINISHED12_LEN});
    dtls->flight_sent_at = dtls->now;
    /* Without room now, the client asks again. */
    if (!kw_outbox_open(dtls, ccs_len + finished_len, &out)) {
        dtls->counters[KW_DROP_LIMIT]++;
        return KW_OK;
    }
    kw_record_write_plain(KW_CONTENT_CCS, KW_DTLS_1_2, dtls->plain_seq++, none,
                          (struct kw_bytes){&ccs, 1}, &out);
    status = kw_record_protect(keys, none, KW_CONTENT_HANDSHAKE, none, kw_writer_view(&message),
                               &out, NULL);
    if (status != KW_OK)
        return status;
    kw_outbox_close(dtls, &out);
    return KW_OK;
}

enum kw_status kw_common12_handle_old(struct kw_dtls *dtls, const struct kw_fragment *fragment,
                                      uint64_t epoch)
{
    if (dtls->state != KW_STATE_CONNECTED) {
        if (fragment->offset == 0)
            kw_dtls_flight_resend(dtls);
        return KW_OK;
    }
    if (epoch == KW_EPOCH_PLAIN)
        return KW_OK;
    /* A new handshake would begin with number 0 again. RFC 8827, section 6.5: "MUST NOT" be. */
    if (fragment->type == KW_HS_CLIENT_HELLO || fragment->type == KW_HS_HELLO_REQUEST)
        return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
    /* RFC 6347, section 4.2.4: a repeated Finished is answered with ours. Each is a record of its
     * own that authenticated, so the client's timer sets the pace. */
    if (dtls->role == KW_DTLS_SERVER && fragment->type == KW_HS_FINISHED && fragment->offset == 0 &&
        dtls->answerable_until != KW_NEVER) {
        dtls->facts.retransmissions++;
        return kw_server12_send_last(dtls);
    }
    return KW_OK;
}

enum kw_status kw_post12_handle(struct kw_dtls *dtls, const struct kw_message *message)
{
    (void)message; /* there is nothing that may come */
    return kw_dtls_fail(dtls, KW_DTLS_END_ALERT_SENT, KW_ALERT_UNEXPECTED_MESSAGE);
}

enum kw_status kw_export12(struct kw_dtls *dtls, const char *label, struct kw_bytes context,
                           uint8_t *dst, size_t len)
{
    const struct kw_bytes randoms = {dtls->randoms, sizeof dtls->randoms};
    uint8_t seed[2 + 255];
    struct kw_writer out = kw_writer_of(seed, sizeof seed);

    /* Section 4: a context of no bytes is not the same as none. */
    if (context.data != NULL) {
        kw_write_vector(&out, context, 2);
        if (out.failed)
            return KW_ERR_INPUT;
    }
    return kw_tls12_prf(dtls->crypto, dtls->suite->hash, master(dtls), label, randoms,
                        kw_writer_view(&out), dst, len);
}
