/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tenant_config.h"

#include "base/assert.h"
#include "sys/address.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TOKEN_MIN = 16, /* characters; 128 bits in base64url are 22 */
    CALLS_MAX = 100,
    CALLS_PER_MINUTE = 600,
};

/* Names end up in file names, log lines and URLs. */
static bool name_is_plain(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0' && name[0] != '-';
}

static bool read_plain(struct kw_yaml *yaml, yaml_node_t *node, char *dst, size_t dst_size)
{
    if (!kw_yaml_text(yaml, node, dst, dst_size))
        return false;
    return name_is_plain(dst) ||
           kw_yaml_fail(yaml, node, "a name has lower-case letters, digits and hyphens");
}

static bool read_name(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return read_plain(yaml, node, ((struct kw_tenant_config *)target)->name, KW_POLICY_NAME_MAX);
}

/* The first line of a file that nobody else may read. */
static bool read_token(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_tenant_config *tenant = target;
    char path[4096], what[160];
    struct stat st;
    FILE *file;
    size_t len = 0;

    if (!kw_yaml_text(yaml, node, path, sizeof path))
        return false;
    file = fopen(path, "re");
    if (file == NULL) {
        snprintf(what, sizeof what, "the token file cannot be read: %s", strerror(errno));
        return kw_yaml_fail(yaml, node, what);
    }
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the token in a buffer of stdio */
    if (fstat(fileno(file), &st) != 0 || (st.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        fclose(file);
        return kw_yaml_fail(yaml, node, "others may read or change the token file: chmod 640 it");
    }
    for (int c; (c = fgetc(file)) != EOF && c != '\n';) {
        /* A part of a token is no token: too long is as wrong as a space in it. */
        if (c <= 0x20 || c > 0x7e || len + 1 == sizeof tenant->token) {
            len = 0;
            break;
        }
        tenant->token[len++] = (char)c;
    }
    fclose(file);
    tenant->token[len] = '\0';
    return len >= TOKEN_MIN ||
           kw_yaml_fail(yaml, node, "a token is one line of 16 to 127 visible characters");
}

static bool read_preset(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_tenant_config *tenant = target;
    char name[KW_POLICY_NAME_MAX];
    struct kw_policy preset;

    if (!kw_yaml_text(yaml, node, name, sizeof name))
        return false;
    if (!kw_policy_preset(name, &preset))
        return kw_yaml_fail(yaml, node, "modern, nist or pq is expected here");
    /* only its name now: keys come in any order, so exceptions may already be here */
    memcpy(tenant->policy.name, preset.name, sizeof preset.name);
    return true;
}

static bool read_backend(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    static const struct {
        const char *name;
        enum kw_backend_kind kind;
    } rows[] = {
        {"echo", KW_BACKEND_ECHO},
        {"bridge", KW_BACKEND_BRIDGE},
        {"rtp", KW_BACKEND_RTP},
    };
    char name[16];

    if (!kw_yaml_text(yaml, node, name, sizeof name))
        return false;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        ((struct kw_tenant_config *)target)->backend = rows[i].kind;
        return true;
    }
    return kw_yaml_fail(yaml, node, "echo, bridge or rtp is expected here");
}

static bool read_rtp_target(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_tenant_config *tenant = target;
    char text[KW_ADDRESS_TEXT_MAX];

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    return (kw_address_parse(text, 0, &tenant->rtp_target) && tenant->rtp_target.port != 0) ||
           kw_yaml_fail(yaml, node, "an address such as 192.0.2.1:5004 is expected here");
}

static bool read_calls(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t value;

    if (!kw_yaml_number(yaml, node, 1, 100000, &value))
        return false;
    ((struct kw_tenant_config *)target)->calls_max = (size_t)value;
    return true;
}

static bool read_calls_per_minute(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t value;

    if (!kw_yaml_number(yaml, node, 1, 1000000, &value))
        return false;
    ((struct kw_tenant_config *)target)->calls_per_minute = (uint32_t)value;
    return true;
}

