/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CONTROL_RESPONSE_H
#define KW_CONTROL_RESPONSE_H

/* Responses: headers, bodies, and problems (RFC 9457). */

#include "control/control.h"
#include "control/json.h"
#include "gateway/call.h"

void kw_response_begin(const struct kw_request *request, int status, struct kw_response *ret);
/* The value is cut where it does not fit; both are our own texts. */
void kw_response_header(struct kw_response *ret, const char *name, const char *value);
void kw_response_header_u64(struct kw_response *ret, const char *name, uint64_t value);

/* `rule` and `line` are left out when NULL or 0. */
void kw_response_problem(struct kw_response *ret, int status, const char *detail, const char *rule,
                         uint32_t line);
/* The problem that fits an outcome other than KW_CALL_OK. */
void kw_response_outcome(struct kw_response *ret, const struct kw_call_answer *answer);
void kw_response_not_allowed(struct kw_response *ret, const char *allow);

/* status.c: the JSON of a call, and of an event */
size_t kw_status_write(const struct kw_call_status *status, uint8_t *dst, size_t dst_size);
size_t kw_event_write(const struct kw_call_event *event, const struct kw_generation_facts *facts,
                      const struct kw_call_status *status, uint8_t *dst, size_t dst_size);

#endif
