/* SPDX-License-Identifier: Apache-2.0 */
/* Becomes keywheeld: the one beside this program, the one of the same build, or one in PATH. */
#include "cli/commands.h"

#include "base/assert.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int run_main(int argc, char *argv[])
{
    static const char *const places[] = {"/keywheeld", "/../daemon/keywheeld"};
    char self[PATH_MAX], path[PATH_MAX + 32];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    (void)argc;
    argv[0] = (char[]){"keywheeld"};
    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < KW_ARRAY_LEN(places); i++) {
        *slash = '\0';
        snprintf(path, sizeof path, "%s%s", self, places[i]);
        execv(path, argv);
    }
    execvp("keywheeld", argv);
    fprintf(stderr, "keywheel: keywheeld: %s\n", strerror(errno));
    return KW_EXIT_FAILED;
}
