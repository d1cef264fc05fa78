// SPDX-License-Identifier: Apache-2.0
// Calls with the back end `echo`: what is negotiated, what comes back.

import assert from 'node:assert/strict';
import { pause } from './lab.mjs';
import { note } from './tap.mjs';

const TONE = 1234;

// A call, watched for some seconds after its first one.
async function watchCall(lab, gateway, seconds, options = {}) {
  return lab.withCall(gateway, { audio: TONE, ...options }, async (call) => {
    await pause(1000);
    const before = await call.account();
    await pause(1000 * seconds);
    const after = await call.account();
    const tone = await call.run(() => lab.loudest(lab.context, lab.call.current.remote));
    return { seconds, firstPacketMs: call.firstPacketMs, before, after, tone };
  });
}

function checkMedia({ before, after, tone, seconds }) {
  const sent = after.totals.packetsSent - before.totals.packetsSent;
  const received = after.totals.packetsReceived - before.totals.packetsReceived;
  note(`${sent} packets sent, ${received} received in ${seconds} s, lost ${after.totals.packetsLost}, round trip ${after.generation.roundTripMs} ms`);
  assert.ok(sent > seconds * 45, `${sent} packets sent in ${seconds} s`);
  assert.ok(received > seconds * 45, `${received} packets received in ${seconds} s`);
  assert.equal(after.totals.packetsLost, 0);
  assert.ok(Math.abs(tone.frequency - TONE) < 8 && tone.above > 30, `the tone: ${JSON.stringify(tone)}`);
}

const groupName = (name) => ({ 'P-256': 'secp256r1', 'P-384': 'secp384r1', X25519: 'x25519' })[name] ?? name;

/*
 * What both ends say was negotiated. Browsers name the group only in some versions; where they do, it must
 * be the one the gateway names.
 */
function checkNegotiated({ after, seconds }, { group, retried }) {
  const ours = after.generation;
  const theirs = after.described.generations.find((one) => one.current);
  note(`${ours.dtlsVersion} ${ours.dtlsCipher} ${ours.dtlsGroup ?? theirs.group} ${ours.srtpCipher}; the gateway: ${JSON.stringify(theirs)}`);
  assert.equal(ours.dtlsVersion, 'FEFC');
  assert.equal(ours.dtlsCipher, 'TLS_AES_128_GCM_SHA256');
  assert.match(ours.srtpCipher, /^(SRTP_)?AEAD_AES_128_GCM$/);
  assert.equal(theirs.dtls, 'DTLS 1.3');
  assert.equal(theirs.suite, 'TLS_AES_128_GCM_SHA256');
  assert.match(theirs.srtp, /^(SRTP_)?AEAD_AES_128_GCM$/);
  assert.equal(theirs.group, group);
  if (ours.dtlsGroup) assert.equal(groupName(ours.dtlsGroup), groupName(group));
  assert.equal(theirs.retried, retried);
  assert.equal(theirs.peerFingerprint.toUpperCase(), `SHA-256 ${ours.localFingerprint}`.toUpperCase());
  assert.equal(theirs.ourFingerprint.toUpperCase(), `SHA-256 ${ours.remoteFingerprint}`.toUpperCase());
  for (const [side, counters] of [['sent', theirs.sent], ['received', theirs.received]]) {
    assert.ok(counters.packets > 45 * seconds, `the gateway ${side} ${counters.packets} packets`);
    assert.deepEqual([counters.lost, counters.authFailures, counters.replays], [0, 0, 0], side);
  }
}

// The longest time without a new frame that touches [from, to].
const longestFreeze = (frames, from, to) =>
  Math.max(...frames.slice(1).map((at, i) => (at > from && frames[i] < to ? at - frames[i] : 0)));

/*
 * A picture across a change of keys: what is looked at goes over to the next generation, whose decoder begins
 * with a key frame, and stands still no longer than such a frame takes.
 */
async function pictureAcrossRotation(lab, gateway) {
  await lab.withCall(gateway, { audio: TONE, colour: 'rgb(200, 30, 30)' }, async (call) => {
    await pause(3000);
    await call.run(() => lab.call.rotate());
    await pause(2500);
    const after = await call.account();
    const [old, next] = after.connections;
    const [rotation] = after.rotations;
    const freezes = {
      before: longestFreeze(after.frames, rotation.at - 2000, rotation.at - 500),
      across: longestFreeze(after.frames, rotation.at - 300, rotation.at + 1000),
    };
    note(`frames decoded ${old.framesDecoded} and ${next.framesDecoded}, key frames ${old.keyFramesDecoded} and ${next.keyFramesDecoded}; still for ${JSON.stringify(freezes)} ms; ${after.colour}`);
    assert.ok(old.framesDecoded > 40 && next.framesDecoded > 40, 'both generations brought pictures');
    assert.ok(old.keyFramesDecoded >= 1 && next.keyFramesDecoded >= 1);
    assert.equal(old.lost + next.lost + old.lostThere + next.lostThere, 0, 'packets lost');
    assert.ok(freezes.across < FREEZE_MS, `the picture stood still for ${freezes.across} ms`);
    const [red, green, blue] = after.colour;
    assert.ok(red > 150 && green < 80 && blue < 80, `the left half came back as ${after.colour}`);
  });
}

const FREEZE_MS = 250; // a few frames of 33 ms: the old picture is shown until the new one is there

export async function calls(lab) {
  for (const [preset, wanted] of [
    ['modern', { group: 'X25519MLKEM768', retried: false }],
    ['nist', { group: 'secp256r1', retried: true }], // neither browser sends a P-256 share at first
    ['pq', { group: 'X25519MLKEM768', retried: false }],
  ]) {
    await lab.withGateway(`call, ${preset}`, { options: preset === 'modern' ? [] : ['--preset', preset] }, async (gateway) => {
      const result = await watchCall(lab, gateway, preset === 'modern' ? 10 : 4);
      note(`first packet back ${result.firstPacketMs.toFixed(0)} ms after the start`);
      checkMedia(result);
      checkNegotiated(result, wanted);
    });
  }

  await lab.withGateway('IPv6 alone', {}, async (gateway) => {
    const result = await watchCall(lab, gateway, 3, { only: '2001:db8:' });
    assert.match(result.after.generation.remoteAddress, /:/);
    checkMedia(result);
  });

  await lab.withGateway('video, across a rotation', {}, (gateway) => pictureAcrossRotation(lab, gateway));
}
