/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, fragments and our own offers: written, and read back. */
#include "sdp_test.h"

static struct kw_address v4 = {.family = 4, .port = 50000, .ip = {192, 0, 2, 1}};
static struct kw_fingerprint fingerprint = {.hash = KW_SHA256, .digest = {1, 2, 3}};

static struct kw_address candidates[2];

static struct kw_sdp_choices choices_for(enum kw_sdp_profile profile)
{
    candidates[0] = v4;
    candidates[1] =
        (struct kw_address){.family = 6, .port = 50000, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    return (struct kw_sdp_choices){
        .profile = profile,
        .session_id = 4242,
        .version = 1,
        .ufrag = "ourfrag8",
        .pwd = "ourpassword0123456789abc",
        .fingerprint = &fingerprint,
        .candidate_count = 2,
        .candidates = candidates,
        .cname = "kwcname",
        .stream = "kwstream",
        .ssrcs = {1111, 2222},
    };
}

struct fixture {
    char *text;
    struct kw_sdp offer;
    struct kw_sdp_choices choices;
    char answer[KW_SDP_TEXT_MAX];
    size_t len;
};

static void open_fixture(struct fixture *f, const char *name, enum kw_sdp_profile profile)
{
    struct kw_sdp_problem problem;

    f->text = offer_load(name);
    CHECK(kw_sdp_offer_parse(text_bytes(f->text), profile, &f->offer, &problem) == KW_SDP_OK,
          "%s line %u: %s", name, problem.line, problem.what);
    f->choices = choices_for(profile);
    f->len = 0;
}

static void write_answer(struct fixture *f)
{
    f->len = kw_sdp_answer_write(&f->offer, &f->choices, f->answer, sizeof f->answer);
    assert_int_not_equal(f->len, 0);
    assert_int_equal(f->len, strlen(f->answer));
}

static void has(const struct fixture *f, const char *line)
{
    CHECK(strstr(f->answer, line) != NULL, "'%s' is missing in\n%s", line, f->answer);
}

static void lacks(const struct fixture *f, const char *line)
{
    CHECK(strstr(f->answer, line) == NULL, "'%s' stands in\n%s", line, f->answer);
}

static void firefox_word_for_word(void **state)
{
    static const char want[] =
        "v=0\r\no=- 4242 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
        "a=group:BUNDLE 0 1\r\na=ice-lite\r\na=ice-options:trickle ice2\r\n"
        "m=audio 50000 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\n"
        "a=ice-ufrag:ourfrag8\r\na=ice-pwd:ourpassword0123456789abc\r\n"
        "a=fingerprint:sha-256 01:02:03:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
        "00:00:00:00:00:00:00:00:00:00\r\n"
        "a=setup:passive\r\na=sendrecv\r\na=rtcp-mux\r\n"
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
        "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        "a=rtpmap:109 opus/48000/2\r\na=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n"
        "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        "a=msid:kwstream kwstream-audio\r\na=ssrc:1111 cname:kwcname\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"
        "a=candidate:2 1 udp 2130706175 2001:db8::1 50000 typ host\r\na=end-of-candidates\r\n"
        "m=video 50000 UDP/TLS/RTP/SAVPF 120 121 126 97\r\nc=IN IP4 192.0.2.1\r\na=mid:1\r\n"
        "a=ice-ufrag:ourfrag8\r\na=ice-pwd:ourpassword0123456789abc\r\n"
        "a=fingerprint:sha-256 01:02:03:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
        "00:00:00:00:00:00:00:00:00:00\r\n"
        "a=setup:passive\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
        "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        "a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
        "a=rtpmap:120 VP8/90000\r\na=rtcp-fb:120 ccm fir\r\na=rtcp-fb:120 nack\r\n"
        "a=rtcp-fb:120 nack pli\r\na=fmtp:120 max-fs=12288;max-fr=60\r\n"
        "a=rtpmap:121 VP9/90000\r\na=rtcp-fb:121 ccm fir\r\na=rtcp-fb:121 nack\r\n"
        "a=rtcp-fb:121 nack pli\r\na=fmtp:121 max-fs=12288;max-fr=60\r\n"
        "a=rtpmap:126 H264/90000\r\na=rtcp-fb:126 ccm fir\r\na=rtcp-fb:126 nack\r\n"
        "a=rtcp-fb:126 nack pli\r\n"
        "a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1\r\n"
        "a=rtpmap:97 H264/90000\r\na=rtcp-fb:97 ccm fir\r\na=rtcp-fb:97 nack\r\n"
        "a=rtcp-fb:97 nack pli\r\na=fmtp:97 profile-level-id=42e01f;level-asymmetry-allowed=1\r\n"
        "a=msid:kwstream kwstream-video\r\na=ssrc:2222 cname:kwcname\r\n"
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\n";
    struct fixture f;

    (void)state;
    open_fixture(&f, "firefox-audio-video-data", KW_SDP_CALL);
    write_answer(&f);
    assert_string_equal(f.answer, want);
    free(f.text);
}

static void chromium_gets_only_what_we_implement(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio-video", KW_SDP_CALL);
    write_answer(&f);
    has(&f, "m=audio 50000 UDP/TLS/RTP/SAVPF 111 9 0 8 13 110 126\r\n");
    has(&f, "m=video 50000 UDP/TLS/RTP/SAVPF 96 103 107 109 115 117 39 45 98 100 119\r\n");
    has(&f, "a=rtpmap:45 AV1/90000\r\n");
    has(&f, "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    lacks(&f, "transport-cc");
    lacks(&f, "transport-wide-cc");
    lacks(&f, "goog-remb");
    lacks(&f, "rtx");
    lacks(&f, "red/");
    lacks(&f, "ulpfec");
    lacks(&f, "a=candidate:3");
    free(f.text);
}

static void whip_answers_recvonly_and_sends_nothing(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio-video", KW_SDP_WHIP); /* offered sendrecv */
    write_answer(&f);
    has(&f, "a=recvonly\r\n");
    lacks(&f, "a=sendrecv");
    lacks(&f, "a=ssrc:");
    lacks(&f, "a=msid:");
    free(f.text);
    open_fixture(&f, "whip-encoder", KW_SDP_WHIP);
    write_answer(&f);
    has(&f, "a=group:BUNDLE 0 1\r\n");
    has(&f, "m=video 50000 ");
    has(&f,
        "a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1");
    free(f.text);
}

static void directions_are_mirrored(void **state)
{
    static const struct {
        const char *offered, *answered;
        bool sends;
    } rows[] = {
        {"a=sendrecv", "a=sendrecv\r\n", true},
        {"a=sendonly", "a=recvonly\r\n", false},
        {"a=recvonly", "a=sendonly\r\n", true},
        {"a=inactive", "a=inactive\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(rows); i++) {
        char *text = offer_load("chromium-audio-video");
        struct kw_sdp_problem problem;
        struct fixture f;

        offer_edit(text, "a=sendrecv", rows[i].offered, true);
        assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &f.offer, &problem),
                         KW_SDP_OK);
        f.choices = choices_for(KW_SDP_CALL);
        write_answer(&f);
        has(&f, rows[i].answered);
        CHECK((strstr(f.answer, "a=ssrc:1111") != NULL) == rows[i].sends, "%s", rows[i].offered);
        free(text);
    }
}

static void the_owner_may_take_away(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio-video", KW_SDP_CALL);
    f.offer.media[0].accepted = false;
    write_answer(&f);
    has(&f, "a=group:BUNDLE 1\r\n");
    has(&f, "m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n");
    CHECK(strstr(f.answer, "a=candidate:1") > strstr(f.answer, "m=video"),
          "candidates stand at the first accepted m-line");

    free(f.text);
    /* Only telephone-event left: nothing that could be heard. */
    open_fixture(&f, "chromium-audio", KW_SDP_CALL);
    for (size_t i = 0; i < f.offer.media[0].format_count; i++) {
        struct kw_sdp_format *format = &f.offer.media[0].formats[i];

        format->accepted = format->codec == KW_SDP_CODEC_TELEPHONE_EVENT;
    }
    assert_int_equal(kw_sdp_answer_write(&f.offer, &f.choices, f.answer, sizeof f.answer), 0);
    free(f.text);
}

static void optional_parts(void **state)
{
    struct kw_sdp_problem problem;
    struct fixture f;
    char *text = offer_load("chromium-audio");

    (void)state;
    offer_edit(text, "a=setup:actpass\r\n",
               "a=setup:actpass\r\na=tls-id:abcdefghijklmnopqrstuvwxyz\r\na=cryptex\r\n", false);
    assert_int_equal(kw_sdp_offer_parse(text_bytes(text), KW_SDP_CALL, &f.offer, &problem),
                     KW_SDP_OK);
    f.choices = choices_for(KW_SDP_CALL);
    write_answer(&f);
    lacks(&f, "cryptex");
    lacks(&f, "tls-id");
    f.choices.cryptex = true;
    f.choices.tls_id = "zyxwvutsrqponmlkjihgfedcba";
    f.choices.candidate_count = 0;
    write_answer(&f);
    has(&f, "a=cryptex\r\n");
    has(&f, "a=tls-id:zyxwvutsrqponmlkjihgfedcba\r\n");
    has(&f, "m=audio 9 ");
    has(&f, "c=IN IP4 0.0.0.0\r\n");
    free(text);
    /* an extension's direction is told from our side */
    open_fixture(&f, "chromium-audio", KW_SDP_CALL);
    f.offer.media[0].extmaps[0].has_direction = true;
    f.offer.media[0].extmaps[0].direction = KW_SDP_SENDONLY;
    write_answer(&f);
    has(&f, "a=extmap:1/recvonly urn");
    free(f.text);
}

static void every_room_that_is_too_small(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio", KW_SDP_CALL);
    write_answer(&f);
    for (size_t size = 0; size <= f.len; size++) {
        char *dst = malloc(size + 1);

        dst[size] = 'x';
        assert_int_equal(kw_sdp_answer_write(&f.offer, &f.choices, dst, size), 0);
        assert_int_equal(dst[size], 'x');
        free(dst);
    }
    assert_int_equal(kw_sdp_answer_write(&f.offer, &f.choices, f.answer, f.len + 1), f.len);
    free(f.text);
}

static struct kw_sdp_offer_params our_params(bool has_video)
{
    struct kw_sdp_choices c = choices_for(KW_SDP_CALL);

