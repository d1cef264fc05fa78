/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call: admitted with everything it will need (a place, ids, room in the audit ring),
 * led by the events of its session, freed when its last datagram has left.
 */
#include "gateway/state.h"

#include <string.h>

/* --- finding ---------------------------------------------------------------------------------- */

struct kw_leg *kw_call_leg(struct kw_call *call, uint32_t generation)
{
    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        if (generation != 0 && call->legs[i].generation == generation)
            return &call->legs[i];
    }
    return NULL;
}

static struct kw_leg *newest_leg(struct kw_call *call)
{
    struct kw_leg *newest = NULL;

    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        struct kw_leg *leg = &call->legs[i];

        if (leg->generation != 0 && (newest == NULL || leg->generation > newest->generation))
            newest = leg;
    }
    return newest;
}

struct kw_call *kw_call_find(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                             const char *id)
{
    uint8_t raw[16];
    uint32_t number;
    struct kw_call *call;

    if (!kw_hex_parse(id, raw, sizeof raw) ||
        !kw_table_get(&gateway->ids, kw_table_tag(&gateway->ids, raw, sizeof raw), &number))
        return NULL;
    call = &gateway->calls[number];
    if (call->state != KW_CALL_LIVE || call->tenant != tenant ||
        !kw_ct_equal(call->id, raw, sizeof raw))
        return NULL;
    return call;
}

void kw_call_id_write(const struct kw_call *call, char dst[KW_CALL_ID_TEXT])
{
    kw_hex_write(call->id, sizeof call->id, dst);
}

enum kw_sdp_profile kw_call_profile(const struct kw_call *call)
{
    return call->profile;
}

enum kw_method kw_call_method(const struct kw_call *call)
{
    return call->method;
}

const struct kw_rotation_policy *kw_call_rotation(const struct kw_call *call)
{
    return &call->terms.rotation;
}

static void etag_of(const struct kw_leg *leg, char dst[KW_CALL_ETAG_TEXT])
{
    uint8_t raw[8];

    memcpy(raw, &leg->etag, sizeof raw);
    dst[0] = '"';
    kw_hex_write(raw, sizeof raw, dst + 1);
    dst[17] = '"';
    dst[18] = '\0';
}

void kw_call_etag_write(const struct kw_call *call, char dst[KW_CALL_ETAG_TEXT])
{
    const struct kw_leg *newest = NULL;

    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        const struct kw_leg *leg = &call->legs[i];

        if (leg->generation != 0 && (newest == NULL || leg->generation > newest->generation))
            newest = leg;
    }
    dst[0] = '\0';
    if (newest != NULL)
        etag_of(newest, dst);
}

bool kw_call_facts(const struct kw_call *call, uint32_t generation, kw_ns now,
                   struct kw_generation_facts *ret)
{
    return call->has_session && kw_session_facts(call->session, generation, now, ret);
}

/* --- routes ----------------------------------------------------------------------------------- */

/* Media of this call runs there, or did when its generation was last heard of. */
static bool is_in_use(const struct kw_gateway *gateway, const struct kw_call *call, uint64_t tag,
                      kw_ns now)
{
    for (size_t i = 0; i < KW_CALL_LEGS && call->has_session; i++) {
        struct kw_generation_facts facts;

        if (call->legs[i].generation != 0 &&
            kw_session_facts(call->session, call->legs[i].generation, now, &facts) &&
            facts.has_path && kw_table_tag_path(&gateway->paths, &facts.path) == tag)
            return true;
    }
    return false;
}

static bool is_held(const struct kw_gateway *gateway, const struct kw_call *call, uint64_t tag,
                    uint32_t *value_ret)
{
    return tag != 0 && kw_table_get(&gateway->paths, tag, value_ret) &&
           (*value_ret & ~KW_ROUTE_FIRM) == call->number;
}

/* A place for another route: first one that is not firm, then one that carries no media. */
static uint64_t *free_route(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    for (size_t tries = 0; tries < 2 * KW_CALL_ROUTES; tries++) {
        uint64_t *slot = &call->routes[call->route_next];
        uint32_t held;

        call->route_next = (call->route_next + 1) % KW_CALL_ROUTES;
        if (!is_held(gateway, call, *slot, &held))
            return slot;
        if ((held & KW_ROUTE_FIRM) != 0 &&
            (tries < KW_CALL_ROUTES || is_in_use(gateway, call, *slot, now)))
            continue;
        kw_table_remove(&gateway->paths, *slot);
        return slot;
    }
    KW_ASSERT(false); /* a call has fewer generations than routes */
    return NULL;
}

