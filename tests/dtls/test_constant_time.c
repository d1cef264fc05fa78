/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the secrets of whole handshakes around: what HMAC and the key exchange give, hence every
 * traffic secret, key, IV, Finished and cookie, is uninitialised memory for memcheck, which reports
 * every branch and every address that depends on it. So a comparison of a secret that stops at the
 * first difference is an error. What may be known is said where it becomes so: what a provider
 * takes (it has tests of its own), the digest of a transcript, a datagram on its way, and the
 * outcome of kw_ct_equal(), around which the linker puts a function of this file.
 */
#include "check.h"
#include "dtls/pair.h"
#include "support/toy_crypto.h"

#include <string.h>
#include <valgrind/memcheck.h>

static const struct kw_crypto_ops *toy;
static struct kw_crypto_ops ops;

/* Comparisons of secrets since the last handshake began; a control makes one of them careless. */
static size_t compared;
static bool is_careless;

static void secret(void *mem, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(mem, len);
}

static void public(const void *mem, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(mem, len);
}

static bool is_secret(const void *mem, size_t len)
{
    uint8_t bits[KW_DIGEST_MAX] = {0}, any = 0;

    assert_true(len <= sizeof bits);
    (void)VALGRIND_GET_VBITS(mem, bits, len);
    for (size_t i = 0; i < len; i++)
        any |= bits[i];
    return any != 0;
}

/* --wrap=kw_ct_equal: the linker's names. */
bool __real_kw_ct_equal(const void *a, const void *b, size_t len);
bool __wrap_kw_ct_equal(const void *a, const void *b, size_t len);

bool __wrap_kw_ct_equal(const void *a, const void *b, size_t len)
{
    bool equal = __real_kw_ct_equal(a, b, len);

    compared += is_secret(a, len) || is_secret(b, len);
    if (is_careless)
        equal = memcmp(a, b, len) == 0;
    public(&equal, sizeof equal);
    return equal;
}

static enum kw_status hmac(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                           const struct kw_bytes *parts, size_t part_count, uint8_t *dst)
{
    enum kw_status status = toy->hmac(crypto, hash, key, parts, part_count, dst);

    secret(dst, kw_hash_len(hash));
    return status;
}

static enum kw_status kx_finish(struct kw_kx *kx, struct kw_bytes peer_share, struct kw_secret *ret,
                                enum kw_verdict *verdict)
{
    enum kw_status status = toy->kx_finish(kx, peer_share, ret, verdict);

    secret(ret->bytes, ret->len);
    return status;
}

static enum kw_status kx_answer(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict)
{
    enum kw_status status =
        toy->kx_answer(crypto, group, peer_share, share, share_len, ret, verdict);

    secret(ret->bytes, ret->len);
    return status;
}

static enum kw_status digest_peek(const struct kw_digest *digest, uint8_t *dst)
{
    enum kw_status status = toy->digest_peek(digest, dst);

    public(dst, KW_DIGEST_MAX);
    return status;
}

static enum kw_status aead_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret)
{
    uint8_t known[KW_KEY_MAX] = {0};

    memcpy(known, key, kw_aead_info(aead)->key_len);
    public(known, sizeof known);
    return toy->aead_new(crypto, aead, known, for_sealing, ret);
}

static enum kw_status mask_new(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret)
{
    uint8_t known[KW_KEY_MAX] = {0};

    memcpy(known, key, kw_aead_info(aead)->key_len);
    public(known, sizeof known);
    return toy->mask_new(crypto, aead, known, ret);
}

static enum kw_status aead_seal(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN])
{
    enum kw_status status = toy->aead_seal(key, nonce, aad, body, body_len, tag);

    public(body, body_len);
    public(tag, KW_TAG_LEN);
    return status;
}

static enum kw_status aead_open(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict)
{
    uint8_t known[KW_NONCE_LEN];

