// SPDX-License-Identifier: Apache-2.0
// The console: one call, made by a click, and what is known about it.

import { KeywheelCall } from './keywheel.js';
import { Meter } from './meter.js';
import { STATES, byteCount, dtlsName, duration, failureWords, microphoneError, milliseconds, rotationWords, whole } from './words.js';

const at = (id) => document.getElementById(id);
const DASH = '–';
const REFRESH_MS = 1000;

let token = takeToken();
let call = null;
let stream = null;
let sound = null;
let meters = {};
let timer = 0;
let busy = false;
let spans = []; // of the timeline: one for each generation, a short one for each failure

// The token comes in the fragment, which no server and no log ever sees, and leaves the address bar at once.
function takeToken() {
  const fragment = decodeURIComponent(location.hash.slice(1));
  const fresh = new URLSearchParams(fragment).get('token') ?? (fragment.includes('=') ? '' : fragment);
  if (fresh) {
    sessionStorage.setItem('token', fresh);
    history.replaceState(null, '', location.pathname);
  }
  return fresh || sessionStorage.getItem('token') || '';
}

function show(id, text) {
  const element = at(id);
  const value = text === undefined || text === null || text === '' ? DASH : String(text);
  if (element.textContent !== value) element.textContent = value;
}

function enter(state) {
  const pill = at('status');
  pill.dataset.state = state;
  show('status', STATES[state] ?? state);
  const isActive = !['idle', 'ended', 'failed'].includes(state);
  const button = at('call');
  button.textContent = isActive ? (state === 'live' || state === 'reconnecting' ? 'Stop' : 'Cancel') : 'Start call';
  button.toggleAttribute('data-active', isActive);
  at('rotate').disabled = state !== 'live';
  at('video').disabled = isActive;
}

function fail(error) {
  const { title, words, detail } = failureWords(error);
  show('failure-title', title);
  at('failure-words').textContent = words;
  at('failure-detail').textContent = detail;
  at('failure').hidden = false;
  at('token-form').hidden = error.code !== 'unauthorized';
  enter('failed');
}

async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) throw Object.assign(new Error(''), { code: 'not-secure' });
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      video: at('video').checked ? { width: { ideal: 640 }, height: { ideal: 360 } } : false,
    });
  } catch (error) {
    throw microphoneError(error);
  }
}

async function start() {
  at('failure').hidden = true;
  enter('asking');
  busy = true;
  try {
    stream = await openMicrophone();
    if (!busy) return release();
    sound = new AudioContext();
    meters.sent = new Meter(sound, stream);
    call = new KeywheelCall({ url: '/v1/calls', token, stream });
    listenTo(call);
    clearSpans();
    draw();
    await call.start();
  } catch (error) {
    if (busy && error.code !== 'closed') fail(error);
    release();
  }
}

function listenTo(current) {
  current.addEventListener('state', ({ detail }) => {
    if (detail.state !== 'ended') enter(detail.state);
    if (detail.state === 'live' && !spans.length) addSpan(current.current.number, Date.now());
  });
  current.addEventListener('stream', ({ detail }) => {
    meters.heard?.stop();
    meters.heard = new Meter(sound, detail.stream);
    const picture = at('picture');
    picture.hidden = detail.stream.getVideoTracks().length === 0;
    if (!picture.hidden) picture.srcObject = detail.stream;
    show('headline', 'You are talking through Keywheel.');
  });
  current.addEventListener('blocked', ({ detail }) => {
    at('unblock').hidden = false;
    at('unblock').onclick = () => detail.audio.play().then(() => (at('unblock').hidden = true));
  });
  current.addEventListener('rotating', () => (at('rotate').disabled = true));
  current.addEventListener('rotated', ({ detail }) => {
    at('rotate').disabled = current.state !== 'live';
    addRotation(detail);
  });
  current.addEventListener('rotationfailed', ({ detail }) => {
    at('rotate').disabled = current.state !== 'live';
    addFailedRotation(detail);
  });
  current.addEventListener('newcall', () => {
    note('The gateway was restarted; this is a new call.', 'failed');
    clearSpans();
    if (current.state === 'live') addSpan(current.current.number, Date.now());
  });
  current.addEventListener('ended', ({ detail }) => {
    if (detail.error) fail(detail.error);
    else enter('idle');
    release();
  });
}

// Everything that a call held, whoever ended it.
function release() {
  busy = false;
  clearInterval(timer);
  for (const meter of Object.values(meters)) meter.stop();
  meters = {};
  for (const track of stream?.getTracks() ?? []) track.stop();
  sound?.close();
  stream = sound = call = null;
  at('picture').hidden = true;
  at('picture').srcObject = null;
  at('unblock').hidden = true;
  showLevel('sent-level', 0);
  showLevel('heard-level', 0);
  show('headline', 'Speak, and hear yourself through the gateway.');
}

function toggle() {
  if (!busy) return start();
  const current = call;
  if (current) return current.stop();
  enter('idle');
  busy = false; // the microphone's answer is still to come, and will be let go
}

function line(list, className) {
  if (list.firstElementChild?.classList.contains('quiet')) list.replaceChildren();
  const item = document.createElement('li');
  if (className) item.className = className;
  const time = document.createElement('time');
  time.dateTime = new Date().toISOString();
  time.textContent = new Date().toLocaleTimeString();
  item.append(time);
  list.prepend(item);
  return item;
}

function note(text, className) {
  const words = document.createElement('span');
  words.textContent = text;
  line(at('rotations'), className).append(words);
}

