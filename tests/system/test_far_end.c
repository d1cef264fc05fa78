/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the other side of the gateway hears while a client rotates three times by `parallel`: the
 * second call of a room (`bridge`), and FFmpeg as a plain RTP agent (`rtp`). It hears one SSRC
 * without a gap, and of each packet we know which moment of the speaker's clock it holds.
 */
#include "check.h"

#include "peer.h"
#include "sys/address.h"
#include "sys/clock.h"
#include "sys/interfaces.h"
#include "voice.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * L/4 of overlap is over before the next connection is asked for. The side that listens does not
 * rotate: grace lets it stay.
 */
#define ROTATION "rotation: {period: 14s, at-limit: {grace: 1m}}"
#define LENGTH KW_S(5)
/* A cut is made at the frame that is nearest to the clock of what leaves: half a frame, ever. */
#define CLOCK_ERROR_MAX ((int64_t)KW_MS(VOICE_FRAME_MS / 2))
/* From as far behind as possible to as far ahead: less than a frame is skipped. */
#define HOLE_MAX ((int64_t)KW_MS(VOICE_FRAME_MS))

static struct daemon gateway;
static struct peer connections[VOICE_CONNECTIONS], listener;
static struct voice voice;

static int set_up(void **state)
{
    (void)state;
    memset(connections, 0, sizeof connections);
    memset(&listener, 0, sizeof listener);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++)
        connections[i].fd = -1;
    listener.fd = -1;
    peer_world_open();
    voice_plan(&voice);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    daemon_end(&gateway, SIGKILL);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++)
        peer_free(&connections[i]);
    peer_free(&listener);
    peer_world_close();
    daemon_remove_folder(&gateway);
    return 0;
}

static void connect_peer(struct peer *peer, const char *path, uint32_t ssrc)
{
    CHECK(peer_post(peer, &gateway, path, ssrc), "status %d", peer->http_status);
    CHECK(peer_run(peer, KW_S(10), peer_is_connected), "not connected\n%s",
          daemon_file(&gateway, "err"));
}

static void end_gateway(void)
{
    daemon_end(&gateway, SIGTERM);
    CHECK(gateway.exit_status == 0, "exit %d\n%s", gateway.exit_status,
          daemon_file(&gateway, "err"));
}

/* Everything that was said has been heard once, in order, by the speaker's clock. */
static void one_stream_was_heard(const struct voice_ear *ear)
{
    kw_ns said = voice.streams[VOICE_CONNECTIONS - 1].begin + LENGTH;

    print_message(
        "# %llu packets, %u SSRC, %u gaps, %u cuts, %u timestamps not a frame apart, clock "
        "off by at most %.2f ms, longest hole %.2f ms\n",
        (unsigned long long)ear->packets, ear->ssrcs, ear->gaps, ear->cuts, ear->steps,
        (double)ear->error_max_ns / 1e6, (double)ear->hole_max_ns / 1e6);
    assert_int_equal(ear->ssrcs, 1);
    assert_int_equal(ear->gaps, 0);
    assert_int_equal(ear->repeats, 0);
    assert_int_equal(ear->unknown, 0);
    assert_int_equal(ear->cuts, VOICE_CONNECTIONS - 1);
    assert_int_equal(ear->steps, 0);
    assert_true(ear->error_max_ns <= CLOCK_ERROR_MAX);
    assert_true(ear->hole_max_ns < HOLE_MAX);
    CHECK(ear->last_ns + (int64_t)KW_MS(100) >= (int64_t)said, "the last %.1f s are missing",
          (double)((int64_t)said - ear->last_ns) / 1e9);
}

/* --- bridge ----------------------------------------------------------------------------------- */

/* The side that listens talks too: a packet each 20 ms, and what each connection hears is counted.
 */
struct other_side {
    kw_ns next;
    struct voice_ear ear;
};

static void hear(void *ctx, const uint8_t *packet, size_t len)
{
    voice_hear(ctx, packet, len);
}

