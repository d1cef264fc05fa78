// SPDX-License-Identifier: Apache-2.0
// An ICE-lite peer as small as can be: every check succeeds. For captures without a gateway.

import { createHmac } from 'node:crypto';
import { crc32 } from './stun-crc.mjs';

export const ADDRESS = '192.0.2.1'; // of in-namespace
const UFRAG = 'capt';
const PASSWORD = 'capturecapturecapture1';

// RFC 8489: Binding success with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT.
export function bindingSuccess(request, remote) {
  const mapped = Buffer.alloc(12);
  mapped.writeUInt16BE(0x0020, 0);
  mapped.writeUInt16BE(8, 2);
  mapped.writeUInt8(1, 5);
  mapped.writeUInt16BE(remote.port ^ 0x2112, 6);
  remote.address.split('.').forEach((byte, i) => mapped.writeUInt8(Number(byte) ^ [0x21, 0x12, 0xa4, 0x42][i], 8 + i));
  const head = Buffer.alloc(20);
  head.writeUInt16BE(0x0101, 0);
  request.copy(head, 4, 4, 20);

  head.writeUInt16BE(mapped.length + 24, 2);
  const integrity = Buffer.alloc(24);
  integrity.writeUInt16BE(0x0008, 0);
  integrity.writeUInt16BE(20, 2);
  createHmac('sha1', PASSWORD).update(Buffer.concat([head, mapped])).digest().copy(integrity, 4);

  head.writeUInt16BE(mapped.length + 32, 2);
  const fingerprint = Buffer.alloc(8);
  fingerprint.writeUInt16BE(0x8028, 0);
  fingerprint.writeUInt16BE(4, 2);
  fingerprint.writeUInt32BE((crc32(Buffer.concat([head, mapped, integrity])) ^ 0x5354554e) >>> 0, 4);
  return Buffer.concat([head, mapped, integrity, fingerprint]);
}

export function answerTo(offer, port, fingerprint) {
  const lines = offer.split(/\r?\n/);
  const payload = lines.find((line) => line.startsWith('m=audio')).split(' ')[3];
  const mid = lines.find((line) => line.startsWith('a=mid:'));
  return [
    'v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=ice-lite', `a=group:BUNDLE ${mid.slice(6)}`,
    `m=audio ${port} UDP/TLS/RTP/SAVPF ${payload}`, `c=IN IP4 ${ADDRESS}`, mid, 'a=recvonly', 'a=rtcp-mux',
    `a=rtpmap:${payload} opus/48000/2`, `a=ice-ufrag:${UFRAG}`, `a=ice-pwd:${PASSWORD}`, 'a=setup:passive',
    `a=fingerprint:${fingerprint}`,
    `a=candidate:1 1 udp 2130706431 ${ADDRESS} ${port} typ host`, 'a=end-of-candidates', '',
  ].join('\r\n');
}
