/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_CRYPTO_VECTORS_H
#define KW_TESTS_CRYPTO_VECTORS_H

/* Reading hexadecimal text and Wycheproof's JSON. */

#include "check.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a hexadecimal text; blanks are skipped. Fails the test when they do not fit. */
static inline size_t from_hex(const char *text, uint8_t *dst, size_t dst_size)
{
    size_t digits = 0;

    for (; *text != '\0'; text++) {
        const char *set = "0123456789abcdef", *at = strchr(set, *text | 0x20);

        if (*text == ' ' || *text == '\n')
            continue;
        CHECK(at != NULL && digits / 2 < dst_size, "bad hexadecimal text at '%s'", text);
        if (digits % 2 == 0)
            dst[digits / 2] = (uint8_t)((at - set) << 4);
        else
            dst[digits / 2] |= (uint8_t)(at - set);
        digits++;
    }
    assert_int_equal(digits % 2, 0);
    return digits / 2;
}

static inline void vectors_path(const char *name, char path[512])
{
    const char *folder = getenv("KW_VECTORS");

    (void)snprintf(path, 512, "%s/wycheproof/%s", folder != NULL ? folder : KW_VECTORS_FOLDER,
                   name);
}

/* Whether the folder is there: KW_VECTORS, or the one given to the build. */
static inline bool have_vectors(void)
{
    char path[512];

    vectors_path("", path);
    return access(path, R_OK) == 0;
}

static inline json_t *open_vectors(const char *name)
{
    char path[512];
    json_error_t error;
    json_t *root;

    vectors_path(name, path);
    root = json_load_file(path, 0, &error);
    CHECK(root != NULL, "%s: %s", path, error.text);
    return root;
}

static inline const char *field_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

#endif
