/* SPDX-License-Identifier: Apache-2.0 */
/* Birth and death of a context: session keys into the kernel's form, everything wiped at the end.
 */
#include "srtp/context.h"

#include "base/assert.h"
#include "srtp/kernel.h"

#include <string.h>

size_t kw_srtp_size(size_t ssrc_max)
{
    if (ssrc_max > KW_SRTP_SSRC_MAX)
        ssrc_max = KW_SRTP_SSRC_MAX;
    return streams_end(ssrc_max) + ssrc_max * sizeof(struct history);
}

static bool master_fits(const struct kw_srtp_master *master)
{
    switch (master->profile) {
    case KW_SRTP_AES128_CM_SHA1_80:
        return master->key_len == 16 && master->salt_len == 14;
    case KW_SRTP_AEAD_AES_128_GCM:
        return master->key_len == 16 && master->salt_len == 12;
    case KW_SRTP_AEAD_AES_256_GCM:
        return master->key_len == 32 && master->salt_len == 12;
    case KW_SRTP_NONE:
        break;
    }
    return false;
}

/* One session key, for SRTP or SRTCP. */
static enum kw_status init_half(struct kw_srtp *srtp, const struct kw_srtp_master *master,
                                bool is_rtcp)
{
    struct kw_crypto *crypto = srtp->crypto;
    unsigned base = is_rtcp ? KW_LABEL_RTCP_KEY : KW_LABEL_RTP_KEY;
    uint8_t key[KW_KEY_MAX], auth_key[KW_SRTP_MAC_LEN] = {0};
    enum kw_status status;

    status = kw_srtp_derive(crypto, master, base, key, master->key_len);
    if (status == KW_OK)
        status = kw_srtp_derive(crypto, master, base + 2, is_rtcp ? srtp->rtcp_salt : srtp->salt,
                                master->salt_len);
    if (status == KW_OK && srtp->gcm == NULL)
        status = kw_srtp_derive(crypto, master, base + 1, auth_key, sizeof auth_key);
    if (status != KW_OK)
        goto out;

    if (srtp->gcm != NULL)
        status =
            srtp->gcm->init(is_rtcp ? &srtp->rtcp_key : &srtp->key, crypto, key, srtp->for_sending);
    else
        status = crypto->ops->packet_new(crypto, master->profile, key, auth_key, srtp->for_sending,
                                         is_rtcp ? &srtp->rtcp_cm : &srtp->cm);
out:
    kw_wipe(key, sizeof key);
    kw_wipe(auth_key, sizeof auth_key);
    return status;
}

enum kw_status kw_srtp_init(void *mem, const struct kw_srtp_params *params, struct kw_srtp **ret)
{
    struct kw_srtp *srtp = mem;
    enum kw_srtp_profile profile = params->master->profile;
    enum kw_status status;

    KW_ASSERT((uintptr_t)mem % _Alignof(struct kw_srtp) == 0);
    if (params->ssrc_max == 0 || params->ssrc_max > KW_SRTP_SSRC_MAX ||
        !master_fits(params->master))
        return KW_ERR_INPUT;
    if (profile == KW_SRTP_AES128_CM_SHA1_80 && params->crypto->ops->packet_new == NULL)
        return KW_ERR_CRYPTO;

    memset(mem, 0, kw_srtp_size(params->ssrc_max));
    *srtp = (struct kw_srtp){
        .gcm = kw_srtp_kernel_gcm(params->kernel, profile),
        .stream_max = (uint8_t)params->ssrc_max,
        .trial_budget = KW_SRTP_TRIAL_BUDGET,
        .for_sending = params->for_sending,
        .cryptex = params->cryptex,
        .crypto = params->crypto,
    };
    status = init_half(srtp, params->master, false);
    if (status == KW_OK)
        status = init_half(srtp, params->master, true);
    if (status != KW_OK) {
        kw_srtp_deinit(srtp);
        return status;
    }
    *ret = srtp;
    return KW_OK;
}

void kw_srtp_deinit(struct kw_srtp *srtp)
{
    if (srtp == NULL)
        return;
    if (srtp->gcm != NULL) {
        srtp->gcm->deinit(&srtp->key);
        srtp->gcm->deinit(&srtp->rtcp_key);
    } else if (srtp->crypto != NULL) {
        srtp->crypto->ops->packet_free(srtp->cm);
        srtp->crypto->ops->packet_free(srtp->rtcp_cm);
    }
    kw_wipe(srtp, kw_srtp_size(srtp->stream_max));
}