/*
 * A path that answered our own check is firm: no other call can take it while media runs there.
 * Before and after that the newest authenticated check has it, so that nobody can squat on
 * addresses that are not his, and a rotation does not keep the address that it left.
 */
void kw_call_route(struct kw_gateway *gateway, struct kw_call *call, const struct kw_path *path,
                   bool firm, kw_ns now)
{
    uint64_t tag = kw_table_tag_path(&gateway->paths, path);
    uint32_t value = call->number | (firm ? KW_ROUTE_FIRM : 0);
    uint64_t *slot;
    uint32_t old;

    if (kw_table_get(&gateway->paths, tag, &old)) {
        uint32_t owner = old & ~KW_ROUTE_FIRM;

        if (owner == call->number) {
            /* An entry that exists is replaced in place: that never fails. */
            if (old < value && !kw_table_put(&gateway->paths, tag, value))
                KW_ASSERT(false);
            return;
        }
        if ((old & KW_ROUTE_FIRM) != 0 && !firm &&
            is_in_use(gateway, &gateway->calls[owner], tag, now))
            return;
    }
    slot = free_route(gateway, call, now);
    *slot = kw_table_put(&gateway->paths, tag, value) ? tag : 0;
}

static void forget_routes(struct kw_gateway *gateway, struct kw_call *call)
{
    for (size_t i = 0; i < KW_CALL_ROUTES; i++) {
        uint32_t held;

        if (call->routes[i] != 0 && kw_table_get(&gateway->paths, call->routes[i], &held) &&
            (held & ~KW_ROUTE_FIRM) == call->number)
            kw_table_remove(&gateway->paths, call->routes[i]);
        call->routes[i] = 0;
    }
}

static uint64_t ufrag_tag(const struct kw_gateway *gateway, const char *ufrag)
{
    return kw_table_tag(&gateway->ufrags, ufrag, kw_text_len(ufrag));
}

static void forget_leg(struct kw_gateway *gateway, struct kw_leg *leg)
{
    if (leg->ufrag_tag != 0)
        kw_table_remove(&gateway->ufrags, leg->ufrag_tag);
    if (leg->old_ufrag_tag != 0)
        kw_table_remove(&gateway->ufrags, leg->old_ufrag_tag);
    kw_fact_release(gateway, &leg->owed);
    kw_wipe(leg, sizeof *leg);
}

/* --- opening ---------------------------------------------------------------------------------- */

static const char *refusal_rule(enum kw_refusal refusal)
{
    switch (refusal) {
    case KW_REFUSAL_NONE:
        break;
    case KW_REFUSAL_NO_FINGERPRINT:
        return "no-fingerprint";
    case KW_REFUSAL_EXCEPTION_EXPIRED:
        return "exception-expired";
    }
    return "";
}

/* Parses the offer and asks the policy; what is wrong goes into ret. */
static bool accept_offer(struct kw_gateway *gateway, const struct kw_tenant *tenant,
                         const struct kw_call_offer *offer, kw_utc_ms utc, struct kw_terms *terms,
                         struct kw_call_answer *ret)
{
    struct kw_sdp *sdp = &gateway->sdp;
    struct kw_peer peer = {.address = *offer->remote};
    enum kw_refusal refusal;

    switch (kw_sdp_offer_parse(offer->body, offer->profile, sdp, &ret->problem)) {
    case KW_SDP_OK:
        break;
    case KW_SDP_MALFORMED:
        ret->outcome = KW_CALL_MALFORMED;
        return false;
    case KW_SDP_REFUSED:
        ret->outcome = KW_CALL_REFUSED;
        return false;
    case KW_SDP_NO_MEDIA:
        ret->outcome = KW_CALL_NO_MEDIA;
        return false;
    }
    for (size_t i = 0; i < sdp->media_count; i++) {
        if (sdp->media[i].mid.len > KW_LEG_MID_MAX) {
            ret->problem = (struct kw_sdp_problem){sdp->media[i].line,
                                                   "a mid is longer than 32 bytes", "mid-length"};
            ret->outcome = KW_CALL_REFUSED;
            return false;
        }
    }
    peer.fingerprints = sdp->transport.fingerprints;
    peer.fingerprint_count = sdp->transport.fingerprint_count;
    refusal = kw_policy_decide(&tenant->config->policy, &peer, utc, terms);
    if (refusal != KW_REFUSAL_NONE) {
        ret->problem = (struct kw_sdp_problem){0, kw_refusal_text(refusal), refusal_rule(refusal)};
        ret->outcome = KW_CALL_REFUSED;
        return false;
    }
    return true;
}

