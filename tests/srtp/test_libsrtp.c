/* SPDX-License-Identifier: Apache-2.0 */
/* libsrtp as the peer: what one side seals the other opens, and both refuse the same packets. */
#include "srtp/common.h"

#include "srtp/context.h"

#include <srtp2/srtp.h>

enum { SSRC = 0x1234abcd };

static srtp_t peer_session(enum kw_srtp_profile profile, bool for_sending)
{
    struct kw_srtp_master master = test_master(profile, 0);
    uint8_t key[KW_KEY_MAX + 14];
    srtp_policy_t policy;
    srtp_t session;

    memset(&policy, 0, sizeof policy);
    memcpy(key, master.key, master.key_len);
    memcpy(key + master.key_len, master.salt, master.salt_len);
    switch (profile) {
    case KW_SRTP_AEAD_AES_128_GCM:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
        break;
    case KW_SRTP_AEAD_AES_256_GCM:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
        break;
    case KW_SRTP_AES128_CM_SHA1_80:
    case KW_SRTP_NONE:
        srtp_crypto_policy_set_rtp_default(&policy.rtp);
        srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
        break;
    }
    policy.ssrc.type = for_sending ? ssrc_any_outbound : ssrc_any_inbound;
    policy.key = key;
    policy.window_size = KW_SRTP_WINDOW;
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

/* Both implementations behind one pair of calls, so that each test runs in both directions. */
struct end {
    bool is_peer;
    srtp_t session;
    struct kw_srtp *srtp;
    struct context_mem mem;
};

static void end_init(struct end *end, bool is_peer, enum kw_srtp_profile profile, bool for_sending)
{
    end->is_peer = is_peer;
    if (is_peer)
        end->session = peer_session(profile, for_sending);
    else
        end->srtp = make_context(
            &end->mem, (struct context_options){.profile = profile, .for_sending = for_sending});
}

static void end_deinit(struct end *end)
{
    if (end->is_peer)
        assert_int_equal(srtp_dealloc(end->session), srtp_err_status_ok);
    else
        kw_srtp_deinit(end->srtp);
}

static enum kw_verdict verdict_of(srtp_err_status_t status)
{
    if (status == srtp_err_status_ok)
        return KW_ACCEPT;
    if (status == srtp_err_status_replay_fail)
        return KW_DROP_REPLAY;
    if (status == srtp_err_status_replay_old)
        return KW_DROP_OLD;
    return status == srtp_err_status_auth_fail ? KW_DROP_FORGED : KW_DROP_INTERNAL;
}

static enum kw_verdict end_seal(struct end *end, struct packet *packet)
{
    bool is_rtcp = kw_srtp_is_rtcp(packet->bytes, packet->len);
    int len = (int)packet->len;
    srtp_err_status_t status;

    if (!end->is_peer)
        return protect(end->srtp, packet);
    status = is_rtcp ? srtp_protect_rtcp(end->session, packet->bytes, &len)
                     : srtp_protect(end->session, packet->bytes, &len);
    packet->len = (size_t)len;
    return verdict_of(status);
}

static enum kw_verdict end_open(struct end *end, struct packet *packet)
{
    bool is_rtcp = kw_srtp_is_rtcp(packet->bytes, packet->len);
    int len = (int)packet->len;
    srtp_err_status_t status;

    if (!end->is_peer)
        return unprotect(end->srtp, packet);
    status = is_rtcp ? srtp_unprotect_rtcp(end->session, packet->bytes, &len)
                     : srtp_unprotect(end->session, packet->bytes, &len);
    packet->len = (size_t)len;
    return verdict_of(status);
}

/* CSRCs, extension, payload of any length; or a sender report now and then. */
static struct packet shaped_packet(uint32_t index, uint64_t *seed)
{
    struct packet packet = rtp_packet(SSRC, index, 0);
    unsigned csrcs = index % 5 == 0 ? index % 16 : 0;
    bool has_ext = index % 3 == 0;

    if (index % 11 == 10)
        return rtcp_packet(SSRC, 20 + index % 50 * 4);
    packet.bytes[0] = (uint8_t)(0x80 | csrcs | (has_ext ? 0x10 : 0));
    packet.len = 12 + 4 * csrcs + (has_ext ? 12 : 0) + index * 7 % 1200;
    random_bytes(seed, packet.bytes + 12, packet.len - 12);
    if (has_ext) {
        put16(packet.bytes + 12 + 4 * csrcs, 0xbede);
        put16(packet.bytes + 14 + 4 * csrcs, 2);
    }
    return packet;
}

static void shuffle_near(size_t *order, size_t count, size_t reach, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = 0; i + 1 < count; i++) {
        size_t j = i + next_random(seed) % KW_MIN(reach, count - i);
        size_t other = order[i];

        order[i] = order[j];
        order[j] = other;
    }
}

