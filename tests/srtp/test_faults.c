/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th call into the provider fails, for every n of a scenario: nothing leaks, nothing goes out
 * half sealed, no state moves, and the context works again afterwards.
 */
#include "srtp/common.h"

#include "support/faulty_crypto.h"

static struct kw_crypto *faulty;
static struct context_mem send_mem, receive_mem;

static enum kw_status init(struct context_mem *mem, enum kw_srtp_profile profile, bool for_sending,
                           struct kw_srtp **ret)
{
    struct kw_srtp_master master = test_master(profile, 1);
    struct kw_srtp_params params = {.kernel = kw_srtp_kernel_select(test_crypto(), "evp"),
                                    .crypto = faulty,
                                    .master = &master,
                                    .for_sending = for_sending,
                                    .ssrc_max = 2};

    return kw_srtp_init(mem, &params, ret);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* Sends `plain`; a failure wipes it, and the same number may then be sent again. */
static void send_one(struct kw_srtp *send, const struct packet *plain, struct packet *ret)
{
    struct packet packet = *plain;
    enum kw_verdict verdict = protect(send, &packet);

    if (verdict != KW_ACCEPT) {
        assert_int_equal(verdict, KW_DROP_INTERNAL);
        assert_true(is_zero(packet.bytes, plain->len));
        packet = *plain;
        assert_int_equal(protect(send, &packet), KW_ACCEPT);
    }
    *ret = packet;
}

static void receive_one(struct kw_srtp *receive, const struct packet *sealed,
                        const struct packet *plain)
{
    struct packet packet = *sealed;
    enum kw_verdict verdict = unprotect(receive, &packet);

    if (verdict != KW_ACCEPT) {
        assert_int_equal(verdict, KW_DROP_INTERNAL);
        packet = *sealed;
        assert_int_equal(unprotect(receive, &packet), KW_ACCEPT);
    }
    assert_true(same_packet(&packet, plain));
}

static void scenario(enum kw_srtp_profile profile)
{
    struct kw_srtp *send = NULL, *receive = NULL;
    struct packet sealed;

    if (init(&send_mem, profile, true, &send) == KW_OK &&
        init(&receive_mem, profile, false, &receive) == KW_OK) {
        for (unsigned i = 0; i < 3; i++) {
            struct packet rtp = rtp_packet(1, i, 50), rtcp = rtcp_packet(1, 40);

            send_one(send, &rtp, &sealed);
            receive_one(receive, &sealed, &rtp);
            send_one(send, &rtcp, &sealed);
            receive_one(receive, &sealed, &rtcp);
        }
        assert_int_equal(kw_srtp_counters(receive)->packets, 3);
        assert_int_equal(kw_srtp_counters(receive)->rtcp_packets, 3);
    }
    kw_srtp_deinit(send);
    kw_srtp_deinit(receive);
}

static void every_provider_call_may_fail(void **state)
{
    (void)state;
    for (size_t p = 0; p < KW_ARRAY_LEN(profiles); p++) {
        size_t n;

        faulty = faulty_crypto_new(test_crypto());
        for (n = 1;; n++) {
            faulty_crypto_arm(faulty, n, KW_ERR_CRYPTO, false);
            scenario(profiles[p]);
            assert_int_equal(faulty_crypto_live(faulty), 0);
            if (!faulty_crypto_fired(faulty))
                break;
        }
        printf("# %s: %zu calls, each failed once\n", kw_srtp_profile_name(profiles[p]), n - 1);
        assert_true(n > 20);
        faulty_crypto_free(faulty);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_provider_call_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
