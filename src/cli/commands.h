/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_CLI_COMMANDS_H
#define KW_CLI_COMMANDS_H

/* One file per command; argv[0] is the command's name. What they return is the exit status. */

enum kw_exit {
    KW_EXIT_OK = 0,
    KW_EXIT_FAILED = 1, /* the reason is on stderr */
    KW_EXIT_USAGE = 2,  /* so is what was wrong with the command line */
    KW_EXIT_NONE = 3,   /* what was asked for does not exist */
};

int run_main(int argc, char *argv[]);
int audit_main(int argc, char *argv[]);

#endif
