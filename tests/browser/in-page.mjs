// SPDX-License-Identifier: Apache-2.0
// What runs inside the page. Each function is sent there as text, so it may use nothing of this file but
// what `lab` (installed by installLab) holds.

export function installLab() {
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const plain = (report) => [...report.values()].map((entry) => ({ ...entry }));
  const wallClock = () => performance.timeOrigin + performance.now();

  async function until(holds, patienceMs, what) {
    for (const end = performance.now() + patienceMs; !holds(); await sleep(20)) {
      if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    }
  }

  // A tone that no microphone would make, as the microphone.
  function toneStream(context, frequency) {
    const oscillator = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0.4 });
    const out = context.createMediaStreamDestination();
    oscillator.connect(volume).connect(out);
    oscillator.start();
    return out.stream;
  }

  // The code of timecode.mjs over and over.
  function codeStream(context) {
    const samples = lab.codeSamples(context.sampleRate, lab.codeBits);
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: context.sampleRate });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const out = context.createMediaStreamDestination();
    source.connect(out);
    source.start();
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

  /*
   * What a person would look at: a video element that always shows the newest stream of the call, in the
   * document as the console's is, and when each frame appeared (ms since 1970).
   */
  function watchPicture(call) {
    const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, autoplay: true });
    document.body.prepend(video);
    const frames = [];
    const note = () => {
      frames.push(wallClock());
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    call.addEventListener('stream', ({ detail }) => (video.srcObject = detail.stream));
    return {
      frames,
      // The mean colour of the left half.
      colour() {
        const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 24 });
        const paint = canvas.getContext('2d', { willReadFrequently: true });
        paint.drawImage(video, 0, 0, 32, 24);
        const pixels = paint.getImageData(2, 2, 10, 20).data;
        const mean = [0, 0, 0];
        for (let i = 0; i < pixels.length; i++) if (i % 4 < 3) mean[i % 4] += (4 * pixels[i]) / pixels.length;
        return mean;
      },
    };
  }

  /*
   * Every connection of the page from now on, with its newest statistics: the page's own account, whatever
   * the module says. They are asked four times a second, because a closed connection says no more.
   */
  function watchConnections() {
    const watched = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        watched.push({ pc: this, report: [], prints: [], made: Date.now() });
      }
    };
    const ask = async () => {
      for (const one of watched) {
        if (one.pc.connectionState === 'closed') continue;
        const report = await one.pc.getStats().then(plain, () => []); // it may close meanwhile
        if (!report.some(({ type }) => type === 'inbound-rtp') && one.report.length) continue;
        one.report = report;
        one.prints = [one.pc.localDescription, one.pc.remoteDescription].map((description) =>
          /^a=fingerprint:sha-256 (.*?)\s*$/im.exec(description?.sdp)?.[1]);
      }
    };
    setInterval(ask, 250);
    return async () => {
      await ask();
      return watched.map(summaryOf);
    };
  }

  // The certificates by the statistics, as far as there are any (Firefox: by what both descriptions bind DTLS to).
  function summaryOf({ report, prints, made }) {
    const byId = new Map(report.map((entry) => [entry.id, entry]));
    const transport = report.find(({ type }) => type === 'transport') ?? {};
    const certificate = (id, side) => (byId.get(id)?.fingerprint ?? prints[side])?.toUpperCase();
    const of = (type) => report.filter((entry) => entry.type === type);
    const sum = (type, name) => of(type).reduce((total, entry) => total + (entry[name] ?? 0), 0);
    return {
      made,
      localFingerprint: certificate(transport.localCertificateId, 0),
      remoteFingerprint: certificate(transport.remoteCertificateId, 1),
      ssrcs: Object.fromEntries(of('inbound-rtp').map(({ kind, ssrc }) => [kind, ssrc])),
      inbound: of('inbound-rtp').map(({ kind, packetsReceived, packetsLost, nackCount, pliCount }) => ({ kind, packetsReceived, packetsLost, nackCount, pliCount })),
      received: sum('inbound-rtp', 'packetsReceived'),
      lost: sum('inbound-rtp', 'packetsLost'),
      sent: sum('outbound-rtp', 'packetsSent'),
      lostThere: sum('remote-inbound-rtp', 'packetsLost'), // as the gateway reports it
      framesDecoded: sum('inbound-rtp', 'framesDecoded'),
      keyFramesDecoded: sum('inbound-rtp', 'keyFramesDecoded'),
    };
  }

  /*
   * fetch with what a test wants to go wrong. `only`: of a session description just the candidates with this in
   * them. `faults`: what happens to requests for further generations, one after the other: `vanish` or a status.
   */
  function troubledFetch({ only, faults }) {
    return async (address, how) => {
      const fault = how.method === 'POST' && /\/generations$/.test(address) ? faults.shift() : undefined;
      if (fault === 'vanish') throw new TypeError('the network is gone');
      if (fault) return new Response('{"title":"not now"}', { status: fault, headers: { 'Retry-After': '1' } });
      const answer = await fetch(address, how);
      const type = answer.headers.get('Content-Type') ?? '';
      if (!only || !/application\/(sdp|trickle-ice-sdpfrag)/.test(type)) return answer;
      const text = (await answer.text()).replace(/^a=candidate:.*\r\n/gm, (line) => (line.includes(only) ? line : ''));
      return new Response(text, { status: answer.status, headers: answer.headers });
    };
  }

  window.lab = { sleep, until, plain, wallClock, toneStream, codeStream, pictureTrack, loudest, watchPicture, watchConnections, troubledFetch };
}

