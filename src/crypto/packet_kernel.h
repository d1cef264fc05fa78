/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_PACKET_KERNEL_H
#define KW_CRYPTO_PACKET_KERNEL_H

/*
 * A packet kernel: AES-GCM for one short packet, in place, with a key that lives in the caller's
 * memory. A kernel is a pair of constant tables, one per key size, so that nothing is decided per
 * packet. The rules for struct kw_packet (room behind body and aad) let a kernel load whole blocks.
 */

#include <keywheel/crypto.h>

enum { KW_GCM_KEY_SIZE = 320 }; /* the longest: 15 round keys and five powers of H */

/* Opaque to all but the kernel that filled it. */
struct kw_gcm_key {
    _Alignas(64) uint8_t bytes[KW_GCM_KEY_SIZE];
};

struct kw_gcm {
    enum kw_srtp_profile profile;
    uint16_t
        key_len; /* bytes of the key that a packet needs: the last ones, from a whole line on */
    /* May take a context out of the provider's pool; deinit gives it back and wipes. */
    enum kw_status (*init)(struct kw_gcm_key *key, struct kw_crypto *crypto,
                           const uint8_t *cipher_key, bool for_sealing);
    void (*deinit)(struct kw_gcm_key *key);

    /* KW_ACCEPT, KW_DROP_FORGED or KW_DROP_INTERNAL. */
    enum kw_verdict (*seal)(const struct kw_gcm_key *key, const struct kw_packet *packet);
    /* Decrypts while it authenticates: on KW_DROP_FORGED body has been wiped. */
    enum kw_verdict (*open)(const struct kw_gcm_key *key, const struct kw_packet *packet);
    /* Authenticates only; writes nothing. */
    enum kw_verdict (*verify)(const struct kw_gcm_key *key, const struct kw_packet *packet);
};

/* The rows behind kw_srtp_kernel_select(). */
extern const struct kw_gcm kw_gcm_evp[2];
extern const struct kw_gcm kw_gcm_aesni[2];
extern const struct kw_gcm kw_gcm_vaes[2];
extern const struct kw_gcm kw_gcm_vaes512[2];

/* What this CPU (and the system, which must save the wide registers) can run. */
bool kw_cpu_has_aesni(void);
bool kw_cpu_has_vaes(void);
bool kw_cpu_has_vaes512(void);

#endif
