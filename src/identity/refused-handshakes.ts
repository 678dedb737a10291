import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Logger } from '@nestjs/common';
import type { AuditService } from '../audit/audit.service.js';
import type { Metrics } from '../telemetry/metrics.js';

/** At most this many records a minute: whoever knocks on the port must not be able to fill the audit log. */
const RECORDS_PER_MINUTE = 60;

/**
 * Records refused handshakes, with the reason and the address, which only the connection's first moment tells. What is
 * over the limit is counted, and the next record says how many there were.
 */
export function watchHandshakes(server: Server, audit: AuditService, metrics: Metrics): void {
  const logger = new Logger('RefusedHandshakes');
  const remotes = new WeakMap<object, { ip: string; port: number }>();
  let minute = 0;
  let recorded = 0;
  let unrecorded = 0;
  server.on('connection', (socket) => {
    remotes.set(socket, { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
  });
  server.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    metrics.handshakesRefused.inc();
    const current = Math.floor(Date.now() / 60_000);
    if (current !== minute) [minute, recorded] = [current, 0];
    if (recorded >= RECORDS_PER_MINUTE) {
      unrecorded += 1;
      return;
    }
    recorded += 1;
    const parent = (socket as unknown as { _parent?: object })._parent ?? socket;
    const source = remotes.get(parent) ?? { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const facts = unrecorded > 0 ? { refused_before_unrecorded: unrecorded } : {};
    unrecorded = 0;
    audit
      .record(
        { requestId: '', operation: 'TLS handshake', source },
        {
          type: 'handshake.refused',
          outcome: 'failure',
          reason: refusalOf(socket) ?? error.code ?? error.name,
          detail: error.message.slice(0, 200),
          facts,
        },
      )
      .catch((failure: unknown) => {
        logger.error({ message: 'a refused handshake was not recorded', ip: source.ip, error: String(failure) });
      });
  });
}

/** Why the client's certificate was refused, where it was; the error says no more than that the connection is gone. */
function refusalOf(socket: { authorizationError?: Error | string | null }): string | undefined {
  return socket.authorizationError ? String(socket.authorizationError) : undefined;
}