/*
 * Makes a call and leaves it in `window.lab` for whatever follows. audio: `code`, `silence` or a frequency.
 * Resolves when it is live, or (`alone`) when it could be: {liveAt}, or {error}.
 */
export async function openCall({ token, address = '/v1/calls', audio, colour, automatic = true, alone, only, faults = [] }) {
  const { KeywheelCall } = await import('/keywheel.js');
  lab.connections = lab.watchConnections();
  lab.context = new AudioContext({ sampleRate: 48000 });
  await lab.context.resume();
  const stream = audio === 'code' ? lab.codeStream(lab.context) : lab.toneStream(lab.context, audio === 'silence' ? 440 : audio);
  if (audio === 'silence') for (const track of stream.getAudioTracks()) track.enabled = false;
  if (colour) stream.addTrack(lab.pictureTrack(colour));
  lab.faults = faults;
  lab.call = new KeywheelCall({ url: address, token, stream, automatic, fetch: lab.troubledFetch({ only, faults }) });
  lab.log = [];
  for (const type of ['state', 'due', 'rotating', 'rotated', 'rotationfailed', 'gateway', 'newcall', 'ended']) {
    lab.call.addEventListener(type, ({ detail }) => {
      const { state, error, retryMs, reason, generation } = detail;
      lab.log.push({ at: lab.wallClock(), type, name: detail.type, state, error: error?.code, words: error?.message, retryMs, reason, generation });
    });
  }
  lab.picture = colour && lab.watchPicture(lab.call);
  const began = performance.now();
  try {
    await lab.call.start();
    if (!alone) await lab.until(() => lab.call.state === 'live', 8000, 'media');
    return { liveAt: lab.wallClock(), firstPacketMs: lab.call.timing.firstPacket - began };
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message} ${error.rule ?? ''} ${JSON.stringify(lab.log)}` };
  }
}

// Waits until so many rotations have passed since the call began.
export async function awaitRotations({ count, patienceMs }) {
  await lab.until(() => lab.call.rotations.length >= count, patienceMs, `${count} rotations; ${JSON.stringify(lab.log)}`);
}

// Everything that both ends know by now, as plain data.
export async function account() {
  const { totals, generation } = await lab.call.stats();
  return {
    at: lab.wallClock(),
    totals,
    generation,
    rotations: lab.call.rotations,
    resource: lab.call.resource,
    state: lab.call.state,
    log: lab.log,
    frames: lab.picture?.frames,
    colour: lab.picture?.colour(),
    connections: await lab.connections(),
    described: await lab.call.describe().catch(() => null),
  };
}

export async function closeCall() {
  await lab.call.stop();
  await lab.context.close();
}
