import { once } from 'node:events';
import { connect as connectPlainly } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { ClientCertificate } from './client.js';
import type { TestService } from './service.js';

const STATUS = /HTTP\/1\.1 (\d{3})/g;

/** A connection that writes what it likes, and reads only if it likes. */
export interface RawConnection {
  readonly socket: TLSSocket;
  /** The statuses of the answers that have come. */
  statuses(): number[];
  /** Ends it by a TCP reset. */
  reset(): void;
}

/** The connections of one test. */
export class RawConnections {
  private readonly open: TLSSocket[] = [];
  private readonly service: TestService;

  constructor(service: TestService) {
    this.service = service;
  }

  async connect(identity: string | ClientCertificate): Promise<RawConnection> {
    const { pki, running, certificateOf } = this.service;
    const certificate = typeof identity === 'string' ? certificateOf(identity) : identity;
    const port = Number(new URL(running.httpsUrl).port);
    const wire = connectPlainly(port, 'localhost');
    const socket = connect({ socket: wire, servername: 'localhost', ca: pki.ca, ...certificate });
    this.open.push(socket);
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1'))).on('error', () => undefined);
    await once(socket, 'secureConnect');
    return {
      socket,
      statuses: () => Array.from(received.matchAll(STATUS), ([, status]) => Number(status)),
      reset: () => wire.resetAndDestroy(),
    };
  }

  connectMany(identity: string, count: number): Promise<RawConnection[]> {
    return Promise.all(Array.from({ length: count }, () => this.connect(identity)));
  }

  close(): void {
    for (const socket of this.open.splice(0)) socket.destroy();
  }
}
