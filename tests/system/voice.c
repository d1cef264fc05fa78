/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "voice.h"

#include "rtp/rtp.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

enum { REPORT_MS = 500, CONNECT_MS = 1000 };

void voice_plan(struct voice *voice)
{
    static const unsigned phase_ms[VOICE_CONNECTIONS] = {0, 7, 13, 4};

    memset(voice, 0, sizeof *voice);
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++) {
        struct voice_stream *stream = &voice->streams[i];

        stream->begin = KW_MS(i * VOICE_EVERY_MS + phase_ms[i]);
        stream->ssrc = 0x4b570100 + (uint32_t)i;
        stream->first_seq = (uint16_t)(1000 + 7777 * i);
        stream->first_timestamp = UINT32_C(0xffff0000) + (uint32_t)i * 123456789;
    }
}

void voice_fill(struct voice *voice)
{
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++) {
        struct voice_stream *stream = &voice->streams[i];

        stream->frame_count = VOICE_FRAMES_MAX;
        for (uint16_t k = 0; k < VOICE_FRAMES_MAX; k++) {
            stream->frames[k].len = 80;
            stream->frames[k].payload[0] = (uint8_t)i;
            memcpy(stream->frames[k].payload + 1, &k, sizeof k);
        }
    }
}

static void add_packet(struct voice_stream *stream, const uint8_t *packet, size_t len)
{
    struct voice_frame *frame = &stream->frames[stream->frame_count];

    if (stream->frame_count == VOICE_FRAMES_MAX || len > VOICE_PAYLOAD_MAX)
        return;
    frame->len = (uint16_t)len;
    memcpy(frame->payload, packet, len);
    stream->frame_count++;
}

/*
 * RFC 3533, section 6: a page is a header of 27 bytes, a table of segment lengths, the segments. A
 * segment below 255 bytes ends a packet. RFC 7845: the first two packets are OpusHead and OpusTags.
 */
bool voice_read_ogg(struct voice_stream *stream, const char *path)
{
    uint8_t header[27], table[255], packet[65536];
    size_t len = 0, packets = 0;
    FILE *file = fopen(path, "rb");
    bool is_ogg = file != NULL;

    while (is_ogg && fread(header, sizeof header, 1, file) == 1) {
        is_ogg = memcmp(header, "OggS", 4) == 0 && fread(table, 1, header[26], file) == header[26];
        for (size_t i = 0; is_ogg && i < header[26]; i++) {
            is_ogg = len + table[i] <= sizeof packet &&
                     fread(packet + len, 1, table[i], file) == table[i];
            len += table[i];
            if (!is_ogg || table[i] == 255)
                continue;
            if (packets++ >= 2)
                add_packet(stream, packet, len);
            len = 0;
        }
    }
    if (file != NULL)
        fclose(file);
    return is_ogg && stream->frame_count != 0;
}

/* --- hearing ---------------------------------------------------------------------------------- */

static bool is_frame(const struct voice_stream *stream, size_t k, struct kw_bytes payload)
{
    return k < stream->frame_count && stream->frames[k].len == payload.len &&
           memcmp(stream->frames[k].payload, payload.data, payload.len) == 0;
}

