import type { FastifyInstance } from 'fastify';
import { createMalformedProblem, Problem } from './problem.js';

/*
 * Checks of the head of a request, in the order in which they run: its host, headers that are read in two ways, a target
 * that names another host, and the encoding of the target.
 */

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
    if (countHeaders('host', rawHeaders) !== 1) done(createMalformedProblem('must be present exactly once', '/host'));
    else if (!HOST.test(headers.host ?? ''))
      done(createMalformedProblem('must be a host name or an address, with or without a port', '/host'));
    else done();
  });
}

/**
 * Refuses heads that node:http reads in its own way, and that a proxy in front of it may read differently. node:http
 * reads HTTP/0.9 and HTTP/2.0 as HTTP/1.1, takes the first of two media types, does not decode a body with another transfer coding than chunked, and answers an
 * unknown expectation with an empty 417 unless `checkExpectation` passes it to a handler.
 */
export function refuseAmbiguousHeads(fastify: FastifyInstance): void {
  fastify.server.on('checkExpectation', (request, response) => fastify.server.emit('request', request, response));
  fastify.addHook('onRequest', ({ raw: { headers, rawHeaders, httpVersionMajor } }, _reply, done) => {
    const { 'transfer-encoding': coding = 'chunked', expect = '100-continue' } = headers;
    if (httpVersionMajor !== 1) done(createMalformedProblem('the version must be HTTP/1.1 or HTTP/1.0'));
    else if (countHeaders('content-type', rawHeaders) > 1)
      done(createMalformedProblem('must be present at most once', '/content-type'));
    else if (coding.toLowerCase() !== 'chunked') {
      done(new Problem('media-type-unsupported', { detail: 'chunked is the only supported transfer coding' }));
    } else if (expect.toLowerCase() !== '100-continue') done(createMalformedProblem('must be 100-continue', '/expect'));
    else done();
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

function countHeaders(name: string, rawHeaders: readonly string[]): number {
  return rawHeaders.filter((header, at) => at % 2 === 0 && header.toLowerCase() === name).length;
}
