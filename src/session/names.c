/* SPDX-License-Identifier: Apache-2.0 */
/* Stable names of what a session reports; they appear in audit records and in JSON. */
#include "session/session.h"

const char *kw_method_name(enum kw_method method)
{
    switch (method) {
    case KW_METHOD_INITIAL:
        return "initial";
    case KW_METHOD_OVERLAP:
        return "overlap";
    case KW_METHOD_PARALLEL:
        return "parallel";
    case KW_METHOD_RESTART:
        return "restart";
    case KW_METHOD_CAP:
        return "cap";
    }
    return "unknown";
}

const char *kw_reason_name(enum kw_reason reason)
{
    switch (reason) {
    case KW_REASON_NONE:
        return "none";
    case KW_REASON_TIME:
        return "time";
    case KW_REASON_BYTES:
        return "bytes";
    case KW_REASON_PACKETS:
        return "packets";
    case KW_REASON_AEAD_LIMIT:
        return "aead-limit";
    case KW_REASON_OPERATOR:
        return "operator";
    case KW_REASON_POLICY:
        return "policy";
    case KW_REASON_PEER:
        return "peer";
    }
    return "unknown";
}

const char *kw_session_end_name(enum kw_session_end end)
{
    switch (end) {
    case KW_SESSION_END_NONE:
        return "none";
    case KW_SESSION_END_LOCAL:
        return "local";
    case KW_SESSION_END_PEER:
        return "peer";
    case KW_SESSION_END_GONE:
        return "gone";
    case KW_SESSION_END_LIMIT:
        return "limit";
    case KW_SESSION_END_HANDSHAKE:
        return "handshake";
    }
    return "unknown";
}
