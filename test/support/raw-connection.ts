import { once } from 'node:events';
import { connect as connectPlainly, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { ClientCertificate } from './client.js';
import type { TestService } from './service.js';
import { until } from './until.js';

const STATUS = /HTTP\/1\.1 (\d{3})/g;

/** A TLS connection on which a test writes any bytes and decides when to read. */
export class RawConnection {
  received = '';
  readonly closed: Promise<void>;

  private constructor(
    readonly socket: TLSSocket,
    private readonly wire: Socket,
  ) {
    socket.on('data', (chunk: Buffer) => (this.received += chunk.toString('latin1'))).on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  /** @param identity the client's identity; auth-service by default */
  static async to(
    { running, pki, certificateOf }: Pick<TestService, 'running' | 'pki' | 'certificateOf'>,
    identity: string | ClientCertificate = 'auth-service',
  ): Promise<RawConnection> {
    const certificate = typeof identity === 'string' ? certificateOf(identity) : identity;
    const wire = connectPlainly(Number(new URL(running.httpsUrl).port), 'localhost');
    const socket = connect({ socket: wire, servername: 'localhost', ca: pki.ca, ...certificate });
    const connection = new RawConnection(socket, wire);
    await once(socket, 'secureConnect');
    return connection;
  }

  /** The status of each answer so far. */
  get statuses(): number[] {
    return Array.from(this.received.matchAll(STATUS), ([, status]) => Number(status));
  }

  /** The body of the last answer. */
  get body(): Record<string, unknown> {
    const answer = this.received.slice(this.received.lastIndexOf('HTTP/1.1 '));
    return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Record<string, unknown>;
  }

  async answers(count: number): Promise<number[]> {
    await until(() => this.statuses.length >= count);
    return this.statuses;
  }

  /** Ends the connection by a TCP reset. */
  reset(): void {
    this.wire.resetAndDestroy();
  }
}

/** The connections of one test. */
export class RawConnections {
  private readonly open: RawConnection[] = [];

  constructor(private readonly service: TestService) {}

  async connect(identity: string | ClientCertificate): Promise<RawConnection> {
    const connection = await RawConnection.to(this.service, identity);
    this.open.push(connection);
    return connection;
  }

  connectMany(identity: string, count: number): Promise<RawConnection[]> {
    return Promise.all(Array.from({ length: count }, () => this.connect(identity)));
  }

  close(): void {
    for (const { socket } of this.open.splice(0)) socket.destroy();
  }
}
