/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SDP_SDP_H
#define KW_SDP_SDP_H

/*
 * Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829): pure functions from text to a
 * bounded structure of views and back. Nothing is allocated, nothing is resolved. A description
 * owns nothing: its views live as long as the body it was parsed from.
 *
 * The way of an offer:
 *   parse()  says whether it is malformed (HTTP 400, with the line), against a rule (422, with
 *            the rule), without media in common (406), or fine. What Keywheel can pass is marked
 *            `accepted`: m-lines, formats, header extensions, feedback.
 *   owner    may clear `accepted` further (a bridge keeps what both calls have; a tenant may want
 *            audio only) and must not set it.
 *   write()  writes the answer from the description and the choices.
 */

#include <keywheel/crypto.h>

enum {
    KW_SDP_MEDIA_MAX = 8,        /* m-lines; more cannot be answered and are refused */
    KW_SDP_FORMATS_MAX = 48,     /* payload types of an m-line; Chromium's video offers 30 to 36 */
    KW_SDP_EXTMAPS_MAX = 16,     /* of an m-line; Chromium's video offers 12 */
    KW_SDP_SSRCS_MAX = 8,        /* of an m-line; three simulcast layers and their repairs are 6 */
    KW_SDP_CANDIDATES_MAX = 16,  /* numeric UDP ones, all m-lines together; more are ignored */
    KW_SDP_FINGERPRINTS_MAX = 8, /* as many as an association takes; more are ignored */
    KW_SDP_LINES_MAX = 2048,     /* a browser's offer has about 150 */
    KW_SDP_LINE_MAX = 4096,      /* bytes; fmtp of H264 with parameter sets is the longest seen */
    KW_SDP_TEXT_MAX = 16384,     /* of what we write; answers to browsers take 2 to 6 KiB */
};

enum kw_sdp_kind { KW_SDP_OTHER = 0, KW_SDP_AUDIO, KW_SDP_VIDEO };

/* From the point of view of whoever wrote the description. */
enum kw_sdp_direction { KW_SDP_SENDRECV = 0, KW_SDP_SENDONLY, KW_SDP_RECVONLY, KW_SDP_INACTIVE };

enum kw_sdp_setup {
    KW_SDP_SETUP_NONE = 0, /* absent: RFC 4145 means active */
    KW_SDP_SETUP_ACTPASS,
    KW_SDP_SETUP_ACTIVE,
    KW_SDP_SETUP_PASSIVE,
    KW_SDP_SETUP_HOLDCONN,
};

enum kw_sdp_codec {
    KW_SDP_CODEC_OTHER = 0, /* never accepted: RED, ULPFEC, FlexFEC, RTX and what we do not know */
    KW_SDP_CODEC_OPUS,
    KW_SDP_CODEC_G722,
    KW_SDP_CODEC_PCMU,
    KW_SDP_CODEC_PCMA,
    KW_SDP_CODEC_CN,
    KW_SDP_CODEC_TELEPHONE_EVENT,
    KW_SDP_CODEC_VP8,
    KW_SDP_CODEC_VP9,
    KW_SDP_CODEC_H264,
    KW_SDP_CODEC_AV1,
};

/* rtcp-fb of a format, as bits. */
enum {
    KW_SDP_FB_NACK = 1,
    KW_SDP_FB_NACK_PLI = 2,
    KW_SDP_FB_CCM_FIR = 4,
};

/* Header extensions we know; every other URI is KW_SDP_EXT_OTHER and not accepted. */
enum kw_sdp_ext {
    KW_SDP_EXT_OTHER = 0,
    KW_SDP_EXT_MID,           /* urn:ietf:params:rtp-hdrext:sdes:mid */
    KW_SDP_EXT_AUDIO_LEVEL,   /* urn:ietf:params:rtp-hdrext:ssrc-audio-level */
    KW_SDP_EXT_ABS_SEND_TIME, /* http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time */
};

struct kw_sdp_format {
    uint8_t payload_type;
    bool accepted;
    enum kw_sdp_codec codec;
    uint8_t feedback;     /* KW_SDP_FB_ bits offered; the answer repeats them */
    uint8_t channels;     /* 1 when not said */
    uint32_t clock_hz;    /* 0: dynamic payload type without rtpmap, never accepted */
    struct kw_bytes name; /* "opus"; empty when there is no rtpmap */
    struct kw_bytes fmtp; /* parameters, without the payload type; empty when absent */
};

