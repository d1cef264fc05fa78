/* SPDX-License-Identifier: Apache-2.0 */
/* Each object wraps one of the inner provider and knows the counter that it reports to. */
#include "support/faulty_crypto.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct faulty {
    struct kw_crypto base; /* first */
    struct kw_crypto_ops ops;
    struct kw_crypto *inner;
    size_t calls, fail_at, live;
    enum kw_status status;
    bool onwards, fired;
};

#define WRAPPER(type)                                                                              \
    struct type {                                                                                  \
        struct faulty *owner;                                                                      \
        struct type *inner;                                                                        \
    }

WRAPPER(kw_digest);
WRAPPER(kw_aead_key);
WRAPPER(kw_mask_key);
WRAPPER(kw_kx);
WRAPPER(kw_packet_key);

struct kw_identity {
    struct faulty *owner;
    struct kw_identity *inner;
    unsigned holds;
};

static struct faulty *faulty_of(struct kw_crypto *crypto)
{
    return (struct faulty *)(void *)crypto;
}

static const struct faulty *faulty_view(const struct kw_crypto *crypto)
{
    return (const struct faulty *)(const void *)crypto;
}

/* Counts a call; KW_OK: it may be forwarded. */
static enum kw_status step(struct faulty *faulty)
{
    faulty->calls++;
    if (faulty->fail_at == 0 || faulty->calls < faulty->fail_at)
        return KW_OK;
    if (faulty->calls > faulty->fail_at && !faulty->onwards)
        return KW_OK;
    faulty->fired = true;
    return faulty->status;
}

static void *wrap(struct faulty *faulty, size_t size)
{
    void *wrapper = calloc(1, size);

    KW_ASSERT(wrapper != NULL);
    memcpy(wrapper, &faulty, sizeof(struct faulty *));
    faulty->live++;
    return wrapper;
}

static void unwrap(struct faulty *faulty, void *wrapper)
{
    KW_ASSERT(faulty->live > 0);
    faulty->live--;
    free(wrapper);
}

/* Makes the wrapper of a new object, or drops it again when the inner call failed. */
#define FORWARD_NEW(crypto, made, call)                                                            \
    do {                                                                                           \
        struct faulty *faulty_ = faulty_of(crypto);                                                \
        enum kw_status status_ = step(faulty_);                                                    \
                                                                                                   \
        (made) = NULL;                                                                             \
        status = status_;                                                                          \
        if (status_ == KW_OK) {                                                                    \
            (made) = wrap(faulty_, sizeof *(made));                                                \
            status = faulty_->inner->ops->call;                                                    \
            if (status != KW_OK) {                                                                 \
                unwrap(faulty_, made);                                                             \
                (made) = NULL;                                                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static enum kw_status digest_new(struct kw_crypto *crypto, enum kw_hash hash,
                                 struct kw_digest **ret)
{
    struct kw_digest *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made, digest_new(faulty_->inner, hash, &made->inner));
    if (status == KW_OK)
        *ret = made;
    return status;
}

static enum kw_status digest_update(struct kw_digest *digest, struct kw_bytes data)
{
    enum kw_status status = step(digest->owner);

    return status != KW_OK ? status : digest->owner->inner->ops->digest_update(digest->inner, data);
}

static enum kw_status digest_peek(const struct kw_digest *digest, uint8_t *dst)
{
    enum kw_status status = step(digest->owner);

    return status != KW_OK ? status : digest->owner->inner->ops->digest_peek(digest->inner, dst);
}

static void digest_free(struct kw_digest *digest)
{
    if (digest == NULL)
        return;
    digest->owner->inner->ops->digest_free(digest->inner);
    unwrap(digest->owner, digest);
}

static enum kw_status hmac(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                           const struct kw_bytes *parts, size_t part_count, uint8_t *dst)
{
    struct kw_crypto *inner = faulty_of(crypto)->inner;
    enum kw_status status = step(faulty_of(crypto));

    return status != KW_OK ? status : inner->ops->hmac(inner, hash, key, parts, part_count, dst);
}

static enum kw_status hmac_sha1(struct kw_crypto *crypto, struct kw_bytes key,
                                const struct kw_bytes *parts, size_t part_count,
                                uint8_t dst[KW_SHA1_LEN])
{
    struct kw_crypto *inner = faulty_of(crypto)->inner;
    enum kw_status status = step(faulty_of(crypto));

    return status != KW_OK ? status : inner->ops->hmac_sha1(inner, key, parts, part_count, dst);
}

static enum kw_status aead_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret)
{
    struct kw_aead_key *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made, aead_new(faulty_->inner, aead, key, for_sealing, &made->inner));
    if (status == KW_OK)
        *ret = made;
    return status;
}

static enum kw_status aead_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN])
{
    enum kw_status status = step(key->owner);

    if (status == KW_OK)
        return key->owner->inner->ops->aead_seal(key->inner, nonce, aad, body, body_len, tag);
    if (body_len != 0)
        memset(body, 0xfa, body_len);
    return status;
}

