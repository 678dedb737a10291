import type { FastifyInstance } from 'fastify';
import { Problem } from '../problems/problem.js';

export const BODY_LIMIT_BYTES = 65_536;

/** The deepest value of the contract is at 6; browsers may nest extension results further. */
const MAX_DEPTH = 16;

/** Bodies are JSON in UTF-8, uncompressed, and no deeper than the contract has use for. */
export function acceptJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      const encoding = request.headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') {
        done(new Problem('media-type-unsupported', { detail: 'compressed bodies are not taken' }));
        return;
      }
      const text = decode(body as Buffer);
      if (text === undefined) {
        done(malformed('is not UTF-8'));
      } else if (deeperThan(text, MAX_DEPTH)) {
        done(malformed(`is nested deeper than ${String(MAX_DEPTH)} levels`));
      } else {
        void parseJson(request, text, done);
      }
    },
  );
}

function decode(body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}

/** Counts brackets outside of strings, so that a deep text is refused before anything recurses into it. */
function deeperThan(text: string, max: number): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth += 1;
    if (token === ']' || token === '}') depth -= 1;
    if (depth > max) return true;
  }
  return false;
}

function malformed(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '', detail: `the body ${detail}` }] });
}
