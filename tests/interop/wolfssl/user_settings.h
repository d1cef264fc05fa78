/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_WOLFSSL_USER_SETTINGS_H
#define KW_WOLFSSL_USER_SETTINGS_H

/* What of wolfSSL the peer needs: DTLS 1.3 and 1.2 as WebRTC uses them, everything in portable C.
 */

/* Versions and extensions. */
#define WOLFSSL_TLS13
#define WOLFSSL_DTLS
#define WOLFSSL_DTLS13
#define WOLFSSL_DTLS_CH_FRAG
#define WOLFSSL_DTLS_MTU
#define WOLFSSL_SEND_HRR_COOKIE
#define WOLFSSL_SRTP
#define HAVE_KEYING_MATERIAL
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER
#define HAVE_ENCRYPT_THEN_MAC
#define NO_OLD_TLS
#define NO_PSK

/* Algorithms. */
#define HAVE_ECC
#define HAVE_ECC384
#define ECC_USER_CURVES
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WC_RSA_BLINDING
#define WC_RSA_PSS
#define HAVE_CURVE25519
#define WOLFSSL_HAVE_MLKEM
#define WOLFSSL_PQC_HYBRIDS
#define WOLFSSL_TLS_NO_MLKEM_STANDALONE
#define WOLFSSL_SHA3
#define WOLFSSL_SHAKE128
#define WOLFSSL_SHAKE256
#define HAVE_AESGCM
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_HKDF
#define HAVE_HASHDRBG
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define NO_RC4
#define NO_DES3
#define NO_DSA
#define NO_DH
#define NO_MD4
#define NO_MD5
#define WOLFSSL_SP_MATH_ALL

/* The program. */
#define SINGLE_THREADED
#define KEEP_PEER_CERT
#define OPENSSL_EXTRA_X509_SMALL
#define WOLFSSL_IGNORE_FILE_WARN
#define NO_MAIN_DRIVER

#endif
