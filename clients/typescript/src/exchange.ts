import { pipeline, type Readable } from 'node:stream';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type Agent, request as openRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Connections } from './connections.ts';
import { type Attempt, diagnose, PasskeyTransportError } from './transport-error.ts';

/** A `stream` is read by the caller, in its own time. */
export type Format = 'json' | 'text' | 'stream';

export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  /** JSON, or a stream of lines of JSON. */
  readonly body: string | Readable | undefined;
  readonly format: Format;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Counts the tries of the request, from 1. */
  readonly attempts: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body of a success in the format that was asked for; the text of any other answer. */
  readonly body: unknown;
}

/** Sends a request once. */
export class Exchange {
  readonly #outgoing: Outgoing;
  readonly #connections: Connections;
  readonly #request: ClientRequest;
  readonly #timer: NodeJS.Timeout;
  #connected = false;
  #reused = false;
  #answered = false;
  #late = false;

  constructor(outgoing: Outgoing, agent: Agent, connections: Connections) {
    const { method, url, signal, timeoutMs } = outgoing;
    this.#outgoing = outgoing;
    this.#connections = connections;
    this.#request = openRequest(url, { method, agent, ...(signal && { signal }) });
    this.#timer = setTimeout(() => {
      this.#late = true;
      this.#request.destroy();
    }, timeoutMs);
  }

  /** @throws PasskeyTransportError if no answer comes; the reason of `signal` if the signal ends the request */
  send(): Promise<Answer> {
    const { body } = this.#outgoing;
    const request = this.#request;
    return new Promise<Answer>((resolve, reject) => {
      request
        .once('socket', (socket: TLSSocket) => {
          // `reusedSocket` is false for a request that has waited for its connection.
          this.#reused = this.#connected = socket.authorized;
          if (!this.#connected) socket.once('secureConnect', () => (this.#connected = true));
        })
        .once('response', (response) => {
          this.#receive(response).then(resolve, reject);
        })
        .on('error', reject);
      if (typeof body === 'object') {
        request.setHeader('content-type', 'application/x-ndjson');
        // A failure of either side is one of the request.
        pipeline(body, request, () => undefined);
        return;
      }
      if (body !== undefined) {
        request.setHeader('content-type', 'application/json').setHeader('content-length', Buffer.byteLength(body));
      }
      request.end(body);
    })
      .catch((error: unknown) => {
        throw this.#explain(error as Error);
      })
      .finally(() => {
        clearTimeout(this.#timer);
      });
  }

  async #receive(response: IncomingMessage): Promise<Answer> {
    this.#answered = true;
    const { format, timeoutMs } = this.#outgoing;
    const { statusCode: status = 0, headers } = response;
    const isSuccess = status >= 200 && status < 300;
    if (isSuccess && format === 'stream') {
      this.#request.setTimeout(timeoutMs, () => this.#request.destroy());
      return { status, headers, body: response };
    }
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    const isJson = isSuccess && format === 'json';
    return { status, headers, body: isJson ? this.#parse(text) : text };
  }

  #parse(text: string): unknown {
    try {
      return text === '' ? undefined : JSON.parse(text);
    } catch (error) {
      throw new PasskeyTransportError('answer-unreadable', error as Error, this.#describe());
    }
  }

  #explain(error: Error): Error {
    const { signal, timeoutMs } = this.#outgoing;
    if (error instanceof PasskeyTransportError) return error;
    if (signal?.aborted) return signal.reason as Error;
    const attempt = this.#describe();
    if (!this.#late) return new PasskeyTransportError(diagnose(error, attempt), error, attempt);
    const late = new Error(`no ${attempt.connected ? 'answer' : 'connection'} within ${timeoutMs.toFixed()} ms`);
    return new PasskeyTransportError('timeout', late, attempt);
  }

  #describe(): Attempt {
    return {
      origin: this.#outgoing.url.origin,
      attempts: this.#outgoing.attempts,
      connected: this.#connected,
      reused: this.#reused,
      answered: this.#answered,
      certificateInvalid: this.#connections.isCertificateInvalid(),
      trouble: this.#connections.trouble,
    };
  }
}
