/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests become commands. A path names a resource, a resource has a row of methods; what is not
 * in the row is 405 with the row as Allow. RFC 9725 is followed for both front doors:
 * /whip/{tenant} is WHIP, /v1/calls is the same with media both ways.
 */
#include "control/response.h"

#include "base/assert.h"
#include "gateway/text.h"

#include <string.h>

enum { PARTS_MAX = 5, LINK_MAX = 256 };

enum resource {
    RESOURCE_NONE = 0,
    RESOURCE_WHIP,        /* /whip/{tenant} */
    RESOURCE_WHIP_CALL,   /* /whip/{tenant}/{id} */
    RESOURCE_CALLS,       /* /v1/calls, /v1/rooms/{room}/calls */
    RESOURCE_CALL,        /* /v1/calls/{id} */
    RESOURCE_EVENTS,      /* {call}/events */
    RESOURCE_GENERATIONS, /* {call}/generations: parallel */
    RESOURCE_RESTART,     /* {call}/restart: the same connection restarts its DTLS */
    RESOURCE_ROTATE,      /* {call}/rotate */
};

/* What a request is about. Views point into the request's path. */
struct target {
    enum resource resource;
    struct kw_bytes tenant; /* WHIP only */
    struct kw_bytes id;
    struct kw_bytes room; /* /v1/rooms/{room}/calls only */
    bool is_whip;
};

struct command {
    struct kw_gateway *gateway;
    const struct kw_request *request;
    const struct target *target;
    struct kw_tenant *tenant;
    struct kw_call *call; /* of the resource, when it names one */
    kw_ns now;
    kw_utc_ms utc;
    struct kw_response *ret;
};

/* --- paths ------------------------------------------------------------------------------------ */

static bool is_text(struct kw_bytes part, const char *text)
{
    return part.len != 0 && part.len == kw_text_len(text) && memcmp(part.data, text, part.len) == 0;
}

/* Splits at every slash; an empty part makes the path unknown. 0: too many, or empty ones. */
static size_t split(const char *path, struct kw_bytes parts[PARTS_MAX])
{
    size_t count = 0;
    const char *at = path;

    if (*at++ != '/')
        return 0;
    while (count < PARTS_MAX) {
        const char *start = at;

        while (*at != '\0' && *at != '/')
            at++;
        if (at == start)
            return 0;
        parts[count++] = (struct kw_bytes){(const uint8_t *)start, (size_t)(at - start)};
        if (*at++ == '\0')
            return count;
    }
    return 0;
}

static enum resource part_of_call(struct kw_bytes part, bool is_whip)
{
    if (is_text(part, "events"))
        return RESOURCE_EVENTS;
    if (is_whip)
        return RESOURCE_NONE;
    if (is_text(part, "generations"))
        return RESOURCE_GENERATIONS;
    if (is_text(part, "restart"))
        return RESOURCE_RESTART;
    if (is_text(part, "rotate"))
        return RESOURCE_ROTATE;
    return RESOURCE_NONE;
}

static struct target target_of(const char *path)
{
    struct kw_bytes parts[PARTS_MAX];
    size_t count = split(path, parts);
    struct target target = {.resource = RESOURCE_NONE};

    if (count < 2)
        return target;
    target.is_whip = is_text(parts[0], "whip");
    if (count == 4 && is_text(parts[0], "v1") && is_text(parts[1], "rooms") &&
        is_text(parts[3], "calls")) {
        target.resource = RESOURCE_CALLS;
        target.room = parts[2];
        return target;
    }
    if (!target.is_whip && !(is_text(parts[0], "v1") && is_text(parts[1], "calls")))
        return target;
    if (target.is_whip)
        target.tenant = parts[1];
    if (count >= 3)
        target.id = parts[2];
    if (count == 2)
        target.resource = target.is_whip ? RESOURCE_WHIP : RESOURCE_CALLS;
    else if (count == 3)
        target.resource = target.is_whip ? RESOURCE_WHIP_CALL : RESOURCE_CALL;
    else if (count == 4)
        target.resource = part_of_call(parts[3], target.is_whip);
    return target;
}

