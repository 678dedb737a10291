import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { Contract } from './contract.js';

/** A client certificate with its key, PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON, or the text if the answer is not JSON; undefined if it is empty. */
  readonly body: Body;
}

export interface RawRequest {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

const PATIENCE_MS = 20_000;

/** Calls the service as its callers do: over mutual TLS, with a pool of connections for each identity. */
export class Client<Identity extends string = string> {
  private readonly agents = new Map<Identity, Agent>();

  private readonly url: string;
  private readonly ca: string;
  private readonly certificateOf: (identity: Identity) => ClientCertificate;
  private readonly contract: Contract | undefined;

  constructor(url: string, ca: string, certificateOf: (identity: Identity) => ClientCertificate, contract?: Contract) {
    this.url = url;
    this.ca = ca;
    this.certificateOf = certificateOf;
    this.contract = contract;
  }

  call<Body = Record<string, unknown>>(
    identity: Identity,
    method: string,
    path: string,
    body?: unknown,
    headers: OutgoingHttpHeaders = {},
  ): Promise<Answer<Body>> {
    if (body === undefined) return this.send(identity, method, path, { headers });
    const json = { 'content-type': 'application/json', ...headers };
    return this.send(identity, method, path, { headers: json, body: JSON.stringify(body) });
  }

  /** Sends the request exactly as given, even a malformed one. It checks every answer against the published contract. */
  async send<Body = Record<string, unknown>>(
    identity: Identity,
    method: string,
    path: string,
    { headers = {}, body }: RawRequest = {},
  ): Promise<Answer<Body>> {
    const answer = await this.exchange(identity, method, path, headers, body);
    this.contract?.check(method, path, answer);
    return answer as Answer<Body>;
  }

  close(): void {
    for (const agent of this.agents.values()) agent.destroy();
    this.agents.clear();
  }

  private exchange(
    identity: Identity,
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body: string | Buffer | undefined,
  ): Promise<Answer<unknown>> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(this.url);
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
      const outgoing = request(
        { hostname, port, method, path, agent: this.agentOf(identity), headers: { ...length, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: parsed(text, response.headers),
            });
          });
        },
      );
      // Every client needs a time limit: a connection may be on its way to a worker that is killed.
      outgoing.setTimeout(PATIENCE_MS, () =>
        outgoing.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  private agentOf(identity: Identity): Agent {
    let agent = this.agents.get(identity);
    if (!agent) {
      agent = new Agent({ ...this.certificateOf(identity), ca: this.ca, keepAlive: true, maxSockets: 64 });
      this.agents.set(identity, agent);
    }
    return agent;
  }
}

function parsed(text: string, headers: IncomingHttpHeaders): unknown {
  if (text === '') return undefined;
  return /^application\/([a-z-]+\+)?json\b/.test(headers['content-type'] ?? '') ? JSON.parse(text) : text;
}
