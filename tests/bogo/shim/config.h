/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_BOGO_CONFIG_H
#define KW_BOGO_CONFIG_H

/*
 * The command line that the runner gives us. A flag that asks for something we do not have makes
 * the shim say "unimplemented" (exit 89), which counts as a failure wherever the test is in scope.
 */

#include <keywheel/dtls.h>

enum { EXIT_UNIMPLEMENTED = 89 };

struct config {
    uint16_t port;
    bool ipv6;
    uint64_t shim_id;
    unsigned resume_count;

    bool is_dtls;
    bool is_server;
    uint16_t min_version; /* on the wire; 0: no bound */
    uint16_t max_version;
    bool no_13;
    bool no_12;
    const char *cert_file;
    const char *key_file;
    const char *trust_cert;
    bool require_client_certificate;

    enum kw_group groups[KW_POLICY_GROUPS];
    size_t group_count;
    enum kw_srtp_profile profiles[KW_POLICY_PROFILES];
    size_t profile_count;
    struct kw_bytes alpn;
    bool advertises_alpn;

    size_t mtu;
    kw_ns initial_timeout;

    size_t export_len;
    const char *export_label;
    const char *export_context;
    bool use_export_context;

    bool writes_first;
    bool shuts_down;
    bool sends_alert;
    bool key_update_before_read;
    const char *expect_messages; /* trace of messages; NULL: not looked at */

    bool is_patient;          /* without fail_fast, as the product runs */
    bool asks_for_handshaker; /* the runner only wants to know what we are */
};

/* 0, or the exit status that says why not. Borrows argv. */
int config_parse(int argc, char **argv, struct config *ret);

#endif
