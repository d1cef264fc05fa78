/* SPDX-License-Identifier: Apache-2.0 */
/* Offers of real clients, and what each small damage to them is called. */
#include "sdp_test.h"

static enum kw_sdp_outcome parse(const char *text, enum kw_sdp_profile profile, struct kw_sdp *sdp,
                                 struct kw_sdp_problem *problem)
{
    /* exactly as large as the text, so that a sanitizer sees one byte too far */
    struct kw_bytes body = text_bytes(text);
    uint8_t *copy = malloc(body.len + 1);
    enum kw_sdp_outcome outcome;

    memcpy(copy, body.data, body.len);
    outcome = kw_sdp_offer_parse((struct kw_bytes){copy, body.len}, profile, sdp, problem);
    free(copy);
    return outcome;
}

static void chromium_is_read_whole(void **state)
{
    char *text = offer_load("chromium-audio-video");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;
    const struct kw_sdp_media *audio = &sdp.media[0], *video = &sdp.media[1];
    const struct kw_sdp_format *format;

    (void)state;
    CHECK(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &sdp, &problem) == KW_SDP_OK,
          "line %u: %s", problem.line, problem.what);
    assert_int_equal(sdp.media_count, 2);
    assert_true(bytes_are(sdp.transport.ufrag, "p3Qd"));
    assert_true(bytes_are(sdp.transport.pwd, "0w4TQx2qUO0m9t3Zk3I9e7uY"));
    assert_int_equal(sdp.transport.setup, KW_SDP_SETUP_ACTPASS);
    assert_true(sdp.transport.trickle);
    assert_int_equal(sdp.transport.fingerprint_count, 1);
    assert_int_equal(sdp.transport.fingerprints[0].digest[31], 0xe2);

    assert_int_equal(audio->kind, KW_SDP_AUDIO);
    assert_true(audio->accepted && audio->bundled && audio->rtcp_mux && audio->rtcp_rsize);
    assert_true(bytes_are(audio->mid, "0"));
    assert_int_equal(audio->format_count, 8);
    assert_int_equal(audio->ssrc_count, 1);
    assert_int_equal(audio->ssrcs[0].ssrc, 3570614608);
    assert_true(bytes_are(audio->ssrcs[0].cname, "4TOk42mSjXCkVIa6"));
    assert_true(bytes_are(audio->stream, "7b9ad1a6-2a5b-4f7e-9f4a-6d2f1b7c8e90"));
    format = kw_sdp_format_find(audio, 111);
    assert_non_null(format);
    assert_int_equal(format->codec, KW_SDP_CODEC_OPUS);
    assert_int_equal(format->channels, 2);
    assert_true(bytes_are(format->fmtp, "minptime=10;useinbandfec=1"));
    assert_false(kw_sdp_format_find(audio, 63)->accepted); /* RED */
    assert_true(kw_sdp_format_find(audio, 126)->accepted); /* telephone-event */
    assert_int_equal(kw_sdp_extmap_id(audio, KW_SDP_EXT_MID), 4);
    assert_int_equal(kw_sdp_extmap_id(audio, KW_SDP_EXT_AUDIO_LEVEL), 1);

    assert_int_equal(video->kind, KW_SDP_VIDEO);
    assert_int_equal(video->format_count, 25);
    assert_int_equal(video->ssrc_count, 2);
    format = kw_sdp_format_find(video, 96);
    assert_int_equal(format->feedback, KW_SDP_FB_NACK | KW_SDP_FB_NACK_PLI | KW_SDP_FB_CCM_FIR);
    assert_false(kw_sdp_format_find(video, 97)->accepted);  /* RTX */
    assert_false(kw_sdp_format_find(video, 125)->accepted); /* ULPFEC */
    free(text);
}

static void firefox_has_its_fingerprint_at_session_level(void **state)
{
    char *text = offer_load("firefox-audio-video-data");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    CHECK(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &sdp, &problem) == KW_SDP_OK,
          "line %u: %s", problem.line, problem.what);
    assert_int_equal(sdp.media_count, 3);
    assert_int_equal(sdp.transport.fingerprint_count, 1);
    assert_int_equal(sdp.transport.fingerprints[0].digest[0], 0x19);
    assert_true(sdp.transport.trickle);
    assert_true(bytes_are(sdp.transport.ufrag, "8d2c1a0b"));
    assert_true(sdp.media[0].accepted && sdp.media[1].accepted);
    assert_false(sdp.media[2].accepted);
    assert_int_equal(sdp.media[2].kind, KW_SDP_OTHER);
    assert_true(bytes_are(sdp.media[2].format_list, "webrtc-datachannel"));
    assert_true(kw_sdp_format_find(&sdp.media[0], 9)->accepted); /* G722/8000/1 */
    assert_int_equal(kw_sdp_extmap_id(&sdp.media[1], KW_SDP_EXT_ABS_SEND_TIME), 4);
    free(text);
}

