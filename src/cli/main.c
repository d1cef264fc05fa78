/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static int help_main(int argc, char *argv[]);
static int version_main(int argc, char *argv[]);

static const struct {
    const char *name;
    int (*run)(int argc, char *argv[]);
    const char *summary;
} commands[] = {
    {"run", run_main, "Run the gateway: keywheeld with the same options"},
    {"audit", audit_main, "Print what was recorded: audit list, audit show SESSION"},
    {"version", version_main, "Print the version"},
    {"help", help_main, "Print this"},
};

static int help_main(int argc, char *argv[])
{
    (void)argc;
    (void)argv;
    printf("Usage: keywheel COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < KW_ARRAY_LEN(commands); i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    printf("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 nothing found. See keywheel(1).\n");
    return KW_EXIT_OK;
}

static int version_main(int argc, char *argv[])
{
    (void)argc;
    (void)argv;
    printf("keywheel " KW_VERSION "\n");
    return KW_EXIT_OK;
}

int main(int argc, char *argv[])
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--help") == 0 || strcmp(name, "--version") == 0)
        name += 2;
    for (size_t i = 0; i < KW_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "keywheel: %s\nkeywheel help tells the commands.\n",
            argc > 1 ? "there is no such command" : "a command is needed");
    return KW_EXIT_USAGE;
}
