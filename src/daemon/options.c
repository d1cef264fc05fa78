/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include "base/assert.h"
#include "sys/address.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: keywheeld [OPTION]...\n"
    "Secures calls with DTLS 1.3 and AES-GCM SRTP, keeps their keys fresh and keeps the evidence.\n"
    "\n"
    "Without options it runs a demo for this machine: the console on http://127.0.0.1:8080, "
    "tenant\n"
    "`demo` with a random token, echo as back end, evidence in ./data.\n"
    "\n"
    "  --config FILE        tenants, policies, exceptions (YAML; see keywheeld(8))\n"
    "  --listen ADDR:PORT   HTTP; repeatable; beyond loopback it needs TLS\n"
    "  --tls-cert FILE      certificate chain, PEM\n"
    "  --tls-key FILE       its private key, PEM\n"
    "  --host NAME          a name by which clients may call this gateway; repeatable\n"
    "  --admin ADDR:PORT    metrics, on loopback\n"
    "  --media-port PORT    UDP port of all media (default: a free one)\n"
    "  --advertise ADDR     a further address of ours, such as that of a 1:1 NAT; repeatable\n"
    "  --data DIR           evidence, a database for each tenant (default: data)\n"
    "  --web DIR            the console's files\n"
    "  --preset NAME        the demo's policy: modern (default), nist, pq\n"
    "  --calls N            at most so many calls at a time\n"
    "  --kernel NAME        SRTP kernel: vaes512, vaes, aesni, evp (also KW_KERNEL)\n"
    "  --version, --help\n"
    "\n"
    "Signals: SIGTERM and SIGINT end calls in order; a second one ends at once.\n"
    "Exit status: 0 after a signal, 1 when it could not start or go on, 2 for a wrong option.\n";

enum option_id {
    OPTION_CONFIG = 1,
    OPTION_LISTEN,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_HOST,
    OPTION_ADMIN,
    OPTION_MEDIA_PORT,
    OPTION_ADVERTISE,
    OPTION_DATA,
    OPTION_WEB,
    OPTION_PRESET,
    OPTION_CALLS,
    OPTION_KERNEL,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"tls-cert", required_argument, NULL, OPTION_CERT},
    {"tls-key", required_argument, NULL, OPTION_KEY},
    {"host", required_argument, NULL, OPTION_HOST},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"media-port", required_argument, NULL, OPTION_MEDIA_PORT},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"data", required_argument, NULL, OPTION_DATA},
    {"web", required_argument, NULL, OPTION_WEB},
    {"preset", required_argument, NULL, OPTION_PRESET},
    {"calls", required_argument, NULL, OPTION_CALLS},
    {"kernel", required_argument, NULL, OPTION_KERNEL},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool wrong(const char *option, const char *value, const char *what)
{
    fprintf(stderr, "keywheeld: --%s %s: %s\n", option, value, what);
    return false;
}

static bool copy_path(const char *option, const char *value, char *dst, size_t dst_size)
{
    KW_ASSERT(value != NULL); /* every option that names a path takes an argument */
    if (strlen(value) >= dst_size || value[0] == '\0')
        return wrong(option, value, "not a usable name");
    strcpy(dst, value);
    return true;
}

static bool read_number(const char *option, const char *value, unsigned long min, unsigned long max,
                        unsigned long *ret)
{
    char *end;

    KW_ASSERT(value != NULL);
    *ret = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || *ret < min || *ret > max)
        return wrong(option, value, "not a number that fits here");
    return true;
}

static bool read_address(const char *option, const char *value, uint16_t default_port,
                         struct kw_address *ret)
{
    return kw_address_parse(value, default_port, ret) ||
           wrong(option, value, "an address such as 127.0.0.1:8080 is expected");
}

static bool read_listen(struct kw_config *config, const char *value, size_t position)
{
    if (position >= KW_HTTP_LISTEN_MAX)
        return wrong("listen", value, "too many listeners");
    config->listen_count = position + 1;
    return read_address("listen", value, 8080, &config->listen[position]);
}

static bool read_host(struct kw_config *config, const char *value)
{
    if (config->host_count >= KW_HTTP_HOSTS_MAX)
        return wrong("host", value, "too many names");
    if (!kw_config_is_host(value))
        return wrong("host", value, "a name such as calls.example.org, without port, is expected");
    return copy_path("host", value, config->hosts[config->host_count++], KW_CONFIG_NAME_MAX);
}

