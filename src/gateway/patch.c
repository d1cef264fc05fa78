/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PATCH of a call (RFC 9725, section 4.3.2): candidates, which are not needed, or an ICE restart of
 * the leg whose entity-tag it names.
 */
#include "gateway/state.h"

#include <string.h>

static void etag_of(const struct kw_leg *leg, char dst[KW_CALL_ETAG_TEXT])
{
    uint8_t raw[8];

    memcpy(raw, &leg->etag, sizeof raw);
    dst[0] = '"';
    kw_hex_write(raw, sizeof raw, dst + 1);
    dst[17] = '"';
    dst[18] = '\0';
}

void kw_call_etag_write(struct kw_call *call, char dst[KW_CALL_ETAG_TEXT])
{
    const struct kw_leg *newest = kw_call_newest_leg(call);

    dst[0] = '\0';
    if (newest != NULL)
        etag_of(newest, dst);
}

/* The entity-tag is one of a comma separated list; weak ones never match (RFC 9110 13.1.1). */
static bool etag_listed(const char *list, const char *etag)
{
    size_t len = kw_text_len(etag);
    bool at_start = true;

    for (const char *at = list; *at != '\0'; at++) {
        if (*at == ' ' || *at == ',' || *at == '\t') {
            at_start = at_start || *at == ',';
            continue;
        }
        if (at_start && kw_text_len(at) >= len && memcmp(at, etag, len) == 0)
            return true;
        at_start = false;
    }
    return false;
}

static struct kw_leg *leg_of_tag(struct kw_call *call, const char *if_match)
{
    char etag[KW_CALL_ETAG_TEXT];

    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        if (call->legs[i].tag == 0)
            continue;
        etag_of(&call->legs[i], etag);
        if (etag_listed(if_match, etag))
            return &call->legs[i];
    }
    return NULL;
}

static bool bytes_equal_text(struct kw_bytes bytes, const char *s)
{
    return bytes.len == kw_text_len(s) && (bytes.len == 0 || memcmp(bytes.data, s, bytes.len) == 0);
}

/* New credentials on both sides; keys, paths and media go on until the new pair is validated. */
static enum kw_status restart_ice(struct kw_gateway *gateway, struct kw_call *call,
                                  struct kw_leg *leg, const struct kw_sdp_fragment *fragment,
                                  kw_ns now)
{
    struct kw_ice_credentials local, remote;
    enum kw_status status = kw_ice_credentials_draw(&gateway->shared.dtls.random, &local);
    uint64_t etag, tag;

    if (status != KW_OK)
        return status;
    etag = kw_gateway_draw(gateway, &status);
    if (status != KW_OK)
        return status;
    kw_text_copy_bytes(remote.ufrag, sizeof remote.ufrag, fragment->ufrag);
    kw_text_copy_bytes(remote.pwd, sizeof remote.pwd, fragment->pwd);
    tag = kw_ufrag_tag(gateway, local.ufrag);
    if (!kw_table_put(&gateway->ufrags, tag, call->number))
        return KW_ERR_MEMORY;
    status = kw_session_ice_restart(call->session, kw_leg_newest_generation(call, leg), &local,
                                    &remote, now);
    if (status != KW_OK) {
        kw_table_remove(&gateway->ufrags, tag);
        return status;
    }
    if (leg->old_ufrag_tag != 0)
        kw_table_remove(&gateway->ufrags, leg->old_ufrag_tag);
    leg->old_ufrag_tag = leg->ufrag_tag;
    leg->ufrag_tag = tag;
    leg->etag = etag;
    leg->sdp_version++;
    kw_text_copy(leg->ufrag, sizeof leg->ufrag, local.ufrag);
    kw_text_copy(leg->pwd, sizeof leg->pwd, local.pwd);
    kw_text_copy(leg->remote_ufrag, sizeof leg->remote_ufrag, remote.ufrag);
    kw_wipe(&local, sizeof local);
    return KW_OK;
}

void kw_call_patch(struct kw_gateway *gateway, struct kw_call *call, struct kw_bytes body,
                   const char *if_match, kw_ns now, struct kw_call_answer *ret)
{
    bool is_any = kw_text_equal(if_match, "*");
    struct kw_sdp_fragment fragment;
    struct kw_leg *leg;

    kw_answer_begin(ret, call);
    if (kw_sdp_fragment_parse(body, &fragment, &ret->problem) != KW_SDP_OK) {
        ret->outcome = KW_CALL_MALFORMED;
        return;
    }
    if (if_match[0] == '\0') {
        ret->outcome = KW_CALL_UNNAMED;
        return;
    }
    leg = is_any ? kw_call_newest_leg(call) : leg_of_tag(call, if_match);
    if (leg == NULL) {
        ret->outcome = KW_CALL_STALE;
        return;
    }
    ret->outcome = KW_CALL_OK;
    ret->generation = kw_leg_newest_generation(call, leg);
    /* Candidates are not needed: the client's checks tell where it is, and nothing is resolved. */
    if (fragment.ufrag.len == 0 || bytes_equal_text(fragment.ufrag, leg->remote_ufrag))
        return;
    if (restart_ice(gateway, call, leg, &fragment, now) != KW_OK) {
        ret->outcome = KW_CALL_FAILED;
        return;
    }
    ret->len = kw_leg_fragment(gateway, call, leg, ret->text, sizeof ret->text);
    KW_ASSERT(ret->len != 0); /* the answer fitted, and this is a part of it */
    ret->has_body = true;
    kw_gateway_schedule(gateway, call);
    kw_gateway_touch(gateway, call);
}
