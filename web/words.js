// SPDX-License-Identifier: Apache-2.0
// What a person reads: failures in plain words, figures in units.

const FAILURES = {
  'microphone-denied': ['The microphone is not allowed.', 'Allow it for this page in the address bar or in the settings, then start again.'],
  'microphone-missing': ['There is no microphone.', 'Connect one, then start again.'],
  'microphone-busy': ['The microphone cannot be opened.', 'Another program may be holding it.'],
  'not-secure': ['This address cannot use the microphone.', 'Browsers allow it only over https or on the machine itself. Start keywheeld with --tls-cert and --tls-key to reach it from elsewhere.'],
  unreachable: ['The gateway does not answer.', 'Check that keywheeld is running and that this address is still the one it printed.'],
  unauthorized: ['The token is not accepted.', 'keywheeld makes a new token each time it starts. Open the address that it printed last.'],
  refused: ['The policy refused this call.', 'Nothing was sent. The rule below says what did not fit.'],
  busy: ['The gateway takes no more calls right now.', 'Try again in a moment.'],
  gone: ['The gateway does not know this call any more.', 'It was probably restarted. Start a new call.'],
  gateway: ['The gateway failed.', 'Its log says more.'],
  'no-path': ['No network path to the gateway works.', 'UDP to the gateway seems to be blocked. In demo mode keywheeld answers only this machine.'],
  'no-media': ['Connected, but nothing came back.', 'The keys were agreed, yet no media returned. Its log says more.'],
  ended: ['The gateway ended the call.', ''],
};

export function failureWords(error) {
  const [title, words] = FAILURES[error.code] ?? ['Something unexpected happened.', ''];
  const details = [error.message];
  if (error.rule) details.push(`Rule: ${error.rule}.`);
  if (error.retryMs) details.push(`Try again in ${Math.ceil(error.retryMs / 1000)} s.`);
  return { title, words, detail: details.filter((text) => text && text !== title).join(' ') };
}

// getUserMedia's names for what a person did or lacks.
export function microphoneError(error) {
  const codes = {
    NotAllowedError: 'microphone-denied',
    SecurityError: 'microphone-denied',
    NotFoundError: 'microphone-missing',
    OverconstrainedError: 'microphone-missing',
    NotReadableError: 'microphone-busy',
    AbortError: 'microphone-busy',
  };
  return Object.assign(new Error(error.message), { code: codes[error.name] ?? 'microphone-busy' });
}

export const STATES = {
  idle: 'Ready',
  asking: 'Asking for the microphone',
  starting: 'Calling',
  connecting: 'Agreeing on keys',
  connected: 'Waiting for media',
  live: 'Live',
  reconnecting: 'Looking for a path',
  ended: 'Ended',
  failed: 'Failed',
};

export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  if (parts[0]) return `${parts[0]} h ${String(parts[1]).padStart(2, '0')} min`;
  if (parts[1]) return `${parts[1]} min ${String(parts[2]).padStart(2, '0')} s`;
  return `${parts[2]} s`;
}

export function byteCount(bytes) {
  if (!Number.isFinite(bytes)) return '–';
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = -1;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`;
}

export function milliseconds(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms === 0) return '0 ms';
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

// One rotation as a person would tell it: who asked, how long it took, what it cost.
const REASONS = { operator: 'you asked', time: 'by the clock', bytes: 'by the bytes', due: 'it was due', packets: 'by the packets', policy: 'the policy changed' };

export function rotationWords({ generation, method, reason, connectMs, switchMs, lost, interruptedMs }) {
  const how = method === 'restart' ? ', same connection' : '';
  return {
    title: `Generation ${generation}`,
    why: `${REASONS[reason] ?? reason}${how}`,
    figures: [
      ['new keys after', milliseconds(connectMs)],
      ['heard after', milliseconds(switchMs)],
      ['lost', `${lost} packet${lost === 1 ? '' : 's'}`],
      ['interrupted', interruptedMs === undefined ? 'not counted here' : milliseconds(interruptedMs)],
    ],
  };
}

export const whole = (count) => (Number.isFinite(count) ? count.toLocaleString('en').replaceAll(',', '\u202f') : '–');

// FEFC is what the wire says; a person reads 1.3.
export function dtlsName(version) {
  const names = { FEFC: '1.3', FEFD: '1.2', 'DTLS 1.3': '1.3', 'DTLS 1.2': '1.2', '1.3': '1.3', '1.2': '1.2' };
  return version ? (names[String(version).toUpperCase()] ?? String(version)) : undefined;
}
