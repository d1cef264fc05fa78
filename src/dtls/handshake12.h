/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_HANDSHAKE12_H
#define KW_DTLS_HANDSHAKE12_H

#include "dtls/engine.h"
#include "dtls/hello.h"

/* DTLS 1.2 (RFC 6347, RFC 5246, RFC 8422, RFC 7627), for peers that an exception names. */

KW_MUST_USE enum kw_status kw_server12_handle_hello(struct kw_dtls *dtls,
                                                    const struct kw_message *message,
                                                    const struct kw_client_hello *hello);
KW_MUST_USE enum kw_status kw_client12_handle_hello(struct kw_dtls *dtls,
                                                    const struct kw_message *message,
                                                    const struct kw_server_hello *hello);
/* RFC 5705. */
KW_MUST_USE enum kw_status kw_export12(struct kw_dtls *dtls, const char *label,
                                       struct kw_bytes context, uint8_t *dst, size_t len);

#endif
