/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BASE_DATAGRAM_H
#define KW_BASE_DATAGRAM_H

#include <keywheel/base.h>

enum {
    KW_DATAGRAM_RECEIVE_MAX = 2048, /* browsers' DTLS flights reach 1417 bytes; room to spare */
    KW_DATAGRAM_SEND_MAX =
        1200, /* ours; re-encrypted media may exceed it by the tag's difference */
};

/* A UDP datagram with its path, in a buffer with room behind it. */
struct kw_datagram {
    struct kw_path path;
    uint8_t *data;
    size_t len;  /* in use; 0: nothing to send */
    size_t size; /* room at data */
};

#endif
