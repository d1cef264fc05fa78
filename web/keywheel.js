// SPDX-License-Identifier: Apache-2.0
// A call through a Keywheel gateway whose keys rotate while it lasts.
//
// A call holds generations; each is one RTCPeerConnection, so one DTLS handshake and one set of SRTP keys.
// Rotation is: make the next generation while the current one carries media, send the same tracks on both,
// wait until the next one plays, swap what is heard, close the old one. A rotation that fails costs nothing:
// the old generation goes on and another attempt follows.
//
// Playing: every generation has an <audio> element of its own. The next one plays muted until it is ready,
// then the two swap `muted`, for a moment both being heard; any other way leaves a hole in one browser or
// the other.

const RETRY_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const CONNECT_MS = 15000; // ICE and DTLS on a slow network; beyond it there is no path
const MEDIA_MS = 8000; // a connected generation that carries nothing for so long has failed
const QUIET_MS = 1000; // nothing received for so long: nobody speaks to us
const SETTLE_MS = 500; // until the next generation is heard: its jitter buffer finds its size, and nobody waits
const OVERLAP_MS = 1500; // old packets still under way, and the jitter buffer behind them
const SWAP_MS = 40; // both are heard: each browser takes up `muted` at its own next buffer, one of 10 or 20 ms
const SWITCH_MS = 5000; // how long the gateway may take to say that it has switched too
const VERDICT_MS = 1000; // between a failed handshake here and what the gateway says of it
const PATH_GRACE_MS = 2500; // "disconnected" often heals by itself
const RETIRE_MS = 12000; // the gateway keeps an old generation for its overlap, at most 10 s
const FAREWELL_MS = 1000; // for the gateway's answer at the end
const GIVE_UP_MS = 60000; // without a path or a gateway for so long: the call is over

/** What went wrong, by a name that a page can put into words. */
export class KeywheelError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = 'KeywheelError';
    this.code = code; // see keywheel.d.ts
    Object.assign(this, details);
  }
}

const sleep = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });

