/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's text on its way out: into JSON, which stays one string and harmless in HTML and in an
 * event stream, and into a line of the log, which stays one line and drives no terminal.
 */
#include "audit/utf8.h"
#include "base/assert.h"
#include "control/json.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void to_json(const char *text)
{
    uint8_t bytes[8 * KW_JSON_TEXT_MAX];
    struct kw_json json = kw_json_of(bytes, sizeof bytes);
    struct kw_bytes made;

    kw_json_text(&json, NULL, text);
    KW_ASSERT(!json.out.failed);
    made = kw_writer_view(&json.out);
    KW_ASSERT(made.len >= 2 && made.data[0] == '"' && made.data[made.len - 1] == '"');
    KW_ASSERT(kw_utf8_valid(made));
    for (size_t i = 1; i + 1 < made.len; i++) {
        uint8_t c = made.data[i];

        KW_ASSERT(c >= 0x20 && c != 0x7f && c != '"' && c != '<' && c != '>' && c != '&');
        if (c == '\\')
            KW_ASSERT(made.data[i + 1] == 'u' && i + 6 < made.len);
    }
}

static void to_log(const char *text)
{
    const struct kw_log_field fields[] = {KW_LOG_TEXT("who", text), KW_LOG_NUMBER("n", 1)};
    char line[KW_LOG_LINE_MAX];
    size_t len = kw_log_format(line, sizeof line, KW_LOG_INFO, "event", fields, 2);

    KW_ASSERT(len < sizeof line);
    for (size_t i = 0; i < len; i++)
        KW_ASSERT(line[i] >= 0x20 && line[i] <= 0x7e);
    /* A forged field would stand outside the quotes. */
    KW_ASSERT(len >= 4 && memcmp(line + len - 4, " n=1", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    KW_ASSERT(text != NULL);
    if (size != 0)
        memcpy(text, data, size);
    text[size] = '\0';
    to_json(text);
    to_log(text);
    free(text);
    return 0;
}