static void other_side_turn(void *ctx, kw_ns now)
{
    static const uint8_t payload[80] = {0xee};
    struct other_side *other = ctx;
    struct peer *peers[1] = {&listener};

    for (; other->next <= now; other->next += KW_MS(VOICE_FRAME_MS)) {
        const struct peer_frame frame = {
            .payload_type = 111,
            .seq = listener.seq,
            .timestamp = (uint32_t)listener.seq * VOICE_UNITS,
            .payload = payload,
            .len = sizeof payload,
        };

        listener.seq++;
        peer_send(&listener, &frame);
    }
    peers_run(peers, 1, now);
}

/* What a connection of the speaker hears of the other side. */
struct heard {
    uint64_t packets;
    uint32_t ssrc;
    unsigned ssrcs, gaps;
    uint16_t seq;
};

static void count(void *ctx, const uint8_t *packet, size_t len)
{
    struct heard *heard = ctx;
    uint16_t seq = (uint16_t)(packet[2] << 8 | packet[3]);
    uint32_t ssrc;

    (void)len;
    memcpy(&ssrc, packet + 8, sizeof ssrc);
    if (heard->packets == 0 || ssrc != heard->ssrc)
        heard->ssrcs++;
    else
        heard->gaps += (uint16_t)(seq - heard->seq) != 1;
    heard->packets++;
    heard->ssrc = ssrc;
    heard->seq = seq;
}

static void far_end_of_a_bridge_hears_one_stream(void **state)
{
    static const char *const tenant[] = {"backend: bridge", ROTATION, NULL};
    static struct heard heard[VOICE_CONNECTIONS];
    struct other_side other = {.ear = {.voice = &voice}};
    struct voice_call call = {
        .voice = &voice,
        .daemon = &gateway,
        .connections = connections,
        .each = other_side_turn,
        .ctx = &other,
        .length = LENGTH,
        .on_rtp = count,
    };

    (void)state;
    memset(heard, 0, sizeof heard);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++)
        call.on_rtp_ctx[i] = &heard[i];
    voice_fill(&voice);
    CHECK(daemon_start_tenant(&gateway, tenant, NULL), "%s", daemon_file(&gateway, "err"));
    connect_peer(&connections[0], "/v1/rooms/blue/calls", voice.streams[0].ssrc);
    connect_peer(&listener, "/v1/rooms/blue/calls", 0x4b570200);
    listener.on_rtp = hear;
    listener.ctx = &other.ear;
    other.next = kw_clock_now();
    voice_speak(&call);
    one_stream_was_heard(&other.ear);
    /* And each connection of the speaker has heard the other side without a gap, as long as it was.
     */
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++) {
        print_message("# connection %zu heard %llu packets\n", i,
                      (unsigned long long)heard[i].packets);
        assert_int_equal(heard[i].ssrcs, 1);
        assert_int_equal(heard[i].gaps, 0);
        assert_true(heard[i].packets >= VOICE_EVERY_MS / VOICE_FRAME_MS - 20);
    }
    assert_int_equal(peer_hang_up(&listener, &gateway), 200);
    end_gateway();
}

/* --- rtp: FFmpeg as the agent ----------------------------------------------------------------- */

enum {
    RATE = 48000,
    PULSE_EVERY = RATE / 4,
    PULSE_LOUD = 9000, /* a pulse has 0.6, the tone under it 0.1 of full scale */
    HOLE_UNITS = RATE / 100,
    HOLE_QUIET = 650,
    CLOCK_UNITS_MAX = RATE / 50, /* 20 ms */
};

/*
 * Stands between the gateway and the agent, forwards every datagram as it is, and keeps what it has
 * to say of the gateway's stream.
 */
struct tap {
    int agent;         /* the address that the gateway knows */
    int from_agent[2]; /* where the agent sends: RTP, RTCP */
    struct kw_address address;
    struct kw_address gateway; /* learned from what comes */
    uint16_t rtp_port;         /* where the agent listens; RTCP one above */
    uint16_t reply_port;
    uint64_t reports, replies;
    struct voice_ear ear;
    pid_t pid;
};