static bool read_mlock(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_bool(yaml, node, &((struct kw_tenant_config *)target)->policy.mlock_required);
}

static bool read_period(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_rotation_policy *rotation = target;

    return kw_yaml_duration(yaml, node, &rotation->period);
}

static bool read_bytes(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_rotation_policy *rotation = target;

    return kw_yaml_number(yaml, node, 100000, UINT64_C(1000000000), &rotation->bytes);
}

static bool read_grace(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_rotation_policy *rotation = target;

    rotation->at_limit = KW_AT_LIMIT_GRACE;
    return kw_yaml_duration(yaml, node, &rotation->grace);
}

static bool read_at_limit(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    static const struct kw_yaml_key keys[] = {{"grace", read_grace, true}};
    struct kw_rotation_policy *rotation = target;
    char text[16];

    if (node->type == YAML_MAPPING_NODE)
        return kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys), rotation);
    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    rotation->at_limit = KW_AT_LIMIT_CLOSE;
    return strcmp(text, "close") == 0 ||
           kw_yaml_fail(yaml, node, "close, or grace: DURATION, is expected here");
}

static bool read_rotation(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    static const struct kw_yaml_key keys[] = {
        {"period", read_period, false},
        {"bytes", read_bytes, false},
        {"at-limit", read_at_limit, false},
    };

    return kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys),
                           &((struct kw_tenant_config *)target)->policy.rotation);
}

static bool read_exception_name(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return read_plain(yaml, node, ((struct kw_exception *)target)->name, KW_POLICY_NAME_MAX);
}

static bool read_reason(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_text(yaml, node, ((struct kw_exception *)target)->reason, KW_POLICY_REASON_MAX);
}

static bool read_expires(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    char text[40];

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    return kw_utc_parse(text, &((struct kw_exception *)target)->expires) ||
           kw_yaml_fail(yaml, node, "a date such as 2027-01-31 is expected here");
}

static bool read_network(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_exception *exception = target;
    char text[KW_ADDRESS_TEXT_MAX];
    unsigned long prefix;
    char *slash, *end;

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
        prefix = strtoul(slash + 1, &end, 10);
        if (slash[1] >= '0' && slash[1] <= '9' && *end == '\0' &&
            kw_address_parse(text, 0, &exception->network) && exception->network.port == 0 &&
            prefix >= 1 && prefix <= (exception->network.family == 4 ? 32 : 128)) {
            exception->network_prefix = (uint8_t)prefix;
            return true;
        }
    }
    return kw_yaml_fail(yaml, node, "a network such as 192.0.2.0/24 is expected here");
}

static bool read_fingerprint(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_exception *exception = target;
    char text[KW_FINGERPRINT_TEXT_MAX];

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    exception->has_fingerprint = kw_fingerprint_parse(
        (struct kw_bytes){(const uint8_t *)text, strlen(text)}, &exception->fingerprint);
    return exception->has_fingerprint ||
           kw_yaml_fail(yaml, node, "a fingerprint such as sha-256 AB:CD:.. is expected here");
}

static bool read_trunk(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return read_plain(yaml, node, ((struct kw_exception *)target)->trunk, KW_POLICY_NAME_MAX);
}

static bool read_allow_item(struct kw_yaml *yaml, yaml_node_t *node, void *target, size_t position)
{
    struct kw_exception *exception = target;
    char text[32];

    (void)position;
    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    if (strcmp(text, "dtls-1.2") == 0)
        exception->allow_dtls12 = true;
    else if (strcmp(text, "aes-cm-sha1-80") == 0)
        exception->allow_cm_sha1_80 = true;
    else if (strcmp(text, "rsa") == 0)
        exception->allow_rsa = true;
    else
        return kw_yaml_fail(yaml, node, "dtls-1.2, aes-cm-sha1-80 or rsa is expected here");
    return true;
}

