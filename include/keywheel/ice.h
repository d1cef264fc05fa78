/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYWHEEL_ICE_H
#define KEYWHEEL_ICE_H

/*
 * One side of ICE (RFC 8445) for one generation: either lite and controlled, as a gateway is, or
 * controlling with known remote candidates, as our own client is. Lite with one addition: on each
 * new pair we send an authenticated Binding request of our own, and until its response arrives only
 * STUN and DTLS within the amplification limit may go to that address. Sans-IO.
 */

#include <keywheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kw_ice;
struct kw_crypto;

enum {
    KW_ICE_UFRAG_MAX = 256, /* RFC 8839: 4..256 */
    KW_ICE_PWD_MAX = 256,   /* RFC 8839: 22..256 */
    KW_ICE_PATHS = 8,       /* pairs watched per generation; the oldest unvalidated one gives way */
    KW_ICE_AMPLIFICATION = 3,
};

struct kw_ice_credentials {
    char ufrag[KW_ICE_UFRAG_MAX + 1];
    char pwd[KW_ICE_PWD_MAX + 1];
};

/* Fresh local credentials: 8 and 24 characters of the ICE alphabet (48 and 144 bits). */
KW_API KW_MUST_USE enum kw_status kw_ice_credentials_draw(const struct kw_random *random,
                                                          struct kw_ice_credentials *ret);

struct kw_ice_params {
    struct kw_crypto *crypto;       /* HMAC-SHA1 of MESSAGE-INTEGRITY */
    const struct kw_random *random; /* transaction ids, tie-breaker; borrowed */
    struct kw_ice_credentials local;
    struct kw_ice_credentials remote;
    bool controlling;
};

KW_API size_t kw_ice_size(void);
KW_API KW_MUST_USE enum kw_status kw_ice_init(void *mem, const struct kw_ice_params *params,
                                              kw_ns now, struct kw_ice **ret);
KW_API void kw_ice_deinit(struct kw_ice *ice);

/* Controlling side: a pair to check, from local to the peer's candidate. */
KW_API KW_MUST_USE enum kw_status kw_ice_add_path(struct kw_ice *ice, const struct kw_path *path,
                                                  uint32_t priority, kw_ns now);

/* RFC 8445 section 9: new credentials; the selected path stays in use until a new one is validated.
 */
KW_API KW_MUST_USE enum kw_status kw_ice_restart(struct kw_ice *ice,
                                                 const struct kw_ice_credentials *local,
                                                 const struct kw_ice_credentials *remote,
                                                 kw_ns now);

/* A request to this ufrag is for this agent: it is ours, now or before the last restart. */
KW_API bool kw_ice_owns(const struct kw_ice *ice, struct kw_bytes ufrag);
/* Feeds a STUN datagram. The verdict is for counters; an answer, if any, waits in transmit. */
KW_API KW_MUST_USE enum kw_verdict kw_ice_receive(struct kw_ice *ice, const struct kw_path *path,
                                                  const uint8_t *datagram, size_t len, kw_ns now);
/* Next STUN datagram and the path it goes to; 0 when there is none. dst_size >= 576. */
KW_API size_t kw_ice_transmit(struct kw_ice *ice, uint8_t *dst, size_t dst_size,
                              struct kw_path *path_ret, kw_ns now);
KW_API kw_ns kw_ice_deadline(const struct kw_ice *ice);
KW_API void kw_ice_tick(struct kw_ice *ice, kw_ns now);

/*
 * Other traffic on a path. note_received() credits the amplification budget; may_send() says
 * whether len bytes may go there: always when validated, else while the sum stays within 3 x what
 * came from it, and then it is charged.
 */
KW_API void kw_ice_note_received(struct kw_ice *ice, const struct kw_path *path, size_t len);
KW_API KW_MUST_USE bool kw_ice_may_send(struct kw_ice *ice, const struct kw_path *path, size_t len);

/* An authenticated check has come from this path (validated or not). */
KW_API bool kw_ice_knows(const struct kw_ice *ice, const struct kw_path *path);
/* We have had an answer to our own check on this path. */
KW_API bool kw_ice_validated(const struct kw_ice *ice, const struct kw_path *path);
/* The nominated, validated pair of highest priority; false when there is none. Media goes there. */
KW_API KW_MUST_USE bool kw_ice_selected(const struct kw_ice *ice, struct kw_path *ret);
/* Smoothed round trip of the selected path; 0 when unknown. */
KW_API kw_ns kw_ice_rtt(const struct kw_ice *ice);
/* Last time the peer's consent was heard (RFC 7675): response to our check; 0: never. */
KW_API kw_ns kw_ice_consent(const struct kw_ice *ice);
/* Consent has been missing for 30 s (RFC 7675), or never came within 30 s of init. */
KW_API bool kw_ice_gone(const struct kw_ice *ice, kw_ns now);

/* RFC 7983 section 7 for the first byte, and the magic cookie. */
KW_API bool kw_stun_looks_like(const uint8_t *datagram, size_t len);
/* The USERNAME of a Binding request, "ours:theirs", for routing by ufrag. False when there is none.
 */
KW_API KW_MUST_USE bool kw_stun_local_ufrag(const uint8_t *datagram, size_t len,
                                            struct kw_bytes *ret);

#ifdef __cplusplus
}
#endif

#endif