static bool has_ffmpeg(void)
{
    return system("ffmpeg -hide_banner -encoders 2> /dev/null | grep -q libopus") == 0;
}

static int open_udp(const struct kw_address *address, struct kw_address *bound)
{
    struct sockaddr_storage name;
    socklen_t len = kw_address_to_socket(address, &name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&name, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    assert_true(kw_address_from_socket((struct sockaddr *)&name, bound));
    return fd;
}

/* Two free ports that follow each other, the first one even (RFC 3550 section 11). */
static uint16_t open_two(int fds[2])
{
    struct kw_address any = {.family = 4, .ip = {127, 0, 0, 1}}, first, second;

    for (int attempt = 0; attempt < 200; attempt++) {
        any.port = 0;
        fds[0] = open_udp(&any, &first);
        any.port = (uint16_t)(first.port + 1);
        fds[1] = first.port % 2 == 0 ? open_udp(&any, &second) : -1;
        if (fds[1] >= 0)
            return first.port;
        close(fds[0]);
    }
    fail_msg("no two free ports");
    return 0;
}

static void open_tap(struct tap *tap)
{
    struct kw_interfaces interfaces;
    int fds[2];

    assert_int_equal(kw_interfaces_read(&interfaces), KW_OK);
    for (size_t i = 0; i < interfaces.candidate_count && tap->address.family != 4; i++)
        tap->address = interfaces.candidates[i];
    assert_int_equal(tap->address.family, 4);
    tap->address.port = 0;
    tap->agent = open_udp(&tap->address, &tap->address);
    assert_true(tap->agent >= 0);
    tap->reply_port = open_two(tap->from_agent);
    tap->rtp_port = open_two(fds); /* for FFmpeg to take */
    close(fds[0]);
    close(fds[1]);
}

static void send_local(int fd, uint16_t port, const uint8_t *datagram, size_t len)
{
    const struct kw_address to = {.family = 4, .port = port, .ip = {127, 0, 0, 1}};
    struct sockaddr_storage name;
    socklen_t name_len = kw_address_to_socket(&to, &name);

    (void)!sendto(fd, datagram, len, 0, (struct sockaddr *)&name, name_len);
}

static bool is_rtcp(const uint8_t *datagram, size_t len)
{
    return len >= 2 && datagram[1] >= 192 && datagram[1] <= 223; /* RFC 5761 */
}

static void tap_turn(void *ctx, kw_ns now)
{
    struct tap *tap = ctx;
    uint8_t datagram[2048];
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    ssize_t n;

    (void)now;
    while ((n = recvfrom(tap->agent, datagram, sizeof datagram, 0, (struct sockaddr *)&name,
                         &len)) > 0) {
        bool rtcp = is_rtcp(datagram, (size_t)n);

        assert_true(kw_address_from_socket((struct sockaddr *)&name, &tap->gateway));
        tap->reports += rtcp;
        if (!rtcp)
            voice_hear(&tap->ear, datagram, (size_t)n);
        send_local(tap->from_agent[0], (uint16_t)(tap->rtp_port + rtcp), datagram, (size_t)n);
    }
    for (size_t i = 0; i < 2; i++) {
        while ((n = recv(tap->from_agent[i], datagram, sizeof datagram, 0)) > 0) {
            tap->replies += i == 0;
            if (tap->gateway.family == 0)
                continue;
            len = kw_address_to_socket(&tap->gateway, &name);
            (void)!sendto(tap->agent, datagram, (size_t)n, 0, (struct sockaddr *)&name, len);
        }
    }
}

/* A tone, some noise, and a pulse every quarter of a second of the speaker's clock. */
static void encode(struct voice_stream *stream, const char *folder)
{
    char path[128], command[640];

    snprintf(path, sizeof path, "%s/voice.opus", folder);
    snprintf(command, sizeof command,
             "ffmpeg -hide_banner -loglevel error -nostdin -y -f lavfi -i \"aevalsrc="
             "'st(0, t + %.3f); 0.1 * sin(440 * 2 * PI * ld(0)) + 0.01 * (random(1) - 0.5)"
             " + 0.6 * sin(1500 * 2 * PI * ld(0)) * lt(mod(ld(0), 0.25), 0.01)'"
             ":s=48000:d=12\" -ac 1 -c:a libopus -b:a 48k -frame_duration %d %s",
             (double)stream->begin / 1e9, VOICE_FRAME_MS, path);
    CHECK(system(command) == 0, "%s", command);
    CHECK(voice_read_ogg(stream, path), "%s", path);
    assert_true(stream->frame_count >= 500);
}

static bool is_listening(uint16_t port)
{
    FILE *file = fopen("/proc/net/udp", "r");
    char line[256];
    unsigned found = 0;

    while (file != NULL && found != port && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, " %*u: %*x:%x", &found) != 1)
            found = 0;
    }
    if (file != NULL)
        fclose(file);
    return found == port;
}

