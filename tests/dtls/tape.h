/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_TAPE_H
#define KW_TESTS_TAPE_H

/*
 * A server's handshake on a tape: everything that comes in from outside (datagrams, times, random
 * draws, the private halves of our key shares, our certificate, our signatures) and everything that
 * goes out or is concluded. The recorder writes it while a browser is at the other end; the test
 * plays it and must see the same. tests/dtls/vectors/README.md describes the lines.
 */

#include <keywheel/dtls.h>

enum { TAPE_LINE_MAX = 2 * KW_DTLS_DATAGRAM_MAX };

struct tape {
    /* A value that is drawn at random: written when recording, read when playing. */
    enum kw_status (*draw)(struct tape *tape, const char *kind, uint8_t *dst, size_t len);
    /* What was just made and cannot be made twice: *len bytes in dst, replaced when playing. */
    enum kw_status (*exchange)(struct tape *tape, const char *kind, uint8_t *dst, size_t size,
                               size_t *len);
    /* What follows from the rest: written when recording, compared when playing. */
    void (*state)(struct tape *tape, const char *kind, const char *text);
    bool is_playing;

    struct kw_crypto *crypto; /* libcrypto's, with some operations replaced */
    const struct kw_crypto_ops *inner;
    struct kw_crypto_ops ops;
    uint8_t certificate[KW_CERT_MAX];
    size_t certificate_len;

    struct kw_terms terms;
    struct kw_dtls_shared shared;
    struct kw_identity *identity;
    struct kw_dtls *dtls;
    void *mem, *buffers_mem;
    struct kw_srtp_keys keys; /* after "connected" */
    bool is_connected, is_closed;
};

/* The callbacks are set; one tape at a time. Takes our certificate from the tape, or puts it there.
 */
enum kw_status tape_init(struct tape *tape);
/* The server's association, at time 0, for a client with this certificate. */
enum kw_status tape_start(struct tape *tape, const struct kw_fingerprint *peer, bool with_cookie);
void tape_deinit(struct tape *tape);

/* One call of the engine, and everything that comes of it. */
enum kw_status tape_receive(struct tape *tape, uint8_t *datagram, size_t len, kw_ns now);
enum kw_status tape_tick(struct tape *tape, kw_ns now);

/* States the counters of records by verdict. */
void tape_state_counters(struct tape *tape);
/* States bytes in hexadecimal. */
void tape_state_bytes(struct tape *tape, const char *kind, const uint8_t *data, size_t len);
/* At most size bytes of hexadecimal text, up to the first other character. */
size_t tape_read_hex(const char *text, uint8_t *dst, size_t size);

#endif