/* A leg with fresh credentials and certificate, as a generation of the session. */
static enum kw_status add_leg(struct kw_gateway *gateway, struct kw_call *call,
                              enum kw_method method, kw_ns now, struct kw_leg **leg_ret)
{
    const struct kw_sdp_transport *transport = &gateway->sdp.transport;
    struct kw_crypto *crypto = gateway->shared.dtls.crypto;
    struct kw_generation_params params = {
        .role = KW_DTLS_SERVER,
        .fingerprints = transport->fingerprints,
        .fingerprint_count = transport->fingerprint_count,
        .has_ice = true,
        .method = method,
    };
    struct kw_leg *leg = NULL;
    enum kw_status status;

    for (size_t i = 0; i < KW_CALL_LEGS && leg == NULL; i++) {
        if (call->legs[i].generation == 0)
            leg = &call->legs[i];
    }
    if (leg == NULL)
        return KW_ERR_STATE;
    status = kw_ice_credentials_draw(&gateway->shared.dtls.random, &params.local);
    if (status != KW_OK)
        return status;
    kw_text_copy_bytes(params.remote.ufrag, sizeof params.remote.ufrag, transport->ufrag);
    kw_text_copy_bytes(params.remote.pwd, sizeof params.remote.pwd, transport->pwd);
    params.identity = kw_gateway_identity(gateway, now);
    if (params.identity == NULL)
        return KW_ERR_MEMORY;

    memset(leg, 0, sizeof *leg);
    kw_text_copy(leg->ufrag, sizeof leg->ufrag, params.local.ufrag);
    kw_text_copy(leg->pwd, sizeof leg->pwd, params.local.pwd);
    leg->report_at = KW_NEVER;
    status = kw_leg_agree(gateway, call, leg, &gateway->sdp);
    if (status == KW_OK && method == KW_METHOD_RESTART && newest_leg(call) != NULL)
        kw_leg_inherit(leg, newest_leg(call));
    if (status == KW_OK)
        status = kw_crypto_fingerprint(crypto, KW_SHA256,
                                       crypto->ops->identity_certificate(params.identity),
                                       &leg->our_fingerprint);
    if (status == KW_OK)
        status = kw_session_add_generation(call->session, &params, now, &leg->generation);
    crypto->ops->identity_free(params.identity); /* the session has its own hold */
    kw_wipe(&params.local, sizeof params.local);
    if (status == KW_OK) {
        leg->ufrag_tag = ufrag_tag(gateway, leg->ufrag);
        if (!kw_table_put(&gateway->ufrags, leg->ufrag_tag, call->number))
            status = KW_ERR_MEMORY;
    }
    if (status != KW_OK) {
        leg->generation = 0;
        return status;
    }
    *leg_ret = leg;
    return KW_OK;
}

static struct kw_call *take_place(struct kw_gateway *gateway, struct kw_tenant *tenant)
{
    struct kw_call *call = &gateway->calls[gateway->free_first];

    gateway->free_first = call->next_free;
    gateway->call_count++;
    tenant->calls++;
    call->tenant = tenant;
    call->state = KW_CALL_LIVE;
    return call;
}

static enum kw_status begin(struct kw_gateway *gateway, struct kw_call *call, kw_ns now,
                            struct kw_leg **leg_ret)
{
    const struct kw_session_params params = {
        .terms = &call->terms,
        .ssrc_max = KW_CALL_SSRC_MAX,
        .method = call->method,
    };
    const struct kw_random *random = &gateway->shared.dtls.random;
    enum kw_status status = kw_random_fill(random, call->id, sizeof call->id);

