/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_OPTIONS_H
#define KW_DAEMON_OPTIONS_H

#include "daemon/config.h"

enum kw_options_result {
    KW_OPTIONS_RUN = 0,
    KW_OPTIONS_DONE,  /* --help, --version: written to stdout */
    KW_OPTIONS_WRONG, /* written to stderr */
};

/* Defaults, then --config, then the rest of the command line. */
enum kw_options_result kw_options_read(int argc, char *argv[], struct kw_config *config);

#endif