    memcpy(known, nonce, sizeof known);
    public(known, sizeof known);
    return toy->aead_open(key, known, aad, body, body_len, tag, verdict);
}

static bool publish(void *ctx, struct net *net, const struct kw_path *path, uint8_t *data,
                    size_t *len, kw_ns now)
{
    (void)ctx;
    (void)net;
    (void)path;
    (void)now;
    public(data, *len);
    return true;
}

/* The errors that a whole handshake, some data and new keys make. */
static unsigned long errors_of(const struct pair_config *config)
{
    struct pair_config with_crypto = *config;
    unsigned long before = VALGRIND_COUNT_ERRORS;
    struct pair pair;

    with_crypto.crypto = toy_crypto_new(1);
    toy = with_crypto.crypto->ops;
    ops = *toy;
    ops.hmac = hmac;
    ops.kx_finish = kx_finish;
    ops.kx_answer = kx_answer;
    ops.digest_peek = digest_peek;
    ops.aead_new = aead_new;
    ops.mask_new = mask_new;
    ops.aead_seal = aead_seal;
    ops.aead_open = aead_open;
    with_crypto.crypto->ops = &ops;

    compared = 0;
    assert_int_equal(pair_init(&pair, &with_crypto), KW_OK);
    pair.net.tap = publish;
    assert_true(pair_run(&pair, pair_confirmed, pair.now + KW_S(5)));
    if (pair.end[0].dtls->version == KW_DTLS_1_3)
        assert_int_equal(kw_dtls_update_keys(pair.end[0].dtls, true, pair.now), KW_OK);
    pair_run(&pair, pair_forever, pair.now + KW_S(2));
    for (int role = 0; role < 2; role++) {
        assert_true(is_secret(pair.end[role].dtls->exporter.bytes, 32));
        assert_int_equal(kw_dtls_send(pair.end[role].dtls,
                                      (struct kw_bytes){(const uint8_t *)"data", 4}, pair.now),
                         KW_OK);
    }
    pair_run(&pair, pair_forever, pair.now + KW_S(1));
    assert_int_equal(pair.end[0].data_count, 1);
    assert_int_equal(pair.end[1].data_count, 1);
    pair_deinit(&pair);
    toy_crypto_free(with_crypto.crypto);
    return VALGRIND_COUNT_ERRORS - before;
}

static void handshakes_keep_their_secrets(void **state)
{
    static const struct {
        struct pair_config config;
        size_t compared; /* Finished of both; each cookie against two keys at most */
        const char *why;
    } rows[] = {
        {{.seed = 1}, 2, "1.3"},
        {{.seed = 2, .require_cookie = true}, 3, "1.3 with a cookie"},
        {{.seed = 3, .group = KW_GROUP_P256, .use_cid = true}, 2, "1.3 with connection ids"},
        {{.seed = 4, .suite = KW_TLS_AES_256_GCM_SHA384}, 2, "1.3 with SHA-384"},
        {{.seed = 5, .only_dtls12 = true}, 2, "1.2"},
        {{.seed = 6, .only_dtls12 = true, .require_cookie = true}, 3, "1.2 with a cookie"},
    };

    (void)state;
    is_careless = false;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        unsigned long count = errors_of(&rows[i].config);

        CHECK(count == 0, "%s: %lu", rows[i].why, count);
        CHECK(compared >= rows[i].compared, "%s: only %zu secrets were compared", rows[i].why,
              compared);
    }
}

static void a_careless_comparison_is_reported(void **state)
{
    (void)state;
    is_careless = true;
    assert_true(errors_of(&(struct pair_config){.seed = 1}) != 0);
    assert_true(errors_of(&(struct pair_config){.seed = 6, .only_dtls12 = true}) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_keep_their_secrets),
        cmocka_unit_test(a_careless_comparison_is_reported),
    };

    if (!RUNNING_ON_VALGRIND) {
        (void)printf("1..0 # SKIP not under valgrind\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
