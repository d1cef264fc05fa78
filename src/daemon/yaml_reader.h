/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_YAML_READER_H
#define KW_DAEMON_YAML_READER_H

/*
 * A mapping of a YAML document is read by a table of its keys. Whatever goes wrong is said with
 * file, line and the path of keys: a stranger, a duplicate or a missing key, a value of the wrong
 * kind.
 */

#include <keywheel/base.h>

#include <yaml.h>

struct kw_yaml {
    yaml_document_t document;
    const char *file;
    char path[256]; /* of keys: "tenants[0].rotation.period" */
    char *error;
    size_t error_size;
};

struct kw_yaml_key {
    const char *name;
    bool (*read)(struct kw_yaml *yaml, yaml_node_t *value, void *target);
    bool is_required;
};

/* False with `error`, always: `return kw_yaml_fail(..)`. */
bool kw_yaml_fail(struct kw_yaml *yaml, const yaml_node_t *at, const char *what);

bool kw_yaml_mapping(struct kw_yaml *yaml, yaml_node_t *node, const struct kw_yaml_key *keys,
                     size_t key_count, void *target);
/* Calls read() for each item, with its position. */
bool kw_yaml_sequence(struct kw_yaml *yaml, yaml_node_t *node, size_t item_max,
                      bool (*read)(struct kw_yaml *yaml, yaml_node_t *value, void *target,
                                   size_t position),
                      void *target);

/* Scalars. text(): not empty, without NUL, fits. */
bool kw_yaml_text(struct kw_yaml *yaml, yaml_node_t *node, char *dst, size_t dst_size);
bool kw_yaml_number(struct kw_yaml *yaml, yaml_node_t *node, uint64_t min, uint64_t max,
                    uint64_t *ret);
bool kw_yaml_bool(struct kw_yaml *yaml, yaml_node_t *node, bool *ret);
/* "30s", "5m", "1h". */
bool kw_yaml_duration(struct kw_yaml *yaml, yaml_node_t *node, kw_ns *ret);

/* Opens FILE and hands its only document's root to read(). */
bool kw_yaml_read_file(const char *file, size_t size_max, char *error, size_t error_size,
                       bool (*read)(struct kw_yaml *yaml, yaml_node_t *root, void *target),
                       void *target);

#endif
