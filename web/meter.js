// SPDX-License-Identifier: Apache-2.0
// Loudness of a stream, 0 to 1, smoothed like a needle: fast up, slow down.

export class Meter {
  constructor(context, stream) {
    this.source = context.createMediaStreamSource(stream);
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source.connect(this.analyser);
    this.value = 0;
  }

  read() {
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-9);
    const level = Math.min(1, Math.max(0, (decibels + 60) / 54)); // -60 dB is silence, -6 dB is loud
    this.value = level > this.value ? level : this.value * 0.9 + level * 0.1;
    return this.value;
  }

  stop() {
    this.source.disconnect();
  }
}