static enum kw_status aead_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    enum kw_status status = step(key->owner);

    if (status == KW_OK)
        return key->owner->inner->ops->aead_open(key->inner, nonce, aad, body, body_len, tag,
                                                 verdict);
    if (body_len != 0)
        memset(body, 0xfa, body_len);
    return status;
}

static void aead_free(struct kw_aead_key *key)
{
    if (key == NULL)
        return;
    key->owner->inner->ops->aead_free(key->inner);
    unwrap(key->owner, key);
}

static enum kw_status mask_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret)
{
    struct kw_mask_key *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made, mask_new(faulty_->inner, aead, key, &made->inner));
    if (status == KW_OK)
        *ret = made;
    return status;
}

static enum kw_status mask(struct kw_mask_key *key, const uint8_t sample[KW_MASK_LEN],
                           uint8_t dst[KW_MASK_LEN])
{
    enum kw_status status = step(key->owner);

    return status != KW_OK ? status : key->owner->inner->ops->mask(key->inner, sample, dst);
}

static void mask_free(struct kw_mask_key *key)
{
    if (key == NULL)
        return;
    key->owner->inner->ops->mask_free(key->inner);
    unwrap(key->owner, key);
}

static enum kw_status kx_offer(struct kw_crypto *crypto, enum kw_group group, struct kw_kx **ret,
                               uint8_t share[KW_KX_SHARE_MAX], size_t *share_len)
{
    struct kw_kx *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made, kx_offer(faulty_->inner, group, &made->inner, share, share_len));
    if (status == KW_OK)
        *ret = made;
    return status;
}

static enum kw_status kx_finish(struct kw_kx *kx, struct kw_bytes peer_share, struct kw_secret *ret,
                                enum kw_verdict *verdict)
{
    enum kw_status status = step(kx->owner);

    return status != KW_OK ? status
                           : kx->owner->inner->ops->kx_finish(kx->inner, peer_share, ret, verdict);
}

static void kx_free(struct kw_kx *kx)
{
    if (kx == NULL)
        return;
    kx->owner->inner->ops->kx_free(kx->inner);
    unwrap(kx->owner, kx);
}

static enum kw_status kx_answer(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    struct kw_crypto *inner = faulty_of(crypto)->inner;
    enum kw_status status = step(faulty_of(crypto));

    return status != KW_OK
               ? status
               : inner->ops->kx_answer(inner, group, peer_share, share, share_len, ret, verdict);
}

static bool has_group(const struct kw_crypto *crypto, enum kw_group group)
{
    const struct kw_crypto *inner = faulty_view(crypto)->inner;

    return inner->ops->has_group(inner, group);
}

static enum kw_status identity_new(struct kw_crypto *crypto, kw_utc_ms now,
                                   struct kw_identity **ret)
{
    struct kw_identity *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made, identity_new(faulty_->inner, now, &made->inner));
    if (status == KW_OK) {
        made->holds = 1;
        *ret = made;
    }
    return status;
}

static struct kw_identity *identity_hold(struct kw_identity *identity)
{
    identity->holds++;
    identity->owner->live++;
    return identity;
}

static struct kw_bytes identity_certificate(const struct kw_identity *identity)
{
    return identity->owner->inner->ops->identity_certificate(identity->inner);
}

static void identity_free(struct kw_identity *identity)
{
    if (identity == NULL)
        return;
    KW_ASSERT(identity->holds > 0);
    if (--identity->holds != 0) {
        identity->owner->live--;
        return;
    }
    identity->owner->inner->ops->identity_free(identity->inner);
    unwrap(identity->owner, identity);
}

static enum kw_status sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len)
{
    enum kw_status status = step(identity->owner);

    return status != KW_OK
               ? status
               : identity->owner->inner->ops->sign(identity->inner, scheme, message, dst, dst_len);
}

static enum kw_status verify(struct kw_crypto *crypto, struct kw_bytes certificate,
                             enum kw_sigscheme scheme, struct kw_bytes message,
                             struct kw_bytes signature, enum kw_verdict *verdict)
{
    struct kw_crypto *inner = faulty_of(crypto)->inner;
    enum kw_status status = step(faulty_of(crypto));

    return status != KW_OK
               ? status
               : inner->ops->verify(inner, certificate, scheme, message, signature, verdict);
}

static enum kw_status packet_new(struct kw_crypto *crypto, enum kw_srtp_profile profile,
                                 const uint8_t *key, const uint8_t *auth_key, bool for_sealing,
                                 struct kw_packet_key **ret)
{
    struct kw_packet_key *made;
    enum kw_status status;

    FORWARD_NEW(crypto, made,
                packet_new(faulty_->inner, profile, key, auth_key, for_sealing, &made->inner));
    if (status == KW_OK)
        *ret = made;
    return status;
}

/* Counts, and spoils the body of a packet whose operation fails. */
static enum kw_status packet_step(struct kw_packet_key *key, const struct kw_packet *packet)
{
    enum kw_status status = step(key->owner);

