/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row per flag: its name, whether a value follows, and what it does. Rows without a function
 * are flags that change nothing for us (the engine has one way of being called, and
 * neither tickets nor renegotiation).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *ret <= max;
}

static bool take_u16(const char *value, uint16_t *ret)
{
    uint64_t number;

    if (!parse_number(value, UINT16_MAX, &number))
        return false;
    *ret = (uint16_t)number;
    return true;
}

static bool set_port(struct config *config, const char *value)
{
    return take_u16(value, &config->port);
}

static bool set_shim_id(struct config *config, const char *value)
{
    return parse_number(value, UINT64_MAX, &config->shim_id);
}

static bool set_ipv6(struct config *config, const char *value)
{
    (void)value;
    return config->ipv6 = true;
}

static bool set_resume_count(struct config *config, const char *value)
{
    uint64_t count;

    if (!parse_number(value, 8, &count))
        return false;
    config->resume_count = (unsigned)count;
    return true;
}

static bool set_dtls(struct config *config, const char *value)
{
    (void)value;
    return config->is_dtls = true;
}

static bool set_server(struct config *config, const char *value)
{
    (void)value;
    return config->is_server = true;
}

static bool set_min_version(struct config *config, const char *value)
{
    return take_u16(value, &config->min_version);
}

static bool set_max_version(struct config *config, const char *value)
{
    return take_u16(value, &config->max_version);
}

static bool set_no_13(struct config *config, const char *value)
{
    (void)value;
    return config->no_13 = true;
}

static bool set_no_12(struct config *config, const char *value)
{
    (void)value;
    return config->no_12 = true;
}

static bool set_cert_file(struct config *config, const char *value)
{
    config->cert_file = value;
    return true;
}

static bool set_key_file(struct config *config, const char *value)
{
    config->key_file = value;
    return true;
}

static bool set_trust_cert(struct config *config, const char *value)
{
    config->trust_cert = value;
    return true;
}

static bool set_require_certificate(struct config *config, const char *value)
{
    (void)value;
    return config->require_client_certificate = true;
}

static bool add_curve(struct config *config, const char *value)
{
    uint16_t group;

    if (!take_u16(value, &group) || config->group_count + 1 >= KW_POLICY_GROUPS)
        return false;
    switch ((enum kw_group)group) {
    case KW_GROUP_P256:
    case KW_GROUP_P384:
    case KW_GROUP_X25519:
    case KW_GROUP_X25519MLKEM768:
        config->groups[config->group_count++] = (enum kw_group)group;
        return true;
    case KW_GROUP_NONE:
        break;
    }
    return false;
}

/* "A:B". A profile that does not exist here is not offered; at least one must be left. */
static bool set_profiles(struct config *config, const char *value)
{
    static const struct {
        const char *name;
        enum kw_srtp_profile profile;
    } known[] = {
        {"SRTP_AES128_CM_SHA1_80", KW_SRTP_AES128_CM_SHA1_80},
        {"SRTP_AEAD_AES_128_GCM", KW_SRTP_AEAD_AES_128_GCM},
        {"SRTP_AEAD_AES_256_GCM", KW_SRTP_AEAD_AES_256_GCM},
    };

    for (const char *at = value; *at != '\0';) {
        size_t len = strcspn(at, ":");

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strlen(known[i].name) != len || memcmp(known[i].name, at, len) != 0)
                continue;
            if (config->profile_count + 1 < KW_POLICY_PROFILES)
                config->profiles[config->profile_count++] = known[i].profile;
        }
        at += len + (at[len] == ':');
    }
    return config->profile_count != 0;
}

/* A list in wire format, of which we can offer one: the first. */
static bool advertise_alpn(struct config *config, const char *value)
{
    size_t len = (uint8_t)value[0];

    if (len == 0 || len > strlen(value + 1))
        return false;
    config->alpn = (struct kw_bytes){(const uint8_t *)value + 1, len};
    return config->advertises_alpn = true;
}

static bool select_alpn(struct config *config, const char *value)
{
    config->alpn = (struct kw_bytes){(const uint8_t *)value, strlen(value)};
    return true;
}

static bool set_mtu(struct config *config, const char *value)
{
    uint64_t mtu;

    if (!parse_number(value, UINT16_MAX, &mtu))
        return false;
    config->mtu = (size_t)mtu;
    return true;
}

static bool set_initial_timeout(struct config *config, const char *value)
{
    uint64_t ms;

    if (!parse_number(value, 60000, &ms))
        return false;
    config->initial_timeout = KW_MS(ms);
    return true;
}