function deadline(promise, ms, error) {
  let timer;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(error()), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Whoever does not restart DTLS when the fingerprint in an answer changes falls silent without a word (Firefox
// does); a browser is trusted when it is known.
const restartsDtls = () => /Chrom(e|ium)\//.test(globalThis.navigator?.userAgent ?? '');

// RFC 8288, as far as a gateway writes it: <target>; rel="name"
function linksOf(response, base) {
  const links = new Map();
  for (const [, target, rest] of (response.headers.get('Link') ?? '').matchAll(/<([^>]*)>([^<]*)/g)) {
    const rel = /;\s*rel="?([^";,]+)"?/i.exec(rest);
    if (rel) for (const name of rel[1].split(/\s+/)) links.set(name.replace(/^.*[:#/]/, ''), new URL(target, base).href);
  }
  return links;
}

// The words of RFC 9457 when there are any, and a name for the kind of refusal.
async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Not JSON: the status has to do.
  }
  const codes = { 401: 'unauthorized', 403: 'refused', 404: 'gone', 409: 'conflict', 422: 'refused', 429: 'busy', 503: 'busy' };
  const code = codes[response.status] ?? (response.status < 500 ? 'refused' : 'gateway');
  const retry = Number(response.headers.get('Retry-After'));
  return new KeywheelError(code, problem.detail || problem.title || `The gateway answered ${response.status}.`, {
    status: response.status,
    rule: problem.rule,
    retryMs: Number.isFinite(retry) && retry > 0 ? retry * 1000 : undefined,
  });
}

function sdpValue(sdp, name) {
  return new RegExp(`^a=${name}:(.*?)\\s*$`, 'm').exec(sdp)?.[1];
}

const orUndefined = (number) => (Number.isFinite(number) ? number : undefined);

const fingerprintOf = (sdp) => sdpValue(sdp, 'fingerprint')?.split(' ').pop().toUpperCase();

// RFC 8840: credentials, then candidates under the m-line they belong to.
function fragmentOf(sdp, candidates, isLast) {
  const lines = [`a=ice-ufrag:${sdpValue(sdp, 'ice-ufrag')}`, `a=ice-pwd:${sdpValue(sdp, 'ice-pwd')}`];
  const media = /^m=.*$/m.exec(sdp)?.[0];
  lines.push(media, `a=mid:${sdpValue(sdp, 'mid')}`);
  for (const candidate of candidates) lines.push(`a=${candidate}`);
  if (isLast) lines.push('a=end-of-candidates');
  return lines.join('\r\n') + '\r\n';
}

// An answer with the credentials and candidates of a fragment in place of its own.
function answerWith(answer, fragment) {
  const ufrag = sdpValue(fragment, 'ice-ufrag');
  const pwd = sdpValue(fragment, 'ice-pwd');
  const candidates = fragment.match(/^a=candidate:.*$/gm) ?? [];
  let isFirst = true;
  return answer
    .split(/\r?\n/)
    .flatMap((line) => {
      if (line.startsWith('a=ice-ufrag:')) return [`a=ice-ufrag:${ufrag}`];
      if (line.startsWith('a=ice-pwd:')) return [`a=ice-pwd:${pwd}`];
      if (candidates.length && (line.startsWith('a=candidate:') || line === 'a=end-of-candidates')) return [];
      if (line.startsWith('a=mid:') && isFirst && candidates.length) {
        isFirst = false;
        return [line, ...candidates.map((candidate) => candidate.trim()), 'a=end-of-candidates'];
      }
      return [line];
    })
    .join('\r\n');
}

/** One handshake and what it carries. */
class Generation {
  constructor(call, number) {
    this.call = call;
    this.number = number;
    this.state = 'negotiating';
    this.since = null; // when its keys came to be
    this.resource = null; // where its candidates are sent
    this.etag = null;
    this.answer = '';
    this.remote = new MediaStream();
    this.audio = call.createAudio();
    this.audio.muted = true;
    this.timing = { created: performance.now() };
    this.pending = [];
    this.gathered = false;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...call.configuration });
    this.pc.addEventListener('track', (event) => this.#addTrack(event.track));
    this.pc.addEventListener('icecandidate', (event) => this.#addCandidate(event.candidate));
    this.connected = new Promise((done, fail) => {
      this.pc.addEventListener('connectionstatechange', () => {
        if (this.pc.connectionState === 'connected') {
          this.since ??= Date.now();
          this.timing.connected ??= performance.now();
          done();
        } else if (this.pc.connectionState === 'failed') {
          fail(new KeywheelError('no-path', 'No network path to the gateway works.'));
        }
        call.pathChanged(this);
      });
    });
    this.connected.catch(() => {}); // whoever waits hears of it
    for (const track of call.stream.getTracks()) {
      this.pc.addTransceiver(track, { direction: 'sendrecv', streams: [call.stream] });
    }
  }

  #addTrack(track) {
    this.remote.addTrack(track);
    if (track.kind === 'audio') {
      this.audio.srcObject = this.remote;
      this.audio.play().catch(() => this.call.emit('blocked', { audio: this.audio }));
    }
    this.call.emit('track', { generation: this.number, track, stream: this.remote });
  }

  #addCandidate(candidate) {
    if (candidate?.candidate) this.pending.push(candidate.candidate);
    else this.gathered = true;
    this.sendCandidates();
  }

  // Trickle: what is known goes out in one PATCH; what appears meanwhile goes with the next.
  async sendCandidates() {
    if (!this.resource || this.sending || (!this.pending.length && !this.gathered)) return;
    this.sending = true;
    try {
      while (this.pending.length || (this.gathered && !this.saidAll)) {
        const candidates = this.pending.splice(0);
        const isLast = this.gathered;
        this.saidAll = isLast;
        await this.patch(fragmentOf(this.pc.localDescription.sdp, candidates, isLast), this.etag);
      }
    } catch {
      // The gateway learns our addresses from our checks as well; if there is no path, that is said elsewhere.
    } finally {
      this.sending = false;
    }
  }

  patch(fragment, etag) {
    return this.call.request('PATCH', this.resource, {
      body: fragment,
      headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', ...(etag ? { 'If-Match': etag } : {}) },
    });
  }

  /** Offer to the address, answer from it. Returns the response for its headers. */
  async negotiate(address) {
    await this.pc.setLocalDescription();
    const response = await this.call.request('POST', address, {
      body: this.pc.localDescription.sdp,
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
    });
    this.timing.answered = performance.now();
    this.answer = await response.text();
    this.number = Number(response.headers.get('Keywheel-Generation')) || this.number; // the gateway counts
    this.resource = new URL(response.headers.get('Location') ?? this.call.resource ?? address, address).href;
    this.etag = response.headers.get('ETag');
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
    this.sendCandidates();
    return response;
  }

  /** New ICE credentials for the same keys: what a change of network needs. */
  async restartPath() {
    this.pending = [];
    this.gathered = this.saidAll = false;
    this.sending = true; // hold candidates back until the gateway knows the new credentials
    let fragment;
    try {
      await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
      const response = await this.patch(fragmentOf(this.pc.localDescription.sdp, this.pending.splice(0), false), '*');
      fragment = await response.text();
      this.etag = response.headers.get('ETag') ?? this.etag;
    } catch (error) {
      if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' });
      throw error;
    } finally {
      this.sending = false;
    }
    this.answer = answerWith(this.answer, fragment);
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
    this.sendCandidates();
  }

  /** New keys for the same connection: the answer names another certificate, and DTLS begins anew. */
  async restartKeys(address) {
    const before = fingerprintOf(this.answer);
    this.pending = [];
    this.gathered = this.saidAll = false;
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
    const response = await this.call
      .request('POST', address, { body: this.pc.localDescription.sdp, headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' } })
      .catch(async (error) => {
        await this.pc.setLocalDescription({ type: 'rollback' });
        throw error;
      });
    this.answer = await response.text();
    this.etag = response.headers.get('ETag');
    this.number = Number(response.headers.get('Keywheel-Generation')) || this.number + 1;
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
    this.sendCandidates();
    const wanted = fingerprintOf(this.answer);
    if (wanted === before) throw new KeywheelError('gateway', 'The gateway did not change its certificate.');
    for (const until = performance.now() + CONNECT_MS; performance.now() < until; await sleep(20)) {
      if (this.state === 'closed') throw new KeywheelError('closed', 'The generation was closed.');
      if ((await this.remoteFingerprint()) === wanted) {
        this.since = Date.now();
        return;
      }
    }
    throw new KeywheelError('no-path', 'The connection did not begin anew.');
  }

  /**
   * Of the certificate that the other side has really shown; undefined while DTLS is not up. Not from getStats():
   * Chromium goes on to name there the certificate that it saw first.
   */
  async remoteFingerprint() {
    const transport = this.pc.getSenders().find((sender) => sender.transport)?.transport;
    const [certificate] = (transport?.state === 'connected' && transport.getRemoteCertificates?.()) || [];
    if (!certificate) return undefined;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
    return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(':').toUpperCase();
  }

  hasMedia() {
    return this.pc.getReceivers().some((receiver) => receiver.getSynchronizationSources().length > 0 || receiver.track?.muted === false);
  }

  /** Audio that this browser had to make up so far because none was there, in ms; NaN where it does not count. */
  async concealedMs() {
    const report = await this.pc.getStats();
    const audio = [...report.values()].find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'audio');
    return (1000 * (audio?.concealedSamples ?? NaN)) / (report.get(audio?.codecId)?.clockRate ?? 48000);
  }

  async packetsReceived() {
    const report = await this.pc.getStats();
    return [...report.values()].reduce((sum, entry) => sum + (entry.type === 'inbound-rtp' ? (entry.packetsReceived ?? 0) : 0), 0);
  }

  /**
   * Resolves when media of this generation arrives and, for audio, plays. There may be none: whoever is alone in a
   * room hears nobody. So it is missed only while the generation before goes on receiving.
   */
  async carries(before) {
    const until = performance.now() + MEDIA_MS;
    for (let checkAt = performance.now() + QUIET_MS, seen = await before.packetsReceived(); !this.hasMedia(); await sleep(5)) {
      if (this.state === 'closed') throw new KeywheelError('closed', 'The generation was closed.');
      if (performance.now() > until) throw new KeywheelError('no-media', 'Connected, but no media came back.');
      if (performance.now() < checkAt) continue;
      const count = await before.packetsReceived();
      if (count === seen) return;
      seen = count;
      checkAt = performance.now() + QUIET_MS;
    }
    this.timing.firstPacket ??= performance.now();
    if (!this.audio.srcObject) return;
    const from = this.audio.currentTime;
    while (!this.audio.paused && this.audio.currentTime === from && performance.now() < until) await sleep(10);
  }

  close() {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.audio.pause();
    this.audio.srcObject = null;
    this.audio.remove();
    this.pc.close();
  }
}

