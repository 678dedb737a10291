import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../config/clock.js';

/*
 * Limits of a connection that need no knowledge of its caller: the time that a request may take to arrive, the time that an
 * answer may wait for its reader, and, on the listener for operators, the number of connections.
 */

/** Time limits of a request, in milliseconds. */
export const REQUEST_TIMEOUTS = {
  /** From the start of the connection, or the first byte of a later request, to the end of the head. */
  headersTimeout: 10_000,
  /** From the same start to the end of the body. */
  requestTimeout: 15_000,
  /** From an answer to the next request. Answers announce it; node:http adds a second. */
  keepAliveTimeout: 65_000,
  /** The interval at which node:http looks for late requests. */
  connectionsCheckingInterval: 2_000,
} as const;

/**
 * Sets the timeouts on a server that does not listen yet. Server options are not enough: after Fastify has made the
 * server, it replaces `requestTimeout` (by 0, which waits for ever) and `keepAliveTimeout`.
 */
export function setRequestTimeouts(server: HttpServer): void {
  Object.assign(server, REQUEST_TIMEOUTS);
}

/** A caller that reads nothing for this long is cut off: milliseconds. */
const READ_PATIENCE_MS = 30_000;
const INTERVAL_MS = 1_000;

interface Progress {
  readonly written: number;
  readonly at: number;
}

/**
 * Cuts connections whose callers do not read their answers, because an answer stays in memory until it is read. A slow
 * reader stays: it only has to read something, at any speed.
 */
export function cutStalledConnections(server: HttpsServer, clock: Clock): void {
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
      else if (now - known.at >= READ_PATIENCE_MS) socket.destroy();
    }
  }, INTERVAL_MS).unref();
  server.once('close', () => {
    clearInterval(timer);
  });
}

/**
 * Bounds the connections of a server that does not identify its callers. A new connection replaces the oldest one, so a
 * client that holds many cannot keep a probe out.
 */
export function keepNewestConnections(server: Server, max: number): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > max) oldest?.destroy();
  });
}
