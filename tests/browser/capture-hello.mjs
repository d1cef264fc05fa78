// SPDX-License-Identifier: Apache-2.0
// Records the first flight of a browser's DTLS client: in-namespace node capture-hello.mjs BROWSER
//
// A page makes an offer; this script answers as an ICE-lite peer that lets every check succeed and never
// answers DTLS. What arrives before the first retransmission is printed in the vector format, one datagram
// per line: C <hex>.

import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { ADDRESS, answerTo, bindingSuccess } from './ice-lite.mjs';
import { launch } from './browsers.mjs';
import { stopSound } from './sound.mjs';

const RETRANSMISSION_MS = 40; // Firefox repeats after 50 ms

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
  await page.evaluate((sdp) => pc.setRemoteDescription({ type: 'answer', sdp }), answerTo(offer, socket.address().port, `sha-256 ${Array(32).fill('AB').join(':')}`));
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
