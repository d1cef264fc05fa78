/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES_CM_128_HMAC_SHA1_80 (RFC 3711, sections 4.1.1 and 4.2.1): the two halves of the transform
 * that exists for named exceptions only. It runs on the provider whatever the kernel is.
 */
#include "srtp/context.h"

#include <string.h>

enum kw_verdict kw_cm_crypt(struct kw_srtp *srtp, struct kw_packet_key *key,
                            const struct kw_packet *packet)
{
    return srtp->crypto->ops->packet_crypt(key, packet) == KW_OK ? KW_ACCEPT : KW_DROP_INTERNAL;
}

static enum kw_verdict make_mac(struct kw_srtp *srtp, struct kw_packet_key *key,
                                struct kw_bytes head, uint32_t tail, uint8_t mac[KW_SRTP_MAC_LEN])
{
    uint8_t tail_bytes[4];
    struct kw_bytes view = {tail_bytes, sizeof tail_bytes};

    put_u32(tail_bytes, tail);
    return srtp->crypto->ops->packet_mac(key, head, view, mac) == KW_OK ? KW_ACCEPT
                                                                        : KW_DROP_INTERNAL;
}

enum kw_verdict kw_cm_tag(struct kw_srtp *srtp, struct kw_packet_key *key, struct kw_bytes head,
                          uint32_t tail, uint8_t tag[KW_CM_TAG_LEN])
{
    uint8_t mac[KW_SRTP_MAC_LEN];
    enum kw_verdict verdict = make_mac(srtp, key, head, tail, mac);

    if (verdict == KW_ACCEPT)
        memcpy(tag, mac, KW_CM_TAG_LEN);
    return verdict;
}

enum kw_verdict kw_cm_check(struct kw_srtp *srtp, struct kw_packet_key *key, struct kw_bytes head,
                            uint32_t tail, const uint8_t tag[KW_CM_TAG_LEN])
{
    uint8_t mac[KW_SRTP_MAC_LEN];
    enum kw_verdict verdict = make_mac(srtp, key, head, tail, mac);

    if (verdict == KW_ACCEPT && !kw_ct_equal(mac, tag, KW_CM_TAG_LEN))
        verdict = KW_DROP_FORGED;
    kw_wipe(mac, sizeof mac);
    return verdict;
}
