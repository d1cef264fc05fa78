/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of our handshake in one thread: a datagram that one side writes is handed to the other
 * at once, so only computing is measured. A handshake begins with kw_dtls_init() and ends with
 * kw_dtls_deinit(), SRTP keys taken on both sides.
 */
#include "dtls_bench.h"

#include "counted.h"

#include <keywheel/dtls.h>

#include <stdlib.h>
#include <string.h>

enum { BLOCK_ALIGN = 64, HANDSHAKES = 4, SIDES = 2, MEMORY_PAIRS = 100 };

struct certificate {
    struct kw_identity *identity;
    struct kw_fingerprint print;
};

static struct {
    struct kw_crypto *crypto;
    struct kw_dtls_shared shared;
    void *buffers;
    struct kw_terms terms;
    size_t batch;
    struct certificate *certificates; /* SIDES of each handshake */
    size_t left;
    void *blocks[SIDES];
    kw_ns now;
} ours;

static void *aligned(size_t size)
{
    void *mem = aligned_alloc(BLOCK_ALIGN, (size + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN);

    dtls_must(mem != NULL, "memory");
    return mem;
}

static void use_provider(size_t associations)
{
    const struct kw_openssl_config config = {.associations = associations,
                                             .handshakes = HANDSHAKES};

    dtls_must(kw_openssl_new(&config, &ours.crypto) == KW_OK, "provider");
    ours.shared.crypto = ours.crypto;
}

void ours_open(size_t batch)
{
    const struct kw_fingerprint any = {.hash = KW_SHA256};
    const struct kw_peer peer = {.fingerprints = &any, .fingerprint_count = 1};
    struct kw_policy policy;

    ours.batch = batch;
    ours.certificates = calloc(SIDES * batch, sizeof *ours.certificates);
    dtls_must(ours.certificates != NULL, "memory");
    use_provider(SIDES * batch);
    ours.shared.random = kw_openssl_random();
    ours.buffers = aligned(kw_dtls_buffers_size(HANDSHAKES));
    ours.shared.buffers = kw_dtls_buffers_init(ours.buffers, HANDSHAKES);
    dtls_must(kw_policy_preset("modern", &policy) &&
                  kw_policy_decide(&policy, &peer, 0, &ours.terms) == KW_REFUSAL_NONE,
              "terms");
    for (size_t i = 0; i < SIDES; i++)
        ours.blocks[i] = aligned(kw_dtls_size());
}

void ours_close(void)
{
    for (size_t i = 0; i < SIDES; i++)
        free(ours.blocks[i]);
    kw_openssl_free(ours.crypto);
    free(ours.buffers);
    free(ours.certificates);
}

struct kw_crypto *ours_crypto(void)
{
    return ours.crypto;
}

/* Both sides know this group alone, so the client makes one share and nobody asks again. */
void ours_use_group(const struct dtls_group *group)
{
    memset(ours.terms.groups, 0, sizeof ours.terms.groups);
    ours.terms.groups[0] = group->id;
}

static struct certificate new_certificate(void)
{
    const struct kw_crypto_ops *ops = ours.crypto->ops;
    struct certificate made;

    dtls_must(ops->identity_new(ours.crypto, 0, &made.identity) == KW_OK &&
                  kw_crypto_fingerprint(ours.crypto, KW_SHA256,
                                        ops->identity_certificate(made.identity),
                                        &made.print) == KW_OK,
              "identity");
    return made;
}

void ours_fill(void)
{
    while (ours.left < SIDES * ours.batch)
        ours.certificates[ours.left++] = new_certificate();
}

void ours_identity(void)
{
    ours.crypto->ops->identity_free(new_certificate().identity);
}

static struct kw_dtls *begin(void *mem, enum kw_dtls_role role, const struct certificate *own,
                             const struct certificate *peer)
{
    const struct kw_dtls_params params = {
        .role = role,
        .terms = &ours.terms,
        .identity = own->identity,
        .fingerprints = &peer->print,
        .fingerprint_count = 1,
    };
    struct kw_dtls *dtls;

    dtls_must(kw_dtls_init(mem, &ours.shared, &params, ours.now, &dtls) == KW_OK, "init");
    return dtls;
}

/* Hands over what waits at one side; true when there was something. */
static bool pass(struct kw_dtls *from, struct kw_dtls *to)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    size_t len;
    bool any = false;

    while ((len = kw_dtls_transmit(from, datagram, sizeof datagram, ours.now)) != 0) {
        dtls_must(kw_dtls_receive(to, datagram, len, ours.now) == KW_OK, "receive");
        any = true;
    }
    return any;
}

