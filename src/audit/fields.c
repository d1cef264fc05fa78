/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row per field, in canonical order. A change here changes what is hashed: a new field stands at
 * the end, with the KW_FACT_VERSION that brought it.
 */
#include "audit/fields.h"

#include "base/assert.h"

#define FIELD_SINCE(version, member, field_kind, field_name)                                       \
    {                                                                                              \
        .name = (field_name), .kind = (field_kind), .offset = offsetof(struct kw_fact, u.member),  \
        .since = (version)                                                                         \
    }
#define FIELD(member, field_kind, field_name) FIELD_SINCE(1, member, field_kind, field_name)

static const struct kw_field opened[] = {
    FIELD(opened.policy, KW_FIELD_TEXT, "policy"),
    FIELD(opened.backend, KW_FIELD_TEXT, "backend"),
    FIELD(opened.method, KW_FIELD_TEXT, "method"),
    FIELD(opened.remote, KW_FIELD_TEXT, "remote"),
    FIELD(opened.user_agent, KW_FIELD_TEXT, "user_agent"),
    FIELD(opened.limit_seconds, KW_FIELD_U64, "limit_seconds"),
    FIELD(opened.limit_bytes, KW_FIELD_U64, "limit_bytes"),
};

static const struct kw_field established[] = {
    FIELD(established.version, KW_FIELD_DTLS_VERSION, "dtls_version"),
    FIELD(established.server, KW_FIELD_BOOL, "server"),
    FIELD(established.suite, KW_FIELD_SUITE, "suite"),
    FIELD(established.group, KW_FIELD_GROUP, "group"),
    FIELD(established.our_scheme, KW_FIELD_SIGSCHEME, "our_scheme"),
    FIELD(established.peer_scheme, KW_FIELD_SIGSCHEME, "peer_scheme"),
    FIELD(established.srtp_profile, KW_FIELD_PROFILE, "srtp_profile"),
    FIELD(established.peer_fingerprint, KW_FIELD_FINGERPRINT, "peer_fingerprint"),
    FIELD(established.our_fingerprint, KW_FIELD_FINGERPRINT, "our_fingerprint"),
    FIELD(established.retried, KW_FIELD_BOOL, "retried"),
    FIELD(established.method, KW_FIELD_TEXT, "method"),
    FIELD(established.kernel, KW_FIELD_TEXT, "kernel"),
    FIELD(established.provider, KW_FIELD_TEXT, "provider"),
    FIELD(established.path, KW_FIELD_TEXT, "path"),
    FIELD(established.datagrams, KW_FIELD_U32, "datagrams"),
    FIELD(established.retransmissions, KW_FIELD_U32, "retransmissions"),
    FIELD(established.duration_us, KW_FIELD_U64, "duration_us"),
};

static const struct kw_field rotated[] = {
    FIELD(rotated.from, KW_FIELD_U32, "from"),
    FIELD(rotated.method, KW_FIELD_TEXT, "method"),
    FIELD(rotated.reason, KW_FIELD_TEXT, "reason"),
    FIELD(rotated.negotiation_us, KW_FIELD_U64, "negotiation_us"),
    FIELD(rotated.switch_us, KW_FIELD_U64, "switch_us"),
    FIELD(rotated.overlap_us, KW_FIELD_U64, "overlap_us"),
    FIELD(rotated.old_packets, KW_FIELD_U64, "old_packets"),
    FIELD(rotated.new_packets, KW_FIELD_U64, "new_packets"),
    FIELD(rotated.lost, KW_FIELD_U64, "lost"),
    FIELD(rotated.old_bytes, KW_FIELD_U64, "old_bytes"),
    FIELD(rotated.old_age_us, KW_FIELD_U64, "old_age_us"),
    FIELD_SINCE(2, rotated.audio_cut, KW_FIELD_TEXT, "audio_cut"),
    FIELD_SINCE(2, rotated.audio_error_us, KW_FIELD_I64, "audio_error_us"),
    FIELD_SINCE(2, rotated.audio_wait_us, KW_FIELD_U64, "audio_wait_us"),
    FIELD_SINCE(2, rotated.video_cut, KW_FIELD_TEXT, "video_cut"),
    FIELD_SINCE(2, rotated.video_wait_us, KW_FIELD_U64, "video_wait_us"),
};

static const struct kw_field exception[] = {
    FIELD(exception.name, KW_FIELD_TEXT, "name"),
    FIELD(exception.what, KW_FIELD_TEXT, "what"),
};

static const struct kw_field refused[] = {
    FIELD(refused.rule, KW_FIELD_TEXT, "rule"),
    FIELD(refused.remote, KW_FIELD_TEXT, "remote"),
    FIELD(refused.alert, KW_FIELD_TEXT, "alert"),
    FIELD(refused.offered_suites, KW_FIELD_SUITES, "offered_suites"),
    FIELD(refused.offered_groups, KW_FIELD_GROUPS, "offered_groups"),
    FIELD(refused.offered_profiles, KW_FIELD_PROFILES, "offered_profiles"),
    FIELD_SINCE(2, refused.count, KW_FIELD_U64, "count"),
    FIELD_SINCE(2, refused.span_us, KW_FIELD_U64, "span_us"),
};

static const struct kw_field overdue[] = {
    FIELD(overdue.beyond_us, KW_FIELD_U64, "beyond_us"),
};

static const struct kw_field closed[] = {
    FIELD(closed.reason, KW_FIELD_TEXT, "reason"),
    FIELD(closed.duration_us, KW_FIELD_U64, "duration_us"),
    FIELD(closed.packets_sent, KW_FIELD_U64, "packets_sent"),
    FIELD(closed.packets_received, KW_FIELD_U64, "packets_received"),
    FIELD(closed.bytes_sent, KW_FIELD_U64, "bytes_sent"),
    FIELD(closed.bytes_received, KW_FIELD_U64, "bytes_received"),
    FIELD(closed.lost, KW_FIELD_U64, "lost"),
    FIELD(closed.auth_failures, KW_FIELD_U64, "auth_failures"),
    FIELD(closed.replays, KW_FIELD_U64, "replays"),
};

#define LAYOUT(fact_type, fact_name, table)                                                        \
    {                                                                                              \
        .type = (fact_type), .name = (fact_name), .fields = (table),                               \
        .field_count = KW_ARRAY_LEN(table)                                                         \
    }

static const struct kw_fact_layout layouts[] = {
    LAYOUT(KW_FACT_SESSION_OPENED, "session-opened", opened),
    LAYOUT(KW_FACT_GENERATION_ESTABLISHED, "generation-established", established),
    LAYOUT(KW_FACT_ROTATED, "rotated", rotated),
    LAYOUT(KW_FACT_EXCEPTION_USED, "exception-used", exception),
    LAYOUT(KW_FACT_REFUSED, "refused", refused),
    LAYOUT(KW_FACT_OVERDUE, "overdue", overdue),
    LAYOUT(KW_FACT_SESSION_CLOSED, "session-closed", closed),
};

const struct kw_fact_layout *kw_fact_layout(enum kw_fact_type type)
{
    for (size_t i = 0; i < KW_ARRAY_LEN(layouts); i++) {
        if (layouts[i].type == type)
            return &layouts[i];
    }
    return NULL;
}

const char *kw_fact_type_name(enum kw_fact_type type)
{
    const struct kw_fact_layout *layout = kw_fact_layout(type);

    return layout != NULL ? layout->name : "unknown";
}
