import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Logger } from '@nestjs/common';
import type { Refusals } from '../audit/refusals.js';
import type { Metrics } from '../telemetry/metrics.js';

/**
 * Records refused handshakes with the reason and the address, which is known only when the connection begins. Refusals
 * over the limit of an address are counted, and the next record gives their number.
 */
export function recordRefusedHandshakes(server: Server, refusals: Refusals, metrics: Metrics): void {
  const logger = new Logger('RefusedHandshakes');
  const remotes = new WeakMap<object, { ip: string; port: number }>();
  server.on('connection', (socket) => {
    remotes.set(socket, { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
  });
  server.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    metrics.handshakesRefused.inc();
    const parent = (socket as unknown as { _parent?: object })._parent ?? socket;
    const source = remotes.get(parent) ?? { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const reason = findRefusal(socket) ?? error.code ?? error.name;
    const detail = error.message.slice(0, 200);
    refusals
      .refuseHandshake(
        { requestId: '', operation: 'TLS handshake', source },
        { type: 'handshake.refused', outcome: 'failure', reason, detail },
      )
      .catch((failure: unknown) => {
        logger.error({ message: 'a refused handshake is not recorded yet', sourceIp: source.ip, error: failure });
      });
  });
}

/**
 * Returns why the certificate of the client was refused; undefined if it was not. The error itself only says that the
 * connection is gone.
 */
function findRefusal(socket: { authorizationError?: Error | string | null }): string | undefined {
  return socket.authorizationError ? String(socket.authorizationError) : undefined;
}
