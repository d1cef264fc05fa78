// SPDX-License-Identifier: Apache-2.0
// What the steps of the suite have in common: one browser, a gateway for each step, calls in pages, sound.

import assert from 'node:assert/strict';
import { launch } from './browsers.mjs';
import { startGateway } from './gateway.mjs';
import { account, closeCall, installLab, openCall } from './in-page.mjs';
import { record, stopSound } from './sound.mjs';
import { note, step } from './tap.mjs';
import { codeBits, codeSamples } from './timecode.mjs';

export const FULL = process.env.KW_FULL === '1';
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A call in a page of its own.
class Call {
  constructor(page, opened) {
    this.page = page;
    Object.assign(this, opened);
  }

  run(what, options) {
    return this.page.evaluate(what, options);
  }

  account() {
    return this.page.evaluate(account);
  }

  async close() {
    await this.page.evaluate(closeCall).catch(() => {});
    await this.page.close();
  }
}

export class Lab {
  constructor(name, only) {
    this.name = name;
    this.only = only;
  }

  async open() {
    Object.assign(this, await launch(this.name));
    note(this.version);
  }

  async end() {
    await this.close();
    await stopSound();
  }

  // One step. No step depends on what another left behind.
  async step(title, run) {
    if (!this.only || this.only.test(title)) await step(`${this.name}: ${title}`, run);
  }

  // Something with a gateway of its own, which is told when it fails.
  async runWithGateway(how, run) {
    const gateway = await startGateway(how);
    try {
      await run(gateway);
    } catch (error) {
      note(gateway.log());
      throw error;
    } finally {
      await gateway.stop();
    }
  }

  withGateway(title, how, run) {
    return this.step(title, () => this.runWithGateway(how, run));
  }

  async openPage(address, browser = this.browser) {
    const page = await browser.newPage();
    await page.goto(address);
    await page.evaluate(installLab);
    await page.evaluate(`Object.assign(lab, { codeSamples: ${codeSamples}, codeBits: ${JSON.stringify(codeBits)} })`);
    await page.click('h1'); // a gesture, as a person would make
    return page;
  }

  async openCall(gateway, options, browser) {
    const page = await this.openPage(gateway.origin + '/', browser);
    const opened = await page.evaluate(openCall, { token: gateway.token, ...options });
    assert.equal(opened.error, undefined);
    return new Call(page, opened);
  }

  async withCall(gateway, options, run) {
    const call = await this.openCall(gateway, options);
    try {
      return await run(call);
    } finally {
      await call.close();
    }
  }

  // What the loudspeaker played meanwhile: {result, sound}.
  async heardDuring(run) {
    const recorder = record();
    try {
      const result = await run();
      return { result, sound: await recorder.stop() };
    } finally {
      await recorder.stop();
    }
  }
}

/*
 * A machine that does other things drops sound now and then: what is a matter of time is judged by the middle
 * of up to three runs, or of exactly three in the long campaign. Each run says by how much it missed; 0 or less
 * is good.
 */
export async function middleOfRuns(run) {
  const misses = [];
  const isDecided = () => {
    const good = misses.filter((one) => one <= 0).length;
    return !FULL && (good > misses.length / 2 || misses.length - good > 1);
  };
  while (misses.length < 3 && !isDecided()) misses.push(await run());
  return { misses, middle: [...misses].sort((a, b) => a - b)[misses.length >> 1] };
}
