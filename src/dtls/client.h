/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_DTLS_CLIENT_H
#define KW_DTLS_CLIENT_H

#include "dtls/engine.h"
#include "dtls/hello.h"

/* A client's hellos and the answers to them, for the files that handle both. */

KW_MUST_USE bool kw_client_has_suite(const struct kw_dtls *dtls, uint16_t suite,
                                     enum kw_dtls_version version);
KW_MUST_USE bool kw_client_has_group(const struct kw_dtls *dtls, uint16_t group);
/* The key exchange of a share that was offered in the first hello, or in the newest one. */
struct kw_kx *kw_client_find_kx(const struct kw_dtls *dtls, uint16_t group, bool is_first);

/* A second hello: a share of group (0: as before), with a cookie of 1.3 or of 1.2. */
KW_MUST_USE enum kw_status kw_client_write_hello_again(struct kw_dtls *dtls, uint16_t group,
                                                       struct kw_bytes cookie,
                                                       struct kw_bytes cookie12);
/*
 * What a server of either version says in answer to use_srtp and ALPN, against what we offered; the
 * facts say what was agreed. `others` has the bits of what its message may contain besides. The
 * alert that the server deserves, or KW_ALERT_NONE.
 */
KW_MUST_USE enum kw_alert kw_client_agree(struct kw_dtls *dtls, const struct kw_extensions *ext,
                                          uint32_t others);

/* The retry (of either version) that the second hello answers. */
KW_MUST_USE bool kw_client_knows_retry(const struct kw_dtls *dtls,
                                       const struct kw_message *message);
/*
 * Its hello went unanswered, or was answered by a ServerHello whose keys open nothing: perhaps the
 * retry was meant for a hello that a stranger had a part in, or was his.
 */
KW_MUST_USE bool kw_client_doubts_retry(const struct kw_dtls *dtls);
void kw_client_note_retry(struct kw_dtls *dtls, const struct kw_message *message);

#endif
