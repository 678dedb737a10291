import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';

export interface ReceivedSet {
  readonly token: string;
  readonly header: ReturnType<typeof decodeProtectedHeader>;
  readonly claims: JWTPayload & { readonly jti: string };
  readonly headers: IncomingMessage['headers'];
  readonly path: string;
  /** The common name of the sender's certificate; undefined: it showed none. */
  readonly sender: string | undefined;
}

/** Answers a push after its body has arrived. */
export type Behaviour = (response: ServerResponse, received: ReceivedSet) => void;

export const accept: Behaviour = (response) => void response.writeHead(202).end();

/** A receiver of pushed SETs (RFC 8935) on a port of 127.0.0.1, which a test makes slow, broken or hostile. */
export class PushReceiver {
  readonly received: ReceivedSet[] = [];
  behaviour: Behaviour = accept;
  running = 0;
  mostRunning = 0;

  private constructor(private readonly server: Server) {}

  static async start(tls: ServerOptions): Promise<PushReceiver> {
    const server = createServer(tls);
    const receiver = new PushReceiver(server);
    server.on(
      'request',
      (request: IncomingMessage, response: ServerResponse) => void receiver.answer(request, response),
    );
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The ids of the SETs in the order of their arrival. */
  get ids(): string[] {
    return this.received.map(({ claims }) => claims.jti);
  }

  closeConnections(): void {
    this.server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    response.on('close', () => (this.running -= 1));
    const chunks = await request.toArray().catch(() => undefined);
    if (chunks === undefined) return;
    const token = Buffer.concat(chunks as Buffer[]).toString();
    const received = {
      token,
      header: decodeProtectedHeader(token),
      claims: decodeJwt<{ jti: string }>(token) as ReceivedSet['claims'],
      headers: request.headers,
      path: request.url ?? '',
      sender: (request.socket as TLSSocket).getPeerCertificate().subject.CN as string | undefined,
    };
    this.received.push(received);
    this.behaviour(response, received);
  }
}