    return (struct kw_sdp_offer_params){
        .session_id = 7,
        .version = 1,
        .ufrag = c.ufrag,
        .pwd = c.pwd,
        .fingerprint = c.fingerprint,
        .setup = KW_SDP_SETUP_ACTPASS,
        .direction = KW_SDP_SENDRECV,
        .candidate_count = 2,
        .candidates = candidates,
        .cname = c.cname,
        .stream = c.stream,
        .audio_ssrc = 77,
        .has_video = has_video,
        .video_ssrc = 88,
    };
}

static void our_offer_makes_the_round_trip(void **state)
{
    (void)state;
    for (int video = 0; video <= 1; video++) {
        struct kw_sdp_offer_params params = our_params(video);
        struct kw_sdp_choices choices = choices_for(KW_SDP_CALL);
        char offer_text[KW_SDP_TEXT_MAX], answer_text[KW_SDP_TEXT_MAX];
        struct kw_sdp_problem problem;
        struct kw_sdp offer, answer;

        assert_int_not_equal(kw_sdp_offer_write(&params, offer_text, sizeof offer_text), 0);
        CHECK(kw_sdp_offer_parse(text_bytes(offer_text), KW_SDP_CALL, &offer, &problem) ==
                  KW_SDP_OK,
              "line %u: %s", problem.line, problem.what);
        assert_int_equal(offer.media_count, 1 + video);
        assert_int_equal(offer.media[0].ssrcs[0].ssrc, 77);
        assert_true(kw_fingerprint_equal(&offer.transport.fingerprints[0], &fingerprint));
        assert_int_equal(offer.transport.candidate_count, 2);
        assert_true(kw_address_equal(&offer.transport.candidates[0].address, &v4));
        assert_int_equal(offer.transport.candidates[0].priority, 2130706431);

        assert_int_not_equal(kw_sdp_answer_write(&offer, &choices, answer_text, sizeof answer_text),
                             0);
        CHECK(kw_sdp_answer_parse(text_bytes(answer_text), &answer, &problem) == KW_SDP_OK,
              "line %u: %s", problem.line, problem.what);
        assert_int_equal(answer.media_count, offer.media_count);
        assert_true(answer.transport.ice_lite);
        assert_int_equal(answer.transport.setup, KW_SDP_SETUP_PASSIVE);
        assert_true(bytes_are(answer.transport.ufrag, "ourfrag8"));
        assert_true(answer.transport.end_of_candidates);
        assert_int_equal(answer.media[0].format_count, 3);
        assert_int_equal(answer.media[0].ssrcs[0].ssrc, 1111);
        assert_int_equal(kw_sdp_extmap_id(&answer.media[0], KW_SDP_EXT_MID), 1);
    }
}

static void answers_that_do_not_choose_are_refused(void **state)
{
    struct kw_sdp_problem problem;
    struct kw_sdp answer;
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio", KW_SDP_CALL);
    write_answer(&f);
    offer_edit(f.answer, "setup:passive", "setup:actpass", true);
    assert_int_equal(kw_sdp_answer_parse(text_bytes(f.answer), &answer, &problem), KW_SDP_REFUSED);
    assert_string_equal(problem.rule, "setup-actpass");
    write_answer(&f);
    offer_edit(f.answer, "m=audio 50000", "m=audio 0", true);
    assert_int_equal(kw_sdp_answer_parse(text_bytes(f.answer), &answer, &problem), KW_SDP_NO_MEDIA);
    free(f.text);
}

static void formats_match_by_their_bitstream(void **state)
{
    struct fixture a, b;
    const struct kw_sdp_format *match;

    (void)state;
    open_fixture(&a, "chromium-audio-video", KW_SDP_CALL);
    open_fixture(&b, "firefox-audio-video-data", KW_SDP_CALL);
    match = kw_sdp_format_match(&b.offer.media[0], kw_sdp_format_find(&a.offer.media[0], 111));
    assert_int_equal(match->payload_type, 109);
    match = kw_sdp_format_match(&b.offer.media[1], kw_sdp_format_find(&a.offer.media[1], 109));
    assert_int_equal(match->payload_type, 126); /* H264 42e0, mode 1 */
    match = kw_sdp_format_match(&b.offer.media[1], kw_sdp_format_find(&a.offer.media[1], 115));
    assert_int_equal(match->payload_type, 97); /* mode 0 is the default */
    assert_null(kw_sdp_format_match(&b.offer.media[1],
                                    kw_sdp_format_find(&a.offer.media[1], 103))); /* 4200 */
    match = kw_sdp_format_match(&b.offer.media[1], kw_sdp_format_find(&a.offer.media[1], 98));
    assert_int_equal(match->payload_type, 121); /* VP9 profile 0 is the default */
    assert_null(kw_sdp_format_match(&b.offer.media[1], kw_sdp_format_find(&a.offer.media[1], 100)));
    assert_null(kw_sdp_format_match(&b.offer.media[0],
                                    kw_sdp_format_find(&a.offer.media[0], 110))); /* 48 kHz DTMF */
    match = kw_sdp_format_match(&b.offer.media[0], kw_sdp_format_find(&a.offer.media[0], 126));
    assert_int_equal(match->payload_type, 101);
    free(a.text);
    free(b.text);
}

/* The example of RFC 9725 section 4.3.2, candidates trickled. */
static void fragments_are_read(void **state)
{
    static const char trickle[] =
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host "
        "generation 0 ufrag EsAw network-id 1\r\n"
        "a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ "
        "host generation 0 ufrag EsAw network-id 2\r\n"
        "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host "
        "tcptype active\r\na=end-of-candidates\r\n";
    static const struct {
        const char *text;
        enum kw_sdp_outcome outcome;
        uint32_t line;
    } bad[] = {
        {"a=ice-ufrag:EsAw\r\n", KW_SDP_REFUSED, 0},
        {"a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n", KW_SDP_MALFORMED, 2},
        {"a=ice-ufrag:EsAw\r\nnonsense\r\n", KW_SDP_MALFORMED, 2},
        {"m=audio\r\n", KW_SDP_MALFORMED, 1},
    };
    struct kw_sdp_fragment fragment;
    struct kw_sdp_problem problem;

    (void)state;
    CHECK(kw_sdp_fragment_parse(text_bytes(trickle), &fragment, &problem) == KW_SDP_OK,
          "line %u: %s", problem.line, problem.what);
    assert_true(bytes_are(fragment.ufrag, "EsAw"));
    assert_true(bytes_are(fragment.pwd, "P2uYro0UCOQ4zxjKXaWCBui1"));
    assert_true(bytes_are(fragment.mid, "0"));
    assert_true(fragment.end_of_candidates);
    assert_int_equal(fragment.candidate_count, 2);
    assert_int_equal(fragment.ignored_candidates, 1);
    assert_int_equal(fragment.candidates[1].address.port, 61765);

    /* Credentials at session level serve as well. */
    assert_int_equal(kw_sdp_fragment_parse(text_bytes("a=ice-ufrag:abcd\na=ice-pwd:"
                                                      "0123456789012345678901\n"),
                                           &fragment, &problem),
                     KW_SDP_OK);
    assert_true(bytes_are(fragment.ufrag, "abcd"));
    assert_int_equal(kw_sdp_fragment_parse((struct kw_bytes){NULL, 0}, &fragment, &problem),
                     KW_SDP_OK);
    for (size_t i = 0; i < KW_ARRAY_LEN(bad); i++) {
        CHECK(kw_sdp_fragment_parse(text_bytes(bad[i].text), &fragment, &problem) == bad[i].outcome,
              "row %zu: %s", i, problem.what);
        assert_int_equal(problem.line, bad[i].line);
    }
    for (size_t cut = 0; cut < sizeof trickle; cut++)
        (void)!kw_sdp_fragment_parse((struct kw_bytes){(const uint8_t *)trickle, cut}, &fragment,
                                     &problem);
}

static void fragments_are_written(void **state)
{
    static const char want[] =
        "a=ice-lite\r\na=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:ourfrag8\r\n"
        "a=ice-pwd:ourpassword0123456789abc\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"
        "a=candidate:2 1 udp 2130706175 2001:db8::1 50000 typ host\r\na=end-of-candidates\r\n";
    struct kw_sdp_fragment fragment;
    struct kw_sdp_problem problem;
    struct fixture f;

    (void)state;
    open_fixture(&f, "chromium-audio-video", KW_SDP_CALL);
    f.len = kw_sdp_fragment_write(&f.offer, &f.choices, f.answer, sizeof f.answer);
    assert_int_equal(f.len, sizeof want - 1);
    assert_string_equal(f.answer, want);
    assert_int_equal(kw_sdp_fragment_parse(text_bytes(f.answer), &fragment, &problem), KW_SDP_OK);
    assert_int_equal(fragment.candidate_count, 2);
    /* The formats are long forgotten when a restart comes. */
    for (size_t i = 0; i < f.offer.media_count; i++)
        f.offer.media[i].format_count = 0;
    f.len = kw_sdp_fragment_write(&f.offer, &f.choices, f.answer, sizeof f.answer);
    assert_string_equal(f.answer, want);
    free(f.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firefox_word_for_word),
        cmocka_unit_test(chromium_gets_only_what_we_implement),
        cmocka_unit_test(whip_answers_recvonly_and_sends_nothing),
        cmocka_unit_test(directions_are_mirrored),
        cmocka_unit_test(the_owner_may_take_away),
        cmocka_unit_test(optional_parts),
        cmocka_unit_test(every_room_that_is_too_small),
        cmocka_unit_test(our_offer_makes_the_round_trip),
        cmocka_unit_test(answers_that_do_not_choose_are_refused),
        cmocka_unit_test(formats_match_by_their_bitstream),
        cmocka_unit_test(fragments_are_read),
        cmocka_unit_test(fragments_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
