// SPDX-License-Identifier: Apache-2.0
// TAP for a handful of steps that follow each other.

import { inspect } from 'node:util';

let count = 0;
let failures = 0;

export const note = (text) => console.log(String(text).replace(/^/gm, '# '));

export async function step(title, run) {
  count++;
  const began = Date.now();
  try {
    await run();
    console.log(`ok ${count} - ${title}`);
  } catch (error) {
    failures++;
    console.log(`not ok ${count} - ${title}`);
    note(error.stack ?? inspect(error));
  }
  note(`${((Date.now() - began) / 1000).toFixed(1)} s`);
}

export function skip(title, reason) {
  count++;
  console.log(`ok ${count} - ${title} # SKIP ${reason}`);
}

export function finish() {
  console.log(`1..${count}`);
  process.exitCode = failures ? 1 : 0;
}
