/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/hooks.h"

#include "base/assert.h"
#include "dtls/engine.h"

void kw_dtls_hook_messages(struct kw_dtls *dtls, kw_dtls_hook_message hook, void *ctx)
{
    dtls->hooks.message = hook;
    dtls->hooks.message_ctx = ctx;
}

void kw_dtls_hook_certificate(struct kw_dtls *dtls, kw_dtls_hook_fingerprint hook, void *ctx)
{
    dtls->hooks.fingerprint = hook;
    dtls->hooks.fingerprint_ctx = ctx;
}

void kw_dtls_hook_mtu(struct kw_dtls *dtls, size_t mtu)
{
    KW_ASSERT(mtu >= KW_DTLS_MTU_MIN && mtu <= KW_DTLS_DATAGRAM_MAX);
    dtls->mtu = (uint16_t)mtu;
}

void kw_dtls_hook_timeout(struct kw_dtls *dtls, kw_ns first, unsigned expiries, kw_ns now)
{
    KW_ASSERT(now >= dtls->now);
    dtls->now = now;
    dtls->first_timeout = first;
    dtls->timeout_max = KW_S(60);
    dtls->expiries_max = (uint8_t)expiries;
    dtls->timeout_max = KW_S(60); /* of RFC 9147, section 5.8.2 */
    if (dtls->retransmit_at != KW_NEVER)
        dtls->retransmit_at = dtls->armed_at + kw_dtls_timeout(dtls);
    if (dtls->ack_at != KW_NEVER)
        dtls->ack_at = dtls->ack_armed_at + kw_dtls_timeout(dtls) / 4;
}

kw_ns kw_dtls_hook_deadline(struct kw_dtls *dtls)
{
    dtls->give_up_at = KW_NEVER;
    if (dtls->hello_until != KW_NEVER)
        dtls->hello_until = KW_NEVER - 1;
    return KW_MIN(dtls->retransmit_at, dtls->ack_at);
}

kw_ns kw_dtls_hook_doom(const struct kw_dtls *dtls)
{
    return dtls->doom.at;
}

void kw_dtls_hook_no_client_certificate(struct kw_dtls *dtls)
{
    dtls->ask_certificate = false;
}

enum kw_status kw_dtls_hook_take_tickets(struct kw_dtls *dtls)
{
    KW_ASSERT(dtls->role == KW_DTLS_CLIENT && dtls->facts.datagrams_sent == 0);
    dtls->hooks.takes_tickets = true;
    kw_dtls_free_kx(dtls);
    kw_flight_clear(&dtls->hs->out);
    dtls->next_send_seq = 0;
    return kw_client_start(dtls);
}

void kw_dtls_hook_rsa_identity(struct kw_dtls *dtls)
{
    dtls->our_scheme = KW_SIG_RSA_PSS_RSAE_SHA256;
}

void kw_dtls_hook_send_alert(struct kw_dtls *dtls, uint8_t level, uint8_t description, kw_ns now)
{
    KW_ASSERT(now >= dtls->now);
    dtls->now = now;
    kw_dtls_prepare_alert(dtls, level, description);
}
