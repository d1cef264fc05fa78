/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/yaml_reader.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kw_yaml_fail(struct kw_yaml *yaml, const yaml_node_t *at, const char *what)
{
    unsigned long line = at != NULL ? (unsigned long)at->start_mark.line + 1 : 1;

    snprintf(yaml->error, yaml->error_size, "%s:%lu: %s%s%s", yaml->file, line, yaml->path,
             yaml->path[0] != '\0' ? ": " : "", what);
    return false;
}

static size_t enter(struct kw_yaml *yaml, const char *name)
{
    size_t was = strlen(yaml->path);

    snprintf(yaml->path + was, sizeof yaml->path - was, "%s%s",
             was != 0 && name[0] != '[' ? "." : "", name);
    return was;
}

static void leave(struct kw_yaml *yaml, size_t was)
{
    yaml->path[was] = '\0';
}

/* Printable form of a key that we do not know. */
static void key_text(const yaml_node_t *key, char *dst, size_t dst_size)
{
    size_t len = 0;

    if (key->type != YAML_SCALAR_NODE) {
        snprintf(dst, dst_size, "?");
        return;
    }
    for (size_t i = 0; i < key->data.scalar.length && len + 1 < dst_size; i++) {
        unsigned char c = key->data.scalar.value[i];

        dst[len++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    dst[len] = '\0';
}

static bool read_pair(struct kw_yaml *yaml, const yaml_node_pair_t *pair,
                      const struct kw_yaml_key *keys, size_t key_count, uint64_t *seen,
                      void *target)
{
    yaml_node_t *key = yaml_document_get_node(&yaml->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(&yaml->document, pair->value);
    char name[64];
    size_t was;
    bool done;

    key_text(key, name, sizeof name);
    was = enter(yaml, name);
    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        if ((*seen & UINT64_C(1) << i) != 0)
            return kw_yaml_fail(yaml, key, "this key is here twice");
        *seen |= UINT64_C(1) << i;
        done = keys[i].read(yaml, value, target);
        if (done)
            leave(yaml, was);
        return done;
    }
    return kw_yaml_fail(yaml, key, "there is no such key");
}

bool kw_yaml_mapping(struct kw_yaml *yaml, yaml_node_t *node, const struct kw_yaml_key *keys,
                     size_t key_count, void *target)
{
    uint64_t seen = 0;

    KW_ASSERT(key_count <= 64);
    if (node->type != YAML_MAPPING_NODE)
        return kw_yaml_fail(yaml, node, "a mapping is expected here");
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        if (!read_pair(yaml, pair, keys, key_count, &seen, target))
            return false;
    }
    for (size_t i = 0; i < key_count; i++) {
        if (keys[i].is_required && (seen & UINT64_C(1) << i) == 0) {
            enter(yaml, keys[i].name);
            return kw_yaml_fail(yaml, node, "this key is missing");
        }
    }
    return true;
}

bool kw_yaml_sequence(struct kw_yaml *yaml, yaml_node_t *node, size_t item_max,
                      bool (*read)(struct kw_yaml *yaml, yaml_node_t *value, void *target,
                                   size_t position),
                      void *target)
{
    size_t position = 0;

    if (node->type != YAML_SEQUENCE_NODE)
        return kw_yaml_fail(yaml, node, "a list is expected here");
    for (const yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++, position++) {
        yaml_node_t *value = yaml_document_get_node(&yaml->document, *item);
        char name[24];
        size_t was;

        snprintf(name, sizeof name, "[%zu]", position);
        was = enter(yaml, name);
        if (position >= item_max)
            return kw_yaml_fail(yaml, value, "that is more than this list may hold");
        if (!read(yaml, value, target, position))
            return false;
        leave(yaml, was);
    }
    return true;
}

bool kw_yaml_text(struct kw_yaml *yaml, yaml_node_t *node, char *dst, size_t dst_size)
{
    size_t len;

    if (node->type != YAML_SCALAR_NODE)
        return kw_yaml_fail(yaml, node, "a single value is expected here");
    len = node->data.scalar.length;
    if (len == 0)
        return kw_yaml_fail(yaml, node, "this must not be empty");
    if (memchr(node->data.scalar.value, '\0', len) != NULL)
        return kw_yaml_fail(yaml, node, "a NUL has no place here");
    if (len >= dst_size)
        return kw_yaml_fail(yaml, node, "this is too long");
    memcpy(dst, node->data.scalar.value, len);
    dst[len] = '\0';
    return true;
}

bool kw_yaml_number(struct kw_yaml *yaml, yaml_node_t *node, uint64_t min, uint64_t max,
                    uint64_t *ret)
{
    char text[32], what[96];
    unsigned long long value;
    char *end;

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        snprintf(what, sizeof what, "a number from %llu to %llu is expected here",
                 (unsigned long long)min, (unsigned long long)max);
        return kw_yaml_fail(yaml, node, what);
    }
    *ret = value;
    return true;
}

bool kw_yaml_bool(struct kw_yaml *yaml, yaml_node_t *node, bool *ret)
{
    char text[8];

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    *ret = strcmp(text, "true") == 0;
    return *ret || strcmp(text, "false") == 0 ||
           kw_yaml_fail(yaml, node, "true or false is expected here");
}

bool kw_yaml_duration(struct kw_yaml *yaml, yaml_node_t *node, kw_ns *ret)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    unsigned long long value;
    char text[16];
    char *end;

    if (!kw_yaml_text(yaml, node, text, sizeof text))
        return false;
    value = strtoull(text, &end, 10);
    for (size_t i = 0; i < KW_ARRAY_LEN(units); i++) {
        if (text[0] >= '0' && text[0] <= '9' && end[0] == units[i].unit && end[1] == '\0' &&
            value >= 1 && value * units[i].seconds <= 86400) {
            *ret = KW_S(value * units[i].seconds);
            return true;
        }
    }
    return kw_yaml_fail(yaml, node, "a duration such as 30s, 5m or 1h is expected here");
}

static bool parse(struct kw_yaml *yaml, FILE *file,
                  bool (*read)(struct kw_yaml *yaml, yaml_node_t *root, void *target), void *target)
{
    yaml_parser_t parser;
    yaml_node_t *root;
    bool done = false;

    if (!yaml_parser_initialize(&parser))
        return kw_yaml_fail(yaml, NULL, "out of memory");
    yaml_parser_set_input_file(&parser, file);
    if (!yaml_parser_load(&parser, &yaml->document)) {
        snprintf(yaml->error, yaml->error_size, "%s:%lu: %s", yaml->file,
                 (unsigned long)parser.problem_mark.line + 1,
                 parser.problem != NULL ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return false;
    }
    root = yaml_document_get_root_node(&yaml->document);
    if (root == NULL)
        kw_yaml_fail(yaml, NULL, "the file is empty");
    else
        done = read(yaml, root, target);
    yaml_document_delete(&yaml->document);
    yaml_parser_delete(&parser);
    return done;
}

bool kw_yaml_read_file(const char *path, size_t size_max, char *error, size_t error_size,
                       bool (*read)(struct kw_yaml *yaml, yaml_node_t *root, void *target),
                       void *target)
{
    struct kw_yaml yaml = {.file = path, .error = error, .error_size = error_size};
    FILE *file = fopen(path, "re");
    bool done = false;

    if (file == NULL) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    if (fseek(file, 0, SEEK_END) != 0 || ftell(file) < 0 || (size_t)ftell(file) > size_max) {
        snprintf(error, error_size, "%s: larger than a configuration is", path);
    } else {
        rewind(file);
        done = parse(&yaml, file, read, target);
    }
    fclose(file);
    return done;
}
