import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { ClientCertificate } from './client.js';

export interface LiveAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
  /** Counts the client's connections from 1. */
  readonly connection: number;
}

/** A caller that holds one connection open and opens another one only when the service has closed it. */
export class LiveConnection {
  /** The number of connections that it has opened. */
  connections = 0;
  private readonly agent: Agent;
  private readonly url: string;

  constructor(url: string, ca: string, certificate: ClientCertificate) {
    this.url = url;
    this.agent = new Agent({ ...certificate, ca, keepAlive: true, maxSockets: 1 });
  }

  /** @throws the socket's error when the handshake is refused */
  get(path = '/v1/credentials', headers: Record<string, string> = {}): Promise<LiveAnswer> {
    return this.send('GET', path, undefined, headers);
  }

  /** @throws the socket's error */
  post(path: string, body: unknown): Promise<LiveAnswer> {
    return this.send('POST', path, JSON.stringify(body), { 'content-type': 'application/json' });
  }

  /**
   * Begins a POST. When this resolves, the service has the headers and half of the body.
   *
   * @returns a function that sends the rest
   */
  beginPost(path: string, body: string): Promise<() => Promise<LiveAnswer>> {
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      expect: '100-continue',
    };
    return new Promise((resolve, reject) => {
      const { outgoing, answer } = this.begin('POST', path, headers);
      answer.catch(reject);
      outgoing.once('continue', () => {
        outgoing.write(body.slice(0, 20));
        resolve(() => {
          outgoing.end(body.slice(20));
          return answer;
        });
      });
      outgoing.flushHeaders();
    });
  }

  private send(
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<LiveAnswer> {
    const { outgoing, answer } = this.begin(method, path, headers);
    outgoing.end(body);
    return answer;
  }

  private begin(
    method: string,
    path: string,
    headers: Record<string, string>,
  ): { outgoing: ClientRequest; answer: Promise<LiveAnswer> } {
    const { promise: answer, resolve, reject } = Promise.withResolvers<LiveAnswer>();
    const outgoing = request(`${this.url}${path}`, { method, agent: this.agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        const body = JSON.parse(text || '{}') as Record<string, unknown>;
        resolve({ status, headers, body, connection: this.connections });
      });
    });
    outgoing.on('socket', (socket) => {
      if ((socket as TLSSocket).connecting) this.connections += 1;
    });
    outgoing.on('error', reject);
    return { outgoing, answer };
  }

  close(): void {
    this.agent.destroy();
  }
}
