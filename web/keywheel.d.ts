// SPDX-License-Identifier: Apache-2.0

/**
 * unreachable  the gateway does not answer          unauthorized  no token, or a wrong one
 * refused      the policy or the request's rules    busy          full or too often; retryMs says when
 * gone         the gateway does not know the call   gateway       the gateway failed
 * no-path      no candidate pair works              no-media      connected, but nothing came back
 * conflict     another change is under way          unsupported   this method does not exist here
 * ended        the gateway ended the call           closed        the call was ended here
 */
export type KeywheelErrorCode =
  | 'unreachable' | 'unauthorized' | 'refused' | 'busy' | 'gone' | 'gateway'
  | 'no-path' | 'no-media' | 'conflict' | 'unsupported' | 'ended' | 'closed';

export class KeywheelError extends Error {
  code: KeywheelErrorCode;
  status?: number;
  /** The policy rule that refused. */
  rule?: string;
  retryMs?: number;
  /** Why the gateway ended the call. */
  end?: string;
  /** The alert of DTLS with which it did. */
  alert?: string;
}

export type KeywheelState =
  | 'new' | 'starting' | 'connecting' | 'connected' | 'live' | 'reconnecting' | 'ended';

export interface KeywheelOptions {
  /** Where a call is made: ORIGIN/v1/calls. */
  url: string;
  /** Bearer token; travels in a header only. */
  token?: string;
  /** The tracks to send; they stay yours and are not stopped at the end. */
  stream: MediaStream;
  configuration?: RTCConfiguration;
  /** Makes the audio element of a generation; by default one outside the document. */
  createAudio?: () => HTMLAudioElement;
  /** Rotate whenever the gateway says it is due, and try again after a failure. Default true. */
  automatic?: boolean;
  fetch?: typeof fetch;
}

/** restart: the same connection; only where the browser restarts DTLS (Chromium), and with a short gap. */
export type KeywheelMethod = 'parallel' | 'restart';

export interface KeywheelRotation {
  generation: number;
  method: KeywheelMethod;
  reason: string;
  /** Milliseconds since 1970 when the new keys took over. */
  at: number;
  /** From the decision to ICE and DTLS done. */
  connectMs: number;
  /** From the decision to hearing the new generation. */
  switchMs: number;
  /** Packets that never came: of the old generation over its whole life (parallel), around the switch (restart). */
  lost: number;
  /** Audio that the browser had to make up around the switch, as its jitter buffer counts; absent where it does not count. */
  interruptedMs?: number;
}

export interface KeywheelTotals {
  packetsSent: number;
  packetsReceived: number;
  packetsLost: number;
  bytesSent: number;
  bytesReceived: number;
}

export interface KeywheelGenerationStats extends KeywheelTotals {
  number: number;
  state: 'negotiating' | 'current' | 'previous' | 'closed';
  since: number | null;
  ageMs: number;
  /** As getStats() says them; undefined where a browser does not. */
  dtlsVersion?: string;
  dtlsCipher?: string;
  dtlsGroup?: string;
  srtpCipher?: string;
  localFingerprint?: string;
  remoteFingerprint?: string;
  localAddress?: string;
  remoteAddress?: string;
  roundTripMs?: number;
  jitterMs?: number;
}

export interface KeywheelEvents {
  state: CustomEvent<{ state: KeywheelState; error?: KeywheelError | null }>;
  track: CustomEvent<{ generation: number; track: MediaStreamTrack; stream: MediaStream }>;
  /** From now on this stream is what is played; show its video. */
  stream: CustomEvent<{ generation: number; stream: MediaStream }>;
  /** The gateway asks for new keys. */
  due: CustomEvent<{ reason?: string }>;
  rotating: CustomEvent<{ generation: number; reason: string; method: KeywheelMethod }>;
  rotated: CustomEvent<KeywheelRotation>;
  /** Every event of the gateway's stream, as docs/http-api.md lists them. */
  gateway: CustomEvent<{ type: string; generation?: number; reason?: string; [name: string]: unknown }>;
  /** The old keys go on; retryMs is absent when nothing is tried by itself. */
  rotationfailed: CustomEvent<{ error: KeywheelError; retryMs?: number }>;
  /** The browser wants a gesture before it plays; call audio.play() from one. */
  blocked: CustomEvent<{ audio: HTMLAudioElement }>;
  /** The gateway had forgotten the call (it was restarted); this is another one. */
  newcall: CustomEvent<Record<string, never>>;
  ended: CustomEvent<{ error: KeywheelError | null }>;
}

export class KeywheelCall extends EventTarget {
  constructor(options: KeywheelOptions);
  readonly state: KeywheelState;
  /** The call's own address, once there is one. */
  readonly resource: string | null;
  readonly rotations: KeywheelRotation[];
  /** What the constructor was given, and what may be changed during the call: the next rotation looks at it. */
  readonly url: string;
  token: string;
  readonly stream: MediaStream;
  automatic: boolean;
  /** performance.now() of the start and of the first packet that came back. */
  readonly timing: { started?: number; firstPacket?: number };
  /**
   * Resolves when the keys are agreed and media can flow. The state is `live` from the first packet that comes back:
   * at once from an echo or an agent, later for whoever is the first in a room.
   */
  start(): Promise<this>;
  /** Rejects with `unsupported` for `restart` in a browser that is not known to restart DTLS. */
  rotate(options?: { reason?: string; method?: KeywheelMethod }): Promise<KeywheelRotation>;
  stop(): Promise<void>;
  stats(): Promise<{ totals: KeywheelTotals; generation: KeywheelGenerationStats | null }>;
  /** The gateway's JSON about this call (docs/http-api.md). */
  describe(): Promise<any>;
  addEventListener<K extends keyof KeywheelEvents>(type: K, listener: (event: KeywheelEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}
