/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is shown of its call. Documented in docs/http-api.md; names are stable. */
#include "control/response.h"

#include "gateway/text.h"

static void write_fingerprint(struct kw_json *json, const char *name,
                              const struct kw_fingerprint *fingerprint)
{
    char text[KW_FINGERPRINT_TEXT_MAX];

    kw_fingerprint_format(fingerprint, text);
    kw_json_text(json, name, text);
}

static void write_counters(struct kw_json *json, const char *name,
                           const struct kw_srtp_counters *counters)
{
    kw_json_open(json, name, '{');
    kw_json_u64(json, "packets", counters->packets);
    kw_json_u64(json, "rtcpPackets", counters->rtcp_packets);
    kw_json_u64(json, "bytes", counters->bytes);
    kw_json_u64(json, "lost", counters->lost);
    kw_json_u64(json, "authFailures", counters->verdicts[KW_DROP_FORGED]);
    kw_json_u64(json, "replays", counters->verdicts[KW_DROP_REPLAY]);
    kw_json_close(json, '}');
}

static void write_path(struct kw_json *json, const struct kw_generation_facts *facts)
{
    char text[KW_ADDRESS_TEXT_MAX];

    if (!facts->has_path)
        return;
    kw_address_write(&facts->path.remote, text);
    kw_json_text(json, "remote", text);
    kw_address_write(&facts->path.local, text);
    kw_json_text(json, "local", text);
}

/* The members of a generation, inside an open object. */
static void write_facts(struct kw_json *json, const struct kw_generation_facts *facts)
{
    kw_json_u64(json, "generation", facts->number);
    kw_json_text(json, "method", kw_method_name(facts->method));
    kw_json_text(json, "reason", kw_reason_name(facts->reason));
    kw_json_text(json, "stage",
                 facts->retired != 0    ? "retired"
                 : facts->switched != 0 ? "switched"
                 : facts->ready != 0    ? "ready"
                                        : "negotiating");
    if (facts->ready != 0) {
        kw_json_text(json, "dtls", kw_dtls_version_name(facts->dtls.version));
        kw_json_text(json, "suite", kw_suite_name(facts->dtls.suite));
        kw_json_text(json, "group", kw_group_name(facts->dtls.group));
        kw_json_text(json, "srtp", kw_srtp_profile_name(facts->dtls.srtp_profile));
        write_fingerprint(json, "peerFingerprint", &facts->dtls.peer_fingerprint);
        kw_json_bool(json, "retried", facts->dtls.retried);
        kw_json_u64(json, "retransmissions", facts->dtls.retransmissions);
        kw_json_ms(json, "handshakeMs", facts->dtls.duration);
        kw_json_text(json, "kernel", facts->kernel);
    }
    write_fingerprint(json, "ourFingerprint", &facts->our_fingerprint);
    write_path(json, facts);
    if (facts->rtt != 0)
        kw_json_ms(json, "pathRttMs", facts->rtt);
    kw_json_u64(json, "keyBytes", facts->sent.bytes + facts->received.bytes);
    kw_json_u64(json, "lostAcrossSwitch", facts->lost_across_switch);
    write_counters(json, "sent", &facts->sent);
    write_counters(json, "received", &facts->received);
}

static void write_rotation(struct kw_json *json, const struct kw_call_status *status)
{
    const struct kw_rotation_policy *rotation = &status->rotation;

    kw_json_open(json, "rotation", '{');
    kw_json_text(json, "method", kw_method_name(status->method));
    kw_json_seconds(json, "limitSeconds", rotation->period);
    kw_json_u64(json, "limitBytes", rotation->bytes);
    kw_json_text(json, "atLimit", rotation->at_limit == KW_AT_LIMIT_CLOSE ? "close" : "grace");
    if (status->has_due)
        kw_json_seconds(json, "dueInSeconds", status->due_in);
    kw_json_close(json, '}');
}

