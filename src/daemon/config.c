/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include "base/assert.h"
#include "daemon/tenant_config.h"
#include "daemon/yaml_reader.h"
#include "sys/address.h"

#include <stdlib.h>
#include <string.h>

enum { DEMO_CALLS = 16, DEMO_CALLS_PER_MINUTE = 120, DEMO_DRAIN_S = 1 };

enum kw_status kw_config_init(struct kw_config *config)
{
    memset(config, 0, sizeof *config);
    config->tenants = calloc(KW_GATEWAY_TENANTS_MAX, sizeof *config->tenants);
    if (config->tenants == NULL)
        return KW_ERR_MEMORY;
    config->is_demo = true;
    config->drain = KW_S(DEMO_DRAIN_S);
    strcpy(config->data, "data");
    config->tenant_count = 1;
    strcpy(config->tenants[0].name, "demo");
    config->tenants[0].calls_max = DEMO_CALLS;
    config->tenants[0].calls_per_minute = DEMO_CALLS_PER_MINUTE;
    KW_ASSERT(kw_policy_preset("modern", &config->tenants[0].policy));
    return KW_OK;
}

void kw_config_deinit(struct kw_config *config)
{
    if (config->tenants != NULL)
        kw_wipe(config->tenants, KW_GATEWAY_TENANTS_MAX * sizeof *config->tenants);
    free(config->tenants);
    config->tenants = NULL;
}

bool kw_config_is_host(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

static bool read_address(struct kw_yaml *yaml, yaml_node_t *node, uint16_t default_port,
                         struct kw_address *ret)
{
    char text[KW_ADDRESS_TEXT_MAX];

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    return kw_address_parse(text, default_port, ret) ||
           kw_yaml_fail(yaml, node, "an address such as 192.0.2.1:8443 is expected here");
}

static bool read_listen_item(struct kw_yaml *yaml, yaml_node_t *node, void *target, size_t position)
{
    struct kw_config *config = target;

    config->listen_count = position + 1;
    return read_address(yaml, node, 8080, &config->listen[position]);
}

static bool read_listen(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_sequence(yaml, node, KW_HTTP_LISTEN_MAX, read_listen_item, target);
}

static bool read_host_item(struct kw_yaml *yaml, yaml_node_t *node, void *target, size_t position)
{
    struct kw_config *config = target;

    config->host_count = position + 1;
    if (!kw_yaml_text(yaml, node, config->hosts[position], KW_CONFIG_NAME_MAX))
        return false;
    return kw_config_is_host(config->hosts[position]) ||
           kw_yaml_fail(yaml, node, "a name such as calls.example.org, without port, is expected");
}

static bool read_hosts(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_sequence(yaml, node, KW_HTTP_HOSTS_MAX, read_host_item, target);
}

static bool read_cert(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_text(yaml, node, ((struct kw_config *)target)->cert, PATH_MAX);
}

static bool read_key(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_text(yaml, node, ((struct kw_config *)target)->key, PATH_MAX);
}

static bool read_tls(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    static const struct kw_yaml_key keys[] = {
        {"cert", read_cert, true},
        {"key", read_key, true},
    };

    return kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys), target);
}

static bool read_admin(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_config *config = target;

    config->has_admin = true;
    return read_address(yaml, node, 9464, &config->admin);
}

static bool read_media_port(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t port;

    if (!kw_yaml_number(yaml, node, 1, UINT16_MAX, &port))
        return false;
    ((struct kw_config *)target)->media_port = (uint16_t)port;
    return true;
}

static bool read_advertise_item(struct kw_yaml *yaml, yaml_node_t *node, void *target,
                                size_t position)
{
    struct kw_config *config = target;

    config->advertise_count = position + 1;
    return read_address(yaml, node, 0, &config->advertise[position]);
}

static bool read_advertise(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_sequence(yaml, node, KW_CONFIG_ADVERTISE_MAX, read_advertise_item, target);
}

static bool read_media(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    static const struct kw_yaml_key keys[] = {
        {"port", read_media_port, false},
        {"advertise", read_advertise, false},
    };

    return kw_yaml_mapping(yaml, node, keys, KW_ARRAY_LEN(keys), target);
}

static bool read_data(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_text(yaml, node, ((struct kw_config *)target)->data, PATH_MAX);
}

static bool read_web(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_text(yaml, node, ((struct kw_config *)target)->web, PATH_MAX);
}

static bool read_kernel(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_config *config = target;

    return kw_yaml_text(yaml, node, config->kernel, sizeof config->kernel);
}

static bool read_drain(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    return kw_yaml_duration(yaml, node, &((struct kw_config *)target)->drain);
}

static bool read_calls(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t calls;

    if (!kw_yaml_number(yaml, node, 1, 100000, &calls))
        return false;
    ((struct kw_config *)target)->calls_max = (size_t)calls;
    return true;
}

static bool read_tenant_item(struct kw_yaml *yaml, yaml_node_t *node, void *target, size_t position)
{
    struct kw_config *config = target;
    struct kw_tenant_config *tenant = &config->tenants[position];

    config->tenant_count = position + 1;
    if (!kw_tenant_config_read(yaml, node, tenant))
        return false;
    for (size_t i = 0; i < position; i++) {
        if (strcmp(config->tenants[i].name, tenant->name) == 0)
            return kw_yaml_fail(yaml, node, "another tenant has this name");
        if (strcmp(config->tenants[i].token, tenant->token) == 0)
            return kw_yaml_fail(yaml, node, "another tenant has the same token");
    }
    return true;
}

static bool read_tenants(struct kw_yaml *yaml, yaml_node_t *node, void *target)
{
    struct kw_config *config = target;

    config->tenant_count = 0;
    if (!kw_yaml_sequence(yaml, node, KW_GATEWAY_TENANTS_MAX, read_tenant_item, target))
        return false;
    return config->tenant_count != 0 || kw_yaml_fail(yaml, node, "at least one tenant is needed");
}

static bool read_root(struct kw_yaml *yaml, yaml_node_t *root, void *target)
{
    static const struct kw_yaml_key keys[] = {
        {"listen", read_listen, false},  {"hosts", read_hosts, false},
        {"tls", read_tls, false},        {"admin", read_admin, false},
        {"media", read_media, false},    {"data", read_data, false},
        {"web", read_web, false},        {"kernel", read_kernel, false},
        {"drain", read_drain, false},    {"calls", read_calls, false},
        {"tenants", read_tenants, true},
    };

    return kw_yaml_mapping(yaml, root, keys, KW_ARRAY_LEN(keys), target);
}

bool kw_config_read(struct kw_config *config, const char *path, char error[KW_CONFIG_ERROR_MAX])
{
    config->is_demo = false;
    config->drain = KW_S(30);
    kw_wipe(config->tenants, KW_GATEWAY_TENANTS_MAX * sizeof *config->tenants);
    return kw_yaml_read_file(path, KW_CONFIG_FILE_MAX, error, KW_CONFIG_ERROR_MAX, read_root,
                             config);
}