    if (status != KW_OK && packet->body_len != 0)
        memset(packet->body, 0xfa, packet->body_len);
    return status;
}

static enum kw_status packet_seal(struct kw_packet_key *key, const struct kw_packet *packet)
{
    enum kw_status status = packet_step(key, packet);

    return status != KW_OK ? status : key->owner->inner->ops->packet_seal(key->inner, packet);
}

static enum kw_status packet_open(struct kw_packet_key *key, const struct kw_packet *packet,
                                  enum kw_verdict *verdict)
{
    enum kw_status status = packet_step(key, packet);

    return status != KW_OK ? status
                           : key->owner->inner->ops->packet_open(key->inner, packet, verdict);
}

static enum kw_status packet_verify(struct kw_packet_key *key, const struct kw_packet *packet,
                                    enum kw_verdict *verdict)
{
    enum kw_status status = step(key->owner); /* it writes nothing, so nothing is spoilt */

    return status != KW_OK ? status
                           : key->owner->inner->ops->packet_verify(key->inner, packet, verdict);
}

static enum kw_status packet_crypt(struct kw_packet_key *key, const struct kw_packet *packet)
{
    enum kw_status status = packet_step(key, packet);

    return status != KW_OK ? status : key->owner->inner->ops->packet_crypt(key->inner, packet);
}

static enum kw_status packet_mac(struct kw_packet_key *key, struct kw_bytes head,
                                 struct kw_bytes tail, uint8_t dst[KW_SRTP_MAC_LEN])
{
    enum kw_status status = step(key->owner);

    return status != KW_OK ? status
                           : key->owner->inner->ops->packet_mac(key->inner, head, tail, dst);
}

static void packet_free(struct kw_packet_key *key)
{
    if (key == NULL)
        return;
    key->owner->inner->ops->packet_free(key->inner);
    unwrap(key->owner, key);
}

static const struct kw_crypto_ops faulty_ops = {
    .digest_new = digest_new,
    .digest_update = digest_update,
    .digest_peek = digest_peek,
    .digest_free = digest_free,
    .hmac = hmac,
    .hmac_sha1 = hmac_sha1,
    .aead_new = aead_new,
    .aead_seal = aead_seal,
    .aead_open = aead_open,
    .aead_free = aead_free,
    .mask_new = mask_new,
    .mask = mask,
    .mask_free = mask_free,
    .kx_offer = kx_offer,
    .kx_finish = kx_finish,
    .kx_free = kx_free,
    .kx_answer = kx_answer,
    .has_group = has_group,
    .identity_new = identity_new,
    .identity_hold = identity_hold,
    .identity_certificate = identity_certificate,
    .identity_free = identity_free,
    .sign = sign,
    .verify = verify,
    .packet_new = packet_new,
    .packet_seal = packet_seal,
    .packet_open = packet_open,
    .packet_verify = packet_verify,
    .packet_crypt = packet_crypt,
    .packet_mac = packet_mac,
    .packet_free = packet_free,
};

struct kw_crypto *faulty_crypto_new(struct kw_crypto *inner)
{
    struct faulty *faulty = calloc(1, sizeof *faulty);

    KW_ASSERT(faulty != NULL);
    faulty->ops = faulty_ops;
    faulty->ops.name = inner->ops->name;
    if (inner->ops->packet_new == NULL) { /* a provider without them says so by NULL */
        faulty->ops.packet_new = NULL;
        faulty->ops.packet_seal = NULL;
        faulty->ops.packet_open = NULL;
        faulty->ops.packet_verify = NULL;
        faulty->ops.packet_crypt = NULL;
        faulty->ops.packet_mac = NULL;
        faulty->ops.packet_free = NULL;
    }
    faulty->base.ops = &faulty->ops;
    faulty->inner = inner;
    return &faulty->base;
}

void faulty_crypto_free(struct kw_crypto *crypto)
{
    free(crypto);
}

void faulty_crypto_arm(struct kw_crypto *crypto, size_t n, enum kw_status status, bool onwards)
{
    struct faulty *faulty = faulty_of(crypto);

    faulty->calls = 0;
    faulty->fail_at = n;
    faulty->status = status;
    faulty->onwards = onwards;
    faulty->fired = false;
}

size_t faulty_crypto_calls(const struct kw_crypto *crypto)
{
    return faulty_view(crypto)->calls;
}

bool faulty_crypto_fired(const struct kw_crypto *crypto)
{
    return faulty_view(crypto)->fired;
}

size_t faulty_crypto_live(const struct kw_crypto *crypto)
{
    return faulty_view(crypto)->live;
}

static enum kw_status random_fill(void *ctx, uint8_t *dst, size_t len)
{
    struct faulty_random *faulty = ctx;

    faulty->calls++;
    if (faulty->calls == faulty->fail_at)
        return KW_ERR_RANDOM;
    return faulty->inner.fill(faulty->inner.ctx, dst, len);
}

struct kw_random faulty_random(struct faulty_random *faulty)
{
    return (struct kw_random){.fill = random_fill, .ctx = faulty};
}