    if (status == KW_OK)
        status = kw_random_fill(random, call->session_id.bytes, sizeof call->session_id.bytes);
    if (status == KW_OK)
        status = kw_session_init(call->session_mem, &gateway->shared, &params, now, &call->session);
    if (status != KW_OK)
        return status;
    call->has_session = true;
    status = add_leg(gateway, call, KW_METHOD_INITIAL, now, leg_ret);
    if (status != KW_OK)
        return status;
    call->id_tag = kw_table_tag(&gateway->ids, call->id, sizeof call->id);
    return kw_table_put(&gateway->ids, call->id_tag, call->number) ? KW_OK : KW_ERR_MEMORY;
}

static const char *outcome_rule(const struct kw_call_answer *answer)
{
    switch (answer->outcome) {
    case KW_CALL_OK:
        break;
    case KW_CALL_MALFORMED:
        return "malformed-sdp";
    case KW_CALL_REFUSED:
    case KW_CALL_NO_MEDIA:
        return answer->problem.rule;
    case KW_CALL_QUOTA:
        return "quota";
    case KW_CALL_FULL:
        return "gateway-full";
    case KW_CALL_DRAINING:
        return "draining";
    case KW_CALL_UNRECORDED:
        return "audit-full";
    case KW_CALL_ROOM_FULL:
        return "room-full";
    case KW_CALL_BACKEND_BUSY:
        return "backend-busy";
    case KW_CALL_CONFLICT:
    case KW_CALL_STALE:
    case KW_CALL_UNNAMED:
        return "conflict";
    case KW_CALL_FAILED:
        return "internal";
    }
    return "";
}

void kw_call_open(struct kw_gateway *gateway, struct kw_tenant *tenant,
                  const struct kw_call_offer *offer, kw_ns now, kw_utc_ms utc,
                  struct kw_call_answer *ret)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    struct kw_terms terms;
    struct kw_leg *leg = NULL;
    struct kw_call *call;
    size_t fact_count;

    ret->problem = (struct kw_sdp_problem){0, "", ""};
    ret->has_body = false;
    ret->len = 0;
    ret->call = NULL;
    ret->outcome = kw_tenant_admit(gateway, tenant, now, &ret->retry_after_s);
    if (ret->outcome != KW_CALL_OK || !accept_offer(gateway, tenant, offer, utc, &terms, ret)) {
        if (!kw_fact_refused(gateway, tenant, outcome_rule(ret), offer, now))
            ret->outcome = KW_CALL_UNRECORDED;
        return;
    }
    fact_count = kw_fact_count(&terms);
    if (!sink->reserve(sink->ctx, KW_CALL_FACTS + fact_count)) {
        ret->outcome = KW_CALL_UNRECORDED;
        ret->retry_after_s = 5;
        return;
    }
    call = take_place(gateway, tenant);
    call->owed = KW_CALL_FACTS + fact_count;
    call->profile = offer->profile;
    call->method = offer->profile == KW_SDP_CALL ? KW_METHOD_PARALLEL : KW_METHOD_CAP;
    call->terms = terms;
    call->signalling = *offer->remote;
    call->opened = now;
    ret->outcome = kw_relay_join(gateway, call, offer->room);
    if (ret->outcome != KW_CALL_OK) {
        kw_call_free(gateway, call, now);
        ret->retry_after_s = 10;
        if (!kw_fact_refused(gateway, tenant, outcome_rule(ret), offer, now))
            ret->outcome = KW_CALL_UNRECORDED;
        return;
    }
    kw_relay_narrow(gateway, call, &gateway->sdp);
    if (begin(gateway, call, now, &leg) != KW_OK) {
        kw_call_free(gateway, call, now);
        ret->outcome = KW_CALL_FAILED;
        return;
    }
    call->owed -= fact_count;
    leg->owed = fact_count;
    ret->len = kw_leg_answer(gateway, call, leg, &gateway->sdp, ret->text, sizeof ret->text);
    if (ret->len == 0) {
        kw_call_free(gateway, call, now);
        ret->outcome = KW_CALL_FAILED;
        return;
    }
    kw_fact_opened(gateway, call, offer, now);
    kw_gateway_schedule(gateway, call);
    ret->outcome = KW_CALL_OK;
    ret->has_body = true;
    ret->call = call;
    ret->generation = leg->generation;
}

