/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file. Files that it names do not exist, but for the token file "t". What is
 * wrong is said in one line with the file's name; what is taken keeps its promises.
 */
#include "daemon/config.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *file_data;
static size_t file_size;
static int token_fd = -1;

/* The linker puts this in the place of fopen(), whose name is fopen64 here: see meson.build. */
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

FILE *__wrap_fopen64(const char *path, const char *mode)
{
    if (file_data == NULL)
        return __real_fopen64(path, mode); /* who replays a corpus reads files, too */
    if (strcmp(path, "the.yaml") == 0)
        return fmemopen((void *)(uintptr_t)file_data, file_size, "r");
    if (strcmp(path, "t") == 0) {
        KW_ASSERT(lseek(token_fd, 0, SEEK_SET) == 0);
        return fdopen(dup(token_fd), "r");
    }
    errno = ENOENT;
    return NULL;
}

static void make_token(void)
{
    static const char token[] = "0123456789abcdefghijkl\n";

    token_fd = memfd_create("token", 0);
    KW_ASSERT(token_fd >= 0 && fchmod(token_fd, 0600) == 0);
    KW_ASSERT(write(token_fd, token, sizeof token - 1) == (ssize_t)sizeof token - 1);
}

static void look_at(const struct kw_config *config)
{
    KW_ASSERT(config->tenant_count >= 1 && config->tenant_count <= KW_GATEWAY_TENANTS_MAX);
    KW_ASSERT(config->listen_count <= KW_HTTP_LISTEN_MAX);
    KW_ASSERT(config->host_count <= KW_HTTP_HOSTS_MAX);
    for (size_t i = 0; i < config->tenant_count; i++) {
        const struct kw_tenant_config *tenant = &config->tenants[i];

        KW_ASSERT(tenant->name[0] != '\0' && strlen(tenant->token) >= 16);
        KW_ASSERT(tenant->policy.exception_count <= KW_POLICY_EXCEPTIONS);
        KW_ASSERT(tenant->policy.rotation.period <= KW_S(3600));
        KW_ASSERT(tenant->policy.rotation.bytes <= UINT64_C(1000000000));
        KW_ASSERT(tenant->policy.suites[0] != 0 && tenant->policy.profiles[0] != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kw_config config;
    char error[KW_CONFIG_ERROR_MAX] = "";

    if (size == 0)
        return 0;
    if (token_fd < 0)
        make_token();
    file_data = data;
    file_size = size;
    memset(&config, 0, sizeof config);
    KW_ASSERT(kw_config_init(&config) == KW_OK);
    if (kw_config_read(&config, "the.yaml", error)) {
        look_at(&config);
    } else {
        KW_ASSERT(strncmp(error, "the.yaml", 8) == 0 && strchr(error, '\n') == NULL);
        KW_ASSERT(strlen(error) < sizeof error);
    }
    kw_config_deinit(&config);
    file_data = NULL;
    return 0;
}