static void candidates_are_numeric_udp_or_ignored(void **state)
{
    char *text = offer_load("chromium-audio");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x10};

    (void)state;
    assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_WHIP, &sdp, &problem), KW_SDP_OK);
    assert_int_equal(sdp.transport.candidate_count, 3);
    assert_int_equal(sdp.transport.ignored_candidates, 2); /* .local and TCP */
    assert_int_equal(sdp.transport.candidates[0].address.family, 4);
    assert_int_equal(sdp.transport.candidates[0].address.port, 49203);
    assert_int_equal(sdp.transport.candidates[0].priority, 2122260223);
    assert_int_equal(sdp.transport.candidates[1].address.family, 6);
    assert_memory_equal(sdp.transport.candidates[1].address.ip, v6, 16);
    /* another component: RTCP has no transport of its own */
    offer_edit(text, "842163049 1 udp", "842163049 2 udp", false);
    assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_WHIP, &sdp, &problem), KW_SDP_OK);
    assert_int_equal(sdp.transport.candidate_count, 2);
    assert_int_equal(sdp.transport.ignored_candidates, 3);
    free(text);
}

static void encoder_with_a_bundle_only_line(void **state)
{
    char *text = offer_load("whip-encoder");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    CHECK(kw_sdp_offer_parse(text_bytes(text), KW_SDP_WHIP, &sdp, &problem) == KW_SDP_OK,
          "line %u: %s", problem.line, problem.what);
    assert_true(sdp.media[0].accepted && sdp.media[1].accepted);
    assert_true(sdp.media[1].bundle_only);
    assert_int_equal(sdp.transport.setup, KW_SDP_SETUP_ACTIVE);
    assert_true(sdp.transport.trickle);
    free(text);
}

