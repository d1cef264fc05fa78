// SPDX-License-Identifier: Apache-2.0
// A voice agent behind the gateway's back end `rtp`: it notes what comes and says it again.

import { createSocket } from 'node:dgram';

const ADDRESS = '192.0.2.1';
const SSRC = 0x4b574147;

const isRtcp = (datagram) => datagram[1] >= 192 && datagram[1] <= 223; // RFC 5761, section 4

function payloadOf(datagram) {
  let start = 12 + 4 * (datagram[0] & 15);
  if (datagram[0] & 16) start += 4 + 4 * datagram.readUInt16BE(start + 2);
  return datagram.subarray(start);
}

// {target, packets, stop()}; each packet is {at, ssrc, sequence, timestamp, payload}, `at` in ms since 1970.
export async function startAgent() {
  const socket = createSocket('udp4');
  const packets = [];
  socket.on('message', (datagram, from) => {
    if (datagram.length < 13 || isRtcp(datagram)) return;
    packets.push({
      at: performance.timeOrigin + performance.now(),
      ssrc: datagram.readUInt32BE(8),
      sequence: datagram.readUInt16BE(2),
      timestamp: datagram.readUInt32BE(4),
      payload: Buffer.from(payloadOf(datagram)),
    });
    datagram.writeUInt32BE(SSRC, 8);
    socket.send(datagram, from.port, from.address);
  });
  await new Promise((done) => socket.bind(0, ADDRESS, done));
  return {
    target: `${ADDRESS}:${socket.address().port}`,
    packets,
    stop: () => socket.close(),
  };
}

// How the numbers of a stream go on: {ssrcs, lost, repeated, backwards, steps}; steps of the timestamp.
export function continuity(packets) {
  const out = { ssrcs: new Set(packets.map(({ ssrc }) => ssrc)).size, lost: 0, repeated: 0, backwards: 0 };
  const steps = new Set();
  for (let i = 1; i < packets.length; i++) {
    const step = ((packets[i].sequence - packets[i - 1].sequence + 0x8000) & 0xffff) - 0x8000;
    if (step === 0) out.repeated++;
    else if (step < 0) out.backwards++;
    else out.lost += step - 1;
    const units = (packets[i].timestamp - packets[i - 1].timestamp) | 0;
    if (units <= 0) out.backwards++;
    steps.add(units);
  }
  return { ...out, steps: [...steps] };
}

// The longest time between two packets that begins within these ms since 1970.
export function longestPause(packets, from, to) {
  let longest = { ms: 0 };
  for (let i = 1; i < packets.length; i++) {
    const ms = packets[i].at - packets[i - 1].at;
    if (packets[i].at > from && packets[i - 1].at < to && ms > longest.ms) longest = { ms, at: packets[i - 1].at };
  }
  return longest;
}

/*
 * What the agent hears: the packets decoded, each where its timestamp says, {samples, began} like a recording;
 * `began` is the arrival of the first packet. The browser's own decoder does it.
 */
export async function decode(page, packets) {
  const frames = await page.evaluate(decodeInPage, packets.map(({ payload }) => payload.toString('base64')));
  const first = packets[0].timestamp;
  const starts = packets.map(({ timestamp }) => (timestamp - first) >>> 0);
  const decoded = frames.map((frame) => Buffer.from(frame, 'base64'));
  const last = packets.length - 1;
  const samples = new Int16Array(starts[last] + decoded[last].length / 2);
  decoded.forEach((bytes, i) => {
    for (let k = 0; k < bytes.length / 2; k++) samples[starts[i] + k] = bytes.readInt16LE(2 * k);
  });
  return { samples, began: packets[0].at };
}

async function decodeInPage(packets) {
  const frames = [];
  let failure = null;
  const decoder = new AudioDecoder({
    output(data) {
      const plane = new Float32Array(data.numberOfFrames);
      data.copyTo(plane, { planeIndex: 0, format: 'f32-planar' });
      data.close();
      const bytes = new Uint8Array(Int16Array.from(plane, (one) => Math.max(-1, Math.min(1, one)) * 32767).buffer);
      let text = '';
      for (const byte of bytes) text += String.fromCharCode(byte);
      frames.push(btoa(text));
    },
    error: (error) => (failure = error),
  });
  decoder.configure({ codec: 'opus', sampleRate: 48000, numberOfChannels: 2 });
  packets.forEach((packet, i) => {
    const data = Uint8Array.from(atob(packet), (letter) => letter.charCodeAt(0));
    decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: i * 20000, data }));
  });
  await decoder.flush();
  decoder.close();
  if (failure) throw failure;
  if (frames.length !== packets.length) throw new Error(`${packets.length} packets gave ${frames.length} frames`);
  return frames;
}
