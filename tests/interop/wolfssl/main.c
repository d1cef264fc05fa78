/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wolfSSL's DTLS as a program that speaks the lines of tests/interop/dtls_peer.c:
 *
 *   wolfssl-peer client|server ADDRESS PORT CERTIFICATE.der KEY.der [OPTION...]
 *
 *   --12            DTLS 1.2 alone
 *   --both          a client of both versions
 *   --group NAME    this group alone: p256, p384, x25519, hybrid
 *   --suite NAME    wolfSSL's name of the only suite
 *   --profile NAME  wolfSSL's name of the only SRTP profile
 *   --no-cookie     a server of DTLS 1.3 answers at once
 *   --mtu N
 *   --update        new traffic keys before the first application data
 */

#include <wolfssl/wolfcrypt/settings.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define EXPORT_LABEL "EXPORTER-keywheel-interop"
#define SRTP_LABEL "EXTRACTOR-dtls_srtp"
#define GREETING "Hello from Keywheel"

struct options {
    int is_client, only_12, both, no_cookie, update;
    unsigned short mtu;
    const char *group, *suite, *profile;
};

static void die(const char *what, int error)
{
    char text[WOLFSSL_MAX_ERROR_SZ] = "";

    if (error != 0)
        wolfSSL_ERR_error_string((unsigned long)error, text);
    (void)fprintf(stderr, "wolfssl-peer: %s %d %s\n", what, error, text);
    exit(1);
}

static struct options parse_options(int argc, char *argv[])
{
    struct options opt = {.is_client = strcmp(argv[1], "client") == 0,
                          .profile = "SRTP_AEAD_AES_128_GCM"};

    for (int i = 6; i < argc; i++) {
        if (strcmp(argv[i], "--12") == 0)
            opt.only_12 = 1;
        else if (strcmp(argv[i], "--both") == 0)
            opt.both = 1;
        else if (strcmp(argv[i], "--no-cookie") == 0)
            opt.no_cookie = 1;
        else if (strcmp(argv[i], "--update") == 0)
            opt.update = 1;
        else if (strcmp(argv[i], "--group") == 0 && i + 1 < argc)
            opt.group = argv[++i];
        else if (strcmp(argv[i], "--suite") == 0 && i + 1 < argc)
            opt.suite = argv[++i];
        else if (strcmp(argv[i], "--profile") == 0 && i + 1 < argc)
            opt.profile = argv[++i];
        else if (strcmp(argv[i], "--mtu") == 0 && i + 1 < argc)
            opt.mtu = (unsigned short)strtoul(argv[++i], NULL, 10);
        else
            die(argv[i], 0);
    }
    return opt;
}

static void print_hex(const char *name, const unsigned char *data, size_t len)
{
    printf("%s ", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", data[i]);
    printf("\n");
}

static void fingerprint_of(const unsigned char *der, int len, char dst[128])
{
    unsigned char digest[WC_SHA256_DIGEST_SIZE];
    char *at = dst + sprintf(dst, "sha-256 ");

    if (wc_Sha256Hash(der, (word32)len, digest) != 0)
        die("sha-256", 0);
    for (size_t i = 0; i < sizeof digest; i++)
        at += sprintf(at, "%s%02X", i > 0 ? ":" : "", digest[i]);
}

static WOLFSSL_METHOD *method_of(const struct options *opt)
{
    if (opt->only_12)
        return opt->is_client ? wolfDTLSv1_2_client_method() : wolfDTLSv1_2_server_method();
    if (opt->both)
        return opt->is_client ? wolfDTLS_client_method() : wolfDTLS_server_method();
    return opt->is_client ? wolfDTLSv1_3_client_method() : wolfDTLSv1_3_server_method();
}

/* WebRTC's rule: whatever certificate, but the signalled one; that is compared afterwards. */
static int accept_any(int preverify, WOLFSSL_X509_STORE_CTX *store)
{
    (void)preverify, (void)store;
    return 1;
}

static WOLFSSL_CTX *make_context(const struct options *opt, const char *certificate,
                                 const char *key)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method_of(opt));

    if (ctx == NULL)
        die("no context", 0);
    if (wolfSSL_CTX_use_certificate_file(ctx, certificate, WOLFSSL_FILETYPE_ASN1) != 1 ||
        wolfSSL_CTX_use_PrivateKey_file(ctx, key, WOLFSSL_FILETYPE_ASN1) != 1)
        die("certificate or key", 0);
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           accept_any);
    if (wolfSSL_CTX_set_tlsext_use_srtp(ctx, opt->profile) != 0)
        die("use_srtp", 0);
    if (opt->suite != NULL && wolfSSL_CTX_set_cipher_list(ctx, opt->suite) != 1)
        die("suite", 0);
    return ctx;
}