/* Decodes what it hears into a file, and says it again in its own words. */
static void start_agent(struct tap *tap)
{
    char sdp[512], url[96], path[128];
    kw_ns until = kw_clock_now() + KW_S(20);
    FILE *file;

    snprintf(path, sizeof path, "%s/agent.sdp", gateway.folder);
    snprintf(sdp, sizeof sdp,
             "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=agent\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
             "m=audio %u RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n",
             tap->rtp_port);
    snprintf(url, sizeof url, "rtp://127.0.0.1:%u", tap->reply_port);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(sdp, file);
    fclose(file);
    tap->pid = fork();
    assert_true(tap->pid >= 0);
    if (tap->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(gateway.folder) != 0 || freopen("agent.log", "w", stderr) == NULL)
            _exit(126);
        execlp("ffmpeg", "ffmpeg", "-hide_banner", "-loglevel", "warning", "-nostdin", "-y",
               "-protocol_whitelist", "file,udp,rtp", "-analyzeduration", "0", "-probesize", "32",
               "-i", "agent.sdp", "-map", "0:a", "-af", "aresample=async=1", "-ac", "1", "-ar",
               "48000", "-f", "s16le", "heard.pcm", "-map", "0:a", "-ac", "1", "-c:a", "libopus",
               "-b:a", "32k", "-payload_type", "111", "-f", "rtp", url, (char *)NULL);
        _exit(127);
    }
    while (!is_listening(tap->rtp_port) && kw_clock_now() < until)
        poll(NULL, 0, 5);
    CHECK(is_listening(tap->rtp_port), "%s", daemon_file(&gateway, "agent.log"));
}

static void end_agent(struct tap *tap)
{
    int status = 0;

    kill(tap->pid, SIGINT);
    assert_int_equal(waitpid(tap->pid, &status, 0), tap->pid);
    CHECK(WIFEXITED(status), "the agent: status %d\n%s", status,
          daemon_file(&gateway, "agent.log"));
}

struct sound {
    int16_t *samples;
    size_t count;
};

static void read_sound(struct sound *sound)
{
    enum { MAX = 60 * RATE };
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/heard.pcm", gateway.folder);
    file = fopen(path, "rb");
    assert_non_null(file);
    sound->samples = malloc(MAX * sizeof *sound->samples);
    assert_non_null(sound->samples);
    sound->count = fread(sound->samples, sizeof *sound->samples, MAX, file);
    fclose(file);
}

/* The start of the next pulse: loud after at least a tenth of a second that was not. */
static size_t next_pulse(const struct sound *sound, size_t from)
{
    size_t quiet = 0;

    for (size_t i = from; i < sound->count; i++) {
        bool is_loud = abs(sound->samples[i]) > PULSE_LOUD;

        if (is_loud && quiet > RATE / 10)
            return i;
        quiet = is_loud ? 0 : quiet + 1;
    }
    return sound->count;
}

