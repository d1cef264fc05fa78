// SPDX-License-Identifier: Apache-2.0
// A signal that says what time it is.
//
// Every 100 ms one chirp between 500 and 3500 Hz: rising for a 1, falling for a 0 of a sequence of 31 bits that
// reads differently from each of its places. So a chirp tells the source clock to a fraction of a millisecond,
// and its neighbours tell which of the 31 it is: the code repeats after 3.1 s. A hiss lies under it, so that
// what is heard twice for a moment does not cancel itself, and a silence is always a hole.

const SLOT_MS = 100;
const BITS = [...'0000101011101100011111001101001']; // x^5 + x^2 + 1
export const PERIOD_MS = SLOT_MS * BITS.length;

// One period. Sent to the page as text, so it uses nothing of this file.
export function codeSamples(rate, bits, volume = 0.3, hiss = 0.12) {
  const slot = rate / 10;
  const samples = new Float32Array(slot * bits.length);
  bits.forEach((bit, place) => {
    for (let i = 0; i < slot; i++) {
      const t = i / rate;
      const phase = bit === '1' ? 500 * t + 15000 * t * t : 3500 * t - 15000 * t * t;
      samples[place * slot + i] = volume * Math.sin(2 * Math.PI * phase) + hiss * (2 * Math.random() - 1);
    }
  });
  return samples;
}

export const codeBits = BITS;

const COARSE = 12000; // samples per second are enough for 3500 Hz

function decimate(samples, rate) {
  const step = rate / COARSE;
  const out = new Float32Array(Math.floor(samples.length / step));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let j = 0; j < step; j++) sum += samples[i * step + j];
    out[i] = sum;
  }
  return out;
}

// How much of what begins at `from` is this chirp: 1 is all.
function likeness(samples, from, chirp) {
  let product = 0;
  let energy = 1e-9;
  for (let i = 0; i < chirp.length; i++) {
    product += samples[from + i] * chirp[i];
    energy += samples[from + i] * samples[from + i];
  }
  return Math.abs(product) / Math.sqrt(energy * (chirp.length / 2));
}

/*
 * The chirps of a recording: [{at, bit, likeness}], `at` in ms since its beginning. Each is looked for
 * around 100 ms after the one before, so a clock that jumps by less than 50 ms is followed.
 */
function chirpsIn(samples, rate) {
  const coarse = decimate(samples, rate);
  const chirps = ['0', '1'].map((bit) => codeSamples(COARSE, [bit], 1, 0));
  const slot = COARSE / 10;
  const best = (from, to) => {
    const found = { from: -1, bit: 0, likeness: 0 };
    for (let i = Math.max(0, from); i < Math.min(to, coarse.length - slot); i++) {
      chirps.forEach((chirp, bit) => {
        const value = likeness(coarse, i, chirp);
        if (value > found.likeness) Object.assign(found, { from: i, bit, likeness: value });
      });
    }
    return found;
  };
  const found = [];
  let expected = coarse.findIndex((one) => Math.abs(one) > 0);
  if (expected < 0) return found;
  for (let isLocked = false; expected + slot / 2 < coarse.length - slot; ) {
    const one = best(expected - slot / 2, expected + slot / 2);
    if (one.likeness > 0.35) {
      found.push({ at: (1000 * one.from) / COARSE, bit: one.bit, likeness: one.likeness });
      expected = one.from + slot;
      isLocked = true;
    } else {
      if (isLocked) found.push(null);
      expected += slot;
    }
  }
  return found;
}

/*
 * What a recording says of the source clock: [{at, offset}], both in ms: the signal of source time
 * `at - offset` is heard at `at`. Only differences between offsets mean something. A chirp whose bit is not
 * what its neighbours lead to (two copies for a moment, or none) says nothing.
 */
export function clockOf(samples, rate) {
  const chirps = chirpsIn(samples, rate);
  const REACH = 7;
  const out = [];
  let before = null;
  chirps.forEach((chirp, i) => {
    if (!chirp) return;
    const wrong = BITS.map((_, place) => {
      let count = 0;
      for (let k = -REACH; k <= REACH; k++) {
        const other = chirps[i + k];
        if (other && String(other.bit) !== BITS[(place + k + BITS.length) % BITS.length]) count++;
      }
      return count;
    });
    const place = wrong.indexOf(Math.min(...wrong));
    const rivals = wrong.filter((count) => count <= wrong[place] + 1).length;
    if (rivals > 1 || wrong[place] > 3 || String(chirp.bit) !== BITS[place]) return;
    let offset = chirp.at - place * SLOT_MS;
    if (before !== null) offset -= PERIOD_MS * Math.round((offset - before) / PERIOD_MS);
    before = offset;
    out.push({ at: chirp.at, offset, likeness: chirp.likeness });
  });
  return { heard: chirps.length, clock: out };
}

const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/*
 * The clock as a gate needs it: how far it is from where it was before the first of the moments (ms since the
 * recording began), at most, at each moment (the second around it) and at the end.
 */
export function drift({ clock, heard }, moments) {
  const until = moments[0] ?? Infinity;
  const early = clock.filter(({ at }) => at < until - 100).map(({ offset }) => offset);
  const base = middle(early.length ? early : clock.map(({ offset }) => offset));
  const worst = (list) => list.reduce((max, { offset }) => (Math.abs(offset - base) > Math.abs(max) ? offset - base : max), 0);
  const round = (value) => Math.round(value * 10) / 10;
  return {
    decoded: clock.length / Math.max(1, heard),
    worst: round(worst(clock)),
    atSwitches: moments.map((moment) => {
      const near = clock.filter(({ at }) => at > moment - 200 && at < moment + 1000);
      return near.length ? round(worst(near)) : NaN;
    }),
    atEnd: round(middle(clock.slice(-10).map(({ offset }) => offset)) - base),
  };
}
