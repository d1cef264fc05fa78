/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BOGO_CREDENTIAL_H
#define KW_BOGO_CREDENTIAL_H

/*
 * Certificates from files, which the product never reads: the key and the certificate that we
 * shall present, and the root under which the peer's certificate was issued.
 */

#include <keywheel/crypto.h>

/*
 * Makes `crypto` serve one identity from these files: its identity operations and sign() are
 * replaced. False when a file cannot be read or the key is of a kind that we do not have.
 */
bool credential_load(struct kw_crypto *crypto, const char *cert_file, const char *key_file,
                     struct kw_identity **ret);
bool credential_is_rsa(void);
void credential_free(void);

/* The root of the peer; false when the file cannot be read. */
bool trust_load(const char *file);
/* Tells whether the peer's certificate is the root or was signed by it. */
bool trust_covers(struct kw_bytes certificate);
void trust_free(void);

#endif
