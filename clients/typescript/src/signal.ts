import { setTimeout as sleep } from 'node:timers/promises';
import type { JWTVerifyOptions } from 'jose';
import type { components } from './contract.ts';
import { JwtError, type JwtFault, KeptKeys, verifyJwt } from './verify-jwt.ts';

/** The public keys of signals, the result of `getSignalKeys()`. */
export type SignalKeys = components['schemas']['SignalKeys'];

/** Why a security event token (SET) says nothing. The list is closed. */
export type SignalFault = Exclude<JwtFault, 'expired'>; // a SET has no end

/** A SET that says nothing. */
export class SignalError extends Error {
  override readonly name = 'SignalError';
  readonly reason: SignalFault;

  constructor(reason: SignalFault, message: string, options?: ErrorOptions) {
    super(`${reason}: ${message}`, options);
    this.reason = reason;
  }
}

/** The claims of a SET (RFC 8417 §2.2). Times are in seconds since 1970. */
export interface Signal {
  iss: string;
  aud: string;
  /** The same however often the signal is delivered. */
  jti: string;
  iat: number;
  /** What the signals of one cause have in common. */
  txn?: string;
  /** The user as `iss_sub`: `https://` and the RP ID, and the user id; or the stream as `opaque`. */
  sub_id: { format: 'iss_sub'; iss: string; sub: string } | { format: 'opaque'; id: string };
  /** The event by its type. There is one. */
  events: Record<string, Record<string, unknown>>;
}

/** What fetches the keys: a PasskeyManager. */
export interface SignalKeySource {
  getSignalKeys(): Promise<SignalKeys>;
}

export type SignalExpectations = {
  /** PASSKEY_SIGNAL_ISSUER of the service. */
  issuer: string;
  /** The `aud` of the receiver's stream. */
  audience: string;
  /** Seconds by which the clocks may be apart; 60 by default. */
  clockTolerance?: number | undefined;
} & ({ jwks: SignalKeys } | { jwksFrom: SignalKeySource });

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'Ed25519'];
const CLOCK_TOLERANCE = 60;

/**
 * Verifies a SET: its signature, `typ`, `iss`, `aud`, `jti` and that it has one event. It does not know which SETs came before:
 * a receiver keeps each `jti` that it has dealt with. With `jwks` it makes no call. With `jwksFrom` it keeps the keys for five
 * minutes, and fetches them again for a `kid` that it does not know, at most every ten seconds.
 *
 * @throws SignalError; what `jwksFrom` throws
 */
export async function verifySignal(set: string, expected: SignalExpectations): Promise<Signal> {
  const { issuer, audience, clockTolerance = CLOCK_TOLERANCE } = expected;
  const options: JWTVerifyOptions = {
    issuer,
    audience,
    typ: 'secevent+jwt',
    algorithms: ALGORITHMS,
    requiredClaims: ['jti', 'iat', 'events', 'sub_id'],
  };
  const claims = await verifyJwt(set, expected, fetched, options).catch((error: unknown) => {
    if (!(error instanceof JwtError)) throw error;
    const { reason, message, cause } = error;
    throw new SignalError(reason === 'expired' ? 'malformed' : reason, message, { cause });
  });
  const { events, sub, exp, iat = 0, jti } = claims as typeof claims & { events: unknown };
  // SSF 1.0 §4.1.2 and §4.1.7: what has a subject or an end of a JWT may be a token of another kind.
  const isSet = typeof jti === 'string' && jti !== '' && sub === undefined && exp === undefined && hasOneEvent(events);
  if (!isSet) throw new SignalError('malformed', 'its claims are not those of a SET with one event');
  if (iat > Date.now() / 1_000 + clockTolerance) throw new SignalError('not-yet-valid', 'it was made in the future');
  return claims as unknown as Signal;
}

const fetched = new KeptKeys<SignalKeySource>(async (source) => await source.getSignalKeys());

function hasOneEvent(events: unknown): boolean {
  if (typeof events !== 'object' || events === null || Array.isArray(events)) return false;
  const [event, ...others] = Object.values(events) as unknown[];
  return typeof event === 'object' && event !== null && others.length === 0;
}