static bool has_call(enum resource resource)
{
    return resource != RESOURCE_NONE && resource != RESOURCE_WHIP && resource != RESOURCE_CALLS;
}

/* The type without its parameters, any case (RFC 9110, section 8.3.1). */
static bool is_type(const char *content_type, const char *wanted)
{
    size_t i = 0;

    for (; wanted[i] != '\0'; i++) {
        char c = content_type[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != wanted[i])
            return false;
    }
    return content_type[i] == '\0' || content_type[i] == ';' || content_type[i] == ' ' ||
           content_type[i] == '\t';
}

/* --- headers of a call ------------------------------------------------------------------------ */

struct text {
    char at[LINK_MAX];
    size_t len;
};

static void add(struct text *text, const char *part)
{
    kw_text_copy(text->at + text->len, sizeof text->at - text->len, part);
    text->len += kw_text_len(text->at + text->len);
}

static void add_url(struct text *text, const struct command *command, const struct kw_call *call)
{
    char id[KW_CALL_ID_TEXT];

    kw_call_id_write(call, id);
    if (command->target->is_whip) {
        add(text, "/whip/");
        add(text, kw_tenant_name(command->tenant));
        add(text, "/");
    } else {
        add(text, "/v1/calls/");
    }
    add(text, id);
}

static void link_header(const struct command *command, const struct kw_call *call, const char *part,
                        const char *rel)
{
    struct text text = {.len = 0};

    add(&text, "<");
    add_url(&text, command, call);
    add(&text, part);
    add(&text, ">; rel=\"");
    add(&text, rel);
    add(&text, "\"");
    kw_response_header(command->ret, "Link", text.at);
}

/* How its keys will change, told from the beginning: "parallel; seconds=3600; bytes=1000000000". */
static void rotation_header(const struct command *command, const struct kw_call *call)
{
    const struct kw_rotation_policy *rotation = kw_call_rotation(call);
    struct text text = {.len = 0};
    char number[21];

    add(&text, kw_method_name(kw_call_method(call)));
    add(&text, "; seconds=");
    kw_decimal_write(rotation->period / KW_S(1), number);
    add(&text, number);
    add(&text, "; bytes=");
    kw_decimal_write(rotation->bytes, number);
    add(&text, number);
    add(&text, rotation->at_limit == KW_AT_LIMIT_CLOSE ? "; at-limit=close" : "; at-limit=grace");
    kw_response_header(command->ret, "Keywheel-Rotation", text.at);
}

static void etag_header(const struct command *command, struct kw_call *call)
{
    char etag[KW_CALL_ETAG_TEXT];

    kw_call_etag_write(call, etag);
    kw_response_header(command->ret, "ETag", etag);
}

static void body(struct kw_response *ret, const char *type, const struct kw_call_answer *answer)
{
    kw_text_copy(ret->content_type, sizeof ret->content_type, type);
    memcpy(ret->body, answer->text, answer->len);
    ret->body_len = answer->len;
}

/* --- commands --------------------------------------------------------------------------------- */

static struct kw_bytes body_of(const struct kw_request *request)
{
    return (struct kw_bytes){request->body, request->body_len};
}

static bool require_type(const struct command *command, const char *type)
{
    if (is_type(command->request->content_type, type))
        return true;
    if (command->request->method == KW_REQUEST_PATCH)
        kw_response_header(command->ret, "Accept-Patch", type); /* RFC 5789, section 2.2 */
    else
        kw_response_header(command->ret, "Accept-Post", type);
    kw_response_problem(command->ret, 415, "the body must be of the type that this resource takes",
                        NULL, 0);
    return false;
}

