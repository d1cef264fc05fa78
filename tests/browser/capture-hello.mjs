// SPDX-License-Identifier: Apache-2.0
// Records the first flight of a browser's DTLS client: in-namespace node capture-hello.mjs BROWSER
//
// A page makes an offer; this script answers as an ICE-lite peer that lets every check succeed and never
// answers DTLS. What arrives before the first retransmission is printed in the vector format, one datagram
// per line: C <hex>.

import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { crc32 } from './stun-crc.mjs';
import { launch } from './browsers.mjs';
import { stopSound } from './sound.mjs';

const ADDRESS = '192.0.2.1';
const UFRAG = 'capt';
const PASSWORD = 'capturecapturecapture1';
const RETRANSMISSION_MS = 40; // Firefox repeats after 50 ms

// RFC 8489: Binding success with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT.
function bindingSuccess(request, remote) {
  const mapped = Buffer.alloc(12);
  mapped.writeUInt16BE(0x0020, 0);
  mapped.writeUInt16BE(8, 2);
  mapped.writeUInt8(1, 5);
  mapped.writeUInt16BE(remote.port ^ 0x2112, 6);
  remote.address.split('.').forEach((byte, i) => mapped.writeUInt8(Number(byte) ^ [0x21, 0x12, 0xa4, 0x42][i], 8 + i));
  const head = Buffer.alloc(20);
  head.writeUInt16BE(0x0101, 0);
  request.copy(head, 4, 4, 20);

  head.writeUInt16BE(mapped.length + 24, 2);
  const integrity = Buffer.alloc(24);
  integrity.writeUInt16BE(0x0008, 0);
  integrity.writeUInt16BE(20, 2);
  createHmac('sha1', PASSWORD).update(Buffer.concat([head, mapped])).digest().copy(integrity, 4);

  head.writeUInt16BE(mapped.length + 32, 2);
  const fingerprint = Buffer.alloc(8);
  fingerprint.writeUInt16BE(0x8028, 0);
  fingerprint.writeUInt16BE(4, 2);
  fingerprint.writeUInt32BE((crc32(Buffer.concat([head, mapped, integrity])) ^ 0x5354554e) >>> 0, 4);
  return Buffer.concat([head, mapped, integrity, fingerprint]);
}

function answerTo(offer, port) {
  const lines = offer.split(/\r?\n/);
  const payload = lines.find((line) => line.startsWith('m=audio')).split(' ')[3];
  const mid = lines.find((line) => line.startsWith('a=mid:'));
  return [
    'v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=ice-lite', `a=group:BUNDLE ${mid.slice(6)}`,
    `m=audio ${port} UDP/TLS/RTP/SAVPF ${payload}`, `c=IN IP4 ${ADDRESS}`, mid, 'a=recvonly', 'a=rtcp-mux',
    `a=rtpmap:${payload} opus/48000/2`, `a=ice-ufrag:${UFRAG}`, `a=ice-pwd:${PASSWORD}`, 'a=setup:passive',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
    `a=candidate:1 1 udp 2130706431 ${ADDRESS} ${port} typ host`, 'a=end-of-candidates', '',
  ].join('\r\n');
}

const name = process.argv[2];
const datagrams = [];
let began = 0;
let finished;
const flight = new Promise((done) => (finished = done));
const socket = createSocket('udp4', (datagram, remote) => {
  if (datagram[0] === 0 && datagram[1] === 1) socket.send(bindingSuccess(datagram, remote), remote.port, remote.address);
  if (datagram[0] < 20 || datagram[0] > 63) return;
  began ||= Date.now();
  if (Date.now() - began < RETRANSMISSION_MS) datagrams.push(datagram.toString('hex'));
  setTimeout(finished, RETRANSMISSION_MS);
});
await new Promise((done) => socket.bind(0, ADDRESS, done));
const page404 = createServer((request, response) => response.end('<!doctype html><title>capture</title>'));
await new Promise((done) => page404.listen(0, '127.0.0.1', done));

const { browser, version, close } = await launch(name);
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${page404.address().port}/`);
  const offer = await page.evaluate(async () => {
    window.pc = new RTCPeerConnection();
    pc.addTransceiver('audio', { direction: 'sendonly' });
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  });
  await page.evaluate((sdp) => pc.setRemoteDescription({ type: 'answer', sdp }), answerTo(offer, socket.address().port));
  await Promise.race([flight, new Promise((_, fail) => setTimeout(() => fail(new Error('no ClientHello in 20 s')), 20000))]);
  console.log(`# First flight of ${version} as DTLS client, one datagram per line.`);
  for (const hex of datagrams) console.log(`C ${hex}`);
} finally {
  await close();
  await stopSound();
  socket.close();
  page404.close();
}
process.exit(0);
