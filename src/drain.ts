import type { FastifyInstance } from 'fastify';

/** For what is under way: a request has 15 s to come whole (tls-options.ts), an orchestrator kills after 30. */
const PATIENCE_MS = 20_000;

/**
 * While the service stops, each answer is its connection's last. A connection that was busy when the others were closed
 * would otherwise stay as long as an idle one may, and a caller that says nothing could hold the stop up for ever.
 *
 * @param patience milliseconds after which what is still open is cut off
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
  // The head of a long answer may have gone before.
  fastify.addHook('onResponse', (request, _, done) => {
    if (closing) request.raw.socket.destroySoon();
    done();
  });
}
