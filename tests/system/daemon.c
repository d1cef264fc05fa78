/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "../http/client.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[DAEMON_TEXT_MAX];

const char *daemon_file(const struct daemon *daemon, const char *name)
{
    char path[128];
    FILE *file;
    size_t len = 0;

    snprintf(path, sizeof path, "%s/%s", daemon->folder, name);
    file = fopen(path, "r");
    if (file != NULL) {
        len = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[len] = '\0';
    return text;
}

static void child(const struct daemon *daemon, char *const *argv)
{
    int out, err;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(daemon->folder) != 0)
        _exit(126);
    out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execvp(argv[0], argv);
    _exit(127);
}

static bool find_address(const char *log, const char *key, struct kw_address *ret)
{
    const char *at = strstr(log, key);
    char address[KW_ADDRESS_TEXT_MAX];

    return at != NULL && sscanf(at + strlen(key), "%63s", address) == 1 &&
           kw_address_parse(address, 0, ret);
}

/* The last line of its start is "ready"; then the addresses and the token can be read. */
static bool is_ready(struct daemon *daemon)
{
    const char *token;

    if (strstr(daemon_file(daemon, "err"), " info ready ") == NULL ||
        !find_address(text, "listening http=", &daemon->http))
        return false;
    (void)find_address(text, "admin http=", &daemon->admin);
    token = strstr(daemon_file(daemon, "out"), "#token=");
    if (token != NULL)
        sscanf(token, "#token=%63s", daemon->token);
    return true;
}

static bool wait_until_ready(struct daemon *daemon)
{
    kw_ns until = kw_clock_now() + KW_S(60);
    struct pollfd pollfd = {.events = POLLIN};
    bool ready = false;

    /* a pidfd becomes readable when the process ends: no need to ask whether it lives */
    pollfd.fd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
    while (!ready && kw_clock_now() < until && poll(&pollfd, 1, 10) == 0)
        ready = is_ready(daemon);
    close(pollfd.fd);
    return ready;
}

static bool start(struct daemon *daemon, const char *const *argv)
{
    daemon->pid = fork();
    if (daemon->pid == 0)
        child(daemon, (char *const *)(uintptr_t)argv);
    if (daemon->pid < 0)
        return false;
    if (wait_until_ready(daemon))
        return true;
    daemon_end(daemon, SIGKILL);
    return false;
}

static bool make_folder(struct daemon *daemon)
{
    memset(daemon, 0, sizeof *daemon);
    strcpy(daemon->folder, "/tmp/keywheel-system-XXXXXX");
    return mkdtemp(daemon->folder) != NULL;
}

bool daemon_start(struct daemon *daemon, const char *program, const char *const *wrapper,
                  const char *const *arguments)
{
    const char *argv[DAEMON_ARGS_MAX + 8];
    size_t argc = 0;

    if (!make_folder(daemon))
        return false;
    for (; wrapper != NULL && *wrapper != NULL; wrapper++)
        argv[argc++] = *wrapper;
    argv[argc++] = program != NULL ? program : KW_KEYWHEELD;
    if (arguments == NULL || *arguments == NULL || strcmp(*arguments, "--listen") != 0) {
        argv[argc++] = "--listen";
        argv[argc++] = "127.0.0.1:0";
    }
    argv[argc++] = "--admin";
    argv[argc++] = "127.0.0.1:0";
    for (; arguments != NULL && *arguments != NULL && argc < DAEMON_ARGS_MAX; arguments++)
        argv[argc++] = *arguments;
    argv[argc] = NULL;
    return start(daemon, argv);
}

static FILE *create(const struct daemon *daemon, const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", daemon->folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static bool names_calls(const char *const *tenant)
{
    while (tenant != NULL && *tenant != NULL) {
        if (strncmp(*tenant++, "calls:", 6) == 0)
            return true;
    }
    return false;
}

bool daemon_start_tenant(struct daemon *daemon, const char *const *tenant, const char *folder)
{
    static const char *const argv[] = {KW_KEYWHEELD, "--config", "keywheeld.yml", NULL};
    static const char token[] = "clinic-token-of-this-test";
    FILE *file;

    if (folder == NULL && !make_folder(daemon))
        return false;
    if (folder != NULL) {
        memset(daemon, 0, sizeof *daemon);
        strcpy(daemon->folder, folder);
    }
    file = create(daemon, "token");
    if (file == NULL)
        return false;
    fprintf(file, "%s\n", token);
    fclose(file);
    file = create(daemon, "keywheeld.yml");
    if (file == NULL)
        return false;
    fprintf(file, "listen: [127.0.0.1:0]\nadmin: 127.0.0.1:0\ndata: data\ndrain: 1s\n"
                  "tenants:\n  - name: clinic\n    token-file: token\n");
    if (!names_calls(tenant))
        fprintf(file, "    calls: 16\n"); /* memory is taken for all of them */
    for (; tenant != NULL && *tenant != NULL; tenant++)
        fprintf(file, "    %s\n", *tenant);
    fclose(file);
    if (!start(daemon, argv))
        return false;
    strcpy(daemon->token, token);
    return true;
}

void daemon_end(struct daemon *daemon, int signal)
{
    int status = 0;

    if (daemon->pid <= 0)
        return;
    if (signal != 0)
        kill(daemon->pid, signal);
    waitpid(daemon->pid, &status, 0);
    daemon->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    daemon->pid = 0;
}

static void remove_folder(const char *path)
{
    char command[160];

    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", path);
}

void daemon_remove_folder(struct daemon *daemon)
{
    if (strncmp(daemon->folder, "/tmp/keywheel-system-", 21) == 0)
        remove_folder(daemon->folder);
    daemon->folder[0] = '\0';
}

uint64_t daemon_metric(const struct daemon *daemon, const char *name)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    unsigned long long value = 0;
    char line[96];
    const char *at;

    if (client_ask(&daemon->admin, request, strlen(request), text, sizeof text) != 200)
        return 0;
    snprintf(line, sizeof line, "\n%s ", name);
    at = strstr(text, line);
    if (at != NULL)
        sscanf(at + strlen(line), "%llu", &value);
    return value;
}