static void settle(struct kw_dtls *dtls)
{
    struct kw_dtls_event event;
    struct kw_srtp_keys keys;
    bool is_confirmed = false;

    while (kw_dtls_next_event(dtls, &event))
        is_confirmed |= event.type == KW_DTLS_EVENT_CONFIRMED;
    dtls_must(is_confirmed && kw_dtls_facts(dtls)->version == KW_DTLS_1_3 &&
                  kw_dtls_take_srtp_keys(dtls, &keys) == KW_OK,
              "handshake");
    kw_srtp_keys_wipe(&keys);
}

static void connect_pair(void *const blocks[SIDES], const struct certificate *certificates,
                         struct kw_dtls *ret[SIDES])
{
    ours.now += KW_S(1);
    ret[0] = begin(blocks[0], KW_DTLS_CLIENT, &certificates[0], &certificates[1]);
    ret[1] = begin(blocks[1], KW_DTLS_SERVER, &certificates[1], &certificates[0]);
    while (pass(ret[0], ret[1]) || pass(ret[1], ret[0]))
        ;
    for (size_t i = 0; i < SIDES; i++)
        settle(ret[i]);
}

void ours_handshake(void)
{
    struct kw_dtls *sides[SIDES];

    dtls_must(ours.left >= SIDES, "a certificate at hand");
    ours.left -= SIDES;
    connect_pair(ours.blocks, &ours.certificates[ours.left], sides);
    for (size_t i = 0; i < SIDES; i++) {
        kw_dtls_deinit(sides[i]);
        ours.crypto->ops->identity_free(ours.certificates[ours.left + i].identity);
    }
}

/* --- counting --------------------------------------------------------------------------------- */

static struct dtls_counts counts;
static const struct kw_crypto_ops *real;

static enum kw_status count_digest_new(struct kw_crypto *crypto, enum kw_hash hash,
                                       struct kw_digest **ret)
{
    counts.digests++;
    return real->digest_new(crypto, hash, ret);
}

static enum kw_status count_digest_update(struct kw_digest *digest, struct kw_bytes data)
{
    counts.digest_bytes += data.len;
    return real->digest_update(digest, data);
}

static enum kw_status count_digest_peek(const struct kw_digest *digest, uint8_t *dst)
{
    counts.peeks++;
    return real->digest_peek(digest, dst);
}

static enum kw_status count_hmac(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                                 const struct kw_bytes *parts, size_t part_count, uint8_t *dst)
{
    counts.hmacs++;
    for (size_t i = 0; i < part_count; i++)
        counts.hmac_bytes += parts[i].len;
    return real->hmac(crypto, hash, key, parts, part_count, dst);
}

static enum kw_status count_aead_new(struct kw_crypto *crypto, enum kw_aead aead,
                                     const uint8_t *key, bool for_sealing, struct kw_aead_key **ret)
{
    counts.aead_keys++;
    return real->aead_new(crypto, aead, key, for_sealing, ret);
}

static enum kw_status count_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                 struct kw_bytes aad, uint8_t *body, size_t body_len,
                                 uint8_t tag[KW_TAG_LEN])
{
    counts.seals++;
    counts.sealed_bytes += body_len;
    return real->aead_seal(key, nonce, aad, body, body_len, tag);
}

static enum kw_status count_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                 struct kw_bytes aad, uint8_t *body, size_t body_len,
                                 const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    counts.opens++;
    return real->aead_open(key, nonce, aad, body, body_len, tag, verdict);
}

static enum kw_status count_mask_new(struct kw_crypto *crypto, enum kw_aead aead,
                                     const uint8_t *key, struct kw_mask_key **ret)
{
    counts.mask_keys++;
    return real->mask_new(crypto, aead, key, ret);
}

