/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger, or a busy network, tried against a session: each found something since mended.
 */
#include "check.h"

#include "session/pair.h"

#include <stdlib.h>
#include <string.h>

static const struct pair_config plain = {
    .seed = 1,
    .link = {.delay = KW_MS(30)},
    .period = KW_S(3600),
    .method = KW_METHOD_OVERLAP,
};

static struct pair *begin(const struct pair_config *config)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair_init(pair, config);
    assert_true(pair_connect(pair, KW_S(30)));
    pair->ends[0].is_mute = pair->ends[1].is_mute = true;
    pair_run(pair, pair->now + KW_S(1));
    return pair;
}

static void end(struct pair *pair)
{
    pair_deinit(pair);
    free(pair);
}

/* No datagram of a handshake in the clear leaves. */
static bool no_hello(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                     size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)len;
    (void)now;
    return data[0] != 22;
}

/* B waits for the hello that A announced; the hello never comes. */
static struct pair *begin_prepared(void)
{
    struct pair *pair = begin(&plain);

    pair->net.tap = no_hello;
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(2));
    assert_non_null(kw_session_next_of(pair->ends[PAIR_B].session));
    return pair;
}

/* A forged ClientHello is no sign of life of the peer: `next` can still be replaced. */
static void a_forged_hello_does_not_occupy_next(void **state)
{
    uint8_t hello[60] = {22, 0xfe, 0xfd, 0,   0, 0, 0, 0, 0, 0, 9, 0, 47,
                         1,  0,    0,    200, 0, 0, 0, 0, 0, 0, 0, 35};
    struct pair *pair = begin_prepared();
    struct pair_end *b = &pair->ends[PAIR_B];
    struct kw_received received;
    size_t len = sizeof hello;

    (void)state;
    assert_int_equal(kw_session_receive(b->session, &b->path, hello, &len, pair->now, &received),
                     KW_OK);
    assert_int_equal(pair_prepare(pair, b), KW_OK);
    end(pair);
}

/* An attempt that is given up keeps no key, and says nothing more but its alert. */
static void an_attempt_that_is_given_up_is_over(void **state)
{
    struct pair *pair = begin_prepared();
    struct kw_session *session = pair->ends[PAIR_A].session;
    struct kw_generation *next = kw_session_next_of(session);
    uint8_t datagram[2048];
    struct kw_path path;

    (void)state;
    assert_non_null(next->dtls);
    kw_generation_over(session, next, KW_DTLS_END_TIMEOUT, KW_ALERT_NONE, pair->now);
    assert_non_null(next->dtls);
    assert_int_equal(kw_dtls_deadline(next->dtls), KW_NEVER);
    assert_true(kw_session_transmit(session, datagram, sizeof datagram, &path, pair->now) <= 64);
    assert_int_equal(kw_session_transmit(session, datagram, sizeof datagram, &path, pair->now), 0);
    assert_null(next->dtls);
    end(pair);
}

/*
 * B hears a ROTATE while it cannot answer, and the asker gives up. Whatever B wants later, it does
 * not wait for the hello of long ago.
 */
static void an_old_offer_is_not_answered(void **state)
{
    struct pair *pair = begin(&plain);
    struct pair_end *a = &pair->ends[PAIR_A], *b = &pair->ends[PAIR_B];

    (void)state;
    b->is_lazy = true;
    kw_session_rotate(a->session, KW_REASON_OPERATOR, pair->now);
    while (a->events[KW_SESSION_EVENT_FAILED] == 0)
        pair_run(pair, pair->now + KW_MS(100));
    a->is_lazy = true; /* asks no more */
    assert_true(b->session->offer.valid);
    pair_run(pair, pair->now + KW_ROTATE_OFFER_MAX);
    assert_false(b->session->offer.valid);
    assert_int_equal(b->session->due_reason, KW_REASON_NONE);
    end(pair);
}

/* The network keeps the first protected record that B sends, and delivers it later. */
struct delay {
    kw_ns by;
    bool is_done;
};

static bool delay_first_of_b(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                             size_t *len, kw_ns now)
{
    struct delay *delay = ctx;
    const struct kw_path of_b = net_path(PAIR_B + 1, PAIR_A + 1);

    if (delay->is_done || (data[0] & 0xe0) != 0x20 || !kw_address_equal(&path->local, &of_b.local))
        return true;
    delay->is_done = true;
    net_inject(net, path, data, *len, now + delay->by);
    return false;
}