struct kw_sdp_extmap {
    uint8_t id; /* 1..14 or 16..255 */
    bool accepted;
    bool has_direction;
    enum kw_sdp_direction direction;
    enum kw_sdp_ext ext;
    struct kw_bytes uri; /* with its attributes, if it has any */
};

struct kw_sdp_ssrc {
    uint32_t ssrc;
    struct kw_bytes cname; /* may be empty */
};

struct kw_sdp_media {
    enum kw_sdp_kind kind;
    bool accepted; /* parse(): we can pass it; answer_parse(): the peer accepted it */
    bool bundled;  /* its mid is in the BUNDLE group */
    bool bundle_only;
    bool rtcp_mux;
    bool rtcp_rsize;
    bool cryptex; /* RFC 9335 */
    enum kw_sdp_direction direction;
    uint16_t port;
    uint32_t line;               /* of the m-line */
    struct kw_bytes type;        /* "audio" */
    struct kw_bytes proto;       /* "UDP/TLS/RTP/SAVPF" */
    struct kw_bytes format_list; /* as written, for the echo of a rejected m-line */
    struct kw_bytes mid;         /* empty when absent */
    struct kw_bytes stream;      /* first part of msid; empty when absent or "-" */
    struct kw_bytes track;       /* second part of msid */
    size_t format_count, extmap_count, ssrc_count;
    struct kw_sdp_format formats[KW_SDP_FORMATS_MAX];
    struct kw_sdp_extmap extmaps[KW_SDP_EXTMAPS_MAX];
    struct kw_sdp_ssrc ssrcs[KW_SDP_SSRCS_MAX];
};

struct kw_sdp_candidate {
    struct kw_address address;
    uint32_t priority;
    uint8_t component; /* 1: RTP and, multiplexed, RTCP */
};

/* The one transport of the bundle: from its first m-line that says so, else from session level. */
struct kw_sdp_transport {
    struct kw_bytes ufrag;
    struct kw_bytes pwd;
    enum kw_sdp_setup setup;
    struct kw_bytes tls_id; /* RFC 8842; empty when absent */
    bool ice_lite;
    bool trickle; /* ice-options */
    bool end_of_candidates;
    size_t fingerprint_count;
    struct kw_fingerprint fingerprints[KW_SDP_FINGERPRINTS_MAX]; /* known hash functions only */
    size_t candidate_count;
    struct kw_sdp_candidate candidates[KW_SDP_CANDIDATES_MAX];
    size_t ignored_candidates; /* names (.local), TCP, too many: never resolved, never used */
};

struct kw_sdp {
    struct kw_sdp_transport transport;
    size_t media_count;
    struct kw_sdp_media media[KW_SDP_MEDIA_MAX]; /* all of them, in order */
};

/* Which dialect is spoken; decides about directions. */
enum kw_sdp_profile {
    KW_SDP_WHIP = 0, /* RFC 9725: the client sends, the answer is recvonly */
    KW_SDP_CALL,     /* two-way */
};

enum kw_sdp_outcome {
    KW_SDP_OK = 0,
    KW_SDP_MALFORMED, /* HTTP 400: line and what */
    KW_SDP_REFUSED,   /* HTTP 422: rule and what, and the line where one is to blame */
    KW_SDP_NO_MEDIA,  /* HTTP 406: rule "no-common-media" */
};

/* Constant texts; never NULL (rule is "" when malformed). */
struct kw_sdp_problem {
    uint32_t line;    /* counted from 1; 0: the description as a whole */
    const char *what; /* a sentence for whoever wrote the description */
    const char *rule; /* stable name: "no-fingerprint", "setup-passive", "no-bundle", .. */
};

/* 200, 400, 422, 406. */
int kw_sdp_http_status(enum kw_sdp_outcome outcome);

/*
 * Reads an offer. *ret and *problem are written in any case; *ret is usable only with KW_SDP_OK
 * and, after KW_SDP_REFUSED or KW_SDP_NO_MEDIA, for telling what was offered.
 */
KW_MUST_USE enum kw_sdp_outcome kw_sdp_offer_parse(struct kw_bytes body,
                                                   enum kw_sdp_profile profile, struct kw_sdp *ret,
                                                   struct kw_sdp_problem *problem);

/* The same for an answer to an offer of ours: checks that it fits and that one m-line is left. */
KW_MUST_USE enum kw_sdp_outcome kw_sdp_answer_parse(struct kw_bytes body, struct kw_sdp *ret,
                                                    struct kw_sdp_problem *problem);

