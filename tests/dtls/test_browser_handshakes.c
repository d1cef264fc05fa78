/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole handshakes that browsers accepted, frozen: with the recorded draws, times and datagrams of
 * the client, our server sends the same bytes and concludes the same, and its SRTP keys open the
 * packets that the browser sent then. argv[1] is the folder of vectors (see its README.md).
 */
#include "check.h"
#include "dtls/tape.h"

#include <keywheel/srtp.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

struct player {
    struct tape tape; /* first */
    FILE *file;
    const char *name;
    unsigned line_number;
    char line[TAPE_LINE_MAX + 64];
    const char *text; /* of the line, behind its kind */
    kw_ns now;
    struct kw_srtp *srtp;
    size_t sent, media;
};

static struct player *player_of(struct tape *tape)
{
    return (struct player *)(void *)tape;
}

/* The next line that is no comment; false at the end. */
static bool next_line(struct player *player)
{
    do {
        if (fgets(player->line, sizeof player->line, player->file) == NULL)
            return false;
        player->line_number++;
        player->line[strcspn(player->line, "\n")] = '\0';
    } while (player->line[0] == '#' || player->line[0] == '\0');
    return true;
}

static bool is_kind(struct player *player, const char *kind)
{
    size_t len = strlen(kind);

    if (strncmp(player->line, kind, len) != 0 ||
        (player->line[len] != ' ' && player->line[len] != '\0'))
        return false;
    player->text = player->line + len + (player->line[len] == ' ');
    return true;
}

static void expect_kind(struct player *player, const char *kind)
{
    CHECK(next_line(player), "%s: the engine went on with '%s'", player->name, kind);
    CHECK(is_kind(player, kind), "%s:%u: '%.20s', the engine comes with '%s'", player->name,
          player->line_number, player->line, kind);
}

static enum kw_status draw(struct tape *tape, const char *kind, uint8_t *dst, size_t len)
{
    struct player *player = player_of(tape);

    expect_kind(player, kind);
    CHECK(tape_read_hex(player->text, dst, len) == len && player->text[2 * len] == '\0',
          "%s:%u: %zu bytes were drawn", player->name, player->line_number, len);
    return KW_OK;
}

static enum kw_status exchange(struct tape *tape, const char *kind, uint8_t *dst, size_t size,
                               size_t *len)
{
    struct player *player = player_of(tape);

    expect_kind(player, kind);
    *len = tape_read_hex(player->text, dst, size);
    return KW_OK;
}

static void compare(struct tape *tape, const char *kind, const char *text)
{
    struct player *player = player_of(tape);

    expect_kind(player, kind);
    CHECK(strcmp(player->text, text) == 0, "%s:%u: %s differs\n%s", player->name,
          player->line_number, kind, text);
    player->sent += kind[0] == 'S';
}

/* The browser's own packets are the second witness of the keys. */
static void play_media(struct player *player)
{
    uint8_t packet[KW_DTLS_DATAGRAM_MAX + KW_SRTP_TAIL];
    size_t len = tape_read_hex(player->text, packet, KW_DTLS_DATAGRAM_MAX);
    enum kw_verdict verdict;

    assert_true(player->tape.is_connected);
    if (player->srtp == NULL) {
        struct kw_srtp_params params = {
            .kernel = kw_srtp_kernel_select(player->tape.crypto, "evp"),
            .crypto = player->tape.crypto,
            .master = &player->tape.keys.read,
            .ssrc_max = 4,
        };
        void *mem = aligned_alloc(64, (kw_srtp_size(4) + 63) / 64 * 64);

        assert_non_null(mem);
        assert_int_equal(kw_srtp_init(mem, &params, &player->srtp), KW_OK);
    }
    verdict = kw_srtp_is_rtcp(packet, len) ? kw_srtcp_unprotect(player->srtp, packet, &len)
                                           : kw_srtp_unprotect(player->srtp, packet, &len);
    CHECK(verdict == KW_ACCEPT, "%s:%u: media is %s", player->name, player->line_number,
          kw_verdict_name(verdict));
    player->media++;
}

static void play_line(struct player *player)
{
    uint8_t datagram[KW_DTLS_DATAGRAM_MAX];
    struct kw_fingerprint peer;
    bool with_cookie = is_kind(player, "peer-with-cookie");

    if (with_cookie || is_kind(player, "peer")) {
        assert_true(kw_fingerprint_parse(
            (struct kw_bytes){(const uint8_t *)player->text, strlen(player->text)}, &peer));
        assert_int_equal(tape_start(&player->tape, &peer, with_cookie), KW_OK);
    } else if (is_kind(player, "at")) {
        player->now = strtoull(player->text, NULL, 10);
    } else if (is_kind(player, "C")) {
        size_t len = tape_read_hex(player->text, datagram, sizeof datagram);

        assert_int_equal(tape_receive(&player->tape, datagram, len, player->now), KW_OK);
    } else if (is_kind(player, "tick")) {
        assert_int_equal(tape_tick(&player->tape, player->now), KW_OK);
    } else if (is_kind(player, "media")) {
        play_media(player);
    } else {
        CHECK(is_kind(player, "records"), "%s:%u: '%.20s', which the engine did not come with",
              player->name, player->line_number, player->line);
    }
}

static void play(const char *name)
{
    static struct player player;
    char path[512];

    memset(&player, 0, sizeof player);
    player.tape.draw = draw;
    player.tape.exchange = exchange;
    player.tape.state = compare;
    player.tape.is_playing = true;
    player.name = name;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    player.file = fopen(path, "r");
    CHECK(player.file != NULL, "%s is not there", path);

    assert_int_equal(tape_init(&player.tape), KW_OK);
    while (!player.tape.is_closed && next_line(&player))
        play_line(&player);
    tape_state_counters(&player.tape);
    CHECK(!next_line(&player), "%s:%u: more than the engine came with", name, player.line_number);

    assert_true(player.tape.is_connected && player.tape.is_closed);
    assert_true(player.sent >= 3 && player.media >= 3);
    kw_srtp_deinit(player.srtp);
    free(player.srtp);
    tape_deinit(&player.tape);
    (void)fclose(player.file);
}

static void chromium(void **state)
{
    (void)state;
    play("chromium-handshake.txt");
}

static void chromium_with_cookie(void **state)
{
    (void)state;
    play("chromium-handshake-cookie.txt");
}

static void firefox(void **state)
{
    (void)state;
    play("firefox-handshake.txt");
}

static void firefox_with_cookie(void **state)
{
    (void)state;
    play("firefox-handshake-cookie.txt");
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chromium),
        cmocka_unit_test(chromium_with_cookie),
        cmocka_unit_test(firefox),
        cmocka_unit_test(firefox_with_cookie),
    };

    if (argc != 2)
        return EXIT_FAILURE;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
