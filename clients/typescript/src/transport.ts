import type { Agent } from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, Connections } from './connections.ts';
import { Exchange, type Format } from './exchange.ts';
import { parseProblem, PasskeyProblem } from './problem.ts';
import { findPause, type Repetition } from './retry.ts';

export interface TransportOptions extends ConnectionOptions {
  /** The service's address. It may have a path, below which a gateway offers the service. */
  url: string;
  /** The time limit for a call with all its tries: milliseconds. 10,000 by default. */
  timeoutMs?: number;
  /** How often the client sends a request again, where the contract allows that. 2 by default. */
  retries?: number;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  /** Lines of JSON instead of a body. The call is never repeated. */
  readonly lines?: Readable;
  readonly repetition?: Repetition;
  /** The format of a success: JSON by default. Of a stream, `timeoutMs` limits the wait for each part. */
  readonly format?: Format;
  readonly signal?: AbortSignal | undefined;
}

/** Sends calls to the service: as often as the contract allows, within one time limit. */
export class Transport {
  readonly #base: string;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #connections: Connections;

  constructor(options: TransportOptions) {
    this.#base = readBase(options.url);
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#retries = options.retries ?? 2;
    this.#connections = new Connections(options);
  }

  /**
   * @returns the body of the answer
   * @throws PasskeyProblem when the answer is not a success; PasskeyTransportError when there is none
   */
  async call(call: Call): Promise<unknown> {
    const end = performance.now() + this.#timeoutMs;
    for (let attempts = 1; ; attempts += 1) {
      call.signal?.throwIfAborted();
      this.#connections.refresh();
      const { agent } = this.#connections;
      try {
        return await this.#attempt(call, agent, end - performance.now(), attempts);
      } catch (error) {
        const wait = attempts > this.#retries ? undefined : this.#findPause(error, call, agent, attempts);
        if (wait === undefined || performance.now() + wait >= end) throw error;
        await pause(wait, undefined, call.signal && { signal: call.signal }).catch(() => undefined);
      }
    }
  }

  close(): void {
    this.#connections.close();
  }

  async #attempt(call: Call, agent: Agent, timeoutMs: number, attempts: number): Promise<unknown> {
    const { method, path, query = {}, body, lines, format = 'json', signal } = call;
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const outgoing = {
      method,
      url,
      body: lines ?? (body && JSON.stringify(body)),
      format,
      signal,
      timeoutMs,
      attempts,
    };
    const { status, headers, body: answer } = await new Exchange(outgoing, agent, this.#connections).send();
    if (status >= 200 && status < 300) return answer;
    throw parseProblem(status, String(answer), headers['retry-after'] ?? null, attempts);
  }

  /** The service looks at the certificate first, and answers 401 when it has ended. The renewed one may be there by now. */
  #findPause(error: unknown, { repetition = 'always' }: Call, agent: Agent, attempts: number): number | undefined {
    if (repetition !== 'never' && error instanceof PasskeyProblem && error.slug === 'caller-unidentified') {
      this.#connections.refresh();
      return this.#connections.agent === agent ? undefined : 0;
    }
    return findPause(error, repetition, attempts);
  }
}

function readBase(text: string): string {
  const { protocol, username, password, search, hash, origin, pathname } = new URL(text);
  if (protocol !== 'https:' || [username, password, search, hash].some((part) => part !== '')) {
    throw new TypeError('url must be like https://passkeys.internal:8443 or https://gateway.internal/passkeys');
  }
  return origin + pathname.replace(/\/+$/, '');
}
