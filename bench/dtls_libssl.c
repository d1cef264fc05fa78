/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same handshake by libssl: DTLS 1.2 with ECDHE-ECDSA-AES128-GCM-SHA256, extended master
 * secret, use_srtp, certificates on both sides checked against a fingerprint, no tickets, no
 * sessions, no cookie. Datagrams go through memory BIOs. What WebRTC stacks on libssl do.
 */
#include "dtls_bench.h"

#include "counted.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <stdlib.h>
#include <string.h>

enum { SIDES = 2, MTU = 1200, SRTP_KEYS_LEN = 2 * (16 + 12), MEMORY_PAIRS = 100 };

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
    uint8_t print[32];
};

static struct {
    SSL_CTX *ctx;
    size_t batch;
    struct certificate *certificates;
    size_t left;
} ssl;

/* The fingerprint decides, after the handshake; a chain means nothing here. */
static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

void libssl_open(size_t batch)
{
    ssl.batch = batch;
    ssl.certificates = calloc(SIDES * batch, sizeof *ssl.certificates);
    ssl.ctx = SSL_CTX_new(DTLS_method());
    dtls_must(ssl.certificates != NULL && ssl.ctx != NULL, "libssl");
    dtls_must(SSL_CTX_set_min_proto_version(ssl.ctx, DTLS1_2_VERSION) == 1 &&
                  SSL_CTX_set_cipher_list(ssl.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1 &&
                  SSL_CTX_set_tlsext_use_srtp(ssl.ctx, "SRTP_AEAD_AES_128_GCM") == 0,
              "libssl's parameters");
    SSL_CTX_set_verify(ssl.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl.ctx, accept_any, NULL);
    SSL_CTX_set_options(ssl.ctx, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_session_cache_mode(ssl.ctx, SSL_SESS_CACHE_OFF);
}

static void free_certificate(struct certificate *certificate)
{
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
}

void libssl_close(void)
{
    while (ssl.left > 0)
        free_certificate(&ssl.certificates[--ssl.left]);
    free(ssl.certificates);
    SSL_CTX_free(ssl.ctx);
}

void libssl_use_group(const struct dtls_group *group)
{
    dtls_must(SSL_CTX_set1_groups_list(ssl.ctx, group->libssl) == 1, "group");
}

static struct certificate new_certificate(void)
{
    static const unsigned char name[] = "keywheel";
    struct certificate made = {EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), X509_new(), {0}};
    X509_NAME *subject;

    dtls_must(made.key != NULL && made.x509 != NULL, "certificate");
    subject = X509_get_subject_name(made.x509);
    dtls_must(X509_set_version(made.x509, X509_VERSION_3) == 1 &&
                  ASN1_INTEGER_set(X509_get_serialNumber(made.x509), 1) == 1 &&
                  X509_gmtime_adj(X509_getm_notBefore(made.x509), -86400) != NULL &&
                  X509_gmtime_adj(X509_getm_notAfter(made.x509), 30 * 86400) != NULL &&
                  X509_set_pubkey(made.x509, made.key) == 1 &&
                  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
                  X509_set_issuer_name(made.x509, subject) == 1 &&
                  X509_sign(made.x509, made.key, EVP_sha256()) > 0 &&
                  X509_digest(made.x509, EVP_sha256(), made.print, NULL) == 1,
              "certificate");
    return made;
}

void libssl_fill(void)
{
    while (ssl.left < SIDES * ssl.batch)
        ssl.certificates[ssl.left++] = new_certificate();
}

void libssl_identity(void)
{
    struct certificate made = new_certificate();

    free_certificate(&made);
}

static SSL *new_side(const struct certificate *own, BIO *in, BIO *out)
{
    SSL *made = SSL_new(ssl.ctx);

    dtls_must(made != NULL && SSL_use_certificate(made, own->x509) == 1 &&
                  SSL_use_PrivateKey(made, own->key) == 1,
              "libssl's side");
    SSL_set_bio(made, in, out);
    dtls_must(SSL_set_mtu(made, MTU) > 0, "MTU");
    return made;
}

static BIO *new_wire(void)
{
    BIO *wire = BIO_new(BIO_s_mem());

    dtls_must(wire != NULL && BIO_up_ref(wire) == 1, "BIO");
    (void)BIO_set_mem_eof_return(wire, -1);
    return wire;
}

static void settle(SSL *side, const struct certificate *peer)
{
    static const char label[] = "EXTRACTOR-dtls_srtp";
    uint8_t keys[SRTP_KEYS_LEN], print[32];
    X509 *x509 = SSL_get0_peer_certificate(side);

    dtls_must(x509 != NULL && X509_digest(x509, EVP_sha256(), print, NULL) == 1 &&
                  memcmp(print, peer->print, sizeof print) == 0,
              "fingerprint");
    dtls_must(SSL_get_selected_srtp_profile(side) != NULL &&
                  SSL_export_keying_material(side, keys, sizeof keys, label, sizeof label - 1, NULL,
                                             0, 0) == 1,
              "SRTP keys");
    OPENSSL_cleanse(keys, sizeof keys);
}

static void connect_pair(const struct certificate certificates[SIDES], SSL *ret[SIDES])
{
    BIO *up = new_wire(), *down = new_wire();
    int client = 0, server = 0;

    ret[0] = new_side(&certificates[0], down, up);
    ret[1] = new_side(&certificates[1], up, down);
    SSL_set_connect_state(ret[0]);
    SSL_set_accept_state(ret[1]);
    for (int turn = 0; turn < 10 && !(client == 1 && server == 1); turn++) {
        client = SSL_do_handshake(ret[0]);
        server = SSL_do_handshake(ret[1]);
    }
    if (client != 1 || server != 1)
        ERR_print_errors_fp(stderr);
    dtls_must(client == 1 && server == 1 && SSL_version(ret[0]) == DTLS1_2_VERSION,
              "libssl's handshake");
    ERR_clear_error();
    settle(ret[0], &certificates[1]);
    settle(ret[1], &certificates[0]);
}

void libssl_handshake(void)
{
    struct certificate *certificates;
    SSL *sides[SIDES];

    dtls_must(ssl.left >= SIDES, "a certificate at hand");
    ssl.left -= SIDES;
    certificates = &ssl.certificates[ssl.left];
    connect_pair(certificates, sides);
    for (size_t i = 0; i < SIDES; i++) {
        SSL_free(sides[i]);
        free_certificate(&certificates[i]);
    }
}

void libssl_memory(struct dtls_memory *ret)
{
    static SSL *sides[MEMORY_PAIRS][SIDES];
    size_t before = counted_held();

    for (size_t i = 0; i < MEMORY_PAIRS; i++) {
        struct certificate certificates[SIDES] = {new_certificate(), new_certificate()};

        connect_pair(certificates, sides[i]);
        for (size_t side = 0; side < SIDES; side++)
            free_certificate(&certificates[side]);
    }
    ret->block = 0;
    ret->libcrypto = (counted_held() - before) / ((size_t)MEMORY_PAIRS * SIDES);
    for (size_t i = 0; i < MEMORY_PAIRS; i++) {
        for (size_t side = 0; side < SIDES; side++)
            SSL_free(sides[i][side]);
    }
}