static bool read_advertise(struct kw_config *config, const char *value)
{
    if (config->advertise_count >= KW_CONFIG_ADVERTISE_MAX)
        return wrong("advertise", value, "too many addresses");
    return read_address("advertise", value, 0, &config->advertise[config->advertise_count++]);
}

static bool read_preset(struct kw_config *config, const char *value)
{
    if (!config->is_demo)
        return wrong("preset", value, "with --config each tenant has a preset of its own");
    return kw_policy_preset(value, &config->tenants[0].policy) ||
           wrong("preset", value, "modern, nist or pq is expected");
}

static bool read_calls(struct kw_config *config, const char *value)
{
    unsigned long number;

    if (!read_number("calls", value, 1, 100000, &number))
        return false;
    config->calls_max = number;
    if (config->is_demo)
        config->tenants[0].calls_max = number;
    return true;
}

static bool read_media_port(struct kw_config *config, const char *value)
{
    unsigned long number;

    if (!read_number("media-port", value, 1, UINT16_MAX, &number))
        return false;
    config->media_port = (uint16_t)number;
    return true;
}

static bool apply(struct kw_config *config, int id, const char *value, size_t *listen_count)
{
    switch ((enum option_id)id) {
    case OPTION_CONFIG:
        return true; /* read before all others */
    case OPTION_LISTEN:
        return read_listen(config, value, (*listen_count)++);
    case OPTION_CERT:
        return copy_path("tls-cert", value, config->cert, sizeof config->cert);
    case OPTION_KEY:
        return copy_path("tls-key", value, config->key, sizeof config->key);
    case OPTION_HOST:
        return read_host(config, value);
    case OPTION_ADMIN:
        config->has_admin = true;
        return read_address("admin", value, 9464, &config->admin);
    case OPTION_MEDIA_PORT:
        return read_media_port(config, value);
    case OPTION_ADVERTISE:
        return read_advertise(config, value);
    case OPTION_DATA:
        return copy_path("data", value, config->data, sizeof config->data);
    case OPTION_WEB:
        return copy_path("web", value, config->web, sizeof config->web);
    case OPTION_PRESET:
        return read_preset(config, value);
    case OPTION_CALLS:
        return read_calls(config, value);
    case OPTION_KERNEL:
        return copy_path("kernel", value, config->kernel, sizeof config->kernel);
    case OPTION_VERSION:
    case OPTION_HELP:
        return true;
    }
    return false;
}

static bool apply_all(int argc, char *argv[], struct kw_config *config)
{
    const char *kernel = getenv("KW_KERNEL");
    size_t listen_count = 0;
    int id;

    if (kernel != NULL && kernel[0] != '\0' &&
        !copy_path("kernel", kernel, config->kernel, sizeof config->kernel))
        return false;
    optind = 0; /* the second pass */
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!apply(config, id, optarg, &listen_count))
            return false;
    }
    if ((config->cert[0] == '\0') != (config->key[0] == '\0')) {
        fprintf(stderr, "keywheeld: --tls-cert and --tls-key go together\n");
        return false;
    }
    if (config->listen_count == 0) {
        config->listen_count = 1;
        KW_ASSERT(kw_address_parse("127.0.0.1:8080", 0, &config->listen[0]));
    }
    return true;
}

enum kw_options_result kw_options_read(int argc, char *argv[], struct kw_config *config)
{
    char error[KW_CONFIG_ERROR_MAX];
    const char *file = NULL;
    int id;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == '?') {
            fprintf(stderr, "keywheeld --help tells the options.\n");
            return KW_OPTIONS_WRONG;
        }
        if (id == OPTION_HELP || id == OPTION_VERSION) {
            fputs(id == OPTION_HELP ? help : "keywheeld " KW_VERSION "\n", stdout);
            return KW_OPTIONS_DONE;
        }
        if (id == OPTION_CONFIG)
            file = optarg;
    }
    if (optind != argc) {
        fprintf(stderr, "keywheeld: %s: no such argument\n", argv[optind]);
        return KW_OPTIONS_WRONG;
    }
    if (file != NULL && !kw_config_read(config, file, error)) {
        fprintf(stderr, "keywheeld: %s\n", error);
        return KW_OPTIONS_WRONG;
    }
    return apply_all(argc, argv, config) ? KW_OPTIONS_RUN : KW_OPTIONS_WRONG;
}