/* Usually the next frame of the same connection; at a cut, one of the next connection. */
static bool find(struct voice_ear *ear, struct kw_bytes payload)
{
    for (size_t k = ear->next; k < ear->next + 50; k++) {
        if (is_frame(&ear->voice->streams[ear->connection], k, payload)) {
            ear->next = k + 1;
            return true;
        }
    }
    for (size_t i = 0; i < VOICE_CONNECTIONS; i++) {
        for (size_t k = 0; k < ear->voice->streams[i].frame_count; k++) {
            if (!is_frame(&ear->voice->streams[i], k, payload))
                continue;
            ear->cuts += i != ear->connection;
            ear->connection = i;
            ear->next = k + 1;
            return true;
        }
    }
    return false;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void hear_clock(struct voice_ear *ear, const struct kw_rtp *rtp)
{
    const struct voice_stream *stream = &ear->voice->streams[ear->connection];
    int64_t spoken = (int64_t)(stream->begin + KW_MS(VOICE_FRAME_MS) * (ear->next - 1));
    int64_t said;

    if (ear->packets == 1) {
        ear->first_ns = spoken;
        ear->first_timestamp = rtp->timestamp;
    } else {
        ear->steps += rtp->timestamp - ear->timestamp != VOICE_UNITS;
        ear->hole_max_ns =
            larger(ear->hole_max_ns, spoken - ear->last_ns - (int64_t)KW_MS(VOICE_FRAME_MS));
    }
    said = (int64_t)(uint32_t)(rtp->timestamp - ear->first_timestamp) * 1000000 / 48;
    ear->error_max_ns = larger(ear->error_max_ns, llabs(said - (spoken - ear->first_ns)));
    ear->last_ns = spoken;
    ear->timestamp = rtp->timestamp;
}

void voice_hear(struct voice_ear *ear, const uint8_t *packet, size_t len)
{
    struct kw_rtp rtp;

    assert_int_equal(kw_rtp_parse(packet, len, &rtp), KW_ACCEPT);
    ear->packets++;
    if (ear->packets == 1 || rtp.ssrc != ear->ssrc)
        ear->ssrcs++;
    else if (rtp.seq == ear->seq)
        ear->repeats++;
    else
        ear->gaps += (uint16_t)(rtp.seq - ear->seq) != 1;
    ear->ssrc = rtp.ssrc;
    ear->seq = rtp.seq;
    if (find(ear, rtp.payload))
        hear_clock(ear, &rtp);
    else
        ear->unknown++;
}

/* --- speaking --------------------------------------------------------------------------------- */

struct mouth {
    const struct voice_call *call;
    kw_ns zero;          /* of the speaker's clock */
    size_t first, count; /* connections that exist */
    size_t spoken[VOICE_CONNECTIONS];
    kw_ns report_at;
};

static kw_ns when(const struct mouth *mouth, size_t connection, size_t frame)
{
    return mouth->zero + mouth->call->voice->streams[connection].begin +
           KW_MS(VOICE_FRAME_MS) * frame;
}

static void say(struct mouth *mouth, size_t i, kw_ns now)
{
    const struct voice_stream *stream = &mouth->call->voice->streams[i];
    struct peer *peer = &mouth->call->connections[i];

    while (mouth->spoken[i] < stream->frame_count && when(mouth, i, mouth->spoken[i]) <= now) {
        size_t k = mouth->spoken[i]++;
        const struct peer_frame frame = {
            .payload_type = 111,
            .seq = (uint16_t)(stream->first_seq + k),
            .timestamp = stream->first_timestamp + (uint32_t)k * VOICE_UNITS,
            .payload = stream->frames[k].payload,
            .len = stream->frames[k].len,
        };

        CHECK(peer->is_connected, "connection %zu is not up in time", i);
        peer_send(peer, &frame);
    }
}

/* All connections of a client report at the same moment, by the same clock. */
static void report(struct mouth *mouth, kw_ns now)
{
    if (now < mouth->report_at)
        return;
    mouth->report_at = now + KW_MS(REPORT_MS);
    for (size_t i = mouth->first; i < mouth->count; i++) {
        const struct voice_stream *stream = &mouth->call->voice->streams[i];
        kw_ns begin = when(mouth, i, 0);

        if (now < begin || !mouth->call->connections[i].is_connected)
            continue;
        peer_report(&mouth->call->connections[i],
                    stream->first_timestamp + (uint32_t)((now - begin) * 48 / 1000000), now);
    }
}

static void run(struct mouth *mouth, kw_ns until)
{
    struct peer *peers[VOICE_CONNECTIONS];
    kw_ns now = kw_clock_now();

    while (now < until) {
        for (size_t i = mouth->first; i < mouth->count; i++) {
            say(mouth, i, now);
            peers[i - mouth->first] = &mouth->call->connections[i];
        }
        report(mouth, now);
        peers_run(peers, mouth->count - mouth->first, now + KW_MS(2));
        now = kw_clock_now();
        if (mouth->call->each != NULL)
            mouth->call->each(mouth->call->ctx, now);
    }
}

static void add_connection(struct mouth *mouth)
{
    const struct voice_call *call = mouth->call;
    size_t i = mouth->count;
    char path[300];

    snprintf(path, sizeof path, "%s/generations", call->connections[0].location);
    CHECK(peer_post(&call->connections[i], call->daemon, path, call->voice->streams[i].ssrc),
          "connection %zu: status %d", i, call->connections[i].http_status);
    call->connections[i].on_rtp = call->on_rtp;
    call->connections[i].ctx = call->on_rtp_ctx[i];
    mouth->count++;
}

void voice_speak(const struct voice_call *call)
{
    struct mouth mouth = {.call = call, .zero = kw_clock_now() + KW_MS(100), .count = 1};

    call->connections[0].on_rtp = call->on_rtp;
    call->connections[0].ctx = call->on_rtp_ctx[0];
    for (size_t i = 1; i < VOICE_CONNECTIONS; i++) {
        run(&mouth, when(&mouth, i, 0) - KW_MS(CONNECT_MS));
        add_connection(&mouth);
        run(&mouth, when(&mouth, i, 0) + KW_MS(VOICE_TOGETHER_MS));
        peer_close(&call->connections[mouth.first]);
        mouth.first++;
    }
    run(&mouth, when(&mouth, VOICE_CONNECTIONS - 1, 0) + call->length);
}
