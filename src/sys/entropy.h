/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SYS_ENTROPY_H
#define KW_SYS_ENTROPY_H

#include <keywheel/base.h>

/*
 * The kernel's generator (getrandom), which blocks only before the machine has entropy at all.
 * (Not random.h: src is searched before /usr/include, and <sys/random.h> is the C library's.)
 */
struct kw_random kw_sys_random(void);

#endif