/* Each row: the first `from` in the Chromium offer becomes `to`, and the line there is named. */
static const struct {
    const char *from, *to, *what;
} malformed[] = {
    {"v=0", "v=1", "v= must be 0 and come first"},
    {"v=0\r\no=", "o=0\r\no=", "a description begins with v=, o= and s="},
    {"o=-", "x=-", "a description begins with v=, o= and s="},
    {"s=-", "t=-", "a description begins with v=, o= and s="},
    {"a=group", "a group", "not of the form <letter>=<value>"},
    {"a=rtcp-mux", "A=rtcp-mux", "not of the form <letter>=<value>"},
    {"a=rtcp-mux\r\n", "\r\n", "not of the form <letter>=<value>"},
    {"a=rtcp-mux", "a", "not of the form <letter>=<value>"},
    {"a=rtcp-mux", "a=rtcp\1mux", "the line holds a control character"},
    {"a=rtcp-mux", "a=rtcp\rmux", "the line holds a control character"},
    {"m=audio 9 ", "m=audio 65536 ", "the port of the m-line is not a number from 0 to 65535"},
    {"m=audio 9 ", "m=audio -9 ", "the port of the m-line is not a number from 0 to 65535"},
    {"m=audio 9 ", "m=audio ", "the port of the m-line is not a number from 0 to 65535"},
    {"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "m=audio 9 UDP/TLS/RTP/SAVPF",
     "the m-line is incomplete"},
    {"m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "m=audio 9 UDP/TLS/RTP/SAVPF 111 128",
     "a payload type is not a number from 0 to 127"},
    {"m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "m=audio 9 UDP/TLS/RTP/SAVPF 111 x",
     "a payload type is not a number from 0 to 127"},
    {"a=ice-ufrag:p3Qd", "a=ice-ufrag:p3Q",
     "the ice-ufrag is not 4 to 256 letters, digits, + or /"},
    {"a=ice-ufrag:p3Qd", "a=ice-ufrag:p3:d",
     "the ice-ufrag is not 4 to 256 letters, digits, + or /"},
    {"a=ice-pwd:0w4TQx2qUO0m9t3Zk3I9e7uY", "a=ice-pwd:0w4TQx2qUO0m9t3Zk3I9e",
     "the ice-pwd is not 22 to 256 letters, digits, + or /"},
    {"6B:8E:1C:2F:0A", "6B:8E:1C:2F", "the fingerprint's digest does not fit its hash function"},
    {"6B:8E:1C:2F:0A", "6B:8E:1C:2F:0G", "the fingerprint's digest does not fit its hash function"},
    {"a=fingerprint:sha-256 6B", "a=fingerprint:sha-384 6B",
     "the fingerprint's digest does not fit its hash function"},
    {"a=setup:actpass", "a=setup:both", "setup is none of actpass, active, passive, holdconn"},
    {"a=mid:0", "a=mid:", "the mid is not a token"},
    {"a=mid:1", "a=mid:0", "the mid stands at a second m-line"},
    {"a=msid:7b", "a=msid: 7b", NULL},
    {"a=msid:7b9ad1a6-2a5b-4f7e-9f4a-6d2f1b7c8e90 0d2c6a1e-93f0-4a6b-8f43-5f1b3b1f8a11",
     "a=msid:", "the msid is not a token"},
    {"a=extmap:1 ", "a=extmap:0 ", "the extmap's id is not a number from 1 to 255"},
    {"a=extmap:1 ", "a=extmap:1/both ", "the extmap's direction is unknown"},
    {"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=extmap:1",
     "the extmap has no URI"},
    {"a=rtpmap:111 ", "a=rtpmap:211 ", "the payload type is not a number from 0 to 127"},
    {"a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus",
     "the rtpmap is not <payload type> <name>/<clock rate>"},
    {"a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/0/2",
     "the rtpmap is not <payload type> <name>/<clock rate>"},
    {"a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/256",
     "the rtpmap's channels are not a number from 1 to 255"},
    {"a=fmtp:111 ", "a=fmtp:opus ", "the payload type is not a number from 0 to 127"},
    {"a=rtcp-fb:96 ", "a=rtcp-fb:vp8 ", "the payload type is not a number from 0 to 127"},
    {"a=ssrc:3570614608 ", "a=ssrc:4294967296 ", "the ssrc is not a number below 2^32"},
    {"a=rtcp-mux", "a=candidate:1 0 udp 1 192.0.2.1 9 typ host",
     "the candidate's component is not a number from 1 to 256"},
    {"a=rtcp-mux", "a=candidate:1 1 udp 0 192.0.2.1 9 typ host",
     "the candidate's priority is not a number from 1 to 2147483647"},
    {"a=rtcp-mux", "a=candidate:1 1 udp 1 192.0.2.1 99999 typ host",
     "the candidate's port is not a number from 0 to 65535"},
    {"a=rtcp-mux", "a=candidate:1 1 udp 1 192.0.2.1 9 typ", "the candidate has no type"},
    {"a=rtcp-mux", "a=candidate:1 1 udp 1 192.0.2.1 9", "the candidate has no type"},
    {"a=rtcp-mux",
     "a=candidate:", "the candidate's foundation is not 1 to 32 letters, digits, + or /"},
    {"a=rtcp-mux", "a=tls-id:short", "the tls-id is not 20 to 255 characters"},
};

static void malformed_offers_name_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(malformed); i++) {
        char *text = offer_load("chromium-audio-video");
        const char *at = strstr(text, malformed[i].from);
        uint32_t line = line_of(text, at);
        struct kw_sdp_problem problem;
        enum kw_sdp_outcome outcome;
        struct kw_sdp sdp;

        CHECK(at != NULL, "row %zu: '%s' is not in the offer", i, malformed[i].from);
        offer_edit(text, malformed[i].from, malformed[i].to, false);
        outcome = parse(text, KW_SDP_CALL, &sdp, &problem);
        if (malformed[i].what == NULL) {
            CHECK(outcome == KW_SDP_OK, "row %zu: %u %s", i, problem.line, problem.what);
        } else {
            CHECK(outcome == KW_SDP_MALFORMED, "row %zu: outcome %d", i, (int)outcome);
            CHECK(problem.line == line, "row %zu: line %u, not %u", i, problem.line, line);
            CHECK(strcmp(problem.what, malformed[i].what) == 0, "row %zu: %s", i, problem.what);
            assert_int_equal(kw_sdp_http_status(outcome), 400);
        }
        free(text);
    }
}

