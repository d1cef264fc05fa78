/* SPDX-License-Identifier: Apache-2.0 */
/* decide(): strict by default, no more permissive than its exception, and expired means refused. */
#include "check.h"

#include <keywheel/policy.h>

#include <string.h>

static const struct kw_fingerprint print_a = {.hash = KW_SHA256, .digest = {1}};
static const struct kw_fingerprint print_b = {.hash = KW_SHA256, .digest = {2}};

static struct kw_policy modern(void)
{
    struct kw_policy policy;

    assert_true(kw_policy_preset("modern", &policy));
    return policy;
}

static struct kw_peer peer_at(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct kw_peer){
        .address = {.family = 4, .port = 1, .ip = {a, b, c, d}},
        .fingerprints = &print_a,
        .fingerprint_count = 1,
    };
}

static void defaults_are_strict(void **state)
{
    struct kw_policy policy = modern();
    struct kw_peer peer = peer_at(192, 0, 2, 1);
    struct kw_terms terms;

    (void)state;
    assert_int_equal(kw_policy_decide(&policy, &peer, 0, &terms), KW_REFUSAL_NONE);
    assert_false(terms.allow_dtls12);
    assert_false(terms.allow_rsa);
    assert_int_equal(terms.profiles[0], KW_SRTP_AEAD_AES_128_GCM);
    for (size_t i = 0; i < KW_POLICY_PROFILES; i++)
        assert_int_not_equal(terms.profiles[i], KW_SRTP_AES128_CM_SHA1_80);
    for (size_t i = 0; terms.suites[i] != 0; i++)
        assert_int_equal(kw_suite_info(terms.suites[i])->version, KW_DTLS_1_3);
    assert_string_equal(terms.exception, "");
    assert_true(terms.rotation.period == KW_S(3600));
}

static void a_peer_without_fingerprint_is_refused(void **state)
{
    struct kw_policy policy = modern();
    struct kw_peer peer = {.address = {.family = 4}};
    struct kw_terms terms;

    (void)state;
    assert_int_equal(kw_policy_decide(&policy, &peer, 0, &terms), KW_REFUSAL_NO_FINGERPRINT);
}

static void exceptions_name_peers(void **state)
{
    static const struct {
        struct kw_exception exception;
        uint8_t ip[4];
        bool applies;
        const char *why;
    } rows[] = {
        {{.network = {.family = 4, .ip = {10, 1, 0, 0}}, .network_prefix = 16},
         {10, 1, 255, 9},
         true,
         "inside the network"},
        {{.network = {.family = 4, .ip = {10, 1, 0, 0}}, .network_prefix = 16},
         {10, 2, 0, 1},
         false,
         "outside the network"},
        {{.network = {.family = 4, .ip = {10, 1, 0, 128}}, .network_prefix = 25},
         {10, 1, 0, 127},
         false,
         "a bit below the network"},
        {{.network = {.family = 4, .ip = {10, 1, 0, 128}}, .network_prefix = 25},
         {10, 1, 0, 129},
         true,
         "in the upper half"},
        {{.network = {.family = 4}, .network_prefix = 0}, {8, 8, 8, 8}, true, "all of IPv4"},
        {{.network = {.family = 6}, .network_prefix = 0}, {8, 8, 8, 8}, false, "IPv6 is not IPv4"},
        {{.network = {.family = 4}, .network_prefix = 33}, {8, 8, 8, 8}, false, "no such prefix"},
        {{.has_fingerprint = true, .fingerprint = {.hash = KW_SHA256, .digest = {1}}},
         {8, 8, 8, 8},
         true,
         "its fingerprint"},
        {{.has_fingerprint = true, .fingerprint = {.hash = KW_SHA256, .digest = {2}}},
         {8, 8, 8, 8},
         false,
         "another fingerprint"},
        {{.name = "empty"}, {8, 8, 8, 8}, false, "an exception that names nobody"},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        struct kw_policy policy = modern();
        struct kw_peer peer = peer_at(rows[i].ip[0], rows[i].ip[1], rows[i].ip[2], rows[i].ip[3]);
        struct kw_terms terms;

        policy.exceptions[0] = rows[i].exception;
        policy.exceptions[0].expires = 1000;
        policy.exceptions[0].allow_dtls12 = true;
        policy.exception_count = 1;
        CHECK(kw_policy_decide(&policy, &peer, 999, &terms) == KW_REFUSAL_NONE, "%s", rows[i].why);
        CHECK(terms.allow_dtls12 == rows[i].applies, "%s", rows[i].why);
        CHECK(!terms.allow_rsa, "%s", rows[i].why);
        CHECK(kw_policy_decide(&policy, &peer, 1000, &terms) ==
                  (rows[i].applies ? KW_REFUSAL_EXCEPTION_EXPIRED : KW_REFUSAL_NONE),
              "expired: %s", rows[i].why);
        CHECK(!terms.allow_dtls12, "expired: %s", rows[i].why);
    }
    (void)print_b;
}

static void an_exception_appends_at_the_end(void **state)
{
    struct kw_policy policy = modern();
    struct kw_peer peer = peer_at(10, 0, 0, 1);
    struct kw_terms terms;

    (void)state;
    policy.exceptions[0] = (struct kw_exception){
        .name = "old trunk",
        .expires = 10,
        .network = {.family = 4},
        .allow_dtls12 = true,
        .allow_rsa = true,
        .allow_cm_sha1_80 = true,
    };
    policy.exception_count = 1;
    assert_int_equal(kw_policy_decide(&policy, &peer, 0, &terms), KW_REFUSAL_NONE);
    assert_string_equal(terms.exception, "old trunk");
    assert_int_equal(terms.suites[0], KW_TLS_AES_128_GCM_SHA256);
    assert_int_equal(terms.suites[6], KW_ECDHE_RSA_AES256_GCM_SHA384);
    assert_int_equal(terms.suites[7], 0);
    assert_int_equal(terms.profiles[2], KW_SRTP_AES128_CM_SHA1_80);
    assert_int_equal(terms.groups[4], 0);
}

static void a_tenant_can_only_be_stricter(void **state)
{
    struct kw_policy base = modern(), tenant;
    const char *key = "";

    (void)state;
    assert_true(kw_policy_preset("pq", &tenant));
    assert_true(kw_policy_stricter(&base, &tenant, &key));
    assert_false(kw_policy_stricter(&tenant, &base, &key));
    assert_string_equal(key, "groups");
    tenant = base;
    tenant.rotation.period = KW_S(3601);
    assert_false(kw_policy_stricter(&base, &tenant, &key));
    assert_string_equal(key, "rotation.period");
    tenant = base;
    tenant.rotation.at_limit = KW_AT_LIMIT_GRACE;
    assert_false(kw_policy_stricter(&base, &tenant, &key));
    assert_string_equal(key, "rotation.at_limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_strict),
        cmocka_unit_test(a_peer_without_fingerprint_is_refused),
        cmocka_unit_test(exceptions_name_peers),
        cmocka_unit_test(an_exception_appends_at_the_end),
        cmocka_unit_test(a_tenant_can_only_be_stricter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
