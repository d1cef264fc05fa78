/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter, and the SRTP keys that come out of it (RFC 5764, section 4.2). */
#include "dtls/engine.h"

#include "base/assert.h"
#include "dtls/handshake12.h"

#include <string.h>

enum kw_status kw_dtls_export(struct kw_dtls *dtls, const char *label, struct kw_bytes context,
                              uint8_t *dst, size_t len)
{
    if (dtls->state != KW_STATE_CONNECTED)
        return KW_ERR_STATE;
    /* RFC 5869: HKDF ends there. */
    if (len > 255 * kw_hash_len(dtls->suite->hash))
        return KW_ERR_INPUT;
    if (dtls->version == KW_DTLS_1_2)
        return kw_export12(dtls, label, context, dst, len);
    return kw_schedule_export(dtls->crypto, dtls->suite->hash, &dtls->exporter, label, context, dst,
                              len);
}

static void profile_sizes(enum kw_srtp_profile profile, uint8_t *key_len, uint8_t *salt_len)
{
    switch (profile) {
    case KW_SRTP_NONE:
        *key_len = *salt_len = 0;
        return;
    case KW_SRTP_AES128_CM_SHA1_80:
        *key_len = 16;
        *salt_len = 14;
        return;
    case KW_SRTP_AEAD_AES_128_GCM:
        *key_len = 16;
        *salt_len = 12;
        return;
    case KW_SRTP_AEAD_AES_256_GCM:
        *key_len = 32;
        *salt_len = 12;
        return;
    }
    *key_len = *salt_len = 0;
}

enum kw_status kw_dtls_take_srtp_keys(struct kw_dtls *dtls, struct kw_srtp_keys *ret)
{
    enum kw_srtp_profile profile = dtls->facts.srtp_profile;
    bool is_server = dtls->role == KW_DTLS_SERVER;
    struct kw_srtp_master *client = is_server ? &ret->read : &ret->write;
    struct kw_srtp_master *server = is_server ? &ret->write : &ret->read;
    uint8_t block[2 * (KW_KEY_MAX + 14)];
    struct kw_srtp_master made = {.profile = profile};
    enum kw_status status;
    uint8_t *at = block;

    if (dtls->state != KW_STATE_CONNECTED || profile == KW_SRTP_NONE || dtls->are_srtp_keys_taken)
        return KW_ERR_STATE;
    profile_sizes(profile, &made.key_len, &made.salt_len);
    status = kw_dtls_export(dtls, "EXTRACTOR-dtls_srtp", (struct kw_bytes){NULL, 0}, block,
                            2U * (made.key_len + made.salt_len));
    if (status == KW_OK) {
        dtls->are_srtp_keys_taken = true;
        *client = *server = made;
        memcpy(client->key, at, made.key_len);
        at += made.key_len;
        memcpy(server->key, at, made.key_len);
        at += made.key_len;
        memcpy(client->salt, at, made.salt_len);
        at += made.salt_len;
        memcpy(server->salt, at, made.salt_len);
    }
    kw_wipe(block, sizeof block);
    return status;
}
