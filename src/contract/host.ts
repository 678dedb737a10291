import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';
import { countOf } from './request-head.js';

/**
 * RFC 9112 §3.2: a request names its host once. Node.js takes the first of several, and answers one that names none
 * with an empty 400 of its own, unless `requireHostHeader` is off. HTTP/0.9, which has no headers, ends here too.
 */
export function demandHost(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', ({ raw: { rawHeaders } }, _reply, done) => {
    if (countOf('host', rawHeaders) === 1) done();
    else done(new Problem('request-malformed', { invalid: [{ pointer: '/host', detail: 'must be there, once' }] }));
  });
}
