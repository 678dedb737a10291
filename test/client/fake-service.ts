import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { text } from 'node:stream/consumers';
import { PasskeyManager, type PasskeyManagerOptions } from '@passkey-manager/client';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { Pki } from '../support/pki.js';

export interface Received {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  readonly type: string | undefined;
  /** Counts the connections of the service, from 1. */
  readonly connection: number;
  readonly serialNumber: string;
}

export type Respond = (response: ServerResponse, received: Received) => void;

/** Refuses and accepts clients as the service does, and answers as the test says. */
export class FakeService {
  readonly received: Received[] = [];
  readonly url: string;
  /** One for each request to come; after them the service answers every request with `{}`. */
  readonly answers: Respond[] = [];
  #connections = 0;
  readonly #numbers = new WeakMap<object, number>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    server.on('secureConnection', (socket: TLSSocket) => this.#numbers.set(socket, (this.#connections += 1)));
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response));
  }

  static async start(files: ClientFiles, options: ServerOptions = {}, port = 0): Promise<FakeService> {
    const [ca, cert, key] = await Promise.all(['ca.crt', 'server.crt', 'server.key'].map((name) => files.read(name)));
    const server = createServer({
      ...{ ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
      ...options,
    });
    server.keepAliveTimeout = 65_000;
    await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
    return new FakeService(server);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = request.socket as TLSSocket;
    const received = {
      method: request.method ?? '',
      target: request.url ?? '',
      body: await text(request),
      type: request.headers['content-type'],
      connection: this.#numbers.get(socket) ?? 0,
      serialNumber: socket.getPeerCertificate().serialNumber,
    };
    this.received.push(received);
    const respond = this.answers.shift() ?? ((it: ServerResponse) => it.end('{}'));
    respond(response, received);
  }
}

/** The files of a client, and the authority that issues more of them. */
export class ClientFiles {
  readonly #directory: string;
  readonly pki: Pki;

  private constructor(directory: string) {
    this.#directory = directory;
    this.pki = new Pki(join(directory, 'pki'));
  }

  static async create(): Promise<ClientFiles> {
    const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-client-'));
    await prepareDevelopment(directory);
    return new ClientFiles(directory);
  }

  path(name: string): string {
    return join(this.pki.directory, name);
  }

  read(name: string): Promise<string> {
    return readFile(this.path(name), 'utf8');
  }

  client(url: string, options: Partial<PasskeyManagerOptions> = {}): PasskeyManager {
    return new PasskeyManager({
      url,
      certFile: this.path('auth-service.crt'),
      keyFile: this.path('auth-service.key'),
      caFile: this.path('ca.crt'),
      ...options,
    });
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Answers with a problem of the contract. */
export function problem(
  status: number,
  slug: string,
  members: object = {},
  headers: Record<string, string> = {},
): Respond {
  const body = { type: `urn:passkey-manager:problem:${slug}`, title: slug, status, instance: 'r-1', ...members };
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(JSON.stringify(body));
  };
}

/** Closes the connection without an answer. */
export const cut: Respond = (response) => {
  response.destroy();
};
