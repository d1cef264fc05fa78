// SPDX-License-Identifier: Apache-2.0
// Keys that change every five seconds under a signal that says what time it is.

import assert from 'node:assert/strict';
import { continuity, decode, longestPause, startAgent } from './agent.mjs';
import { awaitRotations } from './in-page.mjs';
import { FULL, middleOfRuns, pause } from './lab.mjs';
import { holesIn } from './sound.mjs';
import { note } from './tap.mjs';
import { clockOf, drift } from './timecode.mjs';

const ROTATIONS = FULL ? 12 : 3;
const CONTROL_S = FULL ? 30 : 6;
const LIMIT_MS = 6000; // due after 4.5 to 5.7 s
const CLOCK_MS = 20;
const HOLE_MS = 10;
const RESTART_MS = 50;
// The gateway cuts within 3 s of the switch; what is heard changes at once and leaves the loudspeaker a little later.
const NEAR = { agent: [-200, 3000], ear: [-200, 800] };

// One call with the time code towards an agent: what both ends count, what the agent and the ear hear.
async function listen(lab, gateway, agent, meanwhile, { automatic = true } = {}) {
  agent.packets.length = 0;
  const { result, sound } = await lab.heardDuring(() =>
    lab.withCall(gateway, { audio: 'code', automatic }, async (call) => {
      await pause(1000);
      await meanwhile(call);
      const after = await call.account();
      return { ...after, liveAt: call.liveAt, packets: agent.packets.filter(({ at }) => at < after.at) };
    }));
  const page = await lab.openPage(gateway.origin + '/');
  const spoken = await decode(page, result.packets);
  await page.close();
  return { ...result, agent: heard(spoken, result), ear: heard(sound, result) };
}

function heard(recording, { rotations }) {
  const moments = rotations.map(({ at }) => at - recording.began);
  return { ...drift(clockOf(recording.samples, 48000), moments), ...holesIn(recording) };
}

// What holds in every call, whatever else the machine does.
function checkGenerations({ rotations, connections, totals, packets, described }) {
  note(JSON.stringify(rotations));
  assert.equal(connections.length, rotations.length + 1);
  for (const one of connections) {
    assert.deepEqual([one.lost, one.lostThere], [0, 0], `packets lost: ${JSON.stringify(one)}`);
    assert.ok(one.received > 100 && one.sent > 100, JSON.stringify(one));
  }
  assert.equal(totals.packetsLost, 0);
  for (const side of ['localFingerprint', 'remoteFingerprint']) {
    const prints = connections.map((one) => one[side]);
    assert.ok(prints.every((one) => /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/i.test(one)), `${side}: ${prints}`);
    assert.equal(new Set(prints).size, prints.length, `${side} repeats: ${prints}`);
  }
  const here = connections.at(-1);
  const there = described.generations.find(({ current }) => current);
  assert.equal(there.peerFingerprint.toUpperCase(), `SHA-256 ${here.localFingerprint}`.toUpperCase());
  assert.equal(there.ourFingerprint.toUpperCase(), `SHA-256 ${here.remoteFingerprint}`.toUpperCase());
  assert.deepEqual(continuity(packets), { ssrcs: 1, lost: 0, repeated: 0, backwards: 0, steps: [960] });
}

// Holes near a switch beyond what a call without rotation has in the same time.
function excess(which, rotating, control) {
  const [from, to] = NEAR[which];
  const long = (list) => list.filter(({ ms }) => ms > HOLE_MS);
  const near = long(rotating[which].holes).filter((hole) =>
    rotating.rotations.some(({ at }) => hole.at > at + from && hole.at < at + to));
  const seconds = ((to - from) / 1000) * rotating.rotations.length;
  return near.length - Math.ceil((long(control[which].holes).length * seconds) / control[which].seconds);
}