static int group_of(const char *name)
{
    static const struct {
        const char *name;
        int group;
    } groups[] = {{"p256", WOLFSSL_ECC_SECP256R1},
                  {"p384", WOLFSSL_ECC_SECP384R1},
                  {"x25519", WOLFSSL_ECC_X25519},
                  {"hybrid", WOLFSSL_X25519MLKEM768}};

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(groups[i].name, name) == 0)
            return groups[i].group;
    die("group", 0);
    return 0;
}

static WOLFSSL *make_session(WOLFSSL_CTX *ctx, const struct options *opt)
{
    WOLFSSL *ssl = wolfSSL_new(ctx);

    if (ssl == NULL)
        die("no session", 0);
    wolfSSL_KeepArrays(ssl); /* the exporter's secret outlives the handshake */
    if (opt->group != NULL) {
        int group = group_of(opt->group);

        if (wolfSSL_set_groups(ssl, &group, 1) != 1)
            die("groups", 0);
        if (opt->is_client && !opt->only_12 && wolfSSL_UseKeyShare(ssl, (word16)group) != 1)
            die("key share", 0);
    }
    if (opt->mtu != 0 && wolfSSL_dtls_set_mtu(ssl, opt->mtu) != 1)
        die("mtu", 0);
    if (!opt->is_client && !opt->only_12) {
        /* A hello with ML-KEM takes two datagrams. */
        if (wolfSSL_dtls13_allow_ch_frag(ssl, 1) != 1)
            die("fragments of a hello", 0);
        if (opt->no_cookie && wolfSSL_disable_hrr_cookie(ssl) != 1)
            die("no cookie", 0);
    }
    return ssl;
}

static int make_socket(const struct options *opt, const char *address, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port))};
    struct timeval patience = {.tv_sec = 10};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1)
        die("socket", 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (opt->is_client)
        return connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        die("bind", 0);
    printf("port %d\n", ntohs(at.sin_port));
    return fd;
}

/* A server talks to whom it hears first. */
static void take_first(int fd)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    char byte;

    if (recvfrom(fd, &byte, 1, MSG_PEEK, (struct sockaddr *)&from, &len) < 0 ||
        connect(fd, (struct sockaddr *)&from, len) != 0)
        die("nobody came", 0);
}