/**
 * A call. Events: state, track, stream, gateway, due, rotating, rotated, rotationfailed, blocked, newcall, ended.
 * Each is a CustomEvent; keywheel.d.ts describes its detail.
 */
export class KeywheelCall extends EventTarget {
  #abort = new AbortController();
  #links = new Map();
  #limitMs = Infinity; // how old keys may be
  #rotation = null;
  #attempts = 0;
  #isWaiting = false; // for the next attempt
  #repair = null;
  #settled = { packetsSent: 0, packetsReceived: 0, packetsLost: 0, bytesSent: 0, bytesReceived: 0 };
  #waiting = new Map(); // "switched 3" -> resolve
  #isHeard = false; // something came back in this call
  #verdict = null; // while the first generation connects: takes what the gateway says at its end
  #isClear = Promise.resolve(); // when the gateway has room for another generation

  constructor({ url, token = '', stream, configuration = {}, createAudio, automatic = true, fetch: ask }) {
    super();
    this.url = new URL(url, globalThis.location?.href).href;
    this.token = token;
    this.stream = stream;
    this.configuration = configuration;
    this.automatic = automatic;
    this.createAudio = createAudio ?? (() => Object.assign(new Audio(), { autoplay: true }));
    this.fetch = ask ?? ((...args) => globalThis.fetch(...args));
    this.state = 'new';
    this.resource = null;
    this.current = null;
    this.next = null;
    this.previous = null;
    this.rotations = [];
    this.timing = {};
  }

  emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #enter(state, detail = {}) {
    if (this.state === state || this.state === 'ended') return;
    this.state = state;
    this.emit('state', { state, ...detail });
  }

  /** One request with the token in its header, never in an address. */
  async request(method, address, { body, headers = {}, keepalive = false } = {}) {
    const signal = keepalive ? undefined : this.#abort.signal; // a farewell outlives the call
    let response;
    try {
      response = await this.fetch(address, {
        method, body, signal, keepalive, cache: 'no-store', credentials: 'omit', redirect: 'error',
        headers: { ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}), ...headers },
      });
    } catch (error) {
      if (signal?.aborted) throw new KeywheelError('closed', 'The call was ended.');
      throw new KeywheelError('unreachable', 'The gateway does not answer.', { cause: error });
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** Starts the call; resolves when its keys are agreed and media can flow. It is live when media comes back. */
  async start() {
    if (this.state !== 'new') throw new KeywheelError('closed', 'A call is started once.');
    this.timing.started = performance.now();
    this.#enter('starting');
    try {
      await this.#open();
    } catch (error) {
      this.#finish(error);
      throw error;
    }
    return this;
  }

  async #open() {
    const generation = new Generation(this, 1);
    this.next = generation;
    const response = await generation.negotiate(this.url);
    this.resource = generation.resource;
    this.#links = linksOf(response, this.url);
    this.#limitMs = 1000 * (/seconds=([\d.]+)/.exec(response.headers.get('Keywheel-Rotation'))?.[1] ?? Infinity);
    this.#enter('connecting');
    await this.#connect(generation);
    generation.state = 'current';
    generation.audio.muted = false;
    this.current = generation;
    this.next = null;
    this.#enter('connected');
    this.#awaitMedia(this.resource);
  }

  // The first packet that comes back, whenever that is and whatever the generation.
  async #awaitMedia(resource) {
    while (!this.current?.hasMedia()) {
      await sleep(5);
      if (this.state === 'ended' || this.resource !== resource) return;
    }
    this.timing.firstPacket ??= performance.now();
    this.#isHeard = true;
    if (this.state === 'connected') this.#enter('live');
    this.emit('stream', { generation: this.current.number, stream: this.current.remote });
  }

  /*
   * A browser does not say why DTLS failed; it looks like a path that does not work. The gateway does, so we listen to
   * it from the beginning, and wait a moment for its word when the connection fails.
   */
  async #connect(generation) {
    const ended = new Promise((resolve) => (this.#verdict = resolve));
    this.#listen();
    try {
      await Promise.race([
        deadline(generation.connected, CONNECT_MS, () => new KeywheelError('no-path', 'No network path to the gateway works.')),
        ended.then((verdict) => Promise.reject(verdict)),
      ]);
    } catch (error) {
      throw (await Promise.race([ended, sleep(VERDICT_MS, this.#abort.signal)])) ?? error;
    } finally {
      this.#verdict = null;
    }
  }

  // What the gateway's last event means to whoever waits for the call.
  #ending({ end, dtlsEnd, alert }) {
    if (end === 'handshake' && dtlsEnd === 'policy')
      return new KeywheelError('refused', `The gateway's policy and what this browser offers for DTLS have nothing in common (${alert}).`, {
        rule: 'no-common-terms', end, alert,
      });
    return new KeywheelError('ended', `The gateway ended the call: ${end ?? 'no reason given'}.`, { end, alert });
  }

  // Resolves when the gateway says so, or after a time without its word.
  #word(type, number, patienceMs) {
    const key = `${type} ${number}`;
    const said = new Promise((done) => this.#waiting.set(key, done));
    return Promise.race([said, sleep(patienceMs, this.#abort.signal)]).finally(() => this.#waiting.delete(key));
  }

  /**
   * New keys now. Resolves with the record of the rotation; joins one that is under way, and waits while the
   * gateway still keeps the generation before.
   */
  rotate({ reason = 'operator', method = 'parallel' } = {}) {
    const run = { parallel: () => this.#rotateParallel(reason), restart: () => this.#rotateRestart(reason) }[method];
    if (!run) return Promise.reject(new KeywheelError('unsupported', `No method is called ${method}.`));
    if (method === 'restart' && !restartsDtls()) {
      return Promise.reject(new KeywheelError('unsupported', 'This browser is not known to restart DTLS.'));
    }
    if (!this.current || this.state === 'ended') return Promise.reject(new KeywheelError('closed', 'There is no call.'));
    this.#rotation ??= run().finally(() => (this.#rotation = null));
    return this.#rotation;
  }

  /*
   * The same connection with new keys, for browsers that restart DTLS when the fingerprint in an answer
   * changes: Chromium does, with a short gap; Firefox does not and would fall silent, so it is never a default.
   */
  async #rotateRestart(reason) {
    await this.#isClear;
    const generation = this.current;
    if (!generation || this.state === 'ended') throw new KeywheelError('closed', 'There is no call.');
    const began = performance.now();
    const old = generation.number;
    const lost = (await this.#countsOf(generation)).packetsLost;
    const missed = -(await generation.concealedMs());
    this.emit('rotating', { generation: old + 1, reason, method: 'restart' });
    try {
      await generation.restartKeys(`${this.resource}/restart`);
      this.#attempts = 0;
      this.#isClear = this.#word('retired', old, RETIRE_MS);
      const record = {
        generation: generation.number,
        method: 'restart',
        reason,
        at: generation.since,
        connectMs: performance.now() - began,
        switchMs: performance.now() - began,
        lost: 0,
        interruptedMs: undefined,
      };
      await sleep(OVERLAP_MS, this.#abort.signal); // what is missing shows when the numbers go on
      record.lost = (await this.#countsOf(generation)).packetsLost - lost;
      record.interruptedMs = orUndefined(missed + (await generation.concealedMs()));
      this.rotations.push(record);
      this.emit('rotated', record);
      return record;
    } catch (error) {
      this.#failed(error, reason); // the next attempt is a second connection: this one may have lost its keys
      throw error;
    }
  }

  // The gateway sends nothing with keys beyond their limit, so the old sound ends there.
  #keysLeftMs(generation) {
    return generation.since + this.#limitMs - Date.now();
  }

  async #rotateParallel(reason) {
    await this.#isClear;
    const old = this.current;
    if (!old || this.state === 'ended') throw new KeywheelError('closed', 'There is no call.');
    const next = new Generation(this, old.number + 1);
    const began = performance.now();
    this.next = next;
    this.emit('rotating', { generation: next.number, reason, method: 'parallel' });
    try {
      await next.negotiate(this.#links.get('generations') ?? `${this.resource}/generations`);
      const switched = this.#word('switched', next.number, CONNECT_MS);
      await deadline(next.connected, CONNECT_MS, () => new KeywheelError('no-path', 'The next generation found no path.'));
      next.timing.ready = performance.now();
      await next.carries(old);
      await sleep(Math.max(0, Math.min(SETTLE_MS, this.#keysLeftMs(old))), this.#abort.signal);
      if (next.pc.connectionState !== 'connected') throw new KeywheelError('no-path', 'The next generation lost its path.');
      next.audio.volume = old.audio.volume;
      const wasMuted = old.audio.muted;
      const missed = -(await next.concealedMs());
      next.audio.muted = wasMuted;
      if (!wasMuted) await sleep(SWAP_MS);
      old.audio.muted = true;
      old.state = 'previous';
      next.state = 'current';
      this.current = next;
      this.previous = old;
      this.next = null;
      this.#attempts = 0;
      if (this.#isHeard) this.emit('stream', { generation: next.number, stream: next.remote });
      const record = {
        generation: next.number,
        method: 'parallel',
        reason,
        at: Date.now(),
        connectMs: next.timing.connected - began,
        switchMs: performance.now() - began,
        lost: 0,
        interruptedMs: undefined,
      };
      this.#isClear = this.#word('retired', old.number, RETIRE_MS);
      await Promise.all([sleep(OVERLAP_MS, this.#abort.signal), Promise.race([switched, sleep(SWITCH_MS, this.#abort.signal)])]);
      record.interruptedMs = orUndefined(missed + (await next.concealedMs()));
      record.lost = await this.#retire(old);
      this.rotations.push(record);
      this.emit('rotated', record);
      return record;
    } catch (error) {
      next.close();
      if (this.next === next) this.next = null;
      this.#failed(error, reason);
      throw error;
    }
  }

  // Keeps the counts of a generation that goes; returns how many packets it missed.
  async #retire(generation) {
    const counts = await this.#countsOf(generation).catch(() => null);
    if (counts) for (const name of Object.keys(this.#settled)) this.#settled[name] += counts[name];
    generation.close();
    if (this.previous === generation) this.previous = null;
    return counts?.packetsLost ?? 0;
  }

  // The old keys go on; another attempt follows unless there is nothing left to rotate.
  #failed(error, reason) {
    if (this.state === 'ended' || error.code === 'closed') return;
    const retryMs = error.retryMs ?? RETRY_MS[Math.min(this.#attempts++, RETRY_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    this.emit('rotationfailed', { error, retryMs: this.automatic ? retryMs : undefined });
    if (!this.automatic || error.code === 'gone') return;
    this.#isWaiting = true;
    sleep(retryMs, this.#abort.signal).then(() => {
      this.#isWaiting = false;
      if (this.state !== 'ended' && this.current) this.rotate({ reason }).catch(() => {});
    });
  }

  // The gateway's side of the wheel: a stream read with fetch, so that the token stays in a header.
  async #listen() {
    const resource = this.resource;
    for (let attempt = 0; this.state !== 'ended' && this.resource === resource; attempt++) {
      try {
        const response = await this.request('GET', this.#links.get('events') ?? `${resource}/events`, {
          headers: { Accept: 'text/event-stream' },
        });
        attempt = 0;
        await this.#readEvents(response.body);
      } catch (error) {
        if (error.code === 'gone') return this.current ? this.#callGone(resource) : undefined;
        if (error.code === 'refused' || error.code === 'unauthorized') return;
      }
      await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], this.#abort.signal);
    }
  }

  async #readEvents(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = '';
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        buffer += value.replaceAll('\r', '');
        for (let end; (end = buffer.indexOf('\n\n')) >= 0; buffer = buffer.slice(end + 2)) this.#hear(buffer.slice(0, end));
        if (buffer.length > 65536) throw new KeywheelError('gateway', 'An event without an end.');
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  #hear(text) {
    let type = 'message';
    const data = [];
    for (const line of text.split('\n')) {
      if (line.startsWith('event:')) type = line.slice(6).trim();
      else if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
    }
    let detail = {};
    try {
      detail = data.length ? JSON.parse(data.join('\n')) : {};
    } catch {
      return; // a newer gateway may say what we cannot read
    }
    this.emit('gateway', { type, ...detail });
    this.#waiting.get(`${type} ${detail.generation}`)?.();
    if (type === 'due') {
      this.#due(detail.reason);
    } else if (type === 'state') {
      // The first word of a stream: what happened while nobody listened.
      if (detail.rotation?.dueInSeconds === 0) this.#due('due');
    } else if (type === 'closed') {
      const ending = this.#ending(detail);
      if (this.#verdict) this.#verdict(ending);
      else this.#finish(ending);
    }
  }

  #due(reason) {
    this.emit('due', { reason });
    if (this.automatic && !this.#isWaiting) this.rotate({ reason }).catch(() => {});
  }

  /** A generation's connection changed; only the current one's matters to the call. */
  pathChanged(generation) {
    if (generation !== this.current || this.state === 'ended') return;
    const state = generation.pc.connectionState;
    if (state === 'connected') this.#enter(this.#isHeard ? 'live' : 'connected');
    else if (state === 'disconnected' || state === 'failed') this.#repair ??= this.#mend(generation).finally(() => (this.#repair = null));
  }

  // A path that broke: wait a moment, then new ICE credentials, until it works or the time is up.
  async #mend(generation) {
    const until = performance.now() + GIVE_UP_MS;
    if (generation.pc.connectionState === 'disconnected') await sleep(PATH_GRACE_MS, this.#abort.signal);
    const isBroken = () => this.state !== 'ended' && generation === this.current && generation.pc.connectionState !== 'connected';
    let last = new KeywheelError('no-path', 'The network path broke and could not be mended.');
    for (let attempt = 0; isBroken(); attempt++) {
      this.#enter('reconnecting');
      try {
        await generation.restartPath();
        for (let i = 0; i < 40 && isBroken(); i++) await sleep(100, this.#abort.signal);
      } catch (error) {
        last = error;
        if (error.code === 'gone') return this.#callGone(this.resource);
      }
      if (performance.now() > until) return this.#finish(last);
      if (isBroken()) await sleep(RETRY_MS[Math.min(attempt, 3)], this.#abort.signal);
    }
    if (this.state !== 'ended') this.#enter(this.#isHeard ? 'live' : 'connected');
  }

  // The gateway does not know the call any more: it was restarted. A new call replaces it, and that is said.
  async #callGone(resource) {
    if (this.state === 'ended' || this.resource !== resource) return;
    this.#enter('reconnecting');
    this.resource = null;
    for (const generation of [this.next, this.previous, this.current]) if (generation) await this.#retire(generation);
    this.next = this.previous = this.current = null;
    this.#isHeard = false;
    const until = performance.now() + GIVE_UP_MS;
    for (let attempt = 0; this.state !== 'ended'; attempt++) {
      try {
        await this.#open();
        return this.emit('newcall', {});
      } catch (error) {
        this.next?.close();
        const isFinal = error.code === 'unauthorized' || error.code === 'refused' || performance.now() > until;
        if (isFinal) return this.#finish(error);
        await sleep(error.retryMs ?? RETRY_MS[Math.min(attempt, 3)], this.#abort.signal);
      }
    }
  }

  /** Ends the call on both sides. */
  async stop() {
    await this.#finish(null);
  }

  // Whatever the reason, the gateway is told, unless it is the one that said so. It is told first: closing the
  // last connection ends the call there as well, and then there would be nothing to delete.
  async #finish(error) {
    if (this.state === 'ended') return;
    const resource = this.resource ?? this.next?.resource;
    const generations = [this.next, this.previous, this.current].filter(Boolean);
    for (const generation of generations) generation.audio.pause();
    this.#enter('ended', { error });
    this.#abort.abort();
    this.emit('ended', { error });
    if (resource && error?.code !== 'gone' && error?.code !== 'ended') {
      await Promise.race([this.request('DELETE', resource, { keepalive: true }).catch(() => {}), sleep(FAREWELL_MS)]);
    }
    for (const generation of generations) generation.close();
  }

  /** What the gateway knows of this call: its own JSON. */
  async describe() {
    return (await this.request('GET', this.resource, { headers: { Accept: 'application/json' } })).json();
  }

  async #countsOf(generation) {
    const report = await generation.pc.getStats();
    const counts = { packetsSent: 0, packetsReceived: 0, packetsLost: 0, bytesSent: 0, bytesReceived: 0 };
    for (const entry of report.values()) {
      if (entry.type === 'outbound-rtp') {
        counts.packetsSent += entry.packetsSent ?? 0;
        counts.bytesSent += (entry.bytesSent ?? 0) + (entry.headerBytesSent ?? 0);
      } else if (entry.type === 'inbound-rtp') {
        counts.packetsReceived += entry.packetsReceived ?? 0;
        counts.packetsLost += entry.packetsLost ?? 0;
        counts.bytesReceived += (entry.bytesReceived ?? 0) + (entry.headerBytesReceived ?? 0);
      }
    }
    return counts;
  }

  /** What this browser knows: totals of the call, and the current generation in detail. */
  async stats() {
    const totals = { ...this.#settled };
    const generation = this.current;
    if (!generation) return { totals, generation: null };
    for (const one of [generation, this.previous]) {
      const counts = one && (await this.#countsOf(one).catch(() => null));
      if (counts) for (const name of Object.keys(totals)) totals[name] += counts[name];
    }
    return { totals, generation: await this.#detailsOf(generation) };
  }

  async #detailsOf(generation) {
    const entries = [...(await generation.pc.getStats()).values()];
    const transport = entries.find((entry) => entry.type === 'transport') ?? {};
    const byId = new Map(entries.map((entry) => [entry.id, entry]));
    const pair = byId.get(transport.selectedCandidatePairId) ?? entries.find((entry) => entry.type === 'candidate-pair' && (entry.selected || (entry.nominated && entry.state === 'succeeded')));
    const inbound = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'audio') ?? {};
    const remote = entries.find((entry) => entry.type === 'remote-inbound-rtp' && entry.kind === 'audio') ?? {};
    const roundTrip = pair?.currentRoundTripTime ?? remote.roundTripTime;
    const fingerprint = (id) => byId.get(id)?.fingerprint;
    return {
      number: generation.number,
      state: generation.state,
      since: generation.since,
      ageMs: generation.since ? Date.now() - generation.since : 0,
      dtlsVersion: transport.tlsVersion,
      dtlsCipher: transport.dtlsCipher,
      dtlsGroup: transport.tlsGroup,
      srtpCipher: transport.srtpCipher,
      localFingerprint: fingerprint(transport.localCertificateId) ?? fingerprintOf(generation.pc.localDescription?.sdp ?? ''),
      remoteFingerprint: (await generation.remoteFingerprint()) ?? fingerprint(transport.remoteCertificateId) ?? fingerprintOf(generation.answer),
      localAddress: byId.get(pair?.localCandidateId)?.address,
      remoteAddress: byId.get(pair?.remoteCandidateId)?.address,
      roundTripMs: roundTrip === undefined ? undefined : roundTrip * 1000,
      jitterMs: inbound.jitter === undefined ? undefined : inbound.jitter * 1000,
      ...(await this.#countsOf(generation)),
    };
  }
}
