import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { json, text } from 'node:stream/consumers';

/** Certificate and key of the identity that calls, and the authorities of the service, PEM. */
export interface CallerFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

export interface ServiceAnswer {
  readonly status: number;
  /** The parsed JSON; empty if the answer has none. */
  readonly body: Readonly<Record<string, unknown>>;
}

const PATIENCE_MS = 20_000;
const TRIES = 5;
const MAX_PAUSE_SECONDS = 60;
/** The service sheds the request, or the caller asks too often. */
const LATER: ReadonlySet<number> = new Set([429, 503]);

/** Calls the service over mutual TLS. It repeats a request that the service did not take, after the time that it names. */
export class ServiceCaller {
  private readonly agent: Agent;
  readonly url: URL;

  constructor(url: URL, { cert, key, ca }: CallerFiles) {
    this.url = url;
    this.agent = new Agent({ cert, key, ca, minVersion: 'TLSv1.3', keepAlive: true });
  }

  /** @throws Error if no try had an answer */
  async call(method: 'GET' | 'POST', path: string, body?: object): Promise<ServiceAnswer> {
    for (let tried = 1; ; tried += 1) {
      const { retryAfter = 1, ...answer } = await this.exchange(method, path, body).catch((error: unknown) => {
        if (tried < TRIES) return { status: 503, body: {}, retryAfter: undefined };
        throw error;
      });
      if (tried === TRIES || !LATER.has(answer.status)) return answer;
      await sleep(Math.min(retryAfter, MAX_PAUSE_SECONDS) * 1_000);
    }
  }

  close(): void {
    this.agent.destroy();
  }

  /**
   * Sends one request, and returns its answer as soon as it begins, which may be before the end of a body that is a stream. It
   * repeats nothing.
   *
   * @throws Error if there is no answer
   */
  open(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    sent?: { readonly type: string; readonly body: Buffer | Readable },
  ): Promise<IncomingMessage> {
    const length = Buffer.isBuffer(sent?.body) ? { 'content-length': sent.body.length } : {};
    const headers = sent && { 'content-type': sent.type, ...length };
    const options: RequestOptions = { agent: this.agent, method, headers, timeout: PATIENCE_MS };
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.url), options, resolve);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${String(PATIENCE_MS / 1_000)} seconds`)));
      outgoing.on('error', reject);
      if (sent === undefined || Buffer.isBuffer(sent.body)) outgoing.end(sent?.body);
      else
        pipeline(sent.body, outgoing, (error) => {
          if (error) reject(error);
        });
    });
  }

  private async exchange(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
  ): Promise<ServiceAnswer & { readonly retryAfter: number | undefined }> {
    const sent = body === undefined ? undefined : { type: 'application/json', body: Buffer.from(JSON.stringify(body)) };
    const incoming = await this.open(method, path, sent);
    return { status: incoming.statusCode ?? 0, body: await readBody(incoming), retryAfter: readRetryAfter(incoming) };
  }
}

/** @returns the parsed JSON; empty if the answer is none */
export async function readBody(incoming: IncomingMessage): Promise<ServiceAnswer['body']> {
  const isJson = /^application\/(?:[a-z]+\+)?json\b/.test(incoming.headers['content-type'] ?? '');
  if (isJson) return (await json(incoming)) as ServiceAnswer['body'];
  await text(incoming);
  return {};
}

/** Seconds. */
export function readRetryAfter({ headers }: IncomingMessage): number | undefined {
  return headers['retry-after'] === undefined ? undefined : Number(headers['retry-after']);
}

/** Describes an answer that is a problem, in a line. */
export function describeAnswer({ status, body }: ServiceAnswer): string {
  const slug = typeof body['type'] === 'string' ? body['type'].split(':').at(-1) : undefined;
  return [String(status), slug, body['detail'] ?? body['title']].filter(Boolean).join(' ');
}
