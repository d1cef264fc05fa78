/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_CRYPTO_H
#define KEYWHEEL_CRYPTO_H

/*
 * The crypto contract: names of algorithms, typed secrets, and the provider that does the
 * arithmetic. The engines know only this header; `src/crypto/openssl` implements it on libcrypto,
 * tests implement it deterministically or with faults.
 *
 * Code points are those of the IANA registries, so that parsers need no translation.
 *
 * Every provider call may fail. KW_ERR_CRYPTO means that our own provider failed;
 * when the *peer's* bytes are to blame (bad point, bad signature, bad tag) the call says so in a
 * verdict. Handshake operations may allocate inside the provider, within pools that are bounded
 * at start; seal, open and mask never allocate.
 */

#include <keywheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kw_hash { KW_SHA256 = 0, KW_SHA384, KW_SHA512, KW_HASH_COUNT };

enum kw_aead { KW_AES_128_GCM = 0, KW_AES_256_GCM, KW_CHACHA20_POLY1305, KW_AEAD_COUNT };

/* TLS NamedGroup. */
enum kw_group {
    KW_GROUP_NONE = 0,
    KW_GROUP_P256 = 0x0017,
    KW_GROUP_P384 = 0x0018,
    KW_GROUP_X25519 = 0x001d,
    KW_GROUP_X25519MLKEM768 = 0x11ec,
};

/* TLS SignatureScheme. RSA only inside a named exception. */
enum kw_sigscheme {
    KW_SIG_NONE = 0,
    KW_SIG_RSA_PKCS1_SHA256 = 0x0401,
    KW_SIG_ECDSA_P256_SHA256 = 0x0403,
    KW_SIG_ECDSA_P384_SHA384 = 0x0503,
    KW_SIG_RSA_PSS_RSAE_SHA256 = 0x0804,
};

/* TLS CipherSuite; the first three are 1.3, the others 1.2. */
enum kw_suite {
    KW_SUITE_NONE = 0,
    KW_TLS_AES_128_GCM_SHA256 = 0x1301,
    KW_TLS_AES_256_GCM_SHA384 = 0x1302,
    KW_TLS_CHACHA20_POLY1305_SHA256 = 0x1303,
    KW_ECDHE_ECDSA_AES128_GCM_SHA256 = 0xc02b,
    KW_ECDHE_ECDSA_AES256_GCM_SHA384 = 0xc02c,
    KW_ECDHE_RSA_AES128_GCM_SHA256 = 0xc02f,
    KW_ECDHE_RSA_AES256_GCM_SHA384 = 0xc030,
};

/* DTLS-SRTP protection profile (RFC 5764, RFC 7714). */
enum kw_srtp_profile {
    KW_SRTP_NONE = 0,
    KW_SRTP_AES128_CM_SHA1_80 = 0x0001,
    KW_SRTP_AEAD_AES_128_GCM = 0x0007,
    KW_SRTP_AEAD_AES_256_GCM = 0x0008,
};

/* DTLS ProtocolVersion on the wire. */
enum kw_dtls_version { KW_DTLS_NONE = 0, KW_DTLS_1_2 = 0xfefd, KW_DTLS_1_3 = 0xfefc };

/* Registry names ("TLS_AES_128_GCM_SHA256", "X25519MLKEM768", "DTLS 1.3"); "unknown" otherwise. */
KW_API const char *kw_suite_name(enum kw_suite suite);
KW_API const char *kw_group_name(enum kw_group group);
KW_API const char *kw_sigscheme_name(enum kw_sigscheme scheme);
KW_API const char *kw_srtp_profile_name(enum kw_srtp_profile profile);
KW_API const char *kw_dtls_version_name(enum kw_dtls_version version);

/* A row per AEAD: sizes and the limits of RFC 9147, section 4.5.3 (in records). */
struct kw_aead_info {
    enum kw_aead id;
    const char *name;
    uint8_t key_len;
    uint8_t nonce_len;
    uint8_t tag_len;
    uint64_t confidentiality_limit; /* records sealed with one key */
    uint64_t integrity_limit;       /* records that failed to open with one key */
};

