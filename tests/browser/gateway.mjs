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

// {origin, address, token, log(), stop()}
export async function startGateway({ options = [], tenant } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'kw-gateway-'));
  const port = nextPort++;
  const configured = tenant && configure(folder, tenant);
  if (tenant) options = [...options, '--config', 'keywheel.yaml'];
  const [program, ...fixed] = (process.env.KW_GATEWAY ?? 'keywheeld').split(' ');
  const child = spawn(program, [...fixed, '--listen', `127.0.0.1:${port}`, ...options], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.on('error', (error) => (log += `${error.message}\n`));
  const hear = (chunk) => (log += chunk);
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const origin = `http://127.0.0.1:${port}`;
  const until = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`the gateway ended with ${child.exitCode}:\n${log}`);
    if (await fetch(`${origin}/`).then((answer) => answer.ok, () => false)) break;
    if (Date.now() > until) {
      await endChild(child);
      throw new Error(`the gateway does not answer at ${origin}:\n${log}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  const token = configured ?? /#(?:token=)?([\w.~-]+)/.exec(log)?.[1] ?? process.env.KW_GATEWAY_TOKEN;
  return {
    origin,
    token,
    address: `${origin}/#token=${token}`,
    child,
    folder,
    log: () => log,
    async stop() {
      await endChild(child);
      rmSync(folder, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}
