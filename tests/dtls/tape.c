/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto does the arithmetic. Replaced are the operations that use its own generator: shares of
 * the answering side are made here from drawn bytes, so that a replay computes them anew;
 * certificate and signatures are taken from the tape, where a signature must verify over what the
 * engine signs.
 */
#include "dtls/tape.h"

#include "crypto/mlkem/mlkem.h"

#include <keywheel/openssl.h>
#include <keywheel/policy.h>
#include <openssl/evp.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT_LABEL "EXPORTER-keywheel-interop"

enum { X25519_LEN = 32, HANDSHAKES = 1 };

/* Operations get an identity or a provider, not the tape. */
static struct tape *current;

static enum kw_status fill(void *ctx, uint8_t *dst, size_t len)
{
    struct tape *tape = ctx;

    return tape->draw(tape, "random", dst, len);
}

static bool x25519_answer(const uint8_t private_key[X25519_LEN], const uint8_t peer_share[],
                          uint8_t *share, uint8_t *secret)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, X25519_LEN);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_share, X25519_LEN);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t share_len = X25519_LEN, secret_len = X25519_LEN;
    bool is_good = ctx != NULL && peer != NULL &&
                   EVP_PKEY_get_raw_public_key(key, share, &share_len) == 1 &&
                   EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
                   EVP_PKEY_derive(ctx, secret, &secret_len) == 1;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
    return is_good;
}

/* Private half of a share: the randomness of ML-KEM's encapsulation first, if the group has one. */
static enum kw_status kx_answer(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    bool hybrid = group == KW_GROUP_X25519MLKEM768;
    size_t kem_share = hybrid ? KW_MLKEM768_CT_LEN : 0;
    size_t kem_peer = hybrid ? KW_MLKEM768_EK_LEN : 0;
    size_t kem_secret = hybrid ? KW_MLKEM768_SECRET_LEN : 0;
    uint8_t drawn[KW_MLKEM768_MESSAGE_LEN + X25519_LEN];
    size_t drawn_len = sizeof drawn - (hybrid ? 0 : KW_MLKEM768_MESSAGE_LEN);
    enum kw_status status;

    (void)crypto;
    if ((!hybrid && group != KW_GROUP_X25519) || peer_share.len != kem_peer + X25519_LEN)
        return KW_ERR_INPUT;
    status = current->draw(current, "ephemeral", drawn, drawn_len);
    if (status != KW_OK)
        return status;
    *verdict = KW_DROP_MALFORMED;
    if (hybrid && !kw_mlkem768_encaps(peer_share.data, drawn, share, ret->bytes))
        return KW_OK;
    if (!x25519_answer(drawn + drawn_len - X25519_LEN, peer_share.data + kem_peer,
                       share + kem_share, ret->bytes + kem_secret))
        return KW_OK;
    *share_len = kem_share + X25519_LEN;
    ret->len = (uint8_t)(kem_secret + X25519_LEN);
    *verdict = KW_ACCEPT;
    return KW_OK;
}

static struct kw_bytes identity_certificate(const struct kw_identity *identity)
{
    (void)identity;
    return (struct kw_bytes){current->certificate, current->certificate_len};
}

static enum kw_status sign(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len)
{
    struct kw_bytes certificate = identity_certificate(identity);
    enum kw_verdict verdict = KW_DROP_FORGED;
    enum kw_status status = KW_OK;

    *dst_len = 0;
    if (!current->is_playing)
        status = current->inner->sign(identity, scheme, message, dst, dst_len);
    if (status == KW_OK)
        status = current->exchange(current, "signature", dst, KW_SIGNATURE_MAX, dst_len);
    if (status == KW_OK)
        status = current->inner->verify(current->crypto, certificate, scheme, message,
                                        (struct kw_bytes){dst, *dst_len}, &verdict);
    return status == KW_OK && verdict != KW_ACCEPT ? KW_ERR_CRYPTO : status;
}

