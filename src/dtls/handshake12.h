/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_HANDSHAKE12_H
#define KW_DTLS_HANDSHAKE12_H

#include "dtls/engine.h"
#include "dtls/hello.h"

/* DTLS 1.2 (RFC 6347, RFC 5246, RFC 8422, RFC 7627), for peers that an exception names. */

enum { KW_FINISHED12_LEN = 12 };

KW_MUST_USE enum kw_status kw_server12_handle_hello(struct kw_dtls *dtls,
                                                    const struct kw_message *message,
                                                    const struct kw_client_hello *hello);
KW_MUST_USE enum kw_status kw_server12_handle(struct kw_dtls *dtls,
                                              const struct kw_message *message);
KW_MUST_USE enum kw_status kw_client12_handle_hello(struct kw_dtls *dtls,
                                                    const struct kw_message *message,
                                                    const struct kw_server_hello *hello);
KW_MUST_USE enum kw_status kw_client12_handle_verify_request(struct kw_dtls *dtls,
                                                             const struct kw_message *message);
KW_MUST_USE enum kw_status kw_client12_handle(struct kw_dtls *dtls,
                                              const struct kw_message *message);
/* Whatever comes after the handshake. */
KW_MUST_USE enum kw_status kw_post12_handle(struct kw_dtls *dtls, const struct kw_message *message);
/* A fragment of a message that was handled already: our answer may be lost. */
KW_MUST_USE enum kw_status
kw_common12_handle_old(struct kw_dtls *dtls, const struct kw_fragment *fragment, uint64_t epoch);

/* --- what both roles share (handshake12.c) --- */

/* Takes room for the raw transcript, which 1.2 signs as a whole; false: there is none now. */
KW_MUST_USE bool kw_common12_start(struct kw_dtls *dtls);
/* The message belongs to the transcript. */
KW_MUST_USE enum kw_status kw_common12_add(struct kw_dtls *dtls, const struct kw_message *message);
/* Drops what anybody could have sent, so that the true one can take its place. */
KW_MUST_USE enum kw_status kw_common12_fail(struct kw_dtls *dtls, enum kw_dtls_end end,
                                            enum kw_alert alert);
KW_MUST_USE bool kw_common12_scheme_fits(const struct kw_dtls *dtls, uint16_t scheme);

KW_MUST_USE enum kw_status kw_common12_write_certificate(struct kw_dtls *dtls);
KW_MUST_USE enum kw_status kw_common12_handle_certificate(struct kw_dtls *dtls,
                                                          const struct kw_message *message,
                                                          enum kw_dtls_state next);
/* The transcript ends with ClientKeyExchange: master secret and record keys. */
KW_MUST_USE enum kw_status kw_common12_derive(struct kw_dtls *dtls,
                                              const struct kw_secret *premaster);
KW_MUST_USE enum kw_status kw_common12_install(struct kw_dtls *dtls, bool for_writing);
/* verify_data of `sender` over the transcript so far. */
KW_MUST_USE enum kw_status kw_common12_finished(struct kw_dtls *dtls, enum kw_dtls_role sender,
                                                uint8_t dst[KW_FINISHED12_LEN]);
KW_MUST_USE enum kw_status kw_common12_handle_finished(struct kw_dtls *dtls,
                                                       const struct kw_message *message);
/* Sends ChangeCipherSpec and Finished of a server, from what was kept of it. */
KW_MUST_USE enum kw_status kw_server12_send_last(struct kw_dtls *dtls);
/* RFC 5705. */
KW_MUST_USE enum kw_status kw_export12(struct kw_dtls *dtls, const char *label,
                                       struct kw_bytes context, uint8_t *dst, size_t len);

/* RFC 8446, section 4.1.3: what a server that could do 1.3 ends its random with. */
extern const uint8_t kw_downgrade_sentinel[8];

#endif