/* --- changing --------------------------------------------------------------------------------- */

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
        if (call->legs[i].generation == 0)
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
    tag = ufrag_tag(gateway, local.ufrag);
    if (!kw_table_put(&gateway->ufrags, tag, call->number))
        return KW_ERR_MEMORY;
    status = kw_session_ice_restart(call->session, leg->generation, &local, &remote, now);
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

    ret->problem = (struct kw_sdp_problem){0, "", ""};
    ret->has_body = false;
    ret->len = 0;
    ret->call = call;
    if (kw_sdp_fragment_parse(body, &fragment, &ret->problem) != KW_SDP_OK) {
        ret->outcome = KW_CALL_MALFORMED;
        return;
    }
    if (if_match[0] == '\0') {
        ret->outcome = KW_CALL_UNNAMED;
        return;
    }
    leg = is_any ? newest_leg(call) : leg_of_tag(call, if_match);
    if (leg == NULL) {
        ret->outcome = KW_CALL_STALE;
        return;
    }
    ret->outcome = KW_CALL_OK;
    ret->generation = leg->generation;
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

/* Legs whose generation was replaced before it showed itself. */
static void sweep_legs(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    for (size_t i = 0; i < KW_CALL_LEGS; i++) {
        struct kw_leg *leg = &call->legs[i];
        struct kw_generation_facts facts;

        if (leg->generation == 0)
            continue;
        if (kw_session_facts(call->session, leg->generation, now, &facts) && facts.retired == 0)
            continue;
        forget_leg(gateway, leg);
    }
}

void kw_call_add_generation(struct kw_gateway *gateway, struct kw_call *call, enum kw_method method,
                            struct kw_bytes body, kw_ns now, kw_utc_ms utc,
                            struct kw_call_answer *ret)
{
    const struct kw_fact_sink *sink = &gateway->config.sink;
    const struct kw_call_offer offer = {
        .profile = call->profile,
        .body = body,
        .remote = &call->signalling,
        .user_agent = "",
    };
    struct kw_terms terms;
    struct kw_leg *leg = NULL;
    size_t owed = kw_fact_count(&call->terms);
    enum kw_status status;

    ret->problem = (struct kw_sdp_problem){0, "", ""};
    ret->has_body = false;
    ret->len = 0;
    ret->call = call;
    if (call->method == KW_METHOD_CAP || kw_session_current(call->session) == 0) {
        ret->outcome = KW_CALL_CONFLICT;
        return;
    }
    if (!accept_offer(gateway, call->tenant, &offer, utc, &terms, ret))
        return;
    /*
     * The session goes on with the terms of its opening. Where these rest on an exception, it must
     * still be given; one that came later adds nothing to them.
     */
    if (call->terms.exception[0] != '\0' &&
        !kw_text_equal(call->terms.exception, terms.exception)) {
        ret->problem = (struct kw_sdp_problem){
            0, "the exception that this call was opened with applies no more", "exception-ended"};
        ret->outcome = KW_CALL_REFUSED;
        return;
    }
    if (!sink->reserve(sink->ctx, owed)) {
        ret->outcome = KW_CALL_UNRECORDED;
        ret->retry_after_s = 5;
        return;
    }
    status = add_leg(gateway, call, method, now, &leg);
    if (status != KW_OK) {
        kw_fact_release(gateway, &owed);
        ret->outcome = status == KW_ERR_STATE ? KW_CALL_CONFLICT : KW_CALL_FAILED;
        return;
    }
    leg->owed = owed;
    ret->len = kw_leg_answer(gateway, call, leg, &gateway->sdp, ret->text, sizeof ret->text);
    ret->outcome = ret->len != 0 ? KW_CALL_OK : KW_CALL_FAILED;
    ret->has_body = true;
    ret->generation = leg->generation;
    sweep_legs(gateway, call, now);
    kw_gateway_schedule(gateway, call);
}

void kw_call_rotate(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    kw_session_rotate(call->session, KW_REASON_OPERATOR, now);
    kw_call_pump(gateway, call, now);
}

void kw_call_hang_up(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    kw_session_close(call->session, now);
    kw_call_pump(gateway, call, now);
    kw_gateway_touch(gateway, call);
}

/* --- events of the session -------------------------------------------------------------------- */

