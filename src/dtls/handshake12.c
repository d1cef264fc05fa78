/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/handshake12.h"

enum kw_status kw_server12_handle_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                        const struct kw_client_hello *hello)
{
    (void)message;
    (void)hello;
    kw_dtls_hello_forget(dtls);
    return kw_dtls_fail(dtls, KW_DTLS_END_POLICY, KW_ALERT_PROTOCOL_VERSION);
}

enum kw_status kw_client12_handle_hello(struct kw_dtls *dtls, const struct kw_message *message,
                                        const struct kw_server_hello *hello)
{
    (void)message;
    (void)hello;
    kw_dtls_hello_forget(dtls);
    return kw_dtls_fail(dtls, KW_DTLS_END_POLICY, KW_ALERT_PROTOCOL_VERSION);
}

enum kw_status kw_export12(struct kw_dtls *dtls, const char *label, struct kw_bytes context,
                           uint8_t *dst, size_t len)
{
    (void)dtls;
    (void)label;
    (void)context;
    (void)dst;
    (void)len;
    return KW_ERR_STATE;
}
