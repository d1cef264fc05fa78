// SPDX-License-Identifier: Apache-2.0
// Two browsers in a room: each changes its keys on its own, and neither notices the other.

import assert from 'node:assert/strict';
import { isInstalled, launch } from './browsers.mjs';
import { pause } from './lab.mjs';
import { holesIn } from './sound.mjs';
import { note } from './tap.mjs';
import { clockOf, drift } from './timecode.mjs';

const ROTATIONS = 2;
const CLOCK_MS = 20;
const STILL_MS = 400; // a key frame is asked for and comes; until then the old picture goes on
const ADDRESS = '/v1/rooms/lounge/calls';

// The longest time without a new frame that touches [from, to].
const longestFreeze = (frames, from, to) =>
  Math.max(...frames.slice(1).map((at, i) => (at > from && frames[i] < to ? at - frames[i] : 0)));

/*
 * `near` speaks the time code and shows a picture; `far` listens and is recorded. First near rotates, then far.
 */
async function talk(lab, gateway, other) {
  const near = await lab.openCall(gateway, { address: ADDRESS, audio: 'code', colour: 'rgb(200, 30, 30)', automatic: false, alone: true });
  const { result, sound } = await lab.heardDuring(async () => {
    const far = await lab.openCall(gateway, { address: ADDRESS, audio: 'silence', colour: 'rgb(30, 30, 200)', automatic: false }, other);
    try {
      await pause(3000);
      const before = await far.account();
      for (let i = 0; i < ROTATIONS; i++) {
        const due = Date.now() + 5000;
        await near.run(() => lab.call.rotate());
        await pause(due - Date.now());
      }
      const after = await far.account();
      const nearAfter = await near.account();
      await far.run(() => lab.call.rotate());
      await pause(1500);
      return { before, after, nearAfter, nearEnd: await near.account(), farEnd: await far.account() };
    } finally {
      await far.close();
      await near.close();
    }
  });
  return { ...result, sound };
}

function checkFar({ before, after, nearAfter, sound }) {
  const moments = nearAfter.rotations.map(({ at }) => at);
  assert.equal(moments.length, ROTATIONS);
  assert.equal(after.connections.length, 1, 'the far end has one connection all the time');
  const [then, now] = [before.connections[0], after.connections[0]];
  const recorded = drift(clockOf(sound.samples, 48000), moments.map((at) => at - sound.began));
  const freezes = moments.map((at) => Math.round(longestFreeze(after.frames, at - 500, at + 2500)));
  note(`far: ${JSON.stringify({ now, recorded })}; still for ${freezes} ms, ${now.keyFramesDecoded - then.keyFramesDecoded} key frames more`);
  note(JSON.stringify(holesIn(sound)));
  note(JSON.stringify([nearAfter.connections, now.inbound]));
  assert.deepEqual(now.ssrcs, then.ssrcs, 'the far end sees other SSRCs');
  assert.deepEqual([now.lost, now.lostThere], [0, 0], 'packets lost');
  for (const one of nearAfter.connections) assert.deepEqual([one.lost, one.lostThere], [0, 0], 'packets lost at the near end');
  assert.ok(now.keyFramesDecoded > then.keyFramesDecoded, 'no key frame came with the new generation');
  assert.ok(Math.max(...freezes) < STILL_MS, `the picture stood still for ${freezes} ms`);
  const [red, green, blue] = after.colour;
  assert.ok(red > 150 && green < 80 && blue < 80, `the near end's picture is ${after.colour}`);
}

export async function room(lab) {
  const others = { chromium: 'firefox', firefox: 'chromium' };
  await lab.withGateway('two browsers in a room', { tenant: { backend: 'bridge' } }, async (gateway) => {
    const other = isInstalled(others[lab.name]) ? await launch(others[lab.name]) : null;
    note(`far: ${other?.version ?? lab.version}`);
    try {
      const result = await talk(lab, gateway, other?.browser);
      checkFar(result);
      // Neither notices the other: near hears nothing of the far end's new keys.
      const { nearAfter, nearEnd, farEnd } = result;
      assert.equal(farEnd.rotations.length, 1);
      assert.deepEqual(nearEnd.connections.at(-1).ssrcs, nearAfter.connections.at(-1).ssrcs);
      assert.equal(nearEnd.totals.packetsLost + farEnd.totals.packetsLost, 0);
    } finally {
      await other?.close();
    }
  });
}