/*
 * B asks, thinks better of it and asks anew; the network brings the second ROTATE first. The first
 * one is old then, whatever the moment it comes: it must not overturn the handshake that is under
 * way, nor be taken for another wish.
 */
static void a_rotate_that_comes_late_is_old(void **state)
{
    (void)state;
    for (kw_ns late = KW_MS(10); late <= KW_MS(400); late += KW_MS(10)) {
        struct pair *pair = begin(&plain);
        struct delay delay = {.by = KW_MS(30) + late};

        pair->net.tap = delay_first_of_b;
        pair->net.tap_ctx = &delay;
        kw_session_rotate(pair->ends[PAIR_B].session, KW_REASON_OPERATOR, pair->now);
        pair_run(pair, pair->now + KW_MS(1));
        assert_int_equal(pair_prepare(pair, &pair->ends[PAIR_B]), KW_OK);
        pair_run(pair, pair->now + KW_S(1));
        for (unsigned i = 0; i < 2; i++)
            CHECK(pair->ends[i].events[KW_SESSION_EVENT_SWITCHED] == 2, "late by %llu ms",
                  (unsigned long long)(late / KW_MS(1)));
        assert_int_equal(pair->ends[PAIR_A].events[KW_SESSION_EVENT_DUE], 1);
        end(pair);
    }
}

/* The newest wish of the peer is answered, also by an owner who replaces what it has prepared. */
static void the_newest_offer_is_answered(void **state)
{
    struct pair *pair = begin_prepared(); /* B serves A's second generation */
    struct pair_end *a = &pair->ends[PAIR_A], *b = &pair->ends[PAIR_B];

    (void)state;
    /* A begins anew, and B serves that; then B's owner prepares again. */
    assert_int_equal(pair_prepare(pair, a), KW_OK);
    pair_run(pair, pair->now + KW_S(1));
    assert_int_equal(pair_prepare(pair, b), KW_OK);
    pair->net.tap = NULL;
    pair_run(pair, pair->now + KW_S(5));
    assert_int_equal(a->events[KW_SESSION_EVENT_SWITCHED], 2);
    assert_int_equal(b->events[KW_SESSION_EVENT_SWITCHED], 2);
    end(pair);
}

/* Neither the last flight of a client arrives, nor any alert: records of epoch 2, and short ones.
 */
static bool no_last_flight(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                           size_t *len, kw_ns now)
{
    const struct kw_path of_a = net_path(PAIR_A + 1, PAIR_B + 1);
    bool is_of_a = kw_address_equal(&path->local, &of_a.local);

    (void)ctx;
    (void)net;
    (void)now;
    return !((data[0] & 0xe3) == 0x22 && is_of_a) && !((data[0] & 0xe0) == 0x20 && *len < 30);
}

/*
 * B gives an attempt up, and A, which has all it needs but a sign that B has it too, does not learn
 * so. A waits as long as B did and not longer: what B asks next must come before L.
 */
static void a_client_without_confirmation_waits_as_long_as_its_server(void **state)
{
    struct pair_config config = plain;
    struct pair *pair;
    kw_ns began;

    (void)state;
    config.period = KW_S(60); /* an attempt has 7.5 s */
    pair = begin(&config);
    began = pair->now;
    pair->net.tap = no_last_flight;
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, began + KW_S(9));
    assert_int_equal(pair->ends[PAIR_B].events[KW_SESSION_EVENT_FAILED], 1);
    pair->net.tap = NULL;
    kw_session_rotate(pair->ends[PAIR_B].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, began + KW_S(20));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pair->ends[i].events[KW_SESSION_EVENT_SWITCHED], 2);
    end(pair);
}

struct said {
    unsigned peer, time;
    kw_ns first_time;
};

static void note_due(struct pair_end *end, const struct kw_session_event *event)
{
    struct said *said = end->pair->ctx;

    if (event->type != KW_SESSION_EVENT_DUE || end->number != PAIR_B)
        return;
    if (event->reason == KW_REASON_PEER)
        said->peer++;
    if (event->reason == KW_REASON_TIME && said->time++ == 0)
        said->first_time = end->pair->now;
}

