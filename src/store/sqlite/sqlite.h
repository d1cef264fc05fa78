/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_STORE_SQLITE_SQLITE_H
#define KW_STORE_SQLITE_SQLITE_H

#include "store/store.h"

enum kw_store_mode {
    KW_STORE_APPEND = 0, /* makes the database when there is none */
    KW_STORE_READ,       /* beside a gateway that appends */
};

enum { KW_STORE_ERROR_MAX = 256 };

/*
 * Opens the log of one tenant. On failure `error` says why, for an operator: a file that is not
 * ours, or of a schema that this version does not know, is refused and left alone.
 */
KW_MUST_USE enum kw_status kw_store_sqlite_open(const char *path, enum kw_store_mode mode,
                                                struct kw_store **ret,
                                                char error[KW_STORE_ERROR_MAX]);

#endif
