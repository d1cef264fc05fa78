/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_OVERLAP_END_H
#define KW_TESTS_SYSTEM_OVERLAP_END_H

/*
 * One of two peers that rotate by `overlap` over a UDP socket. It needs <keywheel/...> alone. It
 * sends numbered packets on a fixed schedule, throws some datagrams away on purpose, and writes
 * down what became of every packet of the other end.
 */

#include <keywheel/openssl.h>
#include <keywheel/session.h>

enum { OVERLAP_SECONDS_MAX = 600, OVERLAP_WINDOWS_MAX = 2 * OVERLAP_SECONDS_MAX };

struct overlap_plan {
    unsigned seconds;
    unsigned per_second; /* packets each way */
    unsigned loss_permille;
    uint64_t seed;
    kw_ns begin; /* when media starts; both ends have one clock */
};

/* New keys were asked for, and we send with them. */
struct overlap_window {
    kw_ns asked;
    kw_ns switched; /* 0: not yet */
};

/* Written by the child, read by the parent after its end. */
struct overlap_figures {
    uint64_t sent;    /* numbers given out */
    uint64_t thrown;  /* of them thrown away on purpose */
    uint64_t unsent;  /* .. refused by the socket */
    uint64_t stalled; /* .. had no key to leave with */
    uint64_t got;
    uint64_t twice;
    uint64_t unusable;              /* media that no key opened */
    uint64_t overflow;              /* SO_RXQ_OVFL */
    uint64_t lost_across_switches;  /* the library's own figure, summed */
    uint64_t others, others_thrown; /* datagrams that are not media */
    unsigned failed, overdue;
    bool is_closed;
    bool is_done;
    struct kw_generation_facts last; /* of the generation that was current in the end */
    size_t window_count;
    struct overlap_window windows[OVERLAP_WINDOWS_MAX];
    /* By number: thrown away by us; delay in us + 1 of the other end's packet, 0: not arrived. */
    uint8_t *is_thrown;
    uint32_t *delays;
};

/* The keys of both ends are made by the parent, because fingerprints are exchanged beforehand. */
struct overlap_identity {
    struct kw_crypto *crypto;
    struct kw_identity *identity;
    struct kw_fingerprint fingerprint;
};
bool overlap_identity_new(struct overlap_identity *ret);

/* Runs to the end of the plan. number 0: the DTLS client of the first generation. */
void overlap_end_run(const struct overlap_plan *plan, unsigned number, int fd,
                     const struct overlap_identity *own, const struct kw_fingerprint *peer,
                     struct overlap_figures *figures);

#endif