static void write_status(struct kw_json *json, const struct kw_call_status *status)
{
    kw_json_open(json, NULL, '{');
    kw_json_text(json, "id", status->id);
    kw_json_text(json, "tenant", status->tenant);
    kw_json_text(json, "state", status->state);
    kw_json_text(json, "backend", status->backend);
    kw_json_seconds(json, "ageSeconds", status->age);
    write_rotation(json, status);
    kw_json_u64(json, "packetsIn", status->packets_in);
    kw_json_u64(json, "packetsOut", status->packets_out);
    kw_json_u64(json, "lostIn", status->lost_in);
    kw_json_u64(json, "lostOut", status->lost_out);
    if (status->rtt != 0)
        kw_json_ms(json, "rttMs", status->rtt);
    kw_json_open(json, "generations", '[');
    for (size_t i = 0; i < status->generation_count; i++) {
        kw_json_open(json, NULL, '{');
        kw_json_bool(json, "current", status->generations[i].is_current);
        kw_json_seconds(json, "keyAgeSeconds", status->generations[i].age);
        write_facts(json, &status->generations[i].facts);
        kw_json_close(json, '}');
    }
    kw_json_close(json, ']');
    kw_json_close(json, '}');
}

size_t kw_status_write(const struct kw_call_status *status, uint8_t *dst, size_t dst_size)
{
    struct kw_json json = kw_json_of(dst, dst_size);

    write_status(&json, status);
    return json.out.failed ? 0 : json.out.len;
}

static const char *event_name(const struct kw_call_event *event)
{
    if (event->is_first)
        return "state";
    switch (event->what.type) {
    case KW_SESSION_EVENT_NONE:
        break;
    case KW_SESSION_EVENT_PATH:
        return "path";
    case KW_SESSION_EVENT_READY:
        return "ready";
    case KW_SESSION_EVENT_SWITCHED:
        return "switched";
    case KW_SESSION_EVENT_DUE:
        return "due";
    case KW_SESSION_EVENT_RETIRED:
        return "retired";
    case KW_SESSION_EVENT_FAILED:
        return "failed";
    case KW_SESSION_EVENT_OVERDUE:
        return "overdue";
    case KW_SESSION_EVENT_CLOSED:
        return "closed";
    }
    return "none";
}

static void write_data(struct kw_json *json, const struct kw_call_event *event,
                       const struct kw_generation_facts *facts)
{
    const struct kw_session_event *what = &event->what;

    kw_json_open(json, NULL, '{');
    kw_json_u64(json, "time", (uint64_t)event->utc);
    kw_json_u64(json, "generation", what->generation);
    kw_json_text(json, "reason", kw_reason_name(what->reason));
    if (what->type == KW_SESSION_EVENT_DUE)
        kw_json_text(json, "method", kw_method_name(event->method));
    if (what->type == KW_SESSION_EVENT_FAILED || what->type == KW_SESSION_EVENT_CLOSED) {
        kw_json_text(json, "dtlsEnd", kw_dtls_end_name(what->end));
        if (what->alert != KW_ALERT_NONE)
            kw_json_text(json, "alert", kw_alert_name(what->alert));
    }
    if (what->type == KW_SESSION_EVENT_CLOSED)
        kw_json_text(json, "end", kw_session_end_name(what->session_end));
    if (facts != NULL) {
        kw_json_open(json, "facts", '{');
        write_facts(json, facts);
        kw_json_close(json, '}');
    }
    kw_json_close(json, '}');
}

/*
 * One event of a stream (WHATWG HTML, server-sent events). JSON is one line, because control
 * characters are escaped. A sign of life is a comment.
 */
size_t kw_event_write(const struct kw_call_event *event, const struct kw_generation_facts *facts,
                      const struct kw_call_status *status, uint8_t *dst, size_t dst_size)
{
    struct kw_json json = kw_json_of(dst, dst_size);
    char number[21];

    if (event->is_alive) {
        kw_json_raw(&json, ":\n\n");
        return json.out.failed ? 0 : json.out.len;
    }
    kw_json_raw(&json, "event: ");
    kw_json_raw(&json, event_name(event));
    if (event->number != 0) {
        kw_decimal_write(event->number, number);
        kw_json_raw(&json, "\nid: ");
        kw_json_raw(&json, number);
    }
    kw_json_raw(&json, "\ndata: ");
    if (status != NULL)
        write_status(&json, status);
    else
        write_data(&json, event, facts);
    kw_json_raw(&json, "\n\n");
    return json.out.failed ? 0 : json.out.len;
}
