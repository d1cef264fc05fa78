/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_WAKE_H
#define KW_SYS_WAKE_H

#include <keywheel/base.h>

/* Wakes another thread out of poll() or epoll_wait(): an eventfd. Many notes are one wake-up. */
struct kw_wake {
    int fd;
};

KW_MUST_USE enum kw_status kw_wake_open(struct kw_wake *ret);
void kw_wake_close(struct kw_wake *wake);
void kw_wake_note(const struct kw_wake *wake);
/* Takes all notes. Call it before looking at what the notes are about. */
void kw_wake_take(const struct kw_wake *wake);
/* Sleeps until there is a note, or for so long; takes it. */
void kw_wake_wait(const struct kw_wake *wake, int timeout_ms);

#endif
