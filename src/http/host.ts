import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';
import { countHeaders } from './request-head.js';

/**
 * A host of RFC 3986 §3.2.2 that a server certificate can name (a name, an IPv4 or an IPv6 address), with or without a
 * port.
 */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i;

/**
 * Refuses a request that does not name its host exactly once, by a host and an optional port (RFC 9112 §3.2). Node.js
 * takes the first of several Host headers, and answers a request without one with an empty 400, unless
 * `requireHostHeader` is off. This also refuses HTTP/0.9, which has no headers.
 */
export function requireHost(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', ({ raw: { headers, rawHeaders } }, _reply, done) => {
    if (countHeaders('host', rawHeaders) !== 1) done(createMalformedProblem('must be present exactly once'));
    else if (!HOST.test(headers.host ?? ''))
      done(createMalformedProblem('must be a host name or an address, with or without a port'));
    else done();
  });
}

function createMalformedProblem(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '/host', detail }] });
}
