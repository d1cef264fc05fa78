// SPDX-License-Identifier: Apache-2.0
// Starts Debian's Chromium and Firefox without any loopback flag, and ends them with everything they left.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { startSound } from './sound.mjs';

export const BROWSERS = {
  chromium: { executable: '/usr/bin/chromium', launch: launchChromium },
  firefox: { executable: '/usr/bin/firefox-esr', launch: launchFirefox },
};

export function isInstalled(name) {
  return existsSync(BROWSERS[name].executable);
}

// What the fake devices need is asked for; what a person would have to answer is answered.
// Nothing here concerns addresses, candidates, cryptography or autoplay.
async function launchChromium({ profile, flags }) {
  return puppeteer.launch({
    executablePath: BROWSERS.chromium.executable,
    headless: true,
    userDataDir: profile,
    ignoreDefaultArgs: ['--mute-audio'], // a muted page has nothing to record
    args: [
      '--no-sandbox', // root in a container has no other way
      '--disable-gpu',
      '--disable-quic',
      '--disable-sync',
      '--disable-component-update',
      '--disable-background-networking',
      '--no-first-run',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      ...flags,
    ],
  });
}

async function launchFirefox({ profile, preferences }) {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: BROWSERS.firefox.executable,
    headless: true,
    userDataDir: profile,
    extraPrefsFirefox: {
      'media.navigator.permission.disabled': true, // the prompt cannot be clicked in a headless window
      'media.navigator.streams.fake': true,
      'datareporting.policy.dataSubmissionEnabled': false,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
      ...preferences,
    },
  });
}

// A fresh browser with a fresh profile: {browser, version, close}.
export async function launch(name, { preferences = {}, flags = [] } = {}) {
  await startSound();
  const profile = mkdtempSync(join(tmpdir(), `kw-${name}-`));
  const browser = await BROWSERS[name].launch({ profile, preferences, flags });
  return {
    browser,
    version: await browser.version(),
    async close() {
      await Promise.race([browser.close(), new Promise((done) => setTimeout(done, 10000))]);
      browser.process()?.kill('SIGKILL');
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