/*
 * 3,000 packets from index `first` on, delivered in disorder, each of them twice and some forged
 * first: every true one is accepted once with its plaintext, everything else refused.
 */
static void deliver(bool peer_sends, enum kw_srtp_profile profile, uint32_t first,
                    size_t lost_first)
{
    enum { COUNT = 3000 };
    static struct packet plain[COUNT], sealed[COUNT];
    static size_t order[COUNT];
    static struct end sender, receiver;
    uint64_t seed = first + profile;

    end_init(&sender, peer_sends, profile, true);
    end_init(&receiver, !peer_sends, profile, false);
    for (uint32_t i = 0; i < COUNT; i++) {
        plain[i] = shaped_packet(first + i, &seed);
        sealed[i] = plain[i];
        assert_int_equal(end_seal(&sender, &sealed[i]), KW_ACCEPT);
    }
    shuffle_near(order, COUNT, 40, &seed);
    for (size_t i = lost_first; i < COUNT; i++) {
        size_t n = order[i];
        struct packet packet = sealed[n], again = sealed[n], forged = sealed[n];

        if (n % 7 == 0) {
            size_t at = 12 + next_random(&seed) % (forged.len - 12);

            forged.bytes[at] ^= 0x10;
            CHECK(end_open(&receiver, &forged) != KW_ACCEPT, "packet %zu, byte %zu", n, at);
        }
        CHECK(end_open(&receiver, &packet) == KW_ACCEPT, "index %" PRIu32 " (%zu)",
              first + (uint32_t)n, n);
        CHECK(same_packet(&packet, &plain[n]), "packet %zu", n);
        CHECK(end_open(&receiver, &again) == KW_DROP_REPLAY, "replay of packet %zu", n);
    }
    {
        struct packet old = sealed[lost_first];

        while (kw_srtp_is_rtcp(old.bytes, old.len))
            old = sealed[++lost_first];
        assert_int_not_equal(end_open(&receiver, &old), KW_ACCEPT);
    }
    end_deinit(&sender);
    end_deinit(&receiver);
}

static void both_directions_all_profiles(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        deliver(true, profiles[p], 1000, 0);
        deliver(false, profiles[p], 1000, 0);
    }
}

static void roc_wraps_with_reordering_across_it(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        deliver(true, profiles[p], 65536 - 1500, 0);
        deliver(false, profiles[p], 65536 - 1500, 0);
    }
}

static void first_packets_are_lost(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        deliver(true, profiles[p], 1000, 100);
        deliver(false, profiles[p], 1000, 100);
        /* Over the wrap libsrtp as receiver has no way to know; ours tries the next counter. */
        deliver(true, profiles[p], 65536 - 50, 200);
    }
}

/* Two wraps, every packet in order. */
static void long_stream(void **state)
{
    static struct end sender, receiver;

    (void)state;
    for (int peer_sends = 0; peer_sends < 2; peer_sends++) {
        end_init(&sender, peer_sends != 0, KW_SRTP_AEAD_AES_128_GCM, true);
        end_init(&receiver, peer_sends == 0, KW_SRTP_AEAD_AES_128_GCM, false);
        for (uint32_t i = 0; i < 2 * 65536 + 100; i++) {
            struct packet packet = rtp_packet(SSRC, i, 20);

            assert_int_equal(end_seal(&sender, &packet), KW_ACCEPT);
            assert_int_equal(end_open(&receiver, &packet), KW_ACCEPT);
        }
        end_deinit(&sender);
        end_deinit(&receiver);
    }
}

/* Same key, same packet: the same bytes. */
static void sealed_bytes_are_equal(void **state)
{
    static struct end ours, theirs;
    uint64_t seed = 5;

    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        end_init(&ours, false, profiles[p], true);
        end_init(&theirs, true, profiles[p], true);
        for (uint32_t i = 65000; i < 66500; i++) {
            struct packet a = shaped_packet(i, &seed), b = a;

            if (kw_srtp_is_rtcp(a.bytes, a.len))
                continue; /* libsrtp counts SRTCP from 1, we from 0 */
            assert_int_equal(end_seal(&ours, &a), KW_ACCEPT);
            assert_int_equal(end_seal(&theirs, &b), KW_ACCEPT);
            CHECK(same_packet(&a, &b), "profile %zu, index %" PRIu32, p, i);
        }
        end_deinit(&ours);
        end_deinit(&theirs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_bytes_are_equal),
        cmocka_unit_test(both_directions_all_profiles),
        cmocka_unit_test(roc_wraps_with_reordering_across_it),
        cmocka_unit_test(first_packets_are_lost),
        cmocka_unit_test(long_stream),
    };

    (void)test_kernel();
    if (srtp_init() != srtp_err_status_ok)
        return 1;
    printf("# peer: %s\n", srtp_get_version_string());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