static bool read_allow(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_sequence(yaml, node, 3, read_allow_item, target);
}

static bool read_exception(struct kw_yaml *yaml, yaml_node_t *node, void *target, size_t position)
{
    static const struct kw_yaml_key keys[] = {
        {"name", read_exception_name, true}, {"reason", read_reason, true},
        {"expires", read_expires, true},     {"allow", read_allow, true},
        {"network", read_network, false},    {"fingerprint", read_fingerprint, false},
        {"trunk", read_trunk, false},
    };
    struct kw_tenant_config *tenant = target;
    struct kw_exception *exception = &tenant->policy.exceptions[position];

    tenant->policy.exception_count = position + 1;
    if (!kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys), exception))
        return false;
    if ((exception->network.family != 0) + exception->has_fingerprint +
            (exception->trunk[0] != '\0') !=
        1)
        return kw_yaml_fail(yaml, node,
                            "exactly one of network, fingerprint and trunk names the peer");
    for (size_t i = 0; i < position; i++) {
        if (strcmp(tenant->policy.exceptions[i].name, exception->name) == 0)
            return kw_yaml_fail(yaml, node, "another exception has this name");
    }
    return true;
}

static bool read_exceptions(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_sequence(yaml, node, KW_POLICY_EXCEPTIONS, read_exception, target);
}

/* The preset below what the file says; and the file says nothing looser. */
static bool complete_policy(struct kw_yaml *yaml, yaml_node_t *node, struct kw_policy *policy)
{
    struct kw_policy preset;
    const char *key = "";
    char what[96];

    KW_ASSERT(kw_policy_preset(policy->name[0] != '\0' ? policy->name : "modern", &preset));
    memcpy(policy->name, preset.name, sizeof policy->name);
    memcpy(policy->suites, preset.suites, sizeof policy->suites);
    memcpy(policy->groups, preset.groups, sizeof policy->groups);
    memcpy(policy->profiles, preset.profiles, sizeof policy->profiles);
    policy->provider_aes = preset.provider_aes;
    if (policy->rotation.period == 0)
        policy->rotation.period = preset.rotation.period;
    if (policy->rotation.bytes == 0)
        policy->rotation.bytes = preset.rotation.bytes;
    policy->rotation.packets = preset.rotation.packets;
    policy->rotation.due_min_percent = preset.rotation.due_min_percent;
    policy->rotation.due_max_percent = preset.rotation.due_max_percent;
    /* `at-limit: grace` is the one thing a tenant may choose that is looser: it is audited */
    preset.rotation.at_limit = KW_AT_LIMIT_GRACE;
    preset.rotation.grace = KW_NEVER;
    if (kw_policy_stricter(&preset, policy, &key))
        return true;
    snprintf(what, sizeof what, "%s is looser than the preset allows", key);
    return kw_yaml_fail(yaml, node, what);
}

bool kw_tenant_config_read(struct kw_yaml *yaml, yaml_node_t *node, struct kw_tenant_config *tenant)
{
    static const struct kw_yaml_key keys[] = {
        {"name", read_name, true},
        {"token-file", read_token, true},
        {"preset", read_preset, false},
        {"backend", read_backend, false},
        {"rtp-target", read_rtp_target, false},
        {"calls", read_calls, false},
        {"calls-per-minute", read_calls_per_minute, false},
        {"require-mlock", read_mlock, false},
        {"rotation", read_rotation, false},
        {"exceptions", read_exceptions, false},
    };

    tenant->calls_max = CALLS_MAX;
    tenant->calls_per_minute = CALLS_PER_MINUTE;
    if (!kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys), tenant))
        return false;
    if ((tenant->backend == KW_BACKEND_RTP) != (tenant->rtp_target.family != 0))
        return kw_yaml_fail(yaml, node, "backend: rtp and rtp-target go together");
    return complete_policy(yaml, node, &tenant->policy);
}
