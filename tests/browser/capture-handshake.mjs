// SPDX-License-Identifier: Apache-2.0
// Records a whole handshake that a browser accepts: in-namespace node capture-handshake.mjs BROWSER RECORDER [--cookie]
//
// A page calls an ICE-lite peer whose DTLS is tests/dtls/record_handshake.c. This script carries datagrams between
// the two, adds the first SRTP packets, and prints the recorder's tape once the page says that it is connected.
// It made tests/dtls/vectors/*-handshake*.txt. The secrets in it are of this one run.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { launch } from './browsers.mjs';
import { ADDRESS, answerTo, bindingSuccess } from './ice-lite.mjs';
import { stopSound } from './sound.mjs';

const MEDIA_PACKETS = 4;
const PATIENCE_MS = 20000;

const late = (what) => new Promise((_, fail) => setTimeout(() => fail(new Error(`no ${what} in ${PATIENCE_MS / 1000} s`)), PATIENCE_MS));

function fingerprintOf(hex) {
  const digest = createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex').toUpperCase();
  return `sha-256 ${digest.match(/../g).join(':')}`;
}

const [name, program, ...options] = process.argv.slice(2);
const tape = [];
const recorder = spawn(program, options, { stdio: ['pipe', 'pipe', 'inherit'] });
const ended = new Promise((done) => recorder.stdout.once('close', done));
const socket = createSocket('udp4');
let browserAt;
let media = 0;
let mediaSeen;
const hasMedia = new Promise((done) => (mediaSeen = done));
let certificateSeen;
const certificate = new Promise((done) => (certificateSeen = done));

createInterface({ input: recorder.stdout }).on('line', (line) => {
  tape.push(line);
  const [kind, value] = line.split(' ');
  if (kind === 'S') socket.send(Buffer.from(value, 'hex'), browserAt.port, browserAt.address);
  if (kind === 'certificate') certificateSeen(value);
});
socket.on('message', (datagram, remote) => {
  const hex = datagram.toString('hex');
  if (datagram[0] === 0 && datagram[1] === 1) {
    socket.send(bindingSuccess(datagram, remote), remote.port, remote.address);
  } else if (datagram[0] >= 20 && datagram[0] <= 63) {
    browserAt = remote;
    if (recorder.exitCode === null) recorder.stdin.write(`C ${hex}\n`);
  } else if (datagram[0] >= 128 && datagram[0] <= 191 && media < MEDIA_PACKETS) {
    recorder.stdin.write(`media ${hex}\n`);
    if (++media === MEDIA_PACKETS) mediaSeen();
  }
});
recorder.stdin.on('error', () => {}); // it ends by itself at the client's close_notify
await new Promise((done) => socket.bind(0, ADDRESS, done));
const web = createServer((request, response) => response.end('<!doctype html><title>capture</title>'));
await new Promise((done) => web.listen(0, '127.0.0.1', done));

const { browser, version, close } = await launch(name);
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${web.address().port}/`);
  const offer = await page.evaluate(async () => {
    window.pc = new RTCPeerConnection();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly' });
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  });
  recorder.stdin.write(`peer ${/^a=fingerprint:(.*?)\s*$/m.exec(offer)[1]}\n`);
  const answer = answerTo(offer, socket.address().port, fingerprintOf(await certificate));
  await page.evaluate((sdp) => pc.setRemoteDescription({ type: 'answer', sdp }), answer);
  await Promise.race([hasMedia, late('media')]);
  const state = await page.evaluate(async () => {
    await new Promise((done) => setTimeout(done, 200)); // its statistics are that late
    const transport = [...(await pc.getStats()).values()].find((one) => one.type === 'transport');
    const said = transport ? `${transport.tlsVersion} ${transport.dtlsCipher} ${transport.srtpCipher}` : 'without transport statistics';
    const result = `${pc.connectionState}, ${said}`;
    pc.close();
    return result;
  });
  await Promise.race([ended, late('close_notify')]);
  if (!state.startsWith('connected')) throw new Error(`the page says: ${state}`);
  console.log(`# A whole handshake with ${version} as DTLS client. The page said: ${state}.`);
  for (const line of tape) console.log(line);
} finally {
  recorder.kill();
  await close();
  await stopSound();
  socket.close();
  web.close();
}
process.exit(0);