static void add_sums(struct kw_call *call, const struct kw_generation_facts *facts)
{
    call->packets_sent += facts->sent.packets + facts->sent.rtcp_packets;
    call->packets_received += facts->received.packets + facts->received.rtcp_packets;
    call->bytes_sent += facts->sent.bytes;
    call->bytes_received += facts->received.bytes;
    call->lost += facts->received.lost;
    call->auth_failures += facts->received.verdicts[KW_DROP_FORGED];
    call->replays += facts->received.verdicts[KW_DROP_REPLAY];
}

static void leave_generation(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                             kw_ns now)
{
    struct kw_leg *leg = kw_call_leg(call, generation);
    struct kw_generation_facts facts;

    if (leg == NULL)
        return;
    if (kw_session_facts(call->session, generation, now, &facts))
        add_sums(call, &facts);
    kw_relay_forget(call, generation);
    forget_leg(gateway, leg);
}

static void firm_path(struct kw_gateway *gateway, struct kw_call *call, uint32_t generation,
                      kw_ns now)
{
    struct kw_generation_facts facts;

    if (kw_session_facts(call->session, generation, now, &facts) && facts.has_path)
        kw_call_route(gateway, call, &facts.path, true, now);
}

static void ended(struct kw_gateway *gateway, struct kw_call *call,
                  const struct kw_session_event *event, kw_ns now)
{
    call->end = *event;
    call->has_end = true;
    if (event->session_end == KW_SESSION_END_HANDSHAKE)
        kw_fact_handshake_refused(gateway, call, event, now);
    for (size_t i = 0; i < KW_CALL_LEGS; i++)
        leave_generation(gateway, call, call->legs[i].generation, now);
    kw_fact_closed(gateway, call, now);
    kw_relay_leave(gateway, call);
    kw_table_remove(&gateway->ids, call->id_tag);
    call->id_tag = 0;
    call->state = KW_CALL_ENDING;
    kw_gateway_touch(gateway, call); /* its last datagrams leave, then it is freed */
}

static void handle(struct kw_gateway *gateway, struct kw_call *call,
                   const struct kw_session_event *event, kw_ns now)
{
    struct kw_leg *leg = kw_call_leg(call, event->generation);

    switch (event->type) {
    case KW_SESSION_EVENT_NONE:
        return;
    case KW_SESSION_EVENT_PATH:
        firm_path(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_READY:
        kw_fact_established(gateway, call, event->generation, now);
        if (leg != NULL)
            leg->report_at = now + KW_REPORT_EVERY;
        break;
    case KW_SESSION_EVENT_SWITCHED:
        call->was_up = true;
        break;
    case KW_SESSION_EVENT_DUE:
        break;
    case KW_SESSION_EVENT_RETIRED:
        kw_fact_rotated(gateway, call, event->generation, now);
        leave_generation(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_FAILED:
        kw_fact_handshake_refused(gateway, call, event, now);
        leave_generation(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_OVERDUE:
        kw_fact_overdue(gateway, call, event->generation, now);
        break;
    case KW_SESSION_EVENT_CLOSED:
        ended(gateway, call, event, now);
        break;
    }
    kw_call_tell(gateway, call, event, now);
}

void kw_call_pump(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    struct kw_session_event event;

    while (kw_session_next_event(call->session, &event))
        handle(gateway, call, &event, now);
    kw_gateway_schedule(gateway, call);
}

void kw_call_free(struct kw_gateway *gateway, struct kw_call *call, kw_ns now)
{
    uint32_t number = call->number;
    void *session_mem = call->session_mem;
    bool is_dirty = call->is_dirty;
    uint32_t next_dirty = call->next_dirty;

    (void)now;
    kw_call_dismiss(gateway, call);
    if (call->id_tag != 0)
        kw_table_remove(&gateway->ids, call->id_tag);
    for (size_t i = 0; i < KW_CALL_LEGS; i++)
        forget_leg(gateway, &call->legs[i]);
    forget_routes(gateway, call);
    kw_relay_leave(gateway, call);
    kw_heap_set(&gateway->heap, number, KW_NEVER);
    kw_fact_release(gateway, &call->owed);
    if (call->has_session)
        kw_session_deinit(call->session);
    call->tenant->calls--;
    gateway->call_count--;

    kw_wipe(call, sizeof *call);
    call->number = number;
    call->session_mem = session_mem;
    call->is_dirty = is_dirty;
    call->next_dirty = next_dirty;
    call->next_free = gateway->free_first;
    gateway->free_first = number;
}
