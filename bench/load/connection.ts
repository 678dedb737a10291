import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { parseReply, type Reply } from './http-reply.js';

/** The address of a contender. With a PKI the connection is mutual TLS, as auth-service unless `identity` names another. */
export interface Target {
  readonly url: string;
  readonly pki?: string;
  readonly identity?: string;
}

interface Answer<Body> {
  readonly body: Body;
  readonly cookies: string;
}

/** The server answered 503: it is full, and has done nothing. */
export class Shed extends Error {}

/** A keep-alive HTTP/1.1 connection with one request in flight, as cheap as Node allows. */
export class Connection {
  private received: Buffer | undefined;
  private pending: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;
  private readonly socket: Socket;
  private readonly target: Target;
  private readonly host: string;

  private constructor(socket: Socket, target: Target) {
    this.socket = socket;
    this.target = target;
    this.host = new URL(target.url).host;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.take(bytes);
    });
    socket.on('error', (error) => this.pending?.reject(error));
    socket.on('close', () => this.pending?.reject(new Error('the server closed the connection')));
  }

  static async open(target: Target): Promise<Connection> {
    const { url, pki, identity = 'auth-service' } = target;
    const { hostname, port } = new URL(url);
    const address = { host: hostname, port: Number(port) };
    const socket = pki === undefined ? connect(address) : connectTls({ ...address, ...certificateOf(pki, identity) });
    await once(socket, pki === undefined ? 'connect' : 'secureConnect');
    return new Connection(socket, target);
  }

  /** Returns a new connection if the server has closed this one, as it does with an idle one. */
  async usable(): Promise<Connection> {
    return this.socket.destroyed || !this.socket.writable ? Connection.open(this.target) : this;
  }

  close(): void {
    this.socket.destroy();
  }

  /** @throws Shed; Error unless the answer is a 2xx */
  async call<Body>(method: string, path: string, body?: unknown, headers = ''): Promise<Answer<Body>> {
    const { text, cookies } = await this.succeed(method, path, body, headers);
    return { body: JSON.parse(text) as Body, cookies };
  }

  /** Returns an answer that need not be JSON. @throws Error unless the answer is a 2xx */
  async read(path: string): Promise<string> {
    return (await this.succeed('GET', path, undefined, '')).text;
  }

  private async succeed(method: string, path: string, body: unknown, headers: string): Promise<Reply> {
    const reply = await this.exchange(method, path, body, headers);
    const { status, text } = reply;
    if (status === 503) throw new Shed();
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${String(status)} ${text.slice(0, 300)}`);
    return reply;
  }

  /** @param headers whole lines, each with CRLF */
  private exchange(method: string, path: string, body: unknown, headers: string): Promise<Reply> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const entity =
      body === undefined
        ? ''
        : `content-type: application/json\r\ncontent-length: ${String(Buffer.byteLength(text))}\r\n`;
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) throw new Error('the server had closed the connection');
      this.pending = { resolve, reject };
      this.socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${this.host}\r\n${headers}${entity}\r\n${text}`);
    });
  }

  private take(bytes: Buffer): void {
    this.received = this.received === undefined ? bytes : Buffer.concat([this.received, bytes]);
    const reply = parseReply(this.received);
    if (!reply) return;
    this.received = undefined;
    this.pending?.resolve(reply);
    this.pending = undefined;
  }
}

interface Certificate {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

const certificates = new Map<string, Certificate>();

function certificateOf(pki: string, identity: string): Certificate {
  const read = (name: string): Buffer => readFileSync(join(pki, name));
  const name = join(pki, identity);
  const known = certificates.get(name) ?? {
    ca: read('ca.crt'),
    cert: read(`${identity}.crt`),
    key: read(`${identity}.key`),
  };
  certificates.set(name, known);
  return known;
}
