import { Agent, request, type RequestOptions } from 'node:https';
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
  private readonly url: URL;

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

  private exchange(
    method: string,
    path: string,
    body?: object,
  ): Promise<ServiceAnswer & { readonly retryAfter: number | undefined }> {
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = sent && { 'content-type': 'application/json', 'content-length': sent.length };
    const options: RequestOptions = { agent: this.agent, method, headers, timeout: PATIENCE_MS };
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.url), options, (incoming) => {
        const { statusCode: status = 0, headers: received } = incoming;
        const isJson = /^application\/(?:[a-z]+\+)?json\b/.test(received['content-type'] ?? '');
        const retryAfter = received['retry-after'] === undefined ? undefined : Number(received['retry-after']);
        (isJson ? json(incoming) : text(incoming)).then((parsed) => {
          resolve({ status, body: isJson ? (parsed as ServiceAnswer['body']) : {}, retryAfter });
        }, reject);
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${String(PATIENCE_MS / 1_000)} seconds`)));
      outgoing.on('error', reject);
      outgoing.end(sent);
    });
  }
}
