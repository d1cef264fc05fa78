/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_HTTP_MEMORY_H
#define KW_HTTP_MEMORY_H

/*
 * Memory of libevent: wiped when it is given back, because requests with their tokens pass through
 * its buffers. Before libevent allocates anything; for the whole process.
 */
void kw_http_wipe_memory(void);

#endif