/* Each row: every `from` becomes `to`; NULL: every line beginning with `from` goes. */
static const struct {
    const char *from, *to;
    enum kw_sdp_outcome outcome;
    const char *rule;
} refused[] = {
    {"a=fingerprint", NULL, KW_SDP_REFUSED, "no-fingerprint"},
    {"sha-256 6B", "sha-1 6B", KW_SDP_REFUSED, "weak-fingerprint"},
    {"setup:actpass", "setup:passive", KW_SDP_REFUSED, "setup-passive"},
    {"setup:actpass", "setup:holdconn", KW_SDP_REFUSED, "setup-holdconn"},
    {"setup:actpass", "setup:active", KW_SDP_OK, ""},
    {"a=setup", NULL, KW_SDP_OK, ""}, /* RFC 4145 section 4: the default is active */
    {"a=group", NULL, KW_SDP_REFUSED, "no-bundle"},
    {"BUNDLE 0 1", "BUNDLE 7", KW_SDP_REFUSED, "no-bundle"},
    {"BUNDLE 0 1", "LS 0 1", KW_SDP_REFUSED, "no-bundle"},
    {"BUNDLE 0 1", "BUNDLE 1", KW_SDP_OK, ""}, /* accepted in part */
    {"a=mid", NULL, KW_SDP_REFUSED, "no-bundle"},
    {"a=rtcp-mux", NULL, KW_SDP_REFUSED, "no-rtcp-mux"},
    {"a=ice-ufrag", NULL, KW_SDP_REFUSED, "no-ice"},
    {"a=ice-pwd", NULL, KW_SDP_REFUSED, "no-ice"},
    {"a=msid-semantic", "a=ice-lite\r\na=msid-semantic", KW_SDP_REFUSED, "ice-lite"},
    {"UDP/TLS/RTP/SAVPF", "RTP/AVP", KW_SDP_REFUSED, "plain-rtp"},
    {"UDP/TLS/RTP/SAVPF", "RTP/SAVP", KW_SDP_OK, ""},
    {"m=audio 9", "m=audio 0", KW_SDP_OK, ""}, /* the video is left */
    {"m=audio", "m=text", KW_SDP_OK, ""},
    {"m=", "m=application", KW_SDP_NO_MEDIA, "no-common-media"},
};

static void refusals_name_their_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(refused); i++) {
        char *text = offer_load("chromium-audio-video");
        struct kw_sdp_problem problem;
        enum kw_sdp_outcome outcome;
        struct kw_sdp sdp;
        size_t edits;

        if (refused[i].to == NULL)
            edits = offer_drop(text, refused[i].from);
        else
            edits = offer_edit(text, refused[i].from, refused[i].to, true);
        CHECK(edits != 0, "row %zu: '%s' is not in the offer", i, refused[i].from);
        outcome = parse(text, KW_SDP_CALL, &sdp, &problem);
        CHECK(outcome == refused[i].outcome, "row %zu (%s): outcome %d, line %u: %s", i,
              refused[i].from, (int)outcome, problem.line, problem.what);
        CHECK(strcmp(problem.rule, refused[i].rule) == 0, "row %zu: %s", i, problem.rule);
        free(text);
    }
    assert_int_equal(kw_sdp_http_status(KW_SDP_REFUSED), 422);
    assert_int_equal(kw_sdp_http_status(KW_SDP_NO_MEDIA), 406);
}

static void no_codec_in_common_is_406(void **state)
{
    char *text = offer_load("chromium-audio");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    offer_edit(text, "SAVPF 111 63 9 0 8 13 110 126", "SAVPF 63 13 110 126", false);
    assert_int_equal(parse(text, KW_SDP_CALL, &sdp, &problem), KW_SDP_NO_MEDIA);
    assert_string_equal(problem.rule, "no-common-media");
    free(text);
}

