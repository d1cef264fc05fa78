/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CRYPTO_CERT_H
#define KW_CRYPTO_CERT_H

/*
 * The little of X.509 that DTLS-SRTP needs: take the public key out of a certificate, and write our
 * own. Trust comes from the signalled fingerprint, so names, dates and extensions of a peer
 * are not looked at (RFC 5763, section 5: the certificate is bound by its fingerprint).
 */

#include <keywheel/crypto.h>

enum kw_cert_key_type { KW_CERT_P256 = 0, KW_CERT_P384, KW_CERT_RSA };

enum {
    KW_CERT_RSA_BITS_MIN = 2048,
    KW_CERT_RSA_BITS_MAX = 4096, /* its signature still fits KW_SIGNATURE_MAX */
    KW_CERT_SERIAL_LEN = 16,     /* random; RFC 5280 section 4.1.2.2 allows 20 */
    KW_CERT_POINT_LEN = 65,      /* uncompressed P-256 */
    KW_CERT_TBS_MAX = 320,
};

/* Views into the certificate. */
struct kw_cert_key {
    enum kw_cert_key_type type;
    struct kw_bytes point;    /* EC: 04 || x || y, not checked to be on the curve */
    struct kw_bytes modulus;  /* RSA: without leading zero */
    struct kw_bytes exponent; /* RSA: without leading zero, at most 4 bytes, odd */
};

/*
 * Takes the key out of a DER certificate. KW_DROP_TRUNCATED, KW_DROP_MALFORMED: unreadable, or a
 * kind of key that we do not know. DER is required: an encoding that is not the shortest is
 * refused, trailing bytes too.
 */
KW_MUST_USE enum kw_verdict kw_cert_parse(struct kw_bytes der, struct kw_cert_key *ret);

/* What differs between two certificates of ours. */
struct kw_cert_fields {
    uint8_t serial[KW_CERT_SERIAL_LEN]; /* random */
    kw_utc_ms not_before;
    kw_utc_ms not_after;
    uint8_t point[KW_CERT_POINT_LEN];
};

/* Writes the part that is signed (TBSCertificate, CN=keywheel) and returns its length; 0: no room.
 */
KW_MUST_USE size_t kw_cert_write_tbs(const struct kw_cert_fields *fields, uint8_t *dst,
                                     size_t dst_size);
/* Puts it together with its DER ECDSA signature; returns the length, 0: no room. */
KW_MUST_USE size_t kw_cert_write(struct kw_bytes tbs, struct kw_bytes signature, uint8_t *dst,
                                 size_t dst_size);

#endif