static void open_call(const struct command *command)
{
    const struct kw_call_offer offer = {
        .profile = command->target->is_whip ? KW_SDP_WHIP : KW_SDP_CALL,
        .body = body_of(command->request),
        .room = command->target->room,
        .remote = &command->request->remote,
        .user_agent = command->request->user_agent,
    };
    struct text location = {.len = 0};
    struct kw_call_answer answer;

    if (!require_type(command, "application/sdp"))
        return;
    kw_call_open(command->gateway, command->tenant, &offer, command->now, command->utc, &answer);
    if (answer.outcome != KW_CALL_OK) {
        kw_response_outcome(command->ret, &answer);
        return;
    }
    command->ret->status = 201;
    add_url(&location, command, answer.call);
    kw_response_header(command->ret, "Location", location.at);
    etag_header(command, answer.call);
    kw_response_header(command->ret, "Accept-Patch", "application/trickle-ice-sdpfrag");
    rotation_header(command, answer.call);
    link_header(command, answer.call, "/events", "urn:keywheel:events");
    if (!command->target->is_whip)
        link_header(command, answer.call, "/generations", "urn:keywheel:generations");
    body(command->ret, "application/sdp", &answer);
}

static void patch_call(const struct command *command)
{
    struct kw_call_answer answer;

    if (!require_type(command, "application/trickle-ice-sdpfrag"))
        return;
    kw_call_patch(command->gateway, command->call, body_of(command->request),
                  command->request->if_match, command->now, &answer);
    if (answer.outcome != KW_CALL_OK) {
        kw_response_outcome(command->ret, &answer);
        return;
    }
    /* RFC 9725, section 4.3.2: 204 without a body and without an ETag. */
    command->ret->status = 204;
    if (!answer.has_body)
        return;
    command->ret->status = 200;
    etag_header(command, command->call);
    body(command->ret, "application/trickle-ice-sdpfrag", &answer);
}

static void delete_call(const struct command *command)
{
    kw_call_hang_up(command->gateway, command->call, command->now);
    command->ret->status = 200;
}

static void show_call(const struct command *command)
{
    struct kw_call_status status;

    kw_call_status(command->gateway, command->call, command->now, &status);
    command->ret->status = 200;
    kw_text_copy(command->ret->content_type, sizeof command->ret->content_type, "application/json");
    command->ret->body_len =
        kw_status_write(&status, command->ret->body, sizeof command->ret->body);
}

/* RFC 9725, section 4.1: "MUST return a 2XX successful response with no content". */
static void show_nothing(const struct command *command)
{
    command->ret->status = 204;
}

static void listen_to_call(const struct command *command)
{
    uint64_t stream = kw_call_listen(command->gateway, command->call, command->now);

    if (stream == 0) {
        kw_response_header_u64(command->ret, "Retry-After", 5);
        kw_response_problem(command->ret, 503, "this call has enough listeners", "listeners", 0);
        return;
    }
    command->ret->status = 200;
    kw_text_copy(command->ret->content_type, sizeof command->ret->content_type,
                 "text/event-stream");
    kw_response_header(command->ret, "Cache-Control", "no-store");
    command->ret->stream = stream;
}

static void add_generation(const struct command *command)
{
    enum kw_method method =
        command->target->resource == RESOURCE_RESTART ? KW_METHOD_RESTART : KW_METHOD_PARALLEL;
    struct kw_call_answer answer;

    if (!require_type(command, "application/sdp"))
        return;
    kw_call_add_generation(command->gateway, command->call, method, body_of(command->request),
                           command->now, command->utc, &answer);
    if (answer.outcome != KW_CALL_OK) {
        kw_response_outcome(command->ret, &answer);
        return;
    }
    command->ret->status = 201;
    etag_header(command, command->call);
    kw_response_header_u64(command->ret, "Keywheel-Generation", answer.generation);
    body(command->ret, "application/sdp", &answer);
}

static void rotate_call(const struct command *command)
{
    if (kw_call_method(command->call) == KW_METHOD_CAP) {
        kw_response_problem(command->ret, 409, "the keys of this call cannot change", "cap", 0);
        return;
    }
    kw_call_rotate(command->gateway, command->call, command->now);
    command->ret->status = 202;
}

