/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DAEMON_CONFIG_H
#define KW_DAEMON_CONFIG_H

/* What keywheeld shall do: defaults, then a file, then the command line. */

#include "gateway/gateway.h"
#include "http/http.h"

#include <limits.h>

enum {
    KW_CONFIG_ADVERTISE_MAX = 8,
    KW_CONFIG_NAME_MAX = 256, /* a DNS name has at most 253 characters */
    KW_CONFIG_ERROR_MAX = 512,
    KW_CONFIG_FILE_MAX = 1 << 20,
};

struct kw_config {
    size_t listen_count; /* 0: 127.0.0.1:8080 */
    struct kw_address listen[KW_HTTP_LISTEN_MAX];
    size_t host_count;
    char hosts[KW_HTTP_HOSTS_MAX][KW_CONFIG_NAME_MAX];
    char cert[PATH_MAX], key[PATH_MAX];
    bool has_admin;
    struct kw_address admin;
    uint16_t media_port; /* 0: a free one */
    size_t advertise_count;
    struct kw_address advertise[KW_CONFIG_ADVERTISE_MAX];
    char data[PATH_MAX];
    char web[PATH_MAX]; /* "": where this program finds its own */
    char kernel[16];    /* "": the best */
    size_t calls_max;   /* 0: decided by the number of tenants' calls */
    kw_ns drain;
    bool is_demo; /* no file: one tenant, this machine only */
    size_t tenant_count;
    struct kw_tenant_config *tenants; /* heap; holds tokens */
};

/* The demo: tenant `demo`, preset modern, back end echo; its token is still empty. */
KW_MUST_USE enum kw_status kw_config_init(struct kw_config *config);
/* Wipes the tokens. */
void kw_config_deinit(struct kw_config *config);

/*
 * Reads a YAML file over what is there. False: `error` is "FILE:LINE: KEY: what is wrong", ready
 * for a person. Relative paths in it are relative to the working directory.
 */
KW_MUST_USE bool kw_config_read(struct kw_config *config, const char *path,
                                char error[KW_CONFIG_ERROR_MAX]);

/* The name of a host as it stands in a Host header, without its port. */
bool kw_config_is_host(const char *text);

#endif