/** What is polled: a PasskeyManager. */
export interface SignalSource extends SignalKeySource {
  pollSignals(
    streamId: string,
    poll: { ack?: string[]; setErrs?: Record<string, { err: string; description: string }> },
    options?: { signal?: AbortSignal },
  ): Promise<{ sets: Record<string, string> }>;
}

export interface FollowOptions {
  streamId: string;
  issuer: string;
  audience: string;
  /** Deals with a signal. If it throws, the signal and those after it come again. */
  onSignal: (signal: Signal) => Promise<void> | void;
  /** Hears why a SET was refused, and why a poll or `onSignal` failed: it is tried again. */
  onFailure?: (error: unknown) => void;
  /** Ends the polls. */
  signal: AbortSignal;
}

/** RFC 8935 §2.4, which RFC 8936 §2.6 uses, too. */
const CODES: Readonly<Record<SignalFault, string>> = {
  malformed: 'invalid_request',
  'type-mismatch': 'invalid_request',
  'not-yet-valid': 'invalid_request',
  'algorithm-denied': 'invalid_key',
  'key-unknown': 'invalid_key',
  'signature-invalid': 'invalid_key',
  'issuer-mismatch': 'invalid_issuer',
  'audience-mismatch': 'invalid_audience',
};
const BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
const MAX_KNOWN = 10_000;

/**
 * Polls a stream until it is told to end (RFC 8936): verifies each SET, gives it to `onSignal`, one after the other in the order of
 * the stream, and acknowledges it with the next poll. A SET that comes again after `onSignal` has dealt with it is only acknowledged;
 * the last 10,000 are known, until this process ends.
 */
export async function followSignals(source: SignalSource, options: FollowOptions): Promise<void> {
  const { streamId, onFailure, signal: end } = options;
  const follower = new Follower(source, options);
  const isOver = (): boolean => end.aborted;
  let failures = 0;
  while (!isOver()) {
    try {
      const { sets } = await source.pollSignals(streamId, follower.takeAnswers(), { signal: end });
      follower.forgetAnswers();
      await follower.deal(sets);
      failures = 0;
    } catch (error) {
      if (isOver()) return;
      onFailure?.(error);
      const pause = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** failures) * (0.5 + Math.random() / 2);
      failures += 1;
      await sleep(pause, undefined, { signal: end }).catch(() => undefined);
    }
  }
}

/** What a receiver has yet to tell, and what it has dealt with. */
class Follower {
  readonly #source: SignalSource;
  readonly #options: FollowOptions;
  readonly #known = new Set<string>();
  #ack: string[] = [];
  #setErrs: Record<string, { err: string; description: string }> = {};

  constructor(source: SignalSource, options: FollowOptions) {
    this.#source = source;
    this.#options = options;
  }

  takeAnswers() {
    const hasErrors = Object.keys(this.#setErrs).length > 0;
    return { ack: [...this.#ack], ...(hasErrors && { setErrs: this.#setErrs }) };
  }

  forgetAnswers(): void {
    this.#ack = [];
    this.#setErrs = {};
  }

  async deal(sets: Record<string, string>): Promise<void> {
    for (const [jti, set] of Object.entries(sets)) {
      if (!this.#known.has(jti)) await this.#dealWith(jti, set);
      else this.#ack.push(jti);
    }
  }

  async #dealWith(jti: string, set: string): Promise<void> {
    const { issuer, audience, onSignal, onFailure } = this.#options;
    try {
      const verified = await verifySignal(set, { issuer, audience, jwksFrom: this.#source });
      if (verified.jti !== jti) throw new SignalError('malformed', 'its jti is not the one that it came by');
      await onSignal(verified);
      this.#remember(jti);
      this.#ack.push(jti);
    } catch (error) {
      if (!(error instanceof SignalError)) throw error;
      onFailure?.(error);
      this.#setErrs[jti] = { err: CODES[error.reason], description: error.reason };
    }
  }

  #remember(jti: string): void {
    const [oldest] = this.#known;
    if (oldest !== undefined && this.#known.size >= MAX_KNOWN) this.#known.delete(oldest);
    this.#known.add(jti);
  }
}
