// SPDX-License-Identifier: Apache-2.0
// One browser against keywheeld: in-namespace node suite.mjs BROWSER

import assert from 'node:assert/strict';
import { launch } from './browsers.mjs';
import { startGateway } from './gateway.mjs';
import { callWithRotations, callWithTone, installLab } from './in-page.mjs';
import { holesIn, record, stopSound } from './sound.mjs';
import { finish, note, step } from './tap.mjs';

const name = process.argv[2];
const only = process.argv[3] && new RegExp(process.argv[3]);
const TONE = 1234;
const SECONDS = 10;

async function openPage(browser, address) {
  const page = await browser.newPage();
  await page.goto(address);
  await page.evaluate(installLab);
  await page.click('h1'); // a gesture, as a person would make
  return page;
}

// Runs one of the functions of in-page.mjs; a page of its own each time.
async function inPage(browser, gateway, run, options) {
  const page = await openPage(browser, gateway.origin + '/');
  try {
    const result = await page.evaluate(run, { token: gateway.token, frequency: TONE, ...options });
    assert.equal(result.error, undefined, `${result.error} ${result.rule ?? ''} ${JSON.stringify([result.states, result.heard])}\n${gateway.log()}`);
    return result;
  } finally {
    await page.close();
  }
}

const makeCall = (browser, gateway, options) => inPage(browser, gateway, callWithTone, { seconds: SECONDS, ...options });

// What the loudspeaker played meanwhile.
async function heardDuring(run) {
  const recorder = record();
  try {
    const result = await run();
    return { result, heard: holesIn(await recorder.stop()) };
  } finally {
    await recorder.stop();
  }
}

function checkMedia(result, seconds) {
  const { before, after } = result;
  const sent = after.totals.packetsSent - before.totals.packetsSent;
  const received = after.totals.packetsReceived - before.totals.packetsReceived;
  note(`${sent} packets sent, ${received} received in ${seconds} s, lost ${after.totals.packetsLost}, round trip ${after.generation.roundTripMs} ms`);
  assert.ok(sent > seconds * 45, `${sent} packets sent in ${seconds} s`);
  assert.ok(received > seconds * 45, `${received} packets received in ${seconds} s`);
  assert.equal(after.totals.packetsLost, 0);
  assert.ok(Math.abs(result.tone.frequency - TONE) < 8 && result.tone.above > 30, `the tone: ${JSON.stringify(result.tone)}`);
}

/*
 * What both ends say was negotiated. Browsers name the group only in some versions; where they do, it must
 * be the one the gateway names.
 */
function checkNegotiated(result, { group, retried }) {
  const ours = result.after.generation;
  const theirs = result.described.generations.find((one) => one.current);
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
    assert.ok(counters.packets > 45 * result.seconds, `the gateway ${side} ${counters.packets} packets`);
    assert.deepEqual([counters.lost, counters.authFailures, counters.replays], [0, 0, 0], side);
  }
}

const groupName = (name) => ({ 'P-256': 'secp256r1', 'P-384': 'secp384r1', X25519: 'x25519' })[name] ?? name;

const { browser, version, close } = await launch(name);
note(version);

// Each step has a gateway of its own, so that no step depends on what another left behind.
async function withGateway(title, how, run) {
  if (only && !only.test(title)) return;
  await step(`${name}: ${title}`, async () => {
    const gateway = await startGateway(how);
    try {
      await run(gateway);
    } finally {
      await gateway.stop();
    }
  });
}

for (const [preset, wanted] of [
  ['modern', { group: 'X25519MLKEM768', retried: false }],
  ['nist', { group: 'secp256r1', retried: true }], // neither browser sends a P-256 share at first
  ['pq', { group: 'X25519MLKEM768', retried: false }],
]) {
  await withGateway(`call, ${preset}`, { options: preset === 'modern' ? [] : ['--preset', preset] }, async (gateway) => {
    const result = await makeCall(browser, gateway, {});
    note(`first packet back ${result.firstPacketMs.toFixed(0)} ms after the start; ${JSON.stringify(result.states)}`);
    checkMedia(result, SECONDS);
    checkNegotiated(result, wanted);
  });
}

await withGateway('IPv6 alone', {}, async (gateway) => {
  const result = await makeCall(browser, gateway, { family: 6, seconds: 3 });
  assert.match(result.after.generation.remoteAddress, /:/);
  checkMedia(result, 3);
});

await withGateway('video', {}, async (gateway) => {
  const result = await makeCall(browser, gateway, { video: true, seconds: 4 });
  checkMedia(result, 4);
  const picture = result.report.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'video');
  note(`${picture.framesDecoded} frames decoded, ${picture.keyFramesDecoded} key frames; ${JSON.stringify(result.picture)}`);
  assert.ok(picture.framesDecoded > 60, `${picture.framesDecoded} frames decoded`);
  const [red, green, blue] = result.picture.mean;
  assert.ok(red > 150 && green < 80 && blue < 80, `the left half came back as ${result.picture.mean}`);
});

const HOLE_MS = 10;
const longHoles = (heard) => heard.holes.filter((hole) => hole.ms > HOLE_MS);
// What is heard at a switch comes out of the loudspeaker a little later.
const isNear = (hole, rotation) => hole.at > rotation.at - 200 && hole.at < rotation.at + 600;

