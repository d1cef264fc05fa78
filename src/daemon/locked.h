/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_LOCKED_H
#define KW_DAEMON_LOCKED_H

/* Where everything secret lives: the gateway, its buffers, the tokens, all of libcrypto. */

#include "daemon/config.h"
#include "sys/arena.h"

/*
 * Opens the arena and hands libcrypto to it; before anything else touches libcrypto. Logs what the
 * operator must know. The demo goes on without a lock, and says so; a policy may forbid it.
 */
KW_MUST_USE enum kw_status kw_memory_open(const struct kw_config *config, size_t size,
                                          struct kw_arena **ret, bool *locked_ret);
/* 64-byte aligned and zeroed; NULL when there is none. Never given back: the process ends first. */
KW_MUST_USE void *kw_memory_take(struct kw_arena *arena, size_t size);

#endif
