// SPDX-License-Identifier: Apache-2.0
// The console as a person meets it.

import assert from 'node:assert/strict';
import { note } from './tap.mjs';

// A page of the console; whatever the browser complains about (a policy, a script) is kept.
async function openConsole({ browser }, address, { prepare } = {}) {
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

// As wide as a desk and as wide as a phone: nothing sticks out. KW_PICTURES=FOLDER keeps what it looked like.
async function looksRight(page, name) {
  for (const [what, width, height] of [['console', 1080, 930], ['console-phone', 390, 844]]) {
    await page.setViewport({ width, height });
    await new Promise((done) => setTimeout(done, 1200));
    const [inner, wanted] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.ok(wanted <= inner, `${what}: ${wanted} pixels on ${inner}`);
    if (process.env.KW_PICTURES) await page.screenshot({ path: `${process.env.KW_PICTURES}/${what}-${name}.png`, fullPage: true });
  }
}

export async function consoleSteps(lab) {
  await lab.withGateway('console, by a click', {}, async (gateway) => {
    const { page, complaints } = await openConsole(lab, gateway.address);
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
      const wheel = await page.evaluate(() => ({
        rotations: document.getElementById('rotations').innerText,
        timeline: [...document.getElementById('timeline').children].map((span) => span.textContent),
      }));
      note(JSON.stringify(wheel));
      assert.match(wheel.rotations, /Generation 2: you asked/);
      assert.match(wheel.rotations, /lost\s+0 packets/);
      assert.match(wheel.rotations, /interrupted\s+(\d+(\.\d)? ms|not counted here)/);
      assert.deepEqual(wheel.timeline, ['1', '2']);
      await page.waitForFunction(() => document.getElementById('generation').textContent === '2', { timeout: 5000 });
      await looksRight(page, lab.name);
      await page.click('#call');
      await waitForState(page, 'idle');
      assert.deepEqual(complaints, []);
    } finally {
      await page.close();
    }
  });

  await lab.withGateway('console, in words', {}, async (gateway) => {
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
      const { page } = await openConsole(lab, address, { prepare });
      await failure(page, wanted);
      await page.close();
    }
    const { page } = await openConsole(lab, gateway.address);
    await gateway.stop();
    await failure(page, /gateway does not answer/);
    await page.close();
  });
}