function addRotation(record) {
  const { title, why, figures } = rotationWords(record);
  const words = document.createElement('span');
  const list = document.createElement('dl');
  words.textContent = `${title}: ${why}`;
  for (const [name, value] of figures) {
    const pair = document.createElement('div');
    for (const [tag, text] of [['dt', name], ['dd', value]]) {
      pair.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    list.append(pair);
  }
  line(at('rotations')).append(words, list);
  addSpan(record.generation, record.at);
}

// The wheel, rolled out: what is wider lasted longer.
function addSpan(generation, since) {
  const element = at('timeline').appendChild(document.createElement('span'));
  element.textContent = generation;
  element.title = `Generation ${generation}`;
  spans.push({ element, since });
  at('timeline').hidden = false;
  drawSpans();
}

function drawSpans() {
  spans.forEach(({ element, since }, i) => {
    const until = spans[i + 1]?.since ?? (call ? Date.now() : since);
    if (call || i + 1 < spans.length) element.style.flexGrow = Math.max(1, until - since);
  });
}

function clearSpans() {
  spans = [];
  at('timeline').replaceChildren();
  at('timeline').hidden = true;
}

function addFailedRotation({ error, retryMs }) {
  const again = retryMs ? ` Another attempt in ${duration(retryMs)}.` : '';
  note(`${failureWords(error).title} The old keys go on.${again}`, 'failed');
  const tick = Object.assign(document.createElement('span'), { className: 'failed', title: 'A rotation failed' });
  at('timeline').lastElementChild?.before(tick);
}

function showLevel(id, level) {
  const percent = Math.round(100 * level);
  at(id).firstElementChild.style.transform = `translateX(${percent - 100}%)`;
  at(id).setAttribute('aria-valuenow', percent);
}

// The needle moves with the picture, the figures once a second.
function draw() {
  timer = setInterval(refresh, REFRESH_MS);
  const ring = at('level-ring');
  const frame = () => {
    if (!meters.sent) return ring.setAttribute('stroke-width', '0');
    const heard = meters.heard?.read() ?? 0;
    showLevel('sent-level', meters.sent.read());
    showLevel('heard-level', heard);
    ring.setAttribute('stroke-width', (6 + 22 * heard).toFixed(1));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

// The gateway's word where it has one; the browser's otherwise.
async function refresh() {
  const current = call;
  if (!current?.current) return;
  const [here, there] = await Promise.all([current.stats(), current.describe().catch(() => null)]);
  if (call !== current || !here.generation) return;
  const ours = here.generation;
  const theirs = generationOf(there, ours.number);
  drawSpans();
  showKeys(ours, theirs, there);
  showNegotiated(ours, theirs);
  show('sent', whole(here.totals.packetsSent));
  show('received', whole(here.totals.packetsReceived));
  show('lost', whole(here.totals.packetsLost));
  show('round-trip', milliseconds(ours.roundTripMs ?? theirs?.pathRttMs));
  showFingerprints(ours, theirs);
}

function generationOf(there, number) {
  const list = there?.generations ?? [];
  return list.find((one) => one.generation === number) ?? list.find((one) => one.current);
}

function showKeys(ours, theirs, there) {
  const age = theirs ? theirs.keyAgeSeconds * 1000 : ours.ageMs;
  const bytes = theirs?.keyBytes ?? ours.bytesSent + ours.bytesReceived;
  const due = there?.rotation?.dueInSeconds;
  show('generation', ours.number);
  show('age', duration(age));
  show('due', due === undefined ? undefined : due > 0 ? `in ${duration(due * 1000)}` : 'now');
  show('key-bytes', byteCount(bytes));
  const limitMs = (there?.rotation?.limitSeconds ?? 3600) * 1000;
  const limitBytes = there?.rotation?.limitBytes ?? 1e9;
  const turned = 100 * Math.min(1, Math.max(age / limitMs, bytes / limitBytes));
  at('age-arc').setAttribute('stroke-dasharray', `${Math.max(turned, 0.5).toFixed(2)} 101`);
}

// The group is the gateway's word first: both browsers say less about it.
function showNegotiated(ours, theirs) {
  show('dtls', dtlsName(ours.dtlsVersion ?? theirs?.dtls));
  show('suite', theirs?.suite ?? ours.dtlsCipher);
  show('group', theirs?.group ?? ours.dtlsGroup);
  show('srtp', (theirs?.srtp ?? ours.srtpCipher)?.replace(/^SRTP_/, ''));
}

function showFingerprints(ours, theirs) {
  show('local-print', ours.localFingerprint);
  show('remote-print', ours.remoteFingerprint);
  const same = (a, b) => a && b && a.toUpperCase().endsWith(b.toUpperCase());
  const agreed = same(theirs?.peerFingerprint, ours.localFingerprint) && same(theirs?.ourFingerprint, ours.remoteFingerprint);
  at('agreement').textContent = agreed ? 'Both ends name the same two certificates.' : '';
}

at('call').addEventListener('click', toggle);
at('rotate').addEventListener('click', () => call?.rotate({ reason: 'operator' }).catch(() => {}));
at('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  token = at('token').value.trim();
  sessionStorage.setItem('token', token);
  at('token').value = '';
  at('token-form').hidden = true;
  at('failure').hidden = true;
});
at('token-form').hidden = token !== '';
addEventListener('hashchange', () => {
  token = takeToken();
  at('token-form').hidden = token !== '';
});
addEventListener('pagehide', () => call?.stop());
enter('idle');
