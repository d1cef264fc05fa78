/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, and what a test says of a call in one line. */
#include "check.h"
#include "gateway/state.h"
#include "gateway/world.h"

#include <string.h>

int world_request(struct world *world, enum kw_request_method method, const char *path,
                  const char *token, const char *type, const void *body, size_t body_len)
{
    struct kw_request *request = &world->request;

    request->completion = 7;
    request->method = method;
    strcpy(request->path, path);
    strcpy(request->token, token);
    strcpy(request->content_type, type);
    request->remote = world_address(203, 0, 113, 9, 4711);
    strcpy(request->user_agent, "world");
    request->body_len = body_len;
    if (body_len != 0)
        memcpy(request->body, body, body_len);
    request->body[body_len] = 0;
    kw_control_handle(world->gateway, request, world->now, world_utc(world), &world->response);
    assert_int_equal(world->response.completion, 7);
    request->if_match[0] = '\0';
    return world->response.status;
}

const char *world_header(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->response.header_count; i++) {
        if (strcmp(world->response.headers[i].name, name) == 0)
            return world->response.headers[i].value;
    }
    return "";
}

int world_post(struct world *world, const char *path, struct peer **ret)
{
    size_t offer_len;
    struct peer *peer = world_peer(world, &offer_len);
    int status = world_request(world, KW_REQUEST_POST, path, "demo-token", "application/sdp",
                               world->offer, offer_len);

    if (ret != NULL)
        *ret = peer;
    if (status != 201) {
        peer->has_ended = true;
        return status;
    }
    strcpy(peer->location, world_header(world, "Location"));
    strcpy(peer->etag, world_header(world, "ETag"));
    world_answer(world, peer);
    return status;
}

int world_call(struct world *world, struct peer **ret)
{
    return world_post(world, "/v1/calls", ret);
}

bool world_newest_is_up(struct world *world)
{
    return world->peers[world->peer_count - 1].is_up;
}

bool world_is_empty(struct world *world)
{
    return kw_gateway_call_count(world->gateway) == 0;
}

bool world_has_rotated(struct world *world)
{
    return world_facts(world, KW_FACT_ROTATED) >= 1;
}

struct kw_session *world_session(const struct world *world)
{
    return world->gateway->calls[0].session;
}

int world_order_rotation(struct world *world, const struct peer *peer)
{
    char path[300];

    snprintf(path, sizeof path, "%s/rotate", peer->location);
    return world_request(world, KW_REQUEST_POST, path, "demo-token", "", NULL, 0);
}

struct peer *world_up(struct world *world)
{
    struct peer *peer;

    assert_int_equal(world_call(world, &peer), 201);
    CHECK(world_until(world, world_newest_is_up, KW_S(10)), "no call, seed %llu",
          (unsigned long long)world->config.seed);
    return peer;
}

int world_add(struct world *world, const struct peer *old, struct peer **ret)
{
    char path[300];
    int status;

    snprintf(path, sizeof path, "%s/generations", old->location);
    status = world_post(world, path, ret);
    strcpy((*ret)->location, old->location);
    return status;
}

void world_hang_up(struct world *world, struct peer *peer)
{
    peer->media_until = 0;
    kw_session_close(peer->session, world->now);
    peer->has_ended = true;
}

struct peer *world_rotate(struct world *world, struct peer *old, kw_ns both)
{
    struct peer *peer;

    assert_int_equal(world_add(world, old, &peer), 201);
    assert_true(world_until(world, world_newest_is_up, KW_S(5)));
    world_run(world, world->now + both);
    world_hang_up(world, old);
    world_run(world, world->now + KW_S(12) - both); /* the overlap is 10 s */
    return peer;
}

bool world_status_has(struct world *world, const struct peer *peer, const char *text)
{
    if (world_request(world, KW_REQUEST_GET, peer->location, "demo-token", "", NULL, 0) != 200)
        return false;
    world->response.body[world->response.body_len] = 0;
    return strstr((const char *)world->response.body, text) != NULL;
}
