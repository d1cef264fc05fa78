// SPDX-License-Identifier: Apache-2.0
// What runs inside the page. Each function is sent there as text, so it may use nothing of this file but
// what `lab` (installed by installLab) holds.

export function installLab() {
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // A tone that no microphone would make, as the microphone.
  function toneStream(context, frequency) {
    const oscillator = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0.4 });
    const out = context.createMediaStreamDestination();
    oscillator.connect(volume).connect(out);
    oscillator.start();
    return out.stream;
  }

  // The tone above a steady noise, so that what is heard twice for a moment does not cancel itself.
  function noisyStream(context, frequency) {
    const noise = new AudioBuffer({ length: 2 * context.sampleRate, sampleRate: context.sampleRate });
    const samples = noise.getChannelData(0);
    for (let i = 0; i < samples.length; i++) samples[i] = 2 * Math.random() - 1;
    const oscillator = new OscillatorNode(context, { frequency });
    const hiss = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
    const out = context.createMediaStreamDestination();
    oscillator.connect(new GainNode(context, { gain: 0.15 })).connect(out);
    hiss.connect(new GainNode(context, { gain: 0.4 })).connect(out);
    oscillator.start();
    hiss.start();
    return out.stream;
  }

  // A picture that changes 30 times a second and whose left half says what it is.
  function pictureTrack(colour) {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
    const paint = canvas.getContext('2d');
    let tick = 0;
    setInterval(() => {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 160, 240);
      paint.fillStyle = `hsl(${(tick += 7) % 360} 60% 50%)`;
      paint.fillRect(160, 0, 160, 240);
    }, 33);
    return canvas.captureStream(30).getVideoTracks()[0];
  }

  // The loudest frequency that a stream carries, and how far it stands above the middle of the spectrum.
  async function loudest(context, stream) {
    const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
    const source = context.createMediaStreamSource(stream);
    source.connect(analyser);
    await sleep(800);
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    source.disconnect();
    let best = 1;
    for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
    const sorted = Float32Array.from(bins).sort();
    return { frequency: (best * context.sampleRate) / analyser.fftSize, peak: bins[best], above: bins[best] - sorted[sorted.length >> 1] };
  }

  // The mean colour of the left half of a picture that came back.
  async function leftColour(stream) {
    const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, srcObject: stream });
    await video.play();
    await sleep(500);
    const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 24 });
    const paint = canvas.getContext('2d', { willReadFrequently: true });
    paint.drawImage(video, 0, 0, 32, 24);
    const pixels = paint.getImageData(2, 2, 10, 20).data;
    const mean = [0, 0, 0];
    for (let i = 0; i < pixels.length; i++) if (i % 4 < 3) mean[i % 4] += (4 * pixels[i]) / pixels.length;
    return { width: video.videoWidth, height: video.videoHeight, mean };
  }

  const plain = (report) => [...report.values()].map((entry) => ({ ...entry }));

  window.lab = { sleep, toneStream, noisyStream, pictureTrack, loudest, leftColour, plain };
}

// A call with a tone (and a picture), watched for some seconds. Everything it returns is plain data.
export async function callWithTone({ token, frequency, seconds, video, noisy, family, settleMs = 1000 }) {
  const { KeywheelCall } = await import('/keywheel.js');
  const context = new AudioContext();
  await context.resume();
  const stream = noisy ? lab.noisyStream(context, frequency) : lab.toneStream(context, frequency);
  if (video) stream.addTrack(lab.pictureTrack('rgb(200, 30, 30)'));

  // Only candidates of one family reach the browser when the test asks for it.
  const foreign = family === 6 ? /^a=candidate:\S+ \d+ udp \d+ \d+\.\d+\.\d+\.\d+ .*\r\n/gim : null;
  const ask = async (...args) => {
    const answer = await fetch(...args);
    if (!foreign || !(answer.headers.get('Content-Type') ?? '').includes('application/sdp')) return answer;
    return new Response((await answer.text()).replace(foreign, ''), { status: answer.status, headers: answer.headers });
  };

  const call = new KeywheelCall({ url: '/v1/calls', token, stream, fetch: ask });
  const states = [];
  const heard = [];
  call.addEventListener('state', ({ detail }) => states.push([detail.state, Math.round(performance.now())]));
  call.addEventListener('gateway', ({ detail }) => heard.push(detail));
  const began = performance.now();
  try {
    await call.start();
    const firstPacketMs = call.timing.firstPacket - began;
    await lab.sleep(settleMs);
    const before = await call.stats();
    await lab.sleep(seconds * 1000);
    const after = await call.stats();
    const described = await call.describe();
    const report = lab.plain(await call.current.pc.getStats());
    const tone = await lab.loudest(context, call.current.remote);
    const picture = video ? await lab.leftColour(call.current.remote) : null;
    return { seconds, firstPacketMs, states, before, after, described, report, tone, picture, offer: call.current.pc.localDescription.sdp, answer: call.current.answer };
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message}`, rule: error.rule, states, heard };
  } finally {
    await call.stop();
    await context.close();
  }
}

// A call whose keys change several times while a signal goes through: as often as `asked` because an operator
// asks for it every five seconds, the last time by the clock of the policy.
export async function callWithRotations({ token, frequency, asked }) {
  const { KeywheelCall } = await import('/keywheel.js');
  const context = new AudioContext();
  await context.resume();
  const call = new KeywheelCall({ url: '/v1/calls', token, stream: lab.noisyStream(context, frequency) });
  const heard = [];
  for (const type of ['due', 'rotating', 'rotated', 'rotationfailed', 'gateway', 'ended']) {
    call.addEventListener(type, ({ detail }) => heard.push([type, Math.round(performance.now()), detail?.type ?? detail?.error?.message ?? detail?.reason, detail?.generation]));
  }
  const generations = [];
  const remember = async () => {
    const { generation } = await call.stats();
    generations.push({ number: generation.number, localFingerprint: generation.localFingerprint, remoteFingerprint: generation.remoteFingerprint });
  };
  try {
    await call.start();
    await lab.sleep(1000);
    await remember();
    const tones = [];
    for (let i = 0; i <= asked; i++) {
      const before = call.rotations.length;
      const next = performance.now() + 5000;
      if (i < asked) await call.request('POST', `${call.resource}/rotate`);
      for (let waited = 0; call.rotations.length === before && waited < 20000; waited += 50) await lab.sleep(50);
      await remember();
      tones.push(await lab.loudest(context, call.current.remote));
      if (i < asked) await lab.sleep(next - performance.now());
    }
    const { totals } = await call.stats();
    return { rotations: call.rotations, generations, totals, tones, heard, described: await call.describe() };
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message}`, rule: error.rule, heard };
  } finally {
    await call.stop();
    await context.close();
  }
}
