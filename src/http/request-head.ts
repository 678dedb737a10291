import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';

/**
 * Refuses heads that node:http reads in its own way, and that a proxy in front of it may read differently. node:http
 * takes the first of two media types, does not decode a body with another transfer coding than chunked, and answers an
 * unknown expectation with an empty 417 unless `checkExpectation` passes it to a handler.
 */
export function refuseAmbiguousHeads(fastify: FastifyInstance): void {
  fastify.server.on('checkExpectation', (request, response) => fastify.server.emit('request', request, response));
  fastify.addHook('onRequest', ({ raw: { headers, rawHeaders } }, _reply, done) => {
    const { 'transfer-encoding': coding = 'chunked', expect = '100-continue' } = headers;
    if (countHeaders('content-type', rawHeaders) > 1)
      done(createMalformedProblem('/content-type', 'must be present at most once'));
    else if (coding.toLowerCase() !== 'chunked') {
      done(new Problem('media-type-unsupported', { detail: 'chunked is the only supported transfer coding' }));
    } else if (expect.toLowerCase() !== '100-continue') done(createMalformedProblem('/expect', 'must be 100-continue'));
    else done();
  });
}

export function countHeaders(name: string, rawHeaders: readonly string[]): number {
  return rawHeaders.filter((header, at) => at % 2 === 0 && header.toLowerCase() === name).length;
}

function createMalformedProblem(pointer: string, detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer, detail }] });
}
