/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET_BUFFER = 4 << 20 };

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return is_written;
}

static bool leave_network(void)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();

    if (unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map))
        return false;
    snprintf(map, sizeof map, "0 %u 1", gid);
    return write_file("/proc/self/gid_map", map);
}

static bool run(const char *command)
{
    return system(command) == 0;
}

static bool set_up(const struct link_end *end, const char *device)
{
    char command[256];

    snprintf(command, sizeof command,
             "ip link set lo up && ip addr add %s/24 dev %s && ip link set %s up", end->ip, device,
             device);
    return link_enter(end) && run(command);
}

static void set_option(int fd, int option, int value)
{
    (void)!setsockopt(fd, SOL_SOCKET, option, &value, sizeof value); /* a wish */
}

static bool open_socket(struct link_end *end, const char *remote)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(LINK_PORT)};
    int one = 1;

    if (!link_enter(end))
        return false;
    end->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (end->fd < 0 || inet_pton(AF_INET, end->ip, &name.sin_addr) != 1 ||
        bind(end->fd, (struct sockaddr *)&name, sizeof name) != 0 ||
        inet_pton(AF_INET, remote, &name.sin_addr) != 1 ||
        connect(end->fd, (struct sockaddr *)&name, sizeof name) != 0 ||
        setsockopt(end->fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one) != 0)
        return false;
    set_option(end->fd, SO_RCVBUFFORCE, SOCKET_BUFFER);
    set_option(end->fd, SO_SNDBUFFORCE, SOCKET_BUFFER);
    return true;
}

bool link_open(struct link *link)
{
    char command[256];

    *link = (struct link){{{-1, -1, "192.0.2.1"}, {-1, -1, "192.0.2.2"}}};
    if (!leave_network())
        return false;
    link->ends[0].namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    link->ends[1].namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    snprintf(command, sizeof command,
             "ip link add kwb type veth peer name kwa netns /proc/%d/fd/%d", (int)getpid(),
             link->ends[0].namespace);
    return run(command) && set_up(&link->ends[0], "kwa") && set_up(&link->ends[1], "kwb") &&
           open_socket(&link->ends[0], link->ends[1].ip) &&
           open_socket(&link->ends[1], link->ends[0].ip);
}

bool link_enter(const struct link_end *end)
{
    return end->namespace >= 0 && setns(end->namespace, CLONE_NEWNET) == 0;
}

/* /proc/net/snmp has a line of names and a line of values for each protocol. */
static bool read_udp(uint64_t *lost_ret)
{
    FILE *file = fopen("/proc/net/snmp", "r");
    char line[1024];
    uint64_t no_port, in_errors, out, receive_errors, send_errors;
    bool is_found = false;

    while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL)
        is_found = sscanf(line, "Udp: %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                          &no_port, &in_errors, &out, &receive_errors, &send_errors) == 5;
    if (file != NULL)
        fclose(file);
    if (is_found)
        *lost_ret = in_errors + send_errors; /* full receive buffers are among InErrors */
    return is_found;
}

static bool read_devices(uint64_t *lost_ret)
{
    FILE *file = fopen("/proc/net/dev", "r");
    char line[512];
    uint64_t in_errors, in_drops, out_errors, out_drops, lost = 0;
    bool is_found = false;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line,
                   " kw%*[ab]: %*u %*u %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64
                   " %" SCNu64,
                   &in_errors, &in_drops, &out_errors, &out_drops) != 4)
            continue;
        lost += in_errors + in_drops + out_errors + out_drops;
        is_found = true;
    }
    if (file != NULL)
        fclose(file);
    if (is_found)
        *lost_ret = lost;
    return is_found;
}

bool link_losses(struct link_losses *ret)
{
    return read_udp(&ret->socket) && read_devices(&ret->device);
}