function checkRotations(result) {
  note(JSON.stringify(result.rotations));
  assert.deepEqual(result.rotations.map((one) => one.reason), ['operator', 'operator', 'time']);
  assert.equal(result.totals.packetsLost, 0);
  for (const record of result.rotations) assert.equal(record.lost, 0);
  for (const what of ['number', 'localFingerprint', 'remoteFingerprint']) {
    assert.equal(new Set(result.generations.map((one) => one[what])).size, 4, `${what} repeats: ${JSON.stringify(result.generations)}`);
  }
  for (const tone of result.tones) assert.ok(Math.abs(tone.frequency - TONE) < 8 && tone.above > 15, JSON.stringify(tone));
}

/*
 * Two rotations that an operator asks for, one by the clock of the policy. A machine that does other things drops sound now and then, so
 * holes near a switch are judged by what a call without rotation has, in the same time, and by the middle of
 * up to three calls.
 */
await withGateway('parallel rotation', { rotation: { period: '16s' } }, async (gateway) => {
  const excess = [];
  while (excess.filter((one) => one <= 0).length < 1 + (excess.length > 1) && excess.length < 3) {
    const control = (await heardDuring(() => makeCall(browser, gateway, { noisy: true, seconds: 3, settleMs: 500 }))).heard;
    const { result, heard } = await heardDuring(() => inPage(browser, gateway, callWithRotations, { asked: 2 }));
    note(`control: ${JSON.stringify(control)}`);
    note(`rotating: ${JSON.stringify(heard)}`);
    checkRotations(result);
    assert.ok(heard.seconds > 10, `only ${heard.seconds} s were heard`);
    const near = longHoles(heard).filter((hole) => result.rotations.some((rotation) => isNear(hole, rotation)));
    excess.push(near.length - Math.ceil((longHoles(control).length * 0.8 * result.rotations.length) / control.seconds));
  }
  const middle = excess.sort((a, b) => a - b)[excess.length >> 1];
  assert.ok(middle <= 0, `holes near a switch that a call without rotation does not have: ${excess}`);
});

// A page of the console; whatever the browser complains about (a policy, a script) is kept.
async function openConsole(address, { prepare } = {}) {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(`${message.text()} ${message.location().url}`));
  await page.setViewport({ width: 1080, height: 930 });
  if (prepare) await page.evaluateOnNewDocument(prepare);
  await page.goto(address);
  return { page, complaints };
}

const waitForState = (page, state) =>
  page.waitForFunction((wanted) => document.getElementById('status').dataset.state === wanted, { timeout: 20000 }, state);

await withGateway('console, by a click', {}, async (gateway) => {
  const { page, complaints } = await openConsole(gateway.address);
  try {
    await page.click('#call');
    const clicked = Date.now();
    await waitForState(page, 'live');
    note(`live ${Date.now() - clicked} ms after the click`);
    await page.waitForFunction(() => /^in /.test(document.getElementById('due').textContent), { timeout: 20000 });
    await new Promise((done) => setTimeout(done, 4000));
    const shown = await page.evaluate(() =>
      Object.fromEntries([...document.querySelectorAll('dd[id], code[id], #agreement')].map((element) => [element.id, element.textContent])));
    note(JSON.stringify(shown));
    const isLoud = await page.evaluate(() => Number(document.getElementById('heard-level').getAttribute('aria-valuenow')) > 0);
    assert.equal(shown.dtls, '1.3');
    assert.equal(shown.suite, 'TLS_AES_128_GCM_SHA256');
    assert.equal(shown.group, 'X25519MLKEM768');
    assert.equal(shown.srtp, 'AEAD_AES_128_GCM');
    assert.equal(shown.lost, '0');
    assert.match(shown['round-trip'], / ms$/);
    assert.match(shown.agreement, /Both ends/);
    assert.ok(isLoud, 'the level meter stands still');
    await page.click('#rotate');
    await page.waitForFunction(() => /Generation 2/.test(document.getElementById('rotations').textContent), { timeout: 20000 });
    if (process.env.KW_PICTURES) {
      await new Promise((done) => setTimeout(done, 3000));
      await page.screenshot({ path: `${process.env.KW_PICTURES}/console-${name}.png` });
    }
    await page.click('#call');
    await waitForState(page, 'idle');
    assert.deepEqual(complaints, []);
  } finally {
    await page.close();
  }
});

await withGateway('console, in words', {}, async (gateway) => {
  const failure = async (page, wanted) => {
    await page.click('#call');
    await waitForState(page, 'failed');
    assert.match(await page.$eval('#failure-title', (element) => element.textContent), wanted);
  };
  const refuse = () => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
  };
  for (const [address, prepare, wanted] of [
    [`${gateway.origin}/#token=wrong`, undefined, /token is not accepted/],
    [gateway.address, refuse, /microphone is not allowed/],
  ]) {
    const { page } = await openConsole(address, { prepare });
    await failure(page, wanted);
    await page.close();
  }
  const { page } = await openConsole(gateway.address);
  await gateway.stop();
  await failure(page, /gateway does not answer/);
  await page.close();
});

await close();
await stopSound();
finish();
process.exit();