void tape_state_bytes(struct tape *tape, const char *kind, const uint8_t *data, size_t len)
{
    static char text[TAPE_LINE_MAX + 1];

    for (size_t i = 0; i < len && i < TAPE_LINE_MAX / 2; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", data[i]);
    text[2 * len] = '\0';
    tape->state(tape, kind, text);
}

size_t tape_read_hex(const char *text, uint8_t *dst, size_t size)
{
    size_t len = 0;
    unsigned value;

    while (len < size && sscanf(text + 2 * len, "%2x", &value) == 1)
        dst[len++] = (uint8_t)value;
    return len;
}

enum kw_status tape_init(struct tape *tape)
{
    static const struct kw_openssl_config config = {
        .associations = 1, .handshakes = HANDSHAKES, .srtp_keys = 8};
    struct kw_bytes certificate;
    enum kw_status status;

    current = tape;
    status = kw_openssl_new(&config, &tape->crypto);
    if (status != KW_OK)
        return status;
    tape->inner = tape->crypto->ops;
    tape->ops = *tape->inner;
    tape->ops.kx_answer = kx_answer;
    tape->ops.identity_certificate = identity_certificate;
    tape->ops.sign = sign;
    tape->crypto->ops = &tape->ops;

    status = tape->inner->identity_new(tape->crypto, 0, &tape->identity);
    if (status != KW_OK)
        return status;
    certificate = tape->inner->identity_certificate(tape->identity);
    memcpy(tape->certificate, certificate.data, certificate.len);
    tape->certificate_len = certificate.len;
    return tape->exchange(tape, "certificate", tape->certificate, sizeof tape->certificate,
                          &tape->certificate_len);
}

enum kw_status tape_start(struct tape *tape, const struct kw_fingerprint *peer, bool with_cookie)
{
    const struct kw_dtls_params params = {
        .role = KW_DTLS_SERVER,
        .terms = &tape->terms,
        .identity = tape->identity,
        .fingerprints = peer,
        .fingerprint_count = 1,
        .require_cookie = with_cookie,
        .binding = {(const uint8_t *)"tape", 4},
        .alpn = {(const uint8_t *)"keywheel/1", 10}, /* as a gateway's: it changes no byte */
    };
    const struct kw_peer who = {.fingerprints = peer, .fingerprint_count = 1};
    static struct kw_policy policy;
    enum kw_status status;

    if (!kw_policy_preset("modern", &policy) ||
        kw_policy_decide(&policy, &who, 0, &tape->terms) != KW_REFUSAL_NONE)
        return KW_ERR_INPUT;
    tape->buffers_mem = aligned_alloc(64, (kw_dtls_buffers_size(HANDSHAKES) + 63) / 64 * 64);
    tape->mem = aligned_alloc(64, (kw_dtls_size() + 63) / 64 * 64);
    if (tape->buffers_mem == NULL || tape->mem == NULL)
        return KW_ERR_MEMORY;
    tape->shared.crypto = tape->crypto;
    tape->shared.random = (struct kw_random){fill, tape};
    tape->shared.buffers = kw_dtls_buffers_init(tape->buffers_mem, HANDSHAKES);
    status = kw_random_fill(&tape->shared.random, tape->shared.cookie_key,
                            sizeof tape->shared.cookie_key);
    if (status != KW_OK)
        return status;
    return kw_dtls_init(tape->mem, &tape->shared, &params, 0, &tape->dtls);
}

void tape_deinit(struct tape *tape)
{
    if (tape->dtls != NULL)
        kw_dtls_deinit(tape->dtls);
    kw_srtp_keys_wipe(&tape->keys);
    free(tape->mem);
    free(tape->buffers_mem);
    if (tape->crypto != NULL) {
        tape->inner->identity_free(tape->identity);
        tape->crypto->ops = tape->inner;
        kw_openssl_free(tape->crypto);
    }
    memset(tape, 0, sizeof *tape);
}

static void state_connected(struct tape *tape)
{
    const struct kw_dtls_facts *facts = kw_dtls_facts(tape->dtls);
    const struct kw_srtp_master *masters[] = {&tape->keys.read,
                                              &tape->keys.write}; /* client first */
    uint8_t all[2 * (KW_KEY_MAX + sizeof masters[0]->salt)], exported[32];
    char text[256];
    size_t len = 0;

    (void)snprintf(text, sizeof text, "%s %s %s %s %s %s", kw_dtls_version_name(facts->version),
                   kw_suite_name(facts->suite), kw_group_name(facts->group),
                   kw_sigscheme_name(facts->peer_scheme), kw_srtp_profile_name(facts->srtp_profile),
                   facts->retried ? "retried" : "at once");
    tape->state(tape, "connected", text);
    if (kw_dtls_export(tape->dtls, EXPORT_LABEL, (struct kw_bytes){NULL, 0}, exported,
                       sizeof exported) == KW_OK)
        tape_state_bytes(tape, "export", exported, sizeof exported);
    if (kw_dtls_take_srtp_keys(tape->dtls, &tape->keys) != KW_OK)
        return;
    /* RFC 5764, section 4.2: client key, server key, client salt, server salt. */
    for (size_t i = 0; i < 2; len += masters[i++]->key_len)
        memcpy(all + len, masters[i]->key, masters[i]->key_len);
    for (size_t i = 0; i < 2; len += masters[i++]->salt_len)
        memcpy(all + len, masters[i]->salt, masters[i]->salt_len);
    tape_state_bytes(tape, "srtp", all, len);
    kw_wipe(all, sizeof all);
    tape->is_connected = true;
}

/* What the engine concluded, then what it sends. */
static void state_outcome(struct tape *tape, kw_ns now)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_dtls_event event;
    char text[64];
    size_t len;

    while (kw_dtls_next_event(tape->dtls, &event)) {
        switch (event.type) {
        case KW_DTLS_EVENT_NONE:
            break;
        case KW_DTLS_EVENT_CONNECTED:
            state_connected(tape);
            break;
        case KW_DTLS_EVENT_CONFIRMED:
            tape->state(tape, "confirmed", "");
            break;
        case KW_DTLS_EVENT_DATA:
            tape_state_bytes(tape, "data", event.data.data, event.data.len);
            break;
        case KW_DTLS_EVENT_CLOSED:
            (void)snprintf(text, sizeof text, "%s, alert %s", kw_dtls_end_name(event.end),
                           kw_alert_name(event.alert));
            tape->state(tape, "closed", text);
            tape->is_closed = true;
            break;
        }
    }
    while ((len = kw_dtls_transmit(tape->dtls, datagram, sizeof datagram, now)) > 0)
        tape_state_bytes(tape, "S", datagram, len);
}

enum kw_status tape_receive(struct tape *tape, uint8_t *datagram, size_t len, kw_ns now)
{
    enum kw_status status = kw_dtls_receive(tape->dtls, datagram, len, now);

    state_outcome(tape, now);
    return status;
}

enum kw_status tape_tick(struct tape *tape, kw_ns now)
{
    enum kw_status status = kw_dtls_tick(tape->dtls, now);

    state_outcome(tape, now);
    return status;
}

void tape_state_counters(struct tape *tape)
{
    const uint64_t *counters = kw_dtls_counters(tape->dtls);
    char text[64];

    for (enum kw_verdict verdict = 0; verdict < KW_VERDICT_COUNT; verdict++) {
        if (counters[verdict] == 0)
            continue;
        (void)snprintf(text, sizeof text, "%s %" PRIu64, kw_verdict_name(verdict),
                       counters[verdict]);
        tape->state(tape, "records", text);
    }
}