static enum kw_status count_mask(struct kw_mask_key *key, const uint8_t sample[KW_MASK_LEN],
                                 uint8_t dst[KW_MASK_LEN])
{
    counts.masks++;
    return real->mask(key, sample, dst);
}

static enum kw_status count_offer(struct kw_crypto *crypto, enum kw_group group, struct kw_kx **ret,
                                  uint8_t share[KW_KX_SHARE_MAX], size_t *share_len)
{
    counts.offers++;
    return real->kx_offer(crypto, group, ret, share, share_len);
}

static enum kw_status count_finish(struct kw_kx *kx, struct kw_bytes peer_share,
                                   struct kw_secret *ret, enum kw_verdict *verdict)
{
    counts.finishes++;
    return real->kx_finish(kx, peer_share, ret, verdict);
}

static enum kw_status count_answer(struct kw_crypto *crypto, enum kw_group group,
                                   struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                   size_t *share_len, struct kw_secret *ret,
                                   enum kw_verdict *verdict)
{
    counts.answers++;
    return real->kx_answer(crypto, group, peer_share, share, share_len, ret, verdict);
}

static enum kw_status count_sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                                 struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX],
                                 size_t *dst_len)
{
    counts.signs++;
    return real->sign(identity, scheme, message, dst, dst_len);
}

static enum kw_status count_verify(struct kw_crypto *crypto, struct kw_bytes certificate,
                                   enum kw_sigscheme scheme, struct kw_bytes message,
                                   struct kw_bytes signature, enum kw_verdict *verdict)
{
    counts.verifies++;
    return real->verify(crypto, certificate, scheme, message, signature, verdict);
}

void ours_count(struct dtls_counts *ret)
{
    struct kw_crypto_ops counting = *ours.crypto->ops;

    counting.digest_new = count_digest_new;
    counting.digest_update = count_digest_update;
    counting.digest_peek = count_digest_peek;
    counting.hmac = count_hmac;
    counting.aead_new = count_aead_new;
    counting.aead_seal = count_seal;
    counting.aead_open = count_open;
    counting.mask_new = count_mask_new;
    counting.mask = count_mask;
    counting.kx_offer = count_offer;
    counting.kx_finish = count_finish;
    counting.kx_answer = count_answer;
    counting.sign = count_sign;
    counting.verify = count_verify;

    ours_fill();
    counts = (struct dtls_counts){0};
    real = ours.crypto->ops;
    ours.crypto->ops = &counting;
    ours_handshake();
    ours.crypto->ops = real;
    *ret = counts;
}

/* --- memory ----------------------------------------------------------------------------------- */

/*
 * The heap with a provider for many associations and all of them established, less the heap with a
 * provider for none. So the pools count. The certificates were handed over: nobody else holds them.
 */
void ours_memory(struct dtls_memory *ret)
{
    static void *blocks[MEMORY_PAIRS][SIDES];
    static struct kw_dtls *sides[MEMORY_PAIRS][SIDES];
    struct kw_crypto *kept = ours.crypto;
    size_t none, before = counted_held();

    use_provider(0);
    none = counted_held() - before;
    kw_openssl_free(ours.crypto);

    before = counted_held();
    use_provider((size_t)MEMORY_PAIRS * SIDES);
    for (size_t i = 0; i < MEMORY_PAIRS; i++) {
        const struct certificate certificates[SIDES] = {new_certificate(), new_certificate()};

        for (size_t side = 0; side < SIDES; side++)
            blocks[i][side] = aligned(kw_dtls_size());
        connect_pair(blocks[i], certificates, sides[i]);
        for (size_t side = 0; side < SIDES; side++)
            ours.crypto->ops->identity_free(certificates[side].identity);
    }
    ret->block = kw_dtls_size();
    ret->libcrypto = (counted_held() - before - none) / ((size_t)MEMORY_PAIRS * SIDES);
    for (size_t i = 0; i < MEMORY_PAIRS; i++) {
        for (size_t side = 0; side < SIDES; side++) {
            kw_dtls_deinit(sides[i][side]);
            free(blocks[i][side]);
        }
    }
    kw_openssl_free(ours.crypto);
    ours.crypto = ours.shared.crypto = kept;
}