/*
 * A peer that asks on and on is told of at a pace of its own. It neither holds our own DUE up nor
 * takes its place, and what we wait after attempts of ours is as before.
 */
static void what_the_peer_wants_moves_no_back_off_of_ours(void **state)
{
    struct pair_config config = plain;
    struct said said = {0};
    struct pair *pair;
    struct pair_end *b;
    kw_ns began;

    (void)state;
    config.period = KW_S(60);
    pair = begin(&config);
    pair->ctx = &said;
    b = &pair->ends[PAIR_B];
    b->is_lazy = true;
    b->on_event = note_due;
    began = pair->now - KW_S(2);
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, began + KW_S(50));
    assert_true(said.peer > 10 && said.peer <= 100);
    assert_int_equal(b->session->backoff, KW_BACKOFF_FIRST);
    pair_run(pair, began + KW_S(59));
    CHECK(said.time >= 2 && said.first_time <= began + KW_S(58), "%u times", said.time);
    end(pair);
}

/* A peer whose attempts all fail is served ever more slowly: each costs us a certificate. */
static void a_peer_that_fails_on_purpose_is_slowed(void **state)
{
    struct pair *pair = begin(&plain);
    struct pair_end *b = &pair->ends[PAIR_B];
    struct said said = {0};
    kw_ns began = pair->now;

    (void)state;
    pair->ctx = &said;
    b->on_event = note_due;
    pair->ends[PAIR_A].is_lazy = true;
    /* No sooner is B ready to serve than A is the one that fails; then it asks again at once. */
    while (pair->now < began + KW_S(60)) {
        struct kw_generation *next;

        if (kw_session_next_of(pair->ends[PAIR_A].session) == NULL)
            assert_int_equal(pair_prepare(pair, &pair->ends[PAIR_A]), KW_OK);
        pair_run(pair, pair->now + KW_MS(100));
        next = kw_session_next_of(b->session);
        if (next == NULL)
            continue;
        kw_generation_over(b->session, next, KW_DTLS_END_ALERT_RECEIVED, KW_ALERT_NONE, pair->now);
        next = kw_session_next_of(pair->ends[PAIR_A].session);
        kw_generation_over(pair->ends[PAIR_A].session, next, KW_DTLS_END_ALERT_SENT, KW_ALERT_NONE,
                           pair->now);
    }
    /* 0.5, 1, 2, 4, 8 s, then every 15 s. */
    CHECK(said.peer >= 5 && said.peer <= 10, "%u attempts", said.peer);
    pair->ends[PAIR_A].is_lazy = false;
    pair->ends[PAIR_A].on_event = NULL;
    kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
    pair_run(pair, pair->now + KW_S(20));
    assert_int_equal(b->events[KW_SESSION_EVENT_SWITCHED], 2);
    end(pair);
}

/*
 * A stranger who can forge A's address throws pieces of hellos at B all the time. Hello and
 * certificate are announced, so he occupies nothing; and he spoils nothing, whether his pieces have
 * the length of the true hello, or each one its own.
 */
static void pieces_of_hellos_prevent_no_rotation(void **state)
{
    static const struct {
        uint32_t len, len_range, offset;
        const char *why;
    } rows[] = {
        {1369, 1, 1, "the random"},
        {1369, 1, 1200, "a key share"},
        {1000, 2000, 0, "another length"},
    };

    (void)state;
    for (size_t row = 0; row < KW_ARRAY_LEN(rows); row++) {
        struct pair *pair = begin(&plain);
        const struct kw_path forged = pair->ends[PAIR_A].path;
        kw_ns began = pair->now;

        for (kw_ns at = began; at < began + KW_S(12); at += KW_MS(20)) {
            uint8_t piece[25 + 100] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 112, 1};
            uint32_t len = rows[row].len + (uint32_t)net_draw(&pair->net, rows[row].len_range);

            piece[15] = (uint8_t)(len >> 8);
            piece[16] = (uint8_t)len;
            piece[20] = (uint8_t)(rows[row].offset >> 8);
            piece[21] = (uint8_t)rows[row].offset;
            piece[24] = 100;
            for (size_t i = 25; i < sizeof piece; i++)
                piece[i] = (uint8_t)net_draw(&pair->net, 256);
            net_inject(&pair->net, &forged, piece, sizeof piece, at);
        }
        kw_session_rotate(pair->ends[PAIR_A].session, KW_REASON_OPERATOR, pair->now);
        pair_run(pair, began + KW_S(10));
        CHECK(pair->ends[PAIR_B].events[KW_SESSION_EVENT_SWITCHED] == 2, "%s", rows[row].why);
        end(pair);
    }
}

