import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';

/** Refuses a query that is not percent-encoded UTF-8, which the query parser would take as it stands. */
export function refuseBadEncoding(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    try {
      decodeURIComponent(request.raw.url ?? '');
      done();
    } catch {
      const detail = 'the request target is not percent-encoded UTF-8';
      done(new Problem('request-malformed', { invalid: [{ pointer: '', detail }] }));
    }
  });
}
