/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_SCHEDULE_H
#define KW_DTLS_SCHEDULE_H

#include <keywheel/crypto.h>

/*
 * The ladder of secrets of RFC 8446, section 7.1, upon crypto/hkdf.h. Hashes of the transcript come
 * in; secrets go out.
 */

/* Extract(Derive(secret, "derived", Hash("")), ikm); ikm {NULL, 0}: a string of zeros. */
KW_MUST_USE enum kw_status kw_schedule_next(struct kw_crypto *crypto, enum kw_hash hash,
                                            const struct kw_secret *secret, struct kw_bytes ikm,
                                            struct kw_secret *ret);

/* The handshake secret from the key exchange (there is no PSK here). */
KW_MUST_USE enum kw_status kw_schedule_handshake(struct kw_crypto *crypto, enum kw_hash hash,
                                                 const struct kw_secret *shared,
                                                 struct kw_secret *ret);

/* verify_data of a Finished, from the sender's traffic secret. */
KW_MUST_USE enum kw_status kw_schedule_finished(struct kw_crypto *crypto, enum kw_hash hash,
                                                const struct kw_secret *traffic,
                                                const uint8_t *transcript_hash, uint8_t *dst);

/* RFC 8446, section 7.5. */
KW_MUST_USE enum kw_status kw_schedule_export(struct kw_crypto *crypto, enum kw_hash hash,
                                              const struct kw_secret *exporter, const char *label,
                                              struct kw_bytes context, uint8_t *dst,
                                              size_t dst_size);

#endif