/* Clicks of an operator are no failed attempts, and one that comes during an attempt is kept. */
static void an_operator_may_insist(void **state)
{
    struct pair *pair = begin(&plain);
    struct pair_end *a = &pair->ends[PAIR_A];
    struct kw_session_event event;

    (void)state;
    for (int i = 0; i < 20; i++) {
        kw_session_rotate(a->session, KW_REASON_OPERATOR, pair->now);
        assert_true(kw_session_next_event(a->session, &event));
        assert_int_equal(event.type, KW_SESSION_EVENT_DUE);
        assert_int_equal(event.reason, KW_REASON_OPERATOR);
    }
    assert_true(a->session->backoff <= 2 * KW_BACKOFF_FIRST);
    end(pair);

    pair = begin(&plain);
    a = &pair->ends[PAIR_A];
    pair->ends[PAIR_B].is_lazy = true;
    assert_int_equal(pair_prepare(pair, a), KW_OK); /* for no reason that would come again */
    kw_session_rotate(a->session, KW_REASON_POLICY, pair->now);
    assert_int_equal(a->events[KW_SESSION_EVENT_DUE], 0);
    while (a->events[KW_SESSION_EVENT_FAILED] == 0)
        pair_run(pair, pair->now + KW_MS(100));
    pair->ends[PAIR_B].is_lazy = false;
    pair_run(pair, pair->now + KW_S(5));
    assert_true(a->events[KW_SESSION_EVENT_DUE] >= 1);
    assert_int_equal(a->events[KW_SESSION_EVENT_SWITCHED], 2);
    end(pair);
}

/* The peer ends its session while the next association is on its way: ours ends, too, and now. */
static void a_peer_that_leaves_during_a_rotation_is_gone(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        struct pair *pair = begin_prepared();
        struct pair_end *left = &pair->ends[1 - who];

        kw_session_close(pair->ends[who].session, pair->now);
        pair_run(pair, pair->now + KW_S(20));
        CHECK(left->has_ended, "%u lives on", 1 - who);
        assert_int_equal(left->last_end.session_end, KW_SESSION_END_PEER);
        end(pair);
    }
}

/* A session that has ended begins nothing. */
static void an_ended_session_takes_no_path(void **state)
{
    struct pair *pair = begin(&plain);
    const struct kw_session_params params = {
        .terms = &pair->terms, .ssrc_max = 2, .method = KW_METHOD_OVERLAP};
    const struct kw_generation_params generation = {
        .role = KW_DTLS_CLIENT,
        .identity = pair->ends[PAIR_A].identity,
        .fingerprints = &(struct kw_fingerprint){.hash = KW_SHA256},
        .fingerprint_count = 1,
    };
    void *mem = aligned_alloc(64, kw_session_size());
    struct kw_path path = net_path(3, 4), out;
    uint8_t datagram[2048];
    struct kw_session *third;
    uint32_t number;

    (void)state;
    pair->shared.pool->config.sessions++; /* as when another session ends */
    pair->shared.pool->config.rotations--;
    assert_int_equal(kw_session_init(mem, &pair->shared, &params, pair->now, &third), KW_OK);
    assert_int_equal(kw_session_add_generation(third, &generation, pair->now, &number), KW_OK);
    kw_session_close(third, pair->now);
    assert_int_equal(kw_session_add_path(third, number, &path, 0, pair->now), KW_ERR_CLOSED);
    assert_int_equal(kw_session_transmit(third, datagram, sizeof datagram, &out, pair->now), 0);
    kw_session_deinit(third);
    pair->shared.pool->config.sessions--;
    pair->shared.pool->config.rotations++;
    free(mem);
    end(pair);
}

/* A second path, at any time after the association began, is refused and changes nothing. */
static void a_path_is_given_once(void **state)
{
    struct pair *pair = begin(&plain);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair_end *one = &pair->ends[i];
        const struct kw_path other = net_path(7, 9);
        struct kw_outlet outlet;

        assert_int_equal(kw_session_add_path(one->session, 1, &one->path, 0, pair->now),
                         KW_ERR_STATE);
        assert_int_equal(kw_session_add_path(one->session, 1, &other, 0, pair->now), KW_ERR_STATE);
        assert_true(kw_session_outlet(one->session, pair->now, &outlet));
        assert_true(kw_path_equal(&outlet.path, &one->path));
    }
    end(pair);
}

