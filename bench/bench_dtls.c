/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handshake costs one side: ours (DTLS 1.3), libssl's (DTLS 1.2) and the primitives alone,
 * in turns. All figures are of the process's own time, halved, since one thread plays both sides.
 */
#include "dtls_bench.h"

#include "bench.h"
#include "counted.h"

#include "base/assert.h"

#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 20 }; /* handshakes between two looks at the clock */

static const struct dtls_group groups[] = {
    {KW_GROUP_P256, "P-256", "EC", "P-256", "P-256"},
    {KW_GROUP_X25519, "x25519", "X25519", NULL, "X25519:P-256"},
    {KW_GROUP_X25519MLKEM768, "X25519MLKEM768", "X25519", NULL, NULL},
};

static const char libssl_name[] = "libssl DTLS 1.2";

void dtls_must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "dtls: %s failed\n", what);
    exit(1);
}

struct samples {
    double ours[BENCH_ROUNDS], libssl[BENCH_ROUNDS], raw[BENCH_ROUNDS];
    double exchange[BENCH_ROUNDS], signatures[BENCH_ROUNDS], hashes[BENCH_ROUNDS];
};

/* Microseconds for one side. */
static double side(void (*run)(void))
{
    return bench_batch(run, BATCH) / 2;
}

static void run_round(const struct dtls_group *group, struct samples *samples, int round)
{
    ours_fill();
    samples->ours[round] = side(ours_handshake);
    if (group->libssl != NULL) {
        libssl_fill();
        samples->libssl[round] = side(libssl_handshake);
    }
    samples->raw[round] = side(raw_all);
    samples->exchange[round] = side(raw_key_exchange);
    samples->signatures[round] = side(raw_signatures);
    samples->hashes[round] = side(raw_hashes);
}

static void line(const char *group, const char *what, double ours, const char *peer, double value)
{
    char variant[64];

    (void)snprintf(variant, sizeof variant, "%s%s", group, what);
    bench_line("dtls", variant, ours, "us", peer, value);
}

static void run_group(const struct dtls_group *group)
{
    static struct samples samples;
    struct dtls_counts counts;
    double ours;

    ours_use_group(group);
    ours_count(&counts);
    if (group->libssl != NULL)
        libssl_use_group(group);
    raw_use_group(group, &counts);
    fprintf(stderr,
            "dtls: %s, both sides: %u keys, %u secrets, %u signatures, %u verifications, "
            "%u HMACs (%zu B), %u hashes (%zu B, %u times looked at), %u record keys, "
            "%u records (%zu B)\n",
            group->name, counts.offers + counts.answers, counts.finishes + counts.answers,
            counts.signs, counts.verifies, counts.hmacs, counts.hmac_bytes, counts.digests,
            counts.digest_bytes, counts.peeks, counts.aead_keys, counts.seals, counts.sealed_bytes);
    for (int round = -1; round < BENCH_ROUNDS; round++)
        run_round(group, &samples, KW_MAX(round, 0)); /* the first one warms up */
    ours = bench_median(samples.ours);
    line(group->name, "", ours, group->libssl != NULL ? libssl_name : NULL,
         bench_median(samples.libssl));
    line(group->name, "-primitives", ours, "sum of the primitives", bench_median(samples.raw));
    line(group->name, "-key-exchange", bench_median(samples.exchange), NULL, 0);
    line(group->name, "-signatures", bench_median(samples.signatures), NULL, 0);
    line(group->name, "-hashes", bench_median(samples.hashes), NULL, 0);
}

static void memory(void)
{
    struct dtls_memory ours, theirs;

    ours_use_group(&groups[0]);
    libssl_use_group(&groups[0]);
    ours_memory(&ours);
    libssl_memory(&theirs);
    bench_line("dtls", "memory-idle-association", (double)(ours.block + ours.libcrypto), "B",
               libssl_name, (double)(theirs.block + theirs.libcrypto));
    bench_line("dtls", "memory-idle-association-block", (double)ours.block, "B", NULL, 0);
    bench_line("dtls", "memory-idle-association-libcrypto", (double)ours.libcrypto, "B", NULL, 0);
}

/* In a process of its own, so that the counting heap slows nobody down whose time is taken. */
static void memory_apart(void)
{
    int status = 1;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    dtls_must(child >= 0, "fork");
    if (child == 0) {
        dtls_must(counted_install() == KW_OK, "heap");
        ours_open(BATCH);
        libssl_open(BATCH);
        memory();
        exit(0);
    }
    dtls_must(waitpid(child, &status, 0) == child && status == 0, "memory");
}

int main(void)
{
    memory_apart();
    ours_open(BATCH);
    libssl_open(BATCH);
    raw_open(ours_crypto());
    fprintf(stderr,
            "dtls: %s; %d certificates for each %d handshakes are made before the clock "
            "starts, and each serves one\n",
            ours_crypto()->ops->name, 2 * BATCH, BATCH);
    for (size_t i = 0; i < KW_ARRAY_LEN(groups); i++)
        run_group(&groups[i]);
    bench_line("dtls", "pooled-certificates", 2.0 * BATCH * (BENCH_ROUNDS + 1), "each group", NULL,
               0);
    bench_pair("dtls", "certificate", ours_identity, "libcrypto, X509_sign", libssl_identity, 50);
    raw_close();
    libssl_close();
    ours_close();
    return 0;
}
