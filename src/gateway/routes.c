/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which datagrams are a call's: STUN requests that name a ufrag of one of its legs, STUN responses
 * to a check that it has sent, and everything else from a 5-tuple that an authenticated check
 * named.
 *
 * A source address can be forged, a transaction id of 96 random bits cannot: so nobody who holds a
 * 5-tuple by a forged check keeps another call from validating it, and then it is that call's.
 */
#include "gateway/state.h"

/* Media of this call runs there, or did when its generation was last heard of. */
static bool is_in_use(const struct kw_gateway *gateway, const struct kw_call *call, uint64_t tag,
                      kw_ns now)
{
    for (size_t i = 0; i < KW_SESSION_GENERATIONS && call->has_session; i++) {
        struct kw_generation_facts facts;

        if (call->generations[i].number != 0 &&
            kw_session_facts(call->session, call->generations[i].number, now, &facts) &&
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
        if (kw_relay_serves(&gateway->calls[owner], tag))
            return;
        if ((old & KW_ROUTE_FIRM) != 0 && !firm &&
            is_in_use(gateway, &gateway->calls[owner], tag, now))
            return;
    }
    slot = free_route(gateway, call, now);
    *slot = kw_table_put(&gateway->paths, tag, value) ? tag : 0;
}

enum { TRANSACTION_AT = 8, TRANSACTION_LEN = 12, STUN_HEADER_LEN = 20 };

/* RFC 8489, section 5: the class is the bits 0x0110 of the type, the cookie stands behind it. */
static bool is_stun_class(const uint8_t *datagram, size_t len, unsigned bits)
{
    return len >= STUN_HEADER_LEN && datagram[0] <= 3 &&
           ((unsigned)(datagram[0] & 0x01) << 8 | (datagram[1] & 0x10U)) == bits &&
           datagram[4] == 0x21 && datagram[5] == 0x12 && datagram[6] == 0xa4 && datagram[7] == 0x42;
}

static bool is_response(const uint8_t *datagram, size_t len)
{
    return is_stun_class(datagram, len, 0x100) || is_stun_class(datagram, len, 0x110);
}

static uint64_t check_tag(const struct kw_gateway *gateway, const uint8_t *datagram)
{
    return kw_table_tag(&gateway->checks, datagram + TRANSACTION_AT, TRANSACTION_LEN);
}

void kw_call_note_check(struct kw_gateway *gateway, struct kw_call *call, const uint8_t *datagram,
                        size_t len)
{
    uint64_t *slot = &call->checks[call->check_next];
    uint32_t held;
    uint64_t tag;

    if (!is_stun_class(datagram, len, 0))
        return;
    tag = check_tag(gateway, datagram);
    if (kw_table_get(&gateway->checks, tag, &held))
        return; /* repeated */
    if (*slot != 0)
        kw_table_remove(&gateway->checks, *slot);
    *slot = kw_table_put(&gateway->checks, tag, call->number) ? tag : 0;
    call->check_next = (call->check_next + 1) % KW_CALL_CHECKS;
}

struct kw_call *kw_call_of(const struct kw_gateway *gateway, const struct kw_datagram *datagram)
{
    const struct kw_table *table = &gateway->paths;
    struct kw_bytes ufrag;
    uint32_t number;
    uint64_t tag;

    if (is_response(datagram->data, datagram->len)) {
        table = &gateway->checks;
        tag = check_tag(gateway, datagram->data);
    } else if (datagram->len != 0 && datagram->data[0] <= 3 &&
               kw_stun_local_ufrag(datagram->data, datagram->len, &ufrag)) {
        table = &gateway->ufrags;
        tag = kw_table_tag(&gateway->ufrags, ufrag.data, ufrag.len);
    } else {
        tag = kw_table_tag_path(&gateway->paths, &datagram->path);
    }
    return kw_table_get(table, tag, &number) ? &gateway->calls[number & ~KW_ROUTE_FIRM] : NULL;
}

void kw_call_forget_routes(struct kw_gateway *gateway, struct kw_call *call)
{
    for (size_t i = 0; i < KW_CALL_CHECKS; i++) {
        if (call->checks[i] != 0)
            kw_table_remove(&gateway->checks, call->checks[i]);
        call->checks[i] = 0;
    }
    for (size_t i = 0; i < KW_CALL_ROUTES; i++) {
        uint32_t held;

        if (call->routes[i] != 0 && kw_table_get(&gateway->paths, call->routes[i], &held) &&
            (held & ~KW_ROUTE_FIRM) == call->number)
            kw_table_remove(&gateway->paths, call->routes[i]);
        call->routes[i] = 0;
    }
}

uint64_t kw_ufrag_tag(const struct kw_gateway *gateway, const char *ufrag)
{
    return kw_table_tag(&gateway->ufrags, ufrag, kw_text_len(ufrag));
}