struct kw_suite_info {
    enum kw_suite id;
    const char *name;
    enum kw_dtls_version version;
    enum kw_aead aead;
    enum kw_hash hash;
    bool rsa; /* 1.2 only: authenticated with RSA */
};

/* Borrowed rows of constant tables; NULL for what does not exist here. */
KW_API const struct kw_aead_info *kw_aead_info(enum kw_aead aead);
KW_API const struct kw_suite_info *kw_suite_info(enum kw_suite suite);
/* 32, 48, 64. */
KW_API size_t kw_hash_len(enum kw_hash hash);

enum {
    KW_DIGEST_MAX = 64,
    KW_SHA1_LEN = 20,
    KW_KEY_MAX = 32,
    KW_TAG_LEN = 16,        /* every AEAD here */
    KW_NONCE_LEN = 12,      /* every AEAD here */
    KW_MASK_LEN = 16,       /* one block of AES or the first bytes of a ChaCha20 block */
    KW_SRTP_MAC_LEN = 20,   /* HMAC-SHA1 of the AES_CM exception, before truncation */
    KW_KX_SHARE_MAX = 1216, /* client share of X25519MLKEM768: 1184 + 32 */
    KW_SIGNATURE_MAX = 512, /* RSA 4096 inside an exception; ECDSA P-384 needs 104 */
    KW_CERT_MAX = 2048,     /* one self-signed end-entity certificate; browsers send 275..330 */
};

/*
 * A secret of the key schedule, at most one digest long. Plain memory with a type: whoever ends
 * its life calls kw_secret_wipe(). Never printed, compared with kw_ct_equal().
 */
struct kw_secret {
    uint8_t bytes[KW_DIGEST_MAX];
    uint8_t len;
};

KW_API void kw_secret_wipe(struct kw_secret *secret);

/* SRTP master key and salt of one direction (RFC 5764, section 4.2). */
struct kw_srtp_master {
    enum kw_srtp_profile profile;
    uint8_t key[KW_KEY_MAX];
    uint8_t salt[14];
    uint8_t key_len;
    uint8_t salt_len;
};

/* Both directions of one association, as exported: read is what the peer sends. */
struct kw_srtp_keys {
    struct kw_srtp_master write;
    struct kw_srtp_master read;
};

KW_API void kw_srtp_keys_wipe(struct kw_srtp_keys *keys);

/* A certificate fingerprint as signalled in a=fingerprint (RFC 8122). */
struct kw_fingerprint {
    enum kw_hash hash;
    uint8_t digest[KW_DIGEST_MAX]; /* kw_hash_len(hash) bytes are used */
};

/* Compares in constant time; false for different hash functions. */
KW_API KW_MUST_USE bool kw_fingerprint_equal(const struct kw_fingerprint *a,
                                             const struct kw_fingerprint *b);

enum { KW_FINGERPRINT_TEXT_MAX = 8 + 3 * KW_DIGEST_MAX };

/*
 * "sha-256 AB:CD:..", the value of the SDP attribute. parse() takes any case (RFC 8122 section 5),
 * refuses other hash functions, wrong lengths and trailing bytes, and writes ret only on success.
 * format() writes a terminated string and returns its length; dst holds KW_FINGERPRINT_TEXT_MAX.
 */
KW_API KW_MUST_USE bool kw_fingerprint_parse(struct kw_bytes text, struct kw_fingerprint *ret);
KW_API size_t kw_fingerprint_format(const struct kw_fingerprint *fingerprint, char *dst);

/*
 * One SRTP or SRTCP packet as its transform sees it. body is overwritten in place and is followed
 * by at least KW_TAG_LEN bytes of room, which may be overwritten too; aad is followed by at least
 * KW_TAG_LEN readable bytes. tag may lie right behind body.
 */
struct kw_packet {
    uint8_t iv[16]; /* GCM: the first twelve bytes */
    const uint8_t *aad;
    size_t aad_len;
    uint8_t *body;
    size_t body_len;
    uint8_t *tag; /* KW_TAG_LEN bytes; GCM only */
};

