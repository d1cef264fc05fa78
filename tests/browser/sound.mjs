// SPDX-License-Identifier: Apache-2.0
// A sound server of our own, and what a person would have heard from it.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RATE = 48000;
const WINDOW = RATE / 1000; // a millisecond

// Ends one child of ours, politely first.
export async function endChild(child, patience = 5000) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  await ended;
  clearTimeout(timer);
}

let server = null;

// A null sink: without one Firefox's AudioContext never starts. Sets PULSE_SERVER for our children.
export async function startSound() {
  if (server) return;
  const folder = mkdtempSync(join(tmpdir(), 'kw-sound-'));
  const socket = join(folder, 'native');
  const child = spawn('pulseaudio', [
    '-n', '--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '--disable-shm=yes', '--log-level=error',
    `--load=module-null-sink sink_name=heard rate=${RATE} channels=1`,
    `--load=module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
  ], {
    stdio: 'ignore',
    env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder, PULSE_RUNTIME_PATH: folder, DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
  });
  server = { child, folder };
  for (let i = 0; i < 100 && !existsSync(socket); i++) await new Promise((done) => setTimeout(done, 50));
  process.env.PULSE_SERVER = `unix:${socket}`;
}

export async function stopSound() {
  if (!server) return;
  await endChild(server.child);
  rmSync(server.folder, { recursive: true, force: true });
  server = null;
}

// Records everything that is played until stop(), which returns {samples, began}.
export function record() {
  const child = spawn('parec', ['--device=heard.monitor', '--format=s16le', `--rate=${RATE}`, '--channels=1', '--latency-msec=20'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const chunks = [];
  let began = 0; // wall clock of the first sample
  child.stdout.on('data', (chunk) => {
    began ||= Date.now() - chunk.length / (2 * WINDOW);
    chunks.push(chunk);
  });
  return {
    async stop() {
      await endChild(child);
      const bytes = Buffer.concat(chunks);
      const samples = new Int16Array(bytes.length >> 1);
      for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(2 * i);
      return { samples, began };
    },
  };
}

/*
 * The silences in a steady tone: [{at, ms}], at in milliseconds since 1970. The first second (a jitter buffer
 * finding its size) and the last half (the end of the call) do not count.
 */
export function holesIn({ samples, began }, shortestMs = 3) {
  const loudness = [];
  for (let i = 0; i + WINDOW <= samples.length; i += WINDOW) {
    let sum = 0;
    for (let j = i; j < i + WINDOW; j++) sum += samples[j] * samples[j];
    loudness.push(Math.sqrt(sum / WINDOW));
  }
  const median = loudness.filter((one) => one > 50).sort((a, b) => a - b)[Math.floor(loudness.filter((one) => one > 50).length / 2)] ?? 0;
  const isLoud = (one) => one > median / 4;
  const first = loudness.findIndex((_, i) => loudness.slice(i, i + 20).length === 20 && loudness.slice(i, i + 20).every(isLoud)) + 1000;
  const last = loudness.findLastIndex(isLoud) - 500;
  const holes = [];
  for (let i = first, quiet = 0; i <= last; i++) {
    if (!isLoud(loudness[i])) {
      quiet++;
      continue;
    }
    if (quiet >= shortestMs) holes.push({ at: Math.round(began + i - quiet), ms: quiet });
    quiet = 0;
  }
  return { seconds: Math.max(0, last - first) / 1000, median: Math.round(median), holes };
}
