/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of handshakes, which all associations of a worker share.
 *
 *     pool          | handshake | handshake | transcript of 1.2 | free | free ...
 *     half hellos   oldest <-> ... <-> newest
 *
 * A server takes a block with the first piece of a hello, when nothing says yet that its sender is
 * somebody. Such blocks are a loan: they stand in a row, and when the pool is empty the oldest goes
 * to whoever asks. Who floods us with half hellos drives out his own, since a true one is whole
 * within moments; and a hello that was driven out comes again.
 */
#include "dtls/engine.h"

/* A set of handshake buffers also gets an outbox: a handshake needs both at most. */
size_t kw_dtls_buffers_size(size_t handshake_count)
{
    size_t head =
        (sizeof(struct kw_dtls_buffers) + KW_POOL_ALIGN - 1) / KW_POOL_ALIGN * KW_POOL_ALIGN;
    size_t handshakes = kw_pool_size(sizeof(struct kw_handshake), handshake_count);
    size_t outboxes = kw_pool_size(sizeof(struct kw_outbox), handshake_count);

    return head + handshakes + outboxes;
}

struct kw_dtls_buffers *kw_dtls_buffers_init(void *mem, size_t handshake_count)
{
    struct kw_dtls_buffers *buffers = mem;
    size_t head = (sizeof *buffers + KW_POOL_ALIGN - 1) / KW_POOL_ALIGN * KW_POOL_ALIGN;
    uint8_t *at = (uint8_t *)mem + head;

    kw_pool_init(&buffers->handshakes, at, sizeof(struct kw_handshake), handshake_count);
    at += kw_pool_size(sizeof(struct kw_handshake), handshake_count);
    kw_pool_init(&buffers->outboxes, at, sizeof(struct kw_outbox), handshake_count);
    buffers->oldest_half = buffers->newest_half = NULL;
    return buffers;
}

/* --- half hellos --- */

static void half_hello_append(struct kw_dtls *dtls)
{
    struct kw_dtls_buffers *buffers = dtls->shared->buffers;
    struct kw_handshake *hs = dtls->hs;

    hs->lent_to = dtls;
    hs->older = buffers->newest_half;
    if (hs->older != NULL)
        hs->older->newer = hs;
    else
        buffers->oldest_half = hs;
    buffers->newest_half = hs;
}

void kw_dtls_keep_buffers(struct kw_dtls *dtls)
{
    struct kw_dtls_buffers *buffers = dtls->shared->buffers;
    struct kw_handshake *hs = dtls->hs;

    if (hs->lent_to == NULL)
        return;
    if (hs->older != NULL)
        hs->older->newer = hs->newer;
    else
        buffers->oldest_half = hs->newer;
    if (hs->newer != NULL)
        hs->newer->older = hs->older;
    else
        buffers->newest_half = hs->older;
    hs->lent_to = NULL;
    hs->older = hs->newer = NULL;
}

/* False: there is none but our own. */
static bool half_hello_evict(struct kw_dtls *dtls)
{
    struct kw_handshake *oldest = dtls->shared->buffers->oldest_half;

    if (oldest != NULL && oldest->lent_to == dtls)
        oldest = oldest->newer;
    if (oldest == NULL)
        return false;
    oldest->lent_to->counters[KW_DROP_LIMIT]++;
    kw_dtls_give_buffers(oldest->lent_to);
    return true;
}

/* --- taking and giving --- */

void *kw_dtls_take_block(struct kw_dtls *dtls)
{
    struct kw_pool *pool = &dtls->shared->buffers->handshakes;
    void *block = kw_pool_take(pool);

    if (block == NULL && half_hello_evict(dtls))
        block = kw_pool_take(pool);
    return block;
}

bool kw_dtls_take_buffers(struct kw_dtls *dtls)
{
    if (dtls->hs != NULL)
        return true;
    dtls->hs = kw_dtls_take_block(dtls);
    if (dtls->hs == NULL)
        return false;
    kw_reassembly_init(&dtls->hs->in, dtls->next_receive_seq);
    if (dtls->state == KW_STATE_WAIT_CLIENT_HELLO)
        half_hello_append(dtls);
    return true;
}

void kw_dtls_give_buffers(struct kw_dtls *dtls)
{
    if (dtls->hs == NULL)
        return;
    if (dtls->state == KW_STATE_CONNECTED)
        dtls->next_receive_seq = dtls->hs->in.next_seq;
    kw_dtls_keep_buffers(dtls);
    kw_dtls_free_kx(dtls);
    kw_dtls_transcript_free(dtls);
    kw_pool_give(&dtls->shared->buffers->handshakes, dtls->hs->raw);
    kw_pool_give(&dtls->shared->buffers->handshakes, dtls->hs);
    dtls->hs = NULL;
    dtls->hello_until = dtls->retransmit_at = KW_NEVER;
}

void kw_dtls_give_buffers_if_idle(struct kw_dtls *dtls)
{
    if (dtls->hs == NULL || dtls->state != KW_STATE_CONNECTED)
        return;
    if (dtls->hs->out.count == 0 && !kw_reassembly_has_open(&dtls->hs->in))
        kw_dtls_give_buffers(dtls);
}
