// SPDX-License-Identifier: Apache-2.0
// Starts a keywheeld of our own and reads the console's address from its output.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endChild } from './sound.mjs';

const START_MS = 15000;
let nextPort = 18080;

// A configuration of one tenant: what the demo is, with other values.
function configure(folder, tenant) {
  const token = 'browser-suite-token';
  writeFileSync(join(folder, 'token'), `${token}\n`, { mode: 0o600 });
  const lines = ['tenants:', '  - name: demo', '    token-file: token'];
  for (const [key, value] of Object.entries(tenant)) lines.push(`    ${key}: ${value}`);
  writeFileSync(join(folder, 'keywheel.yaml'), lines.join('\n') + '\n');
  return token;
}

// A gateway that can be killed and started again on the same port: {origin, address, token, log(), kill(), ..}
class Gateway {
  #log = '';

  constructor({ options = [], tenant } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'kw-gateway-'));
    this.port = nextPort++;
    this.origin = `http://127.0.0.1:${this.port}`;
    this.token = tenant && configure(this.folder, tenant);
    this.options = tenant ? [...options, '--config', 'keywheel.yaml'] : options;
  }

  log() {
    return this.#log;
  }

  get address() {
    return `${this.origin}/#token=${this.token}`;
  }

  async startAgain() {
    const [program, ...fixed] = (process.env.KW_GATEWAY ?? 'keywheeld').split(' ');
    const child = spawn(program, [...fixed, '--listen', `127.0.0.1:${this.port}`, ...this.options], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    child.on('error', (error) => (this.#log += `${error.message}\n`));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (this.#log += chunk));
    for (const until = Date.now() + START_MS; ; ) {
      if (child.exitCode !== null || child.pid === undefined) throw new Error(`the gateway ended with ${child.exitCode}:\n${this.#log}`);
      if (await fetch(`${this.origin}/`).then((answer) => answer.ok, () => false)) break;
      if (Date.now() > until) {
        await endChild(child);
        throw new Error(`the gateway does not answer at ${this.origin}:\n${this.#log}`);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
    this.token ??= /#(?:token=)?([\w.~-]+)/.exec(this.#log)?.[1] ?? process.env.KW_GATEWAY_TOKEN;
  }

  // Without a word to anybody.
  async kill() {
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
  }

  async stop() {
    await endChild(this.child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function startGateway(how) {
  const gateway = new Gateway(how);
  await gateway.startAgain();
  return gateway;
}