async function rotateInParallel(lab) {
  const agent = await startAgent();
  // With grace, so that the control call goes on although it never rotates.
  const tenant = { backend: 'rtp', 'rtp-target': agent.target, rotation: `{period: ${LIMIT_MS / 1000}s, at-limit: {grace: 5m}}` };
  try {
    const clocks = [];
    const ears = [];
    await lab.withGateway('parallel rotation every 5 s', { tenant }, async (gateway) => {
      const { misses, middle } = await middleOfRuns(async () => {
        const control = await listen(lab, gateway, agent, () => pause(1000 * CONTROL_S), { automatic: false });
        const rotating = await listen(lab, gateway, agent, async (call) => {
          await call.run(awaitRotations, { count: ROTATIONS, patienceMs: 8000 * ROTATIONS });
          // The next one may be due within the pause.
          await call.run(() => { lab.call.automatic = false; });
          await pause(2500);
        });
        for (const which of ['agent', 'ear']) {
          note(`control, ${which}: ${JSON.stringify(control[which])}`);
          note(`rotating, ${which}: ${JSON.stringify(rotating[which])}`);
        }
        checkGenerations(rotating);
        assert.deepEqual(rotating.rotations.map(({ reason }) => reason), Array(ROTATIONS).fill('time'));
        // The gateway leaves a generation's keys when it switches to the next; what is heard follows 0.5 s later.
        const switches = rotating.log.filter(({ name, generation }) => name === 'switched' && generation > 1).map(({ at }) => at);
        assert.equal(switches.length, ROTATIONS);
        for (const [i, at] of switches.entries()) {
          const age = at - (i ? switches[i - 1] : rotating.liveAt);
          assert.ok(age < LIMIT_MS, `keys of ${age} ms; the limit is ${LIMIT_MS}`);
        }
        assert.ok(rotating.agent.decoded > 0.97, `of the code the agent can read ${rotating.agent.decoded}`);
        const clock = Math.max(...[rotating.agent.worst, rotating.agent.atEnd, ...rotating.agent.atSwitches].map(Math.abs));
        clocks.push(clock);
        ears.push(rotating.ear.worst);
        return Math.max(excess('agent', rotating, control), excess('ear', rotating, control), clock <= CLOCK_MS ? 0 : clock - CLOCK_MS);
      });
      note(`${ROTATIONS} rotations, ${misses.length} runs: the agent's clock was off by ${clocks} ms at most, what was heard by ${ears} ms; missed by ${misses}`);
      assert.ok(middle <= 0, `the clock, or holes near a switch that a call without rotation does not have: ${misses}`);
    });
  } finally {
    agent.stop();
  }
}

/*
 * New keys on the same connection. The gateway's last packet under the old keys and its first under the new
 * ones reach the agent at once, so their distance is the interruption.
 */
async function restartKeys(lab) {
  const agent = await startAgent();
  const tenant = { backend: 'rtp', 'rtp-target': agent.target };
  try {
    await lab.withGateway('restart', { tenant }, async (gateway) => {
      const marks = [];
      const result = await listen(lab, gateway, agent, async (call) => {
        for (let i = 0; i < 3; i++) {
          const began = Date.now();
          await call.run(() => lab.call.rotate({ method: 'restart' }));
          await pause(2500);
          marks.push([began, Date.now() - 1500]);
        }
      }, { automatic: false });
      const gaps = marks.map(([from, to]) => Math.round(longestPause(result.packets, from, to).ms));
      note(JSON.stringify(result.rotations));
      note(`interrupted at the gateway for ${gaps} ms; ${JSON.stringify(continuity(result.packets))}`);
      note(`agent: ${JSON.stringify(result.agent)}`);
      note(`ear: ${JSON.stringify(result.ear)}`);
      assert.equal(result.rotations.length, 3);
      assert.equal(result.connections.length, 1, 'it is one connection');
      const there = result.described.generations.find(({ current }) => current);
      assert.equal(there.method, 'restart');
      assert.equal(there.generation, 4);
      assert.equal(there.ourFingerprint.toUpperCase(), `SHA-256 ${result.generation.remoteFingerprint}`);
      const numbers = continuity(result.packets);
      assert.deepEqual([numbers.ssrcs, numbers.repeated, numbers.backwards], [1, 0, 0]);
      assert.ok(result.agent.worst <= 1, `the same encoder, yet its clock moved by ${result.agent.worst} ms`);
      const middle = [...gaps].sort((a, b) => a - b)[1];
      assert.ok(middle <= RESTART_MS, `interrupted for ${gaps} ms`);
    });
  } finally {
    agent.stop();
  }
}

// A browser that would fall silent is not asked.
async function refuseRestart(lab) {
  await lab.withGateway('restart is refused', {}, async (gateway) => {
    await lab.withCall(gateway, { audio: 440 }, async (call) => {
      const code = await call.run(() => lab.call.rotate({ method: 'restart' }).then(() => 'rotated', (error) => error.code));
      assert.equal(code, 'unsupported');
      await pause(500);
      const before = await call.account();
      await pause(1000);
      const after = await call.account();
      assert.ok(after.totals.packetsReceived - before.totals.packetsReceived > 40, 'media went on');
    });
  });
}

export async function rotation(lab) {
  await rotateInParallel(lab);
  if (lab.name === 'chromium') await restartKeys(lab);
  else await refuseRestart(lab);
}