static bool set_export(struct config *config, const char *value)
{
    uint64_t len;

    if (!parse_number(value, 4096, &len))
        return false;
    config->export_len = (size_t)len;
    return true;
}

static bool set_export_label(struct config *config, const char *value)
{
    config->export_label = value;
    return true;
}

static bool set_export_context(struct config *config, const char *value)
{
    config->export_context = value;
    return true;
}

static bool set_use_context(struct config *config, const char *value)
{
    (void)value;
    return config->use_export_context = true;
}

static bool set_writes_first(struct config *config, const char *value)
{
    (void)value;
    return config->writes_first = true;
}

static bool set_shuts_down(struct config *config, const char *value)
{
    (void)value;
    return config->shuts_down = true;
}

static bool set_sends_alert(struct config *config, const char *value)
{
    (void)value;
    return config->sends_alert = true;
}

static bool set_key_update(struct config *config, const char *value)
{
    (void)value;
    return config->key_update_before_read = true;
}

static bool set_expect_messages(struct config *config, const char *value)
{
    config->expect_messages = value;
    return true;
}

static bool set_patient(struct config *config, const char *value)
{
    (void)value;
    return config->is_patient = true;
}

static bool set_handshaker(struct config *config, const char *value)
{
    (void)value;
    return config->asks_for_handshaker = true;
}

static const struct {
    const char *name;
    bool has_value;
    bool (*set)(struct config *config, const char *value);
} flags[] = {
    {"-port", true, set_port},
    {"-ipv6", false, set_ipv6},
    {"-shim-id", true, set_shim_id},
    {"-resume-count", true, set_resume_count},
    {"-dtls", false, set_dtls},
    {"-server", false, set_server},
    {"-min-version", true, set_min_version},
    {"-max-version", true, set_max_version},
    {"-no-tls13", false, set_no_13},
    {"-no-tls12", false, set_no_12},
    {"-no-tls11", false, NULL},
    {"-no-tls1", false, NULL},
    {"-cert-file", true, set_cert_file},
    {"-key-file", true, set_key_file},
    {"-trust-cert", true, set_trust_cert},
    {"-require-any-client-certificate", false, set_require_certificate},
    {"-curves", true, add_curve},
    {"-srtp-profiles", true, set_profiles},
    {"-advertise-alpn", true, advertise_alpn},
    {"-select-alpn", true, select_alpn},
    {"-mtu", true, set_mtu},
    {"-initial-timeout-duration-ms", true, set_initial_timeout},
    {"-export-keying-material", true, set_export},
    {"-export-label", true, set_export_label},
    {"-export-context", true, set_export_context},
    {"-use-export-context", false, set_use_context},
    {"-shim-writes-first", false, set_writes_first},
    {"-shim-shuts-down", false, set_shuts_down},
    {"-send-alert", false, set_sends_alert},
    {"-key-update-before-read", false, set_key_update},
    {"-expect-msg-callback", true, set_expect_messages},
    {"-is-handshaker-supported", false, set_handshaker},
    {"-patient", false, set_patient}, /* ours */
    /* How the caller of BoringSSL waits; a sans-IO engine has one way. */
    {"-async", false, NULL},
    {"-implicit-handshake", false, NULL},
    {"-use-old-client-cert-callback", false, NULL},
    /* There are no tickets and no sessions, renegotiation is always refused, and a certificate
     * message above our own limit is refused anyway. */
    {"-no-ticket", false, NULL},
    {"-expect-no-session", false, NULL},
    {"-renegotiate-freely", false, NULL},
    {"-max-cert-list", true, NULL},
};

int config_parse(int argc, char **argv, struct config *ret)
{
    const size_t count = sizeof flags / sizeof flags[0];
    struct config config = {.export_label = "", .export_context = ""};

    for (int i = 1; i < argc; i++) {
        size_t flag = 0;
        const char *value = NULL;

        while (flag < count && strcmp(flags[flag].name, argv[i]) != 0)
            flag++;
        if (flag == count) {
            fprintf(stderr, "unknown flag %s\n", argv[i]);
            return EXIT_UNIMPLEMENTED;
        }
        if (flags[flag].has_value) {
            if (++i == argc)
                return EXIT_FAILURE;
            value = argv[i];
        }
        if (flags[flag].set != NULL && !flags[flag].set(&config, value)) {
            fprintf(stderr, "cannot do %s %s\n", argv[i - (value != NULL)], value ? value : "");
            return EXIT_UNIMPLEMENTED;
        }
    }
    if (!config.is_dtls && !config.asks_for_handshaker) {
        fprintf(stderr, "only DTLS\n");
        return EXIT_UNIMPLEMENTED;
    }
    *ret = config;
    return 0;
}
