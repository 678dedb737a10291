import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';
import type { Metrics } from './metrics.js';

/**
 * At 2,500 requests a second the last of as many waits for a tenth of a second. Every queue behind (connections of the
 * pool, rows to be combined) is bounded by this.
 */
const MAX_IN_FLIGHT = 256;

/**
 * Above what it can do a service must still do what it can. A request beyond the bound is refused before anything is done
 * for it, which costs a twentieth of doing it, and its caller comes back in a second; without a bound all of them would
 * be answered, when nobody waits any more.
 */
export function limitInFlight(fastify: FastifyInstance, metrics: Metrics, max = MAX_IN_FLIGHT): void {
  let inFlight = 0;
  fastify.addHook('onRequest', (_request, reply, done) => {
    if (inFlight >= max) {
      metrics.requestsShed.inc();
      done(new Problem('unavailable', { retryAfter: 1, detail: 'too many requests are being answered' }));
      return;
    }
    inFlight += 1;
    metrics.requestsInFlight.set(inFlight);
    reply.raw.once('close', () => {
      inFlight -= 1;
      metrics.requestsInFlight.set(inFlight);
    });
    done();
  });
}