static const struct {
    enum resource resource;
    enum kw_request_method method;
    void (*run)(const struct command *command);
    const char *allow; /* of the resource */
} rows[] = {
    {RESOURCE_WHIP, KW_REQUEST_POST, open_call, "GET, POST, OPTIONS"},
    {RESOURCE_WHIP, KW_REQUEST_GET, show_nothing, "GET, POST, OPTIONS"},
    {RESOURCE_WHIP_CALL, KW_REQUEST_PATCH, patch_call, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_WHIP_CALL, KW_REQUEST_DELETE, delete_call, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_WHIP_CALL, KW_REQUEST_GET, show_nothing, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_CALLS, KW_REQUEST_POST, open_call, "POST, OPTIONS"},
    {RESOURCE_CALL, KW_REQUEST_GET, show_call, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_CALL, KW_REQUEST_PATCH, patch_call, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_CALL, KW_REQUEST_DELETE, delete_call, "GET, PATCH, DELETE, OPTIONS"},
    {RESOURCE_EVENTS, KW_REQUEST_GET, listen_to_call, "GET, OPTIONS"},
    {RESOURCE_GENERATIONS, KW_REQUEST_POST, add_generation, "POST, OPTIONS"},
    {RESOURCE_RESTART, KW_REQUEST_POST, add_generation, "POST, OPTIONS"},
    {RESOURCE_ROTATE, KW_REQUEST_POST, rotate_call, "POST, OPTIONS"},
};

static void not_found(struct kw_response *ret)
{
    kw_response_problem(ret, 404, "there is nothing here", NULL, 0);
}

/* Whose it is decides before what may be done: another tenant's call does not exist. */
static bool find_call(struct command *command)
{
    char id[KW_CALL_ID_TEXT];

    if (command->target->is_whip &&
        !is_text(command->target->tenant, kw_tenant_name(command->tenant)))
        return false;
    if (!has_call(command->target->resource))
        return true;
    if (command->target->id.len >= sizeof id)
        return false;
    kw_text_copy_bytes(id, sizeof id, command->target->id);
    command->call = kw_call_find(command->gateway, command->tenant, id);
    return command->call != NULL &&
           (kw_call_profile(command->call) == KW_SDP_WHIP) == command->target->is_whip;
}

static void run(struct command *command)
{
    const char *allow = "";

    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        if (rows[i].resource != command->target->resource)
            continue;
        if (rows[i].method == command->request->method) {
            rows[i].run(command);
            return;
        }
        allow = rows[i].allow;
    }
    kw_response_not_allowed(command->ret, allow);
}

void kw_control_handle(struct kw_gateway *gateway, const struct kw_request *request, kw_ns now,
                       kw_utc_ms utc, struct kw_response *ret)
{
    struct target target = target_of(request->path);
    struct command command = {
        .gateway = gateway,
        .request = request,
        .target = &target,
        .now = now,
        .utc = utc,
        .ret = ret,
    };

    kw_response_begin(request, 500, ret);
    if (target.resource == RESOURCE_NONE) {
        not_found(ret);
        return;
    }
    command.tenant = kw_gateway_authorise(gateway, request->token);
    if (command.tenant == NULL) {
        kw_response_header(ret, "WWW-Authenticate", "Bearer");
        kw_response_problem(ret, 401, "a bearer token of a tenant is needed", NULL, 0);
        return;
    }
    if (!find_call(&command)) {
        not_found(ret);
        return;
    }
    run(&command);
}

/* --- event streams ---------------------------------------------------------------------------- */

void kw_control_stream_closed(struct kw_gateway *gateway, uint64_t stream)
{
    kw_call_unlisten(gateway, stream);
}

bool kw_control_next_push(struct kw_gateway *gateway, kw_ns now, struct kw_push *ret)
{
    struct kw_generation_facts facts;
    struct kw_call_status status;
    struct kw_call_event event;
    struct kw_call *call;
    bool has_facts;

    if (!kw_call_next_event(gateway, now, &ret->stream, &event, &call, &ret->end))
        return false;
    has_facts =
        call != NULL && !event.is_alive && kw_call_facts(call, event.what.generation, now, &facts);
    if (event.is_first)
        kw_call_status(gateway, call, now, &status);
    ret->len = kw_event_write(&event, has_facts ? &facts : NULL, event.is_first ? &status : NULL,
                              ret->data, sizeof ret->data);
    /* What does not fit is said without its figures. */
    if (ret->len == 0)
        ret->len = kw_event_write(&event, NULL, NULL, ret->data, sizeof ret->data);
    return true;
}
