import type { FastifyInstance } from 'fastify';

/**
 * Milliseconds that open requests get. A request must arrive within 15 s (connection-limits.ts), and an
 * orchestrator kills the process after 30 s.
 */
const PATIENCE_MS = 20_000;

/** Options of Fastify: a request that arrives while the service stops is answered like the others, not by Fastify itself. */
export const DRAINING = { forceCloseConnections: 'idle', return503OnClosing: false } as const;

/**
 * Closes each connection after its next answer once the service begins to stop. Otherwise a connection that was busy
 * when the idle ones were closed would stay open, and a silent caller could delay the stop for ever.
 *
 * @param patience milliseconds after which the remaining connections are cut off
 */
export function drainOnClose(fastify: FastifyInstance, patience = PATIENCE_MS): void {
  let closing = false;
  fastify.addHook('preClose', (done) => {
    closing = true;
    const timer = setTimeout(() => {
      fastify.server.closeAllConnections();
    }, patience);
    fastify.server.once('close', () => {
      clearTimeout(timer);
    });
    done();
  });
  fastify.addHook('onSend', (_, reply, payload, done) => {
    if (closing) reply.header('connection', 'close');
    done(null, payload);
  });
  // A long answer may have sent its head before the stop began.
  fastify.addHook('onResponse', (request, _, done) => {
    if (closing) request.raw.socket.destroySoon();
    done();
  });
}