/* What is said again and again takes no place from what is said once. */
static void repeated_events_push_nothing_out(void **state)
{
    struct pair *pair = begin(&plain);
    struct kw_session *session = pair->ends[PAIR_A].session;
    struct kw_session_event event = {.type = KW_SESSION_EVENT_DUE, .generation = 1};
    unsigned seen[PAIR_EVENTS_MAX + 1] = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        event.type = i % 2 != 0 ? KW_SESSION_EVENT_DUE : KW_SESSION_EVENT_OVERDUE;
        kw_session_push(session, &event);
    }
    event.type = KW_SESSION_EVENT_RETIRED;
    kw_session_push(session, &event);
    while (kw_session_next_event(session, &event))
        seen[event.type]++;
    assert_int_equal(seen[KW_SESSION_EVENT_RETIRED], 1);
    assert_int_equal(seen[KW_SESSION_EVENT_DUE], 1);
    assert_int_equal(seen[KW_SESSION_EVENT_OVERDUE], 1);
    end(pair);
}

/* A batch asks for its outlets before the first packet is protected: still no byte beyond L. */
static void batches_until(uint64_t limit, uint64_t at_least)
{
    enum { BATCH = 64, PACKET = 1212 };
    struct pair_config config = plain;
    struct kw_generation_facts facts;
    struct kw_outlet outlets[BATCH];
    uint16_t seq = 1;
    size_t count;
    struct pair *pair;
    struct pair_end *a;

    config.bytes = limit;
    pair = begin(&config);
    a = &pair->ends[PAIR_A];
    do {
        for (count = 0; count < BATCH; count++) {
            if (!kw_session_outlet(a->session, pair->now, &outlets[count]))
                break;
        }
        for (size_t i = 0; i < count; i++, seq++) {
            uint8_t packet[PACKET + 32] = {0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq};
            size_t len = PACKET;

            packet[11] = 1;
            assert_int_equal(kw_srtp_protect(outlets[i].srtp, packet, &len, sizeof packet),
                             KW_ACCEPT);
        }
        if (count != 0)
            kw_session_sent(a->session, &outlets[0], PACKET, pair->now);
    } while (count != 0);
    assert_true(kw_session_facts(a->session, 1, pair->now, &facts));
    CHECK(facts.sent.bytes + facts.received.bytes <= limit, "%llu bytes of %llu",
          (unsigned long long)facts.sent.bytes, (unsigned long long)limit);
    CHECK(facts.sent.bytes > at_least, "%llu bytes of %llu", (unsigned long long)facts.sent.bytes,
          (unsigned long long)limit);
    end(pair);
}

static void a_batch_does_not_cross_the_limit(void **state)
{
    (void)state;
    batches_until(16000000, 16000000 / 100 * 97);
    batches_until(1000000, 1000000 / 100 * 97);
    batches_until(100000, 100000 / 100 * 94); /* the least that a policy may say */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forged_hello_does_not_occupy_next),
        cmocka_unit_test(an_attempt_that_is_given_up_is_over),
        cmocka_unit_test(an_old_offer_is_not_answered),
        cmocka_unit_test(a_rotate_that_comes_late_is_old),
        cmocka_unit_test(the_newest_offer_is_answered),
        cmocka_unit_test(a_client_without_confirmation_waits_as_long_as_its_server),
        cmocka_unit_test(what_the_peer_wants_moves_no_back_off_of_ours),
        cmocka_unit_test(a_peer_that_fails_on_purpose_is_slowed),
        cmocka_unit_test(pieces_of_hellos_prevent_no_rotation),
        cmocka_unit_test(an_operator_may_insist),
        cmocka_unit_test(a_peer_that_leaves_during_a_rotation_is_gone),
        cmocka_unit_test(an_ended_session_takes_no_path),
        cmocka_unit_test(a_path_is_given_once),
        cmocka_unit_test(repeated_events_push_nothing_out),
        cmocka_unit_test(a_batch_does_not_cross_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
