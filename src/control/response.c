/* SPDX-License-Identifier: Apache-2.0 */
/* Every error has one shape, so that a client needs one reader. */
#include "control/response.h"

#include "base/assert.h"
#include "gateway/text.h"

#include <string.h>

/* The body is large: only what counts is set. */
void kw_response_begin(const struct kw_request *request, int status, struct kw_response *ret)
{
    ret->completion = request->completion;
    ret->status = status;
    ret->header_count = 0;
    ret->content_type[0] = '\0';
    ret->stream = 0;
    ret->body_len = 0;
}

void kw_response_header(struct kw_response *ret, const char *name, const char *value)
{
    KW_ASSERT(ret->header_count < KW_RESPONSE_HEADERS_MAX);
    kw_text_copy(ret->headers[ret->header_count].name, sizeof ret->headers[ret->header_count].name,
                 name);
    kw_text_copy(ret->headers[ret->header_count].value,
                 sizeof ret->headers[ret->header_count].value, value);
    ret->header_count++;
}

void kw_response_header_u64(struct kw_response *ret, const char *name, uint64_t value)
{
    char text[21];

    kw_decimal_write(value, text);
    kw_response_header(ret, name, text);
}

static const char *title_of(int status)
{
    switch (status) {
    case 400:
        return "Malformed request";
    case 401:
        return "No valid token";
    case 404:
        return "No such call";
    case 405:
        return "Method not allowed";
    case 406:
        return "No media in common";
    case 409:
        return "Not possible now";
    case 412:
        return "Another ICE session";
    case 415:
        return "Unsupported media type";
    case 422:
        return "Refused by a rule";
    case 428:
        return "If-Match is required";
    case 429:
        return "Too many requests";
    case 503:
        return "No room";
    default:
        return "Failure";
    }
}

void kw_response_problem(struct kw_response *ret, int status, const char *detail, const char *rule,
                         uint32_t line)
{
    struct kw_json json = kw_json_of(ret->body, sizeof ret->body);

    ret->status = status;
    kw_text_copy(ret->content_type, sizeof ret->content_type, "application/problem+json");
    kw_json_open(&json, NULL, '{');
    kw_json_text(&json, "title", title_of(status));
    kw_json_u64(&json, "status", (uint64_t)status);
    kw_json_text(&json, "detail", detail);
    if (rule != NULL && rule[0] != '\0')
        kw_json_text(&json, "rule", rule);
    if (line != 0)
        kw_json_u64(&json, "line", line);
    kw_json_close(&json, '}');
    KW_ASSERT(!json.out.failed);
    ret->body_len = json.out.len;
}

static void retry_later(struct kw_response *ret, int status, uint32_t seconds, const char *detail,
                        const char *rule)
{
    kw_response_header_u64(ret, "Retry-After", KW_MAX(1U, seconds));
    kw_response_problem(ret, status, detail, rule, 0);
}

void kw_response_outcome(struct kw_response *ret, const struct kw_call_answer *answer)
{
    const struct kw_sdp_problem *problem = &answer->problem;

    switch (answer->outcome) {
    case KW_CALL_OK:
        break;
    case KW_CALL_MALFORMED:
        kw_response_problem(ret, 400, problem->what, problem->rule, problem->line);
        return;
    case KW_CALL_REFUSED:
        kw_response_problem(ret, 422, problem->what, problem->rule, problem->line);
        return;
    case KW_CALL_NO_MEDIA:
        kw_response_problem(ret, 406, problem->what, problem->rule, problem->line);
        return;
    case KW_CALL_QUOTA:
        retry_later(ret, 429, answer->retry_after_s, "this tenant's quota of calls is used up",
                    "quota");
        return;
    case KW_CALL_TOO_OFTEN:
        retry_later(ret, 429, answer->retry_after_s,
                    "this call asks for another generation too often", "generation-quota");
        return;
    case KW_CALL_FULL:
        retry_later(ret, 503, answer->retry_after_s, "every place of this gateway is taken",
                    "gateway-full");
        return;
    case KW_CALL_DRAINING:
        retry_later(ret, 503, answer->retry_after_s, "this gateway is going down", "draining");
        return;
    case KW_CALL_UNRECORDED:
        retry_later(ret, 503, answer->retry_after_s,
                    "the audit cannot take another call, so there is none", "audit-full");
        return;
    case KW_CALL_ROOM_FULL:
        kw_response_problem(ret, 409, "two calls are in this room already", "room-full", 0);
        return;
    case KW_CALL_BACKEND_BUSY:
        retry_later(ret, 503, answer->retry_after_s, "the back end serves another call",
                    "backend-busy");
        return;
    case KW_CALL_CONFLICT:
        kw_response_problem(ret, 409, "this call cannot take another generation now", "conflict",
                            0);
        return;
    case KW_CALL_STALE:
        kw_response_problem(ret, 412, "If-Match names an ICE session that is over", NULL, 0);
        return;
    case KW_CALL_UNNAMED:
        kw_response_problem(ret, 428, "If-Match must name the ICE session, or be * for a restart",
                            NULL, 0);
        return;
    case KW_CALL_FAILED:
        break;
    }
    kw_response_problem(ret, 500, "the gateway could not carry this out", NULL, 0);
}

void kw_response_not_allowed(struct kw_response *ret, const char *allow)
{
    kw_response_header(ret, "Allow", allow);
    kw_response_problem(ret, 405, "this resource does not know that method", NULL, 0);
}
