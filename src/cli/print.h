/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CLI_PRINT_H
#define KW_CLI_PRINT_H

/* Facts for people and for programs; both walk the table of fields. */

#include "audit/fields.h"

#include <jansson.h>

enum { KW_SESSION_TEXT_MAX = 33 };

void kw_session_id_format(const struct kw_session_id *id, char dst[KW_SESSION_TEXT_MAX]);

/* Several lines: what and when, then a line per field. Bytes beyond printable ASCII are escaped. */
void kw_fact_print(const struct kw_fact *fact);

/* A new object with all fields; names as in docs/audit.md. */
json_t *kw_fact_json(const struct kw_fact *fact, uint64_t position);

/* Prints a peer's text so that it cannot drive a terminal. */
void kw_text_print(const char *text);

#endif