static size_t longest_hole(const struct sound *sound, size_t from, size_t until)
{
    size_t quiet = 0, longest = 0;

    for (size_t i = from; i < until; i++) {
        quiet = abs(sound->samples[i]) < HOLE_QUIET ? quiet + 1 : 0;
        longest = quiet > longest ? quiet : longest;
    }
    return longest;
}

/* What the agent decoded: every pulse, by the speaker's clock, and the tone between them. */
static void the_agent_has_heard_everything(void)
{
    struct sound sound;
    size_t first, at, pulses = 0, hole;
    long error, worst = 0;

    read_sound(&sound);
    first = at = next_pulse(&sound, 0);
    while (at < sound.count) {
        size_t next;

        error = (long)(at - first) - (long)(pulses * PULSE_EVERY);
        worst = labs(error) > worst ? labs(error) : worst;
        CHECK(labs(error) <= CLOCK_UNITS_MAX, "pulse %zu is %.1f ms off", pulses,
              (double)error * 1000 / RATE);
        pulses++;
        next = next_pulse(&sound, at + PULSE_EVERY / 2);
        if (next == sound.count)
            break;
        at = next;
    }
    hole = longest_hole(&sound, first, at);
    print_message("# the agent decoded %.2f s: %zu pulses, off by at most %.2f ms, longest silence "
                  "%.2f ms\n",
                  (double)sound.count / RATE, pulses, (double)worst * 1000 / RATE,
                  (double)hole * 1000 / RATE);
    assert_true(pulses >= 4 * 18);
    assert_true(hole <= HOLE_UNITS);
    free(sound.samples);
}

static void a_real_agent_hears_one_stream(void **state)
{
    static struct heard heard[VOICE_CONNECTIONS];
    struct tap tap = {.ear = {.voice = &voice}};
    char target[96], target_ip[KW_ADDRESS_TEXT_MAX];
    const char *tenant[] = {"backend: rtp", target, ROTATION, NULL};
    struct voice_call call = {
        .voice = &voice,
        .daemon = &gateway,
        .connections = connections,
        .each = tap_turn,
        .ctx = &tap,
        .length = LENGTH,
        .on_rtp = count,
    };

    (void)state;
    if (!has_ffmpeg()) {
        print_message("# needs ffmpeg: with libopus\n");
        skip();
    }
    memset(heard, 0, sizeof heard);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++)
        call.on_rtp_ctx[i] = &heard[i];
    open_tap(&tap);
    kw_address_format_ip(&tap.address, target_ip);
    snprintf(target, sizeof target, "rtp-target: \"%s:%u\"", target_ip, tap.address.port);
    CHECK(daemon_start_tenant(&gateway, tenant, NULL), "%s", daemon_file(&gateway, "err"));
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++)
        encode(&voice.streams[i], gateway.folder);
    start_agent(&tap);
    connect_peer(&connections[0], "/v1/calls", voice.streams[0].ssrc);
    voice_speak(&call);
    assert_int_equal(peer_hang_up(&connections[VOICE_CONNECTIONS - 1], &gateway), 200);
    end_agent(&tap);
    one_stream_was_heard(&tap.ear);
    the_agent_has_heard_everything();
    print_message("# %llu reports to the agent, %llu packets from it\n",
                  (unsigned long long)tap.reports, (unsigned long long)tap.replies);
    assert_true(tap.reports >= 15);
    assert_true(tap.replies >= 900);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++) {
        print_message("# connection %zu heard %llu packets of it\n", i,
                      (unsigned long long)heard[i].packets);
        assert_int_equal(heard[i].ssrcs, 1);
        assert_int_equal(heard[i].gaps, 0);
        assert_true(heard[i].packets >= 200);
    }
    close(tap.agent);
    close(tap.from_agent[0]);
    close(tap.from_agent[1]);
    end_gateway();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(far_end_of_a_bridge_hears_one_stream),
        TEST(a_real_agent_hears_one_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