static void print_facts(WOLFSSL *ssl, const char *expected)
{
    const WOLFSSL_SRTP_PROTECTION_PROFILE *profile = wolfSSL_get_selected_srtp_profile(ssl);
    WOLFSSL_X509 *certificate = wolfSSL_get_peer_certificate(ssl);
    unsigned char keys[128], exported[32];
    char seen[128];
    size_t keys_len = 0;
    int len = 0;
    const unsigned char *der = certificate != NULL ? wolfSSL_X509_get_der(certificate, &len) : NULL;

    if (der == NULL)
        die("no certificate of the peer", 0);
    fingerprint_of(der, len, seen);
    wolfSSL_X509_free(certificate);
    if (strcmp(seen, expected) != 0)
        die("another certificate than signalled", 0);
    if (profile == NULL)
        die("no SRTP profile", 0);
    if (strstr(profile->name, "GCM") == NULL)
        keys_len = 2 * (16 + 14);
    else
        keys_len = strstr(profile->name, "256") == NULL ? 2 * (16 + 12) : 2 * (32 + 12);
    if (wolfSSL_export_keying_material(ssl, keys, keys_len, SRTP_LABEL, strlen(SRTP_LABEL), NULL, 0,
                                       0) != 1 ||
        wolfSSL_export_keying_material(ssl, exported, sizeof exported, EXPORT_LABEL,
                                       strlen(EXPORT_LABEL), NULL, 0, 0) != 1)
        die("export", 0);
    printf("version %s\n",
           strstr(wolfSSL_get_version(ssl), "1.3") != NULL ? "DTLS 1.3" : "DTLS 1.2");
    printf("profile %s\n", strstr(profile->name, "GCM") == NULL   ? "AES_CM_128_HMAC_SHA1_80"
                           : strstr(profile->name, "256") == NULL ? "AEAD_AES_128_GCM"
                                                                  : "AEAD_AES_256_GCM");
    print_hex("srtp", keys, keys_len);
    print_hex("export", exported, sizeof exported);
    printf("connected\n");
    (void)fflush(stdout);
}

static void exchange(WOLFSSL *ssl, const struct options *opt)
{
    char buffer[2048];
    int len;

    if (opt->update && wolfSSL_update_keys(ssl) != 1)
        die("new traffic keys", 0);
    if (opt->is_client && wolfSSL_write(ssl, GREETING, sizeof GREETING - 1) <= 0)
        die("write", wolfSSL_get_error(ssl, 0));
    len = wolfSSL_read(ssl, buffer, sizeof buffer);
    if (len <= 0)
        die("read", wolfSSL_get_error(ssl, len));
    printf("data %.*s\n", len, buffer);
    if (opt->is_client)
        return;
    if (wolfSSL_write(ssl, buffer, len) != len)
        die("write", wolfSSL_get_error(ssl, 0));
    if (wolfSSL_read(ssl, buffer, sizeof buffer) > 0)
        die("more data than expected", 0);
}

int main(int argc, char *argv[])
{
    struct options opt;
    static unsigned char der[4096];
    char fingerprint[128], expected[256];
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    FILE *file;
    int fd, result;

    if (argc < 6)
        die("client|server ADDRESS PORT CERTIFICATE.der KEY.der [OPTION...]", 0);
    opt = parse_options(argc, argv);
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        die("wolfSSL_Init", 0);
    file = fopen(argv[4], "rb");
    if (file == NULL)
        die(argv[4], 0);
    fingerprint_of(der, (int)fread(der, 1, sizeof der, file), fingerprint);
    (void)fclose(file);

    fd = make_socket(&opt, argv[2], argv[3]);
    printf("fingerprint %s\n", fingerprint);
    (void)fflush(stdout);
    if (fgets(expected, sizeof expected, stdin) == NULL)
        die("no fingerprint on standard input", 0);
    expected[strcspn(expected, "\r\n")] = '\0';

    ctx = make_context(&opt, argv[4], argv[5]);
    ssl = make_session(ctx, &opt);
    if (!opt.is_client)
        take_first(fd);
    if (wolfSSL_set_dtls_fd_connected(ssl, fd) != 1)
        die("descriptor", 0);
    result = opt.is_client ? wolfSSL_connect(ssl) : wolfSSL_accept(ssl);
    if (result != 1)
        die("handshake", wolfSSL_get_error(ssl, result));
    print_facts(ssl, expected);
    exchange(ssl, &opt);
    (void)wolfSSL_shutdown(ssl);
    printf("closed\n");
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(ctx);
    (void)wolfSSL_Cleanup();
    (void)close(fd);
    return 0;
}
