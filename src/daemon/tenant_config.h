/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_TENANT_CONFIG_H
#define KW_DAEMON_TENANT_CONFIG_H

#include "daemon/yaml_reader.h"
#include "gateway/gateway.h"

/* One item of `tenants`: its policy is a preset that it may only make stricter. */
bool kw_tenant_config_read(struct kw_yaml *yaml, yaml_node_t *node,
                           struct kw_tenant_config *tenant);

#endif