/* Our half of an answer. Texts are printable ASCII without spaces and borrowed for the call. */
struct kw_sdp_choices {
    enum kw_sdp_profile profile;
    uint64_t session_id; /* of the o= line: random, below 2^62 */
    uint64_t version;    /* raised by one with each further answer of the same session */
    const char *ufrag;
    const char *pwd;
    const struct kw_fingerprint *fingerprint;
    size_t candidate_count;
    const struct kw_address *candidates; /* host candidates, best first, IPv4 and IPv6 */
    const char *cname;                   /* of all that we send */
    const char *stream;                  /* msid of all that we send */
    bool cryptex;                        /* answer a=cryptex where it was offered */
    const char *tls_id;                  /* written when the offer had one; NULL: never */
    uint32_t ssrcs[KW_SDP_MEDIA_MAX]; /* by m-line; used where our direction sends; 0: not told */
};

/*
 * Writes the answer and returns its length, terminated (the terminator is not counted); 0: dst is
 * too small (with KW_SDP_TEXT_MAX bytes only an absurd offer brings that about: refuse it), or
 * nothing is accepted any more.
 */
size_t kw_sdp_answer_write(const struct kw_sdp *offer, const struct kw_sdp_choices *choices,
                           char *dst, size_t dst_size);

/* What kw_sdp_answer_write() says in an m-line; INACTIVE for a rejected one. */
enum kw_sdp_direction kw_sdp_answer_direction(const struct kw_sdp_media *offered,
                                              enum kw_sdp_profile profile);
/* Whoever writes this direction sends (receives). */
bool kw_sdp_sends(enum kw_sdp_direction direction);
bool kw_sdp_receives(enum kw_sdp_direction direction);

/* An offer of our own client: one audio m-line (Opus, PCMU, telephone-event), maybe a video one. */
struct kw_sdp_offer_params {
    uint64_t session_id;
    uint64_t version;
    const char *ufrag;
    const char *pwd;
    const struct kw_fingerprint *fingerprint;
    enum kw_sdp_setup setup; /* ACTPASS or ACTIVE */
    enum kw_sdp_direction direction;
    size_t candidate_count;
    const struct kw_address *candidates;
    const char *cname;
    const char *stream;
    uint32_t audio_ssrc;
    bool has_video; /* VP8 and H264 */
    uint32_t video_ssrc;
    bool cryptex;
};
size_t kw_sdp_offer_write(const struct kw_sdp_offer_params *params, char *dst, size_t dst_size);

/* The payload type with this number; NULL when there is none. */
const struct kw_sdp_format *kw_sdp_format_find(const struct kw_sdp_media *media,
                                               uint8_t payload_type);
/*
 * The accepted format of `media` that carries the same bitstream as `format`: same codec, clock and
 * channels, and for H264, VP9 and AV1 the same profile (and packetization mode). NULL: none.
 */
const struct kw_sdp_format *kw_sdp_format_match(const struct kw_sdp_media *media,
                                                const struct kw_sdp_format *format);
/* Id of an accepted extension; 0 when it was not agreed. */
uint8_t kw_sdp_extmap_id(const struct kw_sdp_media *media, enum kw_sdp_ext ext);
/* The m-line with this mid; NULL when there is none. */
const struct kw_sdp_media *kw_sdp_media_by_mid(const struct kw_sdp *sdp, struct kw_bytes mid);

/*
 * RFC 8840: a fragment of candidates or an ICE restart (application/trickle-ice-sdpfrag), as the
 * body of a WHIP PATCH. Credentials that differ from the session's mean a restart.
 */
struct kw_sdp_fragment {
    struct kw_bytes ufrag;
    struct kw_bytes pwd;
    struct kw_bytes mid; /* of the first pseudo m-line; empty when absent */
    bool end_of_candidates;
    size_t candidate_count;
    struct kw_sdp_candidate candidates[KW_SDP_CANDIDATES_MAX];
    size_t ignored_candidates;
};
KW_MUST_USE enum kw_sdp_outcome kw_sdp_fragment_parse(struct kw_bytes body,
                                                      struct kw_sdp_fragment *ret,
                                                      struct kw_sdp_problem *problem);

/* The response to an ICE restart: our new credentials and candidates. Of `offer` only kind, type,
 * proto, mid and accepted of its m-lines are looked at. */
size_t kw_sdp_fragment_write(const struct kw_sdp *offer, const struct kw_sdp_choices *choices,
                             char *dst, size_t dst_size);

#endif
