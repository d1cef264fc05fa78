// SPDX-License-Identifier: Apache-2.0
// CRC-32 as STUN's FINGERPRINT wants it (ITU V.42); Node has it only from version 22 on.
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
