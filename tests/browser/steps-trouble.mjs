// SPDX-License-Identifier: Apache-2.0
// What goes wrong around a call, and what keywheel.js makes of it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { awaitRotations } from './in-page.mjs';
import { pause } from './lab.mjs';
import { note } from './tap.mjs';

const TONE = 1234;
const GATEWAY_AT = '203.0.113.1'; // on the loopback device: the gateway has it, a browser does not offer it
const tenant = { backend: 'echo' };

const ip = (...words) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });

const since = (log, from) => log.filter(({ at }) => at >= from);
const statesOf = (log) => log.filter(({ type }) => type === 'state').map(({ state }) => state);

// Packets that came back within a second from now.
async function flow(call) {
  const before = await call.account();
  await pause(1000);
  const after = await call.account();
  return { sent: after.totals.packetsSent - before.totals.packetsSent, received: after.totals.packetsReceived - before.totals.packetsReceived };
}

async function assertFlows(call, what) {
  const { sent, received } = await flow(call);
  assert.ok(sent > 40 && received > 40, `${what}: ${sent} packets sent, ${received} received in a second`);
}

/*
 * Requests for a generation that vanish or are refused: the old keys go on, and the third attempt succeeds by
 * itself. What was asked for is not forgotten: the record has the reason.
 */
async function failedRotations(lab, gateway) {
  await lab.withCall(gateway, { audio: TONE, faults: ['vanish', 503] }, async (call) => {
    await pause(500);
    const asked = await call.run(() => lab.call.rotate({ reason: 'operator' }).then(() => 'rotated', (error) => error.code));
    assert.equal(asked, 'unreachable');
    await assertFlows(call, 'after a failed rotation');
    await call.run(awaitRotations, { count: 1, patienceMs: 15000 });
    const after = await call.account();
    const failed = after.log.filter(({ type }) => type === 'rotationfailed');
    note(JSON.stringify([failed, after.rotations]));
    assert.deepEqual(failed.map(({ error }) => error), ['unreachable', 'busy']);
    assert.ok(failed[0].retryMs >= 800 && failed[0].retryMs <= 1200, `${failed[0].retryMs}`);
    assert.equal(failed[1].retryMs, 1000, 'Retry-After');
    assert.deepEqual(after.rotations.map(({ generation, reason }) => [generation, reason]), [[2, 'operator']]);
    assert.equal(after.totals.packetsLost, 0);
    assert.ok(!statesOf(since(after.log, call.liveAt)).length, 'the call was live all the time');
    await assertFlows(call, 'with the new keys');
  });
}

/*
 * The browser's address goes away and another one comes, as when a phone changes from one network to another: new
 * ICE credentials for the same keys.
 */
async function networkChange(lab, gateway) {
  await lab.withCall(gateway, { audio: TONE, only: GATEWAY_AT }, async (call) => {
    await pause(500);
    const before = await call.account();
    assert.equal(before.generation.remoteAddress, GATEWAY_AT);
    const from = Date.now();
    ip('addr', 'del', '192.0.2.1/24', 'dev', 'kw0');
    ip('addr', 'add', '192.0.2.77/24', 'dev', 'kw0');
    ip('route', 'replace', 'default', 'via', '192.0.2.254', 'dev', 'kw0');
    try {
      await call.run(() => lab.until(() => lab.log.some(({ state }) => state === 'reconnecting'), 20000, 'the path breaks'));
      await call.run(() => lab.until(() => lab.call.state === 'live', 30000, `a new path; ${JSON.stringify(lab.log)}`));
      await assertFlows(call, 'on the new network');
      const after = await call.account();
      const log = since(after.log, from);
      const took = log.filter(({ state }) => state === 'live').at(-1).at - from;
      const there = after.described.generations.find(({ current }) => current);
      note(`${Math.round(took)} ms from the loss of the address to live; ${there.remote}`);
      assert.deepEqual(statesOf(log), ['reconnecting', 'live']);
      assert.equal(after.resource, before.resource, 'it is the same call');
      assert.equal(there.generation, 1, 'the keys are the same');
      assert.equal(there.ourFingerprint, before.described.generations[0].ourFingerprint);
      assert.match(there.remote, /^192\.0\.2\.77:/);
      assert.equal(log.filter(({ type }) => type === 'newcall').length, 0);
      // And the wheel still turns.
      await call.run(() => lab.call.rotate());
      await assertFlows(call, 'after a rotation on the new network');
    } finally {
      ip('addr', 'del', '192.0.2.77/24', 'dev', 'kw0');
      ip('addr', 'add', '192.0.2.1/24', 'dev', 'kw0');
      ip('route', 'replace', 'default', 'via', '192.0.2.254', 'dev', 'kw0');
    }
  });
}

// The gateway dies without a word and comes back knowing nothing: a new call, and the page is told.
async function gatewayRestart(lab, gateway) {
  await lab.withCall(gateway, { audio: TONE }, async (call) => {
    await pause(500);
    const before = await call.account();
    const from = Date.now();
    await gateway.kill();
    await pause(500);
    await gateway.startAgain();
    await call.run(() => lab.until(() => lab.log.some(({ type }) => type === 'newcall'), 40000, `a new call; ${JSON.stringify(lab.log)}`));
    await assertFlows(call, 'in the new call');
    const after = await call.account();
    const log = since(after.log, from);
    note(`${Math.round(log.find(({ type }) => type === 'newcall').at - from)} ms from the end of the gateway to the new call; ${JSON.stringify(statesOf(log))}`);
    assert.notEqual(after.resource, before.resource);
    assert.deepEqual(statesOf(log).filter((state) => state === 'reconnecting' || state === 'live'), ['reconnecting', 'live']);
    assert.equal(after.state, 'live');
    assert.equal(after.described.state, 'up');
    assert.equal(after.described.generations.length, 1);
    await call.run(() => lab.call.rotate());
    await assertFlows(call, 'after a rotation in the new call');
  });
}

export async function trouble(lab) {
  await lab.withGateway('a rotation that fails is tried again', { tenant }, (gateway) => failedRotations(lab, gateway));
  await lab.step('the network changes', async () => {
    ip('addr', 'replace', `${GATEWAY_AT}/32`, 'dev', 'lo');
    await lab.runWithGateway({ tenant, options: ['--advertise', GATEWAY_AT] }, (gateway) => networkChange(lab, gateway));
  });
  await lab.withGateway('the gateway is started anew', { tenant }, (gateway) => gatewayRestart(lab, gateway));
}