/* Opaque objects of a provider. Each belongs to the provider that made it. */
struct kw_crypto;     /* the provider instance */
struct kw_digest;     /* a running hash */
struct kw_aead_key;   /* one AEAD key, one direction */
struct kw_mask_key;   /* one record-number key (RFC 9147, section 4.2.3) */
struct kw_kx;         /* a key exchange in flight on the offering side */
struct kw_identity;   /* our certificate and its private key */
struct kw_packet_key; /* one session key of SRTP or SRTCP, one direction */

/*
 * The operations of a provider. Rules for all:
 *  - `ret` is written only on KW_OK; objects go back with the matching free (NULL allowed), which
 *    wipes them.
 *  - KW_ERR_MEMORY: the provider's pool is exhausted. KW_ERR_CRYPTO: it failed.
 *  - `verdict` tells what the peer's bytes were worth and is written whenever KW_OK is returned.
 */
struct kw_crypto_ops {
    const char *name; /* "openssl 3.0.19", for logs and audit */

    /* Running hash. digest() does not end it: it may be updated and asked again. */
    enum kw_status (*digest_new)(struct kw_crypto *crypto, enum kw_hash hash,
                                 struct kw_digest **ret);
    enum kw_status (*digest_update)(struct kw_digest *digest, struct kw_bytes data);
    enum kw_status (*digest_peek)(const struct kw_digest *digest, uint8_t *dst);
    void (*digest_free)(struct kw_digest *digest);

    /* One-shot HMAC over the concatenated parts; dst holds kw_hash_len(hash). */
    enum kw_status (*hmac)(struct kw_crypto *crypto, enum kw_hash hash, struct kw_bytes key,
                           const struct kw_bytes *parts, size_t part_count, uint8_t *dst);
    /* HMAC-SHA1, for STUN (RFC 8489, section 14.5) and the AES_CM exception of SRTP only. SHA-1 is
     * deliberately no kw_hash, so that no fingerprint and no signature can use it. */
    enum kw_status (*hmac_sha1)(struct kw_crypto *crypto, struct kw_bytes key,
                                const struct kw_bytes *parts, size_t part_count,
                                uint8_t dst[KW_SHA1_LEN]);

    /* AEAD, in place: body is overwritten, tag is beside it. open() writes nothing useful into
     * body unless the verdict is KW_ACCEPT. */
    enum kw_status (*aead_new)(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               bool for_sealing, struct kw_aead_key **ret);
    enum kw_status (*aead_seal)(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                uint8_t tag[KW_TAG_LEN]);
    enum kw_status (*aead_open)(struct kw_aead_key *key, const uint8_t nonce[KW_NONCE_LEN],
                                struct kw_bytes aad, uint8_t *body, size_t body_len,
                                const uint8_t tag[KW_TAG_LEN], enum kw_verdict *verdict);
    void (*aead_free)(struct kw_aead_key *key);

    /*
     * Record-number mask: AES-ECB(key, sample), or ChaCha20 with counter and nonce from sample.
     * With KW_AES_128_GCM or KW_AES_256_GCM this is one plain AES block encryption, so it also
     * serves the AES-CM key derivation of SRTP (RFC 3711, section 4.3.3; RFC 7714, section 11).
     */
    enum kw_status (*mask_new)(struct kw_crypto *crypto, enum kw_aead aead, const uint8_t *key,
                               struct kw_mask_key **ret);
    enum kw_status (*mask)(struct kw_mask_key *key, const uint8_t sample[KW_MASK_LEN],
                           uint8_t dst[KW_MASK_LEN]);
    void (*mask_free)(struct kw_mask_key *key);

