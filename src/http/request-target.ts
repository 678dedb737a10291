import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';

/** Refuses a query that is not percent-encoded UTF-8. The query parser would accept it undecoded. */
export function refuseBadEncoding(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    try {
      decodeURIComponent(request.raw.url ?? '');
      done();
    } catch {
      done(createMalformedProblem('the request target is not percent-encoded UTF-8'));
    }
  });
}

/**
 * Refuses a target in absolute form (RFC 9112 §3.2.2) whose host is not the service's or differs from the Host header.
 * The router would look only at its path.
 *
 * @param isOwn reports whether the service's certificate has this DNS name or IP address
 */
export function refuseForeignTargets(fastify: FastifyInstance, isOwn: (name: string) => boolean): void {
  fastify.addHook('onRequest', ({ raw: { url = '', headers } }, _reply, done) => {
    if (url.startsWith('/') || url === '*') {
      done();
      return;
    }
    const target = URL.parse(url);
    const isWhole = target?.protocol === 'https:' && target.username === '' && target.password === '';
    const host = URL.parse(`https://${headers.host ?? ''}`)?.host;
    if (isWhole && target.host === host && isOwn(target.hostname.replace(/^\[|\]$/g, ''))) done();
    else done(createMalformedProblem('the request target names another host or a scheme other than https'));
  });
}

function createMalformedProblem(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '', detail }] });
}
