// SPDX-License-Identifier: Apache-2.0
// One browser against keywheeld: in-namespace node suite.mjs BROWSER

import assert from 'node:assert/strict';
import { launch, stopSound } from './browsers.mjs';
import { startGateway } from './gateway.mjs';
import { callWithTone, installLab } from './in-page.mjs';
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

async function makeCall(browser, gateway, options) {
  const page = await openPage(browser, gateway.origin + '/');
  try {
    const result = await page.evaluate(callWithTone, { token: gateway.token, frequency: TONE, seconds: SECONDS, ...options });
    assert.equal(result.error, undefined, `${result.error} ${JSON.stringify(result.states)}\n${gateway.log()}`);
    return result;
  } finally {
    await page.close();
  }
}

export function checkMedia(result, seconds) {
  const { before, after } = result;
  const sent = after.totals.packetsSent - before.totals.packetsSent;
  const received = after.totals.packetsReceived - before.totals.packetsReceived;
  note(`${sent} packets sent, ${received} received in ${seconds} s, lost ${after.totals.packetsLost}, round trip ${after.generation.roundTripMs} ms`);
  assert.ok(sent > seconds * 45, `${sent} packets sent in ${seconds} s`);
  assert.ok(received > seconds * 45, `${received} packets received in ${seconds} s`);
  assert.equal(after.totals.packetsLost, 0);
  assert.ok(Math.abs(result.tone.frequency - TONE) < 8 && result.tone.above > 30, `the tone: ${JSON.stringify(result.tone)}`);
}

const { browser, version, close } = await launch(name);
note(version);
const step2 = (title, run) => (!only || only.test(title) ? step(`${name}: ${title}`, run) : undefined);

await step2('call', async () => {
  const gateway = await startGateway();
  try {
    const result = await makeCall(browser, gateway, {});
    note(JSON.stringify(result.after.generation, null, 1));
    note(JSON.stringify(result.described));
    note(`first packet back ${result.firstPacketMs.toFixed(0)} ms; ${JSON.stringify(result.states)}`);
    checkMedia(result, SECONDS);
  } finally {
    await gateway.stop();
  }
});
await close();
await stopSound();
finish();
process.exit();