    /*
     * SRTP packets, for the kernel "evp" and for the AES_CM exception; NULL where a provider has
     * none. auth_key (20 bytes) belongs to AES_CM only. verify() writes nothing; open() leaves
     * nothing of the plaintext in body unless the verdict is KW_ACCEPT. crypt() is AES in counter
     * mode both ways; mac() is HMAC-SHA1 over both parts.
     */
    enum kw_status (*packet_new)(struct kw_crypto *crypto, enum kw_srtp_profile profile,
                                 const uint8_t *key, const uint8_t *auth_key, bool for_sealing,
                                 struct kw_packet_key **ret);
    enum kw_status (*packet_seal)(struct kw_packet_key *key, const struct kw_packet *packet);
    enum kw_status (*packet_open)(struct kw_packet_key *key, const struct kw_packet *packet,
                                  enum kw_verdict *verdict);
    enum kw_status (*packet_verify)(struct kw_packet_key *key, const struct kw_packet *packet,
                                    enum kw_verdict *verdict);
    enum kw_status (*packet_crypt)(struct kw_packet_key *key, const struct kw_packet *packet);
    enum kw_status (*packet_mac)(struct kw_packet_key *key, struct kw_bytes head,
                                 struct kw_bytes tail, uint8_t dst[KW_SRTP_MAC_LEN]);
    void (*packet_free)(struct kw_packet_key *key);

    /*
     * Key exchange, (EC)DH and KEM alike. The offering side makes a share and finishes with
     * the answer; the answering side does both at once. A bad peer share (not on the curve,
     * all-zero X25519 result, bad ML-KEM modulus, wrong length) is KW_DROP_MALFORMED. The shared
     * secret is at most 64 bytes (X25519MLKEM768: mlkem || x25519).
     */
    enum kw_status (*kx_offer)(struct kw_crypto *crypto, enum kw_group group, struct kw_kx **ret,
                               uint8_t share[KW_KX_SHARE_MAX], size_t *share_len);
    enum kw_status (*kx_finish)(struct kw_kx *kx, struct kw_bytes peer_share, struct kw_secret *ret,
                                enum kw_verdict *verdict);
    void (*kx_free)(struct kw_kx *kx);
    enum kw_status (*kx_answer)(struct kw_crypto *crypto, enum kw_group group,
                                struct kw_bytes peer_share, uint8_t share[KW_KX_SHARE_MAX],
                                size_t *share_len, struct kw_secret *ret, enum kw_verdict *verdict);
    bool (*has_group)(const struct kw_crypto *crypto, enum kw_group group);

    /*
     * Identity: a fresh ECDSA P-256 key with a self-signed certificate, in memory only.
     * certificate() is a view of the DER, valid until identity_free(). An identity may serve
     * several associations; identity_free() gives back one hold, identity_hold() takes one.
     */
    enum kw_status (*identity_new)(struct kw_crypto *crypto, kw_utc_ms now,
                                   struct kw_identity **ret);
    struct kw_identity *(*identity_hold)(struct kw_identity *identity);
    struct kw_bytes (*identity_certificate)(const struct kw_identity *identity);
    void (*identity_free)(struct kw_identity *identity);

    /* Signs with the scheme that fits our key (ECDSA P-256). DER signature. */
    enum kw_status (*sign)(struct kw_identity *identity, enum kw_sigscheme scheme,
                           struct kw_bytes message, uint8_t dst[KW_SIGNATURE_MAX], size_t *dst_len);
    /* Verifies with the public key inside the peer's DER certificate. KW_DROP_FORGED: bad
     * signature; KW_DROP_MALFORMED: certificate unreadable or its key does not fit the scheme. */
    enum kw_status (*verify)(struct kw_crypto *crypto, struct kw_bytes certificate,
                             enum kw_sigscheme scheme, struct kw_bytes message,
                             struct kw_bytes signature, enum kw_verdict *verdict);
};

/* Every provider instance begins with this. */
struct kw_crypto {
    const struct kw_crypto_ops *ops;
};

/* Hashes once; dst holds kw_hash_len(hash). */
KW_API KW_MUST_USE enum kw_status kw_crypto_hash(struct kw_crypto *crypto, enum kw_hash hash,
                                                 struct kw_bytes data, uint8_t *dst);
KW_API KW_MUST_USE enum kw_status kw_crypto_fingerprint(struct kw_crypto *crypto, enum kw_hash hash,
                                                        struct kw_bytes certificate,
                                                        struct kw_fingerprint *ret);

#ifdef __cplusplus
}
#endif

#endif