static void whip_wants_a_client_that_sends(void **state)
{
    static const struct {
        const char *direction;
        enum kw_sdp_outcome whip;
    } rows[] = {
        {"a=sendrecv", KW_SDP_OK},
        {"a=sendonly", KW_SDP_OK},
        {"a=recvonly", KW_SDP_REFUSED},
        {"a=inactive", KW_SDP_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        char *text = offer_load("chromium-audio-video");
        struct kw_sdp_problem problem;
        struct kw_sdp sdp;

        offer_edit(text, "a=sendrecv", rows[i].direction, true);
        assert_int_equal(parse(text, KW_SDP_WHIP, &sdp, &problem), rows[i].whip);
        if (rows[i].whip == KW_SDP_REFUSED)
            assert_string_equal(problem.rule, "whip-direction");
        assert_int_equal(parse(text, KW_SDP_CALL, &sdp, &problem), KW_SDP_OK);
        free(text);
    }
}

static void more_than_the_bounds(void **state)
{
    char *text = offer_load("chromium-audio");
    char *more = calloc(1, OFFER_MAX);
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    /* Nine m-lines are refused, and the ninth is named; what it holds is not looked at. */
    strcpy(more, text);
    for (int i = 0; i < 8; i++)
        strcat(more, "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n");
    strcat(more, "a=rtpmap:not looked at\r\n");
    assert_int_equal(parse(more, KW_SDP_CALL, &sdp, &problem), KW_SDP_REFUSED);
    assert_string_equal(problem.rule, "too-many-media");
    assert_int_equal(problem.line, line_of(more, more + strlen(more)) - 2);

    /* More payload types, extensions, sources and candidates than fit are left out. */
    strcpy(more, text);
    offer_edit(more, "SAVPF 111",
               "SAVPF 111 1 2 3 4 5 6 7 10 11 12 14 15 16 17 18 19 20 21 22 23 "
               "24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 "
               "51 52 53 54 55",
               false);
    for (int i = 0; i < 40; i++) {
        char line[128];

        snprintf(line, sizeof line,
                 "a=extmap:%d urn:x%d\r\na=ssrc:%d cname:x\r\n"
                 "a=candidate:%d 1 udp 5 192.0.2.1 %d typ host\r\n",
                 i + 16, i, i, i, i + 1);
        strcat(more, line);
    }
    CHECK(parse(more, KW_SDP_CALL, &sdp, &problem) == KW_SDP_OK, "%s", problem.what);
    assert_int_equal(sdp.media[0].format_count, KW_SDP_FORMATS_MAX);
    assert_int_equal(sdp.media[0].extmap_count, KW_SDP_EXTMAPS_MAX);
    assert_int_equal(sdp.media[0].ssrc_count, KW_SDP_SSRCS_MAX);
    assert_int_equal(sdp.transport.candidate_count, KW_SDP_CANDIDATES_MAX);
    assert_int_equal(sdp.transport.ignored_candidates, 40 + 5 - KW_SDP_CANDIDATES_MAX);

    /* A line and a description have an end. */
    strcpy(more, text);
    strcat(more, "a=x");
    for (int i = 0; i < KW_SDP_LINE_MAX; i++)
        strcat(more, "x");
    assert_int_equal(parse(more, KW_SDP_CALL, &sdp, &problem), KW_SDP_MALFORMED);
    assert_string_equal(problem.what, "the line is too long");
    strcpy(more, text);
    for (int i = 0; i < KW_SDP_LINES_MAX; i++)
        strcat(more, "a=x\r\n");
    assert_int_equal(parse(more, KW_SDP_CALL, &sdp, &problem), KW_SDP_MALFORMED);
    assert_string_equal(problem.what, "too many lines");
    free(more);
    free(text);
}

static void every_truncation_is_answered(void **state)
{
    static const char *const names[] = {"chromium-audio-video", "chromium-audio",
                                        "firefox-audio-video-data", "whip-encoder"};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(names); i++) {
        char *text = offer_load(names[i]);
        size_t len = strlen(text);

        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = malloc(cut + 1);
            struct kw_sdp_problem problem;
            enum kw_sdp_outcome outcome;
            struct kw_sdp sdp;

            memcpy(copy, text, cut);
            outcome = kw_sdp_offer_parse((struct kw_bytes){copy, cut}, KW_SDP_CALL, &sdp, &problem);
            CHECK(outcome == KW_SDP_OK || problem.what[0] != '\0', "%s cut at %zu", names[i], cut);
            CHECK(outcome != KW_SDP_MALFORMED || problem.line != 0, "%s cut at %zu", names[i], cut);
            CHECK(problem.line <= line_of(text, text + cut) + 1, "%s cut at %zu: line %u", names[i],
                  cut, problem.line);
            free(copy);
        }
        free(text);
    }
}

