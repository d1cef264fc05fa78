/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_HKDF_H
#define KW_CRYPTO_HKDF_H

/*
 * Key derivation upon the provider's HMAC: HKDF (RFC 5869), the labels of DTLS 1.3 (RFC 8446,
 * section 7.1 with the prefix of RFC 9147, section 5.9) and the PRF of TLS 1.2 (RFC 5246,
 * section 5). Outputs are written only on KW_OK.
 */

#include <keywheel/crypto.h>

enum {
    KW_HKDF_LABEL_MAX = 24, /* without prefix; "client in" .. "EXTRACTOR-dtls_srtp" has 19 */
    KW_HKDF_INFO_MAX = 2 + 1 + 6 + KW_HKDF_LABEL_MAX + 1 + KW_DIGEST_MAX,
};

/* An empty salt stands for a digest of zeros. ret gets one digest. */
KW_MUST_USE enum kw_status kw_hkdf_extract(struct kw_crypto *crypto, enum kw_hash hash,
                                           struct kw_bytes salt, struct kw_bytes ikm,
                                           struct kw_secret *ret);

/* dst_len is at most 255 digests. */
KW_MUST_USE enum kw_status kw_hkdf_expand(struct kw_crypto *crypto, enum kw_hash hash,
                                          struct kw_bytes prk, struct kw_bytes info, uint8_t *dst,
                                          size_t dst_len);

/*
 * HKDF-Expand-Label with "dtls13" before the label: RFC 9147, section 5.9 ("the HKDF label prefix
 * is 'dtls13' with no trailing space"). context is at most KW_DIGEST_MAX bytes, the label at most
 * KW_HKDF_LABEL_MAX.
 */
KW_MUST_USE enum kw_status kw_hkdf_expand_label(struct kw_crypto *crypto, enum kw_hash hash,
                                                const struct kw_secret *secret, const char *label,
                                                struct kw_bytes context, uint8_t *dst,
                                                size_t dst_len);

/* The same into a secret of one digest: Derive-Secret of RFC 8446 with a ready transcript hash. */
KW_MUST_USE enum kw_status kw_hkdf_derive_secret(struct kw_crypto *crypto, enum kw_hash hash,
                                                 const struct kw_secret *secret, const char *label,
                                                 struct kw_bytes transcript, struct kw_secret *ret);

/* The same with a prefix of six bytes chosen by the caller; the vectors of RFC 8448 need it. */
KW_MUST_USE enum kw_status kw_hkdf_expand_label_prefixed(
    struct kw_crypto *crypto, enum kw_hash hash, const struct kw_secret *secret,
    const char prefix[6], const char *label, struct kw_bytes context, uint8_t *dst, size_t dst_len);

/* PRF(secret, label, seed_a || seed_b) of TLS 1.2: P_hash with the suite's hash. */
KW_MUST_USE enum kw_status kw_tls12_prf(struct kw_crypto *crypto, enum kw_hash hash,
                                        struct kw_bytes secret, const char *label,
                                        struct kw_bytes seed_a, struct kw_bytes seed_b,
                                        uint8_t *dst, size_t dst_len);

#endif
