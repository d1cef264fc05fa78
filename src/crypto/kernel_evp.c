/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portable kernel: the provider's own AES-GCM. The key's memory holds the provider and one of
 * its pooled contexts. It is the referee of the other kernels and the one of the preset `nist`.
 */
#include "crypto/packet_kernel.h"

#include <string.h>

struct evp_key {
    const struct kw_crypto_ops *ops;
    struct kw_packet_key *packet_key;
};

enum { KEY_LEN = 64 };

_Static_assert(sizeof(struct evp_key) <= KEY_LEN, "one line");

/* At the beginning of the last line. */
static const struct evp_key *evp_key_of(const struct kw_gcm_key *key)
{
    return (const struct evp_key *)(const void *)(key->bytes + KW_GCM_KEY_SIZE - KEY_LEN);
}

static enum kw_status init(struct kw_gcm_key *key, struct kw_crypto *crypto,
                           enum kw_srtp_profile profile, const uint8_t *cipher_key,
                           bool for_sealing)
{
    struct evp_key made = {.ops = crypto->ops};
    enum kw_status status;

    if (made.ops->packet_new == NULL)
        return KW_ERR_CRYPTO;
    status = made.ops->packet_new(crypto, profile, cipher_key, NULL, for_sealing, &made.packet_key);
    if (status == KW_OK)
        memcpy(key->bytes + KW_GCM_KEY_SIZE - KEY_LEN, &made, sizeof made);
    return status;
}

static enum kw_status init_128(struct kw_gcm_key *key, struct kw_crypto *crypto,
                               const uint8_t *cipher_key, bool for_sealing)
{
    return init(key, crypto, KW_SRTP_AEAD_AES_128_GCM, cipher_key, for_sealing);
}

static enum kw_status init_256(struct kw_gcm_key *key, struct kw_crypto *crypto,
                               const uint8_t *cipher_key, bool for_sealing)
{
    return init(key, crypto, KW_SRTP_AEAD_AES_256_GCM, cipher_key, for_sealing);
}

static void deinit(struct kw_gcm_key *key)
{
    const struct evp_key *evp = evp_key_of(key);

    if (evp->ops != NULL)
        evp->ops->packet_free(evp->packet_key);
    kw_wipe(key, sizeof *key);
}

static enum kw_verdict seal(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    const struct evp_key *evp = evp_key_of(key);

    return evp->ops->packet_seal(evp->packet_key, packet) == KW_OK ? KW_ACCEPT : KW_DROP_INTERNAL;
}

static enum kw_verdict open(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    const struct evp_key *evp = evp_key_of(key);
    enum kw_verdict verdict;

    if (evp->ops->packet_open(evp->packet_key, packet, &verdict) == KW_OK)
        return verdict;
    kw_wipe(packet->body, packet->body_len);
    return KW_DROP_INTERNAL;
}

static enum kw_verdict verify(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    const struct evp_key *evp = evp_key_of(key);
    enum kw_verdict verdict;

    if (evp->ops->packet_verify(evp->packet_key, packet, &verdict) == KW_OK)
        return verdict;
    return KW_DROP_INTERNAL;
}

const struct kw_gcm kw_gcm_evp[2] = {
    {KW_SRTP_AEAD_AES_128_GCM, KEY_LEN, init_128, deinit, seal, open, verify},
    {KW_SRTP_AEAD_AES_256_GCM, KEY_LEN, init_256, deinit, seal, open, verify},
};
