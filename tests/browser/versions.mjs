// SPDX-License-Identifier: Apache-2.0
// Browsers that are told what to offer: in-namespace node versions.mjs BROWSER [STEPS]
//
// ML-KEM switched off, a share of x25519 alone, and Firefox with DTLS 1.2 as its highest version: refused, with the rule
// named, and admitted by an exception that names it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { launch } from './browsers.mjs';
import { startGateway } from './gateway.mjs';
import { stopSound } from './sound.mjs';
import { finish, note, step } from './tap.mjs';

const [, , name, steps] = process.argv;
const only = steps && new RegExp(steps);
const TOKEN = 'browser-versions-token';
const AUDIT_MS = 5000; // facts are stored by another thread

// Runs in the page: a call of two seconds, or why there was none.
async function callOnce({ token, seconds }) {
  const { KeywheelCall } = await import('/keywheel.js');
  const context = new AudioContext();
  await context.resume();
  const tone = context.createOscillator();
  const out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  const call = new KeywheelCall({ url: '/v1/calls', token, stream: out.stream });
  const heard = [];
  call.addEventListener('gateway', ({ detail }) => heard.push(detail));
  try {
    await call.start();
    await new Promise((done) => setTimeout(done, seconds * 1000));
    return { ...(await call.stats()), described: await call.describe(), heard };
  } catch (error) {
    return { error: { code: error.code, message: error.message, rule: error.rule }, heard };
  } finally {
    await call.stop();
    await context.close();
  }
}

