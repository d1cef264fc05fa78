/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_SYSTEM_DAEMON_H
#define KW_TESTS_SYSTEM_DAEMON_H

/* A keywheeld of the test's own, in a folder of its own. */

#include <keywheel/base.h>

#include <sys/types.h>

enum { DAEMON_TEXT_MAX = 65536, DAEMON_ARGS_MAX = 32 };

struct daemon {
    pid_t pid;
    char folder[64];
    struct kw_address http;
    struct kw_address admin;
    char token[64];
    int exit_status; /* after daemon_end(): 0..255, or 1000 + signal */
};

/*
 * Starts program (a path, or NULL for the real one) on free ports and waits until it listens; false
 * when it ended instead. arguments end with NULL; wrapper (NULL: none) comes before it, such as
 * "valgrind". stdout and stderr land in FOLDER/out and FOLDER/err.
 */
bool daemon_start(struct daemon *daemon, const char *program, const char *const *wrapper,
                  const char *const *arguments);
/*
 * A gateway with one tenant, "clinic": `tenant` are further lines of its configuration, each
 * "key: value". Data is kept in FOLDER/data; once more on the folder of an earlier one when
 * `folder` names it.
 */
bool daemon_start_tenant(struct daemon *daemon, const char *const *tenant, const char *folder);
/* Sends the signal (0: none) and waits for the end. */
void daemon_end(struct daemon *daemon, int signal);
void daemon_remove_folder(struct daemon *daemon);
/* A file of its folder, terminated; borrowed until the next call. */
const char *daemon_file(const struct daemon *daemon, const char *name);
/* The value of a metric; 0 when it is not there. */
uint64_t daemon_metric(const struct daemon *daemon, const char *name);

#endif