static void bare_newlines_and_a_missing_last_one(void **state)
{
    char *text = offer_load("firefox-audio-video-data");
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    offer_edit(text, "\r\n", "\n", true);
    assert_int_equal(parse(text, KW_SDP_CALL, &sdp, &problem), KW_SDP_OK);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(parse(text, KW_SDP_CALL, &sdp, &problem), KW_SDP_OK);
    free(text);
}

/* RFC 8285: 15 is reserved in the one-byte form, ids above 255 ask us to choose; neither is taken.
 */
static void odd_extension_ids_are_left_out(void **state)
{
    static const char *const ids[] = {"a=extmap:15 ", "a=extmap:256 ", "a=extmap:4351 "};

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(ids); i++) {
        char *text = offer_load("chromium-audio");
        struct kw_sdp_problem problem;
        struct kw_sdp sdp;

        offer_edit(text, "a=extmap:4 ", ids[i], false);
        assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &sdp, &problem),
                         KW_SDP_OK);
        assert_int_equal(kw_sdp_extmap_id(&sdp.media[0], KW_SDP_EXT_MID), 0);
        assert_int_equal(sdp.media[0].extmap_count, 3);
        free(text);
    }
}

/* A data channel in front is not the tagged m-line that we answer, but the transport is its. */
static void data_channel_first(void **state)
{
    static const char offer[] =
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d a\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=ice-ufrag:aaaa\r\n"
        "a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\na=setup:actpass\r\na=fingerprint:sha-256 "
        "6B:8E:1C:2F:0A:91:55:D4:37:E6:7C:AA:3D:10:4B:F8:92:63:0E:5D:C1:78:29:B4:EF:06:9A:31:48:D7:"
        "5C:E2\r\na=rtpmap:webrtc\r\n"
        "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\na=mid:a\r\n";
    struct kw_sdp_problem problem;
    struct kw_sdp sdp;

    (void)state;
    CHECK(kw_sdp_offer_parse(text_bytes(offer), KW_SDP_CALL, &sdp, &problem) == KW_SDP_OK,
          "line %u: %s", problem.line, problem.what);
    assert_true(bytes_are(sdp.transport.ufrag, "aaaa"));
    assert_true(sdp.media[1].accepted);
    assert_int_equal(sdp.media[1].formats[0].codec, KW_SDP_CODEC_PCMU);
    assert_int_equal(sdp.media[1].formats[0].clock_hz, 8000);
}

/* What has no clock of its own takes one that audio has: everything is measured by it. */
static void a_clock_is_one_that_audio_has(void **state)
{
    static const struct {
        const char *clock;
        bool accepted;
    } rows[] = {
        {"8000", true}, {"16000", true}, {"32000", true},  {"48000", true},
        {"1", false},   {"49", false},   {"90000", false}, {"4294967295", false},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        char *text = offer_load("chromium-audio"), line[64];
        struct kw_sdp_problem problem;
        struct kw_sdp sdp;

        snprintf(line, sizeof line, "a=rtpmap:126 telephone-event/%s\r\n", rows[i].clock);
        offer_edit(text, "a=rtpmap:126 telephone-event/8000\r\n", line, false);
        assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &sdp, &problem),
                         KW_SDP_OK);
        CHECK(kw_sdp_format_find(&sdp.media[0], 126)->accepted == rows[i].accepted, "%s Hz",
              rows[i].clock);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chromium_is_read_whole),
        cmocka_unit_test(firefox_has_its_fingerprint_at_session_level),
        cmocka_unit_test(candidates_are_numeric_udp_or_ignored),
        cmocka_unit_test(encoder_with_a_bundle_only_line),
        cmocka_unit_test(malformed_offers_name_their_line),
        cmocka_unit_test(refusals_name_their_rule),
        cmocka_unit_test(no_codec_in_common_is_406),
        cmocka_unit_test(whip_wants_a_client_that_sends),
        cmocka_unit_test(more_than_the_bounds),
        cmocka_unit_test(every_truncation_is_answered),
        cmocka_unit_test(bare_newlines_and_a_missing_last_one),
        cmocka_unit_test(odd_extension_ids_are_left_out),
        cmocka_unit_test(data_channel_first),
        cmocka_unit_test(a_clock_is_one_that_audio_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