// A tenant like the demo's, with an audit that can be read and what the step adds.
function configure(folder, more) {
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`, { mode: 0o600 });
  const lines = [`data: ${folder}/data`, 'tenants:', '  - name: demo', `    token-file: ${folder}/token`, ...more.map((line) => `    ${line}`)];
  writeFileSync(join(folder, 'versions.yaml'), lines.join('\n') + '\n');
  return join(folder, 'versions.yaml');
}

// The facts of the last session.
function auditOf(folder) {
  const program = process.env.KW_CLI ?? join(dirname(dirname(process.env.KW_GATEWAY)), 'cli', 'keywheel');
  const audit = (...words) => JSON.parse(execFileSync(program, ['audit', ...words, '--json', '--tenant', 'demo', '--data', join(folder, 'data')], { encoding: 'utf8' }));
  const session = audit('list').at(-1)?.session;
  return session ? audit('show', session) : [];
}

// A fact of that type, once it is stored.
async function factOf(folder, type) {
  for (const until = Date.now() + AUDIT_MS; ; await new Promise((done) => setTimeout(done, 100))) {
    const facts = auditOf(folder);
    const found = facts.find((fact) => fact.type === type);
    if (found) return found;
    assert.ok(Date.now() < until, `the audit has no ${type}: ${JSON.stringify(facts)}`);
  }
}

// A step is a browser of its own and a gateway of its own.
async function withBrowser(title, { browser: how, tenant = [] }, run) {
  if (only && !only.test(title)) return;
  await step(`${name}: ${title}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kw-versions-'));
    process.env.KW_GATEWAY_TOKEN = TOKEN;
    const gateway = await startGateway({ options: ['--config', configure(folder, tenant)] });
    const { browser, version, close } = await launch(name, how);
    try {
      note(version);
      const page = await browser.newPage();
      await page.goto(`${gateway.origin}/`);
      await page.click('h1'); // a gesture, as a person would make
      await run({ gateway, folder, browser, call: () => page.evaluate(callOnce, { token: TOKEN, seconds: 3 }) });
    } finally {
      await close();
      await gateway.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function checkCall(result, wanted) {
  assert.equal(result.error, undefined, JSON.stringify(result));
  const theirs = result.described.generations.find((one) => one.current);
  note(JSON.stringify([result.generation, theirs]));
  assert.deepEqual({ dtls: theirs.dtls, group: theirs.group, retried: theirs.retried }, wanted);
  assert.equal(result.generation.dtlsVersion, wanted.dtls === 'DTLS 1.2' ? 'FEFD' : 'FEFC');
  assert.match(theirs.srtp, /AEAD_AES_128_GCM/);
  assert.ok(result.totals.packetsSent > 50 && result.totals.packetsReceived > 50, JSON.stringify(result.totals));
  assert.equal(result.totals.packetsLost, 0);
}

// The page is told the rule, and the audit has it.
async function checkRefusal(result, folder, alert) {
  const fact = await factOf(folder, 'refused');
  note(JSON.stringify([result, fact]));
  assert.deepEqual([result.error?.code, result.error?.rule], ['refused', 'no-common-terms']);
  assert.ok(result.error.message.includes(alert), result.error.message);
  assert.deepEqual([fact.rule, fact.alert], ['no-common-terms', alert]);
}

const withoutHybrid = {
  chromium: { flags: ['--disable-features=WebRtcPqcForDtls'] },
  firefox: { preferences: { 'media.webrtc.enable_pq_hybrid_kex': false } },
}[name];

await withBrowser('with ML-KEM, as it comes', {}, async ({ call }) => {
  checkCall(await call(), { dtls: 'DTLS 1.3', group: 'X25519MLKEM768', retried: false });
});

await withBrowser('without ML-KEM', { browser: withoutHybrid }, async ({ call }) => {
  checkCall(await call(), { dtls: 'DTLS 1.3', group: 'x25519', retried: false });
});

await withBrowser('without ML-KEM, where the policy wants it', { browser: withoutHybrid, tenant: ['preset: pq'] }, async ({ call, folder }) => {
  const result = await call();
  await checkRefusal(result, folder, 'handshake_failure');
});

if (name === 'firefox') {
  const lateShare = { preferences: { 'media.webrtc.send_mlkem_keyshare': false } };
  const old = { preferences: { 'media.peerconnection.dtls.version.min': 771, 'media.peerconnection.dtls.version.max': 771 } };

  await withBrowser('ML-KEM without a share of it', { browser: lateShare }, async ({ call }) => {
    checkCall(await call(), { dtls: 'DTLS 1.3', group: 'x25519', retried: false });
  });

  await withBrowser('ML-KEM without a share of it, where the policy wants it', { browser: lateShare, tenant: ['preset: pq'] }, async ({ call }) => {
    checkCall(await call(), { dtls: 'DTLS 1.3', group: 'X25519MLKEM768', retried: true });
  });

  await withBrowser('DTLS 1.2 at most, refused', { browser: old }, async ({ call, folder, browser, gateway }) => {
    const result = await call();
    await checkRefusal(result, folder, 'protocol_version');
    const page = await browser.newPage();
    await page.goto(`${gateway.origin}/#token=${TOKEN}`);
    await page.click('#call');
    await page.waitForFunction(() => document.getElementById('status').dataset.state === 'failed', { timeout: 30000 });
    const words = await page.evaluate(() => document.getElementById('failure-title').parentElement.textContent.replace(/\s+/g, ' '));
    note(words);
    assert.match(words, /The policy refused this call\..*\(protocol_version\)\..*Rule: no-common-terms\./);
  });

  const exception = [
    'exceptions:', '  - name: old-firefox', '    reason: a browser that is told to speak no more than DTLS 1.2', '    expires: 2099-01-01',
    '    network: 127.0.0.0/8', '    allow: [dtls-1.2]',
  ];
  await withBrowser('DTLS 1.2 at most, by an exception', { browser: old, tenant: exception }, async ({ call, folder }) => {
    const result = await call();
    checkCall(result, { dtls: 'DTLS 1.2', group: 'x25519', retried: false });
    const used = await factOf(folder, 'exception-used');
    assert.deepEqual([used.name, used.what], ['old-firefox', 'DTLS 1.2']);
    assert.equal((await factOf(folder, 'generation-established')).dtls_version, 'DTLS 1.2');
  });
}

await stopSound();
finish();
process.exit();
