/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The large state of generations: a pool of blocks and a pool of ICE agents.
 *
 *      block = | what a living generation needs | association | receive keys | send keys |
 *
 * A session has one block nearly all its life and two for some seconds of each rotation. Places are
 * counted in two kinds, so that rotations never take what new sessions are promised: the first
 * block of a session is one of `sessions`, any other is one of `rotations`.
 */
#include "session/session.h"

#include <string.h>

enum { BLOCK_ALIGN = KW_POOL_ALIGN };

static size_t round_up(size_t size)
{
    return (size + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

static size_t block_size(size_t ssrc_max)
{
    return round_up(sizeof(struct kw_engines)) + round_up(kw_dtls_size()) +
           2 * round_up(kw_srtp_size(ssrc_max));
}

static size_t block_count(const struct kw_session_pool_config *config)
{
    return config->sessions + config->rotations;
}

static size_t agent_count(const struct kw_session_pool_config *config)
{
    return config->has_ice ? block_count(config) : 0;
}

size_t kw_session_pool_size(const struct kw_session_pool_config *config)
{
    return round_up(sizeof(struct kw_session_pool)) +
           kw_pool_size(block_size(config->ssrc_max), block_count(config)) +
           kw_pool_size(kw_ice_size(), agent_count(config));
}

struct kw_session_pool *kw_session_pool_init(void *mem, const struct kw_session_pool_config *config)
{
    struct kw_session_pool *pool = mem;
    uint8_t *blocks = (uint8_t *)mem + round_up(sizeof *pool);
    uint8_t *agents = blocks + kw_pool_size(block_size(config->ssrc_max), block_count(config));

    KW_ASSERT((uintptr_t)mem % BLOCK_ALIGN == 0);
    KW_ASSERT(config->ssrc_max != 0 && config->ssrc_max <= KW_SRTP_SSRC_MAX);
    *pool = (struct kw_session_pool){.config = *config};
    kw_pool_init(&pool->blocks, blocks, block_size(config->ssrc_max), block_count(config));
    kw_pool_init(&pool->agents, agents, kw_ice_size(), agent_count(config));
    return pool;
}

void kw_session_pool_usage(const struct kw_session_pool *pool, struct kw_session_pool_usage *ret)
{
    *ret = pool->usage;
}

bool kw_session_pool_fits(const struct kw_session_pool *pool, size_t ssrc_max)
{
    return ssrc_max <= pool->config.ssrc_max;
}

/* One more place for this session; false: there is none of its kind. */
static bool book(struct kw_session_pool *pool, struct kw_session *session)
{
    bool is_first = session->block_count == 0;
    size_t *used = is_first ? &pool->usage.sessions : &pool->usage.rotations;

    if (*used == (is_first ? pool->config.sessions : pool->config.rotations)) {
        if (!is_first)
            pool->usage.postponed++;
        return false;
    }
    ++*used;
    session->block_count++;
    return true;
}

static void unbook(struct kw_session_pool *pool, struct kw_session *session)
{
    --session->block_count;
    if (session->block_count == 0)
        pool->usage.sessions--;
    else
        pool->usage.rotations--;
}

enum kw_status kw_engines_take(struct kw_session *session, struct kw_generation *gen)
{
    struct kw_session_pool *pool = session->shared->pool;
    uint8_t *at;

    KW_ASSERT(gen->engines == NULL);
    if (!book(pool, session))
        return KW_ERR_MEMORY;
    at = kw_pool_take(&pool->blocks);
    KW_ASSERT(at != NULL); /* every place has its block */
    gen->engines = (struct kw_engines *)(void *)at;
    at += round_up(sizeof *gen->engines);
    gen->engines->dtls_mem = at;
    at += round_up(kw_dtls_size());
    gen->engines->in_mem = at;
    at += round_up(kw_srtp_size(session->ssrc_max));
    gen->engines->out_mem = at;
    return KW_OK;
}

void kw_engines_give(struct kw_session *session, struct kw_generation *gen)
{
    struct kw_session_pool *pool = session->shared->pool;

    if (gen->engines == NULL)
        return;
    KW_ASSERT(gen->dtls == NULL && gen->ice == NULL && gen->in == NULL && gen->out == NULL);
    kw_pool_give(&pool->blocks, gen->engines);
    gen->engines = NULL;
    unbook(pool, session);
}

void *kw_agent_take(struct kw_session *session)
{
    return kw_pool_take(&session->shared->pool->agents);
}

void kw_agent_give(struct kw_session *session, struct kw_ice *ice)
{
    if (ice == NULL)
        return;
    kw_ice_deinit(ice);
    kw_pool_give(&session->shared->pool->agents, ice);
}
