import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';
import { countOf } from './request-head.js';

/** RFC 3986 §3.2.2, as far as a server's certificate can have it: a name, an IPv4 address or an IPv6 address; and a port. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i;

/**
 * RFC 9112 §3.2: a request names its host once, by a host and a port. Node.js takes the first of several, and answers one that names none
 * with an empty 400 of its own, unless `requireHostHeader` is off. HTTP/0.9, which has no headers, ends here too.
 */
export function demandHost(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', ({ raw: { headers, rawHeaders } }, _reply, done) => {
    if (countOf('host', rawHeaders) !== 1) done(malformed('must be there, once'));
    else if (!HOST.test(headers.host ?? '')) done(malformed('must be a host name or an address, and may have a port'));
    else done();
  });
}

function malformed(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '/host', detail }] });
}
