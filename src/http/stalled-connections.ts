import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../config/clock.js';

/** A caller that reads nothing for this long is cut off: milliseconds. */
const PATIENCE_MS = 30_000;
const INTERVAL_MS = 1_000;

interface Progress {
  readonly written: number;
  readonly at: number;
}

/**
 * Cuts connections whose callers do not read their answers, because an answer stays in memory until it is read. A slow
 * reader stays: it only has to read something, at any speed.
 */
export function cutStalledConnections(server: Server, clock: Clock): void {
  const stalled = new Map<TLSSocket, Progress>();
  const connections = new Set<TLSSocket>();
  server.on('secureConnection', (socket) => {
    connections.add(socket);
    socket.once('close', () => {
      connections.delete(socket);
      stalled.delete(socket);
    });
  });
  const timer = setInterval(() => {
    const now = clock.now().getTime();
    for (const socket of connections) {
      const written = socket.bytesWritten - socket.writableLength;
      const known = stalled.get(socket);
      if (socket.writableLength === 0) stalled.delete(socket);
      else if (known?.written !== written || now < known.at) stalled.set(socket, { written, at: now });
      else if (now - known.at >= PATIENCE_MS) socket.destroy();
    }
  }, INTERVAL_MS).unref();
  server.once('close', () => {
    clearInterval(timer);
  });
}
