/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider is a set of fetched algorithms, kept contexts and bounded pools. In libcrypto 3.0
 * the set-up of an operation costs more than its arithmetic, so whatever can be set up once is.
 */
#include "crypto/openssl/provider.h"

#include "base/assert.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <limits.h>
#include <stdio.h>

enum kw_status slots_init(struct slots *slots, struct kw_openssl *owner, size_t size, size_t count)
{
    *slots = (struct slots){.size = size, .count = count};
    if (count == 0)
        return KW_OK;
    if (count > SIZE_MAX / size)
        return KW_ERR_MEMORY;
    slots->memory = OPENSSL_zalloc(size * count);
    if (slots->memory == NULL)
        return KW_ERR_MEMORY;
    for (size_t i = count; i > 0; i--) {
        struct slot *slot = slots_at(slots, i - 1);

        slot->owner = owner;
        slot->next = slots->free;
        slots->free = slot;
    }
    return KW_OK;
}

void slots_deinit(struct slots *slots)
{
    if (slots->memory != NULL)
        OPENSSL_clear_free(slots->memory, slots->size * slots->count);
    *slots = (struct slots){0};
}

void *slots_at(const struct slots *slots, size_t index)
{
    return (uint8_t *)slots->memory + index * slots->size;
}

void *slots_take(struct slots *slots)
{
    struct slot *slot = slots->free;

    if (slot == NULL)
        return NULL;
    slots->free = slot->next;
    slots->used++;
    return slot;
}

void slots_give(struct slots *slots, void *object)
{
    struct slot *slot = object;

    slot->next = slots->free;
    slots->free = slot;
    slots->used--;
}

enum kw_status kw_openssl_new(const struct kw_openssl_config *config, struct kw_crypto **ret)
{
    struct kw_openssl *ssl = OPENSSL_zalloc(sizeof *ssl);
    enum kw_status status;

    if (ssl == NULL)
        return KW_ERR_MEMORY;
    (void)snprintf(ssl->name, sizeof ssl->name, "openssl %s",
                   OpenSSL_version(OPENSSL_VERSION_STRING));
    ssl->ops.name = ssl->name;
    ssl->base.ops = &ssl->ops;

    status = digest_part_init(ssl, config);
    if (status == KW_OK)
        status = cipher_part_init(ssl, config);
    if (status == KW_OK)
        status = packet_part_init(ssl, config);
    if (status == KW_OK)
        status = exchange_part_init(ssl, config);
    if (status == KW_OK)
        status = identity_part_init(ssl, config);
    if (status != KW_OK) {
        kw_openssl_free(&ssl->base);
        return status;
    }
    *ret = &ssl->base;
    return KW_OK;
}

void kw_openssl_free(struct kw_crypto *crypto)
{
    struct kw_openssl *ssl = openssl_of(crypto);

    if (ssl == NULL)
        return;
    identity_part_deinit(ssl);
    exchange_part_deinit(ssl);
    packet_part_deinit(ssl);
    cipher_part_deinit(ssl);
    digest_part_deinit(ssl);
    OPENSSL_clear_free(ssl, sizeof *ssl);
}

static enum kw_status random_fill(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    while (len > 0) {
        int piece = len > INT_MAX ? INT_MAX : (int)len;

        if (RAND_bytes(dst, piece) != 1) {
            ERR_clear_error();
            return KW_ERR_RANDOM;
        }
        dst += piece;
        len -= (size_t)piece;
    }
    return KW_OK;
}

struct kw_random kw_openssl_random(void)
{
    return (struct kw_random){.fill = random_fill};
}
