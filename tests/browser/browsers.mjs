// SPDX-License-Identifier: Apache-2.0
// Starts Debian's Chromium and Firefox without any loopback flag, and ends them with everything they left.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

export const BROWSERS = {
  chromium: { executable: '/usr/bin/chromium', launch: launchChromium },
  firefox: { executable: '/usr/bin/firefox-esr', launch: launchFirefox },
};

export function isInstalled(name) {
  return existsSync(BROWSERS[name].executable);
}

// What the fake devices need is asked for; what a person would have to answer is answered.
// Nothing here concerns addresses, candidates, cryptography or autoplay.
async function launchChromium({ profile }) {
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

// A sound server with a null sink: without one Firefox's AudioContext never starts.
async function startSound() {
  const folder = mkdtempSync(join(tmpdir(), 'kw-sound-'));
  const socket = join(folder, 'native');
  const child = spawn('pulseaudio', [
    '-n', '--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '--disable-shm=yes', '--log-level=error',
    '--load=module-null-sink sink_name=null rate=48000',
    `--load=module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
  ], {
    stdio: 'ignore',
    env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder, PULSE_RUNTIME_PATH: folder, DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
  });
  for (let i = 0; i < 100 && !existsSync(socket); i++) await new Promise((done) => setTimeout(done, 50));
  return {
    server: `unix:${socket}`,
    stop: () => endChild(child).then(() => rmSync(folder, { recursive: true, force: true })),
  };
}

// Ends one child of ours, politely first.
export async function endChild(child, patience = 5000) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  await ended;
  clearTimeout(timer);
}

let sound = null;

// A fresh browser with a fresh profile: {browser, version, close}.
export async function launch(name, { preferences = {} } = {}) {
  sound ??= await startSound();
  process.env.PULSE_SERVER = sound.server;
  const profile = mkdtempSync(join(tmpdir(), `kw-${name}-`));
  const browser = await BROWSERS[name].launch({ profile, preferences });
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

export async function stopSound() {
  await sound?.stop();
  sound = null;
}
