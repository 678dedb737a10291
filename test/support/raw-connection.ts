import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { TestService } from './service.js';
import { until } from './until.js';

const STATUS = /HTTP\/1\.1 \d{3}/g;

/** A TLS connection that writes what it likes. */
export class RawConnection {
  received = '';
  readonly closed: Promise<void>;

  private constructor(readonly socket: TLSSocket) {
    socket.on('data', (chunk: Buffer) => (this.received += chunk.toString('latin1'))).on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  static async to(
    { running, pki }: TestService,
    certificate = pki.certificateOf('auth-service'),
  ): Promise<RawConnection> {
    const { port } = new URL(running.httpsUrl);
    const connection = new RawConnection(
      connect({ host: 'localhost', port: Number(port), ca: pki.ca, ...certificate }),
    );
    await once(connection.socket, 'secureConnect');
    return connection;
  }

  /** Of all answers so far. */
  get statuses(): number[] {
    return (this.received.match(STATUS) ?? []).map((line) => Number(line.slice(-3)));
  }

  /** The last answer's. */
  get body(): Record<string, unknown> {
    const answer = this.received.slice(this.received.lastIndexOf('HTTP/1.1 '));
    return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Record<string, unknown>;
  }

  async answers(count: number): Promise<number[]> {
    await until(() => Promise.resolve(this.statuses.length >= count));
    return this.statuses;
  }
}
